//! Asks Microsoft again: every blob of an interval, and every activity. Compares nothing.

use std::collections::HashSet;
use std::time::Duration;

use m365_audit_client::Sink;
use m365_audit_core::activities::filter::Filters;
use m365_audit_core::call::{BlobAddress, Call, CallError, CallErrorKind, Content, Pages};
use m365_audit_core::call::{Range, Reply};
use m365_audit_core::json::Field;
use m365_audit_core::{ContentType, Record, Utc};
use serde::Deserialize;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use super::arrived::Named;
use super::row;
use crate::calls::Session;

/// So much is listed at once: the blobs of a week need not be held together.
const SLICE: Duration = Duration::from_secs(6 * 3_600);

/// An id that names nobody.
const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// A blob as a listing names it.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) id: Box<str>,
    pub(super) uri: String,
    pub(super) created: Utc,
    /// Until when it can be read, as Microsoft writes it.
    pub(super) expiration: Option<String>,
}

/// The range in pieces, oldest first. The last one is whole, so that it has begun, whatever the
/// local clock says.
pub(super) fn slices(range: Range) -> Vec<Range> {
    let mut slices = Vec::new();
    let mut until = range.until;
    while range.since < until {
        let since = (until - SLICE).max(range.since);
        slices.push(Range { since, until });
        until = since;
    }
    slices.reverse();
    slices
}

/// The blobs of a slice, in the order of their creation, each once; `known` are those before.
pub(super) fn list(
    session: &mut Session,
    content_type: ContentType,
    slice: Range,
    known: &mut HashSet<u128>,
) -> Result<Vec<Blob>, CallError> {
    let call = Call::ListContent { content_type, range: slice, pages: Pages::All };
    let Reply::Contents(contents) = session.call(call)? else {
        unreachable!("a listing answers with contents")
    };
    let mut blobs: Vec<Blob> = contents
        .into_iter()
        .filter(|content| known.insert(xxh3_128(content.content_id.as_bytes())))
        .map(|content| blob(content, slice))
        .collect();
    blobs.sort_by_key(|blob| blob.created);
    Ok(blobs)
}

fn blob(content: Content, slice: Range) -> Blob {
    let created = content.content_created.as_deref().and_then(Utc::parse);
    Blob {
        id: content.content_id.into(),
        uri: content.content_uri,
        // Without a time it is taken to be from the end, as the collector does.
        created: created.unwrap_or(slice.until),
        expiration: content.content_expiration,
    }
}

/// Reads a blob into `sink`. Answers how many records the filters left out, and how many were
/// larger than `record_bytes_max`.
pub(super) fn read<S: Sink>(
    session: &mut Session,
    blob: &Blob,
    sink: &mut S,
) -> Result<(u64, u64), CallError> {
    let name = if blob.uri.is_empty() { &*blob.id } else { &blob.uri };
    let address = BlobAddress::parse(session.calls.config(), name)?;
    match session.calls.call(Call::GetBlob(address), sink)? {
        Reply::Expanded { filtered, dropped, .. } => Ok((filtered, dropped)),
        _ => unreachable!("a blob answers with its records"),
    }
}

/// Reads the activities of a range into `sink`, with the filters of the configuration. Answers how
/// many were larger than `record_bytes_max`.
pub(super) fn search<S: Sink>(
    session: &mut Session,
    range: Range,
    sink: &mut S,
) -> Result<u64, CallError> {
    let filters: Filters = session.calls.config().activities_filter().cloned().unwrap_or_default();
    match session.calls.call(Call::ListActivities { filters, range, limit: None }, sink)? {
        Reply::Activities { dropped, .. } => Ok(dropped),
        _ => unreachable!("a search answers with activities"),
    }
}

/// Whether there is no use in asking on: it would fail in the same way.
pub(super) const fn ends_all(error: &CallError) -> bool {
    match error.kind {
        CallErrorKind::Credentials
        | CallErrorKind::Denied
        | CallErrorKind::NotSubscribed
        | CallErrorKind::Stopped => true,
        CallErrorKind::Argument
        | CallErrorKind::Gone
        | CallErrorKind::CoolDown(_)
        | CallErrorKind::Throttled
        | CallErrorKind::Address
        | CallErrorKind::Unavailable => false,
    }
}

/// What a record of a blob calls itself, or else what it is known by; `None` if there is nothing.
pub(super) fn named(record: &Record) -> Option<Named> {
    let field = |field: Field| match record.fields.text(&record.raw, field) {
        Some(text) => Some(text.into_owned()),
        None => record.fields.integer(&record.raw, field).map(|number| number.to_string()),
    };
    let id = field(Field::Id).filter(|id| !id.trim().is_empty() && id != NIL);
    let Some(id) = id else { return row::nameless(&row::parse(&record.raw)?) };
    Some(Named { id, details: field(Field::CreationTime).zip(field(Field::Operation)) })
}

#[derive(Deserialize)]
struct Activity {
    _id: Option<Value>,
    created: Option<Value>,
}

/// What an activity calls itself, and when it was stored.
pub(super) fn activity(record: &Record) -> (Option<Named>, Option<Utc>) {
    let read = serde_json::from_slice::<Activity>(&record.raw).ok();
    let read = read.or_else(|| serde_json::from_value(row::parse(&record.raw)?).ok());
    let Some(activity) = read else { return (None, None) };
    let text = |value: Option<Value>| match value? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let id = text(activity._id).filter(|id| !id.trim().is_empty());
    let created = text(activity.created).and_then(|millis| millis.parse().ok());
    let named = match id {
        Some(id) => Some(Named { id, details: None }),
        None => row::parse(&record.raw).and_then(|value| row::nameless(&value)),
    };
    (named, created.map(Utc::from_millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_touch_and_the_last_one_is_whole() {
        let at = |hours: i64| Utc::from_millis(hours * 3_600_000);
        let range = Range { since: at(0), until: at(14) };
        let slices: Vec<_> = slices(range).iter().map(|s| (s.since, s.until)).collect();
        assert_eq!(slices, [(at(0), at(2)), (at(2), at(8)), (at(8), at(14))]);
    }
}
