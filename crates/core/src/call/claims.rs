//! What a token says about itself. For people: whether it is good, the API decides.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::access::{Access, Authorization};
use crate::base::time::Utc;

/// The claims of an access token, as far as they explain a refusal. Holds nothing secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// `aud`: the resource that it is for.
    pub audience: Option<String>,
    /// `iss`: who issued it.
    pub issuer: Option<String>,
    /// `tid`: the tenant.
    pub tenant_id: Option<String>,
    /// `appid`, or `azp` in tokens of version 2: the application.
    pub app_id: Option<String>,
    /// `appidacr`: how the application proved itself: 1 by a secret, 2 by a certificate.
    pub proof: Option<String>,
    /// `roles`: application permissions that an administrator has consented to.
    pub roles: Vec<String>,
    /// `exp`: when it ends.
    pub expires: Option<Utc>,
}

impl Claims {
    /// What the token says about itself that is sent now.
    pub(super) fn of(access: &Access) -> Option<Self> {
        match access.authorization(Duration::ZERO)?.0 {
            Authorization::Bearer(token) => Self::read(token.expose()),
            Authorization::Given(_) => None,
        }
    }

    /// Reads a JWT without looking at its signature. `None` if it is none: Microsoft does not
    /// promise that tokens can be read.
    #[must_use]
    pub fn read(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        let value: Value = serde_json::from_slice(&payload).ok()?;
        let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        let words = value.get("roles").and_then(Value::as_array).into_iter().flatten();
        let seconds = value.get("exp").and_then(Value::as_i64);
        Some(Self {
            audience: text("aud"),
            issuer: text("iss"),
            tenant_id: text("tid"),
            app_id: text("appid").or_else(|| text("azp")),
            proof: text("appidacr").or_else(|| text("azpacr")),
            roles: words.filter_map(Value::as_str).map(str::to_owned).collect(),
            expires: seconds.and_then(|s| s.checked_mul(1_000)).map(Utc::from_millis),
        })
    }

    /// Whether it carries an application permission.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|known| known.eq_ignore_ascii_case(role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_and_what_is_no_token_is_not() {
        let payload = URL_SAFE_NO_PAD.encode(
            br#"{"aud":"https://manage.office.com","tid":"t","appid":"a","appidacr":"1",
                "roles":["ActivityFeed.Read",7],"exp":1500000000}"#,
        );
        let claims = Claims::read(&format!("e30.{payload}.sig")).unwrap();
        assert_eq!(claims.audience.as_deref(), Some("https://manage.office.com"));
        assert!(claims.has_role("activityfeed.read") && !claims.has_role("ActivityFeed.ReadDlp"));
        assert_eq!(claims.expires, Some(Utc::from_millis(1_500_000_000_000)));
        for opaque in ["", "opaque", "a.b.c", "a.!!.c", "a.W10.c"] {
            assert_eq!(Claims::read(opaque).unwrap_or_default(), Claims::default(), "{opaque}");
        }
    }
}
