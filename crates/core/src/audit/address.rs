//! Where content is asked for: at the address that Microsoft names, as long as it can be that of
//! this content on the configured origin, and else at the one that follows from base, tenant and
//! id. Wrong ones have been seen: of another host, of another tenant, with a path of their own.
//! The token goes to no other host.

use crate::audit::config::AuditConfig;
use crate::audit::wire;
use crate::base::key::{Key, KeySet};
use crate::contract::batch::ContentRef;
use crate::contract::feed::ContentType;

/// Ids have about 120 characters.
const ID_CHARS_MAX: usize = 1_024;

/// Queries of next pages have about 200 characters.
const QUERY_CHARS_MAX: usize = 4_096;

/// An address to ask at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// As Microsoft named it.
    Named(String),
    /// Ours: Microsoft named one that cannot be followed, or that has failed.
    Derived(String),
}

/// The address of `content` in a listing: that which it names, if it lies on the configured origin
/// and names tenant and id. `None`: there is none that may be asked.
pub(crate) fn of_entry(config: &AuditConfig, content: &ContentRef) -> Option<Address> {
    let derived = derived(config, &content.id);
    let owned = config.api.owns(&content.uri);
    if owned && (derived.is_none() || names(config, &content.uri, &content.id)) {
        return Some(Address::Named(content.uri.to_string()));
    }
    derived.map(Address::Derived)
}

/// The address at which a blob is asked for after so many failures. One that is not written as
/// Microsoft's reference has it takes turns with the one that is.
pub(crate) fn of_attempt(
    config: &AuditConfig,
    content: &ContentRef,
    failures: u32,
) -> Option<Address> {
    let address = of_entry(config, content)?;
    let usual = wire::is_blob_address(config, &content.uri, &content.id);
    match derived(config, &content.id) {
        Some(other) if !usual && !failures.is_multiple_of(2) => Some(Address::Derived(other)),
        Some(_) | None => Some(address),
    }
}

/// The address of the next page of a listing of `content_type`.
pub(crate) fn of_page(
    config: &AuditConfig,
    content_type: ContentType,
    named: &str,
) -> Option<Address> {
    if config.api.owns(named) {
        return Some(Address::Named(named.to_owned()));
    }
    let (start, query) = named.split_once('?')?;
    let rest = start.split_once("://").map_or(start, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    let legal = query.len() <= QUERY_CHARS_MAX
        && query.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\\\"<>".contains(&byte));
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = |wanted: &str, (name, value): (&str, &str)| {
        name.eq_ignore_ascii_case(wanted).then(|| value.to_owned())
    };
    let is_page = pairs.clone().any(|pair| value("nextPage", pair).is_some());
    let of_feed = pairs.find_map(|pair| value("contentType", pair));
    let of_feed = of_feed.and_then(|name| ContentType::parse(&name)) == Some(content_type);
    (legal && is_page && of_feed).then(|| Address::Derived(wire::page_address(config, path, query)))
}

/// Whether the path of `address` is of this tenant (for which Microsoft has written `common` too),
/// and ends with `id`, written one way or the other.
fn names(config: &AuditConfig, address: &str, id: &str) -> bool {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let (parents, last) = path.rsplit_once('/').unwrap_or_default();
    let ours = |part: &str| {
        part.eq_ignore_ascii_case(&config.tenant_id) || part.eq_ignore_ascii_case("common")
    };
    let named = last == id || last.replace("%24", "$") == id || last == encoded(id);
    named && parents.split('/').any(ours)
}

/// The address that follows from the id. `None` for an id that no path can end with.
fn derived(config: &AuditConfig, id: &str) -> Option<String> {
    let legal = !id.is_empty() && id.len() <= ID_CHARS_MAX && id.chars().any(|c| c != '.');
    legal.then(|| wire::blob_address(config, &encoded(id)))
}

/// The id as part of a path. What Microsoft's ids are made of stays as it is.
fn encoded(id: &str) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"$_-.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Addresses are cut to this many characters.
const SHOWN_CHARS_MAX: usize = 400;

/// An address as it is told: without its query, which may hold anything, and of bearable length.
pub(crate) fn shown(address: &str) -> String {
    address.split('?').next().unwrap_or_default().chars().take(SHOWN_CHARS_MAX).collect()
}

/// Origins elsewhere that are remembered, so that each is reported once.
const REFUSED_MAX: usize = 1_000;

/// What was told of one feed's addresses.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// Origins elsewhere that were named before.
    refused: KeySet,
    /// Whether it was told that Microsoft names wrong ones.
    derived_told: bool,
}

impl Addresses {
    /// Microsoft named a wrong one. Whether that is to be told.
    pub(super) const fn note_derived(&mut self) -> bool {
        !std::mem::replace(&mut self.derived_told, true)
    }

    /// One on this origin cannot be followed. Whether that is to be told.
    pub(super) fn refuse(&mut self, origin: &str) -> bool {
        let key = Key::of_content(&origin.to_ascii_lowercase());
        self.refused.len() < REFUSED_MAX && self.refused.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Utc;
    use crate::config::Config;
    use crate::contract::feed::Feed;
    use crate::options::RawOptions;

    const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";
    const ID: &str = "20231016001037495037203$20231016005646231021586$audit_general$\
                      Audit_General$na0018";

    fn config() -> AuditConfig {
        let raw: RawOptions =
            [("tenant_id", TENANT), ("client_id", TENANT), ("client_secret", "s")]
                .map(|(name, value)| (name.into(), value.into()))
                .into();
        Config::parse(&raw).unwrap().audit().clone()
    }

    fn usual(id: &str) -> String {
        format!("https://manage.office.com/api/v1.0/{TENANT}/activity/feed/audit/{id}")
    }

    /// The address of the first attempt and of the second.
    #[track_caller]
    fn check(id: &str, uri: &str, expected: [&str; 2]) {
        let content = ContentRef {
            feed: Feed::Audit(ContentType::AuditGeneral),
            id: id.into(),
            uri: uri.into(),
            created: Utc::default(),
            expiration: Utc::default(),
        };
        for (failures, expected) in (0..).zip(expected) {
            let address = of_attempt(&config(), &content, failures);
            let text = match &address {
                Some(Address::Named(text) | Address::Derived(text)) => text,
                None => "",
            };
            assert_eq!(text, expected, "{uri} after {failures}");
            let ours = matches!(address, Some(Address::Derived(_)));
            assert_eq!(ours, !expected.is_empty() && expected != uri, "{uri}");
        }
    }

    #[test]
    fn the_right_address_is_followed_as_it_is() {
        check(ID, &usual(ID), [&usual(ID), &usual(ID)]);
        let short = usual(ID).replace("v1.0", "v1");
        check(ID, &short, [&short, &short]);
    }

    #[test]
    fn a_wrong_one_gives_way_to_the_one_that_follows_from_the_id() {
        let elsewhere = usual(ID).replace("manage.office.com", "attacker.example");
        check(ID, &elsewhere, [&usual(ID), &usual(ID)]);
        check(ID, "", [&usual(ID), &usual(ID)]);
        // Another blob's would be read, and taken for this one.
        check(ID, &usual("20230000$1"), [&usual(ID), &usual(ID)]);
        let tenant = usual(ID).replace(TENANT, "5af4b3e9-0bd1-4f5b-8fd1-6a8a3a1c1d11");
        check(ID, &tenant, [&usual(ID), &usual(ID)]);
        // Perhaps the path is a new one, perhaps it is wrong.
        let common = usual(ID).replace(TENANT, "common");
        check(ID, &common, [&common, &usual(ID)]);
    }

    #[test]
    fn an_id_leaves_its_place_in_the_path_in_no_case() {
        check("../../x?y#z", "", [&usual("..%2F..%2Fx%3Fy%23z"); 2]);
        check("..", "", ["", ""]);
        check("", "", ["", ""]);
    }

    #[test]
    fn of_a_next_page_elsewhere_the_query_counts() {
        let page = |address: &str| of_page(&config(), ContentType::AuditGeneral, address);
        let query =
            "contenttype=Audit.General&endtime=2020-02-20T10:46:42.0000000Z&nextpage=1$2$na";
        let feed = format!("https://manage.office.com/api/v1.0/{TENANT}/activity/feed");
        assert_eq!(
            page(&format!("https://attacker.example/x?{query}")),
            Some(Address::Derived(format!("{feed}/subscriptions/content?{query}")))
        );
        let short = format!("{feed}/subscriptions/content?{query}").replace("v1.0", "v1");
        let elsewhere = short.replace("manage.office.com", "attacker.example");
        assert_eq!(page(&elsewhere), Some(Address::Derived(short)));
        let own = format!("{feed}/subscriptions/content?{query}");
        assert_eq!(page(&own), Some(Address::Named(own.clone())));
        for wrong in ["contenttype=Audit.General", "contenttype=DLP.All&nextpage=1", "nextpage=1"] {
            assert_eq!(page(&format!("https://attacker.example/x?{wrong}")), None, "{wrong}");
        }
    }
}
