//! `m365-audit notifications list`: what Microsoft tried to tell a webhook.

use clap::{ArgMatches, Command};
use m365_audit_core::call::{Call, Reply};
use serde_json::Value;

use crate::calls::table::table;
use crate::calls::{self, Session, moment, named_types, print};
use crate::content;
use crate::exit::COMPLETE;

const ABOUT: &str = "\
One line for each attempt; the same content comes several times if attempts failed. Without a
webhook there are none. Success is `success` in Microsoft's documentation and `Succeeded` on the
wire; both are shown as they come.

Example:
  m365-audit notifications list Audit.General --since 2d --config m365-audit.toml";

pub(crate) fn command() -> Command {
    let list = Command::new("list")
        .about("Print the attempts to notify the webhook of a content type")
        .after_help(format!("{ABOUT}\n\n{}", calls::AFTER_HELP))
        .arg(calls::content_types(false))
        .args(moment::args())
        .args(calls::args(&[]));
    Command::new("notifications")
        .about("Look at what a webhook was told")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(list)
}

/// Runs the command, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let (_, matches) = matches.subcommand().expect("clap insists on a command");
    match Session::open(matches).and_then(|session| list(session, matches)) {
        Ok(()) => COMPLETE,
        Err(code) => code,
    }
}

fn list(mut session: Session, matches: &ArgMatches) -> Result<(), u8> {
    let range = moment::range(matches);
    for content_type in named_types(matches) {
        let notifications = match session.call(Call::ListNotifications { content_type, range }) {
            Ok(Reply::Notifications(notifications)) => notifications,
            Ok(_) => unreachable!("notifications answer with notifications"),
            Err(error) => return Err(session.fail(content_type.as_str(), &error)),
        };
        if calls::json(matches) {
            let all = notifications.iter().map(|notification| {
                let mut value = content::as_json(&notification.content);
                value["notificationSent"] = notification.notification_sent.clone().into();
                value["notificationStatus"] = notification.notification_status.clone().into();
                value
            });
            print(&format!("{:#}\n", Value::from(all.collect::<Vec<_>>())));
            return Ok(());
        }
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let rows: Vec<Vec<String>> = notifications
            .iter()
            .map(|notification| {
                vec![
                    shown(&notification.notification_sent),
                    shown(&notification.notification_status),
                    shown(&notification.content.content_created),
                    notification.content.content_id.clone(),
                ]
            })
            .collect();
        print(&table(&["SENT", "STATUS", "CONTENT CREATED", "CONTENT ID"], &rows));
        let count = rows.len();
        print(&format!(
            "\n{count} attempts about {content_type} of {} to {}\n",
            range.since, range.until
        ));
    }
    Ok(())
}
