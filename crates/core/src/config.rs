//! Settings from text: parsed once, completely, with every mistake reported at once.
//!
//! Reads no file and no environment; packagings resolve those first.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use crate::activities::PORTAL_OPTIONS;
use crate::activities::PortalConfig;
use crate::activities::filter::Filters;
use crate::audit::webhook;
use crate::base::origin::Origin;
use crate::base::secret::Secret;
use crate::call::WebhookRequest;
use crate::contract::batch::ContentType;
use crate::identity::certificate::Certificate;
use crate::identity::credential::{Algorithm, Choice, Credential, CredentialKind, ManagedIdentity};
use crate::options::{self, Kind, OPTIONS};
use crate::records::filter::Filter;
use crate::records::redact::Redaction;

/// The words of `source`.
pub const MANAGEMENT: &str = "management_activity";
/// The same for activities.
pub const ACTIVITIES: &str = "cloud_app_activities";

/// What is about the Management Activity API alone and may not be set without it. Its counterpart
/// is [`PORTAL_OPTIONS`].
pub const MANAGEMENT_OPTIONS: [&str; 2] = ["content_types", "exclude_content_types"];

/// Options as somebody wrote them: name to text. Names are those of [`OPTIONS`].
pub type RawOptions = BTreeMap<String, String>;

/// One mistake in a configuration: which option, what it says, what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The option's name.
    pub option: String,
    /// Its value as written; `None` if it is missing or secret.
    pub value: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

impl ConfigError {
    /// A mistake in `option`. A secret's value is left out, and what may be a password in an
    /// address: all before its last `@`.
    #[must_use]
    pub fn new(option: &str, value: Option<&str>, problem: &str, remedy: &str) -> Self {
        let value = match (options::find(option).map(|spec| spec.kind), value) {
            (Some(Kind::Secret), _) => None,
            (Some(Kind::Url), Some(text)) => Some(match text.rfind('@') {
                Some(at) => format!("[redacted]{}", &text[at..]),
                None => text.into(),
            }),
            (_, value) => value.map(Into::into),
        };
        Self { option: option.into(), value, problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value:?}", self.option)?,
            None => f.write_str(&self.option)?,
        }
        write!(f, ": {}; {}", self.problem, self.remedy)
    }
}

/// What the core needs to know. Made by [`Config::parse`] only, so that every value is in bounds.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) tenant_id: Arc<str>,
    pub(crate) client_id: Box<str>,
    pub(crate) sign_in: SignIn,
    pub(crate) content_types: Vec<ContentType>,
    pub(crate) login: Origin,
    pub(crate) api: Origin,
    pub(crate) resource: Box<str>,
    pub(crate) publisher_id: Box<str>,
    pub(crate) interval: Duration,
    pub(crate) lookback: Duration,
    pub(crate) start_subscriptions: bool,
    pub(crate) requests_per_minute: u32,
    pub(crate) max_in_flight: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) dedupe_records: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) buffer_bytes: usize,
    pub(crate) record_bytes_max: usize,
    /// Whether records say more about themselves, beside what they hold.
    pub(crate) enrich: bool,
    /// What is replaced in records; `None`: nothing.
    pub(crate) redaction: Option<Arc<Redaction>>,
    /// The webhook that subscriptions are to have; `None`: webhooks are left alone.
    pub(crate) webhook: Option<WebhookRequest>,
    /// The second source, if it is collected.
    pub(crate) portal: Option<PortalConfig>,
    /// Which records are handed over; `None`: all.
    pub(crate) filter: Option<Arc<Filter>>,
    pub(crate) once: bool,
}

/// How the app signs in.
#[derive(Clone, Debug)]
pub(crate) struct SignIn {
    pub(crate) choice: Choice,
    pub(crate) credential: Credential,
    pub(crate) algorithm: Algorithm,
    pub(crate) endpoint: TokenEndpoint,
}

impl SignIn {
    /// Nobody signs in: for a token that needs no app.
    fn none() -> Self {
        Self {
            choice: Choice { kind: CredentialKind::ClientSecret, auto: false },
            credential: Credential::ClientSecret(Secret::new(String::new())),
            algorithm: Algorithm::Ps256,
            endpoint: TokenEndpoint::V2,
        }
    }
}

/// The version of Entra ID's token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenEndpoint {
    /// Asks for a `resource`.
    V1,
    /// Asks for a `scope`.
    V2,
}

/// Where the credential comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The options hold it.
    Options,
    /// A packaging has read it from where the options say.
    Given(Credential),
    /// A packaging could not read it and reports that itself.
    Broken,
}

/// One of Microsoft's clouds, as a plan names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cloud {
    /// The word for it in the option `cloud`.
    pub name: &'static str,
    /// The authority that signs in.
    pub login_url: &'static str,
    /// The API, and the resource that tokens are asked for.
    pub api_url: &'static str,
    /// The audience of tokens for workload identity federation.
    pub federated_audience: &'static str,
}

const fn cloud(
    name: &'static str,
    login_url: &'static str,
    api_url: &'static str,
    federated_audience: &'static str,
) -> Cloud {
    Cloud { name, login_url, api_url, federated_audience }
}

/// All clouds. Microsoft's reference names all API hosts but China's, which is known from the field
/// only; the authorities are those of Entra's national clouds.
pub const CLOUDS: [Cloud; 5] = [
    cloud(
        "enterprise",
        "https://login.microsoftonline.com",
        "https://manage.office.com",
        "api://AzureADTokenExchange",
    ),
    cloud(
        "gcc",
        "https://login.microsoftonline.com",
        "https://manage-gcc.office.com",
        "api://AzureADTokenExchange",
    ),
    cloud(
        "gcc-high",
        "https://login.microsoftonline.us",
        "https://manage.office365.us",
        "api://AzureADTokenExchangeUSGov",
    ),
    cloud(
        "dod",
        "https://login.microsoftonline.us",
        "https://manage.protection.apps.mil",
        "api://AzureADTokenExchangeUSGov",
    ),
    cloud(
        "china",
        "https://login.partner.microsoftonline.cn",
        "https://manage.office365.cn",
        "api://AzureADTokenExchangeChina",
    ),
];

impl Config {
    /// Reads the options of [`Scope::Core`](crate::options::Scope::Core) and checks the names of
    /// all.
    ///
    /// # Errors
    /// Every mistake, in the order of [`OPTIONS`]; unknown names last.
    pub fn parse(raw: &RawOptions) -> Result<Self, Vec<ConfigError>> {
        Self::parse_with(raw, Source::Options)
    }

    /// As [`Config::parse`], with a credential that the packaging may have read.
    ///
    /// # Errors
    /// Every mistake, in the order of [`OPTIONS`]; unknown names last.
    pub fn parse_with(raw: &RawOptions, source: Source) -> Result<Self, Vec<ConfigError>> {
        let mut reader = Reader::new(raw);
        let plan = reader.word("cloud");
        // An unknown word has been reported.
        let cloud = CLOUDS.into_iter().find(|cloud| cloud.name == plan).unwrap_or(CLOUDS[0]);
        let tenant_id = reader.guid("tenant_id", true);
        let (management, activities) = reader.sources();
        let portal = PortalConfig::read(&mut reader, activities);
        // The portal's own token needs no app.
        let keyed = !management && portal.as_ref().is_some_and(|portal| portal.token.is_some());
        // A machine's own identity has no client id that anybody would need to know.
        let managed = CredentialKind::ManagedIdentity;
        let nameless = keyed || Choice::of(raw).is_ok_and(|choice| choice.kind == managed);
        let client_id = reader.guid("client_id", !nameless);
        let sign_in = if keyed { Some(SignIn::none()) } else { reader.sign_in(source) };
        let mut content_types = reader.content_types();
        match (management, activities) {
            (true, false) => reader.refuse_unused(&PORTAL_OPTIONS, ACTIVITIES),
            (false, true) => {
                content_types.clear();
                reader.refuse_unused(&MANAGEMENT_OPTIONS, MANAGEMENT);
            }
            // Without a source, that is told.
            (true, true) | (false, false) => {}
        }
        let login = reader.origin("login_url", cloud.login_url);
        let api = reader.origin("api_url", cloud.api_url);
        let resource = reader.optional("resource").unwrap_or_else(|| cloud.api_url.to_owned());
        let publisher_id = reader.guid("publisher_id", false);
        let interval = reader.duration("interval_sec");
        let lookback = reader.duration("lookback");
        let start_subscriptions = reader.boolean("start_subscriptions");
        let requests_per_minute = reader.number("requests_per_minute");
        let max_in_flight = reader.number("max_in_flight");
        let request_timeout = reader.duration("request_timeout");
        let dedupe_records = reader.number("dedupe_records");
        let batch_bytes = reader.number("batch_bytes");
        let buffer_bytes = reader.number("buffer_bytes");
        let record_bytes_max = reader.number("record_bytes_max");
        let filter = Filter::read(&mut reader);
        let enrich = reader.boolean("enrich");
        let redaction = Redaction::read(&mut reader);
        let webhook = webhook::read(&mut reader, start_subscriptions);
        reader.finish()?;
        let sign_in = sign_in.ok_or_else(Vec::new)?;
        Ok(Self {
            publisher_id: publisher_id
                .unwrap_or_else(|| tenant_id.clone().unwrap_or_default())
                .into(),
            tenant_id: tenant_id.unwrap_or_default().into(),
            client_id: client_id.unwrap_or_default().into(),
            sign_in,
            content_types,
            login,
            api,
            resource: resource.into(),
            interval,
            lookback,
            start_subscriptions,
            requests_per_minute: u32::try_from(requests_per_minute).unwrap_or(u32::MAX),
            max_in_flight: size(max_in_flight),
            request_timeout,
            dedupe_records: size(dedupe_records),
            batch_bytes: size(batch_bytes),
            buffer_bytes: size(buffer_bytes),
            record_bytes_max: size(record_bytes_max),
            portal,
            filter: filter.map(Arc::new),
            enrich,
            redaction: redaction.map(Arc::new),
            webhook,
            once: false,
        })
    }

    /// Finish as soon as everything that existed at the start is delivered, instead of going on
    /// for ever. Default: go on.
    #[must_use]
    pub const fn once(mut self, once: bool) -> Self {
        self.once = once;
        self
    }

    /// Lowers `batch_bytes` to `bytes_max`, for a host that takes no more at once.
    #[must_use]
    pub fn batch_bytes_max(mut self, bytes_max: usize) -> Self {
        self.batch_bytes = self.batch_bytes.min(bytes_max);
        self
    }

    /// What the app signs in with, unless the driver presents something else.
    #[must_use]
    pub const fn credential(&self) -> &Credential {
        &self.sign_in.credential
    }

    /// The tenant's GUID, in lower case.
    #[must_use]
    pub fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    /// The application's GUID, in lower case.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What is sent as `PublisherIdentifier`.
    #[must_use]
    pub fn publisher_id(&self) -> &str {
        &self.publisher_id
    }

    /// The resource that tokens are asked for.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Base address of the Management Activity API.
    #[must_use]
    pub const fn api(&self) -> &Origin {
        &self.api
    }

    /// Base address of the Entra ID authority.
    #[must_use]
    pub const fn login(&self) -> &Origin {
        &self.login
    }

    /// Most requests in any minute.
    #[must_use]
    pub const fn requests_per_minute(&self) -> u32 {
        self.requests_per_minute
    }

    /// Whether a collector starts the subscriptions that are missing.
    #[must_use]
    pub const fn starts_subscriptions(&self) -> bool {
        self.start_subscriptions
    }

    /// Where a managed identity's tokens are had, if that is how to sign in. Asked directly, never
    /// through a proxy.
    #[must_use]
    pub fn identity_address(&self) -> Option<&str> {
        match self.credential() {
            Credential::ManagedIdentity(identity) => Some(identity.endpoint.as_str()),
            Credential::ClientSecret(_)
            | Credential::Certificate(_)
            | Credential::FederatedToken(_) => None,
        }
    }

    /// Every origin that requests go to, beside [`Config::identity_address`]: the authority that
    /// gives tokens, and the APIs.
    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        [&self.login, &self.api].into_iter().chain(self.portal_url())
    }

    /// Base address of the Defender for Cloud Apps API; `None`: that source is not collected.
    #[must_use]
    pub fn portal_url(&self) -> Option<&Origin> {
        self.portal.as_ref().map(|portal| &portal.url)
    }

    /// The resource that tokens for the Defender for Cloud Apps API are asked for; `None`: none
    /// are, for the portal's own token is used, or that source is not collected.
    #[must_use]
    pub fn portal_resource(&self) -> Option<&str> {
        let portal = self.portal.as_ref().filter(|portal| portal.token.is_none());
        portal.map(|portal| &*portal.resource)
    }

    /// Which activities are collected; `None`: that source is not.
    #[must_use]
    pub fn activities_filter(&self) -> Option<&Filters> {
        self.portal.as_ref().map(|portal| &portal.filters)
    }

    /// Most requests a minute to the Defender for Cloud Apps API; `None`: that source is not
    /// collected.
    #[must_use]
    pub fn activities_requests_per_minute(&self) -> Option<u32> {
        self.portal.as_ref().map(|portal| portal.requests_per_minute)
    }

    /// Everything that is collected: content types, and the second source.
    #[must_use]
    pub fn feeds(&self) -> Vec<ContentType> {
        let activities = self.portal.as_ref().map(|_| ContentType::CloudAppActivities);
        self.content_types.iter().copied().chain(activities).collect()
    }

    /// The content types that are collected, each once; none if that source is not.
    #[must_use]
    pub fn content_types(&self) -> &[ContentType] {
        &self.content_types
    }
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Reads options one by one and gathers mistakes, so that all are told at once.
///
/// Packagings use it for the options of their own scopes.
#[derive(Debug)]
pub struct Reader<'a> {
    raw: &'a RawOptions,
    errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    /// A reader of `raw`.
    #[must_use]
    pub const fn new(raw: &'a RawOptions) -> Self {
        Self { raw, errors: Vec::new() }
    }

    /// Adds a mistake that the caller found.
    pub fn report(&mut self, error: ConfigError) {
        self.errors.push(error);
    }

    /// The mistakes so far, without a look at unknown names: for a second reader of the same
    /// options.
    ///
    /// # Errors
    /// Every mistake that was found.
    pub fn finish_known(self) -> Result<(), Vec<ConfigError>> {
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }

    /// The mistakes so far, and names that do not exist.
    ///
    /// # Errors
    /// Every mistake that was found.
    pub fn finish(mut self) -> Result<(), Vec<ConfigError>> {
        for name in self.raw.keys().filter(|name| options::find(name).is_none()) {
            let remedy = match nearest(name) {
                Some(known) => format!("did you mean {known}?"),
                None => "see the list of options in the README".into(),
            };
            self.errors.push(ConfigError::new(name, None, "no such option", &remedy));
        }
        self.finish_known()
    }

    /// The text of an option, trimmed; `None` if absent or empty.
    pub fn optional(&self, name: &str) -> Option<String> {
        let text = self.raw.get(name)?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The text of an option, or its default.
    pub(crate) fn text(&self, name: &str) -> String {
        self.text_or_default(name)
    }

    /// Which sources are collected: the Management Activity API, and activities.
    fn sources(&mut self) -> (bool, bool) {
        let text = self.text_or_default("source").to_ascii_lowercase();
        let (mut management, mut activities) = (false, false);
        for word in self.words("source", &text) {
            match word {
                MANAGEMENT => management = true,
                ACTIVITIES => activities = true,
                _ => self.refuse("source", word),
            }
        }
        (management, activities)
    }

    /// Refuses options that are set and of which nothing is read, because `source` does not name
    /// what they are about. Whoever sets one believes that it does something.
    fn refuse_unused(&mut self, names: &[&str], source: &str) {
        for name in names {
            if let Some(value) = self.optional(name) {
                let problem = format!("without effect, because source does not name {source}");
                let remedy = format!("add {source} to source, or leave {name} out");
                self.errors.push(ConfigError::new(name, Some(&value), &problem, &remedy));
            }
        }
    }

    /// The words of `text`, the value of the list `name`. One that is set and has none is a
    /// mistake: it is neither the default nor a way to ask for nothing.
    fn words<'t>(&mut self, name: &str, text: &'t str) -> Vec<&'t str> {
        let words: Vec<_> = text.split([',', ' ']).filter(|word| !word.is_empty()).collect();
        if words.is_empty() && !text.is_empty() {
            self.errors.push(no_entries(name, text));
        }
        words
    }

    fn text_or_default(&self, name: &str) -> String {
        let default = options::find(name).and_then(|spec| spec.default).unwrap_or_default();
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    /// A value that its kind does not take.
    fn refuse(&mut self, name: &str, value: &str) {
        let kind = options::find(name).map(|spec| spec.kind.describe()).unwrap_or_default();
        self.errors.push(ConfigError::new(
            name,
            Some(value),
            "not a value of this option",
            &format!("allowed: {kind}"),
        ));
    }

    /// An option of [`Kind::Choice`], in lower case.
    pub fn word(&mut self, name: &str) -> String {
        let written = self.text_or_default(name);
        let text = written.to_ascii_lowercase();
        if let Some(Kind::Choice(words)) = options::find(name).map(|spec| spec.kind)
            && !words.contains(&&*text)
        {
            self.refuse(name, &written);
        }
        text
    }

    /// An option of [`Kind::Boolean`].
    pub fn boolean(&mut self, name: &str) -> bool {
        let text = self.text_or_default(name);
        match &*text.to_ascii_lowercase() {
            "on" | "true" | "yes" => true,
            "off" | "false" | "no" => false,
            _ => {
                self.refuse(name, &text);
                false
            }
        }
    }

    /// An option of [`Kind::Duration`].
    pub fn duration(&mut self, name: &str) -> Duration {
        Duration::from_secs(self.number(name))
    }

    /// An option of [`Kind::Integer`], [`Kind::Duration`] (in seconds) or [`Kind::Size`] (in
    /// bytes).
    pub fn number(&mut self, name: &str) -> u64 {
        let text = self.text_or_default(name);
        let spec = options::find(name).map(|spec| spec.kind);
        let (units, min, max): (&[(&str, u64)], u64, u64) = match spec {
            Some(Kind::Integer { min, max }) => (&[], min, max),
            Some(Kind::Duration { min, max }) => {
                (&[("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)], min, max)
            }
            Some(Kind::Size { min, max }) => (
                &[
                    ("kb", 1_000),
                    ("mb", 1_000_000),
                    ("gb", 1_000_000_000),
                    ("k", 1_000),
                    ("m", 1_000_000),
                    ("g", 1_000_000_000),
                ],
                min,
                max,
            ),
            _ => (&[], 0, u64::MAX),
        };
        match parse_with_unit(&text, units) {
            Some(value) if (min..=max).contains(&value) => value,
            _ => {
                self.refuse(name, &text);
                min
            }
        }
    }

    fn guid(&mut self, name: &str, required: bool) -> Option<String> {
        let Some(text) = self.optional(name) else {
            if required {
                self.errors.push(ConfigError::new(
                    name,
                    None,
                    "required and missing",
                    "write the GUID that the Entra admin center shows for it",
                ));
            }
            return None;
        };
        if !is_guid(&text) {
            self.errors.push(ConfigError::new(
                name,
                Some(&text),
                "not a GUID",
                "write it like 00000000-0000-0000-0000-000000000000",
            ));
        }
        Some(text.to_ascii_lowercase())
    }

    /// How to sign in; `None` if a mistake was reported, here or by the packaging.
    fn sign_in(&mut self, source: Source) -> Option<SignIn> {
        let algorithm = match &*self.word("certificate_algorithm") {
            "rs256" => Algorithm::Rs256,
            _ => Algorithm::Ps256,
        };
        let endpoint = match &*self.word("token_endpoint") {
            "v1" => TokenEndpoint::V1,
            _ => TokenEndpoint::V2,
        };
        let choice = Choice::of(self.raw);
        let (choice, credential) = match (source, choice) {
            (Source::Broken, _) => return None,
            (_, Err(error)) => {
                self.report(error);
                return None;
            }
            (Source::Given(credential), Ok(choice)) => (choice, credential),
            (Source::Options, Ok(choice)) => (choice, self.credential(choice.kind)?),
        };
        Some(SignIn { choice, credential, algorithm, endpoint })
    }

    fn credential(&mut self, kind: CredentialKind) -> Option<Credential> {
        match kind {
            CredentialKind::ClientSecret => {
                self.secret("client_secret").map(Credential::ClientSecret)
            }
            CredentialKind::WorkloadIdentity => {
                self.secret("federated_token").map(Credential::FederatedToken)
            }
            CredentialKind::ManagedIdentity => {
                ManagedIdentity::read(self).map(Credential::ManagedIdentity)
            }
            CredentialKind::Certificate => {
                let pem = self.secret("certificate")?;
                let password = self.optional("certificate_password");
                match Certificate::from_pem(pem.expose(), password.as_deref()) {
                    Ok(certificate) => Some(Credential::Certificate(Arc::new(certificate))),
                    Err(error) => {
                        let problem = error.to_string();
                        let error = ConfigError::new("certificate", None, &problem, error.remedy());
                        self.report(error);
                        None
                    }
                }
            }
        }
    }

    fn secret(&mut self, name: &str) -> Option<Secret<String>> {
        let secret = self.optional(name).map(Secret::new);
        if secret.is_none() {
            self.errors.push(ConfigError::new(
                name,
                None,
                "required and missing",
                "set it to the value itself: files are not read here",
            ));
        }
        secret
    }

    /// The feeds to collect.
    fn content_types(&mut self) -> Vec<ContentType> {
        let mut types = self.content_type_list("content_types");
        let excluded = self.content_type_list("exclude_content_types");
        let before = types.len();
        types.retain(|content_type| !excluded.contains(content_type));
        if types.is_empty() && 0 < before {
            self.errors.push(ConfigError::new(
                "exclude_content_types",
                self.optional("exclude_content_types").as_deref(),
                "nothing is left of content_types",
                "leave one out here, or add one there",
            ));
        }
        types
    }

    fn content_type_list(&mut self, name: &str) -> Vec<ContentType> {
        let text = self.text_or_default(name);
        let mut types = Vec::new();
        for word in self.words(name, &text) {
            match ContentType::parse(word) {
                Some(content_type) if types.contains(&content_type) => {}
                Some(content_type) => types.push(content_type),
                None => self.refuse(name, word),
            }
        }
        types
    }

    fn origin(&mut self, name: &str, default: &str) -> Origin {
        let text = self.optional(name).unwrap_or_else(|| default.to_owned());
        match Origin::parse(&text) {
            Ok(origin) => origin,
            Err(problem) => {
                let problem = problem.to_string();
                self.errors.push(ConfigError::new(
                    name,
                    Some(&text),
                    &problem,
                    "write https://HOST (http:// only to 127.0.0.1, [::1] or localhost)",
                ));
                Origin::unusable()
            }
        }
    }
}

/// A list that is set and holds nothing.
#[must_use]
pub fn no_entries(name: &str, value: &str) -> ConfigError {
    ConfigError::new(name, Some(value), "0 entries", "write one or more, or leave it out")
}

/// `90`, `10m`, `512K`: a whole number and, if there are any, one of `units`.
fn parse_with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].trim();
    let number: u64 = digits.trim().parse().ok()?;
    if unit.is_empty() {
        return Some(number);
    }
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The option whose name is closest to `name`, if it is close enough to be a typing error, or
/// else the only one that begins with it.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let names = || OPTIONS.iter().map(|option| option.name);
    closest(name, names()).or_else(|| {
        let mut longer = names().filter(|known| known.starts_with(name));
        longer.next().filter(|_| longer.next().is_none())
    })
}

/// The one of `known` that is closest to `name`, if it is close enough to be a typing error.
pub(crate) fn closest(
    name: &str,
    known: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    const TYPING_ERRORS_MAX: usize = 3;
    known
        .map(|known| (edit_distance(name, known), known))
        .min()
        .filter(|(distance, _)| *distance <= TYPING_ERRORS_MAX.min(name.len() / 2))
        .map(|(_, known)| known)
}

/// Levenshtein's distance. Quadratic; names are short.
pub(crate) fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.chars().enumerate() {
            let substitution = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";

    fn raw(pairs: &[(&str, &str)]) -> RawOptions {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expect: Expect) {
        let errors = match Config::parse(&raw(pairs)) {
            Ok(_) => String::new(),
            Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
        };
        expect.assert_eq(&errors);
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        check(
            &[
                ("tenant_id", "contoso"),
                ("content_types", "Audit.Exchange, Audit.Teams"),
                ("interval_sec", "0"),
                ("lookback", "8d"),
                ("api_url", "http://manage.office.com"),
                ("clientid", TENANT),
            ],
            expect![[r#"
                tenant_id = "contoso": not a GUID; write it like 00000000-0000-0000-0000-000000000000
                client_id: required and missing; write the GUID that the Entra admin center shows for it
                client_secret: no credential is configured; set one of client_secret, client_secret_file, certificate_file and federated_token_file, or auth managed_identity
                content_types = "Audit.Teams": not a value of this option; allowed: list of Audit.AzureActiveDirectory, Audit.Exchange, Audit.SharePoint, Audit.General, DLP.All
                api_url = "http://manage.office.com": http:// would send the token in the clear; write https://HOST (http:// only to 127.0.0.1, [::1] or localhost)
                interval_sec = "0": not a value of this option; allowed: time from 1s to 1h
                lookback = "8d": not a value of this option; allowed: time from 0s to 7d
                clientid: no such option; did you mean client_id?
            "#]],
        );
    }

    const APP: [(&str, &str); 3] =
        [("tenant_id", TENANT), ("client_id", TENANT), ("client_secret", "s3cret")];

    #[test]
    fn a_list_without_entries_is_neither_the_default_nor_nothing() {
        let lists = [
            ("source", ","),
            ("content_types", ", ,"),
            ("exclude_content_types", ","),
            ("redact", "on"),
            ("redact_fields", " , "),
        ];
        check(
            &[&APP[..], &lists].concat(),
            expect![[r#"
                source = ",": 0 entries; write one or more, or leave it out
                content_types = ", ,": 0 entries; write one or more, or leave it out
                exclude_content_types = ",": 0 entries; write one or more, or leave it out
                redact_fields = ",": 0 entries; write one or more, or leave it out
            "#]],
        );
    }

    #[test]
    fn what_is_about_the_other_source_is_judged_and_refused() {
        let portal = [
            ("portal_url", "http://portal.example"),
            ("portal_token", "s3cret"),
            ("activities_filter", "garbage"),
            ("activities_lookback", "30d"),
        ];
        check(
            &[&APP[..], &portal].concat(),
            expect![[r#"
                portal_url = "http://portal.example": http:// would send the token in the clear; write https://TENANT.REGION.portal.cloudappsecurity.com; the Defender portal shows it under Settings, Cloud apps, About, API URL
                activities_filter: garbage is no condition; write FILTER OPERATOR VALUE, joined by and
                portal_url = "http://portal.example": without effect, because source does not name cloud_app_activities; add cloud_app_activities to source, or leave portal_url out
                portal_token: without effect, because source does not name cloud_app_activities; add cloud_app_activities to source, or leave portal_token out
                activities_lookback = "30d": without effect, because source does not name cloud_app_activities; add cloud_app_activities to source, or leave activities_lookback out
                activities_filter = "garbage": without effect, because source does not name cloud_app_activities; add cloud_app_activities to source, or leave activities_filter out
            "#]],
        );
        let feeds = [
            ("source", "cloud_app_activities"),
            ("portal_url", "https://portal.example"),
            ("content_types", "Audit.Nope"),
            ("exclude_content_types", "DLP.All"),
        ];
        check(
            &[&APP[..], &feeds].concat(),
            expect![[r#"
                content_types = "Audit.Nope": not a value of this option; allowed: list of Audit.AzureActiveDirectory, Audit.Exchange, Audit.SharePoint, Audit.General, DLP.All
                content_types = "Audit.Nope": without effect, because source does not name management_activity; add management_activity to source, or leave content_types out
                exclude_content_types = "DLP.All": without effect, because source does not name management_activity; add management_activity to source, or leave exclude_content_types out
            "#]],
        );
    }

    #[test]
    fn mistakes_show_what_was_written_and_no_password() {
        check(
            &[
                &APP[..],
                &[
                    ("cloud", "Commercial"),
                    ("login_url", "https://user:hunter2@login.example"),
                    ("webhook_address", "https://user:hunter2@audit.example/x"),
                    ("interval", "60"),
                    ("client", "x"),
                ],
            ]
            .concat(),
            expect![[r#"
                cloud = "Commercial": not a value of this option; allowed: one of enterprise, gcc, gcc-high, dod, china
                login_url = "[redacted]@login.example": not a host, with or without a port; write https://HOST (http:// only to 127.0.0.1, [::1] or localhost)
                webhook_address = "[redacted]@audit.example/x": not a host, with or without a port; write the https:// address at which Microsoft reaches you
                webhook_address = "[redacted]@audit.example/x": webhook_auth_id is missing; set it to random characters, for example from: openssl rand -hex 32
                client: no such option; did you mean client_id?
                interval: no such option; did you mean interval_sec?
            "#]],
        );
    }

    #[test]
    fn defaults_need_only_the_credentials() {
        let config = Config::parse(&raw(&[
            ("tenant_id", &TENANT.to_uppercase()),
            ("client_id", TENANT),
            ("client_secret", "s3cret"),
        ]))
        .unwrap();
        assert_eq!(config.tenant_id(), TENANT);
        assert_eq!(&*config.publisher_id, TENANT);
        assert_eq!(config.content_types().len(), 4);
        assert_eq!(config.lookback, Duration::from_secs(7 * 86_400));
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    /// What a cloud means for the addresses of a request: sign-in, resource, API.
    #[track_caller]
    fn check_cloud(pairs: &[(&str, &str)], expect: Expect) {
        let identity = [("tenant_id", TENANT), ("client_id", TENANT), ("client_secret", "s3cret")];
        let config = Config::parse(&raw(&[&identity[..], pairs].concat())).unwrap();
        let (login, api) = (config.login.as_str(), config.api.as_str());
        expect.assert_eq(&format!("{login} {} {api}", config.resource));
    }

    #[test]
    fn enterprise_is_the_default_cloud() {
        check_cloud(
            &[],
            expect![
                "https://login.microsoftonline.com https://manage.office.com https://manage.office.com"
            ],
        );
        check_cloud(
            &[("cloud", "Enterprise")],
            expect![
                "https://login.microsoftonline.com https://manage.office.com https://manage.office.com"
            ],
        );
    }

    #[test]
    fn gcc_signs_in_with_everybody_and_has_an_api_of_its_own() {
        check_cloud(
            &[("cloud", "gcc")],
            expect![
                "https://login.microsoftonline.com https://manage-gcc.office.com https://manage-gcc.office.com"
            ],
        );
    }

    #[test]
    fn gcc_high_is_another_authority_and_another_api() {
        check_cloud(
            &[("cloud", "gcc-high")],
            expect![
                "https://login.microsoftonline.us https://manage.office365.us https://manage.office365.us"
            ],
        );
    }

    #[test]
    fn dod_shares_the_authority_of_gcc_high() {
        check_cloud(
            &[("cloud", "dod")],
            expect![
                "https://login.microsoftonline.us https://manage.protection.apps.mil https://manage.protection.apps.mil"
            ],
        );
    }

    #[test]
    fn china_is_run_by_21vianet() {
        check_cloud(
            &[("cloud", "china")],
            expect![
                "https://login.partner.microsoftonline.cn https://manage.office365.cn https://manage.office365.cn"
            ],
        );
    }

    #[test]
    fn each_address_of_a_cloud_can_be_overridden() {
        check_cloud(
            &[
                ("cloud", "gcc"),
                ("login_url", "https://login.windows.net/"),
                ("resource", "https://manage.office.com"),
            ],
            expect![
                "https://login.windows.net https://manage.office.com https://manage-gcc.office.com"
            ],
        );
        check_cloud(
            &[("cloud", "dod"), ("api_url", "https://api.example:8443")],
            expect![
                "https://login.microsoftonline.us https://manage.protection.apps.mil https://api.example:8443"
            ],
        );
    }

    #[test]
    fn every_cloud_has_its_word_in_the_options() {
        let Some(Kind::Choice(words)) = options::find("cloud").map(|spec| spec.kind) else {
            panic!("cloud is a choice")
        };
        assert_eq!(words, CLOUDS.map(|cloud| cloud.name));
    }

    #[test]
    fn the_credential_is_the_first_kind_that_is_configured() {
        let choose = |pairs: &[(&str, &str)]| match Choice::of(&raw(pairs)) {
            Ok(choice) => format!("{} auto={}", choice.kind.as_str(), choice.auto),
            Err(error) => error.to_string(),
        };
        let all = [
            ("managed_identity_header", "h"),
            ("federated_token_file", "/t"),
            ("certificate_file", "/c"),
            ("client_secret", "s3cret"),
        ];
        assert_eq!(choose(&all), "client_secret auto=true");
        assert_eq!(choose(&all[..3]), "certificate auto=true");
        assert_eq!(choose(&all[..2]), "workload_identity auto=true");
        assert_eq!(choose(&all[..1]), "managed_identity auto=true");
        let named = |word| choose(&[&all[..], &[("auth", word)]].concat());
        assert_eq!(named("certificate"), "certificate auto=false");
        assert_eq!(named("managed_identity"), "managed_identity auto=false");
        assert!(named("kerberos").starts_with("auth = \"kerberos\": not a value"));
        let twice = [("certificate", "x"), ("certificate_file", "/c")];
        assert_eq!(
            choose(&twice),
            "certificate_file = \"/c\": certificate is set too; keep one of the two"
        );
        assert_eq!(
            choose(&[("auth", "workload_identity")]),
            "federated_token: required and missing; set federated_token, or \
             federated_token_file to a file that holds it"
        );
    }

    #[test]
    fn a_managed_identity_needs_no_client_id() {
        let parse = |pairs: &[(&str, &str)]| {
            let raw =
                raw(&[&[("tenant_id", TENANT), ("auth", "managed_identity")][..], pairs].concat());
            match Config::parse(&raw) {
                Ok(config) => config.credential().to_string(),
                Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
            }
        };
        assert_eq!(
            parse(&[]),
            "the machine's managed identity from \
             http://169.254.169.254/metadata/identity/oauth2/token"
        );
        assert!(parse(&[("client_id", TENANT)]).starts_with("the managed identity of client 4146"));
        let twice = [("client_id", TENANT), ("managed_identity_object_id", TENANT)];
        assert!(parse(&twice).contains("client_id names an identity too"));
        assert!(parse(&[("managed_identity_header", "s3cret")]).contains("IDENTITY_ENDPOINT"));
        let far = [("managed_identity_endpoint", "http://10.0.0.1/msi/token")];
        assert!(parse(&far).contains("http:// would send the token in the clear"));
    }

    #[test]
    fn units_are_those_of_fluent_bit() {
        const SIZES: &[(&str, u64)] = &[("k", 1_000), ("m", 1_000_000)];
        assert_eq!(parse_with_unit("512K", SIZES), Some(512_000));
        assert_eq!(parse_with_unit("10x", SIZES), None);
        assert_eq!(parse_with_unit("", SIZES), None);
        assert_eq!(parse_with_unit("18446744073709551615k", SIZES), None);
    }
}
