//! One input on its way: room in the journal, execution, the record, and the outputs parked under its number.

use crate::record::RecordView;
use crate::waiting::{Slot, Waiter};
use crate::{Disk, Origin, Output, Reply, Sequencer, VenueKind};
use bridge_core::{
    Call, CommandOutcome, Decimal, ExecuteReply, ExecutionStatus, InputRef, Order, OrderReply, Outcome, Rejection,
    Text, UtcNanos,
};
impl<D: Disk> Sequencer<D> {
    /// Engine time never decreases (invariant 3).
    pub(crate) fn clamp(&mut self, now: UtcNanos) {
        self.now = self.now.max(now);
    }

    /// Executes an input that has room, records it, and parks what it leads to: replies first, then updates, market
    /// data, sends. An input that changed nothing (a duplicate, a late timer) leaves no record; its reply is parked
    /// at the tail, because it may tell of records that are not durable yet.
    pub(crate) fn run(&mut self, input: InputRef<'_>, origin: &Origin, asker: Option<Slot>) {
        let outcome = self.state.execute(&origin.session_id, input, self.now);
        let mut concluded = std::mem::take(&mut self.concluded);
        self.state.core.take_concluded_into(&mut concluded);
        let appended = if self.state.has_changed() { self.append(input, origin, &outcome, &concluded) } else { Ok(()) };
        match appended {
            Ok(()) => {
                if let InputRef::Command(command) = input {
                    self.counts.command(command, origin.path, outcome.duplicate);
                }
                self.watch_leases(input, &origin.session_id);
                self.answer(outcome, &mut concluded, asker);
                self.park_news();
            }
            Err(reason) => self.fail(reason),
        }
        concluded.clear();
        self.concluded = concluded;
    }

    fn append(
        &mut self,
        input: InputRef<'_>,
        origin: &Origin,
        outcome: &Outcome,
        concluded: &[(Call, CommandOutcome)],
    ) -> Result<(), String> {
        let record = RecordView {
            time_ns: self.now,
            principal: &origin.principal,
            path: origin.path,
            session_id: &origin.session_id,
            embedded: self.state.is_embedded(),
            input,
            events: &self.state.events,
            venue_events: &self.state.venue_events,
            reply: outcome.reply.as_ref(),
            concluded,
            previous_hash: None,
        };
        let payload = self.payload.encode(&record).map_err(|error| format!("a record cannot be encoded: {error}"))?;
        self.journal.append(payload).map_err(|error| error.to_string())?;
        self.counts.records += 1;
        self.counts.appended_bytes += payload.len() as u64;
        Ok(())
    }

    /// Answers who sent the input, or lets them wait; then all that waited for the calls that the input concluded.
    #[inline]
    fn answer(&mut self, outcome: Outcome, concluded: &mut Vec<(Call, CommandOutcome)>, asker: Option<Slot>) {
        let mut waits = None;
        match (asker, outcome.reply, outcome.waits_for) {
            (None, ..) => {}
            (Some(slot), Some(reply), _) => self.give(slot, Reply::of(reply, outcome.duplicate)),
            (Some(slot), None, Some(call)) => {
                waits = Some((call, Waiter { slot, duplicate: outcome.duplicate }));
            }
            // No input of a client is so. Without an answer its outcome is unknown to the client, which is the truth.
            (Some(_), None, None) => debug_assert!(false, "a command got neither a reply nor a call to wait for"),
        }
        for (call, reply) in concluded.drain(..) {
            let asked = waits.take_if(|(awaited, _)| *awaited == call);
            self.conclude(call, reply, asked.map(|(_, waiter)| waiter));
        }
        if let Some((call, waiter)) = waits {
            if !waiter.duplicate {
                self.start_ack_timer(call);
            }
            self.waiting.join(call, waiter);
        }
    }

    fn start_ack_timer(&mut self, call: Call) {
        if let (Call::Execute(order), VenueKind::External { ack_timeout_ms }) = (call, self.options.venue) {
            let limit_ns = crate::venue_reports::nanoseconds(ack_timeout_ms);
            self.ack_timers.start(order, self.now.saturating_add(limit_ns));
        }
    }

    /// Answers who waited, the one who has just asked last.
    #[inline]
    fn conclude(&mut self, call: Call, outcome: CommandOutcome, asked: Option<Waiter>) {
        if let Call::Execute(order) = call {
            self.ack_timers.stop(order);
        }
        for waiter in self.waiting.take(call) {
            self.give(waiter.slot, Reply::of(outcome.clone(), waiter.duplicate));
        }
        if let Some(waiter) = asked {
            self.give(waiter.slot, Reply::of(outcome, waiter.duplicate));
        }
    }

    #[inline]
    fn give(&mut self, slot: Slot, reply: Reply) {
        match (slot, reply) {
            (Slot::Single(token), reply) => self.park(Output::Reply { token, reply }),
            (Slot::InBatch { batch, index }, Reply::Execute(reply)) => self.answer_in_batch(batch, index, reply),
            (Slot::InBatch { .. }, _) => debug_assert!(false, "a batch holds orders only"),
        }
    }

    pub(crate) fn answer_in_batch(&mut self, batch: u64, index: usize, reply: ExecuteReply) {
        if let Some((token, replies)) = self.waiting.fill_batch(batch, index, reply) {
            self.park(Output::Reply { token, reply: Reply::Batch(replies) });
        }
    }

    fn park_news(&mut self) {
        let (seq, parking) = (self.journal.last_seq(), &mut self.parking);
        self.state.core.take_new_updates().for_each(|range| parking.park(seq, Output::Updates(range)));
        self.state.take_effects(|output| parking.park(seq, output));
    }

    /// Parks at the tail: behind every record appended so far.
    #[inline]
    pub(crate) fn park(&mut self, output: Output) {
        self.parking.park(self.journal.last_seq(), output);
    }
}

/// One order of a batch that was refused on its own account (WIRE.md, section 2): this copy had no effect.
pub(crate) fn failed_reply(order: &Order, rejection: Rejection) -> ExecuteReply {
    let reply = OrderReply {
        order_id: order.order_id.as_str().into(),
        status: ExecutionStatus::Failed,
        exchange_order_id: Text::default(),
        executed_quantity: Decimal::ZERO,
        executed_price: None,
        execution_time_ns: None,
        error_message: rejection.message,
        code: rejection.code,
        field: rejection.field,
        account: order.account.as_str().into(),
        order_version: 0,
        sequence: 0,
        remaining_quantity: Decimal::ZERO,
        symbol: order.symbol.as_str().into(),
        order_type: order.order_type,
        side: order.side,
        quantity: order.quantity,
        price: order.price,
        parent_order_id: Text::default(),
    };
    ExecuteReply { reply, duplicate: false }
}
