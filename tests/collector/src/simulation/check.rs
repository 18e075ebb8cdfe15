//! What must hold of every run, checked against the simulator's truth and nothing else.

use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use m365_audit_core::{Commit, ContentType, Feed};
use m365_audit_world::Taker;
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_128;

use super::published::Published;

/// How far the simulator's wrong `Date` headers may lead a begin, or the end of a window into the
/// future. The overlap of the next one makes up for the latter.
pub(super) const SKEW_MS: i64 = 95_000;

/// What is owed to a collector, as of one moment.
#[derive(Debug)]
pub(super) struct Debt {
    /// Of each record, by what makes it the same record: the forms in which it was published.
    forms: HashMap<u128, Vec<u128>>,
    /// Records whose every form is still missing.
    missing: HashSet<u128>,
}

impl Debt {
    /// Everything wanted of these content types that was created at or after `begin_ms`, that could
    /// be listed by `until_ms`, and for which there was time: that expires at `alive_ms` or later.
    pub(super) fn new(
        published: &Published,
        types: &[ContentType],
        begin_ms: i64,
        until_ms: i64,
        alive_ms: i64,
        activities_begin_ms: Option<i64>,
    ) -> Self {
        let mut forms: HashMap<u128, Vec<u128>> = HashMap::new();
        let mut missing = HashSet::new();
        for owed in &published.records {
            if !types.iter().any(|ct| ct.as_str() == owed.content_type.name()) {
                continue;
            }
            let forms = forms.entry(owed.key).or_default();
            forms.push(owed.hash);
            let in_time = owed.created_ms >= begin_ms
                && owed.available_ms <= until_ms
                && owed.expires_ms >= alive_ms;
            if in_time && owed.is_wanted() {
                missing.insert(owed.key);
            }
        }
        if let Some(begin_ms) = activities_begin_ms {
            for owed in &published.activities {
                forms.entry(owed.key).or_default().push(owed.hash);
                if owed.created_ms >= begin_ms && owed.available_ms <= until_ms {
                    missing.insert(owed.key);
                }
            }
        }
        Self { forms, missing }
    }

    /// Whether everything owed has been taken.
    pub(super) fn is_settled(&mut self, taker: &Taker) -> bool {
        let forms = &self.forms;
        self.missing.retain(|key| !forms[key].iter().any(|hash| taker.taken().contains_key(hash)));
        self.missing.is_empty()
    }

    pub(super) fn missing(&self) -> usize {
        self.missing.len()
    }

    /// What is missing, for the message of a failure.
    pub(super) fn describe_missing(&self, published: &Published) -> String {
        published
            .records
            .iter()
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
            .chain(
                published
                    .activities
                    .iter()
                    .filter(|owed| self.missing.contains(&owed.key))
                    .take(3)
                    .map(|owed| {
                        let (created, available) = (owed.created_ms, owed.available_ms);
                        format!("activity {} created {created} available {available}\n", owed.id)
                    }),
            )
            .collect()
    }
}

/// Records that the host has and Microsoft never published, byte for byte.
pub(super) fn invented(published: &Published, taker: &Taker) -> usize {
    let activities = published.activities.iter().map(|owed| owed.hash);
    let known: HashSet<u128> =
        published.records.iter().map(|owed| owed.hash).chain(activities).collect();
    taker.taken().keys().filter(|hash| !known.contains(hash)).count()
}

/// Records that the host has although the filter leaves them out.
pub(super) fn unwanted(published: &Published, taker: &Taker) -> usize {
    let taken = |hash: &u128| taker.taken().contains_key(hash);
    let owed = published.records.iter().filter(|owed| taken(&owed.hash));
    owed.filter(|owed| owed.is_unwanted()).count()
}

/// What commits have claimed, each with the number of records that the host had then.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    /// Contents marked as done.
    done: HashMap<u128, u64>,
    /// Of each content that is accounted for by itself, set aside or delivered in part: in which
    /// commit that began, and in which it ended.
    kept: HashMap<u128, Vec<(usize, Option<usize>)>>,
    /// Contents that are remembered as lost, and in which commit that began.
    lost: HashMap<u128, usize>,
    /// The same of intervals, by content type.
    gaps: HashMap<String, Vec<(i64, i64, usize)>>,
    /// The number of records that the host had at each commit.
    had: Vec<u64>,
    /// Intervals newly covered, by content type.
    covered: HashMap<String, Vec<Covered>>,
    /// The first value that could not be read: what it claims was not checked.
    unread: Option<String>,
}

/// What a lane's record says of coverage, in milliseconds.
#[derive(Deserialize)]
struct Claimed {
    covered: Vec<[i64; 2]>,
}

/// An interval that a commit claims to be settled.
#[derive(Clone, Copy, Debug)]
struct Covered {
    start_ms: i64,
    end_ms: i64,
    /// In which commit that was claimed.
    commit: usize,
}

/// What a commit says of a loss.
#[derive(Deserialize)]
struct Lost {
    #[serde(default)]
    feed: String,
    kind: String,
    created: Option<(i64, i64)>,
    name: Option<String>,
}

/// A content that is available this soon after its creation must be in the first listing that
/// reaches over it. What comes later is for the relisting to find.
pub(super) const ON_TIME_MS: i64 = 900;

impl Checkpoints {
    /// Notes what a commit claims that was made when the host had so many records.
    pub(super) fn note(&mut self, commit: &Commit, had: u64) {
        let number = self.had.len();
        self.had.push(had);
        for (key, value) in &commit.changes {
            let mut parts = key.split('/');
            let Some(value) = value else {
                if let (Some("blob"), _, Some(id)) = (parts.next(), parts.next(), parts.next()) {
                    self.release(id, number);
                }
                continue;
            };
            match (parts.next(), parts.next(), parts.next()) {
                (Some("seen"), ..) => {
                    let keys = STANDARD_NO_PAD.decode(value).unwrap_or_default();
                    let (keys, rest) = keys.as_chunks::<16>();
                    if keys.is_empty() || !rest.is_empty() {
                        self.unread.get_or_insert_with(|| format!("{key}: {value}"));
                    }
                    for id in keys {
                        self.done.entry(u128::from_le_bytes(*id)).or_insert(had);
                    }
                }
                (Some("blob"), _, Some(id)) => match u128::from_str_radix(id, 16) {
                    Ok(id) => {
                        let kept = self.kept.entry(id).or_default();
                        if kept.last().is_none_or(|(_, end)| end.is_some()) {
                            kept.push((number, None));
                        }
                    }
                    Err(_) => {
                        self.unread.get_or_insert_with(|| key.clone());
                    }
                },
                (Some("lane"), Some(content_type), _) => match serde_json::from_str(value) {
                    Ok(claimed) => self.note_covered(content_type, &claimed, number),
                    Err(_) => {
                        self.unread.get_or_insert_with(|| format!("{key}: {value}"));
                    }
                },
                (Some("loss"), ..) => match serde_json::from_str(value) {
                    Ok(lost) => self.note_lost(lost, number),
                    Err(_) => {
                        self.unread.get_or_insert_with(|| format!("{key}: {value}"));
                    }
                },
                _ => {}
            }
        }
    }

    /// A content is not accounted for by itself any more.
    fn release(&mut self, id: &str, commit: usize) {
        let id = u128::from_str_radix(id, 16).unwrap_or_default();
        if let Some((_, end)) = self.kept.get_mut(&id).and_then(|kept| kept.last_mut()) {
            end.get_or_insert(commit);
        }
    }

    fn note_lost(&mut self, lost: Lost, commit: usize) {
        match (&*lost.kind, lost.name, lost.created) {
            ("blob", Some(name), _) => {
                self.lost.entry(xxh3_128(name.as_bytes())).or_insert(commit);
            }
            (_, _, Some((start, end))) => {
                self.gaps.entry(lost.feed).or_default().push((start, end, commit));
            }
            (_, _, None) => {}
        }
    }

    /// The first commit from `commit` on that claims a content to be delivered, in whose time all
    /// is claimed to be since then: not while it is accounted for by itself, and not if it is lost.
    fn claimed_at(
        &self,
        feed: &str,
        content: u128,
        created_ms: i64,
        commit: usize,
    ) -> Option<usize> {
        let mut commit = commit;
        for (begun, ended) in self.kept.get(&content).into_iter().flatten() {
            if *begun <= commit {
                commit = commit.max((*ended)?);
            }
        }
        let lost = self.lost.get(&content).is_some_and(|at| *at <= commit);
        let gap = |gap: &(i64, i64, usize)| (gap.0..gap.1).contains(&created_ms) && gap.2 <= commit;
        let in_gap = self.gaps.get(feed).is_some_and(|gaps| gaps.iter().any(gap));
        (!lost && !in_gap).then_some(commit)
    }

    fn note_covered(&mut self, content_type: &str, claimed: &Claimed, commit: usize) {
        let known = self.covered.entry(content_type.to_owned()).or_default();
        for &[start_ms, end_ms] in &claimed.covered {
            let inside = |c: &&mut Covered| c.start_ms <= start_ms && end_ms <= c.end_ms;
            if known.iter_mut().find(inside).is_none() {
                known.push(Covered { start_ms, end_ms, commit });
            }
        }
    }

    /// A record that lay in a covered interval although nobody had it, nor was it accounted for by
    /// itself at that time.
    fn covered_too_early(
        &self,
        published: &Published,
        taken: &HashMap<u128, u64>,
    ) -> Option<String> {
        published.records.iter().filter(|owed| owed.is_wanted()).find_map(|owed| {
            let on_time = owed.available_ms <= owed.created_ms + ON_TIME_MS;
            let feed = owed.content_type.name();
            let claim = self
                .covered
                .get(feed)?
                .iter()
                .find(|c| (c.start_ms..c.end_ms - SKEW_MS).contains(&owed.created_ms))
                .filter(|_| on_time)?;
            let content = xxh3_128(owed.content_id.as_bytes());
            let at = self.claimed_at(feed, content, owed.created_ms, claim.commit)?;
            let before = taken.get(&owed.key).is_some_and(|taken| *taken < self.had[at]);
            (!before).then(|| {
                let (id, index) = (&owed.content_id, owed.index);
                format!("{id} [{index}] {claim:?}, claimed in commit {at}")
            })
        })
    }

    /// Contents that were called done, and not lost.
    pub(super) const fn done(&self) -> &HashMap<u128, u64> {
        &self.done
    }

    /// A claim that could not be read, and so was not checked.
    pub(super) const fn unread(&self) -> Option<&String> {
        self.unread.as_ref()
    }

    /// Records that were marked as done before the host had them, in any form.
    pub(super) fn ahead(&self, published: &Published, taker: &Taker) -> Option<String> {
        let mut first_taken: HashMap<u128, u64> = HashMap::new();
        for owed in &published.records {
            if let Some(taken) = taker.taken().get(&owed.hash) {
                let first = first_taken.entry(owed.key).or_insert(taken.at);
                *first = taken.at.min(*first);
            }
        }
        let early = self.covered_too_early(published, &first_taken);
        let early = early.or_else(|| self.activity_covered_too_early(published, taker));
        early.or_else(|| self.done_too_early(published, &first_taken))
    }

    /// The same of activities.
    fn activity_covered_too_early(&self, published: &Published, taker: &Taker) -> Option<String> {
        let intervals = self.covered.get(Feed::CloudAppActivities.as_str())?;
        published.activities.iter().find_map(|owed| {
            let on_time = owed.available_ms <= owed.created_ms + ON_TIME_MS;
            let claim = intervals
                .iter()
                .find(|c| (c.start_ms..c.end_ms - SKEW_MS).contains(&owed.created_ms))
                .filter(|_| on_time)?;
            let had = self.had[claim.commit];
            let gap = |gap: &(i64, i64, usize)| {
                (gap.0..gap.1).contains(&owed.created_ms) && gap.2 <= claim.commit
            };
            let feed = Feed::CloudAppActivities.as_str();
            let lost = self.gaps.get(feed).is_some_and(|gaps| gaps.iter().any(gap));
            let before = lost || taker.taken().get(&owed.hash).is_some_and(|taken| taken.at < had);
            (!before).then(|| format!("activity {} {claim:?}", owed.id))
        })
    }

    fn done_too_early(&self, published: &Published, taken: &HashMap<u128, u64>) -> Option<String> {
        published.records.iter().filter(|owed| owed.is_wanted()).find_map(|owed| {
            let content = xxh3_128(owed.content_id.as_bytes());
            let done = self.done.get(&content).filter(|_| !self.lost.contains_key(&content))?;
            let before = taken.get(&owed.key).is_some_and(|at| at < done);
            (!before).then(|| format!("{} [{}]", owed.content_id, owed.index))
        })
    }
}
