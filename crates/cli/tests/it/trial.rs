//! `m365-audit try`, as somebody runs it who has just unpacked the program.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use fluent_bit_plugin_harness::fluent_bit;

use crate::support::{assert_code, end, program, signal, text};

#[test]
fn trying_needs_nothing_and_says_that_everything_arrived() {
    let dir = tempfile::tempdir().unwrap();
    let output = program("try").args(["--hours", "1"]).current_dir(dir.path()).output().unwrap();
    assert_code(&output, 0);
    let shown = text(&output.stdout);
    let all = shown.lines().find(|line| line.starts_with("all ")).expect(shown);
    let counts: Vec<_> = all.split_whitespace().skip(1).collect();
    assert_eq!(counts[0], counts[1], "{shown}");
    assert_ne!(counts[0], "0");
    assert_eq!(counts[2..], ["0", "0"], "{shown}");
    for feed in ["Audit.AzureActiveDirectory", "Audit.Exchange", "DLP.All"] {
        assert_eq!(shown.matches(feed).count(), 2, "an event of {feed}, and its row: {shown}");
    }
    assert!(shown.contains("Everything that was published has arrived"), "{shown}");
    assert_eq!(text(&output.stderr), "");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left on the disk");
}

#[test]
fn what_serving_prints_collects_as_it_is() {
    let mut serving = program("try");
    serving.args(["--hours", "1", "--serve"]).stdout(Stdio::piped());
    let mut serving = serving.spawn().unwrap();
    let shown = BufReader::new(serving.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut toml = String::new();
    let (mut yaml, mut pipeline) = (Vec::new(), String::new());
    for line in shown {
        if line == "pipeline:" || (!pipeline.is_empty() && line.starts_with(' ')) {
            pipeline.push_str(&format!("{line}\n"));
        }
        if line.contains(" = ") {
            toml.push_str(&format!("{line}\n"));
        } else if let Some(option) = line.strip_prefix("      ") {
            yaml.push(option.split_once(": ").unwrap().0.to_owned());
        }
        if line == "m365-audit run --config try.toml" {
            break;
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("try.toml");
    std::fs::write(&config, &toml).unwrap();
    let output = program("run").arg("--once").arg("--config").arg(&config).output().unwrap();
    assert_code(&output, 0);
    assert!(10 < output.stdout.iter().filter(|byte| **byte == b'\n').count());
    let names: Vec<_> = toml.lines().map(|line| line.split_once(" = ").unwrap().0).collect();
    assert_eq!(yaml[..names.len()], names, "both have the same options");
    // So does the other one, in the real Fluent Bit and as the plugin judges it.
    let file = dir.path().join("fluent-bit.yaml");
    std::fs::write(&file, &pipeline).unwrap();
    let judged = program("check").arg("--fluent-bit").arg(&file).output().unwrap();
    assert_code(&judged, 0);
    if let (Some(fluent_bit), Some(plugin)) =
        (fluent_bit::look(), std::env::var_os("M365_AUDIT_PLUGIN"))
    {
        let mut command = std::process::Command::new(fluent_bit);
        command.arg("-e").arg(plugin).arg("-c").arg(&file);
        fluent_bit::run_until(&mut command, "\"CreationTime\"");
    }
    signal(&serving, "-TERM");
    assert_eq!(end(&mut serving).0.code(), Some(0));
}
