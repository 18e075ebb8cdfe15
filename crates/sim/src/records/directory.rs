//! Records of Audit.AzureActiveDirectory: sign-ins (15, 9) and directory changes (8).

use super::words;
use super::writer::Fields;

const CHANGES: &[&str] = &[
    "Add user.",
    "Update user.",
    "Add service principal.",
    "Add member to group.",
    "Consent to application.",
    "Update policy.",
    "Add member to role.",
    "Delete device.",
];

pub(super) fn write(f: &mut Fields<'_>) {
    match f.rng.u8(..10) {
        0..5 => sign_in(f),
        5 => account_logon(f),
        _ => change(f),
    }
}

fn sign_in(f: &mut Fields<'_>) {
    let operation = f.pick(&["UserLoggedIn", "UserLoginFailed"]);
    f.common(15, operation, "AzureActiveDirectory");
    f.json_field("AzureActiveDirectoryEventType", "1");
    if !f.room() {
        return;
    }
    f.guid_field("ApplicationId");
    f.guid_field("IntraSystemId");
    f.guid_field("InterSystemsId");
    actors(f);
    if f.room() {
        f.key("ExtendedProperties").json("[{\"Name\":\"UserAgent\",\"Value\":");
        let agent = f.pick(words::AGENTS);
        f.string(agent).json("},{\"Name\":\"RequestType\",\"Value\":\"OAuth2:Token\"},");
        f.json("{\"Name\":\"KeepMeSignedIn\",\"Value\":\"True\"}]");
    }
    if f.room() {
        f.key("DeviceProperties").json("[{\"Name\":\"OS\",\"Value\":\"Windows10\"},");
        f.json("{\"Name\":\"IsCompliant\",\"Value\":\"False\"},{\"Name\":\"SessionId\",\"Value\":");
        f.guid().json("}]");
    }
    if operation == "UserLoginFailed" && f.room() {
        f.text_field("ErrorNumber", "50126");
        f.text_field("LogonError", "InvalidUserNameOrPassword");
    }
    if f.room() {
        f.text_field("SupportTicketId", "");
        f.json_field("ModifiedProperties", "[]");
        f.text_field("ObjectId", "00000003-0000-0000-c000-000000000000");
    }
}

fn account_logon(f: &mut Fields<'_>) {
    f.common(9, "PasswordLogonInitialAuthUsingPassword", "AzureActiveDirectory");
    f.json_field("AzureActiveDirectoryEventType", "0");
    f.json_field("LoginStatus", "0");
    if f.room() {
        let app = f.pick(words::APPS);
        f.text_field("Application", app);
        f.text_field("Client", "Exchange");
        let domain = f.common.domain.to_owned();
        f.text_field("UserDomain", &domain);
    }
}

fn change(f: &mut Fields<'_>) {
    let operation = f.pick(CHANGES);
    f.common(8, operation, "AzureActiveDirectory");
    f.json_field("AzureActiveDirectoryEventType", "1");
    if !f.room() {
        return;
    }
    let person = f.person();
    f.text_field("ObjectId", &person);
    actors(f);
    f.guid_field("InterSystemsId");
    f.guid_field("IntraSystemId");
    if f.room() {
        f.key("ModifiedProperties").json("[{\"Name\":\"AccountEnabled\",\"NewValue\":");
        f.json(r#""[\r\n  true\r\n]","OldValue":"[]"},{"Name":"DisplayName","NewValue":"#);
        f.json(r#""[\r\n  \""#);
        let name = f.pick(words::LAST_NAMES);
        f.escaped(name).json(r#"\"\r\n]","OldValue":"[]"}]"#);
    }
    if f.room() {
        f.json_field("ExtendedProperties", r#"[{"Name":"additionalDetails","Value":"{}"}]"#);
        let organization = f.common.organization;
        f.key("TargetContextId").guid_of(organization);
        f.key("ActorContextId").guid_of(organization);
    }
}

fn actors(f: &mut Fields<'_>) {
    if !f.room() {
        return;
    }
    let person = f.person();
    f.key("Actor").json("[{\"ID\":").guid().json(",\"Type\":0},{\"ID\":").string(&person);
    f.json(",\"Type\":5}]");
    f.key("Target").json("[{\"ID\":\"ServicePrincipal_").json("catalog\",\"Type\":2},{\"ID\":");
    f.guid().json(",\"Type\":0}]");
}
