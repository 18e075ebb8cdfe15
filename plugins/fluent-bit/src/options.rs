//! From Fluent Bit's properties to settings: names and defaults come from the core's one table, and
//! what a section means from the client. Opens nothing but the files that options name.

use fluent_bit_plugin::{Kind, OptionSpec, Properties};
use m365_audit_client::complete_from_environment;
use m365_audit_core::options::{self as core, OPTIONS as TABLE};
use m365_audit_core::{ConfigError, RawOptions};

pub(crate) use m365_audit_client::{Section as Settings, Tags, Who};

/// The core's table, of all scopes, as the SDK wants it.
pub(crate) const OPTIONS: &[OptionSpec] = &translated();

/// Reads what the user wrote.
///
/// # Errors
/// Every mistake, in the order of the table. None shows a secret.
pub(crate) fn read(properties: Properties<'_>) -> Result<Settings, Vec<ConfigError>> {
    let explicit = |option: &core::OptionSpec| {
        properties.explicit(option.name).map(|value| (option.name.to_owned(), value))
    };
    let mut raw: RawOptions = TABLE.iter().filter_map(explicit).collect();
    let many = raw.contains_key("tenants_file");
    complete_from_environment(&mut raw, |name| {
        // Which tenant there is, the file of many says.
        std::env::var(name).ok().filter(|_| !many || name != "AZURE_TENANT_ID")
    });
    Settings::parse(raw)
}

const fn translated() -> [OptionSpec; TABLE.len()] {
    let mut options = [OptionSpec::new("", Kind::Str, None, ""); TABLE.len()];
    let mut i = 0;
    while i < TABLE.len() {
        let option = &TABLE[i];
        options[i] = OptionSpec::new(option.name, kind(option.kind), option.default, option.help);
        i += 1;
    }
    options
}

const fn kind(kind: core::Kind) -> Kind {
    match kind {
        core::Kind::Text
        | core::Kind::Secret
        | core::Kind::Path
        | core::Kind::Url
        | core::Kind::Choice(_)
        // Fluent Bit's own lists would be split at commas and joined again.
        | core::Kind::FreeList(_) => Kind::Str,
        core::Kind::Integer { .. } => Kind::Int,
        core::Kind::Boolean => Kind::Bool,
        core::Kind::Duration { .. } => Kind::Time,
        core::Kind::Size { .. } => Kind::Size,
        core::Kind::List(_) => Kind::List,
    }
}
