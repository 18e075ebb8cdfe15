//! What an answer of the Activities API means. Pure. Microsoft documents no error of it: what is
//! not in the table is retried, since a retry costs time and a skip costs data.

use std::time::Duration;

use crate::source::verdict::Verdict;

/// The pause after a bare 429. A client of Microsoft's own waits as long.
const PAUSE: Duration = Duration::from_secs(5);

/// The pause after a text that says "throttled" and not for how long.
const PAUSE_THROTTLED: Duration = Duration::from_secs(60);

/// Judges one answer by its status and the beginning of its body. Not for a page that was read.
pub(crate) fn judge(status: u16, opening: &[u8], retry_after: Option<Duration>) -> Verdict {
    let text = String::from_utf8_lossy(opening).to_ascii_lowercase();
    if text.contains("throttled") {
        let wait = retry_after.or_else(|| named_wait(&text)).unwrap_or(PAUSE_THROTTLED);
        return Verdict::Throttle(Some(wait));
    }
    match status {
        429 => Verdict::Throttle(Some(retry_after.unwrap_or(PAUSE))),
        401 => Verdict::Reauthenticate,
        403 => Verdict::Deny,
        400 => Verdict::Replan,
        _ => Verdict::Retry(retry_after),
    }
}

/// `… available in 17 seconds.` as a duration.
fn named_wait(text: &str) -> Option<Duration> {
    let seconds: u64 = text.split("available in ").nth(1)?.split(' ').next()?.parse().ok()?;
    Some(Duration::from_secs(seconds.clamp(1, 900)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_throttling_are_understood() {
        let throttle = |seconds| Verdict::Throttle(Some(Duration::from_secs(seconds)));
        let said = br#"{"detail":"Request was throttled. Expected available in 17 seconds."}"#;
        for status in [200, 403, 429, 503] {
            assert_eq!(judge(status, said, None), throttle(17));
        }
        assert_eq!(judge(429, b"TOO MANY REQUESTS", None), throttle(5));
        assert_eq!(judge(429, b"", Some(Duration::from_secs(9))), throttle(9));
        assert_eq!(judge(403, b"Throttled", None), throttle(60));
    }

    #[test]
    fn the_rest_is_judged_by_status() {
        for (status, expected) in [
            (401, Verdict::Reauthenticate),
            (403, Verdict::Deny),
            (400, Verdict::Replan),
            (200, Verdict::Retry(None)),
            (404, Verdict::Retry(None)),
            (500, Verdict::Retry(None)),
            (502, Verdict::Retry(None)),
        ] {
            assert_eq!(judge(status, b"<html>", None), expected, "{status}");
        }
    }
}
