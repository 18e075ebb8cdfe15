//! Whether the file that records were written to last has what counts as delivered.

use std::io::ErrorKind;

use m365_audit_client::{Settings, inspect};

use crate::findings::Report;
use crate::output::{OVERSIZED_KEY, STAMP_KEY, Standing, look_at};

const REMEDY: &str = "put back what is missing; else the next run remembers it as a loss";

/// Says nothing of a state that cannot be read, which is told elsewhere, nor of outputs that are no
/// files.
pub(super) fn examine(settings: &Settings, report: &mut Report) {
    let db = settings.native.db.as_ref();
    let stored = db.and_then(|options| inspect(options).ok());
    let stored = stored.and_then(|mut all| all.remove(settings.config.tenant_id()));
    for value in [STAMP_KEY, OVERSIZED_KEY].iter().filter_map(|key| stored.as_ref()?.get(*key)) {
        compare(value, report);
    }
}

fn compare(value: &str, report: &mut Report) {
    let Some((path, length, standing)) = look_at(value) else {
        return report.warn(
            "output",
            "what the state says of it cannot be read",
            "run the version that wrote it, or a newer one",
        );
    };
    match standing {
        Ok(Standing::Whole) => {
            report.ok("output", format!("{path} has all {length} bytes that count as delivered"));
        }
        Ok(Standing::Short(missing)) => {
            let told = format!("{path} is {missing} bytes shorter than what counts as delivered");
            report.fail("output", told, REMEDY);
        }
        Ok(Standing::Changed) => {
            let told = format!("the first {length} bytes of {path} are not as they were written");
            report.fail("output", told, REMEDY);
        }
        Ok(Standing::Other) => {
            let told = format!("{path} is another file than the one of {length} bytes before");
            report.ok("output", format!("{told}: rotated"));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => report.warn(
            "output",
            format!("{path} is not there; {length} bytes of it count as delivered"),
            "nothing, if it was rotated; else put it back",
        ),
        Err(error) => report.warn("output", format!("{path}: {error}"), "look at its permissions"),
    }
}
