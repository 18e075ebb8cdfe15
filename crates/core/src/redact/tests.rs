//! Redaction: what is replaced, by what, and that nothing else is.

use super::*;
use crate::config::RawOptions;
use crate::json::Field;
use expect_test::{Expect, expect};
use proptest::prelude::*;

const KEY: &str = "a key of sixteen characters or more";

fn redaction(options: &[(&str, &str)]) -> Result<Option<Redaction>, String> {
    let options = options.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let options: RawOptions = options.collect();
    let mut reader = Reader::new(&options);
    let redaction = Redaction::read(&mut reader);
    let errors = reader.finish_known().map(|()| redaction);
    errors.map_err(|errors| errors.iter().map(|error| format!("{error}\n")).collect())
}

fn redactor(fields: &str) -> Redactor {
    let options = [("redact", "on"), ("redact_fields", fields), ("redact_key", KEY)];
    Redactor::new(redaction(&options).unwrap().unwrap())
}

fn record(text: &[u8]) -> Record {
    let raw = Bytes::copy_from_slice(text);
    let kind = if text.first() == Some(&b'{') { RecordKind::Object } else { RecordKind::NotObject };
    Record { fields: Lifted::of(&raw, false), raw, kind, redacted: false, happened: None }
}

/// The text and what became of it.
fn redact(redactor: &mut Redactor, text: &str) -> (String, Redacted) {
    let mut record = record(text.as_bytes());
    let redacted = redactor.redact(&mut record);
    assert_eq!(record.redacted, redacted != Redacted::Kept);
    (String::from_utf8(record.raw.to_vec()).unwrap(), redacted)
}

/// The mark of a value, made another way than the code does.
fn mark(value: &str) -> String {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(KEY.as_bytes()).unwrap();
    mac.update(value.as_bytes());
    let hex: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"[redacted:{}]\"", &hex[..32])
}

#[track_caller]
fn check(fields: &str, text: &str, expect: Expect) {
    let (mut edited, _) = redact(&mut redactor(fields), text);
    // Marks are shown by what they stand for.
    for value in ["4111 1111 1111 1111", "near the card", "secret", "7", "true", "a\nb", "x"] {
        edited = edited.replace(&mark(value), &format!("<{}>", value.escape_default()));
    }
    expect.assert_eq(&edited);
}

#[test]
fn detected_values_are_replaced_wherever_they_are() {
    check(
        "",
        r#"{"PolicyDetails":[{"Rules":[{"ConditionsMatched":{"SensitiveInformation":[{"Count":1, "SensitiveInformationDetections":{"DetectedValues":[{"Name":"4111 1111 1111 1111","Value":"near the card"}],"ResultsTruncated":false}}]}}]}]}"#,
        expect![[
            r#"{"PolicyDetails":[{"Rules":[{"ConditionsMatched":{"SensitiveInformation":[{"Count":1, "SensitiveInformationDetections":{"DetectedValues":[{"Name":<4111 1111 1111 1111>,"Value":<near the card>}],"ResultsTruncated":false}}]}}]}]}"#
        ]],
    );
    check(
        "",
        r#"{ "detectedvalues" : [ 7 , true,null, [[ "x" ]] ], "\u0044etectedValues":"secret" }"#,
        expect![[
            r#"{ "detectedvalues" : [ <7> , <true>,null, [[ <x> ]] ], "\u0044etectedValues":<secret> }"#
        ]],
    );
}

#[test]
fn fields_are_named_anywhere_or_by_what_encloses_them() {
    let text = r#"{"Subject":"x","Item":{"Subject":"secret","Id":"x"},"Items":[{"Item":[{"subject":"secret"}]}]}"#;
    check(
        "Subject",
        text,
        expect![[
            r#"{"Subject":<x>,"Item":{"Subject":<secret>,"Id":"x"},"Items":[{"Item":[{"subject":<secret>}]}]}"#
        ]],
    );
    check(
        "Item.Subject",
        text,
        expect![[
            r#"{"Subject":"x","Item":{"Subject":<secret>,"Id":"x"},"Items":[{"Item":[{"subject":<secret>}]}]}"#
        ]],
    );
    check(
        ".Subject, .Items.Item",
        text,
        expect![[
            r#"{"Subject":<x>,"Item":{"Subject":"secret","Id":"x"},"Items":[{"Item":[{"subject":<secret>}]}]}"#
        ]],
    );
    check(
        "Item",
        text,
        expect![[
            r#"{"Subject":"x","Item":{"Subject":<secret>,"Id":<x>},"Items":[{"Item":[{"subject":<secret>}]}]}"#
        ]],
    );
}

#[test]
fn json_in_strings_is_looked_into() {
    check(
        "Value",
        r#"{"Data":"[{\"Name\":\"x\",\"Value\":\"a\\nb\"}]","More":"{\"Value\":"}"#,
        expect![[
            r#"{"Data":"[{\"Name\":\"x\",\"Value\":\"[redacted:a119268d1291b1fab7c1df40d19f9450]\"}]","More":"[redacted:9a969d3dd3a3205e4796bad61c737802]"}"#
        ]],
    );
}

#[test]
fn equal_values_stay_joinable_however_they_are_written() {
    let mut redactor = redactor("A");
    let text = |text| redact(&mut redactor, text).0;
    let all = ["{\"A\":\"7\"}", "{\"A\":7}", r#"{"A":"\u0037"}"#].map(text);
    assert_eq!(all, [(); 3].map(|()| format!("{{\"A\":{}}}", mark("7"))));
}

#[test]
fn without_a_key_there_is_no_hash() {
    let redaction = redaction(&[("redact", "ON")]).unwrap().unwrap();
    let text = r#"{"DetectedValues":"secret"}"#;
    let (edited, redacted) = redact(&mut Redactor::new(redaction), text);
    assert_eq!(edited, r#"{"DetectedValues":"[redacted]"}"#);
    assert_eq!(redacted, Redacted::Replaced);
}

#[test]
fn what_cannot_be_read_is_withheld() {
    let mut redactor = redactor("");
    let texts: [&[u8]; 6] = [
        br#"{"DetectedValues":["secret"],"Broken":tru}"#,
        br#"{"DetectedValues":["secret" "more"]}"#,
        b"{\"a\":\"secret\xff\"}",
        b"\"secret\"",
        b"[{\"a\":\"secret\"}]",
        b"secret",
    ];
    for text in texts {
        let mut record = record(text);
        assert_eq!(redactor.redact(&mut record), Redacted::Withheld);
        let left = String::from_utf8(record.raw.to_vec()).unwrap();
        assert!(!left.contains("secret"), "{left}");
        let value: serde_json::Value = serde_json::from_str(&left).unwrap();
        assert_eq!(value["malformed"], true);
        assert_eq!(value["bytes"], text.len());
        assert!(record.redacted && record.kind == RecordKind::Object);
    }
    let deep = [&b"{\"a\":".repeat(600)[..], b"1", &b"}".repeat(600)].concat();
    assert_eq!(redactor.redact(&mut record(&deep)), Redacted::Withheld);
}

#[test]
fn the_fields_that_packagings_read_are_those_of_the_new_bytes() {
    let mut record = record(br#"{"Big":"secret","UserId":"secret","Operation":"FileAccessed"}"#);
    redactor("Big, .UserId").redact(&mut record);
    assert_eq!(record.fields.text(&record.raw, Field::Operation).as_deref(), Some("FileAccessed"));
    let user = record.fields.text(&record.raw, Field::UserId);
    assert_eq!(user.as_deref(), Some(mark("secret").trim_matches('"')));
}

#[test]
fn mistakes_are_told_and_no_key_is_shown() {
    let errors = redaction(&[("redact_fields", "UserId"), ("redact_key", "s3cret")]).unwrap_err();
    expect![[r#"
        redact_fields = "UserId": without effect, because redact is off; set redact on, or leave redact_fields out
        redact_key: without effect, because redact is off; set redact on, or leave redact_key out
        redact_key: shorter than 16 characters; write 32 random characters or more, for example from: openssl rand -hex 32
    "#]]
    .assert_eq(&errors);
    let fields = ("redact_fields", "A..B, Item[0], Ok, .");
    let errors = redaction(&[("redact", "on"), fields]).unwrap_err();
    assert_eq!(errors.lines().count(), 3, "{errors}");
    assert!(redaction(&[("redact", "off")]).unwrap().is_none());
}

/// A JSON value, to be written in many ways.
#[derive(Clone, Debug)]
enum Json {
    Literal(&'static str),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(&'static str, Self)>),
}

/// The names under which values stand; the first three are redacted.
const NAMES: [&str; 6] = ["DetectedValues", "detectedVALUES", "Item", "Items", "Name", "Wert"];

fn json() -> impl Strategy<Value = Json> {
    let literals = ["null", "true", "false", "0", "-1.50e+7", "12345678901234567890123"];
    let leaf = prop_oneof![
        prop::sample::select(literals.to_vec()).prop_map(Json::Literal),
        "[a-z\"\\\\/\nä😀 ]{0,12}".prop_map(Json::Text),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        let name = prop::sample::select(NAMES.to_vec());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::List),
            prop::collection::vec((name, inner), 0..5).prop_map(Json::Object),
        ]
    })
}

/// Writes texts in the styles that JSON allows, as the bits of a number say.
struct Style(u64);

impl Style {
    fn bit(&mut self) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.0 >> 63 == 1
    }

    fn blank(&mut self) -> &'static str {
        match (self.bit(), self.bit()) {
            (true, true) => " \r\n\t",
            (true, false) => " ",
            (false, _) => "",
        }
    }

    fn text(&mut self, text: &str) -> String {
        let mut json = String::from("\"");
        for letter in text.chars() {
            if self.bit() {
                let plain = serde_json::to_string(&letter.to_string()).unwrap();
                json.push_str(plain.trim_start_matches('"').strip_suffix('"').unwrap());
            } else {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    json.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
        json + "\""
    }

    /// Writes `json` as it is to `raw`, and to `expected` as it is after redaction.
    fn write(&mut self, json: &Json, chosen: bool, raw: &mut String, expected: &mut String) {
        let both = |text: &str, raw: &mut String, expected: &mut String| {
            raw.push_str(text);
            expected.push_str(text);
        };
        let (text, meaning) = match json {
            Json::Literal(text) => ((*text).to_owned(), (*text).to_owned()),
            Json::Text(text) => (self.text(text), text.clone()),
            Json::List(list) => {
                both("[", raw, expected);
                for (i, element) in list.iter().enumerate() {
                    both(if i == 0 { "" } else { "," }, raw, expected);
                    both(self.blank(), raw, expected);
                    self.write(element, chosen, raw, expected);
                    both(self.blank(), raw, expected);
                }
                return both("]", raw, expected);
            }
            Json::Object(members) => {
                both("{", raw, expected);
                for (i, (name, value)) in members.iter().enumerate() {
                    both(if i == 0 { "" } else { "," }, raw, expected);
                    both(self.blank(), raw, expected);
                    both(&self.text(name), raw, expected);
                    both(self.blank(), raw, expected);
                    both(":", raw, expected);
                    both(self.blank(), raw, expected);
                    let chosen = chosen || NAMES[..3].contains(name);
                    self.write(value, chosen, raw, expected);
                }
                return both("}", raw, expected);
            }
        };
        raw.push_str(&text);
        let stays = !chosen || text == "null";
        expected.push_str(&if stays { text } else { mark(&meaning) });
    }
}

proptest! {
    #[test]
    fn every_occurrence_is_replaced_and_nothing_else_changes(
        members in prop::collection::vec((prop::sample::select(NAMES.to_vec()), json()), 0..6),
        style in any::<u64>(),
    ) {
        let (mut raw, mut expected) = (String::new(), String::new());
        Style(style).write(&Json::Object(members), false, &mut raw, &mut expected);
        let (edited, redacted) = redact(&mut redactor("Item"), &raw);
        prop_assert_eq!(&edited, &expected);
        prop_assert_eq!(redacted == Redacted::Kept, raw == expected);
    }

    #[test]
    fn no_bytes_make_it_fail(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        json in any::<bool>(),
    ) {
        let text = if json { [b"{\"Item\":", &bytes[..], b"}"].concat() } else { bytes };
        redactor("Item").redact(&mut record(&text));
    }
}
