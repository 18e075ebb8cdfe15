//! How signatures are made.

use crate::base::secret::Secret;

/// How an assertion is signed, and how it names the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RSASSA-PSS with SHA-256, and `x5t#S256`: what Microsoft's documentation asks for.
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, and `x5t`: the older form, still accepted.
    Rs256,
}

/// Random bytes from the driver, for one signature and its assertion's name. Must not be used
/// twice, and must not be guessed: from the system's random source.
pub type Entropy = Secret<[u8; 32]>;
