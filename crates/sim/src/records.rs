//! Audit records, generated on demand. The bytes of a record are a pure function of the recipe
//! (seed and tenant), its content key, its index and the key of its order; nothing is stored.

mod bulk;
mod directory;
mod dlp;
mod exchange;
mod general;
mod oddities;
mod oddity;
mod sharepoint;
mod words;
mod writer;

use fastrand::Rng;

use crate::config::{SimConfig, Span};
use crate::content_type::ContentType;
use crate::draw;
use crate::guid::Guid;
use crate::time::MINUTE_MS;

pub(crate) use oddities::Oddities;
pub(crate) use writer::Scratch;
use writer::{Common, Fields};

/// Bytes of a record that is drawn to be of "about 1 MB".
const MEGABYTE: usize = 1 << 20;
/// Events of an ordinary blob happened within this time before its creation.
const EVENT_AGE_MS: u64 = 90 * MINUTE_MS.unsigned_abs();
/// Events of a blob with old events happened within this time before.
const OLD_EVENT_AGE_MS: u64 = 5 * 24 * 60 * MINUTE_MS.unsigned_abs();

/// What all records of a tenant have in common.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) seed: u64,
    pub(crate) organization: Guid,
    pub(crate) domain: String,
    bytes: Span,
    megabytes: f64,
    oddness: f64,
    malformed: f64,
    non_objects: f64,
}

/// Where a record's content comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    /// The key of the content: the same for a redelivered blob.
    pub(crate) key: u64,
    /// The key of the order of fields: differs for a redelivered blob.
    pub(crate) order: u64,
    /// The latest time of an event.
    pub(crate) events_ms: i64,
    /// Whether the events are days older.
    pub(crate) old_events: bool,
    pub(crate) content_type: ContentType,
}

/// What is known of a record before its bytes are made.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The value of `Id`; none when the record has no such field.
    pub(crate) id: Option<Guid>,
    /// It is no JSON object, though the array around it is balanced.
    pub(crate) malformed: bool,
    guid: Guid,
    odd: Oddities,
    element: bool,
    rng: Rng,
}

impl Recipe {
    pub(crate) fn new(config: &SimConfig, tenant: Guid, domain: &str) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "half of the tenant id will do")]
        let half = tenant.0 as u64;
        Self {
            seed: draw::mix(config.seed, half),
            organization: tenant,
            domain: domain.to_owned(),
            bytes: config.record_bytes,
            megabytes: config.megabyte_records,
            oddness: config.oddness,
            malformed: config.faults.malformed_records,
            non_objects: config.non_objects,
        }
    }

    /// A guess at the bytes of a record, for deciding whether a blob is built in memory.
    pub(crate) fn bytes_max(&self) -> u64 {
        if self.megabytes > 0.0 { MEGABYTE as u64 } else { u64::from(self.bytes.max).max(2_048) }
    }

    /// What is known of a record without making its bytes.
    pub(crate) fn head(&self, source: Source, index: u32) -> Head {
        let mut rng = draw::rng(self.seed, draw::mix(source.key, u64::from(index)));
        let guid = Guid::version4((u128::from(rng.u64(..)) << 64) | u128::from(rng.u64(..)));
        let element = self.non_objects > 0.0 && rng.f64() < self.non_objects;
        let malformed = self.malformed > 0.0 && rng.f64() < self.malformed;
        let odd = Oddities::draw(&mut rng, self.oddness);
        let named = !element && !odd.has(Oddities::NO_ID);
        Head { id: named.then_some(guid), malformed: element || malformed, guid, odd, element, rng }
    }

    /// Appends the bytes of a record to `out`.
    pub(crate) fn write(
        &self,
        source: Source,
        index: u32,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Head {
        let mut head = self.head(source, index);
        if head.element {
            out.extend_from_slice(oddity::element(&mut head.rng));
            return head;
        }
        let age = if source.old_events { OLD_EVENT_AGE_MS } else { EVENT_AGE_MS };
        let age = i64::try_from(head.rng.u64(..age)).expect("ages are days at most");
        let common = Common {
            id: head.guid,
            created_ms: source.events_ms - age,
            organization: self.organization,
            domain: &self.domain,
            odd: head.odd,
        };
        let target = self.target(&mut head.rng);
        let mut fields = Fields::new(scratch, &mut head.rng, common, target);
        match source.content_type {
            ContentType::AzureActiveDirectory => directory::write(&mut fields),
            ContentType::Exchange => exchange::write(&mut fields),
            ContentType::SharePoint => sharepoint::write(&mut fields),
            ContentType::General => general::write(&mut fields),
            ContentType::Dlp => dlp::write(&mut fields),
        }
        bulk::fill(&mut fields);
        oddity::write(&mut fields);
        if head.malformed {
            oddity::break_json(&mut fields);
        }
        let order = draw::rng(self.seed, draw::mix(source.order, u64::from(index)));
        fields.finish(order, out);
        head
    }

    /// The bytes a record should have: the cube of a uniform draw, so that most are small.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a product of a u32 and a number in 0..1"
    )]
    fn target(&self, rng: &mut Rng) -> usize {
        if self.megabytes > 0.0 && rng.f64() < self.megabytes {
            return MEGABYTE;
        }
        let unit = rng.f64();
        let width = f64::from(self.bytes.max.max(self.bytes.min) - self.bytes.min);
        self.bytes.min as usize + (width * unit * unit * unit) as usize
    }
}
