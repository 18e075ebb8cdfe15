//! What an early build has stored: it is gone on with, and what it does not concern stays as it is.

use m365_audit_core::{Level, Operation, Request, Stored};

use crate::bench::{Answer, Bench, HOUR, MIN, healthy, record};

/// See its first lines.
const RECORDED: &str = include_str!("recorded_state.txt");

/// A minute after the last of what is covered in it.
const NOW: i64 = 1_796_065_226_953 + MIN;

const OPTIONS: [(&str, &str); 8] = [
    ("tenant_id", "1849a15c-a6a5-453d-92c8-7edee204ceec"),
    ("content_types", "Audit.Exchange, Audit.General"),
    ("api_url", "http://127.0.0.1:35689"),
    ("source", "management_activity, cloud_app_activities"),
    ("portal_url", "http://127.0.0.1:35689"),
    ("portal_token", "p"),
    ("lookback", "5h"),
    ("activities_lookback", "5h"),
];

fn recorded() -> Stored {
    let rows = RECORDED.lines().filter(|line| !line.starts_with('#'));
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    rows.map(|row| owned(row.split_once('\t').unwrap())).collect()
}

/// A service that has nothing new. What was set aside can be read by now.
fn quiet(now: i64, request: &Request) -> Option<Answer> {
    let subscription = |name| format!(r#"{{"contentType":"{name}","status":"enabled"}}"#);
    match request.operation {
        Operation::ListSubscriptions => {
            let names = ["Audit.Exchange", "Audit.General"].map(subscription);
            Answer::ok(format!("[{}]", names.join(",")))
        }
        Operation::ListActivities => Answer::ok(r#"{"data":[],"hasNext":false}"#),
        _ => healthy(now, request, &[], || Answer::ok(format!("[{}]", record(request.url.len())))),
    }
}

/// The rows of `before` that say something else now, or are gone.
fn changed(before: &Stored, after: &Stored) -> Vec<String> {
    let differs = |(key, value): &(&String, &String)| after.get(*key) != Some(*value);
    before.iter().filter(differs).map(|(key, _)| key.clone()).collect()
}

#[test]
fn a_recorded_state_is_gone_on_with_and_nothing_else_in_it_changes() {
    let before = recorded();
    let mut bench = Bench::new(&OPTIONS, before.clone(), NOW);
    bench.run(NOW + HOUR, &mut quiet);
    // Both that were set aside have come, and nothing that had come before.
    assert_eq!(bench.records.len(), 2);
    assert_eq!(bench.count(Operation::StartSubscription, ""), 0);
    assert_eq!(bench.told(Level::Error), [""; 0]);
    assert_eq!(
        changed(&before, &bench.stored),
        [
            "blob/Audit.Exchange/df894fd0f463c2758fa299b72a568f75",
            "blob/Audit.General/2c201bac5ff935b7fae4f45b46c91ad6",
            "lane/Audit.Exchange",
            "lane/Audit.General",
            "lane/CloudAppActivities",
            // When it was searched again last.
            "search/CloudAppActivities",
            // The hour of one of the two.
            "seen/Audit.General/498903",
        ]
    );
    // What was remembered stands before what has been added, but for the bits of its last letter.
    let seen = |stored: &Stored| stored["seen/Audit.General/498903"].clone();
    assert!(seen(&bench.stored).starts_with(&seen(&before)[..21]), "{}", seen(&bench.stored));
    for feed in ["Audit.Exchange", "Audit.General", "CloudAppActivities"] {
        let lane = &bench.stored[&format!("lane/{feed}")];
        assert!(lane.starts_with(r#"{"begin":1796047157783,"covered":[["#), "{lane}");
    }

    // What is written now is read again, and gone on with as well.
    let before = bench.stored;
    let mut next = Bench::new(&OPTIONS, before.clone(), NOW + HOUR + MIN);
    next.run(NOW + 2 * HOUR, &mut quiet);
    assert_eq!((next.records.len(), next.told(Level::Error)), (0, Vec::new()));
    let progress = ["lane/", "search/", "history/"];
    let is_progress = |key: &String| progress.iter().any(|prefix| key.starts_with(prefix));
    assert!(changed(&before, &next.stored).iter().all(is_progress), "{:?}", next.stored);
}
