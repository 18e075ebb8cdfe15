//! A small client in a small world. It knows the rules and keeps them, waits in virtual time, and
//! repeats what fails; it shares no code with any collector.

use std::collections::HashMap;

use m365_sim::{ContentType, Guid, Microsoft, Piece, Reply, Request, SimConfig, TenantConfig};

/// 2026-09-21T14:13:20Z
pub(crate) const NOW_MS: i64 = 1_790_000_000_000;
pub(crate) const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// Attempts at one thing before the test gives up.
const TRIES_MAX: u32 = 400;
/// Pages of one window before the test gives up.
const PAGES_MAX: u32 = 2_000;

pub(crate) struct World {
    pub(crate) microsoft: Microsoft,
    pub(crate) now_ms: i64,
    pub(crate) tenant: TenantConfig,
    token: Option<String>,
    last_start_ms: HashMap<ContentType, i64>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) next: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    /// Whether the body arrived whole.
    pub(crate) whole: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// The status, and the error code if there is one.
    pub(crate) fn outcome(&self) -> String {
        let value = serde_json::from_str::<serde_json::Value>(&self.text).unwrap_or_default();
        match value["error"]["code"].as_str() {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }
}

/// A quiet world: few blobs, small records.
pub(crate) fn config(seed: u64) -> SimConfig {
    SimConfig {
        seed,
        record_bytes: m365_sim::Span::new(300, 1_500),
        page_size: 7,
        days: 1.0,
        ..SimConfig::default()
    }
}

impl World {
    pub(crate) fn new(config: SimConfig) -> Self {
        let microsoft = Microsoft::new(config, NOW_MS);
        let tenant = microsoft.tenants()[0].clone();
        Self { microsoft, now_ms: NOW_MS, tenant, token: None, last_start_ms: HashMap::new() }
    }

    pub(crate) fn wait(&mut self, ms: i64) {
        self.now_ms += ms;
    }

    pub(crate) fn send(&mut self, request: &Request) -> Answer {
        let reply = self.microsoft.handle(self.now_ms, request);
        arrive(reply)
    }

    pub(crate) fn token_request(&self) -> Request {
        let url = format!("https://login.microsoftonline.com/{}/oauth2/token", self.tenant.id);
        let app = &self.tenant.apps[0];
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&resource={}",
            app.client_id,
            app.secret().unwrap(),
            "https%3A%2F%2Fmanage.office.com"
        );
        Request::new("POST", &url).body(form)
    }

    pub(crate) fn token(&mut self) -> String {
        if let Some(token) = &self.token {
            return token.clone();
        }
        let request = self.token_request();
        for _ in 0..TRIES_MAX {
            let answer = self.send(&request);
            let value = serde_json::from_str::<serde_json::Value>(&answer.text).unwrap_or_default();
            if answer.whole
                && let Some(token) = value["access_token"].as_str()
            {
                self.token = Some(token.to_owned());
                return token.to_owned();
            }
            self.wait(10_000);
        }
        panic!("no token");
    }

    /// Forgets the token, so that the next request fetches one.
    pub(crate) fn token_refresh(&mut self) {
        self.token = None;
    }

    /// The address of an operation, with the publisher.
    pub(crate) fn url(&self, operation: &str) -> String {
        let tenant = self.tenant.id;
        let url = format!("https://manage.office.com/api/v1.0/{tenant}/activity/feed/{operation}");
        with_publisher(&url, tenant)
    }

    /// One request with a token, not repeated.
    pub(crate) fn once(&mut self, method: &str, url: &str) -> Answer {
        let token = format!("Bearer {}", self.token());
        self.send(&Request::new(method, url).header("Authorization", &token))
    }

    /// One operation, not repeated.
    pub(crate) fn get(&mut self, operation: &str) -> Answer {
        let url = self.url(operation);
        self.once("GET", &url)
    }

    pub(crate) fn post(&mut self, operation: &str) -> Answer {
        let url = self.url(operation);
        self.once("POST", &url)
    }

    /// Starts a content type, the cool-down kept.
    pub(crate) fn subscribe(&mut self, content_type: ContentType) {
        for _ in 0..TRIES_MAX {
            let listed = self.get("subscriptions/list");
            self.after(&listed);
            let enabled = format!(r#""contentType":"{content_type}","status":"enabled""#);
            if listed.status != 200 || !listed.whole || !listed.text.starts_with('[') {
                continue;
            }
            if listed.text.contains(&enabled) {
                return;
            }
            if let Some(last) = self.last_start_ms.get(&content_type) {
                let ready_ms = last + 15 * MINUTE_MS;
                self.now_ms = self.now_ms.max(ready_ms);
            }
            self.token();
            self.last_start_ms.insert(content_type, self.now_ms);
            let started = self.post(&format!("subscriptions/start?contentType={content_type}"));
            self.after(&started);
        }
        panic!("{content_type} cannot be started");
    }

    /// What a client does between a failure and its repetition.
    fn after(&mut self, answer: &Answer) {
        if answer.status == 401 {
            self.token = None;
        }
        if answer.status != 200 || !answer.whole {
            self.wait(15_000);
        }
        self.wait(50);
    }

    /// All entries of a window, every page followed as given.
    fn list(&mut self, content_type: ContentType, start_ms: i64, end_ms: i64) -> Vec<String> {
        let mut uris = Vec::new();
        let (start, end) = (stamp(start_ms), stamp(end_ms));
        let query = format!("contentType={content_type}&startTime={start}&endTime={end}");
        let first = self.url(&format!("subscriptions/content?{query}"));
        let mut url = first.clone();
        let mut tries = 0;
        for _ in 0..PAGES_MAX {
            let answer = self.once("GET", &url);
            self.after(&answer);
            let entries = if answer.whole { entries(&answer) } else { None };
            let Some(entries) = entries else {
                tries += 1;
                assert!(tries < TRIES_MAX, "{url}: {} {}", answer.status, answer.text);
                if answer.text.contains("AF20022") || answer.text.contains("AF20023") {
                    self.subscribe(content_type);
                }
                if answer.text.contains("AF20031") {
                    url.clone_from(&first);
                }
                continue;
            };
            uris.extend(entries);
            match answer.next {
                None => return uris,
                Some(next) => url = with_publisher(&next, self.tenant.id),
            }
        }
        panic!("a listing without end");
    }

    /// A blob, until it arrives. `None` when it has expired by its entry.
    fn fetch(&mut self, content_type: ContentType, uri: &str) -> Vec<u8> {
        let url = with_publisher(uri, self.tenant.id);
        for _ in 0..TRIES_MAX {
            let answer = self.once("GET", &url);
            self.after(&answer);
            let body = answer.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&answer.bytes);
            let array = body.first() == Some(&b'[') && body.last() == Some(&b']');
            if answer.status == 200 && answer.whole && (array || body == b"null") {
                return body.to_vec();
            }
            if answer.text.contains("AF20022") || answer.text.contains("AF20023") {
                self.subscribe(content_type);
            }
        }
        panic!("{uri} never arrives");
    }

    /// Collects everything that can be listed now, by content type.
    pub(crate) fn collect(&mut self, types: &[ContentType], days: i64) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for content_type in types {
            self.subscribe(*content_type);
            let end_ms = self.now_ms;
            for half_day in (0..days * 2).rev() {
                let to_ms = end_ms - half_day * 12 * HOUR_MS;
                for uri in self.list(*content_type, to_ms - 12 * HOUR_MS, to_ms) {
                    if seen.insert(uri.clone()) {
                        let body = self.fetch(*content_type, &uri);
                        records.extend(split(&body));
                    }
                }
            }
        }
        records
    }
}

/// The addresses of the entries that have not expired; none when it is no listing.
fn entries(answer: &Answer) -> Option<Vec<String>> {
    let text = answer.text.trim_start_matches('\u{feff}');
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let entries = value.as_array()?;
    let fresh = |entry: &&serde_json::Value| {
        let id = entry["contentId"].as_str().unwrap_or_default();
        // Entries that have expired carry six digits from 900,000 on.
        let mut stamps = id.split('$');
        stamps.nth(1).is_some_and(|stamp| !stamp[17..].starts_with('9'))
    };
    let uri = |entry: &serde_json::Value| entry["contentUri"].as_str().map(str::to_owned);
    (answer.status == 200).then(|| entries.iter().filter(fresh).filter_map(uri).collect())
}

/// Takes what arrives of a reply.
pub(crate) fn arrive(reply: Reply) -> Answer {
    let answers = reply.answers();
    let status = if answers { reply.status } else { 0 };
    let next = reply.header("nextpageuri").map(str::to_owned);
    let headers = reply.headers.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    let mut bytes = Vec::new();
    let mut whole = true;
    for piece in reply.deliver() {
        match piece {
            Piece::Bytes(more) => bytes.extend(more),
            Piece::Pause { .. } => {}
            Piece::Reset | Piece::Truncated | Piece::Stalled => whole = false,
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Answer { status, text, next, headers, whole, bytes }
}

pub(crate) fn with_publisher(url: &str, tenant: Guid) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}PublisherIdentifier={tenant}")
}

/// `2026-09-21T14:13:20`, by counting: the test must not ask the code it tests.
pub(crate) fn stamp(ms: i64) -> String {
    let (mut days, seconds) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000) / 1_000);
    let mut year = 1970;
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    while days >= 365 + i64::from(leap(year)) {
        days -= 365 + i64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}", month + 1, days + 1)
}

/// The elements of a balanced array, as they are.
pub(crate) fn split(body: &[u8]) -> Vec<Vec<u8>> {
    let mut elements = Vec::new();
    if body == b"null" {
        return elements;
    }
    let inside = &body[1..body.len() - 1];
    let (mut depth, mut quoted, mut escaped, mut from) = (0i32, false, false, 0);
    for (at, byte) in inside.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => {
                elements.push(inside[from..at].to_vec());
                from = at + 1;
            }
            _ => {}
        }
    }
    assert!(depth == 0 && !quoted, "the array is balanced");
    if from < inside.len() {
        elements.push(inside[from..].to_vec());
    }
    elements
}
