//! Configurations that collect from the simulated service as they are.

use m365_audit_core::RawOptions;

/// What to do when it has been seen to work.
pub(super) const NEXT: &str = "\
Next:
  m365-audit try --serve       # the same tenant for Fluent Bit, or for `m365-audit run`
  m365-audit doctor --help     # with a tenant of your own: will collecting work?
";

/// For Fluent Bit and for the command line.
pub(super) fn of(options: &RawOptions) -> String {
    let yaml: String =
        options.iter().map(|(name, value)| format!("      {name}: {value}\n")).collect();
    let toml: String = options
        .iter()
        .map(|(name, value)| format!("{name} = {}\n", toml::Value::String(value.clone())))
        .collect();
    format!(
        "A made-up tenant is served by a simulated Microsoft until Ctrl-C; new events come all the \
         time.\n\n\
         With Fluent Bit, as fluent-bit.yaml:\n\n\
         pipeline:\n  inputs:\n    - name: m365_audit\n{yaml}  outputs:\n    - name: stdout\n      \
         match: \"*\"\n\n\
         fluent-bit -e ./in_m365_audit.so -c fluent-bit.yaml\n\n\
         With the command line, as try.toml:\n\n\
         {toml}\n\
         m365-audit run --config try.toml\n"
    )
}
