//! What can be said about a record beside it: names for its numbers, its client's address.
//!
//! Computed from lifted fields when a packaging asks for it. Must not touch the record.

use std::net::{IpAddr, SocketAddr};

use crate::contract::batch::Record;
use crate::json::Field;
use crate::records::record_types;

/// Where the client's address may stand; the first that is one counts.
const ADDRESS_FIELDS: [Field; 3] = [Field::ClientIp, Field::ClientIpAddress, Field::ActorIpAddress];

/// What is known about one record. All is absent where the record does not say it, or says it in a
/// way that nobody can read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enrichment {
    /// Microsoft's name of `RecordType`.
    pub record_type_name: Option<&'static str>,
    /// Microsoft's name of `UserType`.
    pub user_type_name: Option<&'static str>,
    /// The address in `ClientIP`, or else in `ClientIPAddress` or `ActorIpAddress`; an IPv4 address
    /// that is written as IPv6 (`::ffff:1.2.3.4`) is IPv4 here.
    pub client_address: Option<IpAddr>,
    /// The port beside that address.
    pub client_port: Option<u16>,
}

impl Record {
    /// What is known about this record; `None` unless the option `enrich` is on, and for what is no
    /// object.
    #[must_use]
    pub fn enrichment(&self) -> Option<Enrichment> {
        if !self.fields.has_more() {
            return None;
        }
        let client = ADDRESS_FIELDS
            .into_iter()
            .find_map(|field| client(&self.fields.text(&self.raw, field)?));
        Some(Enrichment {
            record_type_name: self.record_type().and_then(record_types::record_type_name),
            user_type_name: self.user_type().and_then(record_types::user_type_name),
            client_address: client.map(|(address, _)| address),
            client_port: client.and_then(|(_, port)| port),
        })
    }

    /// The number of its `RecordType`.
    pub(crate) fn record_type(&self) -> Option<i64> {
        self.numbered(Field::RecordType, record_types::record_type_called)
    }

    fn user_type(&self) -> Option<i64> {
        self.numbered(Field::UserType, record_types::user_type_called)
    }

    /// The number in `field`. Some services have been seen to write numbers as text; where it is a
    /// name, `called` knows its number.
    fn numbered(&self, field: Field, called: fn(&str) -> Option<i64>) -> Option<i64> {
        self.fields.integer(&self.raw, field).or_else(|| {
            let text = self.fields.text(&self.raw, field)?;
            text.trim().parse().ok().or_else(|| called(&text))
        })
    }
}

impl Enrichment {
    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.record_type_name.is_some())
            + usize::from(self.user_type_name.is_some())
            + usize::from(self.client_address.is_some())
            + usize::from(self.client_port.is_some())
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members that are text, under the names that they have in metadata.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, String)> {
        let names = [
            ("record_type_name", self.record_type_name.map(str::to_owned)),
            ("user_type_name", self.user_type_name.map(str::to_owned)),
            ("client_address", self.client_address.map(|address| address.to_string())),
        ];
        names.into_iter().filter_map(|(name, text)| Some((name, text?)))
    }

    /// Appends the members as JSON, each with a comma behind it.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        // Names and addresses hold nothing that JSON would have to escape.
        for (name, text) in self.texts() {
            out.extend_from_slice(format!("\"{name}\":\"{text}\",").as_bytes());
        }
        if let Some(port) = self.client_port {
            out.extend_from_slice(format!("\"client_port\":{port},").as_bytes());
        }
    }
}

/// The address and port that `text` is: `1.2.3.4` or `::1`, with a port or without, in brackets or
/// without; only an IPv6 address with a port takes brackets.
fn client(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let text = text.trim();
    let bare = |text: &str| text.parse::<IpAddr>().ok();
    let port = |text: &str| text.parse::<u16>().ok();
    let (address, port) = if let Some(rest) = text.strip_prefix('[') {
        let (inner, behind) = rest.split_once(']')?;
        let port = match behind.strip_prefix(':') {
            Some(digits) => Some(port(digits)?),
            None if behind.is_empty() => None,
            None => return None,
        };
        (bare(inner)?, port)
    } else if let Some(address) = bare(text) {
        (address, None)
    } else {
        let socket: SocketAddr = text.parse().ok()?;
        (socket.ip(), Some(socket.port()))
    };
    Some((address.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Item, Splitter};
    use bytes::Bytes;

    #[track_caller]
    fn check_client(text: &str, expected: &str) {
        let found = match client(text) {
            Some((address, Some(port))) => format!("{address} {port}"),
            Some((address, None)) => address.to_string(),
            None => String::new(),
        };
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn addresses_are_read_in_every_form_that_was_seen() {
        check_client("1.2.3.4", "1.2.3.4");
        check_client("79.159.10.151:12345", "79.159.10.151 12345");
        check_client("::1", "::1");
        check_client("[::1]", "::1");
        check_client("[2603:1026::5]:443", "2603:1026::5 443");
        check_client("::ffff:1.2.3.4", "1.2.3.4");
        check_client("[::ffff:1.2.3.4]:80", "1.2.3.4 80");
        check_client("[10.11.12.13]:12345", "10.11.12.13 12345");
        check_client("[1.2.3.4]", "1.2.3.4");
        check_client(" 1.2.3.4 ", "1.2.3.4");
        let junk =
            ["", "null", "localhost:12345", "cool.client.local", "1.2.3", "1.2.3.4:", "1.2.3.4:x"];
        for text in junk {
            check_client(text, "");
        }
        for text in [
            "1.2.3.4:65536",
            "[::1",
            "::1]:5",
            "01.2.3.4",
            "1.2.3.4, 5.6.7.8",
            "[::1]:",
            "[1.2.3.4]:65536",
            "[1.2.3.4]:5:6",
            "[1.2.3.4]5",
            "[1.2.3.4:5]",
            "[]:5",
            "[[::1]]",
        ] {
            check_client(text, "");
        }
    }

    #[track_caller]
    fn check(record: &str, expected: &str) {
        let mut splitter = Splitter::new(10_000).lifting_more(true);
        splitter.push(Bytes::from(format!("[{record}]")));
        let Ok(Some(Item::Record(split))) = splitter.poll() else { panic!("{record}") };
        let (raw, fields, kind) = (split.raw, split.fields, split.kind);
        let record = Record { raw, fields, kind, redacted: false, is_json: false, happened: None };
        let enrichment = record.enrichment().unwrap();
        let mut json = Vec::new();
        enrichment.write_json(&mut json);
        assert_eq!(String::from_utf8(json).unwrap(), expected);
        let commas = expected.matches(',').count();
        assert_eq!((enrichment.len(), enrichment.is_empty()), (commas, commas == 0));
    }

    #[test]
    fn names_and_address_stand_beside_the_record() {
        check(
            r#"{"ClientIP":"[::1]:5678","RecordType":15,"UserType":0}"#,
            r#""record_type_name":"AzureActiveDirectoryStsLogon","user_type_name":"Regular","client_address":"::1","client_port":5678,"#,
        );
        check(
            r#"{"ClientIP":"","ClientIPAddress":null,"ActorIpAddress":"10.0.0.1","UserType":99}"#,
            r#""client_address":"10.0.0.1","#,
        );
        check(
            r#"{"ClientIPAddress":"10.0.0.2","RecordType":999,"Item":{"ClientIP":"10.0.0.1"}}"#,
            r#""client_address":"10.0.0.2","#,
        );
        check(r#"{"ClientIP":"cool.client.local","RecordType":"x15","UserType":""}"#, "");
    }

    #[test]
    fn types_are_named_however_they_are_written() {
        let named =
            r#""record_type_name":"AzureActiveDirectoryStsLogon","user_type_name":"Admin","#;
        for (record_type, user_type) in
            [("15", "2"), (r#""15""#, r#""2""#), (r#"" 15""#, r#""\u0032""#)]
        {
            check(&format!(r#"{{"RecordType":{record_type},"UserType":{user_type}}}"#), named);
        }
        check(r#"{"RecordType":"azureactivedirectorystslogon","UserType":"admin"}"#, named);
        check(r#"{"RecordType":1.5,"UserType":["2"]}"#, "");
    }
}
