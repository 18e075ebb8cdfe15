//! Copies a record to a line of NDJSON. Must not change anything but the line breaks and tabs
//! between tokens.

use super::visit::NullVisitor;
use super::walk::{WalkError, Walker};

/// Appends `raw` to `out` as one line, without the newline behind it. Line feeds, carriage returns
/// and tabs become spaces: in valid JSON they stand between tokens only.
///
/// # Errors
/// If `raw` is not valid JSON, or nests deeper than `depth_max`; then `out` is as it was.
pub fn line_into(raw: &[u8], depth_max: usize, out: &mut Vec<u8>) -> Result<(), WalkError> {
    Walker::new(depth_max).line_into(raw, out)
}

impl Walker {
    /// As [`line_into()`], with the buffers of this walker: for many records.
    ///
    /// # Errors
    /// See there.
    pub fn line_into(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), WalkError> {
        self.walk(raw, &mut NullVisitor)?;
        line_of(raw, out);
        Ok(())
    }
}

/// The same for what is known to be valid JSON.
pub(crate) fn line_of(raw: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(raw);
    for byte in &mut out[start..] {
        if let b'\n' | b'\r' | b'\t' = *byte {
            *byte = b' ';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_breaks_between_tokens_change() {
        let raw = "{\r\n\t\"a\\n\" :\t[1.50,\n\"ä\\u00e4\\/\"]}";
        let mut out = b"before\n".to_vec();
        line_into(raw.as_bytes(), 8, &mut out).unwrap();
        let expected = "before\n{   \"a\\n\" : [1.50, \"ä\\u00e4\\/\"]}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_is_no_json_leaves_the_output_alone() {
        let mut out = b"before".to_vec();
        assert!(line_into(b"{\"a\":\"line\nbreak\"}", 8, &mut out).is_err());
        assert!(line_into(b"[[[1]]]", 2, &mut out).is_err());
        assert_eq!(out, b"before");
    }
}
