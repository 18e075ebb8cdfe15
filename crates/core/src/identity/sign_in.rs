//! Who signs in, where, and with what: read from the options.

use std::sync::Arc;

use crate::base::origin::Origin;
use crate::base::secret::Secret;
use crate::identity::certificate::Certificate;
use crate::identity::credential::{Choice, Credential, CredentialKind, ManagedIdentity};
use crate::identity::signing::Algorithm;
use crate::options::{ConfigError, RawOptions, Reader};

/// How the app signs in.
#[derive(Clone, Debug)]
pub(crate) struct SignIn {
    pub tenant_id: Arc<str>,
    pub client_id: Box<str>,
    /// Base address of the Entra ID authority.
    pub login: Origin,
    pub choice: Choice,
    pub credential: Credential,
    pub algorithm: Algorithm,
    pub endpoint: TokenEndpoint,
}

/// The version of Entra ID's token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenEndpoint {
    /// Asks for a `resource`.
    V1,
    /// Asks for a `scope`.
    V2,
}

/// Where the credential comes from.
#[derive(Clone, Debug)]
pub enum CredentialSource {
    /// The options hold it.
    Options,
    /// A packaging has read it from where the options say.
    Given(Credential),
    /// A packaging could not read it and reports that itself.
    Broken,
}

/// Reads who the app is; empty if it has no name or none that is a GUID. `keyed`: nobody signs in.
pub(crate) fn client_id(reader: &mut Reader<'_>, raw: &RawOptions, keyed: bool) -> Box<str> {
    // A machine's own identity has no client id that anybody would need to know.
    let managed = CredentialKind::ManagedIdentity;
    let nameless = keyed || Choice::of(raw).is_ok_and(|choice| choice.kind == managed);
    reader.guid("client_id", !nameless).unwrap_or_default().into()
}

impl SignIn {
    /// Reads the options; `None` if a mistake was reported, here or by the packaging. `keyed`:
    /// nobody has to sign in, for the only source has a token of its own.
    pub(crate) fn read(
        reader: &mut Reader<'_>,
        raw: &RawOptions,
        source: CredentialSource,
        tenant_id: Arc<str>,
        client_id: Box<str>,
        login_default: &str,
        keyed: bool,
    ) -> Option<Self> {
        let login = reader.origin("login_url", login_default);
        let (algorithm, endpoint, choice, credential) = if keyed {
            let choice = Choice { kind: CredentialKind::ClientSecret, auto: false };
            let nothing = Credential::ClientSecret(Secret::new(String::new()));
            (Algorithm::Ps256, TokenEndpoint::V2, choice, nothing)
        } else {
            let algorithm = match &*reader.word("certificate_algorithm") {
                "rs256" => Algorithm::Rs256,
                _ => Algorithm::Ps256,
            };
            let endpoint = match &*reader.word("token_endpoint") {
                "v1" => TokenEndpoint::V1,
                _ => TokenEndpoint::V2,
            };
            let (choice, credential) = match (source, Choice::of(raw)) {
                (CredentialSource::Broken, _) => return None,
                (_, Err(error)) => {
                    reader.report(error);
                    return None;
                }
                (CredentialSource::Given(credential), Ok(choice)) => (choice, credential),
                (CredentialSource::Options, Ok(choice)) => {
                    (choice, read_credential(reader, choice.kind)?)
                }
            };
            (algorithm, endpoint, choice, credential)
        };
        Some(Self { tenant_id, client_id, login, choice, credential, algorithm, endpoint })
    }
}

fn read_credential(reader: &mut Reader<'_>, kind: CredentialKind) -> Option<Credential> {
    match kind {
        CredentialKind::ClientSecret => {
            reader.secret("client_secret").map(Credential::ClientSecret)
        }
        CredentialKind::WorkloadIdentity => {
            reader.secret("federated_token").map(Credential::FederatedToken)
        }
        CredentialKind::ManagedIdentity => {
            ManagedIdentity::read(reader).map(Credential::ManagedIdentity)
        }
        CredentialKind::Certificate => {
            let pem = reader.secret("certificate")?;
            let password = reader.optional("certificate_password");
            match Certificate::from_pem(pem.expose(), password.as_deref()) {
                Ok(certificate) => Some(Credential::Certificate(Arc::new(certificate))),
                Err(error) => {
                    let problem = error.to_string();
                    let error = ConfigError::new("certificate", None, &problem, error.remedy());
                    reader.report(error);
                    None
                }
            }
        }
    }
}
