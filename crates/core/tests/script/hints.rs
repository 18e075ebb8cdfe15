//! What notifications may not do.

use m365_audit_core::{Input, Operation, Stored};

use crate::bench::{Answer, Bench, HOUR, MIN, T0, content, healthy, record};

/// The notification's time is another than the listing's, and there is no room to read anything
/// when it comes.
#[test]
fn a_hint_with_another_time_holds_nothing_up() {
    let half = T0 + MIN / 2;
    let blobs = [
        ("Large", T0 - HOUR, 0),
        ("Hinted", half, half),
        ("Next", T0 + 5 * MIN, T0 + 5 * MIN),
        ("Late", T0 - HOUR, T0 + 10 * MIN),
    ];
    let fat = |n| format!(r#"{{"Id":"{n}","x":"{}"}}"#, "y".repeat(3_000));
    let large: Vec<String> = (100..160).map(fat).collect();
    let large = format!("[{}]", large.join(","));
    let mut service = |now, request: &m365_audit_core::Request| {
        healthy(now, request, &blobs, || {
            let number = ["$Large?", "$Hinted?", "$Next?", "$Late?"]
                .iter()
                .position(|name| request.url.contains(name))
                .unwrap();
            match number {
                0 => Answer::pieces(large.as_bytes(), false),
                _ => Answer::ok(format!("[{}]", record(number))),
            }
        })
    };
    let options = [("lookback", "2h"), ("buffer_bytes", "100000"), ("batch_bytes", "10000")];
    let mut bench = Bench::new(&options, Stored::new(), T0);
    bench.takes = false;
    bench.run(half, &mut service);
    bench.input(Input::Hint(content("Hinted", half - 1)));
    bench.run(T0 + 3 * MIN, &mut service);
    assert_eq!(bench.count(Operation::GetBlob, "$Hinted?"), 0, "there is no room yet");
    bench.deliver_held();
    bench.run(T0 + 5 * HOUR, &mut service);
    for (number, name) in ["$Large?", "$Hinted?", "$Next?", "$Late?"].iter().enumerate() {
        assert_eq!(bench.count(Operation::GetBlob, name), 1, "{name}");
        assert!(number == 0 || bench.records.contains(&record(number)), "{name}");
    }
}
