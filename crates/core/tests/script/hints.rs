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

/// By how much later than they were made real records arrive, in milliseconds: 20 of them in a
/// minute in which so many forged hints come each second. And how many forged contents were asked.
fn lag_under(forged_per_second: i64) -> (Vec<i64>, usize) {
    let names: Vec<String> = (0..20).map(|n| format!("Real{n}x")).collect();
    let made = |n: usize| T0 + 10 * MIN + i64::try_from(n).unwrap() * 3_000;
    let blobs: Vec<_> =
        names.iter().enumerate().map(|(n, name)| (&**name, made(n), made(n))).collect();
    let mut service = |now, request: &m365_audit_core::Request| {
        healthy(now, request, &blobs, || {
            let number = names.iter().position(|name| request.url.contains(&**name));
            match number {
                Some(number) => Answer::ok(format!("[{}]", record(number))),
                None => Answer::new(404, ""),
            }
        })
    };
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.outputs_max *= 10;
    let (begin, step) = (T0 + 10 * MIN, 100);
    bench.run(begin, &mut service);
    let mut forged = 0;
    for now in (begin..begin + MIN).step_by(100) {
        for _ in 0..forged_per_second * step / 1_000 {
            // As late as is believed, to be read first.
            bench.input(Input::Hint(content(&format!("Forged{forged}"), now + 9 * MIN)));
            forged += 1;
        }
        bench.run(now + step, &mut service);
    }
    bench.run(begin + 3 * MIN, &mut service);
    let read = |name: &str| {
        let sent = bench.sent.iter().find(|sent| sent.url.contains(name));
        sent.map_or(i64::MAX, |sent| sent.at)
    };
    let lags = names.iter().enumerate().map(|(n, name)| read(name) - made(n)).collect();
    assert_eq!(bench.loud(), [""; 0]);
    (lags, bench.count(Operation::GetBlob, "Forged"))
}

/// With the right id they are well-formed, and nothing shows that they are made up but the answer.
#[test]
fn forged_hints_hold_up_nothing_however_many_they_are() {
    let (usual, _) = lag_under(0);
    let (lags, forged) = lag_under(500);
    let latest = usual.iter().max().unwrap() + 2_000;
    let late = lags.iter().filter(|lag| latest < **lag).count();
    assert_eq!(late, 0, "of 20, in {lags:?} ms instead of {usual:?}");
    // Three minutes, at the most a tenth of 2,000 requests a minute.
    assert!((100..600).contains(&forged), "{forged}");
}

#[test]
fn a_hint_is_forgotten_at_the_first_404() {
    let mut service = |now, request: &_| healthy(now, request, &[], || Answer::new(404, "<html>"));
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.run(T0 + MIN, &mut service);
    bench.input(Input::Hint(content("Forged", T0)));
    bench.run(T0 + HOUR, &mut service);
    assert_eq!(bench.count(Operation::GetBlob, "$Forged?"), 1);
    assert_eq!((bench.lane().blobs_pending, bench.lane().blobs_quarantined), (0, 0));
}

/// A notification may come before the listing and say something else of the same content.
#[test]
fn what_a_listing_says_of_a_content_counts() {
    let blobs = [("A", T0 + 2 * MIN, T0 + 2 * MIN)];
    let mut busy = true;
    let mut service = |now, request: &m365_audit_core::Request| {
        healthy(now, request, &blobs, || match std::mem::take(&mut busy) {
            // Meanwhile it is listed.
            true => None,
            false => Answer::ok(format!("[{}]", record(1))),
        })
    };
    let mut bench = Bench::new(&[("lookback", "2h")], Stored::new(), T0);
    bench.run(T0 + 2 * MIN, &mut service);
    for created in [T0 - HOUR, T0 + 2 * MIN, T0 + 3 * MIN] {
        bench.input(Input::Hint(content("A", created)));
    }
    bench.run(T0 + HOUR, &mut service);
    assert_eq!(bench.records, [record(1)]);
    assert_eq!((bench.lane().blobs_listed, bench.lane().blobs_pending), (1, 0));
}
