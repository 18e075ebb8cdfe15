//! The command line: one module a command. Collects nothing itself; that is the client's.

#![forbid(unsafe_code)]

mod activities;
mod arguments;
mod calls;
mod check;
mod config_file;
mod consent;
mod content;
mod dlp_types;
mod doctor;
mod errors;
mod exit;
mod findings;
mod fluent_bit;
mod host;
mod log;
mod manual;
mod members;
mod memory;
mod monitoring;
mod names;
mod notifications;
mod options;
mod output;
mod output_settings;
mod replay;
mod report;
mod run;
mod schema;
mod sections;
mod service;
mod sources;
mod state;
mod subscriptions;
mod terminal;
mod top;
mod trial;
mod verify;
mod words;

use std::process::ExitCode;

use clap::Command;

const EXAMPLES: &str = "\
Examples:
  See it work, without a tenant:

    m365-audit try

  Read the last 7 days and go on from there, as NDJSON in a file, continuing after a restart:

    export M365_AUDIT_CLIENT_SECRET=...
    m365-audit run --tenant-id GUID --client-id GUID --db state.db --output audit.ndjson

  Look at everything of the last hour once:

    m365-audit run --config m365-audit.toml --once --lookback 1h | jq .Operation

  Write a configuration file to start from:

    m365-audit options --format toml > m365-audit.toml

Exit codes: 0 complete, 1 failed or incomplete, 2 wrong configuration.";

fn main() -> ExitCode {
    // Before there is a secret in it.
    memory::protect();
    let matches = command().get_matches();
    let code = match matches.subcommand() {
        Some(("try", matches)) => trial::main(matches),
        Some(("run", matches)) => run::main(matches),
        Some(("host", matches)) => host::main(matches),
        Some(("state", matches)) => state::main(matches),
        Some(("subscriptions", matches)) => subscriptions::main(matches),
        Some(("content", matches)) => content::main(matches),
        Some(("activities", matches)) => activities::main(matches),
        Some(("notifications", matches)) => notifications::main(matches),
        Some(("dlp-types", matches)) => dlp_types::main(matches),
        Some(("consent", matches)) => consent::main(matches),
        Some(("check", matches)) => check::main(matches),
        Some(("doctor", matches)) => doctor::main(matches),
        Some(("report", matches)) => report::main(matches),
        Some(("verify", matches)) => verify::main(matches),
        Some(("replay", matches)) => replay::main(matches),
        Some(("members", matches)) => members::main(matches),
        Some(("top", matches)) => top::main(matches),
        Some(("options", matches)) => options::main(matches),
        Some(("errors", matches)) => errors::main(matches),
        Some(("completions", matches)) => manual::completions(matches, command()),
        Some(("man", matches)) => manual::man(matches, command()),
        _ => unreachable!("clap insists on a command and knows no other"),
    };
    ExitCode::from(code)
}

fn command() -> Command {
    Command::new("m365-audit")
        .about("Collects Microsoft 365 audit events without losing any of them.")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(EXAMPLES)
        .subcommands([
            trial::command(),
            run::command(),
            host::command(),
            subscriptions::command(),
            content::command(),
            notifications::command(),
            dlp_types::command(),
            activities::command(),
            consent::command(),
            check::command(),
            doctor::command(),
            report::command(),
            verify::command(),
            replay::command(),
            state::command(),
            members::command(),
            top::command(),
            options::command(),
            errors::command(),
            manual::completions_command(),
            manual::man_command(),
        ])
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_command_is_well_formed() {
        super::command().debug_assert();
    }
}
