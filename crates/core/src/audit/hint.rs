//! Hints: contents that a notification names. Read and checked here; what becomes of them is the
//! lane's business.
//!
//! Anybody may have written a notification. So a hint can make content arrive sooner and nothing
//! else: its address has to be the one at which this tenant's content of that id and feed lies, and
//! what cannot be read at it is forgotten again. Polling finds everything without hints; they take
//! a small part of the requests, behind fresh content, in the order in which they came.
//!
//! A hint never stands in for a listing. Notified content has an id of its own (the region stands
//! there twice), and nobody has promised that it is the same blob: it is read under its id, and
//! again under the one that is listed; records are delivered once by theirs.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

use crate::audit::config::AuditConfig;
use crate::audit::wire;
use crate::base::flat_map::FlatMap;
use crate::base::key::Key;
use crate::base::time::Utc;
use crate::contract::batch::ContentRef;
use crate::contract::feed::{ContentType, Feed};

/// Entries of one notification that are looked at; Microsoft sends one or a few.
pub const NOTIFIED_MAX: usize = 1_000;

/// Ids have about 120 characters.
const ID_CHARS_MAX: usize = 1_024;

/// Content that is older cannot be read any more, and what was not listed for so long is for
/// polling to find.
const AGE_MAX: Duration = Duration::from_secs(8 * 24 * 3_600);

/// How far in the future a hint may say that content was created: clocks differ a little.
const AHEAD_MAX: Duration = Duration::from_secs(600);

/// Content has been seen to live for 21 days.
const LIFE_MAX: Duration = Duration::from_secs(31 * 24 * 3_600);

/// What a notification says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notified {
    /// Contents of this tenant, app and of feeds that are collected.
    pub contents: Vec<ContentRef>,
    /// Entries that are none: of somebody else, of another feed, or not to be read.
    pub others: u64,
}

/// One entry of a notification.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    tenant_id: &'a str,
    client_id: &'a str,
    content_type: &'a str,
    content_id: &'a str,
    content_uri: &'a str,
    content_created: &'a str,
    content_expiration: &'a str,
}

impl AuditConfig {
    /// Reads the body of a notification, as Microsoft sends it to a webhook.
    ///
    /// # Errors
    /// What is wrong with it, if it is no list. Entries that are not for this collector are
    /// counted.
    pub(crate) fn read_notification(&self, body: &[u8]) -> Result<Notified, &'static str> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let entries: Vec<serde_json::Value> =
            serde_json::from_slice(body).map_err(|_| "not a JSON list")?;
        let mut notified = Notified::default();
        for (index, entry) in entries.iter().enumerate() {
            match self.read_entry(entry).filter(|_| index < NOTIFIED_MAX) {
                Some(content) => notified.contents.push(content),
                None => notified.others += 1,
            }
        }
        Ok(notified)
    }

    fn read_entry(&self, entry: &serde_json::Value) -> Option<ContentRef> {
        let entry = Entry::deserialize(entry).ok()?;
        let ours = entry.tenant_id.eq_ignore_ascii_case(&self.tenant_id)
            && entry.client_id.eq_ignore_ascii_case(&self.client_id);
        let content_type = ContentType::parse(entry.content_type)?;
        let content = ContentRef {
            feed: Feed::Audit(content_type),
            id: entry.content_id.into(),
            uri: entry.content_uri.into(),
            created: Utc::parse(entry.content_created)?,
            expiration: Utc::parse(entry.content_expiration)?,
        };
        let wanted = self.content_types.contains(&content_type);
        (ours && wanted && is_own(self, &content)).then_some(content)
    }
}

/// Of all requests, one in so many may be for what only hints name.
pub(crate) const BUDGET_PART: u32 = 12;

/// Contents of one lane that only hints name: further hints are ignored.
const HINTED_MAX: usize = 1_000;

/// What only hints name, of one lane: how much there is, and what of it waits to be read.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    known: usize,
    ready: FlatMap<u64, Key>,
    places: HashMap<Key, u64>,
    next: u64,
}

impl Hints {
    /// Contents that only hints name.
    pub(crate) const fn known(&self) -> usize {
        self.known
    }

    pub(crate) const fn has_room(&self) -> bool {
        self.known < HINTED_MAX
    }

    /// A hint names something new.
    pub(crate) fn add(&mut self, key: Key) {
        self.known += 1;
        self.push(key);
    }

    /// What a hint named is forgotten, or known otherwise by now.
    pub(crate) fn remove(&mut self, key: Key) {
        self.known -= 1;
        self.take(key);
    }

    /// It can be read, after all that can be now.
    pub(crate) fn push(&mut self, key: Key) {
        self.places.insert(key, self.next);
        self.ready.insert(self.next, key);
        self.next += 1;
    }

    /// It does not wait to be read any more.
    pub(crate) fn take(&mut self, key: Key) {
        if let Some(place) = self.places.remove(&key) {
            self.ready.remove(&place);
        }
    }

    /// What has waited longest.
    pub(crate) fn first(&self) -> Option<Key> {
        self.ready.first().map(|(_, key)| *key)
    }
}

/// Whether the address is exactly the one at which this tenant's content of that id lies, and the
/// id is one of that feed.
pub(crate) fn is_own(config: &AuditConfig, content: &ContentRef) -> bool {
    let id = &*content.id;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '$' | '_' | '-' | '.');
    let named = |part: &str| ContentType::parse(&part.replace('_', ".")).map(Feed::Audit);
    // All that is known of ids is that they name their feed; one that does not is left to polling.
    let of_feed = id.split('$').find_map(named) == Some(content.feed);
    id.len() <= ID_CHARS_MAX
        && id.chars().all(legal)
        && of_feed
        && config.api.owns(&content.uri)
        && wire::is_blob_address(config, &content.uri, id)
}

/// Whether the times of `content` make sense at `now`.
pub(crate) fn is_timely(content: &ContentRef, now: Utc) -> bool {
    let created = now - AGE_MAX <= content.created && content.created <= now + AHEAD_MAX;
    let expires = now < content.expiration && content.expiration <= content.created + LIFE_MAX;
    created && expires
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::options::RawOptions;

    const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";
    const APP: &str = "5af4b3e9-0bd1-4f5b-8fd1-6a8a3a1c1d11";
    const ID: &str = "20231016001037495037203$20231016005646231021586$audit_general$\
                      Audit_General$na0018$na0018";

    fn config() -> Config {
        let raw: RawOptions = [
            ("tenant_id", TENANT),
            ("client_id", APP),
            ("client_secret", "s"),
            ("content_types", "Audit.General"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        Config::parse(&raw).unwrap()
    }

    fn notification(tenant: &str, app: &str, feed: &str, id: &str, uri: &str) -> String {
        format!(
            "{{\"clientId\":\"{app}\",\"contentCreated\":\"2023-10-16T00:56:46.231Z\",\
             \"contentExpiration\":\"2023-10-23T00:10:37.495Z\",\"contentId\":\"{id}\",\
             \"contentType\":\"{feed}\",\"contentUri\":\"{uri}\",\"tenantId\":\"{tenant}\"}}"
        )
    }

    fn uri(id: &str) -> String {
        format!("https://manage.office.com/api/v1.0/{TENANT}/activity/feed/audit/{id}")
    }

    #[track_caller]
    fn check(entry: &str, taken: bool) {
        let notified = config().read_notification(format!("[{entry}]").as_bytes()).unwrap();
        assert_eq!((notified.contents.len(), notified.others), (taken.into(), (!taken).into()));
    }

    #[test]
    fn contents_of_this_tenant_app_and_feed_are_taken() {
        check(&notification(TENANT, APP, "Audit.General", ID, &uri(ID)), true);
        let shouted = TENANT.to_uppercase();
        let address = uri(ID).replace(TENANT, &shouted).replace("/v1.0/", "/v1/");
        check(&notification(&shouted, APP, "audit.general", ID, &address), true);
    }

    #[test]
    fn nothing_of_another_tenant_feed_or_origin_is_taken() {
        const OTHER: &str = "00000000-0000-0000-0000-000000000001";
        let sharepoint = ID.replace("general", "sharepoint").replace("General", "SharePoint");
        let general = "Audit.General";
        check(&notification(OTHER, APP, general, ID, &uri(ID)), false);
        check(&notification(TENANT, OTHER, general, ID, &uri(ID)), false);
        check(&notification(TENANT, APP, general, ID, &uri(ID).replace(TENANT, OTHER)), false);
        check(
            &notification(TENANT, APP, "Audit.SharePoint", &sharepoint, &uri(&sharepoint)),
            false,
        );
        check(&notification(TENANT, APP, general, &sharepoint, &uri(&sharepoint)), false);
        check(&notification(TENANT, APP, general, ID, &uri("other")), false);
        check(&notification(TENANT, APP, general, "x$y", &uri("x$y")), false);
        for address in [
            uri(ID).replace("manage.office.com", "manage.office.com.attacker.example"),
            uri(ID).replace("https://", "http://"),
            format!("{}?x=y", uri(ID)),
            format!("{}#x", uri(ID)),
            uri(ID).replace("/audit/", "/audit/../../subscriptions/list/"),
            uri(ID).replace("/audit/", "/audit//"),
        ] {
            check(&notification(TENANT, APP, general, ID, &address), false);
        }
        check("{\"tenantId\":7}", false);
        check("null", false);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for body in [&b""[..], b"{}", b"[{]", b"\xff", b"null"] {
            assert!(config().read_notification(body).is_err());
        }
        assert_eq!(config().read_notification(b" []"), Ok(Notified::default()));
        let many = vec![notification(TENANT, APP, "Audit.General", ID, &uri(ID)); 1_001].join(",");
        let notified = config().read_notification(format!("[{many}]").as_bytes()).unwrap();
        assert_eq!((notified.contents.len(), notified.others), (NOTIFIED_MAX, 1));
    }

    #[test]
    fn times_have_to_make_sense() {
        let now = Utc::parse("2026-03-08T00:00:00Z").unwrap();
        let check = |created: &str, expiration: &str, timely| {
            let content = ContentRef {
                feed: Feed::Audit(ContentType::AuditGeneral),
                id: ID.into(),
                uri: uri(ID).into(),
                created: Utc::parse(created).unwrap(),
                expiration: Utc::parse(expiration).unwrap(),
            };
            assert_eq!(is_timely(&content, now), timely, "{created} {expiration}");
        };
        check("2026-03-07T23:00:00Z", "2026-03-14T23:00:00Z", true);
        check("2026-03-08T00:05:00Z", "2026-03-29T00:00:00Z", true);
        check("2026-03-08T00:20:00Z", "2026-03-14T23:00:00Z", false);
        check("2026-02-20T00:00:00Z", "2026-03-14T23:00:00Z", false);
        check("2026-03-07T23:00:00Z", "2026-03-07T23:30:00Z", false);
        check("2026-03-07T23:00:00Z", "2027-03-07T23:00:00Z", false);
    }
}
