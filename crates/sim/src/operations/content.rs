//! Listing of content: windows, pages, and the faults of both.

use fastrand::Rng;

use crate::answer::{Answer, af};
use crate::blob::{self, Blob, PHANTOM_SUB_MIN};
use crate::config::{ListingOrder, PageUri};
use crate::content_type::ContentType;
use crate::draw;
use crate::faults::Fault;
use crate::guid::Guid;
use crate::listing::{self, NextPage, PageToken, Window};
use crate::report::Rule;
use crate::route::Operation;
use crate::service::{Call, Microsoft};
use crate::time::{DAY_MS, HOUR_MS, Stamp};
use crate::webhooks::Descriptor;

/// Next-page addresses remembered; beyond, tampering is no longer noticed.
const PAGES_MAX: usize = 1_000_000;

/// A page of a listing.
struct Page {
    entries: Vec<Descriptor>,
    next: Option<Stamp>,
}

impl Microsoft {
    pub(super) fn content(&mut self, call: &Call<'_>) -> Answer {
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
        let mut json = String::with_capacity(2 + page.entries.len() * 460);
        json.push('[');
        for (n, entry) in page.entries.iter().enumerate() {
            json.push_str(if n == 0 { "{" } else { ",{" });
            let from = json.len();
            entry.push_json(content_type, &mut json);
            if self.fault(Fault::OddEntry) {
                let odd = self.made_odd(&json[from..]);
                json.replace_range(from.., &odd);
            }
            json.push('}');
        }
        json.push(']');
        let answer = Answer::json(200, json);
        Ok(self.with_next(answer, call, content_type, window, page.next))
    }

    /// The members of an entry, one of them of another type, or left out.
    fn made_odd(&self, members: &str) -> String {
        let name = ["contentUri", "contentCreated", "contentExpiration"][self.pick(3)];
        let start = members.find(name).expect("an entry has this member") - 1;
        let text = start + name.len() + 4;
        let end = text + members[text..].find('"').expect("it is text") + 1;
        match self.pick(3) {
            0 => [&members[..text - 1], "1697417806231", &members[end..]].concat(),
            1 => [&members[..text - 1], "{}", &members[end..]].concat(),
            _ => {
                let rest = format!("{}{}", &members[..start], &members[end..]);
                rest.replace(",,", ",").trim_matches(',').to_owned()
            }
        }
    }

    /// The window of a listing, and the entry after which its page begins.
    pub(super) fn window_and_page(
        &mut self,
        call: &Call<'_>,
    ) -> Result<(Window, Option<Stamp>), Answer> {
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
            let sees = self.sees(call, content_type);
            let seen = earlier.iter().rev().find(|blob| sees(blob));
            blobs.extend(seen.cloned());
        }
        let origin = call.request.origin();
        let tenant = self.tenants[call.tenant].id;
        let plain = |blob: &Blob| {
            let content_id = blob.content_id();
            Descriptor {
                content_uri: blob::blob_uri(&origin, tenant, &content_id),
                content_id,
                created_ms: blob.created.ms,
                expires_ms: blob.expires_ms,
            }
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
        self.mislead(call, &mut entries);
        Page { entries, next }
    }

    /// Changes the entries of a page: where they lead to, and their order.
    fn mislead(&mut self, call: &Call<'_>, entries: &mut [Descriptor]) {
        let origin = call.request.origin();
        if self.fault(Fault::ForeignUri)
            && let Some(entry) = entries.first_mut()
        {
            let elsewhere = format!("{origin}.attacker.example");
            entry.content_uri = entry.content_uri.replacen(&origin, &elsewhere, 1);
        }
        if self.fault(Fault::WrongPath)
            && let Some(entry) = entries.last_mut()
        {
            let other = Guid::drawn(self.config.seed, self.counter).to_string();
            let tenant = self.tenants[call.tenant].id.to_string();
            entry.content_uri = entry.content_uri.replacen(&tenant, &other, 1);
        }
        if self.fault(Fault::ShuffledPage) {
            Rng::with_seed(draw::mix(self.config.seed, self.counter)).shuffle(entries);
        }
    }

    /// Whether the caller can see a blob of a content type.
    fn sees<'a>(
        &'a self,
        call: &'a Call<'_>,
        content_type: ContentType,
    ) -> impl Fn(&Blob) -> bool + use<'a> {
        let key = (call.app, content_type);
        let subscription = self.tenants[call.tenant].subscriptions.get(&key);
        move |blob| {
            blob.expires_ms > call.now_ms
                && subscription.is_some_and(|known| known.sees(blob, call.now_ms, &self.config))
        }
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
        let sees = self.sees(call, content_type);
        let due = |blob: &&Blob| after.is_none_or(|after| place(blob) > after) && sees(blob);
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
    pub(super) fn with_next(
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
        let mut origin = call.request.origin();
        if self.fault(Fault::ForeignPage) {
            origin.push_str(".attacker.example");
        }
        answer.header("NextPageUri", format!("{origin}{path_and_query}"))
    }
}

fn page_hash(path_and_query: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(listing::without_publisher(path_and_query).as_bytes())
}
