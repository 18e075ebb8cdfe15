//! What the commands that make single calls have in common: arguments, a session, and the way
//! they fail. Prints nothing to stdout.

pub(crate) mod moment;
pub(crate) mod table;

use std::io::{self, BufRead, Write};

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches};
use indicatif::MultiProgress;
use m365_audit_client::{Calls, Settings, Sink};
use m365_audit_core::call::{Call, CallError, CallErrorKind, Reply};
use m365_audit_core::{Batch, ContentType, Level, RawOptions};

use crate::exit::{INCOMPLETE, MISCONFIGURED};
use crate::log::{Format, Log};
use crate::names::heading;
use crate::{arguments, sources};

/// Options that decide how the API is reached: what `--help` of these commands shows.
const SHOWN: &[&str] = &[
    "cloud",
    "login_url",
    "api_url",
    "resource",
    "token_endpoint",
    "publisher_id",
    "requests_per_minute",
    "request_timeout",
    "proxy_url",
    "ca_file",
    "verify_tls",
];

/// Beginnings of the names of options that say who signs in, and how.
const SHOWN_PREFIXES: &[&str] =
    &["tenant", "client", "certificate", "auth", "federated", "managed", "identity"];

/// Said under every one of them.
pub(crate) const AFTER_HELP: &str = "\
Takes the options, variables and --config file of `m365-audit run`; those that do not matter here
are not shown. Exit codes: 0 done, 1 failed, 2 wrong configuration or argument.";

/// The arguments that all these commands take. `also` names further options worth showing.
pub(crate) fn args(also: &[&str]) -> Vec<Arg> {
    let own = [
        Arg::new("config")
            .long("config")
            .env("M365_AUDIT_CONFIG")
            .value_name("FILE")
            .value_parser(ValueParser::path_buf())
            .help("TOML file with the options below"),
        Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON for programs"),
        arguments::words("log-level", &["error", "warn", "info", "debug"], "warn")
            .help("The least important lines to show on stderr"),
        arguments::words("log-format", &["text", "json"], "text").help("How lines on stderr look"),
    ];
    let of_collectors = |name: &str| arguments::receives(name) || arguments::is_status(name);
    let options = arguments::args().filter(|arg| !of_collectors(arg.get_id().as_str()));
    let options = options.map(|arg| {
        let name = arg.get_id().as_str();
        let shown = SHOWN.contains(&name)
            || also.contains(&name)
            || SHOWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        arg.help_heading("Connection").hide(!shown)
    });
    own.into_iter().chain(options).collect()
}

/// `--fluent-bit FILE`.
pub(crate) fn fluent_bit_arg() -> Arg {
    Arg::new("fluent-bit")
        .long("fluent-bit")
        .value_name("FILE")
        .value_parser(ValueParser::path_buf())
        .help("A configuration of Fluent Bit, YAML or classic: its sections m365_audit")
}

/// The argument for one content type, in any case, or for several.
pub(crate) fn content_types(several: bool) -> Arg {
    let names = ContentType::ALL.map(ContentType::as_str);
    Arg::new("type")
        .value_name("TYPE")
        .required(true)
        .num_args(1..=if several { usize::MAX } else { 1 })
        .ignore_case(true)
        .value_parser(PossibleValuesParser::new(names))
        .help("Content type, in any case")
}

/// The content types that were named, each once.
pub(crate) fn named_types(matches: &ArgMatches) -> Vec<ContentType> {
    let mut types = Vec::new();
    for name in matches.get_many::<String>("type").into_iter().flatten() {
        types.extend(ContentType::parse(name).filter(|known| !types.contains(known)));
    }
    types
}

/// A connection to the API of one tenant.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) calls: Calls,
    pub(crate) log: Log,
}

impl Session {
    /// Reads all settings. Sends nothing.
    ///
    /// # Errors
    /// The exit code; why is said on stderr.
    pub(crate) fn open(matches: &ArgMatches) -> Result<Self, u8> {
        let log = log(matches);
        log.warn_of_variables();
        Self::of(&Self::settings(matches)?, log)
    }

    /// The same for the Activities API, whatever is collected.
    ///
    /// # Errors
    /// The exit code; why is said on stderr.
    pub(crate) fn open_activities(matches: &ArgMatches) -> Result<Self, u8> {
        let log = log(matches);
        log.warn_of_variables();
        let settings = sources::activities_settings(matches).map_err(|report| {
            say(&report);
            MISCONFIGURED
        })?;
        Self::of(&settings, log)
    }

    /// Reads all settings.
    ///
    /// # Errors
    /// The exit code; why is said on stderr.
    pub(crate) fn settings(matches: &ArgMatches) -> Result<Settings, u8> {
        sources::settings(matches, None).map_err(|report| {
            say(&report);
            MISCONFIGURED
        })
    }

    /// A session with settings that are known.
    ///
    /// # Errors
    /// The exit code; why is said on stderr.
    pub(crate) fn of(settings: &Settings, log: Log) -> Result<Self, u8> {
        let calls = Calls::open(settings).map_err(|error| {
            log.write(Level::Error, &error.to_string());
            INCOMPLETE
        })?;
        Ok(Self { calls, log })
    }

    /// Makes a call that yields no records.
    ///
    /// # Errors
    /// If it fails.
    pub(crate) fn call(&mut self, call: Call) -> Result<Reply, CallError> {
        self.calls.call(call, &mut Listener(&self.log))
    }

    /// Says how a call failed. Answers the exit code.
    pub(crate) fn fail(&self, about: &str, error: &CallError) -> u8 {
        let text = if about.is_empty() { error.to_string() } else { format!("{about}: {error}") };
        self.log.write(Level::Error, &text);
        code_of(error)
    }

    /// Who these answers are about.
    pub(crate) fn owner(&self) -> String {
        let config = self.calls.config();
        let app =
            if config.client_id().is_empty() { "of this identity" } else { config.client_id() };
        let name = config.envelope().tenant_name.as_deref();
        format!("application {app} in tenant {}", heading(name, config.tenant_id()))
    }
}

/// The exit code of a failed call.
pub(crate) const fn code_of(error: &CallError) -> u8 {
    match error.kind {
        CallErrorKind::Argument => MISCONFIGURED,
        CallErrorKind::Credentials
        | CallErrorKind::Denied
        | CallErrorKind::NotSubscribed
        | CallErrorKind::Gone
        | CallErrorKind::CoolDown(_)
        | CallErrorKind::Throttled
        | CallErrorKind::Address
        | CallErrorKind::Unavailable
        | CallErrorKind::Stopped => INCOMPLETE,
    }
}

/// The log that the arguments ask for.
pub(crate) fn log(matches: &ArgMatches) -> Log {
    log_above(matches, MultiProgress::new())
}

/// The same for a command that draws bars.
pub(crate) fn log_above(matches: &ArgMatches, bars: MultiProgress) -> Log {
    let word = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let format = if word("log-format") == "json" { Format::Json } else { Format::Text };
    Log::new(arguments::level(word("log-level")), format, bars)
}

/// An argument of [`args`], the tenant's with a shorter name.
pub(crate) fn with_tenant(arg: Arg) -> Arg {
    if arg.get_id() == "tenant_id" { arg.visible_alias("tenant") } else { arg }
}

/// Whether JSON is wanted.
pub(crate) fn json(matches: &ArgMatches) -> bool {
    matches.get_flag("json")
}

/// Writes to stdout. A reader that has seen enough is no failure.
pub(crate) fn print(text: &str) {
    drop(io::stdout().write_all(text.as_bytes()));
}

/// Writes to stderr. Nothing can be told any more if it is gone.
pub(crate) fn say(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

/// Runs a command that looks at a stored state, with its options; what it refuses is told. Answers
/// the exit code.
pub(crate) fn look(
    matches: &ArgMatches,
    run: impl FnOnce(&RawOptions) -> Result<u8, (u8, String)>,
) -> u8 {
    let (code, words) = match sources::gathered(matches) {
        Ok(raw) => match run(&raw) {
            Ok(code) => return code,
            Err((code, words)) => (code, format!("{words}\n")),
        },
        Err(report) => (MISCONFIGURED, report),
    };
    say(&words);
    code
}

/// Whether somebody says yes.
pub(crate) fn agrees(answers: &mut dyn BufRead) -> bool {
    let mut line = String::new();
    let read = answers.read_line(&mut line).is_ok();
    read && matches!(&*line.trim().to_ascii_lowercase(), "y" | "yes")
}

/// Logs what happens on the way.
struct Listener<'a>(&'a Log);

impl Sink for Listener<'_> {
    fn emit(&mut self, _: Batch) -> anyhow::Result<()> {
        anyhow::bail!("records came where none were asked for")
    }

    fn log(&mut self, level: Level, message: &str) {
        self.0.write(level, message);
    }
}
