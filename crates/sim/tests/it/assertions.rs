//! What stands in for a secret: assertions that a certificate's key signs, and tokens of another
//! issuer. Who gets a token, and the error of each mistake.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use m365_sim::{Credential, Issued, Request, Rule, SimConfig, TenantConfig, issue_certificate};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use serde_json::{Value, json};

use crate::world::{HOUR_MS, NOW_MS, World, config};

const NAME: &str = "b2e0c1de-9f1b-4c3a-8f11-0123456789ab";

/// A certificate that is registered, one that has ended, and one that nobody knows.
fn certificates() -> &'static [Issued; 3] {
    static ISSUED: OnceLock<[Issued; 3]> = OnceLock::new();
    ISSUED.get_or_init(|| {
        let issue =
            |seed, until_ms| issue_certificate(seed, "collector", NOW_MS - 10 * HOUR_MS, until_ms);
        [issue(1, NOW_MS + HOUR_MS), issue(2, NOW_MS - HOUR_MS), issue(3, NOW_MS + HOUR_MS)]
    })
}

fn federated() -> Credential {
    Credential::Federated {
        issuer: "https://oidc.example/cluster".into(),
        subject: "system:serviceaccount:audit:collector".into(),
        audience: "api://AzureADTokenExchange".into(),
        key: 7,
    }
}

fn world() -> World {
    let mut tenant = TenantConfig::seeded(1, 0);
    let [known, ended, _] = certificates();
    let register =
        |issued: &Issued| Credential::Certificate { pem: issued.certificate_pem.clone() };
    tenant.apps[0].credentials.extend([register(known), register(ended), federated()]);
    World::new(SimConfig { tenants: vec![tenant], ..config(1) })
}

/// An assertion in the making.
struct Draft {
    url: String,
    header: Value,
    claims: Value,
    signer: &'static Issued,
    encoding: &'static dyn RsaEncoding,
    form: &'static str,
}

/// The bytes of the first PEM block.
fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).unwrap()
}

fn thumbprint(issued: &Issued, algorithm: &'static ring::digest::Algorithm) -> String {
    URL_SAFE_NO_PAD.encode(ring::digest::digest(algorithm, &der(&issued.certificate_pem)))
}

/// A correct one for v2, PS256.
fn draft(world: &World) -> Draft {
    let (tenant, app) = (world.tenant.id, world.tenant.apps[0].client_id);
    let url = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token");
    let now = NOW_MS / 1_000;
    let signer = &certificates()[0];
    Draft {
        header: json!({"alg": "PS256", "typ": "JWT",
            "x5t#S256": thumbprint(signer, &ring::digest::SHA256)}),
        claims: json!({"aud": url, "iss": app, "sub": app, "jti": NAME, "nbf": now - 60,
            "exp": now + 540}),
        url,
        signer,
        encoding: &RSA_PSS_SHA256,
        form: "scope=https://manage.office.com/.default",
    }
}

fn present(world: &mut World, url: &str, form: &str, assertion: &str) -> Value {
    let app = world.tenant.apps[0].client_id;
    let form = format!(
        "grant_type=client_credentials&client_id={app}&{form}&client_assertion={assertion}\
         &client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    let answer = world.send(&Request::new("POST", url).body(form));
    serde_json::from_str(&answer.text).unwrap()
}

fn sign_in(world: &mut World, draft: &Draft) -> Value {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&draft.header), encode(&draft.claims));
    let key = RsaKeyPair::from_pkcs8(&der(&draft.signer.key_pem)).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(draft.encoding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    let assertion = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    present(world, &draft.url, draft.form, &assertion)
}

#[test]
fn both_forms_and_both_endpoints_are_taken() {
    let mut world = world();
    let draft_v2 = draft(&world);
    assert!(sign_in(&mut world, &draft_v2)["access_token"].is_string());

    let mut draft_v1 = draft(&world);
    draft_v1.url = draft_v1.url.replace("/v2.0", "");
    draft_v1.claims["aud"] = draft_v1.url.clone().into();
    draft_v1.claims["jti"] = "b2e0c1de-9f1b-4c3a-8f11-0123456789ac".into();
    draft_v1.form = "resource=https://manage.office.com";
    let x5t = thumbprint(draft_v1.signer, &ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    draft_v1.header = json!({"alg": "RS256", "typ": "JWT", "x5t": x5t});
    draft_v1.encoding = &RSA_PKCS1_SHA256;
    let answer = sign_in(&mut world, &draft_v1);
    let claims = answer["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["appidacr"], "2");
    assert!(world.microsoft.report().is_legal());
}

#[test]
fn every_mistake_in_an_assertion_has_its_error() {
    let check = |code: u32, text: &str, change: fn(&mut Draft)| {
        let mut world = world();
        let mut draft = draft(&world);
        change(&mut draft);
        let answer = sign_in(&mut world, &draft);
        assert_eq!(answer["error_codes"][0], code, "{answer}");
        let description = answer["error_description"].as_str().unwrap();
        assert!(description.contains(text), "{description}");
    };
    let s256 = |issued| thumbprint(issued, &ring::digest::SHA256);
    check(50_027, "neither PS256", |draft| draft.header["alg"] = "HS256".into());
    check(50_027, "not JWT", |draft| draft.header["typ"] = "at+jwt".into());
    check(50_027, "names no certificate", |draft| {
        draft.header = json!({"alg": "PS256", "typ": "JWT", "x5t": "x"});
    });
    check(700_027, "The key was not found", |draft| {
        draft.header["x5t#S256"] = thumbprint(&certificates()[2], &ring::digest::SHA256).into();
    });
    check(700_027, "The key used is expired", |draft| {
        draft.signer = &certificates()[1];
        draft.header["x5t#S256"] = thumbprint(draft.signer, &ring::digest::SHA256).into();
    });
    check(700_027, "signature value did not match", |draft| draft.signer = &certificates()[2]);
    check(700_027, "signature value did not match", |draft| draft.encoding = &RSA_PKCS1_SHA256);
    check(700_021, "application identifier", |draft| draft.claims["sub"] = "x".into());
    check(700_021, "application identifier", |draft| draft.claims["iss"] = "x".into());
    check(50_027, "audience", |draft| {
        draft.claims["aud"] = draft.url.replace("/v2.0", "").into();
    });
    check(50_027, "A time is missing", |draft| draft.claims["exp"] = Value::Null);
    check(700_024, "Current time", |draft| draft.claims["exp"] = (NOW_MS / 1_000 - 300).into());
    check(700_024, "Current time", |draft| draft.claims["nbf"] = (NOW_MS / 1_000 + 301).into());
    assert_ne!(s256(&certificates()[0]), s256(&certificates()[1]));
}

#[test]
fn assertions_that_live_long_or_come_again_are_recorded() {
    let mut world = world();
    let draft = draft(&world);
    sign_in(&mut world, &draft);
    assert!(world.microsoft.report().is_legal());
    assert!(sign_in(&mut world, &draft)["access_token"].is_string());
    assert_eq!(world.microsoft.report().illegal_by_rule[&Rule::BadAssertion], 1);

    let mut world = self::world();
    let mut long = self::draft(&world);
    long.claims["exp"] = (NOW_MS / 1_000 + 3_600).into();
    long.claims["jti"] = "one".into();
    assert!(sign_in(&mut world, &long)["access_token"].is_string());
    assert_eq!(world.microsoft.report().illegal_by_rule[&Rule::BadAssertion], 2);
}

#[test]
fn a_federated_token_is_compared_with_what_the_application_trusts() {
    let check = |code: Option<u32>, change: fn(&mut Credential), life_s: u32, wait_ms: i64| {
        let mut world = world();
        let mut app = world.tenant.apps[0].clone();
        app.credentials = vec![federated()];
        change(&mut app.credentials[0]);
        let token = world.microsoft.federated_token(&app, life_s).unwrap();
        world.wait(wait_ms);
        let Draft { url, form, .. } = draft(&world);
        let answer = present(&mut world, &url, form, &token);
        match code {
            None => assert!(answer["access_token"].is_string(), "{answer}"),
            Some(code) => assert_eq!(answer["error_codes"][0], code, "{answer}"),
        }
    };
    fn set(credential: &mut Credential, wrong: &str) {
        let Credential::Federated { issuer, subject, audience, key } = credential else {
            unreachable!("it is federated")
        };
        match wrong {
            "issuer" => *issuer = wrong.into(),
            "subject" => *subject = wrong.into(),
            "audience" => *audience = wrong.into(),
            _ => *key += 1,
        }
    }
    check(None, |_| {}, 3_600, 0);
    check(Some(700_211), |credential| set(credential, "issuer"), 3_600, 0);
    check(Some(700_213), |credential| set(credential, "subject"), 3_600, 0);
    check(Some(700_212), |credential| set(credential, "audience"), 3_600, 0);
    check(Some(50_027), |credential| set(credential, "key"), 3_600, 0);
    check(Some(700_024), |_| {}, 3_600, 2 * HOUR_MS);
}
