//! The command line: what can be asked for, and what `--help` says about it.

#![allow(missing_docs, reason = "the macro's types have none")]

use std::path::PathBuf;

use crate::component::Choice;
use crate::demo::Shipper;

xflags::xflags! {
    /// Try, test, check, measure and ship m365-audit. Needs Rust and a C compiler, nothing else.
    ///
    /// On a new machine begin with `cargo xtask demo`.
    cmd xtask {
        /// Watch seven days of a simulated tenant arrive: all of it, once, unchanged.
        ///
        /// Runs the collector in real Fluent Bit if one is found (FLUENT_BIT, PATH,
        /// /opt/fluent-bit/bin), else by itself. Fails if anything is missing.
        cmd demo {
            /// What runs the collector: auto, fluent-bit, native or wasm. Default: auto.
            optional --shipper shipper: Shipper
            /// Everything random follows from it. Default: 1.
            optional --seed seed: u64
            /// Days of history, at most 7. Default: 7.
            optional --days days: f64
            /// About how many events the history has. Default: 120000.
            optional --events events: u64
            /// What goes wrong: none, field, hostile, or a file for `m365-sim --faults`.
            /// Default: none.
            optional --faults faults: String
            /// Keep publishing, and show how long events take, until Ctrl-C.
            optional --live
            /// With --live: end after so many seconds.
            optional --seconds seconds: u64
        }
        /// Run every test there is: unit, simulation ring, ABI, real Fluent Bit, TLS, command line.
        cmd test {}
        /// Check everything that has to hold before a change lands, tests and demo included.
        cmd ci {
            /// Leave the tests out.
            optional --without-tests
        }
        /// Show how the imports of each crate stand: modules, imports, those against the direction,
        /// circles. With a name also each import that its rows do not allow.
        cmd layers {
            /// The folder of a crate below `crates`, such as core.
            optional name: String
        }
        /// Run worlds of the simulation ring: crashes, faults, failing sinks, clock jumps.
        cmd sim {
            /// How many. Default: 2000.
            optional --seeds seeds: u64
            /// The first seed. Default: 0.
            optional --start start: u64
        }
        /// Try inputs that nobody thought of on what reads, keeps account and redacts.
        ///
        /// Names: splitter, msgpack, redaction, ledger, state, filters, envelope, listings,
        /// certificates, webhook, forward, wit. Default: all. Needs a C++ compiler.
        cmd fuzz {
            /// How long each. Default: 10.
            optional --seconds seconds: u64
            /// How many inputs each, instead.
            optional --runs runs: u64
            /// Write the committed corpora anew from what was found so far.
            optional --minimise
            /// Which.
            repeated target: String
        }
        /// Change what decides about data, a little at a time: the tests have to notice each.
        ///
        /// Parts: sdk, store, core. Default: all, some hours on two cores. Needs cargo-mutants.
        cmd mutants {
            optional part: String
            /// Only files of this name, for instance ledger.rs.
            optional --file file: String
        }
        /// Measure what is promised of speed, memory and latency, against rivals in the same run.
        ///
        /// Names: expand, fluent-bit-cpu, memory, budget, latency, webhook, activities, tenants,
        /// wasm. Default: all, about 25 minutes on a quiet machine.
        cmd bench {
            optional name: String
        }
        /// Write tables of options, metrics and errors, and sample configurations, from the core's.
        cmd options {
            /// Write nothing; fail if something is out of date.
            optional --check
        }
        /// Build the WASM component into `component` of the target directory, and hold its size.
        ///
        /// Adds the target with rustup; where that cannot be, makes a private toolchain from
        /// Debian's packages in the user's cache.
        cmd component {
            /// Which compiler: auto, rustup or debian. Default: auto.
            optional --toolchain toolchain: Choice
        }
        /// Build what is released, with checksums, into `dist` of the target directory: for glibc
        /// 2.17 and newer, x86_64 and aarch64, as archives and packages.
        cmd dist {
            /// One processor alone: x86_64 or aarch64.
            optional --only processor: String
            /// Pack what was built before: a folder with in_m365_audit.so, m365-audit, m365-sim and
            /// m365_audit.wasm.
            optional --built folder: PathBuf
        }
    }
}
