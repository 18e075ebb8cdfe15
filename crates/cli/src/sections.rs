//! The sections of a configuration of Fluent Bit that are ours, each judged as the plugin judges it
//! when it starts, and what around them would surprise somebody.

use std::collections::BTreeMap;
use std::path::Path;

use m365_audit_client::{
    Section as InputSection, Settings, Tags, TenantMistake, Who, complete_from_environment,
};
use m365_audit_core::config::nearest;
use m365_audit_core::credential::is_credential_option;
use m365_audit_core::options::{self, Kind, Scope};
use m365_audit_core::{ConfigError, RawOptions};

use crate::findings::Report;
use crate::fluent_bit::{self, Pipeline, Section};

/// The plugin's name.
const NAME: &str = "m365_audit";

/// What Fluent Bit itself reads of an input, in lower case.
const OF_FLUENT_BIT: [&str; 16] = [
    "name",
    "tag",
    "alias",
    "log_level",
    "log_suppress_interval",
    "routable",
    "routes",
    "mem_buf_limit",
    "threaded",
    "condition",
    "active",
    "host",
    "port",
    "listen",
    "ipv6",
    "telemetry",
];

/// Beginnings of such.
const OF_FLUENT_BIT_PREFIXES: [&str; 5] = ["storage.", "net.", "tls", "thread.", "rate_"];

/// Outputs that send records without what stands beside them.
const WITHOUT_METADATA: [&str; 17] = [
    "azure",
    "azure_logs_ingestion",
    "bigquery",
    "chronicle",
    "cloudwatch_logs",
    "datadog",
    "es",
    "file",
    "gelf",
    "kafka",
    "kinesis_firehose",
    "kinesis_streams",
    "loki",
    "nats",
    "opensearch",
    "splunk",
    "syslog",
];

/// One section of ours.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) report: Report,
    /// What it says, if nothing is wrong with it.
    pub(crate) section: Option<InputSection>,
}

/// Looks at what the machine has that the configuration names, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surroundings {
    /// Files, folders and variables are there where it will run.
    Here,
    /// They are elsewhere: what depends on them is not checked.
    Elsewhere,
}

/// Judges a mistake: what depends on other surroundings is not known here.
pub(crate) fn tell(report: &mut Report, error: &ConfigError, place: &str, around: Surroundings) {
    let value = error.value.as_ref().map(|value| format!(" = {value:?}")).unwrap_or_default();
    let place = if place.is_empty() { String::new() } else { format!(" ({place})") };
    let detail = format!("{}{value}: {}{place}", error.option, error.problem);
    if around == Surroundings::Elsewhere && depends(error) {
        let remedy = "check it where it is going to run";
        report.unknown("surroundings", detail, remedy);
    } else {
        report.fail("options", detail, error.remedy.clone());
    }
}

/// Whether a mistake is about what only the machine has: a file, a folder, a secret.
fn depends(error: &ConfigError) -> bool {
    let is_path = options::find(&error.option).is_some_and(|spec| spec.kind == Kind::Path);
    let missing = ["required and missing", "no credential is configured"];
    let is_missing = missing.iter().any(|words| error.problem.starts_with(words));
    is_path || (is_missing && is_credential_option(&error.option))
}

/// Judges a file of Fluent Bit: the file first, then each section of ours.
pub(crate) fn judge(path: &Path, around: Surroundings) -> (Report, Vec<Judged>) {
    let pipeline = fluent_bit::read(path);
    let mut whole = Report::of("file", path.display().to_string());
    for problem in &pipeline.problems {
        let detail = format!("{}: {}", problem.place, problem.problem);
        whole.fail("reading", detail, problem.remedy.clone());
    }
    let mut judged: Vec<Judged> = Vec::new();
    let is_ours = |input: &&Section| {
        let name = input.get("name").map(|name| pipeline.variables.fill(name).text);
        name.is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    };
    for (at, input) in pipeline.inputs.iter().filter(is_ours).enumerate() {
        judged.push(judge_section(&pipeline, input, at, around));
    }
    match judged.len() {
        0 if pipeline.problems.is_empty() => {
            whole.fail("sections", format!("no input {NAME}"), "write one under inputs");
        }
        0 => {}
        1 => whole.ok("sections", format!("1 input {NAME}")),
        count => whole.ok("sections", format!("{count} inputs {NAME}")),
    }
    share(&mut judged);
    (whole, judged)
}

fn judge_section(pipeline: &Pipeline, input: &Section, at: usize, around: Surroundings) -> Judged {
    let default = format!("{NAME}.{at}");
    let name = input.get("alias").map_or(default, str::to_owned);
    let mut report = Report::of("section", format!("{name} ({})", input.place));
    let mut raw = Written::read(pipeline, input, &mut report, around);
    let count = raw.options.len();
    if around == Surroundings::Here {
        let many = raw.options.contains_key("tenants_file");
        complete_from_environment(&mut raw.options, |name| {
            std::env::var(name).ok().filter(|_| !many || name != "AZURE_TENANT_ID")
        });
    }
    let delayed = raw.options.contains_key("commit_delay");
    let section = match InputSection::parse(raw.options) {
        Ok(section) => Some(section),
        Err(errors) => {
            // What has no value here is not missing.
            let known = errors.iter().filter(|error| !raw.unknown.contains(&error.option));
            for error in known {
                let place = raw.places.get(&error.option).map_or("", String::as_str);
                tell(&mut report, error, place, around);
            }
            None
        }
    };
    if let Some(Who::Many(_, tenants)) = section.as_ref().map(|section| &section.who) {
        let mistakes = tenants.mistakes.iter().map(TenantMistake::as_error);
        mistakes.for_each(|error| tell(&mut report, &error, "", around));
    }
    if report.findings.is_empty() {
        report.ok("options", format!("{count}, each as the plugin takes it"));
    }
    let tag = input
        .get("tag")
        .map_or_else(|| format!("{NAME}.{at}"), |tag| pipeline.variables.fill(tag).text);
    storage(pipeline, input, delayed, &mut report);
    outputs(pipeline, input, &tag, section.as_ref(), &mut report);
    if input.has_processors {
        report.warn(
            "processors",
            "with them Fluent Bit's counts are ambiguous: one batch of up to 1 MiB a tag is handed \
             over at a time",
            "move them to the output, if speed matters",
        );
    }
    Judged { report, section: section.filter(|_| raw.is_whole) }
}

/// The options of a section, as Fluent Bit hands them to the plugin.
struct Written {
    options: RawOptions,
    places: BTreeMap<String, String>,
    /// Options whose value is not known here.
    unknown: Vec<String>,
    /// Whether all of it could be read.
    is_whole: bool,
}

impl Written {
    fn read(
        pipeline: &Pipeline,
        input: &Section,
        report: &mut Report,
        around: Surroundings,
    ) -> Self {
        let mut written = Self {
            options: RawOptions::new(),
            places: BTreeMap::new(),
            unknown: Vec::new(),
            is_whole: true,
        };
        for setting in &input.settings {
            let key = &setting.key;
            let place = setting.place.to_string();
            let spec = options::find(key).filter(|spec| spec.scope != Scope::Host);
            let of_fluent_bit = OF_FLUENT_BIT.contains(&&**key)
                || OF_FLUENT_BIT_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
            let Some(spec) = spec else {
                if !of_fluent_bit {
                    let remedy = nearest(key).map_or_else(
                        || "see `m365-audit options --format fluent-bit`".to_owned(),
                        |known| format!("did you mean {known}?"),
                    );
                    report.fail("options", format!("{key}: no such option ({place})"), remedy);
                    written.is_whole = false;
                }
                continue;
            };
            if setting.values.len() != 1 || written.places.contains_key(spec.name) {
                let detail = format!("{key}: set several times ({place})");
                let remedy = "Fluent Bit refuses that: write it once, a list with commas";
                report.fail("options", detail, remedy);
                written.is_whole = false;
                continue;
            }
            written.places.insert(spec.name.into(), place.clone());
            let filled = pipeline.variables.fill(&setting.values[0]);
            if filled.unset.is_empty() {
                if !filled.text.is_empty() {
                    written.options.insert(spec.name.into(), filled.text);
                }
                continue;
            }
            written.unknown.push(spec.name.into());
            written.is_whole = false;
            unset(report, key, &filled.unset, &place, around);
        }
        written
    }
}

/// Tells of an option whose variables have no value here.
fn unset(report: &mut Report, key: &str, names: &[String], place: &str, around: Surroundings) {
    let names: Vec<_> = names.iter().map(|name| format!("${{{name}}}")).collect();
    let detail = format!("{key}: {} has no value here ({place})", names.join(", "));
    match around {
        Surroundings::Here => report.fail(
            "variables",
            detail,
            "set it in the environment of Fluent Bit, which puts nothing in its place",
        ),
        Surroundings::Elsewhere => {
            report.unknown("variables", detail, "check it where it is going to run");
        }
    }
}

/// Where Fluent Bit keeps what no output has taken yet.
fn storage(pipeline: &Pipeline, input: &Section, delayed: bool, report: &mut Report) {
    let filled = |text: &str| pipeline.variables.fill(text).text;
    let kind = input.get("storage.type").map(filled).unwrap_or_default();
    let service = pipeline.service.as_ref();
    let path = service.and_then(|service| service.get("storage.path"));
    if kind.eq_ignore_ascii_case("filesystem") {
        match path {
            Some(path) => report.ok("storage", format!("on disk, in {}", filled(path))),
            None => report.fail(
                "storage",
                "storage.type is filesystem, and the service has no storage.path",
                "set storage.path in the service, or Fluent Bit does not start",
            ),
        }
    } else if input.get("db").is_some() && !delayed {
        report.warn(
            "storage",
            "in memory, with a db: what no output has taken is gone when Fluent Bit stops, and db \
             counts it as delivered",
            "set storage.type to filesystem, and storage.path in the service; or commit_delay",
        );
    } else {
        report.ok("storage", "in memory");
    }
}

/// Which outputs take what the section brings, and what they make of it.
fn outputs(
    pipeline: &Pipeline,
    input: &Section,
    tag: &str,
    section: Option<&InputSection>,
    report: &mut Report,
) {
    let filled = |text: &str| pipeline.variables.fill(text).text;
    // Own tags begin with the prefix and end with what nobody knows here.
    let own = match section.map(|section| &section.tags) {
        Some(Tags::Own { prefix, .. }) => Some(prefix.to_string()),
        Some(Tags::Instance) | None => None,
    };
    let takes = |output: &&Section| {
        let pattern = output.get("match").map(filled);
        match (pattern, output.get("match_regex")) {
            (Some(pattern), _) => match &own {
                None => matches(&pattern, tag),
                Some(prefix) => {
                    matches(&pattern, &format!("{prefix}.x")) || pattern.starts_with(&**prefix)
                }
            },
            (None, Some(_)) => true,
            (None, None) => false,
        }
    };
    let routed = input.settings.iter().any(|setting| setting.key == "routes");
    let taking: Vec<_> = pipeline.outputs.iter().filter(takes).collect();
    let tag = own.as_deref().unwrap_or(tag);
    if taking.is_empty() && !routed {
        return report.warn(
            "outputs",
            format!("no output's match fits the tag {tag}"),
            "Fluent Bit drops what no output takes: mend match, unless a filter changes the tag",
        );
    }
    let beside = match input.get("metadata").map(filled) {
        Some(place) => place.eq_ignore_ascii_case("event"),
        None => true,
    };
    for output in taking {
        let name = output.get("name").map(filled).unwrap_or_default().to_ascii_lowercase();
        if beside && WITHOUT_METADATA.contains(&&*name) {
            report.warn(
                "outputs",
                format!(
                    "{name} ({}) sends records without what stands beside them: tenant, content \
                     type and what enrich adds",
                    output.place
                ),
                "set metadata to record, or to off if nobody needs them",
            );
        } else {
            report.ok("outputs", format!("{name} takes the tag {tag}"));
        }
    }
}

/// Whether a tag fits a match of Fluent Bit, in which `*` stands for anything.
fn matches(pattern: &str, tag: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == tag,
        Some((start, rest)) => tag.strip_prefix(start).is_some_and(|left| {
            (0..=left.len()).any(|at| left.is_char_boundary(at) && matches(rest, &left[at..]))
        }),
    }
}

/// Two sections that collect one tenant into one file.
fn share(judged: &mut [Judged]) {
    let mut first: BTreeMap<(String, String), String> = BTreeMap::new();
    for Judged { report, section } in judged {
        for settings in section.iter().flat_map(settings) {
            let Some(db) = &settings.native.db else { continue };
            let tenant = settings.config.tenant_id().to_owned();
            let key = (db.path.display().to_string(), tenant);
            if let Some(other) = first.get(&key) {
                report.fail(
                    "db",
                    format!("{}: section {other} collects tenant {} with it too", key.0, key.1),
                    "keep one of the two, or give each a db of its own",
                );
            } else {
                first.insert(key, report.name.clone());
            }
        }
    }
}

/// Whose tenants a section collects.
pub(crate) fn settings(section: &InputSection) -> Vec<&Settings> {
    match &section.who {
        Who::One(settings) => vec![settings],
        Who::Many(_, tenants) => tenants.tenants.iter().map(|tenant| &tenant.settings).collect(),
    }
}

#[cfg(test)]
mod tests;
