//! How the app proves who it is: the kinds of credentials, which one a configuration means, and
//! what a driver says when it is asked for the present one. Reads no file and signs nothing.
//!
//! `auto` does not probe for a metadata service, as Azure's libraries do: outside of Azure that is
//! a silence of seconds, and an error about the wrong thing. A driver presents the credential
//! before each token request, so that it may change outside.

use std::fmt;
use std::sync::Arc;

use crate::base::origin::Endpoint;
use crate::base::secret::Secret;
use crate::identity::certificate::Certificate;
pub use crate::identity::signing::Entropy;
use crate::options;
use crate::options::{ConfigError, RawOptions, Reader};

/// What the app signs in with.
#[derive(Clone, Debug, PartialEq)]
pub enum Credential {
    /// A shared secret, sent in the token request's form.
    ClientSecret(Secret<String>),
    /// A key whose certificate Entra ID knows: signs an assertion for each token request.
    Certificate(Arc<Certificate>),
    /// A token of another issuer that Entra ID trusts, sent as it is.
    FederatedToken(Secret<String>),
    /// The identity of the machine; Azure's own service on it hands out tokens.
    ManagedIdentity(ManagedIdentity),
}

impl Credential {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> CredentialKind {
        match self {
            Self::ClientSecret(_) => CredentialKind::ClientSecret,
            Self::Certificate(_) => CredentialKind::Certificate,
            Self::FederatedToken(_) => CredentialKind::WorkloadIdentity,
            Self::ManagedIdentity(_) => CredentialKind::ManagedIdentity,
        }
    }
}

/// What an operator may know of it.
impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientSecret(_) => f.write_str("a client secret"),
            Self::Certificate(certificate) => write!(f, "{certificate}"),
            Self::FederatedToken(_) => f.write_str("a federated token"),
            Self::ManagedIdentity(identity) => write!(f, "{identity}"),
        }
    }
}

/// The kinds of credentials, in the order in which `auth auto` looks for them: that of Azure's
/// default chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialKind {
    /// See [`Credential::ClientSecret`].
    ClientSecret,
    /// See [`Credential::Certificate`].
    Certificate,
    /// See [`Credential::FederatedToken`].
    WorkloadIdentity,
    /// See [`Credential::ManagedIdentity`].
    ManagedIdentity,
}

impl CredentialKind {
    /// All kinds, in that order.
    pub const ALL: [Self; 4] =
        [Self::ClientSecret, Self::Certificate, Self::WorkloadIdentity, Self::ManagedIdentity];

    /// The word for it in the option `auth`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecret => "client_secret",
            Self::Certificate => "certificate",
            Self::WorkloadIdentity => "workload_identity",
            Self::ManagedIdentity => "managed_identity",
        }
    }

    /// The option that holds such a credential, and the one that names a file of it. A managed
    /// identity is held by nobody; any of its options asks for it.
    #[must_use]
    pub const fn options(self) -> &'static [&'static str] {
        match self {
            Self::ClientSecret => &["client_secret", "client_secret_file"],
            Self::Certificate => &["certificate", "certificate_file"],
            Self::WorkloadIdentity => &["federated_token", "federated_token_file"],
            Self::ManagedIdentity => &[
                "managed_identity_endpoint",
                "managed_identity_header",
                "managed_identity_object_id",
                "managed_identity_resource_id",
            ],
        }
    }

    /// The option that names a file of such a credential.
    #[must_use]
    pub const fn file_option(self) -> Option<&'static str> {
        match self {
            Self::ManagedIdentity => None,
            Self::ClientSecret | Self::Certificate | Self::WorkloadIdentity => {
                Some(self.options()[1])
            }
        }
    }

    /// Whether `raw` holds anything of this kind.
    #[must_use]
    pub fn is_configured(self, raw: &RawOptions) -> bool {
        let reader = Reader::new(raw);
        self.options().iter().any(|name| reader.optional(name).is_some())
    }
}

/// Which kind of credential a configuration means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The kind.
    pub kind: CredentialKind,
    /// Whether `auth auto` found it, rather than the operator naming it.
    pub auto: bool,
}

impl Choice {
    /// Chooses as `auth` says; `auto` takes the first kind that is configured. A managed identity
    /// is never guessed: without a word about it, nobody wants to wait for an endpoint that only
    /// machines in Azure have.
    ///
    /// # Errors
    /// `auth` is no known word, nothing is configured, or a credential and a file of it are.
    pub fn of(raw: &RawOptions) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(raw);
        let word = reader.word("auth");
        reader.finish_known().map_err(|mut errors| errors.remove(0))?;
        let named = CredentialKind::ALL.into_iter().find(|kind| kind.as_str() == word);
        let found = CredentialKind::ALL.into_iter().find(|kind| kind.is_configured(raw));
        let choice = match (named, found) {
            (Some(kind), _) => Self { kind, auto: false },
            (None, Some(kind)) => Self { kind, auto: true },
            (None, None) => return Err(nothing()),
        };
        choice.check_one_source(raw)?;
        Ok(choice)
    }

    fn check_one_source(self, raw: &RawOptions) -> Result<(), ConfigError> {
        let reader = Reader::new(raw);
        let [value, file] = self.kind.options() else { return Ok(()) };
        match (reader.optional(value), reader.optional(file)) {
            (Some(_), Some(path)) => Err(ConfigError::new(
                file,
                Some(&path),
                &format!("{value} is set too"),
                "keep one of the two",
            )),
            (None, None) => Err(ConfigError::new(
                value,
                None,
                "required and missing",
                &format!("set {value}, or {file} to a file that holds it"),
            )),
            _ => Ok(()),
        }
    }
}

fn nothing() -> ConfigError {
    ConfigError::new(
        "client_secret",
        None,
        "no credential is configured",
        "set one of client_secret, client_secret_file, certificate_file and \
         federated_token_file, or auth managed_identity",
    )
}

/// The identity that Azure gives to a machine, and where its tokens are had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedIdentity {
    /// The service's address.
    endpoint: Endpoint,
    /// The value of `X-IDENTITY-HEADER`: that of App Service and its kin. `None`: the metadata
    /// service of a virtual machine.
    header: Option<Secret<String>>,
    /// Which one of several.
    identity: Identity,
}

/// Which of a machine's identities is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The machine's own, or its only one.
    System,
    /// A user-assigned one, by its client id.
    Client(Box<str>),
    /// By the object id of its service principal.
    Object(Box<str>),
    /// By its resource id in Azure.
    Resource(Box<str>),
}

/// Where every virtual machine in Azure finds the metadata service.
const METADATA_SERVICE: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

impl ManagedIdentity {
    /// The service's address.
    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What the service wants to see; `None`: the metadata service of a virtual machine.
    pub(crate) const fn header(&self) -> Option<&Secret<String>> {
        self.header.as_ref()
    }

    /// Which identity of several.
    pub(crate) const fn which(&self) -> &Identity {
        &self.identity
    }

    /// Reads the options, reporting mistakes to `reader`.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let header = reader.optional("managed_identity_header").map(Secret::new);
        let text = reader.optional("managed_identity_endpoint");
        if header.is_some() && text.is_none() {
            reader.report(ConfigError::new(
                "managed_identity_endpoint",
                None,
                "required with managed_identity_header, and missing",
                "write what the variable IDENTITY_ENDPOINT says",
            ));
            return None;
        }
        let text = text.unwrap_or_else(|| METADATA_SERVICE.to_owned());
        let endpoint = Endpoint::parse(&text)
            .map_err(|problem| {
                reader.report(ConfigError::new(
                    "managed_identity_endpoint",
                    Some(&text),
                    &problem.to_string(),
                    "write http://HOST/PATH with a link-local or loopback address, or https://",
                ));
            })
            .ok();
        let identity = Self::identity(reader);
        Some(Self { endpoint: endpoint?, header, identity: identity? })
    }

    fn identity(reader: &mut Reader<'_>) -> Option<Identity> {
        let options = [
            ("client_id", Identity::Client as fn(Box<str>) -> Identity),
            ("managed_identity_object_id", Identity::Object),
            ("managed_identity_resource_id", Identity::Resource),
        ];
        let given = options.iter().filter_map(|(name, make)| {
            let text = reader.optional(name)?;
            Some((*name, make(text.into())))
        });
        let mut given: Vec<(&str, Identity)> = given.collect();
        if let [(first, _), (second, _), ..] = given[..] {
            reader.report(ConfigError::new(
                second,
                None,
                &format!("{first} names an identity too"),
                "keep one of the two",
            ));
            return None;
        }
        Some(given.pop().map_or(Identity::System, |(_, identity)| identity))
    }
}

impl fmt::Display for ManagedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            Identity::System => f.write_str("the machine's managed identity")?,
            Identity::Client(id) => write!(f, "the managed identity of client {id}")?,
            Identity::Object(id) => write!(f, "the managed identity of object {id}")?,
            Identity::Resource(id) => write!(f, "the managed identity {id}")?,
        }
        write!(f, " from {}", self.endpoint.as_str())
    }
}

/// What a driver answers to [`Output::Credential`](crate::Output::Credential).
#[derive(Clone, Debug)]
pub struct Presented {
    /// The credential as it is now; `None`: the one that is known, which is that of the
    /// configuration until another is presented.
    pub credential: Option<Credential>,
    /// Why it could not be looked at, for the operator; the known one is used further.
    pub trouble: Option<String>,
    /// For a signature.
    pub entropy: Entropy,
}

impl Presented {
    /// The answer of a driver whose credential never changes.
    #[must_use]
    pub const fn unchanged(entropy: [u8; 32]) -> Self {
        Self { credential: None, trouble: None, entropy: Secret::new(entropy) }
    }
}

/// Whether `name` is one of the options that hold or name a credential.
#[must_use]
pub fn is_credential_option(name: &str) -> bool {
    options::find(name).is_some()
        && CredentialKind::ALL.into_iter().any(|kind| kind.options().contains(&name))
}
