//! The page: one answer with everything in it, and a policy that lets it load nothing else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::HeaderValue;
use sha2::{Digest, Sha256};

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page, and what a browser may do with it.
#[derive(Clone, Debug)]
pub(super) struct Page {
    html: Bytes,
    policy: HeaderValue,
}

impl Page {
    pub(super) fn new() -> Self {
        let html = HTML.replace("/* style */", STYLE).replace("/* script */", SCRIPT);
        let policy = format!(
            "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hash(SCRIPT),
            hash(STYLE)
        );
        let policy = HeaderValue::try_from(policy).expect("a hash is plain text");
        Self { html: html.into(), policy }
    }

    pub(super) fn html(&self) -> Bytes {
        self.html.clone()
    }

    /// For every answer: the others need nothing at all.
    pub(super) fn policy(&self) -> HeaderValue {
        self.policy.clone()
    }
}

/// A part of the page, as the policy names it.
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}
