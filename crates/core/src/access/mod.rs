//! What an API demands before it is asked: a token, and a place within the rate.

pub(crate) mod budget;
pub(crate) mod contact;
pub(crate) mod foreign;
pub(crate) mod token;
