//! The checks, in the order in which they depend on each other. Each says one thing.

use std::time::Duration;

use indicatif::MultiProgress;
use m365_audit_client::{DbState, Settings, inspect, probe};
use m365_audit_core::call::{Call, CallError, Claims, Reply, Subscription};
use m365_audit_core::{Collector, ContentType, Credential, Now, Origin, Utc, known_error};

use crate::calls::Session;
use crate::doctor::first_page::{first_page, is_unsubscribed, microsofts_time};
use crate::doctor::look::HOURS;
use crate::doctor::{activities, coverage, output, start};
use crate::findings::Report;
use crate::log::{Log, now};
use crate::words::grouped;

/// A clock this wrong is worth mending; one beyond the other bound spoils sign-in by certificate,
/// since assertions are valid for minutes.
const SKEW_WARN_S: u64 = 30;
const SKEW_FAIL_S: u64 = 300;

/// A certificate that ends within this time should be replaced.
const CERTIFICATE_WARN_DAYS: u64 = 30;

/// The application id of the Office 365 Management APIs, which some tokens name as their audience.
const MANAGEMENT_APIS: &str = "c5393580-f805-4401-95e8-94b7a6ef2fc2";

/// Microsoft's baseline per tenant, in requests a minute.
const BASELINE: u32 = 2_000;

/// Looks at one tenant; with `start` what is missing of its subscriptions is started.
pub(super) fn examine(settings: &Settings, log: &Log, start: Option<&MultiProgress>) -> Report {
    let config = &settings.config;
    let mut report = Report::about(config.envelope().tenant_name.as_deref(), config.tenant_id());
    match Session::of(settings, log.clone()) {
        Ok(mut session) => {
            let management = !settings.config.content_types().is_empty();
            if management {
                if sign_in(&mut session, &mut report) {
                    look(&mut session, start, &mut report);
                } else {
                    report.skip(
                        &["token", "cloud", "permission", "subscription", "listing", "auditing"],
                        "the sign-in failed",
                    );
                }
            }
            if management {
                budget(&session, &mut report);
            }
            activities::examine(&mut session, &mut report);
            if let Credential::Certificate(certificate) = settings.config.credential() {
                let until = certificate.not_after();
                check_certificate(until, microsofts_time(&session), &mut report);
            }
            clock(&session, &mut report);
        }
        Err(_) => {
            report.fail("transport", "the HTTP client cannot be set up", "see stderr");
            report.skip(
                &["sign-in", "permission", "subscription", "listing", "auditing"],
                "there is no way to ask Microsoft",
            );
        }
    }
    db(settings, &mut report);
    output::examine(settings, &mut report);
    report
}

fn sign_in(session: &mut Session, report: &mut Report) -> bool {
    let config = session.calls.config();
    let credential = config.credential().to_string();
    let login = config.login().as_str().to_owned();
    match session.call(Call::SignIn) {
        Ok(_) => {
            report.ok("sign-in", format!("{login} takes {credential}"));
            true
        }
        Err(error) => {
            report.fail_call("sign-in", &login, &error);
            false
        }
    }
}

fn check_certificate(until: Utc, now: Utc, report: &mut Report) {
    let days = until.since(now).as_secs() / 86_400;
    let detail = format!("it is valid until {until}, for {days} days more");
    let remedy = "upload a new certificate to the app registration, then replace the file";
    if until <= now {
        report.fail("certificate", format!("it has ended, at {until}"), remedy);
    } else if days < CERTIFICATE_WARN_DAYS {
        report.warn("certificate", detail, remedy);
    } else {
        report.ok("certificate", detail);
    }
}

/// Everything that takes a token.
fn look(session: &mut Session, start: Option<&MultiProgress>, report: &mut Report) {
    match session.calls.claims() {
        Some(claims) => {
            token(session, &claims, report);
            cloud(session, &claims, report);
            permissions(session, &claims, report);
        }
        None => report.warn(
            "token",
            "it cannot be read, so that its tenant and permissions are not known",
            "none; Microsoft does not promise that tokens can be read",
        ),
    }
    let Some(mut subscriptions) = subscriptions(session, report) else { return };
    if let Some(bars) = start
        && !start::start(session, &subscriptions, bars, report).is_empty()
    {
        let Some(now) = self::subscriptions(session, report) else { return };
        subscriptions = now;
    }
    let enabled = check_subscriptions(session, &subscriptions, report);
    content(session, &enabled, &subscriptions, report);
}

fn subscriptions(session: &mut Session, report: &mut Report) -> Option<Vec<Subscription>> {
    match session.call(Call::ListSubscriptions) {
        Ok(Reply::Subscriptions(subscriptions)) => Some(subscriptions),
        Ok(_) => unreachable!("a list answers with a list"),
        Err(error) => {
            let api = session.calls.config().api().as_str().to_owned();
            report.fail_call("subscription", &api, &error);
            report.skip(&["listing", "auditing"], "the list of subscriptions cannot be read");
            None
        }
    }
}

fn token(session: &Session, claims: &Claims, report: &mut Report) {
    let config = session.calls.config();
    let differs = |claim: &Option<String>, own: &str| {
        // A managed identity may go without a client_id.
        let claim = claim.as_ref().filter(|_| !own.is_empty());
        claim.filter(|claim| !claim.eq_ignore_ascii_case(own)).cloned()
    };
    if let Some(tenant) = differs(&claims.tenant_id, config.tenant_id()) {
        return report.fail("token", format!("it is for tenant {tenant}"), "check tenant_id");
    }
    if let Some(app) = differs(&claims.app_id, config.client_id()) {
        return report.fail("token", format!("it is for application {app}"), "check client_id");
    }
    let proof = match claims.proof.as_deref() {
        Some("1") => ", proved by a secret",
        Some("2") => ", proved by a certificate",
        _ => "",
    };
    let until = claims.expires.map(|until| format!(", until {until}")).unwrap_or_default();
    report.ok("token", format!("for this tenant and application{proof}{until}"));
}

/// Whether token and API are of one cloud.
fn cloud(session: &Session, claims: &Claims, report: &mut Report) {
    let config = session.calls.config();
    let api = config.api();
    let audience = claims.audience.as_deref().unwrap_or_default();
    let same = audience.eq_ignore_ascii_case(MANAGEMENT_APIS)
        || audience.trim_end_matches('/').eq_ignore_ascii_case(config.resource())
        || Origin::parse(audience).is_ok_and(|origin| origin == *api);
    let detail = format!("a token for {audience:?} is used at {}", api.as_str());
    if same {
        report.ok("cloud", detail);
    } else {
        report.warn("cloud", detail, "check cloud, api_url and resource if calls are refused");
    }
}

fn permissions(session: &Session, claims: &Claims, report: &mut Report) {
    const GRANT: &str = "of the Office 365 Management APIs (application permission, with \
                         administrator consent; a new token shows it after some minutes)";
    let has = if claims.roles.is_empty() {
        "the token has no permission at all".to_owned()
    } else {
        format!("the token has {}", claims.roles.join(", "))
    };
    if claims.has_role("ActivityFeed.Read") {
        report.ok("permission", "ActivityFeed.Read is granted");
    } else {
        let detail = format!("ActivityFeed.Read is missing: {has}");
        report.fail("permission", detail, format!("grant ActivityFeed.Read {GRANT}"));
    }
    let dlp = session.calls.config().content_types().contains(&ContentType::DlpAll);
    match (claims.has_role("ActivityFeed.ReadDlp"), dlp) {
        (true, _) => report.ok("permission", "ActivityFeed.ReadDlp is granted"),
        (false, false) => report.ok(
            "permission",
            "ActivityFeed.ReadDlp is not granted, and not needed: DLP.All is not collected",
        ),
        (false, true) => report.fail(
            "permission",
            format!("ActivityFeed.ReadDlp is missing, which DLP.All needs: {has}"),
            format!("grant ActivityFeed.ReadDlp {GRANT}, or leave DLP.All out of content_types"),
        ),
    }
}

/// Answers the feeds that can be listed.
fn check_subscriptions(
    session: &Session,
    subscriptions: &[Subscription],
    report: &mut Report,
) -> Vec<ContentType> {
    let config = session.calls.config();
    let starts = config.starts_subscriptions();
    let mut enabled = Vec::new();
    for content_type in config.content_types() {
        let name = content_type.as_str();
        let known = subscriptions.iter().find(|s| s.content_type.eq_ignore_ascii_case(name));
        if let Some(known) = known.filter(|known| known.is_enabled()) {
            enabled.push(*content_type);
            let webhook = known.webhook.as_ref().and_then(|webhook| webhook.status.as_deref());
            match webhook {
                Some(status) if !status.eq_ignore_ascii_case("enabled") => report.warn(
                    "subscription",
                    format!("{name} is enabled; its webhook is {status}"),
                    format!(
                        "collecting needs no webhook; `m365-audit subscriptions start {name} \
                         --webhook-address URL` enables it again"
                    ),
                ),
                _ => report.ok("subscription", format!("{name} is enabled")),
            }
            continue;
        }
        let what = if known.is_some() { "disabled" } else { "not there" };
        if starts {
            report.warn(
                "subscription",
                format!("{name} is {what}; a collector starts it"),
                format!(
                    "or start it now: `m365-audit doctor --start`, or `subscriptions start {name}`"
                ),
            );
        } else {
            report.fail(
                "subscription",
                format!("{name} is {what}, and start_subscriptions is off"),
                format!("`m365-audit subscriptions start {name}`"),
            );
        }
    }
    enabled
}

/// Lists a page of each feed, of those as well that are not subscribed: whether Microsoft permits a
/// feed shows in its answer and nowhere else. Whether auditing is on shows in whether there is
/// anything, in other feeds of this app if need be.
fn content(
    session: &mut Session,
    enabled: &[ContentType],
    subscriptions: &[Subscription],
    report: &mut Report,
) {
    let wanted = session.calls.config().content_types().to_vec();
    let (mut listed, mut found) = (0, None);
    for content_type in &wanted {
        match first_page(session, *content_type) {
            Ok(newest) => {
                listed += 1;
                let detail = match &newest {
                    Some(newest) => {
                        format!("{content_type} can be listed, with content of {newest}")
                    }
                    None => {
                        format!("{content_type} can be listed; nothing in the last {HOURS} h")
                    }
                };
                found = found.or_else(|| newest.map(|_| *content_type));
                report.ok("listing", detail);
            }
            Err(error) if !enabled.contains(content_type) && is_unsubscribed(&error) => report
                .unknown(
                    "listing",
                    format!(
                        "{content_type}: Microsoft does not deny it, and lists it only once its \
                         subscription is started"
                    ),
                    start_first(*content_type),
                ),
            Err(error) => {
                report.fail_call("listing", content_type.as_str(), &of_this_feed(error));
            }
        }
    }
    let others = ContentType::ALL.into_iter().filter(|other| !wanted.contains(other));
    for other in others.filter(|other| *other != ContentType::DlpAll) {
        let is_enabled = |known: &Subscription| {
            known.is_enabled() && known.content_type.eq_ignore_ascii_case(other.as_str())
        };
        if found.is_none()
            && subscriptions.iter().any(is_enabled)
            && let Ok(Some(_)) = first_page(session, other)
        {
            found = Some(other);
        }
    }
    auditing(found, listed, &wanted, report);
}

/// Of what refuses one feed. The list of subscriptions was read, so that neither the token nor the
/// address is to blame for it.
fn of_this_feed(error: CallError) -> CallError {
    let code = match error.code.as_deref() {
        Some("token-rejected") => "http-401",
        Some("api-address") if error.message.starts_with("HTTP status 403") => "http-403",
        Some(_) | None => return error,
    };
    let message = format!("{}; the list of subscriptions is not refused", error.message);
    let remedy = known_error(code).map_or(error.remedy, |known| known.remedy.into());
    CallError { code: Some(code.into()), message, remedy, ..error }
}

fn start_first(content_type: ContentType) -> String {
    format!(
        "`m365-audit doctor --start`; or `m365-audit subscriptions start {content_type}`, then ask \
         the doctor again"
    )
}

/// Nothing that can be asked says whether auditing is on, but content and a start.
fn auditing(
    found: Option<ContentType>,
    listed: usize,
    wanted: &[ContentType],
    report: &mut Report,
) {
    const TURN_ON: &str = "turn auditing on in the Purview portal (Audit), or look there whether it \
                           is; it takes up to 60 minutes to apply";
    match (found, listed) {
        (Some(content_type), _) => {
            report.ok("auditing", format!("on: there is content of {content_type}"));
        }
        (None, 0) => report.unknown(
            "auditing",
            "not known: only a start, or content, would tell",
            format!(
                "{}; if the start fails with auditing-off, {TURN_ON}",
                wanted.first().map_or_else(String::new, |first| start_first(*first))
            ),
        ),
        (None, _) => report.unknown(
            "auditing",
            "not known: there is no content. A subscription that is new or a tenant that is quiet \
             looks like this too: the first content can take up to 12 hours",
            TURN_ON,
        ),
    }
}

fn clock(session: &Session, report: &mut Report) {
    let Some(ahead) = session.calls.clock_skew_seconds() else {
        return report.warn("clock", "no answer told the time", "");
    };
    let direction = if ahead < 0 { "behind" } else { "ahead of" };
    let seconds = ahead.unsigned_abs();
    let detail = format!("{seconds} s {direction} Microsoft's (now {})", now());
    let remedy = "set the clock, by NTP; windows are planned by Microsoft's time in any case";
    match seconds {
        0..SKEW_WARN_S => report.ok("clock", format!("within {} s of Microsoft's", seconds + 1)),
        SKEW_WARN_S..SKEW_FAIL_S => report.warn("clock", detail, remedy),
        _ => report.fail("clock", detail, remedy),
    }
}

fn budget(session: &Session, report: &mut Report) {
    let config = session.calls.config();
    let metrics = session.calls.metrics();
    let (limit, publisher) = (config.requests_per_minute(), config.publisher_id());
    let whose = if publisher == config.tenant_id() { "the tenant's own" } else { publisher };
    let allowed = grouped(limit.into());
    let detail = format!("{allowed} requests a minute, PublisherIdentifier is {whose}");
    if 0 < metrics.throttled {
        report.warn(
            "budget",
            format!("{detail}; Microsoft throttled {} of these few calls", metrics.throttled),
            "lower requests_per_minute if other collectors of the tenant share the quota, or ask \
             Microsoft for a larger one",
        );
    } else if BASELINE < limit {
        report.warn(
            "budget",
            detail,
            "above Microsoft's baseline of 2,000: fine for large tenants, throttled in others",
        );
    } else {
        report.ok("budget", detail);
    }
}

fn db(settings: &Settings, report: &mut Report) {
    let Some(options) = &settings.native.db else {
        return report.warn(
            "db",
            "not set: every start collects from lookback again",
            "set db to a file on a local disk",
        );
    };
    let path = options.path.display();
    let probed = probe(options, settings.config.tenant_id());
    if matches!(probed, Ok(DbState::Writable | DbState::InUse))
        && let Some(problem) = state_problem(settings)
    {
        let (problem, remedy) = problem.split_once("; remedy: ").unwrap_or((&problem, ""));
        return report.fail("db", format!("{path}: {problem}"), remedy);
    }
    match probed {
        Ok(DbState::Absent) if options.server.is_some() => {
            report.ok("db", format!("{path} answers; its tables can be created"));
        }
        Ok(DbState::Absent) => report.ok("db", format!("{path} does not exist and can be created")),
        Ok(DbState::Writable) => {
            report.ok("db", format!("{path} can be written"));
            coverage::examine(settings, report);
        }
        Ok(DbState::InUse) => {
            report.ok("db", format!("{path} can be written; a collector of this tenant uses it"));
            coverage::examine(settings, report);
        }
        Err(error) => {
            let text = error.to_string();
            let (problem, remedy) =
                text.split_once("; remedy: ").unwrap_or((&text, "name a file that can be written"));
            report.fail("db", problem, remedy);
        }
    }
}

/// What keeps a collector from going on with what is stored, as it would say itself.
fn state_problem(settings: &Settings) -> Option<String> {
    let stored = match inspect(settings.native.db.as_ref()?) {
        Ok(mut tenants) => tenants.remove(settings.config.tenant_id())?,
        Err(error) => return Some(error.to_string()),
    };
    let at = Now { monotonic: Duration::ZERO, wall: now() };
    let collector = Collector::new(settings.config.clone(), &stored, 0, at);
    collector.err().map(|error| error.to_string())
}
