//! Changes quantity or price of one open order, as it was at the version that the client names.

use super::Decision;
use super::cancel::check_order_id;
use super::command::{Identity, Known, order_command_reply, unremembered};
use crate::order_state::OrderState;
use crate::queries::{Found, account_name, unknown_order};
use crate::risk::Bucket;
use crate::validate::{check_legs, price_ticks, quantity_steps};
use crate::{
    CommandOutcome, Core, Effect, Intent, OrderCommandReply, OrderType, Outcome, Part, ReasonCode, Rejection,
    ReplaceOrder, Text, UtcNanos, VenueCommand, VenueKey, canonical,
};

/// What a replace asks of the venue: only what changes.
struct Change {
    quantity_steps: Option<i64>,
    price_ticks: Option<i64>,
}

impl Core {
    pub(super) fn decide_replace(&mut self, replace: &ReplaceOrder, decision: &mut Decision<'_>) -> Outcome {
        let identity = Identity {
            account: &replace.account,
            command_id: &replace.command_id,
            content_hash: canonical::content_hash(&canonical::replace(replace)),
            is_quotes: false,
        };
        let reply = |rejection, order| order_command_reply(&replace.command_id, rejection, order);
        match self.known_command(&identity) {
            Known::Seen(outcome) => return outcome,
            Known::Refused(rejection) => {
                return unremembered(CommandOutcome::OrderCommand(reply(rejection, None)));
            }
            Known::New => {}
        }
        if let Err(rejection) = check_fields(replace) {
            let reply = CommandOutcome::OrderCommand(reply(rejection, None));
            return self.answer(&identity, reply, decision);
        }
        let found = self.find(account_name(&replace.account), &replace.order_id);
        let Found::Order(key) = found else {
            let unknown = reply(unknown_order(&replace.order_id), None);
            let unknown = OrderCommandReply { fenced: found == Found::Fenced, ..unknown };
            return self.answer(&identity, CommandOutcome::OrderCommand(unknown), decision);
        };
        match self.judge_replace(replace, key, decision.now) {
            Ok((Change { quantity_steps, price_ticks }, bucket)) => {
                self.charge(account_name(&replace.account), bucket, decision);
                let command = VenueCommand::Replace { key, quantity_steps, price_ticks };
                decision.effects.push(Effect::Venue(command));
                let intent = Intent::Replace { key, quantity_steps, price_ticks };
                self.wait(&identity, intent, vec![key], decision)
            }
            Err(rejection) => {
                let reply = CommandOutcome::OrderCommand(reply(rejection, self.state_of(key)));
                self.answer(&identity, reply, decision)
            }
        }
    }

    /// What changes; with the account's bucket after it, where that is counted.
    fn judge_replace(
        &self,
        replace: &ReplaceOrder,
        key: VenueKey,
        now: UtcNanos,
    ) -> Result<(Change, Option<Bucket>), Rejection> {
        self.check_open(key, replace.expected_version)?;
        let (Some(order), Some(part)) = (self.order(key.order()), key.part()) else {
            return Err(unknown_order(&replace.order_id));
        };
        let quantity = self.new_quantity(replace, order, part)?;
        let price = self.new_price(replace, order, part)?;
        let progress = order.work(part).map(|work| &work.now);
        let total = quantity.or(progress.map(|progress| progress.quantity_steps)).unwrap_or(0);
        let account = account_name(&replace.account);
        self.check_replace_allowed(account, order.no, part, total, price.is_some())?;
        let bucket = self.check_risk_of_replace(order, part, total, price, now)?;
        Ok((Change { quantity_steps: quantity, price_ticks: price }, bucket))
    }

    fn new_quantity(&self, replace: &ReplaceOrder, order: &OrderState, part: Part) -> Result<Option<i64>, Rejection> {
        let Some(quantity) = replace.quantity else { return Ok(None) };
        if part != Part::Entry {
            return Err(invalid("quantity", "a leg's quantity follows its entry"));
        }
        let instrument = self.instrument_of(order.key(part));
        let instrument = instrument.ok_or_else(|| unknown_order(&replace.order_id))?;
        let steps = quantity_steps("quantity", quantity, instrument)?;
        if steps <= order.now().executed_steps {
            let why = "quantity is the new total and must exceed what is executed; to end the order, cancel it";
            return Err(invalid("quantity", why));
        }
        Ok(Some(steps))
    }

    fn new_price(&self, replace: &ReplaceOrder, order: &OrderState, part: Part) -> Result<Option<i64>, Rejection> {
        let Some(price) = replace.price else { return Ok(None) };
        if order.type_of(part) == Some(OrderType::Market) {
            return Err(invalid("price", "a MARKET order has no price to replace"));
        }
        if order.work(part).is_some_and(|work| work.now.triggered) {
            return Err(invalid("price", "the order was triggered and works at market"));
        }
        let instrument = self.instrument_of(order.key(part));
        let instrument = instrument.ok_or_else(|| unknown_order(&replace.order_id))?;
        let ticks = price_ticks("price", price, instrument)?;
        let side = order.side.ok_or_else(|| unknown_order(&replace.order_id))?;
        let trigger = |part, opening| {
            let leg = order.work(part).filter(|work| work.now.is_open());
            leg.map_or(opening, |work| work.now.price_ticks)
        };
        let stop = trigger(Part::Stop, order.stop_loss_ticks);
        let target = trigger(Part::Target, order.take_profit_ticks);
        match part {
            Part::Entry => check_legs(side, Some(ticks), stop, target),
            Part::Stop => check_legs(side, None, Some(ticks), target),
            Part::Target => check_legs(side, None, stop, Some(ticks)),
        }
        .map_err(|rejection| Rejection { field: Text::new_static("price"), ..rejection })?;
        Ok(Some(ticks))
    }
}

fn invalid(field: &str, message: &str) -> Rejection {
    Rejection::new(ReasonCode::InvalidField, field, message)
}

/// What can be judged without the order.
fn check_fields(replace: &ReplaceOrder) -> Result<(), Rejection> {
    replace.defect.clone().map_or(Ok(()), Err)?;
    check_order_id(&replace.order_id)?;
    let missing = |field: &str, message: &str| Err(Rejection::new(ReasonCode::MissingField, field, message));
    if replace.expected_version.is_none() {
        let message = "expected_version must be given: the order_version that this was decided on";
        return missing("expected_version", message);
    }
    if replace.quantity.is_none() && replace.price.is_none() {
        return missing("quantity", "quantity, price or both must be given");
    }
    Ok(())
}
