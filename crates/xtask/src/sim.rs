//! `cargo xtask sim`: worlds of the simulation ring, in virtual time.

use anyhow::{Result, bail};

use crate::artifacts::Artifacts;
use crate::shell;

/// Runs so many seeds.
///
/// # Errors
/// A seed failed; its failure says how to run it again.
pub(crate) fn run(seeds: u64, start: u64) -> Result<()> {
    let built = Artifacts::released(&["m365-audit-tests"])?;
    let mut simulation = shell::command(built.path("simulation")?);
    simulation.args(["--seeds", &seeds.to_string(), "--start", &start.to_string()]);
    if shell::run(&mut simulation).is_err() {
        bail!("the simulation failed; each failure above names the seed to run again");
    }
    Ok(())
}
