//! Records of DLP.All: matches in SharePoint and OneDrive (11) and in Exchange (13).

use super::oddity::subject;
use super::words;
use super::writer::Fields;

pub(super) fn write(f: &mut Fields<'_>) {
    // Both spellings are on the wire.
    let operation = f.pick(&["DlpRuleMatch", "DLPRuleMatch", "DlpInfo", "DlpRuleUndo"]);
    if f.rng.bool() {
        let workload = f.pick(&["OneDrive", "SharePoint"]);
        f.common(11, operation, workload);
        f.json_field("SensitiveInfoDetectionIsIncluded", "true");
        if f.room() {
            policy(f);
        }
        if f.room() {
            file(f);
        }
    } else {
        f.common(13, operation, "Exchange");
        f.json_field("SensitiveInfoDetectionIsIncluded", "true");
        if f.room() {
            policy(f);
        }
        if f.room() {
            message(f);
        }
    }
    if f.room() {
        f.guid_field("IncidentId");
        f.guid_field("ObjectId");
    }
}

fn policy(f: &mut Fields<'_>) {
    let card = i64::from(f.rng.u32(1_000_000_000..));
    f.key("PolicyDetails").json("[{\"PolicyId\":").guid().json(",\"PolicyName\":\"Cards\",");
    f.json("\"Rules\":[{\"Actions\":[\"NotifyUser\",\"GenerateIncidentReport\"],\"RuleId\":");
    f.guid().json(",\"RuleMode\":\"Enable\",\"RuleName\":\"High volume\",\"Severity\":\"High\",");
    f.json("\"ConditionsMatched\":{\"ConditionMatchedInNewScheme\":true,\"SensitiveInformation\":");
    f.json(
        "[{\"Confidence\":85,\"Count\":1,\"SensitiveInformationDetections\":{\"DetectedValues\":",
    );
    f.json("[{\"Name\":\"4").integer(card).json("\",\"Value\":\"Karte 4").integer(card);
    f.json(" gültig bis 12\\/29\"}],\"ResultsTruncated\":false},\"SensitiveInformationTypeName\":");
    f.json(
        "\"Credit Card Number\",\"SensitiveType\":\"50842eb7-edc8-4019-85dd-5a5c1f2bb085\"}]}}]}]",
    );
}

fn file(f: &mut Fields<'_>) {
    let person = f.person();
    let name = f.pick(words::FILES);
    let created_ms = f.common.created_ms - 32_000;
    f.key("SharePointMetaData")
        .json("{\"FileID\":\"SPO_")
        .json("7f06\",\"FileName\":")
        .string(name);
    f.json(",\"FileOwner\":").string(&person).json(",\"From\":").string(&person);
    f.json(",\"IsViewableByExternalUsers\":false,\"ItemCreationTime\":").seconds(created_ms);
    f.json(",\"ItemLastSharedTime\":\"0001-01-02T00:00:00\",\"SharedBy\":[null],\"SiteAdmin\":[]}");
}

fn message(f: &mut Fields<'_>) {
    let person = f.person();
    let subject = subject(f);
    let sent_ms = f.common.created_ms - 16_000;
    let size = i64::from(f.rng.u32(..90_000_000));
    f.key("ExchangeMetaData").json("{\"BCC\":[],\"CC\":[],\"FileSize\":").integer(size);
    f.json(",\"From\":").string(&person).json(",\"MessageID\":\"<a1@contoso.example>\",");
    f.json("\"RecipientCount\":1,\"Sent\":").seconds(sent_ms).json(",\"Subject\":").string(subject);
    f.json(",\"To\":[").string(&person).json("]}");
}
