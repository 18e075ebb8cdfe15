//! The history of notifications.

use crate::answer::{Answer, quoted};
use crate::config::Texts;
use crate::service::{Call, Microsoft};
use crate::time::{self, Stamp};

impl Microsoft {
    pub(super) fn notifications(&mut self, call: &Call<'_>) -> Answer {
        match self.try_notifications(call) {
            Ok(answer) | Err(answer) => answer,
        }
    }

    fn try_notifications(&mut self, call: &Call<'_>) -> Result<Answer, Answer> {
        let content_type = self.content_type(call)?;
        let (window, after) = self.window_and_page(call)?;
        self.check_enabled(call, content_type)?;
        let limit = self.config.page_size.max(1) as usize;
        let status = match self.config.rules.texts {
            Texts::Wire => "Succeeded",
            Texts::Documented => "success",
        };
        // Attempts are numbered within the history; a page token carries the number.
        let skip = after.map_or(0, |after| after.sub as usize);
        let Some(subscription) = self.subscription(call, content_type) else {
            return Ok(Answer::json(200, "[]".to_owned()));
        };
        let within = |ms: i64| (window.start_ms..window.end_ms).contains(&ms);
        let attempts: Vec<String> = subscription
            .history
            .iter()
            .filter(|attempt| within(attempt.descriptor.created_ms))
            .map(|attempt| {
                let mut json = "{".to_owned();
                attempt.descriptor.push_json(content_type, &mut json);
                json.push_str(",\"notificationSent\":\"");
                time::push_millis_z(attempt.sent_ms, &mut json);
                json.push_str("\",\"notificationStatus\":");
                json.push_str(&quoted(if attempt.success { status } else { "Failed" }));
                json.push('}');
                json
            })
            .collect();
        let page = attempts.get(skip..).unwrap_or_default();
        let more = page.len() > limit;
        let next = more.then(|| {
            let sub = u32::try_from(skip + limit).expect("the history is bounded");
            Stamp { ms: window.start_ms, sub }
        });
        let page = page[..page.len().min(limit)].join(",");
        let answer = Answer::json(200, format!("[{page}]"));
        Ok(self.with_next(answer, call, content_type, window, next))
    }
}
