//! Names and prose from which records are made. All invented.

pub(super) const FIRST_NAMES: &[&str] = &[
    "alex", "bela", "chidi", "dana", "emre", "freya", "goran", "hana", "ines", "jonas", "kaja",
    "luis", "mina", "noor", "olga", "pavel", "quentin", "rosa", "sven", "tariq", "uma", "vera",
];
pub(super) const LAST_NAMES: &[&str] = &[
    "adeyemi",
    "berger",
    "costa",
    "duarte",
    "eriksen",
    "fontana",
    "gruber",
    "haddad",
    "ivanova",
    "jansen",
    "kowalski",
    "lindqvist",
    "moreau",
    "nakamura",
    "okafor",
    "petrov",
    "rossi",
    "silva",
];
pub(super) const APPS: &[&str] = &[
    "Office 365 Exchange Online",
    "Microsoft Teams",
    "Azure Portal",
    "SharePoint Online Client",
    "Contoso Payroll",
    "Fabrikam Sync",
    "Microsoft Graph Command Line",
    "OneDrive iOS App",
];
pub(super) const AGENTS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1",
    "Microsoft SkyDriveSync 24.116.0609.0003 ship; Windows NT 10.0 (19045)",
    "OneDriveMpc-Transform_Thumbnail/1.0",
    "BAV2ROPC",
];
pub(super) const FILES: &[&str] = &[
    "Budget 2026.xlsx",
    "Offsite plan.docx",
    "Lageplan Süd.pdf",
    "invoice_20318.csv",
    "Kick-off.pptx",
    "notes.one",
    "契約書.docx",
    "photo 0021.heic",
    "architecture.vsdx",
];
pub(super) const SITES: &[&str] =
    &["Finance", "Engineering", "HumanResources", "Projekt-Atlas", "Marketing", "Legal"];
pub(super) const SUBJECTS: &[&str] = &[
    "Re: Quarterly figures",
    "Fwd: Übergabe am Montag",
    "Lunch?",
    "[EXTERNAL] Invoice 20318",
    "Meeting moved to 14:00",
    "Zugangsdaten für das Portal",
    "請求書の件",
    "Your receipt 🧾",
];
/// Repeated to fill records up to their size. Holds what a careless scanner trips over: brackets,
/// braces, escaped quotes and backslashes, a look-alike of a field, text beyond ASCII. Its length
/// is not a power of two, so that chunk borders fall everywhere.
pub(super) const PROSE: &str = concat!(
    "The policy was evaluated for the item and produced the outcome that is described below. ",
    r#"Path C:\\Program Files\\Contoso\\agent.exe, arguments [\"--mode\",\"{audit}\"]. "#,
    "Die Prüfung wurde für ältere Einträge übersprungen; voir le détail ci-après. ",
    r#"Rule text: {\"Id\":\"not-an-id\",\"CreationTime\":\"never\"}, closing }]\\. "#,
    "検査は完了しました。 Ελέγχθηκε. Retention label kept, sensitivity unchanged, owner notified. ",
);
