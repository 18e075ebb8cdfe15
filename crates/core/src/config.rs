//! Settings from text: parsed once, completely, with every mistake reported at once. Puts together
//! what each part has read of its own options.

use std::sync::Arc;

use crate::activities::config::{ACTIVITIES_OPTIONS, ActivitiesConfig};
use crate::activities::filter::Filters;
use crate::audit::config::{AuditConfig, MANAGEMENT_OPTIONS};
use crate::audit::hint::Notified;
use crate::base::origin::Origin;
use crate::contract::feed::{ContentType, Feed, SourceName};
use crate::identity::credential::Credential;
pub use crate::identity::sign_in::CredentialSource;
use crate::identity::sign_in::{self, SignIn};
use crate::options::CLOUDS;
pub use crate::options::{ConfigError, RawOptions, Reader, nearest, no_entries};
use crate::records::envelope::Envelope;
use crate::records::treatment::TreatmentConfig;
use crate::source::limits::Limits;

/// What the core needs to know. Made by [`Config::parse`] only, so that every value is in bounds.
#[derive(Clone, Debug)]
pub struct Config {
    tenant_id: Arc<str>,
    sign_in: SignIn,
    audit: AuditConfig,
    /// `None`: that source is not collected.
    activities: Option<ActivitiesConfig>,
    treatment: TreatmentConfig,
    envelope: Envelope,
    limits: Limits,
    once: bool,
}

impl Config {
    /// Reads the options of [`Scope::Core`](crate::options::Scope::Core) and checks the names of
    /// all.
    ///
    /// # Errors
    /// Every mistake, in the order of [`OPTIONS`](crate::options::OPTIONS); unknown names last.
    pub fn parse(raw: &RawOptions) -> Result<Self, Vec<ConfigError>> {
        Self::parse_with(raw, CredentialSource::Options)
    }

    /// As [`Config::parse`], with a credential that the packaging may have read.
    ///
    /// # Errors
    /// Every mistake, in the order of [`OPTIONS`](crate::options::OPTIONS); unknown names last.
    pub fn parse_with(
        raw: &RawOptions,
        credential: CredentialSource,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut reader = Reader::new(raw);
        let plan = reader.word("cloud");
        // An unknown word has been reported.
        let cloud = CLOUDS.into_iter().find(|cloud| cloud.name == plan).unwrap_or(CLOUDS[0]);
        let tenant_id: Arc<str> = reader.guid("tenant_id", true).unwrap_or_default().into();
        let sources = sources(&mut reader);
        let with_audit = sources.contains(&SourceName::ManagementActivity);
        let with_activities = sources.contains(&SourceName::CloudAppActivities);
        let interval = reader.duration("interval_sec");
        let activities = ActivitiesConfig::read(&mut reader, interval, with_activities);
        // The portal's own token needs no app.
        let keyed = !with_audit && activities.as_ref().is_some_and(|own| own.token.is_some());
        let client_id = sign_in::client_id(&mut reader, raw, keyed);
        let audit = AuditConfig::read(
            &mut reader,
            &cloud,
            tenant_id.clone(),
            client_id.clone(),
            interval,
            with_audit,
        );
        // Without any source, that is told.
        let left_out = |source: &SourceName| !sources.is_empty() && !sources.contains(source);
        for source in SourceName::ALL.into_iter().filter(left_out) {
            reader.refuse_unused(options_of(source), source.as_str());
        }
        let sign_in = SignIn::read(
            &mut reader,
            raw,
            credential,
            tenant_id.clone(),
            client_id,
            cloud.login_url,
            keyed,
        );
        let limits = Limits::read(&mut reader);
        let treatment = TreatmentConfig::read(&mut reader);
        let envelope = Envelope::read(&mut reader);
        reader.finish()?;
        let sign_in = sign_in.ok_or_else(Vec::new)?;
        let once = false;
        Ok(Self { tenant_id, sign_in, audit, activities, treatment, envelope, limits, once })
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
        self.limits.batch_bytes = self.limits.batch_bytes.min(bytes_max);
        self
    }

    /// What the app signs in with, unless the driver presents something else.
    #[must_use]
    pub const fn credential(&self) -> &Credential {
        &self.sign_in.credential
    }

    /// The form in which records leave. It is for packagings to apply: collection knows no form.
    #[must_use]
    pub const fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The tenant's GUID, in lower case.
    #[must_use]
    pub fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    /// The application's GUID, in lower case.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.sign_in.client_id
    }

    /// What is sent as `PublisherIdentifier`.
    #[must_use]
    pub fn publisher_id(&self) -> &str {
        &self.audit.publisher_id
    }

    /// The resource that tokens are asked for.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.audit.resource
    }

    /// Base address of the Management Activity API.
    #[must_use]
    pub const fn api(&self) -> &Origin {
        &self.audit.api
    }

    /// Base address of the Entra ID authority.
    #[must_use]
    pub const fn login(&self) -> &Origin {
        &self.sign_in.login
    }

    /// Most requests in any minute.
    #[must_use]
    pub const fn requests_per_minute(&self) -> u32 {
        self.audit.requests_per_minute
    }

    /// Whether a collector starts the subscriptions that are missing.
    #[must_use]
    pub const fn starts_subscriptions(&self) -> bool {
        self.audit.start_subscriptions
    }

    /// Where a managed identity's tokens are had, if that is how to sign in. Asked directly, never
    /// through a proxy.
    #[must_use]
    pub fn identity_address(&self) -> Option<&str> {
        match self.credential() {
            Credential::ManagedIdentity(identity) => Some(identity.endpoint().as_str()),
            Credential::ClientSecret(_)
            | Credential::Certificate(_)
            | Credential::FederatedToken(_) => None,
        }
    }

    /// Every origin that requests go to, beside [`Config::identity_address`]: the authority that
    /// gives tokens, and the APIs.
    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        [&self.sign_in.login, &self.audit.api].into_iter().chain(self.portal_url())
    }

    /// Base address of the Defender for Cloud Apps API; `None`: that source is not collected.
    #[must_use]
    pub fn portal_url(&self) -> Option<&Origin> {
        self.activities.as_ref().map(|own| &own.url)
    }

    /// The resource that tokens for the Defender for Cloud Apps API are asked for; `None`: none
    /// are, for the portal's own token is used, or that source is not collected.
    #[must_use]
    pub fn portal_resource(&self) -> Option<&str> {
        let keyless = self.activities.as_ref().filter(|own| own.token.is_none());
        keyless.map(|own| &*own.resource)
    }

    /// Which activities are collected; `None`: that source is not.
    #[must_use]
    pub fn activities_filter(&self) -> Option<&Filters> {
        self.activities.as_ref().map(|own| &own.filters)
    }

    /// Most requests a minute to the Defender for Cloud Apps API; `None`: that source is not
    /// collected.
    #[must_use]
    pub fn activities_requests_per_minute(&self) -> Option<u32> {
        self.activities.as_ref().map(|own| own.requests_per_minute)
    }

    /// Everything that is collected: content types, and activities.
    #[must_use]
    pub fn feeds(&self) -> Vec<Feed> {
        let activities = self.activities.as_ref().map(|_| Feed::CloudAppActivities);
        self.audit.content_types.iter().copied().map(Feed::Audit).chain(activities).collect()
    }

    /// The content types that are collected, each once; none if that source is not.
    #[must_use]
    pub fn content_types(&self) -> &[ContentType] {
        &self.audit.content_types
    }

    /// Reads the body of a notification, as Microsoft sends it to a webhook.
    ///
    /// # Errors
    /// What is wrong with it, if it is no list. Entries that are not for this collector are
    /// counted.
    pub fn read_notification(&self, body: &[u8]) -> Result<Notified, &'static str> {
        self.audit.read_notification(body)
    }

    /// How the app signs in.
    pub(crate) const fn sign_in(&self) -> &SignIn {
        &self.sign_in
    }

    /// Settings of the Management Activity API, collected or not.
    pub(crate) const fn audit(&self) -> &AuditConfig {
        &self.audit
    }

    /// Settings of the Activities API; `None`: not collected.
    pub(crate) const fn activities(&self) -> Option<&ActivitiesConfig> {
        self.activities.as_ref()
    }

    /// What is done to records.
    pub(crate) const fn treatment(&self) -> &TreatmentConfig {
        &self.treatment
    }

    /// Bounds.
    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether to finish when everything is delivered.
    pub(crate) const fn is_once(&self) -> bool {
        self.once
    }
}

/// The options that are about one source alone and may not be set without it.
#[must_use]
pub const fn options_of(source: SourceName) -> &'static [&'static str] {
    match source {
        SourceName::ManagementActivity => &MANAGEMENT_OPTIONS,
        SourceName::CloudAppActivities => &ACTIVITIES_OPTIONS,
    }
}

/// Which sources are collected.
fn sources(reader: &mut Reader<'_>) -> Vec<SourceName> {
    let text = reader.text_or_default("source").to_ascii_lowercase();
    let mut sources = Vec::new();
    for word in reader.words("source", &text) {
        match SourceName::parse(word) {
            Some(source) => sources.push(source),
            None => reader.refuse("source", word),
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::identity::credential::Choice;
    use crate::options::Kind;
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
                tenant_id = "contoso": not a GUID; write it like 41463f53-8812-40f4-890f-865bf6e35190
                client_id: required and missing; write the GUID that the Entra admin center shows for it
                client_secret: no credential is configured; set one of client_secret, client_secret_file, certificate_file and federated_token_file, or auth managed_identity
                content_types = "Audit.Teams": not a value of this option; allowed: list of Audit.AzureActiveDirectory, Audit.Exchange, Audit.SharePoint, Audit.General, DLP.All
                api_url = "http://manage.office.com": http:// would send the token in the clear; write https://HOST (http:// only to 127.0.0.1, [::1] or localhost)
                interval_sec = "0": too small; allowed: time from 1s to 1h
                lookback = "8d": too large; allowed: time from 0s to 7d
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
                portal_url = "http://portal.example": without effect, because source does not name cloud_app_activities; add cloud_app_activities to source, or leave portal_url out
                portal_token: without effect, because source does not name cloud_app_activities; add cloud_app_activities to source, or leave portal_token out
                activities_lookback = "30d": without effect, because source does not name cloud_app_activities; add cloud_app_activities to source, or leave activities_lookback out
                activities_filter: garbage is no condition; write FILTER OPERATOR VALUE, joined by and
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
        assert_eq!(config.publisher_id(), TENANT);
        assert_eq!(config.content_types().len(), 4);
        assert_eq!(config.audit().lookback, Duration::from_secs(7 * 86_400));
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    /// What a cloud means for the addresses of a request: sign-in, resource, API.
    #[track_caller]
    fn check_cloud(pairs: &[(&str, &str)], expect: Expect) {
        let identity = [("tenant_id", TENANT), ("client_id", TENANT), ("client_secret", "s3cret")];
        let config = Config::parse(&raw(&[&identity[..], pairs].concat())).unwrap();
        let (login, api) = (config.login().as_str(), config.api().as_str());
        expect.assert_eq(&format!("{login} {} {api}", config.resource()));
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
        let Some(Kind::Choice(words)) = crate::options::find("cloud").map(|spec| spec.kind) else {
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
}
