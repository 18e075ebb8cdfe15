//! Windows and pages of listings: which windows are legal, what a next-page address looks like,
//! and how one is read back. Pure.

use crate::answer::{Answer, af};
use crate::config::{DefaultWindow, IllegalWindow, PageUri, Rules};
use crate::content_type::ContentType;
use crate::guid::Guid;
use crate::http::Query;
use crate::report::Rule;
use crate::time::{self, DAY_MS, MINUTE_MS, Stamp};

const WINDOW_MAX_MS: i64 = DAY_MS;
const AGE_MAX_MS: i64 = 7 * DAY_MS;
/// An end time may lie this far after now without being recorded: clocks differ. The service
/// answers later ones too, but a client that sends them would take the future for listed.
const FUTURE_TOLERANCE_MS: i64 = 5 * MINUTE_MS;

/// A window, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

/// What a window asks for, and which rules it breaks.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) window: Result<Window, Answer>,
    pub(crate) broken: Vec<(Rule, String)>,
}

/// Reads the window of a query.
pub(crate) fn judge(query: &Query, now_ms: i64, rules: &Rules, skew_ms: i64) -> Judged {
    let refused = || match rules.illegal_window {
        IllegalWindow::Af20030 => af(
            400,
            "AF20030",
            "Start time and end time must both be specified (or both omitted) and must be less \
             than or equal to 24 hours apart, with the start time no more than 7 days in the past.",
        ),
        IllegalWindow::Af20055 | IllegalWindow::Partial => af(
            400,
            "AF20055",
            "Start time and end time must both be specified (or both omitted) and must be less \
             than or equal to 24 hours apart, with the start time prior to end time and start \
             time no more than 7 days in the past.",
        ),
    };
    let malformed = |why: String, answer: Answer| Judged {
        window: Err(answer),
        broken: vec![(Rule::WindowMalformed, why)],
    };
    let (start, end) = match (query.get("startTime"), query.get("endTime")) {
        (None, None) => return Judged { window: Ok(default(now_ms, rules)), broken: Vec::new() },
        (Some(start), Some(end)) => (start, end),
        _ => return malformed("only one of startTime and endTime".to_owned(), refused()),
    };
    let Some(start_ms) = time::parse(start) else {
        let answer = crate::answer::bad_parameter("startTime", "datetime");
        return malformed(format!("startTime is {start:?}"), answer);
    };
    let Some(end_ms) = time::parse(end) else {
        let answer = crate::answer::bad_parameter("endTime", "datetime");
        return malformed(format!("endTime is {end:?}"), answer);
    };
    let mut broken = Vec::new();
    let mut refuse = false;
    if start_ms >= end_ms {
        broken.push((Rule::WindowReversed, format!("start {start} is not before end {end}")));
        refuse = true;
    }
    if end_ms - start_ms > WINDOW_MAX_MS {
        broken.push((Rule::WindowTooLong, format!("{} ms", end_ms - start_ms)));
        refuse |= rules.illegal_window != IllegalWindow::Partial;
    }
    let age_ms = now_ms - start_ms;
    if age_ms > AGE_MAX_MS + skew_ms {
        broken.push((Rule::WindowTooOld, format!("{} ms beyond 7 days", age_ms - AGE_MAX_MS)));
    }
    refuse |= age_ms > AGE_MAX_MS + rules.start_tolerance_ms;
    if end_ms > now_ms + FUTURE_TOLERANCE_MS + skew_ms {
        broken.push((Rule::WindowInFuture, format!("{} ms after now", end_ms - now_ms)));
    }
    if refuse {
        return Judged { window: Err(refused()), broken };
    }
    // Partial results, as the documentation warns: the later content of the window is left out.
    let end_ms = end_ms.min(start_ms + WINDOW_MAX_MS);
    Judged { window: Ok(Window { start_ms, end_ms }), broken }
}

impl Window {
    /// Whether it is of exactly 24 hours.
    pub(crate) fn is_exactly_a_day(self) -> bool {
        self.end_ms - self.start_ms == WINDOW_MAX_MS
    }
}

/// The refusal of a window of exactly 24 hours, seen in the field.
pub(crate) fn exactly_a_day() -> Answer {
    af(
        400,
        "AF20055",
        "Start time and end time must both be specified (or both omitted) and must be less than \
         or equal to 24 hours apart, with the start time prior to end time and start time no more \
         than 7 days in the past.",
    )
}

fn default(now_ms: i64, rules: &Rules) -> Window {
    let start_ms = match rules.default_window {
        DefaultWindow::Last24h => now_ms - DAY_MS,
        DefaultWindow::SinceMidnight => now_ms.div_euclid(DAY_MS) * DAY_MS,
    };
    Window { start_ms, end_ms: now_ms.max(start_ms + 1) }
}

/// Where a page begins, as its token says: after the entry at `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageToken {
    pub(crate) after: Stamp,
    pub(crate) start_ms: i64,
}

impl PageToken {
    /// `{position, 23 digits}${start time, 14 digits and nine zeros}${region}`.
    fn text(self) -> String {
        let start = Stamp { ms: self.start_ms - self.start_ms.rem_euclid(1_000), sub: 0 };
        format!("{}${}$na0022", self.after.digits(), start.digits())
    }

    /// Reads a token; the start time must be that of the window.
    pub(crate) fn parse(text: &str, window_start_ms: i64) -> Option<Self> {
        let mut parts = text.split('$');
        let after = Stamp::parse(parts.next()?)?;
        let start = Stamp::parse(parts.next()?)?;
        let region = parts.next()?;
        let seconds = window_start_ms - window_start_ms.rem_euclid(1_000);
        let fits = start.ms == seconds && region == "na0022" && parts.next().is_none();
        fits.then_some(Self { after, start_ms: window_start_ms })
    }
}

/// Everything a next-page address is made of.
pub(crate) struct NextPage {
    pub(crate) tenant: Guid,
    /// `content` or `notifications`.
    pub(crate) operation: &'static str,
    pub(crate) content_type: ContentType,
    pub(crate) window: Window,
    pub(crate) after: Stamp,
    pub(crate) form: PageUri,
    /// `/api/v1/` instead of `/api/v1.0/`.
    pub(crate) v1: bool,
}

impl NextPage {
    /// Path and query. The publisher is left out, as on the wire.
    pub(crate) fn path_and_query(&self) -> String {
        let Self { tenant, operation, content_type, window, .. } = self;
        let token = PageToken { after: self.after, start_ms: window.start_ms }.text();
        match self.form {
            PageUri::Observed => format!(
                "/api/{}/{tenant}/activity/feed/subscriptions/{operation}\
                 ?contenttype={content_type}&endtime={}&starttime={}&nextpage={token}",
                if self.v1 { "v1" } else { "v1.0" },
                time::ticks_z(window.end_ms),
                time::ticks_z(window.start_ms),
            ),
            PageUri::Documented => format!(
                "/api/v1/{tenant}/activity/feed/subscriptions/{operation}\
                 ?contentType={content_type}&startTime={}&endTime={}&nextPage={token}",
                time::millis_z(window.start_ms),
                time::millis_z(window.end_ms),
            ),
        }
    }
}

/// A query without the `PublisherIdentifier` that clients append to next-page addresses.
pub(crate) fn without_publisher(path_and_query: &str) -> String {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let publisher = |part: &&str| {
        part.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case("PublisherIdentifier"))
    };
    let kept: Vec<&str> = query.split('&').filter(|part| !publisher(part)).collect();
    format!("{path}?{}", kept.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_page_has_the_observed_form() {
        let window = Window {
            start_ms: time::parse("2020-02-19T10:46:42").unwrap(),
            end_ms: time::parse("2020-02-20T10:46:42").unwrap(),
        };
        let after = Stamp { ms: time::parse("2020-02-20T00:18:06.300").unwrap(), sub: 68_349 };
        let mut page = NextPage {
            tenant: Guid::ZERO,
            operation: "content",
            content_type: ContentType::General,
            window,
            after,
            form: PageUri::Observed,
            v1: false,
        };
        assert_eq!(
            page.path_and_query(),
            "/api/v1.0/00000000-0000-0000-0000-000000000000/activity/feed/subscriptions/content\
             ?contenttype=Audit.General&endtime=2020-02-20T10:46:42.0000000Z\
             &starttime=2020-02-19T10:46:42.0000000Z\
             &nextpage=20200220001806300068349$20200219104642000000000$na0022"
        );
        page.form = PageUri::Documented;
        assert!(page.path_and_query().starts_with("/api/v1/"));
        let token = "20200220001806300068349$20200219104642000000000$na0022";
        assert_eq!(PageToken::parse(token, window.start_ms).unwrap().after, after);
        assert_eq!(PageToken::parse(token, window.start_ms - 5_000), None);
    }

    #[test]
    fn the_publisher_is_taken_out_wherever_it_stands() {
        assert_eq!(without_publisher("/a?x=1&publisheridentifier=2&y=3"), "/a?x=1&y=3");
        assert_eq!(without_publisher("/a?PublisherIdentifier=2"), "/a?");
    }
}
