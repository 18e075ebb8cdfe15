//! `m365-audit report` and `m365-audit replay`: what the state says of each hour is told in every
//! form, and hours that are wanted once more are asked for.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use m365_audit_client::{DbOptions, Store, inspect_tenant};
use m365_audit_core::{Commit, Utc};
use serde_json::Value;

use crate::support::{assert_code, program, text};

const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";

const HOUR_MS: i64 = 3_600_000;

/// What the program says of a db.
fn report(db: &Path, words: &[&str]) -> Output {
    let output = program("report").arg("--db").arg(db).args(words).output().unwrap();
    assert!(output.status.code().is_some_and(|code| code < 3), "{}", text(&output.stderr));
    output
}

fn store(db: &Path, tenant: &str, pairs: &[(String, String)]) {
    let options = DbOptions {
        path: db.into(),
        synchronous: "off".into(),
        journal_mode: "wal".into(),
        exclusive: false,
    };
    let mut store = Store::open(Some(&options), tenant).unwrap();
    let changes = pairs.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    store.commit(Commit { changes }).unwrap();
}

/// Without the line breaks of paragraphs.
fn flat(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn this_hour() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap() / HOUR_MS
}

/// A history of twenty days of one feed, with `odd` in place of the usual row.
fn history(odd: &[(i64, &str)], more: &[(&str, String)]) -> Vec<(String, String)> {
    let hour = this_hour();
    let begin = hour - 20 * 24 + 1;
    let feed = "Audit.Exchange";
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    all.insert("version".into(), "2".into());
    all.insert(format!("history/{feed}"), format!("b{}k604800", begin * HOUR_MS));
    for back in 0..20 * 24 {
        all.insert(format!("history/{feed}/{:06}", hour - back), "l2d2r30b900a3".into());
    }
    for (back, row) in odd {
        all.insert(format!("history/{feed}/{:06}", hour - back), (*row).into());
    }
    all.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    all.into_iter().collect()
}

/// What tells of losses, as a page that needs nothing else.
#[track_caller]
fn assert_is_one_page(html: &Output) {
    assert_code(html, 1);
    let page = text(&html.stdout);
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "what is shown is no markup");
    for none in ["<script", "http://", "https://", "src=", "<b>anna", "url(\""] {
        assert!(!page.contains(none), "{none}");
    }
}

#[test]
fn what_is_lost_is_told_in_every_form_and_fails_the_report() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    let hour = this_hour();
    let (lost, end) = ((hour - 300) * HOUR_MS, (hour - 298) * HOUR_MS);
    let loss = format!(
        "{{\"feed\":\"Audit.Exchange\",\"kind\":\"gap\",\"created\":[{lost},{end}],\"count\":1,\
         \"told\":{end}}}"
    );
    let note = format!(
        "{{\"at\":{end},\"by\":\"<b>anna\",\"note\":\"\\u0022><script>alert(1)</script>\"}}"
    );
    let odd = [
        (300, "l2d1x1r9c5g1800000a3"),
        (299, "l3d2x1r9c5g1800000a3"),
        (100, "l4d3q1r9a1"),
        (99, "l4d1r9"),
    ];
    let more = [("loss/0000000000000001", loss), ("acknowledged/0000000000000001", note)];
    store(&db, TENANT, &history(&odd, &more));

    let output = report(&db, &[]);
    assert_code(&output, 1);
    let told = text(&output.stdout);
    assert!(!told.contains('\x1b'), "no colours where there is no terminal");
    for words in [
        "something is lost",
        "Audit.Exchange ",
        "2 blobs expired before they could be read",
        "60 min were not listed while Microsoft kept them",
        "acknowledged by <b>anna",
        "1 blob cannot be read for the time being",
        "3 blobs listed and not delivered",
        "sLLs",
        "oIIo",
        "listed 965 = delivered 959 + quarantined 1 + lost 2 + waiting 3",
        "What Microsoft never published",
        "not everything is settled or open",
    ] {
        assert!(flat(told).contains(words), "{words}: {told}");
    }
    let json = report(&db, &["--format", "json", "--config", "/dev/null"]);
    assert_code(&json, 1);
    let value: Value = serde_json::from_slice(&json.stdout).unwrap();
    let exceptions = value["tenants"][0]["feeds"][0]["exceptions"].as_array().unwrap();
    assert_eq!(exceptions.len(), 3, "{exceptions:?}");
    assert_eq!(exceptions[0]["losses"], serde_json::json!([1]));
    assert_eq!(exceptions[0]["start"], Utc::from_millis(lost).to_string());

    assert_is_one_page(&report(&db, &["--format", "html"]));
    // What was in order in the days before is.
    let until = Utc::from_millis((hour - 301) * HOUR_MS).to_string();
    assert_code(&report(&db, &["--until", &until]), 0);
}

#[test]
fn the_configuration_is_recognised_and_no_secret_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    store(&db, TENANT, &history(&[], &[]));
    let config = dir.path().join("m365.toml");
    let hash = |secret: &str| {
        let options = format!("client_secret = \"{secret}\"\nexclude_operations = \"Send\"\n");
        std::fs::write(&config, options).unwrap();
        let words = ["--config", config.to_str().unwrap(), "--format", "json"];
        let output = report(&db, &words);
        assert_code(&output, 0);
        assert!(!text(&output.stdout).contains(secret));
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(value["configuration"]["treating"][0], "exclude_operations = Send");
        value["configuration"]["sha256"].as_str().unwrap().to_owned()
    };
    assert_eq!(hash("s3cret~one"), hash("s3cret~two"));
    let output = program("report").output().unwrap();
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("--db"), "{}", text(&output.stderr));
}

#[test]
fn a_state_without_history_vouches_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    store(&db, TENANT, &[("version".into(), "2".into())]);
    let output = report(&db, &[]);
    assert_code(&output, 1);
    assert!(text(&output.stdout).contains("there is no history"), "{}", text(&output.stdout));
    let other = report(&db, &["--tenant", "51463f53-8812-40f4-890f-865bf6e35190"]);
    assert_code(&other, 2);
}

/// `m365-audit replay` of a tenant's hours, counted back from this one.
fn replay(db: &Path, from: i64, until: i64, words: &[&str]) -> Output {
    let at = |back: i64| Utc::from_millis((this_hour() - back) * HOUR_MS).to_string();
    let times = ["--since", &at(from), "--until", &at(until)];
    program("replay").arg("--db").arg(db).args(times).args(words).output().unwrap()
}

fn requests(db: &Path, tenant: &str) -> Vec<String> {
    let stored = inspect_tenant(db, tenant).unwrap();
    stored.into_keys().filter(|key| key.starts_with("replay/")).collect()
}

#[test]
fn a_replay_says_how_much_it_is_and_touches_nothing_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    store(&db, TENANT, &history(&[], &[]));
    let unasked = replay(&db, 5, 2, &[]);
    assert_code(&unasked, 2);
    assert!(text(&unasked.stdout).contains("6 blobs and 90 records"), "{}", text(&unasked.stdout));
    assert!(text(&unasked.stderr).contains("--yes"), "{}", text(&unasked.stderr));
    assert_eq!(requests(&db, TENANT), Vec::<String>::new());
    // What is too old is named, and left out.
    let old = replay(&db, 15 * 24, 14 * 24, &["--yes"]);
    assert_code(&old, 2);
    assert!(text(&old.stderr).contains("does not list it any more"), "{}", text(&old.stderr));
    let unknown = replay(&db, 5, 2, &["--yes", "--content-types", "Audit.Nope"]);
    assert_code(&unknown, 2);
    assert_eq!(requests(&db, TENANT), Vec::<String>::new());
    let before = inspect_tenant(&db, TENANT).unwrap();
    assert_code(&replay(&db, 5, 2, &["--yes", "--content-types", "audit.exchange"]), 0);
    let hour = this_hour();
    let key = format!("replay/Audit.Exchange/{}-{}", hour - 5, hour - 2);
    assert_eq!(requests(&db, TENANT), [key.clone()]);
    let mut after = inspect_tenant(&db, TENANT).unwrap();
    after.remove(&key);
    assert_eq!(after, before, "nothing else is touched");
    // Two tenants: one is to be named.
    let other = "51463f53-8812-40f4-890f-865bf6e35190";
    store(&db, other, &history(&[], &[]));
    let several = replay(&db, 5, 2, &["--yes"]);
    assert_code(&several, 2);
    assert!(text(&several.stderr).contains("--tenant-id"), "{}", text(&several.stderr));
    assert_code(&replay(&db, 4, 3, &["--yes", "--tenant", other]), 0);
    assert_eq!((requests(&db, TENANT).len(), requests(&db, other).len()), (1, 1));
}
