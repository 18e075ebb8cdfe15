//! Microsoft's JSON as types: what the answers of this API say. Decides nothing.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::audit::plan::RETENTION;
use crate::base::interval::Interval;
use crate::base::secret::Secret;
use crate::base::time::Utc;
use crate::contract::batch::ContentRef;
use crate::contract::feed::{ContentType, Feed};

/// A webhook as a start asks for it. Microsoft calls it once, before the start is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRequest {
    /// Where to; `https://`.
    pub address: String,
    /// Comes back with every call as `Webhook-AuthID`.
    pub auth_id: Option<Secret<String>>,
    /// After this moment nothing is sent any more. `None`: never.
    pub expiration: Option<String>,
}

/// Whether the list of subscriptions shows this webhook, in order, for this feed. `None`: the list
/// does not name the feed.
pub(crate) fn has_webhook(
    body: &[u8],
    content_type: ContentType,
    wanted: &WebhookRequest,
) -> Option<bool> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let elements: Vec<serde_json::Value> = serde_json::from_slice(body).ok()?;
    let text = |value: &serde_json::Value, name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let named = |element: &&serde_json::Value| {
        let name = text(element, "contentType");
        name.as_deref().and_then(ContentType::parse) == Some(content_type)
    };
    let webhook = elements.iter().find(named)?.get("webhook").unwrap_or(&serde_json::Value::Null);
    let auth_id = wanted.auth_id.as_ref().map(|auth_id| auth_id.expose().clone());
    let enabled =
        text(webhook, "status").is_none_or(|status| status.eq_ignore_ascii_case("enabled"));
    // An address that comes back with another slash at its end is the same.
    let same = text(webhook, "address").is_some_and(|address| {
        let bare = |address: &str| address.trim_end_matches('/').to_ascii_lowercase();
        bare(&address) == bare(&wanted.address)
    });
    Some(enabled && same && text(webhook, "authId") == auth_id)
}

/// The webhook that the list of subscriptions shows for this feed, as a start would ask for it.
/// `None` as well for one that has expired: it cannot be asked for again as it is.
pub(crate) fn live_webhook(
    body: &[u8],
    content_type: ContentType,
    now: Utc,
) -> Option<WebhookRequest> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // One entry that cannot be read must not hide the others.
    let elements: Vec<serde_json::Value> = serde_json::from_slice(body).ok()?;
    let named = |element: &&Value| {
        let name = element.get("contentType").and_then(Value::as_str);
        name.and_then(ContentType::parse) == Some(content_type)
    };
    let webhook = elements.iter().find(named)?.get("webhook")?;
    // Of one that says something else than text nothing is believed.
    let text = |name: &str| match webhook.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(&**text).filter(|text| !text.trim().is_empty())),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => None,
    };
    let (address, auth_id) = (text("address")??, text("authId")?);
    let (status, expiration) = (text("status")?, text("expiration")?);
    let expired = status.is_some_and(|status| status.eq_ignore_ascii_case("expired"))
        || expiration.and_then(Utc::parse).is_some_and(|end| end <= now);
    (!expired).then(|| WebhookRequest {
        address: address.to_owned(),
        auth_id: auth_id.map(|auth_id| Secret::new(auth_id.to_owned())),
        expiration: expiration.map(ToOwned::to_owned),
    })
}

/// Times of a listing's entry that lie further from its window are none: content has been seen to
/// be listed just before its window.
const CREATED_BESIDE_MAX: Duration = Duration::from_secs(86_400);

/// Reads one entry of a listing of `content_type`; says what is wrong with it otherwise. Only the
/// id is indispensable. Without an address that can be read it has none; without a time it is taken
/// to be from the end of the window, and to live as long as Microsoft's documentation says.
pub(crate) fn descriptor(
    json: &[u8],
    content_type: ContentType,
    window: Interval,
) -> Result<ContentRef, String> {
    // What is no JSON as a whole may have an id all the same.
    let (entry, error) = match serde_json::from_slice::<Value>(json) {
        Ok(entry) => (entry, None),
        Err(error) => (found_members(json), Some(error.to_string())),
    };
    let text = |name: &str| match entry.get(name)? {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let moment = |name: &str| text(name).and_then(|text| Utc::parse(&text));
    let id = text("contentId").filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| error.unwrap_or_else(|| "no contentId".into()))?;
    let near = window.start - CREATED_BESIDE_MAX..window.end + CREATED_BESIDE_MAX;
    let created = moment("contentCreated").filter(|at| near.contains(at));
    let within = |at: &Utc| window.start <= *at && *at < window.end;
    let created = created.or_else(|| created_by(&id).filter(within)).unwrap_or(window.end);
    let expiration = moment("contentExpiration").filter(|at| created - CREATED_BESIDE_MAX < *at);
    Ok(ContentRef {
        feed: Feed::Audit(content_type),
        created,
        expiration: expiration.unwrap_or(created + RETENTION.kept),
        id: id.into(),
        uri: text("contentUri").unwrap_or_default().into(),
    })
}

/// When a content was created by its id, whose second part has been seen to be that moment, to the
/// millisecond and beyond: `YYYYMMDDhhmmssfff…`.
fn created_by(id: &str) -> Option<Utc> {
    let stamp = id
        .split('$')
        .nth(1)?
        .get(..17)
        .filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
    let [year, month, day] = [&stamp[..4], &stamp[4..6], &stamp[6..8]];
    let [hour, minute, second] = [&stamp[8..10], &stamp[10..12], &stamp[12..14]];
    let fraction = &stamp[14..];
    Utc::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction}Z"))
}

/// The id and the address in an entry that cannot be read as a whole.
fn found_members(json: &[u8]) -> Value {
    let json = String::from_utf8_lossy(json);
    let member = |name: &str| {
        let (_, rest) = json.split_once(&format!("\"{name}\""))?;
        let rest = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
        let (text, _) = rest.split_once('"')?;
        let plain = !text.contains(['\\', '\u{fffd}']);
        plain.then(|| (name.to_owned(), Value::from(text)))
    };
    let mut found = serde_json::Map::new();
    for (name, text) in ["contentId", "contentUri"].into_iter().filter_map(member) {
        found.insert(name, text);
    }
    found.into()
}

/// Whether the answer to a start is a subscription that is not disabled.
pub(crate) fn is_enabled(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body).is_ok_and(|element| enabled(&element).is_some())
}

/// The feed of a subscription, if it is enabled.
fn enabled(subscription: &serde_json::Value) -> Option<ContentType> {
    let content_type = ContentType::parse(subscription.get("contentType")?.as_str()?)?;
    // Microsoft's own sample leaves the status out.
    let status = subscription.get("status").and_then(serde_json::Value::as_str);
    status.is_none_or(|status| status.eq_ignore_ascii_case("enabled")).then_some(content_type)
}

/// Reads the list of subscriptions: the feeds that are enabled.
pub(crate) fn enabled_subscriptions(body: &[u8]) -> Result<Vec<ContentType>, String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let elements: Vec<serde_json::Value> =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    // One by one: an element that makes no sense says nothing about the others.
    Ok(elements.iter().filter_map(enabled).collect())
}

/// A subscription of this application to a feed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The feed, in Microsoft's spelling.
    pub content_type: String,
    /// `enabled` or `disabled`. Microsoft's own sample leaves it out.
    #[serde(default)]
    pub status: Option<String>,
    /// The webhook, if it has one that was validated.
    #[serde(default)]
    pub webhook: Option<Webhook>,
}

impl Subscription {
    /// Whether content can be listed.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.status.as_deref().is_none_or(|status| status.eq_ignore_ascii_case("enabled"))
    }
}

/// The webhook of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// `enabled`; `disabled` after failures; `expired`.
    #[serde(default)]
    pub status: Option<String>,
    /// Where notifications go.
    #[serde(default)]
    pub address: Option<String>,
    /// What they bring along as `Webhook-AuthID`. Secret: whoever knows it can forge them.
    #[serde(default, deserialize_with = "secret")]
    pub auth_id: Option<Secret<String>>,
    /// When they end; never, if absent.
    #[serde(default)]
    pub expiration: Option<String>,
}

fn secret<'de, D>(deserializer: D) -> Result<Option<Secret<String>>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()).map(Secret::new))
}

/// One entry of a listing: a blob.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// The feed.
    #[serde(default, deserialize_with = "any_text")]
    pub content_type: Option<String>,
    /// Its opaque id.
    #[serde(deserialize_with = "id")]
    pub content_id: String,
    /// Where it is read; empty if the entry does not say.
    #[serde(default, deserialize_with = "any_address")]
    pub content_uri: String,
    /// When it was made available.
    #[serde(default, deserialize_with = "any_text")]
    pub content_created: Option<String>,
    /// Until when it can be read.
    #[serde(default, deserialize_with = "any_text")]
    pub content_expiration: Option<String>,
}

/// Text or a number. What is neither is no reason to hide the rest of an entry.
fn any_text<'de, D>(deserializer: D) -> Result<Option<String>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => None,
    })
}

fn any_address<'de, D>(deserializer: D) -> Result<String, D::Error>
where
    D: serde::Deserializer<'de>,
{
    any_text(deserializer).map(Option::unwrap_or_default)
}

fn id<'de, D>(deserializer: D) -> Result<String, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let text = any_text(deserializer)?.filter(|id| !id.is_empty());
    text.ok_or_else(|| serde::de::Error::custom("no contentId"))
}

/// One attempt to tell a webhook of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The blob.
    #[serde(flatten)]
    pub content: Content,
    /// When it was tried.
    #[serde(default)]
    pub notification_sent: Option<String>,
    /// How it went: `success` in the documentation, `Succeeded` and others on the wire.
    #[serde(default)]
    pub notification_status: Option<String>,
}

/// A kind of sensitive information, as DLP records name it by id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DlpType {
    /// The GUID in records.
    pub id: String,
    /// Its name, in the language that was asked for.
    #[serde(default)]
    pub name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_read_in_any_case() {
        let body = br#"[{"contentType":"audit.general","status":"ENABLED","webhook":null},
            {"contentType":"Audit.Exchange","status":"disabled"},{"contentType":"DLP.All"},
            {"contentType":"Audit.Unheard"},{"contentType":null},7]"#;
        assert_eq!(
            enabled_subscriptions(body),
            Ok(vec![ContentType::AuditGeneral, ContentType::DlpAll])
        );
        assert!(enabled_subscriptions(br#"{"error":{}}"#).is_err());
    }

    #[test]
    fn a_webhook_that_lives_is_shown_as_a_start_asks_for_it() {
        let now = Utc::parse("2026-11-22T12:00:00Z").unwrap();
        let check = |webhook: &str| {
            let list = format!(
                "\u{feff}[7,{{\"contentType\":\"audit.general\",\"status\":\"disabled\"{webhook}}}]"
            );
            let shown = live_webhook(list.as_bytes(), ContentType::AuditGeneral, now);
            assert_eq!(live_webhook(list.as_bytes(), ContentType::DlpAll, now), None);
            shown.map(|shown| {
                let auth_id = shown.auth_id.map(|auth_id| auth_id.expose().clone());
                (shown.address, auth_id, shown.expiration)
            })
        };
        let address = || "https://hook.example/".to_owned();
        let end = || Some("2026-11-23T00:00:00.000Z".to_owned());
        let webhook = |rest: &str| format!(",\"webhook\":{{\"address\":\"{}\"{rest}}}", address());
        // One that Microsoft has disabled after failures comes back enabled.
        assert_eq!(
            check(&webhook(
                r#","authId":"an id","status":"disabled","expiration":"2026-11-23T00:00:00.000Z""#
            )),
            Some((address(), Some("an id".into()), end()))
        );
        let none = webhook(r#","authId":null,"expiration":"","status":"enabled""#);
        assert_eq!(check(&none), Some((address(), None, None)));
        assert_eq!(check(&webhook("")), Some((address(), None, None)));
        assert_eq!(check(&webhook(r#","status":"Expired""#)), None);
        assert_eq!(check(&webhook(r#","expiration":"2026-11-22T12:00:00.000Z""#)), None);
        assert_eq!(check(r#","webhook":null"#), None);
        assert_eq!(check(r#","webhook":{}"#), None);
        assert_eq!(check(""), None);
    }

    #[test]
    fn a_webhook_is_there_if_it_is_enabled_and_as_it_was_asked_for() {
        let wanted = WebhookRequest {
            address: "https://audit.example/M365".into(),
            auth_id: Some(Secret::new("an id".into())),
            expiration: None,
        };
        let check = |webhook: &str, expected| {
            let list = format!("[{{\"contentType\":\"Audit.General\"{webhook}}}]");
            let found = has_webhook(list.as_bytes(), ContentType::AuditGeneral, &wanted);
            assert_eq!(found, expected, "{webhook}");
            assert_eq!(has_webhook(list.as_bytes(), ContentType::DlpAll, &wanted), None);
        };
        let webhook = |status: &str, address: &str, auth_id: &str| {
            format!(
                ",\"webhook\":{{\"status\":\"{status}\",\"address\":\"{address}\",\
                 \"authId\":{auth_id}}}"
            )
        };
        check(&webhook("Enabled", "https://audit.example/m365/", "\"an id\""), Some(true));
        check(&webhook("disabled", "https://audit.example/m365", "\"an id\""), Some(false));
        check(&webhook("enabled", "https://other.example/m365", "\"an id\""), Some(false));
        check(&webhook("enabled", "https://audit.example/m365", "\"another\""), Some(false));
        check(&webhook("enabled", "https://audit.example/m365", "null"), Some(false));
        check(",\"webhook\":null", Some(false));
        check("", Some(false));
    }

    #[track_caller]
    fn check_entry(json: &str, id: &str, uri: &str, created: i64, lives: Duration) {
        let window = Interval::new(Utc::from_millis(0), Utc::from_millis(5)).unwrap();
        let content = descriptor(json.as_bytes(), ContentType::DlpAll, window).unwrap();
        assert_eq!((&*content.id, &*content.uri), (id, uri), "{json}");
        assert_eq!(content.created, Utc::from_millis(created), "{json}");
        assert_eq!(content.expiration, content.created + lives, "{json}");
    }

    #[test]
    fn an_entry_with_an_id_is_read_whatever_else_is_odd() {
        let day = Duration::from_secs(86_400);
        check_entry(
            r#"{"contentUri":"y","contentId":"x","contentType":"DLP.All","contentCreated":"1970-01-01T00:00:00.002Z","contentExpiration":"1970-01-15T00:00:00.002Z"}"#,
            "x",
            "y",
            2,
            14 * day,
        );
        // Each member of another type, or with a value that makes no sense.
        for odd in [
            r#""contentUri":"y","contentCreated":null,"contentExpiration":"?""#,
            r#""contentUri":"y","contentCreated":1697417806231,"contentExpiration":{"at":1}"#,
            r#""contentUri":"y","contentCreated":[],"contentExpiration":true,"contentType":7"#,
            r#""contentUri":"y","contentCreated":"9999-12-31T00:00:00Z""#,
            r#""contentUri":"y","contentExpiration":"0001-01-01T00:00:00Z""#,
            r#""contentUri":"z","contentUri":"y""#,
            // No JSON.
            r#""contentUri" : "y","contentCreated":NaN"#,
        ] {
            check_entry(&format!("{{\"contentId\":\"x\",{odd}}}"), "x", "y", 5, RETENTION.kept);
        }
        check_entry(r#"{"contentId":"x"}"#, "x", "", 5, RETENTION.kept);
        check_entry(r#"{"contentId":"x","contentUri":{}}"#, "x", "", 5, RETENTION.kept);
        check_entry(r#"{"contentId":20231016001037}"#, "20231016001037", "", 5, RETENTION.kept);
    }

    #[test]
    fn what_an_entry_does_not_say_of_its_time_its_id_says() {
        for (stamp, created) in [
            ("19700101000000003123456", 3),
            // Outside the window that was listed, and no moments at all.
            ("19700101000000005000000", 5),
            ("19701301000000003000000", 5),
            ("1970010100000000x000000", 5),
            ("197001", 5),
        ] {
            let id = format!("19691231235959999000000${stamp}$dlp_all$DLP_All$na0043");
            let json = format!("{{\"contentId\":\"{id}\",\"contentCreated\":7}}");
            check_entry(&json, &id, "", created, RETENTION.kept);
        }
    }

    #[test]
    fn an_entry_without_an_id_is_refused() {
        let window = Interval::new(Utc::from_millis(0), Utc::from_millis(5)).unwrap();
        for none in [r#"{"contentUri":"y"}"#, r#"{"contentId":""}"#, r#"{"contentId":null}"#, "7"] {
            assert!(descriptor(none.as_bytes(), ContentType::DlpAll, window).is_err(), "{none}");
        }
    }
}
