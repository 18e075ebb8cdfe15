//! The Management Activity API on the wire: addresses out, descriptors in. Nothing else in the core
//! spells a URL or a field of Microsoft's JSON.

use crate::audit::answers::WebhookRequest;
use crate::audit::config::AuditConfig;
use crate::base::interval::Interval;
use crate::base::secret::Secret;
use crate::contract::feed::ContentType;
use crate::contract::request::{Method, Operation, Request};
use crate::json::to_text;

const PUBLISHER: &str = "PublisherIdentifier";

/// `GET /subscriptions/list`.
pub(crate) fn list_subscriptions(config: &AuditConfig, token: &Secret<String>) -> Request {
    let url = format!("{}/subscriptions/list?{PUBLISHER}={}", feed(config), config.publisher_id);
    get(Operation::ListSubscriptions, url, token)
}

/// `POST /subscriptions/start`. Without a webhook the body is empty: a subscription that has one
/// loses it, and so enabled ones are not started again.
pub(crate) fn start_subscription(
    config: &AuditConfig,
    content_type: ContentType,
    webhook: Option<&WebhookRequest>,
    token: &Secret<String>,
) -> Request {
    let url = format!(
        "{}/subscriptions/start?contentType={content_type}&{PUBLISHER}={}",
        feed(config),
        config.publisher_id
    );
    let body = webhook.map(|webhook| {
        let auth_id = webhook.auth_id.as_ref().map_or("", |auth_id| auth_id.expose());
        // Microsoft's own sample writes no expiration as an empty text.
        let expiration = webhook.expiration.as_deref().unwrap_or_default();
        let [address, auth_id, expiration] =
            [webhook.address.as_str(), auth_id, expiration].map(to_text);
        let webhook = format!("\"address\":{address},\"authId\":{auth_id}");
        format!("{{\"webhook\":{{{webhook},\"expiration\":{expiration}}}}}")
    });
    Request {
        method: Method::Post,
        // Empty, but there: the service's front answers 411 to a POST without a length.
        body: Some(Secret::new(body.unwrap_or_default())),
        content_type: Some("application/json; charset=utf-8"),
        ..get(Operation::StartSubscription, url, token)
    }
}

/// `POST /subscriptions/stop`.
pub(crate) fn stop_subscription(
    config: &AuditConfig,
    content_type: ContentType,
    token: &Secret<String>,
) -> Request {
    let url = format!(
        "{}/subscriptions/stop?contentType={content_type}&{PUBLISHER}={}",
        feed(config),
        config.publisher_id
    );
    Request {
        method: Method::Post,
        body: Some(Secret::new(String::new())),
        ..get(Operation::StopSubscription, url, token)
    }
}

/// The first page of the attempts to notify of a window's content.
pub(crate) fn list_notifications(
    config: &AuditConfig,
    content_type: ContentType,
    window: Interval,
    token: &Secret<String>,
) -> Request {
    let (start, end) = (window.start, window.end);
    let url = format!(
        "{}/subscriptions/notifications?contentType={content_type}&startTime={start}\
         &endTime={end}&{PUBLISHER}={}",
        feed(config),
        config.publisher_id
    );
    get(Operation::ListNotifications, url, token)
}

/// `GET /resources/dlpSensitiveTypes`.
pub(crate) fn list_dlp_types(
    config: &AuditConfig,
    language: Option<&str>,
    token: &Secret<String>,
) -> Request {
    let url =
        format!("{}/resources/dlpSensitiveTypes?{PUBLISHER}={}", feed(config), config.publisher_id);
    let language = language.map(|tag| ("Accept-Language", Secret::new(tag.to_owned())));
    Request { headers: language.into_iter().collect(), ..get(Operation::ListDlpTypes, url, token) }
}

/// The address of a blob of which only the id is known.
pub(crate) fn blob_address(config: &AuditConfig, content_id: &str) -> String {
    format!("{}/audit/{content_id}", feed(config))
}

/// The address of a page of a listing on the configured origin, of which the query is known. The
/// path stays if it is that of this tenant's listings.
pub(crate) fn page_address(config: &AuditConfig, path: &str, query: &str) -> String {
    let usual = format!("{}/subscriptions/content", feed(config));
    let own = format!("{}{path}", config.api.as_str());
    let start = if is_spelling_of(&own, &usual) { own } else { usual };
    format!("{start}?{query}")
}

/// Whether `address` is that of this blob of this tenant, on the configured origin.
pub(crate) fn is_blob_address(config: &AuditConfig, address: &str, content_id: &str) -> bool {
    let start = address.strip_suffix(content_id);
    start.is_some_and(|start| is_spelling_of(start, &blob_address(config, "")))
}

/// Whether `address` is `usual`, in any case. Microsoft writes the version in two ways.
fn is_spelling_of(address: &str, usual: &str) -> bool {
    let short = usual.replacen("/v1.0/", "/v1/", 1);
    address.eq_ignore_ascii_case(usual) || address.eq_ignore_ascii_case(&short)
}

/// The first page of a window.
pub(crate) fn list_content(
    config: &AuditConfig,
    content_type: ContentType,
    window: Interval,
    token: &Secret<String>,
) -> Request {
    let (start, end) = (window.start, window.end);
    let url = format!(
        "{}/subscriptions/content?contentType={content_type}&startTime={start}&endTime={end}\
         &{PUBLISHER}={}",
        feed(config),
        config.publisher_id
    );
    get(Operation::ListContent, url, token)
}

/// An address that Microsoft gave: followed verbatim, with the publisher added where Microsoft
/// leaves it out, since a request without one shares its quota with strangers.
pub(crate) fn follow(
    config: &AuditConfig,
    operation: Operation,
    address: &str,
    token: &Secret<String>,
) -> Request {
    let query = address.split_once('?').map(|(_, query)| query);
    let named = query.is_some_and(|query| {
        query.split('&').any(|pair| {
            pair.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case(PUBLISHER))
        })
    });
    let url = if named {
        address.to_owned()
    } else {
        let separator = if query.is_some() { '&' } else { '?' };
        format!("{address}{separator}{PUBLISHER}={}", config.publisher_id)
    };
    get(operation, url, token)
}

fn feed(config: &AuditConfig) -> String {
    format!("{}/api/v1.0/{}/activity/feed", config.api.as_str(), config.tenant_id)
}

fn get(operation: Operation, url: String, token: &Secret<String>) -> Request {
    Request {
        operation,
        method: Method::Get,
        url,
        bearer: Some(token.clone()),
        direct: false,
        body: None,
        content_type: None,
        headers: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Utc;
    use crate::config::Config;
    use crate::options::RawOptions;

    fn config() -> AuditConfig {
        let tenant = "41463f53-8812-40f4-890f-865bf6e35190";
        let raw: RawOptions =
            [("tenant_id", tenant), ("client_id", tenant), ("client_secret", "s")]
                .map(|(name, value)| (name.into(), value.into()))
                .into();
        Config::parse(&raw).unwrap().audit().clone()
    }

    #[track_caller]
    fn check_follow(address: &str, expected: &str) {
        let token = Secret::new(String::new());
        let request = follow(&config(), Operation::GetBlob, address, &token);
        let expected =
            expected.replace("PID", "PublisherIdentifier=41463f53-8812-40f4-890f-865bf6e35190");
        assert_eq!(request.url, expected);
    }

    #[test]
    fn addresses_are_followed_verbatim_and_the_publisher_added_once() {
        check_follow("https://h/a/x$y", "https://h/a/x$y?PID");
        check_follow(
            "https://h/c?nextpage=1$2&endtime=3",
            "https://h/c?nextpage=1$2&endtime=3&PID",
        );
        check_follow("https://h/c?publisheridentifier=z", "https://h/c?publisheridentifier=z");
    }

    #[test]
    fn a_window_is_written_in_milliseconds_of_utc() {
        let window = Interval::new(Utc::from_millis(0), Utc::from_millis(1)).unwrap();
        let token = Secret::new(String::new());
        let request = list_content(&config(), ContentType::DlpAll, window, &token);
        assert!(request.url.contains(
            "content?contentType=DLP.All&startTime=1970-01-01T00:00:00.000Z&endTime=1970-01-01T00:00:00.001Z&"
        ), "{}", request.url);
    }
}
