//! The configuration and a tenants file as JSON Schema, so that editors complete and check them.

use m365_audit_client::is_of_a_tenant;
use m365_audit_core::options::{HOST_OPTIONS, OPTIONS, OptionSpec, property};
use serde_json::{Map, Value, json};

use crate::arguments::{destination, specs};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The file that `--config` names: of `run`, of commands, and of `host`.
pub(crate) fn configuration() -> Value {
    let options = specs().chain(destination()).chain(HOST_OPTIONS);
    json!({
        "$schema": DIALECT,
        "title": "m365-audit",
        "description": "Configuration of m365-audit, as TOML: m365-audit run --config FILE",
        "type": "object",
        "properties": properties(options),
        "additionalProperties": false,
    })
}

/// The file that the option `tenants_file` names.
pub(crate) fn tenants() -> Value {
    let options = OPTIONS.iter().filter(|spec| is_of_a_tenant(spec));
    json!({
        "$schema": DIALECT,
        "title": "m365-audit tenants",
        "description": "One table for each tenant, as TOML; tenants_file names it",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {
            "type": "object",
            "properties": properties(options),
            "required": ["tenant_id"],
            "additionalProperties": false,
        },
    })
}

/// Each option by its name, and by its table where its name has a dot: `"db.sync"`, and `sync` in
/// `[db]`, where the option `db` is called `path`.
fn properties(specs: impl Iterator<Item = &'static OptionSpec>) -> Map<String, Value> {
    let mut all = Map::new();
    let mut tables: Map<String, Value> = Map::new();
    for spec in specs {
        if let Some((table, key)) = spec.name.split_once('.') {
            let table = tables.entry(table).or_insert_with(
                || json!({"type": "object", "properties": {}, "additionalProperties": false}),
            );
            table["properties"][key] = property(spec);
        }
        all.insert(spec.name.to_owned(), property(spec));
    }
    for (name, mut table) in tables {
        let schema = match all.remove(&name) {
            Some(plain) => {
                let description = plain["description"].clone();
                table["properties"]["path"] = plain.clone();
                json!({"anyOf": [plain, table], "description": description})
            }
            None => table,
        };
        all.insert(name, schema);
    }
    all
}
