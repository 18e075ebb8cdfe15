//! What filters say: operators, kinds of values, conditions. Reads no text.

use std::fmt;

use serde_json::{Map, Value as Json};

use crate::base::time::Utc;

/// The longest text of filters that is read.
pub const FILTERS_BYTES_MAX: usize = 64 << 10;

/// Values that one list may hold.
pub const VALUES_MAX: usize = 1_000;

/// How a filter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// Equal to one of the values.
    Eq,
    /// Equal to none of the values.
    Neq,
    /// Contains one of the values.
    Contains,
    /// Contains none of the values.
    NContains,
    /// Begins with one of the values.
    StartsWith,
    /// Begins with none of the values.
    DoesNotStartWith,
    /// Ends with one of the values.
    EndsWith,
    /// A word begins with the value.
    StartsWithSingle,
    /// The words of the value occur.
    Text,
    /// There is a value.
    IsSet,
    /// There is no value.
    IsNotSet,
    /// Later than the moment.
    Gt,
    /// At or after the moment.
    Gte,
    /// Before the moment.
    Lt,
    /// At or before the moment.
    Lte,
    /// Within one of the ranges.
    Range,
    /// Within the last so many days.
    GteNDays,
    /// Longer ago than so many days.
    LteNDays,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 18] = [
        Self::Eq,
        Self::Neq,
        Self::Contains,
        Self::NContains,
        Self::StartsWith,
        Self::DoesNotStartWith,
        Self::EndsWith,
        Self::StartsWithSingle,
        Self::Text,
        Self::IsSet,
        Self::IsNotSet,
        Self::Gt,
        Self::Gte,
        Self::Lt,
        Self::Lte,
        Self::Range,
        Self::GteNDays,
        Self::LteNDays,
    ];

    /// Microsoft's name, as it stands in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Neq => "neq",
            Self::Contains => "contains",
            Self::NContains => "ncontains",
            Self::StartsWith => "startswith",
            Self::DoesNotStartWith => "doesnotstartwith",
            Self::EndsWith => "endswith",
            Self::StartsWithSingle => "startswithsingle",
            Self::Text => "text",
            Self::IsSet => "isset",
            Self::IsNotSet => "isnotset",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::Range => "range",
            Self::GteNDays => "gte_ndays",
            Self::LteNDays => "lte_ndays",
        }
    }

    /// The operator called `name`, in any case: Microsoft's own table writes `Contains`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.as_str().eq_ignore_ascii_case(name))
    }
}

/// What the values of a filter are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers of 32 bits.
    Integer,
    /// Numbers of a list: each with what it stands for.
    NumberOf(&'static [(i32, &'static str)]),
    /// Text.
    Text,
    /// Words of a list; `null` stands for no value.
    WordOf(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// Moments: milliseconds since 1970 in requests.
    Timestamp,
    /// A file's or folder's id.
    File,
    /// `{"id": …, "inst": …}`.
    Entity,
    /// `s:` with a stream's id, or `t:` with a source type of this list.
    Source(&'static [(i32, &'static str)]),
}

/// One filter that the API knows.
#[derive(Clone, Copy, Debug)]
pub struct FilterSpec {
    /// Microsoft's name, as it stands in a request.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// The operators that it takes.
    pub operators: &'static [Operator],
    /// What it selects.
    pub help: &'static str,
}

/// The value of one filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// One or more numbers.
    Integers(Vec<i32>),
    /// One or more texts; `None` is Microsoft's `null`, for no value.
    Texts(Vec<Option<String>>),
    /// One text, for the operators that take no list.
    Text(String),
    /// A truth value.
    Boolean(bool),
    /// One moment.
    Moment(Utc),
    /// Moments to be equal to.
    Moments(Vec<Utc>),
    /// Ranges, both ends inclusive.
    Ranges(Vec<(Utc, Utc)>),
    /// A number of days.
    Days(u32),
    /// Entities.
    Entities(Vec<Entity>),
    /// `true`: whether there is a value at all.
    Presence,
}

/// One entity, by its id and the instance of its app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Microsoft's id.
    pub id: String,
    /// The instance of the app; 0 unless several are connected.
    pub inst: i64,
    /// The app, which older requests name.
    pub saas: Option<i64>,
}

/// One condition.
#[derive(Clone, Debug)]
pub struct Clause {
    /// What is filtered by.
    pub spec: &'static FilterSpec,
    /// How.
    pub operator: Operator,
    /// With what.
    pub value: Value,
}

impl Clause {
    /// The filter.
    #[must_use]
    pub const fn filter(&self) -> &'static FilterSpec {
        self.spec
    }

    /// The operator.
    #[must_use]
    pub const fn operator(&self) -> Operator {
        self.operator
    }

    /// The value.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }
}

impl PartialEq for Clause {
    fn eq(&self, other: &Self) -> bool {
        self.spec.name == other.spec.name
            && self.operator == other.operator
            && self.value == other.value
    }
}

/// Conditions, all of which an activity must meet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters(Vec<Clause>);

/// One mistake in filters: what is wrong, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {remedy}")]
pub struct FilterError {
    /// What is wrong, and where.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

impl FilterError {
    pub(super) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }
}

impl Filters {
    /// The conditions as filters.
    pub(super) fn of(clauses: Vec<Clause>) -> Result<Self, Vec<FilterError>> {
        let mut errors = Vec::new();
        for (index, clause) in clauses.iter().enumerate() {
            let same = |other: &&Clause| {
                other.spec.name == clause.spec.name && other.operator == clause.operator
            };
            if clauses[..index].iter().find(same).is_some() {
                let (name, operator) = (clause.spec.name, clause.operator.as_str());
                errors.push(FilterError::new(
                    format!("{name} {operator} is written twice"),
                    "a request has room for one; write one condition, with a list of values",
                ));
            }
        }
        if errors.is_empty() { Ok(Self(clauses)) } else { Err(errors) }
    }

    /// The conditions, in the order in which they were written.
    #[must_use]
    pub fn clauses(&self) -> &[Clause] {
        &self.0
    }

    /// Whether everything is wanted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the conditions is about the filter called `name`.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.0.iter().any(|clause| clause.spec.name == name)
    }

    /// The value of `filters` in a request's body.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut body = Map::new();
        for clause in &self.0 {
            let operators =
                body.entry(clause.spec.name).or_insert_with(|| Json::Object(Map::new()));
            if let Some(operators) = operators.as_object_mut() {
                operators.insert(clause.operator.as_str().into(), clause.value.to_json());
            }
        }
        Json::Object(body)
    }
}

impl Value {
    fn to_json(&self) -> Json {
        match self {
            Self::Integers(numbers) => numbers.as_slice().into(),
            Self::Texts(texts) => texts.as_slice().into(),
            Self::Text(text) => text.as_str().into(),
            Self::Boolean(value) => (*value).into(),
            Self::Moment(at) => at.as_millis().into(),
            Self::Moments(moments) => {
                moments.iter().map(|at| Json::from(at.as_millis())).collect::<Vec<_>>().into()
            }
            Self::Ranges(ranges) => ranges
                .iter()
                .map(|(start, end)| {
                    let mut range = Map::new();
                    range.insert("start".into(), start.as_millis().into());
                    range.insert("end".into(), end.as_millis().into());
                    Json::Object(range)
                })
                .collect::<Vec<_>>()
                .into(),
            Self::Days(days) => (*days).into(),
            Self::Entities(entities) => {
                entities.iter().map(Entity::to_json).collect::<Vec<_>>().into()
            }
            Self::Presence => true.into(),
        }
    }
}

impl Entity {
    fn to_json(&self) -> Json {
        let mut entity = Map::new();
        entity.insert("id".into(), self.id.as_str().into());
        entity.insert("inst".into(), self.inst.into());
        if let Some(saas) = self.saas {
            entity.insert("saas".into(), saas.into());
        }
        entity.into()
    }
}

/// The short notation, which reads back as the same filters.
impl fmt::Display for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, clause) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" and ")?;
            }
            clause.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.spec.name, self.operator.as_str())?;
        match &self.value {
            Value::Integers(numbers) => list(f, numbers, ToString::to_string),
            Value::Texts(texts) => list(f, texts, |text| match text {
                Some(text) => quoted(text),
                None => "null".into(),
            }),
            Value::Text(text) => write!(f, " {}", quoted(text)),
            Value::Boolean(value) => write!(f, " {value}"),
            Value::Moment(at) => write!(f, " {at}"),
            Value::Moments(moments) => list(f, moments, ToString::to_string),
            Value::Ranges(ranges) => list(f, ranges, |(start, end)| format!("{start}..{end}")),
            Value::Days(days) => write!(f, " {days}"),
            Value::Entities(entities) => list(f, entities, |entity| entity.to_json().to_string()),
            Value::Presence => Ok(()),
        }
    }
}

/// One value as it is, several in parentheses.
fn list<T>(f: &mut fmt::Formatter<'_>, values: &[T], show: impl Fn(&T) -> String) -> fmt::Result {
    match values {
        [value] => write!(f, " {}", show(value)),
        values => {
            let shown: Vec<_> = values.iter().map(show).collect();
            write!(f, " ({})", shown.join(", "))
        }
    }
}

/// `text` so that it reads as one item: in quotes unless it is a plain word.
pub(super) fn quoted(text: &str) -> String {
    let special =
        |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '"' | '\'' | '{' | '\\');
    let plain = !text.is_empty() && !text.contains(special) && !text.eq_ignore_ascii_case("and");
    if plain && text != "null" {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
