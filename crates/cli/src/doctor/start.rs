//! `doctor --start`: starts the subscriptions that are missing, and waits until each can be listed.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar};
use m365_audit_core::call::{Call, Subscription};
use m365_audit_core::{ContentType, Level, known_error};

use crate::calls::Session;
use crate::doctor::first_page::{first_page, is_unsubscribed};
use crate::findings::Report;
use crate::words::span;

/// How long a listing is waited for. Microsoft lists a subscription at once, as a rule; content
/// takes up to 12 hours, and nobody waits for it here.
const WAIT_MAX: Duration = Duration::from_secs(10 * 60);

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(5);

/// How often it is told that it still waits, where no bar can be drawn.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Starts what is missing of what is collected. Answers those that were started and can be listed.
pub(super) fn start(
    session: &mut Session,
    subscriptions: &[Subscription],
    bars: &MultiProgress,
    report: &mut Report,
) -> Vec<ContentType> {
    let wanted = session.calls.config().content_types().to_vec();
    let mut listed = Vec::new();
    for content_type in wanted {
        let is_it =
            |known: &&Subscription| known.content_type.eq_ignore_ascii_case(content_type.as_str());
        let known = subscriptions.iter().find(is_it);
        if known.is_some_and(Subscription::is_enabled) {
            continue;
        }
        if known.is_some_and(|known| known.webhook.is_some()) {
            report.unknown(
                "start",
                format!("{content_type} has a webhook, and is left alone"),
                format!(
                    "`m365-audit subscriptions start {content_type}` starts it with its webhook"
                ),
            );
            continue;
        }
        match session.call(Call::StartSubscription { content_type, webhook: None }) {
            Ok(_) if wait(session, content_type, bars, report) => listed.push(content_type),
            Ok(_) => {}
            Err(error) => report.fail_call("start", content_type.as_str(), &error),
        }
    }
    listed
}

/// Whether it could be listed in the end.
fn wait(
    session: &mut Session,
    content_type: ContentType,
    bars: &MultiProgress,
    report: &mut Report,
) -> bool {
    let began = Instant::now();
    let bar = io::stderr().is_terminal().then(|| {
        let bar = bars.add(ProgressBar::new_spinner());
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    });
    let mut told = None;
    let ended = loop {
        match first_page(session, content_type) {
            Err(error) if is_unsubscribed(&error) && began.elapsed() < WAIT_MAX => {}
            ended => break ended,
        }
        let words = format!(
            "{content_type}: started {} ago, waiting for the first listing",
            span(began.elapsed())
        );
        match &bar {
            Some(bar) => bar.set_message(words),
            None if told.is_none_or(|at: Instant| TELL_EVERY <= at.elapsed()) => {
                session.log.write_always(Level::Info, &words);
                told = Some(Instant::now());
            }
            None => {}
        }
        thread::sleep(PAUSE);
    };
    bar.iter().for_each(ProgressBar::finish_and_clear);
    match ended {
        Ok(_) => {
            let after = span(began.elapsed());
            report.ok("start", format!("{content_type} was started, and listed {after} later"));
            true
        }
        Err(error) => {
            let code = error.code.as_deref().unwrap_or_default();
            let remedy = known_error(code).map_or("wait, then ask the doctor again", |k| k.remedy);
            report.fail("start", format!("{content_type} was started: {error}"), remedy);
            false
        }
    }
}
