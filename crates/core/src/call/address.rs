//! The address of a blob that somebody names: only one that the token may be sent to.

use crate::audit::wire;
use crate::call::failure::{CallError, CallErrorKind};
use crate::config::Config;
use crate::contract::feed::ContentType;
use crate::contract::request::Operation;

/// Ids have about 120 characters.
const ID_CHARS_MAX: usize = 1_024;

/// The address of a blob on the configured origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobAddress {
    uri: String,
}

impl BlobAddress {
    /// The address itself.
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// Reads a `contentUri`, or a `contentId` that the address is made of.
    ///
    /// # Errors
    /// If it is an address elsewhere, which would be given the token, or no id.
    pub fn parse(config: &Config, text: &str) -> Result<Self, CallError> {
        let text = text.trim();
        let refuse = |message: String, remedy| {
            Err(CallError::new(Operation::GetBlob, CallErrorKind::Argument, message, remedy))
        };
        if text.contains("://") {
            if config.api().owns(text) {
                return Ok(Self { uri: text.to_owned() });
            }
            let shown: String =
                text.split('?').next().unwrap_or_default().chars().take(200).collect();
            let message = format!(
                "{shown} is not on {}: it is not read, and the token is not sent there",
                config.api().as_str()
            );
            return refuse(
                message,
                "name content of the configured api_url, as `content list` does",
            );
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '$' | '_' | '-' | '.');
        if text.is_empty() || ID_CHARS_MAX < text.len() || !text.chars().all(legal) {
            let shown: String = text.chars().take(200).collect();
            let message = format!("{shown:?} is neither a content id nor an address");
            return refuse(message, "quote ids in single quotes: the shell reads $ in others");
        }
        Ok(Self { uri: wire::blob_address(config.audit(), text) })
    }

    /// The content id, as it stands in the address.
    #[must_use]
    pub fn content_id(&self) -> &str {
        let path = self.uri.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }

    /// The feed that the id names. Ids are opaque to everything that counts: this is for display.
    pub(crate) fn content_type(&self) -> Option<ContentType> {
        self.content_id().split('$').find_map(|part| ContentType::parse(&part.replace('_', ".")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::RawOptions;

    fn config() -> Config {
        let tenant = "41463f53-8812-40f4-890f-865bf6e35190";
        let raw: RawOptions =
            [("tenant_id", tenant), ("client_id", tenant), ("client_secret", "s")]
                .map(|(name, value)| (name.into(), value.into()))
                .into();
        Config::parse(&raw).unwrap()
    }

    #[test]
    fn an_id_becomes_an_address_and_an_address_stays_one() {
        let id = "20231016001037495037203$20231016005646231021586$audit_sharepoint$\
                  Audit_SharePoint$jpn0016";
        let from_id = BlobAddress::parse(&config(), id).unwrap();
        assert_eq!(
            from_id.uri,
            format!(
                "https://manage.office.com/api/v1.0/41463f53-8812-40f4-890f-865bf6e35190/activity/\
                 feed/audit/{id}"
            )
        );
        assert_eq!(from_id.content_id(), id);
        assert_eq!(from_id.content_type(), Some(ContentType::AuditSharePoint));
        assert_eq!(BlobAddress::parse(&config(), &from_id.uri), Ok(from_id));
    }

    #[test]
    fn an_address_elsewhere_and_what_is_no_id_are_refused() {
        for text in [
            "https://manage.office.com.attacker.example/api/v1.0/x/activity/feed/audit/1$2",
            "http://manage.office.com/api",
            "https://user@manage.office.com/api",
            "",
            "a b",
            "../../subscriptions/list",
            "1$2?x=y",
        ] {
            let error = BlobAddress::parse(&config(), text).unwrap_err();
            assert_eq!(error.kind, CallErrorKind::Argument, "{text}");
        }
    }
}
