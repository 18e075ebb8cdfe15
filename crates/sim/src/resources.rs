//! What applications may ask tokens for, and which roles go with it. Plain data.

/// The application by which the Activities API is known to Entra.
pub(crate) const PORTAL_RESOURCE: &str = "05a65629-4c1b-48c1-a78b-804c4abdd4af";
/// The application role that reads activities, and remarks on them.
pub(crate) const INVESTIGATION_READ: &str = "Investigation.read";
/// Resources by which the Management Activity API is known, its own application id among them.
const AUDIT_RESOURCES: [&str; 6] = [
    "https://manage.office.com",
    "https://manage-gcc.office.com",
    "https://manage.office365.us",
    "https://manage.protection.apps.mil",
    "https://manage.office365.cn",
    "c5393580-f805-4401-95e8-94b7a6ef2fc2",
];
/// Resources that exist but are not the Management Activity API.
const OTHER_RESOURCES: [&str; 2] = ["https://graph.microsoft.com", PORTAL_RESOURCE];

/// Whether an application role is one of the Activities API, and not of the audit API.
pub(crate) fn is_of_portal(role: &str) -> bool {
    ["Investigation.", "Discovery.", "Settings."].iter().any(|family| role.starts_with(family))
}

/// Whether tokens for `resource` exist at all.
pub(crate) fn is_known_resource(resource: &str, further: &[String]) -> bool {
    is_audit(resource, further) || OTHER_RESOURCES.contains(&resource)
}

/// Whether it is the Management Activity API, under one of Microsoft's names or a `further` one.
pub(crate) fn is_audit(resource: &str, further: &[String]) -> bool {
    AUDIT_RESOURCES.contains(&resource) || further.iter().any(|known| known == resource)
}
