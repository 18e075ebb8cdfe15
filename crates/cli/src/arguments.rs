//! Flags and environment variables of the options table. Knows names, reads no value.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches};
use m365_audit_core::Level;
use m365_audit_core::options::{Kind, OPTIONS, OptionSpec, Scope};

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
        Arg::new(spec.name)
            .long(long(spec.name))
            .env(variable(spec.name))
            .hide_env_values(true)
            .value_name(value_name(spec.kind))
            .allow_hyphen_values(true)
            .help(help(spec))
            .help_heading(heading)
    })
}

/// Whether an option is about receiving notifications, which only `run` and the plugin do.
pub(crate) fn receives(name: &str) -> bool {
    name.starts_with("webhook_")
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
