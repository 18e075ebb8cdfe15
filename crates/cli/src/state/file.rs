//! Which state a command is about, what it holds, and what the tenants in it are called.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgMatches};
use m365_audit_client::{DbOptions, inspect};
use m365_audit_core::{RawOptions, Stored};

use crate::exit::{INCOMPLETE, MISCONFIGURED};
use crate::names::Names;
use crate::{arguments, calls, sources};

/// Options that say where a state is, and whose.
const SHOWN: [&str; 7] =
    ["config", "tenant_id", "tenant_name", "tenants_file", "db", "db_password_file", "ca_file"];

/// Which file.
pub(super) fn db(help: &'static str) -> Arg {
    arguments::db(help).required(true)
}

/// Which state, and which tenants in it.
pub(super) fn place() -> impl Iterator<Item = Arg> {
    let args = calls::args(&SHOWN).into_iter().filter(|arg| SHOWN.contains(&arg.get_id().as_str()));
    args.map(calls::with_tenant).map(|arg| match arg.get_id().as_str() {
        "tenant_id" => arg.help("Only this tenant, by its GUID or its name [default: all]"),
        _ => arg,
    })
}

/// What an argument names.
pub(super) fn named(matches: &ArgMatches, name: &str) -> anyhow::Result<DbOptions> {
    let path = matches.get_one::<PathBuf>(name).expect("clap requires it");
    match path.to_str() {
        Some(text) => DbOptions::of_text(text).map_err(|error| anyhow::anyhow!("{error}")),
        None => anyhow::bail!("{} is no text; remedy: give it another name", path.display()),
    }
}

/// A state.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) options: DbOptions,
    /// What it holds of the tenants that are meant.
    pub(super) tenants: BTreeMap<String, Stored>,
    pub(super) names: Names,
}

impl Held {
    /// Reads it.
    ///
    /// # Errors
    /// The exit code, and why.
    pub(super) fn read(raw: &RawOptions) -> Result<Self, (u8, String)> {
        let wrong = |words: String| (MISCONFIGURED, words);
        let options = DbOptions::of_raw(raw).map_err(|error| wrong(error.to_string()))?;
        let options =
            options.ok_or_else(|| wrong("no db: name it by --db or --config".to_owned()))?;
        let mut tenants = inspect(&options).map_err(|error| (INCOMPLETE, error.to_string()))?;
        let meant = sources::meant_of(tenants.keys().cloned().collect(), raw)
            .map_err(|words| (INCOMPLETE, format!("{}: {words}", options.path.display())))?;
        tenants.retain(|id, _| meant.contains(id));
        Ok(Self { options, tenants, names: Names::of(raw) })
    }
}
