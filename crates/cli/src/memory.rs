//! Keeps what is in this process's memory, secrets among it, out of core files and away from other
//! processes of the same user.

/// From now on the system writes no core file, and nobody but root may look into the process.
#[cfg(unix)]
pub(crate) fn protect() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Both can only fail where there is no such thing, and then nothing is lost.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// There is nothing that a program of its own can do about it here.
#[cfg(not(unix))]
pub(crate) fn protect() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    #[test]
    fn nobody_can_have_a_copy_of_the_memory() {
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::Dumpable));
        super::protect();
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
    }
}
