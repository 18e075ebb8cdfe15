//! The settings of a simulated world. Data only; every field has a default.

use serde::{Deserialize, Serialize};

use crate::content_type::ContentType;
use crate::draw;
use crate::faults::FaultPlan;
use crate::guid::Guid;
use crate::resources::INVESTIGATION_READ;

/// An inclusive range from which a number is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The least value.
    pub min: u32,
    /// The greatest value.
    pub max: u32,
}

impl Span {
    /// The range `min..=max`.
    pub const fn new(min: u32, max: u32) -> Self {
        Self { min, max }
    }

    /// The value drawn for the thing named by `key`.
    pub(crate) fn draw(self, seed: u64, key: u64) -> u32 {
        let width = u64::from(self.max.max(self.min) - self.min) + 1;
        self.min + u32::try_from(draw::mix(seed, key) % width).expect("below a u32 width")
    }
}

/// A world: tenants, what they publish, Microsoft's rules, and what goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimConfig {
    /// Everything random follows from it. Default 0.
    pub seed: u64,
    /// The tenants. Empty (the default): one tenant with one application, both from the seed.
    pub tenants: Vec<TenantConfig>,
    /// The content types that are published. Default: all five.
    pub content_types: Vec<ContentType>,
    /// Days of history at the start. Default 2; at most 7 days less an hour, for older content
    /// cannot be listed.
    pub days: f64,
    /// Blobs an hour and content type. Default 1..=4.
    pub blobs_per_hour: Span,
    /// Whether publishing goes on after the start. Default true.
    pub live: bool,
    /// Blobs an hour and content type after the start. Default: as `blobs_per_hour`.
    pub live_blobs_per_hour: Option<Span>,
    /// Records in a blob. Default 3..=10.
    pub records_per_blob: Span,
    /// Bytes of a record; below 500 only few fields remain, and some records stay larger.
    /// Default 500..=20,000, the smaller ones far more often.
    pub record_bytes: Span,
    /// Share of records of about 1 MB. Default 0.
    pub megabyte_records: f64,
    /// One more blob of this many bytes, of the first content type, an hour before the start.
    pub blob_bytes: Option<u64>,
    /// Share of records with one to three oddities (see the README). Default 0.2, for tests; the
    /// program's is as rare as in life.
    pub oddness: f64,
    /// Share of array elements that are no objects (`null`, numbers, strings). Default 0.
    pub non_objects: f64,
    /// Seconds from a blob's creation until it is listed. Default 0..=60.
    pub lag_seconds: Span,
    /// Days that a blob lives, drawn per blob. Default 7, 14 and 21, all seen.
    pub expiration_days: Vec<u32>,
    /// Entries on a page of a listing. Default 200.
    pub page_size: u32,
    /// Requests a minute and (tenant, publisher). Default 2,000.
    pub quota_per_minute: u32,
    /// Time that each answer takes. Default 0 ms.
    pub latency_ms: u64,
    /// Life of a token. Default 3,599 s.
    pub token_seconds: u32,
    /// Whether every application is subscribed to all content types from the start. Default no.
    pub subscribed: bool,
    /// The webhook that they have then. Default none.
    pub webhook: Option<WebhookConfig>,
    /// How far before its first start a subscription can see. Default: without bound. About 22
    /// was observed.
    pub backfill_hours: Option<u32>,
    /// Authorities (`host` or `host:port`) of the API. Empty: any. Default `manage.office.com`.
    pub api_hosts: Vec<String>,
    /// Authorities of the token endpoint. Empty: any. Default `login.microsoftonline.com`.
    pub login_hosts: Vec<String>,
    /// What App Service's identity endpoint wants to see as `X-IDENTITY-HEADER`.
    pub identity_header: String,
    /// Further audiences for which a token opens the API, beside Microsoft's own.
    pub resources: Vec<String>,
    /// Activities of Defender for Cloud Apps an hour. Default none.
    pub activities_per_hour: Span,
    /// Days of activities at the start. Default 2; at most 180.
    pub activity_days: f64,
    /// Requests a minute and tenant to the Activities API. Default 30.
    pub portal_quota_per_minute: u32,
    /// Records that a page of a search holds at most. Default 100.
    pub search_page_size: u32,
    /// The same in scan mode. Default 5,000.
    pub scan_page_size: u32,
    /// Authorities of the Activities API beside `*.portal.cloudappsecurity.com`.
    pub portal_hosts: Vec<String>,
    /// Where Microsoft's documentation and the wire differ.
    pub rules: Rules,
    /// What goes wrong.
    pub faults: FaultPlan,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            tenants: Vec::new(),
            content_types: ContentType::ALL.to_vec(),
            days: 2.0,
            blobs_per_hour: Span::new(1, 4),
            live: true,
            live_blobs_per_hour: None,
            records_per_blob: Span::new(3, 10),
            record_bytes: Span::new(500, 20_000),
            megabyte_records: 0.0,
            blob_bytes: None,
            oddness: 0.2,
            non_objects: 0.0,
            lag_seconds: Span::new(0, 60),
            expiration_days: vec![7, 14, 21],
            page_size: 200,
            quota_per_minute: 2_000,
            latency_ms: 0,
            token_seconds: 3_599,
            subscribed: false,
            webhook: None,
            backfill_hours: None,
            api_hosts: vec!["manage.office.com".to_owned()],
            login_hosts: vec!["login.microsoftonline.com".to_owned()],
            identity_header: "sim-identity".to_owned(),
            resources: Vec::new(),
            activities_per_hour: Span::new(0, 0),
            activity_days: 2.0,
            portal_quota_per_minute: 30,
            search_page_size: 100,
            scan_page_size: 5_000,
            portal_hosts: Vec::new(),
            rules: Rules::default(),
            faults: FaultPlan::none(),
        }
    }
}

/// A tenant and the applications registered in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantConfig {
    /// The tenant id.
    pub id: Guid,
    /// Its verified domain, accepted by the token endpoint in place of the id.
    pub domain: String,
    /// Its applications.
    pub apps: Vec<AppConfig>,
    /// Managed identities of this tenant. Default none.
    #[serde(default)]
    pub identities: Vec<IdentityConfig>,
    /// Whether unified auditing is on; off makes `start` fail with Microsoft's mangled error.
    #[serde(default = "yes")]
    pub auditing: bool,
    /// Whether every call is answered 429 or 500 in turn: a tenant that troubles its collector all
    /// the time.
    #[serde(default)]
    pub noisy: bool,
    /// Whether it has a licence; without one every call gets AF20012.
    #[serde(default = "yes")]
    pub licensed: bool,
}

const fn yes() -> bool {
    true
}

impl TenantConfig {
    /// The n-th tenant of a seed, with one application that has one secret and all roles.
    pub fn seeded(seed: u64, n: u64) -> Self {
        let key = draw::mix(n, 0x7E4A);
        let secret = draw::wide(seed, draw::mix(key, 3));
        Self {
            id: Guid::drawn(seed, draw::mix(key, 1)),
            domain: format!("contoso{n}.onmicrosoft.com"),
            apps: vec![AppConfig {
                client_id: Guid::drawn(seed, draw::mix(key, 2)),
                credentials: vec![Credential::Secret {
                    value: format!("sim~{secret:032x}"),
                    expires_ms: None,
                }],
                roles: AppConfig::all_roles(),
                disabled: false,
            }],
            identities: Vec::new(),
            auditing: true,
            noisy: false,
            licensed: true,
        }
    }
}

/// An application that may ask for tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppConfig {
    /// The application (client) id.
    pub client_id: Guid,
    /// Any of these signs in.
    pub credentials: Vec<Credential>,
    /// Application roles consented for it; each token has those of its resource.
    #[serde(default = "AppConfig::all_roles")]
    pub roles: Vec<String>,
    /// A disabled application is refused with AADSTS7000112.
    #[serde(default)]
    pub disabled: bool,
}

impl AppConfig {
    /// `ActivityFeed.Read`, `ActivityFeed.ReadDlp`, `ServiceHealth.Read`, and of Defender for Cloud
    /// Apps `Investigation.read`.
    pub fn all_roles() -> Vec<String> {
        ["ActivityFeed.Read", "ActivityFeed.ReadDlp", "ServiceHealth.Read", INVESTIGATION_READ]
            .map(str::to_owned)
            .into()
    }

    /// The first client secret, if it has one.
    pub fn secret(&self) -> Option<&str> {
        self.credentials.iter().find_map(|credential| match credential {
            Credential::Secret { value, .. } => Some(value.as_str()),
            Credential::Certificate { .. } | Credential::Federated { .. } => None,
        })
    }
}

/// A way for an application to sign in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Credential {
    /// A client secret.
    Secret {
        /// Its value.
        value: String,
        /// When it ends, in ms since the epoch; afterwards AADSTS7000222.
        #[serde(default)]
        expires_ms: Option<i64>,
    },
    /// A certificate: who holds its key may sign assertions.
    Certificate {
        /// It, as PEM text; no key.
        pem: String,
    },
    /// A federated identity: tokens of that issuer for that subject.
    Federated {
        /// `iss` of such a token.
        issuer: String,
        /// `sub` of such a token.
        subject: String,
        /// `aud` of such a token. Microsoft's default is `api://AzureADTokenExchange`.
        audience: String,
        /// The issuer's key: the simulator plays the issuer as well, see
        /// [`Microsoft::federated_token`](crate::Microsoft::federated_token).
        key: u64,
    },
}

/// A managed identity of the machine that the simulator takes itself to run on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityConfig {
    /// Its client id.
    pub client_id: Guid,
    /// The object id of its service principal.
    pub object_id: Guid,
    /// Its resource id in Azure.
    pub resource_id: String,
    /// Whether it is given to who names none.
    #[serde(default)]
    pub system: bool,
    /// Application roles assigned to it.
    #[serde(default = "AppConfig::all_roles")]
    pub roles: Vec<String>,
}

/// A webhook that subscriptions have from the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where notifications go.
    pub address: String,
    /// What they bring along as `Webhook-AuthID`.
    #[serde(default)]
    pub auth_id: Option<String>,
    /// How long it lives from the start of the world; negative: it has expired. Default: for ever.
    #[serde(default)]
    pub expires_in_ms: Option<i64>,
}

/// Microsoft's rules where documentation and wire differ, or where nothing is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Time between two starts of a subscription. Default 15 minutes.
    pub start_cooldown_ms: i64,
    /// How much older than 7 days a start time may be without an error. Default 1 h, as
    /// observed; 0 is what is documented. It is recorded as illegal in any case.
    pub start_tolerance_ms: i64,
    /// What a start gets that changes nothing. Default AF20024, as on the wire.
    pub repeated_start: RepeatedStart,
    /// Whether the answer to a start without webhook says `"webhook":null`, as lists do. Default
    /// true; an answer without the key was seen too.
    pub start_names_webhook: bool,
    /// What an illegal window gets. Default AF20055.
    pub illegal_window: IllegalWindow,
    /// The window of a listing that names none. Default the last 24 hours.
    pub default_window: DefaultWindow,
    /// The form of `NextPageUri`. Default as observed.
    pub page_uri: PageUri,
    /// The order of entries. Default by creation.
    pub listing_order: ListingOrder,
    /// The status of AF429. Default both in turn.
    pub throttle_status: ThrottleStatus,
    /// The status of AF20051. Default 404; 400 was seen in a client's test.
    pub expired_status: u16,
    /// Error texts. Default as on the wire.
    pub texts: Texts,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            start_cooldown_ms: 15 * crate::time::MINUTE_MS,
            start_tolerance_ms: crate::time::HOUR_MS,
            repeated_start: RepeatedStart::Af20024,
            start_names_webhook: true,
            illegal_window: IllegalWindow::Af20055,
            default_window: DefaultWindow::Last24h,
            page_uri: PageUri::Observed,
            listing_order: ListingOrder::Created,
            throttle_status: ThrottleStatus::Both,
            expired_status: 404,
            texts: Texts::Wire,
        }
    }
}

/// See [`Rules::repeated_start`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepeatedStart {
    /// 400 AF20024, "No property change.", as on the wire.
    Af20024,
    /// 200, as documented.
    Accepted,
}

/// See [`Rules::illegal_window`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IllegalWindow {
    /// 400 AF20055 (since 2025).
    Af20055,
    /// 400 AF20030 (before).
    Af20030,
    /// Windows over 24 hours get a part of their entries, as the documentation warns.
    Partial,
}

/// See [`Rules::default_window`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultWindow {
    /// The last 24 hours (API reference).
    Last24h,
    /// From midnight UTC until now (troubleshooting page).
    SinceMidnight,
}

/// See [`Rules::page_uri`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageUri {
    /// Lower-case names, seven digits of fraction, `$` in the token.
    Observed,
    /// `/api/v1/`, camel case.
    Documented,
}

/// See [`Rules::listing_order`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListingOrder {
    /// By creation, as seen.
    Created,
    /// By availability, as documented.
    Available,
}

/// See [`Rules::throttle_status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottleStatus {
    /// 403 (documented).
    Forbidden,
    /// 429.
    TooManyRequests,
    /// Both in turn.
    Both,
}

/// See [`Rules::texts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Texts {
    /// As captured.
    Wire,
    /// As documented.
    Documented,
}
