//! What all sources of records have in common. Names no source.

pub(crate) mod failing;
pub(crate) mod ledger;
pub(crate) mod losses;
pub(crate) mod postponed;
pub(crate) mod revision;
