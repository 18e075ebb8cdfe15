//! Which hours the doctor looks at.

use std::time::Duration;

use m365_audit_core::Utc;
use m365_audit_core::call::Range;

/// How far back content and activities are looked for: within one window.
pub(super) const HOURS: u64 = 22;

/// The last hours before `until`.
pub(super) fn last_hours(until: Utc) -> Range {
    Range { since: until - Duration::from_secs(HOURS * 3_600), until }
}
