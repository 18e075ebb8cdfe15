//! What is collected, by name: the feeds, and the sources that they are of. A name decides nothing:
//! what a source does with a feed stands in its folder.

use std::fmt;

/// One API of Microsoft that records are collected from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceName {
    /// The Office 365 Management Activity API.
    ManagementActivity,
    /// The Activities API of Defender for Cloud Apps.
    CloudAppActivities,
}

impl SourceName {
    /// Every source.
    pub const ALL: [Self; 2] = [Self::ManagementActivity, Self::CloudAppActivities];

    /// Its word in the option `source`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ManagementActivity => "management_activity",
            Self::CloudAppActivities => "cloud_app_activities",
        }
    }

    /// The source of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == word)
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Records that are collected, filtered, counted and told of together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// Audit records of one content type.
    Audit(ContentType),
    /// Activities of Defender for Cloud Apps.
    CloudAppActivities,
}

impl Feed {
    /// Every feed, of all sources.
    pub const ALL: [Self; 6] = [
        Self::Audit(ContentType::AuditAzureActiveDirectory),
        Self::Audit(ContentType::AuditExchange),
        Self::Audit(ContentType::AuditSharePoint),
        Self::Audit(ContentType::AuditGeneral),
        Self::Audit(ContentType::DlpAll),
        Self::CloudAppActivities,
    ];

    /// What it is called in metadata (`content_type`), in labels and in the state: Microsoft's
    /// name, if there is one.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audit(content_type) => content_type.as_str(),
            Self::CloudAppActivities => "CloudAppActivities",
        }
    }

    /// The feed called `name`, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feed| feed.as_str().eq_ignore_ascii_case(name))
    }

    /// Where it is collected from.
    #[must_use]
    pub const fn source(self) -> SourceName {
        match self {
            Self::Audit(_) => SourceName::ManagementActivity,
            Self::CloudAppActivities => SourceName::CloudAppActivities,
        }
    }
}

impl From<ContentType> for Feed {
    fn from(content_type: ContentType) -> Self {
        Self::Audit(content_type)
    }
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The content types of the Management Activity API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentType {
    /// Sign-ins and directory changes.
    AuditAzureActiveDirectory,
    /// Mailbox and Exchange administration.
    AuditExchange,
    /// SharePoint and OneDrive.
    AuditSharePoint,
    /// Everything else, Teams and Endpoint DLP included.
    AuditGeneral,
    /// DLP matches; needs `ActivityFeed.ReadDlp`.
    DlpAll,
}

impl ContentType {
    /// Every content type, in the order of Microsoft's reference.
    pub const ALL: [Self; 5] = [
        Self::AuditAzureActiveDirectory,
        Self::AuditExchange,
        Self::AuditSharePoint,
        Self::AuditGeneral,
        Self::DlpAll,
    ];

    /// Microsoft's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuditAzureActiveDirectory => "Audit.AzureActiveDirectory",
            Self::AuditExchange => "Audit.Exchange",
            Self::AuditSharePoint => "Audit.SharePoint",
            Self::AuditGeneral => "Audit.General",
            Self::DlpAll => "DLP.All",
        }
    }

    /// The content type called `name`, in any case, as Microsoft accepts it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ct| ct.as_str().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_content_type_is_a_feed_and_every_source_has_one() {
        let of = |source: SourceName| Feed::ALL.into_iter().filter(move |f| f.source() == source);
        let audit: Vec<_> = of(SourceName::ManagementActivity).collect();
        assert_eq!(audit, ContentType::ALL.map(Feed::Audit));
        for source in SourceName::ALL {
            assert!(0 < of(source).count(), "{source}");
            assert_eq!(SourceName::parse(source.as_str()), Some(source));
        }
    }

    #[test]
    fn each_is_found_by_its_name_and_by_no_other() {
        for feed in Feed::ALL {
            assert_eq!(Feed::parse(&feed.as_str().to_lowercase()), Some(feed));
        }
        assert_eq!(
            (Feed::parse("Audit.Teams"), ContentType::parse("CloudAppActivities")),
            (None, None)
        );
    }
}
