//! Which ids are remembered no more, and why none of them can ever execute again (invariants 1 and 10).
//!
//! Only an id that is a UUIDv7 is ever forgotten: it carries its age. (One from the future counts against the quota
//! until then, as those do that are never forgotten.) With the first one that is forgotten a watermark
//! moves, for good: an id from before it that the engine does not know is refused as ID_TOO_OLD. It is part of the
//! state, so neither a clock that steps back over a restart nor a longer retention brings an id back to life.
//!
//! Forgetting is an input, and looks at a few numbers at a time: no turn takes long because much is to be forgotten.

use crate::apply::Decision;
use crate::command_state::CommandState;
use crate::identity::uuid7_ms;
use crate::order_state::OrderState;
use crate::state_hash::{Kind, hash_of};
use crate::{Core, Event, Forgotten, Intent, Part, ReasonCode, Rejection, UtcNanos};
use serde::{Deserialize, Serialize};

pub(crate) const NANOS_PER_MS: u64 = 1_000_000;

/// What ids stand for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RememberedKind {
    /// Commands: forgotten first, each message of quotes is one.
    Commands,
    /// Order ids that were fenced.
    Fences,
    /// Orders.
    Orders,
}

impl RememberedKind {
    /// All, in the order in which they are looked at.
    pub const ALL: [Self; 3] = [Self::Commands, Self::Fences, Self::Orders];
}

/// What to look at for something to forget: a few of one kind, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sweep {
    /// Which kind.
    pub kind: RememberedKind,
    /// The first number.
    pub first: u64,
    /// The last number.
    pub last: u64,
}

/// Up to when ids were forgotten, milliseconds since 1970; 0: none ever was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Watermarks {
    /// Of orders, fences and commands.
    pub ids_ms: u64,
    /// Of the commands that publish quotes.
    pub quotes_ms: u64,
}

impl Watermarks {
    /// Its share of the state hash.
    pub fn hash(&self, bytes: &mut Vec<u8>) -> u128 {
        let Self { ids_ms, quotes_ms } = self;
        if *ids_ms == 0 && *quotes_ms == 0 {
            return 0;
        }
        bytes.clear();
        bytes.extend_from_slice(&ids_ms.to_le_bytes());
        bytes.extend_from_slice(&quotes_ms.to_le_bytes());
        hash_of(Kind::Watermarks, bytes)
    }
}

/// Whole milliseconds of an engine time.
pub(crate) fn milliseconds(now: UtcNanos) -> u64 {
    u64::try_from(now).unwrap_or(0) / NANOS_PER_MS
}

impl Core {
    /// The next few things of a kind behind a number; `None` where there are no more.
    pub fn next_sweep(&self, kind: RememberedKind, after: u64, most: usize) -> Option<Sweep> {
        let first = after.checked_add(1)?;
        let last = match kind {
            RememberedKind::Commands => self.commands.from(first).map(|(no, _)| no).take(most).last(),
            RememberedKind::Fences => self.tombstones.from(first).map(|(no, _)| no).take(most).last(),
            RememberedKind::Orders => self.orders.from(first).map(|(no, _)| no).take(most).last(),
        };
        Some(Sweep { kind, first, last: last? })
    }

    /// The id that a number stands for.
    pub fn remembered_id(&self, kind: RememberedKind, number: u64) -> Option<&str> {
        match kind {
            RememberedKind::Commands => self.commands.get(number).map(|command| &*command.command_id),
            RememberedKind::Fences => self.tombstones.get(number).map(|fenced| &*fenced.order_id),
            RememberedKind::Orders => self.orders.get(number).map(|order| &*order.order_id),
        }
    }

    /// How often it is worth while to look for what can be forgotten, nanoseconds: what is too old by a sixteenth of
    /// its time is still there at most.
    pub fn forgetting_interval_ns(&self) -> UtcNanos {
        const LEAST_MS: u64 = 1_000;
        const MOST_MS: u64 = 600_000;
        let limits = self.limits();
        let shortest_ms = limits.retention_ms.min(limits.quote_retention_ms);
        UtcNanos::try_from((shortest_ms / 16).clamp(LEAST_MS, MOST_MS) * NANOS_PER_MS).unwrap_or(UtcNanos::MAX)
    }

    /// The ids of these numbers that are old enough, and of things that are over.
    pub(crate) fn decide_forgetting(&mut self, sweep: Sweep, decision: &mut Decision<'_>) {
        let limits = self.limits();
        let now_ms = milliseconds(decision.now);
        // The skew on top: a client whose clock runs ahead by that much gets no less than the whole window.
        let age_limit = |retention_ms: u64| now_ms.saturating_sub(retention_ms.saturating_add(limits.max_skew_ms));
        let ids_ms = age_limit(limits.retention_ms).max(self.forgotten.ids_ms);
        let quotes_ms = age_limit(limits.quote_retention_ms).max(self.forgotten.quotes_ms);
        let quiet_since_ns = nanoseconds(now_ms.saturating_sub(limits.retention_ms));
        let range = |no: &u64| *no <= sweep.last;
        let numbers: Vec<u64> = match sweep.kind {
            RememberedKind::Commands => {
                let limit = |command: &CommandState| if command.is_quotes { quotes_ms } else { ids_ms };
                let swept = self.commands.from(sweep.first).take_while(|(no, _)| range(no));
                swept.filter(|(_, command)| command_is_over(command, limit(command))).map(|(no, _)| no).collect()
            }
            RememberedKind::Fences => {
                let swept = self.tombstones.from(sweep.first).take_while(|(no, _)| range(no));
                swept.filter(|(_, fenced)| is_from_before(&fenced.order_id, ids_ms)).map(|(no, _)| no).collect()
            }
            RememberedKind::Orders => {
                let swept = self.orders.from(sweep.first).take_while(|(no, _)| range(no));
                let is_over = |order: &OrderState| {
                    is_from_before(&order.order_id, ids_ms) && self.order_is_over(order, quiet_since_ns)
                };
                swept.filter(|(_, order)| is_over(order)).map(|(no, _)| no).collect()
            }
        };
        if !numbers.is_empty() {
            self.forget(ids_ms, quotes_ms, sweep.kind, numbers, decision);
        }
    }

    /// An order under an id that is older than the retention was answered with ID_TOO_OLD: so it stays, whatever the
    /// clock or the settings become.
    pub(crate) fn never_again(&mut self, id_ms: u64, decision: &mut Decision<'_>) {
        if id_ms > self.forgotten.ids_ms {
            let quotes_ms = self.forgotten.quotes_ms;
            self.forget(id_ms, quotes_ms, RememberedKind::Orders, Vec::new(), decision);
        }
    }

    fn forget(
        &mut self,
        ids_through_ms: u64,
        quotes_through_ms: u64,
        kind: RememberedKind,
        numbers: Vec<u64>,
        decision: &mut Decision<'_>,
    ) {
        let forgotten = Forgotten { ids_through_ms, quotes_through_ms, kind, numbers };
        self.commit(Event::Forgotten(Box::new(forgotten)), decision.events);
    }

    /// Whether nothing will be said of it any more: it ended long ago, with its legs, and no update about it can be
    /// asked for (an update is put in words with the order's help).
    fn order_is_over(&self, order: &OrderState, quiet_since_ns: UtcNanos) -> bool {
        let Some(account) = usize::try_from(order.account).ok().and_then(|at| self.accounts.get(at)) else {
            return false;
        };
        let limit = self.history_limit();
        let parts = [Part::Entry, Part::Stop, Part::Target];
        let has_ended = |part: Part| {
            order.work(part).is_none_or(|work| {
                !work.now.is_open()
                    && work.now.updated_ns < quiet_since_ns
                    && account.has_left_history(work.now.sequence, limit)
                    && !self.waiting.contains_key(&order.key(part))
            })
        };
        order.is_concluded() && !self.unreported.contains(&order.no) && parts.into_iter().all(has_ended)
    }

    pub(crate) fn absorb_forgotten(&mut self, event: &Forgotten) {
        let mut bytes = Vec::new();
        self.hash.remove(self.forgotten.hash(&mut bytes));
        let marks = &mut self.forgotten;
        marks.ids_ms = marks.ids_ms.max(event.ids_through_ms);
        marks.quotes_ms = marks.quotes_ms.max(event.quotes_through_ms);
        self.hash.add(self.forgotten.hash(&mut bytes));
        for number in &event.numbers {
            match event.kind {
                RememberedKind::Commands => self.forget_command(*number),
                RememberedKind::Fences => self.forget_fence(*number, &mut bytes),
                RememberedKind::Orders => self.forget_order(*number),
            };
        }
    }

    fn forget_order(&mut self, number: u64) -> Option<()> {
        let order = self.orders.forget(number)?;
        self.hash.remove(order.hash);
        let account = self.accounts.get_mut(usize::try_from(order.account).ok()?)?;
        account.ids.remove(&order.order_id, crate::account::Slot::Order(order.no));
        account.give_back(order.takes_quota());
        let parts = [Part::Entry, Part::Stop, Part::Target].into_iter().filter_map(|part| order.work(part));
        // Beyond what can be replayed: only a subscriber that lags this far behind would have seen them still.
        account.drop_history_through(parts.map(|work| work.now.sequence).max().unwrap_or(0));
        Some(())
    }

    fn forget_command(&mut self, number: u64) -> Option<()> {
        let command = self.commands.forget(number)?;
        self.hash.remove(command.hash);
        let account = self.accounts.get_mut(usize::try_from(command.account).ok()?)?;
        account.commands.remove(&command.command_id, command.no);
        account.give_back(command.takes_quota());
        Some(())
    }

    fn forget_fence(&mut self, number: u64, bytes: &mut Vec<u8>) -> Option<()> {
        let fenced = self.tombstones.forget(number)?;
        let account = self.accounts.get_mut(usize::try_from(fenced.account).ok()?)?;
        self.hash.remove(account.tombstone_hash(&fenced.order_id, bytes));
        account.ids.remove(&fenced.order_id, crate::account::Slot::Fenced(number));
        Some(())
    }

    /// Whether an order id that nothing is known of may have been forgotten: then it is never executed, and nobody
    /// can say whether it ever was.
    pub(crate) fn may_be_forgotten(&self, order_id: &str) -> bool {
        is_from_before(order_id, self.forgotten.ids_ms)
    }

    /// # Errors
    /// ID_FROM_FUTURE: the id's time lies further ahead of engine time than clocks may differ.
    pub(crate) fn check_not_from_future(&self, field: &str, id: &str, now: UtcNanos) -> Result<(), Rejection> {
        let max_skew_ms = self.limits().max_skew_ms;
        if !is_from_future(id, now, max_skew_ms) {
            return Ok(());
        }
        let message = format!("the id's time lies more than {max_skew_ms} ms ahead of engine time: check the clock");
        Err(Rejection::new(ReasonCode::IdFromFuture, field, message))
    }

    /// # Errors
    /// ID_TOO_OLD: a command under this id may have been forgotten.
    pub(crate) fn check_command_not_forgotten(&self, command_id: &str, is_quotes: bool) -> Result<(), Rejection> {
        let marks = self.forgotten;
        let through_ms = if is_quotes { marks.quotes_ms } else { marks.ids_ms };
        if !is_from_before(command_id, through_ms) {
            return Ok(());
        }
        let message = format!(
            "the id's time lies before {through_ms} ms, and what came then is remembered no more: nothing was done \
             now; a new decision needs a new id (check the clock)"
        );
        Err(Rejection::new(ReasonCode::IdTooOld, "command_id", message))
    }
}

/// What is said of an order id that may have been forgotten.
pub(crate) fn forgotten_order(order_id: &str, through_ms: u64) -> Rejection {
    let message = format!(
        "orders from before {through_ms} ms are remembered no more: what became of {order_id}, if it came then, is in \
         the archive of the journal; it never executes from now on"
    );
    Rejection::new(ReasonCode::IdTooOld, "order_id", message)
}

fn is_from_before(id: &str, through_ms: u64) -> bool {
    through_ms > 0 && uuid7_ms(id).is_some_and(|id_ms| id_ms <= through_ms)
}

/// Whether the id's time lies further ahead than clocks may differ.
pub(crate) fn is_from_future(id: &str, now: UtcNanos, max_skew_ms: u64) -> bool {
    uuid7_ms(id).is_some_and(|id_ms| id_ms > milliseconds(now).saturating_add(max_skew_ms))
}

fn command_is_over(command: &CommandState, through_ms: u64) -> bool {
    // One of the engine's own is never sent again, by anybody.
    let is_old = command.intent == Intent::CancelOnDisconnect || is_from_before(&command.command_id, through_ms);
    command.reply.is_some() && command.waits_for.is_empty() && is_old
}

fn nanoseconds(milliseconds: u64) -> UtcNanos {
    UtcNanos::try_from(milliseconds.saturating_mul(NANOS_PER_MS)).unwrap_or(UtcNanos::MAX)
}
