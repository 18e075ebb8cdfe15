//! Reads one condition: looks the filter up, checks its operator, and makes a typed value of what
//! was written. Both notations end here, so that both make the same demands.

#![expect(clippy::wildcard_enum_match_arm, reason = "what no arm takes is refused")]

use serde_json::Value as Json;

use super::spec::{Clause, Entity, FilterError, FilterSpec, Kind, Operator, VALUES_MAX, Value};
use super::table::{FILTERS, find};
use crate::base::text::edit_distance;
use crate::base::time::Utc;
use crate::json::to_text;

/// The days that the relative operators take: Microsoft keeps activities for 180.
const DAYS_MAX: u32 = 180;

/// How values were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notation {
    /// Numbers and truth values are such.
    Json,
    /// Everything is text, and dates may be written as such.
    Short,
}

/// One condition as somebody wrote it. A condition without a value has none.
pub(super) struct Written<'a> {
    pub filter: &'a str,
    pub operator: &'a str,
    pub value: Option<Json>,
    pub notation: Notation,
}

/// Reads one condition.
pub(super) fn clause(written: Written<'_>) -> Result<Clause, FilterError> {
    let Written { filter, operator, value, notation } = written;
    let spec = find(filter).ok_or_else(|| unknown(filter))?;
    let operator = Operator::parse(operator)
        .filter(|operator| spec.operators.contains(operator))
        .ok_or_else(|| {
        FilterError::new(
            format!("{filter} has no operator {operator:?}"),
            format!("allowed: {}", names(spec.operators)),
        )
    })?;
    let reader = Reader { spec, operator, notation };
    let value = reader.read(value)?;
    Ok(Clause { spec, operator, value })
}

fn unknown(filter: &str) -> FilterError {
    const TYPING_ERRORS_MAX: usize = 4;
    let lower = filter.to_ascii_lowercase();
    let distance = |known: &str| edit_distance(&lower, &known.to_ascii_lowercase());
    // A name without its first part is as likely as one with a wrong letter.
    let tail =
        |known: &str| known.rsplit('.').next().is_some_and(|t| t.eq_ignore_ascii_case(filter));
    let nearest = FILTERS
        .iter()
        .map(|known| (if tail(known.name) { 0 } else { distance(known.name) }, known.name))
        .min()
        .filter(|(distance, _)| *distance <= TYPING_ERRORS_MAX.min(filter.len() / 2));
    let all: Vec<_> = FILTERS.iter().map(|known| known.name).collect();
    let remedy = match nearest {
        Some((_, known)) => format!("did you mean {known}? Filters are {}", all.join(", ")),
        None => format!("filters are {}", all.join(", ")),
    };
    FilterError::new(format!("there is no filter {filter:?}"), remedy)
}

fn names(operators: &[Operator]) -> String {
    operators.iter().map(|operator| operator.as_str()).collect::<Vec<_>>().join(", ")
}

struct Reader {
    spec: &'static FilterSpec,
    operator: Operator,
    notation: Notation,
}

impl Reader {
    fn read(&self, value: Option<Json>) -> Result<Value, FilterError> {
        if matches!(self.operator, Operator::IsSet | Operator::IsNotSet) {
            return match value {
                None if self.notation == Notation::Short => Ok(Value::Presence),
                Some(Json::Bool(true)) => Ok(Value::Presence),
                Some(Json::String(word)) if self.notation == Notation::Short && word == "true" => {
                    Ok(Value::Presence)
                }
                other => Err(self.refuse(other.as_ref())),
            };
        }
        let Some(value) = value else { return Err(self.refuse(None)) };
        match (self.spec.kind, self.operator) {
            (Kind::Timestamp, _) => self.time(&value),
            (Kind::Boolean, _) => self.boolean(&value),
            (_, Operator::StartsWithSingle | Operator::Text) => match &value {
                Json::String(text) if !text.is_empty() => Ok(Value::Text(text.clone())),
                other => Err(self.refuse(Some(other))),
            },
            (Kind::Integer | Kind::NumberOf(_), _) => {
                Ok(Value::Integers(self.list(value, Self::integer)?))
            }
            // What an entity begins with is part of its id.
            (Kind::Entity, Operator::StartsWith) => Ok(Value::Texts(self.list(value, Self::text)?)),
            (Kind::Entity, _) => Ok(Value::Entities(self.list(value, Self::entity)?)),
            (Kind::Text | Kind::File | Kind::WordOf(_) | Kind::Source(_), _) => {
                Ok(Value::Texts(self.list(value, Self::text)?))
            }
        }
    }

    /// A list, or a single value in the short notation, where a list of one needs no parentheses.
    fn list<T>(
        &self,
        value: Json,
        read: fn(&Self, &Json) -> Option<T>,
    ) -> Result<Vec<T>, FilterError> {
        let values = match value {
            Json::Array(values) => values,
            single => vec![single],
        };
        if values.is_empty() || values.len() > VALUES_MAX {
            let (name, operator) = (self.spec.name, self.operator.as_str());
            return Err(FilterError::new(
                format!("{name} {operator} has a list of {} values", values.len()),
                format!("write 1 to {VALUES_MAX}"),
            ));
        }
        values
            .iter()
            .map(|value| read(self, value).ok_or_else(|| self.refuse(Some(value))))
            .collect()
    }

    fn integer(&self, value: &Json) -> Option<i32> {
        let number = self.number(value)?;
        let number = i32::try_from(number).ok()?;
        match self.spec.kind {
            Kind::NumberOf(known) => known.iter().any(|(n, _)| *n == number).then_some(number),
            _ => Some(number),
        }
    }

    fn number(&self, value: &Json) -> Option<i64> {
        match (value, self.notation) {
            (Json::Number(number), _) => number.as_i64(),
            (Json::String(text), Notation::Short) => text.parse().ok(),
            _ => None,
        }
    }

    /// A text; `Some(None)` is Microsoft's `null`.
    fn text(&self, value: &Json) -> Option<Option<String>> {
        let words = match self.spec.kind {
            Kind::WordOf(words) => words,
            _ => &[],
        };
        let null = words.contains(&"null");
        let text = match value {
            Json::Null if null => return Some(None),
            Json::String(text) if text == "null" && null => return Some(None),
            Json::String(text) if !text.is_empty() => text,
            _ => return None,
        };
        match self.spec.kind {
            // In Microsoft's spelling, whatever the case it was written in.
            Kind::WordOf(words) => {
                let known = words.iter().find(|word| word.eq_ignore_ascii_case(text))?;
                Some(Some((*known).to_owned()))
            }
            Kind::Source(types) => {
                let stream = text.strip_prefix("s:").is_some_and(|stream| !stream.is_empty());
                let kind = text.strip_prefix("t:").and_then(|number| number.parse::<i32>().ok());
                let known = kind.is_some_and(|kind| types.iter().any(|(n, _)| *n == kind));
                (stream || known).then(|| Some(text.clone()))
            }
            _ => Some(Some(text.clone())),
        }
    }

    fn boolean(&self, value: &Json) -> Result<Value, FilterError> {
        match (value, self.notation) {
            (Json::Bool(value), _) => Ok(Value::Boolean(*value)),
            (Json::String(text), Notation::Short) if text == "true" || text == "false" => {
                Ok(Value::Boolean(text == "true"))
            }
            (Json::Array(values), _) if values.len() == 1 => self.boolean(&values[0]),
            (other, _) => Err(self.refuse(Some(other))),
        }
    }

    fn time(&self, value: &Json) -> Result<Value, FilterError> {
        match self.operator {
            Operator::GteNDays | Operator::LteNDays => self
                .number(value)
                .and_then(|days| u32::try_from(days).ok())
                .filter(|days| (1..=DAYS_MAX).contains(days))
                .map(Value::Days)
                .ok_or_else(|| self.refuse(Some(value))),
            Operator::Eq => Ok(Value::Moments(self.list(value.clone(), Self::moment)?)),
            Operator::Range => Ok(Value::Ranges(self.list(value.clone(), Self::range)?)),
            _ => {
                let at = self.moment(value).ok_or_else(|| self.refuse(Some(value)))?;
                Ok(Value::Moment(at))
            }
        }
    }

    /// Milliseconds since 1970; in the short notation a date or a time as well.
    fn moment(&self, value: &Json) -> Option<Utc> {
        if let Some(millis) = self.number(value) {
            return (millis >= 0).then_some(Utc::from_millis(millis));
        }
        match (value, self.notation) {
            (Json::String(text), Notation::Short) => {
                Utc::parse(text).or_else(|| Utc::parse(&format!("{text}T00:00:00Z")))
            }
            _ => None,
        }
    }

    fn range(&self, value: &Json) -> Option<(Utc, Utc)> {
        let (start, end) = match (value, self.notation) {
            (Json::Object(object), _) if object.len() == 2 => {
                (self.moment(object.get("start")?)?, self.moment(object.get("end")?)?)
            }
            (Json::String(text), Notation::Short) => {
                let (start, end) = text.split_once("..")?;
                let moment = |text: &str| self.moment(&Json::String(text.to_owned()));
                (moment(start)?, moment(end)?)
            }
            _ => return None,
        };
        (start <= end).then_some((start, end))
    }

    /// `{"id": …, "inst": …}`; in the short notation also `ID` or `ID@INSTANCE`.
    fn entity(&self, value: &Json) -> Option<Entity> {
        match value {
            Json::Object(object) => {
                let known = |name: &String| matches!(&**name, "id" | "inst" | "saas");
                let number = |name: &str| object.get(name).map(Json::as_i64);
                let inst = number("inst").unwrap_or(Some(0))?;
                let saas = match number("saas") {
                    Some(saas) => Some(saas?),
                    None => None,
                };
                let id = object.get("id")?.as_str().filter(|id| !id.is_empty())?.to_owned();
                object.keys().all(known).then_some(Entity { id, inst, saas })
            }
            Json::String(id) if self.notation == Notation::Short && !id.is_empty() => {
                Some(Entity { id: id.clone(), inst: 0, saas: None })
            }
            _ => None,
        }
    }

    /// What was written is no value here.
    fn refuse(&self, value: Option<&Json>) -> FilterError {
        const SHOWN_MAX: usize = 80;
        let (name, operator) = (self.spec.name, self.operator.as_str());
        let problem = match value {
            Some(value) => {
                let shown: String = to_text(value).chars().take(SHOWN_MAX).collect();
                format!("{name} {operator} does not take {shown}")
            }
            None => format!("{name} {operator} needs a value"),
        };
        FilterError::new(problem, format!("allowed: {}", self.allowed()))
    }

    fn allowed(&self) -> String {
        let short = self.notation == Notation::Short;
        let numbers = |known: &[(i32, &str)], prefix: &str| {
            let shown: Vec<_> =
                known.iter().map(|(n, meaning)| format!("{prefix}{n} ({meaning})")).collect();
            shown.join(", ")
        };
        let moment = if short {
            "a time such as 2026-07-15 or 2026-07-15T20:45:11Z, or milliseconds since 1970"
        } else {
            "milliseconds since 1970"
        };
        match (self.operator, self.spec.kind) {
            (Operator::IsSet | Operator::IsNotSet, _) if short => "nothing behind it".into(),
            (Operator::IsSet | Operator::IsNotSet, _) => "true".into(),
            (Operator::GteNDays | Operator::LteNDays, _) => {
                format!("a number of days from 1 to {DAYS_MAX}")
            }
            (Operator::Range, _) if short => format!("START..END, each {moment}"),
            (Operator::Range, _) => r#"[{"start": ms, "end": ms}], start not after end"#.into(),
            (_, Kind::Timestamp) => moment.into(),
            (_, Kind::Boolean) => "true or false".into(),
            (_, Kind::Integer) => "whole numbers of 32 bits".into(),
            (_, Kind::NumberOf(known)) => numbers(known, ""),
            (_, Kind::WordOf(words)) => words.join(", "),
            (_, Kind::Source(known)) => format!("s:STREAM-ID, {}", numbers(known, "t:")),
            (Operator::StartsWith, Kind::Entity) => "text that is not empty".into(),
            (_, Kind::Entity) if short => r#"ID, or {"id": "ID", "inst": 0}"#.into(),
            (_, Kind::Entity) => r#"{"id": "ID", "inst": 0}"#.into(),
            (_, Kind::Text | Kind::File) => "text that is not empty".into(),
        }
    }
}
