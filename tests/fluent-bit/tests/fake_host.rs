//! The SDK against a host that makes every call and every mistake of Fluent Bit.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fluent_bit_plugin_harness::fake::{FakeInput, Host, Instance, Processor, Section, Version};
use fluent_bit_plugin_harness::{build, export_host_functions, until};

export_host_functions!();

fn trap() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build::example("in_trap")).clone()
}

fn host() -> Host {
    Host::load(&trap(), Version::V5_1_1)
}

fn start(host: &Host, section: Section) -> Instance {
    match host.start(section) {
        Ok(instance) => instance,
        Err((code, input)) => panic!("Init: {code}, {:?}", input.log()),
    }
}

/// The numbers in the events that arrived.
fn numbers(input: &FakeInput) -> Vec<u64> {
    input.events().iter().map(|event| event[1]["n"].as_u64().expect("a number")).collect()
}

fn settled(input: &FakeInput) -> usize {
    input.log().iter().filter(|line| line.contains("] settled ")).count()
}

#[track_caller]
fn run_until_settled(instance: &Instance, batches: usize) {
    until("everything settles", || {
        instance.turn();
        settled(&instance.input) >= batches
    });
}

/// Ends an instance and checks that the host was not misused.
#[track_caller]
fn finish(instance: Instance) -> Duration {
    let input = std::sync::Arc::clone(&instance.input);
    let took = instance.exit(false);
    assert_eq!(input.faults(), Vec::<String>::new(), "{:#?}", input.log());
    took
}

#[test]
fn everything_arrives_once_in_order_and_settles() {
    for version in [Version::V2_2, Version::V5_0, Version::V5_1_1] {
        let host = Host::load(&trap(), version);
        let instance = start(&host, Section::new());
        run_until_settled(&instance, 10);
        assert_eq!(numbers(&instance.input), (0..20).collect::<Vec<_>>(), "{version:?}");
        finish(instance);
    }
}

#[test]
fn options_are_declared_only_where_there_is_room_for_them() {
    assert_eq!(Host::load(&trap(), Version::V2_2).options(), None);
    assert_eq!(Host::load(&trap(), Version::V5_0).options(), None);
    let options = host().options().expect("5.1.1 has a config map");
    assert_eq!(options[0], ("mode".to_owned(), Some("count".to_owned())));
    assert_eq!(options.len(), 6);
}

#[test]
fn nothing_settles_while_it_lies_in_the_ring_buffer() {
    let host = host();
    let instance = start(&host, Section::new().set("batches", "1"));
    until("the batch is handed over", || {
        instance.collect();
        instance.input.ring_len() == 1
    });
    for _ in 0..20 {
        instance.collect();
    }
    assert_eq!(settled(&instance.input), 0);
    run_until_settled(&instance, 1);
    finish(instance);
}

#[test]
fn what_is_counted_at_the_exit_settles_and_the_rest_does_not() {
    let host = host();
    let instance = start(&host, Section::new());
    run_until_settled(&instance, 10);
    finish(instance);

    let instance = start(&host, Section::new().set("batches", "1"));
    let input = std::sync::Arc::clone(&instance.input);
    until("the batch is handed over", || {
        instance.collect();
        input.ring_len() == 1
    });
    input.engine();
    finish(instance);
    assert_eq!(settled(&input), 1, "counted while the engine waits");

    let instance = start(&host, Section::new().set("batches", "1"));
    let input = std::sync::Arc::clone(&instance.input);
    until("the batch is handed over", || {
        instance.collect();
        input.ring_len() == 1
    });
    finish(instance);
    assert_eq!(settled(&input), 0, "the host frees its ring buffer");
    assert!(input.logged("told to stop"));
}

#[test]
fn own_tags_reach_the_host_and_so_does_the_default_tag() {
    let host = host();
    let instance = start(&host, Section::new().set("own_tags", "on").set("batches", "2"));
    run_until_settled(&instance, 2);
    let tags: Vec<_> = instance.input.chunks().into_iter().map(|chunk| chunk.tag).collect();
    assert_eq!(tags, [Some("trap.0".to_owned()), Some("trap.1".to_owned())]);
    finish(instance);

    let instance = start(&host, Section::new().set("batches", "1"));
    run_until_settled(&instance, 1);
    assert_eq!(instance.input.chunks()[0].tag, None);
    finish(instance);
}

#[test]
fn batches_of_one_length_that_are_dropped_are_not_taken_for_others() {
    for pattern in [2, 3, 5] {
        let host = host();
        let section =
            Section::new().set("mode", "alike").set("batches", "60").set("lost_after", "1s");
        let instance = start(&host, section.set("own_tags", "on"));
        let input = &instance.input;
        let check = || {
            let arrived = numbers(input);
            let settled = u64::try_from(settled(input)).expect("small");
            let missing: Vec<u64> =
                (100_000..100_000 + settled).filter(|n| !arrived.contains(n)).collect();
            assert!(missing.is_empty(), "{missing:?} settled and are not there");
            settled
        };
        // The first ones arrive, so that the host is trusted.
        until("the first arrive", || {
            instance.turn();
            5 <= numbers(input).len()
        });
        let (mut at, mut drops) = (0, 0);
        until("some are dropped", || {
            input.engine_taking(|_| {
                at += 1;
                drops += usize::from(at % pattern == 0);
                at % pattern != 0
            });
            instance.own_collectors();
            instance.collect();
            3 <= drops || check() == 60
        });
        assert!(3 <= drops, "only {drops} were dropped");
        until("everything settles", || {
            instance.turn();
            check() == 60
        });
        finish(instance);
    }
}

#[test]
fn small_batches_of_one_tag_are_handed_over_together() {
    let host = host();
    let instance = start(&host, Section::new().set("batches", "500"));
    run_until_settled(&instance, 500);
    let appends = instance.input.chunks().len();
    assert!(appends <= 50, "{appends} appends for 500 batches");
    assert_eq!(numbers(&instance.input), (0..1_000).collect::<Vec<_>>());
    finish(instance);
}

#[test]
fn a_full_ring_buffer_costs_nothing_but_time() {
    let host = host();
    let instance = start(&host, Section::new());
    instance.input.ring_capacity.store(2, Ordering::Relaxed);
    run_until_settled(&instance, 10);
    assert_eq!(numbers(&instance.input), (0..20).collect::<Vec<_>>());
    finish(instance);
}

#[test]
fn what_the_engine_loses_is_produced_again() {
    let host = host();
    let instance = start(&host, Section::new().set("lost_after", "1s"));
    run_until_settled(&instance, 10);
    finish(instance);

    let instance = start(&host, Section::new().set("lost_after", "1s").set("batches", "3"));
    until("they are handed over", || {
        instance.collect();
        instance.input.ring_len() == 1
    });
    instance.input.engine_loses();
    run_until_settled(&instance, 3);
    assert!(instance.input.logged("returned 0"), "{:#?}", instance.input.log());
    assert_eq!(numbers(&instance.input), (0..6).collect::<Vec<_>>(), "in order, none twice");
    assert_eq!(
        instance.input.metric("fluentbit_input_trap_batches_returned_total{trap.0}"),
        Some(1.0)
    );
    finish(instance);
}

#[test]
fn processors_that_drop_everything_hold_nothing_up() {
    let host = host();
    let instance = start(&host, Section::new());
    instance.input.process(Processor::DropAll);
    run_until_settled(&instance, 10);
    assert_eq!(instance.input.events().len(), 0);
    finish(instance);
}

#[test]
fn processors_that_drop_some_slow_it_down_and_lose_nothing() {
    let host = host();
    let instance = start(&host, Section::new().set("batches", "3"));
    instance.input.process(Processor::DropHalf);
    run_until_settled(&instance, 3);
    assert!(instance.input.logged("changes what is counted"), "{:#?}", instance.input.log());
    assert_eq!(instance.input.events().len(), 3);
    assert!(!instance.input.logged("returned"));
    finish(instance);
}

#[test]
fn a_commit_delay_outlasts_the_ring_buffer() {
    let host = host();
    let instance = start(&host, Section::new().set("commit_delay", "1h").set("batches", "3"));
    let input = std::sync::Arc::clone(&instance.input);
    until("all three arrive", || {
        instance.turn();
        input.events().len() == 6
    });
    instance.turn();
    finish(instance);
    assert_eq!(settled(&input), 0);
}

#[test]
fn nothing_is_handed_over_while_paused_and_pause_may_come_twice() {
    let host = host();
    let instance = start(&host, Section::new().set("batches", "1000"));
    until("it runs", || {
        instance.turn();
        settled(&instance.input) > 0
    });
    instance.pause();
    instance.pause();
    instance.input.engine();
    let before = instance.input.events().len();
    for _ in 0..5 {
        instance.turn();
    }
    assert_eq!(instance.input.events().len(), before);
    instance.resume();
    run_until_settled(&instance, 1_000);
    assert_eq!(instance.input.events().len(), 2_000);
    finish(instance);
}

#[test]
fn pause_stops_the_instance_that_is_meant() {
    let host = host();
    let first = start(&host, Section::new().alias("first"));
    let last = start(&host, Section::new().alias("last"));
    first.pause();
    assert!(!first.is_collecting(), "the right one");
    assert!(last.is_collecting(), "and no other");
    first.resume();
    assert!(first.is_collecting());
    run_until_settled(&first, 10);
    run_until_settled(&last, 10);
    finish(last);
    finish(first);
}

#[test]
fn an_older_host_stops_the_wrong_timer_and_nothing_is_lost() {
    let host = Host::load(&trap(), Version::V2_2);
    let first = start(&host, Section::new().alias("first"));
    let last = start(&host, Section::new().alias("last"));
    first.pause();
    assert!(first.is_collecting(), "the host's mistake");
    assert!(!last.is_collecting(), "the host's mistake");
    let before = first.input.ring_len();
    first.collect();
    assert_eq!(first.input.ring_len(), before, "paused all the same");
    first.resume();
    run_until_settled(&first, 10);
    run_until_settled(&last, 10);
    finish(last);
    finish(first);
}

#[test]
fn two_instances_know_nothing_of_each_other() {
    let host = host();
    let one = start(&host, Section::new().alias("one").set("batches", "4"));
    let two = start(&host, Section::new().alias("two").set("batches", "7"));
    run_until_settled(&one, 4);
    run_until_settled(&two, 7);
    assert_eq!(one.input.events().len(), 8);
    assert_eq!(two.input.events().len(), 14);
    assert_eq!(one.input.metric("fluentbit_input_trap_sent_total{one}"), Some(4.0));
    finish(one);
    assert_eq!(two.input.metric("fluentbit_input_trap_sent_total{two}"), Some(7.0));
    two.turn();
    finish(two);
}

#[test]
fn threaded_off_works_once_and_is_refused_for_a_second_instance_on_the_thread() {
    let host = host();
    let instance = start(&host, Section::new().on_engine());
    run_until_settled(&instance, 10);
    assert_eq!(numbers(&instance.input), (0..20).collect::<Vec<_>>());
    let (code, second) = instance.start_another_here(&host);
    assert_eq!(code, 0);
    assert!(second.iter().any(|line| line.contains("threaded off")), "{second:?}");
    finish(instance);
}

#[test]
fn a_pause_from_inside_an_append_is_not_forgotten() {
    let host = host();
    // Each under a tag of its own, or they would be one append.
    let section = Section::new().on_engine().set("batches", "20").set("own_tags", "on");
    let section = section.set("lost_after", "1s");
    let instance = start(&host, section);
    let input = &instance.input;
    // Past the first one, so that several are appended at once.
    input.pause_at.store(3, Ordering::Relaxed);
    until("the host pauses", || {
        instance.turn();
        !instance.is_collecting()
    });
    assert!(input.logged("paused"), "{:#?}", input.log());
    assert_eq!(input.chunks().len(), 3);
    let begin = std::time::Instant::now();
    until("what would count as lost, had it not been paused", || {
        begin.elapsed() > Duration::from_millis(1_500)
    });
    instance.resume();
    run_until_settled(&instance, 20);
    assert_eq!(numbers(&instance.input), (0..40).collect::<Vec<_>>(), "none twice");
    assert!(!instance.input.logged("returned"));
    assert!(!instance.input.logged("ring buffer is full"), "{:#?}", instance.input.log());
    finish(instance);
}

#[test]
fn a_hot_reload_registers_while_the_old_instance_runs() {
    let old = host();
    let instance = start(&old, Section::new());
    run_until_settled(&instance, 10);
    let new = old.reload();
    instance.turn();
    let input = std::sync::Arc::clone(&instance.input);
    instance.exit(true);
    assert_eq!(input.faults(), Vec::<String>::new());
    drop(old);
    let instance = start(&new, Section::new());
    run_until_settled(&instance, 10);
    finish(instance);
}

#[test]
fn an_exit_interrupts_a_worker_that_never_listens() {
    let host = host();
    let instance = start(&host, Section::new().set("mode", "deaf"));
    until("its queue is full", || {
        instance.collect();
        instance.input.ring_len() > 0
    });
    assert!(finish(instance) < Duration::from_millis(900));
}

#[test]
fn a_worker_that_hangs_is_left_behind_and_said_so() {
    let host = host();
    let instance = start(&host, Section::new().set("mode", "hang"));
    instance.turn();
    let input = std::sync::Arc::clone(&instance.input);
    finish(instance);
    assert!(input.errors().iter().any(|line| line.contains("did not stop")), "{:?}", input.log());
}

#[test]
fn a_failure_to_start_names_every_mistake() {
    let host = host();
    let (code, input) = host.start(Section::new().set("mode", "fail_new")).err().expect("it fails");
    assert!(code <= 0);
    let expected = ["[input:trap:trap.0] first mistake", "[input:trap:trap.0] second mistake"];
    assert_eq!(input.errors(), expected);
    let (_, input) = host.start(Section::new().set("batches", "many")).err().expect("it fails");
    assert!(input.errors()[0].contains("`batches`: \"many\" is not a whole number"));
}

#[test]
fn panics_stay_inside() {
    let host = host();
    let (code, input) =
        host.start(Section::new().set("mode", "panic_new")).err().expect("it fails");
    assert!(code <= 0);
    assert!(input.errors()[0].contains("panic while starting: in new"), "{:?}", input.log());

    for (mode, message) in [
        ("panic_run", "stopped collecting: panic: in run"),
        ("panic_log", "stopped collecting: panic: while printing"),
        ("fail_run", "stopped collecting: in run"),
        ("panic_waker", "in the waker"),
    ] {
        let instance = start(&host, Section::new().set("mode", mode));
        until(message, || {
            instance.turn();
            instance.input.errors().iter().any(|line| line.contains(message))
        });
        finish(instance);
    }
}

#[test]
fn a_waker_that_panics_in_every_callback_ends_neither_host_nor_exit() {
    let host = host();
    let instance = start(&host, Section::new().set("mode", "panic_waker"));
    for _ in 0..20 {
        instance.turn();
        instance.pause();
        instance.resume();
    }
    assert!(finish(instance) < Duration::from_secs(10));
}

#[test]
fn lines_of_foreign_threads_are_printed_by_the_input_thread_and_cannot_forge_others() {
    let host = host();
    let instance = start(&host, Section::new().set("mode", "log_thread"));
    until("the line", || {
        instance.turn();
        instance.input.logged("[input:trap:trap.0] from a foreign thread")
    });
    assert!(instance.input.logged("[input:trap:trap.0] forged [error] line"));
    finish(instance);
}

#[test]
fn the_log_level_of_the_section_holds() {
    let host = host();
    let instance = start(&host, Section::new().quiet());
    until("everything arrives", || {
        instance.turn();
        instance.input.events().len() == 20
    });
    let input = std::sync::Arc::clone(&instance.input);
    finish(instance);
    assert_eq!(input.log(), Vec::<String>::new());
}

#[test]
fn metrics_are_there_from_the_start_with_all_their_labels() {
    let host = host();
    let instance = start(&host, Section::new().alias("mine").set("batches", "3"));
    let metric = |series| instance.input.metric(series);
    assert_eq!(metric("fluentbit_input_trap_kinds_total{mine,odd}"), Some(0.0));
    run_until_settled(&instance, 3);
    assert_eq!(metric("fluentbit_input_trap_kinds_total{mine,odd}"), Some(1.0));
    assert_eq!(metric("fluentbit_input_trap_kinds_total{mine,even}"), Some(2.0));
    assert_eq!(metric("fluentbit_input_trap_sent_total{mine}"), Some(3.0));
    assert_eq!(metric("fluentbit_input_trap_batches_settled_total{mine}"), Some(3.0));
    finish(instance);
}
