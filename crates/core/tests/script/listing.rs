//! Which windows are listed, again and again, and what becomes of those that fail.

use m365_audit_core::{Operation, Request, Stored};

use crate::bench::{Answer, Bench, DAY, HOUR, MIN, T0, healthy, record, window};

const LOOKBACK: [(&str, &str); 1] = [("lookback", "2h")];

fn one_record() -> Option<Answer> {
    Answer::ok(format!("[{}]", record(1)))
}

#[test]
fn what_came_late_before_an_outage_of_days_is_found_after_it() {
    for (outage, minutes) in [(6 * DAY + 14 * HOUR, 5), (6 * DAY + 14 * HOUR, 90), (3 * DAY, 300)] {
        let down = T0 + 6 * HOUR;
        let blobs = [("L", down - minutes * MIN, down + 5 * MIN)];
        let mut service = |now, request: &_| healthy(now, request, &blobs, one_record);
        let mut bench = Bench::new(&LOOKBACK, Stored::new(), T0);
        bench.run(down, &mut service);
        let up = down + outage;
        let mut bench = Bench::new(&LOOKBACK, bench.stored, up);
        bench.run(up + HOUR, &mut service);
        assert_eq!(bench.records, [record(1)], "{minutes} min before {:?}", bench.loud());
    }
}

#[test]
fn processes_that_live_for_a_minute_list_again_what_is_due_and_no_more() {
    let blobs = [
        ("L", T0 + HOUR, T0 + HOUR + 30 * MIN),
        // For the rounds over the whole retention.
        ("M", T0 + HOUR, T0 + 2 * DAY),
    ];
    let mut service = |now, request: &_| healthy(now, request, &blobs, one_record);
    let (mut stored, mut now, mut lists, mut reads) = (Stored::new(), T0, 0, [None, None]);
    while now < T0 + 4 * DAY {
        let mut bench = Bench::new(&LOOKBACK, stored, now);
        bench.run(now + 55_000, &mut service);
        lists += bench.count(Operation::ListContent, "");
        for (read, name) in reads.iter_mut().zip(["$L?", "$M?"]) {
            if bench.count(Operation::GetBlob, name) > 0 {
                read.get_or_insert(now);
            }
        }

        stored = bench.stored;
        now += 5 * MIN;
    }
    assert!(reads[0].is_some_and(|at| at <= T0 + HOUR + 65 * MIN), "{reads:?}");
    assert!(reads[1].is_some_and(|at| at <= T0 + 3 * DAY + HOUR), "{reads:?}");
    // A fresh window each, the last day every half hour, each stretch once a day.
    let lives = 4 * 288;
    assert!((lives..lives + 4 * 48 + 40).contains(&lists), "{lists}");
}

#[test]
fn a_window_that_fails_is_listed_again_soon_not_a_day_later() {
    // Whenever a stretch is listed again for the first time, it fails, for four minutes.
    let blobs = [("L", T0 - 137 * HOUR, T0 + HOUR)];
    let mut down = None;
    let mut service = |now, request: &Request| {
        let found = healthy(now, request, &blobs, one_record);
        let names_it = found
            .as_ref()
            .is_some_and(|answer| String::from_utf8_lossy(&answer.chunks[0]).contains("$L\""));
        if request.operation == Operation::ListContent
            && (names_it || down.is_some_and(|down| now < down + 4 * MIN))
            && now < *down.get_or_insert(now) + 4 * MIN
        {
            return Answer::new(503, "");
        }
        found
    };
    let mut bench = Bench::new(&[], Stored::new(), T0);
    bench.run(T0 + 26 * HOUR, &mut service);
    let read = bench.sent.iter().find(|sent| sent.operation == Operation::GetBlob);
    let waited = read.unwrap().at - down.unwrap();
    assert!(waited < 15 * MIN, "{} min", waited / MIN);
}

#[test]
fn what_a_crash_interrupts_is_listed_again_at_the_next_start() {
    let blobs = [("L", T0 + HOUR, T0 + 2 * HOUR)];
    let mut service = |now, request: &_| healthy(now, request, &blobs, one_record);
    let mut bench = Bench::new(&LOOKBACK, Stored::new(), T0);
    bench.run(T0 + HOUR + 50 * MIN, &mut service);
    bench.takes = false;
    bench.run(T0 + 3 * HOUR, &mut service);
    assert_eq!(bench.count(Operation::GetBlob, "$L?"), 1, "it was listed and read");
    let mut bench = Bench::new(&LOOKBACK, bench.stored, T0 + 3 * HOUR);
    bench.run(T0 + 3 * HOUR + MIN, &mut service);
    assert_eq!(bench.records, [record(1)]);
}

#[test]
fn windows_that_are_too_long_for_the_service_get_shorter() {
    // Four hours can be listed within a minute, a day cannot.
    let blobs = [("A", T0 - 3 * DAY, 0), ("L", T0 - 10 * HOUR, T0 + DAY)];
    let mut service = |now, request: &Request| {
        if request.operation == Operation::ListContent {
            let (start, end) = window(request);
            if end - start > 4 * HOUR {
                return None;
            }
        }
        healthy(now, request, &blobs, one_record)
    };
    let mut bench = Bench::new(&[], Stored::new(), T0);
    bench.run(T0 + 2 * DAY, &mut service);
    for name in ["$A?", "$L?"] {
        assert_eq!(bench.count(Operation::GetBlob, name), 1, "{name} {:?}", bench.loud());
    }
    assert!(bench.lane().backlog.as_secs() < 60, "{:?}", bench.lane().backlog);
}

#[test]
fn a_stricter_edge_costs_what_lies_behind_it_and_few_words() {
    let blobs = [("A", T0 - 3 * DAY, 0)];
    let mut service = |now, request: &Request| {
        if request.operation == Operation::ListContent && window(request).0 < now - 7 * DAY + HOUR {
            let code = r#"{"error":{"code":"AF20055","message":"no more than 7 days"}}"#;
            return Answer::new(400, code);
        }
        healthy(now, request, &blobs, one_record)
    };
    let mut bench = Bench::new(&[], Stored::new(), T0);
    bench.run(T0 + 12 * HOUR, &mut service);
    assert_eq!(bench.records, [record(1)]);
    let lists = bench.count(Operation::ListContent, "");
    assert!(lists < 12 * 60 + 100, "{lists}");
    let loud = bench.loud();
    assert!(loud.len() < 5 && loud.iter().any(|told| told.contains("is lost")), "{loud:?}");
}

#[test]
fn a_window_that_always_fails_holds_up_no_other() {
    // What was created within five minutes cannot be listed, for a day.
    let bad = T0 - 20 * HOUR;
    let blobs = [("A", T0 - 3 * DAY, 0), ("B", bad + MIN, 0), ("C", bad + HOUR, T0 + 90 * MIN)];
    let mut service = |now, request: &Request| {
        if request.operation == Operation::ListContent && now < T0 + DAY {
            let (start, end) = window(request);
            if start < bad + 5 * MIN && bad < end {
                return Answer::new(500, "");
            }
        }
        healthy(now, request, &blobs, one_record)
    };
    let mut bench = Bench::new(&[], Stored::new(), T0);
    bench.run(T0 + 3 * HOUR, &mut service);
    for (name, expected) in [("$A?", 1), ("$B?", 0), ("$C?", 1)] {
        assert_eq!(bench.count(Operation::GetBlob, name), expected, "{name}");
    }
    let told = bench.loud();
    assert!((1..6).contains(&told.len()), "{told:?}");
    let lists = bench.count(Operation::ListContent, "");
    assert!(lists < 3 * 60 + 400, "{lists}");
    bench.run(T0 + DAY + HOUR, &mut service);
    assert_eq!(bench.count(Operation::GetBlob, "$B?"), 1, "it was asked for by itself");
    assert!(bench.lane().backlog.as_secs() < 120, "{:?}", bench.lane().backlog);
}

#[test]
fn listing_goes_on_although_windows_stay_open_for_hours() {
    let names: Vec<String> = (0..300).map(|n| format!("N{n}")).collect();
    let made = |n: usize| T0 + i64::try_from(n).unwrap() * MIN;
    let blobs: Vec<_> =
        names.iter().enumerate().map(|(n, name)| (&**name, made(n), made(n))).collect();
    let mut service = |now, request: &_| healthy(now, request, &blobs, || Answer::ok("[{}]"));
    let mut bench = Bench::new(&LOOKBACK, Stored::new(), T0);
    bench.takes = false;
    bench.run(T0 + 4 * HOUR, &mut service);
    assert!(bench.count(Operation::GetBlob, "") >= 238);
    bench.deliver_held();
    bench.run(T0 + 5 * HOUR + MIN, &mut service);
    assert_eq!(bench.count(Operation::GetBlob, ""), 300);
    assert_eq!((bench.records.len(), bench.lane().blobs_pending), (300, 0));
    assert!(bench.lane().backlog.as_secs() < 120, "{:?}", bench.lane().backlog);
    // All of it is settled: a later life lists no more than what is due.
    let mut bench = Bench::new(&LOOKBACK, bench.stored, T0 + 5 * HOUR + 2 * MIN);
    bench.run(T0 + 5 * HOUR + 3 * MIN, &mut service);
    assert_eq!(bench.count(Operation::GetBlob, ""), 0);
}

#[test]
fn fresh_listings_leave_room_for_blobs() {
    let blobs = [("A", T0 - HOUR, 0), ("B", T0 + HOUR, 0)];
    let mut service = |now, request: &_| healthy(now, request, &blobs, one_record);
    let options = [("lookback", "2h"), ("interval_sec", "5"), ("requests_per_minute", "10")];
    let mut bench = Bench::new(&options, Stored::new(), T0);
    bench.run(T0 + 2 * HOUR, &mut service);
    for name in ["$A?", "$B?"] {
        let read = bench.sent.iter().find(|sent| sent.url.contains(name)).map(|sent| sent.at - T0);
        let latest = if name == "$A?" { 5 * MIN } else { HOUR + 5 * MIN };
        assert!(read.is_some_and(|at| at <= latest), "{name} {read:?}");
    }
}

#[test]
fn blobs_that_are_too_many_to_be_set_aside_are_told_once_and_stop_nothing() {
    let bad: Vec<String> = (0..10_020).map(|n| format!("bad{n}")).collect();
    let late: Vec<String> = (0..7).map(|n| format!("fine{n}")).collect();
    let mut blobs: Vec<_> = bad.iter().map(|name| (&**name, T0 - MIN, 0)).collect();
    for (n, name) in late.iter().enumerate() {
        let made = T0 + i64::try_from(n).unwrap() * 10 * MIN;
        blobs.push((&**name, made, made));
    }
    let mut service = |now, request: &Request| {
        healthy(now, request, &blobs, || {
            let bad = request.url.contains("$bad");
            Answer::new(if bad { 500 } else { 200 }, r#"[{"Id":"1"}]"#)
        })
    };
    let options = [("lookback", "1h"), ("max_in_flight", "64")];
    let mut bench = Bench::new(&options, Stored::new(), T0);
    bench.run(T0 + 70 * MIN, &mut service);
    assert_eq!(bench.count(Operation::GetBlob, "$fine"), late.len());
    assert_eq!(bench.lane().blobs_quarantined, 10_000);
    let told = bench.told(m365_audit_core::Level::Error);
    // And that one after the other fails, after five minutes.
    assert!((2..=3).contains(&told.len()), "{told:?}");
    assert!(told.iter().any(|told| told.contains("10000 blobs cannot be read")), "{told:?}");
}

#[test]
fn a_page_that_never_ends_is_taken_in_portions_and_nothing_of_it_is_lost() {
    const ENTRIES: usize = 23_000;
    let names: Vec<String> = (0..ENTRIES).map(|n| format!("L{n}")).collect();
    // A thousand an hour; but for the last hour they are in one window.
    let created = |n: usize| T0 - 23 * HOUR + i64::try_from(n).unwrap() * 3_600;
    let blobs = names.iter().enumerate().map(|(n, name)| (&**name, created(n), 0));
    let blobs: Vec<_> = blobs.collect();
    let mut service =
        |now, request: &_| healthy(now, request, &blobs, || Answer::ok(r#"[{"Id":"1"}]"#));
    let mut bench = Bench::new(&[("lookback", "23h")], Stored::new(), T0);
    bench.outputs_max = 10_000_000;
    bench.run(T0 + 2_000, &mut service);
    let known = bench.lane().blobs_pending + bench.lane().blobs_delivered;
    assert!((20_000..=21_500).contains(&known), "{known} of {ENTRIES} at once");
    bench.run(T0 + 20 * MIN, &mut service);
    assert_eq!(bench.lane().blobs_delivered, ENTRIES as u64, "{:?}", bench.loud());
    assert_eq!(bench.loud(), [""; 0]);
}

#[test]
fn answers_that_wait_for_the_host_leave_a_place_for_listings() {
    for max_in_flight in ["2", "5"] {
        let fat = |n| format!(r#"{{"x":"{n}{}"}}"#, "y".repeat(3_000));
        let large = format!("[{}]", (0..90).map(fat).collect::<Vec<_>>().join(","));
        let names: Vec<String> = (0..5).map(|n| format!("Large{n}x")).collect();
        // And one of the oldest that Microsoft still lists.
        let oldest = T0 - 7 * 24 * HOUR + 2 * HOUR;
        let blobs = names.iter().map(|name| (&**name, T0 - 2 * MIN, 0));
        let blobs: Vec<_> = blobs.chain([("Oldest", oldest, 0)]).collect();
        let mut service = |now, request: &Request| {
            healthy(now, request, &blobs, || match request.url.contains("$Oldest") {
                true => Answer::ok(r#"[{"Id":"oldest"}]"#),
                false => Answer::pieces(large.as_bytes(), false),
            })
        };
        let options = [
            ("lookback", "7d"),
            ("buffer_bytes", "100000"),
            ("batch_bytes", "10000"),
            ("max_in_flight", max_in_flight),
        ];
        let mut bench = Bench::new(&options, Stored::new(), T0);
        bench.takes = false;
        bench.run(T0 + 10 * HOUR, &mut service);
        bench.deliver_held();
        bench.run(T0 + 11 * HOUR, &mut service);
        assert_eq!(bench.loud(), [""; 0], "max_in_flight {max_in_flight}");
        assert!(bench.records.contains(&r#"{"Id":"oldest"}"#.to_owned()));
        assert_eq!(bench.lane().blobs_delivered, 6);
    }
}
