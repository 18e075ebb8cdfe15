//! Keeps the leases of this process, and takes and gives tenants that it shares with others: one
//! thread a database, on a connection of its own, so that a commit that waits costs no lease.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use m365_audit_core::Level;
use tokio::runtime::Handle;

use super::super::holdings::Holdings;
use super::leases::{Leases, know};
use super::link::Link;
use super::members::{Beat, Sharer, View, decide, fingerprint, leave, owes, view, want};
use super::server::Server;
use super::trouble::Trouble;

/// How long letting go of everything may take at the end.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);

/// What a process that shares tenants has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It is ours: collect it.
    Take(Arc<str>),
    /// It belongs to another member: stop gracefully, and let go of it.
    Give(Arc<str>, Box<str>),
    /// Another member has it: stop at once.
    Lost(Arc<str>),
    /// For the operator.
    Say(Level, String),
}

/// The thread, for as long as the database is open.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    leases: Arc<Leases>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whether somebody of this process shares tenants.
    is_sharing: bool,
    /// The tenants that are shared; `None`: none are.
    shared: Option<Vec<Arc<str>>>,
    /// Those of them that were not told to the database yet.
    is_new: bool,
    /// Those that were taken and not let go of yet.
    taken: HashSet<Arc<str>>,
    /// Those that were asked for already.
    given: HashSet<Arc<str>>,
    /// To let go of.
    left: Vec<(Arc<str>, i64)>,
    news: Vec<News>,
    closing: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of it is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper {
    /// Starts it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(
        server: Arc<Server>,
        runtime: Handle,
        leases: Arc<Leases>,
        name: Box<str>,
    ) -> io::Result<Self> {
        let shared =
            Arc::new(Shared { leases, state: Mutex::default(), changed: Condvar::default() });
        let round = Round {
            link: Link::keeping(Arc::clone(&server)),
            look: Holdings::look_every(server.lease),
            server,
            name,
            shared: Arc::clone(&shared),
            renewed_at: None,
            free_since: HashMap::new(),
            strangers: HashSet::new(),
            failing: false,
        };
        let thread = thread::Builder::new()
            .name("m365-audit-lease".into())
            .spawn(move || keep(round, &runtime))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Answers whether nobody of this process shares tenants yet.
    pub(super) fn begin_to_share(&self) -> bool {
        !std::mem::replace(&mut self.shared.state().is_sharing, true)
    }

    /// Takes nothing more, and lets go of everything that was shared.
    pub(super) fn end_to_share(&self) {
        let taken: Vec<_> = {
            let mut state = self.shared.state();
            (state.is_sharing, state.shared) = (false, None);
            state.news.clear();
            state.taken.iter().cloned().collect()
        };
        taken.iter().for_each(|tenant| self.let_go(tenant));
    }

    /// Shares these tenants with other processes; some of them may be shared already.
    pub(super) fn share(&self, mut tenants: Vec<Arc<str>>) {
        tenants.sort_unstable();
        let mut state = self.shared.state();
        state.is_new = true;
        state.shared = Some(tenants);
        self.shared.changed.notify_all();
    }

    /// Whether this one is shared.
    pub(super) fn is_taken(&self, tenant: &str) -> bool {
        self.shared.state().taken.contains(tenant)
    }

    /// What has happened since this was asked before.
    pub(super) fn news(&self) -> Vec<News> {
        std::mem::take(&mut self.shared.state().news)
    }

    /// Lets go of a tenant, whose run has ended: another process may take it.
    pub(super) fn let_go(&self, tenant: &str) {
        let epoch = self.shared.leases.holdings().leave(tenant);
        let mut state = self.shared.state();
        state.taken.remove(tenant);
        state.given.remove(tenant);
        state.left.extend(epoch.map(|epoch| (tenant.into(), epoch)));
        self.shared.changed.notify_all();
    }
}

impl Drop for Keeper {
    /// Waits until everything is let go of, so that others need not wait for the leases to end.
    fn drop(&mut self) {
        self.shared.state().closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // What it has to say, it has said.
            let _ = thread.join();
        }
    }
}

fn keep(mut round: Round, runtime: &Handle) {
    loop {
        let shared = Arc::clone(&round.shared);
        let due = |state: &mut State| !state.closing && state.left.is_empty() && !state.is_new;
        let state = shared.state();
        let waited = shared.changed.wait_timeout_while(state, round.look, due);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let closing = state.closing;
        drop(state);
        if closing {
            runtime.block_on(round.close());
            return;
        }
        runtime.block_on(round.go());
        if round.failing {
            // What is to be let go of does not make it ask again and again.
            thread::park_timeout(round.look);
        }
    }
}

/// What is done each time.
struct Round {
    server: Arc<Server>,
    link: Link,
    /// How often it is looked who is there and what is free.
    look: Duration,
    name: Box<str>,
    shared: Arc<Shared>,
    /// By the clock of the holdings.
    renewed_at: Option<Duration>,
    free_since: HashMap<Arc<str>, Instant>,
    /// Members with another file, that were told of.
    strangers: HashSet<Box<str>>,
    failing: bool,
}

impl Round {
    async fn go(&mut self) {
        let result = self.all().await;
        let failing = result.is_err();
        if let Err(trouble) = result
            && !self.failing
        {
            let error = trouble.explain(&self.server);
            let line = format!("{error}; leases are not renewed until it answers again");
            self.shared.state().news.push(News::Say(Level::Error, line));
        } else if self.failing && !failing {
            let line = format!("{}: it answers again", self.server);
            self.shared.state().news.push(News::Say(Level::Info, line));
        }
        self.failing = failing;
    }

    async fn all(&mut self) -> Result<(), Trouble> {
        self.let_go().await?;
        let now = self.shared.leases.now();
        let due = self.shared.leases.holdings().is_due(self.renewed_at, now);
        let shares = self.shared.state().shared.clone();
        if due || (shares.is_some() && self.shared.state().is_new) {
            self.renew(shares.as_deref()).await?;
            self.renewed_at = Some(now);
        }
        match shares {
            Some(tenants) => self.share(&tenants).await,
            None => Ok(()),
        }
    }

    async fn let_go(&mut self) -> Result<(), Trouble> {
        let left = self.shared.state().left.clone();
        let leases = Arc::clone(&self.shared.leases);
        self.link.with(async |client| leases.release(client, &left).await).await?;
        self.shared.state().left.drain(..left.len());
        Ok(())
    }

    /// Says that this process is alive, and keeps what is its own.
    async fn renew(&mut self, shares: Option<&[Arc<str>]>) -> Result<(), Trouble> {
        let leases = Arc::clone(&self.shared.leases);
        let fingerprint = shares.map(fingerprint);
        let most = self.server.tenants_max;
        let beat = Beat {
            id: &leases.me,
            name: &self.name,
            lease: self.server.lease,
            shares: fingerprint.as_deref(),
            room: most.is_none_or(|most| leases.holdings().count() < most),
            tenants_max: most.and_then(|most| i64::try_from(most).ok()),
        };
        self.link
            .with(async |client| {
                leases.renew(client).await?;
                beat.tell(client).await
            })
            .await
    }

    /// Looks what is free, and what has become another's.
    async fn share(&mut self, tenants: &[Arc<str>]) -> Result<(), Trouble> {
        let is_new = self.shared.state().is_new;
        let leases = Arc::clone(&self.shared.leases);
        let view = self
            .link
            .with(async |client| {
                if is_new {
                    know(client, tenants).await?;
                }
                view(client, tenants).await
            })
            .await?;
        self.tell_strangers(&view.sharers, &fingerprint(tenants));
        let (room, gone, taken) = {
            let mut state = self.shared.state();
            state.is_new &= state.shared.as_deref() != Some(tenants);
            let holdings = leases.holdings();
            let is_gone = |tenant: &&Arc<str>| !holdings.has(tenant);
            let gone: Vec<_> = state.taken.iter().filter(is_gone).cloned().collect();
            let most = self.server.tenants_max.unwrap_or(usize::MAX);
            (most.saturating_sub(state.taken.len()), gone, state.taken.clone())
        };
        let moves = decide(
            &leases.me,
            room,
            &view,
            |tenant| taken.contains(tenant),
            &mut self.free_since,
            Instant::now(),
            self.look * 2,
        );
        let claimed = self
            .link
            .with(async |client| {
                want(client, &leases.me, &moves.want).await?;
                leases.claim_many(client, &moves.claim).await
            })
            .await?;
        let mut state = self.shared.state();
        let lost = gone.into_iter().filter(|tenant| state.given.insert(Arc::clone(tenant)));
        let lost: Vec<News> = lost.map(News::Lost).collect();
        state.news.extend(lost);
        give(&leases.me, &mut state, view);
        for tenant in claimed {
            state.taken.insert(Arc::clone(&tenant));
            state.news.push(News::Take(tenant));
        }
        Ok(())
    }

    fn tell_strangers(&mut self, sharers: &[Sharer], own: &str) {
        for Sharer { id, name, shares, .. } in sharers {
            if **shares == *own {
                self.strangers.remove(id);
            } else if self.strangers.insert(id.clone()) {
                let line = format!(
                    "member {name} has another tenants_file ({shares}; here: {own}): each tenant \
                     is collected by a member that names it; remedy: give all the same file"
                );
                self.shared.state().news.push(News::Say(Level::Warn, line));
            }
        }
    }

    /// Lets go of everything.
    async fn close(&mut self) {
        let leases = Arc::clone(&self.shared.leases);
        let mut left = std::mem::take(&mut self.shared.state().left);
        left.extend(leases.holdings().leave_all());
        let closed = self.link.with(async |client| {
            leases.release(client, &left).await?;
            leave(client, &leases.me).await
        });
        // Without an answer the leases end by themselves.
        drop(tokio::time::timeout(CLOSE_PATIENCE, closed).await);
    }
}

/// Gives what is asked for by a member that it belongs to more.
fn give(me: &str, state: &mut State, view: View) {
    for (tenant, by) in view.wanted {
        let owed = |sharer: &&Sharer| sharer.id == by && owes(me, sharer, &tenant);
        if let Some(sharer) = view.sharers.iter().find(owed)
            && state.taken.contains(&tenant)
            && state.given.insert(Arc::clone(&tenant))
        {
            state.news.push(News::Give(tenant, sharer.name.clone()));
        }
    }
}
