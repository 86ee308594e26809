//! Planted bugs: what each breaks, and what it does to requests and replies on their way through the shell.
//!
//! The product's crates have none of this. A bug is planted in a seam around them: in the shell, in the disk, in what
//! recovery finds, in the link to the venue.

use bridge_core::{Command, GetOrderReply, Order, OrderReply, OrderUpdate, ReasonCode, Rejection, Replay};
use bridge_sequencer::{Path, Reply, Request};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::BTreeMap;

/// What is between an honest id and the mark of the copy that a bug lets execute once more.
const ALIAS: &str = "~~";

macro_rules! bugs {
    ($($variant:ident $name:literal $description:literal)*) => {
        /// One bug that can be planted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Bug { $(#[doc = $description] $variant),* }
        /// All of them, with name and description.
        const ALL: &[(Bug, &str, &str)] = &[$((Bug::$variant, $name, $description)),*];
    };
}

bugs! {
    ReplyBeforeSync "reply_before_sync"
        "Replies leave once their record is written, before it is synced: the loss of the machine takes back what was \
         acknowledged (invariant 2). Shows with durability `always` alone."
    UpdateEscapes "update_escapes_before_durable"
        "Order updates leave once their record is written, before it is synced: after the loss of the machine \
         subscribers have seen what never was, under numbers that come again (invariants 2 and 7). Shows with \
         durability `always` alone."
    VenueSendBeforeDurable "venue_send_before_durable"
        "The external venue gets an order before its intent is synced: after the loss of the machine the engine knows \
         nothing of it, and a resend executes again (invariants 1 and 2). Shows with durability `always` alone."
    DedupLostOnRestart "dedup_lost_on_restart"
        "An engine that starts again has forgotten the ids of its journal: a resend of an order executes once more \
         (invariant 1)."
    FreshOnOtherPath "duplicate_executes_on_other_path"
        "Each path remembers its own ids: a copy of an order that comes by the other path executes once more \
         (invariants 1 and 4)."
    SequenceReset "update_sequence_reset"
        "An engine that starts again counts its updates from 1 (invariant 7)."
    VenueSendRepeated "venue_send_repeated_on_recovery"
        "An engine that starts again sends every order that it has no report of to the external venue once more, \
         instead of asking (invariant 1)."
    QueryDoesNotFence "query_does_not_fence"
        "GetOrder with `fence` says fenced for an id that it does not know, and fences nothing: an order that was on \
         its way executes after the caller was told that it never will (invariant 6)."
    AckAfterFsyncError "ack_after_fsync_error"
        "A sync that failed is tried again, and its success is believed although the kernel has dropped what was to be \
         written (invariant 2)."
    AcknowledgedRecordCut "acknowledged_record_cut"
        "Recovery takes the last whole record for a torn tail and cuts it off, though what depends on it has left \
         (invariant 2)."
    ExpiredExecuted "expired_order_executed"
        "`expires_at` is not looked at: a retry that was delayed executes stale."
    BusyAfterEffect "busy_after_effect"
        "One order in eight is refused with BUSY though it was applied: the caller concludes that nothing was done \
         (invariants 6 and 10)."
    GapNotTold "gap_not_told"
        "A subscriber whose resume point can no longer be replayed gets the updates there are, and no word of those \
         that are missing (invariant 7)."
    UpdateLostOnResume "update_lost_on_resume"
        "A subscription that resumes begins one update too late (invariant 7)."
    UpdateTwiceOnResume "update_twice_on_resume"
        "A subscription that resumes begins one update too early (invariant 7)."
    TailIgnored "recovery_ignores_tail"
        "A start from a snapshot takes it for the whole journal: what was recorded after it is cut off (invariant 2)."
    SnapshotOmitsIds "snapshot_omits_ids"
        "A snapshot leaves out the ids that are remembered: after a start from it a resend of an order from before it \
         executes once more (invariant 1)."
    SnapshotNotSynced "snapshot_not_synced"
        "A snapshot gets its name before it is durable: after the loss of the machine it is torn, and the segments that \
         it stands for may be gone (invariant 3)."
    ArchivedSegmentLost "archived_segment_lost"
        "Segments that a snapshot stands for are removed instead of archived: the chain of records has no beginning \
         any more (invariant 3)."
    LeaseEndsWithOnePath "lease_ends_with_one_path"
        "A session counts as gone once one of its connections is gone, though the other path holds: its orders are \
         cancelled under a client that is there."
    LimitsLostOnRestart "limits_lost_on_restart"
        "An engine that starts again has forgotten the limits that were set at run time: orders beyond them are \
         accepted."
}

/// `BUGS` of the module.
///
/// # Errors
/// None but memory.
pub fn described(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let described = PyDict::new(py);
    for (_, name, description) in ALL {
        described.set_item(name, description)?;
    }
    Ok(described)
}

/// The id that a client gave, of one that a bug may have made another of.
pub fn honest_id(id: &str) -> String {
    match id.split_once(ALIAS) {
        None => id.to_owned(),
        Some((honest, alias)) => {
            let leg = alias.find('·').map_or("", |at| &alias[at..]);
            format!("{honest}{leg}")
        }
    }
}

/// The bugs of one engine, and what they must remember.
#[derive(Default)]
pub struct Bugs {
    planted: Vec<Bug>,
    /// By order id, the path of its first copy: of this process, or (`None`) of one before.
    seen: BTreeMap<String, Option<Path>>,
    /// How much lower than the truth numbers of updates are told.
    sequence_shift: u64,
    epoch: u64,
}

impl Bugs {
    /// From their names.
    ///
    /// # Errors
    /// A name that is none.
    pub fn named(names: &[String]) -> Result<Self, String> {
        let find = |name: &String| {
            let found = ALL.iter().find(|(_, known, _)| known == name).map(|(bug, ..)| *bug);
            found.ok_or_else(|| format!("{name:?} is no bug that can be planted; see BUGS"))
        };
        let planted = names.iter().map(find).collect::<Result<_, _>>()?;
        Ok(Self { planted, ..Self::default() })
    }

    /// Whether this one is planted.
    pub fn has(&self, bug: Bug) -> bool {
        self.planted.contains(&bug)
    }

    /// Whether the engine releases what depends on a record before it is synced, so that the shell holds back what it
    /// does not let escape.
    pub fn releases_early(&self) -> bool {
        [Bug::ReplyBeforeSync, Bug::UpdateEscapes, Bug::VenueSendBeforeDurable].into_iter().any(|bug| self.has(bug))
    }

    /// After a start: `known` are the order ids that are to be forgotten, `last_sequence` its last update.
    pub fn started(&mut self, epoch: u64, known: Vec<String>, last_sequence: u64) {
        self.epoch = epoch;
        if self.loses_ids() {
            self.seen = known.into_iter().map(|id| (honest_id(&id), None)).collect();
        }
        if self.has(Bug::SequenceReset) && epoch > 1 {
            self.sequence_shift = last_sequence;
        }
    }

    /// Whether a start forgets ids of the journal.
    fn loses_ids(&self) -> bool {
        self.has(Bug::DedupLostOnRestart) || self.has(Bug::SnapshotOmitsIds)
    }

    /// A number of an update as it is told.
    pub fn told(&self, sequence: u64) -> u64 {
        sequence.saturating_sub(self.sequence_shift)
    }

    /// The true number of one that was told.
    pub fn meant(&self, sequence: u64) -> u64 {
        sequence.saturating_add(self.sequence_shift)
    }

    /// What becomes of a request before the sequencer sees it.
    pub fn spoil_request(&mut self, request: &mut Request, path: Path) {
        if self.planted.is_empty() {
            return;
        }
        match request {
            Request::Command(Command::Execute(order)) => self.spoil_order(order, path),
            Request::ExecuteBatch(orders) => orders.iter_mut().for_each(|order| self.spoil_order(order, path)),
            Request::GetOrder { fence, .. } if self.has(Bug::QueryDoesNotFence) => *fence = false,
            Request::Subscribe { resume_from: Some(seen), .. } => {
                *seen = self.meant(*seen);
                if self.has(Bug::UpdateTwiceOnResume) {
                    *seen = seen.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    fn spoil_order(&mut self, order: &mut Order, path: Path) {
        if self.has(Bug::ExpiredExecuted) {
            order.expires_at_ns = None;
        }
        let first_path = *self.seen.entry(order.order_id.clone()).or_insert(Some(path));
        let alias = match first_path {
            None if self.loses_ids() => format!("e{}", self.epoch),
            Some(first) if first != path && self.has(Bug::FreshOnOtherPath) => path.name().to_owned(),
            _ => return,
        };
        order.order_id = format!("{}{ALIAS}{alias}", order.order_id);
    }

    /// What becomes of a reply. `fence`: the request was a query that should have fenced.
    pub fn spoil_reply(&self, reply: &mut Reply, fence: bool) {
        if self.planted.is_empty() {
            return;
        }
        match reply {
            Reply::Execute(executed) => {
                self.spoil_state(&mut executed.reply);
                if self.has(Bug::BusyAfterEffect) && is_one_in_eight(&executed.reply.order_id) {
                    let message = "too many outputs waiting for the disk; nothing was done: send the same again";
                    *reply = Reply::Refused(Rejection::new(ReasonCode::Busy, "", message));
                }
            }
            Reply::Batch(replies) => replies.iter_mut().for_each(|executed| self.spoil_state(&mut executed.reply)),
            Reply::OrderCommand(done) => done.order.iter_mut().for_each(|order| self.spoil_state(order)),
            Reply::GetOrder(got) => self.spoil_answer(got, fence),
            Reply::Subscribed { last_sequence, replay, .. } => {
                let true_last = *last_sequence;
                *last_sequence = self.told(true_last);
                match replay {
                    Replay::Gap { last, .. } if self.has(Bug::GapNotTold) => *replay = Replay::Whole { after: *last },
                    Replay::Whole { after } if self.has(Bug::UpdateLostOnResume) && *after < true_last => *after += 1,
                    _ => {}
                }
            }
            Reply::OpenOrders(page) => page.orders.iter_mut().for_each(|order| self.spoil_state(order)),
            Reply::Command(_) | Reply::Health(_) | Reply::Refused(_) => {}
        }
    }

    fn spoil_answer(&self, got: &mut GetOrderReply, fence: bool) {
        got.order.iter_mut().chain(&mut got.reply).for_each(|order| self.spoil_state(order));
        if fence && !got.found && self.has(Bug::QueryDoesNotFence) {
            got.fenced = true;
        }
    }

    /// What becomes of an update.
    pub fn spoil_update(&self, update: &mut OrderUpdate) {
        if self.planted.is_empty() {
            return;
        }
        update.sequence = self.told(update.sequence);
        self.spoil_state(&mut update.order);
    }

    fn spoil_state(&self, order: &mut OrderReply) {
        order.sequence = self.told(order.sequence);
        if order.order_id.contains(ALIAS) {
            order.order_id = honest_id(&order.order_id).into();
        }
        if order.parent_order_id.contains(ALIAS) {
            order.parent_order_id = honest_id(&order.parent_order_id).into();
        }
    }
}

/// The same for every copy of an order.
fn is_one_in_eight(order_id: &str) -> bool {
    xxhash_rust::xxh3::xxh3_64(order_id.as_bytes()).is_multiple_of(8)
}
