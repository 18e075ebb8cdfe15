//! Tenants files, good and bad.

use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};

use super::*;

const A: &str = "41463f53-8812-40f4-890f-865bf6e35190";
const B: &str = "41463f53-8812-40f4-890f-865bf6e35191";

/// What a file says over `base`; `{dir}` stands for its directory, `{a}` and `{b}` for tenants.
#[track_caller]
fn check(base: &[(&str, &str)], text: &str, expect: Expect) {
    let dir = tempfile::tempdir().unwrap();
    let shown = dir.path().to_str().unwrap();
    let path = dir.path().join("tenants.toml");
    fs::write(dir.path().join("secret"), "s3cret~file").unwrap();
    fs::write(&path, text.replace("{dir}", shown).replace("{a}", A).replace("{b}", B)).unwrap();
    let file = file(base, &path);
    let said = match file.read() {
        Err(mistake) => format!("{mistake}\n"),
        Ok(tenants) => {
            let runs = tenants.tenants.iter().map(|tenant| {
                let Tenant { name, settings, .. } = tenant;
                let types = settings.config.content_types().len();
                let credential = settings.config.credential();
                format!("[{name}] {types} types, {credential}\n")
            });
            let wrong = tenants.mistakes.iter().map(|mistake| format!("{mistake}\n"));
            runs.chain(wrong).collect()
        }
    };
    assert!(!said.contains("s3cret"), "{said}");
    expect.assert_eq(&said.replace(shown, "{dir}"));
}

fn file(base: &[(&str, &str)], path: &Path) -> TenantsFile {
    let mut raw: RawOptions =
        base.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    raw.insert("tenants_file".into(), path.to_str().unwrap().into());
    TenantsFile::of(&raw).unwrap()
}

const APP: (&str, &str) = ("client_id", B);
const SECRET: (&str, &str) = ("client_secret", "s3cret~base");

#[test]
fn a_table_says_what_is_different_from_the_instance() {
    check(
        &[APP, SECRET, ("content_types", "Audit.Exchange"), ("db", "state.db")],
        "[contoso]\ntenant_id = \"{a}\"\n[fabrikam]\ntenant_id = \"{b}\"\n\
         content_types = [\"DLP.All\", \"Audit.General\"]\nrequests_per_minute = 600\n\
         start_subscriptions = false\nfederated_token_file = \"{dir}/secret\"\n",
        expect![[r#"
            [contoso] 1 types, a client secret
            [fabrikam] 2 types, a federated token
        "#]],
    );
}

#[test]
fn a_mistake_in_one_table_leaves_the_others_alone() {
    check(
        &[APP],
        "[contoso]\ntenant_id = \"{a}\"\nclient_secret = \"s3cret\"\n\
         [fabrikam]\ntenant_id = \"fabrikam\"\nclientsecret = \"s3cret\"\ninterval_sec = 0\n\
         lookback = 1.5\ndb = \"x.db\"\nproxy_url = \"http://p\"\ntag_prefix = \"x\"\n\
         client_secret_file = \"{dir}/none\"\n\
         [again]\ntenant_id = \"{a}\"\nclient_secret = \"s3cret\"\n",
        expect![[r#"
            [again] 4 types, a client secret
            {dir}/tenants.toml [contoso]: tenant_id = "41463f53-8812-40f4-890f-865bf6e35190": [again] collects this tenant; keep one of the two tables
            {dir}/tenants.toml [fabrikam]: tenant_id = "fabrikam": not a GUID; write it like 41463f53-8812-40f4-890f-865bf6e35190
            {dir}/tenants.toml [fabrikam]: client_secret_file = "{dir}/none": cannot be read: No such file or directory (os error 2); name a readable file that holds the secret's value and nothing else
            {dir}/tenants.toml [fabrikam]: interval_sec = "0": too small; allowed: time from 1s to 1h
            {dir}/tenants.toml [fabrikam]: lookback = "1.5": not a value of this option; allowed: time from 0s to 7d
            {dir}/tenants.toml [fabrikam]: db: not an option of one tenant; write it beside tenants_file, for all
            {dir}/tenants.toml [fabrikam]: proxy_url: not an option of one tenant; write it beside tenants_file, for all
            {dir}/tenants.toml [fabrikam]: tag_prefix: not an option of one tenant; write it beside tenants_file, for all
            {dir}/tenants.toml [fabrikam]: clientsecret: no such option; did you mean client_secret?
        "#]],
    );
}

#[test]
fn a_file_of_no_use_is_said_to_be() {
    check(
        &[],
        "",
        expect![[r#"
        {dir}/tenants.toml: tenants_file = "{dir}/tenants.toml": no tenant in the file; write a table for each: [contoso]
    "#]],
    );
    check(
        &[],
        "tenant_id = \"{a}\"\n",
        expect![[r#"
        {dir}/tenants.toml [tenant_id]: tenant_id: not in a tenant's table; write options of all tenants beside tenants_file, and others in a table
    "#]],
    );
    check(
        &[],
        "[a]\nclient_secret = s3cret\n",
        expect![[r#"
            {dir}/tenants.toml: tenants_file = "{dir}/tenants.toml": not TOML, line 2, column 17: string values must be quoted, expected literal string; write a table for each tenant, each name once: [contoso], then lines like tenant_id = "..."
        "#]],
    );
    check(
        &[],
        "[a]\nclient_secret = \"s3cret\"\n[a]\n",
        expect![[r#"
            {dir}/tenants.toml: tenants_file = "{dir}/tenants.toml": not TOML, line 3, column 2: duplicate key; write a table for each tenant, each name once: [contoso], then lines like tenant_id = "..."
        "#]],
    );
    let missing = file(&[], Path::new("/nowhere/tenants.toml"));
    let mistake = missing.read().unwrap_err().to_string();
    assert!(mistake.contains("cannot be read"), "{mistake}");
}

#[test]
fn mistakes_of_the_instance_are_told_once() {
    let of = |base: &[(&str, &str)]| -> String {
        let errors = file(base, Path::new("t.toml")).check_base().err().unwrap_or_default();
        errors.iter().map(|error| format!("{error}\n")).collect()
    };
    assert_eq!(of(&[]), "");
    assert_eq!(of(&[APP, SECRET]), "");
    // A table may name the source that these are about.
    assert_eq!(
        of(&[APP, SECRET, ("activities_lookback", "30d"), ("content_types", "DLP.All")]),
        ""
    );
    // They share one connection.
    assert_eq!(of(&[APP, SECRET, ("db.locking", "true")]), "");
    let wrong = of(&[("content_types", "Audit.Teams"), ("workers", "0"), ("intervall", "1")]);
    expect![[r#"
        content_types = "Audit.Teams": not a value of this option; allowed: list of Audit.AzureActiveDirectory, Audit.Exchange, Audit.SharePoint, Audit.General, DLP.All
        workers = "0": too small; allowed: number from 1 to 64
        intervall: no such option; see the list of options in the README
    "#]].assert_eq(&wrong);
}

#[test]
fn one_of_many_is_found_by_table_or_guid() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tenants.toml");
    let text = format!("[contoso]\ntenant_id = \"{A}\"\n[broken]\ntenant_id = \"x\"\n");
    fs::write(&path, text).unwrap();
    let file = file(&[APP, SECRET], &path);
    assert_eq!(&*file.one("contoso").unwrap().name, "contoso");
    assert_eq!(&*file.one(&A.to_uppercase()).unwrap().name, "contoso");
    let told = |name: &str| file.one(name).unwrap_err()[0].to_string();
    assert!(told("broken").contains("[broken]: tenant_id = \"x\": not a GUID"));
    assert!(told("").ends_with("name one of: contoso"), "{}", told(""));
}

#[test]
fn what_is_written_for_all_is_for_those_that_have_the_source() {
    let for_all = [("activities_lookback", "30d"), ("content_types", "Audit.Exchange, DLP.All")];
    check(
        &[&[APP, SECRET][..], &for_all].concat(),
        "[contoso]\ntenant_id = \"{a}\"\n\
         [fabrikam]\ntenant_id = \"{b}\"\nsource = \"cloud_app_activities\"\n\
         portal_url = \"https://fabrikam.us.portal.cloudappsecurity.com\"\n",
        expect![[r#"
            [contoso] 2 types, a client secret
            [fabrikam] 0 types, a client secret
        "#]],
    );
    check(
        &[APP, SECRET],
        "[contoso]\ntenant_id = \"{a}\"\nactivities_lookback = \"30d\"\n\
         [fabrikam]\ntenant_id = \"{b}\"\ncontent_types = []\nmax_in_flight = 1.5\n",
        expect![[r#"
            {dir}/tenants.toml [contoso]: activities_lookback = "30d": without effect, because source does not name cloud_app_activities; add cloud_app_activities to source, or leave activities_lookback out
            {dir}/tenants.toml [fabrikam]: content_types = "[]": 0 entries; write one or more, or leave it out
            {dir}/tenants.toml [fabrikam]: max_in_flight = "1.5": not a value of this option; allowed: number from 2 to 256
        "#]],
    );
}

#[test]
fn a_folder_is_read_file_by_file_and_one_of_no_use_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("tenants.d");
    fs::create_dir(&folder).unwrap();
    let read = || {
        let shown = dir.path().to_str().unwrap();
        let (tenants, unread) = match file(&[APP, SECRET], &folder).read() {
            Err(mistake) => return format!("{mistake}\n").replace(shown, "{dir}"),
            Ok(Tenants { tenants, mistakes, unread }) => {
                let tenants = tenants.iter().map(|tenant| {
                    let named = tenant.settings.config.envelope().tenant_name.as_deref();
                    format!("[{}] in {}, called {named:?}\n", tenant.name, tenant.file.display())
                });
                let mistakes = mistakes.iter().map(|mistake| format!("{mistake}\n"));
                (tenants.chain(mistakes).collect::<String>(), unread.len())
            }
        };
        format!("{tenants}{unread} unread\n").replace(shown, "{dir}")
    };
    expect![[r#"
        {dir}/tenants.d: tenants_file = "{dir}/tenants.d": no *.toml in the folder; write files that end with .toml, with a table for each tenant: [contoso]
    "#]]
    .assert_eq(&read());
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("b.toml", &format!("[contoso]\ntenant_id = \"{A}\"\ntenant_name = \"Contoso AG\"\n"));
    write("a.toml", &format!("[fabrikam]\ntenant_id = \"{B}\"\n"));
    write("c.toml", &format!("[contoso]\ntenant_id = \"{B}\"\n[again]\ntenant_id = \"{A}\"\n"));
    write("d.toml", "[half\n");
    write("e.toml", "");
    write(".hidden.toml", "[half\n");
    write("notes.txt", "[half\n");
    expect![[r#"
        [fabrikam] in {dir}/tenants.d/a.toml, called Some("fabrikam")
        [contoso] in {dir}/tenants.d/b.toml, called Some("Contoso AG")
        {dir}/tenants.d/d.toml: tenants_file = "{dir}/tenants.d/d.toml": not TOML, line 1, column 6: unclosed table, expected `]`; write a table for each tenant, each name once: [contoso], then lines like tenant_id = "..."
        {dir}/tenants.d/e.toml: tenants_file = "{dir}/tenants.d/e.toml": no tenant in the file; write a table for each: [contoso]
        {dir}/tenants.d/c.toml [again]: tenant_id = "41463f53-8812-40f4-890f-865bf6e35190": [contoso] collects this tenant; keep one of the two tables
        {dir}/tenants.d/c.toml [contoso]: contoso: a table of this name is in {dir}/tenants.d/b.toml too; give one of the two another name
        2 unread
    "#]]
    .assert_eq(&read());
    let stamp = || file(&[APP, SECRET], &folder).stamp().unwrap();
    let before = stamp();
    fs::remove_file(folder.join("e.toml")).unwrap();
    assert_ne!(stamp(), before);
}
