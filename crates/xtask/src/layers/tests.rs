//! The check on small invented crates.

use std::collections::BTreeMap;

use super::judge::{Findings, judge};
use super::rows::Layered;
use super::tree::Crate;
use super::{line, unexcused};

const ROWS: Layered = Layered {
    name: "small",
    rows: &[&["base"], &["source"], &["audit", "activities"], &["collector"]],
    sources: &["audit", "activities", "CloudAppActivities"],
    list_of_sources: "source/feed.rs",
    exceptions: &[],
};

/// A crate in which each module of [`ROWS`] is there and empty, but for what `files` says.
fn found(files: &[(&str, &str)]) -> Findings {
    let root = "mod activities; mod audit; mod base; mod collector; mod source;";
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, text) in [("lib.rs", root)].iter().chain(files) {
        all.insert((*name).to_owned(), (*text).to_owned());
    }
    for name in ["activities", "audit", "base", "collector", "source"] {
        let head = format!("{name}/mod.rs");
        if !all.contains_key(&format!("{name}.rs")) {
            all.entry(head).or_default();
        }
    }
    judge(&Crate::read(&all).expect("these are crates"), &ROWS)
}

fn lines(files: &[(&str, &str)]) -> Vec<String> {
    let offences = found(files).offences;
    let short = |offence| line(offence, "small").replace("crates/small/src/", "");
    offences.iter().map(short).collect()
}

#[test]
fn an_import_points_down() {
    let up = "use crate::collector::{Collector, self};\nuse crate::base::Time;";
    let text = "audit/mod.rs:1: audit/mod.rs names collector/mod.rs: collector stands above audit";
    assert_eq!(lines(&[("audit/mod.rs", up)]), [text]);
    assert_eq!(
        lines(&[("collector/mod.rs", "use crate::{audit::Lane, base::{Time, Key}};")]),
        [""; 0]
    );
}

#[test]
fn modules_of_one_row_do_not_name_each_other() {
    let aside = "fn f() {\n    crate::audit::plan();\n}";
    let text = "activities/mod.rs:2: activities/mod.rs names audit/mod.rs: activities and audit \
                stand in one row";
    assert_eq!(lines(&[("activities/mod.rs", aside)]), [text]);
}

#[test]
fn a_name_is_looked_for_wherever_it_may_stand() {
    let up = "audit.rs:1: audit.rs names collector/mod.rs: collector stands above audit";
    for code in [
        "fn f(_: Vec<crate::collector::A>) {}",
        "fn f() { vec![1, super::collector::COUNT] }",
        "impl crate::collector::Trait for () {}",
        "mod inner { use super::super::collector::A; }",
        "#[derive(X)] struct A { #[serde(with = \"crate::collector::text\")] a: u8 }",
        "fn f() { use crate::{base, collector::*}; }",
        "macro_rules! m { () => { $crate::collector::A } }",
        "crate::collector::call!();",
    ] {
        assert_eq!(lines(&[("audit.rs", code)]), [up], "{code}");
    }
}

#[test]
fn what_only_documentation_tests_and_fuzz_targets_name_is_no_import() {
    let code = "/// See [`A`](crate::collector::A).\n#[cfg(test)] mod tests { use \
                crate::collector::A; }\n#[cfg(test)] use crate::collector::A;\n#[cfg(all(test, \
                unix))] mod tests;\n#[cfg(fuzzing)] mod fuzzing;\npub(in crate::audit) struct A { \
                a: collector::B }";
    assert_eq!(lines(&[("audit.rs", code)]), [""; 0]);
}

#[test]
fn a_name_that_is_passed_on_counts_as_what_defines_it() {
    let root = "mod activities; mod audit; mod base; mod collector; mod source;\npub use \
                source::Shown;";
    let files = [
        ("lib.rs", root),
        ("base/mod.rs", "mod time; pub(crate) use time::*; use crate::source::Up;"),
        ("base/time.rs", "pub(crate) struct Time;"),
        ("source/mod.rs", "mod desk; pub use desk::Desk as Shown; pub use crate::base::Time;"),
        ("source/desk.rs", "pub struct Desk;"),
        ("collector/mod.rs", "use crate::source::Time;"),
        ("audit/mod.rs", "use crate::Shown;"),
    ];
    let found = found(&files);
    let texts: Vec<_> = found.offences.iter().map(|offence| &*offence.text).collect();
    let root = "audit/mod.rs names lib.rs: nobody names the root of the crate (the name is defined \
                in source/desk.rs)";
    let up = "base/mod.rs names source/mod.rs: source stands above base";
    assert_eq!(texts, [root, up]);
    // audit and collector to where it is defined, base up, and each head to what it passes on.
    assert_eq!(found.figures.imports, 6);
    assert_eq!(found.figures.against, 2);
}

#[test]
fn nobody_inside_a_folder_names_its_head() {
    let files = [
        ("audit.rs", "mod lane; mod plan; use lane::Lane; struct Window;"),
        ("audit/lane.rs", "use super::Window; use super::plan::Plan;"),
        ("audit/plan.rs", "fn f(_: super::Lane) {}"),
        // Who is outside does.
        ("collector.rs", "use crate::audit::Window;"),
    ];
    let head = "what is inside a folder does not name its head";
    let defined = format!("audit/lane.rs:1: audit/lane.rs names audit.rs: {head}");
    let passed_on = format!(
        "audit/plan.rs:1: audit/plan.rs names audit.rs: {head} (the name is defined in \
         audit/lane.rs)"
    );
    let circle = "a circle of 2 files: audit/lane.rs, audit/plan.rs";
    let lane = format!("audit/lane.rs:1: audit/lane.rs names audit/plan.rs: {circle}");
    let plan = format!("audit/plan.rs:1: audit/plan.rs names audit/lane.rs: {circle}");
    assert_eq!(lines(&files), [defined, lane, passed_on, plan]);
}

#[test]
fn a_head_is_named_by_way_of_who_passes_it_on_too() {
    let files = [
        ("audit/mod.rs", "mod lane; mod plan; struct Window;"),
        ("audit/lane.rs", "pub use super::Window;"),
        ("audit/plan.rs", "use super::lane::Window;"),
    ];
    let offences = found(&files).offences;
    let keys: Vec<_> = offences.iter().map(|offence| offence.key()).collect();
    assert_eq!(keys, ["audit/lane.rs -> audit/mod.rs", "audit/plan.rs -> audit/mod.rs"]);
}

#[test]
fn files_of_a_folder_name_each_other_in_no_circle() {
    let files = [
        ("audit/mod.rs", "mod a; mod b; mod c; mod d;"),
        ("audit/a.rs", "use super::b::B;"),
        ("audit/b.rs", "use crate::audit::c::C;"),
        ("audit/c.rs", "fn f() { super::a::A::new() }"),
        ("audit/d.rs", "use super::a::A;"),
    ];
    let Findings { offences, figures } = found(&files);
    let keys: Vec<_> = offences.iter().map(|offence| offence.key()).collect();
    assert_eq!(
        keys,
        ["audit/a.rs -> audit/b.rs", "audit/b.rs -> audit/c.rs", "audit/c.rs -> audit/a.rs"]
    );
    let circle = ["audit/a.rs", "audit/b.rs", "audit/c.rs"].map(str::to_owned).to_vec();
    assert_eq!(figures.circles, [circle]);
}

/// A head does import the files of its own folder, by their bare names.
#[test]
fn a_circle_may_lead_through_the_head_of_a_folder_within() {
    let files = [
        ("audit/mod.rs", "mod filter; mod walk;"),
        ("audit/filter/mod.rs", "mod check; fn f() { check::all() }"),
        ("audit/filter/check.rs", "use crate::audit::walk::Walk;"),
        ("audit/walk.rs", "use super::filter::f;"),
    ];
    let circles = found(&files).figures.circles;
    let circle = ["audit/filter/check.rs", "audit/filter/mod.rs", "audit/walk.rs"];
    assert_eq!(circles, [circle.map(str::to_owned).to_vec()]);
}

#[test]
fn what_all_sources_share_knows_the_name_of_none() {
    let shared = "struct Counts {\n    activities: u64, // and audit\n}\nfn f(feed: Feed) -> bool \
                  {\n    feed == Feed::CloudAppActivities\n}\nmod feed;";
    let list = "enum Feed { CloudAppActivities, Audit }";
    let why = "all sources share it, so it knows the name of none";
    assert_eq!(
        lines(&[
            ("source/mod.rs", shared),
            ("source/feed.rs", list),
            ("collector.rs", "struct C { audit: u8 }"),
        ]),
        [
            format!("source/mod.rs:5: source/mod.rs names CloudAppActivities: {why}"),
            format!("source/mod.rs:2: source/mod.rs names activities: {why}"),
        ]
    );
}

#[test]
fn every_module_stands_in_a_row_and_every_name_of_a_row_is_a_module() {
    let files = [
        ("lib.rs", "mod audit; mod base; mod collector; mod source; mod extra;"),
        ("extra.rs", ""),
    ];
    let none = "lib.rs:1: declares no module `activities`, which stands in a row";
    assert_eq!(lines(&files), ["extra.rs:1: stands in no row", none]);
}

#[test]
fn an_exception_holds_as_long_as_there_is_the_offence() {
    let files = [("audit/mod.rs", "use crate::collector::A;")];
    let offences = found(&files).offences;
    let key = "audit/mod.rs -> collector/mod.rs";
    assert_eq!(unexcused(&offences, &[key], "small"), [""; 0]);
    assert_eq!(unexcused(&offences, &[], "small").len(), 1);
    let spare = unexcused(&offences, &[key, "base.rs -> audit.rs"], "small");
    assert!(matches!(&*spare, [line] if line.contains("base.rs -> audit.rs")), "{spare:?}");
}

#[test]
fn a_module_without_a_file_is_an_error() {
    let files = BTreeMap::from([("lib.rs".to_owned(), "mod gone;".to_owned())]);
    let error = Crate::read(&files).expect_err("there is no such file");
    assert_eq!(error.to_string(), "lib.rs: `mod gone` has no file");
}
