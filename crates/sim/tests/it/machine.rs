//! Managed identities: the two services that hand out tokens on a machine, their required headers,
//! and their errors.

use m365_sim::{AppConfig, Guid, IdentityConfig, Request, SimConfig, TenantConfig};
use serde_json::Value;

use crate::world::{NOW_MS, World, config};

const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
const APP_SERVICE: &str = "http://127.0.0.1:41741/msi/token";

fn world() -> World {
    let identity = |n: u128, system| IdentityConfig {
        client_id: Guid(n),
        object_id: Guid(n + 1),
        resource_id: format!("/subscriptions/{n}"),
        system,
        roles: AppConfig::all_roles(),
    };
    let mut tenant = TenantConfig::seeded(1, 0);
    tenant.identities = vec![identity(0x10, true), identity(0x20, false)];
    World::new(SimConfig { tenants: vec![tenant], ..config(1) })
}

fn ask(url: &str, header: Option<(&str, &str)>) -> (u16, Value) {
    let mut request = Request::new("GET", url);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let answer = world().send(&request);
    (answer.status, serde_json::from_str(&answer.text).unwrap())
}

const METADATA_HEADER: Option<(&str, &str)> = Some(("Metadata", "true"));
const APP_HEADER: Option<(&str, &str)> = Some(("x-identity-header", "sim-identity"));
const RESOURCE: &str = "resource=https%3A%2F%2Fmanage.office.com";

#[test]
fn each_service_answers_in_its_own_form() {
    let (status, token) =
        ask(&format!("{METADATA}?api-version=2018-02-01&{RESOURCE}"), METADATA_HEADER);
    assert_eq!(status, 200);
    assert_eq!(token["expires_in"], "3599");
    assert_eq!(token["expires_on"], (NOW_MS / 1_000 + 3_599).to_string());
    let (status, token) =
        ask(&format!("{APP_SERVICE}?api-version=2019-08-01&{RESOURCE}"), APP_HEADER);
    assert_eq!(status, 200);
    assert_eq!(token["expires_in"], Value::Null);
    assert_eq!(token["expires_on"], (NOW_MS / 1_000 + 3_599).to_string());
    assert_eq!(token["client_id"], Guid(0x10).to_string());
}

#[test]
fn identities_are_chosen_by_the_names_of_each_service() {
    let id = Guid(0x20);
    let object = Guid(0x21);
    for (url, version, header, choice) in [
        (METADATA, "2018-02-01", METADATA_HEADER, format!("client_id={id}")),
        (METADATA, "2018-02-01", METADATA_HEADER, format!("object_id={object}")),
        (METADATA, "2018-02-01", METADATA_HEADER, "msi_res_id=/subscriptions/32".into()),
        (APP_SERVICE, "2019-08-01", APP_HEADER, format!("principal_id={object}")),
        (APP_SERVICE, "2019-08-01", APP_HEADER, "mi_res_id=/subscriptions/32".into()),
    ] {
        let (status, token) =
            ask(&format!("{url}?api-version={version}&{RESOURCE}&{choice}"), header);
        assert_eq!(status, 200, "{choice}: {token}");
        let claims = token["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
        use base64::Engine;
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["appid"], id.to_string(), "{choice}");
    }
}

#[test]
fn every_mistake_has_its_error() {
    let check = |url: &str, query: &str, header, status: u16, error: &str| {
        let (given, answer) = ask(&format!("{url}?{query}"), header);
        assert_eq!(given, status, "{answer}");
        assert!(answer.to_string().contains(error), "{answer}");
    };
    let good = format!("api-version=2018-02-01&{RESOURCE}");
    check(METADATA, &good, None, 400, "bad_request_102");
    check(METADATA, &good, Some(("Metadata", "yes")), 400, "bad_request_102");
    check(METADATA, RESOURCE, METADATA_HEADER, 400, "api-version");
    check(METADATA, "api-version=2018-02-01", METADATA_HEADER, 400, "resource");
    let unknown = "api-version=2018-02-01&resource=https://elsewhere";
    check(METADATA, unknown, METADATA_HEADER, 400, "invalid_resource");
    let nobody = format!("{good}&client_id=nobody");
    check(METADATA, &nobody, METADATA_HEADER, 400, "Identity not found");
    let good = format!("api-version=2019-08-01&{RESOURCE}");
    check(APP_SERVICE, &good, None, 401, "X-IDENTITY-HEADER");
    check(APP_SERVICE, &good, Some(("x-identity-header", "x")), 401, "X-IDENTITY-HEADER");
    check(APP_SERVICE, &good, METADATA_HEADER, 401, "X-IDENTITY-HEADER");
}
