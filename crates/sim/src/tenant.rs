//! A tenant: its feeds, its subscriptions, and what it has used of its quota.

use std::collections::HashMap;
use std::sync::Arc;

use crate::blob::Blob;
use crate::config::TenantConfig;
use crate::content_type::ContentType;
use crate::guid::Guid;
use crate::portal::Portal;
use crate::publish::{Feed, Press};
use crate::records::Recipe;
use crate::report::SlidingMinute;
use crate::subscriptions::{State, Subscription};
use crate::webhooks::Webhook;

/// The state of a tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) id: Guid,
    pub(crate) auditing: bool,
    pub(crate) licensed: bool,
    pub(crate) recipe: Arc<Recipe>,
    pub(crate) feeds: Vec<Feed>,
    pub(crate) subscriptions: HashMap<(Guid, ContentType), Subscription>,
    pub(crate) requests: SlidingMinute,
    pub(crate) quota: HashMap<Guid, SlidingMinute>,
    pub(crate) portal: Portal,
    notified_ms: i64,
}

impl Tenant {
    pub(crate) fn new(config: &TenantConfig, now_ms: i64, press: &mut Press<'_>) -> Self {
        let recipe = Recipe::new(press.config, config.id, &config.domain);
        let seed = recipe.seed;
        let mut feeds: Vec<Feed> =
            ContentType::ALL.map(|ct| Feed::new(ct, seed, now_ms, press)).into();
        if let (Some(bytes), Some(first)) =
            (press.config.blob_bytes, press.config.content_types.first())
        {
            feeds[first.index()].publish_big(bytes, now_ms, press);
        }
        let mut subscriptions = HashMap::new();
        if press.config.subscribed {
            let apps = config.apps.iter().map(|app| app.client_id);
            for app in apps.chain(config.identities.iter().map(|identity| identity.client_id)) {
                for content_type in ContentType::ALL {
                    let mut subscription = Subscription::ancient();
                    subscription.webhook = Webhook::configured(press.config, now_ms);
                    subscriptions.insert((app, content_type), subscription);
                }
            }
        }
        let portal = Portal::new(config, now_ms, press.config, press.faults);
        Self {
            id: config.id,
            auditing: config.auditing,
            licensed: config.licensed,
            recipe: Arc::new(recipe),
            feeds,
            subscriptions,
            requests: SlidingMinute::default(),
            quota: HashMap::new(),
            portal,
            notified_ms: now_ms,
        }
    }

    pub(crate) fn advance(&mut self, now_ms: i64, press: &mut Press<'_>) {
        for at in 0..press.config.content_types.len() {
            let content_type = press.config.content_types[at];
            self.feeds[content_type.index()].advance(now_ms, press);
        }
        self.portal.advance(now_ms, press.config, press.faults);
        let since_ms = std::mem::replace(&mut self.notified_ms, now_ms);
        if since_ms < now_ms && self.subscriptions.values().any(|known| known.webhook.is_some()) {
            let fresh = |blob: &&Blob| blob.available_ms > since_ms && blob.available_ms <= now_ms;
            let blobs: Vec<Blob> =
                self.feeds.iter().flat_map(|f| f.blobs().iter().filter(fresh)).cloned().collect();
            self.notify(&blobs, now_ms);
        }
    }

    pub(crate) fn notify(&mut self, blobs: &[Blob], now_ms: i64) {
        for ((_, content_type), subscription) in &mut self.subscriptions {
            if subscription.state != State::Enabled {
                continue;
            }
            if let Some(webhook) = &mut subscription.webhook {
                for blob in blobs.iter().filter(|blob| blob.content_type == *content_type) {
                    webhook.enqueue(blob, self.id, now_ms);
                }
            }
        }
    }
}
