//! `m365-audit consent`: where an administrator of each tenant lets the app in. Sends nothing.

use clap::{ArgMatches, Command};
use m365_audit_client::Settings;
use m365_audit_core::CredentialKind;
use serde_json::{Value, json};

use crate::calls::table::table;
use crate::calls::{self, print, say};
use crate::exit::{COMPLETE, INCOMPLETE, MISCONFIGURED};
use crate::sources::{Plan, plan};

const AFTER_HELP: &str = "\
An administrator of the tenant opens the address in a browser, signs in, and accepts the application
permissions that the app asks for. A multi-tenant app gets into each tenant by this alone. Where the
authority differs, as in Microsoft's national clouds, so does the address: `cloud` or login_url of
the tenant decide. Consent takes some minutes to have effect; `m365-audit doctor` shows it.

Exit codes: 0 an address for every tenant, 1 not for all (a table has a mistake), 2 wrong
configuration.

Examples:
  m365-audit consent --tenant-id GUID --client-id GUID
  m365-audit consent --config m365-audit.toml --json | jq -r '.[].address'";

pub(crate) fn command() -> Command {
    Command::new("consent")
        .about("Print the address at which an administrator of each tenant lets the app in")
        .after_help(AFTER_HELP)
        .args(calls::args(&[]))
}

/// Where one tenant's administrator consents.
struct Consent {
    name: String,
    tenant_id: String,
    client_id: String,
    /// `None`: a managed identity, which nobody can consent to.
    address: Option<String>,
}

/// Prints, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let (consents, mistakes) = match plan(matches, |_| Ok(())).map(|(plan, ())| plan) {
        Ok(Plan::One(settings)) => (vec![Consent::of("", &settings)], Vec::new()),
        Ok(Plan::Many(_, tenants)) => {
            let of =
                |tenant: &m365_audit_client::Tenant| Consent::of(&tenant.name, &tenant.settings);
            (tenants.tenants.iter().map(of).collect(), tenants.mistakes)
        }
        Err(report) => {
            say(&report);
            return MISCONFIGURED;
        }
    };
    if calls::json(matches) {
        let all: Vec<_> = consents.iter().map(Consent::as_json).collect();
        print(&format!("{:#}\n", Value::Array(all)));
    } else {
        let rows: Vec<_> = consents.iter().map(Consent::as_row).collect();
        print(&table(&["TENANT", "ADDRESS"], &rows));
    }
    for mistake in &mistakes {
        say(&format!("{mistake}\n"));
    }
    if mistakes.is_empty() { COMPLETE } else { INCOMPLETE }
}

impl Consent {
    /// <https://learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent>, "Construct
    /// the URL for granting tenant-wide admin consent".
    fn of(name: &str, settings: &Settings) -> Self {
        let config = &settings.config;
        let (tenant_id, client_id) = (config.tenant_id(), config.client_id());
        let login = config.login().as_str().trim_end_matches('/');
        let consents = config.credential().kind() != CredentialKind::ManagedIdentity;
        let address = format!("{login}/{tenant_id}/adminconsent?client_id={client_id}");
        Self {
            name: if name.is_empty() { tenant_id.to_owned() } else { name.to_owned() },
            tenant_id: tenant_id.to_owned(),
            client_id: client_id.to_owned(),
            address: consents.then_some(address),
        }
    }

    fn as_json(&self) -> Value {
        json!({
            "tenant": self.name,
            "tenant_id": self.tenant_id,
            "client_id": self.client_id,
            "address": self.address,
        })
    }

    fn as_row(&self) -> Vec<String> {
        const NONE: &str =
            "none: a managed identity is granted its permissions by PowerShell or az";
        vec![self.name.clone(), self.address.clone().unwrap_or_else(|| NONE.to_owned())]
    }
}
