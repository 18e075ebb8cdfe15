//! Who the app is: credentials, and how they sign.

pub(crate) mod assertion;
pub(crate) mod certificate;
pub mod credential;
pub(crate) mod sign_in;
pub(crate) mod signing;
