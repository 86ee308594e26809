//! What inputs lead to: decisions, each recorded as events and folded at once.

mod account;
mod cancel;
mod command;
mod configure;
mod execute;
mod quotes;
mod replace;
mod report;
mod settle;

use crate::{Command, Core, Effect, Event, Input, Outcome, UtcNanos};

/// Where decisions go: the time, and what comes of them.
pub(crate) struct Decision<'a> {
    pub now: UtcNanos,
    pub events: &'a mut Vec<Event>,
    pub effects: &'a mut Vec<Effect>,
}

impl Core {
    /// Decides one input: appends what happened to `events` (already folded) and what the world must do to
    /// `effects`. Pure: reads nothing but the state, the input and `now` (invariant 3).
    ///
    /// A client's command that leads to no events was answered without anything to remember; such an answer (a
    /// duplicate's, or a refusal that is not stored) may still depend on records that are not durable yet.
    pub fn apply(
        &mut self,
        input: &Input,
        now: UtcNanos,
        events: &mut Vec<Event>,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let mut decision = Decision { now, events, effects };
        match input {
            Input::Started { epoch } => {
                self.commit(Event::Started { epoch: *epoch }, decision.events);
                Outcome::default()
            }
            Input::Configured(configuration) => {
                self.decide_configuration(configuration, &mut decision);
                Outcome::default()
            }
            Input::Command(command) => self.decide_command(command, &mut decision),
            Input::Venue(report) => {
                self.decide_report(report, &mut decision);
                Outcome::default()
            }
            Input::AckTimeout { order } => {
                let waits = self.order(*order).is_some_and(|order| order.stored.is_none());
                if waits {
                    self.commit(Event::Replied { order: *order }, decision.events);
                }
                Outcome::default()
            }
        }
    }

    fn decide_command(&mut self, command: &Command, decision: &mut Decision<'_>) -> Outcome {
        match command {
            Command::Execute(order) => self.decide_order(order, decision),
            Command::Cancel(cancel) => self.decide_cancel(cancel, decision),
            Command::Replace(replace) => self.decide_replace(replace, decision),
            Command::Fence(fence) => self.decide_fence(fence, decision),
            Command::CancelAll(cancel) => self.decide_cancel_all(cancel, decision),
            Command::SetTradingState(set) => self.decide_trading_state(set, decision),
            Command::PublishQuotes(publish) => self.decide_quotes(publish, decision),
        }
    }
}
