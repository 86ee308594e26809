//! What can be asked of the core without changing it.

use crate::account::{Account, Slot};
use crate::forgetting::forgotten_order;
use crate::identity::{check_id, split_leg};
use crate::order_state::OrderState;
use crate::progress::Work;
use crate::{
    CommandOutcome, CommandRef, Configuration, Core, DEFAULT_ACCOUNT, GetOrderReply, Instrument, Intent, OrderReply,
    OrderUpdate, Part, ReasonCode, Rejection, Text, UpdateKind, VenueCommand, VenueKey,
};

/// What a subscriber gets that resumes (WIRE.md, section 4). Nothing of it is in words yet: ask [`Core::updates`] and
/// [`Core::snapshot`] for a few at a time, so that a long absence costs no long turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replay {
    /// All updates after this number, the one that was asked for.
    Whole {
        /// Last number that the subscriber has.
        after: u64,
    },
    /// Those from `first` to `last`, and no others, can no longer be replayed; the open orders instead, and then all
    /// updates after `last`.
    Gap {
        /// First number that will not come.
        first: u64,
        /// Last number that will not come.
        last: u64,
        /// The open orders and legs of which something was said.
        open: Vec<VenueKey>,
    },
    /// The number lies beyond the account's last: the engine has forgotten what the subscriber saw.
    Regressed,
}

/// What an id stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    Order(VenueKey),
    Fenced,
    /// An id that no order has; it can be fenced.
    Unknown,
    /// The id of a leg that there is not; clients can send no order under it.
    UnknownLeg,
}

impl Core {
    /// The configuration, or one without instruments before there is any.
    pub(crate) fn limits(&self) -> &Configuration {
        const NONE: &Configuration = &Configuration::UNCONFIGURED;
        self.configuration.as_ref().unwrap_or(NONE)
    }

    /// Answers `GetOrder` without a fence; legs have ids too (WIRE.md, section 3).
    pub fn get(&self, account: &str, order_id: &str) -> GetOrderReply {
        if let Err(rejection) = check_account(account) {
            return refused(rejection);
        }
        if let Err(rejection) = check_id("order_id", split_leg(order_id).0) {
            return refused(rejection);
        }
        match self.find(account_name(account), order_id) {
            Found::Order(key) => self.found(key),
            Found::Unknown if self.may_be_forgotten(order_id) => {
                GetOrderReply { fenced: true, ..refused(forgotten_order(order_id, self.forgotten.ids_ms)) }
            }
            found => GetOrderReply { fenced: found == Found::Fenced, ..refused(unknown_order(order_id)) },
        }
    }

    fn found(&self, key: VenueKey) -> GetOrderReply {
        let stored = self.order(key.order()).filter(|_| key.part() == Some(Part::Entry));
        GetOrderReply {
            found: true,
            order: self.state_of(key),
            reply: stored.and_then(|order| self.stored_reply(order)),
            code: Some(ReasonCode::None),
            ..GetOrderReply::default()
        }
    }

    pub(crate) fn find(&self, account: &str, order_id: &str) -> Found {
        let (entry, part) = split_leg(order_id);
        let slot = self.account(account).and_then(|account| self.slot_of(account, entry));
        match slot {
            Some(Slot::Order(no)) => {
                let exists = self.order(no).is_some_and(|order| order.work(part).is_some());
                if exists { Found::Order(VenueKey::new(no, part)) } else { Found::UnknownLeg }
            }
            _ if part != Part::Entry => Found::UnknownLeg,
            Some(Slot::Fenced(_)) => Found::Fenced,
            None => Found::Unknown,
        }
    }

    /// State of one order or leg.
    pub fn state_of(&self, key: VenueKey) -> Option<OrderReply> {
        let order = self.order(key.order())?;
        let part = key.part()?;
        let progress = &order.work(part)?.now;
        Some(order.reply(part, progress, self.account_of(order), &self.instruments))
    }

    pub(crate) fn stored_reply(&self, order: &OrderState) -> Option<OrderReply> {
        let stored = order.stored()?;
        Some(order.reply(Part::Entry, stored, self.account_of(order), &self.instruments))
    }

    pub(crate) fn account_of(&self, order: &OrderState) -> &Text {
        const NOBODY: &Text = &Text::new_static("");
        let index = usize::try_from(order.account).unwrap_or(usize::MAX);
        self.accounts.get(index).map_or(NOBODY, |account| &account.name)
    }

    /// An instrument by its index, tradable or not.
    pub fn instrument(&self, symbol: u32) -> Option<&Instrument> {
        self.instruments.get(symbol).map(|listed| &listed.instrument)
    }

    /// The index of a tradable instrument.
    pub fn symbol_index(&self, symbol: &str) -> Option<u32> {
        self.instruments.find(symbol).map(|(index, _)| index)
    }

    /// The instrument of an order or leg; `None` for an order that the core rejected for its symbol.
    pub fn instrument_of(&self, key: VenueKey) -> Option<&Instrument> {
        self.instrument(self.order(key.order())?.symbol_index()?)
    }

    /// What the venue was told and has not answered: new orders, then cancels and replaces (external venues:
    /// reconcile after a restart, never send again unasked).
    pub fn unreported_intents(&self) -> Vec<VenueCommand> {
        let orders = self.unreported.sorted().into_iter().filter_map(|no| self.order(no)?.as_new());
        let mut intents: Vec<VenueCommand> = orders.map(VenueCommand::New).collect();
        for (key, commands) in &self.waiting {
            for command in commands.iter().filter_map(|no| self.command(*no)) {
                intents.extend(match command.intent {
                    Intent::None => None,
                    Intent::Cancel { .. } | Intent::CancelAll | Intent::CancelOnDisconnect => {
                        Some(VenueCommand::Cancel { key: *key })
                    }
                    Intent::Replace { key, quantity_steps, price_ticks } => {
                        Some(VenueCommand::Replace { key, quantity_steps, price_ticks })
                    }
                });
            }
        }
        intents
    }

    /// Whether `apply` answers this command from memory, with no event: its id stands for something already.
    pub fn knows<'a>(&self, command: impl Into<CommandRef<'a>>) -> bool {
        let (account, id) = match command.into() {
            CommandRef::Execute(order) => return self.knows_order(&order.account, &order.order_id),
            CommandRef::Fence(fence) => return self.knows_order(&fence.account, &fence.order_id),
            CommandRef::Cancel(cancel) => (&cancel.account, &cancel.command_id),
            CommandRef::Replace(replace) => (&replace.account, &replace.command_id),
            CommandRef::CancelAll(cancel) => (&cancel.account, &cancel.command_id),
            CommandRef::SetTradingState(set) => (&set.account, &set.command_id),
            CommandRef::PublishQuotes(publish) => (&publish.account, &publish.command_id),
            CommandRef::SetRiskLimits(set) => (&set.account, &set.command_id),
            CommandRef::SetCancelOnDisconnect(set) => (&set.account, &set.command_id),
        };
        self.account(account_name(account)).is_some_and(|account| self.command_of(account, id).is_some())
    }

    fn knows_order(&self, account: &str, order_id: &str) -> bool {
        self.account(account_name(account)).is_some_and(|account| self.slot_of(account, order_id).is_some())
    }

    /// The account's last update.
    pub fn last_sequence(&self, account: &str) -> u64 {
        self.account(account_name(account)).map_or(0, |account| account.sequence)
    }

    /// What a subscriber gets that has seen the updates up to `after`.
    pub fn updates_since(&self, account: &str, after: u64) -> Replay {
        let last = self.last_sequence(account);
        if after > last {
            return Replay::Regressed;
        }
        let Some(account) = self.account(account_name(account)) else { return Replay::Whole { after } };
        let lost = last.saturating_sub(account.replayable(self.history_limit()));
        if after >= lost {
            return Replay::Whole { after };
        }
        let was_told = |key: &VenueKey| self.work_of(*key).is_some_and(|work| work.now.sequence > 0);
        let open = account.open.sorted().into_iter().filter(was_told).collect();
        Replay::Gap { first: after + 1, last: lost, open }
    }

    /// Those of these orders and legs that are open, as they are now: `snapshot` set, `sequence` their last update.
    pub fn snapshot<'a>(&'a self, keys: &'a [VenueKey]) -> impl Iterator<Item = OrderUpdate> + 'a {
        keys.iter().filter_map(|key| {
            let now = &self.work_of(*key).filter(|work| work.now.is_open())?.now;
            let is_leg = key.part()? != Part::Entry;
            Some(OrderUpdate {
                sequence: now.sequence,
                kind: if is_leg { UpdateKind::LegChanged } else { UpdateKind::Accepted },
                order: self.state_of(*key)?,
                execution_id: 0,
                last_quantity: None,
                last_price: None,
                event_time_ns: now.updated_ns,
                snapshot: true,
            })
        })
    }

    fn work_of(&self, key: VenueKey) -> Option<&Work> {
        self.order(key.order())?.work(key.part()?)
    }

    /// How many orders and legs are open, of all accounts.
    pub fn open_parts(&self) -> usize {
        self.accounts.iter().map(|account| account.open.len()).sum()
    }

    /// Numbers for health and metrics, by name.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        let sum = |count: fn(&Account) -> u64| self.accounts.iter().map(count).sum();
        let alarms = self.accounts.iter().filter(|account| self.quota(&account.name).alarm).count();
        let remembered = self.remembered_ids();
        vec![
            ("orders", self.orders.len()),
            ("open_orders", sum(|account| account.open.len() as u64)),
            ("commands", self.commands.len()),
            ("fenced_ids", self.tombstones.len()),
            ("foreign_ids", sum(|account| account.foreign_ids)),
            ("foreign_id_alarms", alarms as u64),
            ("remembered_ids", remembered.used),
            ("remembered_id_alarms", u64::from(remembered.alarm)),
            ("unreported_orders", self.unreported.len() as u64),
        ]
    }

    /// The reply that ended a call, as stored.
    pub(crate) fn stored_command_reply(&self, no: crate::CommandNo) -> Option<CommandOutcome> {
        self.command(no)?.reply.as_deref().cloned()
    }
}

/// Empty means the default.
pub(crate) fn account_name(account: &str) -> &str {
    if account.is_empty() { DEFAULT_ACCOUNT } else { account }
}

/// Without authentication everybody trades for `default` alone.
pub(crate) fn check_account(account: &str) -> Result<(), Rejection> {
    if account_name(account) == DEFAULT_ACCOUNT {
        return Ok(());
    }
    let message = format!("this principal may trade for the account {DEFAULT_ACCOUNT} only");
    Err(Rejection::new(ReasonCode::AccountNotAllowed, "account", message))
}

pub(crate) fn unknown_order(order_id: &str) -> Rejection {
    let message = format!("no order has the id {order_id}");
    Rejection::new(ReasonCode::UnknownOrder, "order_id", message)
}

/// A `GetOrderReply` that found nothing.
pub(crate) fn refused(rejection: Rejection) -> GetOrderReply {
    GetOrderReply {
        code: Some(rejection.code),
        message: rejection.message,
        field: rejection.field,
        ..GetOrderReply::default()
    }
}
