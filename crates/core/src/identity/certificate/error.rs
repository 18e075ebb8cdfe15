//! What can be wrong with a certificate's text.

/// What is wrong with a certificate's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Neither a certificate nor a key.
    #[error("is neither PEM text nor a PKCS#12 file with a certificate and its key")]
    NotPem,
    /// The same, of an option that takes text.
    #[error("is no PEM text with a certificate and its key")]
    NotText,
    /// A key at the most.
    #[error("holds no certificate")]
    NoCertificate,
    /// Certificates only.
    #[error("holds no private key")]
    NoKey,
    /// An encrypted key and no password.
    #[error("the private key is encrypted, and certificate_password is missing")]
    PasswordMissing,
    /// The password does not open the key.
    #[error("certificate_password is wrong")]
    PasswordWrong,
    /// A block is damaged.
    #[error("a PEM block cannot be read")]
    Damaged,
    /// Encrypted in a way of the last century, or one that is too new.
    #[error("the private key is encrypted in a way that is not supported")]
    UnknownEncryption,
    /// An elliptic curve, say.
    #[error("the private key is no RSA key")]
    NotRsa,
    /// Too short for Entra ID.
    #[error("the private key has less than 2048 bits")]
    KeyTooShort,
    /// Longer than Entra ID's.
    #[error("the private key has more than 4096 bits")]
    KeyTooLong,
    /// The key is that of another certificate.
    #[error("the private key does not belong to a certificate in it")]
    Mismatch,
}

impl CertificateError {
    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NotPem | Self::Damaged => {
                "give a PEM text (or a PKCS#12 file) with the certificate and its private key"
            }
            Self::NotText => {
                "give PEM text; from PKCS#12: `openssl pkcs12 -in app.pfx -noenc -out app.pem`"
            }
            Self::NoCertificate => "add the certificate that is registered with the app",
            Self::NoKey => {
                "add the private key to it; a certificate alone proves nothing (export it with \
                 its key)"
            }
            Self::PasswordMissing => "set certificate_password",
            Self::PasswordWrong => "set certificate_password to the password it was exported with",
            Self::UnknownEncryption => {
                "export it again with AES-256, or as PEM with `openssl pkcs8 -topk8 -v2 aes-256-cbc`"
            }
            Self::NotRsa | Self::KeyTooShort => {
                "make a certificate with an RSA key of 2048 bits or more"
            }
            Self::KeyTooLong => "make a certificate with an RSA key of 4096 bits or less",
            Self::Mismatch => "put the certificate beside the key that it was made for",
        }
    }
}
