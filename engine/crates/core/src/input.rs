//! What `apply` is given and what it answers.

use crate::{
    Command, CommandRef, CommandReply, Configuration, GetOrderReply, OrderCommandReply, OrderNo, OrderReply, Sweep,
    VenueReport,
};
use serde::{Deserialize, Serialize};

/// Everything that changes the core's state; each is journaled.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "an order is its usual content, and boxing it would cost the hot path an allocation"
)]
pub enum Input {
    /// The engine started.
    Started {
        /// One more than at the start before.
        epoch: u64,
    },
    /// The configuration from now on. Check it with [`crate::Core::check_configuration`] first: one that fails there
    /// changes nothing here.
    Configured(Configuration),
    /// A client's command.
    Command(Command),
    /// The venue said something.
    Venue(VenueReport),
    /// An external venue did not answer for this order in time: its call ends as PENDING.
    AckTimeout {
        /// The order.
        order: OrderNo,
    },
    /// A session has had no connection for the grace of its lease: what it entered is cancelled.
    LeaseExpired {
        /// Whose.
        session_id: String,
    },
    /// Time to forget ids that are old enough, among some.
    Forget(Sweep),
}

/// An input as `apply` reads it: borrowed, so that who brought it keeps its memory. Serialises as [`Input`] does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[allow(missing_docs)]
pub enum InputRef<'a> {
    Started { epoch: u64 },
    Configured(&'a Configuration),
    Command(CommandRef<'a>),
    Venue(&'a VenueReport),
    AckTimeout { order: OrderNo },
    LeaseExpired { session_id: &'a str },
    Forget(Sweep),
}

impl<'a> From<&'a Input> for InputRef<'a> {
    fn from(input: &'a Input) -> Self {
        match input {
            Input::Started { epoch } => Self::Started { epoch: *epoch },
            Input::Configured(configuration) => Self::Configured(configuration),
            Input::Command(command) => Self::Command(command.into()),
            Input::Venue(report) => Self::Venue(report),
            Input::AckTimeout { order } => Self::AckTimeout { order: *order },
            Input::LeaseExpired { session_id } => Self::LeaseExpired { session_id },
            Input::Forget(sweep) => Self::Forget(*sweep),
        }
    }
}

impl<'a> From<CommandRef<'a>> for InputRef<'a> {
    fn from(command: CommandRef<'a>) -> Self {
        Self::Command(command)
    }
}

/// A command's dense number, assigned by the core from 1 to each command that it remembers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default, Serialize, Deserialize)]
pub struct CommandNo(pub u64);

/// A call that may have to wait for the venue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub enum Call {
    /// An `ExecuteOrder`. With an external venue, give it an [`Input::AckTimeout`] after `ack_timeout_ms`.
    Execute(OrderNo),
    /// A cancel, replace, cancel-all or set-trading-state. Ends with the venue's report only.
    Command(CommandNo),
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "an order reply is the usual content, and boxing it would cost the hot path an allocation"
)]
pub enum CommandOutcome {
    /// Of [`Command::Execute`].
    Execute(OrderReply),
    /// Of [`Command::Cancel`] and [`Command::Replace`].
    OrderCommand(OrderCommandReply),
    /// Of [`Command::CancelAll`], [`Command::SetTradingState`] and [`Command::PublishQuotes`].
    Command(CommandReply),
    /// Of [`Command::Fence`].
    Get(GetOrderReply),
}

/// What [`crate::Core::apply`] says about a call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// The answer; `None` where the call is not concluded (or where the input was no command).
    pub reply: Option<CommandOutcome>,
    /// The call to wait for where `reply` is `None`: [`crate::Core::take_concluded`] will name it.
    pub waits_for: Option<Call>,
    /// This copy was answered from memory, or joined a call that is not concluded. Nothing was journaled for it.
    pub duplicate: bool,
}
