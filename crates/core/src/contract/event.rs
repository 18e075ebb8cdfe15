//! What an operator should hear about, as values. Levels follow one rule: WARN means no data is
//! lost, ERROR means data is lost or somebody must act.

use std::time::Duration;

use crate::base::time::Utc;
use crate::contract::feed::Feed;
use crate::contract::request::Operation;

/// Something that happened. The text form is the log line; it never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The collector begins.
    CollectorStarted {
        /// The feeds it collects.
        feeds: Vec<Feed>,
        /// Whether it continues from a stored state.
        resumed: bool,
    },
    /// Something about one feed.
    Feed(Feed, FeedEvent),
    /// Entra ID gave a token.
    TokenAcquired {
        /// For how long it is valid.
        lifetime: Duration,
        /// Whether it is the first one.
        first: bool,
    },
    /// Entra ID refused the credentials. Nothing can be collected until somebody acts.
    TokenRefusedError {
        /// `AADSTS…`, or the OAuth error where there is no number.
        code: String,
        /// Entra's first line.
        message: String,
        /// What to do.
        remedy: &'static str,
    },
    /// What answers is not the service that was asked: a proxy's page, a sign-in page, a redirect.
    ForeignAnswerError {
        /// The operation.
        operation: Operation,
        /// The feed, if it belongs to one.
        feed: Option<Feed>,
        /// What it is, and how it begins.
        answer: String,
        /// Our name for it.
        code: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The API takes no token, however fresh.
    TokensRejectedError {
        /// The operation that was refused last.
        operation: Operation,
        /// The feed, if it belongs to one.
        feed: Option<Feed>,
        /// Tokens in a row.
        tokens: u32,
        /// The last answer.
        answer: String,
        /// What to do.
        remedy: &'static str,
    },
    /// What the app signs in with.
    SigningIn {
        /// In words, without anything secret.
        credential: String,
        /// Whether `auth auto` has chosen it.
        auto: bool,
    },
    /// Another credential has taken the place of the one before.
    CredentialChanged {
        /// In words, without anything secret.
        credential: String,
    },
    /// The credential could not be read again; the one from before is used further.
    CredentialUnreadable {
        /// What is wrong, and where.
        problem: String,
    },
    /// The certificate ends soon. Told 30, 7 and 1 days before.
    CertificateExpiring {
        /// Which one.
        thumbprint: String,
        /// Its end.
        until: Utc,
        /// Days until then, rounded up.
        days: u64,
    },
    /// The certificate has ended: Entra ID will refuse it.
    CertificateExpiredError {
        /// Which one.
        thumbprint: String,
        /// Its end.
        until: Utc,
    },
    /// The certificate is not valid yet: Entra ID will refuse it.
    CertificateEarlyError {
        /// Which one.
        thumbprint: String,
        /// Its beginning.
        from: Utc,
    },
    /// Microsoft asks for fewer requests.
    Throttled {
        /// The operation that was answered so.
        operation: Operation,
        /// Requests a minute from now on.
        requests_per_minute: u32,
        /// Nothing is sent for this long.
        pause: Duration,
        /// When the pause is over.
        until: Utc,
    },
    /// A request failed and is repeated.
    RequestRetried {
        /// The operation.
        operation: Operation,
        /// The feed, if it belongs to one.
        feed: Option<Feed>,
        /// The blob, if it is for one.
        content_id: Option<Box<str>>,
        /// What went wrong.
        reason: String,
        /// When it is repeated.
        retry_in: Duration,
    },
    /// The first sign-in did not get through: more often a mistake in the set-up than an outage. It
    /// is repeated.
    SignInUnreachable {
        /// What went wrong.
        reason: String,
        /// When it is repeated.
        retry_in: Duration,
    },
    /// Nothing has answered at the address of an API so far. It is tried on.
    ApiUnreachable {
        /// The operation.
        operation: Operation,
        /// What went wrong.
        reason: String,
    },
    /// A service has named a wait of more than a minute.
    RequestPostponed {
        /// The operation.
        operation: Operation,
        /// The feed, if it belongs to one.
        feed: Option<Feed>,
        /// Its answer.
        reason: String,
        /// When it is asked again.
        until: Utc,
    },
    /// A service keeps failing. Collection goes on when it recovers.
    RetriesMounting {
        /// The operation.
        operation: Operation,
        /// The feed, if it belongs to one.
        feed: Option<Feed>,
        /// Failures in a row.
        failures: u32,
        /// The last failure.
        reason: String,
    },
    /// The local clock differs from Microsoft's; Microsoft's is used.
    ClockCorrected {
        /// Seconds by which the local clock is ahead (negative: behind).
        seconds: i64,
    },
    /// A filter names what is not known to exist, and may match nothing.
    FilterDoubtful {
        /// The option.
        option: &'static str,
        /// What it says, and what may be meant.
        problem: String,
    },
    /// The look-back reaches further than the stored state, which began later. It has no effect.
    LookbackIgnored {
        /// The option.
        option: &'static str,
        /// Where the stored state begins.
        begin: Utc,
    },
    /// Losses that were told earlier, and that nobody has acknowledged.
    LossesUnacknowledged {
        /// How many.
        losses: u64,
        /// When the oldest was told.
        since: Utc,
    },
    /// Somebody has acknowledged losses while the collector is at work.
    LossesAcknowledged {
        /// How many.
        losses: u64,
        /// How many are left.
        left: u64,
    },
    /// An output has less than what counts as delivered.
    OutputShortError {
        /// The output.
        output: Box<str>,
        /// How many bytes are missing.
        missing_bytes: u64,
    },
    /// A receiver has refused records for good, among others that it took.
    RecordsRejectedError {
        /// The receiver.
        output: Box<str>,
        /// How many.
        count: u64,
        /// Why, in its words; may be empty.
        said: Box<str>,
    },
    /// The host lost batches that it had been given; they are collected again.
    BatchesReturned {
        /// How many.
        batches: u64,
    },
}

/// What happened to one feed. Its text follows the feed's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedEvent {
    /// A subscription was started.
    SubscriptionStarted,
    /// A subscription was started that was there before and was stopped since. Microsoft gives no
    /// access to what was published while it was stopped.
    SubscriptionGapError {
        /// Up to here it was collected.
        start: Utc,
        /// When it was started.
        end: Utc,
    },
    /// A subscription is missing and starting it was not allowed or must wait.
    SubscriptionMissing {
        /// When it is tried next.
        retry_in: Duration,
        /// Whether this collector will start it.
        starts: bool,
        /// What the last start of it was answered, if it has failed.
        answer: Option<String>,
    },
    /// Microsoft does not let this app read this feed. The others go on.
    FeedDeniedError {
        /// Microsoft's code, or ours for an answer without.
        code: String,
        /// Microsoft's words, or how the answer begins; empty if it says no more.
        message: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A feed that was denied works again.
    FeedRestored,
    /// One listing window was read to its last page.
    WindowListed {
        /// First moment of the window.
        start: Utc,
        /// End of the window, exclusive.
        end: Utc,
        /// Blobs in the listing.
        blobs: u64,
        /// Blobs that were not known before.
        new: u64,
    },
    /// Everything from the start of the look-back until now is delivered, or lost, or set aside.
    BacklogDelivered {
        /// Blobs that are set aside, since they cannot be read.
        quarantined: u64,
    },
    /// Blobs could not be read several times. Each is retried on its own until it expires. Told
    /// once a minute at the most.
    BlobQuarantined {
        /// How many, since it was told last.
        blobs: u64,
        /// The first of them.
        content_id: Box<str>,
        /// Its last failure.
        reason: String,
        /// Until when it can be retried.
        expiration: Utc,
    },
    /// Blob after blob of a feed fails alike, or page after page of searches, and none can be read.
    FeedFailingError {
        /// What none of can be read.
        unread: &'static str,
        /// Microsoft's code, or what happens.
        code: String,
        /// Microsoft's words, or how the answer begins; empty if it says no more.
        message: String,
        /// What to do.
        remedy: &'static str,
    },
    /// So many blobs cannot be read that no more can be set aside.
    BlobsUnreadableError {
        /// How many are set aside.
        blobs: u64,
        /// Whether nothing is listed any more.
        stopped: bool,
    },
    /// A quarantined blob was read and delivered after all.
    BlobRecovered {
        /// The blob.
        content_id: Box<str>,
    },
    /// A blob expired before it could be read to its end; the rest of its records is lost.
    ContentLostError {
        /// The blob.
        content_id: Box<str>,
        /// How many of its records, at its beginning, were delivered before.
        records_delivered: u64,
        /// The last failure.
        reason: String,
    },
    /// A blob was an empty list each time that it was read, for long enough to be believed.
    BlobEmpty {
        /// The blob.
        content_id: Box<str>,
        /// Since when.
        since: Utc,
    },
    /// Somebody wants hours once more, and they are opened again.
    HoursReopened {
        /// From this moment on, by when content was created.
        start: Utc,
        /// Until this one, exclusive.
        end: Utc,
    },
    /// Somebody wants hours once more that cannot be had.
    ReplayRefused {
        /// From this moment on.
        start: Utc,
        /// Until this one, exclusive.
        end: Utc,
    },
    /// Content of this interval was never listed, and Microsoft no longer lists it.
    ListingGapError {
        /// Start of the gap.
        start: Utc,
        /// End of the gap, exclusive.
        end: Utc,
        /// For how long it is kept.
        kept: Duration,
    },
    /// Records were dropped.
    RecordsDroppedError {
        /// The blob.
        content_id: Box<str>,
        /// How many.
        count: u64,
        /// Why.
        reason: &'static str,
    },
    /// Records have the name of records that were delivered before, and say something else. They
    /// are delivered.
    RecordsRevised {
        /// The blob.
        content_id: Box<str>,
        /// How many.
        count: u64,
    },
    /// Records could not be read for redaction: only their length and hash was handed over.
    RecordsWithheldError {
        /// The blob.
        content_id: Box<str>,
        /// How many.
        count: u64,
    },
    /// Entries of a listing could not be read, so that their blobs are not known.
    ListingEntriesDroppedError {
        /// How many.
        count: u64,
    },
    /// Microsoft named a wrong address of a content or of a page: another host, or another path.
    /// The one that follows from `api_url`, tenant and id is asked instead. Told once; the rest is
    /// counted.
    AddressDerived {
        /// The first wrong address, without its query; empty if there was none.
        address: String,
    },
    /// Microsoft named an address outside the configured origin, and there is none to ask instead.
    AddressRefusedError {
        /// The address, without its query.
        address: String,
    },
    /// Microsoft notifies a webhook of a feed's content from now on.
    WebhookSet {
        /// Where to.
        address: String,
    },
    /// Microsoft did not accept a webhook. Content is polled, as always.
    WebhookRefused {
        /// Where to.
        address: String,
        /// Microsoft's code, or what happened.
        code: String,
        /// What to do.
        remedy: &'static str,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// A subscription was started again, with the webhook that it had.
    WebhookKept {
        /// Where to.
        address: String,
    },
    /// A subscription could not be started with the webhook that it had, and goes on without.
    WebhookLost {
        /// Where to.
        address: String,
        /// Microsoft's code.
        code: String,
    },
    /// Content that a notification named cannot be read. It is left to polling.
    HintForgotten {
        /// The last failure.
        reason: String,
    },
    /// A search for activities was read to its last page.
    ActivitiesListed {
        /// First moment of storing.
        start: Utc,
        /// End, exclusive.
        end: Utc,
        /// Pages that were read.
        pages: u64,
        /// Activities on them, those that were known included.
        records: u64,
    },
    /// The filters of activities are others than in the run before.
    FiltersChanged,
    /// The service does not apply a filter: activities that do not meet it were delivered.
    FilterIgnored {
        /// The condition.
        filter: String,
        /// How many activities since the last time this was told.
        records: u64,
    },
}
