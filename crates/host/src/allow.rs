//! Which origins a guest may reach: those of its configuration, and nothing else.

use std::collections::BTreeSet;
use std::sync::Mutex;

use m365_audit_core::{Level, Origin};
use m365_audit_sinks::Logger;

/// Denied origins that are told as ERROR, each once; further ones only as DEBUG.
const DENIED_TOLD_MAX: usize = 16;

/// The origins that may be reached.
#[derive(Debug)]
pub struct AllowList {
    origins: Vec<Origin>,
    /// One further address, which may have a query behind it; asked without a proxy.
    direct: Option<Box<str>>,
    /// Origins whose denial has been told.
    told: Mutex<BTreeSet<String>>,
}

impl AllowList {
    /// Allows these origins.
    pub fn new<'a>(origins: impl Iterator<Item = &'a Origin>) -> Self {
        let mut all: Vec<Origin> = Vec::new();
        for origin in origins {
            if !all.contains(origin) {
                all.push(origin.clone());
            }
        }
        Self { origins: all, direct: None, told: Mutex::default() }
    }

    /// Allows one address on this machine or beside it too: where it gets its identity.
    #[must_use]
    pub fn with_direct(mut self, address: Option<&str>) -> Self {
        self.direct = address.map(Into::into);
        self
    }

    /// Whether `url` is that address, with whatever query.
    pub(crate) fn is_direct(&self, url: &str) -> bool {
        self.direct.as_deref().is_some_and(|address| {
            url.strip_prefix(address).is_some_and(|rest| rest.is_empty() || rest.starts_with('?'))
        })
    }

    /// Whether `url` may be asked. A denial is told to `logger` with host and reason, as ERROR the
    /// first time.
    pub(crate) fn check(&self, url: &str, logger: &Logger) -> bool {
        if self.is_direct(url) || self.origins.iter().any(|origin| origin.owns(url)) {
            return true;
        }
        let place = place(url);
        let allowed: Vec<_> = self.origins.iter().map(Origin::as_str).collect();
        let denial = format!(
            "request to {place} denied: the component may reach {} only, the addresses of the \
             configuration (cloud, login_url, api_url, portal_url)",
            allowed.join(" and ")
        );
        logger.log(self.level(place), &denial);
        false
    }

    fn level(&self, place: &str) -> Level {
        // A panic elsewhere leaves the set as it was.
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let first = told.len() < DENIED_TOLD_MAX && told.insert(place.to_owned());
        if first { Level::Error } else { Level::Debug }
    }
}

/// Scheme, host and port of a URL: its path may say more than a log should.
fn place(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_denial_names_the_host_and_is_an_error_once() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let logger = Logger::new(move |level, line| {
            sink.lock().unwrap().push((level, line.to_owned()));
        });
        let origins = ["https://login.example", "https://api.example", "https://api.example"];
        let origins = origins.map(|text| Origin::parse(text).unwrap());
        let list = AllowList::new(origins.iter());
        assert!(list.check("https://api.example/a?b", &logger));
        assert!(list.check("https://login.example/", &logger));
        let denial = "request to https://evil.example:8443 denied: the component may reach \
                      https://login.example and https://api.example only, the addresses of the \
                      configuration (cloud, login_url, api_url, portal_url)";
        for _ in 0..2 {
            assert!(!list.check("https://evil.example:8443/token?secret=1", &logger));
        }
        assert!(!list.check("http://api.example/", &logger));
        let lines = lines.lock().unwrap();
        let levels: Vec<_> = lines.iter().map(|(level, _)| *level).collect();
        assert_eq!(levels, [Level::Error, Level::Debug, Level::Error]);
        assert_eq!(lines[0].1, denial);
    }

    #[test]
    fn a_machines_identity_is_one_address_and_no_origin() {
        let logger = Logger::new(|_, _| {});
        let address = "http://169.254.169.254/metadata/identity/oauth2/token";
        let list = AllowList::new(std::iter::empty()).with_direct(Some(address));
        assert!(list.check(address, &logger) && list.is_direct(address));
        assert!(list.check(&format!("{address}?resource=x"), &logger));
        for other in ["", "/../../instance", "s"] {
            assert!(!list.check(&format!("{address}{other}x"), &logger));
        }
        assert!(!list.check("http://169.254.169.254/metadata/instance", &logger));
    }

    #[test]
    fn denials_of_ever_new_hosts_do_not_flood_the_log() {
        let errors = Arc::new(Mutex::new(0));
        let count = Arc::clone(&errors);
        let logger = Logger::new(move |level, _| {
            *count.lock().unwrap() += usize::from(level == Level::Error);
        });
        let list = AllowList::new(std::iter::empty());
        for i in 0..10 * DENIED_TOLD_MAX {
            assert!(!list.check(&format!("https://host-{i}.example/"), &logger));
        }
        assert_eq!(*errors.lock().unwrap(), DENIED_TOLD_MAX);
    }
}
