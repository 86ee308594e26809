//! Cancels one order or leg; an id that no order has is fenced.

use super::Decision;
use super::command::{Identity, Known, order_command_reply, unremembered};
use crate::forgetting::forgotten_order;
use crate::identity::{check_id, split_leg};
use crate::queries::{Found, account_name, refused, unknown_order};
use crate::{
    CancelOrder, CommandOutcome, Core, Effect, Event, FenceOrder, GetOrderReply, Intent, OrderCommandReply, Outcome,
    ReasonCode, Rejection, VenueCommand, VenueKey, canonical,
};

impl Core {
    pub(super) fn decide_cancel(&mut self, cancel: &CancelOrder, decision: &mut Decision<'_>) -> Outcome {
        let identity = Identity {
            account: &cancel.account,
            command_id: &cancel.command_id,
            content_hash: canonical::content_hash(&canonical::cancel(cancel)),
            is_quotes: false,
        };
        let reply =
            |rejection, order| CommandOutcome::OrderCommand(order_command_reply(&cancel.command_id, rejection, order));
        match self.known_command(&identity) {
            Known::Seen(outcome) => return outcome,
            Known::Refused(rejection) => return unremembered(reply(rejection, None)),
            Known::New => {}
        }
        let wrong = cancel.defect.clone().map_or(Ok(()), Err);
        if let Err(rejection) = wrong.and_then(|()| check_order_id(&cancel.order_id)) {
            return self.answer(&identity, reply(rejection, None), decision);
        }
        let account = account_name(&cancel.account);
        match self.find(account, &cancel.order_id) {
            Found::Order(key) => match self.check_open(key, cancel.expected_version) {
                Ok(()) => {
                    decision.effects.push(Effect::Venue(VenueCommand::Cancel { key }));
                    self.wait(&identity, Intent::Cancel { key }, vec![key], decision)
                }
                Err(rejection) => {
                    let order = self.state_of(key);
                    self.answer(&identity, reply(rejection, order), decision)
                }
            },
            Found::Unknown if self.may_be_forgotten(&cancel.order_id) => {
                let forgotten = forgotten_order(&cancel.order_id, self.forgotten.ids_ms);
                let never =
                    OrderCommandReply { fenced: true, ..order_command_reply(&cancel.command_id, forgotten, None) };
                self.answer(&identity, CommandOutcome::OrderCommand(never), decision)
            }
            found => {
                let fenced = self.fence(found, account, &cancel.order_id, decision);
                let unknown = unknown_order(&cancel.order_id);
                let unknown = order_command_reply(&cancel.command_id, unknown, None);
                let unknown = OrderCommandReply { fenced, ..unknown };
                self.answer(&identity, CommandOutcome::OrderCommand(unknown), decision)
            }
        }
    }

    /// `GetOrder(fence=true)`: found, or it never will be (invariant 6).
    pub(super) fn decide_fence(&mut self, fence: &FenceOrder, decision: &mut Decision<'_>) -> Outcome {
        let state = self.get(&fence.account, &fence.order_id);
        if state.found || state.code != Some(ReasonCode::UnknownOrder) {
            return unremembered(CommandOutcome::Get(state));
        }
        let account = account_name(&fence.account);
        let found = self.find(account, &fence.order_id);
        let fenced = self.fence(found, account, &fence.order_id, decision);
        let reply = GetOrderReply { fenced, ..refused(unknown_order(&fence.order_id)) };
        unremembered(CommandOutcome::Get(reply))
    }

    /// Whether the id never executes from now on.
    fn fence(&mut self, found: Found, account: &str, order_id: &str, decision: &mut Decision<'_>) -> bool {
        if found == Found::Unknown {
            let (account, order_id) = (account.into(), order_id.into());
            self.commit(Event::Fenced { account, order_id }, decision.events);
        }
        matches!(found, Found::Unknown | Found::Fenced)
    }

    /// Whether an order or leg works and is what the client thinks it is.
    pub(super) fn check_open(&self, key: VenueKey, expected_version: Option<u64>) -> Result<(), Rejection> {
        let work = self.order(key.order()).zip(key.part()).and_then(|(order, part)| order.work(part));
        let Some(work) = work.filter(|work| work.now.is_open()) else {
            return Err(Rejection::new(ReasonCode::OrderClosed, "order_id", "the order has ended"));
        };
        let version = work.now.version;
        if expected_version.is_some_and(|expected| expected != version) {
            let message = format!("the order has version {version} now: read it and decide again");
            return Err(mismatch(message));
        }
        if expected_version.is_some() && self.replace_under_way(key) {
            return Err(mismatch("another replace of this order is under way".to_owned()));
        }
        Ok(())
    }

    /// Whether the venue has yet to answer a replace of this order.
    fn replace_under_way(&self, key: VenueKey) -> bool {
        let waiting = self.waiting.get(&key).into_iter().flatten();
        let mut waiting = waiting.filter_map(|no| self.command(*no));
        waiting.any(|command| matches!(command.intent, Intent::Replace { .. }))
    }
}

fn mismatch(message: String) -> Rejection {
    Rejection::new(ReasonCode::OrderVersionMismatch, "expected_version", message)
}

/// An order id in a command may name a leg.
pub(super) fn check_order_id(order_id: &str) -> Result<(), Rejection> {
    check_id("order_id", split_leg(order_id).0)
}
