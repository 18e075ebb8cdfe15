//! In which hour the collector takes each content to have been created. Of an entry of a listing
//! that does not say it, it knows no better than the end of the window.

use std::collections::{BTreeSet, HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use m365_audit_core::{Batch, Commit};
use xxhash_rust::xxh3::xxh3_128;

/// What batches and commits have shown so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Beliefs {
    hours: HashMap<u128, BTreeSet<i64>>,
    /// Contents that a commit has called done, or lost.
    done: HashSet<u128>,
}

impl Beliefs {
    pub(super) fn note_batch(&mut self, batch: &Batch) {
        self.note(key_of(&batch.content.id), batch.content.created.hour());
    }

    pub(super) fn note_commit(&mut self, commit: &Commit) {
        for (key, value) in &commit.changes {
            let mut parts = key.split('/');
            let (Some("seen"), Some(_), Some(hour)) = (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let (Ok(hour), Some(value)) = (hour.parse(), value) else { continue };
            let keys = STANDARD_NO_PAD.decode(value).unwrap_or_default();
            for id in keys.as_chunks::<16>().0 {
                let id = u128::from_le_bytes(*id);
                self.note(id, hour);
                self.done.insert(id);
            }
        }
    }

    fn note(&mut self, content: u128, hour: i64) {
        self.hours.entry(content).or_default().insert(hour);
    }

    /// The hours in which it was taken to be created: of one that was listed twice, by processes
    /// that did not know of each other, there may be two. So there may be of one that was listed
    /// under its second id as well.
    pub(super) fn hours_of(&self, content_id: &str) -> impl Iterator<Item = i64> + Clone + '_ {
        let of = |id: &str| self.hours.get(&key_of(id)).into_iter().flatten().copied();
        of(content_id).chain(of(&second_id_of(content_id)))
    }

    /// The hour, if there is no doubt.
    pub(super) fn hour_of(&self, content_id: &str) -> Option<i64> {
        let mut hours = self.hours_of(content_id);
        hours.next().filter(|_| hours.next().is_none())
    }

    pub(super) fn is_done(&self, content_id: &str) -> bool {
        self.done.contains(&key_of(content_id))
    }
}

/// The id under which webhooks, and some listings, name a content: its last part comes twice.
fn second_id_of(content_id: &str) -> String {
    let (_, last) = content_id.rsplit_once('$').unwrap_or_default();
    format!("{content_id}${last}")
}

/// A content, as the state names it.
fn key_of(content_id: &str) -> u128 {
    xxh3_128(content_id.as_bytes())
}
