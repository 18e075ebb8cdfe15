//! The token endpoints: who gets a token, in which form, and the exact errors.

use m365_sim::{Credential, Request, SimConfig, TenantConfig};

use crate::world::{NOW_MS, World, config};

/// Sends a form in which `{id}` and `{secret}` stand for the application's.
fn ask(world: &mut World, endpoint: &str, form: &str) -> serde_json::Value {
    let app = world.tenant.apps[0].clone();
    let form =
        form.replace("{id}", &app.client_id.to_string()).replace("{secret}", app.secret().unwrap());
    let endpoint = endpoint.replace("{tenant}", &world.tenant.id.to_string());
    let url = format!("https://login.microsoftonline.com/{endpoint}");
    let answer = world.send(&Request::new("POST", &url).body(form));
    let mut value: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    value["status"] = answer.status.into();
    value
}

const V1: &str = "{tenant}/oauth2/token";
const V2: &str = "{tenant}/oauth2/v2.0/token";
const GRANT: &str = "grant_type=client_credentials";
const PROOF: &str = "client_id={id}&client_secret={secret}";
const ASSERTION: &str = "client_assertion=a.b.c&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A\
                         client-assertion-type%3Ajwt-bearer";
const RESOURCE: &str = "resource=https://manage.office.com";
const SCOPE: &str = "scope=https%3A%2F%2Fmanage.office.com%2F.default";

#[test]
fn v1_answers_strings_and_v2_integers() {
    let mut world = World::new(config(1));
    let v1 = ask(&mut world, V1, &format!("{GRANT}&{PROOF}&{RESOURCE}"));
    assert_eq!(v1["expires_in"], "3599");
    assert_eq!(v1["expires_on"], (NOW_MS / 1_000 + 3_599).to_string());
    assert_eq!(v1["not_before"], (NOW_MS / 1_000 - 300).to_string());
    assert_eq!(v1["resource"], "https://manage.office.com");
    let v2 = ask(&mut world, V2, &format!("{GRANT}&{PROOF}&{SCOPE}"));
    assert_eq!(v2["expires_in"], 3_599);
    assert_eq!(v2["token_type"], "Bearer");
    let domain = ask(
        &mut world,
        "contoso0.onmicrosoft.com/oauth2/token",
        &format!("{GRANT}&{PROOF}&{RESOURCE}"),
    );
    assert_eq!(domain["status"], 200);
}

#[test]
fn a_token_says_what_a_real_one_says() {
    use base64::Engine;
    let mut world = World::new(config(1));
    let token = world.token();
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], "https://manage.office.com");
    assert_eq!(claims["tid"], world.tenant.id.to_string());
    assert_eq!(claims["appid"], world.tenant.apps[0].client_id.to_string());
    assert_eq!(claims["exp"], NOW_MS / 1_000 + 3_599);
    assert_eq!(claims["roles"][0], "ActivityFeed.Read");
}

#[test]
fn credentials_may_come_in_the_header() {
    use base64::Engine;
    let mut world = World::new(config(1));
    let app = &world.tenant.apps[0];
    let pair = format!("{}:{}", app.client_id, app.secret().unwrap().replace('~', "%7E"));
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let url = format!("https://login.microsoftonline.com/{}/oauth2/token", world.tenant.id);
    let request = Request::new("POST", &url)
        .header("Authorization", &basic)
        .body(format!("{GRANT}&{RESOURCE}"));
    assert_eq!(world.send(&request).status, 200);
}

#[test]
fn refusals_have_the_documented_bodies() {
    let cases: &[(&str, &str, u64, &str, u64)] = &[
        (V2, "{G}&client_id={id}&client_secret=wrong&{S}", 401, "invalid_client", 7_000_215),
        (V2, "{G}&client_id={id}&{S}", 401, "invalid_client", 7_000_218),
        (V2, "{G}&client_id={id}&client_assertion=a.b.c&{S}", 400, "invalid_request", 900_144),
        (V2, "{G}&client_id={id}&{A}&{S}", 400, "invalid_request", 50_027),
        (V2, "{G}&client_id=5&client_secret=x&{S}", 400, "unauthorized_client", 700_016),
        ("nobody.example/oauth2/v2.0/token", "{G}&{P}&{S}", 400, "invalid_request", 90_002),
        (V2, "{G}&{P}&scope=https://no.example/.default", 400, "invalid_resource", 500_011),
        (V2, "{G}&{P}&scope=https://manage.office.com", 400, "invalid_scope", 70_011),
        (V2, "{G}&{P}&{R}", 400, "invalid_request", 901_002),
        (V2, "{G}&{P}", 400, "invalid_request", 900_144),
        (V1, "{G}&{P}", 400, "invalid_request", 900_144),
        (V1, "{P}&{R}", 400, "invalid_request", 900_144),
        (V1, "{G}&client_secret=x&{R}", 400, "invalid_request", 900_144),
        (V1, "grant_type=password&{P}&{R}", 400, "unsupported_grant_type", 70_003),
    ];
    for (endpoint, form, status, error, code) in cases {
        let mut world = World::new(config(1));
        let form = form
            .replace("{G}", GRANT)
            .replace("{P}", PROOF)
            .replace("{A}", ASSERTION)
            .replace("{S}", SCOPE)
            .replace("{R}", RESOURCE);
        let answer = ask(&mut world, endpoint, &form);
        assert_eq!(answer["status"], *status, "{answer}");
        assert_eq!(answer["error"], *error, "{answer}");
        assert_eq!(answer["error_codes"][0], *code, "{answer}");
        let description = answer["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("AADSTS{code}: ")), "{description}");
        assert!(description.contains("\r\nTrace ID: "), "{description}");
        assert_eq!(answer["timestamp"], "2026-09-21 14:13:20Z");
    }
}

#[test]
fn applications_may_be_disabled_and_secrets_expire() {
    let check = |change: fn(&mut TenantConfig), code: u64| {
        let mut tenant = TenantConfig::seeded(1, 0);
        change(&mut tenant);
        let mut world = World::new(SimConfig { tenants: vec![tenant], ..config(1) });
        let answer = ask(&mut world, V1, &format!("{GRANT}&{PROOF}&{RESOURCE}"));
        assert_eq!(answer["error_codes"][0], code, "{answer}");
    };
    check(|tenant| tenant.apps[0].disabled = true, 7_000_112);
    check(
        |tenant| {
            let known = &mut tenant.apps[0].credentials[0];
            if let Credential::Secret { expires_ms, .. } = known {
                *expires_ms = Some(NOW_MS - 1);
            }
        },
        7_000_222,
    );
}

#[test]
fn another_cloud_refuses() {
    let mut world = World::new(config(1));
    let mut request = world.token_request();
    request.authority = "login.microsoftonline.us".to_owned();
    let answer = world.send(&request);
    assert!(answer.text.contains("Confidential Client is not supported in Cross Cloud request"));
}
