//! The operations of the Management Activity API: what each asks for.

use crate::audit::wire;
use crate::base::secret::Secret;
use crate::call::Caller;
use crate::call::calls::Call;
use crate::call::task::Ask;
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
                | Call::SignInToPortal
                | Call::ListActivities { .. }
                | Call::GetActivity(_)
                | Call::SendFeedback { .. }
                | Call::ListContent { .. }
                | Call::ListNotifications { .. },
                _,
            ) => wire::list_subscriptions(config, bearer),
        }
    }
}
