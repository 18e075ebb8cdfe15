//! Records of Audit.Exchange: cmdlets (1), mailbox items (2), groups of items (3), accesses (50).

use super::oddity::subject;
use super::words;
use super::writer::Fields;

const CMDLETS: &[&str] =
    &["Set-Mailbox", "New-InboxRule", "Add-MailboxPermission", "Set-TransportRule"];
const ITEM_OPERATIONS: &[&str] = &["Create", "Send", "Update", "SendAs", "SendOnBehalf"];
const GROUP_OPERATIONS: &[&str] = &["SoftDelete", "HardDelete", "Move", "MoveToDeletedItems"];

pub(super) fn write(f: &mut Fields<'_>) {
    match f.rng.u8(..10) {
        0..3 => cmdlet(f),
        3..6 => item(f),
        6..8 => group(f),
        _ => access(f),
    }
}

fn server(f: &mut Fields<'_>) {
    let (a, b) = (f.rng.u16(1_000..9_999), f.rng.u16(1..400));
    let ends = if f.rng.u8(..4) == 0 { "\n" } else { "" };
    let text = format!("VI1PR08MB{a} (15.20.7{b}.1){ends}");
    f.text_field("OriginatingServer", &text);
    let domain = f.common.domain.to_owned();
    f.text_field("OrganizationName", &domain);
}

fn cmdlet(f: &mut Fields<'_>) {
    let operation = f.pick(CMDLETS);
    f.common(1, operation, "Exchange");
    f.json_field("ExternalAccess", "false");
    if !f.room() {
        return;
    }
    server(f);
    if f.room() {
        let person = f.person();
        f.key("Parameters").json("[{\"Name\":\"Identity\",\"Value\":").string(&person);
        f.json("},{\"Name\":\"DomainController\",\"Value\":\"\"},{\"Name\":\"Force\",");
        f.json("\"Value\":\"True\"}]");
    }
    if f.room() {
        f.guid_field("TokenObjectId");
        f.guid_field("AppId");
        let person = f.person();
        f.text_field("ObjectId", &person);
    }
}

fn mailbox(f: &mut Fields<'_>) {
    f.json_field("ExternalAccess", "false");
    let logon = i64::from(f.rng.u8(..7));
    f.integer_field("LogonType", logon);
    f.json_field("InternalLogonType", "0");
    if !f.room() {
        return;
    }
    f.guid_field("MailboxGuid");
    let person = f.person();
    f.text_field("MailboxOwnerUPN", &person);
    if f.room() {
        f.text_field("MailboxOwnerSid", "S-1-5-21-4091219471-118234561-2241789123-5121377");
        f.text_field("ClientInfoString", "Client=OWA;Action=ViaProxy");
        let address = f.address();
        f.text_field("ClientIPAddress", &address);
        server(f);
    }
    if f.room() {
        f.guid_field("SessionId");
    }
}

fn item(f: &mut Fields<'_>) {
    let operation = f.pick(ITEM_OPERATIONS);
    f.common(2, operation, "Exchange");
    mailbox(f);
    if f.room() {
        let subject = subject(f);
        let number = f.rng.u32(..);
        let size = i64::from(number % 90_000_000);
        f.key("Item").json("{\"Id\":\"RgAAAAC").json("x0Kq\",\"InternetMessageId\":\"<");
        f.integer(i64::from(number)).json("@contoso.example>\",\"IsRecord\":false,");
        f.json("\"ParentFolder\":{\"Id\":\"LgAAAACk\",\"Path\":\"\\\\Inbox\"},\"SizeInBytes\":");
        f.integer(size).json(",\"Subject\":").string(subject).json("}");
    }
}

fn group(f: &mut Fields<'_>) {
    let operation = f.pick(GROUP_OPERATIONS);
    f.common(3, operation, "Exchange");
    mailbox(f);
    if f.room() {
        f.json_field("CrossMailboxOperations", "false");
        f.json_field("Folder", r#"{"Id":"LgAAAADz","Path":"\\Drafts"}"#);
        f.json_field("DestFolder", r#"{"Id":"LgAAAADq","Path":"\\Deleted Items"}"#);
    }
    if f.room() {
        let subject = subject(f);
        f.key("AffectedItems").json("[{\"Id\":\"RgAAAADzQ\",\"Subject\":").string(subject);
        f.json(",\"Attachments\":");
        let file = f.pick(words::FILES);
        f.string(file).json("}]");
    }
}

fn access(f: &mut Fields<'_>) {
    f.common(50, "MailItemsAccessed", "Exchange");
    mailbox(f);
    let count = i64::from(f.rng.u8(1..20));
    f.integer_field("OperationCount", count);
    if f.room() {
        let value =
            r#"[{"Name":"MailAccessType","Value":"Bind"},{"Name":"IsThrottled","Value":"False"}]"#;
        f.json_field("OperationProperties", value);
    }
    if f.room() {
        f.key("Folders").json("[{\"FolderItems\":[{\"Id\":\"RgAAAAB1\",\"InternetMessageId\":\"<");
        let number = i64::from(f.rng.u32(..));
        f.integer(number).json("@contoso.example>\",\"SizeInBytes\":");
        f.integer(number % 70_000).json("}],\"Id\":\"LgAAAAB2\",\"Path\":\"\\\\Inbox\"}]");
    }
}
