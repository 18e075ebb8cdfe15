//! What is done to records before they leave.

pub(crate) mod enrich;
pub(crate) mod envelope;
pub(crate) mod filter;
pub(crate) mod line;
pub(crate) mod record_types;
pub(crate) mod redact;
pub(crate) mod treatment;
mod unicode;
