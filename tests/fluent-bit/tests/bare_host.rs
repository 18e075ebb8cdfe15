//! The SDK against a host that exports nothing: no append, no metrics, no names.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use fluent_bit_plugin_harness::fake::{Host, Instance, Section, Version};
use fluent_bit_plugin_harness::{build, until};

fn trap() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build::example("in_trap")).clone()
}

fn start(host: &Host, section: Section) -> Instance {
    host.start(section).unwrap_or_else(|(code, input)| panic!("{code} {:?}", input.log()))
}

fn settled(instance: &Instance) -> usize {
    instance.input.log().iter().filter(|line| line.contains("] settled ")).count()
}

#[test]
fn everything_goes_through_the_callback_and_settles_after_a_while() {
    let versions = [Version::V2_2, Version::V5_0, Version::V5_1_1];
    let hosts = versions.map(|version| Host::load(&trap(), version));
    let instances = hosts.each_ref().map(|host| start(host, Section::new().set("own_tags", "on")));
    until("everything arrives", || {
        instances.iter().for_each(Instance::turn);
        instances.iter().all(|instance| instance.input.events().len() == 20)
    });
    assert!(instances.iter().all(|instance| settled(instance) == 0), "time has to pass");
    until("everything settles", || {
        instances.iter().for_each(Instance::turn);
        instances.iter().all(|instance| settled(instance) == 10)
    });
    for instance in instances {
        assert!(instance.input.chunks().iter().all(|chunk| chunk.tag.is_none()));
        let input = Arc::clone(&instance.input);
        instance.exit(false);
        assert_eq!(input.faults(), Vec::<String>::new());
        assert_eq!(input.events().len(), 20);
    }
}

#[test]
fn an_exit_settles_nothing_that_time_has_not_settled() {
    let host = Host::load(&trap(), Version::V5_1_1);
    let instance = start(&host, Section::new());
    let input = Arc::clone(&instance.input);
    until("everything arrives", || {
        instance.turn();
        input.events().len() == 20
    });
    instance.exit(false);
    assert!(!input.logged("settled"));
    assert!(input.logged("told to stop"));
}

#[test]
fn nothing_is_handed_over_while_paused() {
    let host = Host::load(&trap(), Version::V5_1_1);
    let instance = start(&host, Section::new());
    instance.pause();
    for _ in 0..20 {
        instance.turn();
    }
    assert_eq!(instance.input.events().len(), 0);
    instance.resume();
    until("everything arrives", || {
        instance.turn();
        instance.input.events().len() == 20
    });
    instance.exit(false);
}
