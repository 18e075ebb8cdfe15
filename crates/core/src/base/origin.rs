//! Addresses are pinned: what Microsoft names is followed only to the configured origin, so that
//! a token never goes elsewhere.

use std::fmt;

/// Scheme, host and port of a service, and nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// `https://host[:port]`, in lower case, without the scheme's default port.
    text: Box<str>,
}

/// Why a text is no usable origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Neither `https://` nor `http://`.
    #[error("not an https:// address")]
    Scheme,
    /// `http://` to a host other than loopback.
    #[error("http:// would send the token in the clear")]
    Insecure,
    /// No host, user information, or characters that do not belong there.
    #[error("not a host, with or without a port")]
    Host,
}

impl Origin {
    /// Parses `https://host[:port]`; one trailing slash is allowed.
    ///
    /// # Errors
    /// See [`OriginError`].
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let text = text.trim().to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::Scheme)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (default_port, secure) = match scheme {
            "https" => (":443", true),
            "http" => (":80", false),
            _ => return Err(OriginError::Scheme),
        };
        let authority = authority.strip_suffix(default_port).unwrap_or(authority);
        let host = host_of(authority).ok_or(OriginError::Host)?;
        if !secure && !is_loopback(host) {
            return Err(OriginError::Insecure);
        }
        Ok(Self { text: format!("{scheme}://{authority}").into() })
    }

    /// Stands in for an origin that could not be parsed; the error has been reported.
    pub(crate) fn unusable() -> Self {
        Self { text: "".into() }
    }

    /// The origin as the start of a URL, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `url` lies on this origin. Anything that a URL parser might read differently
    /// (white space, control characters, back-slashes, user information) does not.
    #[must_use]
    pub fn owns(&self, url: &str) -> bool {
        let Some((scheme, rest)) = url.split_once("://") else { return false };
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let clean = url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let path = &rest[authority_end..];
        clean
            && path.starts_with('/')
            && Self::parse(&format!("{scheme}://{}", &rest[..authority_end]))
                .is_ok_and(|origin| origin == *self)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Scheme and authority of `url`; all of it if it has none.
pub(crate) fn start_of(url: &str) -> &str {
    let Some(at) = url.find("://") else { return url };
    let end = url[at + 3..].find(['/', '?', '#']);
    end.map_or(url, |end| &url[..at + 3 + end])
}

/// What `reference` means in an answer to a request for `base`. A whole address stays as it is, to
/// the letter.
pub(crate) fn resolve(base: &str, reference: &str) -> String {
    let path_of = |base: &str| base.find(['?', '#']).unwrap_or(base.len());
    let scheme_end = reference.find("://").unwrap_or(usize::MAX);
    if reference.is_empty() || scheme_end < reference.find(['/', '?', '#']).unwrap_or(usize::MAX) {
        return reference.to_owned();
    }
    let start = start_of(base);
    if reference.starts_with("//") {
        let scheme = base.split("//").next().unwrap_or_default();
        format!("{scheme}{reference}")
    } else if reference.starts_with('/') {
        format!("{start}{reference}")
    } else if reference.starts_with('?') {
        format!("{}{reference}", &base[..path_of(base)])
    } else {
        let path = &base[start.len()..path_of(base)];
        let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
        format!("{start}{folder}{reference}")
    }
}

/// The host of `host[:port]` or `[v6][:port]`.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']')? + 1;
        (&authority[..end], &authority[end..])
    } else {
        authority.split_at(authority.find(':').unwrap_or(authority.len()))
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '[' | ']' | ':');
    let port_legal = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok());
    (!host.is_empty() && host.chars().all(legal) && port_legal).then_some(host)
}

/// The address of a managed identity's service: the one exception to the rule that tokens travel
/// by https only. Azure offers these services by plain http, on addresses that no router forwards:
/// `169.254.0.0/16`, `fe80::/10` and loopback. Every other host needs https here as well.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    text: Box<str>,
}

impl Endpoint {
    /// Parses `http[s]://host[:port]/path`, without a query.
    ///
    /// # Errors
    /// See [`OriginError`].
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::Scheme)?;
        let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
        let clean = rest.bytes().all(|byte| byte.is_ascii_graphic())
            && !rest.contains(['\\', '?', '#', '"', '<', '>']);
        let host = host_of(authority).filter(|_| clean).ok_or(OriginError::Host)?;
        match &*scheme.to_ascii_lowercase() {
            "https" => {}
            "http" if is_loopback(host) || is_link_local(host) => {}
            "http" => return Err(OriginError::Insecure),
            _ => return Err(OriginError::Scheme),
        }
        Ok(Self { text: text.into() })
    }

    /// The address, to be followed by a query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `169.254.0.0/16` or `[fe80::]/10`.
fn is_link_local(host: &str) -> bool {
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let v6 = v6.and_then(|host| host.parse::<std::net::Ipv6Addr>().ok());
    v6.is_some_and(|address| address.is_unicast_link_local())
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_link_local())
}

/// `localhost`, `127.0.0.0/8` or `[::1]`.
fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host == "[::1]"
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_loopback_is_accepted() {
        let check = |text: &str| Origin::parse(text).map(|origin| origin.as_str().to_owned());
        assert_eq!(check("HTTPS://Manage.Office.com:443/"), Ok("https://manage.office.com".into()));
        assert_eq!(check("http://127.0.0.1:8080"), Ok("http://127.0.0.1:8080".into()));
        assert_eq!(check("http://[::1]:1"), Ok("http://[::1]:1".into()));
        assert_eq!(check("http://manage.office.com"), Err(OriginError::Insecure));
        assert_eq!(check("http://127.evil.example"), Err(OriginError::Insecure));
        assert_eq!(check("ftp://x"), Err(OriginError::Scheme));
        assert_eq!(check("https://user@host"), Err(OriginError::Host));
        assert_eq!(check("https://host/path"), Err(OriginError::Host));
        assert_eq!(check("https://"), Err(OriginError::Host));
    }

    #[test]
    fn plain_http_reaches_a_managed_identity_on_this_machine_and_its_link_only() {
        let check = |text: &str| Endpoint::parse(text).map(|_| ());
        for text in [
            "http://169.254.169.254/metadata/identity/oauth2/token",
            "http://169.254.129.5:8081/msi/token",
            "http://127.0.0.1:41741/MSI/token/",
            "http://localhost:42356/msi/token",
            "http://[::1]:80/msi",
            "http://[fe80::1]/msi",
            "https://identity.example/msi/token",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for (text, problem) in [
            ("http://169.255.169.254/metadata", OriginError::Insecure),
            ("http://169.254.169.254.evil.example/metadata", OriginError::Insecure),
            ("http://10.0.0.4/msi/token", OriginError::Insecure),
            ("http://192.168.0.1/msi/token", OriginError::Insecure),
            ("http://[fd00::1]/msi", OriginError::Insecure),
            ("http://metadata.google.internal/", OriginError::Insecure),
            ("http://0xa9fea9fe/metadata", OriginError::Insecure),
            ("ftp://169.254.169.254/", OriginError::Scheme),
            ("169.254.169.254/metadata", OriginError::Scheme),
            ("http://169.254.169.254@evil.example/", OriginError::Host),
            ("http://169.254.169.254\\@evil.example/", OriginError::Host),
            ("http://169.254.169.254/metadata?resource=x", OriginError::Host),
            ("http://169.254.169.254/a b", OriginError::Host),
        ] {
            assert_eq!(check(text), Err(problem), "{text}");
        }
        // The rule itself stays as it is: services of Microsoft are not on the link.
        assert_eq!(Origin::parse("http://169.254.169.254"), Err(OriginError::Insecure));
    }

    #[test]
    fn addresses_are_resolved_as_browsers_do() {
        let base = "https://manage.office.com/api/v1.0/t/activity/feed/subscriptions/content?a=1";
        for (reference, expected) in [
            ("https://other.example/x?y=$z", "https://other.example/x?y=$z"),
            (
                "/api/v1/t/content?nextPage=1$2",
                "https://manage.office.com/api/v1/t/content?nextPage=1$2",
            ),
            ("//other.example/x", "https://other.example/x"),
            (
                "?nextPage=http://x",
                "https://manage.office.com/api/v1.0/t/activity/feed/subscriptions/content?nextPage=http://x",
            ),
            (
                "content?nextPage=1",
                "https://manage.office.com/api/v1.0/t/activity/feed/subscriptions/content?nextPage=1",
            ),
            ("", ""),
        ] {
            assert_eq!(resolve(base, reference), expected);
        }
        assert_eq!(resolve("https://a.example", "b"), "https://a.example/b");
    }

    #[test]
    fn a_url_elsewhere_is_not_owned_however_it_is_written() {
        let origin = Origin::parse("https://manage.office.com").unwrap();
        assert!(origin.owns("https://manage.office.com/api/v1.0/x$y?nextpage=1$2"));
        assert!(origin.owns("https://MANAGE.office.com:443/api"));
        for url in [
            "http://manage.office.com/api",
            "https://manage.office.com.evil.example/api",
            "https://manage.office.com@evil.example/api",
            "https://manage.office.com:444/api",
            "https://evil.example/https://manage.office.com/",
            "https://manage.office.com\\@evil.example/",
            "https://manage.office.com /api",
            "//manage.office.com/api",
            "https://manage.office.com",
        ] {
            assert!(!origin.owns(url), "{url}");
        }
    }
}
