//! `m365-audit man` and `m365-audit completions`: the manual and the completions of shells, from
//! the same table as `--help`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::builder::{EnumValueParser, ValueParser};
use clap::{Arg, ArgMatches, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use m365_audit_core::options::{HOST_OPTIONS, OptionSpec};
use m365_audit_sinks::SINK_OPTIONS;

use crate::arguments::{flag, specs, variable};
use crate::calls::say;
use crate::exit::{COMPLETE, INCOMPLETE};
use crate::output_settings::{OUTPUT_OPTIONS, SHOWN_OPTIONS};

/// What the page about the configuration file is called, and its section.
const FILE_PAGE: &str = "m365-audit.toml";
const FILE_SECTION: &str = "5";

const COMPLETIONS_HELP: &str = "\
Examples:
  m365-audit completions bash > /etc/bash_completion.d/m365-audit
  m365-audit completions zsh  > /usr/local/share/zsh/site-functions/_m365-audit
  m365-audit completions fish > ~/.config/fish/completions/m365-audit.fish";

const MAN_HELP: &str = "\
Examples:
  m365-audit man | man -l -
  m365-audit man --output /usr/local/share/man";

pub(crate) fn completions_command() -> Command {
    Command::new("completions")
        .about("Print what a shell needs to complete commands, flags and values")
        .after_help(COMPLETIONS_HELP)
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(EnumValueParser::<Shell>::new())
                .help("The shell"),
        )
}

pub(crate) fn man_command() -> Command {
    Command::new("man")
        .about("Print the manual page, or write the pages of all commands into a folder")
        .after_help(MAN_HELP)
        .arg(
            Arg::new("output")
                .long("output")
                .value_name("FOLDER")
                .value_parser(ValueParser::path_buf())
                .help("Write all pages into man1 and man5 of this folder"),
        )
}

/// Prints the completions of a shell for `command`, and answers the exit code.
pub(crate) fn completions(matches: &ArgMatches, command: Command) -> u8 {
    let shell = matches.get_one::<Shell>("shell").copied();
    let text = shell.map(|shell| completions_of(shell, command)).unwrap_or_default();
    // A reader that has seen enough is no failure.
    drop(io::stdout().write_all(&text));
    COMPLETE
}

fn completions_of(shell: Shell, mut command: Command) -> Vec<u8> {
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, &name, &mut text);
    if shell != Shell::Bash {
        return text;
    }
    // clap_complete 4.6 writes the hyphen of a program's name in one way where it notes the
    // command, and in another where it looks for it: nothing behind the first word was completed.
    let looked_for = name.replace('-', "__subcmd__");
    let noted = name.replace('-', "__");
    String::from_utf8_lossy(&text).replace(&looked_for, &noted).into_bytes()
}

/// Prints or writes the manual of `command`, and answers the exit code.
pub(crate) fn man(matches: &ArgMatches, command: Command) -> u8 {
    let result = match matches.get_one::<PathBuf>("output") {
        Some(folder) => write_all(command, folder),
        None => page(command).map(|(_, text)| drop(io::stdout().write_all(&text))),
    };
    match result {
        Ok(()) => COMPLETE,
        Err(error) => {
            say(&format!("the manual cannot be written: {error}\n"));
            INCOMPLETE
        }
    }
}

fn write_all(command: Command, folder: &Path) -> io::Result<()> {
    for section in ["man1", "man5"] {
        fs::create_dir_all(folder.join(section))?;
    }
    for command in all(command) {
        let (name, text) = page(command)?;
        fs::write(folder.join("man1").join(format!("{name}.1")), text)?;
    }
    let name = format!("{FILE_PAGE}.{FILE_SECTION}");
    fs::write(folder.join("man5").join(name), file_page())
}

/// A command and those below it, each called by its whole name.
fn all(mut command: Command) -> Vec<Command> {
    command.build();
    let mut found = Vec::new();
    let mut open = vec![command];
    while let Some(command) = open.pop() {
        // What `help` would show are these pages.
        let below = command.get_subcommands().filter(|below| below.get_name() != "help");
        open.extend(below.cloned());
        found.push(command);
    }
    found
}

/// A page, and the name of its file without the section.
fn page(command: Command) -> io::Result<(String, Vec<u8>)> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let man = Man::new(command.name(name.clone()))
        .title(name.clone())
        .source(concat!("m365-audit ", env!("CARGO_PKG_VERSION")))
        .manual("m365-audit");
    let mut text = Vec::new();
    man.render(&mut text)?;
    Ok((name, text))
}

/// The page about the configuration file: every option, with its flag and its variable.
fn file_page() -> String {
    let mut roff = Roff::new();
    let source = concat!("m365-audit ", env!("CARGO_PKG_VERSION"));
    roff.control("TH", [FILE_PAGE, FILE_SECTION, "", source, "m365-audit"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("m365-audit.toml - configuration of m365-audit")]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([
        roman("A TOML file that "),
        bold("m365-audit run --config"),
        roman(
            " reads. A flag comes before its variable, a variable before the file, the file \
               before the default. ",
        ),
        bold("m365-audit options --format toml"),
        roman(" writes one to start from, and "),
        bold("--format json-schema"),
        roman(" the schema of it for editors."),
    ]);
    roff.control("SH", ["OPTIONS"]);
    specs().for_each(|spec| option(&mut roff, spec));
    roff.control("SH", ["OPTIONS OF SINKS"]);
    SINK_OPTIONS.iter().for_each(|spec| option(&mut roff, spec));
    roff.control("SH", ["OPTIONS OF OUTPUT FILES"]);
    OUTPUT_OPTIONS.iter().for_each(|spec| option(&mut roff, spec));
    roff.control("SH", ["OPTIONS OF THE LOG"]);
    SHOWN_OPTIONS.iter().for_each(|spec| option(&mut roff, spec));
    roff.control("SH", ["OPTIONS OF THE WASM HOST"]);
    HOST_OPTIONS.iter().for_each(|spec| option(&mut roff, spec));
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("m365-audit"), roman("(1)")]);
    roff.render()
}

fn option(roff: &mut Roff, spec: &OptionSpec) {
    roff.control("TP", []);
    roff.text([bold(spec.name), roman(" = "), italic(spec.kind.describe())]);
    roff.text([roman(spec.help)]);
    let default = spec.default.map(|default| format!(" Default: {default}."));
    let places = format!("{} or {}.", flag(spec.name), variable(spec.name));
    roff.text([roman(places), roman(default.unwrap_or_default())]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::destination;

    #[test]
    fn every_command_has_a_page_of_its_own() {
        let command = Command::new("m").subcommand(Command::new("a").subcommand(Command::new("b")));
        let mut names: Vec<_> =
            all(command).into_iter().map(|command| page(command).unwrap().0).collect();
        names.sort();
        assert_eq!(names, ["m", "m-a", "m-a-b"]);
    }

    #[test]
    fn the_page_of_the_file_names_every_option_once() {
        let page = file_page();
        let options: Vec<_> = specs().chain(destination()).chain(HOST_OPTIONS).collect();
        assert_eq!(page.matches("\n.TP\n").count(), options.len());
        for spec in options {
            assert!(page.contains(&format!("{}.", variable(spec.name))), "{}", spec.name);
        }
    }
}
