//! What Azure puts into the environment of a process, as values for options that are left open.
//! Packagings call it.

use m365_audit_core::credential::is_credential_option;
use m365_audit_core::{CredentialKind, RawOptions};

/// Options of identity, and the variables that Azure's own libraries read for them.
const IDENTITY: [(&str, &str); 2] =
    [("tenant_id", "AZURE_TENANT_ID"), ("client_id", "AZURE_CLIENT_ID")];

/// Options of credentials, likewise.
const CREDENTIALS: [(CredentialKind, &[(&str, &str)]); 4] = [
    (CredentialKind::ClientSecret, &[("client_secret", "AZURE_CLIENT_SECRET")]),
    (
        CredentialKind::Certificate,
        &[
            ("certificate_file", "AZURE_CLIENT_CERTIFICATE_PATH"),
            ("certificate_password", "AZURE_CLIENT_CERTIFICATE_PASSWORD"),
        ],
    ),
    (CredentialKind::WorkloadIdentity, &[("federated_token_file", "AZURE_FEDERATED_TOKEN_FILE")]),
    (
        CredentialKind::ManagedIdentity,
        &[
            ("managed_identity_endpoint", "IDENTITY_ENDPOINT"),
            ("managed_identity_header", "IDENTITY_HEADER"),
        ],
    ),
];

/// Completes `raw` from the environment. What is written in `raw` stays; credentials are taken only
/// if it names none, or of the kind that its `auth` names. `variable` reads a variable.
pub fn complete(raw: &mut RawOptions, variable: impl Fn(&str) -> Option<String>) {
    let is_set =
        |raw: &RawOptions, name: &str| raw.get(name).is_some_and(|text| !text.trim().is_empty());
    let take = |raw: &mut RawOptions, option: &str, name: &str| {
        if is_set(raw, option) {
            return;
        }
        if let Some(text) = variable(name).filter(|text| !text.trim().is_empty()) {
            raw.insert(option.into(), text);
        }
    };
    for (option, name) in IDENTITY {
        take(raw, option, name);
    }
    // The cloud decides the authority, if somebody has chosen one.
    if !is_set(raw, "cloud") {
        take(raw, "login_url", "AZURE_AUTHORITY_HOST");
    }
    let auth = raw.get("auth").map(|text| text.trim().to_ascii_lowercase());
    let auth = auth.filter(|word| !word.is_empty() && word != "auto");
    let bare = !raw.keys().any(|name| is_credential_option(name) && is_set(raw, name));
    for (kind, variables) in CREDENTIALS {
        let wanted = match &auth {
            Some(word) => word == kind.as_str() && !kind.is_configured(raw),
            None => bare,
        };
        // A half of what App Service sets is not App Service.
        let whole = kind != CredentialKind::ManagedIdentity
            || variables.iter().all(|(_, name)| variable(name).is_some());
        if wanted && whole {
            for (option, name) in variables {
                take(raw, option, name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    /// Completes `options` from `variables`, both `name=value` separated by spaces.
    #[track_caller]
    fn check(options: &str, variables: &str, expect: Expect) {
        let pairs = |text: &str| -> RawOptions {
            let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let (mut raw, variables) = (pairs(options), pairs(variables));
        complete(&mut raw, |name| variables.get(name).cloned());
        let text: Vec<_> = raw.iter().map(|(name, value)| format!("{name}={value}")).collect();
        expect.assert_eq(&text.join(" "));
    }

    #[test]
    fn what_azure_injects_is_enough_to_sign_in() {
        check(
            "",
            "AZURE_TENANT_ID=t AZURE_CLIENT_ID=c AZURE_FEDERATED_TOKEN_FILE=/f \
             AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/",
            expect![
                "client_id=c federated_token_file=/f login_url=https://login.microsoftonline.com/ tenant_id=t"
            ],
        );
        check(
            "",
            "IDENTITY_ENDPOINT=http://localhost/msi IDENTITY_HEADER=h",
            expect!["managed_identity_endpoint=http://localhost/msi managed_identity_header=h"],
        );
        check("", "IDENTITY_ENDPOINT=http://localhost/msi", expect![""]);
    }

    #[test]
    fn what_is_written_comes_before_the_environment() {
        check(
            "tenant_id=mine cloud=dod certificate_file=/mine",
            "AZURE_TENANT_ID=t AZURE_CLIENT_SECRET=s AZURE_CLIENT_CERTIFICATE_PATH=/p \
             AZURE_AUTHORITY_HOST=https://elsewhere",
            expect!["certificate_file=/mine cloud=dod tenant_id=mine"],
        );
        check(
            "auth=certificate client_secret=",
            "AZURE_CLIENT_SECRET=s AZURE_CLIENT_CERTIFICATE_PATH=/p \
             AZURE_CLIENT_CERTIFICATE_PASSWORD=w",
            expect!["auth=certificate certificate_file=/p certificate_password=w client_secret="],
        );
    }
}
