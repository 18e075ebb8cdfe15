//! What tenants are called: by the name that the configuration gives them, else by their GUID. In
//! headings both stand, in rows and lines the one.

use std::collections::BTreeMap;

use m365_audit_client::{Settings, Tenant, TenantsFile};
use m365_audit_core::RawOptions;

/// Names by GUID, as far as the configuration has some.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeMap<String, String>);

impl Names {
    /// Of the tenants file, if there is one and it can be read; else of the only tenant.
    pub(crate) fn of(raw: &RawOptions) -> Self {
        let Some(file) = TenantsFile::of(raw) else {
            let option = |name: &str| raw.get(name).map(|text| text.trim().to_owned());
            let only = option("tenant_id").zip(option("tenant_name"));
            let only = only.filter(|(_, name)| !name.is_empty());
            return Self(
                only.map(|(id, name)| (id.to_ascii_lowercase(), name)).into_iter().collect(),
            );
        };
        let tenants = file.read().ok().into_iter().flat_map(|tenants| tenants.tenants);
        let name = |tenant: Tenant| {
            (tenant.settings.config.tenant_id().to_owned(), tenant.name.to_string())
        };
        Self(tenants.map(name).collect())
    }

    /// The name of a tenant, if it has one.
    pub(crate) fn name(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }

    /// In rows and lines: `contoso`, or the GUID.
    pub(crate) fn title<'a>(&'a self, id: &'a str) -> &'a str {
        self.name(id).unwrap_or(id)
    }

    /// In headings: `contoso (GUID)`, or the GUID.
    pub(crate) fn heading(&self, id: &str) -> String {
        heading(self.name(id), id)
    }
}

/// Whom one tenant's settings are about, for headings.
pub(crate) fn heading_of(settings: &Settings) -> String {
    let config = &settings.config;
    heading(config.envelope().tenant_name.as_deref(), config.tenant_id())
}

/// `contoso (GUID)`, or the GUID.
pub(crate) fn heading(name: Option<&str>, id: &str) -> String {
    name.map_or_else(|| id.to_owned(), |name| format!("{name} ({id})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_name_is_called_by_the_guid() {
        let raw = [("tenant_id", "41463F53-8812"), ("tenant_name", "contoso")];
        let raw = raw.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let names = Names::of(&raw.into());
        assert_eq!(names.title("41463f53-8812"), "contoso");
        assert_eq!(names.heading("41463f53-8812"), "contoso (41463f53-8812)");
        assert_eq!((names.title("other"), names.heading("other")), ("other", "other".to_owned()));
    }
}
