//! Messages in msgpack: what is sent, what is read.

use rmp::encode::{write_array_len, write_bin_len, write_map_len, write_str, write_uint};
use rmpv::Value;

/// Nesting of a message that is read. The protocol needs two.
const DEPTH_MAX: usize = 8;

/// A message in `PackedForward` mode: events one behind the other in one binary, and options that
/// ask for an acknowledgement of `id`.
pub(super) fn packed_forward(out: &mut Vec<u8>, tag: &str, events: &[u8], count: u32, id: &str) {
    let length = u32::try_from(events.len()).expect("a batch is far below 4 GiB");
    out.reserve(events.len() + tag.len() + id.len() + 64);
    let head = write_array_len(out, 3).map(drop).and_then(|()| write_str(out, tag));
    let head = head.and_then(|()| write_bin_len(out, length).map(drop));
    head.expect("a Vec takes everything");
    out.extend_from_slice(events);
    let options = write_map_len(out, 2)
        .map(drop)
        .and_then(|()| write_str(out, "chunk"))
        .and_then(|()| write_str(out, id))
        .and_then(|()| write_str(out, "size"))
        .and_then(|()| write_uint(out, count.into()).map(drop));
    options.expect("a Vec takes everything");
}

/// Reads one message from the beginning of `bytes`: it and its length; `None` if more is needed.
///
/// # Errors
/// These bytes are no msgpack.
pub(super) fn read(bytes: &[u8]) -> Result<Option<(Value, usize)>, String> {
    let mut rest = bytes;
    match rmpv::decode::read_value_with_max_depth(&mut rest, DEPTH_MAX) {
        Ok(value) => Ok(Some((value, bytes.len() - rest.len()))),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(format!("what the receiver answers is no msgpack: {error}")),
    }
}

/// The id that a message acknowledges.
pub(super) fn acknowledged(message: &Value) -> Option<&str> {
    let (_, id) = message.as_map()?.iter().find(|(key, _)| key.as_str() == Some("ack"))?;
    id.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_in_pieces_and_one_after_the_other() {
        let ack = Value::Map(vec![("ack".into(), "abc".into())]);
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &ack).unwrap();
        let length = bytes.len();
        for end in 0..length {
            assert_eq!(read(&bytes[..end]), Ok(None));
        }
        bytes.push(0xc0);
        let (message, read_bytes) = read(&bytes).unwrap().unwrap();
        assert_eq!((acknowledged(&message), read_bytes), (Some("abc"), length));
        assert_eq!(acknowledged(&Value::Nil), None);
        assert!(read(&[0x91; 100]).is_err());
    }
}
