//! `cargo xtask …`: how this workspace is tried, tested, checked, measured and shipped. One module
//! a command. Holds nothing that is shipped.

#![forbid(unsafe_code)]

mod arguments;
mod artifacts;
mod bench;
mod ci;
mod component;
mod demo;
mod dist;
mod fluent_bit;
mod fuzz;
mod layers;
mod mutants;
mod options;
mod proc;
mod shell;
mod sim;
mod simulator;
mod test;

use std::process::ExitCode;
use std::time::Duration;

use crate::arguments::{Xtask, XtaskCmd};

fn main() -> ExitCode {
    match run(Xtask::from_env_or_exit()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::say(&format!("FAILED: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Xtask) -> anyhow::Result<()> {
    match arguments.subcommand {
        XtaskCmd::Demo(demo) => demo::run(&demo::Options {
            shipper: demo.shipper.unwrap_or_default(),
            seed: demo.seed.unwrap_or(1),
            days: demo.days.unwrap_or(7.0),
            events: demo.events.unwrap_or(120_000),
            faults: demo.faults.unwrap_or_else(|| "none".into()),
            live: demo.live,
            live_for: demo.seconds.map(Duration::from_secs),
        }),
        XtaskCmd::Test(_) => test::run(),
        XtaskCmd::Ci(ci) => ci::run(ci.without_tests),
        XtaskCmd::Layers(layers) => layers::show(layers.name.as_deref()),
        XtaskCmd::Options(options) => options::run(options.check),
        XtaskCmd::Bench(bench) => bench::run(bench.name.as_deref()),
        XtaskCmd::Component(component) => component::run(component.toolchain.unwrap_or_default()),
        XtaskCmd::Dist(dist) => {
            dist::run(&dist::Options { only: dist.only.as_deref(), built: dist.built.as_deref() })
        }
        XtaskCmd::Fuzz(fuzz) => {
            let seconds = fuzz.seconds.unwrap_or(fuzz::SECONDS);
            let (names, runs, minimise) = (fuzz.target, fuzz.runs, fuzz.minimise);
            fuzz::run(&fuzz::Options { names, seconds, runs, minimise })
        }
        XtaskCmd::Mutants(mutants) => {
            mutants::run(mutants.part.as_deref(), mutants.file.as_deref())
        }
        XtaskCmd::Sim(sim) => sim::run(sim.seeds.unwrap_or(2_000), sim.start.unwrap_or(0)),
    }
}
