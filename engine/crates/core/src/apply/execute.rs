//! A client's order: looked up, judged, and either rejected or sent to the venue.

use super::Decision;
use crate::account::Slot;
use crate::forgetting::{forgotten_order, milliseconds};
use crate::identity::{check_id, uuid7_ms};
use crate::queries::{account_name, check_account};
use crate::risk::Bucket;
use crate::validate::{Terms, validate};
use crate::{
    Call, CommandOutcome, ContentHash, Core, Decimal, Effect, Event, ExecutionStatus, Instrument, NewOrder, Order,
    OrderNo, OrderOpened, OrderRejected, OrderReply, Outcome, ReasonCode, Rejection, Text, UtcNanos, VenueCommand,
    VenueKey, canonical,
};

impl Core {
    pub(super) fn decide_order(&mut self, order: &Order, decision: &mut Decision<'_>) -> Outcome {
        let usable = check_order_id(order).and_then(|()| check_account(&order.account));
        if let Err(rejection) = usable {
            return answered(unstored(order, rejection));
        }
        // The id is looked up before every other check, expiry and age included (invariant 1).
        let form = canonical::order_in(std::mem::take(&mut self.form), order);
        let content_hash = canonical::content_hash(&form);
        self.form = form;
        if let Some(outcome) = self.known_order(order, content_hash) {
            return outcome;
        }
        if let Some(rejection) = self.too_old(order, decision) {
            return answered(unstored(order, rejection));
        }
        match self.judge(order, decision.now) {
            Ok((terms, bucket)) => self.open(order, content_hash, terms, bucket, decision),
            Err(rejection) => self.reject(order, content_hash, rejection, decision),
        }
    }

    /// The answer to an id that was seen before.
    fn known_order(&self, order: &Order, content_hash: ContentHash) -> Option<Outcome> {
        let slot = self.slot_of(self.account(account_name(&order.account))?, &order.order_id)?;
        let Slot::Order(no) = slot else {
            let message =
                "the id was fenced before this order came, so it never executes; a new decision needs a new id";
            let rejection = Rejection::new(ReasonCode::Fenced, "order_id", message);
            return Some(answered(unstored(order, rejection)));
        };
        let known = self.order(no)?;
        if known.content_hash != content_hash {
            let message = "the id stands for another order, and that one stands";
            let rejection = Rejection::new(ReasonCode::DuplicateOrderId, "order_id", message);
            return Some(answered(unstored(order, rejection)));
        }
        let reply = self.stored_reply(known).map(CommandOutcome::Execute);
        let waits_for = reply.is_none().then_some(Call::Execute(no));
        Some(Outcome { reply, waits_for, duplicate: true })
    }

    /// An id that is not known, and so old that it may have been: it never executes from now on.
    fn too_old(&mut self, order: &Order, decision: &mut Decision<'_>) -> Option<Rejection> {
        let id_ms = uuid7_ms(&order.order_id)?;
        if id_ms <= self.forgotten.ids_ms {
            return Some(forgotten_order(&order.order_id, self.forgotten.ids_ms));
        }
        let retention_ms = self.limits().retention_ms;
        if id_ms.saturating_add(retention_ms) >= milliseconds(decision.now) {
            return None;
        }
        self.never_again(id_ms, decision);
        let message = format!("the id's time lies more than {retention_ms} ms before engine time");
        Some(Rejection::new(ReasonCode::IdTooOld, "order_id", message))
    }

    /// All that can be wrong with an order under an id that is to be spent. With the account's bucket after it.
    fn judge(&self, order: &Order, now: UtcNanos) -> Result<(Terms, Option<Bucket>), Rejection> {
        self.check_not_from_future("order_id", &order.order_id, now)?;
        let terms = validate(order, &self.instruments, self.limits(), now)?;
        let account = account_name(&order.account);
        self.check_trading_state(account, &terms)?;
        let bucket = self.check_risk(account, &terms.new, now)?;
        Ok((terms, bucket))
    }

    fn open(
        &mut self,
        order: &Order,
        content_hash: ContentHash,
        terms: Terms,
        bucket: Option<Bucket>,
        decision: &mut Decision<'_>,
    ) -> Outcome {
        let account = account_name(&order.account);
        let no = self.next_order();
        let new = NewOrder { key: VenueKey::entry(no), ..terms.new };
        let opened = OrderOpened {
            account: account.into(),
            order_id: order.order_id.as_str().into(),
            content_hash,
            new,
            quantity: order.quantity.unwrap_or(Decimal::ZERO),
            price: order.price,
            at_ns: decision.now,
            lease: self.leases.of(decision.session_id, self.account_place(account)),
        };
        self.commit(Event::OrderOpened(opened), decision.events);
        self.charge(account, bucket, decision);
        decision.effects.push(Effect::Venue(VenueCommand::New(new)));
        Outcome { reply: None, waits_for: Some(Call::Execute(no)), duplicate: false }
    }

    fn reject(
        &mut self,
        order: &Order,
        content_hash: ContentHash,
        rejection: Rejection,
        decision: &mut Decision<'_>,
    ) -> Outcome {
        let no = self.next_order();
        let rejected = rejected(order, no, content_hash, rejection, decision.now);
        self.commit(Event::OrderRejected(rejected), decision.events);
        let reply = self.order(no).and_then(|order| self.stored_reply(order));
        Outcome { reply: reply.map(CommandOutcome::Execute), waits_for: None, duplicate: false }
    }
}

/// A fault of the conversion that concerns the id itself says more than that the id is missing.
fn check_order_id(order: &Order) -> Result<(), Rejection> {
    match &order.defect {
        Some(defect) if defect.field == "order_id" || defect.field == "account" => Err(defect.clone()),
        _ => check_id("order_id", &order.order_id),
    }
}

fn answered(reply: OrderReply) -> Outcome {
    let reply = Some(CommandOutcome::Execute(reply));
    Outcome { reply, waits_for: None, duplicate: false }
}

/// What a client wrote as symbol, unless it is too long to be one: stored state stays small.
fn echoed_symbol(order: &Order) -> &str {
    if order.symbol.len() <= Instrument::MAX_SYMBOL_BYTES { &order.symbol } else { "" }
}

/// What is remembered of an order that was rejected.
fn rejected(
    order: &Order,
    no: OrderNo,
    content_hash: ContentHash,
    rejection: Rejection,
    at_ns: UtcNanos,
) -> OrderRejected {
    OrderRejected {
        account: account_name(&order.account).into(),
        order_id: order.order_id.as_str().into(),
        order: no,
        content_hash,
        code: rejection.code,
        field: rejection.field,
        message: rejection.message,
        symbol: echoed_symbol(order).into(),
        order_type: order.order_type,
        side: order.side,
        quantity: order.quantity,
        price: order.price,
        at_ns,
    }
}

/// A REJECTED reply that is not stored under the id.
fn unstored(order: &Order, rejection: Rejection) -> OrderReply {
    OrderReply {
        order_id: order.order_id.as_str().into(),
        status: ExecutionStatus::Rejected,
        exchange_order_id: Text::default(),
        executed_quantity: Decimal::ZERO,
        executed_price: None,
        execution_time_ns: None,
        error_message: rejection.message,
        code: rejection.code,
        field: rejection.field,
        account: account_name(&order.account).into(),
        order_version: 0,
        sequence: 0,
        remaining_quantity: Decimal::ZERO,
        symbol: echoed_symbol(order).into(),
        order_type: order.order_type,
        side: order.side,
        quantity: order.quantity,
        price: order.price,
        parent_order_id: Text::default(),
    }
}
