//! What monitors are given to start from: a dashboard for Grafana and rules for Prometheus. Made
//! from the table of metrics, so that no name in them can drift from what the collector shows.
//!
//! One expression is about both packagings: Fluent Bit's endpoint shows the same numbers under a
//! longer name.

use serde_json::{Value, json};

/// What all names begin with: in Fluent Bit's endpoint, and at `status_listen`.
const PREFIX: &str = "(fluentbit_input_)?m365_audit_";

/// What tells of lost data.
const LOST: [(&str, &str); 5] = [
    ("blobs_lost_total", "blobs"),
    ("records_withheld_total", "records withheld"),
    ("records_dropped_total", "records dropped"),
    ("listing_entries_dropped_total", "entries of listings"),
    ("listing_gap_seconds_total", "seconds of gaps"),
];

/// All series of a metric.
fn series(metric: &str) -> String {
    format!("{{__name__=~\"{PREFIX}{metric}\"}}")
}

/// Those of the tenants that the dashboard shows.
fn chosen(metric: &str) -> String {
    format!("{{__name__=~\"{PREFIX}{metric}\",tenant_id=~\"$tenant\"}}")
}

/// A rule that fires, and what whoever it wakes has to know.
struct Rule {
    name: &'static str,
    expr: String,
    /// For how long it has to hold.
    lasting: &'static str,
    severity: &'static str,
    summary: &'static str,
    /// The section of OPERATING.md.
    runbook: &'static str,
}

fn rules() -> Vec<Rule> {
    let of_tenant = "by (job, instance, name, tenant_id)";
    let rule = |name, expr, lasting, severity, summary, runbook| Rule {
        name,
        expr,
        lasting,
        severity,
        summary,
        runbook,
    };
    vec![
        rule(
            "M365AuditDataLost",
            LOST.iter().fold(
                format!("max {of_tenant} ({}) > 0", series("losses_unacknowledged")),
                |expr, (metric, _)| {
                    let metric = series(metric);
                    format!("{expr}\nor\nsum {of_tenant} (increase({metric}[15m])) > 0")
                },
            ),
            "0m",
            "critical",
            "audit data of {{ $labels.tenant_id }} was lost",
            "data-lost",
        ),
        rule(
            "M365AuditDenied",
            format!("{} == 1", series("denied")),
            "15m",
            "critical",
            "Microsoft denies {{ $labels.content_type }} of {{ $labels.tenant_id }} to the app",
            "denied",
        ),
        rule(
            "M365AuditLagging",
            format!("{} > 3600", series("lag_seconds")),
            "15m",
            "warning",
            "{{ $labels.content_type }} of {{ $labels.tenant_id }} is \
             {{ $value | humanizeDuration }} behind",
            "lagging",
        ),
        rule(
            "M365AuditNearRetention",
            format!("{} > 432000", series("lag_seconds")),
            "15m",
            "critical",
            "{{ $labels.content_type }} of {{ $labels.tenant_id }} is \
             {{ $value | humanizeDuration }} behind, and Microsoft keeps seven days",
            "near-the-end-of-retention",
        ),
        rule(
            "M365AuditCannotSignIn",
            format!("increase({}[30m]) >= 2", series("sign_in_failures_total")),
            "5m",
            "critical",
            "sign-ins to {{ $labels.tenant_id }} fail",
            "cannot-sign-in",
        ),
        rule(
            "M365AuditSilent",
            format!(
                "time() - max {of_tenant} ({} > 0) > 43200",
                series("last_delivery_timestamp_seconds")
            ),
            "15m",
            "warning",
            "nothing of {{ $labels.tenant_id }} was delivered for {{ $value | humanizeDuration }}",
            "silent",
        ),
        rule(
            "M365AuditQuarantined",
            format!("{} > 0", series("blobs_quarantined")),
            "2h",
            "warning",
            "{{ $value }} blobs of {{ $labels.content_type }} of {{ $labels.tenant_id }} cannot be \
             read and will expire",
            "quarantined",
        ),
        rule(
            "M365AuditCredentialEnds",
            format!("({} > 0) - time() < 1209600", series("credential_expiry_timestamp_seconds")),
            "1h",
            "warning",
            "the credential for {{ $labels.tenant_id }} ends in {{ $value | humanizeDuration }}",
            "credential-ends",
        ),
        rule(
            "M365AuditBudgetExhausted",
            format!(
                "60 * sum {of_tenant} (rate({}[15m]))\n  > 0.9 * max {of_tenant} ({} > 0)\nor\n\
                 sum {of_tenant} (increase({}[15m])) > 10",
                series("requests_total"),
                series("requests_per_minute"),
                series("throttled_total")
            ),
            "30m",
            "warning",
            "the requests allowed for {{ $labels.tenant_id }} do not suffice",
            "budget-exhausted",
        ),
        rule(
            "M365AuditNotRunning",
            format!(
                "count by (job, instance) (present_over_time({0}[1d]))\n  unless count by (job, \
                 instance) ({0})\nor\nabsent({0})",
                series("build_info")
            ),
            "5m",
            "critical",
            "no collector answers at {{ $labels.instance }}",
            "not-running",
        ),
    ]
}

/// What Fluent Bit does with events after it has taken them.
fn fluent_bit_rules() -> Vec<Rule> {
    vec![
        Rule {
            name: "FluentBitDropsEvents",
            expr: "sum by (job, instance, name) \
                   (increase(fluentbit_output_dropped_records_total[15m])) > 0\nor\nsum by (job, \
                   instance, name) (increase(fluentbit_output_retries_failed_total[15m])) > 0"
                .into(),
            lasting: "0m",
            severity: "critical",
            summary: "output {{ $labels.name }} has given up events that it had taken",
            runbook: "fluent-bit-drops-events",
        },
        Rule {
            name: "FluentBitHoldsBack",
            expr: "max by (job, instance, name) (fluentbit_input_ingestion_paused) == 1".into(),
            lasting: "30m",
            severity: "warning",
            summary: "input {{ $labels.name }} is paused: outputs take less than comes in",
            runbook: "fluent-bit-holds-back",
        },
    ]
}

/// Rules for Prometheus, as YAML.
pub(crate) fn prometheus_rules() -> String {
    let mut text = String::from(
        "# Alerts for m365-audit: for the plugin, at Fluent Bit's endpoint or at status_listen, and \
         for the\n# command line. Generated by `cargo xtask options`; what to do about each stands \
         in OPERATING.md.\ngroups:\n",
    );
    for (group, rules) in [("m365-audit", rules()), ("fluent-bit", fluent_bit_rules())] {
        text.push_str(&format!("  - name: {group}\n    rules:\n"));
        for rule in rules {
            let Rule { name, expr, lasting, severity, summary, runbook } = rule;
            text.push_str(&format!("      - alert: {name}\n        expr: |\n"));
            for line in expr.lines() {
                text.push_str(&format!("          {line}\n"));
            }
            text.push_str(&format!(
                "        for: {lasting}\n        labels:\n          severity: {severity}\n        \
                 annotations:\n          summary: \"{summary}\"\n          runbook: \
                 \"OPERATING.md#{runbook}\"\n",
            ));
        }
    }
    text
}

/// A picture of the dashboard: its title, its unit for Grafana, and its lines with their names.
struct Panel {
    title: &'static str,
    kind: &'static str,
    unit: &'static str,
    lines: Vec<(String, &'static str)>,
}

fn panels() -> Vec<Panel> {
    let by = "by (tenant_id, content_type)";
    let stat =
        |title, unit, expr: String| Panel { title, kind: "stat", unit, lines: vec![(expr, "")] };
    let graph = |title, unit, lines: Vec<(String, &'static str)>| Panel {
        title,
        kind: "timeseries",
        unit,
        lines,
    };
    let feed = "{{tenant_id}} {{content_type}}";
    let quantile = |share: &str, metric: &str| {
        let buckets = chosen(&format!("{metric}_bucket"));
        format!("histogram_quantile({share}, sum by (le) (rate({buckets}[1h])))")
    };
    let delay = |metric: &str| {
        [("0.5", "half"), ("0.95", "95 %"), ("0.99", "99 %")]
            .map(|(share, name)| (quantile(share, metric), name))
            .into()
    };
    vec![
        stat("Losses nobody has acknowledged", "none", {
            format!("sum({})", chosen("losses_unacknowledged"))
        }),
        stat("Denied feeds", "none", format!("sum({})", chosen("denied"))),
        stat("Worst lag", "s", format!("max({})", chosen("lag_seconds"))),
        stat("Blobs in quarantine", "none", format!("sum({})", chosen("blobs_quarantined"))),
        stat("Collectors", "none", format!("count({})", series("build_info"))),
        stat(
            "First credential to end",
            "dateTimeAsIso",
            format!("1000 * min({} > 0)", chosen("credential_expiry_timestamp_seconds")),
        ),
        graph("Lag", "s", vec![(format!("topk(10, {})", chosen("lag_seconds")), feed)]),
        graph("Backlog", "s", vec![(format!("topk(10, {})", chosen("backlog_seconds")), feed)]),
        graph(
            "Records delivered",
            "rps",
            vec![(format!("sum {by} (rate({}[5m]))", chosen("records_delivered_total")), feed)],
        ),
        graph(
            "Bytes delivered",
            "Bps",
            vec![(format!("sum {by} (rate({}[5m]))", chosen("bytes_delivered_total")), feed)],
        ),
        graph("Delay from event to delivery", "s", delay("event_delay_seconds")),
        graph("Delay from publication to delivery", "s", delay("publication_delay_seconds")),
        graph(
            "Requests a minute",
            "none",
            vec![
                (
                    format!("60 * sum by (tenant_id) (rate({}[5m]))", chosen("requests_total")),
                    "{{tenant_id}}",
                ),
                (
                    format!("max by (tenant_id) ({})", chosen("requests_per_minute")),
                    "{{tenant_id}}, allowed",
                ),
            ],
        ),
        graph(
            "Throttled, repeated, and sign-ins that failed",
            "none",
            vec![
                (format!("sum(increase({}[5m]))", chosen("throttled_total")), "throttled"),
                (format!("sum(increase({}[5m]))", chosen("retries_total")), "repeated"),
                (
                    format!("sum(increase({}[5m]))", chosen("sign_in_failures_total")),
                    "sign-ins failed",
                ),
            ],
        ),
        graph(
            "Blobs to read",
            "none",
            vec![(format!("topk(10, {})", chosen("blobs_pending")), feed)],
        ),
        graph(
            "Waiting to be safe",
            "bytes",
            vec![(format!("topk(10, {})", chosen("undelivered_bytes")), "{{tenant_id}}")],
        ),
        graph(
            "Lost",
            "none",
            LOST.map(|(metric, name)| (format!("sum(increase({}[5m]))", chosen(metric)), name))
                .into(),
        ),
        graph(
            "Left out",
            "none",
            vec![
                (
                    format!("sum(increase({}[5m]))", chosen("records_deduplicated_total")),
                    "duplicates",
                ),
                (format!("sum(increase({}[5m]))", chosen("records_filtered_total")), "filtered"),
            ],
        ),
        graph(
            "Clock ahead of Microsoft's",
            "s",
            vec![(format!("topk(10, {})", chosen("clock_skew_seconds")), "{{tenant_id}}")],
        ),
        graph(
            "Hours since the last delivery",
            "h",
            vec![(
                format!(
                    "(time() - max by (tenant_id) ({} > 0)) / 3600",
                    chosen("last_delivery_timestamp_seconds")
                ),
                "{{tenant_id}}",
            )],
        ),
        graph(
            "Fluent Bit: retries, and events given up",
            "none",
            vec![
                (
                    "sum by (name) (increase(fluentbit_output_retries_total[5m]))".into(),
                    "{{name}}, retries",
                ),
                (
                    "sum by (name) (increase(fluentbit_output_dropped_records_total[5m]))".into(),
                    "{{name}}, given up",
                ),
            ],
        ),
        graph(
            "Fluent Bit: paused inputs",
            "none",
            vec![("max by (name) (fluentbit_input_ingestion_paused)".into(), "{{name}}")],
        ),
    ]
}

/// A dashboard for Grafana, as JSON.
pub(crate) fn grafana() -> String {
    const COLUMNS: usize = 24;
    let mut drawn = Vec::new();
    let (mut x, mut y, mut height) = (0, 0, 0);
    for (number, panel) in panels().into_iter().enumerate() {
        let (w, h) = if panel.kind == "stat" { (4, 4) } else { (12, 8) };
        if COLUMNS < x + w || (height != h && x != 0) {
            (x, y) = (0, y + height);
        }
        height = h;
        let targets = panel.lines.iter().zip('A'..).map(|((expr, legend), id)| {
            json!({ "refId": id.to_string(), "expr": expr, "legendFormat": legend,
                "datasource": { "type": "prometheus", "uid": "${datasource}" } })
        });
        drawn.push(json!({
            "id": number + 1,
            "title": panel.title,
            "type": panel.kind,
            "datasource": { "type": "prometheus", "uid": "${datasource}" },
            "gridPos": { "x": x, "y": y, "w": w, "h": h },
            "fieldConfig": { "defaults": { "unit": panel.unit }, "overrides": [] },
            "targets": targets.collect::<Vec<Value>>(),
        }));
        x += w;
    }
    let dashboard = json!({
        "title": "m365-audit",
        "uid": "m365-audit",
        "tags": ["m365-audit"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": { "from": "now-6h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "type": "datasource", "query": "prometheus" },
            { "name": "tenant", "type": "query", "includeAll": true, "multi": true,
                "allValue": ".*", "current": { "text": "All", "value": "$__all" },
                "datasource": { "type": "prometheus", "uid": "${datasource}" },
                "query": format!("label_values({}, tenant_id)", series("lag_seconds")),
                "refresh": 2 },
        ] },
        "panels": drawn,
    });
    format!("{dashboard:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use m365_audit_client::STATUS_METRICS;
    use m365_audit_core::{HISTOGRAMS, Histogram, METRICS, Metric};

    /// Every name of a metric in an expression, as the table has it.
    fn names(expr: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (_, rest) in expr.match_indices(PREFIX).map(|(at, _)| expr.split_at(at + PREFIX.len()))
        {
            let end = rest.find('"').unwrap();
            let listed = rest[..end].trim_start_matches('(').trim_end_matches(')');
            names.extend(listed.split('|').map(str::to_owned));
        }
        names
    }

    #[test]
    fn every_name_is_one_that_the_collector_shows() {
        let ours = METRICS.iter().map(Metric::name).chain(STATUS_METRICS.map(|(name, _)| name));
        let steps = HISTOGRAMS.iter().flat_map(Histogram::parts);
        let known: BTreeSet<String> = ours.chain(steps).map(str::to_owned).collect();
        let of_rules = rules().into_iter().map(|rule| rule.expr);
        let of_panels = panels().into_iter().flat_map(|panel| panel.lines);
        for expr in of_rules.chain(of_panels.map(|(expr, _)| expr)) {
            let named = names(&expr);
            assert!(!named.is_empty() || expr.contains("fluentbit_"), "{expr}");
            for name in named {
                assert!(known.contains(&name), "{name} in {expr}");
            }
        }
    }

    #[test]
    fn every_alert_has_its_section_in_the_manual() {
        let manual = include_str!("../../../OPERATING.md");
        for rule in rules().into_iter().chain(fluent_bit_rules()) {
            let heading = manual
                .lines()
                .filter_map(|line| line.strip_prefix("### "))
                .any(|line| line.to_lowercase().replace(' ', "-") == rule.runbook);
            assert!(heading, "{}: no ### for #{}", rule.name, rule.runbook);
        }
    }

    #[test]
    fn the_dashboard_is_json_whose_panels_do_not_overlap() {
        let dashboard: Value = serde_json::from_str(&grafana()).unwrap();
        let mut taken = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(x < 24 && taken.insert((x, y)), "{panel}");
                }
            }
        }
    }
}
