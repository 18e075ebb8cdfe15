//! The tables, and whose they are. Created and changed step by step, each in a transaction that
//! only one process comes through.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

use super::trouble::{Trouble, code};

/// What marks the tables as ours.
const APPLICATION: &str = "m365-audit";

/// What leads from one version of the schema to the next: the first one, from nothing.
///
/// Text is compared byte by byte, whatever the language of the database: a range of keys is a
/// prefix, and locks are taken in one order everywhere.
const STEPS: &[&str] = &[
    "
    CREATE TABLE m365_audit_schema (
        application text NOT NULL,
        version bigint NOT NULL
    );
    CREATE TABLE m365_audit_state (
        tenant text COLLATE \"C\" NOT NULL,
        key text COLLATE \"C\" NOT NULL,
        value text COLLATE \"C\" NOT NULL,
        PRIMARY KEY (tenant, key)
    );
    CREATE TABLE m365_audit_lease (
        tenant text COLLATE \"C\" PRIMARY KEY,
        holder text NOT NULL,
        epoch bigint NOT NULL,
        until timestamptz NOT NULL,
        since timestamptz NOT NULL,
        wanted text
    );
    CREATE TABLE m365_audit_member (
        id text PRIMARY KEY,
        name text NOT NULL,
        until timestamptz NOT NULL,
        since timestamptz NOT NULL,
        shares text,
        room boolean NOT NULL,
        tenants_max bigint
    );",
    // What a commit follows on: see `Proof`.
    "ALTER TABLE m365_audit_lease ADD COLUMN commits bigint NOT NULL DEFAULT 0",
];

/// The version that is written and read here.
pub(super) const VERSION: i64 = 2;

/// Whose tables there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// None of our names is taken.
    Empty,
    /// Ours, of this version.
    Ours(i64),
}

/// A process that stands still must not hold up the others for ever.
const NOT_FOR_EVER: &str = "SET LOCAL idle_in_transaction_session_timeout = '30s'";

/// Looks whose tables these are. Reads only.
pub(super) async fn identify(client: &Client) -> Result<Identity, Trouble> {
    identify_among(client, VERSION).await
}

async fn identify_among(client: &Client, known: i64) -> Result<Identity, Trouble> {
    const TAKEN: &str = "SELECT pg_catalog.current_schema() IS NULL, \
        to_regclass('m365_audit_schema') IS NOT NULL, \
        to_regclass('m365_audit_state') IS NOT NULL \
        OR to_regclass('m365_audit_lease') IS NOT NULL \
        OR to_regclass('m365_audit_member') IS NOT NULL, \
        pg_catalog.getdatabaseencoding()";
    let row = client.query_typed_one(TAKEN, &[]).await?;
    let (nowhere, marked, taken): (bool, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let encoding: &str = row.get(3);
    if encoding != "UTF8" {
        return Err(Trouble::Told(format!(
            "the database's encoding is {encoding}; remedy: create one with ENCODING 'UTF8'"
        )));
    }
    if nowhere {
        return Err(Trouble::Told(
            "no schema of the search_path exists, or may be used; remedy: CREATE SCHEMA … \
             AUTHORIZATION, or GRANT USAGE ON SCHEMA, as OPERATING.md says"
                .into(),
        ));
    }
    match (marked, taken) {
        (false, false) => return Ok(Identity::Empty),
        (false, true) => return Err(Trouble::Foreign),
        (true, _) => {}
    }
    const MARK: &str = "SELECT application::text, version::bigint FROM m365_audit_schema";
    let rows = match client.query_typed(MARK, &[]).await {
        Ok(rows) => rows,
        // Tables of this name that have other columns.
        Err(error) if code(&error) == Some("42703") => return Err(Trouble::Foreign),
        Err(error) => return Err(error.into()),
    };
    match &rows[..] {
        [row] if row.get::<_, &str>(0) == APPLICATION => match row.get::<_, i64>(1) {
            version if version <= known => Ok(Identity::Ours(version)),
            found => Err(Trouble::Newer { found, known }),
        },
        _ => Err(Trouble::Foreign),
    }
}

/// Creates the tables, or brings them to this version, if need be.
pub(super) async fn prepare(client: &mut Client) -> Result<(), Trouble> {
    prepare_by(client, STEPS).await
}

async fn prepare_by(client: &mut Client, steps: &[&str]) -> Result<(), Trouble> {
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    loop {
        match identify_among(client, known).await? {
            Identity::Ours(version) if version == known => return Ok(()),
            Identity::Ours(_) => advance(client, steps).await?,
            Identity::Empty => match create(client, steps).await {
                // Another process was faster: look again at what it has made.
                Err(Trouble::Server(error))
                    if matches!(code(&error), Some("42P07" | "23505" | "42710")) => {}
                result => result?,
            },
        }
    }
}

/// Who creates the first table holds its name until the end of the transaction.
async fn create(client: &mut Client, steps: &[&str]) -> Result<(), Trouble> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(NOT_FOR_EVER).await?;
    for step in steps {
        transaction.batch_execute(step).await?;
    }
    const MARK: &str = "INSERT INTO m365_audit_schema VALUES ($1, $2)";
    let version = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    transaction.execute_typed(MARK, &[(&APPLICATION, Type::TEXT), (&version, Type::INT8)]).await?;
    transaction.commit().await?;
    Ok(())
}

/// Goes on from an older version. Whoever holds the row goes alone.
async fn advance(client: &mut Client, steps: &[&str]) -> Result<(), Trouble> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(NOT_FOR_EVER).await?;
    let from = locked_version(&transaction).await?;
    let done = usize::try_from(from).unwrap_or(0);
    for step in steps.iter().skip(done) {
        transaction.batch_execute(step).await?;
    }
    let version = i64::try_from(steps.len().max(done)).unwrap_or(i64::MAX);
    const MARK: &str = "UPDATE m365_audit_schema SET version = $1";
    transaction.execute_typed(MARK, &[(&version, Type::INT8)]).await?;
    transaction.commit().await?;
    Ok(())
}

async fn locked_version(transaction: &Transaction<'_>) -> Result<i64, Trouble> {
    const LOCK: &str = "SELECT version FROM m365_audit_schema FOR UPDATE";
    let rows = transaction.query_typed(LOCK, &[]).await?;
    rows.first().map(|row| row.get(0)).ok_or(Trouble::Foreign)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use m365_audit_test_support::postgres;
    use tokio_postgres::NoTls;

    use super::*;

    #[test]
    fn of_many_that_come_at_once_one_goes_each_step_and_the_others_wait_for_it() {
        let Some(server) = postgres::shared() else { return };
        let url = server.url(&server.database());
        // What a later version does once, and could not do twice.
        let later = "CREATE TABLE later (x bigint); INSERT INTO later VALUES (1)";
        let later = [STEPS, &[later]].concat();
        for steps in [&STEPS[..1], STEPS, &later] {
            let prepared = || {
                let runtime = super::super::link::runtime().unwrap();
                runtime.block_on(async {
                    let (mut client, connection) =
                        tokio_postgres::connect(&url, NoTls).await.unwrap();
                    tokio::spawn(connection);
                    prepare_by(&mut client, steps).await.unwrap();
                });
                runtime.shutdown_background();
            };
            thread::scope(|scope| {
                (0..8).for_each(|_| drop(scope.spawn(prepared)));
            });
        }
        let database = url.rsplit('/').next().unwrap();
        assert_eq!(server.sql(database, "SELECT version FROM m365_audit_schema"), "3");
        assert_eq!(server.sql(database, "SELECT count(*) FROM later"), "1");
    }
}
