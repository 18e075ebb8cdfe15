//! The Activities API on the wire: addresses and bodies out. Answers are read in `envelope`.

use serde_json::{Value as Json, json};

use super::config::PortalConfig;
use super::filter::Filters;
use super::walk::{Cursor, Point};
use crate::base::secret::Secret;
use crate::call::{ActivityId, Feedback};
use crate::contract::request::{Method, Operation, Request};

/// Records of a page: what Microsoft allows in each mode.
pub(crate) const LIMIT: u64 = 100;
const SCAN_LIMIT: u64 = 5_000;

/// How a request says who sends it.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// An access token of Entra ID.
    Bearer(Secret<String>),
    /// A token that the portal made.
    Portal(Secret<String>),
}

/// The page of a search at `point`. `limit` is of normal mode, at most [`LIMIT`].
pub(crate) fn search(
    portal: &PortalConfig,
    filters: &Filters,
    limit: u64,
    point: &Point,
    who: &Credential,
) -> Request {
    let own = || part_filters(filters, point).to_string();
    let (mode, filters) = match &point.cursor {
        Cursor::Skip(skip) => (format!("\"skip\":{skip},\"limit\":{limit}"), own()),
        // As the service named them, to the letter: they are its own affair.
        Cursor::Scan(next) => {
            (format!("\"isScan\":true,\"limit\":{SCAN_LIMIT}"), next.clone().unwrap_or_else(own))
        }
    };
    let body =
        format!(r#"{{"sortField":"created","sortDirection":"asc",{mode},"filters":{filters}}}"#);
    request(portal, Operation::ListActivities, Method::Post, "", Some(body), who)
}

/// One activity.
pub(crate) fn get(portal: &PortalConfig, id: &ActivityId, who: &Credential) -> Request {
    let tail = format!("{}/", id.as_str());
    request(portal, Operation::GetActivity, Method::Get, &tail, None, who)
}

/// A remark about an activity.
pub(crate) fn send_feedback(
    portal: &PortalConfig,
    id: &ActivityId,
    feedback: &Feedback,
    who: &Credential,
) -> Request {
    let mut body = json!({
        "feedbackValue": feedback.value,
        "feedbackText": feedback.text,
        "allowContact": feedback.contact_email.is_some(),
    });
    if let Some(email) = &feedback.contact_email {
        body["contactEmail"] = json!(email);
    }
    let tail = format!("{}/feedback", id.as_str());
    request(portal, Operation::SendFeedback, Method::Post, &tail, Some(body.to_string()), who)
}

/// The filters, confined to what is searched now. The interval is half-open, so that neighbours
/// touch. What the filters themselves say of `created` still holds.
fn part_filters(filters: &Filters, point: &Point) -> Json {
    let mut filters = filters.to_json();
    if let Some(part) = point.part() {
        let said = |name: &str| filters.get("created")?.get(name)?.as_i64();
        let start = said("gte").unwrap_or(i64::MIN).max(part.start.as_millis());
        let end = said("lt").unwrap_or(i64::MAX).min(part.end.as_millis());
        if !filters["created"].is_object() {
            filters["created"] = json!({});
        }
        filters["created"]["gte"] = json!(start);
        filters["created"]["lt"] = json!(end);
    }
    filters
}

fn request(
    portal: &PortalConfig,
    operation: Operation,
    method: Method,
    tail: &str,
    body: Option<String>,
    who: &Credential,
) -> Request {
    let (bearer, headers) = match who {
        Credential::Bearer(token) => (Some(token.clone()), Vec::new()),
        Credential::Portal(token) => {
            let value = Secret::new(format!("Token {}", token.expose()));
            (None, vec![("Authorization", value)])
        }
    };
    Request {
        operation,
        method,
        url: format!("{}/api/v1/activities/{tail}", portal.url.as_str()),
        bearer,
        direct: false,
        content_type: body.is_some().then_some("application/json; charset=utf-8"),
        body: body.map(Secret::new),
        headers,
    }
}
