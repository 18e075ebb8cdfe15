//! What an operator can do about a code: one table for Entra ID's and the activity API's errors.

/// One known code.
#[derive(Clone, Copy, Debug)]
pub struct KnownError {
    /// `AADSTS` number, AF code, or a name of ours.
    pub code: &'static str,
    /// What it means, in a few words.
    pub meaning: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// Every code with a known remedy.
pub const KNOWN_ERRORS: &[KnownError] = &[
    known(
        "AADSTS7000215",
        "the client secret is wrong",
        "set client_secret to the secret's value (not its id)",
    ),
    known(
        "AADSTS7000222",
        "the client secret has expired",
        "create a new secret for the app registration and set it",
    ),
    known(
        "AADSTS700016",
        "the app is not known in this tenant",
        "check client_id and tenant_id, and that an administrator has consented to the app",
    ),
    known("AADSTS90002", "the tenant is not known in this cloud", "check tenant_id, and cloud"),
    known(
        "AADSTS500011",
        "the API is not known in this tenant",
        "check cloud and resource; the tenant needs the Office 365 Management APIs",
    ),
    known("AADSTS70011", "the scope is not valid", "check resource"),
    known(
        "AADSTS7000218",
        "the request held no credential",
        "set client_secret or client_secret_file",
    ),
    known(
        "AADSTS7000112",
        "the app is disabled",
        "enable the app registration's service principal",
    ),
    known(
        "AADSTS53003",
        "Conditional Access blocks the sign-in",
        "exclude the app from the Conditional Access policy for workload identities",
    ),
    known(
        "AADSTS650057",
        "the API is not among the app's permissions",
        "add ActivityFeed.Read of the Office 365 Management APIs to the app and grant consent",
    ),
    known("AADSTS900382", "the tenant is in another cloud", "check cloud"),
    known("invalid_client", "the credential was refused", "check client_id and client_secret"),
    known("unauthorized_client", "the app may not sign in here", "check client_id and tenant_id"),
    known(
        "AF10001",
        "a permission is missing",
        "grant the app the application permission ActivityFeed.Read (for DLP.All also \
         ActivityFeed.ReadDlp) of the Office 365 Management APIs, with administrator consent",
    ),
    known("AF20010", "the token is for another tenant", "check tenant_id"),
    known("AF20011", "the tenant does not exist here", "check tenant_id and cloud"),
    known(
        "AF20012",
        "the tenant is not set up for this API",
        "the tenant needs a Microsoft 365 licence that includes auditing",
    ),
    known("AF20013", "the tenant id is no GUID", "check tenant_id"),
    known(
        "AF20020",
        "the content type is not valid in this cloud",
        "check content_types and cloud",
    ),
    known(
        "auditing-off",
        "unified audit logging is off",
        "turn auditing on in the Purview portal; it takes up to 60 minutes to apply",
    ),
];

const fn known(code: &'static str, meaning: &'static str, remedy: &'static str) -> KnownError {
    KnownError { code, meaning, remedy }
}

/// What is known about `code`.
#[must_use]
pub fn known_error(code: &str) -> Option<&'static KnownError> {
    KNOWN_ERRORS.iter().find(|known| known.code == code)
}

/// What to do about `code`.
pub(crate) fn remedy(code: &str) -> &'static str {
    known_error(code).map_or(
        "look the code up in Microsoft's reference; collection goes on by itself once it is solved",
        |known| known.remedy,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        for (i, known) in KNOWN_ERRORS.iter().enumerate() {
            assert!(
                KNOWN_ERRORS[..i].iter().all(|other| other.code != known.code),
                "{}",
                known.code
            );
        }
    }
}
