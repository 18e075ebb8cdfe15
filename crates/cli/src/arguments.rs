//! Flags and environment variables of the options table. Knows names, reads no value.

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgMatches};
use m365_audit_core::Level;
use m365_audit_core::config::nearest;
use m365_audit_core::options::{HOST_OPTIONS, Kind, OPTIONS, OptionSpec, Scope};
use m365_audit_sinks::SINK_OPTIONS;

use crate::output_settings::{OUTPUT_OPTIONS, SHOWN_OPTIONS};

/// The options that the command line has: all but those of Fluent Bit.
pub(crate) fn specs() -> impl Iterator<Item = &'static OptionSpec> {
    OPTIONS.iter().filter(|spec| spec.scope != Scope::FluentBit)
}

/// `--db-sync` for `db.sync`.
pub(crate) fn flag(name: &str) -> String {
    format!("--{}", long(name))
}

/// `M365_AUDIT_DB_SYNC` for `db.sync`.
pub(crate) fn variable(name: &str) -> String {
    format!("M365_AUDIT_{}", name.replace('.', "_").to_uppercase())
}

/// One flag per option of collection.
pub(crate) fn args() -> impl Iterator<Item = Arg> {
    args_of(specs(), "Collection")
}

/// One flag per option. Defaults are told, not set: a file may come before them.
pub(crate) fn args_of(
    specs: impl Iterator<Item = &'static OptionSpec>,
    heading: &'static str,
) -> impl Iterator<Item = Arg> {
    specs.map(move |spec| {
        let arg = Arg::new(spec.name)
            .long(long(spec.name))
            .env(variable(spec.name))
            .hide_env_values(true)
            .value_name(value_name(spec.kind))
            .allow_hyphen_values(true)
            .help(help(spec))
            .help_heading(heading);
        // A flag alone, too: with what is known of a record around it.
        match spec.name {
            "metadata" => arg.num_args(0..=1).require_equals(true).default_missing_value("event"),
            _ => arg,
        }
    })
}

/// `--db`, for commands that look into a state and collect nothing.
pub(crate) fn db(help: &'static str) -> Arg {
    Arg::new("db")
        .long("db")
        .env(variable("db"))
        .hide_env_values(true)
        .value_name("PATH")
        .value_parser(ValueParser::path_buf())
        .help(help)
}

/// One flag per option of output files.
pub(crate) fn output_args() -> impl Iterator<Item = Arg> {
    args_of(OUTPUT_OPTIONS.iter(), "Output file")
}

/// One flag per option of what people see.
pub(crate) fn shown_args() -> impl Iterator<Item = Arg> {
    args_of(SHOWN_OPTIONS.iter(), "Log and progress").map(|arg| {
        let spec = SHOWN_OPTIONS.iter().find(|spec| spec.name == arg.get_id().as_str());
        match spec.map(|spec| spec.kind) {
            Some(Kind::Choice(words)) => arg.value_parser(PossibleValuesParser::new(words)),
            _ => arg,
        }
    })
}

/// One flag per option of sinks.
pub(crate) fn sink_args() -> impl Iterator<Item = Arg> {
    args_of(SINK_OPTIONS.iter(), "Sink")
}

/// The options that say where records go, and what people see of it. Commands that bring none
/// anywhere leave them alone: one file is for all.
pub(crate) fn destination() -> impl Iterator<Item = &'static OptionSpec> {
    SINK_OPTIONS.iter().chain(OUTPUT_OPTIONS).chain(SHOWN_OPTIONS)
}

/// Whether an option is about receiving notifications, which only `run` and the plugin do.
pub(crate) fn receives(name: &str) -> bool {
    name.starts_with("webhook_")
}

/// Whether an option is about being looked at while collecting.
pub(crate) fn is_status(name: &str) -> bool {
    matches!(name, "status_listen" | "metrics_file")
}

/// The value of a flag, or of its variable; an empty variable counts as unset. `None` as well for
/// an option that the command does not have.
pub(crate) fn value<'a>(matches: &'a ArgMatches, name: &str) -> Option<(&'a str, bool)> {
    let text = matches.try_get_one::<String>(name).ok().flatten()?;
    let from_flag = matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
    (from_flag || !text.is_empty()).then_some((text, from_flag))
}

fn long(name: &str) -> String {
    name.replace(['_', '.'], "-")
}

/// Arguments of the command line alone, of which some have a variable.
const OWN_FLAGS: [(&str, bool); 4] =
    [("config", true), ("once", false), ("stop_on_stdin_close", false), ("component", true)];

/// Variables that the plugin, the build and the tests read.
const OTHER_VARIABLES: [&str; 6] = [
    "M365_AUDIT_PLUGIN",
    "M365_AUDIT_SO",
    "M365_AUDIT_WASM",
    "M365_AUDIT_KILLS",
    "M365_AUDIT_BUILTIN_COMPONENT",
    "M365_AUDIT_COMPONENT_FILE",
];

/// The flag that somebody means who writes `name` as an option.
pub(crate) fn own_flag(name: &str) -> Option<String> {
    let name = name.replace('-', "_").to_ascii_lowercase();
    OWN_FLAGS.iter().any(|(own, _)| *own == name).then(|| flag(&name))
}

/// What is to be told of the variables in the environment that look like options and are none.
pub(crate) fn unknown_variables(names: impl Iterator<Item = String>) -> Vec<String> {
    let known = |name: &str| {
        let all = OPTIONS.iter().chain(HOST_OPTIONS).chain(destination());
        let mut all = all.map(|spec| variable(spec.name));
        let mut own = OWN_FLAGS.iter().filter(|(_, has)| *has).map(|(own, _)| variable(own));
        all.any(|known| known == name)
            || own.any(|known| known == name)
            || OTHER_VARIABLES.contains(&name)
    };
    let told = names.filter(|name| !known(name)).filter_map(|name| {
        let option = name.strip_prefix("M365_AUDIT_")?.to_lowercase();
        let remedy = match (own_flag(&option), nearest(&option)) {
            (Some(flag), _) => format!("it is a flag alone: {flag}"),
            (None, Some(known)) => format!("did you mean {}?", variable(known)),
            (None, None) => "see `m365-audit options`".into(),
        };
        Some(format!("{name}: no such option, and ignored; {remedy}"))
    });
    told.collect()
}

/// An argument of the command line alone that takes one of some words.
pub(crate) fn words(name: &'static str, words: &'static [&str], default: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .env(variable(&name.replace('-', "_")))
        .hide_env_values(true)
        .value_name("WORD")
        .value_parser(PossibleValuesParser::new(words))
        .default_value(default)
}

/// The level that `--log-level` names.
pub(crate) fn level(word: &str) -> Level {
    match word {
        "error" => Level::Error,
        "warn" => Level::Warn,
        "debug" => Level::Debug,
        _ => Level::Info,
    }
}

const fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Secret => "TEXT",
        Kind::Path => "PATH",
        Kind::Url => "URL",
        Kind::Integer { .. } => "N",
        Kind::Boolean => "on|off",
        Kind::Duration { .. } => "TIME",
        Kind::Size { .. } => "SIZE",
        Kind::Choice(_) => "WORD",
        Kind::List(_) | Kind::FreeList(_) => "LIST",
    }
}

fn help(spec: &OptionSpec) -> String {
    let mut help = spec.help.to_owned();
    if spec.kind == Kind::Secret {
        help.push_str(
            " Better not given as a flag, which other users of the machine can see: use the \
             variable or a file.",
        );
    }
    if !matches!(spec.kind, Kind::Text | Kind::Secret | Kind::Path | Kind::Url | Kind::Boolean) {
        help.push_str(&format!(" Takes: {}.", spec.kind.describe()));
    }
    if let Some(default) = spec.default {
        help.push_str(&format!(" [default: {default}]"));
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_told_with_what_was_meant() {
        let names = [
            "M365_AUDIT_INTERVAL",
            "M365_AUDIT_CLIENTID",
            "M365_AUDIT_OUTPUT",
            "M365_AUDIT_ONCE",
            "M365_AUDIT_XYZZY",
            "M365_AUDIT_DB_SYNC",
            "M365_AUDIT_FORWARD_TAG",
            "M365_AUDIT_COMMIT_DELAY",
            "M365_AUDIT_LOG_LEVEL",
            "M365_AUDIT_PLUGIN",
            "PATH",
        ];
        assert_eq!(
            unknown_variables(names.into_iter().map(str::to_owned)),
            [
                "M365_AUDIT_INTERVAL: no such option, and ignored; did you mean \
                 M365_AUDIT_INTERVAL_SEC?",
                "M365_AUDIT_CLIENTID: no such option, and ignored; did you mean \
                 M365_AUDIT_CLIENT_ID?",
                "M365_AUDIT_ONCE: no such option, and ignored; it is a flag alone: --once",
                "M365_AUDIT_XYZZY: no such option, and ignored; see `m365-audit options`",
            ]
        );
    }
}
