//! What holds wherever a state is kept: one table of tests, over all places.

use std::sync::{Arc, Barrier};
use std::thread;

use m365_audit_test_support::postgres;
use tempfile::TempDir;

use m365_audit_core::{Commit, Stored};

use super::group::wait;
use super::*;

const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";
const TENANTS: usize = 24;
const ROUNDS: usize = 20;

/// An empty place for states.
struct Empty {
    name: &'static str,
    options: DbOptions,
    _dir: Option<TempDir>,
}

impl Empty {
    fn file() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("state.db");
        let options = DbOptions::of_text(path.to_str().unwrap()).unwrap();
        Self { name: "SQLite", options, _dir: Some(dir) }
    }

    fn server(name: &'static str, url: &str) -> Self {
        Self { name, options: DbOptions::of_text(url).unwrap(), _dir: None }
    }

    /// The same place, as another process sees it: what is there is opened once more.
    fn of_another(&self) -> DbOptions {
        let mut options = self.options.clone();
        if let Some(server) = &options.server {
            let mut server = DbServer::clone(server);
            server.tenants_max = Some(9);
            options.server = Some(Arc::new(server));
        }
        options
    }
}

/// A file, a PostgreSQL, and one behind pgbouncer in transaction mode.
fn places() -> Vec<Empty> {
    let mut places = vec![Empty::file()];
    if let Some(server) = postgres::shared() {
        places.push(Empty::server("PostgreSQL", &server.url(&server.database())));
        if let Some(bouncer) = postgres::shared_bouncer() {
            places.push(Empty::server("pgbouncer", &bouncer.url(&server.database())));
        }
    }
    places
}

fn commit(pairs: &[(&str, Option<&str>)]) -> Commit {
    let owned = |&(key, value): &(&str, Option<&str>)| (key.to_owned(), value.map(str::to_owned));
    Commit { changes: pairs.iter().map(owned).collect() }
}

fn stored(pairs: &[(&str, &str)]) -> Stored {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Opens a tenant and begins a run of it.
fn begun(options: &DbOptions, tenant: &str) -> Result<Store, StoreError> {
    let store = Store::open(Some(options), tenant)?;
    store.load()?;
    Ok(store)
}

#[test]
fn every_place_and_memory_hold_the_same() {
    let check = |name: &str, options: Option<&DbOptions>| {
        let mut store = Store::open(options, TENANT).unwrap();
        let path =
            options.map_or_else(|| "memory".into(), |options| options.path.display().to_string());
        assert_eq!(store.name(), path);
        assert_eq!(store.load().unwrap(), Stored::new(), "{name}");
        let large = "ÿ\u{1F600}'\"\\\u{1}".repeat(50_000);
        let all = [("a/1", "x"), ("a/2", &large), ("a/É", ""), ("b", "z")];
        store.commit(commit(&all.map(|(key, value)| (key, Some(value))))).unwrap();
        assert_eq!(store.load().unwrap(), stored(&all), "{name}");
        assert_eq!(wait(store.keys_below("a/")).unwrap()[..2], ["a/1", "a/2"], "{name}");
        let later = [("a/1", None), ("b", Some("y")), ("c", Some("new")), ("none", None)];
        store.commit(commit(&later)).unwrap();
        let left = stored(&[("a/2", &large), ("a/É", ""), ("b", "y"), ("c", "new")]);
        assert_eq!(store.load().unwrap(), left, "{name}");
        store.commit(Commit::default()).unwrap();
        assert_eq!(store.load().unwrap(), left, "{name}");
        store.still_ours().unwrap();
        drop(store);
        if options.is_some() {
            assert_eq!(Store::open(options, TENANT).unwrap().load().unwrap(), left, "{name}");
        }
    };
    check("memory", None);
    places().iter().for_each(|place| check(place.name, Some(&place.options)));
}

#[test]
fn what_many_tenants_commit_at_once_is_stored_together_and_each_sees_its_own() {
    for Empty { name, options, _dir } in places() {
        let last = Store::open(Some(&options), "last").unwrap();
        let barrier = Arc::new(Barrier::new(TENANTS));
        let work = |tenant: usize| {
            let (options, barrier) = (options.clone(), Arc::clone(&barrier));
            move || {
                let mut store = begun(&options, &format!("tenant-{tenant:02}")).unwrap();
                barrier.wait();
                let value = tenant.to_string();
                for round in 0..ROUNDS {
                    store.commit(commit(&[(&format!("key/{round}"), Some(&value))])).unwrap();
                    // Nobody waits for less than its own changes.
                    let stored = store.load().unwrap();
                    assert_eq!(stored.len(), round + 1);
                    assert!(stored.values().all(|stored| *stored == value));
                }
            }
        };
        let threads: Vec<_> = (0..TENANTS).map(|tenant| thread::spawn(work(tenant))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let Written { commits, transactions } = last.tally().unwrap().written();
        assert_eq!(commits, (TENANTS * ROUNDS) as u64, "{name}");
        // Were they never together, it would be as many. How many are depends on the machine.
        assert!(transactions * 2 < commits, "{name}: {commits} in {transactions} transactions");
        drop(last);
        let all = inspect(&options).unwrap();
        assert_eq!(all.len(), TENANTS, "{name}");
        assert!(all.values().all(|stored| stored.len() == ROUNDS), "{name}");
    }
}

#[test]
fn a_place_is_opened_once_and_again_when_all_have_left_it() {
    for Empty { name, options, _dir } in places() {
        let put = |store: &mut Store, value| store.commit(commit(&[("key", Some(value))])).unwrap();
        let mut one = begun(&options, "one").unwrap();
        let mut two = begun(&options, "two").unwrap();
        put(&mut one, "1");
        put(&mut two, "2");
        let written = one.tally().unwrap().written();
        assert_eq!(written, Written { commits: 2, transactions: 2 }, "{name}");
        drop(one);
        put(&mut two, "3");
        drop(two);
        let again = Store::open(Some(&options), "two").unwrap();
        assert_eq!(again.tally().unwrap().written(), Written::default(), "{name}");
        assert_eq!(again.load().unwrap()["key"], "3", "{name}");
    }
}

#[test]
fn of_two_that_collect_the_same_tenant_the_second_is_refused_until_the_first_has_left() {
    for place in places() {
        let (options, other) = (&place.options, place.of_another());
        let mut first = begun(options, TENANT).unwrap();
        first.commit(commit(&[("key", Some("first"))])).unwrap();
        for second in [options, &other] {
            let refused = begun(second, TENANT).unwrap_err();
            let is_told = matches!(refused, StoreError::InUse { .. } | StoreError::Held { .. });
            assert!(is_told, "{}: {refused}", place.name);
            // Another tenant is nobody's.
            begun(second, "another").unwrap();
        }
        drop(first);
        let second = Store::open(Some(&other), TENANT).unwrap();
        assert_eq!(second.load().unwrap()["key"], "first", "{}", place.name);
    }
}

#[test]
fn a_place_is_looked_into_and_amended_while_collectors_are_at_work() {
    for Empty { name, options, _dir } in places() {
        assert!(matches!(probe(&options, TENANT).unwrap(), DbState::Absent), "{name}");
        let mut stores = ["b", "a"].map(|tenant| begun(&options, tenant).unwrap());
        for store in &mut stores {
            store.commit(commit(&[("key", Some("value")), ("replay/1", None)])).unwrap();
        }
        assert_eq!(probe(&options, "a").unwrap(), DbState::InUse, "{name}");
        assert_eq!(probe(&options, TENANT).unwrap(), DbState::Writable, "{name}");
        let all = inspect(&options).unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b"], "{name}");
        let one = inspect_tenant(&options, "b").unwrap();
        assert_eq!(one, stored(&[("key", "value")]), "{name}");
        assert_eq!(inspect_tenant(&options, "c").unwrap(), Stored::new(), "{name}");
        let change = |stored: &Stored| commit(&[("replay/1", Some(stored["key"].as_str()))]);
        amend(&options, "a", change).unwrap();
        assert_eq!(wait(stores[1].keys_below("replay/")).unwrap(), ["replay/1"], "{name}");
        stores[1].commit(commit(&[("replay/1", None)])).unwrap();
        assert_eq!(inspect_tenant(&options, "a").unwrap(), stored(&[("key", "value")]));
    }
}

#[test]
fn a_state_is_copied_from_each_place_to_each_whole_and_compared() {
    let value = "x".repeat(10_000);
    let whole = [("version", "1"), ("x", &value)].map(|(key, value)| (key, Some(value)));
    for from in places() {
        for tenant in ["one", "two"] {
            begun(&from.options, tenant).unwrap().commit(commit(&whole)).unwrap();
        }
        for to in places() {
            let what = format!("{} to {}", from.name, to.name);
            let at_work = begun(&from.options, "two").unwrap();
            let refused = copy_state(&from.of_another(), &to.options).unwrap_err();
            let is_told = matches!(refused, StoreError::InUse { .. } | StoreError::Held { .. });
            assert!(is_told, "{what}: {refused}");
            drop(at_work);
            let copied = copy_state(&from.options, &to.options).unwrap();
            let (keys, bytes) = (4, 2 * (1 + value.len()));
            assert_eq!(copied, CopiedState { tenants: 2, keys, bytes, present: 0 }, "{what}");
            assert_eq!(inspect(&to.options).unwrap(), inspect(&from.options).unwrap());
            // Once more: it is there already. What is another state is left alone.
            assert_eq!(copy_state(&from.options, &to.options).unwrap().present, 2, "{what}");
            begun(&to.options, "two").unwrap().commit(commit(&[("x", Some("y"))])).unwrap();
            let before = inspect(&to.options).unwrap();
            let refused = copy_state(&from.options, &to.options).unwrap_err().to_string();
            assert!(refused.contains("another state of tenant two"), "{what}: {refused}");
            assert_eq!(inspect(&to.options).unwrap(), before, "{what}");
        }
    }
}
