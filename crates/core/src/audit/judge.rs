//! What an answer means: one pure table from status and code to a verdict. Knows neither timers
//! nor requests; whoever asks does what the verdict says.
//!
//! What is not in the table is retried: a retry costs time, a skip costs data.

use std::borrow::Cow;
use std::time::Duration;

use crate::contract::request::Operation;
use crate::source::verdict::Verdict;

/// An answer that may be an error, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub operation: Operation,
    pub status: u16,
    /// Microsoft's code (`AF…`), or one of ours for an answer without.
    pub code: Option<Cow<'a, str>>,
    pub retry_after: Option<Duration>,
    /// For a start that came too soon, the wait that its message names.
    pub named_wait: Option<Duration>,
}

/// Our name for the error of a tenant whose unified audit log is off, which has no code of its
/// own: `… DataServiceException: Tenant <guid> does not exist …`.
pub(crate) const AUDITING_OFF: &str = "auditing-off";

/// Judges one answer.
pub(crate) fn judge(answer: &Answer<'_>) -> Verdict {
    let retry = Verdict::Retry(answer.retry_after);
    let throttle = Verdict::Throttle(answer.retry_after);
    if let Some(code) = &answer.code {
        match &**code {
            // A start that came too soon names its wait, whatever its code.
            "AF429"
                if answer.operation == Operation::StartSubscription
                    && answer.named_wait.is_some() =>
            {
                return Verdict::CoolDown(answer.named_wait);
            }
            // Microsoft sends it with 403 and with 429; the code is what counts.
            "AF429" => return throttle,
            "AF10001" | "AF20010" | "AF20011" | "AF20012" | "AF20013" | "AF20020"
            | AUDITING_OFF => return Verdict::Deny,
            "AF20022" | "AF20023" => return Verdict::Resubscribe,
            "AF20024" if answer.operation == Operation::StartSubscription => {
                return Verdict::Accept;
            }
            "AF20030" | "AF20031" | "AF20055" => return Verdict::Replan,
            "AF20050" | "AF20051" | "AF20052" => return Verdict::Gone,
            // AF50000, AF50005, AF50006 and all that nobody has documented: as the status says.
            _ => {}
        }
    }
    match answer.status {
        200..=299 if answer.code.is_none() => Verdict::Accept,
        401 => Verdict::Reauthenticate,
        403 => Verdict::Forbid,
        404 | 410 if answer.operation == Operation::GetBlob => Verdict::Gone,
        429 if answer.operation == Operation::StartSubscription => {
            Verdict::CoolDown(answer.named_wait.or(answer.retry_after))
        }
        429 => throttle,
        _ => retry,
    }
}

/// Finds the code of an error body. Bodies come with double or single quotes, with a code that is
/// really a sentence, or as anything at all.
pub(crate) fn code_of(body: &[u8]) -> Option<Cow<'static, str>> {
    let text = String::from_utf8_lossy(body);
    if text.contains("DataServiceException: Tenant") && text.contains("does not exist") {
        return Some(AUDITING_OFF.into());
    }
    let from_json =
        serde_json::from_slice::<serde_json::Value>(text.as_bytes()).ok().and_then(|value| {
            let code = value.get("error")?.get("code")?.as_str()?;
            Some(code.chars().take(CODE_CHARS_MAX).collect::<String>())
        });
    if let Some(code) = from_json {
        return Some(code.into());
    }
    let lower = text.to_ascii_lowercase();
    if lower.contains("too many requests. method=") {
        return Some("AF429".into());
    }
    let at = text
        .match_indices("AF")
        .map(|(at, _)| at + 2)
        .find(|&at| text[at..].bytes().take_while(u8::is_ascii_digit).count() >= 3)?;
    let digits: String = text[at..].chars().take_while(char::is_ascii_digit).take(8).collect();
    Some(format!("AF{digits}").into())
}

/// Codes longer than this are sentences.
const CODE_CHARS_MAX: usize = 80;

/// `… Please retry again after 14m 56s` as a duration.
pub(crate) fn named_wait(body: &[u8]) -> Option<Duration> {
    let text = String::from_utf8_lossy(body);
    let tail = text.split("again after ").nth(1)?;
    let mut seconds = 0;
    let mut found = false;
    for word in tail.split_whitespace().take(3) {
        let word = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &word[digits.len()..] {
            "h" => 3_600,
            "m" => 60,
            "s" => 1,
            _ => break,
        };
        let part = digits.parse::<u64>().ok()?.checked_mul(unit)?;
        seconds = part.checked_add(seconds)?;
        found = true;
    }
    found.then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(operation: Operation, status: u16, body: &str, expected: &Verdict) {
        let answer = Answer {
            operation,
            status,
            code: if (200..300).contains(&status) { None } else { code_of(body.as_bytes()) },
            retry_after: None,
            named_wait: named_wait(body.as_bytes()),
        };
        assert_eq!(judge(&answer), *expected, "{status} {body}");
    }

    #[test]
    fn documented_and_observed_answers_are_judged() {
        use Operation::{GetBlob, ListContent, StartSubscription};
        let retry = Verdict::Retry(None);
        let throttle = Verdict::Throttle(None);
        check(ListContent, 200, "[]", &Verdict::Accept);
        check(
            StartSubscription,
            400,
            r#"{"error":{"code":"AF20024","message":"The subscription is already enabled."}}"#,
            &Verdict::Accept,
        );
        check(
            ListContent,
            400,
            r#"{"error":{"code":"AF20023","message":"The subscription was disabled."}}"#,
            &Verdict::Resubscribe,
        );
        check(
            GetBlob,
            403,
            "{'error':{'code':'AF429','message':'Too many requests. Method=GetBlob, \
             PublisherId=00000000-0000-0000-0000-000000000000'}}",
            &throttle,
        );
        check(ListContent, 429, "", &throttle);
        check(
            StartSubscription,
            429,
            "Too many frequent subscription start requests. Please retry again after 14m 56s",
            &Verdict::CoolDown(Some(Duration::from_secs(896))),
        );
        check(
            ListContent,
            401,
            r#"{"Message":"Authorization has been denied for this request."}"#,
            &Verdict::Reauthenticate,
        );
        check(ListContent, 401, r#"{"error":{"code":"AF10001","message":""}}"#, &Verdict::Deny);
        check(
            StartSubscription,
            400,
            r#"{"error":{"code":"StartSubscription [CorrId=1][AppId","message":"x failed. Exception:
               Microsoft.Office.Compliance.Audit.DataServiceException: Tenant 1 does not exist.\r\n"}}"#,
            &Verdict::Deny,
        );
        check(ListContent, 400, r#"{"error":{"code":"AF20055"}}"#, &Verdict::Replan);
        check(GetBlob, 404, "null", &Verdict::Gone);
        check(ListContent, 404, "", &retry);
        check(GetBlob, 500, r#"{"error":{"code":"AF50000"}}"#, &retry);
        check(GetBlob, 503, "<html>busy</html>", &retry);
        check(GetBlob, 302, "", &retry);
        for body in ["", "<html>Access denied</html>", r#"{"Message":"no"}"#] {
            check(ListContent, 403, body, &Verdict::Forbid);
            check(StartSubscription, 401, body, &Verdict::Reauthenticate);
        }
        check(GetBlob, 400, r#"{"error":{"code":"AF99999"}}"#, &retry);
        check(GetBlob, 404, r#"{"error":{"code":"ItemNotFound"}}"#, &Verdict::Gone);
    }

    #[test]
    fn every_code_is_judged_by_what_it_means_and_where_it_came() {
        use Operation::{GetBlob, ListContent, StartSubscription};
        let coded = |operation, status, code: &str, expected: &Verdict| {
            let body = format!("{{'error':{{'code':'{code}: no SAFE AF12','message':''}}}}");
            check(operation, status, &body, expected);
        };
        for code in ["AF10001", "AF20010", "AF20011", "AF20012", "AF20013", "AF20020"] {
            coded(ListContent, 400, code, &Verdict::Deny);
        }
        for code in ["AF20022", "AF20023"] {
            coded(ListContent, 400, code, &Verdict::Resubscribe);
        }
        for code in ["AF20030", "AF20031", "AF20055"] {
            coded(ListContent, 400, code, &Verdict::Replan);
        }
        for code in ["AF20050", "AF20051", "AF20052"] {
            coded(GetBlob, 400, code, &Verdict::Gone);
        }
        coded(StartSubscription, 400, "AF20024", &Verdict::Accept);
        coded(ListContent, 400, "AF20024", &Verdict::Retry(None));
        coded(GetBlob, 410, "AF99999", &Verdict::Gone);
        coded(GetBlob, 410, "AF12", &Verdict::Gone);
        // Words of a message are no code.
        let text = r#"{"error":{"code":"ItemNotFound","message":"The item does not exist."}}"#;
        check(GetBlob, 404, text, &Verdict::Gone);
        let text = r#"{"error":{"code":"","message":"DataServiceException: Tenant 1 is busy"}}"#;
        check(GetBlob, 500, text, &Verdict::Retry(None));
        let accepted = Answer {
            operation: ListContent,
            status: 200,
            code: Some("AF99999".into()),
            retry_after: None,
            named_wait: None,
        };
        assert_eq!(judge(&accepted), Verdict::Retry(None), "a code is no list");
    }

    #[test]
    fn a_wait_that_is_named_holds_for_the_start_of_a_subscription_only() {
        use Operation::{ListContent, StartSubscription};
        let named = "{'error':{'code':'AF429','message':'Please retry again after 1h 2m 3s.'}}";
        let wait = Some(Duration::from_secs(3_723));
        check(StartSubscription, 403, named, &Verdict::CoolDown(wait));
        check(ListContent, 403, named, &Verdict::Throttle(None));
        check(StartSubscription, 403, "{'error':{'code':'AF429'}}", &Verdict::Throttle(None));
        for text in ["again after a while", "again after 5 m", "later"] {
            assert_eq!(named_wait(text.as_bytes()), None, "{text}");
        }
        let longest = format!("again after {}s 1s", u64::MAX);
        assert_eq!(named_wait(longest.as_bytes()), None, "nobody waits for that");
    }
}
