//! Phrases that nobody understood, and what replaced them: they do not come back, neither in
//! documents nor in what the programs say.

/// A phrase, and what to write.
const REPLACED: [(&str, &str); 11] = [
    ("what appears late is found", "late events are picked up"),
    ("what cannot be had is reported", "anything lost is logged as an ERROR that names it"),
    ("every mistake is told at once", "all errors are reported together"),
    ("all mistakes are told at once", "all errors are reported together"),
    ("the backlog is delivered", "caught up"),
    ("works; 1 to look at", "no failures, 1 warning"),
    ("a minute from now on, none for", "throttled: pausing 10 s, then at most 1,000 requests/min"),
    ("none may be started yet", "no active subscription; Microsoft allows one start per 15 min"),
    ("the tenants of before are collected", "keeping the previous tenants"),
    ("longest silence of the service", "retry a request after this long without data"),
    ("is collected further", "is still collected"),
];

/// What is wrong with a text, wherever its lines break.
pub(super) fn problems(text: &str) -> Vec<String> {
    // Comments and strings of sources go on in the next line.
    let marks = |word: &&str| !matches!(*word, "//" | "///" | "//!" | "\\" | "#");
    let flat: Vec<_> = text.split_whitespace().filter(marks).collect();
    let flat = flat.join(" ").to_lowercase();
    let found = REPLACED.iter().filter(|(old, _)| flat.contains(old));
    found.map(|(old, new)| format!("{old:?}: say {new:?}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_found_across_lines() {
        assert_eq!(problems("Late events are picked up."), [""; 0]);
        let found = problems("/// The backlog\n    /// is delivered. What appears\nlate is found.");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].contains("say \"caught up\""), "{found:?}");
    }
}
