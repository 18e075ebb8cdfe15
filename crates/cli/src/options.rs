//! `m365-audit options`: the options table, as documentation and as files to start from; and the
//! metrics, for the same documents.

use std::io::{self, Write};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use m365_audit_core::options::{HOST_OPTIONS, Kind, OPTIONS, OptionSpec, Scope};
use m365_audit_core::{HISTOGRAMS, METRICS};
use m365_audit_sinks::SINK_OPTIONS;

use crate::arguments::{destination, flag, specs, variable};
use crate::exit::COMPLETE;
use crate::monitoring;
use crate::output_settings::{OUTPUT_OPTIONS, SHOWN_OPTIONS};
use crate::schema;

/// Columns of a comment in a sample.
const COMMENT_COLUMNS: usize = 96;

/// What can be printed.
const FORMATS: [&str; 12] = [
    "markdown",
    "toml",
    "fluent-bit",
    "json-schema",
    "tenants-json-schema",
    "sink",
    "output",
    "log",
    "host",
    "metrics",
    "prometheus-rules",
    "grafana",
];

pub(crate) fn command() -> Command {
    Command::new("options").about("Print every option, or a configuration to start from").arg(
        Arg::new("format")
            .long("format")
            .value_name("WORD")
            .value_parser(PossibleValuesParser::new(FORMATS))
            .default_value("markdown")
            .help(
                "A table; a file for `run --config`; a pipeline for Fluent Bit; the JSON Schema of \
                 a file for `--config`, and of a tenants file; a table of what sinks have, of what \
                 output files have, of what the log has; a table of what `host` has beside; a \
                 table of what is counted; rules for Prometheus; a dashboard for Grafana",
            ),
    )
}

/// Prints, and answers the exit code.
pub(crate) fn main(matches: &ArgMatches) -> u8 {
    let text = match matches.get_one::<String>("format").map(String::as_str) {
        Some("toml") => toml(),
        Some("fluent-bit") => fluent_bit(),
        Some("json-schema") => format!("{:#}\n", schema::configuration()),
        Some("tenants-json-schema") => format!("{:#}\n", schema::tenants()),
        Some("sink") => markdown(SINK_OPTIONS),
        Some("output") => markdown(OUTPUT_OPTIONS),
        Some("log") => markdown(SHOWN_OPTIONS),
        Some("host") => markdown(HOST_OPTIONS),
        Some("metrics") => metrics(),
        Some("prometheus-rules") => monitoring::prometheus_rules(),
        Some("grafana") => monitoring::grafana(),
        _ => markdown(OPTIONS),
    };
    // A reader that has seen enough is no failure.
    drop(io::stdout().write_all(text.as_bytes()));
    COMPLETE
}

fn markdown(options: &[OptionSpec]) -> String {
    let mut text = String::from("| Option | Takes | Default | What it does |\n|---|---|---|---|\n");
    for spec in options {
        let default = spec.default.map(|default| format!("`{default}`")).unwrap_or_default();
        let only = if spec.scope == Scope::FluentBit { "Fluent Bit only. " } else { "" };
        let (name, takes, help) = (spec.name, spec.kind.describe(), spec.help);
        text.push_str(&format!("| `{name}` | {takes} | {default} | {only}{help} |\n"));
    }
    text
}

/// Every number that a content type has, as the packagings show it.
fn metrics() -> String {
    let mut text = String::from("| Metric | Label | Meaning |\n|---|---|---|\n");
    for metric in METRICS {
        let label = metric.scope().label().map_or_else(String::new, |label| format!("`{label}` "));
        let help = metric.help().trim_end_matches('.');
        let help = help.replace("data was lost", "**data was lost**");
        text.push_str(&format!("| `{}` | {label}| {help} |\n", metric.name()));
    }
    for histogram in &HISTOGRAMS {
        let help = histogram.help().trim_end_matches('.');
        let name = format!("{}_bucket`, `_sum`, `_count", histogram.name());
        text.push_str(&format!("| `{name}` | `content_type`, `le` | {help}; a histogram |\n"));
    }
    text
}

fn toml() -> String {
    let mut text = String::from(
        "# m365-audit run --config FILE\n# Flags and M365_AUDIT_* variables come before this \
         file.\n",
    );
    for spec in specs().chain(destination()) {
        text.push('\n');
        comment(&mut text, "# ", spec.help);
        comment(&mut text, "# ", &format!("{} or {}", flag(spec.name), variable(spec.name)));
        let name = spec.name;
        let name = if name.contains('.') { format!("\"{name}\"") } else { name.to_owned() };
        let value = toml_value(spec);
        let hash = if is_required(name.as_str()) { "" } else { "# " };
        text.push_str(&format!("{hash}{name} = {value}\n"));
    }
    text
}

fn toml_value(spec: &OptionSpec) -> String {
    let value = example(spec);
    match spec.kind {
        Kind::Integer { .. } => value.into(),
        Kind::Boolean => if value == "on" { "true" } else { "false" }.into(),
        Kind::List(_) | Kind::FreeList(_) => {
            let words: Vec<_> = value.split(", ").map(|word| format!("\"{word}\"")).collect();
            format!("[{}]", words.join(", "))
        }
        _ => format!("\"{value}\""),
    }
}

fn fluent_bit() -> String {
    let mut text = String::from(
        "# Run: fluent-bit -e /opt/m365-audit/in_m365_audit.so -c fluent-bit.yaml\n\
         # Events are safe in Fluent Bit across a stop or crash only with storage.type \
         filesystem.\n\
         service:\n  storage.path: /var/lib/fluent-bit/storage\n\n\
         pipeline:\n  inputs:\n    - name: m365_audit\n      tag: m365\n      \
         storage.type: filesystem\n",
    );
    for spec in OPTIONS {
        text.push('\n');
        comment(&mut text, "      # ", spec.help);
        let hash = if is_required(spec.name) { "" } else { "# " };
        let value = match spec.kind {
            Kind::Secret => format!("${{{}}}", variable(spec.name)),
            _ => example(spec).to_owned(),
        };
        text.push_str(&format!("      {hash}{}: {value}\n", spec.name));
    }
    text.push_str("\n  outputs:\n    - name: stdout\n      match: \"*\"\n");
    text
}

/// What a sample cannot do without.
fn is_required(name: &str) -> bool {
    matches!(name, "tenant_id" | "client_id" | "client_secret" | "db")
}

/// The default, or something in its place.
fn example(spec: &OptionSpec) -> &'static str {
    match (spec.default, spec.name) {
        (Some(default), _) => default,
        (None, "tenant_id" | "client_id" | "publisher_id") => {
            "00000000-0000-0000-0000-000000000000"
        }
        (None, "db.tenants_max") => "500",
        (None, "db") => "/var/lib/m365-audit/state.db",
        (None, "client_secret_file") => "/run/secrets/m365-audit",
        (None, "ca_file") => "/etc/ssl/certs/gateway.pem",
        (None, "exclude_content_types") => "Audit.SharePoint",
        (None, "include_workloads") => "Exchange, OneDrive",
        (None, "exclude_workloads") => "Yammer",
        (None, "include_operations") => "UserLoggedIn, Add *",
        (None, "exclude_operations") => "FileAccessed*, MailItemsAccessed",
        (None, "include_users") => "*@contoso.com",
        (None, "exclude_users") => "app@sharepoint, S-1-5-18",
        (None, "include_record_types") => "15, SharePointFileOperation",
        (None, "exclude_record_types") => "PowerBIAudit",
        (None, "webhook_listen") => "127.0.0.1:8080",
        (None, "webhook_address") => "https://audit.example/m365",
        (None, "webhook_cert_file") => "/etc/m365-audit/webhook.pem",
        (None, "webhook_key_file") => "/etc/m365-audit/webhook.key",
        (None, "status_listen") => "9477",
        (None, "metrics_file") => "/var/lib/prometheus/node-exporter/m365_audit.prom",
        (None, "redact_fields") => "Item.Subject, .ClientIP",
        (None, "redact_key_file") => "/run/secrets/m365-audit-redact",
        (None, "portal_url") => "https://contoso.us.portal.cloudappsecurity.com",
        (None, "metadata") => "record",
        (None, "metadata_key") => "m365_audit",
        (None, "tenant_name") => "contoso",
        (None, "record_key") => "o365audit",
        (None, "workers") => "4",
        (None, "add_fields") => "integration=office365",
        (None, "content_type_field") => "Subscription",
        (None, "otlp.headers") => "Authorization=Bearer TOKEN",
        (None, "otlp.headers_file") => "/etc/m365-audit/headers",
        (None, "forward.ca_file" | "otlp.ca_file") => "/etc/ssl/certs/gateway.pem",
        (None, "output") => "/var/log/m365-audit/audit.ndjson",
        (None, "output_rotate_bytes") => "100M",
        (None, "output_rotate_after") => "1d",
        (None, "output_line_bytes_max") => "1M",
        (None, "proxy_url") => "http://proxy.example:3128",
        (None, "login_url") => "https://login.microsoftonline.com",
        (None, "api_url" | "resource") => "https://manage.office.com",
        (None, _) => "",
    }
}

/// Appends `words` as comment lines of bounded length.
fn comment(text: &mut String, mark: &str, words: &str) {
    let mut column = usize::MAX;
    for word in words.split_whitespace() {
        if COMMENT_COLUMNS < column.saturating_add(1 + word.len()) {
            if column != usize::MAX {
                text.push('\n');
            }
            text.push_str(mark);
            column = mark.len();
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.len();
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use m365_audit_core::RawOptions;
    use m365_audit_sinks::SinkOptions;

    use crate::output_settings::OutputSettings;

    #[test]
    fn the_samples_name_every_option_once() {
        let in_toml = specs().count() + destination().count();
        for (text, specs) in [(toml(), in_toml), (fluent_bit(), OPTIONS.len())] {
            let named = OPTIONS.iter().chain(destination()).filter(|spec| {
                let starts = [spec.name.to_owned(), format!("\"{}\"", spec.name)];
                let lines = text.lines().map(|line| line.trim_start().trim_start_matches("# "));
                lines
                    .filter(|line| {
                        starts.iter().any(|start| {
                            line.strip_prefix(start.as_str())
                                .is_some_and(|rest| rest.starts_with(" =") || rest.starts_with(':'))
                        })
                    })
                    .count()
                    == 1
            });
            assert_eq!(named.count(), specs, "{text}");
        }
        assert_eq!(markdown(OPTIONS).lines().count(), OPTIONS.len() + 2);
    }

    #[test]
    fn the_metrics_that_tell_of_losses_say_so() {
        let text = metrics();
        assert_eq!(text.lines().count(), METRICS.len() + HISTOGRAMS.len() + 2);
        let losses: Vec<_> = text
            .lines()
            .filter(|line| line.contains("**data was lost**"))
            .filter_map(|line| line.split('`').nth(1))
            .collect();
        // The alerts of the READMEs name these.
        assert_eq!(
            losses,
            [
                "blobs_lost_total",
                "records_withheld_total",
                "listing_entries_dropped_total",
                "listing_gap_seconds_total",
                "records_dropped_total",
            ]
        );
    }

    #[test]
    fn each_secret_of_the_fluent_bit_sample_is_a_variable_of_its_own() {
        let text = fluent_bit();
        for spec in OPTIONS.iter().filter(|spec| spec.kind == Kind::Secret) {
            let line = format!("{}: ${{{}}}\n", spec.name, variable(spec.name));
            assert_eq!(text.matches(&line).count(), 1, "{line}");
        }
        assert!(text.contains("      client_secret: ${M365_AUDIT_CLIENT_SECRET}\n"), "{text}");
    }

    #[test]
    fn the_toml_sample_is_a_configuration() {
        let all: String = toml()
            .lines()
            .filter(|line| !line.contains("_file") && !line.contains("ca_"))
            .map(|line| line.strip_prefix("# ").filter(|l| l.contains(" = ")).unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let file = crate::config_file::ConfigFile::parse(&all, "sample");
        assert!(file.errors.is_empty(), "{:?}", file.errors);
        let is_ours = |name: &str| destination().any(|spec| spec.name == name);
        let (ours, mut raw): (RawOptions, RawOptions) =
            file.options.into_iter().partition(|(name, _)| is_ours(name));
        let written = destination().filter(|spec| !spec.name.contains("_file"));
        assert_eq!(ours.len(), written.count());
        OutputSettings::parse(&ours).unwrap();
        SinkOptions::parse(&ours).unwrap();
        raw.insert("db".into(), "state.db".into());
        for blank in ["tenant_id", "client_id", "publisher_id"] {
            raw.insert(blank.into(), "41463f53-8812-40f4-890f-865bf6e35190".into());
        }
        raw.insert("client_secret".into(), "s3cret".into());
        // Without these what is said about activities and redaction has no effect, which is told.
        raw.insert("source".into(), "management_activity, cloud_app_activities".into());
        raw.insert("redact".into(), "on".into());
        raw.insert("redact_key".into(), "0123456789abcdef0123456789abcdef".into());
        raw.insert("webhook_auth_id".into(), "0123456789abcdef".into());
        m365_audit_client::Settings::parse(&raw).unwrap();
    }
}
