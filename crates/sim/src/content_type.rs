//! The five content types of the Management Activity API and their names. No behaviour.

use serde::{Deserialize, Serialize};

/// A feed of the Management Activity API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ContentType {
    /// Microsoft Entra: sign-ins and directory changes.
    #[serde(rename = "Audit.AzureActiveDirectory")]
    AzureActiveDirectory,
    /// Exchange: administration and mailbox access.
    #[serde(rename = "Audit.Exchange")]
    Exchange,
    /// SharePoint and OneDrive.
    #[serde(rename = "Audit.SharePoint")]
    SharePoint,
    /// All other workloads.
    #[serde(rename = "Audit.General")]
    General,
    /// Data-loss prevention matches. Needs `ActivityFeed.ReadDlp`.
    #[serde(rename = "DLP.All")]
    Dlp,
}

impl ContentType {
    /// All of them, in Microsoft's order.
    pub const ALL: [Self; 5] =
        [Self::AzureActiveDirectory, Self::Exchange, Self::SharePoint, Self::General, Self::Dlp];

    /// The name in parameters and descriptors.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AzureActiveDirectory => "Audit.AzureActiveDirectory",
            Self::Exchange => "Audit.Exchange",
            Self::SharePoint => "Audit.SharePoint",
            Self::General => "Audit.General",
            Self::Dlp => "DLP.All",
        }
    }

    /// Parses a name in any case, as the service does.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ct| ct.name().eq_ignore_ascii_case(text))
    }

    /// The two parts that name the type inside a content id.
    pub(crate) const fn id_parts(self) -> &'static str {
        match self {
            Self::AzureActiveDirectory => "audit_azureactivedirectory$Audit_AzureActiveDirectory",
            Self::Exchange => "audit_exchange$Audit_Exchange",
            Self::SharePoint => "audit_sharepoint$Audit_SharePoint",
            Self::General => "audit_general$Audit_General",
            Self::Dlp => "dlp_all$DLP_All",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl std::fmt::Display for ContentType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for ContentType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::parse(text).ok_or_else(|| format!("unknown content type {text:?}: use {}", known()))
    }
}
