//! Looks at delivered activities once more: the service has been seen to ignore a filter without a
//! word. Only filters are judged whose answer stands in the record; about the others, and about
//! records that say nothing, nothing is claimed.
//!
//! Must not decide what becomes of a record: whoever asks counts and tells.
//!
//! A record that does not meet a filter is delivered all the same: this is our reading of it, and a
//! surplus record is a nuisance, a record left out by mistake a loss.

#![expect(clippy::wildcard_enum_match_arm, reason = "few of the kinds are looked at")]

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value as Json;

use super::spec::{Clause, Entity, Filters, Operator, Value};
use crate::base::time::Utc;
use crate::records::filter::fold;

/// Days that a relative filter may be off: when the service's day begins is not documented.
const DAYS_SLACK: u32 = 1;

/// What one record says about one condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It meets it.
    Meets,
    /// It does not meet it: the service has not applied the filter.
    Differs,
    /// It does not say.
    Silent,
}

/// One condition that the service did not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The condition, by its place in [`Filters::clauses`].
    pub clause: usize,
}

impl Filters {
    /// The conditions that `record` does not meet, as far as it says. `now` is Microsoft's time.
    ///
    /// A record that is no JSON says nothing.
    #[must_use]
    pub fn mismatches(&self, record: &[u8], now: Utc) -> Vec<Mismatch> {
        if self.is_empty() {
            return Vec::new();
        }
        let Ok(record) = serde_json::from_slice::<Json>(record) else { return Vec::new() };
        let differs = |clause: &Clause| clause.find(&record, now) == Finding::Differs;
        let clauses = self.clauses().iter().enumerate().filter(|(_, clause)| differs(clause));
        clauses.map(|(clause, _)| Mismatch { clause }).collect()
    }
}

impl Clause {
    /// What `record` says about this condition.
    #[must_use]
    pub fn find(&self, record: &Json, now: Utc) -> Finding {
        let Some(evidence) = self.evidence(record) else { return Finding::Silent };
        match self.judge(&evidence, now) {
            None => Finding::Silent,
            Some(true) => Finding::Meets,
            Some(false) => Finding::Differs,
        }
    }

    /// What a record says about the filter: no text if the service has no value there. `None` if
    /// the record does not say.
    fn evidence<'a>(&self, record: &'a Json) -> Option<Vec<Cow<'a, str>>> {
        match self.spec.name {
            "user.domain" => {
                let name = record.pointer("/user/userName")?.as_str()?;
                let (_, domain) = name.rsplit_once('@')?;
                return Some(vec![Cow::Borrowed(domain)]);
            }
            "activityObject" => {
                let objects = record.pointer("/mainInfo/eventObjects")?.as_array()?;
                return Some(objects.iter().filter_map(|object| text(object.get("id")?)).collect());
            }
            "source" if self.names_stream() => return None,
            _ => {}
        }
        let (_, places) = PLACES.iter().find(|(name, _)| *name == self.spec.name)?;
        // What is excluded is excluded by the filter's own field, whatever its kin say.
        let places = if self.excludes() { &places[..1] } else { places };
        let mut found = places.iter().filter_map(|place| record.pointer(place)).peekable();
        found.peek()?;
        let mut texts = Vec::new();
        for value in found {
            match value {
                Json::Array(values) => texts.extend(values.iter().filter_map(text)),
                single => texts.extend(text(single)),
            }
        }
        if self.spec.name == "source" {
            texts = texts.iter().map(|number| Cow::Owned(format!("t:{number}"))).collect();
        }
        Some(texts)
    }

    const fn excludes(&self) -> bool {
        matches!(
            self.operator,
            Operator::Neq | Operator::NContains | Operator::DoesNotStartWith | Operator::IsNotSet
        )
    }

    /// Records do not say which stream they came from.
    fn names_stream(&self) -> bool {
        let Value::Texts(texts) = &self.value else { return false };
        texts.iter().flatten().any(|text| text.starts_with("s:"))
    }

    fn judge(&self, evidence: &[Cow<'_, str>], now: Utc) -> Option<bool> {
        let any = |test: &dyn Fn(&str) -> bool| evidence.iter().any(|text| test(text));
        let moment = || evidence.first()?.parse().ok().map(Utc::from_millis);
        let days = |days: u32| now - Duration::from_secs(86_400) * days;
        Some(match (&self.value, self.operator) {
            (Value::Presence, Operator::IsSet) => !evidence.is_empty(),
            (Value::Presence, _) => evidence.is_empty(),
            (Value::Integers(numbers), operator) => {
                let found = any(&|text| numbers.iter().any(|n| n.to_string() == text));
                found != (operator == Operator::Neq)
            }
            (Value::Texts(texts), operator) => judge_texts(evidence, texts, operator),
            (Value::Entities(entities), operator) => {
                let same = |text: &str, entity: &Entity| text.eq_ignore_ascii_case(&entity.id);
                let found = any(&|text| entities.iter().any(|entity| same(text, entity)));
                found != (operator == Operator::Neq)
            }
            (Value::Moment(at), operator) => {
                let found = moment()?;
                match operator {
                    Operator::Gt => found > *at,
                    Operator::Gte => found >= *at,
                    Operator::Lt => found < *at,
                    _ => found <= *at,
                }
            }
            (Value::Moments(moments), _) => moments.contains(&moment()?),
            (Value::Ranges(ranges), _) => {
                let found = moment()?;
                ranges.iter().any(|(start, end)| (*start..=*end).contains(&found))
            }
            (Value::Days(number), Operator::GteNDays) => moment()? >= days(number + DAYS_SLACK),
            (Value::Days(number), _) => moment()? <= days(number.saturating_sub(DAYS_SLACK)),
            // Free text and truth values: what they look at is not in the record.
            (Value::Text(_) | Value::Boolean(_), _) => return None,
        })
    }
}

fn judge_texts(evidence: &[Cow<'_, str>], texts: &[Option<String>], operator: Operator) -> bool {
    let lower: Vec<String> = evidence.iter().map(|text| folded(text)).collect();
    let any = |test: fn(&str, &str) -> bool| {
        texts.iter().any(|text| match text {
            None => lower.is_empty(),
            Some(text) => {
                let text = folded(text);
                lower.iter().any(|found| test(found, &text))
            }
        })
    };
    match operator {
        Operator::Neq => !any(|found, text| found == text),
        Operator::Contains => any(|found, text| found.contains(text)),
        Operator::NContains => !any(|found, text| found.contains(text)),
        Operator::StartsWith => any(|found, text| found.starts_with(text)),
        Operator::DoesNotStartWith => !any(|found, text| found.starts_with(text)),
        Operator::EndsWith => any(|found, text| found.ends_with(text)),
        Operator::Eq
        | Operator::StartsWithSingle
        | Operator::Text
        | Operator::IsSet
        | Operator::IsNotSet
        | Operator::Gt
        | Operator::Gte
        | Operator::Lt
        | Operator::Lte
        | Operator::Range
        | Operator::GteNDays
        | Operator::LteNDays => any(|found, text| found == text),
    }
}

fn folded(text: &str) -> String {
    let mut lower = String::new();
    fold(text, &mut lower);
    lower
}

/// Where a filter's values stand in a record; none for filters of which that is not known.
const PLACES: &[(&str, &[&str])] = &[
    ("service", &["/appId", "/saasId", "/srcAppId"]),
    (
        "actionType",
        &[
            "/mainInfo/rawOperationName",
            "/mainInfo/prettyOperationName",
            "/eventTypeValue",
            "/eventTypeName",
        ],
    ),
    ("activity.eventActionType", &["/eventTypeValue", "/eventTypeName", "/eventType"]),
    ("activity.id", &["/_id", "/uid"]),
    ("device.type", &["/userAgent/deviceType"]),
    ("userAgent.userAgent", &["/device/userAgent"]),
    ("userAgent.tags", &["/userAgent/tags"]),
    ("location.country", &["/location/countryCode", "/device/countryCode"]),
    ("location.organizations", &["/location/organizationSearchable"]),
    ("ip.address", &["/device/clientIP"]),
    ("ip.category", &["/location/category"]),
    ("date", &["/timestamp"]),
    ("created", &["/created"]),
    ("source", &["/source"]),
    ("entity", &["/resolvedActor/id", "/entityData/0/id/id"]),
    ("user.username", &["/user/userName", "/resolvedActor/name"]),
    ("user.tags", &["/user/userTags"]),
];

/// A value as text: the same thing comes as a number and as a string.
fn text(value: &Json) -> Option<Cow<'_, str>> {
    match value {
        Json::String(text) if !text.is_empty() && text != "null" => Some(Cow::Borrowed(text)),
        Json::Number(number) => Some(Cow::Owned(number.to_string())),
        Json::String(_) | Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}
