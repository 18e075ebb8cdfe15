//! Every option, once: names, kinds, defaults and help. Fluent Bit's config map, the command line's
//! flags and environment, the component's JSON Schema and the tables in the documentation all
//! come from here. Parsing lives in [`crate::config`].

/// What kind of text an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Free text.
    Text,
    /// Text that is never printed.
    Secret,
    /// A file's path.
    Path,
    /// An `https://` address (`http://` only to loopback).
    Url,
    /// A whole number within bounds, both inclusive.
    Integer {
        /// The smallest value.
        min: u64,
        /// The largest value.
        max: u64,
    },
    /// `on`/`off`, `true`/`false`, `yes`/`no`.
    Boolean,
    /// A number of seconds, or one with `s`, `m`, `h` or `d`; bounds in seconds.
    Duration {
        /// The shortest, in seconds.
        min: u64,
        /// The longest, in seconds.
        max: u64,
    },
    /// A number of bytes, or one with `K`, `M` or `G` (thousands, as in Fluent Bit).
    Size {
        /// The smallest, in bytes.
        min: u64,
        /// The largest, in bytes.
        max: u64,
    },
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// Words separated by commas or spaces, each one of these, in any case.
    List(&'static [&'static str]),
    /// Texts separated by commas, which may hold spaces; what each of them is.
    FreeList(&'static str),
}

/// Who reads an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The core: every packaging has it.
    Core,
    /// The native client: the Fluent Bit plugin and the command line have it.
    Native,
    /// The Fluent Bit plugin alone.
    FluentBit,
    /// The host of the WASM component alone.
    Host,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Its name in configuration files: lower snake case.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its value when absent; `None` for no value.
    pub default: Option<&'static str>,
    /// Who reads it.
    pub scope: Scope,
    /// What it does, when to change it. One or two sentences.
    pub help: &'static str,
}

const fn option(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    scope: Scope,
    help: &'static str,
) -> OptionSpec {
    OptionSpec { name, kind, default, scope, help }
}

const CONTENT_TYPES: &[&str] = &[
    "Audit.AzureActiveDirectory",
    "Audit.Exchange",
    "Audit.SharePoint",
    "Audit.General",
    "DLP.All",
];

const DAY: u64 = 24 * 60 * 60;

/// The largest number of record ids that can be remembered per content type: 64 MB of memory.
const DEDUPE_RECORDS_MAX: u64 = 2_000_000;

/// Every option, in the order in which documentation shows them.
pub const OPTIONS: &[OptionSpec] = &[
    option(
        "tenant_id",
        Kind::Text,
        None,
        Scope::Core,
        "GUID of the tenant to collect from. Required.",
    ),
    option(
        "client_id",
        Kind::Text,
        None,
        Scope::Core,
        "GUID of the app registration to sign in as. Required; with a managed identity, that of a \
         user-assigned one.",
    ),
    option(
        "auth",
        Kind::Choice(&[
            "auto",
            "client_secret",
            "certificate",
            "workload_identity",
            "managed_identity",
        ]),
        Some("auto"),
        Scope::Core,
        "What to sign in with. Auto: the first of these kinds that is configured, in this order.",
    ),
    option(
        "client_secret",
        Kind::Secret,
        None,
        Scope::Core,
        "Secret value (not the secret's id) of the app registration.",
    ),
    option(
        "client_secret_file",
        Kind::Path,
        None,
        Scope::Native,
        "File that holds the client secret; white space around it is ignored. Read again when it \
         changes.",
    ),
    option(
        "certificate",
        Kind::Secret,
        None,
        Scope::Core,
        "Certificate of the app registration and its private key, as PEM text.",
    ),
    option(
        "certificate_file",
        Kind::Path,
        None,
        Scope::Native,
        "PEM or PKCS#12 file (.pem, .pfx, .p12) with the certificate and its private key. Read \
         again when it changes.",
    ),
    option(
        "certificate_password",
        Kind::Secret,
        None,
        Scope::Core,
        "Password of the certificate's private key, if it is encrypted.",
    ),
    option(
        "certificate_algorithm",
        Kind::Choice(&["ps256", "rs256"]),
        Some("ps256"),
        Scope::Core,
        "How the certificate's key signs. Ps256 names the certificate by x5t#S256; rs256 is the \
         older form, with x5t.",
    ),
    option(
        "federated_token",
        Kind::Secret,
        None,
        Scope::Core,
        "Token of an issuer that the app registration trusts (workload identity federation).",
    ),
    option(
        "federated_token_file",
        Kind::Path,
        None,
        Scope::Native,
        "File that holds such a token, as Kubernetes mounts it. Read anew for each sign-in.",
    ),
    option(
        "managed_identity_endpoint",
        Kind::Url,
        None,
        Scope::Core,
        "Address of the managed identity's service, as in the variable IDENTITY_ENDPOINT. \
         Default: the metadata service of Azure's virtual machines.",
    ),
    option(
        "managed_identity_header",
        Kind::Secret,
        None,
        Scope::Core,
        "Value of X-IDENTITY-HEADER, as in the variable IDENTITY_HEADER of App Service.",
    ),
    option(
        "managed_identity_object_id",
        Kind::Text,
        None,
        Scope::Core,
        "Object id of a user-assigned managed identity, in place of client_id.",
    ),
    option(
        "managed_identity_resource_id",
        Kind::Text,
        None,
        Scope::Core,
        "Azure resource id of a user-assigned managed identity, in place of client_id.",
    ),
    option(
        "token_endpoint",
        Kind::Choice(&["v2", "v1"]),
        Some("v2"),
        Scope::Core,
        "Version of Entra ID's token endpoint.",
    ),
    option(
        "tenant_name",
        Kind::Text,
        None,
        Scope::Core,
        "What the tenant is called, in logs and reports, and beside tenant_id in the metadata of each \
         record. Default: the name of its table, if there is a tenants_file.",
    ),
    option(
        "tenants_file",
        Kind::Path,
        None,
        Scope::Native,
        "TOML file with a table for each of many tenants, or a folder of such files (*.toml); the \
         options here are what its tables begin with. Read again when it changes.",
    ),
    option(
        "source",
        Kind::List(&["management_activity", "cloud_app_activities"]),
        Some("management_activity"),
        Scope::Core,
        "What to collect: audit records of the Management Activity API, activities of Defender for \
         Cloud Apps, or both.",
    ),
    option(
        "portal_url",
        Kind::Url,
        None,
        Scope::Core,
        "Address of the Defender for Cloud Apps API: \
         https://TENANT.REGION.portal.cloudappsecurity.com. Required for cloud_app_activities.",
    ),
    option(
        "portal_token",
        Kind::Secret,
        None,
        Scope::Core,
        "API token that the Defender portal made, sent as Authorization: Token. Default: tokens of \
         Entra ID, which Microsoft prefers.",
    ),
    option(
        "portal_resource",
        Kind::Text,
        Some("05a65629-4c1b-48c1-a78b-804c4abdd4af"),
        Scope::Core,
        "Resource that tokens for the Defender for Cloud Apps API are asked for.",
    ),
    option(
        "activities_lookback",
        Kind::Duration { min: 0, max: 180 * DAY },
        Some("7d"),
        Scope::Core,
        "How far back the first run collects activities. Microsoft keeps 180 days.",
    ),
    option(
        "activities_filter",
        Kind::Text,
        None,
        Scope::Core,
        "Which activities to collect, as JSON or as text: user.domain eq contoso.com and \
         activity.type eq true. Default: all.",
    ),
    option(
        "activities_requests_per_minute",
        Kind::Integer { min: 1, max: 1_000 },
        Some("30"),
        Scope::Core,
        "Most requests a minute to the Defender for Cloud Apps API. Microsoft allows 30 a tenant.",
    ),
    option(
        "content_types",
        Kind::List(CONTENT_TYPES),
        Some("Audit.AzureActiveDirectory, Audit.Exchange, Audit.SharePoint, Audit.General"),
        Scope::Core,
        "Feeds to collect. DLP.All must be asked for: it needs ActivityFeed.ReadDlp, and its \
         records hold the sensitive values that were matched.",
    ),
    option(
        "exclude_content_types",
        Kind::List(CONTENT_TYPES),
        None,
        Scope::Core,
        "Feeds not to collect, taken from content_types. They are not even listed; the other \
         filters leave out records of feeds that are.",
    ),
    option(
        "cloud",
        Kind::Choice(&["enterprise", "gcc", "gcc-high", "dod", "china"]),
        Some("enterprise"),
        Scope::Core,
        "Microsoft cloud that holds the tenant; decides login_url, api_url and resource.",
    ),
    option(
        "login_url",
        Kind::Url,
        None,
        Scope::Core,
        "Base address of the Entra ID authority, if not the cloud's own.",
    ),
    option(
        "api_url",
        Kind::Url,
        None,
        Scope::Core,
        "Base address of the Management Activity API, if not the cloud's own.",
    ),
    option(
        "resource",
        Kind::Text,
        None,
        Scope::Core,
        "Resource that tokens are asked for, if not the cloud's own.",
    ),
    option(
        "publisher_id",
        Kind::Text,
        None,
        Scope::Core,
        "GUID sent as PublisherIdentifier with every request. Default: tenant_id, which gives the \
         tenant a request budget of its own.",
    ),
    option(
        "interval_sec",
        Kind::Duration { min: 1, max: 3_600 },
        Some("60"),
        Scope::Core,
        "How often each content type is listed for new content.",
    ),
    option(
        "lookback",
        Kind::Duration { min: 0, max: 7 * DAY },
        Some("7d"),
        Scope::Core,
        "How far into the past the very first run collects. Microsoft keeps listings for 7 days. \
         Later runs continue where the state ends.",
    ),
    option(
        "start_subscriptions",
        Kind::Boolean,
        Some("on"),
        Scope::Core,
        "Start the subscriptions that are missing. Off: only read what somebody else has started.",
    ),
    option(
        "requests_per_minute",
        Kind::Integer { min: 10, max: 100_000 },
        Some("2000"),
        Scope::Core,
        "Most requests sent in any minute. Microsoft's baseline is 2,000 per tenant, more for \
         large ones. Halved for a while when Microsoft throttles.",
    ),
    option(
        "max_in_flight",
        Kind::Integer { min: 2, max: 256 },
        Some("16"),
        Scope::Core,
        "Most requests under way at once.",
    ),
    option(
        "max_in_flight_total",
        Kind::Integer { min: 2, max: 10_000 },
        Some("512"),
        Scope::Native,
        "With tenants_file, most requests of all tenants under way at once: each is a connection, \
         and so an open file.",
    ),
    option(
        "workers",
        Kind::Integer { min: 1, max: 64 },
        None,
        Scope::Native,
        "With tenants_file, threads that drive the tenants, each of them many. Default: as many as \
         there are cores.",
    ),
    option(
        "request_timeout",
        Kind::Duration { min: 1, max: 600 },
        Some("60"),
        Scope::Core,
        "Retry a request after this long without data.",
    ),
    option(
        "dedupe_records",
        Kind::Integer { min: 0, max: DEDUPE_RECORDS_MAX },
        Some("50000"),
        Scope::Core,
        "How many record ids to remember per content type, to drop records that Microsoft \
         delivers again in other content. 0 turns it off; content ids are always remembered.",
    ),
    option(
        "history_keep",
        Kind::Integer { min: 0, max: 3_660 },
        Some("400"),
        Scope::Core,
        "For how many days to remember what became of each hour: blobs and records listed, \
         delivered, left out and lost. 0 keeps no history.",
    ),
    option(
        "batch_bytes",
        Kind::Size { min: 1_000, max: 16_000_000 },
        Some("512K"),
        Scope::Core,
        "Size at which a batch of records is handed over. A larger record travels alone.",
    ),
    option(
        "buffer_bytes",
        Kind::Size { min: 100_000, max: 1_000_000_000 },
        Some("6M"),
        Scope::Core,
        "Most bytes handed over and not yet delivered; reading stops above it. Raise it for \
         throughput, lower it for memory.",
    ),
    option(
        "record_bytes_max",
        Kind::Size { min: 100_000, max: 256_000_000 },
        Some("16M"),
        Scope::Core,
        "Largest record that is collected; a larger one is dropped with an ERROR.",
    ),
    option(
        "include_workloads",
        Kind::FreeList("patterns"),
        None,
        Scope::Core,
        "Hand over only records whose Workload matches one of these. In all filters * stands for \
         any characters and ? for one, and case does not matter.",
    ),
    option(
        "exclude_workloads",
        Kind::FreeList("patterns"),
        None,
        Scope::Core,
        "Leave out records whose Workload matches one of these. Exclusion wins over inclusion; \
         what is left out is counted (records_filtered).",
    ),
    option(
        "include_operations",
        Kind::FreeList("patterns"),
        None,
        Scope::Core,
        "Hand over only records whose Operation matches one of these.",
    ),
    option(
        "exclude_operations",
        Kind::FreeList("patterns"),
        None,
        Scope::Core,
        "Leave out records whose Operation matches one of these.",
    ),
    option(
        "include_users",
        Kind::FreeList("patterns"),
        None,
        Scope::Core,
        "Hand over only records whose UserId matches one of these. Write ? for a comma.",
    ),
    option(
        "exclude_users",
        Kind::FreeList("patterns"),
        None,
        Scope::Core,
        "Leave out records whose UserId matches one of these.",
    ),
    option(
        "include_record_types",
        Kind::FreeList("numbers or names"),
        None,
        Scope::Core,
        "Hand over only records of these types: Microsoft's AuditLogRecordType, by number or by \
         name.",
    ),
    option(
        "exclude_record_types",
        Kind::FreeList("numbers or names"),
        None,
        Scope::Core,
        "Leave out records of these types.",
    ),
    option(
        "enrich",
        Kind::Boolean,
        Some("off"),
        Scope::Core,
        "Say beside each record, as metadata, the names of its record type and user type and its \
         client's address and port. The record itself stays as it is.",
    ),
    option(
        "invalid_unicode",
        Kind::Choice(&["keep", "replace"]),
        Some("keep"),
        Scope::Core,
        "What becomes of an escape in a record that is half of a surrogate pair, such as \\ud83d: keep \
         it as Microsoft wrote it, or replace it with \\ufffd for parsers that refuse it (jq 1.6).",
    ),
    option(
        "metadata",
        Kind::Choice(&["event", "record", "off"]),
        None,
        Scope::Core,
        "Where the metadata of records are: beside them (event: in Fluent Bit that of the event, in \
         lines an object around the record), in them as their last member, or nowhere. Default: \
         event in Fluent Bit, off in lines.",
    ),
    option(
        "metadata_key",
        Kind::Text,
        None,
        Scope::Core,
        "With metadata record, the name of the member that holds it. Default: m365_audit.",
    ),
    option(
        "record_key",
        Kind::Text,
        None,
        Scope::Core,
        "Nest each record under this name: o365audit for Elastic's pipeline, office365 for Wazuh.",
    ),
    option(
        "add_fields",
        Kind::FreeList("name=value"),
        None,
        Scope::Core,
        "Members to add, as texts: beside a record that is nested by record_key, else in it, behind \
         its own.",
    ),
    option(
        "content_type_field",
        Kind::Text,
        None,
        Scope::Core,
        "Add the content type to each record, as its last own member of this name: Subscription for \
         Wazuh.",
    ),
    option(
        "redact",
        Kind::Boolean,
        Some("off"),
        Scope::Core,
        "Replace what DLP rules have matched (DetectedValues), and redact_fields, in the records \
         before they are handed over.",
    ),
    option(
        "redact_fields",
        Kind::FreeList("field names"),
        None,
        Scope::Core,
        "With redact, further fields to replace: Subject wherever it stands, Item.Subject directly \
         in an Item, .Subject in the record itself alone.",
    ),
    option(
        "redact_key",
        Kind::Secret,
        None,
        Scope::Core,
        "With redact, the key of the hash (HMAC-SHA-256) that takes a value's place, so that equal \
         values can be joined. 16 characters or more. Without a key there is no hash.",
    ),
    option(
        "redact_key_file",
        Kind::Path,
        None,
        Scope::Native,
        "File that holds redact_key; white space around it is ignored.",
    ),
    option(
        "webhook_listen",
        Kind::Text,
        None,
        Scope::Native,
        "ADDRESS:PORT at which to receive Microsoft's notifications. They make content arrive \
         sooner; polling goes on and finds everything. Needs webhook_auth_id.",
    ),
    option(
        "webhook_auth_id",
        Kind::Secret,
        None,
        Scope::Native,
        "What each notification must bring along as Webhook-AuthID: 16 to 256 random characters.",
    ),
    option(
        "webhook_address",
        Kind::Url,
        None,
        Scope::Native,
        "Address at which Microsoft reaches webhook_listen. Subscriptions are started with it, and \
         those that lack it get it. Without it no subscription's webhook is touched.",
    ),
    option(
        "webhook_cert_file",
        Kind::Path,
        None,
        Scope::Native,
        "PEM file with the certificate chain for webhook_listen. Without it and webhook_key_file it \
         speaks http, for a reverse proxy in front of it.",
    ),
    option(
        "webhook_key_file",
        Kind::Path,
        None,
        Scope::Native,
        "PEM file with the private key of webhook_cert_file.",
    ),
    option(
        "status_listen",
        Kind::Text,
        None,
        Scope::Native,
        "PORT or ADDRESS:PORT at which to show how collection stands: a page, /metrics, /status, \
         /healthz, /readyz. A port alone answers this machine alone.",
    ),
    option(
        "metrics_file",
        Kind::Path,
        None,
        Scope::Native,
        "File for the textfile collector of node_exporter, ending with .prom; written every 15 s.",
    ),
    option(
        "metrics_detail",
        Kind::Choice(&["content_type", "tenant", "total"]),
        Some("content_type"),
        Scope::Native,
        "What metrics are told apart by: tenant and content type, tenant alone, or nothing. Of \
         thousands of tenants the first is more than most monitors keep.",
    ),
    option(
        "db",
        Kind::Path,
        None,
        Scope::Native,
        "SQLite file that holds the state, or a PostgreSQL that several processes share: \
         postgres://user@host/database. Without it every start collects from lookback again.",
    ),
    option(
        "db_password_file",
        Kind::Path,
        None,
        Scope::Native,
        "File that holds the password for a PostgreSQL in db. Or: in db, or PGPASSWORD.",
    ),
    option(
        "db.sync",
        Kind::Choice(&["extra", "full", "normal", "off"]),
        Some("full"),
        Scope::Native,
        "SQLite's synchronous mode. Full survives power loss; normal survives a crash.",
    ),
    option(
        "db.journal_mode",
        Kind::Choice(&["delete", "truncate", "persist", "memory", "wal", "off"]),
        Some("wal"),
        Scope::Native,
        "SQLite's journal mode.",
    ),
    option(
        "db.locking",
        Kind::Boolean,
        Some("off"),
        Scope::Native,
        "Lock the database file for this process alone. Two collectors of one tenant on one file \
         are refused in any case.",
    ),
    option(
        "db.lease",
        Kind::Duration { min: 1, max: 3_600 },
        Some("30"),
        Scope::Native,
        "With a PostgreSQL: how long a tenant stays with a process that the database does not hear \
         of. Another one takes it over after that. Longer than a commit ever takes.",
    ),
    option(
        "db.tenants_max",
        Kind::Integer { min: 1, max: 100_000 },
        None,
        Scope::Native,
        "With a PostgreSQL: most tenants of tenants_file that this process takes. Without it any \
         number.",
    ),
    option(
        "proxy_url",
        Kind::Text,
        None,
        Scope::Native,
        "HTTP proxy for all requests. Default: HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the \
         environment.",
    ),
    option(
        "ca_file",
        Kind::Path,
        None,
        Scope::Native,
        "PEM file with further root certificates to trust.",
    ),
    option(
        "verify_tls",
        Kind::Boolean,
        Some("on"),
        Scope::Native,
        "Check server certificates. Off exposes the client secret to anyone in between.",
    ),
    option(
        "tag_per_content_type",
        Kind::Boolean,
        Some("off"),
        Scope::FluentBit,
        "Tag events by content type: tag_prefix m365 gives m365.Audit.Exchange. Needs tag_prefix.",
    ),
    option(
        "tag_per_tenant",
        Kind::Boolean,
        Some("off"),
        Scope::FluentBit,
        "Tag events by tenant: its name in tenants_file, else tenant_id, stands behind tag_prefix, \
         and the content type behind that. What is neither letter, digit, - nor _ becomes _.",
    ),
    option(
        "tag_prefix",
        Kind::Text,
        None,
        Scope::FluentBit,
        "With tag_per_content_type or tag_per_tenant, what tags begin with. Write what the input's tag says: Fluent \
         Bit does not show it to plugins.",
    ),
    option(
        "commit_delay",
        Kind::Duration { min: 0, max: 3_600 },
        Some("0"),
        Scope::FluentBit,
        "How long after Fluent Bit took the events progress is recorded. With memory storage, as \
         long as outputs may need; 0 with storage.type filesystem.",
    ),
];

/// The options of `m365-audit host`, which it has beside those of scope `Core` and `Native`.
pub const HOST_OPTIONS: &[OptionSpec] = &[
    option(
        "memory_max",
        Kind::Size { min: 16_000_000, max: 4_000_000_000 },
        Some("256M"),
        Scope::Host,
        "Most memory that the component may use. Raise it with buffer_bytes, record_bytes_max or \
         dedupe_records.",
    ),
    option(
        "call_bytes",
        Kind::Size { min: 10_000, max: 16_000_000 },
        Some("1M"),
        Scope::Host,
        "Most bytes of records that one call of the component returns, and so the most that are \
         delivered twice after a crash. A larger record travels alone.",
    ),
    option(
        "call_timeout",
        Kind::Duration { min: 2, max: 600 },
        Some("30"),
        Scope::Host,
        "Longest time that one call of the component may take before it is stopped and a fresh \
         instance goes on. The component itself aims to be done after a third of it.",
    ),
];

/// The option called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static OptionSpec> {
    OPTIONS.iter().chain(HOST_OPTIONS).find(|option| option.name == name)
}

impl Kind {
    /// What a value may look like, for messages and tables.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Text | Self::Secret => "text".into(),
            Self::Path => "path".into(),
            Self::Url => "https:// address".into(),
            Self::Integer { min, max } => format!("number from {min} to {max}"),
            Self::Boolean => "on or off".into(),
            Self::Duration { min, max } => {
                format!("time from {} to {}", seconds(min), seconds(max))
            }
            Self::Size { min, max } => format!("size from {} to {}", bytes(min), bytes(max)),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::List(words) => format!("list of {}", words.join(", ")),
            Self::FreeList(what) => format!("list of {what}, separated by commas"),
        }
    }
}

/// `604800` as `7d`: the largest unit that divides it.
fn seconds(seconds: u64) -> String {
    match seconds {
        s if s > 0 && s.is_multiple_of(DAY) => format!("{}d", s / DAY),
        s if s > 0 && s.is_multiple_of(3_600) => format!("{}h", s / 3_600),
        s if s > 0 && s.is_multiple_of(60) => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// `512000` as `512K`: the largest unit that divides it.
fn bytes(bytes: u64) -> String {
    match bytes {
        b if b > 0 && b.is_multiple_of(1_000_000_000) => format!("{}G", b / 1_000_000_000),
        b if b > 0 && b.is_multiple_of(1_000_000) => format!("{}M", b / 1_000_000),
        b if b > 0 && b.is_multiple_of(1_000) => format!("{}K", b / 1_000),
        b => b.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_snake_case() {
        let options: Vec<_> = OPTIONS.iter().chain(HOST_OPTIONS).collect();
        for (i, option) in options.iter().enumerate() {
            let legal = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
            assert!(option.name.chars().all(legal), "{}", option.name);
            assert!(options[..i].iter().all(|other| other.name != option.name));
        }
    }

    #[test]
    fn bounds_read_as_users_write_them() {
        assert_eq!(Kind::Duration { min: 0, max: 604_800 }.describe(), "time from 0s to 7d");
        assert_eq!(Kind::Size { min: 1_000, max: 16_000_000 }.describe(), "size from 1K to 16M");
    }
}
