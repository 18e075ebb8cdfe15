//! Webhooks: validation, notifications, failures, and what lists say of them.

use m365_sim::{ContentType, Request, SimConfig, Span, WebhookAnswer};

use crate::world::{Answer, HOUR_MS, NOW_MS, World, arrive, config};

const BODY: &str =
    r#"{"webhook":{"address":"https://hook.example/o365","authId":"secret-1","expiration":""}}"#;

fn world() -> World {
    World::new(SimConfig { lag_seconds: Span::new(0, 0), ..config(9) })
}

fn start(world: &mut World, body: &str, answer: WebhookAnswer) -> Answer {
    let token = format!("Bearer {}", world.token());
    let url = world.url("subscriptions/start?contentType=Audit.General");
    let request = Request::new("POST", &url).header("Authorization", &token).body(body);
    arrive(world.microsoft.handle_answered(world.now_ms, &request, answer))
}

#[test]
fn a_webhook_is_validated_before_it_is_accepted() {
    let mut world = world();
    let url = world.url("subscriptions/start?contentType=Audit.General");
    let call = world.microsoft.validation_call(&Request::new("POST", &url).body(BODY)).unwrap();
    assert_eq!(call.address, "https://hook.example/o365");
    let header = |name| call.headers.iter().find(|(n, _)| *n == name).unwrap().1.clone();
    assert_eq!(header("Webhook-AuthID"), "secret-1");
    assert_eq!(
        call.body,
        format!(r#"{{"validationCode":"{}"}}"#, header("Webhook-ValidationCode"))
    );

    for answer in [WebhookAnswer::Status(500), WebhookAnswer::Nothing] {
        let refused = start(&mut world, BODY, answer);
        assert_eq!(refused.outcome(), "400 AF20021");
        assert_eq!(world.get("subscriptions/list").text, "[]", "nothing was started");
    }
    let started = start(&mut world, BODY, WebhookAnswer::Status(200));
    assert!(started.text.contains(r#""address":"https://hook.example/o365""#), "{}", started.text);
    assert!(started.text.contains(r#""expiration":null"#));
}

#[test]
fn wrong_webhooks_have_their_documented_errors() {
    let cases = [
        (r#"{"webhook":{"address":"http://hook.example"}}"#, "400 AF20021"),
        (r#"{"webhook":{}}"#, "400 AF20001"),
        ("{", "400 AF20002"),
        (r#"{"webhook":{"address":"https://a","expiration":"soon"}}"#, "400 AF20002"),
        (r#"{"webhook":{"address":"https://a","expiration":"2020-01-01"}}"#, "400 AF20003"),
    ];
    for (body, outcome) in cases {
        assert_eq!(start(&mut world(), body, WebhookAnswer::Status(200)).outcome(), outcome);
    }
}

#[test]
fn notifications_name_blobs_until_they_are_taken() {
    let mut world = world();
    start(&mut world, BODY, WebhookAnswer::Status(200));
    let tenant = world.tenant.id;
    let published = world.microsoft.publish(NOW_MS, tenant, ContentType::General).unwrap();
    let (ticket, call) = world.microsoft.poll_notification().unwrap();
    assert!(call.body.contains(&published.content_id), "{}", call.body);
    assert_eq!(world.microsoft.poll_notification(), None, "it is under way");
    world.microsoft.notified(NOW_MS, ticket, WebhookAnswer::Status(503));
    assert_eq!(world.microsoft.poll_notification(), None, "it waits");
    world.wait(60_000);
    world.microsoft.advance(world.now_ms);
    let (ticket, again) = world.microsoft.poll_notification().unwrap();
    assert_eq!(again.body, call.body);
    world.microsoft.notified(world.now_ms, ticket, WebhookAnswer::Status(200));

    let attempts = world.get("subscriptions/notifications?contentType=Audit.General").text;
    let attempts: serde_json::Value = serde_json::from_str(&attempts).unwrap();
    assert_eq!(attempts[0]["notificationStatus"], "Failed");
    assert_eq!(attempts[1]["notificationStatus"], "Succeeded");
    assert_eq!(attempts[0]["contentUri"], attempts[1]["contentUri"]);
    let uri = attempts[0]["contentUri"].as_str().unwrap();
    let uri = crate::world::with_publisher(uri, tenant);
    assert_eq!(world.once("GET", &uri).status, 200);
}

#[test]
fn a_webhook_that_keeps_failing_is_disabled_and_a_start_enables_it() {
    let mut world = world();
    start(&mut world, BODY, WebhookAnswer::Status(200));
    world.microsoft.publish(NOW_MS, world.tenant.id, ContentType::General).unwrap();
    let mut failures = 0;
    for _ in 0..40 {
        if let Some((ticket, _)) = world.microsoft.poll_notification() {
            world.microsoft.notified(world.now_ms, ticket, WebhookAnswer::Nothing);
            failures += 1;
        }
        world.wait(HOUR_MS);
        world.microsoft.advance(world.now_ms);
    }
    assert_eq!(failures, 6);
    world.token_refresh();
    let list = world.get("subscriptions/list").text;
    assert!(list.contains(r#""status":"enabled","webhook":{"#), "content is still listed: {list}");
    assert!(list.contains(r#""status":"disabled"}"#), "{list}");
    let again = start(&mut world, BODY, WebhookAnswer::Status(200));
    assert!(again.text.contains(r#""status":"enabled"}}"#), "{}", again.text);
}

#[test]
fn a_webhook_expires_and_a_start_without_one_removes_it() {
    let mut world = world();
    let body = r#"{"webhook":{"address":"https://a","expiration":"2026-09-21T15:00:00Z"}}"#;
    start(&mut world, body, WebhookAnswer::Status(200));
    world.wait(HOUR_MS / 2);
    assert!(world.get("subscriptions/list").text.contains(r#""status":"enabled"}}"#));
    world.wait(HOUR_MS / 2);
    world.token_refresh();
    assert!(world.get("subscriptions/list").text.contains(r#""status":"expired"}}"#));
    let removed = start(&mut world, "", WebhookAnswer::Status(200));
    assert!(removed.text.contains(r#""webhook":null"#), "{}", removed.text);
}
