//! The end of an input and its reports: calls that got what they waited for are concluded.

use super::command::{command_reply, done, order_command_reply};
use crate::command_state::CommandState;
use crate::{
    CommandNo, CommandOutcome, Core, Event, ExecutionStatus, Intent, Part, ReasonCode, Rejection, UtcNanos, VenueKey,
};

impl Core {
    /// Concludes the calls whose orders got their first reports since the last settling, and the commands that wait
    /// for nothing any more: records their replies, which [`Core::take_concluded`] then hands out. Call it after
    /// the venue's reports to one input, within the same record.
    pub fn settle(&mut self, _now: UtcNanos, events: &mut Vec<Event>) {
        let mut reported = std::mem::take(&mut self.turn.reported);
        reported.sort_unstable();
        reported.dedup();
        for order in reported.drain(..) {
            if self.order(order).is_some_and(|order| !order.is_concluded()) {
                self.commit(Event::Replied { order }, events);
            }
        }
        self.turn.reported = reported;
        let mut finished = std::mem::take(&mut self.turn.finished);
        finished.sort_unstable();
        finished.dedup();
        for command in finished.drain(..) {
            if let Some(reply) = self.conclusion(command) {
                let reply = Box::new(reply);
                self.commit(Event::CommandConcluded { command, reply }, events);
            }
        }
        self.turn.finished = finished;
    }

    /// What became of a command that has no reply yet.
    fn conclusion(&self, no: CommandNo) -> Option<CommandOutcome> {
        let command = self.command(no).filter(|command| command.reply.is_none())?;
        match command.intent {
            Intent::None => None,
            Intent::CancelAll | Intent::CancelOnDisconnect => {
                Some(command_reply(&command.command_id, done(), command.cancelled))
            }
            Intent::Cancel { key } | Intent::Replace { key, .. } => {
                let is_done = command.cancelled > 0 && matches!(command.intent, Intent::Cancel { .. });
                let verdict = match (&command.refused, is_done || command.replaced) {
                    (_, true) => done(),
                    (Some((code, words)), false) => Rejection::new(*code, "", words.clone()),
                    (None, false) => self.ended_otherwise(key, command),
                };
                let order = self.state_of(key);
                Some(CommandOutcome::OrderCommand(order_command_reply(&command.command_id, verdict, order)))
            }
        }
    }

    /// The order ended before the venue came to the command.
    fn ended_otherwise(&self, key: VenueKey, command: &CommandState) -> Rejection {
        let part = key.part().unwrap_or(Part::Entry);
        let status = self.order(key.order()).and_then(|order| order.work(part)).map(|work| work.now.status);
        let what = match command.intent {
            Intent::Replace { .. } => "replaced",
            _ => "cancelled",
        };
        let message = match status {
            Some(ExecutionStatus::Filled) => format!("the order was filled before it could be {what}"),
            Some(ExecutionStatus::Rejected) => format!("the order was rejected and cannot be {what}"),
            _ => format!("the order ended before it could be {what}"),
        };
        Rejection::new(ReasonCode::OrderClosed, "order_id", message)
    }
}
