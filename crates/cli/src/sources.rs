//! Flags before variables before the file before defaults; and every mistake told with the places
//! where it can be mended.

use std::cmp::Ordering;
use std::fmt::Write;
use std::path::PathBuf;

use clap::ArgMatches;
use m365_audit_client::{
    Settings, TenantMistake, Tenants, TenantsFile, complete_from_environment, drop_unused, in_order,
};
use m365_audit_core::options::{self, OptionSpec, Scope};
use m365_audit_core::{ConfigError, CredentialKind, RawOptions};

use crate::arguments::{self, flag, variable};
use crate::config_file::ConfigFile;
use crate::names::Names;

/// What there is to collect.
#[derive(Debug)]
pub(crate) enum Plan {
    /// One tenant.
    One(Box<Settings>),
    /// Those of a file that can be collected, and what is wrong with the others.
    Many(TenantsFile, Tenants),
}

impl Plan {
    /// Whether any progress is remembered.
    pub(crate) fn has_db(&self) -> bool {
        match self {
            Self::One(settings) => settings.native.db.is_some(),
            Self::Many(_, tenants) => {
                tenants.tenants.iter().any(|tenant| tenant.settings.native.db.is_some())
            }
        }
    }
}

/// Reads all sources. `also` is what else is wrong with the arguments.
///
/// # Errors
/// The whole report of what is wrong, ready to be printed.
pub(crate) fn settings(
    matches: &ArgMatches,
    also: Option<ConfigError>,
) -> Result<Settings, String> {
    let specs: Vec<_> = arguments::specs().collect();
    let mut gathered = Gathered::new(matches, &specs, also);
    // A call is about one source, whatever else is set for others.
    drop_unused(&mut gathered.raw);
    one(gathered, |_| Ok(())).map(|(settings, ())| settings)
}

/// What all sources say together, for a command that looks at a stored state and signs in nowhere.
///
/// # Errors
/// What is wrong with the file, ready to be printed.
pub(crate) fn gathered(matches: &ArgMatches) -> Result<RawOptions, String> {
    let specs: Vec<_> = arguments::specs().collect();
    let gathered = Gathered::new(matches, &specs, None);
    if gathered.errors.is_empty() { Ok(gathered.raw) } else { Err(gathered.report()) }
}

/// Those of `stored` that `tenant_id` means, by GUID or by name; all without it.
///
/// # Errors
/// None of them is meant.
pub(crate) fn meant_of(mut stored: Vec<String>, raw: &RawOptions) -> Result<Vec<String>, String> {
    let Some(wanted) = raw.get("tenant_id").map(|wanted| wanted.trim()) else { return Ok(stored) };
    let names = Names::of(raw);
    stored.retain(|id| id.eq_ignore_ascii_case(wanted) || names.name(id) == Some(wanted));
    if stored.is_empty() {
        Err(format!("nothing is stored of tenant {wanted}"))
    } else {
        Ok(stored)
    }
}

/// The one of `stored` that `tenant_id` means; it need not be said if there is but one.
///
/// # Errors
/// None is meant, or several are.
pub(crate) fn one_of(stored: Vec<String>, raw: &RawOptions) -> Result<String, String> {
    let mut meant = meant_of(stored, raw)?;
    match (meant.pop(), meant.len()) {
        (None, _) => Err("nothing is stored of any tenant".to_owned()),
        (Some(one), 0) => Ok(one),
        (Some(_), others) => {
            Err(format!("{} tenants are stored; remedy: name one with --tenant-id", others + 1))
        }
    }
}

/// The same for a command that asks the Activities API alone, whatever `source` says.
///
/// # Errors
/// As [`settings`].
pub(crate) fn activities_settings(matches: &ArgMatches) -> Result<Settings, String> {
    let specs: Vec<_> = arguments::specs().collect();
    let mut gathered = Gathered::new(matches, &specs, None);
    // With a token of the portal's own there need be no app.
    let keyed = gathered.raw.contains_key("portal_token");
    let source =
        if keyed { "cloud_app_activities" } else { "management_activity, cloud_app_activities" };
    gathered.raw.insert("source".into(), source.into());
    drop_unused(&mut gathered.raw);
    one(gathered, |_| Ok(())).map(|(settings, ())| settings)
}

/// The same for a command that works on many tenants as well, and writes to an output. `open` reads
/// the output's options and opens it.
///
/// # Errors
/// As [`settings`]; also if no tenant of the file can be collected.
pub(crate) fn plan<T>(
    matches: &ArgMatches,
    open: impl FnOnce(&RawOptions) -> Result<T, Vec<ConfigError>>,
) -> Result<(Plan, T), String> {
    let specs: Vec<_> = arguments::specs().collect();
    let mut gathered = Gathered::new(matches, &specs, None);
    let opened = gathered.open(open);
    let plan = planned(gathered)?;
    // A failure to open it is among the mistakes.
    opened.map(|opened| (plan, opened)).ok_or_else(String::new)
}

/// What is to be said of a configuration with which nothing is started.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    /// How many options are set.
    pub(crate) options: usize,
    /// Mistakes, and where each can be mended.
    pub(crate) mistakes: Vec<(ConfigError, String)>,
    /// What the tenants file says, if there is one.
    pub(crate) tenants: Option<Tenants>,
    /// Mistakes in tables of tenants.
    pub(crate) of_tenants: Vec<TenantMistake>,
}

/// Reads all sources as `run` does, and starts nothing. `destination` judges the options that say
/// where records go; without an `environment` the variables of identities count for nothing.
pub(crate) fn judge(
    matches: &ArgMatches,
    environment: bool,
    destination: impl FnOnce(&RawOptions) -> Vec<ConfigError>,
) -> Judgement {
    let specs: Vec<_> = arguments::specs().collect();
    let mut gathered = Gathered::read(matches, &specs, None, environment);
    gathered.errors.extend(destination(&gathered.output));
    let mut judgement =
        Judgement { options: gathered.raw.len() + gathered.output.len(), ..Judgement::default() };
    match TenantsFile::of(&gathered.raw) {
        None => gathered.errors = gathered.mistakes(),
        Some(file) => {
            gathered.errors.extend(file.check_base().err().unwrap_or_default());
            match file.read() {
                Ok(mut tenants) => {
                    judgement.of_tenants = std::mem::take(&mut tenants.mistakes);
                    judgement.tenants = Some(tenants);
                }
                Err(mistake) => judgement.of_tenants.push(*mistake),
            }
        }
    }
    let Gathered { raw, output, given, errors, file } = gathered;
    let written = raw.into_iter().chain(output).collect();
    let place = |error: &ConfigError| place(&error.option, &given, file.as_deref(), &written);
    judgement.mistakes = in_order(errors)
        .into_iter()
        .map(|e| {
            let at = place(&e);
            (e, at)
        })
        .collect();
    judgement
}

fn planned(gathered: Gathered) -> Result<Plan, String> {
    let Some(file) = TenantsFile::of(&gathered.raw) else {
        return gathered.settings(|_| Ok(())).map(|(settings, ())| Plan::One(Box::new(settings)));
    };
    many(gathered, file, |_| Ok(())).map(|(plan, ())| plan)
}

fn many<T>(
    mut gathered: Gathered,
    file: TenantsFile,
    more: impl FnOnce(&RawOptions) -> Result<T, Vec<ConfigError>>,
) -> Result<(Plan, T), String> {
    gathered.errors.extend(file.check_base().err().unwrap_or_default());
    let more = more(&gathered.raw).map_err(|found| gathered.errors.extend(found));
    let (Ok(more), true) = (more, gathered.errors.is_empty()) else {
        return Err(gathered.report());
    };
    let tenants = file.read().map_err(|mistake| listed(&[*mistake]))?;
    if tenants.tenants.is_empty() {
        return Err(listed(&tenants.mistakes));
    }
    Ok((Plan::Many(file, tenants), more))
}

/// As [`plan`], for a command whose options are `specs`; `more` reads those that settings do not
/// know. Of a tenants file, the tenant that `tenant_id` names is the only one.
///
/// # Errors
/// As [`plan`].
#[cfg(feature = "host")]
pub(crate) fn plan_with_more<T, O>(
    matches: &ArgMatches,
    specs: &[&OptionSpec],
    open: impl FnOnce(&RawOptions) -> Result<O, Vec<ConfigError>>,
    more: impl FnOnce(&RawOptions) -> Result<T, Vec<ConfigError>>,
) -> Result<(Plan, T, O), String> {
    let mut gathered = Gathered::new(matches, specs, None);
    let opened = gathered.open(open);
    let is_named = gathered.raw.get("tenant_id").is_some_and(|text| !text.trim().is_empty());
    let (plan, more) = match TenantsFile::of(&gathered.raw).filter(|_| !is_named) {
        Some(file) => many(gathered, file, more)?,
        None => {
            let (settings, more) = one(gathered, more)?;
            (Plan::One(Box::new(settings)), more)
        }
    };
    // A failure to open it is among the mistakes.
    opened.map(|opened| (plan, more, opened)).ok_or_else(String::new)
}

/// The same for a command whose options are `specs`; `more` reads those that settings do not know,
/// and `open` those of the output. With a tenants file, the tenant is the one that `tenant_id`
/// names.
///
/// # Errors
/// As [`settings`].
#[cfg(feature = "host")]
pub(crate) fn with_more<T, O>(
    matches: &ArgMatches,
    specs: &[&OptionSpec],
    open: impl FnOnce(&RawOptions) -> Result<O, Vec<ConfigError>>,
    more: impl FnOnce(&RawOptions) -> Result<T, Vec<ConfigError>>,
) -> Result<(Settings, T, O), String> {
    let mut gathered = Gathered::new(matches, specs, None);
    let opened = gathered.open(open);
    let (settings, more) = one(gathered, more)?;
    // A failure to open it is among the mistakes.
    opened.map(|opened| (settings, more, opened)).ok_or_else(String::new)
}

fn one<T>(
    mut gathered: Gathered,
    more: impl FnOnce(&RawOptions) -> Result<T, Vec<ConfigError>>,
) -> Result<(Settings, T), String> {
    let Some(file) = TenantsFile::of(&gathered.raw) else { return gathered.settings(more) };
    gathered.errors.extend(file.check_base().err().unwrap_or_default());
    let more = more(&gathered.raw).map_err(|found| gathered.errors.extend(found));
    let (Ok(more), true) = (more, gathered.errors.is_empty()) else {
        return Err(gathered.report());
    };
    let wanted = gathered.raw.get("tenant_id").map(|text| text.trim()).unwrap_or_default();
    let tenant = file.one(wanted).map_err(|mistakes| listed(&mistakes))?;
    Ok((tenant.settings, more))
}

fn is_of_destination(name: &str) -> bool {
    arguments::destination().any(|spec| spec.name == name)
}

/// What all sources say together.
struct Gathered {
    raw: RawOptions,
    /// The options that say where records go.
    output: RawOptions,
    /// Where each option was given, if not in the file.
    given: RawOptions,
    errors: Vec<ConfigError>,
    file: Option<String>,
}

impl Gathered {
    fn new(matches: &ArgMatches, specs: &[&OptionSpec], also: Option<ConfigError>) -> Self {
        Self::read(matches, specs, also, true)
    }

    fn read(
        matches: &ArgMatches,
        specs: &[&OptionSpec],
        also: Option<ConfigError>,
        environment: bool,
    ) -> Self {
        let path = matches.get_one::<PathBuf>("config");
        let file = path.map(|path| ConfigFile::read(path)).unwrap_or_default();
        let (mut output, mut raw): (RawOptions, RawOptions) =
            file.options.clone().into_iter().partition(|(name, _)| is_of_destination(name));
        let mut given = RawOptions::new();
        let written = specs.iter().copied().map(|spec| (spec, false));
        for (spec, beside) in written.chain(arguments::destination().map(|spec| (spec, true))) {
            if let Some((text, from_flag)) = arguments::value(matches, spec.name) {
                let place = if from_flag { flag(spec.name) } else { variable(spec.name) };
                given.insert(spec.name.into(), place);
                let into = if beside { &mut output } else { &mut raw };
                into.insert(spec.name.into(), text.into());
            }
        }
        settle_secret(&mut raw, &given);
        let many = raw.contains_key("tenants_file");
        complete_from_environment(&mut raw, |name| {
            // Which tenant there is, the file of many says.
            let value = std::env::var(name).ok().filter(|_| environment);
            value.filter(|_| !many || name != "AZURE_TENANT_ID")
        });
        let mut errors = file.errors;
        errors.extend(also);
        for name in file.options.keys().filter(|name| !is_of_destination(name)) {
            let Some(spec) = options::find(name) else {
                if let Some(flag) = arguments::own_flag(name) {
                    raw.remove(name);
                    let problem = "a flag, not an option of this file";
                    let remedy = format!("remove it, and give it as {flag}");
                    errors.push(ConfigError::new(name, None, problem, &remedy));
                }
                continue;
            };
            if specs.iter().all(|ours| ours.name != spec.name) {
                let whose = match spec.scope {
                    Scope::Host => "an option of `m365-audit host`",
                    Scope::Native if arguments::receives(name) => {
                        "an option of `m365-audit run` and the Fluent Bit plugin"
                    }
                    Scope::FluentBit | Scope::Core | Scope::Native => {
                        "an option of the Fluent Bit plugin"
                    }
                };
                errors.push(ConfigError::new(name, None, whose, "remove it"));
            }
        }
        Self { raw, output, given, errors, file: path.map(|path| path.display().to_string()) }
    }

    /// Opens the output by its options. What is wrong with it is one mistake more.
    fn open<T>(
        &mut self,
        open: impl FnOnce(&RawOptions) -> Result<T, Vec<ConfigError>>,
    ) -> Option<T> {
        open(&self.output).map_err(|found| self.errors.extend(found)).ok()
    }

    fn settings<T>(
        mut self,
        more: impl FnOnce(&RawOptions) -> Result<T, Vec<ConfigError>>,
    ) -> Result<(Settings, T), String> {
        let more = more(&self.raw).map_err(|found| self.errors.extend(found));
        match (Settings::parse(&self.raw), more) {
            (Ok(settings), Ok(more)) if self.errors.is_empty() => return Ok((settings, more)),
            (Ok(_), _) => {}
            (Err(found), _) => self.errors = self.with(found),
        }
        Err(self.report())
    }

    /// All mistakes, those of one tenant's settings among them.
    fn mistakes(&self) -> Vec<ConfigError> {
        self.with(Settings::parse(&self.raw).err().unwrap_or_default())
    }

    /// The mistakes so far, and those that settings have found.
    fn with(&self, found: Vec<ConfigError>) -> Vec<ConfigError> {
        // With a broken file, what it may hold is not missing.
        let file_broken = self.errors.iter().any(|error| error.option == "config");
        let found = found.into_iter().filter(|error| {
            error.value.is_some() || !file_broken || self.given.contains_key(&error.option)
        });
        self.errors.iter().cloned().chain(found).collect()
    }

    fn report(self) -> String {
        let written = self.raw.into_iter().chain(self.output).collect();
        report(&in_order(self.errors), &self.given, self.file.as_deref(), &written)
    }
}

/// The report of a mistake that is none of the options alone.
pub(crate) fn refused(error: &ConfigError) -> String {
    format!("configuration: 1 mistake, nothing was started\n  - {error}\n")
}

/// Mistakes in a tenants file.
pub(crate) fn listed(mistakes: &[TenantMistake]) -> String {
    let count = mistakes.len();
    let noun = if count == 1 { "mistake" } else { "mistakes" };
    let mut text = format!("configuration: {count} {noun}, nothing was started\n");
    for mistake in mistakes {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  - {mistake}");
    }
    text
}

/// A credential and a file of it are two ways to say one thing: the stronger source decides. If
/// both come from one source, the settings report it.
fn settle_secret(raw: &mut RawOptions, given: &RawOptions) {
    let strength = |name: &str| match given.get(name) {
        Some(place) if place.starts_with("--") => 2,
        Some(_) => 1,
        None => 0,
    };
    for kind in CredentialKind::ALL {
        let (value, Some(file)) = (kind.options()[0], kind.file_option()) else { continue };
        match strength(value).cmp(&strength(file)) {
            Ordering::Greater => drop(raw.remove(file)),
            Ordering::Less => drop(raw.remove(value)),
            Ordering::Equal => {}
        }
    }
}

/// Where an option stands, or could be written.
fn place(name: &str, given: &RawOptions, file: Option<&str>, raw: &RawOptions) -> String {
    match (given.get(name), file) {
        (Some(place), _) => format!("given as {place}"),
        (None, Some(file)) if raw.contains_key(name) => format!("in {file}"),
        _ if options::find(name).is_none() && !is_of_destination(name) => String::new(),
        _ => format!("{}, {} or {name} in the --config file", flag(name), variable(name)),
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
        let place = place(&error.option, given, file, raw);
        let place = if place.is_empty() { place } else { format!("\n      ({place})") };
        // Writing to a string does not fail.
        let _ = writeln!(text, "  - {error}{place}");
    }
    text
}
