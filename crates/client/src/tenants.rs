//! The tenants file, or a folder of such files: one table a tenant, over the options of the
//! instance. Reads them and says what is wrong with them; starts nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use m365_audit_core::credential::is_credential_option;
use m365_audit_core::options::{self, OptionSpec, Scope};
use m365_audit_core::{ConfigError, RawOptions, SourceName};
use toml::{Table, Value};

use crate::credentials::read_bounded;
use crate::settings::{Settings, drop_unused};
use crate::toml_text::{toml_problem, toml_text};

/// The largest file that is read: enough for thousands of tenants.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The most tenants of one instance. Each costs memory, an open file and its budget of requests.
pub const TENANTS_MAX: usize = 10_000;

/// Whether a tenant's table may have this option.
#[must_use]
pub fn is_of_a_tenant(spec: &OptionSpec) -> bool {
    match spec.scope {
        Scope::Core => true,
        Scope::Native => OF_A_TENANT.contains(&spec.name),
        Scope::FluentBit | Scope::Host => false,
    }
}

/// Options of scope `Native` that make sense for one tenant; the others are the process's.
const OF_A_TENANT: [&str; 4] =
    ["client_secret_file", "certificate_file", "federated_token_file", "redact_key_file"];

/// One tenant of the file.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// What its table is called.
    pub name: Box<str>,
    /// Everything it needs to be collected.
    pub settings: Settings,
    /// What the settings were made of, to see whether they change.
    pub(crate) options: RawOptions,
    /// The file that its table is in.
    pub(crate) file: PathBuf,
}

/// What a file says.
#[derive(Debug, Default)]
pub struct Tenants {
    /// Those without a mistake, by the names of their tables.
    pub tenants: Vec<Tenant>,
    /// What is wrong with the others.
    pub mistakes: Vec<TenantMistake>,
    /// Files of a folder that are of no use: nobody knows which tenants they name.
    pub(crate) unread: Vec<PathBuf>,
}

/// A mistake in a tenants file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantMistake {
    /// The file.
    pub file: String,
    /// The table; `None`: the file as a whole.
    pub table: Option<Box<str>>,
    /// The mistake.
    pub error: ConfigError,
}

impl TenantMistake {
    /// As a mistake of the option `tenants_file`, for packagings that know no tables.
    #[must_use]
    pub fn as_error(&self) -> ConfigError {
        let (problem, remedy) = (&self.error.problem, &self.error.remedy);
        let option = &self.error.option;
        let value = self.error.value.as_ref().map(|value| format!(" = {value:?}"));
        let value = value.unwrap_or_default();
        let problem = match &self.table {
            Some(table) => format!("[{table}] {option}{value}: {problem}"),
            None => problem.clone(),
        };
        ConfigError::new("tenants_file", Some(&self.file), &problem, remedy)
    }
}

impl fmt::Display for TenantMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.table {
            Some(table) => write!(f, "{} [{table}]: {}", self.file, self.error),
            None => write!(f, "{}: {}", self.file, self.error),
        }
    }
}

/// A tenants file, and the options that its tables begin with.
#[derive(Clone, Debug)]
pub struct TenantsFile {
    path: PathBuf,
    base: RawOptions,
}

impl TenantsFile {
    /// The file that `raw` names; `None` if it names none.
    #[must_use]
    pub fn of(raw: &RawOptions) -> Option<Self> {
        let path = raw.get("tenants_file")?.trim();
        let mut base = raw.clone();
        base.remove("tenants_file");
        (!path.is_empty()).then(|| Self { path: path.into(), base })
    }

    /// What is wrong with the options of the instance, whatever the tables say.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn check_base(&self) -> Result<(), Vec<ConfigError>> {
        const SOMEBODY: &str = "00000000-0000-4000-8000-000000000000";
        let mut raw = self.base.clone();
        let mut errors = Vec::new();
        raw.insert("tenant_id".into(), SOMEBODY.into());
        raw.entry("client_id".into()).or_insert_with(|| SOMEBODY.into());
        if !raw.keys().any(|name| name == "auth" || is_credential_option(name)) {
            raw.insert("client_secret".into(), "a table may have one".into());
        }
        // Which sources a table has, and where, it may say itself.
        let sources = || SourceName::ALL.map(SourceName::as_str).join(", ");
        raw.entry("source".into()).or_insert_with(sources);
        if raw["source"].contains(SourceName::CloudAppActivities.as_str()) {
            let somewhere = "https://tenant.portal.cloudappsecurity.com";
            raw.entry("portal_url".into()).or_insert_with(|| somewhere.into());
        }
        if let Some(address) = raw.get("webhook_listen") {
            errors.push(ConfigError::new(
                "webhook_listen",
                Some(address),
                "one address receives the notifications of one tenant",
                "leave it out, or collect that tenant by itself, without tenants_file",
            ));
        }
        errors.extend(Settings::parse(&raw).err().unwrap_or_default());
        if errors.is_empty() { Ok(()) } else { Err(crate::settings::in_order(errors)) }
    }

    /// The one tenant that `tenant` names, by its table or its GUID, for a command about one.
    ///
    /// # Errors
    /// There is none, or it has mistakes: each ready to be printed.
    pub fn one(&self, tenant: &str) -> Result<Tenant, Vec<TenantMistake>> {
        let Tenants { tenants, mistakes, unread: _ } =
            self.read().map_err(|mistake| vec![*mistake])?;
        let names: Vec<String> = tenants.iter().map(|known| known.name.to_string()).collect();
        let is_meant = |known: &Tenant| {
            *known.name == *tenant || known.settings.config.tenant_id().eq_ignore_ascii_case(tenant)
        };
        if let Some(known) = tenants.into_iter().find(is_meant) {
            return Ok(known);
        }
        let of_it: Vec<TenantMistake> = mistakes
            .into_iter()
            // Of a file that nobody can read: perhaps it is in there.
            .filter(|mistake| mistake.table.as_deref().is_none_or(|table| table == tenant))
            .collect();
        if !of_it.is_empty() {
            return Err(of_it);
        }
        let value = (!tenant.is_empty()).then_some(tenant);
        let problem = "names no tenant of the tenants_file, and this is about one";
        let remedy = format!("name one of: {}", names.join(", "));
        let error = ConfigError::new("tenant_id", value, problem, &remedy);
        Err(vec![TenantMistake { file: self.name(), table: None, error }])
    }

    /// Changes when a file does, comes or goes; `None` while they cannot be looked at.
    pub(crate) fn stamp(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        for file in self.files().ok()? {
            let metadata = fs::metadata(&file).ok()?;
            (file, metadata.modified().ok()?, metadata.len()).hash(&mut hasher);
        }
        Some(hasher.finish())
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The file, or those of the folder, in order.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        if !self.path.is_dir() {
            return Ok(vec![self.path.clone()]);
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            // What an editor has open, or hides, is no file of ours.
            let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes()[0] == b'.');
            if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
                files.push(path);
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Reads the file, or all of the folder. A mistake in one table leaves the others alone, and so
    /// does a file of a folder that is of no use.
    ///
    /// # Errors
    /// Nothing is of any use: the file cannot be read, or is not TOML, or has no table.
    pub fn read(&self) -> Result<Tenants, Box<TenantMistake>> {
        let whole = |problem: &str, remedy: &str| mistake_of(&self.path, problem, remedy);
        let files = self.files().map_err(|error| {
            whole(&format!("cannot be read: {error}"), "name a readable file or folder")
        })?;
        if files.is_empty() {
            let remedy = "write files that end with .toml, with a table for each tenant: [contoso]";
            return Err(whole("no *.toml in the folder", remedy));
        }
        let mut sorted = Tenants::default();
        let (mut tables, mut unread, mut count) = (Vec::new(), Vec::new(), 0);
        for file in files {
            match read_tables(&file) {
                Ok(table) => {
                    count += table.len();
                    tables.push((file, table));
                }
                Err(mistake) => {
                    unread.push(mistake);
                    sorted.unread.push(file);
                }
            }
        }
        if tables.is_empty() {
            return Err(unread.swap_remove(0));
        }
        if TENANTS_MAX < count {
            let problem = format!("more than {TENANTS_MAX} tables");
            return Err(whole(&problem, "divide the tenants among several instances"));
        }
        sorted.mistakes.extend(unread.into_iter().map(|mistake| *mistake));
        self.sort(&tables, &mut sorted);
        Ok(sorted)
    }

    fn sort(&self, tables: &[(PathBuf, Table)], sorted: &mut Tenants) {
        let mut ids: BTreeMap<String, &str> = BTreeMap::new();
        let mut names: BTreeMap<&str, &Path> = BTreeMap::new();
        let all = tables.iter().flat_map(|(file, table)| {
            table.iter().map(move |(name, value)| (file.as_path(), name.as_str(), value))
        });
        for (file, name, value) in all {
            let mut report = |error| {
                sorted.mistakes.push(TenantMistake {
                    file: file.display().to_string(),
                    table: Some(name.into()),
                    error,
                });
            };
            if let Some(first) = names.insert(name, file) {
                report(ConfigError::new(
                    name,
                    None,
                    &format!("a table of this name is in {} too", first.display()),
                    "give one of the two another name",
                ));
                continue;
            }
            let Value::Table(options) = value else {
                report(ConfigError::new(
                    name,
                    None,
                    "not in a tenant's table",
                    "write options of all tenants beside tenants_file, and others in a table",
                ));
                continue;
            };
            let tenant = match self.tenant(file, name, options) {
                Err(errors) => {
                    errors.into_iter().for_each(report);
                    continue;
                }
                Ok(tenant) => tenant,
            };
            let id = tenant.settings.config.tenant_id().to_owned();
            match ids.get(&id) {
                Some(first) => report(ConfigError::new(
                    "tenant_id",
                    Some(&id),
                    &format!("[{first}] collects this tenant"),
                    "keep one of the two tables",
                )),
                None => {
                    ids.insert(id, name);
                    sorted.tenants.push(tenant);
                }
            }
        }
    }

    fn tenant(&self, file: &Path, name: &str, table: &Table) -> Result<Tenant, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let own = texts(table, &mut errors);
        let mut options = self.base.clone();
        options.remove("tenant_id");
        options.insert("tenant_name".into(), name.into());
        // Who has a credential of its own wants no other.
        if own.keys().any(|name| name == "auth" || is_credential_option(name)) {
            options.retain(|name, _| !is_credential_option(name) && name != "auth");
        }
        // What is written for all is for those that have the source.
        options.extend(own.get("source").map(|source| ("source".to_owned(), source.clone())));
        drop_unused(&mut options);
        for (option, text) in own {
            // Names that do not exist are reported with the nearest one below.
            if options::find(&option).is_some_and(|spec| !is_of_a_tenant(spec)) {
                errors.push(ConfigError::new(
                    &option,
                    None,
                    "not an option of one tenant",
                    "write it beside tenants_file, for all",
                ));
            }
            options.insert(option, text);
        }
        match Settings::parse(&options) {
            Ok(settings) if errors.is_empty() => {
                Ok(Tenant { name: name.into(), settings, options, file: file.into() })
            }
            Ok(_) => Err(errors),
            Err(found) => {
                errors.extend(found);
                Err(crate::settings::in_order(errors))
            }
        }
    }
}

/// A mistake of a file as a whole.
fn mistake_of(file: &Path, problem: &str, remedy: &str) -> Box<TenantMistake> {
    let file = file.display().to_string();
    let error = ConfigError::new("tenants_file", Some(&file), problem, remedy);
    Box::new(TenantMistake { file, table: None, error })
}

/// The tables of one file.
fn read_tables(file: &Path) -> Result<Table, Box<TenantMistake>> {
    let whole = |problem: &str, remedy: &str| mistake_of(file, problem, remedy);
    let text = read_bounded(file, FILE_BYTES_MAX)
        .map_err(|problem| whole(&problem, "name a readable TOML file"))?;
    let text = String::from_utf8(text)
        .map_err(|_| whole("not UTF-8 text", "write the file as TOML in UTF-8"))?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let remedy = "write a table for each tenant, each name once: [contoso], then lines like \
                      tenant_id = \"...\"";
        whole(&toml_problem(&text, &error), remedy)
    })?;
    if table.is_empty() {
        return Err(whole("no tenant in the file", "write a table for each: [contoso]"));
    }
    Ok(table)
}

/// A table's values as the texts that options are.
fn texts(table: &Table, errors: &mut Vec<ConfigError>) -> RawOptions {
    let mut texts = RawOptions::new();
    for (name, value) in table {
        match toml_text(name, value) {
            Ok(text) => {
                texts.insert(name.clone(), text);
            }
            Err(mistake) => errors.push(mistake),
        }
    }
    texts
}

#[cfg(test)]
mod tests;
