//! Copies a record to a line of NDJSON. Must not change anything but the line breaks and tabs
//! between tokens.

use super::walk::{NullVisitor, WalkError, walk};

/// Appends `raw` to `out` as one line, without the newline behind it. Line feeds, carriage returns
/// and tabs become spaces: in valid JSON they stand between tokens only.
///
/// # Errors
/// If `raw` is not valid JSON, or nests deeper than `depth_max`; then `out` is as it was.
pub fn line_into(raw: &[u8], depth_max: usize, out: &mut Vec<u8>) -> Result<(), WalkError> {
    walk(raw, depth_max, &mut NullVisitor)?;
    out.extend(raw.iter().map(|byte| match byte {
        b'\n' | b'\r' | b'\t' => b' ',
        _ => *byte,
    }));
    Ok(())
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
