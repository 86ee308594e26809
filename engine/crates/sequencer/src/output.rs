//! What leaves the sequencer, in journal order and never before its record is durable.

use crate::{HealthReport, Token};
use bridge_core::{
    CommandOutcome, CommandReply, ExecuteReply, GetOrderReply, MarketData, OpenOrders, OrderCommandReply, Rejection,
    Replay, Text, UpdateRange, VenueCommand, VenueKey, VenueReport,
};

/// Something to send. Replies of a record come before its updates, its market data and its sends.
#[derive(Clone, PartialEq, Debug)]
#[allow(clippy::large_enum_variant)] // a box would be an allocation between a request and its reply
pub enum Output {
    /// Ends the request with this token.
    Reply {
        /// As given to [`crate::Sequencer::submit`].
        token: Token,
        /// The answer.
        reply: Reply,
    },
    /// For every subscriber of `account`. [`crate::Sequencer::updates`] puts them in words, when and for whom they are
    /// wanted: [`crate::Options::update_lag`] later ones may come before they are forgotten.
    Updates(UpdateRange),
    /// For the topic `md.<symbol>`.
    Market(MarketData),
    /// To the external venue: its intent is durable. Never given out on recovery.
    SendToVenue(VenueCommand),
    /// After a restart: was this intent ever carried out? Answer by [`crate::Sequencer::venue_answer`].
    AskVenue(VenueQuestion),
}

/// The answer to one request.
#[derive(Clone, PartialEq, Debug)]
#[allow(clippy::large_enum_variant)] // as above
pub enum Reply {
    /// Ends `ExecuteOrder`.
    Execute(ExecuteReply),
    /// Ends `ExecuteBatch`, by index.
    Batch(Vec<ExecuteReply>),
    /// Ends `CancelOrder` and `ReplaceOrder`.
    OrderCommand(OrderCommandReply),
    /// Ends `CancelAllOrders`, `SetTradingState` and `PublishQuotes`.
    Command(CommandReply),
    /// Ends `GetOrder`.
    GetOrder(GetOrderReply),
    /// Answers `ListOpenOrders`.
    OpenOrders(OpenOrders),
    /// Begins a subscription.
    Subscribed {
        /// Whose updates.
        account: Text,
        /// Last sequence number that this state includes.
        last_sequence: u64,
        /// What the subscriber missed. Of the updates up to `last_sequence` [`crate::Sequencer::updates`] gives the
        /// words.
        replay: Replay,
    },
    /// Ends `HealthCheck`.
    Health(Box<HealthReport>),
    /// Refused before `apply`: no effect, and not remembered.
    Refused(Rejection),
}

/// Asks the external venue about an intent whose report was never recorded. The question fences: a venue that does
/// not know the key must refuse it from then on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VenueQuestion {
    /// The order (or leg) at the venue.
    pub key: VenueKey,
}

/// What the venue said to a [`VenueQuestion`].
#[derive(Clone, PartialEq, Debug)]
pub enum VenueAnswer {
    /// It has the order: all its reports so far, in order.
    Known(Vec<VenueReport>),
    /// It never saw the key, and will refuse it should it still come.
    UnknownAndFenced,
}

impl Reply {
    /// A call's outcome as its reply. `duplicate`: this copy was answered from memory or joined a running call.
    #[inline]
    pub(crate) fn of(outcome: CommandOutcome, duplicate: bool) -> Self {
        match outcome {
            CommandOutcome::Execute(reply) => Self::Execute(ExecuteReply { reply, duplicate }),
            CommandOutcome::OrderCommand(reply) => Self::OrderCommand(OrderCommandReply { duplicate, ..reply }),
            CommandOutcome::Command(reply) => Self::Command(CommandReply { duplicate, ..reply }),
            CommandOutcome::Get(reply) => Self::GetOrder(reply),
        }
    }
}
