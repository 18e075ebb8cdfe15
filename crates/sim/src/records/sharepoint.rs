//! Records of Audit.SharePoint: files (6), sharing (14), lists (36, 54), sites (4).

use super::words;
use super::writer::Fields;

const FILE_OPERATIONS: &[&str] = &[
    "FileAccessed",
    "FileModified",
    "FileDownloaded",
    "FileUploaded",
    "FilePreviewed",
    "FileDeleted",
    "FileSyncDownloadedFull",
    "FileRenamed",
];

pub(super) fn write(f: &mut Fields<'_>) {
    match f.rng.u8(..10) {
        0..6 => file(f),
        6..8 => sharing(f),
        8 => list(f),
        _ => site(f),
    }
}

fn base(f: &mut Fields<'_>, item_type: &str) -> String {
    let site = f.pick(words::SITES);
    let url = format!("https://contoso.sharepoint.com/sites/{site}/");
    f.text_field("ItemType", item_type);
    f.text_field("SiteUrl", &url);
    if f.room() {
        f.guid_field("Site");
        f.text_field("EventSource", "SharePoint");
    }
    if f.room() {
        f.guid_field("CorrelationId");
        let agent = f.pick(words::AGENTS);
        f.text_field("UserAgent", agent);
    }
    if f.room() {
        f.guid_field("WebId");
        f.guid_field("ListId");
        f.guid_field("ListItemUniqueId");
    }
    url
}

fn file(f: &mut Fields<'_>) {
    let operation = f.pick(FILE_OPERATIONS);
    let workload = f.pick(&["SharePoint", "OneDrive"]);
    f.common(6, operation, workload);
    let name = f.pick(words::FILES);
    f.text_field("SourceFileName", name);
    let url = base(f, "File");
    if f.room() {
        let object = format!("{url}Shared Documents/{name}");
        f.text_field("ObjectId", &object);
        f.text_field("SourceRelativeUrl", "Shared Documents");
        let extension = name.rsplit('.').next().unwrap_or_default();
        f.text_field("SourceFileExtension", extension);
    }
    if f.room() {
        let size = i64::from(f.rng.u32(..));
        f.integer_field("FileSizeBytes", size * 4);
        f.json_field("HighPriorityMediaProcessing", "false");
    }
    if f.room() {
        f.text_field("ApplicationDisplayName", "Microsoft Office");
        f.text_field("MachineDomainInfo", "");
        f.guid_field("MachineId");
    }
}

fn sharing(f: &mut Fields<'_>) {
    let operation = f.pick(&["SharingSet", "AnonymousLinkCreated", "SecureLinkUsed"]);
    f.common(14, operation, "SharePoint");
    base(f, "File");
    if f.room() {
        let person = f.person();
        f.text_field("TargetUserOrGroupName", &person);
        f.text_field("TargetUserOrGroupType", "Guest");
        f.guid_field("UniqueSharingId");
    }
    if f.room() {
        f.text_field(
            "EventData",
            "<Type>View</Type><MembersCanShareApplied>False</MembersCanShareApplied>",
        );
    }
}

fn list(f: &mut Fields<'_>) {
    let (record_type, operation) =
        if f.rng.bool() { (36, "ListViewed") } else { (54, "ListItemUpdated") };
    f.common(record_type, operation, "SharePoint");
    base(f, "List");
    if f.room() {
        f.text_field("ListTitle", "Aufträge");
        f.text_field("ListBaseType", "GenericList");
        f.text_field("ListBaseTemplateType", "GenericList");
        f.json_field("IsHiddenList", "false");
        f.json_field("IsDocLib", "false");
    }
}

fn site(f: &mut Fields<'_>) {
    let operation = f.pick(&["PageViewed", "SiteCollectionAdminAdded", "PermissionLevelAdded"]);
    f.common(4, operation, "SharePoint");
    base(f, "Page");
    if f.room() {
        let value = r#"[{"Name":"RequestedAccessLevel","NewValue":"2","OldValue":""}]"#;
        f.json_field("ModifiedProperties", value);
        f.text_field("CustomEvent", "");
    }
}
