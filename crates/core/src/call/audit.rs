//! The operations of the Management Activity API: what each asks for, and what a blob brings.

use crate::audit::expand::Expanded;
use crate::audit::wire;
use crate::base::secret::Secret;
use crate::base::time::Utc;
use crate::call::Caller;
use crate::call::calls::Call;
use crate::call::reply::Reply;
use crate::call::task::Ask;
use crate::contract::batch::ContentRef;
use crate::contract::feed::{ContentType, Feed};
use crate::contract::request::{Operation, Request};

impl Caller {
    /// The next request of a call of this API.
    pub(super) fn audit_request(&self, call: &Call, ask: &Ask, bearer: &Secret<String>) -> Request {
        let config = self.config.audit();
        match (call, ask) {
            (_, Ask::Page(address)) => wire::follow(config, call.operation(), address, bearer),
            (Call::ListNotifications { content_type, .. }, Ask::Window(window)) => {
                wire::list_notifications(config, *content_type, *window, bearer)
            }
            (Call::ListContent { content_type, .. }, Ask::Window(window)) => {
                wire::list_content(config, *content_type, *window, bearer)
            }
            (Call::StartSubscription { content_type, webhook }, _) => {
                wire::start_subscription(config, *content_type, webhook.as_ref(), bearer)
            }
            (Call::StopSubscription { content_type }, _) => {
                wire::stop_subscription(config, *content_type, bearer)
            }
            (Call::GetBlob(address), _) => {
                wire::follow(config, Operation::GetBlob, address.uri(), bearer)
            }
            (Call::ListDlpTypes { language }, _) => {
                wire::list_dlp_types(config, language.as_deref(), bearer)
            }
            // What has windows is planned in windows; a sign-in asks nothing; what is of the
            // other API goes there.
            (
                Call::ListSubscriptions
                | Call::SignIn
                | Call::SignInToActivities
                | Call::ListActivities { .. }
                | Call::GetActivity(_)
                | Call::SendFeedback { .. }
                | Call::ListContent { .. }
                | Call::ListNotifications { .. },
                _,
            ) => wire::list_subscriptions(config, bearer),
        }
    }

    /// Hands records of a blob over.
    pub(super) fn emit(&mut self, expanded: Expanded) {
        let Some(task) = &mut self.task else { return };
        let Call::GetBlob(address) = &task.call else { return };
        task.progress = expanded.progress;
        if let Reply::Expanded { records, dropped, .. } = &mut task.reply {
            *records += expanded.records.len() as u64;
            *dropped += expanded.oversized;
        }
        if expanded.records.is_empty() {
            return;
        }
        // It gets ahead: what failed before does not count any more.
        task.failures = 0;
        let epoch = Utc::from_millis(0);
        let content = ContentRef {
            feed: Feed::Audit(address.content_type().unwrap_or(ContentType::AuditGeneral)),
            id: address.content_id().into(),
            uri: address.uri().into(),
            // No listing said so.
            created: epoch,
            expiration: epoch,
        };
        self.hand_over(expanded.records, expanded.bytes, content);
    }
}
