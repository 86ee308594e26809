//! Events that the venue's reports became.

use crate::order_state::Leg;
use crate::progress::Progress;
use crate::risk::half_ticks;
use crate::{Core, Event, ExecutionStatus, Part, ReasonCode, Side, Text, UpdateKind, UtcNanos, VenueKey};

impl Core {
    /// One event of the venue; `None` where it does not fit the state.
    pub(super) fn absorb_venue(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::Accepted { key, venue_order_id, at_ns } => {
                self.progress(*key)?.venue_order_id = venue_order_id.clone();
                self.report(*key, UpdateKind::Accepted, *at_ns)
            }
            Event::VenueRejected { key, code, message, at_ns } => self.absorb_refusal(*key, *code, message, *at_ns),
            Event::Filled { key, execution_id, quantity_steps, price_ticks, at_ns } => {
                self.absorb_fill(*key, (*execution_id, *quantity_steps, *price_ticks), *at_ns)
            }
            Event::Closed { key, code, at_ns } => self.absorb_close(*key, *code, *at_ns),
            Event::Triggered { key, at_ns } => {
                self.progress(*key)?.triggered = true;
                self.report(*key, UpdateKind::Triggered, *at_ns)
            }
            Event::Replaced { key, command, quantity_steps, price_ticks, at_ns } => {
                if let Some(command) = command {
                    self.mark_replaced(*key, *command);
                }
                self.absorb_new_terms(*key, *quantity_steps, *price_ticks, *at_ns)
            }
            Event::LegOpened { key, trigger_ticks, quantity_steps, at_ns } => {
                self.absorb_leg(*key, *trigger_ticks, *quantity_steps, *at_ns)
            }
            Event::LegResized { key, quantity_steps, at_ns } => {
                let now = self.progress(*key)?;
                // With nothing left its trigger is done with: growing again, it waits for the next.
                if now.remaining_steps() == 0 && *quantity_steps > now.executed_steps {
                    now.triggered = false;
                }
                now.quantity_steps = *quantity_steps;
                self.report(*key, UpdateKind::LegChanged, *at_ns)
            }
            _ => None,
        }
    }

    fn progress(&mut self, key: VenueKey) -> Option<&mut Progress> {
        Some(&mut self.order_mut(key.order())?.work_mut(key.part()?)?.now)
    }

    /// The venue said something of this order: an update, and its call can be concluded.
    fn report(&mut self, key: VenueKey, kind: UpdateKind, at_ns: UtcNanos) -> Option<()> {
        self.update(key, kind, None, at_ns)?;
        self.reported(key);
        Some(())
    }

    fn reported(&mut self, key: VenueKey) {
        let no = key.order();
        self.unreported.remove(&no);
        if self.order(no).is_some_and(|order| !order.is_concluded()) {
            self.turn.reported.push(no);
        }
    }

    fn absorb_refusal(&mut self, key: VenueKey, code: ReasonCode, message: &Text, at_ns: UtcNanos) -> Option<()> {
        let now = self.progress(key)?;
        if now.executed_steps > 0 {
            now.status = ExecutionStatus::Cancelled;
        } else {
            now.status = ExecutionStatus::Rejected;
            now.version = 0;
        }
        now.code = code;
        now.message = message.clone();
        self.report(key, UpdateKind::Rejected, at_ns)?;
        self.end(key)
    }

    fn absorb_close(&mut self, key: VenueKey, code: ReasonCode, at_ns: UtcNanos) -> Option<()> {
        let now = self.progress(key)?;
        let is_done = code == ReasonCode::None && now.remaining_steps() == 0;
        now.status = if is_done { ExecutionStatus::Filled } else { ExecutionStatus::Cancelled };
        now.code = code;
        now.message = Text::new_static(closing_words(code));
        self.report(key, UpdateKind::Closed, at_ns)?;
        self.end(key)
    }

    fn absorb_new_terms(
        &mut self,
        key: VenueKey,
        quantity_steps: i64,
        price_ticks: Option<i64>,
        at_ns: UtcNanos,
    ) -> Option<()> {
        let now = self.progress(key)?;
        now.quantity_steps = quantity_steps;
        now.quantity = None;
        if price_ticks.is_some() {
            now.price_ticks = price_ticks;
            now.price = None;
        }
        now.version += 1;
        self.report(key, UpdateKind::Replaced, at_ns)?;
        self.end_if_done(key)
    }

    fn absorb_fill(&mut self, key: VenueKey, execution: (u64, i64, i64), at_ns: UtcNanos) -> Option<()> {
        let (execution_id, quantity_steps, price_ticks) = execution;
        let part = key.part()?;
        let can_grow = part != Part::Entry && self.entry_is_open(key);
        let order = self.order_mut(key.order())?;
        let (symbol, side, account) = (order.symbol_index()?, order.side_of(part)?, order.account);
        let work = order.work_mut(part)?;
        work.add_execution(execution_id);
        let now = &mut work.now;
        let was_open = now.is_open();
        now.executed_steps = now.executed_steps.saturating_add(quantity_steps);
        let value = i128::from(quantity_steps) * i128::from(price_ticks);
        now.notional = now.notional.saturating_add(value);
        now.execution_time_ns = Some(at_ns);
        let is_done = now.remaining_steps() == 0 && !(can_grow && was_open);
        now.status = match (is_done, was_open) {
            (true, _) => ExecutionStatus::Filled,
            (false, true) => ExecutionStatus::PartiallyFilled,
            // An execution that crossed the cancel on its way: it happened, and the order stays ended.
            (false, false) => ExecutionStatus::Cancelled,
        };
        if is_done {
            now.code = ReasonCode::None;
            now.message = Text::default();
        }
        let signed = match side {
            Side::Buy => i128::from(quantity_steps),
            Side::Sell => -i128::from(quantity_steps),
        };
        let account = self.accounts.get_mut(usize::try_from(account).ok()?)?;
        account.move_position(symbol, signed);
        if let Some(price) = half_ticks(price_ticks) {
            self.risk.set_last_price(symbol, Some(price));
        }
        self.update(key, UpdateKind::Fill, Some(execution), at_ns)?;
        self.reported(key);
        if is_done { self.end(key) } else { Some(()) }
    }

    fn absorb_leg(&mut self, key: VenueKey, trigger_ticks: i64, quantity_steps: i64, at_ns: UtcNanos) -> Option<()> {
        let order = self.order_mut(key.order())?;
        let part = key.part()?;
        let now = Progress::new(quantity_steps, Some(trigger_ticks), at_ns);
        let leg = Box::new(Leg::new(&order.order_id, part, now));
        match part {
            Part::Entry => return None,
            Part::Stop => order.legs[0] = Some(leg),
            Part::Target => order.legs[1] = Some(leg),
        }
        let account = usize::try_from(order.account).ok()?;
        self.accounts.get_mut(account)?.open.insert(key);
        self.report(key, UpdateKind::LegChanged, at_ns)
    }

    /// A replace down to what was executed leaves nothing to do.
    fn end_if_done(&mut self, key: VenueKey) -> Option<()> {
        let now = self.progress(key)?;
        if now.remaining_steps() > 0 {
            return Some(());
        }
        now.status = ExecutionStatus::Filled;
        let at_ns = now.updated_ns;
        self.report(key, UpdateKind::Closed, at_ns)?;
        self.end(key)
    }

    /// The order works no more: commands that waited for it have their answer.
    fn end(&mut self, key: VenueKey) -> Option<()> {
        let account = usize::try_from(self.order(key.order())?.account).ok()?;
        self.accounts.get_mut(account)?.open.remove(&key);
        self.finish_waiting(key);
        Some(())
    }
}

/// What a code says about an order that ended.
fn closing_words(code: ReasonCode) -> &'static str {
    match code {
        ReasonCode::NoLiquidity => "what was left found no counterparty",
        ReasonCode::IocRemainder => "IOC: what was not executed at once was cancelled",
        ReasonCode::FokUnfillable => "FOK: not all could be executed at once, so nothing was",
        ReasonCode::CancelledOnDisconnect => "its session had no connection for the grace of its lease",
        ReasonCode::CancelledByClient => "cancelled by the client",
        ReasonCode::LegDone => "the other leg has closed the position",
        ReasonCode::VenueRejected => "cancelled by the venue",
        _ => "",
    }
}
