//! Defender for Cloud Apps activities: the second source. What is common with the Management
//! Activity API lies outside of this folder; nothing here knows content types or blobs.

pub mod filter;
mod filter_check;
mod filter_json;
mod filter_table;
#[cfg(test)]
mod filter_tests;
mod filter_text;
mod filter_value;
