//! The first page of a feed: what is asked to see whether it can be listed.

use m365_audit_core::call::{Call, CallError, Pages, Reply};
use m365_audit_core::{ContentType, Utc};

use crate::calls::Session;
use crate::doctor::look::last_hours;
use crate::log::now;

/// When the newest content of a feed's first page was created, if there is any.
pub(super) fn first_page(
    session: &mut Session,
    content_type: ContentType,
) -> Result<Option<String>, CallError> {
    let range = last_hours(microsofts_time(session));
    let call = Call::ListContent { content_type, range, pages: Pages::First };
    match session.call(call) {
        Ok(Reply::Contents(contents)) => {
            let created = contents.iter().map(|content| content.content_created.clone());
            Ok(created.map(|created| created.unwrap_or_default()).max())
        }
        Ok(_) => unreachable!("a listing answers with contents"),
        Err(error) => Err(error),
    }
}

/// Whether it is only that there is no subscription.
pub(super) fn is_unsubscribed(error: &CallError) -> bool {
    matches!(error.code.as_deref(), Some("AF20022" | "AF20023"))
}

/// Microsoft's time, or what the local clock says if no answer has told it.
pub(super) fn microsofts_time(session: &Session) -> Utc {
    let ahead = session.calls.clock_skew_seconds().unwrap_or_default();
    Utc::from_millis(now().as_millis() - ahead * 1_000)
}
