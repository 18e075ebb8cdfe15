//! The commands of `m365-audit host`, where wasmtime is built in.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use clap::ArgMatches;
use m365_audit_client::{
    Runtime, Settings, Slot, Status, Store, Tenants, TenantsFile, direct_client, http_client,
    tell_of_status,
};
use m365_audit_core::options::{HOST_OPTIONS, OptionSpec};
use m365_audit_core::{Level, MetadataPlace, RawOptions, Secret};
use m365_audit_host::{
    AllowList, Cause, Clients, Component, Guest, Host, HostSettings, LoadError, Outcome, RunError,
    Sandbox,
};
use m365_audit_sinks::Logger;

use crate::exit::{COMPLETE, INCOMPLETE, MISCONFIGURED};
use crate::host::many::{self, Hosts};
use crate::host::outlet::Outlet;
use crate::host::parts::{Ending, allowed, config_json, logger, sandbox};
use crate::host::sink::HostSink;
use crate::log::Log;
use crate::output::{SharedOutput, lock};
use crate::run::board::Board;
use crate::run::signals::Signals;
use crate::run::{Destination, Opened};
use crate::sources::Plan;
use crate::{arguments, run, sources};

/// The word for the component inside this program.
const BUILTIN: &str = "builtin";

/// Does what is asked, and answers the exit code.
pub(super) fn main(matches: &ArgMatches) -> u8 {
    match matches.subcommand() {
        Some(("describe", matches)) => describe(matches),
        Some(("check", matches)) => check(matches),
        Some(("run", matches)) => run(matches),
        _ => unreachable!("clap insists on a command and knows no other"),
    }
}

fn describe(matches: &ArgMatches) -> u8 {
    let nobody = Logger::new(|_, _| {});
    let describe = || -> Result<String, String> {
        let component = load(matches).map_err(|error| error.to_string())?;
        let sandbox = sandbox_without_network(nobody)?;
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let mut guest = Guest::new(&component, &sandbox).await.map_err(|e| e.to_string())?;
            guest.describe(&component).await.map_err(|error| error.to_string())
        })
    };
    match describe() {
        Ok(text) => {
            // A reader that has seen enough is no failure.
            drop(writeln!(io::stdout(), "{}", text.trim_end()));
            COMPLETE
        }
        Err(error) => {
            drop(writeln!(io::stderr(), "{error}"));
            MISCONFIGURED
        }
    }
}

/// For calls that need no network: none is there.
fn sandbox_without_network(logger: Logger) -> Result<Sandbox, String> {
    let defaults = HostSettings::parse(&RawOptions::new())
        .map_err(|_| "the defaults of the host's options are wrong".to_owned())?;
    Ok(sandbox(&defaults, None, AllowList::new(std::iter::empty()), logger))
}

/// Everything that calls for one tenant need.
struct Prepared {
    settings: Settings,
    component: Component,
    sandbox: Sandbox,
    /// What the component is given, as JSON.
    config: Secret<String>,
    sink: HostSink,
    /// What the lines go to, if they do.
    output: Option<SharedOutput>,
    once: bool,
    board: Board,
    log: Log,
    /// Where others see how it stands.
    shown: Option<Status>,
    /// Reads everything again, for a credential that has changed in its file.
    refresh: Refresh,
}

/// What reads the configuration again; nothing if it is wrong by now.
type Refresh = Box<dyn Fn() -> Option<Secret<String>> + Send + Sync>;

/// The options that this command has, those of collection first.
fn specs() -> Vec<&'static OptionSpec> {
    let specs = arguments::specs().filter(|spec| !arguments::receives(spec.name));
    specs.chain(HOST_OPTIONS).collect()
}

/// Tells every mistake at once.
fn refuse(report: &str) -> u8 {
    // Nothing can be told any more if stderr is gone.
    drop(io::stderr().write_all(report.as_bytes()));
    MISCONFIGURED
}

fn check(matches: &ArgMatches) -> u8 {
    let read = sources::with_more(matches, &specs(), Opened::open, HostSettings::parse);
    let (settings, host, opened) = match read {
        Ok(read) => read,
        Err(report) => return refuse(&report),
    };
    let Opened { destination, log, progress } = opened;
    let board = Board::new(progress, log.clone());
    let prepared =
        Prepared::new(matches, settings, &host, destination, (board, log.clone()), false);
    end(&log, prepared.map_or_else(|ending| ending, try_it))
}

fn run(matches: &ArgMatches) -> u8 {
    let read = sources::plan_with_more(matches, &specs(), Opened::open, HostSettings::parse);
    let (plan, limits, opened) = match read {
        Ok(read) => read,
        Err(report) => return refuse(&report),
    };
    let Opened { destination, log, progress } = opened;
    let stdin = matches.get_flag("stop-on-stdin-close");
    let board = Board::new(progress, log.clone());
    let (settings, people) = match plan {
        Plan::One(settings) => (settings, (board, log.clone())),
        Plan::Many(file, tenants) => {
            let hosts = hosts(matches, &tenants, file, limits, destination, (board, log.clone()));
            return end(
                &log,
                hosts.map_or_else(|ending| ending, |hosts| many::collect(hosts, tenants, stdin)),
            );
        }
    };
    let prepared = Prepared::new(matches, *settings, &limits, destination, people, true);
    end(&log, prepared.map_or_else(|ending| ending, |prepared| collect(prepared, stdin)))
}

fn end(log: &Log, ending: Ending) -> u8 {
    log.write(ending.level, &ending.words);
    ending.code
}

fn clients(settings: &Settings) -> Result<Clients, Ending> {
    let clients = http_client(&settings.native).and_then(|usual| {
        let proxy = settings.native.proxy.clone();
        let direct = direct_client(&settings.native)?;
        Ok(Clients::new(usual, direct, proxy, settings.native.in_flight_total))
    });
    clients.map_err(|error| Ending::failed(format!("the HTTP client: {error}")))
}

/// What the fleet of a tenants file is made of.
fn hosts(
    matches: &ArgMatches,
    tenants: &Tenants,
    file: TenantsFile,
    limits: HostSettings,
    destination: Destination,
    (board, log): (Board, Log),
) -> Result<Hosts, Ending> {
    let nobody = || Ending::misconfigured("tenants_file: no tenant in it");
    // Options of the process, the same in each.
    let settings = &tenants.tenants.first().ok_or_else(nobody)?.settings;
    let component = Arc::new(load(matches).map_err(Ending::misconfigured)?);
    let clients = clients(settings)?;
    let outlet = Outlet::new(destination, run::COURIERS_OF_MANY, &run::logger(&log))
        .map_err(Ending::misconfigured)?;
    let has_db = tenants.tenants.iter().any(|tenant| tenant.settings.native.db.is_some());
    accept(outlet.output(), has_db)?;
    let once = matches.get_flag("once");
    Ok(Hosts { component, clients, limits, outlet, once, board, log, file })
}

/// Says what the output is, if it is of use.
fn accept(output: Option<&SharedOutput>, has_db: bool) -> Result<(), Ending> {
    let accepted = output.map_or(Ok(()), |output| run::accept(&lock(output), has_db));
    accepted.map_err(|refusal| Ending::misconfigured(refusal.trim_end()))
}

impl Prepared {
    fn new(
        matches: &ArgMatches,
        settings: Settings,
        host: &HostSettings,
        destination: Destination,
        (board, log): (Board, Log),
        to_be_seen: bool,
    ) -> Result<Self, Ending> {
        let component = load(matches).map_err(Ending::misconfigured)?;
        let name = settings.config.envelope().tenant_name.as_deref();
        let log = log.of_only(name.unwrap_or_else(|| settings.config.tenant_id()));
        let status = Arc::new(OnceLock::<Slot>::new());
        let logger = logger(&log, &status);
        let clients = clients(&settings)?;
        let once = matches.get_flag("once");
        let outlet = Outlet::new(destination, 1, &logger).map_err(Ending::misconfigured)?;
        let metadata = outlet.metadata();
        if to_be_seen {
            accept(outlet.output(), settings.native.db.is_some())?;
        }
        let shown = if to_be_seen { show(&settings, &status, &log)? } else { None };
        let sink = HostSink::new(outlet.target(&settings.config), board.clone(), log.clone());
        Ok(Self {
            config: config_json(&settings, once, metadata),
            sandbox: sandbox(host, Some(clients), allowed(&settings), logger),
            sink: sink.show_at(status.get().cloned()),
            output: outlet.output().cloned(),
            settings,
            component,
            once,
            board,
            log,
            shown,
            refresh: refresh(matches, once, metadata),
        })
    }
}

/// The component of `--component`.
fn load(matches: &ArgMatches) -> Result<Component, LoadError> {
    let path = matches
        .get_one::<PathBuf>("component")
        .map_or_else(|| Path::new(BUILTIN), PathBuf::as_path);
    if path == Path::new(BUILTIN) { Component::builtin() } else { Component::from_file(path) }
}

/// What reads the configuration again; nothing if it is wrong by now.
fn refresh(matches: &ArgMatches, once: bool, metadata: MetadataPlace) -> Refresh {
    let matches = matches.clone();
    Box::new(move || {
        let read = sources::with_more(&matches, &specs(), |_| Ok(()), HostSettings::parse);
        read.ok().map(|(settings, ..)| config_json(&settings, once, metadata))
    })
}

/// Signs in and looks at the subscriptions, and reaches the receiver.
fn try_it(mut prepared: Prepared) -> Ending {
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return Ending::failed(format!("the runtime cannot be set up: {error}")),
    };
    let (component, sandbox) = (&prepared.component, &prepared.sandbox);
    let config = &prepared.config;
    let checked = runtime.block_on(async {
        let mut guest = Guest::new(component, sandbox).await.map_err(Ending::failed)?;
        let answer = guest.check(component, config).await.map_err(Ending::failed)?;
        answer.map_err(|failure| match failure.cause {
            Cause::Config => Ending::misconfigured(failure.message),
            Cause::Auth
            | Cause::Throttled
            | Cause::Transient
            | Cause::Permanent
            | Cause::StateRequired => Ending::failed(failure.message),
        })?;
        prepared.sink.check().await.map_err(Ending::failed)
    });
    match checked {
        Ok(()) => Ending {
            code: COMPLETE,
            level: Level::Info,
            words: "signed in and looked at the subscriptions; everything is in place".into(),
        },
        Err(ending) => ending,
    }
}

fn collect(prepared: Prepared, stdin: bool) -> Ending {
    let Prepared { settings, component, sandbox, config, sink, .. } = prepared;
    let Prepared { output, once, board, log, shown, refresh, .. } = prepared;
    tell_risks(&settings, &log);
    let store = match Store::open(settings.native.db.as_ref(), settings.config.tenant_id()) {
        Ok(store) => store,
        Err(error) => return Ending::failed(error),
    };
    let mut host = Host::new(component, sandbox, config, store, sink, once).refresh(refresh);
    let stop = host.stop();
    let stop = move |grace| stop.stop(grace);
    // The host reads its files again when they change, and at no other time.
    let signals = match Signals::watch(stop, || {}, output.as_ref(), log.clone()) {
        Ok(signals) => signals,
        Err(error) => return Ending::failed(format!("signals cannot be watched: {error}")),
    };
    if stdin {
        signals.raise_when_stdin_closes(&log);
    }
    let result = host.run();
    host.sink().end();
    let losses = board.close();
    drop(shown);
    verdict(&result, once && signals.came()).with_losses(losses)
}

/// What the options give up.
fn tell_risks(settings: &Settings, log: &Log) {
    if settings.native.db.is_none() {
        log.write(
            Level::Warn,
            "no db is set: progress is kept in memory only, and every start collects from lookback \
             again",
        );
    }
    if !settings.native.verify_tls {
        log.write(Level::Warn, "verify_tls is off: anyone on the way can read the client secret");
    }
}

/// Shows how it stands, if the options say so.
fn show(settings: &Settings, status: &OnceLock<Slot>, log: &Log) -> Result<Option<Status>, Ending> {
    let mut options = settings.native.status.clone();
    options.packaging = "host";
    let shown = Status::start(&options).map_err(Ending::failed)?;
    tell_of_status(shown.as_ref(), |level, line| log.write(level, line));
    if let Some(shown) = &shown {
        let config = &settings.config;
        let name = config.envelope().tenant_name.as_deref().unwrap_or_default();
        status.get_or_init(|| shown.enter_component(name, config.tenant_id()));
    }
    Ok(shown)
}

/// The exit code and the last words.
fn verdict(result: &Result<Option<Outcome>, RunError>, interrupted: bool) -> Ending {
    let ending = |code, level, words: &str| Ending { code, level, words: words.into() };
    match result {
        Ok(Some(Outcome::Complete)) => ending(COMPLETE, Level::Info, "complete"),
        Ok(Some(Outcome::Incomplete)) => ending(INCOMPLETE, Level::Warn, run::INCOMPLETE_WORDS),
        Ok(None) if interrupted => {
            ending(INCOMPLETE, Level::Warn, "interrupted; with the same db the next run goes on")
        }
        // Who collects for ever is always interrupted in the middle.
        Ok(None) => {
            ending(COMPLETE, Level::Info, "stopped; everything that was written is recorded")
        }
        Err(error @ RunError::Config(_)) => Ending::misconfigured(error),
        Err(error) => Ending::failed(error),
    }
}
