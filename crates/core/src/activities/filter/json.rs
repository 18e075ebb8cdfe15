//! Filters in the API's own notation: `{"user.domain": {"eq": ["contoso.com"]}}`, with or without
//! `{"filters": …}` around it. Reads the shape only; what the parts mean is for `value`.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value as Json;

use super::spec::{Clause, FilterError};
use super::value::{Notation, Written, clause};

/// An object in the order of its members, none left out: two of one name are a mistake to be told.
struct Members(Vec<(String, Json)>);

/// What stands in a request's body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    filters: Members,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Gather;
        impl<'de> Visitor<'de> for Gather {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Gather)
    }
}

pub(super) fn read(text: &str) -> Result<Vec<Clause>, Vec<FilterError>> {
    let wrapped = serde_json::from_slice::<Wrapped>(text.as_bytes());
    let wrapped = wrapped.map(|wrapped| wrapped.filters);
    let members = wrapped.or_else(|_| serde_json::from_slice(text.as_bytes()));
    let Members(members) = members.map_err(|error| {
        vec![FilterError::new(
            format!("the filters are no JSON object: {error}"),
            r#"write {"FILTER": {"OPERATOR": VALUE}}"#,
        )]
    })?;
    let (mut clauses, mut errors) = (Vec::new(), Vec::new());
    for (filter, operators) in members {
        let Json::Object(operators) = operators else {
            errors.push(FilterError::new(
                format!("{filter} stands without an operator"),
                format!(r#"write {{"{filter}": {{"OPERATOR": VALUE}}}}"#),
            ));
            continue;
        };
        for (operator, value) in operators {
            let value = Some(value);
            let written =
                Written { filter: &filter, operator: &operator, value, notation: Notation::Json };
            match clause(written) {
                Ok(clause) => clauses.push(clause),
                Err(error) => errors.push(error),
            }
        }
    }
    if errors.is_empty() { Ok(clauses) } else { Err(errors) }
}
