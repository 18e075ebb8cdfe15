//! The plugin in a host that makes the calls of several versions of Fluent Bit in their order, and
//! notices misuse.

use std::sync::Arc;
use std::time::Duration;

use fluent_bit_plugin_harness::fake::{Host, Instance, Version};
use fluent_bit_plugin_harness::{export_host_functions, until};
use m365_sim::ContentType;

use crate::pipeline::{Section, history, plugin, serve, tenant, tenant_id};
use crate::receiver::{Received, received};
use crate::truth::tally;

export_host_functions!();

fn start(host: &Host, section: &Section, folder: &std::path::Path) -> Instance {
    match host.start(section.faked(folder)) {
        Ok(instance) => instance,
        Err((code, input)) => panic!("Init: {code}, {:?}", input.log()),
    }
}

fn events(instance: &Instance) -> Vec<Received> {
    instance.input.events().iter().map(|event| received("m365", event)).collect()
}

/// Ends an instance: soon, and without misuse of the host.
#[track_caller]
fn finish(instance: Instance) {
    let input = Arc::clone(&instance.input);
    let took = instance.exit(false);
    assert_eq!(input.faults(), Vec::<String>::new(), "{:#?}", input.log());
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn hosts_of_all_versions_get_everything_once_and_the_next_start_continues() {
    let server = serve(history(40));
    let owed = server.microsoft().owed().count();
    for version in [Version::V2_2, Version::V5_0, Version::V5_1_1] {
        let folder = tempfile::tempdir().expect("a folder");
        let section = Section::new(&server, &tenant(&server, 0));
        let host = Host::load(plugin(), version);
        let instance = start(&host, &section, folder.path());
        let half = || instance.input.events().len() > owed / 2;
        until("half of it arrives", || {
            instance.turn();
            half()
        });
        instance.pause();
        instance.resume();
        until("all of it arrives", || {
            instance.turn();
            instance.input.logged("caught up") && events(&instance).len() >= owed
        });
        let tally = tally(&server, tenant_id(&server), &ContentType::ALL, &events(&instance));
        tally.assert_complete();
        assert_eq!(tally.duplicates, 0, "{version:?}: {tally}");
        finish(instance);

        let instance = start(&host, &section, folder.path());
        until("the next start lists content", || {
            instance.turn();
            instance.input.logged("Audit.General: listed")
        });
        assert!(instance.input.logged("continuing to collect"));
        assert_eq!(instance.input.events().len(), 0, "{version:?}: something came again");
        finish(instance);
    }
}

#[test]
fn a_stop_right_after_the_start_is_quick() {
    let server = serve(history(41));
    let folder = tempfile::tempdir().expect("a folder");
    let section = Section::new(&server, &tenant(&server, 0));
    let host = Host::load(plugin(), Version::V5_1_1);
    for _ in 0..3 {
        finish(start(&host, &section, folder.path()));
    }
}

#[test]
fn all_options_are_declared() {
    let host = Host::load(plugin(), Version::V5_1_1);
    assert_eq!(host.name(), "m365_audit");
    let declared = host.options().expect("5.1.1 has a config map");
    let known = m365_audit_core::options::OPTIONS;
    let known = known.iter().map(|o| (o.name.to_owned(), o.default.map(str::to_owned)));
    assert_eq!(declared, known.collect::<Vec<_>>());
}
