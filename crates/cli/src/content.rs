//! `m365-audit content`: what there is, and what is in it.

use std::io::{self, BufRead, Write};

use clap::{Arg, ArgAction, ArgMatches, Command};
use m365_audit_client::Sink;
use m365_audit_core::call::{BlobAddress, Call, Content, Pages, Reply};
use m365_audit_core::{Batch, BatchId, Level, LineWriter};
use serde_json::{Value, json};

use crate::calls::table::table;
use crate::calls::{self, Session, code_of, moment, named_types, print};
use crate::exit::{COMPLETE, INCOMPLETE};
use crate::log::Log;

/// Blobs that one command reads; a list of ids on stdin ends there.
const BLOBS_MAX: usize = 1_000_000;

const ABOUT_LIST: &str = "\
Content is listed by the time when Microsoft made it available, which can be hours after the events
in it. Ranges of up to 7 days are cut into windows that Microsoft takes, and every page is followed.

Examples:
  m365-audit content list Audit.Exchange --since 3h --config m365-audit.toml
  m365-audit content list DLP.All --since 7d --json | jq -r '.[].contentId'";

const ABOUT_GET: &str = "\
Names are contentId or contentUri of a listing; `-` reads them from stdin, one a line. Without
--expand each blob becomes one line, a JSON array. An address that is not on the configured api_url
is refused before anything is sent: whoever is there would be given the token.

Examples:
  m365-audit content get --expand '20261120…$audit_exchange$Audit_Exchange$na0018'
  m365-audit content list Audit.Exchange --since 1h --json | jq -r '.[].contentId' |
      m365-audit content get --expand - | jq .Operation";

pub(crate) fn command() -> Command {
    let after = |text: &str| format!("{text}\n\n{}", calls::AFTER_HELP);
    let list = Command::new("list")
        .about("Print the content of a range: ids, times, addresses")
        .after_help(after(ABOUT_LIST))
        .arg(calls::content_types(false))
        .args(moment::args())
        .args(calls::args(&[]));
    let get = Command::new("get")
        .about("Print the records of blobs, as Microsoft sent them")
        .after_help(after(ABOUT_GET))
        .arg(
            Arg::new("name")
                .value_name("URI|ID")
                .required(true)
                .num_args(1..)
                .help("contentUri or contentId; - reads them from stdin"),
        )
        .arg(
            Arg::new("expand")
                .long("expand")
                .action(ArgAction::SetTrue)
                .help("One stream of records, one a line (NDJSON)"),
        )
        .args(calls::args(&["record_bytes_max"]).into_iter().filter(|arg| arg.get_id() != "json"));
    Command::new("content")
        .about("List content, and read it")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([list, get])
}

/// Runs the command, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let (name, matches) = matches.subcommand().expect("clap insists on a command");
    let result = Session::open(matches).and_then(|session| match name {
        "list" => list(session, matches),
        _ => get(session, matches),
    });
    match result {
        Ok(()) => COMPLETE,
        Err(code) => code,
    }
}

fn list(mut session: Session, matches: &ArgMatches) -> Result<(), u8> {
    let range = moment::range(matches);
    for content_type in named_types(matches) {
        let call = Call::ListContent { content_type, range, pages: Pages::All };
        let contents = match session.call(call) {
            Ok(Reply::Contents(contents)) => contents,
            Ok(_) => unreachable!("a listing answers with contents"),
            Err(error) => return Err(session.fail(content_type.as_str(), &error)),
        };
        if calls::json(matches) {
            let all: Vec<Value> = contents.iter().map(as_json).collect();
            print(&format!("{:#}\n", Value::from(all)));
            return Ok(());
        }
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let rows: Vec<Vec<String>> = contents
            .iter()
            .map(|content| {
                vec![
                    shown(&content.content_created),
                    shown(&content.content_expiration),
                    content.content_id.clone(),
                ]
            })
            .collect();
        print(&table(&["CREATED", "EXPIRES", "CONTENT ID"], &rows));
        let count = rows.len();
        print(&format!(
            "\n{count} blobs of {content_type} from {} to {}\n",
            range.since, range.until
        ));
    }
    Ok(())
}

/// Microsoft's object.
pub(crate) fn as_json(content: &Content) -> Value {
    json!({
        "contentType": content.content_type,
        "contentId": content.content_id,
        "contentUri": content.content_uri,
        "contentCreated": content.content_created,
        "contentExpiration": content.content_expiration,
    })
}

fn get(mut session: Session, matches: &ArgMatches) -> Result<(), u8> {
    let addresses = addresses(&session, matches)?;
    let mut sink = BlobSink::new(matches.get_flag("expand"), session.log.clone());
    let mut code = COMPLETE;
    for address in addresses {
        let name = address.content_id().to_owned();
        sink.begin();
        let outcome = session.calls.call(Call::GetBlob(address), &mut sink);
        // What broke off is no array, and must not look like one.
        let ended = if outcome.is_ok() { sink.end() } else { Ok(()) };
        if let Err(error) = ended {
            session.log.write(Level::Error, &format!("the output cannot be written: {error}"));
            return Err(INCOMPLETE);
        }
        match outcome {
            Ok(Reply::Expanded { dropped, .. }) if 0 < dropped => {
                let text =
                    format!("{name}: {dropped} records dropped: larger than record_bytes_max");
                session.log.write(Level::Error, &text);
                code = code.max(INCOMPLETE);
            }
            Ok(_) => {}
            Err(error) => {
                sink.abandon();
                session.fail(&name, &error);
                code = code.max(code_of(&error));
            }
        }
        if sink.is_broken {
            return Err(INCOMPLETE);
        }
    }
    if code == COMPLETE { Ok(()) } else { Err(code) }
}

/// All addresses before the first request: what is refused, is refused whole.
fn addresses(session: &Session, matches: &ArgMatches) -> Result<Vec<BlobAddress>, u8> {
    let mut names: Vec<String> = Vec::new();
    for name in matches.get_many::<String>("name").into_iter().flatten() {
        if name == "-" {
            let lines = io::stdin().lock().lines().map_while(Result::ok);
            let lines = lines.filter(|line| !line.trim().is_empty());
            names.extend(lines.take(BLOBS_MAX.saturating_sub(names.len())));
        } else {
            names.push(name.clone());
        }
    }
    let mut code = COMPLETE;
    let mut addresses = Vec::new();
    for name in names {
        match BlobAddress::parse(session.calls.config(), &name) {
            Ok(address) => addresses.push(address),
            Err(error) => code = session.fail("", &error),
        }
    }
    if code == COMPLETE { Ok(addresses) } else { Err(code) }
}

/// Writes records as they come.
struct BlobSink {
    expand: bool,
    lines: LineWriter,
    log: Log,
    out: Vec<u8>,
    /// Batches written since the last flush.
    taken: Vec<BatchId>,
    /// Records of this blob so far.
    records: u64,
    is_broken: bool,
}

impl BlobSink {
    fn new(expand: bool, log: Log) -> Self {
        Self {
            expand,
            lines: LineWriter::bare(),
            log,
            out: Vec::new(),
            taken: Vec::new(),
            records: 0,
            is_broken: false,
        }
    }

    const fn begin(&mut self) {
        self.records = 0;
    }

    /// The blob is whole.
    fn end(&mut self) -> io::Result<()> {
        if !self.expand {
            self.out.extend_from_slice(if self.records == 0 { b"[]\n" } else { b"]\n" });
        }
        self.write()
    }

    /// The blob broke off: what there is of it, is no array, and its line ends here.
    fn abandon(&mut self) {
        if !self.expand && 0 < self.records {
            self.out.push(b'\n');
        }
        self.is_broken |= self.write().is_err();
    }

    fn write(&mut self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        let result = stdout.write_all(&self.out).and_then(|()| stdout.flush());
        self.out.clear();
        self.is_broken |= result.is_err();
        result
    }
}

impl Sink for BlobSink {
    fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
        if self.expand {
            self.lines.write(&batch, &mut self.out);
            self.records += batch.records.len() as u64;
        } else {
            for record in &batch.records {
                self.out.push(if self.records == 0 { b'[' } else { b',' });
                // Between tokens only: inside of text JSON allows no line break.
                self.out.extend(record.raw.iter().map(|byte| match byte {
                    b'\n' | b'\r' | b'\t' => b' ',
                    byte => *byte,
                }));
                self.records += 1;
            }
        }
        self.taken.push(batch.id);
        self.write().map_err(|error| anyhow::anyhow!("the output cannot be written: {error}"))
    }

    fn flush(&mut self, delivered: &mut Vec<BatchId>) -> anyhow::Result<()> {
        delivered.append(&mut self.taken);
        Ok(())
    }

    fn log(&mut self, level: Level, message: &str) {
        self.log.write(level, message);
    }
}
