//! `m365-audit host` from outside, with the component as it is shipped: the same records and state
//! as `run`, kills at any moment, and what a user sees of mistakes.

mod certificate;
mod files;
mod identity;
mod kills;
mod mistakes;
mod same;
mod tenants;
