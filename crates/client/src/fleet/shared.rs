//! Tenants that several processes share: which of them this one has is what its [`Shares`] say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use m365_audit_core::Level;

use super::run::Collects;
use super::starts::start_after;
use super::{Fleet, LEAVE_GRACE, Member, State};
use crate::error::OpenError;
use crate::settings::NativeOptions;
use crate::store::{News, Shares};

/// How often it is looked what is to be done.
pub(super) const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// What a fleet on a PostgreSQL shares with others. Who collects once takes what there is.
pub(super) fn open(options: &NativeOptions, once: bool) -> Result<Option<Shares>, OpenError> {
    let server = options.db.as_ref().and_then(|db| db.server.as_ref()).filter(|_| !once);
    Ok(server.map(Shares::open).transpose()?)
}

impl<H: Collects> Fleet<H> {
    /// Says which tenants there are.
    pub(super) fn tell_shares(&self) {
        if let Some(shares) = &self.shares {
            let tenants = self.members.values();
            let id = |member: &Member| member.tenant.settings.config.tenant_id().into();
            shares.know(tenants.map(id).collect());
        }
    }

    /// Another process may have this tenant.
    pub(super) fn let_go(&self, tenant_id: &str) {
        self.shares.iter().for_each(|shares| shares.let_go(tenant_id));
    }

    /// Starts what has become this process's, and stops what has become another's.
    pub(super) fn follow(&mut self) {
        let Some(shares) = &self.shares else { return };
        let all = shares.news();
        let taken = all.iter().filter(|news| matches!(news, News::Take(_))).count();
        for news in all {
            match news {
                News::Take(tenant) => self.begin(&tenant, taken),
                News::Give(tenant, by) => {
                    let line = format!("handing over to {by}");
                    self.leave(&tenant, Level::Info, &line, LEAVE_GRACE);
                }
                News::Lost(tenant) => {
                    let line = "another member has taken it over: stopping";
                    self.leave(&tenant, Level::Warn, line, Duration::ZERO);
                }
                News::Say(level, line) => self.host.log(None, level, &line),
            }
        }
    }

    fn begin(&mut self, tenant_id: &Arc<str>, count: usize) {
        let Some(name) = self.name_of(tenant_id) else { return self.let_go(tenant_id) };
        let Some(member) = self.members.get(&name) else { return };
        let shown = self.show(&member.tenant);
        if let Some(member) = self.members.get_mut(&name)
            && matches!(member.state, State::Elsewhere)
        {
            member.shown = shown;
            member.state = State::Resting { until: Instant::now() + start_after(tenant_id, count) };
            self.host.log(Some(&name), Level::Info, "taken: this member collects it");
        }
    }

    fn leave(&mut self, tenant_id: &Arc<str>, level: Level, line: &str, grace: Duration) {
        let Some(name) = self.name_of(tenant_id) else { return self.let_go(tenant_id) };
        let Some(member) = self.members.get_mut(&name) else { return };
        self.host.log(Some(&name), level, line);
        match std::mem::replace(&mut member.state, State::Elsewhere) {
            // It is let go of when it has ended.
            State::Running { ask, task, .. } => {
                ask.shutdown(grace);
                member.state = State::Leaving { task };
            }
            State::Leaving { task } => member.state = State::Leaving { task },
            State::Resting { .. } | State::Elsewhere | State::Done(_) => {
                member.shown = None;
                self.let_go(tenant_id);
            }
        }
    }

    fn name_of(&self, tenant_id: &str) -> Option<Box<str>> {
        let mut all = self.members.iter();
        let is_it = |member: &Member| member.tenant.settings.config.tenant_id() == tenant_id;
        all.find(|(_, member)| is_it(member)).map(|(name, _)| name.clone())
    }
}
