//! The SDK inside the real Fluent Bit, if there is one: the example plugin, and the trap.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use fluent_bit_plugin::msgpack::BODY_DEPTH_MAX_FROM_4_1;
use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use fluent_bit_plugin_harness::{build, until};
use serde_json::Value;

fn example() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build::plugin("in_example"))
}

fn trap() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build::example("in_trap"))
}

/// A pipeline of these inputs into the file `out` of the folder, one JSON array a line.
fn config(plugin: &Path, inputs: &str) -> String {
    format!(
        "plugins:\n  - {}\n\
         service:\n  flush: 0.2\n  grace: 5\n  log_level: debug\n  http_server: on\n  \
         http_listen: 127.0.0.1\n  http_port: {{port}}\n  hot_reload: on\n  \
         storage.path: '{{dir}}/storage'\n\
         pipeline:\n  inputs:\n{inputs}\n  outputs:\n    \
         - {{ name: file, match: '*', path: '{{dir}}', file: out, workers: 1 }}\n",
        plugin.display()
    )
}

/// The bodies in `out`, which reads `tag: [time, {body}]`.
fn bodies(fluent_bit: &FluentBit) -> Vec<(String, Value)> {
    let lines = fluent_bit.lines("out");
    lines
        .iter()
        .map(|line| {
            let (tag, event) = line.split_once(": [").expect("a tag");
            let body =
                &event[event.find('{').expect("a body")..=event.rfind('}').expect("its end")];
            (tag.to_owned(), serde_json::from_str(body).expect("a JSON body"))
        })
        .collect()
}

fn numbers(fluent_bit: &FluentBit) -> Vec<u64> {
    bodies(fluent_bit).iter().filter_map(|(_, body)| body["n"].as_u64()).collect()
}

fn settled(fluent_bit: &FluentBit) -> u64 {
    let log = fluent_bit.log();
    let tickets = log.lines().filter_map(|line| line.split_once("] settled ")?.1.parse().ok());
    tickets.fold(0, |most: u64, ticket: u64| most.max(ticket + 1))
}

#[test]
fn records_carry_the_tag_and_the_configured_greeting() {
    let Some(executable) = fluent_bit::find() else { return };
    let input = "    - { name: example, tag: greet, greeting: 'moin moin', interval_sec: 1 }";
    let mut fluent_bit = FluentBit::start(&executable, &config(example(), input));
    until("two greetings", || bodies(&fluent_bit).len() >= 2);
    let (tag, body) = &bodies(&fluent_bit)[1];
    assert_eq!(tag, "greet");
    assert_eq!(*body, serde_json::json!({ "greeting": "moin moin", "count": 1 }));
    let series = "fluentbit_input_example_greetings_total{name=\"example.0\"}";
    until("the metric follows", || fluent_bit.metric(series) >= Some(2.0));
    let (status, took) = fluent_bit.stop();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(fluent_bit.log().contains("greetings arrived"), "{}", fluent_bit.log());
}

#[test]
fn the_configurations_beside_the_example_run_as_they_are() {
    let Some(executable) = fluent_bit::find() else { return };
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/fluent-bit-input");
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["fluent-bit.yaml", "fluent-bit.conf", "plugins.conf"] {
        let text = fs::read_to_string(beside.join(name)).expect(name);
        let built = example().to_str().expect("a plain path");
        let text = text.replace("./target/release/libin_example.so", built);
        // A busy port would only be a warning; so is one that is not asked for.
        let text = text.replace("http_server: on", "").replace("HTTP_Server   On", "");
        fs::write(folder.path().join(name), text).expect("a copy");
    }
    for name in ["fluent-bit.yaml", "fluent-bit.conf"] {
        let mut command = Command::new(&executable);
        command.current_dir(folder.path());
        if name.ends_with(".yaml") {
            // What Fluent Bit 2.2 reads too has no place for it.
            command.arg("-e").arg(example());
        }
        command.args(["-c", name]);
        fluent_bit::run_until(&mut command, "\"greeting\"=>\"moin\"");
    }
}

#[test]
fn hash_tables_lie_right_although_the_hosts_malloc_is_lax() {
    let Some(executable) = fluent_bit::find() else { return };
    let input = "    - { name: trap, mode: tables, batches: 3 }";
    let mut fluent_bit = FluentBit::start(&executable, &config(trap(), input));
    until("three records", || numbers(&fluent_bit).len() >= 3);
    assert!(fluent_bit.stop().0.success());
}

#[test]
fn an_unknown_option_and_a_bad_value_are_refused_by_name() {
    let Some(executable) = fluent_bit::find() else { return };
    let plugin = example().to_str().expect("a plain path");
    let run = |property| {
        let arguments = ["-e", plugin, "-i", "example", "-p", property, "-o", "null"];
        let output = fluent_bit::run(&executable, &arguments);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let text = run("greting=x");
    assert!(text.contains("'greting'") && text.contains("greeting"), "{text}");
    let text = run("interval_sec=often");
    assert!(text.contains("`interval_sec`: \"often\" is not a time"), "{text}");
    assert!(text.contains("[input:example:example.0]"), "{text}");
}

#[test]
fn own_tags_and_an_alias_reach_the_outputs_and_the_metrics() {
    let Some(executable) = fluent_bit::find() else { return };
    let input = "    - { name: trap, alias: mine, batches: 5, own_tags: on }";
    let fluent_bit = FluentBit::start(&executable, &config(trap(), input));
    until("all events", || bodies(&fluent_bit).len() == 10);
    let tags: BTreeSet<String> = bodies(&fluent_bit).into_iter().map(|(tag, _)| tag).collect();
    assert_eq!(tags, (0..5).map(|n| format!("trap.{n}")).collect());
    let odd = "fluentbit_input_trap_kinds_total{name=\"mine\",kind=\"odd\"}";
    until("the metric follows", || fluent_bit.metric(odd) == Some(2.0));
    fluent_bit.wait_for_log("[input:trap:mine] settled 4");
}

/// Reads JSON lines from whoever connects, until `is_enough`.
fn receive(listener: &TcpListener, is_enough: impl Fn(&BTreeMap<u64, usize>) -> bool) {
    let (sender, lines) = mpsc::channel();
    let listener = listener.try_clone().expect("a second handle");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let body: Value = serde_json::from_str(&line).unwrap_or_default();
                    // The test may be over.
                    let _ = body["n"].as_u64().map(|n| sender.send(n));
                }
            });
        }
    });
    let mut counts = BTreeMap::new();
    until("everything arrives", || {
        lines.try_iter().for_each(|n| *counts.entry(n).or_default() += 1);
        is_enough(&counts)
    });
}

#[test]
fn two_instances_with_a_small_buffer_and_a_dead_output_lose_nothing() {
    let Some(executable) = fluent_bit::find() else { return };
    // Nobody listens there yet, and connections are refused: the output tries again and again.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    drop(listener);
    let inputs = "    - { name: trap, alias: one, batches: 3000, mem_buf_limit: 20K }\n    \
                  - { name: trap, alias: two, batches: 300 }";
    let config = config(trap(), inputs)
        .replace("  grace: 5", "  grace: 5\n  scheduler.base: 1\n  scheduler.cap: 1")
        .replace("name: file,", "name: tcp, host: 127.0.0.1, format: json_lines,")
        .replace(
            "path: '{dir}', file: out",
            &format!("port: {}, retry_limit: no_limits", address.port()),
        );
    let fluent_bit = FluentBit::start(&executable, &config);
    fluent_bit.wait_for_log("[input:trap:one] paused");
    fluent_bit.wait_for_log("[input:trap:two] settled 299");
    assert!(!fluent_bit.log().contains("[input:trap:two] paused"), "the other was left alone");
    let listener = TcpListener::bind(address).expect("the port is still free");
    receive(&listener, |counts| {
        let at_least = |n, count| counts.get(&n).is_some_and(|&arrived| arrived >= count);
        (0..600).all(|n| at_least(n, 2)) && (600..6_000).all(|n| at_least(n, 1))
    });
    assert!(!fluent_bit.log().contains("returned"));
}

#[test]
fn hot_reloads_lose_and_leave_nothing_behind() {
    let Some(executable) = fluent_bit::find() else { return };
    let inputs = "    - { name: example, alias: one, interval_sec: 1 }\n    \
                  - { name: example, alias: two, interval_sec: 1 }";
    let mut fluent_bit = FluentBit::start(&executable, &config(example(), inputs));
    for round in 1..=3 {
        let before = bodies(&fluent_bit).len();
        until("events flow", || bodies(&fluent_bit).len() > before);
        fluent_bit.reload();
        let stopped = || fluent_bit.log().matches("greetings arrived").count();
        until("the old workers have stopped", || stopped() == 2 * round);
    }
    let before = bodies(&fluent_bit).len();
    until("events flow", || bodies(&fluent_bit).len() > before);
    let threads = fs::read_dir(format!("/proc/{}/task", fluent_bit.pid())).expect("threads");
    let workers = threads.filter(|thread| {
        let path = thread.as_ref().expect("a thread").path().join("comm");
        fs::read_to_string(path).is_ok_and(|name| name.starts_with("w-example"))
    });
    assert_eq!(workers.count(), 2);
    assert!(fluent_bit.stop().0.success());
}

#[test]
fn a_stop_in_the_middle_ends_in_time_and_settles_only_what_arrived() {
    let Some(executable) = fluent_bit::find() else { return };
    let input = "    - { name: trap, batches: 1000000 }";
    let mut fluent_bit = FluentBit::start(&executable, &config(trap(), input));
    until("it runs", || settled(&fluent_bit) > 100);
    let (status, took) = fluent_bit.stop();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(8), "{took:?}");
    let arrived: BTreeSet<u64> = numbers(&fluent_bit).into_iter().collect();
    let settled = settled(&fluent_bit);
    assert!((0..2 * settled).all(|n| arrived.contains(&n)), "{settled} batches had settled");
}

#[test]
fn a_kill_with_chunks_in_files_loses_nothing_that_settled() {
    let Some(executable) = fluent_bit::find() else { return };
    let input = "    - { name: trap, batches: 1000000, storage.type: filesystem }";
    let mut fluent_bit = FluentBit::start(&executable, &config(trap(), input));
    until("it runs", || settled(&fluent_bit) > 100);
    fluent_bit.kill();
    let settled = settled(&fluent_bit);
    // The same again, sending nothing: what comes was in the chunks. (With another storage type
    // the host would leave them where they are.)
    let input = "    - { name: trap, batches: 0, storage.type: filesystem }";
    fluent_bit.configure(&config(trap(), input));
    fluent_bit.restart();
    until("what had settled arrives", || {
        let arrived: BTreeSet<u64> = numbers(&fluent_bit).into_iter().collect();
        (0..2 * settled).all(|n| arrived.contains(&n))
    });
}

/// Takes what a `tcp` output sends and keeps the numbers. Unlike `file`, that output needs no new
/// descriptor for each chunk, and tries again.
struct Sink {
    port: u16,
    numbers: Arc<Mutex<BTreeSet<u64>>>,
}

impl Sink {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound address").port();
        let numbers = Arc::<Mutex<BTreeSet<u64>>>::default();
        let kept = Arc::clone(&numbers);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || {
                    for line in BufReader::new(stream).lines().map_while(Result::ok) {
                        let body: Value = serde_json::from_str(&line).unwrap_or_default();
                        kept.lock().expect("no panic").extend(body["n"].as_u64());
                    }
                });
            }
        });
        Self { port, numbers }
    }

    /// Batches of one length, each under a tag of its own and so in a chunk of its own.
    fn alike(&self) -> String {
        let input = "    - { name: trap, mode: alike, batches: 1000000, own_tags: on, \
                     storage.type: filesystem }";
        let to = format!(
            "name: tcp, host: 127.0.0.1, port: {}, format: json_lines, retry_limit: no_limits",
            self.port
        );
        config(trap(), input)
            .replace("  grace: 5", "  grace: 5\n  scheduler.base: 1\n  scheduler.cap: 1")
            .replace("name: file, match: '*', path: '{dir}', file: out", &(to + ", match: '*'"))
    }

    /// What has settled is there, or on its way.
    #[track_caller]
    fn assert_settled_arrive(&self, fluent_bit: &FluentBit) {
        let settled = settled(fluent_bit);
        until("what has settled arrives", || {
            let arrived = self.numbers.lock().expect("no panic");
            (100_000..100_000 + settled).all(|n| arrived.contains(&n))
        });
    }

    /// While `shorten` keeps the host from creating chunks, a few times over, nothing is lost that
    /// settles.
    fn assert_shortage_is_noticed(
        &self,
        fluent_bit: &mut FluentBit,
        shorten: impl Fn(&FluentBit),
        relieve: impl Fn(&FluentBit),
    ) {
        let dropped = |log: &str| log.matches("no available chunk").count();
        for _ in 0..3 {
            let before = settled(fluent_bit);
            until("batches settle", || before + 12 <= settled(fluent_bit));
            let before = dropped(&fluent_bit.log());
            until("some find no chunk", || {
                // Again and again: chunks that are delivered make room.
                shorten(fluent_bit);
                before + 2 <= dropped(&fluent_bit.log())
            });
            relieve(fluent_bit);
            self.assert_settled_arrive(fluent_bit);
        }
        let before = settled(fluent_bit);
        until("batches settle", || before + 12 <= settled(fluent_bit));
        assert!(fluent_bit.stop().0.success());
        self.assert_settled_arrive(fluent_bit);
        let log = fluent_bit.log();
        assert!(log.contains("returned"), "nothing was noticed");
        assert!(!log.contains("changes what is counted"), "a loss is no processor");
    }
}

#[test]
fn batches_of_one_length_that_find_no_descriptor_are_not_taken_for_others() {
    let Some(executable) = fluent_bit::find() else { return };
    let sink = Sink::start();
    let mut fluent_bit = FluentBit::start(&executable, &sink.alike());
    sink.assert_shortage_is_noticed(
        &mut fluent_bit,
        |fluent_bit| fluent_bit.limit_files(Some(1)),
        |fluent_bit| fluent_bit.limit_files(None),
    );
}

#[test]
fn batches_of_one_length_that_find_no_inode_are_not_taken_for_others() {
    let Some(executable) = fluent_bit::find() else { return };
    let (sink, disk) = (Sink::start(), "nr_inodes=200,size=200m");
    let started = FluentBit::start_on_disk(&executable, &sink.alike(), disk);
    let Some(mut fluent_bit) = started else { return };
    let made = Cell::new(0);
    sink.assert_shortage_is_noticed(
        &mut fluent_bit,
        |fluent_bit| {
            let fillers = fluent_bit.storage().join("fillers");
            let _ = fs::create_dir(&fillers); // It may be there, or not find an inode itself.
            let fills = || {
                made.set(made.get() + 1);
                fs::write(fillers.join(made.get().to_string()), "").is_ok()
            };
            assert!((0..1_000).any(|_| !fills()), "there is no end of inodes");
        },
        |fluent_bit| fs::remove_dir_all(fluent_bit.storage().join("fillers")).expect("fillers"),
    );
}

#[test]
fn batches_of_one_length_that_find_no_space_for_a_chunk_are_not_taken_for_others() {
    let Some(executable) = fluent_bit::find() else { return };
    let (sink, disk) = (Sink::start(), "size=32m");
    let started = FluentBit::start_on_disk(&executable, &sink.alike(), disk);
    let Some(mut fluent_bit) = started else { return };
    sink.assert_shortage_is_noticed(
        &mut fluent_bit,
        |fluent_bit| {
            let filler = fluent_bit.storage().join("filler");
            let filler = fs::File::options().create(true).append(true).open(filler);
            let filled = std::io::copy(&mut std::io::repeat(0), &mut filler.expect("a filler"));
            assert!(filled.is_err(), "there is no end of the disk");
        },
        |fluent_bit| fs::remove_file(fluent_bit.storage().join("filler")).expect("a filler"),
    );
}

/// With a Lua filter that holds the engine for this long at every event.
fn with_slow_filter(config: &str, seconds: &str) -> String {
    let code = format!(
        "function slow(tag, ts, record) local t = os.clock() while os.clock() - t < {seconds} do \
         end return 0, ts, record end"
    );
    let filter =
        format!("  filters:\n    - {{ name: lua, match: '*', call: slow, code: '{code}' }}\n");
    config.replace("  outputs:\n", &format!("{filter}  outputs:\n"))
}

#[test]
fn a_kill_while_a_filter_holds_the_last_batch_loses_nothing_that_settled() {
    let Some(executable) = fluent_bit::find() else { return };
    let input = "    - { name: trap, batches: 1, storage.type: filesystem }";
    let slow = with_slow_filter(&config(trap(), input), "1");
    assert_kept(&executable, &slow, "settled 0", 2);
}

/// After a kill at the moment of which the log tells, so many records arrive without the filter.
#[track_caller]
fn assert_kept(executable: &Path, slow: &str, moment: &str, records: usize) {
    let mut fluent_bit = FluentBit::start(executable, slow);
    fluent_bit.wait_for_log(moment);
    fluent_bit.kill();
    let input = "    - { name: trap, batches: 0, storage.type: filesystem }";
    fluent_bit.configure(&config(trap(), input));
    fluent_bit.restart();
    until("what had settled arrives", || numbers(&fluent_bit).len() >= records);
}

#[test]
fn without_the_gauges_of_the_storage_time_settles_and_a_slow_filter_makes_it_wait() {
    let Some(executable) = fluent_bit::find() else { return };
    let input = "    - { name: trap, batches: 2, storage.type: filesystem }";
    let slow = with_slow_filter(&config(trap(), input), "1");
    let slow = slow.replace("  flush: 0.2\n", "  flush: 0.2\n  storage.metrics: off\n");
    assert_kept(&executable, &slow, "settled 1", 4);
}

/// Conditional routes: the host counts what the condition matches, and then everything again.
fn with_routes(input: &str, least: u32) -> String {
    let input = format!(
        "{input}\n      routes:\n        logs:\n          \
         - {{ name: all, to: {{ outputs: [ all ] }} }}\n          \
         - name: special\n            condition:\n              op: and\n              \
         rules: [ {{ field: $n, op: gte, value: {least} }} ]\n            \
         to: {{ outputs: [ special ] }}\n"
    );
    config(trap(), &input).replace(
        "- { name: file, match: '*', path: '{dir}', file: out, workers: 1 }",
        "- { name: file, alias: all, match: none, path: '{dir}', file: out, workers: 1 }\n    \
         - { name: file, alias: special, match: none, path: '{dir}', file: special, workers: 1 }",
    )
}

#[test]
fn conditional_routes_are_noticed_and_nothing_is_returned() {
    let Some(executable) = fluent_bit::find() else { return };
    let config = with_routes("    - name: trap\n      batches: 3", 0);
    let fluent_bit = FluentBit::start(&executable, &config);
    fluent_bit.wait_for_log("a processor or a conditional route changes what is counted");
    fluent_bit.wait_for_log("settled 2");
    until("everything arrives", || numbers(&fluent_bit) == [0, 1, 2, 3, 4, 5]);
    assert!(!fluent_bit.log().contains("returned"));
}

#[test]
fn conditional_routes_hold_up_no_crowd_of_small_batches() {
    let Some(executable) = fluent_bit::find() else { return };
    let config = with_routes("    - name: trap\n      batches: 3000", 3_000);
    let fluent_bit = FluentBit::start(&executable, &config);
    fluent_bit.wait_for_log("a processor or a conditional route changes what is counted");
    // One at a time and a gauge each 5 s would take hours.
    until("all settle", || settled(&fluent_bit) == 3_000);
    let arrived: BTreeSet<u64> = numbers(&fluent_bit).into_iter().collect();
    assert!((0..6_000).all(|n| arrived.contains(&n)));
}

#[test]
fn conditional_routes_that_pause_the_input_lose_nothing_that_settled() {
    let Some(executable) = fluent_bit::find() else { return };
    // The host drops a batch as a whole if what the condition matches of it pauses the input.
    let input = "    - name: trap\n      batches: 3000\n      mem_buf_limit: 3K";
    let config = with_routes(input, 20).replace("flush: 0.2", "flush: 6");
    let mut fluent_bit = FluentBit::start(&executable, &config);
    fluent_bit.wait_for_log("trap.0 is paused, cannot append records");
    until("what cannot be right is noticed", || {
        settled(&fluent_bit) >= 20 || fluent_bit.log().contains("returned 0")
    });
    let (status, _) = fluent_bit.stop();
    assert!(status.success(), "{status}");
    let arrived: BTreeSet<u64> = numbers(&fluent_bit).into_iter().collect();
    let settled = settled(&fluent_bit);
    let missing: Vec<u64> = (0..2 * settled).filter(|n| !arrived.contains(n)).collect();
    assert!(missing.is_empty(), "{missing:?}: {settled} batches had settled");
}

#[test]
fn bodies_as_deep_as_the_documented_limit_arrive_and_deeper_ones_do_not() {
    let Some(executable) = fluent_bit::find() else { return };
    let max = u64::try_from(BODY_DEPTH_MAX_FROM_4_1).expect("a small number");
    let input = format!("    - {{ name: trap, mode: deep, batches: {} }}", max + 1);
    let mut fluent_bit = FluentBit::start(&executable, &config(trap(), &input));
    // The host takes the deeper one too; what becomes of it shows when outputs decode it.
    // Its tickets begin with 1.
    until("the host has taken them", || settled(&fluent_bit) == max + 2);
    let expected: BTreeSet<u64> = (1..=max).chain(1_001..=1_000 + max).collect();
    fluent_bit.stop();
    let arrived: BTreeSet<u64> = numbers(&fluent_bit).into_iter().collect();
    assert_eq!(arrived, expected, "the host stops at the deeper one");
}

#[test]
fn threaded_off_works() {
    let Some(executable) = fluent_bit::find() else { return };
    let input = "    - { name: trap, batches: 50, threaded: off }";
    let mut fluent_bit = FluentBit::start(&executable, &config(trap(), input));
    fluent_bit.wait_for_log("settled 49");
    until("all events", || numbers(&fluent_bit) == (0..100).collect::<Vec<_>>());
    assert!(fluent_bit.stop().0.success());
}

#[test]
fn a_processor_that_drops_records_is_noticed_and_nothing_is_returned() {
    let Some(executable) = fluent_bit::find() else { return };
    let input = "    - name: trap\n      batches: 4\n      processors:\n        logs:\n          \
                 - { name: grep, regex: 'text ^event [0246]$' }";
    let fluent_bit = FluentBit::start(&executable, &config(trap(), input));
    fluent_bit.wait_for_log("a processor or a conditional route changes what is counted");
    fluent_bit.wait_for_log("settled 3");
    until("what is left arrives", || numbers(&fluent_bit) == [0, 2, 4, 6]);
    assert!(!fluent_bit.log().contains("returned"));
}
