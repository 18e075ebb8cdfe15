//! Answers before they travel: status, body, and the errors of the two services with their exact
//! texts. Decides nothing.

use crate::body::Body;
use crate::config::Texts;
use crate::guid::Guid;
use crate::http::Header;

/// An answer of a service.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Body,
    /// The error code, for the report.
    pub(crate) code: Option<String>,
}

const JSON: &str = "application/json; charset=utf-8";

impl Answer {
    pub(crate) fn json(status: u16, body: String) -> Self {
        Self {
            status,
            content_type: Some(JSON),
            headers: Vec::new(),
            body: Body::bytes(body.into_bytes()),
            code: None,
        }
    }

    pub(crate) fn text(status: u16, content_type: &'static str, body: &str) -> Self {
        Self { content_type: Some(content_type), ..Self::json(status, body.to_owned()) }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { content_type: None, ..Self::json(status, String::new()) }
    }

    /// The body of a blob.
    pub(crate) fn blob(body: Body) -> Self {
        Self { body, ..Self::json(200, String::new()) }
    }

    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn with_code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }
}

/// A JSON string, quotes included.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An error of the Management Activity API.
pub(crate) fn af(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(r#"{{"error":{{"code":{},"message":{}}}}}"#, quoted(code), quoted(message));
    Answer::json(status, body).with_code(code)
}

/// A token that opens nothing.
pub(crate) fn denied() -> Answer {
    let body = r#"{"Message":"Authorization has been denied for this request."}"#;
    Answer::json(401, body.to_owned())
}

pub(crate) fn missing_permission(texts: Texts, roles: &[String]) -> Answer {
    let roles = roles.join(" ");
    let message = match texts {
        Texts::Wire => format!(
            "The permission set ({roles}) sent in the request does not include the expected \
             permission."
        ),
        Texts::Documented => format!(
            "The permission set ({roles}) sent in the request did not include the expected \
             permission ActivityFeed.Read."
        ),
    };
    af(401, "AF10001", &message)
}

pub(crate) fn throttled(status: u16, method: &str, publisher: Guid) -> Answer {
    let message = format!("Too many requests. Method={method}, PublisherId={publisher}");
    af(status, "AF429", &message)
}

pub(crate) fn disabled(texts: Texts) -> Answer {
    let message = match texts {
        Texts::Wire => "The subscription was disabled.",
        Texts::Documented => "The subscription was disabled by a tenant admin.",
    };
    af(400, "AF20023", message)
}

pub(crate) fn invalid_blob(texts: Texts, id: &str) -> Answer {
    let message = match texts {
        Texts::Wire => format!("Blob key {id} in the url is invalid"),
        Texts::Documented => format!("Content ID {id} in the URL is invalid."),
    };
    af(400, "AF20052", &message)
}

pub(crate) fn expired_blob(status: u16, id: &str) -> Answer {
    let message = format!(
        "Content requested with the key {id} has already expired. Content older than 7 days \
         cannot be retrieved."
    );
    af(status, "AF20051", &message)
}

pub(crate) fn unknown_blob(id: &str) -> Answer {
    af(404, "AF20050", &format!("The specified content ({id}) does not exist."))
}

pub(crate) fn missing_parameter(name: &str) -> Answer {
    af(400, "AF20001", &format!("Missing parameter: {name}."))
}

pub(crate) fn bad_parameter(name: &str, expected: &str) -> Answer {
    let message = format!("Invalid parameter type: {name}. Expected type: {expected}");
    af(400, "AF20002", &message)
}

/// Auditing is off: the service formats its own log line into the error and cuts it in two.
pub(crate) fn audit_off(tenant: Guid, app: Guid, publisher: Guid, content_type: &str) -> Answer {
    let correlation = Guid(tenant.0.rotate_left(17) ^ app.0);
    let code = format!(
        "StartSubscription [CorrId={correlation}][TenantId={tenant},ContentType={content_type},\
         ApplicationId={app},PublisherId={publisher}][AppId"
    );
    let message = format!(
        "{app} failed. Exception: Microsoft.Office.Compliance.Audit.DataServiceException: Tenant \
         {tenant} does not exist.\r\n   at Microsoft.Office.Compliance.Audit.API.AzureManager\
         .<GetSubscriptionTableClientForTenantAsync>d__50.MoveNext()"
    );
    let mut answer = af(400, &code, &message);
    answer.code = Some("StartSubscription".to_owned());
    answer
}
