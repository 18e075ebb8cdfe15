//! Which records a world's filter asks for, judged without a line of the core.

use m365_audit_world::Draw;
use m365_sim::Owed;
use serde::Deserialize;

/// The fields that filters look at.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Head {
    #[serde(default)]
    record_type: Option<i64>,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    workload: String,
    #[serde(default)]
    user_id: String,
}

/// A filter: the option, its value, and what it means.
type Filter = (&'static str, &'static str, fn(&Head) -> bool);

const FILTERS: &[Filter] = &[
    ("exclude_operations", "File*, userloggedin", |head| {
        let operation = head.operation.to_lowercase();
        !operation.starts_with("file") && operation != "userloggedin"
    }),
    ("include_workloads", "EXCHANGE, Share?oint", |head| {
        matches!(&*head.workload, "Exchange" | "SharePoint")
    }),
    ("exclude_record_types", "8, ExchangeItem,25", |head| {
        !matches!(head.record_type, Some(8 | 2 | 25))
    }),
    ("include_users", "*@*", |head| head.user_id.contains('@')),
];

/// The filter of a world, if it has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted(Option<Filter>);

impl Wanted {
    pub(super) const ALL: Self = Self(None);

    /// A quarter of the worlds have a filter.
    pub(super) fn draw(draw: &mut Draw) -> Self {
        Self(draw.chance(250).then(|| draw.pick(FILTERS)))
    }

    /// The collector's option that says so.
    pub(super) fn option(self) -> Option<(&'static str, &'static str)> {
        self.0.map(|(option, value, _)| (option, value))
    }

    /// Whether the record is to be handed over; `None` where that is nobody's promise, because the
    /// record is no JSON.
    pub(super) fn judge(self, owed: &Owed) -> Option<bool> {
        let Some((_, _, passes)) = self.0 else { return Some(true) };
        if owed.bytes.first() != Some(&b'{') {
            return Some(true);
        }
        let head: Head = serde_json::from_slice(&owed.bytes).ok()?;
        Some(passes(&head))
    }
}
