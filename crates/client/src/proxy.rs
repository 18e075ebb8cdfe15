//! The proxy's address: checked once, printed only without its credentials.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use m365_audit_core::{ConfigError, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::{Url, form_urlencoded};

/// How long a proxy may take to say again why it refuses.
const PATIENCE: Duration = Duration::from_secs(5);

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

    /// Asks for a tunnel to `target` once more, for the status with which that is refused: the HTTP
    /// client does not tell. `None` if it is not refused now, or the proxy itself speaks TLS.
    pub(crate) async fn refusal(&self, target: &Url) -> Option<u16> {
        let url = Url::parse(self.url.expose()).ok().filter(|url| url.scheme() == "http")?;
        let (host, port) = (target.host_str()?, target.port_or_known_default()?);
        let mut ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if !url.username().is_empty() {
            let password = decode(url.password().unwrap_or_default());
            let credentials = STANDARD.encode(format!("{}:{password}", decode(url.username())));
            ask.push_str(&format!("Proxy-Authorization: Basic {credentials}\r\n"));
        }
        ask.push_str("\r\n");
        let answer = tokio::time::timeout(PATIENCE, async {
            let address = (url.host_str()?, url.port_or_known_default()?);
            let mut stream = TcpStream::connect(address).await.ok()?;
            stream.write_all(ask.as_bytes()).await.ok()?;
            // `HTTP/1.1 403`
            let mut start = [0; 12];
            stream.read_exact(&mut start).await.ok()?;
            Some(start)
        });
        let start = answer.await.ok()??;
        let status = start.strip_prefix(b"HTTP/1.")?.get(2..)?;
        let status: u16 = std::str::from_utf8(status).ok()?.parse().ok()?;
        (!(200..300).contains(&status)).then_some(status)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// Undoes percent-encoding.
fn decode(text: &str) -> String {
    let pair = format!("={}", text.replace('+', "%2B").replace('&', "%26"));
    form_urlencoded::parse(pair.as_bytes()).map(|(_, value)| value.into_owned()).collect()
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
