//! Blobs: their metadata, their ids in Microsoft's grammar, and the stream of their bytes. A blob
//! holds no records; they are made when they are read.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::content_type::ContentType;
use crate::draw;
use crate::guid::Guid;
use crate::records::{Recipe, Scratch, Source};
use crate::time::Stamp;

/// Bytes of a chunk; a chunk is as much larger as its last record needs.
const CHUNK_BYTES: usize = 64 * 1024;
/// Six digits at or above this never name a blob that was published: listings use them for
/// entries that have expired.
pub(crate) const PHANTOM_SUB_MIN: u32 = 900_000;

const REGIONS: [&str; 8] =
    ["na0018", "na0022", "na0043", "emea0012", "emea0029", "emea9034", "apac0010", "jpn0016"];

/// What records a blob holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// So many, as the recipe makes them.
    Records(u32),
    /// As many until the blob has so many bytes.
    Bytes(u64),
    /// These.
    Given(Arc<[Vec<u8>]>),
}

/// What is known of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// The value of `Id`; none when the record has no such field, or it is no GUID.
    pub(crate) id: Option<Guid>,
    /// It is no JSON object.
    pub(crate) malformed: bool,
}

impl Known {
    /// Reads a record that somebody gave.
    fn of(record: &[u8]) -> Self {
        let read: Option<Map<String, Value>> = serde_json::from_slice(record).ok();
        let id = read.as_ref().and_then(|members| members.get("Id")).and_then(Value::as_str);
        Self { id: id.and_then(Guid::parse), malformed: read.is_none() }
    }
}

/// What the body of a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Array,
    /// `null`
    Null,
}

/// A blob.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) content_type: ContentType,
    /// The later stamp of the id; `contentCreated` to the millisecond.
    pub(crate) created: Stamp,
    /// The earlier stamp of the id; expiration counts from it.
    pub(crate) first: Stamp,
    pub(crate) expires_ms: i64,
    pub(crate) available_ms: i64,
    /// Names the content: a redelivered blob has the key of the original.
    pub(crate) key: u64,
    /// Names the order of fields; unique.
    pub(crate) order: u64,
    pub(crate) events_ms: i64,
    pub(crate) old_events: bool,
    pub(crate) size: Size,
    pub(crate) form: Form,
}

impl Blob {
    /// `{T1}${T2}${audit_general}${Audit_General}${region}`, as observed.
    pub(crate) fn content_id(&self) -> String {
        let mut id = String::with_capacity(120);
        self.first.push(&mut id);
        id.push('$');
        self.created.push(&mut id);
        for part in [self.content_type.id_parts(), self.region()] {
            id.push('$');
            id.push_str(part);
        }
        id
    }

    /// The data centre in the id.
    pub(crate) fn region(&self) -> &'static str {
        let at = draw::mix(self.order, 0x4E6) % REGIONS.len() as u64;
        REGIONS[usize::try_from(at).expect("below eight")]
    }

    pub(crate) fn source(&self) -> Source {
        Source {
            key: self.key,
            order: self.order,
            events_ms: self.events_ms,
            old_events: self.old_events,
            content_type: self.content_type,
        }
    }
}

/// The address of a blob.
pub(crate) fn blob_uri(origin: &str, tenant: Guid, content_id: &str) -> String {
    let mut uri = String::with_capacity(origin.len() + content_id.len() + 72);
    uri.push_str(origin);
    uri.push_str("/api/v1.0/");
    tenant.push(&mut uri);
    uri.push_str("/activity/feed/audit/");
    uri.push_str(content_id);
    uri
}

/// What a content id says. An id that cannot be read is none that Microsoft gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ParsedId {
    pub(crate) content_type: ContentType,
    pub(crate) created: Stamp,
    /// The id without the suffix that webhooks and some listings add.
    pub(crate) plain: String,
}

/// Reads a content id; accepts `%24` for `$` and the suffix of webhook deliveries.
pub(crate) fn parse_id(text: &str) -> Option<ParsedId> {
    let text = text.replace("%24", "$");
    let parts: Vec<&str> = text.split('$').collect();
    if !(5..=6).contains(&parts.len()) {
        return None;
    }
    if parts.len() == 6 && parts[5] != parts[4] && parts[5] != "IsFromNotification" {
        return None;
    }
    let names = format!("{}${}", parts[2], parts[3]);
    let content_type = ContentType::ALL.into_iter().find(|ct| ct.id_parts() == names)?;
    Stamp::parse(parts[0])?;
    Some(ParsedId { content_type, created: Stamp::parse(parts[1])?, plain: parts[..5].join("$") })
}

/// The bytes of a blob, chunk by chunk, and what is known of each record on the way.
#[derive(Debug)]
pub(crate) struct BlobStream {
    recipe: Arc<Recipe>,
    blob: Blob,
    scratch: Scratch,
    index: u32,
    written: u64,
    stage: Stage,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Open,
    Records,
    Over,
}

impl BlobStream {
    pub(crate) fn new(recipe: Arc<Recipe>, blob: Blob) -> Self {
        let scratch = Scratch::default();
        Self { recipe, blob, scratch, index: 0, written: 0, stage: Stage::Open }
    }

    /// Whether the whole is small enough to be built at once.
    pub(crate) fn is_small(&self) -> bool {
        match &self.blob.size {
            Size::Records(count) => {
                u64::from(*count) * self.recipe.bytes_max() <= 4 * CHUNK_BYTES as u64
            }
            Size::Bytes(bytes) => *bytes <= CHUNK_BYTES as u64,
            Size::Given(records) => records.iter().map(Vec::len).sum::<usize>() <= 4 * CHUNK_BYTES,
        }
    }

    fn more_records(&self) -> bool {
        match &self.blob.size {
            Size::Records(count) => self.index < *count,
            Size::Bytes(bytes) => self.written + 1 < *bytes,
            Size::Given(records) => (self.index as usize) < records.len(),
        }
    }

    /// Appends the next record alone; none after the last. Used to list what is owed.
    pub(crate) fn next_record(&mut self, out: &mut Vec<u8>) -> Option<(u32, Known)> {
        if self.blob.form == Form::Null || !self.more_records() {
            return None;
        }
        if self.index > 0 {
            self.written += 1;
        } else {
            self.written = 1;
        }
        let before = out.len();
        let index = self.index;
        let known = if let Size::Given(records) = &self.blob.size {
            let record = &records[index as usize];
            out.extend_from_slice(record);
            Known::of(record)
        } else {
            let head = self.recipe.write(self.blob.source(), index, &mut self.scratch, out);
            Known { id: head.id, malformed: head.malformed }
        };
        self.written += (out.len() - before) as u64;
        self.index += 1;
        Some((index, known))
    }

    /// The body without the last bytes of its last record, and of what follows.
    pub(crate) fn cut(mut self) -> Vec<u8> {
        /// The bracket at the end, and so much of a record as every one has.
        const BYTES: usize = 2;
        let mut body = Vec::new();
        while let Some(chunk) = self.next_chunk() {
            body.extend_from_slice(&chunk);
        }
        body.truncate(body.len().saturating_sub(BYTES));
        body
    }

    /// The body with a quotation mark too many in its middle record.
    pub(crate) fn unescaped(mut self) -> Vec<u8> {
        let mut records = Vec::new();
        let mut record = Vec::new();
        while self.next_record(&mut record).is_some() {
            records.push(std::mem::take(&mut record));
        }
        let middle = records.len() / 2;
        if let Some(record) = records.get_mut(middle)
            && record.starts_with(b"{")
        {
            record.splice(1..1, br#""Size":"5" disk","#.iter().copied());
        }
        [b"[", &records.join(&b',')[..], b"]"].concat()
    }

    /// The next bytes of the body.
    pub(crate) fn next_chunk(&mut self) -> Option<Vec<u8>> {
        if self.stage == Stage::Over {
            return None;
        }
        if self.blob.form == Form::Null {
            self.stage = Stage::Over;
            return Some(b"null".to_vec());
        }
        let mut chunk = Vec::new();
        if self.stage == Stage::Open {
            chunk.push(b'[');
            self.stage = Stage::Records;
        }
        while chunk.len() < CHUNK_BYTES {
            if !self.more_records() {
                chunk.push(b']');
                self.stage = Stage::Over;
                break;
            }
            if self.index > 0 {
                chunk.push(b',');
            }
            if chunk.capacity() < CHUNK_BYTES && !self.is_small() {
                chunk.reserve(CHUNK_BYTES + 4_096);
            }
            self.next_record(&mut chunk);
        }
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observed_id_is_read() {
        let id = "20231016001037495037203$20231016005646231021586\
                  $audit_azureactivedirectory$Audit_AzureActiveDirectory$jpn0016";
        let parsed = parse_id(id).unwrap();
        assert_eq!(parsed.content_type, ContentType::AzureActiveDirectory);
        assert_eq!(parsed.created.sub, 21_586);
        assert_eq!(parse_id(&format!("{id}$jpn0016")).unwrap().plain, id);
        assert_eq!(parse_id(&id.replace('$', "%24")).unwrap().plain, id);
        assert_eq!(parse_id(&format!("{id}$emea0010")), None);
        assert_eq!(parse_id("492638008028$04"), None);
    }
}
