//! Many tenants in one process: a client and a budget each; one transport, one set of roots, one
//! pool of connections and one writer of the state for all. A few workers drive them all, each many
//! in turn. What happens to one tenant leaves the others alone: also its panic ends no more than
//! its own run.

mod handle;
mod life;
mod machinery;
mod member;
mod run;
mod starts;

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use m365_audit_core::{ContentRef, Level};
use tokio::task::JoinHandle;

use crate::client::{tell_of_status, warn};
use crate::error::OpenError;
use crate::open_files::make_room;
use crate::restart::RestartPause;
use crate::status::{Slot, Status};
use crate::store::{News, Shares, Tally};
use crate::tenants::{Tenant, Tenants, TenantsFile};

use self::handle::Message;
use self::life::contained;
use self::machinery::{Machinery, need, shares, tick};
use self::member::{Member, State};
use self::starts::start_after;

pub use self::handle::FleetHandle;
pub use self::life::Ended;
pub use self::member::FleetOutcome;
pub use self::run::{Ask, Collects, FleetHost, Run, Start};

/// How often the file is looked at. One `stat` call each.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often it is looked what of the tenants that are shared is to be done.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// How long a tenant that leaves, or changes, may still confirm what it has emitted.
const LEAVE_GRACE: Duration = Duration::from_secs(10);

/// Collects the tenants of a file.
#[derive(Debug)]
pub struct Fleet<H> {
    host: H,
    file: TenantsFile,
    stamp: Option<u64>,
    once: bool,
    machinery: Option<Machinery>,
    status: Option<Status>,
    /// What is written to the state files, those of earlier runs included.
    tallies: Vec<Tally>,
    /// The tenants that this process shares with others; `None`: all are its own.
    shares: Option<Shares>,
    members: BTreeMap<Box<str>, Member>,
    /// Counts the starts of all, so that the end of an earlier run is not taken for a later one's.
    starts: u64,
    failed: usize,
    sender: Sender<Message>,
    inbox: Receiver<Message>,
}

impl<H: Collects> Fleet<H> {
    /// Prepares the tenants that `tenants` says; sends nothing yet. With `once`, each tenant ends
    /// when everything that existed at the start is delivered.
    ///
    /// # Errors
    /// The transport cannot be set up.
    pub fn open(
        file: TenantsFile,
        tenants: Tenants,
        once: bool,
        host: H,
    ) -> Result<Self, OpenError> {
        let (sender, inbox) = mpsc::channel();
        let stamp = file.stamp();
        let mut fleet = Self {
            host,
            file,
            stamp,
            once,
            machinery: None,
            status: None,
            tallies: Vec::new(),
            shares: None,
            members: BTreeMap::new(),
            starts: 0,
            failed: 0,
            sender,
            inbox,
        };
        if let Some(first) = tenants.tenants.first() {
            warn(&first.settings.native, |level, text| fleet.host.log(None, level, text));
            let options = &first.settings.native;
            if let Err(problem) = make_room(need(options, tenants.tenants.len())) {
                fleet.host.log(None, Level::Error, &problem);
            }
            fleet.machinery = Some(Machinery::new(options, tenants.tenants.len())?);
            fleet.shares = shares(options, once)?;
            fleet.status = Status::start(&options.status)?;
            tell_of_status(fleet.status.as_ref(), |level, text| fleet.host.log(None, level, text));
        }
        fleet.take(tenants);
        Ok(fleet)
    }

    /// Reaches this fleet from other threads.
    #[must_use]
    pub fn handle(&self) -> FleetHandle {
        FleetHandle::new(self.sender.clone())
    }

    /// What was given to [`Fleet::open`].
    pub const fn host(&mut self) -> &mut H {
        &mut self.host
    }

    /// Runs until [`FleetHandle::shutdown`], or with `once` until every tenant has ended.
    pub fn run(&mut self) -> FleetOutcome {
        let mut look_at = Instant::now() + LOOK_EVERY;
        loop {
            if self.once && self.members.values().all(Member::is_done) {
                self.tell_written();
                return self.outcome();
            }
            let now = Instant::now();
            self.follow();
            let wake = self.start_rested(now).map_or(look_at, |at| at.min(look_at));
            let wake = if self.shares.is_some() { wake.min(now + FOLLOW_EVERY) } else { wake };
            match self.inbox.recv_timeout(wake.saturating_duration_since(now)) {
                Ok(Message::Ended { name, start, how }) => self.handle_ended(&name, start, how),
                Ok(Message::Hint { tenant_id, content }) => self.pass_on(&tenant_id, content),
                Ok(Message::LookAgain) => self.look_again(),
                Ok(Message::Shutdown(grace)) => return self.shut_down(grace),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if look_at <= Instant::now() {
                look_at = Instant::now() + LOOK_EVERY;
                if !self.once {
                    self.look_at_file();
                }
            }
        }
    }

    /// Somebody has changed something, and says so.
    fn look_again(&mut self) {
        for member in self.members.values() {
            if let State::Running { ask, .. } = &member.state {
                ask.look_again();
            }
        }
        self.read_file();
    }

    /// Reads the file again if it has changed.
    fn look_at_file(&mut self) {
        let stamp = self.file.stamp();
        if stamp.is_some() && stamp != self.stamp {
            self.read_file();
        }
    }

    /// A file of no use leaves everything as it is.
    fn read_file(&mut self) {
        self.stamp = self.file.stamp();
        match self.file.read() {
            Ok(tenants) => {
                self.host.log(None, Level::Info, &format!("{} was read again", self.file.name()));
                self.take(tenants);
            }
            Err(mistake) => {
                let message = format!("{mistake}; keeping the previous tenants");
                self.host.log(None, Level::Error, &message);
            }
        }
    }

    /// Starts tenants that are new, stops those that are gone, restarts those that changed.
    fn take(&mut self, tenants: Tenants) {
        let Tenants { tenants, mistakes, unread } = tenants;
        let mut broken: Vec<Box<str>> = Vec::new();
        for mistake in mistakes {
            self.host.log(mistake.table.as_deref(), Level::Error, &mistake.to_string());
            broken.extend(mistake.table);
        }
        broken.sort_unstable();
        broken.dedup();
        self.failed = broken.len() + unread.len();
        let wanted: BTreeMap<Box<str>, Tenant> =
            tenants.into_iter().map(|tenant| (tenant.name.clone(), tenant)).collect();
        let names: Vec<Box<str>> = self.members.keys().cloned().collect();
        let mut leaving = Vec::new();
        for name in names {
            let options = |member: &Member| member.tenant.options.clone();
            let present = self.members.get(&name).map(options).unwrap_or_default();
            match wanted.get(&name) {
                Some(tenant) if tenant.options == present => {}
                Some(_) => leaving.push((name, "changed")),
                // What it was told before still holds; the mistake has been reported.
                None if broken.contains(&name) || self.members[&name].is_of(&unread) => {}
                None => leaving.push((name, "removed")),
            }
        }
        for (name, why) in &leaving {
            self.host.log(Some(name), Level::Info, &format!("{why}: stopping"));
            self.ask_to_stop(name, LEAVE_GRACE);
        }
        for (name, _) in leaving {
            self.remove(&name);
        }
        let new = |tenant: &Tenant| !self.members.contains_key(&tenant.name);
        let new: Vec<Tenant> = wanted.into_values().filter(new).collect();
        let (now, count) = (Instant::now(), new.len());
        for tenant in new {
            let until = now + start_after(tenant.settings.config.tenant_id(), count);
            self.add(tenant, until);
        }
        self.tell_shares();
    }

    fn add(&mut self, tenant: Tenant, until: Instant) {
        let name = tenant.name.clone();
        let is_shared = self.shares.is_some();
        let shown = if is_shared { None } else { self.show(&tenant) };
        let state = if is_shared { State::Elsewhere } else { State::Resting { until } };
        let member = Member { tenant, start: 0, state, shown, pauses: RestartPause::new() };
        self.members.insert(name, member);
    }

    /// Where others see how a tenant stands.
    fn show(&self, tenant: &Tenant) -> Option<Slot> {
        let status = self.status.as_ref()?;
        Some(self.host.place(status, &tenant.name, tenant.settings.config.tenant_id()))
    }

    fn ask_to_stop(&self, name: &str, grace: Duration) {
        self.members.get(name).into_iter().for_each(|member| member.ask_to_stop(grace));
    }

    fn remove(&mut self, name: &str) {
        let Some(member) = self.members.remove(name) else { return };
        let tenant_id = member.tenant_id().to_owned();
        if let State::Running { task, .. } | State::Leaving { task } = member.state {
            self.join(task);
        }
        self.let_go(&tenant_id);
        self.host.left(name);
    }

    /// Waits for the end of a run. What it has to say, it has sent.
    fn join(&self, task: JoinHandle<()>) {
        if let Some(machinery) = &self.machinery {
            drop(machinery.workers.block_on(task));
        }
    }

    /// Starts those whose rest is over; answers when the next one's is.
    fn start_rested(&mut self, now: Instant) -> Option<Instant> {
        let due: Vec<Box<str>> = self
            .members
            .iter()
            .filter(|(_, member)| member.rests_until().is_some_and(|until| until <= now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            self.start(&name);
        }
        self.members.values().filter_map(Member::rests_until).min()
    }

    fn start(&mut self, name: &str) {
        let tick = tick(self.members.len());
        let Some(member) = self.members.get_mut(name) else { return };
        self.starts += 1;
        member.start = self.starts;
        let start = member.start;
        let machinery = match &self.machinery {
            Some(machinery) => Ok(machinery.clone()),
            None => Machinery::new(&member.tenant.settings.native, 1),
        };
        let host = &mut self.host;
        let mut settings = member.tenant.settings.clone();
        settings.config = settings.config.once(self.once);
        let once = self.once;
        let prepared = machinery.and_then(|machinery| {
            let machinery = self.machinery.insert(machinery);
            let (tenant, shown) = (&member.tenant, member.shown.clone());
            let run = host.prepare(Start { tenant, settings, shown, once, tick, machinery })?;
            Ok((run, machinery.workers.clone()))
        });
        match prepared {
            Ok((Run { ask, ends, tally }, workers)) => {
                self.tallies.extend(tally.filter(|tally| !self.tallies.contains(tally)));
                let (sender, name) = (self.sender.clone(), member.tenant.name.clone());
                let task = workers.spawner().spawn(async move {
                    let how = contained(ends).await;
                    let _ = sender.send(Message::Ended { name, start, how });
                });
                member.state = State::Running { ask, task, since: Instant::now() };
            }
            Err(error) => self.handle_ended(name, start, Ended::Failed(error.to_string())),
        }
    }

    fn handle_ended(&mut self, name: &str, start: u64, how: Ended) {
        let Some(member) = self.members.get_mut(name).filter(|member| member.start == start) else {
            return;
        };
        if matches!(member.state, State::Leaving { .. }) {
            member.rest_elsewhere();
            let tenant_id = member.tenant_id().to_owned();
            self.let_go(&tenant_id);
        } else if self.once {
            if let Ended::Failed(problem) = &how {
                member.shown.iter().for_each(|shown| shown.fail(problem));
                self.host.log(Some(name), Level::Error, problem);
            }
            member.state = State::Done(how);
        } else {
            let pause = member.pauses.after(member.ran());
            member.state = State::Resting { until: Instant::now() + pause };
            let problem = match &how {
                Ended::Failed(problem) => problem.as_str(),
                Ended::Complete | Ended::Incomplete => "it has ended",
            };
            let message =
                format!("{problem}; starting again from the stored state in {} s", pause.as_secs());
            member.shown.iter().for_each(|shown| shown.fail(&message));
            self.host.log(Some(name), Level::Error, &message);
        }
        self.host.left(name);
    }

    fn pass_on(&self, tenant_id: &str, content: ContentRef) {
        for member in self.members.values() {
            if member.tenant_id() == tenant_id
                && let State::Running { ask, .. } = &member.state
            {
                ask.hint(content);
                return;
            }
        }
    }

    fn shut_down(&mut self, grace: Duration) -> FleetOutcome {
        let names: Vec<Box<str>> = self.members.keys().cloned().collect();
        for name in &names {
            self.ask_to_stop(name, grace);
        }
        let mut tasks = Vec::new();
        for member in self.members.values_mut() {
            let state = std::mem::replace(&mut member.state, State::Done(Ended::Incomplete));
            match state {
                State::Running { task, .. } | State::Leaving { task } => tasks.push(task),
                State::Done(how) => member.state = State::Done(how),
                State::Resting { .. } | State::Elsewhere => {}
            }
        }
        tasks.into_iter().for_each(|task| self.join(task));
        // How each one ended, in so far as it still could say so.
        while let Ok(message) = self.inbox.try_recv() {
            if let Message::Ended { name, start, how } = message
                && let Some(member) = self.members.get_mut(&name)
                && member.start == start
            {
                member.state = State::Done(how);
            }
        }
        self.tell_written();
        self.outcome()
    }

    /// Says how much was written to the state, for who wonders what it costs.
    fn tell_written(&mut self) {
        let (mut commits, mut transactions) = (0, 0);
        for written in self.tallies.iter().map(Tally::written) {
            commits += written.commits;
            transactions += written.transactions;
        }
        if 0 < transactions {
            let line = format!("state: {commits} commits in {transactions} transactions");
            self.host.log(None, Level::Info, &line);
        }
    }

    fn outcome(&self) -> FleetOutcome {
        FleetOutcome::of(self.failed, self.members.values())
    }

    /// Starts what has become this process's, and stops what has become another's.
    fn follow(&mut self) {
        let Some(shares) = &self.shares else { return };
        let all = shares.news();
        let taken = all.iter().filter(|news| matches!(news, News::Take(_))).count();
        for news in all {
            let (tenant, level, line, grace) = match news {
                News::Take(tenant) => {
                    self.begin(&tenant, taken);
                    continue;
                }
                News::Say(level, line) => {
                    self.host.log(None, level, &line);
                    continue;
                }
                News::Give(tenant, by) => {
                    (tenant, Level::Info, format!("handing over to {by}"), LEAVE_GRACE)
                }
                News::Lost(tenant) => {
                    let line = "another member has taken it over: stopping".to_owned();
                    (tenant, Level::Warn, line, Duration::ZERO)
                }
            };
            let Some(name) = self.name_of(&tenant) else { return self.let_go(&tenant) };
            self.host.log(Some(&name), level, &line);
            if self.members.get_mut(&name).is_some_and(|member| member.leave(grace)) {
                self.let_go(&tenant);
            }
        }
    }

    /// Starts one of `count` that were taken together.
    fn begin(&mut self, tenant_id: &str, count: usize) {
        let Some(name) = self.name_of(tenant_id) else { return self.let_go(tenant_id) };
        let shown = self.show(&self.members[&name].tenant);
        let until = Instant::now() + start_after(tenant_id, count);
        if self.members.get_mut(&name).is_some_and(|member| member.begin(until, shown)) {
            self.host.log(Some(&name), Level::Info, "taken: this member collects it");
        }
    }

    fn name_of(&self, tenant_id: &str) -> Option<Box<str>> {
        let mut all = self.members.iter();
        all.find(|(_, member)| member.tenant_id() == tenant_id).map(|(name, _)| name.clone())
    }

    /// Says which tenants there are, to those who share them.
    fn tell_shares(&self) {
        let tenants = || self.members.values().map(|member| member.tenant_id().into()).collect();
        self.shares.iter().for_each(|shares| shares.know(tenants()));
    }

    /// Another process may have this tenant.
    fn let_go(&self, tenant_id: &str) {
        self.shares.iter().for_each(|shares| shares.let_go(tenant_id));
    }
}
