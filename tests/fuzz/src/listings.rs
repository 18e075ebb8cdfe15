//! Listings, subscriptions and notifications: what an entry says is what is understood, and nothing
//! that is somebody else's gets in.

use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::Unstructured;
use m365_audit_core::fuzzing::{descriptor, enabled_subscriptions};
use m365_audit_core::{Config, ContentType, Feed, RawOptions, Utc};

use crate::json::{self, Json};

pub(crate) const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";
const APP: &str = "5af4b3e9-0bd1-4f5b-8fd1-6a8a3a1c1d11";
const OTHER: &str = "00000000-0000-0000-0000-000000000001";
pub(crate) const API: &str = "https://manage.office.com";
const ID: &str =
    "20231016001037495037203$20231016005646231021586$audit_general$Audit_General$na0018";

const DAY: Duration = Duration::from_secs(86_400);

/// Reads the bytes as each of the three.
pub(crate) fn check(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(shape) = u.arbitrary::<u8>() else { return };
    let mut text = String::new();
    if shape & 4 == 0 {
        list(&mut u, &mut text);
    } else {
        text = String::from_utf8_lossy(u.peek_bytes(u.len()).unwrap_or(&[])).into_owned();
    }
    if shape & 8 == 0 {
        let mut bytes = text.into_bytes();
        json::damage(&mut u, &mut bytes);
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    let read = serde_json::from_str::<Json>(text.strip_prefix('\u{feff}').unwrap_or(&text));
    entries(&text);
    notification(&text, read.as_ref().ok());
    subscriptions(&text, read.as_ref().ok());
}

/// Each element of a listing, as the splitter hands it over: what has an id is read, with the
/// address that it says.
fn entries(text: &str) {
    let Ok(elements) = serde_json::from_str::<Vec<&serde_json::value::RawValue>>(text) else {
        return;
    };
    let end = Utc::from_millis(1_796_000_000_000);
    let window = (Utc::from_millis(1_795_900_000_000), end);
    for element in elements {
        let found = descriptor(element.get().as_bytes(), ContentType::AuditGeneral, window);
        let Ok(entry) = serde_json::from_str::<Json>(element.get()) else { continue };
        if has_twice(std::slice::from_ref(&entry)) {
            continue;
        }
        // Numbers that are written instead of a text are taken as one.
        let said = |name: &str| match entry.get(name) {
            Some(Json::Text(text)) => Some(text.trim().to_owned()),
            Some(Json::Unsigned(number)) => Some(number.to_string()),
            Some(Json::Signed(number)) => Some(number.to_string()),
            _ => None,
        };
        let odd = |name: &str| matches!(entry.get(name), Some(Json::Float(_)));
        if odd("contentId") || odd("contentUri") {
            continue;
        }
        match said("contentId").filter(|id| !id.is_empty()) {
            None => assert!(found.is_err(), "{}", element.get()),
            Some(id) => {
                let content = found.unwrap_or_else(|error| panic!("{error}: {}", element.get()));
                assert_eq!(*content.id, *id);
                assert_eq!(*content.uri, *said("contentUri").unwrap_or_default());
                assert!(content.created <= end + DAY && window.0 <= content.created + DAY);
            }
        }
    }
}

/// Every entry is counted, and what is let in is our tenant's, app's and feed's own.
fn notification(text: &str, read: Option<&Json>) {
    let notified = CONFIG.read_notification(text.as_bytes());
    let Some(Json::List(entries)) = read else {
        assert!(notified.is_err() || read.is_none(), "{text}");
        return;
    };
    let notified = notified.expect("a list is read");
    assert_eq!(notified.contents.len() as u64 + notified.others, entries.len() as u64);
    for content in &notified.contents {
        let ours = [ContentType::AuditGeneral, ContentType::DlpAll].map(Feed::Audit);
        assert!(ours.contains(&content.feed));
        let path = format!("{API}/api/v1.0/{TENANT}/activity/feed/audit/{}", content.id);
        let short = path.replacen("/v1.0/", "/v1/", 1);
        let same = |wanted: &str| content.uri.eq_ignore_ascii_case(wanted);
        assert!(same(&path) || same(&short), "{}", content.uri);
        // Somebody said all of that, and of us.
        let said = entries.iter().any(|entry| {
            let is = |name: &str, value: &str| {
                entry.get(name).and_then(Json::text).is_some_and(|t| t.eq_ignore_ascii_case(value))
            };
            is("tenantId", TENANT) && is("clientId", APP) && is("contentId", &content.id)
        });
        assert!(said || has_twice(entries), "{text}");
    }
}

/// Of two members of one name, readers may differ in which they take.
fn has_twice(entries: &[Json]) -> bool {
    entries.iter().any(|entry| {
        let Json::Object(members) = entry else { return false };
        members.iter().enumerate().any(|(at, (key, _))| members[..at].iter().any(|(k, _)| k == key))
    })
}

/// The feeds that are enabled, as somebody else reads them.
fn subscriptions(text: &str, read: Option<&Json>) {
    let found = enabled_subscriptions(text.as_bytes());
    let Some(Json::List(entries)) = read else {
        assert!(found.is_err() || read.is_none());
        return;
    };
    if has_twice(entries) {
        return;
    }
    let expected: Vec<_> = entries
        .iter()
        .filter(|entry| match entry.get("status").and_then(Json::text) {
            Some(status) => status.eq_ignore_ascii_case("enabled"),
            None => true,
        })
        .filter_map(|entry| ContentType::parse(entry.get("contentType")?.text()?))
        .collect();
    assert_eq!(found.expect("a list is read"), expected, "{text}");
}

pub(crate) fn list(u: &mut Unstructured<'_>, out: &mut String) {
    out.push('[');
    for index in 0..u.int_in_range(0..=3u8).unwrap_or(0) {
        if index > 0 {
            out.push(',');
        }
        out.push('{');
        let mut first = true;
        for name in [
            "tenantId",
            "clientId",
            "contentType",
            "contentId",
            "contentUri",
            "contentCreated",
            "contentExpiration",
            "status",
        ] {
            if u.ratio(1, 16).unwrap_or(false) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            json::quoted(u, name, out);
            out.push(':');
            member(u, name, out);
        }
        out.push('}');
    }
    out.push(']');
}

fn member(u: &mut Unstructured<'_>, name: &str, out: &mut String) {
    if u.ratio(1, 12).unwrap_or(false) {
        json::value(u, 4, out);
        return;
    }
    let own = format!("{API}/api/v1.0/{TENANT}/activity/feed/audit/{ID}");
    let foreign =
        format!("https://manage.office.com.evil/api/v1.0/{TENANT}/activity/feed/audit/{ID}");
    let other = format!("{API}/api/v1.0/{OTHER}/activity/feed/audit/{ID}");
    let short = format!("{API}/api/v1/{TENANT}/activity/feed/audit/{ID}");
    let dotted = format!("{API}/api/v1.0/{TENANT}/activity/feed/audit/../audit/{ID}");
    let values: &[&str] = match name {
        "tenantId" => &[TENANT, TENANT, TENANT, OTHER],
        "clientId" => &[APP, APP, APP, OTHER],
        "contentType" => {
            &["Audit.General", "audit.general", "DLP.All", "Audit.Exchange", "Audit.New"]
        }
        "contentId" => &[ID, ID, "1$2$dlp_all$DLP_All$na", "", "a b", "../x"],
        "contentUri" => &[&own, &own, &short, &foreign, &other, &dotted],
        "status" => &["enabled", "Enabled", "disabled", "expired"],
        _ => &[
            "2026-11-29T00:56:46.231Z",
            "2026-12-06T00:10:37.495Z",
            "2026-11-29T00:56:46",
            "+292278994-08-17T07:12:55.807Z",
            "0000-00-00T00:00:00Z",
            "yesterday",
        ],
    };
    let value = *u.choose(values).unwrap_or(&"");
    json::quoted(u, value, out);
}

pub(crate) static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let options: RawOptions = [
        ("tenant_id", TENANT),
        ("client_id", APP),
        ("client_secret", "s"),
        ("content_types", "Audit.General,DLP.All"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    Config::parse(&options).expect("the options are right")
});
