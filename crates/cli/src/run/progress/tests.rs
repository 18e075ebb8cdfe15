//! What a terminal shows at several widths, and when a line is written.

use std::fmt;
use std::sync::{Arc, Mutex};

use expect_test::{Expect, expect};
use indicatif::{ProgressDrawTarget, TermLike};
use m365_audit_core::{ContentType, Feed, FeedEvent, LaneMetrics};

use super::*;

/// One feed that has much to do, and one that is denied.
pub(super) fn two_feeds(requests: u64, events: u64) -> Metrics {
    let lane = LaneMetrics {
        windows_listed: 12,
        blobs_delivered: 1_234,
        blobs_pending: 66,
        records_delivered: events,
        backlog: Duration::from_secs(2 * 86_400 + 3 * 3_600),
        lag: Duration::from_secs(65),
        ..LaneMetrics::new(Feed::Audit(ContentType::AuditExchange))
    };
    let share_point = LaneMetrics::new(Feed::Audit(ContentType::AuditSharePoint));
    let denied = LaneMetrics { denied: true, ..share_point };
    Metrics {
        requests: std::array::from_fn(|at| if at == 0 { requests } else { 0 }),
        requests_per_minute: 2_000,
        lanes: vec![lane, denied],
        ..Metrics::default()
    }
}

/// A terminal that remembers what it shows.
#[derive(Clone)]
struct Screen(Arc<Mutex<vt100::Parser>>);

impl Screen {
    fn new(columns: u16) -> Self {
        Self(Arc::new(Mutex::new(vt100::Parser::new(24, columns, 0))))
    }

    fn write(&self, text: &str) {
        self.0.lock().unwrap().process(text.as_bytes());
    }

    /// Its lines, without blanks at their ends.
    fn text(&self) -> String {
        let parser = self.0.lock().unwrap();
        let columns = parser.screen().size().1;
        let lines = parser.screen().rows(0, columns);
        let lines: Vec<_> = lines.map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// Whether some line goes on in the next one.
    fn wraps(&self) -> bool {
        let parser = self.0.lock().unwrap();
        (0..24).any(|row| parser.screen().row_wrapped(row))
    }

    fn resize(&self, columns: u16) {
        self.0.lock().unwrap().screen_mut().set_size(24, columns);
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Screen")
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.0.lock().unwrap().screen().size().1
    }

    fn height(&self) -> u16 {
        self.0.lock().unwrap().screen().size().0
    }

    fn move_cursor_up(&self, n: usize) -> std::io::Result<()> {
        self.write(&if n == 0 { String::new() } else { format!("\x1b[{n}A") });
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> std::io::Result<()> {
        self.write(&if n == 0 { String::new() } else { format!("\x1b[{n}B") });
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> std::io::Result<()> {
        self.write(&if n == 0 { String::new() } else { format!("\x1b[{n}C") });
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> std::io::Result<()> {
        self.write(&if n == 0 { String::new() } else { format!("\x1b[{n}D") });
        Ok(())
    }

    fn write_line(&self, s: &str) -> std::io::Result<()> {
        self.write(&format!("{s}\r\n"));
        Ok(())
    }

    fn write_str(&self, s: &str) -> std::io::Result<()> {
        self.write(s);
        Ok(())
    }

    fn clear_line(&self) -> std::io::Result<()> {
        self.write("\r\x1b[2K");
        Ok(())
    }

    fn flush(&self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Rows on a terminal.
fn rows_on(screen: &Screen) -> Rows {
    let own = Box::new(terminal::OwnLines::new(screen.clone()));
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(own));
    // Nothing is cleared that the test does not look at.
    let null = || std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
    let term = console::Term::read_write_pair(null(), null());
    Rows { all, term, shown: Vec::new(), width: WIDTH_DEFAULT }
}

/// Ten seconds in which 50,000 events came.
fn rates() -> Rates {
    let (mut rates, start) = (Rates::default(), Instant::now());
    let mut before = two_feeds(0, 0);
    before.lanes[0].blobs_delivered = 934;
    rates.sample(start, &before);
    rates.sample(start + Duration::from_secs(10), &two_feeds(300, 50_000));
    rates
}

/// All states of a feed at once.
fn one_tenant() -> Metrics {
    let mut metrics = two_feeds(300, 50_000);
    let new = |content_type| LaneMetrics::new(Feed::Audit(content_type));
    metrics.lanes.push(LaneMetrics {
        windows_listed: 3,
        backlog: Duration::from_secs(5 * 86_400),
        blobs_delivered: 5,
        records_delivered: 7,
        ..new(ContentType::AuditAzureActiveDirectory)
    });
    metrics.lanes.push(LaneMetrics {
        windows_listed: 24,
        blobs_delivered: 8,
        records_delivered: 1_204,
        blobs_quarantined: 2,
        records_filtered: 31,
        lag: Duration::from_secs(95),
        ..new(ContentType::AuditGeneral)
    });
    metrics.lanes.push(LaneMetrics { blobs_lost: 1, ..new(ContentType::DlpAll) });
    metrics.lanes.push(LaneMetrics::new(Feed::CloudAppActivities));
    metrics.losses_unacknowledged = 1;
    metrics
}

#[track_caller]
fn shows(columns: u16, view: &View<'_>, expected: &Expect) {
    let screen = Screen::new(columns);
    let mut rows = rows_on(&screen);
    rows.draw(view, (&rates(), &Denials::new()), &["3 notifications".into()], &[], columns.into());
    let text = screen.text();
    assert!(text.lines().all(|line| line.chars().count() < columns.into()), "{text}");
    // To a terminal that fits lines to a new width, each is one.
    assert!(!screen.wraps(), "{text}");
    expected.assert_eq(&text);
}

#[test]
fn rows_fit_into_60_columns() {
    let metrics = one_tenant();
    shows(
        60,
        &View { all: &metrics, tenants: &[] },
        &expect![[r#"
            Exchange              reading     94%     50,000 events
            SharePoint            DENIED     see the log
            AzureActiveDirectory  listing     99%          7 events
            General               caught up  100%      1,204 events
            DLP.All               DATA LOST     -          0 events
            CloudAppActivities    starting      -          0 events
            all                   DATA LOST (see the log)  lag 1m 35s"#]],
    );
}

#[test]
fn rows_fit_into_80_columns() {
    let metrics = one_tenant();
    shows(
        80,
        &View { all: &metrics, tenants: &[] },
        &expect![[r#"
            Audit.Exchange              reading     94%     50,000 events  5,000/s  2s left
            Audit.SharePoint            DENIED     see the log
            Audit.AzureActiveDirectory  listing     99%          7 events      0/s
            Audit.General               caught up  100%      1,204 events  2 unreadable
            DLP.All                     DATA LOST     -          0 events      0/s
            CloudAppActivities          starting      -          0 events      0/s
            all                         DATA LOST (see the log)  300 of 2,000 requests/min"#]],
    );
}

#[test]
fn rows_fit_into_120_columns() {
    let metrics = one_tenant();
    shows(
        120,
        &View { all: &metrics, tenants: &[] },
        &expect![[r#"
            Audit.Exchange              reading     94%     50,000 events  5,000/s  2s left
            Audit.SharePoint            DENIED     see the log
            Audit.AzureActiveDirectory  listing     99%          7 events      0/s  3 windows listed
            Audit.General               caught up  100%      1,204 events  2 unreadable      0/s  lag 1m 35s  31 filtered
            DLP.All                     DATA LOST     -          0 events      0/s  see the log
            CloudAppActivities          starting      -          0 events      0/s
            all                         DATA LOST (see the log)  300 of 2,000 requests/min  lag 1m 35s  losses not acknowledged: 1"#]],
    );
}

#[test]
fn who_is_denied_is_told_why_and_what_to_do_as_far_as_there_is_room() {
    let feed = Feed::Audit(ContentType::AuditSharePoint);
    let mut waiting = Waiting::new(Instant::now());
    let denied = FeedEvent::FeedDeniedError {
        code: "AF10001".into(),
        message: "The permission set () sent in the request did not include it.".into(),
        remedy: "grant the app the application permission ActivityFeed.Read",
    };
    waiting.observe("", &Event::Feed(feed, denied), Instant::now());
    let row = |waiting: &Waiting, columns: usize| {
        let (metrics, rates) = (two_feeds(0, 0), Rates::default());
        let view = View { all: &metrics, tenants: &[] };
        let rows = rows::rows(&view, (&rates, waiting.denials()), &[], columns);
        console::strip_ansi_codes(&rows[1]).into_owned()
    };
    expect!["SharePoint  DENIED     AF10001: grant the app the applicati"]
        .assert_eq(&row(&waiting, 60));
    let whole = "DENIED     AF10001: grant the app the application permission ActivityFeed.Read";
    assert!(row(&waiting, 120).ends_with(whole), "{}", row(&waiting, 120));
    waiting.observe("", &Event::Feed(feed, FeedEvent::FeedRestored), Instant::now());
    assert!(row(&waiting, 120).ends_with("see the log"));
}

#[test]
fn of_many_tenants_the_worst_have_rows() {
    let mut fine = two_feeds(0, 100);
    fine.lanes.truncate(1);
    (fine.lanes[0].blobs_pending, fine.lanes[0].backlog) = (0, Duration::ZERO);
    let mut busy = fine.clone();
    busy.lanes[0].blobs_pending = 1;
    let mut lost = fine.clone();
    lost.lanes[0].records_dropped = 1;
    let mut tenants = vec![("contoso", &busy), ("northwind", &lost), ("adatum", &fine)];
    let names: Vec<_> = (0..7).map(|n| format!("tenant{n}")).collect();
    tenants.extend(names.iter().map(|name| (name.as_str(), &busy)));
    let mut all = Metrics::default();
    tenants.iter().for_each(|(_, metrics)| all.add(metrics));
    shows(
        80,
        &View { all: &all, tenants: &tenants },
        &expect![[r#"
        Audit.Exchange  1 of 10 caught up  1 lost data   99%      1,000 events  5,000/s
        northwind       DATA LOST  lag 1m 5s  Audit.Exchange
        contoso         reading    lag 1m 5s  Audit.Exchange
        tenant0         reading    lag 1m 5s  Audit.Exchange
        tenant1         reading    lag 1m 5s  Audit.Exchange
        tenant2         reading    lag 1m 5s  Audit.Exchange
        all             DATA LOST (see the log)  300 of 20,000 requests/min  lag 1m 5s"#]],
    );
}

#[test]
fn a_terminal_of_another_width_is_painted_anew_and_left_clean() {
    let metrics = one_tenant();
    let view = View { all: &metrics, tenants: &[] };
    let (screen, rates) = (Screen::new(120), rates());
    let mut rows = rows_on(&screen);
    rows.draw(&view, (&rates, &Denials::new()), &[], &[], 120);
    screen.resize(60);
    rows.draw(&view, (&rates, &Denials::new()), &[], &[], 60);
    let fresh = Screen::new(60);
    let mut others = rows_on(&fresh);
    others.draw(&view, (&rates, &Denials::new()), &[], &[], 60);
    assert_eq!(screen.text(), fresh.text());
    rows.clear();
    assert_eq!(screen.text(), "");
}

#[test]
fn lines_are_written_soon_then_once_a_minute_while_something_moves() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let moved = |events| Moved::of(&two_feeds(0, events));
    let mut lines = Lines { always: false, written: None };
    assert!(!lines.is_due(at(7), start, moved(1), false));
    assert!(lines.is_due(at(8), start, moved(1), false));
    lines.written = Some((at(10), moved(1)));
    assert!(!lines.is_due(at(69), start, moved(2), false));
    assert!(lines.is_due(at(70), start, moved(2), false));
    assert!(!lines.is_due(at(3_609), start, moved(1), false), "an idle one is quiet");
    assert!(lines.is_due(at(3_609), start, moved(1), true), "one that waits says for what");
    assert!(lines.is_due(at(3_610), start, moved(1), false));
}

/// The summary, and the rows of a wide terminal.
fn said(metrics: &Metrics) -> (String, Vec<String>) {
    let rates = Rates::default();
    let view = View { all: metrics, tenants: &[] };
    (line::summary(metrics, &rates, &[]), rows::rows(&view, (&rates, &Denials::new()), &[], 160))
}

#[test]
fn a_loss_of_any_kind_is_shown() {
    let losses: [fn(&mut LaneMetrics); 5] = [
        |lane| lane.blobs_lost = 1,
        |lane| lane.records_withheld = 1,
        |lane| lane.records_dropped = 1,
        |lane| lane.listing_entries_dropped = 1,
        |lane| lane.listing_gaps = Duration::from_secs(1),
    ];
    for lose in losses {
        let mut metrics = two_feeds(0, 0);
        let (summary, rows) = said(&metrics);
        assert!(!summary.contains("LOST") && !rows.concat().contains("LOST"), "{summary} {rows:?}");
        lose(&mut metrics.lanes[0]);
        let (summary, rows) = said(&metrics);
        assert!(summary.ends_with(", DATA LOST (see the log)"), "{summary}");
        assert!(rows[0].contains("DATA LOST") && rows[0].ends_with("see the log"), "{rows:?}");
        assert!(rows.last().unwrap().contains("DATA LOST (see the log)"), "{rows:?}");
    }
}

#[test]
fn malformed_records_are_counted_in_both() {
    let mut metrics = two_feeds(0, 0);
    let (summary, rows) = said(&metrics);
    assert!(!summary.contains("malformed") && !rows.concat().contains("malformed"));
    metrics.lanes[0].records_malformed = 1_007;
    let (summary, rows) = said(&metrics);
    assert!(summary.contains(", 1,007 malformed"), "{summary}");
    assert!(rows[0].ends_with("1,007 malformed"), "{rows:?}");
}

#[test]
fn what_is_wrong_stands_below_and_is_cut() {
    let metrics = one_tenant();
    let view = View { all: &metrics, tenants: &[] };
    let screen = Screen::new(60);
    let below =
        "not signed in for 3 min, next try in 32 s: cannot resolve login.example".to_owned();
    let mut rows = rows_on(&screen);
    rows.draw(&view, (&rates(), &Denials::new()), &[], &[below], 60);
    let text = screen.text();
    let last = text.lines().last().unwrap();
    assert_eq!(last, "not signed in for 3 min, next try in 32 s: cannot resolve l");
}
