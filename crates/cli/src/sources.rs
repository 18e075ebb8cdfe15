//! Flags before variables before the file before defaults; and every mistake told with the places
//! where it can be mended.

use std::cmp::Ordering;
use std::fmt::Write;
use std::path::PathBuf;

use clap::ArgMatches;
use m365_audit_client::{Settings, in_order};
use m365_audit_core::options::{self, OptionSpec, Scope};
use m365_audit_core::{ConfigError, RawOptions};

use crate::arguments::{self, flag, variable};
use crate::config_file::ConfigFile;

/// Reads all sources. `also` is what else is wrong with the arguments.
///
/// # Errors
/// The whole report of what is wrong, ready to be printed.
pub(crate) fn settings(
    matches: &ArgMatches,
    also: Option<ConfigError>,
) -> Result<Settings, String> {
    let specs: Vec<_> = arguments::specs().collect();
    with_more(matches, &specs, also, |_| Ok(())).map(|(settings, ())| settings)
}

/// The same for a command whose options are `specs`; `more` reads those that settings do not know.
///
/// # Errors
/// As [`settings`].
pub(crate) fn with_more<T>(
    matches: &ArgMatches,
    specs: &[&OptionSpec],
    also: Option<ConfigError>,
    more: impl FnOnce(&RawOptions) -> Result<T, Vec<ConfigError>>,
) -> Result<(Settings, T), String> {
    let path = matches.get_one::<PathBuf>("config");
    let file = path.map(|path| ConfigFile::read(path)).unwrap_or_default();
    let mut raw = file.options.clone();
    let mut given = RawOptions::new();
    for spec in specs {
        if let Some((text, from_flag)) = arguments::value(matches, spec.name) {
            let place = if from_flag { flag(spec.name) } else { variable(spec.name) };
            given.insert(spec.name.into(), place);
            raw.insert(spec.name.into(), text.into());
        }
    }
    settle_secret(&mut raw, &given);
    let mut errors = file.errors;
    errors.extend(also);
    for name in file.options.keys() {
        let Some(spec) = options::find(name) else { continue };
        if specs.iter().all(|ours| ours.name != spec.name) {
            let whose = match spec.scope {
                Scope::Host => "an option of `m365-audit host`",
                Scope::FluentBit | Scope::Core | Scope::Native => {
                    "an option of the Fluent Bit plugin"
                }
            };
            errors.push(ConfigError::new(name, None, whose, "remove it"));
        }
    }
    let file_broken = errors.iter().any(|error| error.option == "config");
    let more = more(&raw).map_err(|found| errors.extend(found));
    match (Settings::parse(&raw), more) {
        (Ok(settings), Ok(more)) if errors.is_empty() => return Ok((settings, more)),
        (Ok(_), _) => {}
        // With a broken file, what it may hold is not missing.
        (Err(found), _) => errors.extend(found.into_iter().filter(|error| {
            error.value.is_some() || !file_broken || given.contains_key(&error.option)
        })),
    }
    let file = path.map(|path| path.display().to_string());
    Err(report(&in_order(errors), &given, file.as_deref(), &raw))
}

/// The secret and its file are two ways to say one thing: the stronger source decides. If both come
/// from one source, the settings report it.
fn settle_secret(raw: &mut RawOptions, given: &RawOptions) {
    let strength = |name: &str| match given.get(name) {
        Some(place) if place.starts_with("--") => 2,
        Some(_) => 1,
        None => 0,
    };
    let (value, file) = ("client_secret", "client_secret_file");
    match strength(value).cmp(&strength(file)) {
        Ordering::Greater => drop(raw.remove(file)),
        Ordering::Less => drop(raw.remove(value)),
        Ordering::Equal => {}
    }
}

fn report(
    errors: &[ConfigError],
    given: &RawOptions,
    file: Option<&str>,
    raw: &RawOptions,
) -> String {
    let count = errors.len();
    let mistakes = if count == 1 { "mistake" } else { "mistakes" };
    let mut text = format!("configuration: {count} {mistakes}, nothing was started\n");
    for error in errors {
        let name = &*error.option;
        let place = match (given.get(name), file) {
            (Some(place), _) => format!("given as {place}"),
            (None, Some(file)) if raw.contains_key(name) => format!("in {file}"),
            _ if options::find(name).is_none() => String::new(),
            _ => format!("{}, {} or {name} in the --config file", flag(name), variable(name)),
        };
        let place = if place.is_empty() { place } else { format!("\n      ({place})") };
        // Writing to a string does not fail.
        let _ = writeln!(text, "  - {error}{place}");
    }
    text
}
