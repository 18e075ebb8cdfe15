//! Audit records to measure with: eight kinds, shaped like Microsoft's, half a kilobyte to twenty.
//!
//! The same seed gives the same bytes, so that runs compare. Nothing here needs to be legal in the
//! service's eyes; what counts is the mix of keys, identifiers, nesting, escapes and long text.

use std::fmt::Write;

/// A JSON array of records, at least `bytes` long.
pub(super) fn blob(bytes: usize) -> Vec<u8> {
    written(bytes, false)
}

/// The same, but each record has one to three of the oddities of which the simulator's records have
/// some: all but those that rivals refuse, which are halves of pairs, depth and numbers beyond 64
/// bits.
pub(super) fn odd_blob(bytes: usize) -> Vec<u8> {
    written(bytes, true)
}

fn written(bytes: usize, odd: bool) -> Vec<u8> {
    let mut record = Record { text: String::with_capacity(bytes + (64 << 10)), draw: Draw(7) };
    let mut open = '[';
    while record.text.len() < bytes {
        record.text.push(open);
        record.write(odd);
        open = ',';
    }
    record.text.push(']');
    record.text.into_bytes()
}

/// xorshift64*: enough randomness to keep branch predictors honest.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 33) % end
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let at = self.below(words.len() as u64);
        words.iter().copied().nth(usize::try_from(at).unwrap_or(0)).unwrap_or("")
    }
}

const PEOPLE: &[&str] = &[
    "adele.vance",
    "alex.wilber",
    "diego.siciliani",
    "grady.archie",
    "henrietta.mueller",
    "isaiah.langer",
    "j.o'neill",
    "lee.gu",
    "lidia.holloway",
    "lynne.robbins",
    "megan.bowen",
    "svc-backup-eu-01",
    "pradeep.gupta",
    "SHAREPOINT_system",
];
const FOLDERS: &[&str] = &[
    "Shared Documents",
    "Shared Documents/General",
    "Documents/Projekte/2026",
    "SiteAssets",
    "Shared Documents/Finance/Quarterly reports/Q3",
];
const FILES: &[&str] = &[
    "Budget 2026.xlsx",
    "Minutes.docx",
    "Übersicht Kunden.pptx",
    "scan0042.pdf",
    "design-v2.vsdx",
    "Incident 4711 – timeline.docx",
    "export.csv",
];
const AGENTS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17628; Pro)",
    "OneDriveMpc-Transform_Thumbnail/1.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15",
];
const ODDITIES: &[&str] = &[
    r#","ActorYammerUserId":9007199254740993,"VersionId":18446744073709551615"#,
    ",\"OperationProperties\":\"[{\\\"Name\\\":\\\"SystemArtifactType\\\",\\r\\n\
     \\\"Value\\\":\\\"[\\\\\\\"None\\\\\\\"]\\\"}]\"",
    r#","Scope":"0","Scope":1"#,
    r#","Parameters":"-Identity \"All\" -Confirm:$false","SharedBy":[null,"1",1]"#,
    r#","OriginatingServer":"AM6PR01MB4535 (15.20.225.32)\n""#,
    r#","ExtraProperties":{},"Labels":[],"":"","Devices":[{},[],{"":{}}]"#,
    r#","Item":{"Id":"RgAAAACk","CreationTime":"2001-01-01T00:00:00","Item":{"Id":"nested"}}"#,
    r#","Remarks":"\"Id\":\"x\" ends with a backslash \\""#,
    r#","id":"lower case is another field","creationTime":null,"LEVEL":1,"level":"1""#,
    r#","Confidence":1E+2,"Ratio":-0.0,"Share":0.30000000000000004441"#,
    " , \"SourceRelativeUrl\" : \"\\u0000\\u001f\\b\\f\\t\\\\\\\" \u{2028}\u{7f}\u{feff} \
     \\u00e9\\uABCD\"\r\n",
    ",\"Topic\":\"Выписка по счёту за третий квартал 2026 года, приложение № 4\"",
    ",\"Place\":\"営業部 共有ドキュメント 2026年度 四半期報告書 最終版\"",
    r#","SourceUrl":"https:\/\/contoso.sharepoint.com\/sites\/a\/Shared Documents\/b.docx""#,
];
const TYPES: &[&str] = &["U.S. Social Security Number (SSN)", "Credit Card Number", "IBAN"];

/// One blob's text, growing by records.
struct Record {
    text: String,
    draw: Draw,
}

impl Record {
    fn write(&mut self, odd: bool) {
        match self.draw.below(100) {
            0..25 => self.file_operation(),
            25..45 => self.sign_in(),
            45..60 => self.mailbox_item(),
            60..70 => self.cmdlet(),
            70..80 => self.teams(),
            80..88 => self.dlp_match(),
            88..94 => self.alert(),
            _ => self.group_change(),
        }
        if odd {
            for _ in 0..1 + self.draw.below(3) {
                let oddity = self.draw.of(ODDITIES);
                self.text.push_str(oddity);
            }
        }
        self.text.push('}');
    }

    /// Writes without a way to fail: text takes everything.
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("memory takes all text");
    }

    fn guid(&mut self) -> String {
        let (a, b) = (self.draw.next(), self.draw.next());
        let (b2, c, d) = (a >> 16 & 0xffff, a & 0xffff, b >> 48);
        format!("{:08x}-{b2:04x}-{c:04x}-{d:04x}-{:012x}", a >> 32, b & 0xffff_ffff_ffff)
    }

    fn field(&mut self, key: &str, value: &str) {
        self.put(format_args!(",\"{key}\":\"{value}\""));
    }

    fn number(&mut self, key: &str, value: u64) {
        self.put(format_args!(",\"{key}\":{value}"));
    }

    fn guids(&mut self, keys: &[&str]) {
        for key in keys {
            let guid = self.guid();
            self.field(key, &guid);
        }
    }

    fn person(&mut self) -> String {
        format!("{}@contoso.onmicrosoft.com", self.draw.of(PEOPLE))
    }

    fn address(&mut self) -> String {
        let bits = self.draw.next().to_le_bytes();
        format!("{}.{}.{}.{}", bits[0], bits[1], bits[2], bits[3])
    }

    /// The common schema: at the front for most workloads, as most of Microsoft's write it.
    fn common(&mut self, record_type: u64, operation: &str, workload: &str) {
        self.text.push_str("{\"CreationTime\":\"2026-07-");
        let (day, hour) = (1 + self.draw.below(28), self.draw.below(24));
        let (minute, second) = (self.draw.below(60), self.draw.below(60));
        self.put(format_args!("{day:02}T{hour:02}:{minute:02}:{second:02}\""));
        self.guids(&["Id"]);
        self.field("Operation", operation);
        self.field("OrganizationId", "b86ab9d4-fcf1-4b11-8a06-7a8f91b47fbd");
        self.number("RecordType", record_type);
        let key = format!("i:0h.f|membership|{:016x}@live.com", self.draw.next());
        self.field("UserKey", &key);
        self.text.push_str(",\"UserType\":0,\"Version\":1");
        self.field("Workload", workload);
        let address = self.address();
        self.field("ClientIP", &address);
        let user = self.person();
        self.field("UserId", &user);
    }

    fn file_operation(&mut self) {
        let operation = self.draw.of(&["FileModified", "FileAccessed", "FileDownloaded"]);
        self.common(6, operation, "SharePoint");
        self.guids(&["CorrelationId"]);
        self.text.push_str(",\"EventSource\":\"SharePoint\",\"ItemType\":\"File\"");
        self.guids(&["ListId", "ListItemUniqueId", "Site", "WebId"]);
        let agent = self.draw.of(AGENTS);
        self.field("UserAgent", agent);
        let (folder, file) = (self.draw.of(FOLDERS), self.draw.of(FILES));
        let site = "https://contoso.sharepoint.com/sites/finance/";
        self.field("ObjectId", &format!("{site}{folder}/{file}"));
        self.field("SiteUrl", site);
        self.field("SourceRelativeUrl", folder);
        self.field("SourceFileName", file);
        self.field("SourceFileExtension", file.rsplit('.').next().unwrap_or(""));
        self.text.push_str(",\"HighPriorityMediaProcessing\":false,\"DoNotDistributeEvent\":true");
        self.text.push_str(",\"AppAccessContext\":{\"ClientAppName\":\"Office 365\"");
        self.guids(&["AADSessionId", "CorrelationId", "UniqueTokenId"]);
        self.text.push('}');
        let size = self.draw.below(80_000_000);
        self.number("FileSizeBytes", size);
    }

    /// Common fields all over the record, as the directory writes them.
    fn sign_in(&mut self) {
        self.text.push_str("{\"InterSystemsId\":\"");
        let guid = self.guid();
        self.text.push_str(&guid);
        self.text.push_str("\",\"OrganizationId\":\"b86ab9d4-fcf1-4b11-8a06-7a8f91b47fbd\"");
        let (hour, minute, second) =
            (self.draw.below(24), self.draw.below(60), self.draw.below(60));
        self.field("CreationTime", &format!("2026-07-14T{hour:02}:{minute:02}:{second:02}"));
        let (actor, user) = (self.guid(), self.person());
        self.put(format_args!(
            ",\"Actor\":[{{\"Type\":0,\"ID\":\"{actor}\"}},{{\"Type\":5,\"ID\":\"{user}\"}},\
             {{\"Type\":3,\"ID\":\"1003200096971F55\"}}],\"Version\":1"
        ));
        self.guids(&["ActorContextId", "ApplicationId", "IntraSystemId", "TargetContextId"]);
        let address = self.address();
        self.field("ActorIpAddress", &address);
        self.field("ClientIP", &address);
        self.text.push_str(",\"RecordType\":15,\"UserType\":0");
        self.field("UserKey", &actor);
        self.field("UserId", &user);
        self.text.push_str(",\"SupportTicketId\":\"\",\"Workload\":\"AzureActiveDirectory\"");
        let target = self.guid();
        self.put(format_args!(",\"Target\":[{{\"Type\":0,\"ID\":\"{target}\"}}]"));
        self.text.push_str(",\"ModifiedProperties\":[],\"ResultStatus\":\"Success\"");
        self.field("ObjectId", &target);
        let agent = self.draw.of(AGENTS);
        self.put(format_args!(
            ",\"ExtendedProperties\":[{{\"Name\":\"ResultStatusDetail\",\"Value\":\"Redirect\"}},\
             {{\"Name\":\"UserAgent\",\"Value\":\"{agent}\"}},\
             {{\"Name\":\"UserAuthenticationMethod\",\"Value\":\"9\"}},\
             {{\"Name\":\"RequestType\",\"Value\":\"OAuth2:Authorize\"}}]"
        ));
        self.text.push_str(
            ",\"DeviceProperties\":[{\"Name\":\"OS\",\"Value\":\"Windows 10\"},\
             {\"Name\":\"BrowserType\",\"Value\":\"Edge\"},\
             {\"Name\":\"IsCompliantAndManaged\",\"Value\":\"False\"},\
             {\"Name\":\"SessionId\",\"Value\":\"5f4bd4ee-3a9f-4ae4-9d5c-6a1b5ee3a1cb\"}]",
        );
        self.text.push_str(",\"ErrorNumber\":\"0\",\"AzureActiveDirectoryEventType\":1");
        let operation = self.draw.of(&["UserLoggedIn", "UserLoginFailed"]);
        self.field("Operation", operation);
        self.guids(&["Id"]);
    }

    fn mailbox_item(&mut self) {
        let operation = self.draw.of(&["MailItemsAccessed", "Send", "Update", "SoftDelete"]);
        self.common(2, operation, "Exchange");
        self.text.push_str(",\"ExternalAccess\":false,\"LogonType\":0,\"InternalLogonType\":0");
        self.guids(&["MailboxGuid", "SessionId", "AppId"]);
        let owner = self.person();
        self.field("MailboxOwnerUPN", &owner);
        self.field("MailboxOwnerSid", "S-1-5-21-4091219471-118234561-2241789123-5121377");
        self.field("ClientInfoString", "Client=OWA;Action=ViaProxy");
        self.field("OriginatingServer", "AM6PR01MB4535 (15.20.4200.000)\\n");
        self.text.push_str(",\"AffectedItems\":[");
        for at in 0..1 + self.draw.below(4) {
            if at > 0 {
                self.text.push(',');
            }
            let (id, size) = (self.guid(), self.draw.below(3_000_000));
            self.put(format_args!(
                "{{\"Attachments\":\"Report.pdf ({size}b); image001.png (599b)\",\
                 \"Id\":\"RgAAAAC{id}{id}AAAJ\",\"InternetMessageId\":\
                 \"<{id}@AM6PR01MB4535.eurprd01.prod.exchangelabs.com>\",\
                 \"ParentFolder\":{{\"Id\":\"LgAAAAC{id}\",\"Path\":\"\\\\Inbox\\\\Projects\"}},\
                 \"SizeInBytes\":{size},\"Subject\":\"RE: Angebot f\u{fc}r die \\\"Phase 2\\\"\"}}"
            ));
        }
        self.text.push(']');
    }

    fn cmdlet(&mut self) {
        self.common(1, "Set-Mailbox", "Exchange");
        self.text.push_str(",\"ResultStatus\":\"True\",\"ExternalAccess\":true");
        self.field("OrganizationName", "contoso.onmicrosoft.com");
        self.text.push_str(",\"Parameters\":[{\"Name\":\"Identity\",\"Value\":\"EURPR01A002\"}");
        for at in 0..self.draw.below(12) {
            let value = self.guid();
            self.put(format_args!(
                ",{{\"Name\":\"ExtensionCustomAttribute{at}\",\"Value\":\"CN={value},OU=EURPR01\"}}"
            ));
        }
        self.text.push(']');
    }

    fn teams(&mut self) {
        let operation = self.draw.of(&["MessageSent", "MemberAdded", "TeamCreated"]);
        self.common(25, operation, "MicrosoftTeams");
        self.field("TeamGuid", "19:5ad83cb367fc48358e759dccff238f46@thread.skype");
        self.field("TeamName", "Forschung & Entwicklung");
        if self.draw.below(2) == 0 {
            let (a, b) = (self.person(), self.person());
            self.put(format_args!(
                ",\"Members\":[{{\"DisplayName\":\"Ad\u{e8}le\",\"Role\":1,\"UPN\":\"{a}\"}},\
                 {{\"DisplayName\":\"Lee Gu\",\"Role\":2,\"UPN\":\"{b}\"}}]"
            ));
        }
    }

    fn dlp_match(&mut self) {
        self.common(11, "DLPRuleMatch", "OneDrive");
        self.guids(&["IncidentId"]);
        self.text.push_str(",\"PolicyDetails\":[{\"PolicyName\":\"Default\"");
        self.guids(&["PolicyId"]);
        self.text.push_str(",\"Rules\":[{\"Severity\":\"Low\",\"RuleMode\":\"Enable\"");
        self.guids(&["RuleId", "ManagementRuleId"]);
        self.text.push_str(
            ",\"Actions\":[\"NotifyUser\",\"GenerateIncidentReport\"],\"ConditionsMatched\":\
             {\"ConditionMatchedInNewScheme\":true,\"SensitiveInformation\":[",
        );
        for at in 0..1 + self.draw.below(10) {
            let (kind, name) = (self.guid(), self.draw.of(TYPES));
            let (secret, around) = (self.draw.next(), self.guid());
            if at > 0 {
                self.text.push(',');
            }
            self.put(format_args!(
                "{{\"ClassifierType\":\"Content\",\"Confidence\":85,\"Count\":{at},\
                 \"SensitiveInformationDetailedClassificationAttributes\":\
                 [{{\"Confidence\":65,\"Count\":1,\"IsMatch\":false}},\
                 {{\"Confidence\":75,\"Count\":1,\"IsMatch\":true}},\
                 {{\"Confidence\":85,\"Count\":{at},\"IsMatch\":true}}],\
                 \"SensitiveInformationDetections\":{{\"DetectedValues\":[{{\"Name\":\"{secret}\",\
                 \"Value\":\"text in front {around}\\r\\ntext behind it that gives context\"}}],\
                 \"ResultsTruncated\":false}},\"SensitiveInformationTypeName\":\"{name}\",\
                 \"SensitiveType\":\"{kind}\",\"UniqueCount\":1,\"Score\":0.75}}"
            ));
        }
        self.text.push_str("]}}]}],\"SensitiveInfoDetectionIsIncluded\":true");
        let (owner, file) = (self.person(), self.draw.of(FILES));
        self.put(format_args!(
            ",\"SharePointMetaData\":{{\"FileName\":\"{file}\",\"FileOwner\":\"{owner}\",\
             \"FilePathUrl\":\"https://contoso-my.sharepoint.com/personal/{file}\",\
             \"IsViewableByExternalUsers\":false}}"
        ));
    }

    /// JSON in a string, as alerts and Power BI have it.
    fn alert(&mut self) {
        self.common(40, "AlertEntityGenerated", "SecurityComplianceCenter");
        self.guids(&["AlertId", "PolicyId"]);
        self.field("Comments", "New alert");
        self.text.push_str(",\"Data\":\"{\\\"etype\\\":\\\"User\\\"");
        for at in 0..2 + self.draw.below(30) {
            let value = self.guid();
            self.put(format_args!(",\\\"key{at}\\\":\\\"{value}\\\",\\\"n{at}\\\":{at}"));
        }
        self.text.push_str("}\",\"Severity\":\"Low\",\"Status\":\"Active\"");
        self.text
            .push_str(",\"AlertLinks\":[{\"AlertLinkHref\":\"https:\\/\\/contoso.test\\/a\"}]");
    }

    /// Long, and much of it modified properties.
    fn group_change(&mut self) {
        self.common(8, "Update group.", "AzureActiveDirectory");
        self.text.push_str(",\"AzureActiveDirectoryEventType\":1,\"ModifiedProperties\":[");
        for at in 0..4 + self.draw.below(90) {
            let (old, new) = (self.guid(), self.guid());
            if at > 0 {
                self.text.push(',');
            }
            self.put(format_args!(
                "{{\"Name\":\"Included Updated Property {at}\",\
                 \"NewValue\":\"[\\r\\n  \\\"{new}\\\"\\r\\n]\",\"OldValue\":\"[\\\"{old}\\\"]\"}}"
            ));
        }
        self.text.push(']');
    }
}
