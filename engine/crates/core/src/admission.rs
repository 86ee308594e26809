//! Room for new ids: how many are remembered, and which commands are refused when there is none left.
//!
//! Every id stays in memory, so their number is bounded. Ids that are no UUIDv7 carry no age and can never be
//! forgotten, and one from the future not before its time: an account has a quota of them.

use crate::forgetting::is_from_future;
use crate::identity::{is_id, uuid7_ms};
use crate::queries::{account_name, check_account};
use crate::{CommandRef, Core, ReasonCode, Rejection, UtcNanos};

/// How many ids an account has used that are no UUIDv7, or one from the future: of orders and of published quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// Ids used, and not forgotten since.
    pub used: u64,
    /// Beyond this, `ID_QUOTA_EXCEEDED`.
    pub limit: u64,
    /// Four fifths are used: tell somebody.
    pub alarm: bool,
}

/// How many ids are remembered: of orders, fences and commands, of all accounts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RememberedIds {
    /// Ids remembered.
    pub used: u64,
    /// Beyond this, `BUSY`; a tenth beyond it, also for what closes an account down.
    pub limit: u64,
    /// Nine tenths are used: tell somebody.
    pub alarm: bool,
}

/// The ids that a command brings, as far as they may be remembered.
struct Ids<'a> {
    account: &'a str,
    /// An order id that is spent or fenced.
    order: Option<&'a str>,
    command: Option<&'a str>,
}

impl Core {
    /// Refusals before `apply` that depend on state: there is no room for the new ids of this command. A copy of what
    /// is known brings none.
    ///
    /// # Errors
    /// BUSY: too many ids are remembered. ID_QUOTA_EXCEEDED: too many of the account's are no UUIDv7, or from the
    /// future.
    pub fn admit<'a>(&self, command: impl Into<CommandRef<'a>>, now: UtcNanos) -> Result<(), Rejection> {
        let command = command.into();
        self.check_room_for_lease(command)?;
        let ids = Ids::of(command);
        if check_account(ids.account).is_err() {
            return Ok(()); // nothing is remembered for it
        }
        if self.has_room_for_any(&ids, now) {
            return Ok(());
        }
        let account = self.account(account_name(ids.account));
        let order = ids.order.filter(|id| is_id(id) && account.is_none_or(|one| self.slot_of(one, id).is_none()));
        let command_id =
            ids.command.filter(|id| is_id(id) && account.is_none_or(|one| self.command_of(one, id).is_none()));
        self.check_room(command, u64::from(order.is_some()) + u64::from(command_id.is_some()))?;
        if !matches!(command, CommandRef::Execute(_) | CommandRef::PublishQuotes(_)) {
            return Ok(());
        }
        let field = if order.is_some() { "order_id" } else { "command_id" };
        let is_foreign = order.or(command_id).is_some_and(|id| !self.has_age(id, now));
        if is_foreign { self.check_quota(ids.account, field) } else { Ok(()) }
    }

    /// Whether there is room whatever is known of these ids: mostly so, and then nothing is looked up.
    fn has_room_for_any(&self, ids: &Ids<'_>, now: UtcNanos) -> bool {
        let RememberedIds { used, limit, .. } = self.remembered_ids();
        let most_wanted = u64::from(ids.order.is_some()) + u64::from(ids.command.is_some());
        let in_quota = || {
            let Quota { used, limit, .. } = self.quota(ids.account);
            used < limit
        };
        let has_age = |id: &Option<&str>| id.is_none_or(|id| self.has_age(id, now));
        used.saturating_add(most_wanted) <= limit && ((has_age(&ids.order) && has_age(&ids.command)) || in_quota())
    }

    /// Whether the id is one that is forgotten in its time, and that its time is not still to come.
    fn has_age(&self, id: &str, now: UtcNanos) -> bool {
        uuid7_ms(id).is_some() && !is_from_future(id, now, self.limits().max_skew_ms)
    }

    fn check_room(&self, command: CommandRef<'_>, wanted: u64) -> Result<(), Rejection> {
        let RememberedIds { used, limit, .. } = self.remembered_ids();
        // An account can still be closed down when nothing else is possible.
        let closes_down = matches!(
            command,
            CommandRef::Cancel(_)
                | CommandRef::CancelAll(_)
                | CommandRef::SetTradingState(_)
                | CommandRef::SetCancelOnDisconnect(_)
                | CommandRef::Fence(_)
        );
        let most = if closes_down { limit.saturating_add(limit / 10) } else { limit };
        if wanted == 0 || used.saturating_add(wanted) <= most {
            return Ok(());
        }
        let message = format!(
            "the engine remembers {used} ids of orders, fences and commands, and max_remembered_ids is {limit}; \
             nothing was done: raise max_remembered_ids and restart the engine, or start one with a new journal"
        );
        Err(Rejection::new(ReasonCode::Busy, "", message))
    }

    /// A session that is there has a lease, or gets the place of one that is long gone.
    fn check_room_for_lease(&self, command: CommandRef<'_>) -> Result<(), Rejection> {
        let CommandRef::SetCancelOnDisconnect(set) = command else { return Ok(()) };
        let brings_one = set.grace_ms.is_some() && self.grace_ms(&set.session_id).is_none() && !self.knows(command);
        if !brings_one || !self.leases_are_full() || self.spent_lease().is_some() {
            return Ok(());
        }
        let most = self.limits().max_leases;
        let message = format!("{most} sessions have cancel on disconnect, and max_leases is no more; end some of them");
        Err(Rejection::new(ReasonCode::Busy, "session_id", message))
    }

    fn check_quota(&self, account: &str, field: &str) -> Result<(), Rejection> {
        let Quota { used, limit, .. } = self.quota(account);
        if used < limit {
            return Ok(());
        }
        let message = format!(
            "the account has used {used} of {limit} ids that are no UUIDv7, or one from the future; use UUIDv7 ids of \
             a clock that is right, or raise foreign_id_quota"
        );
        Err(Rejection::new(ReasonCode::IdQuotaExceeded, field, message))
    }

    /// The account's use of ids that are no UUIDv7, or one from the future.
    pub fn quota(&self, account: &str) -> Quota {
        let used = self.account(account_name(account)).map_or(0, |account| account.foreign_ids);
        let limit = self.limits().foreign_id_quota;
        Quota { used, limit, alarm: used > 0 && used >= limit - limit / 5 }
    }

    /// How many ids are remembered.
    pub fn remembered_ids(&self) -> RememberedIds {
        let used = self.orders.len() + self.commands.len() + self.tombstones.len();
        let limit = self.limits().max_remembered_ids;
        RememberedIds { used, limit, alarm: used > 0 && used >= limit - limit / 10 }
    }
}

impl<'a> Ids<'a> {
    fn of(command: CommandRef<'a>) -> Self {
        let (account, order, command) = match command {
            CommandRef::Execute(one) => (&one.account, Some(&one.order_id), None),
            CommandRef::Cancel(one) => (&one.account, Some(&one.order_id), Some(&one.command_id)),
            CommandRef::Replace(one) => (&one.account, None, Some(&one.command_id)),
            CommandRef::Fence(one) => (&one.account, Some(&one.order_id), None),
            CommandRef::CancelAll(one) => (&one.account, None, Some(&one.command_id)),
            CommandRef::SetTradingState(one) => (&one.account, None, Some(&one.command_id)),
            CommandRef::PublishQuotes(one) => (&one.account, None, Some(&one.command_id)),
            CommandRef::SetRiskLimits(one) => (&one.account, None, Some(&one.command_id)),
            CommandRef::SetCancelOnDisconnect(one) => (&one.account, None, Some(&one.command_id)),
        };
        Self { account, order: order.map(String::as_str), command: command.map(String::as_str) }
    }
}
