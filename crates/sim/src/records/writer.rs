//! Writes the fields of one record into a scratch buffer and joins them in a drawn order.

use fastrand::Rng;

use super::oddities::Oddities;
use super::words;
use crate::guid::Guid;
use crate::time;

/// Buffers that are reused from record to record.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    bytes: Vec<u8>,
    starts: Vec<u32>,
    order: Vec<u32>,
}

/// What every record has.
pub(super) struct Common<'a> {
    pub(super) id: Guid,
    pub(super) created_ms: i64,
    pub(super) organization: Guid,
    pub(super) domain: &'a str,
    pub(super) odd: Oddities,
}

/// A record in the making.
pub(super) struct Fields<'a> {
    scratch: &'a mut Scratch,
    pub(super) rng: &'a mut Rng,
    pub(super) common: Common<'a>,
    target: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(
        scratch: &'a mut Scratch,
        rng: &'a mut Rng,
        common: Common<'a>,
        target: usize,
    ) -> Self {
        scratch.bytes.clear();
        scratch.starts.clear();
        Self { scratch, rng, common, target }
    }

    /// Bytes missing to the size that was drawn.
    pub(super) fn missing(&self) -> usize {
        self.target.saturating_sub(self.scratch.bytes.len() + self.scratch.starts.len() + 1)
    }

    /// Whether optional fields still have room.
    pub(super) fn room(&self) -> bool {
        self.missing() > 40
    }

    /// Opens a field: everything until the next field is its value.
    pub(super) fn key(&mut self, name: &str) -> &mut Self {
        let start = u32::try_from(self.scratch.bytes.len()).expect("a record is below 4 GiB");
        self.scratch.starts.push(start);
        self.scratch.bytes.push(b'"');
        self.scratch.bytes.extend_from_slice(name.as_bytes());
        let end: &[u8] = if self.common.odd.has(Oddities::SPACED) { b"\" : " } else { b"\":" };
        self.scratch.bytes.extend_from_slice(end);
        self
    }

    /// Appends JSON as it is.
    pub(super) fn json(&mut self, json: &str) -> &mut Self {
        self.scratch.bytes.extend_from_slice(json.as_bytes());
        self
    }

    /// Appends bytes that need not be UTF-8.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.scratch.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends a JSON string; escapes the solidus where the record does.
    pub(super) fn string(&mut self, text: &str) -> &mut Self {
        self.scratch.bytes.push(b'"');
        self.escaped(text);
        self.scratch.bytes.push(b'"');
        self
    }

    /// Appends the inside of a JSON string.
    pub(super) fn escaped(&mut self, text: &str) -> &mut Self {
        let solidus = self.common.odd.has(Oddities::SOLIDUS);
        let plain = |b: u8| b >= 0x20 && b != b'"' && b != b'\\' && !(solidus && b == b'/');
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|b| !plain(*b)) {
            self.scratch.bytes.extend_from_slice(&rest[..at]);
            match rest[at] {
                b'\n' => self.scratch.bytes.extend_from_slice(b"\\n"),
                b'\r' => self.scratch.bytes.extend_from_slice(b"\\r"),
                other => self.scratch.bytes.extend_from_slice(&[b'\\', other]),
            }
            rest = &rest[at + 1..];
        }
        self.scratch.bytes.extend_from_slice(rest);
        self
    }

    /// Appends a drawn GUID in quotes.
    pub(super) fn guid(&mut self) -> &mut Self {
        let bits = (u128::from(self.rng.u64(..)) << 64) | u128::from(self.rng.u64(..));
        self.guid_of(Guid::version4(bits))
    }

    /// Appends a GUID in quotes.
    pub(super) fn guid_of(&mut self, guid: Guid) -> &mut Self {
        self.scratch.bytes.push(b'"');
        self.scratch.bytes.extend_from_slice(&guid.text());
        self.scratch.bytes.push(b'"');
        self
    }

    /// Appends an integer.
    pub(super) fn integer(&mut self, value: i64) -> &mut Self {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut left = value.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + u8::try_from(left % 10).expect("a digit");
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if value < 0 {
            self.scratch.bytes.push(b'-');
        }
        self.scratch.bytes.extend_from_slice(&digits[at..]);
        self
    }

    /// Appends a time of the form that `CreationTime` has.
    pub(super) fn seconds(&mut self, ms: i64) -> &mut Self {
        let text = time::seconds(ms);
        self.string(&text)
    }

    pub(super) fn text_field(&mut self, name: &str, value: &str) {
        self.key(name).string(value);
    }

    pub(super) fn integer_field(&mut self, name: &str, value: i64) {
        self.key(name).integer(value);
    }

    pub(super) fn json_field(&mut self, name: &str, value: &str) {
        self.key(name).json(value);
    }

    pub(super) fn guid_field(&mut self, name: &str) {
        self.key(name).guid();
    }

    /// One of `choices`.
    pub(super) fn pick<'b>(&mut self, choices: &[&'b str]) -> &'b str {
        choices[self.rng.usize(..choices.len())]
    }

    /// `alex.berger@contoso0.onmicrosoft.com`
    pub(super) fn person(&mut self) -> String {
        let first = self.pick(words::FIRST_NAMES);
        let last = self.pick(words::LAST_NAMES);
        format!("{first}.{last}@{}", self.common.domain)
    }

    /// An address in one of the shapes of `ClientIP`.
    pub(super) fn address(&mut self) -> String {
        let (a, b, c, d) =
            (self.rng.u8(1..224), self.rng.u8(..), self.rng.u8(..), self.rng.u8(1..));
        if self.common.odd.has(Oddities::ADDRESS) {
            return match self.rng.u8(..8) {
                0 => format!("{a}.{b}.{c}.{d}:{}", 1_024 + u16::from(c) * 200),
                1 => format!("[2001:db8:{a:x}::{d:x}]:{}", 1_024 + u16::from(c) * 200),
                2 => format!("[fe80::{d:x}]"),
                3 => format!("::ffff:{a}.{b}.{c}.{d}"),
                4 => "::1".to_owned(),
                5 => String::new(),
                6 => "localhost:12345".to_owned(),
                _ => "mail.client.local".to_owned(),
            };
        }
        format!("{a}.{b}.{c}.{d}")
    }

    /// The fields that all schemas share. `record_types` are the documented ones of the schema.
    pub(super) fn common(&mut self, record_type: i64, operation: &str, workload: &str) {
        let odd = self.common.odd;
        if !odd.has(Oddities::NO_TIME) {
            self.creation_time();
        }
        if !odd.has(Oddities::NO_ID) {
            let id = self.common.id;
            self.key("Id").guid_of(id);
        }
        self.text_field("Operation", operation);
        let organization = self.common.organization;
        self.key("OrganizationId").guid_of(organization);
        let record_type = if odd.has(Oddities::RECORD_TYPE) {
            [117, 999, -1, 0, 9_007_199_254_740_993][self.rng.usize(..5)]
        } else {
            record_type
        };
        self.integer_field("RecordType", record_type);
        let user = self.user();
        self.text_field("UserId", &user);
        let user_type = i64::from(self.rng.u8(..11));
        self.integer_field("UserType", user_type);
        self.text_field("Workload", workload);
        if self.rng.u8(..20) > 0 {
            self.json_field("Version", "1");
        }
        if !self.room() {
            return;
        }
        self.user_key(&user);
        if odd.has(Oddities::ADDRESS) && self.rng.u8(..6) == 0 {
            self.json_field("ClientIP", "null");
        } else {
            let address = self.address();
            self.text_field("ClientIP", &address);
        }
        if self.room() && self.rng.u8(..3) > 0 {
            let status = self.pick(&[
                "Succeeded",
                "Success",
                "success",
                "failed",
                "True",
                "TRUE",
                "InProgress",
            ]);
            self.text_field("ResultStatus", status);
        }
        if self.room() && self.rng.u8(..4) == 0 {
            self.app_access_context();
        }
    }

    fn creation_time(&mut self) {
        let created_ms = self.common.created_ms;
        if self.common.odd.has(Oddities::ZONED_TIME) {
            let text = match self.rng.u8(..3) {
                0 => time::ticks_z(created_ms),
                1 => time::millis_z(created_ms),
                _ => format!("{}Z", time::seconds(created_ms)),
            };
            self.text_field("CreationTime", &text);
        } else {
            self.key("CreationTime").seconds(created_ms);
        }
    }

    /// A user principal name nine times of ten, else what the wire shows instead.
    fn user(&mut self) -> String {
        match self.rng.u8(..40) {
            0 => "Not Available".to_owned(),
            1 => "NT AUTHORITY\\SYSTEM (Microsoft.Exchange.ServiceHost)".to_owned(),
            2 => format!("ServicePrincipal_{}", Guid::version4(u128::from(self.rng.u64(..)))),
            3 => "S-1-5-18".to_owned(),
            4 => self.person().to_uppercase(),
            _ => self.person(),
        }
    }

    fn user_key(&mut self, user: &str) {
        let number = self.rng.u64(..) >> 24;
        let key = match self.rng.u8(..5) {
            0 => format!("{number:016X}@{}", self.common.domain),
            1 => format!("i:0h.f|membership|{number:016x}@live.com"),
            2 => String::new(),
            3 => "Not Available".to_owned(),
            _ => user.to_owned(),
        };
        self.text_field("UserKey", &key);
    }

    fn app_access_context(&mut self) {
        let issued = self.common.created_ms - 600_000;
        self.key("AppAccessContext").json("{\"AADSessionId\":").guid().json(",\"ClientAppId\":");
        self.guid().json(",\"ClientAppName\":");
        let app = self.pick(words::APPS);
        self.string(app).json(",\"CorrelationId\":").guid().json(",\"IssuedAtTime\":");
        self.seconds(issued).json(",\"UniqueTokenId\":\"").json("b3R0ZXItdG9rZW4\"}");
    }

    /// Joins the fields in an order drawn from `order` and appends the record to `out`.
    pub(super) fn finish(self, mut order: Rng, out: &mut Vec<u8>) {
        let Scratch { bytes, starts, order: places } = self.scratch;
        places.clear();
        places.extend(0..u32::try_from(starts.len()).expect("fields of one record"));
        order.shuffle(places);
        let between: &[u8] = if self.common.odd.has(Oddities::SPACED) { b" ,\r\n  " } else { b"," };
        out.reserve(bytes.len() + starts.len() * between.len() + 2);
        out.push(b'{');
        for (n, place) in places.iter().enumerate() {
            if n > 0 {
                out.extend_from_slice(between);
            }
            let place = *place as usize;
            let end = starts.get(place + 1).map_or(bytes.len(), |end| *end as usize);
            out.extend_from_slice(&bytes[starts[place] as usize..end]);
        }
        out.push(b'}');
    }
}
