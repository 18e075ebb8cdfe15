//! `m365-audit state acknowledge`: somebody has seen what was lost. Writes beside a collector that
//! is at work: under keys that it does not write.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use m365_audit_client::amend;
use m365_audit_core::{Acknowledgement, Commit, Feed, KnownLoss, Stored, acknowledge, losses};

use super::file::{Held, place};
use super::text::loss_text;
use crate::calls;
use crate::exit::{COMPLETE, INCOMPLETE};
use crate::log::now;

const AFTER_HELP: &str = "\
Without numbers, --content-type and --all it lists what is not acknowledged, and changes nothing.
A collector may be at work: it takes notice within a quarter of a minute, unless db.locking is on;
then stop it first. What is acknowledged stays in the state, with the name and the note, until a
hundred later ones are.

Exit codes: 0 nothing is left to be acknowledged, 1 something is, or it failed.

Examples:
  m365-audit state acknowledge --db state.db
  m365-audit state acknowledge --db state.db 3 4 --note 'outage of 12 March, INC-4711'
  m365-audit state acknowledge --db state.db --all";

pub(super) fn command() -> Command {
    Command::new("acknowledge")
        .about("Acknowledge losses, so that nobody is told of them any more")
        .after_help(AFTER_HELP)
        .args(place())
        .args([
            Arg::new("number")
                .value_name("NUMBER")
                .action(ArgAction::Append)
                .value_parser(value_parser!(u64))
                .help("Losses by their numbers; with several tenants in the file name one"),
            Arg::new("content_type")
                .long("content-type")
                .value_name("NAME")
                .action(ArgAction::Append)
                .help("All losses of this content type, `CloudAppActivities` or `output`"),
            Arg::new("all").long("all").action(ArgAction::SetTrue).help("All losses"),
            Arg::new("note")
                .long("note")
                .value_name("TEXT")
                .default_value("")
                .hide_default_value(true)
                .help("What is to be remembered with it"),
            Arg::new("by")
                .long("by")
                .value_name("NAME")
                .help("Who acknowledges [default: the user's name]"),
        ])
}

/// Acknowledges, and answers the exit code.
pub(super) fn main(matches: &ArgMatches) -> u8 {
    calls::look(matches, |raw| {
        let held = Held::read(raw)?;
        let (text, left) =
            run(matches, held).map_err(|error| (INCOMPLETE, format!("{error:#}")))?;
        calls::print(&text);
        Ok(if left == 0 { COMPLETE } else { INCOMPLETE })
    })
}

/// Which losses are meant.
#[derive(Debug)]
struct Meant {
    all: bool,
    numbers: BTreeSet<u64>,
    /// `None` is what is of no content type.
    feeds: Vec<Option<Feed>>,
}

impl Meant {
    fn parse(matches: &ArgMatches) -> anyhow::Result<Self> {
        let names = matches.get_many::<String>("content_type").into_iter().flatten();
        let feed = |name: &String| {
            if name.eq_ignore_ascii_case("output") {
                return Ok(None);
            }
            let known = Feed::parse(name).map(Some);
            known.with_context(|| format!("--content-type {name}: there is none of this name"))
        };
        Ok(Self {
            all: matches.get_flag("all"),
            numbers: matches.get_many("number").into_iter().flatten().copied().collect(),
            feeds: names.map(feed).collect::<anyhow::Result<_>>()?,
        })
    }

    fn is_nothing(&self) -> bool {
        !self.all && self.numbers.is_empty() && self.feeds.is_empty()
    }

    fn has(&self, known: &KnownLoss) -> bool {
        self.all || self.numbers.contains(&known.number) || self.feeds.contains(&known.loss.feed)
    }
}

/// The losses of a tenant that nobody has acknowledged.
fn open(stored: &Stored) -> anyhow::Result<Vec<KnownLoss>> {
    let mut all = losses(stored)?;
    all.retain(|known| known.acknowledged.is_none());
    Ok(all)
}

/// Answers what to print, and how many losses are left.
fn run(matches: &ArgMatches, held: Held) -> anyhow::Result<(String, usize)> {
    let meant = Meant::parse(matches)?;
    let Held { options, tenants, names } = held;
    ensure!(
        meant.numbers.is_empty() || tenants.len() < 2,
        "{} holds {} tenants, each with numbers of its own; remedy: name one with --tenant-id",
        options.path.display(),
        tenants.len()
    );
    for number in &meant.numbers {
        let mut known = tenants.values().map(open).collect::<anyhow::Result<Vec<_>>>()?;
        let known = known.iter_mut().flatten().any(|known| known.number == *number);
        ensure!(known, "there is no loss {number}, or it is acknowledged; nothing was changed");
    }
    let acknowledgement = Acknowledgement {
        at: now().as_millis(),
        by: matches.get_one::<String>("by").cloned().unwrap_or_else(user),
        note: matches.get_one::<String>("note").cloned().unwrap_or_default(),
    };
    let (mut text, mut left) = (String::new(), 0);
    for tenant in tenants.keys() {
        let mut lines = Vec::new();
        let mut change = |stored: &Stored| {
            let mut commit = Commit::default();
            // It was read a moment ago, and what cannot be read is not changed.
            for known in open(stored).unwrap_or_default() {
                if meant.has(&known) {
                    let (key, value) = acknowledge(known.number, &acknowledgement);
                    commit.changes.insert(key, Some(value));
                    lines.push(format!("  acknowledged {}\n", loss_text(&known)));
                } else {
                    left += 1;
                    lines.push(format!("  not acknowledged {}\n", loss_text(&known)));
                }
            }
            commit
        };
        if meant.is_nothing() {
            change(&tenants[tenant]);
        } else {
            amend(&options, tenant, change)?;
        }
        text.push_str(&format!("tenant {}\n", names.heading(tenant)));
        text.extend(lines);
    }
    text.push_str(&match left {
        0 => "nothing is left to be acknowledged\n".to_owned(),
        _ => format!("not acknowledged losses: {left}\n"),
    });
    Ok((text, left))
}

/// Who has started this program, as far as the environment tells.
pub(crate) fn user() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME", "USERNAME"];
    let names = named.into_iter().filter_map(|name| std::env::var(name).ok());
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| "somebody".to_owned())
}
