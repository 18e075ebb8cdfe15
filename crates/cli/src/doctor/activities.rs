//! The checks of activities, of Defender for Cloud Apps. Made only where it is collected.

use m365_audit_client::Sink;
use m365_audit_core::call::{Call, Claims, Reply};
use m365_audit_core::{Batch, BatchId, Event, FeedEvent, Level, Origin};

use super::look::{HOURS, last_hours};
use crate::calls::Session;
use crate::findings::Report;
use crate::log::{Log, now};

/// What hosts of the portal end with, in the clouds that have it.
const SUFFIXES: [&str; 3] = [
    ".portal.cloudappsecurity.com",
    ".portal.cloudappsecuritygov.com",
    ".portal.cloudappsecurity.us",
];

/// What Microsoft allows a tenant, in requests a minute.
const ALLOWED: u32 = 30;

/// The application permission that it takes.
const ROLE: &str = "Investigation.read";

/// Looks at the source, if it is collected.
pub(super) fn examine(session: &mut Session, report: &mut Report) {
    let Some(url) = session.calls.config().portal_url().cloned() else { return };
    let throttled = session.calls.metrics().throttled;
    address(&url, report);
    if sign_in(session, report) {
        permissions(session, report);
        search(session, &url, report);
    } else {
        report.skip(&["permission", "search"], "the sign-in for activities failed");
    }
    budget(session, throttled, report);
}

/// Whether the address is one that Microsoft gives to a tenant.
fn address(url: &Origin, report: &mut Report) {
    const REMEDY: &str = "write https://TENANT.REGION.portal.cloudappsecurity.com; the Defender \
                          portal shows it under Settings, Cloud apps, About, API URL";
    let host = url.as_str().split_once("://").map_or("", |(_, host)| host).to_ascii_lowercase();
    // TENANT.REGION before the suffix: `portal.cloudappsecurity.com` itself is everybody's.
    let owner = SUFFIXES.iter().find_map(|suffix| host.strip_suffix(suffix));
    let shown = url.as_str();
    match owner.map(|owner| owner.split('.').filter(|part| !part.is_empty()).count()) {
        Some(2..) => report.ok("portal_url", format!("{shown} is a tenant's address")),
        Some(_) => report.warn("portal_url", format!("{shown} names no tenant and region"), REMEDY),
        None => report.warn("portal_url", format!("{shown} is no address of the portal"), REMEDY),
    }
}

fn sign_in(session: &mut Session, report: &mut Report) -> bool {
    let config = session.calls.config();
    let Some(resource) = config.portal_resource().map(str::to_owned) else {
        report.ok("activities", "the portal's own API token is used; Microsoft prefers Entra ID's");
        return true;
    };
    let login = config.login().as_str().to_owned();
    match session.call(Call::SignInToActivities) {
        Ok(_) => {
            report.ok("activities", format!("{login} gives a token for {resource}"));
            true
        }
        Err(error) => {
            report.fail_call("activities", &login, &error);
            false
        }
    }
}

fn permissions(session: &Session, report: &mut Report) {
    if session.calls.config().portal_resource().is_none() {
        return;
    }
    match session.calls.activities_claims() {
        None => report.warn(
            "permission",
            "the token for activities cannot be read, so that its permissions are not known",
            "none; Microsoft does not promise that tokens can be read",
        ),
        Some(claims) if claims.has_role(ROLE) => {
            report.ok("permission", format!("{ROLE} is granted"));
        }
        Some(claims) => missing(&claims, report),
    }
}

fn missing(claims: &Claims, report: &mut Report) {
    let has = if claims.roles.is_empty() {
        "the token has no permission at all".to_owned()
    } else {
        format!("the token has {}", claims.roles.join(", "))
    };
    report.fail(
        "permission",
        format!("{ROLE} is missing: {has}"),
        format!(
            "grant {ROLE} of Microsoft Cloud App Security (application permission, with \
             administrator consent; a new token shows it after some minutes)"
        ),
    );
}

/// One small search, as the collector makes it: whether it may, and whether filters are applied.
fn search(session: &mut Session, url: &Origin, report: &mut Report) {
    const LIMIT: u64 = 20;
    let filters = session.calls.config().activities_filter().cloned().unwrap_or_default();
    let range = last_hours(now());
    let filtered = if filters.is_empty() { "" } else { " with activities_filter" };
    let call = Call::ListActivities { filters, range, limit: Some(LIMIT) };
    let mut listener = Listener { log: &session.log, taken: Vec::new(), warnings: Vec::new() };
    match session.calls.call(call, &mut listener) {
        Ok(Reply::Activities { records, .. }) => {
            let found = if records > 0 { "there are some" } else { "there is nothing" };
            let detail =
                format!("activities can be searched{filtered}; {found} in the last {HOURS} h");
            report.ok("search", detail);
            for warning in listener.warnings {
                report.warn("search", warning, "leave the filter out, or tell Microsoft");
            }
        }
        Ok(_) => unreachable!("a search answers with activities"),
        Err(error) => report.fail_call("search", url.as_str(), &error),
    }
}

fn budget(session: &Session, throttled_before: u64, report: &mut Report) {
    let limit = session.calls.config().activities_requests_per_minute().unwrap_or(ALLOWED);
    let detail = format!("{limit} requests a minute to the Defender for Cloud Apps API");
    let throttled = session.calls.metrics().throttled - throttled_before;
    if 0 < throttled {
        report.warn(
            "budget",
            format!("{detail}; Microsoft throttled {throttled} of these few calls"),
            "lower activities_requests_per_minute if others of the tenant share the quota",
        );
    } else if ALLOWED < limit {
        report.warn(
            "budget",
            format!("{detail}; Microsoft allows {ALLOWED} a tenant"),
            "lower activities_requests_per_minute, unless Microsoft has allowed more",
        );
    } else {
        report.ok("budget", detail);
    }
}

/// Looks at records no further, and keeps what is to be told.
struct Listener<'a> {
    log: &'a Log,
    taken: Vec<BatchId>,
    warnings: Vec<String>,
}

impl Sink for Listener<'_> {
    fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.taken.push(batch.id);
        Ok(())
    }

    fn flush(&mut self, delivered: &mut Vec<BatchId>) -> anyhow::Result<()> {
        delivered.append(&mut self.taken);
        Ok(())
    }

    fn log(&mut self, level: Level, message: &str) {
        self.log.write(level, message);
    }

    fn observe(&mut self, event: &Event) {
        if let Event::Feed(_, FeedEvent::FilterIgnored { .. }) = event {
            self.warnings.push(event.to_string());
        }
        self.log(event.level(), &event.to_string());
    }
}
