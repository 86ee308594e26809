//! Requests: what is refused at once, what is looked up, what is applied.

use crate::room::executing;
use crate::run::failed_reply;
use crate::waiting::Slot;
use crate::{Disk, Origin, Output, Replay, Reply, Request, Sequencer, Token};
use bridge_core::{CommandRef, DEFAULT_ACCOUNT, FenceOrder, InputRef, Order, ReasonCode, Rejection, UtcNanos};

/// Orders of one page (WIRE.md, section 1.4): some tens of microseconds, so that nobody waits for long.
const OPEN_ORDERS_PAGE: usize = 256;
/// Orders in pages that wait for the disk: some 30 MB.
const MAX_LISTED_ORDERS: usize = 1 << 16;

impl<D: Disk> Sequencer<D> {
    /// Takes one request; never blocks. The answer comes out of [`Sequencer::next_output`] with `token`: a refusal
    /// and health at once, everything else when what it depends on is durable. `now`: UTC nanoseconds.
    ///
    /// The request stays the caller's and is not changed, so that the next one can be decoded into its memory: the
    /// texts of a [`Request::Command`], the orders of a [`Request::ExecuteBatch`] with theirs.
    pub fn submit(&mut self, token: Token, origin: &Origin, request: &Request, now: UtcNanos) {
        if let Err(rejection) = self.take(token, origin, request, now) {
            self.counts.refused += 1;
            self.parking.at_once(Output::Reply { token, reply: Reply::Refused(rejection) });
        }
    }

    fn take(&mut self, token: Token, origin: &Origin, request: &Request, now: UtcNanos) -> Result<(), Rejection> {
        if matches!(request, Request::Health) {
            let report = Box::new(self.health(now));
            self.parking.at_once(Output::Reply { token, reply: Reply::Health(report) });
            return Ok(());
        }
        self.check_not_failed()?;
        let (outputs, calls) = match request {
            Request::ExecuteBatch(orders) => (orders.len(), orders.len()),
            Request::Command(_) => (1, 1),
            _ => (1, 0), // a query does not wait for a venue
        };
        self.check_batch_size(calls)?;
        self.check_not_busy(outputs, calls)?;
        self.clamp(now);
        match request {
            Request::Command(command) => self.take_command(token, origin, command.into()),
            Request::ExecuteBatch(orders) => self.take_batch(token, origin, orders),
            Request::GetOrder { account, order_id, fence: true } => {
                let fence = FenceOrder { account: account_or_default(account).to_owned(), order_id: order_id.clone() };
                self.take_command(token, origin, CommandRef::Fence(&fence))
            }
            Request::GetOrder { account, order_id, fence: false } => {
                let reply = self.state.core.get(account_or_default(account), order_id);
                self.park(Output::Reply { token, reply: Reply::GetOrder(reply) });
                Ok(())
            }
            Request::ListOpenOrders { account, after_order_id } => {
                self.list_open_orders(token, account, after_order_id)
            }
            Request::Subscribe { account, resume_from, accept_gaps } => {
                self.subscribe(token, account_or_default(account), *resume_from, *accept_gaps)
            }
            Request::Health => Ok(()),
        }
    }

    pub(crate) fn check_not_failed(&self) -> Result<(), Rejection> {
        match self.failed() {
            None => Ok(()),
            Some(reason) => Err(Rejection::new(
                ReasonCode::JournalFailed,
                "",
                format!("the engine cannot write its journal and acknowledges nothing more: {reason}"),
            )),
        }
    }

    fn check_batch_size(&self, orders: usize) -> Result<(), Rejection> {
        let limit = self.options.max_batch_orders;
        if orders <= limit {
            return Ok(());
        }
        let message = format!("a batch takes at most {limit} orders, this one has {orders}; send it in parts");
        Err(Rejection::new(ReasonCode::BatchTooLarge, "orders", message))
    }

    fn check_not_busy(&self, outputs: usize, calls: usize) -> Result<(), Rejection> {
        let options = &self.options;
        let busy = if self.parking.len().saturating_add(outputs) > options.max_parked_outputs {
            "outputs waiting for the disk"
        } else if self.unsynced_bytes() > options.max_parked_bytes as u64 {
            "bytes waiting for the disk"
        } else if calls > 0 && self.waiting.calls().saturating_add(calls) > options.max_waiting_calls {
            "calls waiting for the venue"
        } else {
            return Ok(());
        };
        let message = format!("too many {busy}; nothing was done: send the same again after a pause");
        Err(Rejection::new(ReasonCode::Busy, "", message))
    }

    fn take_command(&mut self, token: Token, origin: &Origin, command: CommandRef<'_>) -> Result<(), Rejection> {
        self.state.core.admit(command, self.now)?;
        let input = InputRef::Command(command);
        self.make_room_unless_known(input)?;
        self.run(input, origin, Some(Slot::Single(token)));
        Ok(())
    }

    /// Room is made for the whole batch first; then each order goes its own way.
    fn take_batch(&mut self, token: Token, origin: &Origin, orders: &[Order]) -> Result<(), Rejection> {
        if orders.is_empty() {
            self.park(Output::Reply { token, reply: Reply::Batch(Vec::new()) });
            return Ok(());
        }
        self.make_room_for_all(orders)?;
        let batch = self.waiting.open_batch(token, orders.len());
        for (index, order) in orders.iter().enumerate() {
            let input = executing(order);
            let admitted = self
                .state
                .core
                .admit(CommandRef::Execute(order), self.now)
                .and_then(|()| self.make_room_unless_known(input));
            match admitted {
                Ok(()) => self.run(input, origin, Some(Slot::InBatch { batch, index })),
                Err(rejection) => self.answer_in_batch(batch, index, failed_reply(order, rejection)),
            }
        }
        Ok(())
    }

    /// A page takes as much memory as many replies, and waits for the disk as they do.
    fn list_open_orders(&mut self, token: Token, account: &str, after_order_id: &str) -> Result<(), Rejection> {
        if self.parking.listed_orders() + OPEN_ORDERS_PAGE > MAX_LISTED_ORDERS {
            let message = "too many lists of open orders waiting for the disk; ask again after a pause";
            return Err(Rejection::new(ReasonCode::Busy, "", message));
        }
        let reply = self.state.core.open_orders(account_or_default(account), after_order_id, OPEN_ORDERS_PAGE);
        self.park(Output::Reply { token, reply: Reply::OpenOrders(reply) });
        Ok(())
    }

    fn subscribe(
        &mut self,
        token: Token,
        account: &str,
        resume_from: Option<u64>,
        accept_gaps: bool,
    ) -> Result<(), Rejection> {
        if account != DEFAULT_ACCOUNT {
            let message = format!("without authentication everybody has the account {DEFAULT_ACCOUNT} alone");
            return Err(Rejection::new(ReasonCode::PermissionDenied, "account", message));
        }
        let last_sequence = self.state.core.last_sequence(account);
        let replay = self.state.core.updates_since(account, resume_from.unwrap_or(last_sequence));
        match &replay {
            Replay::Regressed => {
                let message = format!(
                    "resume_from {} lies beyond the engine's last update {last_sequence}: this engine has forgotten \
                     what you have seen; stop and find out which engine this is",
                    resume_from.unwrap_or(last_sequence)
                );
                return Err(Rejection::new(ReasonCode::StateRegressed, "resume_from", message));
            }
            Replay::Gap { first, last, .. } if !accept_gaps => {
                let message = format!("updates {first} to {last} can no longer be replayed; subscribe accepting gaps");
                return Err(Rejection::new(ReasonCode::DataLoss, "resume_from", message));
            }
            Replay::Gap { .. } | Replay::Whole { .. } => {}
        }
        self.park(Output::Reply { token, reply: Reply::Subscribed { account: account.into(), last_sequence, replay } });
        Ok(())
    }
}

fn account_or_default(account: &str) -> &str {
    if account.is_empty() { DEFAULT_ACCOUNT } else { account }
}
