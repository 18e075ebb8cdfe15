//! Which origins a guest may reach: those of its configuration, and nothing else.

use std::collections::BTreeSet;
use std::sync::Mutex;

use m365_audit_core::{Level, Origin};

use crate::logger::Logger;

/// Denied origins that are told as ERROR, each once; further ones only as DEBUG.
const DENIED_TOLD_MAX: usize = 16;

/// The origins that may be reached.
#[derive(Debug)]
pub struct AllowList {
    origins: Vec<Origin>,
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
        Self { origins: all, told: Mutex::default() }
    }

    /// Whether `url` may be asked. A denial is told to `logger` with host and reason, as ERROR the
    /// first time.
    pub(crate) fn check(&self, url: &str, logger: &Logger) -> bool {
        if self.origins.iter().any(|origin| origin.owns(url)) {
            return true;
        }
        let place = place(url);
        let allowed: Vec<_> = self.origins.iter().map(Origin::as_str).collect();
        let denial = format!(
            "request to {place} denied: the component may reach {} only, the addresses of the \
             configuration (cloud, login_url, api_url)",
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
                      configuration (cloud, login_url, api_url)";
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
