//! The seven operations of the Management Activity API, for calls whose token is good.

use fastrand::Rng;

use crate::answer::{self, Answer, af, quoted};
use crate::blob::{self, Blob, BlobStream, Form, PHANTOM_SUB_MIN};
use crate::body::Body;
use crate::config::{ListingOrder, PageUri, Texts};
use crate::content_type::ContentType;
use crate::draw;
use crate::faults::Fault;
use crate::listing::{self, NextPage, PageToken, Window};
use crate::report::Rule;
use crate::service::{Call, Microsoft, Operation};
use crate::subscriptions::{State, Subscription};
use crate::time::{DAY_MS, HOUR_MS, Stamp};
use crate::webhooks::{self, Descriptor, Webhook};

/// Next-page addresses remembered; beyond, tampering is no longer noticed.
const PAGES_MAX: usize = 1_000_000;

/// Sensitive information types: id, English name, Spanish name.
const SENSITIVE_TYPES: [(&str, &str, &str); 4] = [
    ("50842eb7-edc8-4019-85dd-5a5c1f2bb085", "CreditCardNumber", "Número de tarjeta de crédito"),
    ("0e9b3178-9678-47dd-a509-37222ca96b42", "EUDebitCardNumber", "Número de tarjeta de débito"),
    ("e55e2a32-f92d-4985-a35d-a0b269eb687b", "InternationalBankAccountNumber", "IBAN"),
    ("6da7404a-8966-4ef6-a6a2-ecb2bf5a4a4d", "Passport", "Pasaporte"),
];

/// A page of a listing.
struct Page {
    entries: Vec<Descriptor>,
    next: Option<Stamp>,
}

impl Microsoft {
    pub(crate) fn operate(&mut self, call: &Call<'_>) -> Answer {
        match &call.operation {
            Operation::Start => self.start(call),
            Operation::Stop => self.stop(call),
            Operation::List => self.list(call),
            Operation::Content => self.content(call),
            Operation::Notifications => self.notifications(call),
            Operation::DlpTypes => dlp_types(call),
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

    fn start(&mut self, call: &Call<'_>) -> Answer {
        match self.try_start(call) {
            Ok(answer) | Err(answer) => answer,
        }
    }

    fn try_start(&mut self, call: &Call<'_>) -> Result<Answer, Answer> {
        let content_type = self.content_type(call)?;
        if !self.tenants[call.tenant].auditing || self.fault(Fault::AuditOff) {
            let tenant = self.tenants[call.tenant].id;
            let name = content_type.name();
            return Err(answer::audit_off(tenant, call.app, call.publisher, name));
        }
        let webhook = self.read_webhook(call.request, call.now_ms)?;
        self.check_cooldown(call, content_type, webhook.as_ref())?;
        if self.fault(Fault::StartThrottled) {
            return Err(too_soon(14 * 60_000 + 56_000));
        }
        if let Some(webhook) = &webhook
            && !call.webhook.is_success()
        {
            return Err(webhooks::invalid(
                &webhook.address,
                "The endpoint did not return HTTP 200.",
            ));
        }
        let subscriptions = &mut self.tenants[call.tenant].subscriptions;
        let key = (call.app, content_type);
        let subscription =
            subscriptions.entry(key).or_insert_with(|| Subscription::started(call.now_ms));
        subscription.restart(call.now_ms);
        subscription.webhook = webhook;
        let json = subscription.json(content_type, call.now_ms);
        Ok(Answer::json(200, json.expect("a subscription that was started is shown")))
    }

    /// The 15 minutes between starts, and the refusal of a start that changes nothing.
    fn check_cooldown(
        &mut self,
        call: &Call<'_>,
        content_type: ContentType,
        webhook: Option<&Webhook>,
    ) -> Result<(), Answer> {
        let cooldown_ms = self.config.rules.start_cooldown_ms;
        let Some(known) = self.subscription(call, content_type) else {
            return Ok(());
        };
        let left_ms = known.cooldown_left(call.now_ms, cooldown_ms);
        let same = known.state == State::Enabled
            && match (&known.webhook, webhook) {
                (None, None) => true,
                (Some(old), Some(new)) => old.same_as(new, call.now_ms),
                _ => false,
            };
        let excused = known.excused;
        if same {
            let why = "the subscription is enabled and nothing changes";
            self.illegal(call.now_ms, call.request, Rule::StartNeedless, why);
        }
        if left_ms > 0 {
            if !excused {
                let why = format!("{left_ms} ms of the cool-down are left");
                self.illegal(call.now_ms, call.request, Rule::StartTooSoon, &why);
            }
            return Err(too_soon(left_ms));
        }
        if same {
            let message = "The subscription is already enabled. No property change.";
            return Err(af(400, "AF20024", message));
        }
        Ok(())
    }

    fn stop(&mut self, call: &Call<'_>) -> Answer {
        let content_type = match self.content_type(call) {
            Ok(content_type) => content_type,
            Err(answer) => return answer,
        };
        match self.subscription(call, content_type) {
            None => af(400, "AF20022", "No subscription found for the specified content type."),
            Some(subscription) => {
                subscription.stop(call.now_ms);
                Answer::empty(200)
            }
        }
    }

    fn list(&mut self, call: &Call<'_>) -> Answer {
        let entries: Vec<String> = ContentType::ALL
            .into_iter()
            .filter_map(|ct| self.subscription(call, ct)?.json(ct, call.now_ms))
            .collect();
        Answer::json(200, format!("[{}]", entries.join(",")))
    }

    fn content(&mut self, call: &Call<'_>) -> Answer {
        match self.try_content(call) {
            Ok(answer) | Err(answer) => answer,
        }
    }

    fn try_content(&mut self, call: &Call<'_>) -> Result<Answer, Answer> {
        let content_type = self.content_type(call)?;
        let (window, after) = self.window_and_page(call)?;
        self.check_enabled(call, content_type)?;
        if window.is_exactly_a_day() && self.fault(Fault::Exactly24h) {
            return Err(listing::exactly_a_day());
        }
        let page = self.page(call, content_type, window, after);
        let entries: Vec<String> =
            page.entries.iter().map(|entry| format!("{{{}}}", entry.json(content_type))).collect();
        let answer = Answer::json(200, format!("[{}]", entries.join(",")));
        Ok(self.with_next(answer, call, content_type, window, page.next))
    }

    /// The window of a listing, and the entry after which its page begins.
    fn window_and_page(&mut self, call: &Call<'_>) -> Result<(Window, Option<Stamp>), Answer> {
        let skew_ms = self.faults.skew_bound_ms();
        let judged = listing::judge(&call.query, call.now_ms, &self.config.rules, skew_ms);
        let Some(token) = call.query.get("nextPage") else {
            for (rule, why) in judged.broken {
                self.illegal(call.now_ms, call.request, rule, &why);
            }
            return Ok((judged.window?, None));
        };
        // A page that is followed as given may have grown too old on the way: no one's fault.
        let given = self.pages.contains(&page_hash(&call.request.path_and_query));
        if !given && self.pages.len() < PAGES_MAX {
            let why = "the next page was not followed as given";
            self.illegal(call.now_ms, call.request, Rule::PageTampered, why);
        }
        let window = judged.window?;
        let refused = || af(400, "AF20031", &format!("Invalid nextPage Input: {token}."));
        let parsed = PageToken::parse(token, window.start_ms).ok_or_else(refused)?;
        if self.fault(Fault::PageRefused) {
            return Err(refused());
        }
        Ok((window, Some(parsed.after)))
    }

    /// Collects a page, with its faults.
    fn page(
        &mut self,
        call: &Call<'_>,
        content_type: ContentType,
        window: Window,
        after: Option<Stamp>,
    ) -> Page {
        let before = after.unwrap_or(Stamp { ms: window.start_ms - 1, sub: 0 });
        if self.fault(Fault::EmptyPage) {
            return Page { entries: Vec::new(), next: Some(before) };
        }
        let (mut blobs, last) = self.select(call, content_type, window, after);
        let next = if self.fault(Fault::SelfReferentialPage) { Some(before) } else { last };
        if let Some(after) = after
            && self.fault(Fault::RepeatedEntry)
            && let Some(again) = self.tenants[call.tenant].feeds[content_type.index()].find(after)
        {
            blobs.insert(0, again.clone());
        }
        if self.fault(Fault::NeighbourEntry) {
            let feed = &self.tenants[call.tenant].feeds[content_type.index()];
            let earlier = feed.created_within(window.start_ms - HOUR_MS, window.start_ms);
            let seen = earlier.iter().rev().find(|blob| self.is_visible(call, blob));
            blobs.extend(seen.cloned());
        }
        let origin = call.request.origin();
        let tenant = self.tenants[call.tenant].id;
        let plain = |blob: &Blob| Descriptor {
            content_uri: blob.uri(&origin, tenant),
            content_id: blob.content_id(),
            created_ms: blob.created.ms,
            expires_ms: blob.expires_ms,
        };
        let mut entries: Vec<Descriptor> = blobs.iter().map(plain).collect();
        if let Some(blob) = blobs.last()
            && self.fault(Fault::TwinEntry)
        {
            entries.push(Descriptor::notified(blob, &origin, tenant));
        }
        if self.fault(Fault::ExpiredEntry) {
            entries.push(self.expired(call, content_type, window));
        }
        if self.fault(Fault::ForeignUri)
            && let Some(entry) = entries.first_mut()
        {
            let elsewhere = format!("{origin}.attacker.example");
            entry.content_uri = entry.content_uri.replacen(&origin, &elsewhere, 1);
        }
        if self.fault(Fault::ShuffledPage) {
            Rng::with_seed(draw::mix(self.config.seed, self.counter)).shuffle(&mut entries);
        }
        Page { entries, next }
    }

    fn is_visible(&self, call: &Call<'_>, blob: &Blob) -> bool {
        let key = (call.app, blob.content_type);
        let subscription = self.tenants[call.tenant].subscriptions.get(&key);
        blob.expires_ms > call.now_ms
            && subscription.is_some_and(|known| known.sees(blob, call.now_ms, &self.config))
    }

    /// The blobs of a page in order, and the last of them when there are more.
    fn select(
        &self,
        call: &Call<'_>,
        content_type: ContentType,
        window: Window,
        after: Option<Stamp>,
    ) -> (Vec<Blob>, Option<Stamp>) {
        let feed = &self.tenants[call.tenant].feeds[content_type.index()];
        let by_availability = self.config.rules.listing_order == ListingOrder::Available;
        let place = |blob: &Blob| {
            let sub = blob.created.sub;
            if by_availability { Stamp { ms: blob.available_ms, sub } } else { blob.created }
        };
        let due = |blob: &&Blob| {
            after.is_none_or(|after| place(blob) > after) && self.is_visible(call, blob)
        };
        let blobs = feed.created_within(window.start_ms, window.end_ms).iter().filter(due);
        let limit = self.config.page_size.max(1) as usize;
        let mut page: Vec<Blob> = if by_availability {
            let mut all: Vec<Blob> = blobs.cloned().collect();
            all.sort_by_key(place);
            all
        } else {
            blobs.take(limit + 1).cloned().collect()
        };
        let more = page.len() > limit;
        page.truncate(limit);
        let last = page.last().filter(|_| more).map(place);
        (page, last)
    }

    /// An entry that has expired; its id belongs to no blob.
    fn expired(&self, call: &Call<'_>, content_type: ContentType, window: Window) -> Descriptor {
        let sub = PHANTOM_SUB_MIN + u32::try_from(self.pick(90_000)).expect("below 90,000");
        let stamp = Stamp { ms: window.start_ms, sub }.digits();
        let content_id = format!("{stamp}${stamp}${}$na0018", content_type.id_parts());
        let tenant = self.tenants[call.tenant].id;
        Descriptor {
            content_uri: blob::blob_uri(&call.request.origin(), tenant, &content_id),
            content_id,
            created_ms: window.start_ms,
            expires_ms: (call.now_ms - HOUR_MS).min(window.start_ms + 7 * DAY_MS),
        }
    }

    /// Adds the next-page header when there is a next page.
    fn with_next(
        &mut self,
        answer: Answer,
        call: &Call<'_>,
        content_type: ContentType,
        window: Window,
        after: Option<Stamp>,
    ) -> Answer {
        let Some(after) = after else {
            return answer;
        };
        let documented = self.fault(Fault::DocumentedPageUri);
        let next = NextPage {
            tenant: self.tenants[call.tenant].id,
            operation: if call.operation == Operation::Content {
                "content"
            } else {
                "notifications"
            },
            content_type,
            window,
            after,
            form: if documented { PageUri::Documented } else { self.config.rules.page_uri },
            v1: self.fault(Fault::ApiV1PageUri),
        };
        let path_and_query = next.path_and_query();
        if self.pages.len() < PAGES_MAX {
            self.pages.insert(page_hash(&path_and_query));
        }
        answer.header("NextPageUri", format!("{}{path_and_query}", call.request.origin()))
    }

    fn blob(&mut self, call: &Call<'_>, id: &str) -> Answer {
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
            let elsewhere = |tenant: &crate::service::Tenant| {
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
        let recipe = std::sync::Arc::clone(&self.tenants[call.tenant].recipe);
        Ok(Answer::blob(Body::blob(BlobStream::new(recipe, blob))))
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

    fn notifications(&mut self, call: &Call<'_>) -> Answer {
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
                format!(
                    r#"{{{},"notificationSent":"{}","notificationStatus":{}}}"#,
                    attempt.descriptor.json(content_type),
                    crate::time::millis_z(attempt.sent_ms),
                    quoted(if attempt.success { status } else { "Failed" }),
                )
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

fn page_hash(path_and_query: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(listing::without_publisher(path_and_query).as_bytes())
}

/// `14m 56s`, as captured.
fn too_soon(left_ms: i64) -> Answer {
    let seconds = (left_ms + 999) / 1_000;
    let message = format!(
        "Too many frequent subscription start requests. Please retry again after {}m {}s",
        seconds / 60,
        seconds % 60
    );
    af(429, "AF429", &message)
}

fn dlp_types(call: &Call<'_>) -> Answer {
    let language = call.request.find("accept-language").unwrap_or("en-US");
    if language.contains(',') {
        let message = "Only one language may be present in the Accept-Language header.";
        return af(400, "AF20053", message);
    }
    let tag = language.split(';').next().unwrap_or_default().trim();
    let letters = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    if !tag.split('-').all(letters) {
        return af(400, "AF20054", "Invalid syntax in Accept-Language header.");
    }
    let spanish = tag.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("es"));
    let types = SENSITIVE_TYPES.map(|(id, english, es)| {
        format!(r#"{{"id":"{id}","name":{}}}"#, quoted(if spanish { es } else { english }))
    });
    Answer::json(200, format!("[{}]", types.join(",")))
}
