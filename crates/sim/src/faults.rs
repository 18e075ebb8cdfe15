//! What goes wrong, and how often. A fault is drawn from (seed, fault, request counter) or, for
//! faults that belong to a blob, from (seed, fault, blob); so a run can be repeated. Decides only
//! *whether* a fault happens; the modules it concerns give it its form.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::draw;

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// Everything that can be switched on to go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Fault {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Fault {
            /// All faults.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in fault files and reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

faults! {
    /// Token endpoint: 429, plain text, `Retry-After`.
    TokenThrottled = "token_throttled",
    /// Token endpoint: 500, 502, 503 or 504 with a body that is not JSON.
    TokenServerError = "token_server_error",
    /// Token endpoint: AADSTS90033, `temporarily_unavailable`.
    TokenTransient = "token_transient",
    /// Token endpoint: refuses good credentials with `token_refusal`.
    TokenRefused = "token_refused",
    /// Token endpoint: the token lives for `short_token_seconds` only.
    TokenShort = "token_short",
    /// Token endpoint: `expires_in` in the other endpoint's type (string for integer).
    TokenOddTypes = "token_odd_types",
    /// The token is revoked: this request and all later ones with it get 401.
    Unauthorized = "unauthorized",
    /// 403 with AF429 and no `Retry-After`.
    Throttled403 = "throttled_403",
    /// 429 with AF429 and no `Retry-After`.
    Throttled429 = "throttled_429",
    /// 429 with AF429 and `Retry-After`.
    ThrottledRetryAfter = "throttled_retry_after",
    /// 408 with an empty body.
    RequestTimeout = "request_timeout",
    /// 500 with AF50000, AF50005 or AF50006.
    InternalError = "internal_error",
    /// `burst_requests` consecutive requests answered 500 AF50000.
    InternalErrorBurst = "internal_error_burst",
    /// 500 with AF50000 that asks to come back in an hour.
    InternalErrorHour = "internal_error_hour",
    /// 502 with HTML.
    BadGateway = "bad_gateway",
    /// 503 with HTML.
    Unavailable = "unavailable",
    /// 504 with an empty body.
    GatewayTimeout = "gateway_timeout",
    /// Connection reset before the request was worked on.
    Refused = "refused",
    /// Connection reset in the middle of the answer; the request took effect.
    Reset = "reset",
    /// The body ends too early.
    Truncated = "truncated",
    /// No answer ever comes.
    Stall = "stall",
    /// Head and some of the body come, then nothing.
    StallBody = "stall_body",
    /// The body dribbles.
    Slow = "slow",
    /// 200 with a body that is not JSON.
    NotJson = "not_json",
    /// 200 with an error object.
    ErrorInOk = "error_in_ok",
    /// Header names in another case.
    HeaderCase = "header_case",
    /// `Content-Type: application/octet-stream`, or none.
    OctetStream = "octet_stream",
    /// A UTF-8 byte-order mark before the body.
    Bom = "bom",
    /// The body is compressed if the client accepts gzip (by the loopback server).
    Gzip = "gzip",
    /// The `Date` header is off by `clock_skew_ms`.
    ClockSkew = "clock_skew",
    /// Start: auditing is off, with Microsoft's mangled error.
    AuditOff = "audit_off",
    /// Start: "Too many frequent subscription start requests" out of the blue.
    StartThrottled = "start_throttled",
    /// Content: the subscription has vanished: AF20022 until it is started again.
    SubscriptionVanished = "subscription_vanished",
    /// Content: somebody disabled the subscription: AF20023 until it is started again.
    SubscriptionDisabled = "subscription_disabled",
    /// DLP.All: 401 AF10001 while the other types work.
    DlpForbidden = "dlp_forbidden",
    /// DLP.All: 401 with a bare message and no code, while the other types work.
    DlpUnauthorized = "dlp_unauthorized",
    /// DLP.All: 403 with a page of HTML, as a proxy or the service's front answers.
    DlpUnexplained = "dlp_unexplained",
    /// List of subscriptions: 500, `null`, nothing, or an object in place of the list.
    ListBroken = "list_broken",
    /// Start: 500, without effect.
    StartFails = "start_fails",
    /// A 401 with an empty body; the token stays good.
    EmptyUnauthorized = "empty_unauthorized",
    /// Listing: a page without entries that has a next page.
    EmptyPage = "empty_page",
    /// Listing: a page whose next page is itself.
    SelfReferentialPage = "self_referential_page",
    /// Listing: the last entry of a page again on the next page.
    RepeatedEntry = "repeated_entry",
    /// Listing: an entry from just before the window.
    NeighbourEntry = "neighbour_entry",
    /// Listing: an entry under a second content id, with the suffix webhooks give it.
    TwinEntry = "twin_entry",
    /// Listing: an entry that has expired; getting it answers AF20051.
    ExpiredEntry = "expired_entry",
    /// Listing: the entries of a page in no order.
    ShuffledPage = "shuffled_page",
    /// Listing: `NextPageUri` in the documented form (`/api/v1/`, camel case).
    DocumentedPageUri = "documented_page_uri",
    /// Listing: `NextPageUri` under `/api/v1/`, otherwise as observed.
    ApiV1PageUri = "api_v1_page_uri",
    /// Listing: a good page token is refused with AF20031.
    PageRefused = "page_refused",
    /// Listing: a window of exactly 24 hours is refused with AF20055.
    Exactly24h = "exactly_24h",
    /// Listing: an address at another host. A token sent there is recorded as illegal.
    ForeignUri = "foreign_uri",
    /// Listing: an address at the right host with a wrong path, of another tenant: AF20052. Clients
    /// that took a tenant from the wrong place have got it (powerapps-tools #552).
    WrongPath = "wrong_path",
    /// Listing: the next page at another host. A token sent there is recorded as illegal.
    ForeignPage = "foreign_page",
    /// Listing: an entry with a member of another type, or without one. Records have been seen to
    /// change the types of their members (office365-audit-log-collector #75).
    OddEntry = "odd_entry",
    /// Blob: 404 AF20050 although it is there.
    BlobNotFound = "blob_not_found",
    /// Blob: AF20051 although it has not expired.
    BlobExpired = "blob_expired",
    /// Blob: AF20052 although the address is right.
    BlobInvalid = "blob_invalid",
    /// A blob (drawn per blob) that fails `poison_times` times.
    PoisonBlob = "poison_blob",
    /// A blob (drawn per blob) that is `[]` or `null` for `hollow_seconds` from when it is
    /// available.
    HollowBlob = "hollow_blob",
    /// A blob (drawn per blob) that ends within its last record, until the world heals.
    CutBlob = "cut_blob",
    /// A blob (drawn per blob) with a quotation mark in its middle record that nobody has escaped,
    /// until the world heals. What comes behind it is nobody's record.
    UnescapedBlob = "unescaped_blob",
    /// A blob (drawn per blob) that fails until the world heals.
    PoisonBlobForever = "poison_blob_forever",
    /// Publishing: a blob available up to `late_minutes` after its creation.
    LateBlob = "late_blob",
    /// Publishing: a blob available up to `very_late_minutes` after its creation.
    VeryLateBlob = "very_late_blob",
    /// Publishing: an earlier blob's records again, other id, other key order.
    RedeliveredBlob = "redelivered_blob",
    /// Publishing: a blob whose events are days older than itself.
    OldEvents = "old_events",
    /// Publishing: a blob `[]`.
    EmptyBlob = "empty_blob",
    /// Publishing: a blob `null`.
    NullBlob = "null_blob",
    /// Activities: 429 and no word more.
    PortalThrottled = "portal_throttled",
    /// Activities: 429, 403 or 503 with a text that says "throttled".
    PortalThrottledText = "portal_throttled_text",
    /// Activities: fewer records on a page than asked for, although there are more.
    PortalShortPage = "portal_short_page",
    /// Activities: no records on a page, although there are more.
    PortalEmptyPage = "portal_empty_page",
    /// Activities: a scan that goes on and does not say how.
    PortalNoNext = "portal_no_next",
    /// Activities: filters are ignored without a word, but for `created`.
    PortalFilterIgnored = "portal_filter_ignored",
    /// Activities: one that is found up to `late_activity_minutes` after it was stored.
    LateActivity = "late_activity",
    /// Token endpoint: somebody else answers, with a sign-in page, a redirect to one, or the demand
    /// of a proxy. Reports of captive portals and of web filters; a wrong `login_url`.
    TokenForeign = "token_foreign",
    /// Activities: another web server answers, with its page for what it does not have. What a
    /// wrong address of the portal looks like.
    PortalForeign = "portal_foreign",
}

/// How often a fault happens.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Rate {
    /// With this probability each time it could.
    Probability(f64),
    /// By a schedule.
    Schedule(Schedule),
}

/// By hand, so that a mistake is told with what would be right.
impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RateVisitor)
    }
}

struct RateVisitor;

impl RateVisitor {
    fn share<E: de::Error>(self, value: f64) -> Result<f64, E> {
        let legal = (0.0..=1.0).contains(&value);
        if legal { Ok(value) } else { Err(E::invalid_value(Unexpected::Float(value), &self)) }
    }
}

impl<'de> Visitor<'de> for RateVisitor {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a probability from 0 to 1, or a table of probability, every, from_s, until_s and \
             times",
        )
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Rate, E> {
        self.share(value).map(Rate::Probability)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Rate, E> {
        match value {
            0 => Ok(Rate::Probability(0.0)),
            1 => Ok(Rate::Probability(1.0)),
            _ => Err(E::invalid_value(Unexpected::Signed(value), &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Rate, E> {
        self.visit_i64(i64::try_from(value).unwrap_or(i64::MAX))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rate, A::Error> {
        let schedule = Schedule::deserialize(MapAccessDeserializer::new(map))?;
        self.share::<A::Error>(schedule.probability)?;
        Ok(Rate::Schedule(schedule))
    }
}

/// A schedule: all conditions must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// With this probability. Default 1.
    pub probability: f64,
    /// Only each n-th time that it could happen. Default 1.
    pub every: u64,
    /// Not before this many seconds after the start of the world. Default 0.
    pub from_s: i64,
    /// Not after this many seconds. Default: for ever.
    pub until_s: Option<i64>,
    /// At most so many times. Default: no bound.
    pub times: Option<u64>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { probability: 1.0, every: 1, from_s: 0, until_s: None, times: None }
    }
}

/// All faults and their settings. Serialises as TOML or JSON; unknown names are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultPlan {
    /// How often each fault happens; those not named never do.
    pub rates: BTreeMap<Fault, Rate>,
    /// Seconds that a token lives under `token_short`. Default 30.
    pub short_token_seconds: u32,
    /// AADSTS code given under `token_refused`. Default 7000215.
    pub token_refusal: u32,
    /// Requests in one `internal_error_burst`. Default 20.
    pub burst_requests: u64,
    /// How far `clock_skew` moves the `Date` header. Default 90,000 ms, forward.
    pub clock_skew_ms: i64,
    /// How often a `poison_blob` fails. Default 5.
    pub poison_times: u32,
    /// How long a `hollow_blob` is hollow. Default 1,800 s.
    pub hollow_seconds: u32,
    /// Bound of `late_blob`. Default 180 minutes.
    pub late_minutes: u32,
    /// Bound of `late_activity`. Default 45 minutes.
    pub late_activity_minutes: u32,
    /// Bound of `very_late_blob`. Default 7,200 minutes (5 days).
    pub very_late_minutes: u32,
    /// Share of records that are not valid JSON inside a balanced array. Default 0. Fixed when
    /// the world is made: healing does not change what was published.
    pub malformed_records: f64,
    /// Seconds of `Retry-After` under `throttled_retry_after` and `token_throttled`. Default 10.
    pub retry_after_seconds: u32,
    /// Pause between the pieces of a `slow` body. Default 200 ms.
    pub slow_pause_ms: u64,
}

impl Default for FaultPlan {
    fn default() -> Self {
        Self {
            rates: BTreeMap::new(),
            short_token_seconds: 30,
            token_refusal: 7_000_215,
            burst_requests: 20,
            clock_skew_ms: 90_000,
            poison_times: 5,
            hollow_seconds: 1_800,
            late_minutes: 180,
            late_activity_minutes: 45,
            very_late_minutes: 7_200,
            malformed_records: 0.0,
            retry_after_seconds: 10,
            slow_pause_ms: 200,
        }
    }
}

/// What is seen in the field, in moderation.
const FIELD: &[(Fault, f64)] = &[
    (Fault::TokenThrottled, 0.02),
    (Fault::TokenServerError, 0.02),
    (Fault::Unauthorized, 0.003),
    (Fault::Throttled403, 0.005),
    (Fault::Throttled429, 0.005),
    (Fault::RequestTimeout, 0.003),
    (Fault::InternalError, 0.005),
    (Fault::InternalErrorBurst, 0.005),
    (Fault::Unavailable, 0.003),
    (Fault::GatewayTimeout, 0.003),
    (Fault::Reset, 0.003),
    (Fault::Truncated, 0.003),
    (Fault::HeaderCase, 0.2),
    (Fault::OctetStream, 0.05),
    (Fault::Gzip, 0.5),
    (Fault::SubscriptionDisabled, 0.0005),
    (Fault::EmptyPage, 0.02),
    (Fault::RepeatedEntry, 0.02),
    (Fault::TwinEntry, 0.01),
    (Fault::ExpiredEntry, 0.01),
    (Fault::Exactly24h, 1.0),
    (Fault::BlobNotFound, 0.005),
    (Fault::PoisonBlob, 0.005),
    (Fault::LateBlob, 0.1),
    (Fault::VeryLateBlob, 0.005),
    (Fault::RedeliveredBlob, 0.03),
    (Fault::OldEvents, 0.02),
    (Fault::EmptyBlob, 0.005),
    (Fault::PortalThrottled, 0.01),
    (Fault::PortalThrottledText, 0.01),
    (Fault::PortalShortPage, 0.05),
    (Fault::LateActivity, 0.05),
];

/// Faults that no preset includes: they need the operator of a collector, or they make some
/// content unreachable in that listing, so a test switches them on by name.
const BY_NAME_ONLY: &[Fault] = &[
    Fault::TokenRefused,
    Fault::AuditOff,
    Fault::PortalFilterIgnored,
    Fault::UnescapedBlob,
    Fault::TokenForeign,
    Fault::PortalForeign,
];

impl FaultPlan {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// What collectors meet in the field, in moderation.
    pub fn field() -> Self {
        let rates = FIELD.iter().map(|(fault, p)| (*fault, Rate::Probability(*p))).collect();
        Self { rates, malformed_records: 0.0005, ..Self::default() }
    }

    /// Everything, often; except what no collector can overcome alone.
    pub fn hostile() -> Self {
        let rate = |fault: Fault| match fault {
            Fault::TokenShort | Fault::HeaderCase | Fault::Gzip | Fault::OctetStream => 0.5,
            Fault::Exactly24h => 1.0,
            Fault::LateBlob | Fault::TokenOddTypes | Fault::ShuffledPage | Fault::Bom => 0.25,
            Fault::DocumentedPageUri | Fault::ApiV1PageUri | Fault::ClockSkew => 0.1,
            Fault::SubscriptionVanished | Fault::SubscriptionDisabled => 0.002,
            Fault::InternalErrorHour | Fault::Stall | Fault::StallBody => 0.005,
            Fault::StartThrottled
            | Fault::DlpForbidden
            | Fault::DlpUnauthorized
            | Fault::DlpUnexplained => 0.05,
            Fault::PoisonBlobForever => 0.01,
            Fault::InternalErrorBurst => 0.02,
            _ => 0.03,
        };
        let named = |fault: &&Fault| !BY_NAME_ONLY.contains(fault);
        let rates = Fault::ALL.iter().filter(named).map(|f| (*f, Rate::Probability(rate(*f))));
        Self { rates: rates.collect(), malformed_records: 0.01, ..Self::default() }
    }

    /// Adds a fault of a probability.
    #[must_use]
    pub fn with(mut self, fault: Fault, probability: f64) -> Self {
        self.rates.insert(fault, Rate::Probability(probability));
        self
    }

    /// Adds a fault by schedule.
    #[must_use]
    pub fn with_schedule(mut self, fault: Fault, schedule: Schedule) -> Self {
        self.rates.insert(fault, Rate::Schedule(schedule));
        self
    }
}

/// The plan at work: counts chances, draws, and counts what was given.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) plan: FaultPlan,
    schedules: Vec<Option<Schedule>>,
    chances: Vec<u64>,
    given: Vec<u64>,
    seed: u64,
    start_ms: i64,
    healed: bool,
}

impl Faults {
    pub(crate) fn new(plan: FaultPlan, seed: u64, start_ms: i64) -> Self {
        let schedules = Fault::ALL.iter().map(|fault| {
            plan.rates.get(fault).map(|rate| match rate {
                Rate::Probability(p) => Schedule { probability: *p, ..Schedule::default() },
                Rate::Schedule(schedule) => schedule.clone(),
            })
        });
        let count = Fault::ALL.len();
        Self {
            schedules: schedules.collect(),
            chances: vec![0; count],
            given: vec![0; count],
            seed: draw::mix(seed, 0xFA17),
            start_ms,
            healed: false,
            plan,
        }
    }

    /// Whether `fault` happens to the thing named `key`, at a moment. Counts it when it does.
    pub(crate) fn hit(&mut self, fault: Fault, key: u64, now_ms: i64) -> bool {
        let at = fault as usize;
        let Some(schedule) = &self.schedules[at] else {
            return false;
        };
        if self.healed {
            return false;
        }
        self.chances[at] += 1;
        // History was published before the start: it counts as the first second.
        let since_s = ((now_ms - self.start_ms) / 1_000).max(0);
        let happens = self.chances[at].is_multiple_of(schedule.every.max(1))
            && since_s >= schedule.from_s
            && schedule.until_s.is_none_or(|until| since_s <= until)
            && schedule.times.is_none_or(|times| self.given[at] < times)
            && draw::chance(schedule.probability, draw::mix(self.seed, at as u64), key);
        if happens {
            self.given[at] += 1;
        }
        happens
    }

    /// Whether what has been available since then, or all the time, has not been for `seconds`.
    pub(crate) fn is_within(&self, seconds: u32, since_ms: i64, now_ms: i64) -> bool {
        now_ms < since_ms.max(self.start_ms) + i64::from(seconds) * 1_000
    }

    /// Faults off from now on.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
    }

    /// How often each fault was given, by name; those never given are left out.
    pub(crate) fn given(&self) -> BTreeMap<&'static str, u64> {
        let counted = Fault::ALL.iter().map(|fault| (fault.name(), self.given[*fault as usize]));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    /// How far a client that trusts the `Date` header may be off.
    pub(crate) fn skew_bound_ms(&self) -> i64 {
        let skewed = self.schedules[Fault::ClockSkew as usize].is_some();
        if skewed { self.plan.clock_skew_ms.abs() } else { 0 }
    }
}
