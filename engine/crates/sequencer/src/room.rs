//! Room in the journal, made before an input is executed: what cannot be journaled must not happen.

use crate::{Disk, Sequencer};
use bridge_core::{CommandRef, InputRef, Order, ReasonCode, Rejection};
use bridge_journal::Error;

/// What any record may need beside its input and the orders that it moves.
const RECORD_BYTES: usize = 4096;
/// What one resting order, leg or quote may add: its fills, its end, its leg's changes, as events of core and venue.
const BYTES_PER_ORDER: usize = 512;
/// What one order takes that is only named: a command waits for an external venue's word on it.
const BYTES_PER_KEY: usize = 10;
/// More is never reserved for one input: an input that moves so many orders at once is not known.
const RESERVED_BYTES_MAX: usize = 16 << 20;

impl<D: Disk> Sequencer<D> {
    /// Makes sure that the record of `input` will have room: what cannot be journaled must not be executed.
    ///
    /// # Errors
    /// `BUSY`, as a refusal, while the disk is full: the engine takes orders when there is room again.
    /// `JOURNAL_FAILED` for good.
    pub(crate) fn make_room(&mut self, input: InputRef<'_>) -> Result<(), Rejection> {
        self.reserve(self.bytes_for(input))
    }

    /// As [`Sequencer::make_room`], for a command of a client: what is answered from memory leaves no record and
    /// needs no room, so that a resend is answered on a full disk too.
    pub(crate) fn make_room_unless_known(&mut self, input: InputRef<'_>) -> Result<(), Rejection> {
        let made = self.make_room(input);
        if made.is_err() && self.is_answered_from_memory(input) { Ok(()) } else { made }
    }

    fn is_answered_from_memory(&self, input: InputRef<'_>) -> bool {
        let known = matches!(input, InputRef::Command(command) if self.state.core.knows(command));
        known && self.failed().is_none()
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Rejection> {
        match self.journal.reserve(bytes) {
            Ok(()) => {
                self.short_of_space = None;
                Ok(())
            }
            Err(error) => {
                let reason = error.to_string();
                if matches!(error, Error::NoSpace { .. } | Error::RecordTooLarge { .. }) {
                    let message = format!("{reason}; nothing was done: send the same again when there is room");
                    self.short_of_space = Some(reason);
                    return Err(Rejection::new(ReasonCode::Busy, "", message));
                }
                self.fail(reason.clone());
                Err(Rejection::new(ReasonCode::JournalFailed, "", reason))
            }
        }
    }

    /// What a record of this input may come to, generously.
    pub(crate) fn bytes_for(&self, input: InputRef<'_>) -> usize {
        let orders = self.state.resting_orders() + quotes_in(input);
        let named = if may_name_all_orders(input) { self.state.core.open_parts() } else { 0 };
        let moved = orders.saturating_mul(BYTES_PER_ORDER).saturating_add(named.saturating_mul(BYTES_PER_KEY));
        RECORD_BYTES.saturating_add(4 * text_bytes_in(input)).saturating_add(moved).min(RESERVED_BYTES_MAX)
    }

    /// Room for a whole batch at once, as far as one reservation goes.
    pub(crate) fn make_room_for_all(&mut self, orders: &[Order]) -> Result<(), Rejection> {
        let bytes = orders.iter().fold(0_usize, |sum, order| sum.saturating_add(self.bytes_for(executing(order))));
        let made = self.reserve(bytes.min(RESERVED_BYTES_MAX));
        let all_known = made.is_err() && orders.iter().all(|order| self.is_answered_from_memory(executing(order)));
        if all_known { Ok(()) } else { made }
    }
}

/// The input that an order is.
pub(crate) const fn executing(order: &Order) -> InputRef<'_> {
    InputRef::Command(CommandRef::Execute(order))
}

/// Whether all open orders may be cancelled by it.
const fn may_name_all_orders(input: InputRef<'_>) -> bool {
    matches!(
        input,
        InputRef::Command(CommandRef::CancelAll(_) | CommandRef::SetTradingState(_)) | InputRef::LeaseExpired { .. }
    )
}

fn quotes_in(input: InputRef<'_>) -> usize {
    match input {
        InputRef::Command(CommandRef::PublishQuotes(publish)) => publish.quotes.len(),
        InputRef::Configured(configuration) => configuration.instruments.len(),
        _ => 0,
    }
}

/// Bytes of the input that a client chose the length of; they come back in events and replies.
fn text_bytes_in(input: InputRef<'_>) -> usize {
    match input {
        InputRef::Command(CommandRef::Execute(order)) => text_bytes_of(order),
        InputRef::Command(CommandRef::Cancel(cancel)) => cancel.command_id.len() + cancel.order_id.len(),
        InputRef::Command(CommandRef::Replace(replace)) => replace.command_id.len() + replace.order_id.len(),
        InputRef::Command(CommandRef::PublishQuotes(publish)) => {
            publish.quotes.iter().map(|quote| quote.symbol.len()).sum::<usize>() + publish.command_id.len()
        }
        InputRef::Command(CommandRef::Fence(fence)) => fence.order_id.len(),
        InputRef::Command(CommandRef::CancelAll(all)) => all.command_id.len() + all.symbol.len(),
        InputRef::Command(CommandRef::SetTradingState(set)) => set.command_id.len(),
        InputRef::Command(CommandRef::SetRiskLimits(set)) => set.command_id.len() + set.symbol.len(),
        InputRef::Command(CommandRef::SetCancelOnDisconnect(set)) => set.command_id.len() + set.session_id.len(),
        InputRef::LeaseExpired { session_id } => session_id.len(),
        InputRef::Venue(bridge_core::VenueReport::Rejected { message, .. }) => message.len(),
        InputRef::Venue(bridge_core::VenueReport::Accepted { venue_order_id, .. }) => venue_order_id.len(),
        InputRef::Venue(_) | InputRef::Configured(_) | InputRef::Started { .. } | InputRef::AckTimeout { .. } => 0,
        InputRef::Forget(_) => 0,
    }
}

fn text_bytes_of(order: &Order) -> usize {
    let metadata: usize = order.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    let texts = [&order.order_id, &order.account, &order.symbol, &order.trace_context];
    metadata + texts.iter().map(|text| text.len()).sum::<usize>()
}
