//! What is done about a webhook, and what is never done.

use super::*;

fn webhook(status: &str, expiration: Option<&str>) -> Webhook {
    Webhook {
        status: Some(status.into()),
        address: Some("https://old.example/".into()),
        auth_id: Some(Secret::new("old".into())),
        expiration: expiration.map(str::to_owned),
    }
}

fn subscription(status: &str, webhook: Option<Webhook>) -> Subscription {
    Subscription { content_type: "Audit.General".into(), status: Some(status.into()), webhook }
}

fn request(address: &str, auth_id: Option<&str>, expiration: Option<&str>) -> Step {
    Step::Send(Some(WebhookRequest {
        address: address.into(),
        auth_id: auth_id.map(|text| Secret::new(text.to_owned())),
        expiration: expiration.map(str::to_owned),
    }))
}

fn flags(address: Option<&str>, auth_id: Option<&str>, expiration: Option<&str>) -> Wanted {
    let own = |text: Option<&str>| text.map(str::to_owned);
    Wanted {
        address: own(address),
        auth_id: own(auth_id),
        expiration: own(expiration),
        remove: false,
    }
}

const LATER: Option<&str> = Some("2090-01-01T00:00:00.000Z");

#[test]
fn a_start_without_flags_never_touches_a_webhook() {
    let silent = Wanted::default();
    assert_eq!(step(None, &silent), Step::Send(None));
    assert_eq!(step(Some(&subscription("disabled", None)), &silent), Step::Send(None));
    let enabled = subscription("enabled", Some(webhook("disabled", None)));
    assert!(matches!(step(Some(&enabled), &silent), Step::Leave(_)));
    // It is started, and keeps what it had.
    let stopped = subscription("disabled", Some(webhook("enabled", LATER)));
    let same = request("https://old.example/", Some("old"), LATER);
    assert_eq!(step(Some(&stopped), &silent), same);
    // What has expired is not revived.
    for (status, end) in [("expired", None), ("enabled", Some("2020-01-01T00:00:00.000Z"))] {
        let stopped = subscription("disabled", Some(webhook(status, end)));
        assert_eq!(step(Some(&stopped), &silent), Step::Send(None));
    }
}

#[test]
fn flags_change_what_they_name_and_nothing_else() {
    let known = subscription("enabled", Some(webhook("enabled", LATER)));
    let step = |wanted| step(Some(&known), &wanted);
    assert_eq!(
        step(flags(Some("https://new.example/"), None, None)),
        request("https://new.example/", Some("old"), LATER)
    );
    assert_eq!(
        step(flags(None, Some("new"), Some(""))),
        request("https://old.example/", Some("new"), None)
    );
    assert_eq!(step(flags(None, Some(""), None)), request("https://old.example/", None, LATER));
    assert!(matches!(step(flags(Some("https://old.example/"), None, None)), Step::Leave(_)));
    assert_eq!(step(Wanted { remove: true, ..Wanted::default() }), Step::Send(None));
}

#[test]
fn the_same_address_enables_a_webhook_again() {
    let again = || flags(Some("https://old.example/"), None, None);
    let disabled = subscription("enabled", Some(webhook("disabled", LATER)));
    assert_eq!(
        step(Some(&disabled), &again()),
        request("https://old.example/", Some("old"), LATER)
    );
    let expired = subscription("enabled", Some(webhook("expired", LATER)));
    assert_eq!(step(Some(&expired), &again()), request("https://old.example/", Some("old"), None));
}

#[test]
fn a_webhook_that_is_not_there_cannot_be_changed() {
    let known = subscription("enabled", None);
    assert!(matches!(step(Some(&known), &flags(None, Some("x"), None)), Step::Refuse(_)));
    assert!(matches!(
        step(Some(&known), &Wanted { remove: true, ..Wanted::default() }),
        Step::Leave(_)
    ));
}

#[test]
fn only_a_yes_is_a_yes() {
    for (line, expected) in
        [("y\n", true), ("YES\n", true), ("\n", false), ("no\n", false), ("", false)]
    {
        assert_eq!(agrees(&mut line.as_bytes()), expected, "{line:?}");
    }
}
