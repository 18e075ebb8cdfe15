//! Every filter with every operator, in both notations; every wrong use with its error; and what
//! records say about filters.

use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};

use super::{FILTERS, Filters, Finding, Kind, Operator};
use crate::base::time::Utc;

/// A value that `operator` takes, in the short notation and in the API's.
fn sample(kind: Kind, operator: Operator) -> (String, Json) {
    let own = |short: &str, json: Json| (short.to_owned(), json);
    match (operator, kind) {
        (Operator::IsSet | Operator::IsNotSet, _) => own("", json!(true)),
        (Operator::GteNDays | Operator::LteNDays, _) => own("7", json!(7)),
        (Operator::Range, _) => own(
            "1970-01-01T00:00:01.000Z..1970-01-02T00:00:00.000Z",
            json!([{"start": 1_000, "end": 86_400_000}]),
        ),
        (Operator::Eq, Kind::Timestamp) => own("1970-01-01T00:00:01.000Z", json!([1_000])),
        (_, Kind::Timestamp) => own("1970-01-02T00:00:00.000Z", json!(86_400_000)),
        (Operator::Text | Operator::StartsWithSingle, _) => {
            own("\"two words\"", json!("two words"))
        }
        (_, Kind::Boolean) => own("true", json!(true)),
        (_, Kind::Integer) => own("(11770, -1)", json!([11_770, -1])),
        (_, Kind::NumberOf(known)) => own(&known[0].0.to_string(), json!([known[0].0])),
        (_, Kind::WordOf(words)) => own(&format!("({}, null)", words[0]), json!([words[0], null])),
        (_, Kind::Source(known)) => own(
            &format!("(s:stream, t:{})", known[0].0),
            json!(["s:stream", format!("t:{}", known[0].0)]),
        ),
        (Operator::StartsWith, Kind::Entity) => own("begin", json!(["begin"])),
        (_, Kind::Entity) => own(r#"{"id":"x","inst":0}"#, json!([{"id": "x", "inst": 0}])),
        (_, Kind::Text | Kind::File) => own("(a, \"b, c\")", json!(["a", "b, c"])),
    }
}

#[test]
fn every_filter_takes_each_of_its_operators_in_both_notations() {
    let mut pairs = 0;
    for spec in FILTERS {
        for operator in spec.operators {
            let (short, value) = sample(spec.kind, *operator);
            let short = format!("{} {} {short}", spec.name, operator.as_str());
            let json = json!({spec.name: {operator.as_str(): value}});
            let from_short = Filters::parse(&short).unwrap_or_else(|e| panic!("{short}: {e:?}"));
            let from_json =
                Filters::parse(&json.to_string()).unwrap_or_else(|e| panic!("{json}: {e:?}"));
            assert_eq!(from_short, from_json, "{short}");
            assert_eq!(from_short.to_json(), json, "{short}");
            assert_eq!(from_short.to_string(), short.trim_end(), "it reads back");
            let wrapped = json!({"filters": json}).to_string();
            assert_eq!(Filters::parse(&wrapped).as_ref(), Ok(&from_json));
            pairs += 1;
        }
    }
    assert_eq!((FILTERS.len(), pairs), (33, 97));
}

#[test]
fn every_other_operator_is_refused_with_the_allowed_ones() {
    for spec in FILTERS {
        for operator in Operator::ALL.into_iter().filter(|o| !spec.operators.contains(o)) {
            let (short, value) = sample(spec.kind, operator);
            let short = format!("{} {} {short}", spec.name, operator.as_str());
            let json = json!({spec.name: {operator.as_str(): value}}).to_string();
            for text in [short, json] {
                let errors = Filters::parse(&text).expect_err(&text);
                let [error] = &errors[..] else { panic!("{errors:?}") };
                assert!(error.problem.contains(operator.as_str()), "{error}");
                for allowed in spec.operators {
                    assert!(error.remedy.contains(allowed.as_str()), "{error}");
                }
            }
        }
    }
}

#[test]
fn every_filter_refuses_values_of_another_kind() {
    for spec in FILTERS {
        for operator in spec.operators {
            let wrong = [json!({"no": "such"}), json!([]), json!([[1]]), json!([true, false])];
            let number = json!([5]);
            let takes_numbers = matches!(spec.kind, Kind::Integer | Kind::NumberOf(_))
                || (spec.kind == Kind::Timestamp && *operator == Operator::Eq);
            for value in wrong.iter().chain((!takes_numbers).then_some(&number)) {
                let json = json!({spec.name: {operator.as_str(): value}}).to_string();
                let errors = Filters::parse(&json).expect_err(&json);
                let told = errors[0].remedy.contains("allowed: ") || value == &json!([]);
                assert!(told && errors[0].problem.contains(spec.name), "{json}: {errors:?}");
            }
        }
    }
}

#[track_caller]
fn check(text: &str, expected: Expect) {
    let said = match Filters::parse(text) {
        Ok(filters) => filters.to_json().to_string(),
        Err(errors) => {
            let list = format!("; filters are {}", names());
            let long = format!("? Filters are {}", names());
            let line = |error: &super::FilterError| {
                format!("{error}\n").replace(&list, "; LIST").replace(&long, "? LIST")
            };
            errors.iter().map(line).collect()
        }
    };
    expected.assert_eq(&said);
}

fn names() -> String {
    FILTERS.iter().map(|filter| filter.name).collect::<Vec<_>>().join(", ")
}

#[test]
fn mistakes_are_told_all_at_once_with_what_is_allowed() {
    check(
        "user.domian eq contoso.com and ip.category eq 7 and activity.type eq yes and service eq x",
        expect![[r#"
            there is no filter "user.domian"; did you mean user.domain? LIST
            ip.category eq does not take "7"; allowed: 1 (Corporate), 2 (Administrative), 3 (Risky), 4 (VPN), 5 (Cloud provider), 6 (Other)
            activity.type eq does not take "yes"; allowed: true or false
            service eq does not take "x"; allowed: whole numbers of 32 bits
        "#]],
    );
    check(
        "username eq x",
        expect![[r#"
        there is no filter "username"; did you mean user.username? LIST
    "#]],
    );
    check(
        "weather eq fine",
        expect![[r#"
        there is no filter "weather"; LIST
    "#]],
    );
    check(
        "service eq 4294967296",
        expect![[r#"
        service eq does not take "4294967296"; allowed: whole numbers of 32 bits
    "#]],
    );
    check(
        r#"{"service":{"eq":["11770"]}}"#,
        expect![[r#"
        service eq does not take "11770"; allowed: whole numbers of 32 bits
    "#]],
    );
    check(
        "activity.takenAction eq blocked",
        expect![[r#"
        activity.takenAction eq does not take "blocked"; allowed: block, proxy, BypassProxy, encrypt, decrypt, verified, encryptionFailed, protect, verify, null
    "#]],
    );
    check(
        "device.type eq PHONE",
        expect![[r#"
        device.type eq does not take "PHONE"; allowed: DESKTOP, MOBILE, TABLET, OTHER, null
    "#]],
    );
    check(
        "source eq t:4",
        expect![[r#"
        source eq does not take "t:4"; allowed: s:STREAM-ID, t:0 (Access control), t:1 (Session control), t:2 (App connector), t:3 (App connector analysis), t:5 (Discovery), t:6 (MDATP)
    "#]],
    );
    check(
        "date gte_ndays 181",
        expect![[r#"
        date gte_ndays does not take "181"; allowed: a number of days from 1 to 180
    "#]],
    );
    check(
        "date gte yesterday",
        expect![[r#"
        date gte does not take "yesterday"; allowed: a time such as 2026-07-15 or 2026-07-15T20:45:11Z, or milliseconds since 1970
    "#]],
    );
    check(
        "date range 2026-02-01..2026-01-01",
        expect![[r#"
        date range does not take "2026-02-01..2026-01-01"; allowed: START..END, each a time such as 2026-07-15 or 2026-07-15T20:45:11Z, or milliseconds since 1970
    "#]],
    );
    check(
        r#"{"date":{"gte":"2026-01-01"}}"#,
        expect![[r#"
        date gte does not take "2026-01-01"; allowed: milliseconds since 1970
    "#]],
    );
    check(
        "user.domain isset contoso.com",
        expect![[r#"
        user.domain isset does not take "contoso.com"; allowed: nothing behind it
    "#]],
    );
    check(
        "user.domain eq",
        expect![[r#"
        user.domain eq needs a value; allowed: text that is not empty
    "#]],
    );
}

#[test]
fn text_that_is_no_filter_is_told() {
    check(
        "user.domain eq a b",
        expect![[r#"
        user.domain eq is followed by a b; write one value, or several as (a, b), and text with blanks or commas in quotes
    "#]],
    );
    check(
        "user.domain and service eq 1",
        expect![[r#"
        user.domain is no condition; write FILTER OPERATOR VALUE, joined by and
    "#]],
    );
    check(
        "service eq 1 and",
        expect![[r#"
        a condition is missing beside an "and"; write FILTER OPERATOR VALUE, joined by and
    "#]],
    );
    check(
        "text eq 'never ends",
        expect![[r#"
        the quoted text 'never ends does not end; write a ' behind it; a ' within is written \'
    "#]],
    );
    check(
        "entity eq {oops",
        expect![[r#"
        {oops does not begin with a JSON object; write text that begins with a brace in quotes
    "#]],
    );
    check(
        "user.domain eq (a,,b)",
        expect![[r#"
        user.domain eq is followed by ( a , , b ); write one value, or several as (a, b), and text with blanks or commas in quotes
    "#]],
    );
    check(
        "service eq 1 and service eq 2",
        expect![[r#"
        service eq is written twice; a request has room for one; write one condition, with a list of values
    "#]],
    );
    check(
        r#"{"service":5}"#,
        expect![[r#"
        service stands without an operator; write {"service": {"OPERATOR": VALUE}}
    "#]],
    );
    check(
        r#"{"service""#,
        expect![[r#"
        the filters are no JSON object: EOF while parsing an object at line 1 column 10; write {"FILTER": {"OPERATOR": VALUE}}
    "#]],
    );
    let long = format!("user.domain eq \"{}\"", "x".repeat(super::FILTERS_BYTES_MAX));
    assert!(Filters::parse(&long).unwrap_err()[0].problem.contains("bytes long"));
}

#[test]
fn what_is_written_shortly_is_sent_as_the_api_takes_it() {
    check(
        "user.domain eq contoso.com and activity.type eq true",
        expect![[r#"{"activity.type":{"eq":true},"user.domain":{"eq":["contoso.com"]}}"#]],
    );
    check(
        "created gte 2026-07-15 and created lt 1784160000000 AND device.type neq null",
        expect![[
            r#"{"created":{"gte":1784073600000,"lt":1784160000000},"device.type":{"neq":[null]}}"#
        ]],
    );
    check(
        r#"text text "a \"b\" (c), \\d" and user.username startswith 'o''"#,
        expect![[r#"
            the quoted text ' does not end; write a ' behind it; a ' within is written \'
        "#]],
    );
    check(
        r#"text text "a \"b\" (c), \\d" and entity eq ({"id":"x","inst":1}, y) and service eq(1,2)"#,
        expect![[
            r#"{"entity":{"eq":[{"id":"x","inst":1},{"id":"y","inst":0}]},"service":{"eq":[1,2]},"text":{"text":"a \"b\" (c), \\d"}}"#
        ]],
    );
    check("actionType Contains Download", expect![[r#"{"actionType":{"contains":["Download"]}}"#]]);
    check("device.type eq desktop", expect![[r#"{"device.type":{"eq":["DESKTOP"]}}"#]]);
    check("  ", expect!["{}"]);
}

/// What a record with this in it says about `filter`.
#[track_caller]
fn says(record: &Json, filter: &str, expected: Finding) {
    let filters = Filters::parse(filter).unwrap();
    let now = Utc::from_millis(10 * 86_400_000);
    assert_eq!(filters.clauses()[0].find(record, now), expected, "{filter} on {record}");
    let mismatches = filters.mismatches(record.to_string().as_bytes(), now);
    assert_eq!(mismatches.len(), usize::from(expected == Finding::Differs));
}

#[test]
fn records_are_looked_at_again_where_they_say_anything() {
    use Finding::{Differs, Meets, Silent};
    let record = json!({
        "_id": "1_2_3", "appId": 15600, "saasId": "15600", "srcAppId": 11161,
        "timestamp": 9 * 86_400_000_i64, "created": 9 * 86_400_000_i64 + 1,
        "eventTypeValue": "EVENT_O365_ONEDRIVE_GENERIC", "source": 2,
        "eventTypeName": "EVENT_CATEGORY_UNSPECIFIED",
        "device": {"clientIP": "8.8.8.8", "userAgent": "OneDriveMpc/1.0", "countryCode": "IL"},
        "location": {"countryCode": "IL", "organizationSearchable": "Cellcom Group", "category": 0},
        "user": {"userName": "avi@Contoso.com", "userTags": ["5f01"]},
        "userAgent": {"deviceType": "OTHER", "tags": ["0000"]},
        "mainInfo": {"rawOperationName": "FilePreviewed", "eventObjects": [{"id": "obj"}]},
        "resolvedActor": {"id": "3fa9", "name": "Avi"},
    });
    let filters = [
        ("service eq 15600", Meets),
        ("service eq (1, 11161)", Meets),
        ("service eq 28375", Differs),
        ("service neq 15600", Differs),
        ("service neq 11161", Meets),
        ("instance eq 1", Silent),
        ("actionType contains file", Meets),
        ("actionType eq FileDeleted", Differs),
        ("actionType isnotset", Differs),
        ("activity.eventActionType eq EVENT_CATEGORY_UNSPECIFIED", Meets),
        ("activity.id eq 1_2_4", Differs),
        ("activity.type eq true", Silent),
        ("activity.takenAction eq block", Silent),
        ("device.type eq OTHER", Meets),
        ("device.type eq (MOBILE, null)", Differs),
        ("userAgent.userAgent ncontains mpc", Differs),
        ("userAgent.tags eq 0000", Meets),
        ("location.country neq IL", Differs),
        ("location.country isset", Meets),
        ("location.organizations contains cellcom", Meets),
        ("ip.address startswith 8.8.", Meets),
        ("ip.address doesnotstartwith 8.8.", Differs),
        ("ip.category eq 3", Differs),
        ("ip.tags eq x", Silent),
        ("text text preview", Silent),
        ("date gte 1970-01-10", Meets),
        ("date lte 1970-01-09", Differs),
        ("date gte_ndays 1", Meets),
        ("date lte_ndays 9", Differs),
        ("created eq 777600001", Meets),
        ("created gt 777600001", Differs),
        ("created lt 777600002", Meets),
        ("created range 0..5", Differs),
        ("source eq t:2", Meets),
        ("source eq t:5", Differs),
        ("source eq (t:5, s:x)", Silent),
        ("activityObject eq obj", Meets),
        ("activityObject neq obj", Differs),
        ("entity eq 3FA9", Meets),
        ("entity startswith 4", Differs),
        ("user.username startswith AVI", Meets),
        ("user.tags eq 9999", Differs),
        ("user.domain eq contoso.com", Meets),
        ("user.domain neq contoso.com", Differs),
    ];
    for (filter, expected) in filters {
        says(&record, filter, expected);
    }
    for (filter, _) in filters {
        says(&json!({}), filter, Silent);
    }
    assert!(Filters::parse("service eq 1").unwrap().mismatches(b"{no json", Utc::MIN).is_empty());
}
