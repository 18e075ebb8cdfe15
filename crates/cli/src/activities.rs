//! `m365-audit activities`: what Defender for Cloud Apps has seen, and what to say about it.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use m365_audit_client::Sink;
use m365_audit_core::activities::filter::{FILTERS, Filters};
use m365_audit_core::call::{ActivityId, Call, Feedback, Range, Reply};
use m365_audit_core::{Batch, BatchId, Level, LineWriter, Utc};

use crate::calls::{self, Session, code_of, moment, print, say};
use crate::exit::{COMPLETE, INCOMPLETE, MISCONFIGURED};
use crate::log::{Log, now};

/// How far back is looked unless something says otherwise.
const SINCE_DEFAULT: Duration = Duration::from_secs(86_400);

/// How far back is looked if a filter says when, or which: as long as activities are kept.
const SINCE_ALL: Duration = Duration::from_secs(180 * 86_400);

const ABOUT_LIST: &str = "\
Prints activities as Microsoft sent them, one a line (NDJSON), the oldest first. Every page is
followed: up to 300 activities in normal mode, more in scan mode, at 30 requests a minute (one for
5,000 activities). --since and --until say when activities were stored (`created`), which can be
minutes, and now and then days, after they happened (`date`).

Filters are Microsoft's, in the short notation or as the API's JSON. Several, in one --filter or in
many, must all be met. What the service delivers although it does not meet a filter is printed all
the same, and told on stderr.

Examples:
  m365-audit activities list --since 2h --config m365-audit.toml | jq .description
  m365-audit activities list --since 7d --filter 'user.domain eq contoso.com' \\
      --filter 'activity.type eq true and ip.category neq (1, 2)'
  m365-audit activities list --filter '{\"service\": {\"eq\": [20893]}}' --limit 100";

const NOTATION: &str = "\
A condition is FILTER OPERATOR VALUE; several are joined by `and`. Several values are written
(a, b), text with blanks or commas in quotes. eq and contains: one of the values; neq and ncontains:
none of them; isset and isnotset take no value. Times: 2026-07-15, 2026-07-15T20:45:11Z or
milliseconds since 1970; a range is START..END.";

const ABOUT_GET: &str = "\
The id is `_id` in a record. The activity is printed as Microsoft sent it, on one line.

Example:
  m365-audit activities get 97134000_15600_97ee2049-893e-4c9d-a312-08d82b46faf7";

const ABOUT_FEEDBACK: &str = "\
Sends a remark about an activity to Microsoft. It is repeated if the connection breaks off, so that
it may arrive twice.

Example:
  m365-audit activities feedback 97134000_15600_97ee2049-893e-4c9d-a312-08d82b46faf7 \\
      --text Irrelevant";

/// Options that matter here beside those of every call.
const SHOWN: &[&str] =
    &["portal_url", "portal_token", "portal_resource", "activities_requests_per_minute"];

pub(crate) fn command() -> Command {
    let after = |text: &str| format!("{text}\n\n{}", calls::AFTER_HELP);
    let quiet = || calls::args(SHOWN).into_iter().filter(|arg| arg.get_id() != "json");
    let ids = |several: bool| {
        Arg::new("id")
            .value_name("ID")
            .required(true)
            .num_args(1..=if several { usize::MAX } else { 1 })
            .help("Id of an activity")
    };
    let list = Command::new("list")
        .about("Print the activities of a range, as Microsoft sent them")
        .after_help(after(ABOUT_LIST))
        .after_long_help(after(&format!("{ABOUT_LIST}\n\n{NOTATION}\n\n{}", filters())))
        .args(list_args())
        .args(quiet());
    let get = Command::new("get")
        .about("Print single activities")
        .after_help(after(ABOUT_GET))
        .arg(ids(true))
        .args(quiet());
    let feedback = Command::new("feedback")
        .about("Send a remark about an activity to Microsoft")
        .after_help(after(ABOUT_FEEDBACK))
        .arg(ids(false))
        .args(feedback_args())
        .args(quiet());
    Command::new("activities")
        .about("Search the activities of Defender for Cloud Apps")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([list, get, feedback])
}

fn list_args() -> [Arg; 4] {
    [
        Arg::new("filter")
            .long("filter")
            .value_name("TEXT|JSON")
            .action(ArgAction::Append)
            .allow_hyphen_values(true)
            .help("Which activities; --help lists every filter [default: activities_filter]"),
        moment::arg("since").help(format!(
            "First moment: {}. At most 180 days ago [default: 24h, or 180d if a filter names date, \
             created or activity.id]",
            moment::FORMS
        )),
        moment::arg("until").default_value("now").help("End, exclusive, in the same forms"),
        Arg::new("limit")
            .long("limit")
            .value_name("N")
            .value_parser(value_parser!(u64).range(1..))
            .help("So many at most, the oldest first [default: all]"),
    ]
}

fn feedback_args() -> [Arg; 3] {
    [
        Arg::new("text").long("text").value_name("TEXT").required(true).help("The remark"),
        Arg::new("value")
            .long("value")
            .value_name("TEXT")
            .default_value("0")
            .help("feedbackValue; Microsoft's example has 0, and says nothing of others"),
        Arg::new("contact-email")
            .long("contact-email")
            .value_name("ADDRESS")
            .help("Where Microsoft may ask back [default: it may not]"),
    ]
}

/// Every filter, with its operators.
fn filters() -> String {
    let mut text = String::from("Filters:\n");
    for spec in FILTERS {
        let operators: Vec<_> = spec.operators.iter().map(|op| op.as_str()).collect();
        // Writing to a string does not fail.
        let _ =
            write!(text, "  {:26}{}\n  {:26}{}\n", spec.name, operators.join(", "), "", spec.help);
    }
    text.truncate(text.trim_end().len());
    text
}

/// Runs the command, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let (name, matches) = matches.subcommand().expect("clap insists on a command");
    let result = match name {
        "list" => list(matches),
        "get" => get(matches),
        _ => send_feedback(matches),
    };
    match result {
        Ok(()) => COMPLETE,
        Err(code) => code,
    }
}

fn list(matches: &ArgMatches) -> Result<(), u8> {
    let texts = matches.get_many::<String>("filter").map(|texts| texts.map(String::as_str));
    let given = texts.map(Filters::parse_all).transpose().map_err(|errors| {
        errors.iter().for_each(|error| say(&format!("--filter: {error}\n")));
        MISCONFIGURED
    })?;
    let mut session = Session::open_activities(matches)?;
    let configured = || session.calls.config().activities_filter().cloned();
    let filters = given.or_else(configured).unwrap_or_default();
    let range = range(matches, &filters);
    let limit = matches.get_one::<u64>("limit").copied();
    let mut sink = LineSink::new(session.log.clone());
    match session.calls.call(Call::ListActivities { filters, range, limit }, &mut sink) {
        Ok(Reply::Activities { dropped: 0, .. }) => Ok(()),
        Ok(Reply::Activities { dropped, .. }) => {
            let text = format!("{dropped} activities dropped: larger than record_bytes_max");
            session.log.write(Level::Error, &text);
            Err(INCOMPLETE)
        }
        Ok(_) => unreachable!("a search answers with activities"),
        Err(error) => Err(session.fail("", &error)),
    }
}

fn range(matches: &ArgMatches, filters: &Filters) -> Range {
    let timed = ["date", "created", "activity.id"].iter().any(|name| filters.names(name));
    let default = now() - if timed { SINCE_ALL } else { SINCE_DEFAULT };
    let moment = |name: &str| matches.get_one::<Utc>(name).copied();
    Range {
        since: moment("since").unwrap_or(default),
        until: moment("until").expect("it has a default"),
    }
}

fn get(matches: &ArgMatches) -> Result<(), u8> {
    let mut session = Session::open_activities(matches)?;
    let ids = ids(&session, matches)?;
    let mut sink = LineSink::new(session.log.clone());
    let mut code = COMPLETE;
    for id in ids {
        let name = id.as_str().to_owned();
        if let Err(error) = session.calls.call(Call::GetActivity(id), &mut sink) {
            session.fail(&name, &error);
            code = code.max(code_of(&error));
        }
        if sink.is_broken {
            return Err(INCOMPLETE);
        }
    }
    if code == COMPLETE { Ok(()) } else { Err(code) }
}

fn send_feedback(matches: &ArgMatches) -> Result<(), u8> {
    let mut session = Session::open_activities(matches)?;
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    for activity in ids(&session, matches)? {
        let name = activity.as_str().to_owned();
        let feedback = Feedback {
            value: text("value").unwrap_or_default(),
            text: text("text").unwrap_or_default(),
            contact_email: text("contact-email"),
        };
        match session.call(Call::SendFeedback { activity, feedback }) {
            Ok(_) => print(&format!("{name}: the remark is sent\n")),
            Err(error) => return Err(session.fail(&name, &error)),
        }
    }
    Ok(())
}

/// All ids before the first request: what is refused, is refused whole.
fn ids(session: &Session, matches: &ArgMatches) -> Result<Vec<ActivityId>, u8> {
    let mut code = COMPLETE;
    let mut ids = Vec::new();
    for text in matches.get_many::<String>("id").into_iter().flatten() {
        match ActivityId::parse(text) {
            Ok(id) => ids.push(id),
            Err(error) => code = session.fail("", &error.into()),
        }
    }
    if code == COMPLETE { Ok(ids) } else { Err(code) }
}

/// Writes activities as they come, one a line.
struct LineSink {
    lines: LineWriter,
    log: Log,
    out: Vec<u8>,
    /// Batches written since the last flush.
    taken: Vec<BatchId>,
    is_broken: bool,
}

impl LineSink {
    fn new(log: Log) -> Self {
        let (out, taken) = (Vec::new(), Vec::new());
        Self { lines: LineWriter::bare(), log, out, taken, is_broken: false }
    }
}

impl Sink for LineSink {
    fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.lines.write(&batch, &mut self.out);
        self.taken.push(batch.id);
        let mut stdout = io::stdout().lock();
        let result = stdout.write_all(&self.out).and_then(|()| stdout.flush());
        self.out.clear();
        self.is_broken |= result.is_err();
        result.map_err(|error| anyhow::anyhow!("the output cannot be written: {error}"))
    }

    fn flush(&mut self, delivered: &mut Vec<BatchId>) -> anyhow::Result<()> {
        delivered.append(&mut self.taken);
        Ok(())
    }

    fn log(&mut self, level: Level, message: &str) {
        self.log.write(level, message);
    }
}
