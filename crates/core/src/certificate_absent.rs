//! In place of `certificate` where a build leaves certificates out: RSA, X.509 and encrypted keys
//! weigh 233 KB in the WASM component. None can be read here, so none can be presented.

use std::fmt;

use crate::credential::{Algorithm, Entropy};
use crate::secret::Secret;
use crate::time::Utc;

/// A certificate with its key; there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {}

/// What is wrong with a certificate's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Whatever it says.
    #[error("certificates are not part of this build")]
    Absent,
}

impl CertificateError {
    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        "sign in with client_secret or federated_token, or use the native packagings"
    }
}

impl Certificate {
    /// Reads nothing.
    ///
    /// # Errors
    /// Always.
    pub const fn from_pem(_pem: &str, _password: Option<&str>) -> Result<Self, CertificateError> {
        Err(CertificateError::Absent)
    }

    /// When it ends; Entra ID refuses it afterwards.
    #[must_use]
    pub const fn not_after(&self) -> Utc {
        match *self {}
    }

    /// When it begins.
    #[must_use]
    pub const fn not_before(&self) -> Utc {
        match *self {}
    }

    /// SHA-1 of it in hexadecimal digits, by which Azure's portal names it.
    #[must_use]
    pub const fn thumbprint(&self) -> String {
        match *self {}
    }

    /// The assertion by which its key signs in.
    pub(crate) const fn assertion(
        &self,
        _algorithm: Algorithm,
        _client_id: &str,
        _audience: &str,
        _now: Utc,
        _entropy: &Entropy,
    ) -> Secret<String> {
        match *self {}
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}
