//! The seven operations of the Management Activity API, for calls whose token is good. Here is
//! what several of them share; each has a module.

mod blob;
mod content;
mod dlp_types;
mod notifications;
mod subscribe;

use crate::answer::{self, Answer, af};
use crate::content_type::ContentType;
use crate::faults::Fault;
use crate::report::Rule;
use crate::route::Operation;
use crate::service::{Call, Microsoft};
use crate::subscriptions::{State, Subscription};

impl Microsoft {
    pub(crate) fn operate(&mut self, call: &Call<'_>) -> Answer {
        match &call.operation {
            Operation::Start => self.start(call),
            Operation::Stop => self.stop(call),
            Operation::List => self.list(call),
            Operation::Content => self.content(call),
            Operation::Notifications => self.notifications(call),
            Operation::DlpTypes => dlp_types::dlp_types(call),
            Operation::Blob(id) => self.blob(call, id),
        }
    }

    /// The content type of a call, with the permission it needs.
    fn content_type(&mut self, call: &Call<'_>) -> Result<ContentType, Answer> {
        let Some(text) = call.query.get("contentType") else {
            let why = "no contentType";
            self.illegal(call.now_ms, call.request, Rule::BadContentType, why);
            return Err(answer::missing_parameter("contentType"));
        };
        let Some(content_type) = ContentType::parse(text) else {
            let why = format!("contentType is {text:?}");
            self.illegal(call.now_ms, call.request, Rule::BadContentType, &why);
            return Err(af(400, "AF20020", "The specified content type is not valid."));
        };
        self.permit(call, content_type)?;
        Ok(content_type)
    }

    fn permit(&mut self, call: &Call<'_>, content_type: ContentType) -> Result<(), Answer> {
        if content_type != ContentType::Dlp {
            return Ok(());
        }
        let allowed = call.roles.iter().any(|role| role == "ActivityFeed.ReadDlp");
        if !allowed || self.fault(Fault::DlpForbidden) {
            return Err(answer::missing_permission(self.config.rules.texts, &call.roles));
        }
        if self.fault(Fault::DlpUnauthorized) {
            return Err(answer::denied());
        }
        if self.fault(Fault::DlpUnexplained) {
            let page =
                "<html><head><title>403 Forbidden</title></head><body>Forbidden</body></html>";
            return Err(Answer::text(403, "text/html", page));
        }
        Ok(())
    }

    fn subscription(
        &mut self,
        call: &Call<'_>,
        content_type: ContentType,
    ) -> Option<&mut Subscription> {
        self.tenants[call.tenant].subscriptions.get_mut(&(call.app, content_type))
    }

    /// Refuses content of a subscription that is not enabled; draws the faults that disable it.
    fn check_enabled(&mut self, call: &Call<'_>, content_type: ContentType) -> Result<(), Answer> {
        let taken = if self.fault(Fault::SubscriptionVanished) {
            Some(State::Vanished)
        } else if self.fault(Fault::SubscriptionDisabled) {
            Some(State::Disabled)
        } else {
            None
        };
        let texts = self.config.rules.texts;
        let none = || af(400, "AF20022", "No subscription found for the specified content type.");
        let Some(subscription) = self.subscription(call, content_type) else {
            return Err(none());
        };
        if let (Some(taken), State::Enabled) = (taken, subscription.state) {
            subscription.state = taken;
            subscription.excused = true;
        }
        match subscription.state {
            State::Enabled => Ok(()),
            State::Vanished => Err(none()),
            State::Stopped | State::Disabled => Err(answer::disabled(texts)),
        }
    }
}
