//! How events change the state. Recovery and the live engine both come through here, and nowhere else.

mod commands;
mod control;
mod orders;
mod venue;

use crate::account::Account;
use crate::change::{Change, Execution};
use crate::order_state::OrderState;
use crate::risk::order_moved_by;
use crate::{Core, Event, OrderNo, Part, UpdateKind, UtcNanos, VenueKey};

impl Core {
    /// Applies one event. One that does not fit the state (none of the core's own) changes nothing.
    pub(crate) fn absorb(&mut self, event: &Event) {
        let moved = order_moved_by(event).map(|no| (no, self.exposure_of(no)));
        self.change_by(event);
        if let Some((no, before)) = moved {
            self.exposure_changed(no, before);
        }
    }

    fn change_by(&mut self, event: &Event) {
        match event {
            Event::Started { epoch } => {
                self.epoch = *epoch;
                let next = self.next_order();
                let oldest = self.orders.iter().next().map_or(next, |(no, _)| OrderNo(no));
                self.epochs.begin(*epoch, next, oldest);
            }
            Event::Configured(configuration) => {
                self.instruments.configure(configuration);
                self.configuration = Some((**configuration).clone());
                self.rebuild_bounds();
                let limit = self.history_limit();
                self.accounts.iter_mut().for_each(|account| account.shorten_history(limit));
            }
            Event::OrderOpened(opened) => self.absorb_opened(opened),
            Event::OrderRejected(rejected) => self.absorb_rejected(rejected),
            Event::Replied { order } => self.absorb_replied(*order),
            Event::Fenced { account, order_id } => self.absorb_fenced(account, order_id),
            Event::CommandRecorded(recorded) => self.absorb_command(recorded),
            Event::CommandConcluded { command, reply } => self.absorb_conclusion(*command, reply),
            Event::TradingStateSet { account, state } => {
                let index = self.account_index(account);
                let account = &mut self.accounts[index as usize];
                account.state = *state;
                account.hash_is_due = true;
            }
            Event::CommandRefused { key, command, code, message } => {
                self.absorb_command_refused(*key, *command, *code, message);
            }
            Event::TradingStateForAllSet { .. }
            | Event::RiskLimitsSet(_)
            | Event::LastPriceSet { .. }
            | Event::RateCharged { .. }
            | Event::LeaseSet(_)
            | Event::LeaseEnded { .. }
            | Event::LeaseExpired { .. } => self.absorb_control(event),
            Event::Forgotten(forgotten) => self.absorb_forgotten(forgotten),
            venue => {
                let _known = self.absorb_venue(venue);
            }
        }
    }

    /// The account's index; a new account where there is none.
    fn account_index(&mut self, name: &str) -> u32 {
        let at = self.accounts.iter().position(|account| *account.name == *name);
        let at = at.unwrap_or_else(|| {
            self.accounts.push(Account::new(name));
            self.rebuild_bounds();
            self.accounts.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    fn order_mut(&mut self, no: OrderNo) -> Option<&mut OrderState> {
        self.orders.get_mut(no.0)
    }

    /// Gives a change of an order the account's next number, and keeps it for subscribers.
    fn update(
        &mut self,
        key: VenueKey,
        kind: UpdateKind,
        execution: Option<Execution>,
        event_time_ns: UtcNanos,
    ) -> Option<()> {
        let order = self.orders.get_mut(key.order().0)?;
        let account = self.accounts.get_mut(usize::try_from(order.account).ok()?)?;
        let now = &mut order.work_mut(key.part()?)?.now;
        account.sequence += 1;
        account.hash_is_due = true;
        now.sequence = account.sequence;
        now.updated_ns = event_time_ns;
        let progress = now.clone();
        account.keep(Change { sequence: account.sequence, kind, key, execution, event_time_ns, progress });
        self.turn.announce(&account.name, account.sequence);
        self.order_changed(key.order());
        Some(())
    }

    /// Whether the entry of this key can still fill.
    fn entry_is_open(&self, key: VenueKey) -> bool {
        self.order(key.order()).and_then(|order| order.work(Part::Entry)).is_some_and(|work| work.now.is_open())
    }
}
