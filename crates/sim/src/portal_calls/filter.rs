//! The filters of a search: which there are, and whether an activity meets them. A filter that does
//! not exist or is used wrongly is ignored without a word, as the service does; it is told to the
//! report.

use serde_json::Value;

use crate::portal::Facts;
use crate::time::DAY_MS;

/// Every filter with its type and its operators, as Microsoft lists them.
const KNOWN: &[(&str, Type, &str)] = &[
    ("service", Type::Integer, "eq neq"),
    ("instance", Type::Integer, "eq neq"),
    ("user.orgUnit", Type::Text, "eq neq isset isnotset"),
    ("actionType", Type::Text, "contains eq neq isset isnotset"),
    ("activity.eventActionType", Type::Text, "eq neq"),
    ("activity.id", Type::Text, "eq"),
    ("activity.impersonated", Type::Boolean, "eq"),
    ("activity.type", Type::Boolean, "eq"),
    ("activity.takenAction", Type::Text, "eq neq"),
    ("device.type", Type::Text, "eq neq"),
    ("device.tags", Type::Text, "eq neq"),
    ("userAgent.userAgent", Type::Text, "contains ncontains"),
    ("userAgent.tags", Type::Text, "eq neq"),
    ("location.country", Type::Text, "eq neq isset isnotset"),
    ("location.organizations", Type::Text, "eq neq isset isnotset contains"),
    ("ip.address", Type::Text, "eq startswith doesnotstartwith isset isnotset neq"),
    ("fileSelector", Type::Text, "eq neq"),
    ("office365url", Type::Text, "startswith eq endswith"),
    ("fileId", Type::Text, "eq"),
    ("ip.category", Type::Integer, "eq neq"),
    ("ip.tags", Type::Text, "eq neq"),
    ("text", Type::Text, "eq startswithsingle text"),
    ("date", Type::Time, "lte gte range lte_ndays gte_ndays"),
    ("policy", Type::Text, "eq neq isset isnotset"),
    ("source", Type::Text, "eq neq"),
    ("activity.alertId", Type::Text, "eq"),
    ("activityObject", Type::Text, "eq neq"),
    ("fileLabels", Type::Text, "eq neq"),
    ("created", Type::Time, "lte gte range gt lt eq"),
    ("entity", Type::Entity, "eq neq isset isnotset startswith"),
    ("user.username", Type::Text, "eq neq isset isnotset startswith"),
    ("user.tags", Type::Text, "eq neq isset isnotset startswith"),
    ("user.domain", Type::Text, "eq neq isset isnotset"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Integer,
    Text,
    Boolean,
    Time,
    Entity,
}

/// One condition of a search.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) name: &'static str,
    pub(super) operator: String,
    value: Value,
}

/// Reads `filters`. Answers the conditions that hold, and what is wrong with the others.
pub(super) fn read(filters: &Value) -> (Vec<Condition>, Vec<String>) {
    let (mut conditions, mut wrong) = (Vec::new(), Vec::new());
    let Some(filters) = filters.as_object() else {
        return (conditions, vec!["filters is no object".to_owned()]);
    };
    for (name, operators) in filters {
        let Some((known, kind, allowed)) = KNOWN.iter().find(|(known, ..)| known == name) else {
            wrong.push(format!("there is no filter {name}"));
            continue;
        };
        let Some(operators) = operators.as_object().filter(|operators| !operators.is_empty())
        else {
            wrong.push(format!("{name} has no operator"));
            continue;
        };
        for (operator, value) in operators {
            if !allowed.split(' ').any(|allowed| allowed == operator) {
                wrong.push(format!("{name} has no operator {operator}"));
            } else if !is_value(*kind, operator, value) {
                wrong.push(format!("{name} {operator} does not take {value}"));
            } else {
                let (operator, value) = (operator.clone(), value.clone());
                conditions.push(Condition { name: known, operator, value });
            }
        }
    }
    (conditions, wrong)
}

fn is_value(kind: Type, operator: &str, value: &Value) -> bool {
    let every = |test: fn(&Value) -> bool| {
        value.as_array().is_some_and(|values| !values.is_empty() && values.iter().all(test))
    };
    match (operator, kind) {
        ("isset" | "isnotset", _) => *value == Value::Bool(true),
        ("gte_ndays" | "lte_ndays", _) => value.as_u64().is_some_and(|days| days > 0),
        ("range", _) => every(|range| range["start"].is_i64() && range["end"].is_i64()),
        ("eq", Type::Time) => every(Value::is_i64),
        (_, Type::Time) => value.is_i64(),
        ("startswithsingle" | "text", _) => value.is_string(),
        (_, Type::Boolean) => value.is_boolean() || every(Value::is_boolean),
        (_, Type::Integer) => {
            every(|number| number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()))
        }
        ("startswith", Type::Entity) => every(Value::is_string),
        (_, Type::Entity) => every(|entity| entity["id"].is_string() && entity["inst"].is_i64()),
        (_, Type::Text) => every(|text| text.is_string() || text.is_null()),
    }
}

/// The interval of storing to which conditions confine a search, both ends inclusive.
pub(super) fn created_within(conditions: &[Condition]) -> (i64, i64) {
    let (mut from, mut to) = (i64::MIN, i64::MAX);
    for condition in conditions.iter().filter(|condition| condition.name == "created") {
        let Some(at) = condition.value.as_i64() else { continue };
        match &*condition.operator {
            "gte" => from = from.max(at),
            "gt" => from = from.max(at + 1),
            "lte" => to = to.min(at),
            "lt" => to = to.min(at - 1),
            _ => {}
        }
    }
    (from, to)
}

impl Condition {
    /// Whether an activity meets it.
    pub(super) fn is_met(&self, facts: &Facts, now_ms: i64) -> bool {
        match self.name {
            "date" => self.time(facts.timestamp_ms, now_ms),
            "created" => self.time(facts.created_ms, now_ms),
            "activity.impersonated" => self.truth(facts.impersonated),
            "activity.type" => self.truth(facts.admin),
            "text" => self.words(facts),
            name => self.texts(&held(name, facts)),
        }
    }

    fn truth(&self, fact: bool) -> bool {
        self.values().iter().any(|value| value.as_bool() == Some(fact))
    }

    /// The value, as a list in any case.
    fn values(&self) -> Vec<&Value> {
        match &self.value {
            Value::Array(values) => values.iter().collect(),
            single => vec![single],
        }
    }

    fn time(&self, at_ms: i64, now_ms: i64) -> bool {
        let number = self.value.as_i64().unwrap_or_default();
        match &*self.operator {
            "gt" => at_ms > number,
            "gte" => at_ms >= number,
            "lt" => at_ms < number,
            "lte" => at_ms <= number,
            "gte_ndays" => at_ms >= now_ms - number * DAY_MS,
            "lte_ndays" => at_ms <= now_ms - number * DAY_MS,
            "range" => self.values().iter().any(|range| {
                let bound = |name: &str| range[name].as_i64().unwrap_or_default();
                (bound("start")..=bound("end")).contains(&at_ms)
            }),
            _ => self.values().iter().any(|value| value.as_i64() == Some(at_ms)),
        }
    }

    fn words(&self, facts: &Facts) -> bool {
        let text = format!("{} {} {}", facts.user, facts.operation, facts.app.1).to_lowercase();
        let wanted = self.values().iter().filter_map(|value| value.as_str()).collect::<Vec<_>>();
        wanted.iter().any(|wanted| {
            let wanted = wanted.to_lowercase();
            match &*self.operator {
                "startswithsingle" => text.split(' ').any(|word| word.starts_with(&wanted)),
                "text" => wanted.split(' ').all(|word| text.contains(word)),
                _ => text.split(' ').any(|word| word == wanted),
            }
        })
    }

    fn texts(&self, held: &[String]) -> bool {
        let any = |test: fn(&str, &str) -> bool| {
            self.values().iter().any(|value| {
                let value = match value {
                    Value::Null => return held.is_empty(),
                    Value::String(text) => text.to_lowercase(),
                    Value::Object(entity) => {
                        entity["id"].as_str().unwrap_or_default().to_lowercase()
                    }
                    other => other.to_string(),
                };
                held.iter().any(|held| test(&held.to_lowercase(), &value))
            })
        };
        match &*self.operator {
            "isset" => !held.is_empty(),
            "isnotset" => held.is_empty(),
            "neq" => !any(|held, value| held == value),
            "contains" => any(|held, value| held.contains(value)),
            "ncontains" => !any(|held, value| held.contains(value)),
            "startswith" => any(|held, value| held.starts_with(value)),
            "doesnotstartwith" => !any(|held, value| held.starts_with(value)),
            "endswith" => any(|held, value| held.ends_with(value)),
            _ => any(|held, value| held == value),
        }
    }
}

/// What an activity holds for a filter.
fn held(name: &str, facts: &Facts) -> Vec<String> {
    let one = |text: &str| vec![text.to_owned()];
    let maybe = |text: Option<&str>| text.map(str::to_owned).into_iter().collect();
    match name {
        "service" => vec![facts.app.0.to_string(), "11161".to_owned()],
        "instance" => one(&facts.instance.to_string()),
        "user.orgUnit" => maybe(facts.org_unit),
        "actionType" => one(facts.operation),
        "activity.eventActionType" => vec![facts.event.0.to_owned(), facts.event.1.to_owned()],
        "activity.id" => one(&facts.id),
        "activity.takenAction" => maybe(facts.taken_action),
        "device.type" => maybe(facts.device),
        "device.tags" => facts.device_tags.clone(),
        "userAgent.userAgent" => one(facts.agent),
        "userAgent.tags" => facts.agent_tags.clone(),
        "location.country" => maybe(facts.country),
        "location.organizations" => maybe(facts.organization),
        "ip.address" => one(&facts.ip),
        "fileSelector" | "fileId" => maybe(facts.file.as_deref()),
        "office365url" => maybe(facts.url.as_deref()),
        "ip.category" => one(&facts.ip_category.to_string()),
        "ip.tags" => facts.ip_tags.clone(),
        "policy" => facts.policies.clone(),
        "source" => vec![format!("t:{}", facts.source), format!("s:{}", facts.stream)],
        "activity.alertId" => maybe(facts.alert.as_deref()),
        "activityObject" => facts.objects.clone(),
        "fileLabels" => facts.labels.clone(),
        "entity" => one(&facts.entity),
        "user.username" => one(&facts.user),
        "user.tags" => facts.groups.clone(),
        "user.domain" => one(&facts.domain),
        _ => Vec::new(),
    }
}
