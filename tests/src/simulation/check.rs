//! What must hold of every run, checked against the simulator's truth and nothing else.

use std::collections::{HashMap, HashSet};

use m365_audit_core::{Commit, ContentType};
use m365_sim::Microsoft;
use xxhash_rust::xxh3::xxh3_128;

use super::host::Host;

/// What is owed to a collector, as of one moment.
#[derive(Debug)]
pub(super) struct Debt {
    /// Of each record, by what makes it the same record: the forms in which it was published.
    forms: HashMap<u128, Vec<u128>>,
    /// Records whose every form is still missing.
    missing: HashSet<u128>,
}

impl Debt {
    /// Everything of these content types that was created at or after `begin_ms`, that could be
    /// listed by `until_ms`, and for which there was time.
    pub(super) fn new(
        microsoft: &Microsoft,
        types: &[ContentType],
        begin_ms: i64,
        until_ms: i64,
    ) -> Self {
        let mut forms: HashMap<u128, Vec<u128>> = HashMap::new();
        let mut missing = HashSet::new();
        for owed in microsoft.owed() {
            if !types.iter().any(|ct| ct.as_str() == owed.content_type.name()) {
                continue;
            }
            let forms = forms.entry(owed.key).or_default();
            forms.push(owed.hash);
            if owed.created_ms >= begin_ms && owed.available_ms <= until_ms {
                missing.insert(owed.key);
            }
        }
        Self { forms, missing }
    }

    /// Whether everything owed has been taken.
    pub(super) fn is_settled(&mut self, host: &Host) -> bool {
        let forms = &self.forms;
        self.missing.retain(|key| !forms[key].iter().any(|hash| host.taken.contains_key(hash)));
        self.missing.is_empty()
    }

    pub(super) fn missing(&self) -> usize {
        self.missing.len()
    }

    /// What is missing, for the message of a failure.
    pub(super) fn describe_missing(&self, microsoft: &Microsoft) -> String {
        microsoft
            .owed()
            .filter(|owed| self.missing.contains(&owed.key))
            .take(3)
            .map(|owed| {
                format!(
                    "{} {} [{}] created {} available {} expires {}\n",
                    owed.content_type.name(),
                    owed.content_id,
                    owed.index,
                    owed.created_ms,
                    owed.available_ms,
                    owed.expires_ms
                )
            })
            .collect()
    }
}

/// Records that the host has and Microsoft never published, byte for byte.
pub(super) fn invented(microsoft: &Microsoft, host: &Host) -> usize {
    let published: HashSet<u128> = microsoft.owed().map(|owed| owed.hash).collect();
    host.taken.keys().filter(|hash| !published.contains(hash)).count()
}

/// When each content was first marked as done, in the host's order of taking.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    done: HashMap<u128, u64>,
}

impl Checkpoints {
    /// Notes the contents that a commit marks as done.
    pub(super) fn note(&mut self, commit: &Commit, host: &Host) {
        for (key, value) in &commit.changes {
            let Some(value) = value.as_ref().filter(|_| key.starts_with("seen/")) else { continue };
            for id in value.as_chunks::<16>().0 {
                self.done.entry(u128::from_le_bytes(*id)).or_insert(host.records);
            }
        }
    }

    /// Records that were marked as done before the host had them, in any form.
    pub(super) fn ahead(&self, microsoft: &Microsoft, host: &Host) -> Option<String> {
        let mut first_taken: HashMap<u128, u64> = HashMap::new();
        for owed in microsoft.owed() {
            if let Some(taken) = host.taken.get(&owed.hash) {
                let first = first_taken.entry(owed.key).or_insert(taken.at);
                *first = taken.at.min(*first);
            }
        }
        microsoft.owed().find_map(|owed| {
            let done = self.done.get(&xxh3_128(owed.content_id.as_bytes()))?;
            let before = first_taken.get(&owed.key).is_some_and(|at| at < done);
            (!before).then(|| format!("{} [{}]", owed.content_id, owed.index))
        })
    }
}
