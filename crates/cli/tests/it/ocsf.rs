//! The recipe for OCSF: what Fluent Bit's Lua and Vector's VRL make of the shapes that records have
//! in life. Each is an event as the schema wants it, nothing of a record is lost, and both make the
//! same of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fluent_bit_plugin_harness::fluent_bit;
use m365_audit_test_support::needs::skip;
use serde_json::{Value, json};

use crate::records::shapes;
use crate::support::text;

/// The schema's demands on what the recipe fills in.
const SPEC: &str = include_str!("../../../../tests/spec/ocsf.json");

/// Beyond this, Lua's numbers are no longer whole.
const LUA_WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Compiles and runs VRL, which is compiled into this module of Python's.
const VRL: &str = r#"
import sys, vector_vrl
program = open(sys.argv[1]).read() + "\n. = {\"event\": encode_json(.)}\n"
checked = vector_vrl.validate_vrl(program)
if not checked.success:
    sys.exit(str(checked))
for made in vector_vrl.execute_vrl(program, sys.stdin.read().splitlines()):
    print(made["event"])
"#;

/// Compares with the schema as it was published.
const PUBLISHED: &str = r#"
import json, sys, jsonschema
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
schema, validators = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=sys.argv[1])), {}
for line in sys.stdin:
    event = json.loads(line)
    name = schema.lookup_class_name_from_uid(event["class_uid"])
    if name not in validators:
        validators[name] = jsonschema.Draft202012Validator(schema.get_class_schema(name))
    for error in validators[name].iter_errors(event):
        print(name, list(error.absolute_path), error.message)
"#;

/// A file of the recipe.
fn recipe(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/outputs/ocsf").join(name)
}

/// The corpus, and operations, users and addresses that it does not have.
fn records() -> BTreeMap<String, Value> {
    let parsed = |line: &str| serde_json::from_str::<Value>(line).expect(line);
    let mut all: Vec<Value> = shapes().into_iter().map(parsed).collect();
    let others = [
        json!({"RecordType": 8, "Operation": "Disable account.", "ResultStatus": "Failure"}),
        json!({"RecordType": 8, "Operation": "Reset user password.", "ObjectId": "a@b.example"}),
        json!({"RecordType": 8, "Operation": "Admin deleted security info", "UserType": 10}),
        json!({"RecordType": 8, "Operation": "Remove member from group.", "ObjectId": "c@b.example",
            "ModifiedProperties": [
                {"Name": "Group.DisplayName", "NewValue": "", "OldValue": "[\r\n  \"Alle\"\r\n]"},
                {"Name": "Group.ObjectID", "NewValue": null, "OldValue": "41d3"}]}),
        json!({"RecordType": 8, "Operation": "Add group.", "ObjectId": "77aa",
            "ModifiedProperties": [{"Name": "DisplayName", "NewValue": "[\r\n  \"Alle\"\r\n]"}]}),
        json!({"RecordType": 25, "Operation": "TeamDeleted", "TeamName": "Vorstand"}),
        json!({"RecordType": 6, "Operation": "FolderMoved", "ItemType": "Folder",
            "ObjectId": "https://fabrikam.sharepoint.example/sites/a/b/", "ClientIP": "::1"}),
        json!({"RecordType": 14, "Operation": "SharingRevoked", "ItemType": "Web",
            "ClientIP": "[2001:db8::1]:443"}),
        json!({"RecordType": 6, "Operation": "FileMalwareDetected", "ClientIP": "nowhere"}),
        json!({"RecordType": 15, "Operation": "UserLoggedOff", "ErrorNumber": "0",
            "ExtendedProperties": [{"Name": "RequestType", "Value": "Saml2:processrequest"}]}),
        json!({"RecordType": 187, "Operation": "DLPRuleUndo", "PolicyDetails": null}),
        json!({"RecordType": "8", "Operation": 7, "UserId": null, "UserType": 7, "Workload": ""}),
        json!({"RecordType": 1, "Operation": "AppUninstalled", "CreationTime": "2026-02-28T23:59:59.75Z"}),
        json!({"Target": "x", "Members": [], "ModifiedProperties": {}, "ExtendedProperties": [1]}),
    ];
    for (at, mut other) in others.into_iter().enumerate() {
        other["Id"] = format!("other-{at}").into();
        if other.get("CreationTime").is_none() {
            other["CreationTime"] = format!("2024-{:02}-29T00:00:0{}", at % 12 + 1, at % 10).into();
        }
        all.push(other);
    }
    let id = |record: &Value| record["Id"].as_str().unwrap().to_owned();
    let count = all.len();
    let all: BTreeMap<_, _> = all.into_iter().map(|record| (id(&record), record)).collect();
    assert_eq!(all.len(), count, "an Id each");
    all
}

/// By the `Id` of their records.
fn by_id(events: &str) -> BTreeMap<String, Value> {
    let events: Vec<Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = events.len();
    let id = |event: &Value| event["metadata"]["uid"].as_str().unwrap().to_owned();
    let all: BTreeMap<_, _> = events.into_iter().map(|event| (id(&event), event)).collect();
    assert_eq!(all.len(), count, "each once");
    all
}

/// What the real Fluent Bit makes of records.
fn by_lua(records: &BTreeMap<String, Value>) -> Option<BTreeMap<String, Value>> {
    let program = fluent_bit::find()?;
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let lines: String = records.values().map(|record| format!("{record}\n")).collect();
    fs::write(file("records.ndjson"), lines).unwrap();
    fs::write(file("parsers.conf"), "[PARSER]\n  Name json\n  Format json\n").unwrap();
    let path = |name: &str| format!("path={}", file(name));
    let script = format!("script={}", recipe("ocsf.lua").display());
    let mut command = Command::new(program);
    command.args(["-q", "-f", "0.2", "-R", &file("parsers.conf"), "-i", "tail", "-p"]);
    command.arg(path("records.ndjson")).args(["-p", "parser=json", "-p", "read_from_head=on"]);
    command.args(["-p", "exit_on_eof=on", "-p", "buffer_max_size=4M", "-F", "lua", "-m", "*"]);
    command.args(["-p", &script, "-p", "call=ocsf", "-p", "enable_flb_null=on"]);
    command.args(["-o", "file", "-m", "*", "-p", &format!("path={}", dir.path().display())]);
    command.args(["-p", "file=events.ndjson", "-p", "format=plain"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let events = fs::read_to_string(file("events.ndjson")).unwrap_or_default();
    assert!(output.status.success() && !events.is_empty(), "{}", text(&output.stderr));
    Some(by_id(&events))
}

/// What a program in Python answers to these lines, if it has the modules.
fn by_python(modules: &str, program: &str, word: &str, lines: &str) -> Option<String> {
    let there = Command::new("python3").args(["-c", &format!("import {modules}")]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        skip(format!("without python3 with {modules}"));
        return None;
    }
    let mut command = Command::new("python3");
    command.args(["-c", program, word]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(text(&output.stdout).to_owned())
}

/// What Vector's language makes of them.
fn by_vrl(records: &BTreeMap<String, Value>) -> Option<BTreeMap<String, Value>> {
    let lines: String = records.values().map(|record| format!("{record}\n")).collect();
    let program = recipe("ocsf.vrl");
    by_python("vector_vrl", VRL, program.to_str().unwrap(), &lines).map(|events| by_id(&events))
}

/// Panics unless `value` is what the schema calls `kind`.
fn assert_valid(spec: &Value, kind: &Value, value: &Value, place: &str) {
    if let Some(of) = kind.as_array() {
        let list = value.as_array().unwrap_or_else(|| panic!("{place}: no list: {value}"));
        list.iter().for_each(|one| assert_valid(spec, &of[0], one, place));
        return;
    }
    let word = value.as_str().unwrap_or_default();
    let valid = match kind.as_str().unwrap() {
        "any" => true,
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "ip" => word.parse::<std::net::IpAddr>().is_ok(),
        "email" => word.split_once('@').is_some_and(|(_, domain)| domain.contains('.')),
        object => return assert_has(spec, &spec["objects"][object], value, place),
    };
    assert!(valid, "{place}: no {kind}: {value}");
}

/// Panics unless `value` has what it must, and nothing that the schema does not know.
fn assert_has(spec: &Value, asked: &Value, value: &Value, place: &str) {
    let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
    let members = value.as_object().unwrap_or_else(|| panic!("{place}: no object: {value}"));
    let missing: Vec<_> =
        asked["required"].as_array().unwrap().iter().filter(|name| !has(name)).collect();
    assert!(missing.is_empty(), "{place}: without {missing:?}");
    if let Some(one) = asked["at_least_one"].as_array() {
        assert!(one.iter().any(has), "{place}: none of {one:?}");
    }
    for (name, member) in members {
        let place = format!("{place}.{name}");
        assert_valid(spec, &asked["attributes"][name], member, &place);
        if let Some(values) = asked["values"][name].as_array() {
            assert!(values.contains(member), "{place}: {member} is none of {values:?}");
        }
    }
}

/// Whether somebody keeps numbers of this size as they are.
type Keeps = fn(f64) -> bool;

/// Whether both say the same, but for numbers that are not kept.
fn is_same(one: &Value, other: &Value, keeps: Keeps) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let same = |(key, value)| other.get(key).is_some_and(|it| is_same(value, it, keeps));
            one.len() == other.len() && one.iter().all(same)
        }
        (Value::Array(one), Value::Array(other)) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|(one, other)| is_same(one, other, keeps))
        }
        (Value::Number(one), Value::Number(other)) => {
            one.as_f64() == other.as_f64() || one.as_f64().is_some_and(|number| !keeps(number))
        }
        _ => one == other,
    }
}

/// Whether a text stands somewhere in it.
fn says(value: &Value, word: &str) -> bool {
    match value {
        Value::Object(members) => members.values().any(|member| says(member, word)),
        Value::Array(list) => list.iter().any(|one| says(one, word)),
        _ => value == word,
    }
}

/// Panics unless an event is made of each record, valid and with all that the record says.
fn check(records: &BTreeMap<String, Value>, events: &BTreeMap<String, Value>, keeps: Keeps) {
    let spec: Value = serde_json::from_str(SPEC).unwrap();
    assert_eq!(events.keys().collect::<Vec<_>>(), records.keys().collect::<Vec<_>>());
    for (id, event) in events {
        let record = &records[id];
        let class = event["class_uid"].to_string();
        assert_has(&spec, &spec["classes"][&class], event, &format!("{id}: {class}"));
        assert_eq!(event["class_name"], spec["classes"][&class]["name"]);
        let [class, activity] =
            ["class_uid", "activity_id"].map(|name| event[name].as_i64().unwrap());
        assert_eq!(event["type_uid"], class * 100 + activity);
        assert_eq!(event["category_uid"], class / 1_000);
        let mut mapped = event.clone();
        let unmapped = mapped.as_object_mut().unwrap().remove("unmapped").unwrap_or_default();
        for (name, value) in record.as_object().unwrap() {
            match unmapped.get(name) {
                Some(kept) => assert!(is_same(value, kept, keeps), "{id}: {name}: {kept}"),
                None => {
                    let word = value.as_str().unwrap_or_else(|| panic!("{id}: {name} is lost"));
                    assert!(says(&mapped, word), "{id}: {name} is lost");
                }
            }
        }
    }
}

/// What becomes of some operations, as people know them.
fn check_classes(records: &BTreeMap<String, Value>, events: &BTreeMap<String, Value>) {
    let expected = [
        ("UserLoggedIn", 300_201),
        ("UserLoggedOff", 300_202),
        ("Add user.", 300_101),
        ("Disable account.", 300_105),
        ("Reset user password.", 300_104),
        ("Add member to group.", 300_603),
        ("Remove member from group.", 300_604),
        ("MemberAdded", 300_603),
        ("FileDownloaded", 600_602),
        ("FileRenamed", 600_605),
        ("FolderMoved", 600_607),
        ("AnonymousLinkCreated", 600_612),
        ("FileMalwareDetected", 600_699),
        ("SharingRevoked", 600_399),
        ("DlpRuleMatch", 200_601),
        ("DlpRuleUndo", 200_603),
        ("FileUploadedToCloud", 200_601),
        ("New-InboxRule", 600_301),
        ("MailItemsAccessed", 600_302),
        ("Set-TransportRule", 600_303),
        ("SoftDelete", 600_304),
        ("AppUninstalled", 600_304),
        ("CopilotInteraction", 600_399),
    ];
    for (operation, type_uid) in expected {
        let of = |(_, record): &(&String, &Value)| record["Operation"] == operation;
        let (id, _) = records.iter().find(of).expect(operation);
        assert_eq!(events[id]["type_uid"], type_uid, "{operation}");
    }
    // Times are those of the records, in milliseconds.
    let leap = |at: usize| &events[&format!("other-{at}")]["time"];
    assert_eq!(*leap(1), 1_709_164_801_000_i64);
    assert_eq!(*leap(12), 1_772_323_199_750_i64);
    let severe = |record: &&Value| record["RecordType"] == 13;
    let severe = records.values().find(severe).unwrap()["Id"].as_str().unwrap();
    assert_eq!(events[severe]["severity_id"], 4);
}

#[test]
fn fluent_bits_lua_makes_events_of_every_shape() {
    let records = records();
    let Some(events) = by_lua(&records) else { return };
    check(&records, &events, |number| number.abs() < LUA_WHOLE_MAX);
    check_classes(&records, &events);
}

#[test]
fn vectors_vrl_makes_the_same_events() {
    let records = records();
    let Some(events) = by_vrl(&records) else { return };
    check(&records, &events, |_| true);
    check_classes(&records, &events);
    let Some(others) = by_lua(&records) else { return };
    for (id, event) in &events {
        let same = is_same(event, &others[id], |number| number.abs() < LUA_WHOLE_MAX);
        assert!(same, "{id}: {event}\n{}", others[id]);
    }
}

#[test]
fn the_published_schema_accepts_the_events() {
    let spec: Value = serde_json::from_str(SPEC).unwrap();
    let version = spec["version"].as_str().unwrap();
    let Some(events) = by_lua(&records()) else { return };
    let lines: String = events.values().map(|event| format!("{event}\n")).collect();
    let modules = "jsonschema, ocsf_json_schema";
    let Some(mistakes) = by_python(modules, PUBLISHED, version, &lines) else { return };
    assert_eq!(mistakes, "");
}
