//! One activity: what is true of it, and the record that says so. Both follow from (seed, key)
//! alone; nothing is kept but when it was stored and since when it can be found.

use fastrand::Rng;

use crate::answer::quoted;
use crate::draw;
use crate::guid::Guid;
use crate::time::{self, MINUTE_MS};

/// An activity of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Activity {
    /// When it was stored. Several share a millisecond.
    pub(crate) created_ms: i64,
    /// Everything else is drawn from it.
    pub(crate) key: u64,
    /// Since when a search finds it.
    pub(crate) visible_ms: i64,
}

/// The tenant whose activities they are.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) seed: u64,
    pub(crate) tenant: Guid,
    pub(crate) number: u32,
    pub(crate) domain: String,
}

/// What is true of an activity: what filters look at.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) id: String,
    pub(crate) created_ms: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) app: (i32, &'static str),
    pub(crate) instance: i32,
    pub(crate) user: String,
    pub(crate) domain: String,
    pub(crate) org_unit: Option<&'static str>,
    pub(crate) groups: Vec<String>,
    pub(crate) operation: &'static str,
    pub(crate) event: (&'static str, &'static str),
    pub(crate) impersonated: bool,
    pub(crate) admin: bool,
    pub(crate) taken_action: Option<&'static str>,
    pub(crate) device: Option<&'static str>,
    pub(crate) device_tags: Vec<String>,
    pub(crate) agent: &'static str,
    pub(crate) agent_tags: Vec<String>,
    pub(crate) country: Option<&'static str>,
    pub(crate) organization: Option<&'static str>,
    pub(crate) ip: String,
    pub(crate) ip_category: i32,
    pub(crate) ip_tags: Vec<String>,
    pub(crate) url: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) policies: Vec<String>,
    pub(crate) source: i32,
    pub(crate) stream: String,
    pub(crate) alert: Option<String>,
    pub(crate) objects: Vec<String>,
    pub(crate) entity: String,
}

const APPS: &[(i32, &str)] = &[
    (20_893, "Microsoft Exchange Online"),
    (20_892, "Microsoft SharePoint Online"),
    (15_600, "Microsoft OneDrive for Business"),
    (28_375, "Microsoft Teams"),
    (12_260, "Microsoft Azure"),
    (11_770, "Google Workspace"),
    (10_489, "Box"),
];
const OPERATIONS: &[(&str, &str, &str)] = &[
    ("FilePreviewed", "EVENT_O365_ONEDRIVE_GENERIC", "EVENT_CATEGORY_UNSPECIFIED"),
    ("FileDownloaded", "EVENT_O365_DOWNLOAD", "EVENT_CATEGORY_DOWNLOAD_FILE"),
    ("FileDeleted", "EVENT_O365_DELETE", "EVENT_CATEGORY_DELETE_FILE"),
    ("UserLoggedIn", "EVENT_AAD_LOGIN", "EVENT_CATEGORY_LOGIN"),
    ("UserLoginFailed", "EVENT_AAD_LOGIN", "EVENT_CATEGORY_FAILED_LOGIN"),
    ("Set-Mailbox", "EVENT_EXCHANGE_ADMIN", "EVENT_CATEGORY_ADMIN"),
];
const USERS: &[&str] = &["alex.berger", "dana.moreau", "emre.okafor", "mina.rossi", "svc-sync"];
const ACTIONS: &[&str] = &["block", "proxy", "encrypt", "protect", "verify"];
const DEVICES: &[&str] = &["DESKTOP", "MOBILE", "TABLET", "OTHER"];
const AGENTS: &[&str] = &[
    "OneDriveMpc-Transform_Thumbnail/1.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36",
    "Microsoft SkyDriveSync 24.116.0609.0003 ship; Windows NT 10.0 (19045)",
];
const COUNTRIES: &[&str] = &["DE", "US", "IL", "JP", "FR"];
const ORGANIZATIONS: &[&str] = &["Contoso Telecom", "Fabrikam Net", "Groß & Söhne"];
const UNITS: &[&str] = &["Finance", "Engineering", "Legal"];

impl Facts {
    pub(crate) fn of(identity: &Identity, activity: Activity) -> Self {
        let mut rng = draw::rng(identity.seed, activity.key);
        let rng = &mut rng;
        let app = pick(rng, APPS);
        let user = pick(rng, USERS);
        // A guest now and then.
        let domain = if rng.u8(..8) == 0 { "fabrikam.example" } else { &identity.domain };
        let operation = pick(rng, OPERATIONS);
        let guid = Guid::version4((u128::from(rng.u64(..)) << 64) | u128::from(rng.u64(..)));
        let file = operation.0.starts_with("File").then(|| tag(rng, "file"));
        let stored_after_ms = 20_000 + rng.i64(0..9 * MINUTE_MS);
        let tags = |rng: &mut Rng, kind: &str| {
            (0..rng.u8(..3)).map(|_| tag(rng, kind)).collect::<Vec<_>>()
        };
        Self {
            id: format!("{}_{}_{guid}", identity.number, app.0),
            created_ms: activity.created_ms,
            timestamp_ms: activity.created_ms - stored_after_ms,
            app,
            instance: i32::from(rng.u8(..2)),
            user: format!("{user}@{domain}"),
            domain: domain.to_owned(),
            org_unit: maybe(rng, UNITS),
            groups: tags(rng, "group"),
            operation: operation.0,
            event: (operation.1, operation.2),
            impersonated: rng.u8(..10) == 0,
            admin: operation.0 == "Set-Mailbox",
            taken_action: maybe(rng, ACTIONS),
            device: maybe(rng, DEVICES),
            device_tags: tags(rng, "device"),
            agent: pick(rng, AGENTS),
            agent_tags: tags(rng, "agent"),
            country: maybe(rng, COUNTRIES),
            organization: maybe(rng, ORGANIZATIONS),
            ip: format!("192.0.{}.{}", rng.u8(..4), rng.u8(..)),
            ip_category: i32::from(rng.u8(1..7)),
            ip_tags: tags(rng, "ip"),
            url: file.as_ref().map(|file| format!("https://contoso.sharepoint.com/sites/{file}")),
            labels: if file.is_some() { tags(rng, "label") } else { Vec::new() },
            objects: file.iter().cloned().chain([tag(rng, "object")]).collect(),
            file,
            policies: if rng.u8(..5) == 0 { vec![tag(rng, "policy")] } else { Vec::new() },
            source: pick(rng, &[0, 1, 2, 3, 5, 6]),
            stream: tag(rng, "stream"),
            alert: (rng.u8(..10) == 0).then(|| tag(rng, "alert")),
            entity: format!("entity-{user}"),
        }
    }

    /// The record: what the service sends, byte for byte the same each time.
    pub(crate) fn record(&self, identity: &Identity) -> String {
        let key = xxhash_rust::xxh3::xxh3_64(self.id.as_bytes());
        let odd = key % 8;
        let (app, name) = self.app;
        // The same number comes as a number here and as text there.
        let saas = if odd.is_multiple_of(2) { app.to_string() } else { format!("\"{app}\"") };
        let null = || "null".to_owned();
        let text = |value: Option<&str>| value.map_or_else(null, quoted);
        let list = |values: &[String]| {
            values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(",")
        };
        let objects: Vec<_> = self
            .objects
            .iter()
            .map(|id| format!(r#"{{"objType":1,"role":3,"tags":[],"name":"x","id":"{id}"}}"#))
            .collect();
        let device_type = match self.device {
            Some(device) => format!(r#""deviceType":"{device}","#),
            None => String::new(),
        };
        let country = match self.country {
            Some(country) => format!(r#""countryCode":"{country}","#),
            None => String::new(),
        };
        let organization = match self.organization {
            Some(organization) => format!(r#""organizationSearchable":{},"#, quoted(organization)),
            None => String::new(),
        };
        // Keys that differ by case alone, numbers beyond 2^53, escapes that need not be.
        let raw = format!(
            r#"{{"CreationTime":"{}","Id":"{}","Operation":"{}","Level":2,"level":"Informational","EventName":"a\/b","eventName":{key},"RecordType":6,"UserId":{}}}"#,
            time::seconds(self.timestamp_ms),
            Guid::drawn(key, 1),
            self.operation,
            quoted(&self.user),
        );
        let prose = "The session was evaluated, {nothing} was [found]; \\\"ok\\\". "
            .repeat(usize::try_from(key % 5).unwrap_or_default());
        format!(
            r#"{{"_id":"{id}","tenantId":{number},"aadTenantId":"{tenant}","appId":{app},"saasId":{saas},"timestamp":{timestamp},"timestampRaw":{timestamp},"instantiation":{created},"instantiationRaw":{created},"created":{created},"createdRaw":{created},"eventType":{event_number},"eventTypeValue":"{event_value}","eventTypeName":"{event_name}","eventRouting":{{"scubaUnpacker":false,"lograbber":true,"auditing":true}},"device":{{"clientIP":"{ip}",{country}"userAgent":{agent}}},"location":{{{country}{organization}"anonymousProxy":false,"category":{category},"categoryValue":"null"}},"user":{{"userName":{user},"userTags":[{groups}]}},"userAgent":{{{device_type}"family":"X","type":"Application","tags":[{agent_tags}]}},"mainInfo":{{"eventObjects":[{objects}],"rawOperationName":"{operation}","prettyOperationName":"{operation}","type":"basic"}},"confidenceLevel":20,"source":{source},"srcAppId":11161,"rawDataJson":{raw},"resolvedActor":{{"id":"{entity}","saasId":"11161","instanceId":"{instance}","name":{user}}},"uid":"{id}","appName":"{name}","entityData":{{"0":{{"id":{{"id":"{entity}","saas":11161,"inst":{instance}}}}},"1":null}},"impersonated":{impersonated},"takenAction":{action},"description":"{prose}","severity":"INFO"}}"#,
            id = self.id,
            number = identity.number,
            tenant = identity.tenant,
            timestamp = self.timestamp_ms,
            created = self.created_ms,
            event_number = 233_580 + odd,
            event_value = self.event.0,
            event_name = self.event.1,
            ip = self.ip,
            agent = quoted(self.agent),
            category = self.ip_category,
            user = quoted(&self.user),
            groups = list(&self.groups),
            agent_tags = list(&self.agent_tags),
            objects = objects.join(","),
            operation = self.operation,
            source = self.source,
            entity = self.entity,
            instance = self.instance,
            impersonated = self.impersonated,
            action = text(self.taken_action),
        )
    }
}

fn pick<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    choices[rng.usize(..choices.len())]
}

/// One of several, or nothing.
fn maybe(rng: &mut Rng, choices: &[&'static str]) -> Option<&'static str> {
    choices.get(rng.usize(..=choices.len())).copied()
}

/// One of twelve ids of a kind.
fn tag(rng: &mut Rng, kind: &str) -> String {
    format!("{kind}-{:02}", rng.u8(..12))
}
