//! Which records are handed over: include and exclude lists over fields that the scan has lifted.
//!
//! Judges one record at a time and knows nothing else: a record that is left out counts as
//! delivered, so that neither progress nor coverage nor the memory of records depends on a filter.
//!
//! It judges when records are handed over, not when they are scanned: that would save nothing,
//! since the fields are lifted in any case, and would make the state depend on an option.

use std::fmt;
use std::str::Chars;

use crate::base::text::closest;
use crate::contract::batch::Record;
use crate::json::{Field, RecordKind};
use crate::options::{ConfigError, Reader};
use crate::records::record_types;

/// Patterns of one list at the most.
const PATTERNS_MAX: usize = 10_000;

/// Characters of one pattern at the most. Operations and users are shorter.
const PATTERN_CHARS_MAX: usize = 512;

/// The text fields that can be filtered by, and the options that do.
const TEXT_OPTIONS: [(Field, [&str; 2]); 3] = [
    (Field::Workload, ["include_workloads", "exclude_workloads"]),
    (Field::Operation, ["include_operations", "exclude_operations"]),
    (Field::UserId, ["include_users", "exclude_users"]),
];

const RECORD_TYPE_OPTIONS: [&str; 2] = ["include_record_types", "exclude_record_types"];

/// Values of `Workload` that Microsoft documents, or that were seen. There may be others, so that a
/// pattern for none of these is no mistake.
const WORKLOADS: [&str; 26] = [
    "AzureActiveDirectory",
    "ConnectedAIApp",
    "Copilot",
    "CRM",
    "Endpoint",
    "Exchange",
    "MCAS",
    "MicrosoftDefender",
    "MicrosoftFlow",
    "MicrosoftForms",
    "MicrosoftStream",
    "MicrosoftTeams",
    "MicrosoftTeamsShifts",
    "MicrosoftTodo",
    "OneDrive",
    "Planner",
    "PowerApps",
    "PowerBI",
    "PowerPlatform",
    "PublicEndpoint",
    "Quarantine",
    "SecurityComplianceCenter",
    "SharePoint",
    "Skype",
    "ThreatIntelligence",
    "Yammer",
];

/// What is handed over.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    texts: Vec<(Field, Lists<Patterns>)>,
    /// In order.
    record_types: Option<Lists<Vec<i64>>>,
    doubts: Vec<Doubt>,
}

/// A pattern that matches nothing that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub option: &'static str,
    pub pattern: Box<str>,
    /// What may be meant.
    pub meant: Option<&'static str>,
}

/// What to keep and what to leave out, of one field. `None`: not asked for.
#[derive(Clone, Debug)]
struct Lists<T> {
    include: Option<T>,
    exclude: Option<T>,
}

/// A list of texts, in lower case.
#[derive(Clone, Debug, Default)]
struct Patterns {
    /// In order.
    exact: Vec<Box<str>>,
    globs: Vec<Box<str>>,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} matches no workload that is known, and may match nothing; ", self.pattern)?;
        match self.meant {
            Some(meant) => write!(f, "did you mean {meant}?"),
            None => f.write_str("remedy: look at the Workload of your records"),
        }
    }
}

impl Filter {
    /// Reads the options; `None` if none of them is set. Mistakes stay in `reader`.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut texts = Vec::new();
        for (field, options) in TEXT_OPTIONS {
            let lists = options.map(|option| patterns(reader, option));
            texts.extend(Lists::new(lists).map(|lists| (field, lists)));
        }
        let lists = RECORD_TYPE_OPTIONS.map(|option| record_types(reader, option));
        let record_types = Lists::new(lists);
        let is_set = !texts.is_empty() || record_types.is_some();
        let doubts = TEXT_OPTIONS[0].1.into_iter().flat_map(|option| doubts(reader, option));
        is_set.then(|| Self { texts, record_types, doubts: doubts.collect() })
    }

    /// The patterns that match nothing that is known.
    pub(crate) fn doubts(&self) -> &[Doubt] {
        &self.doubts
    }

    /// Whether `record` is handed over. `scratch` is room to work in.
    ///
    /// A record without the field in question is in no list. What is no JSON object has no fields
    /// to judge by: it is out of the ordinary, and always handed over.
    pub(crate) fn passes(&self, record: &Record, scratch: &mut String) -> bool {
        if record.kind == RecordKind::NotObject {
            return true;
        }
        let types = self.record_types.as_ref();
        types.is_none_or(|lists| {
            let number = record.record_type();
            lists.allow(|list| number.is_some_and(|number| list.binary_search(&number).is_ok()))
        }) && self.texts.iter().all(|(field, lists)| {
            let text = record.fields.text(&record.raw, *field);
            let there = text.is_some();
            fold(text.as_deref().unwrap_or_default(), scratch);
            lists.allow(|list| there && list.matches(scratch))
        })
    }
}

impl<T> Lists<T> {
    fn new([include, exclude]: [Option<T>; 2]) -> Option<Self> {
        (include.is_some() || exclude.is_some()).then_some(Self { include, exclude })
    }

    fn allow(&self, is_in: impl Fn(&T) -> bool) -> bool {
        self.include.as_ref().is_none_or(&is_in) && !self.exclude.as_ref().is_some_and(&is_in)
    }
}

impl Patterns {
    fn matches(&self, folded: &str) -> bool {
        self.exact.binary_search_by(|exact| (**exact).cmp(folded)).is_ok()
            || self.globs.iter().any(|glob| matches(glob, folded))
    }
}

/// Whether all of `text` is what `glob` stands for: `*` for any characters, `?` for one.
fn matches(glob: &str, text: &str) -> bool {
    let (mut glob, mut text) = (glob.chars(), text.chars());
    // Behind the last star, and where the text goes on if the star takes one character more.
    let mut star: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let (mut next_glob, mut next_text) = (glob.clone(), text.clone());
        match (next_glob.next(), next_text.next()) {
            (Some('*'), _) => {
                glob = next_glob;
                star = Some((glob.clone(), text.clone()));
                continue;
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                (glob, text) = (next_glob, next_text);
                continue;
            }
            (None, None) => return true,
            (Some(_) | None, _) => {}
        }
        let Some((behind, rest)) = &mut star else { return false };
        if rest.next().is_none() {
            return false;
        }
        (glob, text) = (behind.clone(), rest.clone());
    }
}

/// Puts `text` into `out` in lower case.
pub(crate) fn fold(text: &str, out: &mut String) {
    out.clear();
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        out.extend(text.chars().flat_map(char::to_lowercase));
    }
}

/// What stands between the commas of a list.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// The entries of a list, without the blanks around them; `None` if the option is not set.
fn entries(reader: &mut Reader<'_>, option: &str) -> Option<Vec<String>> {
    let text = reader.optional(option)?;
    let entries: Vec<_> = split(&text).map(str::to_owned).collect();
    if entries.is_empty() || PATTERNS_MAX < entries.len() {
        let problem = format!("{} entries", entries.len());
        let remedy = format!("write 1 to {PATTERNS_MAX}, separated by commas, or leave it out");
        reader.report(ConfigError::new(option, Some(&text), &problem, &remedy));
    }
    Some(entries)
}

fn patterns(reader: &mut Reader<'_>, option: &str) -> Option<Patterns> {
    let mut patterns = Patterns::default();
    let mut folded = String::new();
    for entry in entries(reader, option)? {
        if let Some((problem, remedy)) = mistake(&entry) {
            reader.report(ConfigError::new(option, Some(&entry), problem, remedy));
        }
        fold(&entry, &mut folded);
        if folded.contains(['*', '?']) {
            patterns.globs.push(folded.as_str().into());
        } else {
            patterns.exact.push(folded.as_str().into());
        }
    }
    patterns.exact.sort_unstable();
    Some(patterns)
}

/// The patterns of a list of workloads that match none of those that are known.
fn doubts(reader: &Reader<'_>, option: &'static str) -> Vec<Doubt> {
    let text = reader.optional(option).unwrap_or_default();
    let known: Vec<_> = WORKLOADS.iter().map(|name| name.to_ascii_lowercase()).collect();
    let unknown = split(&text).filter(|entry| {
        let folded = entry.to_lowercase();
        !known.iter().any(|name| matches(&folded, name))
    });
    let doubt = |entry: &str| Doubt {
        option,
        pattern: entry.into(),
        meant: closest(&entry.to_lowercase(), known.iter().map(String::as_str))
            .and_then(|near| WORKLOADS.into_iter().find(|name| name.eq_ignore_ascii_case(near))),
    };
    unknown.map(doubt).collect()
}

/// What is wrong with a pattern, and what to write instead.
fn mistake(pattern: &str) -> Option<(&'static str, &'static str)> {
    if PATTERN_CHARS_MAX < pattern.chars().count() {
        return Some(("longer than 512 characters", "write * for what is left out"));
    }
    // Elsewhere these stand for sets and choices: here they would match nothing, unnoticed.
    pattern.contains(['[', ']', '{', '}']).then_some((
        "sets and choices ([…], {…}) are not supported",
        "write * for any characters and ? for one, also in place of a bracket",
    ))
}

fn record_types(reader: &mut Reader<'_>, option: &str) -> Option<Vec<i64>> {
    let mut numbers = Vec::new();
    for entry in entries(reader, option)? {
        match entry.parse().ok().or_else(|| record_types::record_type_called(&entry)) {
            Some(number) => numbers.push(number),
            None => {
                let remedy = match closest(&entry, record_types::record_type_names()) {
                    Some(name) => format!("did you mean {name}? A number always works"),
                    None => {
                        "write the number, or the name in Microsoft's AuditLogRecordType".into()
                    }
                };
                let problem = "neither a number nor a known record type";
                reader.report(ConfigError::new(option, Some(&entry), problem, &remedy));
            }
        }
    }
    numbers.sort_unstable();
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Item, Splitter};
    use crate::options::RawOptions;
    use bytes::Bytes;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn filter(options: &[(&str, &str)]) -> Result<Option<Filter>, Vec<ConfigError>> {
        let options = options.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let options: RawOptions = options.collect();
        let mut reader = Reader::new(&options);
        let filter = Filter::read(&mut reader);
        reader.finish_known().map(|()| filter)
    }

    /// Which of `RECORDS` pass, by their `Id`.
    #[track_caller]
    fn check(options: &[(&str, &str)], expected: &str) {
        let filter = filter(options).unwrap().unwrap();
        let mut splitter = Splitter::new(10_000);
        splitter.push(Bytes::from_static(RECORDS.as_bytes()));
        let mut passed = String::new();
        let mut scratch = String::new();
        while let Some(Item::Record(split)) = splitter.poll().unwrap() {
            let (raw, fields, kind) = (split.raw, split.fields, split.kind);
            let record =
                Record { raw, fields, kind, redacted: false, is_json: false, happened: None };
            if filter.passes(&record, &mut scratch) {
                let id = record.fields.text(&record.raw, Field::Id);
                passed.push_str(id.as_deref().unwrap_or("-"));
            }
        }
        assert_eq!(passed, expected, "{options:?}");
    }

    const RECORDS: &str = r#"[
        {"Id":"a","RecordType":15,"Operation":"UserLoggedIn","UserId":"Alice@Contoso.example",
         "Workload":"AzureActiveDirectory"},
        {"Id":"b","RecordType":8,"Operation":"Add user.","UserId":"\u0062ob@contoso.example",
         "Workload":"AzureActiveDirectory"},
        {"Id":"c","RecordType":"6","Operation":"FileAccessed","Workload":"OneDrive",
         "UserId":"NT AUTHORITY\\SYSTEM (w3wp)"},
        {"Id":"d","RecordType":999,"Operation":"DLPRuleMatch","UserId":"JÖRG@contoso.example"},
        {"Id":"e","RecordType":null,"Operation":7},
        "no object"]"#;

    #[test]
    fn patterns_that_match_no_known_workload_are_doubted() {
        let raw = [
            ("include_workloads", "exchange, Exchagne, One*, Xyz*"),
            ("exclude_workloads", "Yamer"),
        ];
        let raw = raw.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut reader = Reader::new(&raw);
        let filter = Filter::read(&mut reader).unwrap();
        let doubts = filter.doubts().iter();
        let told: Vec<_> = doubts.map(|doubt| (&*doubt.pattern, doubt.meant)).collect();
        let expected = [("Exchagne", Some("Exchange")), ("Xyz*", None), ("Yamer", Some("Yammer"))];
        assert_eq!(told, expected);
        assert!(reader.finish().is_ok(), "there may be others");
    }

    #[test]
    fn lists_say_what_to_keep_and_what_to_leave_out() {
        check(&[("include_workloads", "azureactivedirectory, Exchange")], "ab-");
        check(&[("exclude_workloads", "OneDrive")], "abde-");
        check(&[("include_operations", "Add *,dlprulematch")], "bd-");
        check(&[("exclude_operations", "User*, File?ccessed")], "bde-");
        check(&[("include_users", "*@contoso.example")], "abd-");
        check(&[("include_users", "alice@CONTOSO.example, jörg@*")], "ad-");
        check(&[("exclude_users", r"NT AUTHORITY\SYSTEM*")], "abde-");
        check(&[("include_record_types", "15, SharePointFileOperation")], "ac-");
        check(&[("exclude_record_types", "azureactivedirectory,999, -1")], "ace-");
    }

    #[test]
    fn all_options_must_agree_and_exclusion_wins() {
        check(&[("include_users", "*"), ("exclude_users", "bob*")], "acd-");
        check(&[("include_operations", "*"), ("include_record_types", "8,6")], "bc-");
        check(&[("include_operations", "UserLoggedIn"), ("exclude_operations", "*")], "-");
    }

    #[test]
    fn without_options_there_is_no_filter() {
        assert!(filter(&[("content_types", "DLP.All"), ("include_users", " ")]).unwrap().is_none());
    }

    #[test]
    fn mistakes_are_told_with_the_entry() {
        #[track_caller]
        fn check(options: &[(&str, &str)], expect: Expect) {
            let errors = filter(options).unwrap_err();
            expect.assert_eq(&errors.iter().map(|error| format!("{error}\n")).collect::<String>());
        }
        check(
            &[
                ("include_operations", "File[AB]*, Add *, {x,y}"),
                ("include_users", ", ,"),
                ("exclude_record_types", "15, SharePointFileOperations, Nonsense, 6.5"),
            ],
            expect![[r#"
                include_operations = "File[AB]*": sets and choices ([…], {…}) are not supported; write * for any characters and ? for one, also in place of a bracket
                include_operations = "{x": sets and choices ([…], {…}) are not supported; write * for any characters and ? for one, also in place of a bracket
                include_operations = "y}": sets and choices ([…], {…}) are not supported; write * for any characters and ? for one, also in place of a bracket
                include_users = ", ,": 0 entries; write 1 to 10000, separated by commas, or leave it out
                exclude_record_types = "SharePointFileOperations": neither a number nor a known record type; did you mean SharePointFileOperation? A number always works
                exclude_record_types = "Nonsense": neither a number nor a known record type; write the number, or the name in Microsoft's AuditLogRecordType
                exclude_record_types = "6.5": neither a number nor a known record type; write the number, or the name in Microsoft's AuditLogRecordType
            "#]],
        );
        let long = "x".repeat(513);
        assert!(filter(&[("include_users", &long)]).is_err());
        let many = "x,".repeat(PATTERNS_MAX + 1);
        assert!(filter(&[("include_users", &many)]).is_err());
    }

    /// What a glob means, said the slow way.
    fn means(glob: &[char], text: &[char]) -> bool {
        match (glob, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|at| means(rest, &text[at..])),
            (['?', rest @ ..], [_, behind @ ..]) => means(rest, behind),
            ([wanted, rest @ ..], [found, behind @ ..]) => wanted == found && means(rest, behind),
            (_, _) => false,
        }
    }

    proptest! {
        #[test]
        fn globs_mean_what_they_say(glob in "[ab*?é]{0,8}", text in "[abé]{0,12}") {
            let (globs, texts): (Vec<_>, Vec<_>) = (glob.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&glob, &text), means(&globs, &texts));
        }
    }
}
