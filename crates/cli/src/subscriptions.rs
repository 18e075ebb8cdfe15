//! `m365-audit subscriptions`: list, start and stop. A webhook changes only if it was asked for.

use std::io::{self, IsTerminal};

use clap::{Arg, ArgAction, ArgMatches, Command};
use m365_audit_core::call::{
    Call, CallError, CallErrorKind, Reply, Subscription, Webhook, WebhookRequest,
};
use m365_audit_core::{ContentType, Secret};
use serde_json::{Value, json};

use crate::calls::table::{paragraph, table};
use crate::calls::{self, Session, agrees, moment, named_types, print, say};
use crate::exit::{COMPLETE, INCOMPLETE, MISCONFIGURED};
use crate::log::now;

const ABOUT_START: &str = "\
Subscriptions belong to an application: another client_id neither sees nor changes them. An enabled
subscription is left alone unless a --webhook flag asks for a change, since to Microsoft a start
without a webhook means to remove the one there is. Microsoft refuses two starts of one content type
within 15 minutes, and a new subscription can take up to 12 hours to yield its first content.

Webhooks: the address is called once before the start is answered, and must answer 200. What is not
given stays as it is; a disabled subscription is started with the webhook that it had. The same
flags with the same address re-enable a webhook that Microsoft has disabled, or that has expired.

Examples:
  m365-audit subscriptions start Audit.Exchange DLP.All --config m365-audit.toml
  m365-audit subscriptions start Audit.General --webhook-address https://siem.example/m365 \\
      --webhook-auth-id \"$WEBHOOK_AUTH_ID\" --webhook-expiration 2027-01-01
  m365-audit subscriptions start Audit.General --webhook-expiration ''   (never expires)
  m365-audit subscriptions start Audit.General --webhook-remove";

const ABOUT_STOP: &str = "\
What Microsoft publishes between a stop and the next start can never be read by this application, so
this asks first; --yes answers beforehand. A webhook goes with its subscription.

Example:
  m365-audit subscriptions stop DLP.All --config m365-audit.toml";

const ABOUT_LIST: &str = "\
Example:
  m365-audit subscriptions list --config m365-audit.toml
  m365-audit subscriptions list --json | jq -r '.[] | select(.status == \"enabled\").contentType'";

pub(crate) fn command() -> Command {
    let after = |text: &str| format!("{text}\n\n{}", calls::AFTER_HELP);
    let list = Command::new("list")
        .about("Print the subscriptions of this application, with their webhooks")
        .after_help(after(ABOUT_LIST))
        .args(calls::args(&[]));
    let start = Command::new("start")
        .about("Start subscriptions, or change their webhooks")
        .after_help(after(ABOUT_START))
        .arg(calls::content_types(true))
        .args(webhook_args())
        .args(calls::args(&[]));
    let stop = Command::new("stop")
        .about("Stop subscriptions; asks first, since content in between is lost")
        .after_help(after(ABOUT_STOP))
        .arg(calls::content_types(true))
        .arg(Arg::new("yes").long("yes").short('y').action(ArgAction::SetTrue).help("Do not ask"))
        .args(calls::args(&[]));
    Command::new("subscriptions")
        .about("List, start and stop the subscriptions of this application")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([list, start, stop])
}

fn webhook_args() -> [Arg; 4] {
    let arg = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).help_heading("Webhook")
    };
    [
        arg("webhook-address", "URL", "Where Microsoft sends notifications; https://"),
        arg(
            "webhook-auth-id",
            "TEXT",
            "Text that notifications bring along as Webhook-AuthID; '' for none",
        ),
        arg(
            "webhook-expiration",
            "TIME",
            "When notifications end, as 2027-01-01 or 2027-01-01T08:00:00Z; '' for never",
        )
        .value_parser(expiration),
        Arg::new("webhook-remove")
            .long("webhook-remove")
            .action(ArgAction::SetTrue)
            .conflicts_with_all(["webhook-address", "webhook-auth-id", "webhook-expiration"])
            .help("Remove the webhook; the subscription stays")
            .help_heading("Webhook"),
    ]
}

/// As Microsoft writes it, so that it can be compared with what there is.
fn expiration(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    let moment = moment::utc(text.trim()).map(|moment| moment.to_string());
    moment.ok_or_else(|| "not a time like 2027-01-01 or 2027-01-01T08:00:00Z".into())
}

/// Runs the command, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let (name, matches) = matches.subcommand().expect("clap insists on a command");
    let result = Session::open(matches).and_then(|session| match name {
        "list" => list(session, matches),
        "start" => start(session, matches),
        _ => stop(session, matches),
    });
    match result {
        Ok(()) => COMPLETE,
        Err(code) => code,
    }
}

fn subscriptions(session: &mut Session) -> Result<Vec<Subscription>, u8> {
    match session.call(Call::ListSubscriptions) {
        Ok(Reply::Subscriptions(subscriptions)) => Ok(subscriptions),
        Ok(_) => unreachable!("a list answers with a list"),
        Err(error) => Err(session.fail("subscriptions", &error)),
    }
}

fn find(subscriptions: &[Subscription], content_type: ContentType) -> Option<&Subscription> {
    let same =
        |known: &&Subscription| known.content_type.eq_ignore_ascii_case(content_type.as_str());
    subscriptions.iter().find(same)
}

// List.

fn list(mut session: Session, matches: &ArgMatches) -> Result<(), u8> {
    let subscriptions = subscriptions(&mut session)?;
    if calls::json(matches) {
        let all: Vec<Value> = subscriptions.iter().map(as_json).collect();
        print(&format!("{:#}\n", Value::from(all)));
        return Ok(());
    }
    let mut rows: Vec<Vec<String>> = subscriptions.iter().map(row).collect();
    for missing in ContentType::ALL.into_iter().filter(|ct| find(&subscriptions, *ct).is_none()) {
        rows.push(vec![missing.as_str().into(), "none".into(), String::new()]);
    }
    print(&table(&["CONTENT TYPE", "STATUS", "WEBHOOK"], &rows));
    print("\n");
    print(&paragraph(&format!(
        "These are the subscriptions of {}. Microsoft keeps them per application id: other \
         applications neither see nor change them. enabled: content can be read; disabled: \
         stopped, or disabled by an administrator, and content published meanwhile is lost; none: \
         never started. Microsoft refuses a start within 15 minutes of another one of the same \
         content type.",
        session.owner()
    )));
    Ok(())
}

fn row(subscription: &Subscription) -> Vec<String> {
    vec![
        subscription.content_type.clone(),
        subscription.status.clone().unwrap_or_else(|| "enabled".into()),
        subscription.webhook.as_ref().map_or_else(|| "none".into(), describe),
    ]
}

fn describe(webhook: &Webhook) -> String {
    let status = webhook.status.as_deref().unwrap_or("enabled");
    let address = webhook.address.as_deref().unwrap_or("no address");
    let auth_id = if webhook.auth_id.is_some() { "auth id set" } else { "no auth id" };
    let expiration = match webhook.expiration.as_deref().filter(|text| !text.is_empty()) {
        Some(moment) => format!("expires {moment}"),
        None => "never expires".into(),
    };
    format!("{status}: {address}, {auth_id}, {expiration}")
}

/// Microsoft's object, but for the auth id, which is a secret: whether there is one.
fn as_json(subscription: &Subscription) -> Value {
    json!({
        "contentType": subscription.content_type,
        "status": subscription.status,
        "webhook": subscription.webhook.as_ref().map(|webhook| json!({
            "status": webhook.status,
            "address": webhook.address,
            "authId": webhook.auth_id.as_ref().map(|_| "[redacted]"),
            "expiration": webhook.expiration,
        })),
    })
}

// Start.

/// What the webhook flags ask for; `None` where one was not given.
#[derive(Debug, Default)]
struct Wanted {
    address: Option<String>,
    auth_id: Option<String>,
    expiration: Option<String>,
    remove: bool,
}

impl Wanted {
    fn read(matches: &ArgMatches) -> Self {
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        Self {
            address: text("webhook-address"),
            auth_id: text("webhook-auth-id"),
            expiration: text("webhook-expiration"),
            remove: matches.get_flag("webhook-remove"),
        }
    }

    const fn is_silent(&self) -> bool {
        self.address.is_none()
            && self.auth_id.is_none()
            && self.expiration.is_none()
            && !self.remove
    }
}

/// What is to be done about one content type.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Nothing, and why.
    Leave(String),
    /// A start with this webhook.
    Send(Option<WebhookRequest>),
    /// It cannot be done, and why.
    Refuse(String),
}

/// Decides. Never drops or changes a webhook that nobody spoke of.
fn step(known: Option<&Subscription>, wanted: &Wanted) -> Step {
    let enabled = known.is_some_and(Subscription::is_enabled);
    let webhook = known.and_then(|known| known.webhook.as_ref());
    let address = webhook.and_then(|webhook| webhook.address.clone());
    if wanted.is_silent() {
        return match (enabled, webhook, address) {
            (true, None, _) => Step::Leave("enabled already".into()),
            (true, Some(webhook), _) => {
                Step::Leave(format!("enabled already; its webhook stays ({})", describe(webhook)))
            }
            (false, Some(webhook), Some(address)) if !is_expired(webhook) => {
                Step::Send(Some(kept(webhook, address)))
            }
            // One that has expired could only be revived, and nobody asked for that.
            (false, ..) => Step::Send(None),
        };
    }
    if wanted.remove {
        return match (enabled, webhook) {
            (true, None) => Step::Leave("enabled already, and has no webhook".into()),
            _ => Step::Send(None),
        };
    }
    let Some(address) = wanted.address.clone().or(address) else {
        return Step::Refuse(
            "it has no webhook that could be changed; add --webhook-address".into(),
        );
    };
    let mut request = webhook.map_or_else(
        || WebhookRequest { address: address.clone(), auth_id: None, expiration: None },
        |webhook| kept(webhook, address.clone()),
    );
    if let Some(auth_id) = &wanted.auth_id {
        request.auth_id = Some(auth_id.clone()).filter(|text| !text.is_empty()).map(Secret::new);
    }
    if let Some(expiration) = &wanted.expiration {
        request.expiration = Some(expiration.clone()).filter(|text| !text.is_empty());
    }
    let same = webhook.is_some_and(|webhook| {
        let status = webhook.status.as_deref().unwrap_or("enabled");
        status.eq_ignore_ascii_case("enabled")
            && webhook.address.as_deref() == Some(&request.address)
            && webhook.auth_id == request.auth_id
            && webhook.expiration == request.expiration
    });
    if enabled && same {
        return Step::Leave("enabled already, with that webhook".into());
    }
    Step::Send(Some(request))
}

/// The webhook that there is, at `address`. What has expired is not asked for again.
fn kept(webhook: &Webhook, address: String) -> WebhookRequest {
    let expired = is_expired(webhook);
    WebhookRequest {
        address,
        auth_id: webhook.auth_id.clone(),
        expiration: webhook.expiration.clone().filter(|text| !expired && !text.is_empty()),
    }
}

fn is_expired(webhook: &Webhook) -> bool {
    let end = webhook.expiration.as_deref().and_then(moment::utc);
    webhook.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case("expired"))
        || end.is_some_and(|end| end <= now())
}

fn start(mut session: Session, matches: &ArgMatches) -> Result<(), u8> {
    let wanted = Wanted::read(matches);
    let known = subscriptions(&mut session)?;
    let (mut results, mut code) = (Vec::new(), COMPLETE);
    for content_type in named_types(matches) {
        let (result, text) = match step(find(&known, content_type), &wanted) {
            Step::Leave(why) => (unchanged(find(&known, content_type)), Ok(why)),
            Step::Refuse(why) => {
                code = code.max(MISCONFIGURED);
                say(&format!("{content_type}: {why}\n"));
                (json!({ "result": "refused", "reason": why }), Err(()))
            }
            Step::Send(webhook) => {
                let had = find(&known, content_type).and_then(|known| known.webhook.as_ref());
                let had = had.filter(|_| wanted.is_silent());
                let (kept, lost) = (had.is_some() && webhook.is_some(), webhook.is_none());
                let outcome = session.call(Call::StartSubscription { content_type, webhook });
                if let Err(error) = &outcome {
                    code = code.max(session.fail(content_type.as_str(), error));
                    if kept && error.code.as_deref() == Some("AF20021") {
                        say(&format!(
                            "{content_type}: that is the webhook that it had; --webhook-remove \
                             starts it without\n"
                        ));
                    }
                }
                let (value, text) = told(outcome);
                let gone = had.filter(|_| lost).and_then(|webhook| webhook.address.as_deref());
                (
                    value,
                    text.map(|text| match gone {
                        None => text,
                        Some(address) => format!("{text}; {address} had expired, and is gone"),
                    }),
                )
            }
        };
        if let Ok(text) = text
            && !calls::json(matches)
        {
            print(&format!("{content_type}: {text}\n"));
        }
        let mut result = result;
        result["contentType"] = content_type.as_str().into();
        results.push(result);
    }
    if calls::json(matches) {
        print(&format!("{:#}\n", Value::from(results)));
    } else {
        print("\n");
        print(&paragraph(&format!(
            "Subscriptions belong to {}. The first content of a new one can take up to 12 hours. \
             Microsoft refuses a start within 15 minutes of another one of the same content type.",
            session.owner()
        )));
    }
    if code == COMPLETE { Ok(()) } else { Err(code) }
}

fn unchanged(known: Option<&Subscription>) -> Value {
    json!({ "result": "unchanged", "subscription": known.map(as_json) })
}

/// A start's outcome for programs, and for people unless it failed.
fn told(outcome: Result<Reply, CallError>) -> (Value, Result<String, ()>) {
    match outcome {
        Ok(Reply::Started(subscription)) => {
            let webhook = subscription.webhook.as_ref();
            let webhook = webhook.map_or_else(|| "no webhook".into(), describe);
            let value = json!({ "result": "started", "subscription": as_json(&subscription) });
            (value, Ok(format!("started, {webhook}")))
        }
        Ok(_) => (unchanged(None), Ok("enabled already; Microsoft changed nothing".into())),
        Err(error) => (failed(&error), Err(())),
    }
}

fn failed(error: &CallError) -> Value {
    json!({
        "result": "failed",
        "code": error.code,
        "message": error.message,
        "remedy": error.remedy,
    })
}

// Stop.

fn stop(mut session: Session, matches: &ArgMatches) -> Result<(), u8> {
    let types = named_types(matches);
    let names: Vec<&str> = types.iter().map(|ct| ct.as_str()).collect();
    if !matches.get_flag("yes") {
        if !io::stdin().is_terminal() {
            say("nothing was stopped: there is no terminal to ask on; --yes answers beforehand\n");
            return Err(MISCONFIGURED);
        }
        say(&paragraph(&format!(
            "This stops {} for {}. What Microsoft publishes until the next start can never be \
             read by it; a webhook is removed.",
            names.join(", "),
            session.owner()
        )));
        say("Stop? [y/N] ");
        if !agrees(&mut io::stdin().lock()) {
            say("nothing was stopped\n");
            return Err(INCOMPLETE);
        }
    }
    let (mut results, mut code) = (Vec::new(), COMPLETE);
    for content_type in types {
        let mut result = match session.call(Call::StopSubscription { content_type }) {
            Ok(_) => {
                if !calls::json(matches) {
                    print(&format!(
                        "{content_type}: stopped; content is lost until it is started\n"
                    ));
                }
                json!({ "result": "stopped" })
            }
            Err(error) if error.kind == CallErrorKind::NotSubscribed => {
                if !calls::json(matches) {
                    print(&format!("{content_type}: there is no subscription to stop\n"));
                }
                unchanged(None)
            }
            Err(error) => {
                code = code.max(session.fail(content_type.as_str(), &error));
                failed(&error)
            }
        };
        result["contentType"] = content_type.as_str().into();
        results.push(result);
    }
    if calls::json(matches) {
        print(&format!("{:#}\n", Value::from(results)));
    }
    if code == COMPLETE { Ok(()) } else { Err(code) }
}

#[cfg(test)]
mod tests;
