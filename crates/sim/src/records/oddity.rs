//! The oddities of real records: what makes parsers stumble though it is valid JSON, and, on
//! demand, what is not JSON at all.

use fastrand::Rng;

use super::oddities::Oddities;
use super::words;
use super::writer::Fields;

/// Adds the fields of the record's oddities.
pub(super) fn write(fields: &mut Fields<'_>) {
    let odd = fields.common.odd;
    if odd.has(Oddities::BIG_INTEGERS) {
        fields.json_field("ActorYammerUserId", "9007199254740993");
        fields.json_field("VersionId", "18446744073709551617");
        fields.json_field("MessageId", "-9223372036854775808");
    }
    if odd.has(Oddities::SURROGATE) {
        fields
            .json_field("Subject", r#""half a pair \ud83d and \ude00\ud83d, whole \ud83d\ude00""#);
    }
    if odd.has(Oddities::JSON_IN_STRING) {
        let value = r#""[{\"Name\":\"SystemArtifactType\",\r\n\"Value\":\"[\\\"None\\\"]\"}]""#;
        fields.json_field("OperationProperties", value);
    }
    if odd.has(Oddities::DUPLICATE_KEY) {
        fields.text_field("Scope", "0");
        fields.json_field("Scope", "1");
    }
    if odd.has(Oddities::TYPE_FLIP) {
        fields.text_field("Parameters", "-Identity \"All\" -Confirm:$false");
        fields.json_field("ModifiedProperties", r#"["Name","Value"]"#);
        fields.json_field("SharedBy", "[null]");
    }
    if odd.has(Oddities::LINE_END) {
        fields.text_field("OriginatingServer", "AM6PR01MB4535 (15.20.225.32)\n");
    }
    if odd.has(Oddities::EMPTY) {
        fields.json_field("ExtraProperties", "{}");
        fields.json_field("Members", "[]");
        fields.json_field("", "\"\"");
        fields.json_field("DeviceProperties", "[{},[],{\"\":{}}]");
    }
    if odd.has(Oddities::LOOK_ALIKE) {
        let id = fields.common.id;
        fields
            .key("Item")
            .json(r#"{"Id":"RgAAAACk","CreationTime":"2001-01-01T00:00:00","Item":{"#);
        fields.json(r#""Id":"nested","RecordType":7}}"#);
        fields.key("Comments").json("\"\\\"Id\\\":").json("\\\"");
        let text = id.to_string();
        fields.json(&text).json(r#"\" ends with a backslash \\""#);
    }
    if odd.has(Oddities::CASE_COLLISION) {
        fields.text_field("id", "lower case is another field");
        fields.json_field("creationTime", "null");
        fields.json_field("LEVEL", "1");
        fields.json_field("level", "\"1\"");
    }
    if odd.has(Oddities::NUMBERS) {
        fields.json_field("Confidence", "1E+2");
        fields.json_field("Ratio", "-0.0");
        fields.json_field("Share", "0.30000000000000004441");
    }
    if odd.has(Oddities::DEEP) {
        fields.key("Nested");
        for _ in 0..48 {
            fields.json("[{\"a\":");
        }
        fields.json("null");
        for _ in 0..48 {
            fields.json("}]");
        }
    }
    if odd.has(Oddities::ESCAPES) {
        let value = "\"\\u0000\\u001f\\b\\f\\t\\\\\\\" \u{2028}\u{7f}\u{feff} \\u00e9\\uABCD\"";
        fields.json_field("SourceRelativeUrl", value);
    }
}

/// Adds a field that makes the record invalid, but leaves its brackets and strings balanced.
pub(super) fn break_json(fields: &mut Fields<'_>) {
    match fields.rng.u8(..6) {
        0 => fields.json_field("Broken", "tru"),
        1 => fields.json_field("Broken", "NaN"),
        2 => fields.json_field("Broken", "1,,2"),
        3 => {
            fields.key("Broken").bytes(b"\"raw control \x01 and\nline end\"");
        }
        4 => {
            fields.key("Broken").bytes(b"\"not UTF-8: \xC3\x28 \xFF\"");
        }
        _ => fields.json_field("Broken", r#""unknown escape \q and \u12G4""#),
    }
}

/// An array element that is no object.
pub(super) fn element(rng: &mut Rng) -> &'static [u8] {
    match rng.u8(..4) {
        0 => b"null",
        1 => b"42",
        2 => b"\"a string, with ] and } in it\"",
        _ => b"[]",
    }
}

/// A subject line, now and then beyond ASCII.
pub(super) fn subject(fields: &mut Fields<'_>) -> &'static str {
    fields.pick(words::SUBJECTS)
}
