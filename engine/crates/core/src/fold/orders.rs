//! Events that make the core remember an order id.

use crate::account::{Slot, Tombstone};
use crate::order_state::{Identity, OrderState, Symbol};
use crate::progress::Progress;
use crate::{Call, Core, ExecutionStatus, OrderNo, OrderOpened, OrderRejected, Text, UpdateKind, VenueKey};

impl Core {
    pub(super) fn absorb_opened(&mut self, event: &OrderOpened) {
        let new = &event.new;
        let no = new.key.order();
        if no != self.next_order() {
            return;
        }
        let mut now = Progress::new(new.quantity_steps, new.price_ticks, event.at_ns);
        now.quantity = Some(event.quantity);
        now.price = event.price;
        let identity = Identity {
            no,
            account: self.account_index(&event.account),
            order_id: &event.order_id,
            content_hash: event.content_hash,
            symbol: Symbol::Listed(new.symbol),
            order_type: Some(new.order_type),
            side: Some(new.side),
        };
        let mut order = OrderState::new(identity, now);
        order.time_in_force = new.time_in_force;
        order.lease = event.lease;
        if event.lease != 0 {
            // The session is back at work.
            self.leases.set_expired(event.lease, false, &mut self.hash);
        }
        order.stop_loss_ticks = new.stop_loss_ticks;
        order.take_profit_ticks = new.take_profit_ticks;
        self.instruments.count_order(new.symbol);
        self.unreported.insert(no);
        self.accounts[order.account as usize].open.insert(new.key);
        self.remember(order);
    }

    pub(super) fn absorb_rejected(&mut self, event: &OrderRejected) {
        if event.order != self.next_order() {
            return;
        }
        let mut now = Progress::new(0, None, event.at_ns);
        now.status = ExecutionStatus::Rejected;
        now.code = event.code;
        now.field = event.field.clone();
        now.message = event.message.clone();
        now.quantity = event.quantity;
        now.price = event.price;
        now.version = 0;
        let identity = Identity {
            no: event.order,
            account: self.account_index(&event.account),
            order_id: &event.order_id,
            content_hash: event.content_hash,
            symbol: Symbol::Named(event.symbol.clone()),
            order_type: event.order_type,
            side: event.side,
        };
        let order = OrderState::new(identity, now);
        self.remember(order);
        let _known = self.update(VenueKey::entry(event.order), UpdateKind::Rejected, None, event.at_ns);
        self.store_reply(event.order);
    }

    fn remember(&mut self, order: OrderState) {
        let no = order.no;
        let account = &mut self.accounts[order.account as usize];
        account.remember_order(&order.order_id, Slot::Order(no), order.takes_quota());
        self.orders.push(order);
        self.order_changed(no);
    }

    pub(super) fn absorb_replied(&mut self, no: OrderNo) {
        self.store_reply(no);
        self.turn.concluded.push(Call::Execute(no));
    }

    fn store_reply(&mut self, no: OrderNo) {
        if let Some(order) = self.order_mut(no) {
            order.store_reply();
            self.order_changed(no);
        }
    }

    pub(super) fn absorb_fenced(&mut self, account: &str, order_id: &Text) {
        let index = self.account_index(account);
        if self.slot_of(&self.accounts[index as usize], order_id).is_some() {
            return;
        }
        let no = self.tombstones.push(Tombstone { account: index, order_id: order_id.clone() });
        let account = &mut self.accounts[index as usize];
        account.remember_order(order_id, Slot::Fenced(no), false);
        self.hash.add(account.tombstone_hash(order_id, &mut Vec::new()));
    }
}
