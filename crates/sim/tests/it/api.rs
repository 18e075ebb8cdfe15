//! Every operation and every parameter of Microsoft's description, and what comes of them: a table
//! of operation, parameter and outcome, each line of it tried; and every answer held against the
//! description.

use m365_sim::{
    Fault, FaultPlan, IllegalWindow, Rate, Request, SimConfig, Span, TenantConfig, ThrottleStatus,
    WebhookAnswer,
};
use serde_json::Value;

use crate::openapi::Spec;
use crate::world::{Answer, HOUR_MS, World, arrive, config, stamp, with_publisher};

/// One line: what is asked of an operation, and how it is answered (status, and code if any).
struct Line {
    operation: &'static str,
    /// As in the description; `token`, `tenant` and `service` for what all operations share.
    parameter: &'static str,
    outcome: &'static str,
    world: fn() -> SimConfig,
    ask: fn(&mut World) -> Answer,
}

const fn line(
    operation: &'static str,
    parameter: &'static str,
    outcome: &'static str,
    world: fn() -> SimConfig,
    ask: fn(&mut World) -> Answer,
) -> Line {
    Line { operation, parameter, outcome, world, ask }
}

const START: &str = "startSubscription";
const STOP: &str = "stopSubscription";
const LIST: &str = "listSubscriptions";
const CONTENT: &str = "listAvailableContent";
const NOTIFICATIONS: &str = "listNotifications";
const DLP_TYPES: &str = "listDlpSensitiveTypes";
/// Not in the description, which leaves out what `contentUri` leads to.
const BLOB: &str = "contentUri";

const PUBLISHER: &str = "PublisherIdentifier";

/// Operation x parameter x outcome.
const TABLE: &[Line] = &[
    // Start.
    line(START, "contentType", "200", fresh, |w| w.post("subscriptions/start?contentType=DLP.All")),
    line(START, "contentType", "200", fresh, |w| w.post("subscriptions/start?contenttype=dlp.all")),
    line(START, "contentType", "400 AF20001", fresh, |w| w.post("subscriptions/start")),
    line(START, "contentType", "400 AF20020", fresh, |w| {
        w.post("subscriptions/start?contentType=Audit.Teams")
    }),
    line(START, "contentType", "400 AF20024", subscribed, |w| {
        w.post("subscriptions/start?contentType=Audit.General")
    }),
    line(START, "contentType", "429 AF429", fresh, |w| {
        w.post("subscriptions/start?contentType=Audit.General");
        w.post("subscriptions/start?contentType=Audit.General")
    }),
    line(START, "contentType", "401 AF10001", without_dlp, |w| {
        w.post("subscriptions/start?contentType=DLP.All")
    }),
    line(START, "contentType", "400 StartSubscription", auditing_off, |w| {
        let mut answer = w.post("subscriptions/start?contentType=Audit.General");
        // The code is half of a log line.
        answer.text = answer.text.replace("StartSubscription [", "StartSubscription\",\"x\":\"[");
        answer
    }),
    line(START, PUBLISHER, "200", fresh, |w| publisher(w, "POST", START_ONE, OWN)),
    line(START, PUBLISHER, "400 AF20002", fresh, |w| publisher(w, "POST", START_ONE, "vendor")),
    line(START, "webhook.address", "200", fresh, |w| hook(w, r#"{"address":"https://a.example"}"#)),
    line(START, "webhook.address", "400 AF20001", fresh, |w| hook(w, "{}")),
    line(START, "webhook.address", "400 AF20021", fresh, |w| {
        hook(w, r#"{"address":"http://a.example"}"#)
    }),
    line(START, "webhook.address", "400 AF20021", fresh, |w| {
        hook_answered(w, r#"{"address":"https://a.example"}"#, WebhookAnswer::Status(500))
    }),
    line(START, "webhook.authId", "200", fresh, |w| {
        hook(w, r#"{"address":"https://a.example","authId":"id"}"#)
    }),
    line(START, "webhook.expiration", "200", fresh, |w| {
        hook(w, r#"{"address":"https://a.example","expiration":"2030-01-01T00:00:00Z"}"#)
    }),
    line(START, "webhook.expiration", "200", fresh, |w| {
        hook(w, r#"{"address":"https://a.example","expiration":""}"#)
    }),
    line(START, "webhook.expiration", "400 AF20003", fresh, |w| {
        hook(w, r#"{"address":"https://a.example","expiration":"2020-01-01"}"#)
    }),
    line(START, "webhook.expiration", "400 AF20002", fresh, |w| {
        hook(w, r#"{"address":"https://a.example","expiration":"soon"}"#)
    }),
    // Stop.
    line(STOP, "contentType", "200", subscribed, |w| {
        w.post("subscriptions/stop?contentType=Audit.Exchange")
    }),
    line(STOP, "contentType", "400 AF20001", subscribed, |w| w.post("subscriptions/stop")),
    line(STOP, "contentType", "400 AF20020", subscribed, |w| {
        w.post("subscriptions/stop?contentType=Exchange")
    }),
    line(STOP, "contentType", "400 AF20022", fresh, |w| {
        w.post("subscriptions/stop?contentType=Audit.Exchange")
    }),
    line(STOP, PUBLISHER, "200", subscribed, |w| publisher(w, "POST", STOP_ONE, OWN)),
    line(STOP, PUBLISHER, "400 AF20002", subscribed, |w| publisher(w, "POST", STOP_ONE, "x")),
    // List.
    line(LIST, PUBLISHER, "200", subscribed, |w| publisher(w, "GET", "subscriptions/list", OWN)),
    line(LIST, PUBLISHER, "400 AF20002", fresh, |w| publisher(w, "GET", "subscriptions/list", "x")),
    line(LIST, "tenant", "400 AF20013", fresh, |w| tenant(w, "contoso")),
    line(LIST, "tenant", "400 AF20011", fresh, |w| {
        tenant(w, "11111111-2222-3333-4444-555555555555")
    }),
    line(LIST, "tenant", "400 AF20010", two_tenants, |w| {
        let other = w.microsoft.tenants()[1].id.to_string();
        tenant(w, &other)
    }),
    line(LIST, "tenant", "400 AF20012", unlicensed, |w| w.get("subscriptions/list")),
    line(LIST, "token", "401", fresh, |w| {
        let url = w.url("subscriptions/list");
        w.send(&Request::new("GET", &url))
    }),
    line(LIST, "token", "401 AF10001", without_roles, |w| w.get("subscriptions/list")),
    line(LIST, "service", "403 AF429", tiny_quota, |w| {
        w.get("subscriptions/list");
        w.get("subscriptions/list")
    }),
    line(LIST, "service", "500 AF50000", in_trouble, |w| w.get("subscriptions/list")),
    // Content.
    line(CONTENT, "contentType", "200", subscribed, |w| w.get(CONTENT_ONE)),
    line(CONTENT, "contentType", "400 AF20001", subscribed, |w| w.get("subscriptions/content")),
    line(CONTENT, "contentType", "400 AF20020", subscribed, |w| {
        w.get("subscriptions/content?contentType=Audit.Everything")
    }),
    line(CONTENT, "contentType", "400 AF20022", fresh, |w| w.get(CONTENT_ONE)),
    line(CONTENT, "contentType", "400 AF20023", subscribed, |w| {
        w.post("subscriptions/stop?contentType=Audit.Exchange");
        w.get(CONTENT_ONE)
    }),
    line(CONTENT, "contentType", "401 AF10001", without_dlp, |w| {
        w.get("subscriptions/content?contentType=DLP.All")
    }),
    line(CONTENT, PUBLISHER, "200", subscribed, |w| publisher(w, "GET", CONTENT_ONE, OWN)),
    line(CONTENT, PUBLISHER, "400 AF20002", subscribed, |w| publisher(w, "GET", CONTENT_ONE, "x")),
    line(CONTENT, "startTime", "200", subscribed, |w| window(w, CONTENT_ONE, Some(-23), Some(0))),
    line(CONTENT, "startTime", "400 AF20055", subscribed, |w| {
        window(w, CONTENT_ONE, None, Some(0))
    }),
    line(CONTENT, "startTime", "400 AF20055", subscribed, |w| {
        window(w, CONTENT_ONE, Some(-9 * 24), Some(-9 * 24 + 1))
    }),
    line(CONTENT, "startTime", "400 AF20030", old_rules, |w| {
        window(w, CONTENT_ONE, Some(-9 * 24), Some(-9 * 24 + 1))
    }),
    line(CONTENT, "startTime", "400 AF20002", subscribed, |w| {
        w.get(&format!("{CONTENT_ONE}&startTime=yesterday&endTime=2026-09-21"))
    }),
    line(CONTENT, "endTime", "200", subscribed, |w| window(w, CONTENT_ONE, Some(-2), Some(-1))),
    line(CONTENT, "endTime", "400 AF20055", subscribed, |w| window(w, CONTENT_ONE, Some(-1), None)),
    line(CONTENT, "endTime", "400 AF20055", subscribed, |w| {
        window(w, CONTENT_ONE, Some(-30), Some(-5))
    }),
    line(CONTENT, "endTime", "400 AF20055", subscribed, |w| {
        window(w, CONTENT_ONE, Some(-5), Some(-6))
    }),
    line(CONTENT, "endTime", "400 AF20002", subscribed, |w| {
        w.get(&format!("{CONTENT_ONE}&startTime=2026-09-21&endTime=now"))
    }),
    line(CONTENT, "nextPage", "200", subscribed, |w| {
        let first = w.get(CONTENT_ONE);
        let next = with_publisher(&first.next.unwrap(), w.tenant.id);
        w.once("GET", &next)
    }),
    line(CONTENT, "nextPage", "400 AF20031", subscribed, |w| {
        w.get(&format!("{CONTENT_ONE}&nextPage=7"))
    }),
    // Blobs.
    line(BLOB, "contentId", "200", subscribed, |w| {
        let id = any_blob(w);
        w.get(&format!("audit/{id}"))
    }),
    line(BLOB, "contentId", "404 AF20050", subscribed, |w| {
        let id = any_blob(w);
        let never = format!("20200101{}", &id[8..]).replacen(&id[24..32], "20200101", 1);
        w.get(&format!("audit/{never}"))
    }),
    line(BLOB, "contentId", "404 AF20051", subscribed, |w| {
        let id = any_blob(w);
        w.wait(22 * 24 * HOUR_MS);
        w.token_refresh();
        w.get(&format!("audit/{id}"))
    }),
    line(BLOB, "contentId", "400 AF20052", subscribed, |w| w.get("audit/492638008028$04")),
    line(BLOB, PUBLISHER, "400 AF20002", subscribed, |w| {
        let id = any_blob(w);
        publisher(w, "GET", &format!("audit/{id}"), "x")
    }),
    // Notifications.
    line(NOTIFICATIONS, "contentType", "200", subscribed, |w| w.get(NOTIFIED_ONE)),
    line(NOTIFICATIONS, "contentType", "400 AF20001", subscribed, |w| {
        w.get("subscriptions/notifications")
    }),
    line(NOTIFICATIONS, "contentType", "400 AF20020", subscribed, |w| {
        w.get("subscriptions/notifications?contentType=x")
    }),
    line(NOTIFICATIONS, "contentType", "400 AF20022", fresh, |w| w.get(NOTIFIED_ONE)),
    line(NOTIFICATIONS, "contentType", "400 AF20023", subscribed, |w| {
        w.post("subscriptions/stop?contentType=Audit.Exchange");
        w.get(NOTIFIED_ONE)
    }),
    line(NOTIFICATIONS, PUBLISHER, "200", subscribed, |w| publisher(w, "GET", NOTIFIED_ONE, OWN)),
    line(NOTIFICATIONS, PUBLISHER, "400 AF20002", subscribed, |w| {
        publisher(w, "GET", NOTIFIED_ONE, "x")
    }),
    line(NOTIFICATIONS, "startTime", "200", subscribed, |w| {
        window(w, NOTIFIED_ONE, Some(-5), Some(0))
    }),
    line(NOTIFICATIONS, "startTime", "400 AF20055", subscribed, |w| {
        window(w, NOTIFIED_ONE, None, Some(0))
    }),
    line(NOTIFICATIONS, "endTime", "200", subscribed, |w| {
        window(w, NOTIFIED_ONE, Some(-23), Some(-20))
    }),
    line(NOTIFICATIONS, "endTime", "400 AF20055", subscribed, |w| {
        window(w, NOTIFIED_ONE, Some(-30), Some(0))
    }),
    // Names of sensitive information types.
    line(DLP_TYPES, PUBLISHER, "200", fresh, |w| {
        publisher(w, "GET", "resources/dlpSensitiveTypes", OWN)
    }),
    line(DLP_TYPES, PUBLISHER, "400 AF20002", fresh, |w| {
        publisher(w, "GET", "resources/dlpSensitiveTypes", "x")
    }),
    line(DLP_TYPES, "Accept-Language", "200", fresh, |w| language(w, "es")),
    line(DLP_TYPES, "Accept-Language", "400 AF20053", fresh, |w| language(w, "en-US, es")),
    line(DLP_TYPES, "Accept-Language", "400 AF20054", fresh, |w| language(w, "no such tongue")),
];

const START_ONE: &str = "subscriptions/start?contentType=Audit.Exchange";
const STOP_ONE: &str = "subscriptions/stop?contentType=Audit.Exchange";
const CONTENT_ONE: &str = "subscriptions/content?contentType=Audit.Exchange";
const NOTIFIED_ONE: &str = "subscriptions/notifications?contentType=Audit.Exchange";
const OWN: &str = "";

// Worlds.

fn fresh() -> SimConfig {
    SimConfig { oddness: 0.0, ..config(3) }
}

fn subscribed() -> SimConfig {
    SimConfig { subscribed: true, ..fresh() }
}

fn with_tenant(change: fn(&mut TenantConfig)) -> SimConfig {
    let mut tenant = TenantConfig::seeded(3, 0);
    change(&mut tenant);
    SimConfig { tenants: vec![tenant], ..subscribed() }
}

fn without_roles() -> SimConfig {
    with_tenant(|tenant| tenant.apps[0].roles.clear())
}

fn without_dlp() -> SimConfig {
    with_tenant(|tenant| tenant.apps[0].roles.retain(|role| !role.ends_with("ReadDlp")))
}

fn unlicensed() -> SimConfig {
    with_tenant(|tenant| tenant.licensed = false)
}

fn auditing_off() -> SimConfig {
    with_tenant(|tenant| tenant.auditing = false)
}

fn two_tenants() -> SimConfig {
    let tenants = vec![TenantConfig::seeded(3, 0), TenantConfig::seeded(8, 1)];
    SimConfig { tenants, ..subscribed() }
}

fn tiny_quota() -> SimConfig {
    let mut config = SimConfig { quota_per_minute: 1, ..fresh() };
    config.rules.throttle_status = ThrottleStatus::Forbidden;
    config
}

fn old_rules() -> SimConfig {
    let mut config = subscribed();
    config.rules.illegal_window = IllegalWindow::Af20030;
    config
}

fn in_trouble() -> SimConfig {
    let rates = [(Fault::InternalErrorHour, Rate::Probability(1.0))].into();
    SimConfig { faults: FaultPlan { rates, ..FaultPlan::none() }, ..fresh() }
}

// Requests.

fn publisher(world: &mut World, method: &str, operation: &str, publisher: &str) -> Answer {
    let tenant = world.tenant.id.to_string();
    let joint = if operation.contains('?') { '&' } else { '?' };
    let publisher = if publisher == OWN { &tenant } else { publisher };
    let url = format!(
        "https://manage.office.com/api/v1.0/{tenant}/activity/feed/{operation}{joint}{PUBLISHER}=\
         {publisher}"
    );
    world.once(method, &url)
}

fn tenant(world: &mut World, tenant: &str) -> Answer {
    let url =
        format!("https://manage.office.com/api/v1.0/{tenant}/activity/feed/subscriptions/list");
    world.once("GET", &with_publisher(&url, world.tenant.id))
}

/// A window in hours from now; half of one if only one is given.
fn window(world: &mut World, operation: &str, start: Option<i64>, end: Option<i64>) -> Answer {
    let mut operation = operation.to_owned();
    for (name, hours) in [("startTime", start), ("endTime", end)] {
        if let Some(hours) = hours {
            operation.push_str(&format!("&{name}={}", stamp(world.now_ms + hours * HOUR_MS)));
        }
    }
    world.get(&operation)
}

fn hook(world: &mut World, webhook: &str) -> Answer {
    hook_answered(world, webhook, WebhookAnswer::Status(200))
}

fn hook_answered(world: &mut World, webhook: &str, answer: WebhookAnswer) -> Answer {
    let token = format!("Bearer {}", world.token());
    let url = world.url(START_ONE);
    let body = format!(r#"{{"webhook":{webhook}}}"#);
    let request = Request::new("POST", &url).header("Authorization", &token).body(body);
    arrive(world.microsoft.handle_answered(world.now_ms, &request, answer))
}

fn language(world: &mut World, tags: &str) -> Answer {
    let token = format!("Bearer {}", world.token());
    let url = world.url("resources/dlpSensitiveTypes");
    let request = Request::new("GET", &url).header("Authorization", &token);
    world.send(&request.header("Accept-Language", tags))
}

fn any_blob(world: &World) -> String {
    world.microsoft.owed().next().unwrap().content_id.to_string()
}

// What is shown.

#[test]
fn every_line_of_the_table_comes_true() {
    for Line { operation, parameter, outcome, world, ask } in TABLE {
        let answer = ask(&mut World::new(world()));
        let found = answer.outcome();
        assert_eq!(found, *outcome, "{operation}, {parameter}: {}", answer.text);
    }
}

#[test]
fn no_operation_and_no_parameter_is_missing_from_the_table() {
    let spec = Spec::read();
    for operation in spec.operations() {
        for parameter in &operation.parameters {
            let tried = |good: bool| {
                TABLE.iter().any(|line| {
                    line.operation == operation.id
                        && line.parameter == parameter
                        && (line.outcome == "200") == good
                })
            };
            assert!(tried(true), "{}: {parameter} is never right", operation.id);
            // Any text is an authId.
            assert!(tried(false) || parameter == "webhook.authId", "{}: {parameter}", operation.id);
        }
    }
}

#[test]
fn no_documented_error_code_is_missing_from_the_table() {
    for code in Spec::read().error_codes() {
        let named = |line: &&Line| line.outcome.ends_with(&format!(" {code}"));
        assert!(TABLE.iter().any(|line| named(&line)), "{code}");
    }
}

/// Holds an answer against the description: a good one against its operation, others as errors.
fn hold(spec: &mut Spec, operation: &str, answer: &Answer) {
    let value: Result<Value, _> = serde_json::from_str(&answer.text);
    let checked = match (answer.status, operation, value) {
        (200, BLOB, Ok(Value::Array(records))) => {
            records.iter().try_for_each(|record| spec.check_named("ActivityRecord", record))
        }
        (200, id, value) => {
            let operations = spec.operations();
            let known = operations.into_iter().find(|known| known.id == id).unwrap();
            assert!(["GET", "POST"].contains(&&*known.method) && !known.path.starts_with('/'));
            match (known.answer, value) {
                (Some(schema), Ok(value)) => spec.check(&schema, &value),
                (None, _) if answer.text.is_empty() => Ok(()),
                (None, _) => Err("no body is described".to_owned()),
                (Some(_), Err(error)) => Err(error.to_string()),
            }
        }
        // A token that is no good is answered by what stands in front of the service.
        (401, _, Ok(value)) if value.get("Message").is_some() => Ok(()),
        (_, _, Ok(value)) => spec.check_named("Error", &value),
        (_, _, Err(error)) => Err(error.to_string()),
    };
    assert_eq!(checked, Ok(()), "{operation}: {}", answer.text);
}

#[test]
fn answers_are_as_described_and_no_field_is_missing() {
    let mut spec = Spec::read();
    for line in TABLE.iter().filter(|line| !line.outcome.ends_with("StartSubscription")) {
        let answer = (line.ask)(&mut World::new((line.world)()));
        hold(&mut spec, line.operation, &answer);
    }
    // Webhooks in each of their states, and what they were told.
    let mut world =
        World::new(SimConfig { lag_seconds: Span::new(0, 0), page_size: 200, ..fresh() });
    let expiring = stamp(world.now_ms + 3 * HOUR_MS);
    hook(&mut world, &format!(r#"{{"address":"https://a.example","expiration":"{expiring}"}}"#));
    for hours in 0..4 {
        world.wait(HOUR_MS);
        world.token_refresh();
        world.microsoft.advance(world.now_ms);
        while let Some((ticket, _)) = world.microsoft.poll_notification() {
            world.microsoft.notified(world.now_ms, ticket, WebhookAnswer::Status(200));
        }
        let list = world.get("subscriptions/list");
        let status = if hours < 2 { "enabled" } else { "expired" };
        assert!(list.text.contains(&format!(r#""status":"{status}"}}"#)), "{}", list.text);
        hold(&mut spec, LIST, &list);
    }
    let told = world.get(NOTIFIED_ONE);
    assert!(told.text.contains("notificationSent"), "{}", told.text);
    hold(&mut spec, NOTIFICATIONS, &told);
    for id in world.microsoft.owed().map(|owed| owed.content_id.to_string()).step_by(20) {
        let blob = world.get(&format!("audit/{id}"));
        if blob.status == 200 {
            hold(&mut spec, BLOB, &blob);
        }
    }
    let missing: Vec<_> = spec.fields().difference(&spec.seen).cloned().collect();
    assert!(missing.is_empty(), "never seen in an answer: {missing:?}");
}
