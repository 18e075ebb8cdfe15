//! How many files this process may have open. A tenant costs one, and so does each connection.

/// Everything that is no tenant's: the output, the state, the status, event queues, and what the
/// host of a plugin has open.
const OTHERS: u64 = 128;

/// What a fleet needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub(crate) tenants: usize,
    /// Requests that may be under way.
    pub(crate) connections: usize,
    /// Whether each tenant has a lock beside a state file.
    pub(crate) has_db: bool,
}

impl Need {
    fn files(self) -> u64 {
        let locks = if self.has_db { self.tenants } else { 0 };
        OTHERS + (locks as u64).saturating_add(self.connections as u64)
    }
}

/// Raises the soft limit to the hard one, if it is needed. Says what is wrong if that is not
/// enough.
pub(crate) fn make_room(need: Need) -> Result<(), String> {
    judge(need, || limits().map(|(soft, _)| soft), raise)
}

/// `allowed` is asked again after `raise`, which may have no effect.
fn judge(
    need: Need,
    allowed: impl Fn() -> Option<u64>,
    raise: impl FnOnce(),
) -> Result<(), String> {
    let files = need.files();
    let fits = || allowed().is_none_or(|allowed| files <= allowed);
    if fits() {
        return Ok(());
    }
    raise();
    if fits() {
        return Ok(());
    }
    let allowed = allowed().unwrap_or_default();
    Err(format!(
        "open files: {} tenants and max_in_flight_total = {} need {files}, and this process may \
         have {allowed}, its hard limit: what does not fit fails and is tried again; remedy: allow \
         it {files} (systemd: LimitNOFILE={files}; a shell: ulimit -Hn {files}), or lower \
         max_in_flight_total",
        need.tenants, need.connections
    ))
}

/// The soft and the hard limit; `None`: there is none.
#[cfg(unix)]
fn limits() -> Option<(u64, Option<u64>)> {
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limits.current.map(|soft| (soft, limits.maximum))
}

#[cfg(unix)]
fn raise() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let Some((_, hard)) = limits() else { return };
    // What the system refuses, the next look shows.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard });
}

#[cfg(not(unix))]
const fn limits() -> Option<(u64, Option<u64>)> {
    None
}

#[cfg(not(unix))]
const fn raise() {}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use expect_test::{Expect, expect};

    use super::*;

    /// What is said with a soft and a hard limit.
    #[track_caller]
    fn check(soft: u64, hard: u64, expect: Expect) {
        let need = Need { tenants: 2_000, connections: 512, has_db: true };
        let limit = Cell::new(soft);
        let said = match judge(need, || Some(limit.get()), || limit.set(hard)) {
            Ok(()) => format!("{}\n", limit.get()),
            Err(problem) => format!("{problem}\n"),
        };
        expect.assert_eq(&said);
    }

    #[test]
    fn the_limit_is_raised_where_it_has_to_be_and_what_cannot_fit_is_told_with_the_number() {
        check(
            4_096,
            8_192,
            expect![[r#"
                4096
            "#]],
        );
        check(
            1_024,
            8_192,
            expect![[r#"
                8192
            "#]],
        );
        check(
            1_024,
            2_048,
            expect![[r#"
                open files: 2000 tenants and max_in_flight_total = 512 need 2640, and this process may have 2048, its hard limit: what does not fit fails and is tried again; remedy: allow it 2640 (systemd: LimitNOFILE=2640; a shell: ulimit -Hn 2640), or lower max_in_flight_total
            "#]],
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_soft_limit_of_this_process_becomes_the_hard_one() {
        raise();
        let (soft, hard) = limits().unwrap_or((u64::MAX, Some(u64::MAX)));
        assert_eq!(Some(soft), hard);
    }
}
