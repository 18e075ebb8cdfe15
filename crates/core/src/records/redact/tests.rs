//! Redaction: what is replaced, by what, and that nothing else is.

use super::*;
use crate::json::Field;
use crate::options::RawOptions;
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
    Record {
        fields: Lifted::of(&raw, false),
        raw,
        kind,
        redacted: false,
        is_json: false,
        happened: None,
    }
}

/// The text and what became of it.
fn redact(redactor: &mut Redactor, text: &str) -> (String, Redacted) {
    let mut record = record(text.as_bytes());
    let redacted = redactor.redact(&mut record);
    assert_eq!(record.redacted, redacted != Redacted::Unchanged);
    (String::from_utf8(record.raw.to_vec()).unwrap(), redacted)
}

/// The mark of a value, made another way than the code does.
fn mark(value: &str) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(KEY.as_bytes()).unwrap();
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
fn json_is_found_in_text_wherever_it_stands() {
    let check_text = |text: &str, expected: &str| {
        let record = |text: &str| format!("{{\"Data\":{}}}", serde_json::to_string(text).unwrap());
        let (edited, _) = redact(&mut redactor("Subject, Item.Value"), &record(text));
        assert_eq!(edited, record(expected), "{text}");
    };
    let marked = mark("secret");
    let json = r#"{"Subject":"secret","Other":[1]}"#;
    let hidden = json.replace("\"secret\"", &marked);
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    for (before, behind) in [
        ("\u{feff}", ""),
        (" \u{feff}\u{feff}\r\n", "\r\n"),
        ("Details: ", ""),
        ("it's {0} of \"C:\\users\\[x]\": ", " and {} more"),
        ("[Information] ", "\n[End]"),
        ("{\"Other\":1}\n", "\n{\"Other\":2}"),
        ("say \"", "\""),
    ] {
        check_text(&format!("{before}{json}{behind}"), &format!("{before}{hidden}{behind}"));
        let (raw, expected) = (quoted(json), quoted(&hidden));
        check_text(&format!("{before}{raw}{behind}"), &format!("{before}{expected}{behind}"));
    }
    let list = |text: &str| format!("[{},{}]", quoted(text), quoted(&quoted(text)));
    check_text(&list(json), &list(&hidden));
    // Where a string stands leads on to what is in it.
    let item = r#"{"Item":"[{\"Value\":\"secret\"}]","Value":"x"}"#;
    let hash = quoted(&marked);
    check_text(item, &item.replace("\\\"secret\\\"", &hash[1..hash.len() - 1]));
}

#[test]
fn what_may_name_a_field_and_cannot_be_read_is_replaced_whole() {
    let shown = |text: &str| {
        let record = format!("{{\"Data\":{}}}", serde_json::to_string(text).unwrap());
        redact(&mut redactor("Subject"), &record).0
    };
    for text in [
        "{\"Subject\":\"secret",
        "{\"Subject\":\"secret\",}",
        "{'Subject': 'secret'}",
        "{Subject: secret}",
        "Details: {\\\"Subject\\\":\\\"secret\\\"}",
        "{\"Sub\\u006aect\":\"secret\",}",
        "{\"Sub\\u006aect\" : {\"x\":\"secret\"},}",
        "{\"Subject\":[\"secret\"],\"x\":\"\\",
        "\"Subject\" : \"secret\"",
        // A string with a brace in it can be a key as well.
        "\"{ \\\"a\\\":1, \\\"Subject\": \"secret\"",
    ] {
        assert_eq!(shown(text), format!("{{\"Data\":{}}}", mark(text)), "{text}");
    }
    // What names none stays, however odd it is.
    for text in [
        "the Subject of a mail",
        "Subject: secret",
        "C:\\Subject\\{x}",
        "[\"Subject\",\"x\"]",
        "{\"Subject\":null}",
        "\\u005cu005cu005c",
        "{{{{[[[[\"\"\"",
        // What was read whole raises no doubt, its brackets escaped or not.
        "\"\\u007b\\\"Item\\\":{\\\"Subject\\\":null}}\"\"",
        "\"{\\\"Item\\\":{\\\"Subject\\\":null}}\"\"",
    ] {
        let record = format!("{{\"Data\":{}}}", serde_json::to_string(text).unwrap());
        assert_eq!(shown(text), record);
    }
}

#[test]
fn text_that_never_ends_to_be_json_does_not_take_for_ever() {
    // Were it looked at anew from each of its beginnings, this would not end within hours.
    for piece in ["{", "[\"", "{\"a\":", "\\u005cu005c", "\"\\\"", "{\"Subject"] {
        let text = serde_json::to_string(&piece.repeat(20_000)).unwrap();
        let (record, _) = redact(&mut redactor("Subject"), &format!("{{\"Data\":{text}}}"));
        assert!(record.starts_with("{\"Data\":\""), "{piece}");
    }
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
        prop_assert_eq!(redacted == Redacted::Unchanged, raw == expected);
    }

    #[test]
    fn no_named_value_survives_in_any_nesting(
        wraps in prop::collection::vec(0_u8..8, 0..9),
        style in any::<u64>(),
    ) {
        const SECRET: &str = "s3cr3t";
        let mut style = Style(style);
        let mut text = format!(
            "{{{}:{},\"Kept\":7}}",
            style.text("DetectedValues"),
            style.text(SECRET)
        );
        let mut plain = format!("{{\"DetectedValues\":\"{SECRET}\",\"Kept\":7}}");
        let mut hidden = plain.replace(&format!("\"{SECRET}\""), &mark(SECRET));
        let encoded = |text: &str| serde_json::to_string(text).unwrap();
        for wrap in wraps {
            let around = |text: &str, quoted: String| match wrap {
                0 => quoted,
                1 => format!("\u{feff}{text}"),
                2 => format!("Details: {text}"),
                3 => format!("{text}\r\n{{\"b\":[]}}"),
                4 => format!("{{\"Data\":{quoted},\"x\":[]}}"),
                5 => format!("[\"\",{quoted}]"),
                6 => format!("\\{{0}} {quoted}"),
                _ => format!("a \"word\" and {text}"),
            };
            text = around(&text, style.text(&text));
            plain = around(&plain, encoded(&plain));
            hidden = around(&hidden, encoded(&hidden));
        }
        let mut redactor = redactor("");
        let record = |text: &str| format!("{{\"Data\":{},\"n\":1}}", encoded(text));
        let (edited, _) = redact(&mut redactor, &record(&plain));
        prop_assert_eq!(edited, record(&hidden));
        // The same however it is written.
        let (mut edited, _) = redact(&mut redactor, &record(&text));
        for _ in 0..20 {
            prop_assert!(!edited.contains(SECRET), "{}", edited);
            let mut plain = String::new();
            let mut rest = edited.as_str();
            while let Some(at) = rest.find('\\') {
                plain.push_str(&rest[..at]);
                let digits = rest.get(at + 2..at + 6).filter(|_| rest[at + 1..].starts_with('u'));
                let letter = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                match letter.and_then(char::from_u32) {
                    Some(letter) => plain.push(letter),
                    None => plain.push_str(rest.get(at + 1..at + 2).unwrap_or_default()),
                }
                rest = rest.get(at + if letter.is_some() { 6 } else { 2 }..).unwrap_or_default();
            }
            plain.push_str(rest);
            edited = plain;
        }
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
