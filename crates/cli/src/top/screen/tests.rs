//! What stands on the screen, at the widths that terminals have.

use expect_test::{Expect, expect};

use super::*;
use crate::top::model::{Feed, Line};

fn tenant(name: &str) -> Tenant {
    Tenant {
        name: name.into(),
        tenant_id: format!("id-of-{name}"),
        state: "running".into(),
        ready: true,
        lag_seconds: 95.0,
        records_per_second: 12.5,
        requests_per_second: 0.5,
        week: "s".repeat(166) + "oo",
        ..Tenant::default()
    }
}

/// Three tenants, of whom two have a problem.
fn screen() -> Screen {
    let behind = Tenant { lag_seconds: 7_300.0, backlog_seconds: 90_000.0, ..tenant("fabrikam") };
    let denied = Tenant {
        ready: false,
        reasons: vec!["Audit.Exchange: not collected: AF10001".into()],
        ..behind
    };
    let mut week = "s".repeat(168);
    week.replace_range(80..84, "llll");
    let feeds = vec![Feed { content_type: "Audit.SharePoint".into(), week, ..Feed::default() }];
    let lost = Tenant { losses_unacknowledged: 2, feeds, ..tenant("contoso") };
    let text = "Audit.SharePoint: blob 1 is lost".into();
    let time = "2026-11-30T14:05:06.000Z".into();
    let troubles = vec![Line { level: "error".into(), text, time, count: 2 }];
    let detail = Some(Tenant { troubles, ..lost.clone() });
    let mut screen = Screen::default();
    let tenants = vec![tenant("adatum"), denied, lost];
    let (version, packaging) = ("0.1.0".into(), "run".into());
    let now = "2026-11-30T14:06:07.000Z".into();
    screen.take(Answer { version, packaging, now, tenants, detail });
    screen
}

#[track_caller]
fn check(columns: u16, expect: Expect) {
    expect.assert_eq(&screen().as_text(columns));
}

#[test]
fn the_worst_come_first_at_any_width() {
    check(
        60,
        expect![[r#"
        m365-audit 0.1.0, run, 14:06:07 UTC
        3 tenants, 1 with lost data, 1 not ready
        Tenant           State                          Lag     Lost
        contoso          data lost                      1m 35s  2
        fabrikam         Audit.Exchange: not collected: 2h 1m   0
        adatum           ready                          1m 35s  0
        contoso data lost
        Audit.SharePoint           lag 0s      backlog 0s
        ERROR 14:05:06 (2x) Audit.SharePoint: blob 1 is lost
        q end  / search  b problems  ↑↓ choose
    "#]],
    );
    check(
        80,
        expect![[r#"
        m365-audit 0.1.0, run, 14:06:07 UTC
        3 tenants, 1 with lost data, 1 not ready
        Tenant                 State                         Lag     Backlog Rec/s  Lost
        contoso                data lost                     1m 35s  0s      12.5   2
        fabrikam               Audit.Exchange: not collected 2h 1m   1d 1h   12.5   0
        adatum                 ready                         1m 35s  0s      12.5   0
        contoso data lost
        Audit.SharePoint           lag 0s      backlog 0s
        ERROR 14:05:06 (2x) Audit.SharePoint: blob 1 is lost
        q end  / search  b problems  ↑↓ choose
    "#]],
    );
    check(
        120,
        expect![[r#"
        m365-audit 0.1.0, run, 14:06:07 UTC
        3 tenants, 1 with lost data, 1 not ready
        Tenant                 State                       Lag     Backlog Rec/s  Req/min Thr  Lost Last week
        contoso                data lost                   1m 35s  0s      12.5   30      0    2    ssssssssssssssssssssssssssso
        fabrikam               Audit.Exchange: not collect 2h 1m   1d 1h   12.5   30      0    0    ssssssssssssssssssssssssssso
        adatum                 ready                       1m 35s  0s      12.5   30      0    0    ssssssssssssssssssssssssssso
        contoso data lost
        Audit.SharePoint           lag 0s      backlog 0s      ssssssssssssslssssssssssssss
        ERROR 14:05:06 (2x) Audit.SharePoint: blob 1 is lost
        q end  / search  b problems  ↑↓ choose
    "#]],
    );
}

#[test]
fn a_search_and_a_key_leave_out_what_is_not_meant() {
    let mut screen = screen();
    let names = |screen: &Screen| -> Vec<String> {
        screen.shown().iter().map(|tenant| tenant.name.clone()).collect()
    };
    screen.toggle_bad();
    assert_eq!(names(&screen), ["contoso", "fabrikam"]);
    screen.begin_search();
    screen.search_mut().unwrap().push_str("af10001");
    screen.end_search();
    assert_eq!(names(&screen), ["fabrikam"]);
    assert_eq!(screen.chosen().as_deref(), Some("id-of-fabrikam"));
    screen.toggle_bad();
    screen.drop_search();
    assert_eq!(names(&screen), ["contoso", "fabrikam", "adatum"]);
    screen.choose_by(5);
    assert_eq!(screen.chosen().as_deref(), Some("id-of-adatum"));
    // What no longer answers is said, and what was known stays.
    screen.fail("http://127.0.0.1:9477/: no answer".into());
    let text = screen.as_text(120);
    assert!(text.contains("no answer") && text.contains("adatum"), "{text}");
}

#[test]
fn a_screen_of_any_size_can_be_drawn() {
    for (width, height) in [(0, 0), (1, 1), (20, 5), (300, 100)] {
        let area = Rect::new(0, 0, width, height);
        screen().draw(area, &mut Buffer::empty(area));
        Screen::default().draw(area, &mut Buffer::empty(area));
    }
}
