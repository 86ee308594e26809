//! How events change the state. Recovery and the live engine both come through here, and nowhere else.

mod commands;
mod orders;
mod venue;

use crate::account::Account;
use crate::core::index_of;
use crate::order_state::OrderState;
use crate::state_hash::{Kind, entity_hash};
use crate::{Core, Event, OrderNo, OrderUpdate, Part, UpdateKind, UtcNanos, VenueKey};
use std::sync::Arc;

/// An execution as its update shows it: id, quantity steps, price ticks.
type Execution = (u64, i64, i64);

impl Core {
    /// Applies one event. One that does not fit the state (none of the core's own) changes nothing.
    pub(crate) fn absorb(&mut self, event: &Event) {
        match event {
            Event::Started { epoch } => self.epoch = *epoch,
            Event::Configured(configuration) => {
                self.instruments.configure(configuration);
                self.configuration = Some((**configuration).clone());
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
                account.rehash(&mut self.hash);
            }
            Event::CommandRefused { key, command, code, message } => {
                self.absorb_command_refused(*key, *command, *code, message);
            }
            venue => {
                let _known = self.absorb_venue(venue);
            }
        }
    }

    /// The account's index; a new account where there is none.
    fn account_index(&mut self, name: &str) -> u32 {
        let at = self.accounts.iter().position(|account| *account.name == *name);
        let at = at.unwrap_or_else(|| {
            let mut account = Account::new(name);
            account.rehash(&mut self.hash);
            self.accounts.push(account);
            self.accounts.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// Brings an order's share of the state hash up to date.
    fn rehash_order(&mut self, no: OrderNo) {
        if let Some(order) = index_of(no.0).and_then(|at| self.orders.get_mut(at)) {
            self.hash.remove(order.hash);
            order.hash = entity_hash(Kind::Order, order);
            self.hash.add(order.hash);
        }
    }

    fn order_mut(&mut self, no: OrderNo) -> Option<&mut OrderState> {
        self.orders.get_mut(index_of(no.0)?)
    }

    /// Gives a change of an order the account's next number, and keeps it for subscribers.
    fn update(
        &mut self,
        key: VenueKey,
        kind: UpdateKind,
        execution: Option<Execution>,
        event_time_ns: UtcNanos,
    ) -> Option<()> {
        let part = key.part()?;
        let limit = usize::try_from(self.limits().update_history).unwrap_or(usize::MAX);
        let order = self.orders.get_mut(index_of(key.order().0)?)?;
        let account = self.accounts.get_mut(usize::try_from(order.account).ok()?)?;
        account.sequence += 1;
        account.rehash(&mut self.hash);
        let work = order.work_mut(part)?;
        work.now.sequence = account.sequence;
        work.now.updated_ns = event_time_ns;
        let order = &*order;
        let symbol = order.symbol_index();
        let quantity = |steps| symbol.and_then(|symbol| self.instruments.quantity(symbol, steps));
        let price = |ticks| symbol.and_then(|symbol| self.instruments.price(symbol, ticks));
        let progress = &order.work(part)?.now;
        let update = Arc::new(OrderUpdate {
            sequence: account.sequence,
            kind,
            order: order.reply(part, progress, &account.name, &self.instruments),
            execution_id: execution.map_or(0, |(id, _, _)| id),
            last_quantity: execution.and_then(|(_, steps, _)| quantity(steps)),
            last_price: execution.and_then(|(_, _, ticks)| price(ticks)),
            event_time_ns,
            snapshot: false,
        });
        account.keep(Arc::clone(&update), limit);
        self.turn.updates.push(update);
        Some(())
    }

    /// Whether the entry of this key can still fill.
    fn entry_is_open(&self, key: VenueKey) -> bool {
        self.order(key.order()).and_then(|order| order.work(Part::Entry)).is_some_and(|work| work.now.is_open())
    }
}
