//! What was lost, remembered until somebody has acknowledged it, and for a while longer. A loss is
//! stored in the commit that counts the progress made over it. Knows no lane, and tells nobody.
//!
//! Each loss has a number. One that changes, because it grows or because too many are remembered,
//! gets a new one, so that nobody can acknowledge more than was shown. An acknowledgement stands
//! under a key of its own, which only somebody else writes: so it can be given beside a collector
//! that is at work.

use serde::{Deserialize, Serialize};

use crate::base::flat_map::FlatMap;
use crate::base::interval::Interval;
use crate::base::time::Utc;
use crate::contract::batch::ContentRef;
use crate::contract::feed::Feed;
use crate::contract::io::{MissingOutput, OutputShort};
use crate::contract::loss::LossKind;
use crate::contract::state::{self, Changes, Commit, StateError, Stored};

/// Where losses are stored, each with its number in sixteen hexadecimal digits.
const LOSSES: &str = "loss/";

/// Where what was acknowledged is stored, by the same numbers. Written by whoever acknowledges.
pub const ACKNOWLEDGED: &str = "acknowledged/";

/// Losses that are remembered one by one and not acknowledged. Beyond it neighbours of one kind
/// become one, which speaks of all the time between them: what is lost is never forgotten, and
/// never less.
const OPEN_MAX: usize = 500;

/// Losses that are remembered after they were acknowledged.
const ACKNOWLEDGED_MAX: usize = 100;

/// Bytes of a name that are kept.
const NAME_BYTES_MAX: usize = 1_024;

/// Something that was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The feed; `None` for what is of no single one, such as an output.
    pub feed: Option<Feed>,
    /// How it was lost.
    pub kind: LossKind,
    /// When the content was created: start, and end, exclusive. `None` if that is not known.
    pub created: Option<(Utc, Utc)>,
    /// The id of the blob, the path or address of the output; `None` for several.
    pub name: Option<Box<str>>,
    /// How many: blobs, records, entries, bytes of an output; of time, how many intervals.
    pub count: u64,
    /// When it was first told.
    pub told: Utc,
}

impl Loss {
    /// Time of a feed.
    pub(crate) fn of_time(kind: LossKind, feed: Feed, time: Interval, told: Utc) -> Self {
        let created = Some((time.start, time.end));
        Self { feed: Some(feed), kind, created, name: None, count: 1, told }
    }

    /// A blob, or `count` of its records.
    pub(crate) fn of_blob(kind: LossKind, content: &ContentRef, count: u64, told: Utc) -> Self {
        let moment = std::time::Duration::from_millis(1);
        Self {
            feed: Some(content.feed),
            kind,
            created: Some((content.created, content.created + moment)),
            name: Some(content.id.clone()),
            count,
            told,
        }
    }

    /// What an output does not have.
    #[must_use]
    pub fn of_output(short: &OutputShort, told: Utc) -> Self {
        let (kind, count) = match short.missing {
            MissingOutput::Bytes(bytes) => (LossKind::Output, bytes),
            MissingOutput::Records { count, .. } => (LossKind::RecordsRejected, count),
        };
        let name = Some(short.output.clone());
        Self { feed: None, kind, created: None, name, count, told }
    }

    fn interval(&self) -> Option<Interval> {
        self.created.and_then(|(start, end)| Interval::new(start, end))
    }

    /// Whether `other` is of the same kind and feed.
    fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind && self.feed == other.feed
    }

    /// Whether the two are about one thing.
    fn is_same(&self, other: &Self) -> bool {
        if !self.is_like(other) {
            return false;
        }
        match (&self.name, &other.name) {
            (Some(one), Some(two)) => one == two,
            (None, None) => match (self.interval(), other.interval()) {
                (Some(a), Some(b)) => self.kind.grows() && a.start <= b.end && b.start <= a.end,
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            },
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Both in one.
    fn join(self, other: Self) -> Self {
        let created = match (self.created, other.created) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (Some(_), None) | (None, Some(_)) | (None, None) => None,
        };
        let same = self.name == other.name;
        let count = match self.kind {
            // The same blob, or an interval that has grown, is one still.
            LossKind::Blob if same && self.name.is_some() => self.count,
            LossKind::Gap | LossKind::Unsubscribed if self.is_same(&other) => self.count,
            LossKind::Gap
            | LossKind::Unsubscribed
            | LossKind::Blob
            | LossKind::RecordsDropped
            | LossKind::RecordsWithheld
            | LossKind::EntriesDropped
            | LossKind::Output
            | LossKind::RecordsRejected
            | LossKind::Unknown => self.count.saturating_add(other.count),
        };
        Self {
            feed: self.feed,
            kind: self.kind,
            created,
            name: self.name.filter(|_| same),
            count,
            told: self.told.min(other.told),
        }
    }
}

/// Who has acknowledged a loss, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// Who.
    pub by: String,
    /// What they have to say about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A loss as the state remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLoss {
    /// Its number: what it is acknowledged by.
    pub number: u64,
    /// What was lost.
    pub loss: Loss,
    /// Who has acknowledged it, if somebody has.
    pub acknowledged: Option<Acknowledgement>,
}

/// The form in which a loss is stored. What a newer version adds to it is left aside.
#[derive(Serialize, Deserialize)]
struct LossRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    feed: Option<Box<str>>,
    kind: LossKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<(i64, i64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Box<str>>,
    count: u64,
    told: i64,
}

fn encode(loss: &Loss) -> String {
    let name = loss.name.as_deref().map(|name| {
        let end = (0..=name.len().min(NAME_BYTES_MAX)).rev().find(|at| name.is_char_boundary(*at));
        name[..end.unwrap_or_default()].into()
    });
    state::encode(&LossRecord {
        feed: loss.feed.map(|feed| feed.as_str().into()),
        kind: loss.kind,
        created: loss.created.map(|(start, end)| (start.as_millis(), end.as_millis())),
        name,
        count: loss.count,
        told: loss.told.as_millis(),
    })
}

fn decode(key: &str, value: &str) -> Result<Loss, StateError> {
    let record: LossRecord = state::decode(key, value)?;
    let time = |(start, end)| (Utc::from_millis(start), Utc::from_millis(end));
    Ok(Loss {
        feed: record.feed.as_deref().and_then(Feed::parse),
        kind: record.kind,
        created: record.created.map(time),
        name: record.name,
        count: record.count,
        told: Utc::from_millis(record.told),
    })
}

fn number(key: &str, prefix: &str) -> Result<u64, StateError> {
    let digits = key.strip_prefix(prefix).unwrap_or_default();
    u64::from_str_radix(digits, 16).map_err(|_| StateError::damaged(key, "not a number"))
}

fn loss_key(number: u64) -> String {
    format!("{LOSSES}{number:016x}")
}

fn acknowledged_key(number: u64) -> String {
    format!("{ACKNOWLEDGED}{number:016x}")
}

/// Every loss that a state remembers, in the order of their numbers.
///
/// # Errors
/// If a value cannot be read.
pub fn losses(stored: &Stored) -> Result<Vec<KnownLoss>, StateError> {
    let below = |prefix: &'static str| {
        stored.range(prefix.to_owned()..).take_while(move |(key, _)| key.starts_with(prefix))
    };
    let mut known = Vec::new();
    for (key, value) in below(LOSSES) {
        let number = number(key, LOSSES)?;
        let key = acknowledged_key(number);
        let acknowledged = stored.get(&key).map(|value| state::decode(&key, value)).transpose()?;
        known.push(KnownLoss { number, loss: decode(key.as_str(), value)?, acknowledged });
    }
    Ok(known)
}

/// The entry of the state by which a loss is acknowledged. It counts if the loss is there.
#[must_use]
pub fn acknowledge(number: u64, acknowledgement: &Acknowledgement) -> (String, String) {
    (acknowledged_key(number), state::encode(acknowledgement))
}

/// The changes by which a state remembers one more loss: for a host that keeps the state of a
/// collector which it cannot tell of it. The next one that goes on from there finds it.
///
/// # Errors
/// If what the state remembers cannot be read.
pub fn remember(stored: &Stored, loss: Loss) -> Result<Commit, StateError> {
    let mut losses = Losses::load(stored)?;
    losses.add(loss);
    let mut changes = Changes::default();
    losses.flush(&mut changes);
    Ok(changes.take())
}

/// The losses of one collector.
#[derive(Clone, Debug, Default)]
pub(crate) struct Losses {
    open: FlatMap<u64, Box<Loss>>,
    /// Numbers of those that were acknowledged and are remembered still.
    acknowledged: FlatMap<u64, ()>,
    next: u64,
    /// What is to be written, and what is to be deleted.
    unwritten: FlatMap<u64, ()>,
    gone: Vec<String>,
}

impl Losses {
    pub(crate) fn load(stored: &Stored) -> Result<Self, StateError> {
        let mut all = Self::default();
        for KnownLoss { number, loss, acknowledged } in losses(stored)? {
            all.next = all.next.max(state::following(&loss_key(number), number)?);
            if acknowledged.is_some() {
                all.acknowledged.insert(number, ());
            } else {
                all.open.insert(number, Box::new(loss));
            }
        }
        // Of a loss that has become part of another one since it was shown.
        let prefix = ACKNOWLEDGED.to_owned();
        for (key, _) in stored.range(prefix..).take_while(|(key, _)| key.starts_with(ACKNOWLEDGED))
        {
            let number = number(key, ACKNOWLEDGED)?;
            all.next = all.next.max(state::following(key, number)?);
            if !all.acknowledged.contains_key(&number) {
                all.gone.push(key.clone());
            }
        }
        all.forget_oldest();
        Ok(all)
    }

    /// How many nobody has acknowledged.
    pub(crate) fn unacknowledged(&self) -> u64 {
        self.open.len() as u64
    }

    /// When the oldest of these was told.
    pub(crate) fn oldest(&self) -> Option<Utc> {
        self.open.values().map(|loss| loss.told).min()
    }

    /// Notes a loss.
    pub(crate) fn add(&mut self, mut loss: Loss) {
        if loss.count == 0 {
            return;
        }
        while let Some(number) = self.same(&loss) {
            let Some(known) = self.take(number) else { break };
            loss = known.join(loss);
        }
        self.put(loss);
        while self.open.len() > OPEN_MAX {
            let Some((one, two)) = self.nearest() else { break };
            if let (Some(one), Some(two)) = (self.take(one), self.take(two)) {
                self.put(one.join(two));
            }
        }
    }

    fn same(&self, loss: &Loss) -> Option<u64> {
        self.open.iter().find(|(_, known)| known.is_same(loss)).map(|(number, _)| *number)
    }

    /// Of all pairs of one kind and feed the one with the least time between them.
    fn nearest(&self) -> Option<(u64, u64)> {
        let mut ordered = FlatMap::default();
        for (number, loss) in self.open.iter() {
            ordered.insert((loss.kind, loss.feed, loss.created, *number), &**loss);
        }
        let ordered = ordered.into_entries();
        let pairs = ordered.windows(2).filter_map(|pair| {
            let [(one, first), (two, second)] = pair else { return None };
            let between = match (first.created, second.created) {
                (Some((_, end)), Some((start, _))) => start.since(end),
                (Some(_), None) | (None, Some(_)) | (None, None) => std::time::Duration::ZERO,
            };
            first.is_like(second).then_some((between, one.3, two.3))
        });
        pairs.min_by_key(|(between, ..)| *between).map(|(_, one, two)| (one, two))
    }

    fn put(&mut self, loss: Loss) {
        self.unwritten.insert(self.next, ());
        self.open.insert(self.next, Box::new(loss));
        self.next += 1;
    }

    fn take(&mut self, number: u64) -> Option<Loss> {
        if self.unwritten.remove(&number).is_none() {
            self.gone.push(loss_key(number));
        }
        self.open.remove(&number).map(|loss| *loss)
    }

    /// Somebody has acknowledged what these keys name. Answers how many losses that were.
    pub(crate) fn acknowledge<'a>(&mut self, keys: impl Iterator<Item = &'a str>) -> u64 {
        let mut count = 0;
        for number in keys.filter_map(|key| number(key, ACKNOWLEDGED).ok()) {
            // What is not written yet cannot have been seen.
            if !self.unwritten.contains_key(&number) && self.open.remove(&number).is_some() {
                self.acknowledged.insert(number, ());
                count += 1;
            }
        }
        self.forget_oldest();
        count
    }

    fn forget_oldest(&mut self) {
        while self.acknowledged.len() > ACKNOWLEDGED_MAX
            && let Some((number, ())) = self.acknowledged.pop_first()
        {
            self.gone.extend([loss_key(number), acknowledged_key(number)]);
        }
    }

    /// Writes what has changed since the last time.
    pub(crate) fn flush(&mut self, changes: &mut Changes) {
        for key in std::mem::take(&mut self.gone) {
            changes.delete(key);
        }
        for (number, ()) in std::mem::take(&mut self.unwritten).into_entries() {
            if let Some(loss) = self.open.get(&number) {
                changes.put(loss_key(number), encode(loss));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gap(start: i64, end: i64) -> Loss {
        let time = Interval { start: Utc::from_millis(start), end: Utc::from_millis(end) };
        Loss::of_time(LossKind::Gap, Feed::ALL[0], time, Utc::from_millis(end))
    }

    fn dropped(blob: i64, count: u64) -> Loss {
        Loss {
            kind: LossKind::RecordsDropped,
            name: Some(blob.to_string().into()),
            count,
            ..gap(blob, blob + 1)
        }
    }

    fn flush(all: &mut Losses, stored: &mut Stored) {
        let mut changes = Changes::default();
        all.flush(&mut changes);
        changes.take().apply(stored);
    }

    fn by_me() -> Acknowledgement {
        Acknowledgement { at: 5, by: "me".into(), note: "seen".into() }
    }

    #[test]
    fn what_is_about_one_thing_is_one_loss_with_a_new_number() {
        let (mut all, mut stored) = (Losses::default(), Stored::new());
        all.add(gap(10, 20));
        flush(&mut all, &mut stored);
        all.add(gap(20, 30));
        all.add(gap(50, 60));
        all.add(dropped(7, 2));
        all.add(dropped(7, 3));
        flush(&mut all, &mut stored);
        let known = losses(&stored).unwrap();
        let told: Vec<_> = known
            .iter()
            .map(|known| (known.number, known.loss.kind.as_str(), known.loss.count))
            .collect();
        assert_eq!(told, [(1, "gap", 1), (2, "gap", 1), (4, "records-dropped", 5)]);
        assert_eq!(known[0].loss.created, gap(10, 30).created);
        assert_eq!(known[0].loss.told, Utc::from_millis(20), "when it was first told");
    }

    #[test]
    fn an_acknowledgement_of_what_has_grown_since_counts_for_nothing() {
        let (mut all, mut stored) = (Losses::default(), Stored::new());
        all.add(gap(10, 20));
        flush(&mut all, &mut stored);
        let (key, value) = acknowledge(0, &by_me());
        stored.insert(key.clone(), value);
        all.add(gap(20, 30));
        assert_eq!(all.acknowledge([&*key].into_iter()), 0);
        flush(&mut all, &mut stored);
        let mut all = Losses::load(&stored).unwrap();
        assert_eq!(all.unacknowledged(), 1);
        flush(&mut all, &mut stored);
        assert!(!stored.contains_key(&key), "{stored:?}");
        all.add(dropped(1, 1));
        flush(&mut all, &mut stored);
        let numbers: Vec<_> = losses(&stored).unwrap().iter().map(|known| known.number).collect();
        assert_eq!(numbers, [1, 2], "no number is given twice");
    }

    #[test]
    fn what_was_acknowledged_is_remembered_for_a_while() {
        let (mut all, mut stored) = (Losses::default(), Stored::new());
        for blob in 0..150 {
            all.add(dropped(blob, 1));
        }
        flush(&mut all, &mut stored);
        for number in 0..150 {
            stored.extend([acknowledge(number, &by_me())]);
        }
        let mut all = Losses::load(&stored).unwrap();
        flush(&mut all, &mut stored);
        assert_eq!(stored.len(), 2 * ACKNOWLEDGED_MAX);
        let known = losses(&stored).unwrap();
        assert_eq!(known[0].number, 50);
        assert_eq!(known[0].acknowledged, Some(by_me()));
        assert_eq!(Losses::load(&stored).unwrap().unacknowledged(), 0);
    }

    #[test]
    fn what_a_newer_version_has_stored_is_a_loss_still() {
        let value = r#"{"kind":"eaten","count":3,"told":5,"by":"a dog","feed":"Audit.Dogs"}"#;
        let stored = Stored::from([(loss_key(9), value.to_owned())]);
        let known = losses(&stored).unwrap().remove(0);
        assert_eq!((known.loss.kind, known.loss.count), (LossKind::Unknown, 3));
        assert_eq!(Losses::load(&stored).unwrap().unacknowledged(), 1);
    }

    #[test]
    fn no_number_follows_the_last() {
        for (key, value) in
            [(loss_key(u64::MAX), encode(&gap(1, 2))), acknowledge(u64::MAX, &by_me())]
        {
            let stored = Stored::from([(key.clone(), value)]);
            let damaged = StateError::damaged(&key, "no number can follow");
            assert_eq!(Losses::load(&stored).err(), Some(damaged));
        }
    }

    #[test]
    fn only_what_is_about_one_thing_is_one_loss() {
        let other = |kind| Loss { kind, ..gap(20, 30) };
        let blobs = |start, end| Loss { kind: LossKind::Blob, ..gap(start, end) };
        let mut all = Losses::default();
        for loss in [
            gap(10, 20),
            other(LossKind::Unsubscribed),
            Loss { feed: Some(Feed::ALL[1]), ..gap(20, 30) },
            // Of several blobs each, and none of them in both.
            blobs(10, 20),
            blobs(15, 30),
        ] {
            all.add(loss);
        }
        assert_eq!((all.unacknowledged(), all.oldest()), (5, Some(Utc::from_millis(20))));
        assert_eq!(Losses::default().oldest(), None);
    }

    #[test]
    fn a_blob_is_lost_once_and_with_the_moment_that_it_was_created() {
        let created = Utc::from_millis(50);
        let content = ContentRef {
            feed: Feed::ALL[0],
            id: "b".into(),
            uri: "".into(),
            created,
            expiration: created,
        };
        let loss = Loss::of_blob(LossKind::Blob, &content, 1, created);
        assert_eq!(loss.created, Some((created, Utc::from_millis(51))));
        let mut stored = Stored::new();
        for _ in 0..2 {
            remember(&stored, loss.clone()).unwrap().apply(&mut stored);
        }
        let known = losses(&stored).unwrap();
        assert_eq!((known.len(), &known[0].loss), (1, &loss), "told twice, and lost once");
    }

    #[test]
    fn beyond_the_bound_the_nearest_become_one() {
        let blob = |at| Loss { kind: LossKind::Blob, ..dropped(at, 1) };
        let mut all = Losses::default();
        for loss in [blob(100_000), blob(100_003), gap(90_000, 90_001), gap(90_002, 90_003)] {
            all.add(loss);
        }
        let few = i64::try_from(OPEN_MAX).unwrap() - 4;
        (0..few).for_each(|at| all.add(blob(at * 10)));
        assert_eq!(all.unacknowledged(), OPEN_MAX as u64);
        for (at, created) in [(200_000, (90_000, 90_003)), (300_000, (100_000, 100_004))] {
            all.add(blob(at));
            assert_eq!(all.unacknowledged(), OPEN_MAX as u64);
            let joined: Vec<_> = all.open.values().filter(|loss| loss.count == 2).collect();
            let joined =
                joined.iter().find(|loss| loss.interval() == gap(created.0, created.1).interval());
            assert_eq!(joined.map(|loss| &loss.name), Some(&None), "{created:?}");
        }
    }

    #[test]
    fn what_is_acknowledged_counts_once_and_not_before_it_was_shown() {
        let (mut all, mut stored) = (Losses::default(), Stored::new());
        (0..3).for_each(|blob| all.add(dropped(blob, 1)));
        let keys: Vec<_> = (0..3).map(acknowledged_key).collect();
        let keys = || keys.iter().map(|key| &**key);
        assert_eq!(all.acknowledge(keys()), 0, "nobody has seen them");
        flush(&mut all, &mut stored);
        assert_eq!(all.acknowledge(keys().take(2)), 2);
        assert_eq!((all.acknowledge(keys()), all.unacknowledged()), (1, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// However many there are: nothing is forgotten, nor called smaller, and what is stored is
        /// what is remembered.
        #[test]
        fn beyond_the_bound_neighbours_become_one(
            blobs in prop::collection::vec((0i64..100_000, 1u64..5, any::<bool>()), 0..900),
            every in 1usize..100,
        ) {
            let (mut all, mut stored) = (Losses::default(), Stored::new());
            let mut records = 0;
            for (at, (blob, count, is_gap)) in blobs.iter().enumerate() {
                all.add(if *is_gap { gap(*blob, blob + 3) } else { dropped(*blob, *count) });
                records += if *is_gap { 0 } else { *count };
                if at % every == 0 {
                    flush(&mut all, &mut stored);
                }
            }
            flush(&mut all, &mut stored);
            let known = losses(&stored).unwrap();
            prop_assert!(known.len() <= OPEN_MAX);
            prop_assert_eq!(known.len() as u64, all.unacknowledged());
            let of = |kind| known.iter().filter(move |known| known.loss.kind == kind);
            let kept: u64 = of(LossKind::RecordsDropped).map(|known| known.loss.count).sum();
            prop_assert_eq!(kept, records);
            for (blob, _, is_gap) in blobs {
                let kind = if is_gap { LossKind::Gap } else { LossKind::RecordsDropped };
                let at = Utc::from_millis(blob);
                let within = |known: &&KnownLoss| {
                    known.loss.created.is_some_and(|(start, end)| start <= at && at < end)
                };
                prop_assert!(of(kind).any(|known| within(&known)));
            }
        }
    }
}
