//! Which file a command of the state is about, and what it holds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgMatches};
use m365_audit_client::{DbOptions, inspect};
use m365_audit_core::Stored;

use crate::arguments;

/// Which file.
pub(super) fn db(help: &'static str) -> Arg {
    arguments::db(help).required(true)
}

/// Which file, and which tenants in it.
pub(super) fn place() -> [Arg; 2] {
    [
        db("SQLite file or PostgreSQL that holds the state; it may be in use"),
        Arg::new("tenant_id")
            .long("tenant-id")
            .value_name("GUID")
            .help("Only this tenant [default: all in the file]"),
    ]
}

/// What an argument names.
pub(super) fn named(matches: &ArgMatches, name: &str) -> anyhow::Result<DbOptions> {
    let path = matches.get_one::<PathBuf>(name).expect("clap requires it");
    match path.to_str() {
        Some(text) => DbOptions::of_text(text).map_err(|error| anyhow::anyhow!("{error}")),
        None => anyhow::bail!("{} is no text; remedy: give it another name", path.display()),
    }
}

/// The file, and what it holds of the tenants that are meant.
pub(super) fn read(matches: &ArgMatches) -> anyhow::Result<(DbOptions, BTreeMap<String, Stored>)> {
    let options = named(matches, "db")?;
    let mut tenants = inspect(&options)?;
    if let Some(tenant) = matches.get_one::<String>("tenant_id") {
        let tenant = tenant.to_ascii_lowercase();
        tenants.retain(|name, _| *name == tenant);
        anyhow::ensure!(!tenants.is_empty(), "{}: no tenant {tenant}", options.path.display());
    }
    Ok((options, tenants))
}
