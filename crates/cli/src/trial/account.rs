//! Published against delivered, by what the simulated service says that it owes.

use std::collections::{BTreeMap, HashMap};

use indicatif::HumanCount;
use m365_sim::Owed;
use xxhash_rust::xxh3::xxh3_128;

/// What is owed and what came.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// What makes a record the same record, by the hash of each of its forms.
    keys: HashMap<u128, u128>,
    /// Each record that is owed, by that key.
    owed: HashMap<u128, Record>,
    missing: u64,
    /// Records that nobody published.
    unknown: u64,
}

#[derive(Debug)]
struct Record {
    content_type: &'static str,
    came: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    published: u64,
    delivered: u64,
    twice: u64,
}

impl Row {
    fn line(self, name: &str) -> String {
        let count = |count: u64| HumanCount(count).to_string();
        format!(
            "{name:26}{:>11}{:>11}{:>9}{:>8}\n",
            count(self.published),
            count(self.delivered),
            count(self.published - self.delivered),
            count(self.twice)
        )
    }
}

impl Account {
    /// An account of what is owed. Records that carry the same `Id` are one record.
    pub(super) fn of(owed: impl Iterator<Item = Owed>) -> Self {
        let mut account = Self::default();
        for record in owed {
            account.keys.insert(record.hash, record.key);
            let content_type = record.content_type.name();
            account.owed.entry(record.key).or_insert(Record { content_type, came: 0 });
        }
        account.missing = account.owed.len() as u64;
        account
    }

    /// A record has come.
    pub(super) fn came(&mut self, record: &[u8]) {
        let key = self.keys.get(&xxh3_128(record));
        let Some(record) = key.and_then(|key| self.owed.get_mut(key)) else {
            self.unknown += 1;
            return;
        };
        if record.came == 0 {
            self.missing -= 1;
        }
        record.came += 1;
    }

    /// Everything has come, and nothing that was not published.
    pub(super) const fn is_whole(&self) -> bool {
        self.missing == 0 && self.unknown == 0
    }

    /// A row for each content type, and the sum.
    pub(super) fn table(&self) -> String {
        let (mut rows, mut all) = (BTreeMap::<&str, Row>::new(), Row::default());
        for record in self.owed.values() {
            for row in [rows.entry(record.content_type).or_default(), &mut all] {
                row.published += 1;
                row.delivered += u64::from(record.came > 0);
                row.twice += record.came.saturating_sub(1);
            }
        }
        let [a, b, c, d] = ["published", "delivered", "missing", "twice"];
        let mut text = format!("\n{:26}{a:>11}{b:>11}{c:>9}{d:>8}\n", "content type");
        rows.into_iter().for_each(|(name, row)| text.push_str(&row.line(name)));
        text.push_str(&all.line("all"));
        if 0 < self.unknown {
            text.push_str(&format!("{} records that nobody published\n", self.unknown));
        }
        text
    }
}
