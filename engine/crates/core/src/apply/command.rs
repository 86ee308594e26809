//! What all commands with a `command_id` share: they are looked up, remembered, and answered once.

use super::Decision;
use crate::identity::check_id;
use crate::queries::{account_name, check_account};
use crate::{
    Call, CommandNo, CommandOutcome, CommandRecorded, CommandReply, ContentHash, Core, Event, Intent,
    OrderCommandReply, OrderReply, Outcome, ReasonCode, Rejection, VenueKey,
};

/// The identity of a command.
#[derive(Clone, Copy)]
pub(super) struct Identity<'a> {
    pub account: &'a str,
    pub command_id: &'a str,
    pub content_hash: ContentHash,
    /// Whether it is of published quotes: an id of theirs that is no UUIDv7 counts against the account's quota.
    pub is_quotes: bool,
}

/// What an identity stands for before the command is looked at.
#[allow(clippy::large_enum_variant, reason = "it lives for one match")]
pub(super) enum Known {
    /// A command never seen: decide it.
    New,
    /// The answer, or the call to wait for.
    Seen(Outcome),
    /// Not to be remembered: a bad id, account, or another command's id.
    Refused(Rejection),
}

impl Core {
    /// Looks a command up, before anything else about it is judged.
    pub(super) fn known_command(&self, identity: &Identity<'_>) -> Known {
        let usable = check_id("command_id", identity.command_id).and_then(|()| check_account(identity.account));
        if let Err(rejection) = usable {
            return Known::Refused(rejection);
        }
        let account = self.account(account_name(identity.account));
        let Some(known) = account.and_then(|account| self.command_of(account, identity.command_id)) else {
            return match self.check_command_not_forgotten(identity.command_id, identity.is_quotes) {
                Ok(()) => Known::New,
                Err(rejection) => Known::Refused(rejection),
            };
        };
        if known.content_hash != identity.content_hash {
            let message = "the id stands for another command, and that one stands";
            return Known::Refused(Rejection::new(ReasonCode::DuplicateCommandId, "command_id", message));
        }
        let reply = self.stored_command_reply(known.no).map(as_duplicate);
        let waits_for = reply.is_none().then_some(Call::Command(known.no));
        Known::Seen(Outcome { reply, waits_for, duplicate: true })
    }

    /// Remembers a command that was answered at once.
    pub(super) fn answer(
        &mut self,
        identity: &Identity<'_>,
        reply: CommandOutcome,
        decision: &mut Decision<'_>,
    ) -> Outcome {
        let intent = Intent::None;
        self.record(identity, intent, Vec::new(), Some(reply.clone()), decision);
        Outcome { reply: Some(reply), waits_for: None, duplicate: false }
    }

    /// Remembers a command that waits for the venue's word on these orders and legs.
    pub(super) fn wait(
        &mut self,
        identity: &Identity<'_>,
        intent: Intent,
        keys: Vec<VenueKey>,
        decision: &mut Decision<'_>,
    ) -> Outcome {
        let no = self.record(identity, intent, keys, None, decision);
        Outcome { reply: None, waits_for: Some(Call::Command(no)), duplicate: false }
    }

    fn record(
        &mut self,
        identity: &Identity<'_>,
        intent: Intent,
        waits_for: Vec<VenueKey>,
        reply: Option<CommandOutcome>,
        decision: &mut Decision<'_>,
    ) -> CommandNo {
        let command = self.next_command();
        let recorded = CommandRecorded {
            command,
            account: account_name(identity.account).into(),
            command_id: identity.command_id.into(),
            in_quota: identity.is_quotes,
            content_hash: identity.content_hash,
            intent,
            waits_for,
            reply,
        };
        self.commit(Event::CommandRecorded(Box::new(recorded)), decision.events);
        command
    }
}

/// The stored reply as a copy of the command gets it.
pub(super) fn as_duplicate(reply: CommandOutcome) -> CommandOutcome {
    match reply {
        CommandOutcome::OrderCommand(reply) => {
            CommandOutcome::OrderCommand(OrderCommandReply { duplicate: true, ..reply })
        }
        CommandOutcome::Command(reply) => CommandOutcome::Command(CommandReply { duplicate: true, ..reply }),
        other => other,
    }
}

/// Nothing was wrong.
pub(crate) fn done() -> Rejection {
    Rejection::new(ReasonCode::None, "", "")
}

/// Ends a cancel or replace.
pub(crate) fn order_command_reply(
    command_id: &str,
    rejection: Rejection,
    order: Option<OrderReply>,
) -> OrderCommandReply {
    OrderCommandReply {
        command_id: command_id.into(),
        code: rejection.code,
        message: rejection.message,
        field: rejection.field,
        order,
        duplicate: false,
        fenced: false,
    }
}

/// Ends a cancel-all, set-trading-state or publish-quotes.
pub(crate) fn command_reply(command_id: &str, rejection: Rejection, affected: u64) -> CommandOutcome {
    CommandOutcome::Command(CommandReply {
        command_id: command_id.into(),
        code: rejection.code,
        message: rejection.message,
        field: rejection.field,
        affected,
        duplicate: false,
    })
}

/// An answer that is not remembered.
pub(super) fn unremembered(reply: CommandOutcome) -> Outcome {
    Outcome { reply: Some(reply), waits_for: None, duplicate: false }
}
