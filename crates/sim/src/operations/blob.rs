//! Retrieval of a blob, and the faults that belong to one.

use std::sync::Arc;

use crate::answer::{self, Answer, af};
use crate::blob::{self, Blob, BlobStream, Form, PHANTOM_SUB_MIN};
use crate::body::Body;
use crate::config::Texts;
use crate::draw;
use crate::faults::Fault;
use crate::report::Rule;
use crate::service::{Call, Microsoft};
use crate::tenant::Tenant;

impl Microsoft {
    pub(super) fn blob(&mut self, call: &Call<'_>, id: &str) -> Answer {
        match self.try_blob(call, id) {
            Ok(answer) | Err(answer) => answer,
        }
    }

    fn try_blob(&mut self, call: &Call<'_>, id: &str) -> Result<Answer, Answer> {
        let texts = self.config.rules.texts;
        let expired_status = self.config.rules.expired_status;
        let Some(parsed) = blob::parse_id(id) else {
            let why = "an id that was never given";
            self.illegal(call.now_ms, call.request, Rule::UnknownAddress, why);
            return Err(answer::invalid_blob(texts, id));
        };
        self.permit(call, parsed.content_type)?;
        self.check_enabled(call, parsed.content_type)?;
        if parsed.created.sub >= PHANTOM_SUB_MIN {
            return Err(answer::expired_blob(expired_status, id));
        }
        let at = parsed.content_type.index();
        let found = self.tenants[call.tenant].feeds[at].find(parsed.created).cloned();
        let found = found
            .filter(|blob| blob.content_id() == parsed.plain && blob.available_ms <= call.now_ms);
        let Some(blob) = found else {
            let elsewhere = |tenant: &Tenant| {
                let known = tenant.feeds[at].find(parsed.created);
                known.is_some_and(|blob| blob.content_id() == parsed.plain)
            };
            if self.tenants.iter().any(elsewhere) {
                return Err(answer::invalid_blob(texts, id));
            }
            return Err(answer::unknown_blob(id));
        };
        if blob.expires_ms <= call.now_ms {
            return Err(answer::expired_blob(expired_status, id));
        }
        self.blob_fault(call.now_ms, &blob, id, texts)?;
        let recipe = Arc::clone(&self.tenants[call.tenant].recipe);
        let order = blob.order;
        let stream = BlobStream::new(recipe, blob);
        // A large one is made as it is read, and nobody has its bytes to damage them.
        if stream.is_small() && self.faults.hit(Fault::CutBlob, order, call.now_ms) {
            return Ok(Answer::blob(Body::bytes(stream.cut())));
        }
        if stream.is_small() && self.faults.hit(Fault::UnescapedBlob, order, call.now_ms) {
            return Ok(Answer::blob(Body::bytes(stream.unescaped())));
        }
        Ok(Answer::blob(Body::blob(stream)))
    }

    /// Faults of a blob: by request, and poison, which belongs to the blob.
    fn blob_fault(
        &mut self,
        now_ms: i64,
        blob: &Blob,
        id: &str,
        texts: Texts,
    ) -> Result<(), Answer> {
        if self.fault(Fault::BlobNotFound) {
            return Err(answer::unknown_blob(id));
        }
        if self.fault(Fault::BlobExpired) {
            return Err(answer::expired_blob([404, 400][self.pick(2)], id));
        }
        if self.fault(Fault::BlobInvalid) {
            return Err(answer::invalid_blob(texts, id));
        }
        let hollow_seconds = self.faults.plan.hollow_seconds;
        if self.faults.is_within(hollow_seconds, blob.available_ms, now_ms)
            && self.faults.hit(Fault::HollowBlob, blob.order, now_ms)
        {
            let body = if blob.order.is_multiple_of(2) { "[]" } else { "null" };
            return Err(Answer::json(200, body.to_owned()));
        }
        let for_ever = self.faults.hit(Fault::PoisonBlobForever, blob.order, now_ms);
        let poisoned = for_ever || self.faults.hit(Fault::PoisonBlob, blob.order, now_ms);
        if !poisoned {
            return Ok(());
        }
        let failed = self.poison.entry(blob.order).or_default();
        if !for_ever && *failed >= self.faults.plan.poison_times {
            return Ok(());
        }
        *failed += 1;
        Err(match (draw::mix(blob.order, 0x901) + u64::from(*failed)) % 5 {
            0 => af(500, "AF50000", "An internal error occurred.  Retry the request."),
            1 => Answer::text(200, "text/html", "<html>maintenance</html>"),
            2 => Answer::json(200, r#"[{"Id":"cut","#.to_owned()),
            3 if blob.form == Form::Array => Answer::json(404, "null".to_owned()),
            _ => af(200, "AF50000", "An internal error occurred. Retry the request."),
        })
    }
}
