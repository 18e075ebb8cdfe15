//! The shapes that records have in life: all of them arrive, to the byte; nothing that redaction
//! is told to hide is left in any; and filters find what they look for.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use m365_audit_test_support::needs::skip;
use m365_sim::{ContentType, SimConfig, Span};
use serde_json::Value;

use crate::support::{World, assert_code, lines, text, world};

const SHAPES: [(ContentType, &str); 5] = [
    (
        ContentType::AzureActiveDirectory,
        include_str!("../../../../tests/spec/records/entra.ndjson"),
    ),
    (ContentType::Exchange, include_str!("../../../../tests/spec/records/exchange.ndjson")),
    (ContentType::SharePoint, include_str!("../../../../tests/spec/records/sharepoint.ndjson")),
    (ContentType::General, include_str!("../../../../tests/spec/records/general.ndjson")),
    (ContentType::Dlp, include_str!("../../../../tests/spec/records/dlp.ndjson")),
];

/// What was published a moment ago comes with one of the next runs; by then it is older.
const RUNS_MAX: usize = 50;

pub(crate) fn shapes() -> BTreeSet<&'static str> {
    SHAPES.iter().flat_map(|(_, records)| records.lines()).collect()
}

/// A service that has published each shape, in a blob of each content type.
fn published() -> World {
    let world = World::new(SimConfig {
        subscribed: true,
        live: false,
        blobs_per_hour: Span::new(0, 0),
        ..SimConfig::default()
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    for (content_type, records) in SHAPES {
        let mut microsoft = world.microsoft();
        let tenant = microsoft.tenants()[0].id;
        let records = records.lines().map(|line| line.as_bytes().to_vec()).collect();
        let now = i64::try_from(now).unwrap();
        microsoft.publish_records(now, tenant, content_type, records).unwrap();
    }
    world
}

/// Runs it until it has written so many lines.
fn collect(world: &World, options: &[&str], expected: usize) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let mut written = Vec::new();
    for _ in 0..RUNS_MAX {
        let mut run: Command = world.run();
        run.args(["--once", "--content-types"]);
        run.arg(ContentType::ALL.map(ContentType::name).join(","));
        run.args(options).arg("--db").arg(dir.path().join("state.db"));
        let output = run.output().unwrap();
        assert_code(&output, 0);
        written.extend(lines(&output.stdout).map(|line| text(line).to_owned()));
        if expected <= written.len() {
            break;
        }
    }
    assert!(world.microsoft().report().is_legal());
    written
}

#[test]
fn every_shape_arrives_once_and_to_the_byte() {
    let shapes = shapes();
    let kinds: BTreeSet<String> = shapes
        .iter()
        .map(|record| serde_json::from_str::<Value>(record).expect(record))
        .map(|record| format!("{} {}", record["RecordType"], record["Operation"]))
        .collect();
    assert!(60 <= kinds.len(), "{} kinds of records", kinds.len());
    let written = collect(&published(), &[], shapes.len());
    assert_eq!(written.len(), shapes.len());
    assert_eq!(written.iter().map(String::as_str).collect::<BTreeSet<_>>(), shapes);
}

#[test]
fn nothing_that_was_matched_is_left_and_the_rest_stays() {
    const MATCHED: [&str; 5] =
        ["DE89", "4111", "AKIAIOSFODNN7EXAMPLE", "geheim im Text", "gültig bis"];
    let all = SHAPES.map(|(_, records)| records).concat();
    assert!(MATCHED.iter().all(|matched| all.contains(matched)), "there is something to hide");
    let options = ["--redact", "on", "--enrich", "on", "--metadata"];
    let written = collect(&published(), &options, shapes().len());
    for matched in MATCHED {
        let left = written.iter().find(|line| line.contains(matched));
        assert_eq!(left, None, "{matched}");
    }
    let redacted = written.iter().filter(|line| line.contains("\"redacted\":true")).count();
    let touched = shapes().iter().filter(|record| record.contains("DetectedValues")).count();
    assert_eq!(redacted, touched);
    let untouched = shapes().into_iter().filter(|record| !record.contains("DetectedValues"));
    for record in untouched {
        let wrapped = format!("\"record\":{record}}}");
        assert!(written.iter().any(|line| line.ends_with(&wrapped)), "{record}");
    }
    let named = written.iter().filter(|line| line.contains("\"record_type_name\":")).count();
    // All but the negative one.
    assert_eq!(named, written.len() - 1);
}

#[test]
fn filters_find_copilot_by_operation_and_dlp_by_record_type() {
    let holds = |words: &str| shapes().iter().filter(|record| record.contains(words)).count();
    let world = published();
    let copilot = ["--include-workloads", "Copilot"];
    let expected = holds("\"Workload\":\"Copilot\"");
    assert_eq!(collect(&world, &copilot, expected).len(), expected);
    let dlp = ["--include-record-types", "ComplianceDLPExchange, 11, DLPEndpoint"];
    let expected = ["11", "13", "63"].map(|number| {
        let ends = [",", "}"].map(|end| holds(&format!("\"RecordType\":{number}{end}")));
        ends.iter().sum::<usize>()
    });
    let expected = expected.iter().sum();
    assert_eq!(collect(&world, &dlp, expected).len(), expected);
}

/// Whether jq, if there is one, reads all of these lines; how many it has read.
fn operations(lines: &[u8]) -> Option<Result<usize, String>> {
    let mut command = Command::new("jq");
    command.arg(".Operation").stdin(Stdio::piped());
    let Ok(mut jq) = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() else {
        skip("no jq");
        return None;
    };
    let mut stdin = jq.stdin.take().unwrap();
    let lines = lines.to_vec();
    let writer = std::thread::spawn(move || {
        // It may have given up.
        drop(stdin.write_all(&lines));
    });
    let output = jq.wait_with_output().unwrap();
    writer.join().unwrap();
    let read = output.stdout.split(|byte| *byte == b'\n').count() - 1;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(if output.status.success() { Ok(read) } else { Err(told) })
}

#[test]
fn what_readme_pipes_into_jq_is_read_by_it() {
    // As `m365-sim serve` publishes.
    let world = World::new(SimConfig { oddness: 0.002, ..world() });
    let output = world.run().arg("--once").output().unwrap();
    assert_code(&output, 0);
    let count = lines(&output.stdout).count();
    assert!(0 < count);
    if let Some(read) = operations(&output.stdout) {
        assert_eq!(read, Ok(count));
    }
}

#[test]
fn halves_of_surrogate_pairs_are_kept_unless_somebody_asks() {
    let world = World::new(SimConfig { oddness: 0.9, ..world() });
    let half = |bytes: &[u8]| text(bytes).matches(r"half a pair \ud83d and \ude00\ud83d,").count();
    let kept = world.run().arg("--once").output().unwrap();
    assert_code(&kept, 0);
    assert!(0 < half(&kept.stdout), "the world has some");
    let replaced = world.run().args(["--once", "--invalid-unicode", "replace"]).output().unwrap();
    assert_code(&replaced, 0);
    let whole = r"half a pair \ufffd and \ufffd\ufffd, whole \ud83d\ude00";
    assert!(text(&replaced.stdout).contains(whole) && half(&replaced.stdout) == 0);
    let count = lines(&replaced.stdout).count();
    if let Some(read) = operations(&replaced.stdout) {
        assert_eq!(read, Ok(count));
    }
}
