//! One remembered command: its content, what it waits for, and its reply.

use crate::identity::uuid7_ms;
use crate::{CommandNo, CommandOutcome, ContentHash, Intent, ReasonCode, Text, VenueKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One remembered command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommandState {
    pub no: CommandNo,
    /// Index of its account.
    pub account: u32,
    pub command_id: Text,
    pub content_hash: ContentHash,
    /// Published quotes: each message takes an id, so these are remembered for a time of their own.
    pub is_quotes: bool,
    pub intent: Intent,
    /// Orders and legs that the venue has not answered for.
    pub waits_for: BTreeSet<VenueKey>,
    /// Why the venue would not, with its words.
    pub refused: Option<(ReasonCode, Text)>,
    /// Orders and legs that it cancelled.
    pub cancelled: u64,
    /// A replace that was done.
    pub replaced: bool,
    pub reply: Option<Box<CommandOutcome>>,
    /// Its share of the state hash, as the sum has it.
    #[serde(skip)]
    pub hash: u128,
    /// The hash above is not what the command is now.
    #[serde(skip)]
    pub hash_is_due: bool,
}

impl CommandState {
    /// Whether its id counts against the account's quota: that of published quotes that has no age, or one that is
    /// still to come.
    pub fn takes_quota(&self) -> bool {
        let is_from_future = || {
            let reply = self.reply.as_deref();
            matches!(reply, Some(CommandOutcome::Command(reply)) if reply.code == ReasonCode::IdFromFuture)
        };
        self.is_quotes && (uuid7_ms(&self.command_id).is_none() || is_from_future())
    }
}
