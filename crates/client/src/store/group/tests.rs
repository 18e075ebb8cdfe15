//! Many tenants on one real file.

use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;

use m365_audit_core::Commit;

use super::super::{DbOptions, Store, inspect};
use super::Written;

const TENANTS: usize = 24;
const ROUNDS: usize = 20;

fn options(path: &Path) -> DbOptions {
    DbOptions {
        path: path.into(),
        synchronous: "full".into(),
        journal_mode: "wal".into(),
        exclusive: true,
    }
}

fn put(store: &mut Store, key: usize, value: usize) {
    let changes = [(format!("key/{key}"), Some(value.to_string()))].into();
    store.commit(Commit { changes }).unwrap();
}

#[test]
fn what_many_tenants_commit_at_once_is_stored_together_and_each_sees_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(&dir.path().join("state.db"));
    let last = Store::open(Some(&options), "last").unwrap();
    let barrier = Arc::new(Barrier::new(TENANTS));
    let work = |tenant: usize| {
        let (options, barrier) = (options.clone(), Arc::clone(&barrier));
        move || {
            let mut store = Store::open(Some(&options), &format!("tenant-{tenant:02}")).unwrap();
            barrier.wait();
            for round in 0..ROUNDS {
                put(&mut store, round, tenant);
                // Nobody waits for less than its own changes.
                let stored = store.load().unwrap();
                assert_eq!(stored.len(), round + 1);
                assert!(stored.values().all(|value| *value == tenant.to_string()));
            }
        }
    };
    let threads: Vec<_> = (0..TENANTS).map(|tenant| thread::spawn(work(tenant))).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let Written { commits, transactions } = last.tally().unwrap().written();
    assert_eq!(commits, (TENANTS * ROUNDS) as u64);
    // Were they never together, it would be as many. How many are depends on the machine.
    assert!(transactions * 2 < commits, "{commits} commits in {transactions} transactions");
    drop(last);
    let all = inspect(&options.path).unwrap();
    assert_eq!(all.len(), TENANTS);
    assert!(all.values().all(|stored| stored.len() == ROUNDS));
}

#[test]
fn a_file_is_opened_once_and_again_when_all_have_left_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(&dir.path().join("state.db"));
    // Locked against every other connection, so that a second one would be refused.
    let mut one = Store::open(Some(&options), "one").unwrap();
    let detour = DbOptions { path: dir.path().join(".").join("state.db"), ..options.clone() };
    let mut two = Store::open(Some(&detour), "two").unwrap();
    put(&mut one, 1, 1);
    put(&mut two, 1, 2);
    assert_eq!(one.tally().unwrap().written(), Written { commits: 2, transactions: 2 });
    drop(one);
    put(&mut two, 1, 3);
    drop(two);
    let again = Store::open(Some(&options), "two").unwrap();
    assert_eq!(again.tally().unwrap().written(), Written::default());
    assert_eq!(again.load().unwrap()["key/1"], "3");
}

#[cfg(unix)]
#[test]
fn a_file_that_was_put_in_the_place_of_an_open_one_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&dir.path().join("state.db"));
    options.exclusive = false;
    let mut gone = Store::open(Some(&options), "one").unwrap();
    put(&mut gone, 1, 1);
    for end in ["", "-wal", "-shm"] {
        let path = dir.path().join(format!("state.db{end}"));
        std::fs::rename(&path, path.with_extension(format!("old{end}"))).unwrap();
    }
    let mut new = Store::open(Some(&options), "two").unwrap();
    put(&mut new, 1, 2);
    let changes = [("key".to_owned(), None)].into();
    let error = gone.commit(Commit { changes }).unwrap_err().to_string();
    assert!(error.contains("renamed, removed or replaced"), "{error}");
    assert_eq!(inspect(&options.path).unwrap().into_keys().collect::<Vec<_>>(), ["two"]);
}
