//! The Activities API on the wire: addresses and bodies out. Answers are read in `envelope`.

use serde_json::{Map, Value as Json, json};

use crate::access::Authorization;
use crate::activities::config::ActivitiesConfig;
use crate::activities::filter::Filters;
use crate::activities::id::{ActivityId, Feedback};
use crate::activities::walk::{Cursor, Point};
use crate::base::secret::Secret;
use crate::contract::request::{Method, Operation, Request};
use crate::json::to_text;

/// Records of a page: what Microsoft allows in each mode.
pub(crate) const LIMIT: u64 = 100;
const SCAN_LIMIT: u64 = 5_000;

/// The page of a search at `point`. `limit` is of normal mode, at most [`LIMIT`].
pub(crate) fn search(
    config: &ActivitiesConfig,
    filters: &Filters,
    limit: u64,
    point: &Point,
    who: &Authorization,
) -> Request {
    let own = || to_text(&part_filters(filters, point));
    let (mode, filters) = match &point.cursor {
        Cursor::Skip(skip) => (format!("\"skip\":{skip},\"limit\":{limit}"), own()),
        // As the service named them, to the letter: they are its own affair.
        Cursor::Scan(next) => {
            (format!("\"isScan\":true,\"limit\":{SCAN_LIMIT}"), next.clone().unwrap_or_else(own))
        }
    };
    let body =
        format!(r#"{{"sortField":"created","sortDirection":"asc",{mode},"filters":{filters}}}"#);
    request(config, Operation::ListActivities, Method::Post, "", Some(body), who)
}

/// One activity.
pub(crate) fn get(config: &ActivitiesConfig, id: &ActivityId, who: &Authorization) -> Request {
    let tail = format!("{}/", id.as_str());
    request(config, Operation::GetActivity, Method::Get, &tail, None, who)
}

/// A remark about an activity.
pub(crate) fn send_feedback(
    config: &ActivitiesConfig,
    id: &ActivityId,
    feedback: &Feedback,
    who: &Authorization,
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
    request(config, Operation::SendFeedback, Method::Post, &tail, Some(to_text(&body)), who)
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
            filters["created"] = Json::Object(Map::new());
        }
        filters["created"]["gte"] = start.into();
        filters["created"]["lt"] = end.into();
    }
    filters
}

fn request(
    config: &ActivitiesConfig,
    operation: Operation,
    method: Method,
    tail: &str,
    body: Option<String>,
    who: &Authorization,
) -> Request {
    let (bearer, headers) = match who {
        Authorization::Bearer(token) => (Some(token.clone()), Vec::new()),
        Authorization::Given(token) => {
            let value = Secret::new(format!("Token {}", token.expose()));
            (None, vec![("Authorization", value)])
        }
    };
    Request {
        operation,
        method,
        url: format!("{}/api/v1/activities/{tail}", config.url.as_str()),
        bearer,
        direct: false,
        content_type: body.is_some().then_some("application/json; charset=utf-8"),
        body: body.map(Secret::new),
        headers,
    }
}
