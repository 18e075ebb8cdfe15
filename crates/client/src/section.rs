//! What an input section of Fluent Bit says. The plugin collects by it and the command line checks
//! it, so that both say the same. Opens nothing but the files that options name.

use std::time::Duration;

use m365_audit_core::config::Reader;
use m365_audit_core::{ConfigError, Feed, RawOptions};

use crate::settings::{Settings, in_order};
use crate::tenants::{TenantMistake, Tenants, TenantsFile};

/// With a delay between Fluent Bit's taking of a batch and its settlement, so many bytes may be
/// unsettled: they are no longer in this process's queues, so `buffer_bytes` must not bound them.
const DELAYED_BYTES_MAX: u64 = 1_000_000_000;

/// Everything that the options of a section say.
#[derive(Debug)]
pub struct Section {
    /// Whose records are collected.
    pub who: Who,
    /// Under which tags events appear.
    pub tags: Tags,
    /// How long after Fluent Bit has taken a batch it counts as delivered.
    pub commit_delay: Duration,
    /// Most bytes that may wait for Fluent Bit, and the same again in its ring buffer.
    pub buffer_bytes: usize,
}

/// Whose records are collected.
#[derive(Debug)]
pub enum Who {
    /// One tenant's.
    One(Box<Settings>),
    /// Those of the tenants of a file.
    Many(TenantsFile, Tenants),
}

impl Who {
    fn read(raw: &RawOptions) -> Result<Self, Vec<ConfigError>> {
        let Some(file) = TenantsFile::of(raw) else {
            return Settings::parse(raw).map(|client| Self::One(Box::new(client)));
        };
        file.check_base()?;
        let tenants = file.read().map_err(|mistake| vec![mistake.error])?;
        if tenants.tenants.is_empty() {
            // Each names its table; the section's own options are not to blame.
            return Err(tenants.mistakes.iter().map(TenantMistake::as_error).collect());
        }
        Ok(Self::Many(file, tenants))
    }
}

/// Under which tags events appear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// The instance's.
    Instance,
    /// This, and behind dots what is asked for.
    Own {
        /// What they begin with.
        prefix: Box<str>,
        /// Whether the tenant follows.
        per_tenant: bool,
        /// Whether the feed follows.
        per_content_type: bool,
    },
}

impl Tags {
    /// The same for one tenant, by its name.
    #[must_use]
    pub fn of_tenant(&self, name: &str) -> Self {
        match self {
            Self::Own { prefix, per_tenant: true, per_content_type } => Self::Own {
                prefix: format!("{prefix}.{}", part_of_tag(name)).into(),
                per_tenant: false,
                per_content_type: *per_content_type,
            },
            Self::Own { .. } | Self::Instance => self.clone(),
        }
    }

    /// The tag for one feed; `None` for the instance's.
    #[must_use]
    pub fn of(&self, feed: Feed) -> Option<String> {
        match self {
            Self::Instance => None,
            Self::Own { prefix, per_content_type: true, .. } => Some(format!("{prefix}.{feed}")),
            Self::Own { prefix, .. } => Some(prefix.to_string()),
        }
    }
}

/// A name as a part of a tag, in which a dot would begin another and a star would match others.
fn part_of_tag(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    name.chars().map(safe).collect()
}

impl Section {
    /// What the section is called, where several show their status at one place.
    pub fn name(&mut self, instance: &str) {
        let name = |settings: &mut Settings| {
            settings.native.status.packaging = "fluent-bit";
            settings.native.status.instance = instance.into();
        };
        match &mut self.who {
            Who::One(settings) => name(settings),
            Who::Many(_, tenants) => {
                tenants.tenants.iter_mut().for_each(|tenant| name(&mut tenant.settings));
            }
        }
    }

    /// Reads what somebody wrote, under the names of the options.
    ///
    /// # Errors
    /// Every mistake, in the order of the table. None shows a secret.
    pub fn parse(mut raw: RawOptions) -> Result<Self, Vec<ConfigError>> {
        let mut reader = Reader::new(&raw);
        let tags = tags(&mut reader);
        let commit_delay = reader.duration("commit_delay");
        let mut errors = reader.finish_known().err().unwrap_or_default();
        // The core has the say over this option: what is wrong with it stays, to be told.
        let mut reader = Reader::new(&raw);
        let buffer_bytes = reader.number("buffer_bytes");
        if !commit_delay.is_zero() && reader.finish_known().is_ok() {
            let bytes = buffer_bytes.max(DELAYED_BYTES_MAX);
            raw.insert("buffer_bytes".into(), bytes.to_string());
        }
        match Who::read(&raw) {
            Ok(who) if errors.is_empty() => {
                let buffer_bytes = usize::try_from(buffer_bytes).unwrap_or(usize::MAX);
                Ok(Self { who, tags, commit_delay, buffer_bytes })
            }
            Ok(_) => Err(errors),
            Err(found) => {
                errors.extend(found);
                Err(in_order(errors))
            }
        }
    }
}

fn tags(reader: &mut Reader<'_>) -> Tags {
    let per_content_type = reader.boolean("tag_per_content_type");
    let per_tenant = reader.boolean("tag_per_tenant");
    match (per_content_type || per_tenant, reader.optional("tag_prefix")) {
        (false, None) => Tags::Instance,
        (true, Some(prefix)) => Tags::Own { prefix: prefix.into(), per_tenant, per_content_type },
        (true, None) => {
            reader.report(ConfigError::new(
                "tag_prefix",
                None,
                "required with tag_per_content_type and tag_per_tenant, and missing",
                "write what the input's tag says",
            ));
            Tags::Instance
        }
        (false, Some(prefix)) => {
            reader.report(ConfigError::new(
                "tag_prefix",
                Some(&prefix),
                "without effect, because tag_per_content_type and tag_per_tenant are off",
                "set one of them on, or leave tag_prefix out",
            ));
            Tags::Instance
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::process::Command;
    use std::thread;

    use m365_audit_core::ContentType;

    use super::*;

    const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";

    fn parse(pairs: &[(&str, &str)]) -> Result<Section, String> {
        let credentials =
            [("tenant_id", TENANT), ("client_id", TENANT), ("client_secret", "s3cret")];
        let pairs = credentials.iter().chain(pairs);
        Section::parse(pairs.map(|(name, value)| ((*name).into(), (*value).into())).collect())
            .map_err(|errors| errors.iter().map(|error| format!("{error}\n")).collect())
    }

    #[test]
    fn mistakes_of_all_layers_come_together_and_in_order() {
        let errors = parse(&[
            ("commit_delay", "2h"),
            ("tag_per_content_type", "on"),
            ("db.sync", "never"),
            ("content_types", "Audit.Teams"),
        ]);
        let errors = errors.unwrap_err();
        let options: Vec<_> =
            errors.lines().filter_map(|line| line.split([' ', ':']).next()).collect();
        assert_eq!(options, ["content_types", "db.sync", "tag_prefix", "commit_delay"], "{errors}");
        assert!(!errors.contains("s3cret"));
    }

    #[test]
    fn a_prefix_without_tags_per_content_type_is_refused() {
        let errors = parse(&[("tag_prefix", "m365")]).unwrap_err();
        assert!(errors.starts_with("tag_prefix = \"m365\": without effect"), "{errors}");
    }

    #[test]
    fn tags_end_with_the_content_type() {
        let settings = parse(&[("tag_per_content_type", "on"), ("tag_prefix", "m365")]).unwrap();
        let feed = Feed::Audit(ContentType::AuditExchange);
        let tag = settings.tags.of(feed);
        assert_eq!(tag.as_deref(), Some("m365.Audit.Exchange"));
        assert_eq!(parse(&[]).unwrap().tags.of(feed), None);
    }

    #[test]
    fn tags_name_the_tenant_in_letters_that_tags_may_have() {
        let options = [("tag_per_tenant", "on"), ("tag_prefix", "m365")];
        let tags = parse(&options).unwrap().tags.of_tenant("Contoso Ltd. (*)");
        let tag = tags.of(Feed::Audit(ContentType::AuditExchange));
        assert_eq!(tag.as_deref(), Some("m365.Contoso_Ltd_____"));
        let both = [options[0], options[1], ("tag_per_content_type", "on")];
        let tags = parse(&both).unwrap().tags.of_tenant(TENANT);
        let tag = tags.of(Feed::Audit(ContentType::AuditExchange));
        assert_eq!(tag, Some(format!("m365.{TENANT}.Audit.Exchange")));
        let errors = parse(&options[..1]).unwrap_err();
        assert!(errors.starts_with("tag_prefix: required with"), "{errors}");
    }

    /// Who gives a secret through a pipe gives it once, and a file may change between two looks.
    #[test]
    fn files_are_read_once_with_a_commit_delay_too() {
        let dir = tempfile::tempdir().unwrap();
        let [pipe, empty] = ["pipe", "empty"].map(|name| dir.path().join(name));
        fs::write(&empty, "").unwrap();
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let path = pipe.clone();
        let giver = thread::spawn(move || {
            // Waits for whoever reads; the next one finds the empty file.
            let mut writer = fs::OpenOptions::new().write(true).open(&path).unwrap();
            fs::rename(empty, path).unwrap();
            writer.write_all(b"s3cret").unwrap();
        });
        let raw = [
            ("tenant_id", TENANT),
            ("client_id", TENANT),
            ("client_secret_file", pipe.to_str().unwrap()),
            ("commit_delay", "60"),
        ];
        let raw = raw.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Section::parse(raw.into());
        giver.join().unwrap();
        assert!(settings.is_ok(), "{:?}", settings.err());
    }

    #[test]
    fn a_mistake_in_what_a_commit_delay_raises_is_told() {
        let errors = parse(&[("commit_delay", "60"), ("buffer_bytes", "1")]).unwrap_err();
        assert!(errors.starts_with("buffer_bytes = \"1\": "), "{errors}");
    }

    #[test]
    fn a_commit_delay_does_not_bound_throughput() {
        let core = |settings: &Section| match &settings.who {
            Who::One(client) => format!("{:?}", client.config),
            Who::Many(..) => panic!("one tenant"),
        };
        let delayed = parse(&[("commit_delay", "60")]).unwrap();
        assert_eq!(delayed.buffer_bytes, 6_000_000);
        assert!(core(&delayed).contains("buffer_bytes: 1000000000"));
        let prompt = parse(&[]).unwrap();
        assert!(core(&prompt).contains("buffer_bytes: 6000000"));
    }
}
