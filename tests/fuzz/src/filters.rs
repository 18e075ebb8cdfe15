//! Filters of the Activities API as text and as JSON: what one notation says, the other says too.

use arbitrary::Unstructured;
use m365_audit_core::Utc;
use m365_audit_core::activities::filter::{FILTERS, FILTERS_BYTES_MAX, Filters, Finding, Operator};

use crate::json;

const VALUES: &[&str] = &[
    "",
    "true",
    "false",
    "7",
    "-1",
    "(1, 3)",
    "(11770, -1)",
    "null",
    "(a, null)",
    "contoso.com",
    "\"two words\"",
    "'it''s'",
    "(\"a, b\", c)",
    "1970-01-02T00:00:00.000Z",
    "1970-01-01T00:00:01.000Z..1970-01-02T00:00:00.000Z",
    "{\"id\":\"x\",\"inst\":0}",
    "({\"id\":\"x\",\"saas\":1,\"inst\":0}, {\"id\":\"y\",\"inst\":2})",
    "s:stream",
    "t:1",
    "and",
    "\"and\"",
    "\"\\\\\"",
    "(\"\\\"\", \"(\")",
    "2026-11-30",
    "USER",
    "\"null\"",
    "\"\"",
];

/// Reads filters, writes them in both notations, reads them back.
pub(crate) fn check(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(shape) = u.arbitrary::<u8>() else { return };
    let text = match shape & 3 {
        0 => String::from_utf8_lossy(u.peek_bytes(u.len()).unwrap_or(&[])).into_owned(),
        1 => in_json(&mut u),
        _ => in_short(&mut u),
    };
    let filters = match Filters::parse(&text) {
        Ok(filters) => filters,
        Err(errors) => {
            assert!(!errors.is_empty());
            assert!(errors.iter().all(|e| !e.problem.is_empty() && !e.remedy.is_empty()));
            return;
        }
    };
    let short = filters.to_string();
    let value = filters.to_json();
    let written = value.to_string();
    if FILTERS_BYTES_MAX < short.len().max(written.len() + 16) {
        return;
    }
    assert_eq!(Filters::parse(&short).as_ref(), Ok(&filters), "{text}");
    let from_json = Filters::parse(&written).unwrap_or_else(|e| panic!("{text}: {written}: {e:?}"));
    assert_eq!(from_json.to_json(), value, "{text}");
    let wrapped = Filters::parse(&format!("{{\"filters\":{written}}}"));
    assert_eq!(wrapped.as_ref(), Ok(&from_json), "{text}");
    assert_eq!(from_json.clauses().len(), filters.clauses().len(), "{text}");
    opposites(&filters, &mut u);
}

/// A record that is found by a condition is not found by its opposite.
fn opposites(filters: &Filters, u: &mut Unstructured<'_>) {
    let mut record = String::new();
    json::object(u, 0, &mut record);
    let Ok(record) = serde_json::from_str::<serde_json::Value>(&record) else { return };
    let now = Utc::from_millis(1_796_000_000_000);
    for clause in filters.clauses() {
        let opposite = match clause.operator() {
            Operator::Eq => Operator::Neq,
            Operator::Contains => Operator::NContains,
            Operator::StartsWith => Operator::DoesNotStartWith,
            Operator::IsSet => Operator::IsNotSet,
            _ => continue,
        };
        let one = serde_json::json!({clause.filter().name: {
            clause.operator().as_str(): filters.to_json()[clause.filter().name]
                [clause.operator().as_str()]}});
        let other = serde_json::json!({clause.filter().name: {
            opposite.as_str(): one[clause.filter().name][clause.operator().as_str()]}});
        let (Ok(one), Ok(other)) =
            (Filters::parse(&one.to_string()), Filters::parse(&other.to_string()))
        else {
            continue;
        };
        let find = |filters: &Filters| filters.clauses()[0].find(&record, now);
        let (one, other) = (find(&one), find(&other));
        assert!(!(one == Finding::Meets && other == Finding::Meets), "{clause} in {record}");
    }
}

fn condition(u: &mut Unstructured<'_>) -> (&'static str, &'static str) {
    let spec = u.choose(FILTERS).unwrap_or(&FILTERS[0]);
    let operator = if u.ratio(1, 8).unwrap_or(false) {
        *u.choose(&Operator::ALL).unwrap_or(&Operator::Eq)
    } else {
        *u.choose(spec.operators).unwrap_or(&Operator::Eq)
    };
    (spec.name, operator.as_str())
}

fn in_short(u: &mut Unstructured<'_>) -> String {
    let mut text = String::new();
    for index in 0..u.int_in_range(1..=4u8).unwrap_or(1) {
        if index > 0 {
            text.push_str(" and ");
        }
        let (name, operator) = condition(u);
        let value = u.choose(VALUES).unwrap_or(&"");
        text.push_str(&format!("{name} {operator} {value}"));
    }
    let mut text = text.into_bytes();
    if u.ratio(1, 4).unwrap_or(false) {
        json::damage(u, &mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn in_json(u: &mut Unstructured<'_>) -> String {
    const JSON: &[&str] = &[
        "true",
        "false",
        "7",
        "[1,3]",
        "[-1]",
        "null",
        "[null]",
        "[\"a\",null]",
        "[\"two words\"]",
        "86400000",
        "[1000]",
        "[{\"start\":1000,\"end\":86400000}]",
        "\"a\"",
        "\"\"",
        "[\"\"]",
        "[{\"id\":\"x\",\"inst\":0}]",
        "[{\"id\":\"x\",\"saas\":3,\"inst\":-1}]",
        "[\"s:x\"]",
        "[\"t:1\"]",
        "[]",
        "[\"\\\\\",\"\\\"\",\"'\",\"and\",\"(\",\"null\"]",
        "1e3",
        "[\"\\n\"]",
        "[\"\\u00a0\",\"\\u2028\",\"\\u0000\"]",
    ];
    let mut text = String::from("{");
    for index in 0..u.int_in_range(1..=4u8).unwrap_or(1) {
        if index > 0 {
            text.push(',');
        }
        let (name, operator) = condition(u);
        let value = u.choose(JSON).unwrap_or(&"1");
        text.push_str(&format!("\"{name}\":{{\"{operator}\":{value}}}"));
    }
    text.push('}');
    text
}
