//! What is said of the configuration: a hash by which it is recognised, and what it leaves out. No
//! secret goes into either.

use std::fmt::Write;

use m365_audit_core::RawOptions;
use m365_audit_core::options::{self, Kind};
use sha2::{Digest, Sha256};

use super::statement::Configuration;

/// Options that leave records out, or change them.
const TREATING: [&str; 6] =
    ["include_", "exclude_", "redact", "activities_filter", "source", "content_types"];

/// What `raw` says; `None` if it says nothing but where the db is.
pub(super) fn read(raw: &RawOptions) -> Option<Configuration> {
    if raw.keys().all(|name| matches!(&**name, "db" | "tenant_id")) {
        return None;
    }
    let mut hash = Sha256::new();
    for (name, value) in raw {
        let value = match options::find(name).map(|spec| spec.kind) {
            // That there is one, and not which.
            None | Some(Kind::Secret) => "set",
            // A proxy's address may hold a password.
            Some(Kind::Url) => value.rsplit('@').next().unwrap_or_default().trim(),
            Some(_) => value.trim(),
        };
        hash.update(format!("{name}={value}\n"));
    }
    let hash = hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let treats = |name: &&String| {
        TREATING.iter().any(|start| name.starts_with(start)) && !name.starts_with("redact_key")
    };
    let treating = raw.keys().filter(treats).map(|name| format!("{name} = {}", raw[name].trim()));
    Some(Configuration { hash, treating: treating.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(pairs: &[(&str, &str)]) -> RawOptions {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_configuration_is_recognised_by_everything_but_its_secrets() {
        assert!(read(&raw(&[("db", "state.db"), ("tenant_id", "x")])).is_none());
        let base = [("db", "state.db"), ("client_id", "a"), ("client_secret", "s3cret")];
        let hash = |pairs: &[(&str, &str)]| read(&raw(pairs)).unwrap().hash;
        let first = hash(&base);
        assert_eq!(first.len(), 64);
        assert_eq!(first, hash(&[base[0], base[1], ("client_secret", "another")]));
        assert_ne!(first, hash(&[base[0], ("client_id", "b"), base[2]]));
        assert_ne!(first, hash(&base[..2]));
        let filtered = read(&raw(&[base[1], ("exclude_operations", "FileAccessed*")])).unwrap();
        assert_eq!(filtered.treating, ["exclude_operations = FileAccessed*"]);
        let redacted = raw(&[("redact", "on"), ("redact_key", "s3cret")]);
        assert_eq!(read(&redacted).unwrap().treating, ["redact = on"]);
    }
}
