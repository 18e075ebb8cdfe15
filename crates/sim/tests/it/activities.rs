//! The Activities API: who may ask, how pages follow each other, what is refused or recorded.

use std::collections::BTreeSet;

use m365_sim::{FaultPlan, Microsoft, Request, SimConfig, Span, TenantConfig};
use serde_json::{Value, json};

use crate::world::{NOW_MS, arrive};

struct World {
    microsoft: Microsoft,
    now_ms: i64,
    url: String,
    token: String,
}

fn config() -> SimConfig {
    SimConfig { seed: 5, activities_per_hour: Span::new(40, 60), ..SimConfig::default() }
}

impl World {
    fn new(config: SimConfig) -> Self {
        let microsoft = Microsoft::new(config, NOW_MS);
        let tenant = microsoft.tenants()[0].id;
        let url = format!("{}/api/v1/activities/", microsoft.portal_url(tenant).unwrap());
        let token = format!("Token {}", microsoft.portal_token(tenant).unwrap());
        Self { microsoft, now_ms: NOW_MS, url, token }
    }

    fn send(&mut self, body: &Value) -> (u16, Value) {
        self.now_ms += 2_000;
        let request = Request::new("POST", &self.url)
            .header("Authorization", &self.token)
            .body(body.to_string());
        let answer = arrive(self.microsoft.handle(self.now_ms, &request));
        (answer.status, serde_json::from_str(&answer.text).unwrap_or_default())
    }

    /// All ids that a search finds, page by page.
    fn walk(&mut self, filters: &Value, scan: bool) -> Vec<String> {
        let mut body = json!({
            "filters": filters, "sortField": "created", "sortDirection": "asc", "isScan": scan,
        });
        if !scan {
            body["limit"] = json!(100);
        }
        let mut ids = Vec::new();
        loop {
            let (status, page) = self.send(&body);
            assert_eq!(status, 200, "{page}");
            let records = page["data"].as_array().unwrap();
            ids.extend(records.iter().map(|record| record["_id"].as_str().unwrap().to_owned()));
            if page["hasNext"] == false {
                assert!(page.get("nextQueryFilters").is_none());
                return ids;
            }
            if scan {
                body["filters"] = page["nextQueryFilters"].clone();
            } else {
                body["skip"] = json!(ids.len());
            }
        }
    }

    fn owed(&self) -> BTreeSet<String> {
        self.microsoft.owed_activities().map(|owed| owed.id).collect()
    }

    fn is_legal(&mut self) -> bool {
        self.microsoft.report().is_legal()
    }
}

#[test]
fn both_modes_find_every_activity_once() {
    for size in [100, 7] {
        let mut config = config();
        (config.search_page_size, config.activity_days) = (size, 0.5);
        config.live = false;
        let mut world = World::new(config);
        world.now_ms += 60_000;
        for scan in [false, true] {
            let ids = world.walk(&json!({}), scan);
            assert_eq!(ids.iter().cloned().collect::<BTreeSet<_>>(), world.owed());
            assert_eq!(ids.len(), world.owed().len());
        }
        assert!(world.is_legal());
    }
}

#[test]
fn a_millisecond_can_hold_more_than_a_page_and_keys_differ_by_case() {
    let config = SimConfig { activities_per_hour: Span::new(400, 500), ..config() };
    let world = World::new(config);
    let mut moments = std::collections::BTreeMap::<i64, u32>::new();
    for owed in world.microsoft.owed_activities() {
        *moments.entry(owed.created_ms).or_default() += 1;
        let text = String::from_utf8(owed.bytes).unwrap();
        assert!(text.contains("\"Level\":2,\"level\":\"Informational\""), "{text}");
        let record: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(record["created"], owed.created_ms);
        assert_eq!(record["timestamp"], owed.timestamp_ms);
        assert!(owed.timestamp_ms < owed.created_ms);
    }
    assert!(*moments.values().max().unwrap() > 100);
}

#[test]
fn late_activities_are_found_late() {
    let mut config = config();
    config.faults = FaultPlan::none().with(m365_sim::Fault::LateActivity, 0.5);
    let mut world = World::new(config);
    let before = world.owed();
    world.microsoft.advance(NOW_MS + 3_600_000);
    let found = |owed: &m365_sim::OwedActivity| owed.created_ms < NOW_MS;
    let after = world.microsoft.owed_activities().filter(found).count();
    assert!(after > before.len() + 5, "{after} {}", before.len());
}

#[test]
fn the_thirty_first_request_of_a_minute_is_throttled() {
    let mut world = World::new(config());
    let url = world.url.clone();
    let request = Request::new("GET", &url).header("Authorization", &world.token);
    let statuses: Vec<u16> =
        (0..31).map(|_| world.microsoft.handle(NOW_MS, &request).status).collect();
    assert_eq!(statuses[29..], [200, 429]);
    assert!(!world.is_legal());
    assert_eq!(world.microsoft.handle(NOW_MS + 60_000, &request).status, 200);
}

#[test]
fn what_breaks_the_rules_is_recorded() {
    let check = |body: Value, expected: u16| {
        let mut world = World::new(config());
        let (status, _) = world.send(&body);
        assert_eq!((status, world.is_legal()), (expected, false), "{body}");
    };
    check(json!({"limit": 101}), 200);
    check(json!({"limit": 100, "skip": 4_950}), 200);
    check(json!({"isScan": true, "limit": 100}), 200);
    check(json!({"filters": {"no.such": {"eq": ["x"]}}}), 200);
    check(json!({"filters": {"service": {"contains": ["x"]}}}), 200);
    check(json!({"filters": {"service": {"eq": ["11770"]}}}), 200);
    check(json!({"filters": {"scan.cursor": {"after": ["1", "1", "1", "1"]}}}), 400);
    check(json!("no search"), 400);
}

#[test]
fn only_a_token_of_the_portal_opens_it() {
    let mut world = World::new(config());
    for (header, expected) in
        [("Token 00", 401), ("Bearer x.y.z", 401), ("Basic x", 401), (&*world.token.clone(), 200)]
    {
        let request = Request::new("GET", &world.url).header("Authorization", header);
        assert_eq!(world.microsoft.handle(NOW_MS, &request).status, expected, "{header}");
    }
    let elsewhere = Request::new("GET", "https://manage.office.com/api/v1/activities/")
        .header("Authorization", &world.token);
    assert_eq!(world.microsoft.handle(NOW_MS, &elsewhere).status, 421);
    let report = world.microsoft.report();
    assert_eq!(report.illegal_by_rule.len(), 3, "{:?}", report.illegal_by_rule);
}

#[test]
fn an_activity_can_be_fetched_and_remarked_on() {
    let mut world = World::new(config());
    let owed = world.microsoft.owed_activities().next().unwrap();
    let get = |id: &str| {
        Request::new("GET", &format!("{}{id}/", world.url)).header("Authorization", &world.token)
    };
    let (found, missing) = (get(&owed.id), get("1_2_3"));
    let answer = arrive(world.microsoft.handle(NOW_MS, &found));
    assert_eq!(answer.bytes, owed.bytes);
    assert_eq!(world.microsoft.handle(NOW_MS, &missing).status, 404);
    let remark = |id: &str, body: Value| {
        Request::new("POST", &format!("{}{id}/feedback", world.url))
            .header("Authorization", &world.token)
            .body(body.to_string())
    };
    let body = json!({
        "feedbackValue": "0", "feedbackText": "Irrelevant", "allowContact": false,
        "contactEmail": "user@contoso.com",
    });
    let (good, lost) = (remark(&owed.id, body.clone()), remark("1_2_3", body.clone()));
    let bad = ["feedbackValue", "feedbackText", "allowContact"].map(|member| {
        let mut body = body.clone();
        body.as_object_mut().unwrap().remove(member);
        remark(&owed.id, body)
    });
    let answer = arrive(world.microsoft.handle(NOW_MS, &good));
    assert!(answer.status == 200 && answer.text.contains("\"hasNext\":false"), "{}", answer.text);
    assert_eq!(world.microsoft.handle(NOW_MS, &lost).status, 404);
    let tenant = world.microsoft.tenants()[0].id;
    let remarks = world.microsoft.feedback(tenant);
    assert_eq!((remarks.len(), &remarks[0].activity), (1, &owed.id));
    assert!(world.is_legal());
    for request in bad {
        assert_eq!(world.microsoft.handle(NOW_MS, &request).status, 400);
    }
    assert_eq!(world.microsoft.report().illegal_by_rule.values().sum::<u64>(), 3);
}

#[test]
fn a_token_of_entra_needs_the_permission_to_read() {
    let statuses = |roles: &[&str]| {
        let mut tenant = TenantConfig::seeded(5, 0);
        tenant.apps[0].roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let app = tenant.apps[0].clone();
        let id = tenant.id;
        let mut world = World::new(SimConfig { tenants: vec![tenant], ..config() });
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}\
             &scope=05a65629-4c1b-48c1-a78b-804c4abdd4af%2F.default",
            app.client_id,
            app.secret().unwrap()
        );
        let url = format!("https://login.microsoftonline.com/{id}/oauth2/v2.0/token");
        let sign_in = Request::new("POST", &url)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form);
        let token: Value =
            serde_json::from_str(&arrive(world.microsoft.handle(NOW_MS, &sign_in)).text).unwrap();
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let search = Request::new("GET", &world.url).header("Authorization", &bearer);
        world.microsoft.handle(NOW_MS, &search).status
    };
    assert_eq!(statuses(&["ActivityFeed.Read", "Investigation.read"]), 200);
    assert_eq!(statuses(&["ActivityFeed.Read", "Discovery.read"]), 403);
}
