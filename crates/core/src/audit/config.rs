//! The settings of this source, and their reading. What the options are called and what they take
//! stands in the table of options.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::answers::WebhookRequest;
use crate::audit::webhook;
use crate::base::origin::Origin;
use crate::contract::feed::ContentType;
use crate::options::{Cloud, ConfigError, Reader};

/// What is about this source alone and may not be set without it.
pub(crate) const MANAGEMENT_OPTIONS: [&str; 2] = ["content_types", "exclude_content_types"];

/// What has to be known to collect from the Management Activity API.
#[derive(Clone, Debug)]
pub(crate) struct AuditConfig {
    pub tenant_id: Arc<str>,
    pub client_id: Box<str>,
    /// None if this source is not collected.
    pub content_types: Vec<ContentType>,
    /// Base address of the API.
    pub api: Origin,
    /// What tokens are asked for.
    pub resource: Box<str>,
    /// What is sent as `PublisherIdentifier`.
    pub publisher_id: Box<str>,
    pub interval: Duration,
    pub lookback: Duration,
    pub start_subscriptions: bool,
    pub requests_per_minute: u32,
    /// Whether records say more about themselves, beside what they hold.
    pub enrich: bool,
    /// The webhook that subscriptions are to have; `None`: webhooks are left alone.
    pub webhook: Option<WebhookRequest>,
}

impl AuditConfig {
    /// Reads the options of this source, whether it is collected or not. Mistakes stay in `reader`.
    /// `interval` is that of all sources.
    pub(crate) fn read(
        reader: &mut Reader<'_>,
        cloud: &Cloud,
        tenant_id: Arc<str>,
        client_id: Box<str>,
        interval: Duration,
        collected: bool,
    ) -> Self {
        let content_types = content_types(reader);
        let publisher_id = reader.guid("publisher_id", false);
        let start_subscriptions = reader.boolean("start_subscriptions");
        let requests = reader.number("requests_per_minute");
        Self {
            content_types: if collected { content_types } else { Vec::new() },
            api: reader.origin("api_url", cloud.api_url),
            resource: reader.optional("resource").unwrap_or_else(|| cloud.api_url.into()).into(),
            publisher_id: publisher_id.unwrap_or_else(|| tenant_id.to_string()).into(),
            interval,
            lookback: reader.duration("lookback"),
            start_subscriptions,
            requests_per_minute: u32::try_from(requests).unwrap_or(u32::MAX),
            enrich: reader.boolean("enrich"),
            webhook: webhook::read(reader, start_subscriptions),
            client_id,
            tenant_id,
        }
    }
}

/// The feeds to collect.
fn content_types(reader: &mut Reader<'_>) -> Vec<ContentType> {
    let mut types = content_type_list(reader, "content_types");
    let excluded = content_type_list(reader, "exclude_content_types");
    let before = types.len();
    types.retain(|content_type| !excluded.contains(content_type));
    if types.is_empty() && 0 < before {
        reader.report(ConfigError::new(
            "exclude_content_types",
            reader.optional("exclude_content_types").as_deref(),
            "nothing is left of content_types",
            "leave one out here, or add one there",
        ));
    }
    types
}

fn content_type_list(reader: &mut Reader<'_>, name: &str) -> Vec<ContentType> {
    let text = reader.text_or_default(name);
    let mut types = Vec::new();
    for word in reader.words(name, &text) {
        match ContentType::parse(word) {
            Some(content_type) if types.contains(&content_type) => {}
            Some(content_type) => types.push(content_type),
            None => reader.refuse(name, word),
        }
    }
    types
}
