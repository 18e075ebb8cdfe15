//! The core against the simulated Microsoft, one behaviour a test, in virtual time. What a random
//! world checks on the whole is here looked at one by one: what is said, counted and stored.

use m365_audit_core::{
    ContentRef, ContentType, Event, Feed, FeedEvent, Level, LossKind, Operation, Outcome, Utc, Why,
    losses, summarize,
};
use m365_audit_tests::simulation::{Observed, Scenario, observe};
use m365_sim::{
    AppConfig, Fault, FaultPlan, Schedule, SimConfig, Span, TenantConfig, WebhookConfig,
};

fn sim() -> SimConfig {
    SimConfig {
        seed: 7,
        days: 0.5,
        blobs_per_hour: Span::new(1, 2),
        records_per_blob: Span::new(2, 5),
        record_bytes: Span::new(300, 600),
        ..SimConfig::default()
    }
}

/// The same service when somebody has collected from it before.
fn subscribed() -> SimConfig {
    SimConfig { subscribed: true, ..sim() }
}

fn faulty(fault: Fault, probability: f64) -> SimConfig {
    SimConfig { faults: FaultPlan::none().with(fault, probability), ..sim() }
}

#[track_caller]
fn watch(scenario: Scenario, hours: u64) -> Observed {
    observe(scenario, hours).unwrap_or_else(|what| panic!("{what}"))
}

fn count(observed: &Observed, wanted: impl Fn(&Event) -> bool) -> usize {
    observed.events.iter().filter(|event| wanted(event)).count()
}

fn errors(observed: &Observed) -> Vec<String> {
    let errors = observed.events.iter().filter(|event| event.level() == Level::Error);
    errors.map(ToString::to_string).collect()
}

/// How many blobs were told to be set aside.
fn set_aside(observed: &Observed) -> u64 {
    let told = observed.events.iter().map(|event| match event {
        Event::Feed(_, FeedEvent::BlobQuarantined { blobs, .. }) => *blobs,
        _ => 0,
    });
    told.sum()
}

#[test]
fn a_calm_day_is_collected_once_without_a_word_of_complaint() {
    let observed = watch(Scenario::scripted(sim()), 24);
    assert!(observed.records > 50, "{}", observed.records);
    assert_eq!(observed.repeated, 0);
    assert_eq!(count(&observed, |event| event.level() <= Level::Warn), 0);
    assert_eq!(
        count(&observed, |event| matches!(event, Event::Feed(_, FeedEvent::SubscriptionStarted))),
        1
    );
    assert_eq!(
        count(&observed, |event| matches!(
            event,
            Event::Feed(_, FeedEvent::BacklogDelivered { .. })
        )),
        1
    );
}

#[test]
fn a_filter_leaves_records_out_and_nothing_else_changes() {
    let all = watch(Scenario::scripted(sim()).once(), 24);
    let some = Scenario::scripted(sim()).once().with("exclude_record_types", "MicrosoftTeams, 63");
    let some = watch(some, 24);
    let (whole, part) = (&all.metrics.lanes[0], &some.metrics.lanes[0]);
    assert!(0 < part.records_delivered && 0 < part.records_filtered, "{part:?}");
    assert_eq!(part.records_delivered + part.records_filtered, whole.records_delivered);
    assert_eq!(part.records_delivered, some.records);
    assert_eq!(part.records_deduplicated, whole.records_deduplicated);
    assert_eq!(part.blobs_delivered, whole.blobs_delivered);
    assert_eq!(some.outcome, Some(Outcome::Complete));
    // What is remembered of contents and of records is the same. The history counts what was left
    // out.
    let kept = |observed: &Observed| -> Vec<_> {
        let is_memory = |key: &str| !key.starts_with("start/") && !key.starts_with("history/");
        let entries = observed.stored.iter().filter(|(key, _)| is_memory(key));
        entries.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    assert_eq!(kept(&some), kept(&all));
}

#[test]
fn another_filter_later_brings_only_what_is_new() {
    let nothing = Scenario::scripted(sim()).once().with("include_operations", "NoSuchOperation");
    let first = watch(nothing, 24);
    assert_eq!(first.records, 0);
    assert_eq!(first.outcome, Some(Outcome::Complete));
    let again = watch(Scenario::scripted(subscribed()).once().resume(first.stored), 24);
    assert_eq!(again.metrics.lanes[0].blobs_delivered, 0);
    assert_eq!(again.outcome, Some(Outcome::Complete));
}

#[test]
fn a_webhook_is_asked_for_once_and_only_where_it_is_wanted() {
    let wanted = |scenario: Scenario| {
        scenario
            .with("webhook_address", "https://audit.example/m365")
            .with("webhook_auth_id", "0123456789abcdef")
    };
    let set = |observed: &Observed| {
        count(observed, |e| matches!(e, Event::Feed(_, FeedEvent::WebhookSet { .. })))
    };
    let starts =
        |observed: &Observed| observed.metrics.requests[Operation::StartSubscription as usize];
    // With the start of the subscription, or by a start of one that was enabled before.
    for subscribed in [false, true] {
        let observed = watch(wanted(Scenario::scripted(SimConfig { subscribed, ..sim() })), 4);
        assert_eq!((set(&observed), starts(&observed)), (1, 1), "{subscribed}");
        assert_eq!(errors(&observed), Vec::<String>::new());
    }
    let observed = watch(Scenario::scripted(SimConfig { subscribed: true, ..sim() }), 4);
    assert_eq!((set(&observed), starts(&observed)), (0, 0));
}

/// Microsoft gives no access to what was published while a subscription was stopped. That is told,
/// and nothing else is wrong.
#[track_caller]
fn assert_only_a_gap(observed: &Observed) {
    assert_eq!(errors(observed).len(), 1, "{:?}", errors(observed));
    assert_eq!(
        count(observed, |event| matches!(
            event,
            Event::Feed(_, FeedEvent::SubscriptionGapError { .. })
        )),
        1
    );
}

/// A world in which every subscription has this webhook, and an administrator disables the
/// subscription once. How many events of each kind there were, and the webhook at the end.
#[track_caller]
fn disabled_once(webhook: WebhookConfig) -> ([usize; 3], serde_json::Value) {
    let disabled = Schedule { from_s: 600, times: Some(1), ..Schedule::default() };
    let faults = FaultPlan::none().with_schedule(Fault::SubscriptionDisabled, disabled);
    let sim = SimConfig { subscribed: true, webhook: Some(webhook), faults, ..sim() };
    let observed = watch(Scenario::scripted(sim), 4);
    assert_only_a_gap(&observed);
    let counts = [
        count(&observed, |event| matches!(event, Event::Feed(_, FeedEvent::SubscriptionStarted))),
        count(&observed, |event| matches!(event, Event::Feed(_, FeedEvent::WebhookKept { .. }))),
        count(&observed, |event| matches!(event, Event::Feed(_, FeedEvent::WebhookLost { .. }))),
    ];
    let mut all = observed.subscriptions.iter().map(|text| -> serde_json::Value {
        serde_json::from_str(text).expect("what Microsoft lists is JSON")
    });
    let mut ours = all.find(|shown| shown["contentType"] == "Audit.General").expect("it is listed");
    assert_eq!(ours["status"], "enabled");
    (counts, ours["webhook"].take())
}

#[test]
fn a_webhook_of_somebody_else_survives_when_its_subscription_is_started_again() {
    let webhook = WebhookConfig {
        address: "https://siem.example/m365/".into(),
        auth_id: Some("theirs".into()),
        expires_in_ms: Some(30 * 86_400_000),
    };
    let (counts, shown) = disabled_once(webhook.clone());
    assert_eq!(counts, [1, 1, 0]);
    let end = shown["expiration"].as_str().unwrap();
    assert!(end.starts_with("2026-03-31T00:00:00"), "{end}");
    assert_eq!((&shown["address"], &shown["authId"]), (&webhook.address.into(), &"theirs".into()));
    assert_eq!(shown["status"], "enabled");
}

#[test]
fn a_webhook_that_is_not_taken_again_costs_itself_and_no_content() {
    // Plain http is refused as one is that does not answer, with AF20021.
    let webhook = |address: &str, expires_in_ms| WebhookConfig {
        address: address.into(),
        auth_id: None,
        expires_in_ms,
    };
    let (counts, shown) = disabled_once(webhook("http://siem.example/", None));
    assert_eq!((counts, shown), ([1, 0, 1], serde_json::Value::Null));
    // One that has expired could only be revived, which nobody asked for.
    let (counts, shown) = disabled_once(webhook("https://siem.example/", Some(-1_000)));
    assert_eq!((counts, shown), ([1, 0, 0], serde_json::Value::Null));
}

#[test]
fn a_hint_of_what_is_not_there_is_forgotten() {
    let tenant = m365_sim::Microsoft::new(sim(), 0).tenants()[0].id;
    let moment = |text: &str| Utc::parse(text).unwrap();
    let hint = |host: &str, id: &str| ContentRef {
        feed: Feed::Audit(ContentType::AuditGeneral),
        uri: format!("https://{host}/api/v1.0/{tenant}/activity/feed/audit/{id}").into(),
        id: id.into(),
        created: moment("2026-03-01T00:01:00Z"),
        expiration: moment("2026-03-08T00:01:00Z"),
    };
    let id = "20260301000100000000000$20260301000100000000000$audit_general$Audit_General$na0018";
    let host = "manage.office.com";
    let hints = vec![
        hint(host, id),
        // What is not this tenant's, of this feed and on this origin is not asked for at all.
        hint("attacker.example", id),
        hint(host, &id.replace("general", "exchange").replace("General", "Exchange")),
    ];
    let without = watch(Scenario::scripted(sim()), 4);
    let observed = watch(Scenario::scripted(sim()).hinted(hints), 4);
    assert_eq!((observed.metrics.hints, observed.metrics.hints_taken), (3, 1));
    assert_eq!(
        count(&observed, |event| matches!(event, Event::Feed(_, FeedEvent::HintForgotten { .. }))),
        1
    );
    assert_eq!(errors(&observed), Vec::<String>::new());
    let lane = &observed.metrics.lanes[0];
    assert_eq!((lane.blobs_quarantined, lane.blobs_lost, lane.blobs_pending), (0, 0, 0));
    assert_eq!(lane.blobs_listed, without.metrics.lanes[0].blobs_listed);
    assert_eq!(observed.records, without.records);
    let blob = |observed: &Observed| observed.metrics.requests[Operation::GetBlob as usize];
    assert_eq!(blob(&observed), blob(&without) + 1, "one attempt, at one content");
}

#[test]
fn once_ends_when_everything_up_to_now_is_delivered() {
    let observed = watch(Scenario::scripted(sim()).once(), 24);
    assert_eq!(observed.outcome, Some(Outcome::Complete));
    let lanes = summarize(&observed.stored).unwrap();
    assert_eq!(lanes.len(), 1);
    assert_eq!(lanes[0].delivered.len(), 1, "one piece, without a gap");
    assert_eq!(lanes[0].holes, []);
}

#[test]
fn a_second_run_collects_only_what_is_new() {
    let first = watch(Scenario::scripted(sim()).once(), 24);
    let again = watch(Scenario::scripted(subscribed()).once().resume(first.stored), 24);
    assert_eq!(again.outcome, Some(Outcome::Complete));
    assert_eq!(again.metrics.lanes[0].blobs_delivered, 0);
}

#[test]
fn once_finds_what_came_late_since_the_last_run() {
    let first = watch(Scenario::scripted(sim()).once(), 24);
    // Everything is marked as listed, but two contents as never seen: as if they had come late.
    let mut stored = first.stored;
    let seen: Vec<_> =
        stored.keys().filter(|key| key.starts_with("seen/")).take(2).cloned().collect();
    let forgotten: usize =
        seen.iter().filter_map(|key| stored.remove(key)).map(|v| v.len() * 3 / 4 / 16).sum();
    stored.retain(|key, _| !key.starts_with("records/"));
    let again = watch(Scenario::scripted(subscribed()).once().resume(stored), 24);
    assert_eq!(again.metrics.lanes[0].blobs_delivered, forgotten as u64);
    assert_eq!(again.outcome, Some(Outcome::Complete));
}

#[test]
fn a_wrong_secret_is_reported_once_with_what_to_do() {
    let observed = watch(Scenario::scripted(sim()).with("client_secret", "wrong"), 6);
    let errors = errors(&observed);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("AADSTS7000215"), "{errors:?}");
    assert!(errors[0].contains("secret's value (not its id)"), "{errors:?}");
    let once = watch(Scenario::scripted(sim()).with("client_secret", "wrong").once(), 6);
    assert_eq!(once.outcome, Some(Outcome::Incomplete));
}

#[test]
fn a_feed_without_permission_leaves_the_others_running() {
    let mut tenant = TenantConfig::seeded(7, 0);
    tenant.apps =
        vec![AppConfig { roles: vec!["ActivityFeed.Read".into()], ..tenant.apps.remove(0) }];
    let world = SimConfig { tenants: vec![tenant], ..sim() };
    let types = "Audit.General, DLP.All";
    let observed = watch(Scenario::scripted(world).with("content_types", types), 6);
    let errors = errors(&observed);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("DLP.All: not collected: AF10001"), "{errors:?}");
    assert!(errors[0].contains("ActivityFeed.ReadDlp"), "{errors:?}");
    assert!(observed.metrics.lanes[0].blobs_delivered > 0 && !observed.metrics.lanes[0].denied);
    assert!(observed.metrics.lanes[1].denied);
}

#[test]
fn a_feed_that_is_refused_without_a_code_leaves_the_others_running() {
    let types = "Audit.General, DLP.All";
    for (fault, code) in [(Fault::DlpUnauthorized, "http-401"), (Fault::DlpUnexplained, "http-403")]
    {
        // Already at the start of the subscription, or only at its listings.
        for subscribed in [false, true] {
            let world = SimConfig { subscribed, ..faulty(fault, 1.0) };
            let observed = watch(Scenario::scripted(world).with("content_types", types), 6);
            let errors = errors(&observed);
            assert_eq!(errors.len(), 1, "{subscribed} {errors:?}");
            let told = format!("DLP.All: not collected: {code}: ");
            assert!(errors[0].starts_with(&told), "{errors:?}");
            let [general, dlp] = &observed.metrics.lanes[..] else { panic!("two feeds") };
            assert!(general.blobs_delivered > 0 && general.lag.as_secs() < 600 && dlp.denied);
            assert!(observed.metrics.requests[0] < 20, "tokens: {:?}", observed.metrics.requests);
        }
    }
}

#[test]
fn without_a_list_of_subscriptions_one_is_started_that_is_missing() {
    let reference = watch(Scenario::scripted(sim()), 6);
    let observed = watch(Scenario::scripted(faulty(Fault::ListBroken, 1.0)), 6);
    assert_eq!(observed.records, reference.records);
    assert_eq!(observed.metrics.requests[Operation::StartSubscription as usize], 1);
    assert!(count(&observed, |event| matches!(event, Event::RetriesMounting { .. })) > 0);
    assert_eq!(errors(&observed), Vec::<String>::new());
}

#[test]
fn a_start_that_fails_ends_a_run_that_ends_and_says_why() {
    let observed = watch(Scenario::scripted(faulty(Fault::StartFails, 1.0)).once(), 6);
    assert_eq!(observed.outcome, Some(Outcome::Incomplete));
    let told: Vec<_> = observed
        .events
        .iter()
        .filter(|event| matches!(event, Event::Feed(_, FeedEvent::SubscriptionMissing { .. })))
        .map(ToString::to_string)
        .collect();
    assert!(told[0].contains("starting one failed: HTTP status 500, AF50000: An"), "{told:?}");
    // It is started again in time.
    let schedule = Schedule { times: Some(2), ..Schedule::default() };
    let faults = FaultPlan::none().with_schedule(Fault::StartFails, schedule);
    let observed = watch(Scenario::scripted(SimConfig { faults, ..sim() }), 6);
    assert_eq!(
        count(&observed, |event| matches!(event, Event::Feed(_, FeedEvent::SubscriptionStarted))),
        1
    );
    assert!(observed.metrics.lanes[0].blobs_delivered > 0);
}

#[test]
fn a_feed_of_which_every_blob_is_refused_is_an_error_with_microsofts_words() {
    let world = SimConfig { blobs_per_hour: Span::new(20, 20), ..faulty(Fault::BlobInvalid, 1.0) };
    let observed = watch(Scenario::scripted(world).once(), 6);
    assert_eq!(observed.outcome, Some(Outcome::Incomplete));
    let errors = errors(&observed);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("AF20052: ") && errors[0].contains("in the url is invalid"));
    assert!(errors[0].contains("remedy: check the id, tenant_id and cloud"), "{errors:?}");
    let lane = &observed.metrics.lanes[0];
    assert!(lane.blobs_quarantined > 200 && lane.lag.as_secs() > 11 * 3_600, "{lane:?}");
    let lines = count(&observed, |event| event.level() <= Level::Warn);
    assert!(lines < 12, "{lines} lines for {} blobs", lane.blobs_quarantined);
}

#[test]
fn a_tenant_without_auditing_is_told_to_turn_it_on() {
    let mut tenant = TenantConfig::seeded(7, 0);
    tenant.auditing = false;
    let world = SimConfig { tenants: vec![tenant], ..sim() };
    let errors = errors(&watch(Scenario::scripted(world), 6));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("turn auditing on"), "{errors:?}");
}

#[test]
fn a_tenant_that_is_not_there_is_named() {
    let nowhere = "00000000-0000-4000-8000-000000000000";
    let errors = errors(&watch(Scenario::scripted(sim()).with("tenant_id", nowhere), 1));
    assert!(errors[0].contains("AADSTS90002") && errors[0].contains("tenant_id"), "{errors:?}");
}

#[test]
fn blobs_that_stay_unreadable_are_set_aside_and_the_rest_goes_on() {
    let observed = watch(Scenario::scripted(faulty(Fault::PoisonBlobForever, 0.2)), 12);
    let quarantined = observed.metrics.lanes[0].blobs_quarantined;
    assert!(quarantined > 0);
    assert!(observed.metrics.lanes[0].blobs_delivered > quarantined);
    assert_eq!(set_aside(&observed), quarantined, "each is reported once");
    assert_eq!(errors(&observed), Vec::<String>::new(), "nothing is lost yet");
    let stored = &summarize(&observed.stored).unwrap()[0];
    assert_eq!(stored.quarantine.len() as u64, quarantined, "and each survives a restart");
    let held = stored.holes.iter().filter(|hole| matches!(hole.why, Why::Quarantined { .. }));
    assert_eq!(held.count() as u64, quarantined, "and is a hole in what is delivered");
    // Their windows are settled, and each costs its minute; what is newer than all that was
    // delivered costs all the time since.
    let (backlog, lag) = (observed.metrics.lanes[0].backlog, observed.metrics.lanes[0].lag);
    let (backlog, lag) = (backlog.as_secs(), lag.as_secs());
    assert!((1..=quarantined * 60 + 600 + lag).contains(&backlog), "{backlog} s, lag {lag} s");
    assert!(lag < 7_200, "{lag} s");
}

#[test]
fn blobs_that_are_hollow_for_hours_are_delivered_when_they_fill() {
    let whole = watch(Scenario::scripted(sim()), 24);
    let faults =
        FaultPlan { hollow_seconds: 4 * 3_600, ..FaultPlan::none().with(Fault::HollowBlob, 0.5) };
    let observed = watch(Scenario::scripted(SimConfig { faults, ..sim() }), 24);
    let doubted = set_aside(&observed);
    assert!(3 < doubted, "{doubted}");
    assert_eq!(
        count(&observed, |event| matches!(event, Event::Feed(_, FeedEvent::BlobEmpty { .. }))),
        0
    );
    assert_eq!(errors(&observed), Vec::<String>::new());
    // What was published in the last hours is hollow still.
    let quarantined = observed.metrics.lanes[0].blobs_quarantined;
    assert!(quarantined < doubted, "{quarantined} of {doubted}");
    let (all, some) = (&whole.metrics.lanes[0], &observed.metrics.lanes[0]);
    assert_eq!(some.blobs_delivered + some.blobs_pending, all.blobs_delivered);
}

#[test]
fn a_null_is_never_vouched_for_and_an_empty_list_after_a_day() {
    let scenario = |fault| Scenario::scripted(faulty(fault, 0.3));
    for fault in [Fault::NullBlob, Fault::EmptyBlob] {
        let once = watch(scenario(fault).once(), 12);
        assert_eq!(once.outcome, Some(Outcome::Incomplete), "{fault:?}");
        assert!(0 < once.metrics.lanes[0].blobs_quarantined, "{fault:?}");
    }
    let null = watch(scenario(Fault::NullBlob), 60);
    assert_eq!(
        count(&null, |event| matches!(event, Event::Feed(_, FeedEvent::BlobEmpty { .. }))),
        0
    );
    let empty = watch(scenario(Fault::EmptyBlob), 60);
    let believed =
        count(&empty, |event| matches!(event, Event::Feed(_, FeedEvent::BlobEmpty { .. }))) as u64;
    let doubted = set_aside(&empty);
    assert!(0 < believed && believed < doubted, "{believed} of {doubted}");
    assert_eq!(believed + empty.metrics.lanes[0].blobs_quarantined, doubted);
}

#[test]
fn of_a_blob_that_is_cut_only_the_last_record_is_missing() {
    let whole = watch(Scenario::scripted(sim()), 24);
    let observed = watch(Scenario::scripted(faulty(Fault::CutBlob, 0.3)), 24);
    let quarantined = observed.metrics.lanes[0].blobs_quarantined;
    assert!(3 < quarantined, "{quarantined}");
    assert_eq!(observed.records, whole.records - quarantined);
    assert_eq!(observed.repeated, 0);
}

#[test]
fn a_blob_that_expires_unread_is_an_error_with_its_name() {
    let observed = watch(Scenario::scripted(faulty(Fault::ExpiredEntry, 0.5)), 12);
    let lost = observed.metrics.lanes[0].blobs_lost;
    assert!(lost > 0);
    let reported = errors(&observed);
    assert_eq!(reported.len() as u64, lost);
    assert!(
        reported[0].contains("expired before it could be read") && reported[0].contains("AF20051")
    );
    // The state knows of each, and the next run does not call itself complete.
    let lane = &summarize(&observed.stored).unwrap()[0];
    for hole in &lane.holes {
        assert!(matches!(hole.why, Why::Lost(_)), "{hole:?}");
        let within = |(start, end): &&(Utc, Utc)| *start <= hole.start && hole.start < *end;
        assert_eq!(lane.delivered.iter().find(within), None);
    }
    assert_eq!(lane.holes.len() as u64, lost);
    assert_eq!(observed.metrics.losses_unacknowledged, lost);
    let world = SimConfig { subscribed: true, ..sim() };
    let next = watch(Scenario::scripted(world).once().resume(observed.stored), 24);
    assert_eq!(next.outcome, Some(Outcome::Incomplete));
    assert_eq!(count(&next, |event| matches!(event, Event::LossesUnacknowledged { .. })), 1);
}

#[test]
fn a_wrong_address_costs_nothing_and_no_token_goes_there() {
    let reference = watch(Scenario::scripted(sim()), 12);
    for fault in [Fault::ForeignUri, Fault::WrongPath, Fault::ForeignPage] {
        // The simulator records a token that leaks as an illegal request.
        let world = SimConfig { page_size: 3, ..faulty(fault, 0.3) };
        let observed = watch(Scenario::scripted(world), 12);
        assert_eq!(observed.records, reference.records, "{fault:?}");
        assert!(observed.metrics.lanes[0].addresses_derived > 1, "{fault:?}");
        let told = count(&observed, |event| {
            matches!(event, Event::Feed(_, FeedEvent::AddressDerived { .. }))
        });
        assert_eq!(told, 1, "{fault:?}: it is told once");
        assert_eq!(count(&observed, |event| event.level() <= Level::Warn), 1, "{fault:?}");
    }
}

#[test]
fn an_entry_with_an_odd_member_is_read_like_any_other() {
    let reference = watch(Scenario::scripted(sim()), 12);
    let observed = watch(Scenario::scripted(faulty(Fault::OddEntry, 0.5)), 12);
    assert_eq!(observed.records, reference.records);
    assert_eq!(observed.metrics.lanes[0].listing_entries_dropped, 0);
    assert_eq!(errors(&observed), Vec::<String>::new());
}

#[test]
fn a_network_that_answers_in_the_place_of_entra_id_is_named_once() {
    let observed = watch(Scenario::scripted(faulty(Fault::TokenForeign, 1.0)), 2);
    let errors = errors(&observed);
    assert_eq!(errors.len(), 1, "{errors:?}");
    for part in ["login-address", "check login_url and proxy_url", "HTTP status"] {
        assert!(errors[0].contains(part), "{part}: {errors:?}");
    }
    assert_eq!(observed.records, 0);
    // When the network lets it through, it goes on by itself.
    let schedule = Schedule { until_s: Some(900), ..Schedule::default() };
    let faults = FaultPlan::none().with_schedule(Fault::TokenForeign, schedule);
    let observed = watch(Scenario::scripted(SimConfig { faults, ..sim() }), 3);
    assert!(observed.records > 0);
}

#[test]
fn tokens_that_are_never_taken_are_an_error_once_and_cost_few_requests() {
    let observed = watch(Scenario::scripted(faulty(Fault::Unauthorized, 1.0)), 4);
    let errors = errors(&observed);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("rejects its tokens: 5 new ones"), "{errors:?}");
    let sent: u64 = observed.metrics.requests.iter().sum();
    assert!(sent < 150, "{sent}");
    let run = watch(Scenario::scripted(faulty(Fault::Unauthorized, 1.0)).once(), 4);
    assert_eq!(run.outcome, Some(Outcome::Incomplete));
}

#[test]
fn pages_that_go_in_circles_do_not_catch_the_collector() {
    let observed = watch(Scenario::scripted(faulty(Fault::SelfReferentialPage, 1.0)), 6);
    assert!(observed.metrics.requests[3] < 2_000, "{:?}", observed.metrics.requests);
    let mounting = |event: &Event| matches!(event, Event::RetriesMounting { .. });
    assert!(count(&observed, mounting) > 0);
}

#[test]
fn a_subscription_that_somebody_stops_is_started_again_after_the_cool_down() {
    let schedule = Schedule { from_s: 3_600, times: Some(1), ..Schedule::default() };
    let faults = FaultPlan::none().with_schedule(Fault::SubscriptionDisabled, schedule);
    let observed = watch(Scenario::scripted(SimConfig { faults, ..sim() }), 6);
    assert_eq!(
        count(&observed, |event| matches!(event, Event::Feed(_, FeedEvent::SubscriptionStarted))),
        2
    );
    assert_only_a_gap(&observed);
}

#[test]
fn a_start_that_is_answered_with_nonsense_is_not_believed() {
    for fault in [Fault::NotJson, Fault::ErrorInOk] {
        // Of the API's answers the list is the first, the start the second.
        let schedule = Schedule { every: 2, times: Some(1), ..Schedule::default() };
        let faults = FaultPlan::none().with_schedule(fault, schedule);
        let observed = watch(Scenario::scripted(SimConfig { faults, ..sim() }), 6);
        let started =
            |event: &Event| matches!(event, Event::Feed(_, FeedEvent::SubscriptionStarted));
        assert_eq!(count(&observed, started), 1, "{fault:?}: {:?}", observed.events);
        const START: Operation = Operation::StartSubscription;
        let repeated =
            |event: &Event| matches!(event, Event::RequestRetried { operation: START, .. });
        assert_eq!(count(&observed, repeated), 1, "{fault:?}: {:?}", observed.events);
        assert!(observed.metrics.lanes[0].blobs_delivered > 0);
    }
}

#[test]
fn subscriptions_are_left_alone_when_told_so() {
    let scenario = Scenario::scripted(sim()).with("start_subscriptions", "off");
    let missing =
        |event: &Event| matches!(event, Event::Feed(_, FeedEvent::SubscriptionMissing { .. }));
    let observed = watch(scenario.clone(), 2);
    assert_eq!(observed.metrics.requests[2], 0);
    // At first, and then by the hour, however often the list is looked at.
    assert_eq!(count(&observed, missing), 2, "{:?}", observed.events);
    assert!(observed.metrics.requests[1] > 100, "{:?}", observed.metrics.requests);
    let once = watch(scenario.once(), 2);
    assert_eq!(once.outcome, Some(Outcome::Incomplete));
    // Nobody has denied anything.
    assert!(count(&once, missing) == 1 && !once.metrics.lanes[0].denied);
}

#[test]
fn throttling_bends_the_rate_and_loses_nothing() {
    let schedule = Schedule { until_s: Some(600), ..Schedule::default() };
    let faults = FaultPlan::none().with_schedule(Fault::Throttled403, schedule);
    let observed = watch(Scenario::scripted(SimConfig { faults, ..sim() }), 6);
    assert!(observed.metrics.throttled > 0);
    assert!(count(&observed, |event| matches!(event, Event::Throttled { .. })) > 0);
    assert_eq!(observed.metrics.requests_per_minute, 2_000, "it is restored");
    assert_eq!(observed.metrics.lanes[0].blobs_pending, 0);
}

#[test]
fn a_retention_gap_is_reported_with_its_length() {
    let first = watch(Scenario::scripted(sim()).once(), 24);
    // The state is from eight days before: a day has fallen out of Microsoft's listings.
    let key = "lane/Audit.General".to_owned();
    let eight_days_ms = 8 * 86_400_000;
    let text = first.stored[&key].clone();
    let aged: String = text
        .split_inclusive([',', '[', ']', ':', '}'])
        .map(|part| {
            let digits: String = part.chars().filter(char::is_ascii_digit).collect();
            match digits.parse::<i64>() {
                Ok(number) if number > eight_days_ms => {
                    part.replace(&digits, &(number - eight_days_ms).to_string())
                }
                _ => part.to_owned(),
            }
        })
        .collect();
    let mut stored = first.stored;
    stored.insert(key, aged);
    let world = SimConfig { subscribed: true, ..sim() };
    let observed = watch(Scenario::scripted(world).once().resume(stored), 24);
    let errors = errors(&observed);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("(15"), "{errors:?}");
    assert_eq!(observed.outcome, Some(Outcome::Incomplete));
    let known = losses(&observed.stored).unwrap();
    assert_eq!(known.len(), 1, "{known:?}");
    assert_eq!(known[0].loss.kind, LossKind::Gap);
    let lane = &summarize(&observed.stored).unwrap()[0];
    let (start, end) = known[0].loss.created.unwrap();
    let overlaps = |(from, to): &&(Utc, Utc)| *from < end && start < *to;
    assert_eq!(lane.delivered.iter().find(overlaps), None, "a lost day is not delivered");
    // Nobody has acknowledged it: no later run is complete.
    let world = SimConfig { subscribed: true, ..sim() };
    let next = watch(Scenario::scripted(world).once().resume(observed.stored), 24);
    assert_eq!(next.outcome, Some(Outcome::Incomplete));
    assert_eq!(self::errors(&next), Vec::<String>::new());
}

#[test]
fn a_host_that_takes_nothing_for_hours_is_given_no_more_than_the_buffer() {
    let world = SimConfig {
        records_per_blob: Span::new(200, 400),
        record_bytes: Span::new(2_000, 4_000),
        ..sim()
    };
    let scenario = Scenario::scripted(world)
        .with("buffer_bytes", "100000")
        .with("batch_bytes", "20000")
        .slow_host(1_800_000);
    // Every step checks the bound; what is behind is collected once the host is quick again.
    let observed = watch(scenario, 12);
    assert!(observed.records > 0);
    assert_eq!(observed.repeated, 0);
}

#[test]
fn listing_pauses_while_a_thousand_blobs_wait() {
    let world = SimConfig {
        days: 1.0,
        blobs_per_hour: Span::new(200, 200),
        records_per_blob: Span::new(1, 1),
        page_size: 300,
        ..sim()
    };
    let scenario = Scenario::scripted(world).with("requests_per_minute", "200").once();
    let observed = watch(scenario, 48);
    assert_eq!(observed.outcome, Some(Outcome::Complete));
    let (waiting, page, in_flight) = (1_000, 300, 16);
    assert!(observed.pending_peak > waiting, "{} is short of the limit", observed.pending_peak);
    assert!(observed.pending_peak <= waiting + page + in_flight, "{}", observed.pending_peak);
}

#[test]
fn a_clock_that_is_a_day_wrong_is_noticed_and_does_no_harm() {
    let observed = watch(Scenario::scripted(sim()).skewed(-36), 6);
    assert_eq!(count(&observed, |event| matches!(event, Event::ClockCorrected { .. })), 1);
    assert_eq!(errors(&observed), Vec::<String>::new());
    let reference = watch(Scenario::scripted(sim()), 6);
    assert_eq!(
        observed.metrics.lanes[0].blobs_delivered,
        reference.metrics.lanes[0].blobs_delivered
    );
}

#[test]
fn every_content_type_has_a_lane_of_its_own() {
    let types =
        "Audit.AzureActiveDirectory, Audit.Exchange, Audit.SharePoint, Audit.General, DLP.All";
    let observed = watch(Scenario::scripted(sim()).with("content_types", types).once(), 24);
    let lanes: Vec<_> = observed.metrics.lanes.iter().map(|lane| lane.feed).collect();
    assert_eq!(lanes, ContentType::ALL.map(Feed::Audit));
    assert!(observed.metrics.lanes.iter().all(|lane| lane.blobs_delivered > 0));
    assert_eq!(observed.outcome, Some(Outcome::Complete));
}
