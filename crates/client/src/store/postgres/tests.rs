//! A real PostgreSQL: who may write, what is refused, and what is said of it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use m365_audit_core::{Commit, Stored};
use m365_audit_test_support::postgres::{self as support, Postgres};

use super::super::{DbOptions, Store, StoreError, inspect, members, probe};
use super::{Beside, Server, Shares, schema};

const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";

fn options(url: &str, lease: u64) -> DbOptions {
    let beside = Beside { lease: Some(Duration::from_secs(lease)), ..Beside::default() };
    let server = Server::parse(url, &beside, |_| None).unwrap();
    let mut options = DbOptions::of_text(url).unwrap();
    options.server = Some(Arc::new(server));
    options
}

fn put(store: &mut Store, value: &str) -> Result<(), StoreError> {
    let changes = [("key".to_owned(), Some(value.to_owned()))].into();
    store.commit(Commit { changes })
}

/// Opens a tenant and begins a run of it.
fn begun(options: &DbOptions) -> Result<Store, StoreError> {
    let store = Store::open(Some(options), TENANT)?;
    store.load()?;
    Ok(store)
}

/// Tries until it is so.
fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < patience, "it does not become so");
        thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn who_was_taken_over_from_stores_nothing_more_and_is_told_who_has_it() {
    let Some(server) = support::shared() else { return };
    let database = server.database();
    let (one, two) = (options(&server.url(&database), 30), options(&server.url(&database), 31));
    let mut first = begun(&one).unwrap();
    put(&mut first, "first").unwrap();
    let held = begun(&two).unwrap_err();
    assert!(matches!(held, StoreError::Held { .. }), "{held}");
    // Its lease ends by the server's clock; it was not heard of.
    server.sql(&database, "UPDATE m365_audit_lease SET until = '-infinity'");
    let mut second = begun(&two).unwrap();
    put(&mut second, "second").unwrap();
    let lost = put(&mut first, "third").unwrap_err();
    assert!(matches!(lost, StoreError::Lost { .. }), "{lost}");
    assert!(first.still_ours().is_err());
    assert_eq!(inspect(&two).unwrap()[TENANT]["key"], "second");
    let held = first.load().unwrap_err();
    assert!(matches!(held, StoreError::Held { .. }), "{held}");
    let epoch = "SELECT epoch FROM m365_audit_lease";
    assert_eq!(server.sql(&database, epoch), "2");
    let all = members(two.server.as_ref().unwrap()).unwrap();
    assert_eq!(all.tenants.len(), 1);
    assert_eq!(all.tenants[0].epoch, 2);
    drop(second);
    // Let go of at once: nobody waits for the lease to end.
    assert_eq!(first.load().unwrap()["key"], "second");
}

#[test]
fn nothing_is_stored_on_top_of_what_the_database_has_forgotten() {
    let Some(server) = support::shared() else { return };
    let database = server.database();
    let options = options(&server.url(&database), 30);
    let mut store = begun(&options).unwrap();
    put(&mut store, "one").unwrap();
    // A replica that lags behind; behind pgbouncer, nobody notices that it takes over.
    let copy = "CREATE TABLE had_state AS TABLE m365_audit_state; \
        CREATE TABLE had_lease AS TABLE m365_audit_lease";
    server.sql(&database, copy);
    put(&mut store, "two").unwrap();
    let promote = "UPDATE m365_audit_state s SET value = h.value FROM had_state h; \
        UPDATE m365_audit_lease l SET commits = h.commits FROM had_lease h";
    server.sql(&database, promote);
    let refused = put(&mut store, "three").unwrap_err();
    assert!(matches!(refused, StoreError::WentBack { .. }), "{refused}");
    assert!(refused.to_string().contains("replica was promoted"), "{refused}");
    // It goes on from what there is.
    assert_eq!(store.load().unwrap()["key"], "one");
    put(&mut store, "four").unwrap();
    assert_eq!(inspect(&options).unwrap()[TENANT]["key"], "four");
}

#[test]
fn two_sections_of_a_process_share_no_database() {
    let Some(server) = support::shared() else { return };
    let options = options(&server.url(&server.database()), 30);
    let server = options.server.as_ref().unwrap();
    let one = Shares::open(server).unwrap();
    let refused = Shares::open(server).unwrap_err().to_string();
    assert!(refused.contains("one tenants_file"), "{refused}");
    drop(one);
    drop(Shares::open(server).unwrap());
}

#[test]
fn a_lease_is_kept_by_renewing_it_and_ends_while_the_database_is_away() {
    let Ok(mut server) = Postgres::start() else {
        m365_audit_test_support::needs::skip("no PostgreSQL of its own");
        return;
    };
    let database = server.database();
    let options = options(&server.url(&database), 1);
    let mut store = begun(&options).unwrap();
    put(&mut store, "one").unwrap();
    let renewed = "SELECT extract(epoch FROM until - since) > 2.5 FROM m365_audit_lease";
    until(|| (server.sql(&database, renewed) == "t").then_some(()));
    store.still_ours().unwrap();
    server.stop();
    let ended = until(|| store.still_ours().err());
    assert!(matches!(ended, StoreError::LeaseEnded { .. }), "{ended}");
    let refused = put(&mut store, "two").unwrap_err();
    assert!(matches!(refused, StoreError::LeaseEnded { .. }), "{refused}");
    let away = store.load().unwrap_err().to_string();
    assert!(away.contains("look whether the database runs"), "{away}");
    server.restart();
    // It goes on by itself, from what was stored.
    let stored = until(|| store.load().ok());
    assert_eq!(stored["key"], "one");
    put(&mut store, "three").unwrap();
}

#[test]
fn what_one_tenant_cannot_store_is_not_in_the_way_of_others() {
    let Some(server) = support::shared() else { return };
    let database = server.database();
    let options = options(&server.url(&database), 30);
    let open = |tenant: &str| {
        let store = Store::open(Some(&options), tenant).unwrap();
        store.load().unwrap();
        store
    };
    let stores = ["one", "two", "three"].map(open);
    let trigger = "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        IF NEW.value LIKE '%refused%' THEN RAISE check_violation USING MESSAGE = 'no room'; \
        END IF; RETURN NEW; END $$; \
        CREATE TRIGGER no BEFORE INSERT ON m365_audit_state FOR EACH ROW EXECUTE FUNCTION no()";
    server.sql(&database, trigger);
    let commits = ["fine", "refused", "fine"]
        .into_iter()
        .zip(stores)
        .map(|(value, mut store)| thread::spawn(move || put(&mut store, value)));
    let commits: Vec<_> = commits.collect();
    let results: Vec<_> = commits.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    let told = results[1].as_ref().unwrap_err().to_string();
    assert!(told.contains("no room"), "{told}");
    assert_eq!(inspect(&options).unwrap().into_keys().collect::<Vec<_>>(), ["one", "three"]);
}

#[test]
fn tables_of_a_newer_version_or_of_another_program_are_left_alone() {
    let Some(server) = support::shared() else { return };
    let refused = |sql: &str, words: &str| {
        let database = server.database();
        let url = server.url(&database);
        if sql.starts_with("UPDATE") {
            drop(begun(&options(&url, 30)).unwrap());
        }
        server.sql(&database, sql);
        let dump = "SELECT string_agg(c.table_name || c.column_name, ',' ORDER BY 1) \
            FROM information_schema.columns c WHERE table_schema = 'public'";
        let before = server.sql(&database, dump);
        for error in [
            begun(&options(&url, 30)).map(drop).unwrap_err(),
            inspect(&options(&url, 30)).map(drop).unwrap_err(),
            probe(&options(&url, 30), TENANT).map(drop).unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains(support::PASSWORD), "{error}");
        }
        assert_eq!(server.sql(&database, dump), before);
    };
    refused("UPDATE m365_audit_schema SET version = 7", "schema 7");
    refused("UPDATE m365_audit_schema SET application = 'other'", "of another application");
    let grant = "GRANT ALL ON ALL TABLES IN SCHEMA public TO audit";
    refused(&format!("CREATE TABLE m365_audit_state (x int); {grant}"), "another application");
    refused(&format!("CREATE TABLE m365_audit_schema (x int); {grant}"), "another application");
    assert_eq!(schema::VERSION, 2);
}

#[test]
fn a_mistake_is_told_with_its_remedy_and_without_the_password() {
    let Some(server) = support::shared() else { return };
    let database = server.database();
    let url = server.url(&database);
    let told = |url: &str| {
        let error = begun(&options(url, 5)).map(drop).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
        error
    };
    let check = |url: &str, words: &[&str]| {
        let error = told(url);
        words.iter().for_each(|word| assert!(error.contains(word), "{word}: {error}"));
    };
    let password = url.replace(support::PASSWORD, "s3cret-wrong");
    check(&password, &["password authentication failed", "db_password_file"]);
    let none = url.replace(&format!(":{}", support::PASSWORD), "");
    check(&none, &["password missing", "PGPASSWORD"]);
    check(&url.replace(&database, "nowhere"), &["does not exist", "create the database"]);
    let dead = url.replace(&server.port().to_string(), "1");
    check(&dead, &["look whether the database runs"]);
    // The name of the certificate is not that of the host, and nobody has signed it.
    let verify = format!("{url}?sslmode=verify-full");
    check(&verify, &["certificate", "sslrootcert=FILE"]);
    let root = server.certificate();
    let trusted = format!("{verify}&sslrootcert={}", root.display());
    check(&trusted, &["certificate", "name the host"]);
    drop(begun(&options(&trusted.replace("127.0.0.1", "localhost"), 5)).unwrap());
    // A user who may do nothing.
    let rights = server.database();
    server.sql("postgres", &format!("ALTER DATABASE {rights} OWNER TO postgres"));
    check(&server.url(&rights), &["permission denied", "OPERATING.md"]);
    let probed = probe(&options(&server.url(&rights), 5), TENANT).unwrap_err().to_string();
    assert!(probed.contains("GRANT CREATE"), "{probed}");
    let latin = "CREATE DATABASE latin OWNER audit ENCODING 'LATIN1' TEMPLATE template0";
    server.sql("postgres", latin);
    check(&server.url("latin"), &["LATIN1", "ENCODING 'UTF8'"]);
}

#[test]
fn the_least_privileges_that_are_documented_are_enough() {
    let Some(server) = support::shared() else { return };
    let database = server.database();
    drop(begun(&options(&server.url(&database), 30)).unwrap());
    let role = "DROP ROLE IF EXISTS collector";
    server.sql("postgres", role);
    let password = support::PASSWORD;
    server.sql(&database, &format!("CREATE ROLE collector LOGIN PASSWORD '{password}'"));
    let grants = "GRANT SELECT, INSERT, UPDATE, DELETE ON m365_audit_state, m365_audit_lease, \
        m365_audit_member TO collector; GRANT SELECT ON m365_audit_schema TO collector";
    let url = server.url(&database).replace("audit:", "collector:");
    let probed = probe(&options(&url, 30), TENANT).unwrap_err().to_string();
    assert!(probed.contains("OPERATING.md"), "{probed}");
    server.sql(&database, grants);
    let options = options(&url, 30);
    let mut store = begun(&options).unwrap();
    put(&mut store, "value").unwrap();
    assert_eq!(store.load().unwrap(), Stored::from([("key".into(), "value".into())]));
    drop(store);
    server.sql(&database, "DROP OWNED BY collector; DROP ROLE collector");
}
