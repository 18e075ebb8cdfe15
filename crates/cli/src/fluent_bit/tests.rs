//! Both formats, what they include, and what is wrong with them.

use std::fs;

use expect_test::{Expect, expect};

use super::*;
use crate::fluent_bit::pipeline::{Problem, Setting};

/// Reads the first of `files`, and shows what it says; `{dir}` stands for their folder.
#[track_caller]
fn check(files: &[(&str, &str)], expected: &Expect) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let pipeline = read(&dir.path().join(files[0].0));
    let mut text = String::new();
    let service = pipeline.service.iter().map(|section| ("service", section));
    let inputs = pipeline.inputs.iter().map(|section| ("input", section));
    let outputs = pipeline.outputs.iter().map(|section| ("output", section));
    for (kind, section) in service.chain(inputs).chain(outputs) {
        let with = if section.has_processors { " with processors" } else { "" };
        text.push_str(&format!("{kind}{with} {}\n", section.place));
        for Setting { key, values, place } in &section.settings {
            let values: Vec<_> =
                values.iter().map(|value| pipeline.variables.fill(value).text).collect();
            text.push_str(&format!("  {key} = {values:?} {}\n", place.line));
        }
    }
    for Problem { place, problem, remedy } in &pipeline.problems {
        text.push_str(&format!("problem: {place}: {problem}; {remedy}\n"));
    }
    assert!(!text.contains("s3cret"), "{text}");
    expected.assert_eq(&text.replace(dir.path().to_str().unwrap(), "{dir}"));
}

#[test]
fn the_classic_format_is_read_as_fluent_bit_reads_it() {
    check(
        &[
            (
                "fluent-bit.conf",
                "# a comment\n@SET WHO=41463f53\n@INCLUDE in*.conf\n\n[SERVICE]\n    Flush 1\n    \
                 # another\n\n[OUTPUT]\n    Name  es\n\tMatch *\n",
            ),
            (
                "input.conf",
                "[INPUT]\n    Name          m365_audit\n    Tenant_Id     ${WHO}\n    Tag  \
                 m365.${NONE:-x}\n",
            ),
        ],
        &expect![[r#"
            service {dir}/fluent-bit.conf:5
              flush = ["1"] 6
            input {dir}/input.conf:1
              name = ["m365_audit"] 2
              tenant_id = ["41463f53"] 3
              tag = ["m365.x"] 4
            output {dir}/fluent-bit.conf:9
              name = ["es"] 10
              match = ["*"] 11
        "#]],
    );
}

#[test]
fn yaml_is_read_as_fluent_bit_reads_it() {
    check(
        &[
            (
                "fluent-bit.yaml",
                "env:\n  who: 41463f53\nincludes:\n  - outputs.yaml\nservice:\n  flush: 1\n\
                 pipeline:\n  inputs:\n    - name: m365_audit\n      Tenant_Id: ${who}\n      \
                 content_types: [Audit.Exchange, DLP.All]\n      processors:\n        logs:\n  \
                 \x20       - name: content_modifier\n    - name: dummy\n",
            ),
            ("outputs.yaml", "pipeline:\n  outputs:\n    - name: stdout\n      match: '*'\n"),
        ],
        &expect![[r#"
            service {dir}/fluent-bit.yaml:5
              flush = ["1"] 6
            input with processors {dir}/fluent-bit.yaml:9
              name = ["m365_audit"] 9
              tenant_id = ["41463f53"] 10
              content_types = ["Audit.Exchange", "DLP.All"] 11
            input {dir}/fluent-bit.yaml:15
              name = ["dummy"] 15
            output {dir}/outputs.yaml:3
              name = ["stdout"] 3
              match = ["*"] 4
        "#]],
    );
    check(
        &[(
            "list.yaml",
            "env:\n  - name: WHO\n    value: 41463f53\n  - name: SECRET\n    uri: file:///x\npipeline:\n  \
             inputs:\n    - {name: m365_audit, tenant_id: \"${WHO}\", client_secret: \"${SECRET}\"}\n",
        )],
        &expect![[r#"
            input {dir}/list.yaml:8
              name = ["m365_audit"] 8
              tenant_id = ["41463f53"] 8
              client_secret = [""] 8
        "#]],
    );
}

#[test]
fn what_cannot_be_read_is_told_without_the_line() {
    check(
        &[(
            "a.conf",
            "[INPUT]\n    Name\n[OUTPUT\n@INCLUDE gone.conf\n@INCLUDE gone*.conf\n@INCLUDE a.conf\n",
        )],
        &expect![[r#"
            input {dir}/a.conf:1
            problem: {dir}/a.conf:2: a key without a value; write a key, a space and its value, or leave the line out
            problem: {dir}/a.conf:3: a section without its ]; write [INPUT]
            problem: {dir}/a.conf:4: {dir}/gone.conf cannot be read: No such file or directory (os error 2); name a readable file
            problem: {dir}/a.conf:5: no file matches this include; Fluent Bit refuses an include that matches nothing: leave it out
            problem: {dir}/a.conf:6: {dir}/a.conf is included twice; include it once
        "#]],
    );
    check(
        &[("a.yaml", "pipeline:\n  inputs:\n    - name: x\n     client_secret: s3cret\n")],
        &expect![[r#"
            problem: {dir}/a.yaml: not YAML, line 4, column 6: while parsing a block collection, did not find expected '-' indicator; put the YAML right there; Fluent Bit does not read it either
        "#]],
    );
    check(
        &[("a.yaml", "includes:\n  - b.yaml\n  - gone.yaml\n"), ("b.yaml", "includes: [a.yaml]\n")],
        &expect![[r#"
            problem: {dir}/b.yaml:1: {dir}/a.yaml is included twice; include it once
            problem: {dir}/a.yaml:3: {dir}/gone.yaml cannot be read: No such file or directory (os error 2); name a readable file
        "#]],
    );
}
