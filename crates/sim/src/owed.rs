//! The truth: every record that was published, so that a test can compare it with what a
//! collector delivered.

use std::sync::Arc;

use crate::blob::{Blob, BlobStream};
use crate::content_type::ContentType;
use crate::guid::Guid;
use crate::records::Recipe;

/// A record that was published.
#[derive(Clone, Debug)]
pub struct Owed {
    /// Its tenant.
    pub tenant: Guid,
    /// Its content type.
    pub content_type: ContentType,
    /// The blob that holds it.
    pub content_id: Arc<str>,
    /// The blob's creation, ms since the epoch.
    pub created_ms: i64,
    /// When the blob could first be listed. A blob that is listed late can be seen only while its
    /// creation is less than 7 days past.
    pub available_ms: i64,
    /// When the blob expires.
    pub expires_ms: i64,
    /// Its place in the blob.
    pub index: u32,
    /// The value of its `Id`, if it has that field.
    pub id: Option<Guid>,
    /// Whether it is no JSON object.
    pub malformed: bool,
    /// What makes it the same record: equal for all copies that carry the same `Id`. A collector
    /// owes at least one form of each key.
    pub key: u128,
    /// XXH3, 128 bits, of its bytes.
    pub hash: u128,
    /// Its bytes, exactly as in the blob.
    pub bytes: Vec<u8>,
}

/// Walks the records of blobs.
pub(crate) struct Walk {
    blobs: std::vec::IntoIter<(Arc<Recipe>, Blob)>,
    open: Option<(Arc<str>, Blob, BlobStream, Guid)>,
}

impl Walk {
    pub(crate) fn new(blobs: Vec<(Arc<Recipe>, Blob)>) -> Self {
        Self { blobs: blobs.into_iter(), open: None }
    }
}

impl Iterator for Walk {
    type Item = Owed;

    fn next(&mut self) -> Option<Owed> {
        loop {
            if let Some((content_id, blob, stream, tenant)) = &mut self.open {
                let mut bytes = Vec::new();
                if let Some((index, known)) = stream.next_record(&mut bytes) {
                    let place = format!("{content_id}/{index}");
                    let place = || xxhash_rust::xxh3::xxh3_128(place.as_bytes());
                    return Some(Owed {
                        tenant: *tenant,
                        content_type: blob.content_type,
                        content_id: Arc::clone(content_id),
                        created_ms: blob.created.ms,
                        available_ms: blob.available_ms,
                        expires_ms: blob.expires_ms,
                        index,
                        id: known.id,
                        malformed: known.malformed,
                        key: known.id.map_or_else(place, |id| id.0),
                        hash: xxhash_rust::xxh3::xxh3_128(&bytes),
                        bytes,
                    });
                }
            }
            let (recipe, blob) = self.blobs.next()?;
            let tenant = recipe.organization;
            let stream = BlobStream::new(recipe, blob.clone());
            self.open = Some((blob.content_id().into(), blob, stream, tenant));
        }
    }
}
