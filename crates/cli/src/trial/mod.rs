//! `m365-audit try`: shows what the program does without a tenant. Microsoft is simulated in this
//! process, on the loopback interface; the collector is the one of `run`.

mod account;
mod configurations;
mod console;
mod sink;

use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use m365_audit_client::{Client, Settings};
use m365_audit_core::{Level, RawOptions};
use m365_sim::{Listen, Server, SimConfig, Span};

use self::account::Account;
use self::console::say;
use self::sink::TrialSink;
use crate::exit::{COMPLETE, INCOMPLETE};
use crate::log::{Format, Log};
use crate::run::board::Board;
use crate::run::progress::{Progress, bars};
use crate::run::signals::Signals;

const AFTER_HELP: &str = "\
No tenant, no app registration and no network are needed; nothing is written to disk. The simulated
service keeps Microsoft's rules: tokens, windows, paging, quota.

Examples:
  m365-audit try                 # collect some hours of a made-up tenant, and compare
  m365-audit try --serve         # leave that tenant running, to collect from it with Fluent Bit
                                 # or with `m365-audit run`";

pub(crate) fn command() -> Command {
    Command::new("try")
        .about("Show what this does, without a tenant: Microsoft is simulated in this process")
        .after_help(AFTER_HELP)
        .args([
            Arg::new("hours")
                .long("hours")
                .value_name("N")
                .value_parser(value_parser!(u16).range(1..=167))
                .default_value("6")
                .help("Hours of history that the made-up tenant has, up to 167"),
            Arg::new("serve").long("serve").action(ArgAction::SetTrue).help(
                "Leave the simulated service running until Ctrl-C, publishing new events, and \
                 print configurations that collect from it as they are",
            ),
        ])
}

/// Shows it, and answers the exit code: 0 if everything that was published has arrived.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let hours = matches.get_one::<u16>("hours").copied().unwrap_or_default();
    let bars = bars();
    let log = Log::new(Level::Error, Format::Text, bars.clone());
    let shown = if matches.get_flag("serve") {
        serve(hours).map(|()| true)
    } else {
        collect(hours, &log, Progress::new("auto", bars))
    };
    match shown {
        Ok(true) => COMPLETE,
        Ok(false) => INCOMPLETE,
        Err(error) => {
            log.write(Level::Error, &format!("{error:#}"));
            INCOMPLETE
        }
    }
}

/// A tenant with a quiet but complete life: every feed, no faults, no oddities.
fn world(hours: u16, live: bool) -> SimConfig {
    SimConfig {
        days: f64::from(hours) / 24.0,
        blobs_per_hour: Span::new(2, 6),
        records_per_blob: Span::new(3, 60),
        lag_seconds: Span::new(0, 0),
        oddness: 0.0,
        subscribed: true,
        live,
        ..SimConfig::default()
    }
}

/// The options that collect from it, by the names that every packaging shares.
fn options(server: &Server) -> Result<RawOptions> {
    let microsoft = server.microsoft();
    let tenant = microsoft.tenants().first().context("the simulated service has no tenant")?;
    let app = tenant.apps.first().context("the simulated tenant has no app")?;
    let secret = app.secret().context("the simulated app has no secret")?;
    let options = [
        ("tenant_id", tenant.id.to_string()),
        ("client_id", app.client_id.to_string()),
        ("client_secret", secret.to_owned()),
        ("login_url", server.http_url()),
        ("api_url", server.http_url()),
        (
            "content_types",
            "Audit.AzureActiveDirectory, Audit.Exchange, Audit.SharePoint, \
                           Audit.General, DLP.All"
                .to_owned(),
        ),
        ("interval_sec", "1".to_owned()),
    ];
    Ok(options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Collects all there is, and says whether it arrived.
fn collect(hours: u16, log: &Log, progress: Progress) -> Result<bool> {
    let server = Server::start(world(hours, false), &Listen::default())
        .context("the simulated service cannot start")?;
    say(&format!(
        "A made-up tenant with {hours} h of audit events, served by a simulated Microsoft at\n{}. \
         Collecting from it as `m365-audit run` does:\n\n",
        server.http_url()
    ));
    let settings = Settings::parse(&options(&server)?).map_err(|errors| {
        anyhow::anyhow!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    let account = Account::of(server.microsoft().owed());
    let board = Board::new(progress, log.clone());
    let begun = Instant::now();
    let mut client = Client::open(settings, |handle| {
        TrialSink::new(account, handle, log.clone(), board.clone())
    })?;
    let handle = client.handle();
    let signals = Signals::watch(move |grace| handle.shutdown(grace), || {}, None, log.clone())
        .context("signals cannot be watched")?;
    let ended = client.run_until_shutdown();
    board.close();
    ended?;
    let account = client.sink().account();
    say(&account.table());
    let (took, requests) = (begun.elapsed(), server.microsoft().report().requests);
    let is_whole = account.is_whole();
    say(&match (is_whole, signals.came()) {
        (true, _) => format!(
            "\nEverything that was published has arrived, byte for byte: {} requests in {:.1} s.\n\
             \n{}",
            requests,
            took.as_secs_f64(),
            configurations::NEXT
        ),
        (false, true) => "\nInterrupted.\n".to_owned(),
        (false, false) => {
            "\nSomething is missing. Please report it, with this output.\n".to_owned()
        }
    });
    Ok(is_whole)
}

/// Leaves the service running, with what it takes to collect from it.
fn serve(hours: u16) -> Result<()> {
    let server = Server::start(world(hours, true), &Listen::default())
        .context("the simulated service cannot start")?;
    let signals = server.catch_signals().context("signals cannot be watched")?;
    say(&configurations::of(&options(&server)?));
    signals.wait();
    Ok(())
}
