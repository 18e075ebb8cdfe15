//! What a record of this API is recognised by.

use crate::base::key::Key;
use crate::json::{Field, Lifted, TokenKind};

/// The key under which a record is recognised when Microsoft delivers it again, in another
/// blob and with its fields in another order. `None` without a usable `Id`: such a record is
/// never taken for another.
///
/// `CreationTime` and `Operation` are part of it, so that records that share an `Id` by
/// mistake are all delivered: a duplicate is a nuisance, a loss is not.
pub(crate) fn key_of(record: &[u8], fields: &Lifted, scratch: &mut Vec<u8>) -> Option<Key> {
    const NIL: &[u8] = b"00000000-0000-0000-0000-000000000000";
    // `null` and the like name nobody, nor does a blank text.
    let id = fields.token(Field::Id).filter(|id| id.kind != TokenKind::Other);
    let id = id.and_then(|_| fields.raw(record, Field::Id));
    let id = id.filter(|id| !id.trim_ascii().is_empty() && *id != NIL)?;
    scratch.clear();
    scratch.extend_from_slice(id);
    for field in [Field::CreationTime, Field::Operation] {
        scratch.push(0);
        scratch.extend_from_slice(fields.raw(record, field).unwrap_or_default());
    }
    Some(Key::of_bytes(scratch))
}
