//! The rows of each crate, lowest first, and the imports that still break them. Nothing but data.

/// A crate whose imports are held against rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layered {
    pub(super) name: &'static str,
    /// A top-level module may name what stands in a lower row. Modules of one row never name each
    /// other.
    pub(super) rows: &'static [&'static [&'static str]],
    /// Modules that are one source each, and what types call sources: no module of a lower row
    /// knows these names.
    pub(super) sources: &'static [&'static str],
    /// The one file of a lower row that lists them.
    pub(super) list_of_sources: &'static str,
    /// `from -> to`: offences of today. An entry that is none any more fails the check, so that the
    /// list only gets shorter.
    pub(super) exceptions: &'static [&'static str],
}

pub(super) const CRATES: [Layered; 7] = [CORE, CLIENT, SINKS, HOST, CLI, SDK, SIM];

const CORE: Layered = Layered {
    name: "core",
    rows: &[
        &["base"],
        &["json", "options"],
        &["identity"],
        &["contract"],
        &["records", "access"],
        &["source"],
        &["audit", "activities"],
        &["config"],
        &["collector", "call"],
    ],
    sources: &["audit", "activities", "Audit", "ManagementActivity", "CloudAppActivities"],
    list_of_sources: "contract/feed.rs",
    exceptions: &[],
};

const CLIENT: Layered = Layered {
    name: "client",
    rows: &[
        &[
            "clocks",
            "credentials",
            "environment",
            "files",
            "guests",
            "handle",
            "open_files",
            "proxy",
            "restart",
            "runtime",
            "tls",
            "toml_text",
        ],
        &["failure", "roots", "webhook"],
        &["store"],
        &["status"],
        &["error", "settings", "sink"],
        &["http", "tenants"],
        &["driver", "look", "section"],
        &["client"],
        &["calls", "fleet"],
    ],
    sources: &[],
    list_of_sources: "",
    exceptions: &[],
};

const SINKS: Layered = Layered {
    name: "sinks",
    rows: &[
        &["lines", "logger", "stop"],
        &["receiver"],
        &["forward", "insistence", "otlp"],
        &["couriers", "options"],
    ],
    sources: &[],
    list_of_sources: "",
    exceptions: &[],
};

const HOST: Layered = Layered {
    name: "host",
    rows: &[
        &["bindings", "limits"],
        &["allow", "sink", "state", "stdio"],
        &["http"],
        &["sandbox", "settings"],
        &["component"],
        &["guest"],
        &["host"],
    ],
    sources: &[],
    list_of_sources: "",
    exceptions: &[],
};

const CLI: Layered = Layered {
    name: "cli",
    rows: &[
        &[
            "config_file",
            "exit",
            "fluent_bit",
            "memory",
            "monitoring",
            "names",
            "output_settings",
            "service",
            "terminal",
            "words",
        ],
        &["arguments"],
        &["log", "schema", "sources"],
        &["calls", "output"],
        &["findings", "state"],
        &["sections"],
        &[
            "activities",
            "consent",
            "content",
            "dlp_types",
            "doctor",
            "errors",
            "manual",
            "members",
            "options",
            "replay",
            "report",
            "run",
            "subscriptions",
            "top",
            "verify",
        ],
        &["check", "host", "notifications", "trial"],
    ],
    sources: &[],
    list_of_sources: "",
    exceptions: &[],
};

const SDK: Layered = Layered {
    name: "fluent-bit-plugin",
    rows: &[
        &[
            "engine", "given", "level", "marks", "msgpack", "options", "proof", "reading", "terms",
            "trust", "widen",
        ],
        &["abi", "entry", "idle", "event", "outbox", "quiet", "storage"],
        &["failure", "ledger", "log", "metrics", "parcel", "properties"],
        &["input"],
        &["instance"],
        &["start"],
    ],
    sources: &[],
    list_of_sources: "",
    exceptions: &[],
};

const SIM: Layered = Layered {
    name: "sim",
    rows: &[
        &["content_type", "draw", "resources", "time"],
        &["faults", "guid", "issue"],
        &["config", "report"],
        &["records"],
        &["blob"],
        &["body", "owed", "publish"],
        &["http"],
        &["answer"],
        &["aadsts", "listing", "machine", "portal", "webhooks"],
        &["entra", "route", "subscriptions"],
        &["tenant"],
        &["service"],
        &["admission", "mishap", "operations", "portal_calls", "server", "sign_in"],
    ],
    sources: &[],
    list_of_sources: "",
    exceptions: &[],
};
