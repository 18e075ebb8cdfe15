//! The proxy's address: checked once, printed only without its credentials.

use std::fmt;

use m365_audit_core::{ConfigError, Secret};
use url::Url;

const REMEDY: &str = "write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with special \
                      characters percent-encoded";

/// An HTTP proxy. Its text form leaves the credentials out.
#[derive(Clone, Debug)]
pub struct Proxy {
    url: Secret<String>,
    address: Box<str>,
}

impl Proxy {
    /// Parses `http://` or `https://`, optional credentials, host and port.
    ///
    /// # Errors
    /// A mistake in the option `proxy_url`, told without credentials.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let refuse = |problem: &str, remedy: &str| {
            ConfigError::new("proxy_url", Some(&redact(text)), problem, remedy)
        };
        let url = Url::parse(text).map_err(|_| refuse("not an address", REMEDY))?;
        if url.scheme().starts_with("socks") {
            return Err(refuse("SOCKS is not supported", "name an HTTP proxy: http://HOST:PORT"));
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse("not an http:// or https:// address", REMEDY));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("a proxy's address ends with its port", REMEDY));
        }
        let host = url.host_str().ok_or_else(|| refuse("no host", REMEDY))?;
        let port = url.port_or_known_default().unwrap_or_default();
        let address = format!("{}://{host}:{port}", url.scheme()).into();
        Ok(Self { url: Secret::new(text.to_owned()), address })
    }

    /// As reqwest wants it: for every address, credentials included.
    pub(crate) fn to_reqwest(&self) -> reqwest::Result<reqwest::Proxy> {
        reqwest::Proxy::all(self.url.expose())
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// `text` without what may be credentials: everything before the last `@`.
fn redact(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            let separator = if scheme.is_empty() { "" } else { "://" };
            format!("{scheme}{separator}[redacted]@{host}")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(text: &str, expect: Expect) {
        expect.assert_eq(&match Proxy::parse(text) {
            Ok(proxy) => format!("{proxy} {proxy:?}"),
            Err(error) => error.to_string(),
        });
    }

    #[test]
    fn credentials_are_never_shown() {
        check(
            "http://alice:s3cret@proxy.example:3128",
            expect![[
                r#"http://proxy.example:3128 Proxy { url: [redacted], address: "http://proxy.example:3128" }"#
            ]],
        );
        check(
            "alice:s3cret@proxy.example:3128",
            expect![[
                r#"proxy_url = "[redacted]@proxy.example:3128": not an http:// or https:// address; write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with special characters percent-encoded"#
            ]],
        );
        check(
            "socks5://alice:s3@cret@proxy.example",
            expect![[
                r#"proxy_url = "socks5://[redacted]@proxy.example": SOCKS is not supported; name an HTTP proxy: http://HOST:PORT"#
            ]],
        );
        check(
            "http://alice:s3cret@proxy.example:port",
            expect![[
                r#"proxy_url = "http://[redacted]@proxy.example:port": not an address; write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with special characters percent-encoded"#
            ]],
        );
    }

    #[test]
    fn only_http_proxies_are_taken() {
        check(
            "https://proxy.example",
            expect![[
                r#"https://proxy.example:443 Proxy { url: [redacted], address: "https://proxy.example:443" }"#
            ]],
        );
        check(
            "proxy.example:3128",
            expect![[
                r#"proxy_url = "proxy.example:3128": not an http:// or https:// address; write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with special characters percent-encoded"#
            ]],
        );
        check(
            "http://proxy.example/pac",
            expect![[
                r#"proxy_url = "http://proxy.example/pac": a proxy's address ends with its port; write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with special characters percent-encoded"#
            ]],
        );
        check(
            "http://",
            expect![[
                r#"proxy_url = "http://": not an address; write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with special characters percent-encoded"#
            ]],
        );
    }
}
