//! Calls of the webhook, as bytes of a connection: only who knows the authentication id is answered
//! 200, and what he can make us read is content of our own.

use std::cell::RefCell;

use arbitrary::Unstructured;
use m365_audit_client::fuzzing::Webhook;

use crate::json;
use crate::listings::{self, API, CONFIG, TENANT};

const AUTH_ID: &str = "an-id-that-nobody-guesses";

thread_local! {
    static WEBHOOK: RefCell<Webhook> = RefCell::new(Webhook::new(CONFIG.clone(), AUTH_ID));
}

/// Calls it.
pub(crate) fn check(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(shape) = u.arbitrary::<u8>() else { return };
    let request = match shape & 7 {
        0 => u.peek_bytes(u.len()).unwrap_or(&[]).to_vec(),
        _ => made(&mut u, shape & 7 == 1),
    };
    let (answer, hints) = WEBHOOK.with_borrow_mut(|webhook| webhook.call(&request));
    let answer = String::from_utf8_lossy(&answer);
    let mut statuses = answer.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 "));
    let knows = request.windows(AUTH_ID.len()).any(|window| window == AUTH_ID.as_bytes());
    let posts = request.windows(4).any(|window| window == b"POST");
    assert!(!statuses.any(|status| status.starts_with("200")) || (knows && posts), "{answer}");
    assert!(hints.is_empty() || answer.contains("HTTP/1.1 200"), "{answer}");
    for content in hints {
        let path = format!("{API}/api/v1.0/{TENANT}/activity/feed/audit/{}", content.id);
        let short = path.replacen("/v1.0/", "/v1/", 1);
        let same = |wanted: &str| content.uri.eq_ignore_ascii_case(wanted);
        assert!(same(&path) || same(&short), "{}", content.uri);
    }
}

/// A request, perhaps two behind each other.
fn made(u: &mut Unstructured<'_>, damaged: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..u.int_in_range(1..=2u8).unwrap_or(1) {
        let mut body = String::new();
        match u.int_in_range(0..=4u8).unwrap_or(0) {
            0 => body.push_str(r#"{"validationCode":"abc"}"#),
            1 => json::value(u, 3, &mut body),
            _ => listings::list(u, &mut body),
        }
        let method = *u
            .choose(&["POST", "POST", "POST", "POST", "GET", "HEAD", "OPTIONS", "PUT", "post"])
            .unwrap_or(&"POST");
        let mut head = format!("{method} /m365?x=1 HTTP/1.1\r\nHost: x\r\n");
        for header in [
            "Webhook-AuthID: an-id-that-nobody-guesses\r\n",
            "Webhook-AuthID: an-id-that-nobody-guesse\r\n",
            "Webhook-ValidationCode: abc\r\n",
            "Connection: close\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Expect: 100-continue\r\n",
            "Content-Length: 99999999\r\n",
        ] {
            // The first is what most have.
            let usual = header.ends_with("guesses\r\n");
            if u.ratio(1, 8).unwrap_or(false) != usual {
                head.push_str(header);
            }
        }
        if u.ratio(7, 8).unwrap_or(true) {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        bytes.extend_from_slice(format!("{head}\r\n{body}").as_bytes());
    }
    if damaged {
        json::damage(u, &mut bytes);
    }
    bytes
}
