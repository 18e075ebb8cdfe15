//! Tenants of one real file: which file it is, and how often it is opened.

use std::path::Path;

use m365_audit_core::Commit;

use super::super::{DbOptions, Store, inspect};
use super::Written;

fn options(path: &Path) -> DbOptions {
    DbOptions {
        path: path.into(),
        synchronous: "full".into(),
        journal_mode: "wal".into(),
        exclusive: true,
        server: None,
    }
}

fn put(store: &mut Store, key: usize, value: usize) {
    let changes = [(format!("key/{key}"), Some(value.to_string()))].into();
    store.commit(Commit { changes }).unwrap();
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
    assert_eq!(inspect(&options).unwrap().into_keys().collect::<Vec<_>>(), ["two"]);
}
