//! JSON texts at random, written as someone might write them: blanks, escapes, odd numbers.

use proptest::prelude::*;

/// Whitespace between tokens, mostly none.
fn blank() -> impl Strategy<Value = String> {
    prop_oneof![8 => Just(String::new()), 2 => "[ \t\r\n]{1,3}"]
}

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-zA-Z0-9 .:/@-]{0,40}",
        2 => "[\\[\\]{},:]{1,4}",
        2 => prop::sample::select(vec![
            r#"\""#, r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t", r"\u0000", r"\u00e9",
            r"\ud83d\ude00", r"\ud83d", r"\ude00", r"\uFFFF", "ä", "€", "😀", "\u{7f}", "\u{2028}",
        ]).prop_map(str::to_owned),
        1 => (0..70_usize).prop_map(|pairs| r"\\".repeat(pairs)),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn key() -> impl Strategy<Value = String> {
    let lifted = vec![
        "\"Id\"",
        "\"CreationTime\"",
        "\"RecordType\"",
        "\"Operation\"",
        "\"Workload\"",
        "\"UserId\"",
    ];
    prop_oneof![prop::sample::select(lifted).prop_map(str::to_owned), string()]
}

fn scalar() -> impl Strategy<Value = String> {
    let words = vec![
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-1",
        "15",
        "1.5",
        "1e3",
        "-2.5E-3",
        "1e400",
        "0.0",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "123456789012345678901234567890",
    ];
    prop_oneof![
        2 => prop::sample::select(words).prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        // Few digits, for serde_json rounds the last of many.
        1 => any::<i16>().prop_map(|number| format!("{}", f64::from(number) / 64.0)),
        4 => string(),
    ]
}

fn joined(parts: Vec<String>, open: char, close: char) -> String {
    format!("{open}{}{close}", parts.join(","))
}

/// An object, with up to three containers around its leaves.
pub(super) fn object() -> impl Strategy<Value = String> {
    members(value())
}

fn members(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (blank(), key(), blank(), blank(), value, blank())
        .prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"));
    (prop::collection::vec(member, 0..6), blank()).prop_map(|(members, blank)| {
        if members.is_empty() { format!("{{{blank}}}") } else { joined(members, '{', '}') }
    })
}

/// Any value, without blanks around it.
pub(super) fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(3, 24, 6, |inner| {
        let element = (blank(), inner.clone(), blank())
            .prop_map(|(before, value, after)| format!("{before}{value}{after}"));
        prop_oneof![
            prop::collection::vec(element, 0..5).prop_map(|parts| joined(parts, '[', ']')),
            members(inner),
        ]
    })
}

/// An array of elements and the elements in it, in order.
pub(super) fn array() -> impl Strategy<Value = (String, Vec<String>)> {
    let element = prop_oneof![4 => object().boxed(), 1 => value().boxed()];
    let padded = (blank(), element, blank());
    (prop::collection::vec(padded, 0..6), blank(), blank(), any::<bool>()).prop_map(
        |(padded, before, after, bom)| {
            let written: Vec<_> = padded
                .iter()
                .map(|(before, value, after)| format!("{before}{value}{after}"))
                .collect();
            let elements = padded.into_iter().map(|(_, value, _)| value).collect();
            let bom = if bom { "\u{feff}" } else { "" };
            (format!("{bom}{before}[{}]{after}", written.join(",")), elements)
        },
    )
}
