//! Looks at the status of a collector that is at work elsewhere: asks its `status_listen`.

use std::time::Duration;

use m365_audit_core::RawOptions;
use reqwest::{Client, Url};
use tokio::time::timeout;

use crate::http::direct_client;
use crate::runtime::Runtime;
use crate::settings::NativeOptions;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest answer that is read: that of many thousands of tenants.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Asks one collector, again and again.
#[derive(Debug)]
pub struct StatusLook {
    client: Client,
    runtime: Runtime,
    base: Url,
}

impl StatusLook {
    /// Prepares to ask at `place`: a URL, or what `status_listen` says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(place: &str) -> Result<Self, String> {
        let text = match place.trim() {
            port if port.parse::<u16>().is_ok() => format!("http://127.0.0.1:{port}/"),
            text if text.starts_with(':') => format!("http://127.0.0.1{text}/"),
            text if text.contains("://") => text.to_owned(),
            text => format!("http://{text}/"),
        };
        let base = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.ok_or_else(|| {
            format!("{place}: no address; write it like http://127.0.0.1:9477, or 9477")
        })?;
        let options = NativeOptions::parse(&RawOptions::new())
            .map_err(|_| "the defaults of the options are wrong".to_owned())?;
        let client = direct_client(&options).map_err(|error| error.to_string())?;
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        Ok(Self { client, runtime, base })
    }

    /// What `/status` says to this query.
    ///
    /// # Errors
    /// There is no such answer, in a line.
    pub fn ask(&self, query: &[(&str, &str)]) -> Result<Vec<u8>, String> {
        let mut url = self.base.join("/status").map_err(|error| error.to_string())?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let asked = async {
            let mut answer = self.client.get(url).send().await.map_err(|_| "no answer")?;
            if !answer.status().is_success() {
                return Err(format!("HTTP {}", answer.status().as_u16()));
            }
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(|_| "the answer broke off")? {
                if ANSWER_BYTES_MAX < body.len() + chunk.len() {
                    return Err("an answer that is too large".into());
                }
                body.extend_from_slice(&chunk);
            }
            Ok(body)
        };
        let answered = self.runtime.block_on(async { timeout(PATIENCE, asked).await });
        answered
            .unwrap_or_else(|_| Err(format!("no answer for {} s", PATIENCE.as_secs())))
            .map_err(|problem| format!("{}: {problem}", self.base))
    }
}
