//! The settings of this source, and their reading. What the options are called and what they
//! take stands in the table of options.

use std::time::Duration;

use super::filter::Filters;
use crate::base::origin::Origin;
use crate::base::secret::Secret;
use crate::options::{ConfigError, Reader};

/// What has to be known to collect activities.
#[derive(Clone, Debug)]
pub(crate) struct ActivitiesConfig {
    pub url: Origin,
    /// A token that the portal made; `None`: tokens of Entra ID.
    pub token: Option<Secret<String>>,
    pub resource: Box<str>,
    pub lookback: Duration,
    pub filters: Filters,
    pub interval: Duration,
    pub requests_per_minute: u32,
}

/// Options that are about activities alone and may not be set without them.
pub(crate) const ACTIVITIES_OPTIONS: [&str; 6] = [
    "portal_url",
    "portal_token",
    "portal_resource",
    "activities_lookback",
    "activities_filter",
    "activities_requests_per_minute",
];

impl ActivitiesConfig {
    /// Reads the options of this source, whether it is collected or not: a mistake in one is told
    /// in any case. `None` if it is not, or if they do not do.
    pub(crate) fn read(
        reader: &mut Reader<'_>,
        interval: Duration,
        collected: bool,
    ) -> Option<Self> {
        let url = read_url(reader, collected);
        let filters = read_filters(reader);
        let token = reader.optional("portal_token").map(Secret::new);
        let resource = reader.text_or_default("portal_resource").into();
        let lookback = reader.duration("activities_lookback");
        let requests = reader.number("activities_requests_per_minute");
        collected.then_some(())?;
        Some(Self {
            url: url?,
            token,
            resource,
            lookback,
            filters: filters?,
            interval,
            requests_per_minute: u32::try_from(requests).unwrap_or(u32::MAX),
        })
    }
}

fn read_url(reader: &mut Reader<'_>, required: bool) -> Option<Origin> {
    const REMEDY: &str = "write https://TENANT.REGION.portal.cloudappsecurity.com; the Defender \
                          portal shows it under Settings, Cloud apps, About, API URL";
    let Some(text) = reader.optional("portal_url") else {
        if required {
            let problem = "required for cloud_app_activities, and missing";
            reader.report(ConfigError::new("portal_url", None, problem, REMEDY));
        }
        return None;
    };
    match Origin::parse(&text) {
        Ok(url) => Some(url),
        Err(problem) => {
            let problem = problem.to_string();
            reader.report(ConfigError::new("portal_url", Some(&text), &problem, REMEDY));
            None
        }
    }
}

fn read_filters(reader: &mut Reader<'_>) -> Option<Filters> {
    let text = reader.optional("activities_filter").unwrap_or_default();
    let mut refuse = |problem: &str, remedy: &str| {
        reader.report(ConfigError::new("activities_filter", None, problem, remedy));
        None
    };
    match Filters::parse(&text) {
        // The collector itself pages by it.
        Ok(filters) if filters.names("created") => {
            refuse("created is set by the collector", "leave it out, and set activities_lookback")
        }
        Ok(filters) => Some(filters),
        Err(errors) => {
            for error in errors {
                refuse(&error.problem, &error.remedy);
            }
            None
        }
    }
}
