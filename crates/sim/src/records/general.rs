//! Records of Audit.General: every workload without a content type of its own.

use super::words;
use super::writer::Fields;

/// Further documented types that are written with the common fields only.
const OTHERS: &[(i64, &str, &str)] = &[
    (18, "Set-LabelPolicy", "SecurityComplianceCenter"),
    (24, "SearchStarted", "SecurityComplianceCenter"),
    (30, "CreateFlow", "MicrosoftFlow"),
    (41, "TIUrlClickData", "ThreatIntelligence"),
    (45, "LaunchPowerApp", "PowerApps"),
    (65, "QuarantineReleaseMessage", "Quarantine"),
    (66, "SubmitResponse", "MicrosoftForms"),
    (83, "SensitivityLabelUpdated", "PublicEndpoint"),
    (190, "TaskModified", "Planner"),
    (261, "CopilotInteraction", "Copilot"),
    (294, "RiskDetected", "AzureActiveDirectory"),
    (357, "ReadArtifact", "Fabric"),
];

pub(super) fn write(f: &mut Fields<'_>) {
    match f.rng.u8(..12) {
        0..4 => teams(f),
        4 => yammer(f),
        5 | 6 => power_bi(f),
        7 => alert(f),
        8 => endpoint(f),
        _ => other(f),
    }
}

fn teams(f: &mut Fields<'_>) {
    let operation =
        f.pick(&["MessageSent", "TeamCreated", "MemberAdded", "MeetingDetail", "TabAdded"]);
    f.common(25, operation, "MicrosoftTeams");
    if !f.room() {
        return;
    }
    let thread = f.rng.u64(..);
    let thread = format!("19:{thread:016x}@thread.tacv2");
    f.text_field("TeamGuid", &thread);
    let team = f.pick(words::SITES);
    f.text_field("TeamName", team);
    if f.room() {
        let person = f.person();
        f.key("Members").json("[{\"DisplayName\":\"Émilie\",\"Role\":1,\"UPN\":").string(&person);
        f.json("}]");
    }
    if f.room() {
        let size = i64::from(f.rng.u16(..));
        f.integer_field("MessageSizeInBytes", size);
        f.text_field("ChannelName", "Allgemein");
        f.text_field("ChannelType", "Standard");
        f.json_field("ExtraProperties", r#"[{"Key":"TimeZone","Value":"Europe\/Berlin"}]"#);
    }
}

fn yammer(f: &mut Fields<'_>) {
    f.common(22, "MessageCreated", "Yammer");
    let number = i64::try_from(f.rng.u64(..) >> 26).expect("38 bits");
    f.integer_field("ActorYammerUserId", number);
    f.integer_field("YammerNetworkId", number / 7);
    if f.room() {
        f.integer_field("MessageId", number * 9);
        let group = f.pick(words::SITES);
        f.text_field("GroupName", group);
        f.json_field("IsSoftDelete", "false");
    }
}

fn power_bi(f: &mut Fields<'_>) {
    let operation = f.pick(&["ViewReport", "CreateArtifact", "RefreshDataset", "ExportReport"]);
    f.common(20, operation, "PowerBI");
    if f.room() {
        f.text_field("Activity", operation);
        let site = f.pick(words::SITES);
        f.text_field("WorkSpaceName", site);
        f.guid_field("WorkspaceId");
        f.text_field("ReportName", "Umsatz \"Q3\" – Übersicht");
    }
    if f.room() {
        let value = r#""[{\"Name\":\"SystemArtifactType\",\"Value\":\"None\"}]""#;
        f.json_field("OperationProperties", value);
        f.json_field("IsSuccess", "true");
    }
}

fn alert(f: &mut Fields<'_>) {
    f.common(40, "AlertEntityGenerated", "SecurityComplianceCenter");
    f.guid_field("AlertId");
    let severity = f.pick(&["Low", "Medium", "High"]);
    f.text_field("Severity", severity);
    if f.room() {
        f.text_field("AlertType", "System");
        f.text_field("Name", "Unusual volume of file deletion");
        f.text_field("Category", "DataGovernance");
        f.text_field("Source", "Office 365 Security & Compliance");
        f.guid_field("PolicyId");
    }
    if f.room() {
        let person = f.person();
        f.key("Data").json("\"{\\\"etype\\\":\\\"User\\\",\\\"eid\\\":\\\"").escaped(&person);
        f.json("\\\",\\\"wl\\\":\\\"Exchange\\\",\\r\\n\\\"lon\\\":\\\"FileDeleted\\\"}\"");
        f.json_field("AlertLinks", r#"[{"AlertLinkHref":"https:\/\/contoso.example\/alert"}]"#);
    }
}

/// Endpoint DLP arrives here and not in DLP.All.
fn endpoint(f: &mut Fields<'_>) {
    let operation = f.pick(&["FileCopiedToRemovableMedia", "FileUploadedToCloud", "FilePrinted"]);
    f.common(63, operation, "Endpoint");
    if f.room() {
        f.key("EndpointMetaData")
            .json("{\"DeviceName\":\"lt-0417\",\"EnforcementMode\":\"Audit\",");
        f.json("\"FileExtension\":\"xlsx\",\"FileType\":\"XLSX\",\"Sha256\":\"");
        let digest = f.rng.u64(..);
        let digest = format!("{digest:064x}");
        f.json(&digest).json("\",\"SensitiveInformation\":[]}");
        f.json_field("PolicyMatchInfo", "{}");
    }
}

fn other(f: &mut Fields<'_>) {
    let (record_type, operation, workload) = OTHERS[f.rng.usize(..OTHERS.len())];
    f.common(record_type, operation, workload);
    if f.room() {
        f.guid_field("ObjectId");
        f.guid_field("CorrelationId");
    }
}
