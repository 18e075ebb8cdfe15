//! A pipeline: the simulator, the plugin in the real Fluent Bit, and what comes out.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use fluent_bit_plugin::options::reserved;
use fluent_bit_plugin_harness::{build, fake};
use m365_sim::{ContentType, Guid, Listen, Server, SimConfig, TenantConfig};

/// Long enough for a busy machine; nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The plugin under test: `M365_AUDIT_PLUGIN`, else built now, so that it is never a stale one.
pub(crate) fn plugin() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os("M365_AUDIT_PLUGIN") {
        Some(path) => path.into(),
        None => build::plugin("in_m365_audit"),
    })
}

/// A world that publishes nothing but its history.
pub(crate) fn history(seed: u64) -> SimConfig {
    SimConfig { seed, days: 0.25, live: false, ..SimConfig::default() }
}

pub(crate) fn serve(config: SimConfig) -> Server {
    Server::start(config, &Listen::default()).expect("a server on loopback")
}

pub(crate) fn tenant(server: &Server, index: usize) -> TenantConfig {
    server.microsoft().tenants()[index].clone()
}

pub(crate) fn tenant_id(server: &Server) -> Guid {
    tenant(server, 0).id
}

pub(crate) fn secret(tenant: &TenantConfig) -> String {
    tenant.apps[0].secret().expect("apps have a secret").to_owned()
}

/// The value of the option `content_types`.
pub(crate) fn content_types(types: &[ContentType]) -> String {
    types.iter().map(|content_type| content_type.name()).collect::<Vec<_>>().join(", ")
}

/// An `[INPUT]` section with all content types, a `db` in the folder, and filesystem storage.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    lines: Vec<(String, String)>,
    /// YAML that is no plain option, such as `routes`, indented as they are.
    nested: String,
}

impl Section {
    pub(crate) fn new(server: &Server, tenant: &TenantConfig) -> Self {
        let url = server.http_url();
        Self { lines: Vec::new(), nested: String::new() }
            .set("name", "m365_audit")
            .set("tag", "m365")
            .set("tenant_id", &tenant.id.to_string())
            .set("client_id", &tenant.apps[0].client_id.to_string())
            .set("client_secret", &secret(tenant))
            .set("api_url", &url)
            .set("login_url", &url)
            .set("resource", &url)
            .set("content_types", &content_types(&ContentType::ALL))
            .set("interval_sec", "1")
            .set("db", "{dir}/state.db")
            .set("db.sync", "normal")
            .set("storage.type", "filesystem")
    }

    /// Adds or replaces an option.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self = self.unset(name);
        self.lines.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds YAML that is no plain option, indented by six.
    pub(crate) fn nest(mut self, yaml: &str) -> Self {
        self.nested.push_str(yaml);
        self
    }

    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.lines.retain(|(known, _)| known != name);
        self
    }

    /// The same for the faked host, without what Fluent Bit keeps from plugins.
    pub(crate) fn faked(&self, folder: &Path) -> fake::Section {
        let folder = folder.to_str().expect("a path of ASCII");
        let own = self.lines.iter().filter(|(name, _)| !reserved(name));
        own.fold(fake::Section::new(), |section, (name, value)| {
            section.set(name, &value.replace("{dir}", folder))
        })
    }

    fn yaml(&self) -> String {
        let line = |(index, (name, value)): (usize, &(String, String))| {
            let value = value.replace('\'', "''");
            format!("    {} {name}: '{value}'\n", if index == 0 { '-' } else { ' ' })
        };
        self.lines.iter().enumerate().map(line).chain([self.nested.clone()]).collect()
    }
}

/// An output for what nobody looks at.
pub(crate) const NOWHERE: &str = "    - { name: 'null', match: '*' }\n";

/// A whole configuration.
pub(crate) fn config(sections: &[Section], outputs: &str) -> String {
    format!("plugins:\n  - {}\n{}", plugin().display(), config_for_all(sections, outputs))
}

/// The same without the plugin, which the command line then names: what 2.2 can read too.
pub(crate) fn config_for_all(sections: &[Section], outputs: &str) -> String {
    let inputs: String = sections.iter().map(Section::yaml).collect();
    format!(
        "service:\n  flush: 0.2\n  grace: 3\n  log_level: info\n  http_server: on\n  \
         http_listen: 127.0.0.1\n  http_port: {{port}}\n  hot_reload: on\n  \
         scheduler.base: 1\n  scheduler.cap: 2\n  storage.path: '{{dir}}/storage'\n  \
         storage.backlog.mem_limit: 200M\n\
         pipeline:\n  inputs:\n{inputs}  outputs:\n{outputs}"
    )
}
