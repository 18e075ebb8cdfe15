//! `m365-audit host`: runs the collector as a WASM component, in a sandbox. Same options, same
//! state file, same output as `m365-audit run`.
//!
//! wasmtime is behind the feature `host`: it takes minutes to compile, and who tries the demo or
//! builds the plugin needs none of it. Releases have it, and the component inside.

#[cfg(feature = "host")]
mod built;
#[cfg(feature = "host")]
mod many;
#[cfg(feature = "host")]
mod metrics;
#[cfg(feature = "host")]
mod outlet;
#[cfg(feature = "host")]
mod parts;
#[cfg(feature = "host")]
mod sink;

use clap::builder::ValueParser;
use clap::{Arg, ArgMatches, Command};
use m365_audit_core::options::HOST_OPTIONS;

use crate::{arguments, run};

const ABOUT: &str = "Run the collector as a WASM component, in a sandbox";

const AFTER_HELP: &str = "\
The component sees no file, no environment and no network but the addresses of the configuration:
the authority that gives tokens (cloud, login_url), the API (cloud, api_url), the portal of the
activities (portal_url) and a managed identity's endpoint, each only where it is used. Its state is
the same --db as that of `m365-audit run`, which may go on where this stopped, and the other way
round. With --tenants-file each tenant has an instance of its own, with memory of its own;
--tenant-id takes one of them alone.

Examples:
  Records as lines in a file:

    export M365_AUDIT_CLIENT_SECRET=...
    m365-audit host run --config m365-audit.toml --db state.db --output audit.ndjson

  To a Fluent Bit or Fluentd that listens with its input `forward`, acknowledged end to end. On
  Fluent Bit's side: `-i forward -p shared_key=...`; on Fluentd's: <source> @type forward <security>

    export M365_AUDIT_FORWARD_SHARED_KEY=...
    m365-audit host run --config m365-audit.toml --db state.db --sink forward \\
        --forward-address logs.example:24224 --forward-tls on --forward-tag m365

  Whether everything would work, without collecting anything:

    m365-audit host check --config m365-audit.toml

Exit codes: 0 complete, 1 failed or incomplete, 2 wrong configuration or component.";

pub(crate) fn command() -> Command {
    let component = || {
        Arg::new("component")
            .long("component")
            .env("M365_AUDIT_COMPONENT")
            .value_name("FILE")
            .value_parser(ValueParser::path_buf())
            .default_value("builtin")
            .help("The component: a .wasm file, or `builtin` for the one inside this program")
    };
    let all = |command: Command| {
        command
            .arg(component())
            .args(run::args())
            .args(arguments::sink_args())
            .args(arguments::output_args())
            .args(arguments::args_of(HOST_OPTIONS.iter(), "WASM host"))
            .args(arguments::args().filter(|arg| !arguments::receives(arg.get_id().as_str())))
            .after_help(AFTER_HELP)
    };
    Command::new("host")
        .about(ABOUT)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(AFTER_HELP)
        .subcommands([
            all(Command::new("run").about("Collect, as `m365-audit run` does, through a component")),
            all(Command::new("check").about(
                "Try a configuration: the component signs in and looks at the subscriptions, the \
                 sink's receiver is connected to; nothing is collected",
            )),
            Command::new("describe")
                .about("Print what the component says about itself, as JSON")
                .arg(component()),
        ])
}

/// Does what is asked, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    #[cfg(feature = "host")]
    return built::main(matches);
    #[cfg(not(feature = "host"))]
    return absent(matches);
}

/// Says that this program was built without wasmtime.
#[cfg(not(feature = "host"))]
fn absent(_: &ArgMatches) -> u8 {
    use std::io::Write;
    // Nothing can be told any more if stderr is gone.
    drop(std::io::stderr().write_all(
        b"this program was built without the WASM host; remedy: take a released one, or build it \
          with `cargo build --release --package m365-audit --features host`\n",
    ));
    crate::exit::MISCONFIGURED
}
