//! The commands of `m365-audit host`, where wasmtime is built in.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use clap::ArgMatches;
use m365_audit_client::{
    Runtime, Settings, Slot, Status, Store, direct_client, http_client, tell_of_status,
};
use m365_audit_core::options::{HOST_OPTIONS, OptionSpec};
use m365_audit_core::{Level, MetadataPlace, RawOptions, Secret};
use m365_audit_host::{
    AllowList, Cause, Clients, Component, Guest, Host, HostSettings, LoadError, Outcome, RunError,
    Sandbox,
};
use m365_audit_sinks::{Flow, Logger};

use crate::exit::{COMPLETE, INCOMPLETE, MISCONFIGURED};
use crate::host::sink::{HostSink, Network, Target};
use crate::log::Log;
use crate::output::{Memory, SharedOutput, lock};
use crate::run::Destination;
use crate::run::signals::Signals;
use crate::{arguments, run, sources};

/// The word for the component inside this program.
const BUILTIN: &str = "builtin";

/// An exit code and the last words.
struct Ending {
    code: u8,
    level: Level,
    words: String,
}

impl Ending {
    fn failed(words: impl std::fmt::Display) -> Self {
        Self { code: INCOMPLETE, level: Level::Error, words: words.to_string() }
    }

    fn misconfigured(words: impl std::fmt::Display) -> Self {
        Self { code: MISCONFIGURED, ..Self::failed(words) }
    }
}

/// Does what is asked, and answers the exit code.
pub(super) fn main(matches: &ArgMatches) -> u8 {
    match matches.subcommand() {
        Some(("describe", matches)) => describe(matches),
        Some(("check", matches)) => with_settings(matches, check),
        Some(("run", matches)) => with_settings(matches, collect),
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

fn sandbox(
    host: &HostSettings,
    clients: Option<Clients>,
    allowed: AllowList,
    logger: Logger,
) -> Sandbox {
    Sandbox {
        clients,
        allowed: allowed.into(),
        memory_bytes_max: host.memory_bytes_max,
        batch_bytes_max: host.batch_bytes_max,
        call_timeout: host.call_timeout,
        check_timeout: host.check_timeout,
        logger,
    }
}

/// Everything that a call with a configuration needs.
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
    /// Whether a closed stdin is the end.
    stdin: bool,
    log: Log,
    /// Where others see how it stands, once that is so.
    status: Arc<OnceLock<Slot>>,
    /// Reads everything again, for a credential that has changed in its file.
    refresh: Box<dyn Fn() -> Option<Secret<String>>>,
}

/// The options that this command has, those of collection first.
fn specs() -> Vec<&'static OptionSpec> {
    let specs = arguments::specs().filter(|spec| !arguments::receives(spec.name));
    specs.chain(HOST_OPTIONS).collect()
}

/// Reads everything, tells every mistake at once, and does `what`.
fn with_settings(matches: &ArgMatches, what: fn(Prepared) -> Ending) -> u8 {
    let (log, progress) = run::shown(matches);
    log.warn_of_variables();
    let opened = |raw: &RawOptions| Destination::open(matches, raw, &log);
    let read = sources::with_more(matches, &specs(), opened, HostSettings::parse);
    let (settings, host, destination) = match read {
        Ok(read) => read,
        Err(report) => {
            // Nothing can be told any more if stderr is gone.
            drop(io::stderr().write_all(report.as_bytes()));
            return MISCONFIGURED;
        }
    };
    let prepare = || -> Result<Prepared, Ending> {
        let component = load(matches).map_err(Ending::misconfigured)?;
        let status = Arc::new(OnceLock::<Slot>::new());
        let logger = logger(&log, &status);
        let clients = http_client(&settings.native)
            .and_then(|usual| {
                let proxy = settings.native.proxy.clone();
                Ok(Clients { usual, direct: direct_client(&settings.native)?, proxy })
            })
            .map_err(|error| Ending::failed(format!("the HTTP client: {error}")))?;
        let allowed = AllowList::new(settings.config.origins())
            .with_direct(settings.config.identity_address());
        let once = matches.get_flag("once");
        let (target, shared, metadata) = target(destination, &settings, &logger)?;
        Ok(Prepared {
            config: config_json(&settings, once, metadata),
            sandbox: sandbox(&host, Some(clients), allowed, logger),
            sink: HostSink::new(target, progress, log.clone()),
            output: shared,
            settings,
            component,
            once,
            stdin: matches.get_flag("stop-on-stdin-close"),
            log: log.clone(),
            status,
            refresh: refresh(matches, once, metadata),
        })
    };
    let ending = prepare().map_or_else(|ending| ending, what);
    log.write(ending.level, &ending.words);
    ending.code
}

/// What records are brought to, the output if it is one of lines, and where metadata are if nobody
/// has said it.
fn target(
    destination: Destination,
    settings: &Settings,
    logger: &Logger,
) -> Result<(Target, Option<SharedOutput>, MetadataPlace), Ending> {
    let options = match destination {
        Destination::Lines(output) => {
            let output = Arc::new(Mutex::new(*output));
            let target = Target::Lines(Arc::clone(&output), Memory::new());
            return Ok((target, Some(output), MetadataPlace::Off));
        }
        Destination::Network(options) => options,
    };
    let metadata = options.metadata();
    let envelope = settings.config.envelope().clone().or(metadata);
    let flow = Flow::new(settings.config.tenant_id(), &envelope);
    let receiver = options.receiver(logger).map_err(Ending::misconfigured)?;
    let receiver = receiver.ok_or_else(|| Ending::misconfigured("sink: none over a network"))?;
    Ok((Target::Network(Box::new(Network::new(receiver, flow))), None, metadata))
}

/// Where the host's and the component's lines go: into the log, and to whoever looks.
fn logger(log: &Log, status: &Arc<OnceLock<Slot>>) -> Logger {
    let (lines, told) = (log.clone(), Arc::clone(status));
    Logger::new(move |level, message| {
        told.get().into_iter().for_each(|status| status.tell(level, message));
        lines.write(level, message);
    })
}

/// The component of `--component`.
fn load(matches: &ArgMatches) -> Result<Component, LoadError> {
    let path = matches
        .get_one::<PathBuf>("component")
        .map_or_else(|| Path::new(BUILTIN), PathBuf::as_path);
    if path == Path::new(BUILTIN) { Component::builtin() } else { Component::from_file(path) }
}

/// What reads the configuration again; nothing if it is wrong by now.
fn refresh(
    matches: &ArgMatches,
    once: bool,
    metadata: MetadataPlace,
) -> Box<dyn Fn() -> Option<Secret<String>>> {
    let matches = matches.clone();
    Box::new(move || {
        let read = sources::with_more(&matches, &specs(), |_| Ok(()), HostSettings::parse);
        read.ok().map(|(settings, ..)| config_json(&settings, once, metadata))
    })
}

/// The options of the core as the component takes them: an object, its values as text. `metadata`:
/// where they are if nobody has said it.
fn config_json(settings: &Settings, once: bool, metadata: MetadataPlace) -> Secret<String> {
    let options = settings.core_options.expose().iter();
    let mut object: serde_json::Map<_, _> =
        options.map(|(name, text)| (name.clone(), text.as_str().into())).collect();
    if once {
        object.insert("once".into(), true.into());
    }
    if metadata == MetadataPlace::Event {
        object.entry("metadata").or_insert_with(|| "event".into());
    }
    Secret::new(serde_json::Value::Object(object).to_string())
}

fn check(mut prepared: Prepared) -> Ending {
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

fn collect(prepared: Prepared) -> Ending {
    let Prepared {
        settings,
        component,
        sandbox,
        config,
        mut sink,
        output,
        once,
        stdin,
        log,
        status,
        refresh,
    } = prepared;
    let accepted = |output: &SharedOutput| run::accept(&lock(output), settings.native.db.is_some());
    if let Some(Err(refusal)) = output.as_ref().map(accepted) {
        return Ending::misconfigured(refusal.trim_end());
    }
    tell_risks(&settings, &log);
    let store = match Store::open(settings.native.db.as_ref(), settings.config.tenant_id()) {
        Ok(store) => store,
        Err(error) => return Ending::failed(error),
    };
    // Shown for as long as this function runs.
    let shown = match show(&settings, &status, &log) {
        Ok(shown) => shown,
        Err(ending) => return ending,
    };
    sink.show_at(status.get().cloned());
    let mut host = match Host::new(component, sandbox, config, store, sink, once) {
        Ok(host) => host.refresh(refresh),
        Err(error) => return Ending::failed(error),
    };
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
    let losses = host.sink().close();
    drop(shown);
    let mut ending = verdict(&result, once && signals.came());
    if losses > 0 {
        ending.level = ending.level.min(Level::Warn);
        ending.words.push_str(&run::losses_words(losses));
    }
    ending
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
        status.get_or_init(|| shown.enter_component("", settings.config.tenant_id()));
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
