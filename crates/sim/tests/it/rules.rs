//! Microsoft's rules: what is refused, with which error, and what is recorded as illegal.

use m365_sim::{
    ContentType, Fault, FaultPlan, IllegalWindow, RepeatedStart, Request, Rule, Rules, SimConfig,
    TenantConfig, Texts,
};

use crate::world::{HOUR_MS, NOW_MS, World, config, stamp, with_publisher};

fn subscribed() -> SimConfig {
    SimConfig { subscribed: true, ..config(3) }
}

/// Rules that were broken, in order of first appearance.
fn broken(world: &mut World) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for illegal in &world.microsoft.report().illegal {
        if !rules.contains(&illegal.rule) {
            rules.push(illegal.rule);
        }
    }
    rules
}

fn check(config: SimConfig, operation: &str, outcome: &str, rules: &[Rule]) {
    let mut world = World::new(config);
    let method = if operation.contains("/st") { "POST" } else { "GET" };
    let url = world.url(operation);
    let answer = world.once(method, &url);
    assert_eq!(answer.outcome(), outcome, "{operation}: {}", answer.text);
    assert_eq!(broken(&mut world), rules, "{operation}");
}

#[test]
fn every_operation_answers_a_legal_request() {
    for operation in [
        "subscriptions/list",
        "subscriptions/content?contentType=Audit.Exchange",
        "subscriptions/content?contenttype=dlp.all",
        "subscriptions/notifications?contentType=Audit.General",
        "resources/dlpSensitiveTypes",
        "/subscriptions/list",
    ] {
        check(subscribed(), operation, "200", &[]);
    }
    check(subscribed(), "subscriptions/stop?contentType=DLP.All", "200", &[]);
    check(config(3), "subscriptions/start?contentType=DLP.All", "200", &[]);
}

#[test]
fn wrong_parameters_have_their_documented_errors() {
    let content = "subscriptions/content";
    check(subscribed(), content, "400 AF20001", &[Rule::BadContentType]);
    let unknown = "subscriptions/content?contentType=Audit.Teams";
    check(subscribed(), unknown, "400 AF20020", &[Rule::BadContentType]);
    let never = "subscriptions/content?contentType=Audit.General";
    check(config(3), never, "400 AF20022", &[]);
    check(config(3), "subscriptions/stop?contentType=Audit.General", "400 AF20022", &[]);
    let needless = "subscriptions/start?contentType=Audit.General";
    check(subscribed(), needless, "400 AF20024", &[Rule::StartNeedless]);
    check(subscribed(), "subscriptions/nothing", "404", &[Rule::UnknownAddress]);
}

#[test]
fn windows_are_judged_by_the_documented_rules() {
    let ago = |hours: i64| stamp(NOW_MS - hours * HOUR_MS);
    let legal: &[(String, String)] = &[
        (ago(24), ago(0)),
        (ago(167), ago(145)),
        (ago(23), ago(-1).replace(&ago(-1), &stamp(NOW_MS + 60_000))),
        ("2026-09-20".to_owned(), "2026-09-21".to_owned()),
        ("2026-09-20T10:00".to_owned(), "2026-09-20T11:00Z".to_owned()),
        ("2026-09-20T10:00:00.123456Z".to_owned(), "2026-09-20T12:00:00%2B01:00".to_owned()),
        ("2026-09-20T10%3A00%3A00".to_owned(), "2026-09-20T11:00:00.5".to_owned()),
    ];
    let window = |start: &str, end: &str| {
        format!("contentType=Audit.Exchange&startTime={start}&endTime={end}")
    };
    for (start, end) in legal {
        check(subscribed(), &format!("subscriptions/content?{}", window(start, end)), "200", &[]);
    }
    let illegal: &[(String, String, &str, Rule)] = &[
        (ago(25), ago(0), "400 AF20055", Rule::WindowTooLong),
        (ago(9 * 24), ago(9 * 24 - 1), "400 AF20055", Rule::WindowTooOld),
        (ago(1), ago(1), "400 AF20055", Rule::WindowReversed),
        (ago(1), ago(2), "400 AF20055", Rule::WindowReversed),
        (ago(1), ago(-20), "200", Rule::WindowInFuture),
        // Within the hour that the service tolerates; documented as illegal all the same.
        (stamp(NOW_MS - 168 * HOUR_MS - 60_000), ago(160), "200", Rule::WindowTooOld),
        ("today".to_owned(), ago(0), "400 AF20002", Rule::WindowMalformed),
        // A plus that is not escaped is a space.
        ("2026-09-20T10:00:00+00:00".to_owned(), ago(0), "400 AF20002", Rule::WindowMalformed),
    ];
    for (start, end, outcome, rule) in illegal {
        let operation = format!("subscriptions/content?{}", window(start, end));
        check(subscribed(), &operation, outcome, &[*rule]);
    }
    let half = format!("subscriptions/content?contentType=Audit.Exchange&startTime={}", ago(1));
    check(subscribed(), &half, "400 AF20055", &[Rule::WindowMalformed]);
}

#[test]
fn the_switches_of_windows_work() {
    let window = format!(
        "subscriptions/content?contentType=Audit.Exchange&startTime={}&endTime={}",
        stamp(NOW_MS - 40 * HOUR_MS),
        stamp(NOW_MS)
    );
    let rules = |illegal_window| Rules { illegal_window, ..Rules::default() };
    let with = |rules| SimConfig { rules, ..subscribed() };
    let long = &[Rule::WindowTooLong];
    check(with(rules(IllegalWindow::Af20030)), &window, "400 AF20030", long);
    check(with(rules(IllegalWindow::Partial)), &window, "200", long);
    let strict = Rules { start_tolerance_ms: 0, ..Rules::default() };
    let old = format!(
        "subscriptions/content?contentType=Audit.Exchange&startTime={}&endTime={}",
        stamp(NOW_MS - 168 * HOUR_MS - 60_000),
        stamp(NOW_MS - 160 * HOUR_MS)
    );
    check(with(strict), &old, "400 AF20055", &[Rule::WindowTooOld]);
}

#[test]
fn tenants_in_addresses_are_checked() {
    let other = TenantConfig::seeded(99, 5);
    let cases = [
        ("not-a-guid", "400 AF20013"),
        ("11111111-2222-3333-4444-555555555555", "400 AF20011"),
        (&*other.id.to_string(), "400 AF20010"),
    ];
    for (tenant, outcome) in cases {
        let tenants = vec![TenantConfig::seeded(3, 0), other.clone()];
        let mut world = World::new(SimConfig { tenants, ..config(3) });
        let url =
            format!("https://manage.office.com/api/v1.0/{tenant}/activity/feed/subscriptions/list");
        let answer = world.once("GET", &with_publisher(&url, world.tenant.id));
        assert_eq!(answer.outcome(), outcome);
        assert_eq!(broken(&mut world), [Rule::ForeignTenant]);
    }
    let mut unlicensed = TenantConfig::seeded(3, 0);
    unlicensed.licensed = false;
    let tenants = vec![unlicensed];
    check(SimConfig { tenants, ..config(3) }, "subscriptions/list", "400 AF20012", &[]);
    let mut world = World::new(config(3));
    let url = "https://manage.office.com/api/v1.0/common/activity/feed/subscriptions/list";
    assert_eq!(world.once("GET", &with_publisher(url, world.tenant.id)).status, 200);
}

#[test]
fn tokens_are_checked() {
    let mut world = World::new(config(3));
    let url = world.url("subscriptions/list");
    let bare = world.send(&Request::new("GET", &url));
    assert_eq!(bare.status, 401);
    assert_eq!(bare.text, r#"{"Message":"Authorization has been denied for this request."}"#);
    let forged = Request::new("GET", &url).header("Authorization", "Bearer abc");
    assert_eq!(world.send(&forged).status, 401);
    assert_eq!(broken(&mut world), [Rule::NoToken, Rule::ForgedToken]);

    let token = format!("Bearer {}", world.token());
    let request = Request::new("GET", &url).header("authorization", &token);
    assert_eq!(world.send(&request).status, 200);
    world.wait(3_598_000);
    assert_eq!(world.send(&request).status, 200);
    world.wait(2_000);
    assert_eq!(world.send(&request).status, 401, "it has expired");
    let leak = "https://manage.office.com.attacker.example/api/v1.0/x";
    world.send(&Request::new("GET", leak).header("Authorization", &token));
    assert!(broken(&mut world).contains(&Rule::TokenLeak));
}

#[test]
fn a_token_for_another_resource_opens_nothing() {
    let mut world = World::new(config(3));
    let mut request = world.token_request();
    let form = String::from_utf8(request.body).unwrap();
    request.body = form.replace("manage.office.com", "graph.microsoft.com").into_bytes();
    let text = world.send(&request).text;
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let token = format!("Bearer {}", value["access_token"].as_str().unwrap());
    let list =
        Request::new("GET", &world.url("subscriptions/list")).header("Authorization", &token);
    assert_eq!(world.send(&list).status, 401);
}

#[test]
fn permissions_are_checked() {
    let with_roles = |roles: &[&str]| {
        let mut tenant = TenantConfig::seeded(3, 0);
        tenant.apps[0].roles = roles.iter().map(|role| (*role).to_owned()).collect();
        SimConfig { tenants: vec![tenant], ..subscribed() }
    };
    check(with_roles(&["ServiceHealth.Read"]), "subscriptions/list", "401 AF10001", &[]);
    let dlp = "subscriptions/content?contentType=DLP.All";
    check(with_roles(&["ActivityFeed.Read"]), dlp, "401 AF10001", &[]);
    let other = "subscriptions/content?contentType=Audit.General";
    check(with_roles(&["ActivityFeed.Read"]), other, "200", &[]);
    let mut world = World::new(with_roles(&["ActivityFeed.Read", "ServiceHealth.Read"]));
    assert!(world.get(dlp).text.contains("(ActivityFeed.Read ServiceHealth.Read) sent"));
}

#[test]
fn publishers_are_counted_and_named() {
    let mut world = World::new(config(3));
    let base = format!(
        "https://manage.office.com/api/v1.0/{}/activity/feed/subscriptions/list",
        world.tenant.id
    );
    assert_eq!(world.once("GET", &base).status, 200);
    let named = world.once("GET", &format!("{base}?publisherIdentifier=TEST365LOGS"));
    assert_eq!(named.outcome(), "400 AF20002");
    assert_eq!(broken(&mut world), [Rule::NoPublisher, Rule::BadPublisher]);
}

#[test]
fn more_than_the_quota_is_refused_for_a_minute() {
    let mut world = World::new(SimConfig { quota_per_minute: 3, ..config(3) });
    world.token();
    for _ in 0..3 {
        assert_eq!(world.get("subscriptions/list").status, 200);
    }
    let statuses: Vec<u16> = (0..12).map(|_| world.get("subscriptions/list").status).collect();
    assert!(statuses.contains(&403) && statuses.contains(&429), "{statuses:?}");
    let refused = world.get("subscriptions/list");
    assert!(refused.text.contains("Too many requests. Method=ListSubscriptions, PublisherId="));
    assert_eq!(broken(&mut world), [Rule::Quota]);
    let tenant = world.tenant.id;
    assert_eq!(world.microsoft.report().peak_per_minute[&tenant], 16);
    // Another publisher has a pool of its own.
    let url = format!(
        "https://manage.office.com/api/v1.0/{tenant}/activity/feed/subscriptions/list\
         ?PublisherIdentifier=11111111-2222-3333-4444-555555555555"
    );
    assert_eq!(world.once("GET", &url).status, 200);
    world.wait(60_000);
    assert_eq!(world.get("subscriptions/list").status, 200);
}

#[test]
fn a_start_within_the_cooldown_is_refused_with_the_time_left() {
    let mut world = World::new(config(3));
    let start = "subscriptions/start?contentType=Audit.General";
    assert_eq!(world.post(start).status, 200);
    assert_eq!(world.post("subscriptions/stop?contentType=Audit.General").status, 200);
    world.wait(4_000);
    let refused = world.post(start);
    assert_eq!(refused.status, 429);
    assert!(refused.text.contains(
        "Too many frequent subscription start requests. Please retry again after 14m 56s"
    ));
    assert_eq!(broken(&mut world), [Rule::StartTooSoon]);
    world.wait(15 * 60_000);
    assert_eq!(world.post(start).status, 200);
}

#[test]
fn the_switches_of_starts_work() {
    let with = |rules| SimConfig { rules, ..config(3) };
    let start = "subscriptions/start?contentType=Audit.General";
    let accepted = Rules { repeated_start: RepeatedStart::Accepted, ..Rules::default() };
    let mut world = World::new(with(accepted));
    assert_eq!(world.post(start).status, 200);
    world.wait(15 * 60_000);
    assert_eq!(world.post(start).status, 200);
    let short = Rules { start_names_webhook: false, ..Rules::default() };
    let mut world = World::new(with(short));
    let text = r#"{"contentType":"Audit.General","status":"enabled"}"#;
    assert_eq!(world.post(start).text, text);
}

#[test]
fn a_subscription_that_a_fault_took_may_be_started_too_soon_without_blame() {
    let faults = FaultPlan::none().with(Fault::SubscriptionVanished, 1.0);
    let mut world = World::new(SimConfig { faults, ..config(3) });
    let start = "subscriptions/start?contentType=Audit.General";
    assert_eq!(world.post(start).status, 200);
    let content = world.get("subscriptions/content?contentType=Audit.General");
    assert_eq!(content.outcome(), "400 AF20022");
    assert_eq!(world.get("subscriptions/list").text, "[]");
    assert_eq!(world.post(start).status, 429);
    assert!(world.microsoft.report().is_legal());
    world.microsoft.heal();
    world.wait(15 * 60_000);
    assert_eq!(world.post(start).status, 200);
}

#[test]
fn a_stopped_subscription_lists_nothing_and_its_gap_stays_lost() {
    let mut world = World::new(SimConfig { lag_seconds: m365_sim::Span::new(0, 0), ..config(3) });
    let types = [ContentType::General];
    let before = world.collect(&types, 1).len();
    assert!(before > 0);
    assert_eq!(world.post("subscriptions/stop?contentType=Audit.General").status, 200);
    let refused = world.get("subscriptions/content?contentType=Audit.General");
    assert_eq!(refused.outcome(), "400 AF20023");
    assert!(refused.text.contains("The subscription was disabled."));
    assert!(world.get("subscriptions/list").text.contains(r#""status":"disabled""#));
    let stopped_ms = world.now_ms;
    world.wait(6 * HOUR_MS);
    world.microsoft.advance(world.now_ms);
    let missed = world
        .microsoft
        .owed()
        .filter(|owed| owed.content_type == ContentType::General)
        .filter(|owed| owed.available_ms >= stopped_ms)
        .count();
    assert!(missed > 0);
    let owed = world.microsoft.owed().filter(|owed| owed.content_type == ContentType::General);
    let owed = owed.count();
    assert_eq!(world.collect(&types, 2).len(), owed - missed);
}

#[test]
fn another_application_has_its_own_subscriptions() {
    let mut tenant = TenantConfig::seeded(3, 0);
    tenant.apps.push(TenantConfig::seeded(4, 1).apps[0].clone());
    let mut world = World::new(SimConfig { tenants: vec![tenant.clone()], ..config(3) });
    assert_eq!(world.post("subscriptions/start?contentType=Audit.General").status, 200);
    world.tenant.apps.remove(0);
    world.token_refresh();
    assert_eq!(world.get("subscriptions/list").text, "[]");
}

#[test]
fn backfill_can_be_bounded() {
    let all = World::new(config(3)).collect(&[ContentType::General], 1).len();
    let bounded = SimConfig { backfill_hours: Some(6), ..config(3) };
    let some = World::new(bounded).collect(&[ContentType::General], 1).len();
    assert!(0 < some && some < all, "{some} of {all}");
}

#[test]
fn next_pages_must_be_followed_as_given() {
    let mut world = World::new(SimConfig { page_size: 2, ..subscribed() });
    let first = world.get("subscriptions/content?contentType=Audit.General");
    let next = first.next.unwrap();
    assert!(next.contains("?contenttype=Audit.General&endtime=") && !next.contains("ublisher"));
    let next = with_publisher(&next, world.tenant.id);
    assert_eq!(world.once("GET", &next).status, 200);
    assert!(world.microsoft.report().is_legal());
    let tampered = next.replace("endtime=", "endTime=");
    assert_eq!(world.once("GET", &tampered).status, 200);
    assert_eq!(broken(&mut world), [Rule::PageTampered]);
    let cut = next.replace("$na0022", "");
    assert_eq!(world.once("GET", &cut).outcome(), "400 AF20031");
}

#[test]
fn blobs_have_their_documented_errors() {
    let tenants = vec![TenantConfig::seeded(3, 0), TenantConfig::seeded(8, 1)];
    let mut world = World::new(SimConfig { tenants, ..subscribed() });
    let owed: Vec<_> = world.microsoft.owed().collect();
    let own = owed.iter().find(|owed| owed.tenant == world.tenant.id).unwrap();
    let foreign = owed.iter().find(|owed| owed.tenant != world.tenant.id).unwrap();
    let (id, foreign) = (own.content_id.to_string(), foreign.content_id.to_string());
    assert_eq!(world.get(&format!("audit/{id}")).status, 200);
    assert_eq!(world.get(&format!("audit/{}", id.replace('$', "%24"))).status, 200);
    let region = id.rsplit('$').next().unwrap().to_owned();
    assert_eq!(world.get(&format!("audit/{id}${region}")).status, 200, "the webhook's id");
    assert_eq!(world.get(&format!("audit/{foreign}")).outcome(), "400 AF20052");
    assert_eq!(world.get("audit/492638008028$04").outcome(), "400 AF20052");
    let unknown = format!("20200101{}", &id[8..]).replacen(&id[24..32], "20200101", 1);
    assert_eq!(world.get(&format!("audit/{unknown}")).outcome(), "404 AF20050");
    world.wait(22 * 24 * HOUR_MS);
    world.token_refresh();
    assert_eq!(world.get(&format!("audit/{id}")).outcome(), "404 AF20051");
}

#[test]
fn error_texts_are_those_of_the_wire_or_of_the_documentation() {
    let documented = Rules { texts: Texts::Documented, ..Rules::default() };
    let mut world = World::new(SimConfig { rules: documented, ..subscribed() });
    assert!(world.get("audit/x").text.contains("Content ID x in the URL is invalid."));
    let mut world = World::new(subscribed());
    assert!(world.get("audit/x").text.contains("Blob key x in the url is invalid"));
}

#[test]
fn languages_of_sensitive_types_are_checked() {
    let cases = [
        ("en-US", "200", "CreditCardNumber"),
        ("es", "200", "tarjeta"),
        ("en, es", "400 AF20053", "Only one"),
        ("???", "400 AF20054", "syntax"),
    ];
    for (language, outcome, text) in cases {
        let mut world = World::new(config(3));
        let url = world.url("resources/dlpSensitiveTypes");
        let token = format!("Bearer {}", world.token());
        let request = Request::new("GET", &url)
            .header("Authorization", &token)
            .header("Accept-Language", language);
        let answer = world.send(&request);
        assert_eq!(answer.outcome(), outcome);
        assert!(answer.text.contains(text), "{}", answer.text);
    }
}

#[test]
fn auditing_that_is_off_gives_the_mangled_error() {
    let mut tenant = TenantConfig::seeded(3, 0);
    tenant.auditing = false;
    let mut world = World::new(SimConfig { tenants: vec![tenant], ..config(3) });
    let answer = world.post("subscriptions/start?contentType=Audit.General");
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("DataServiceException: Tenant"));
    assert!(answer.text.contains("does not exist"));
}
