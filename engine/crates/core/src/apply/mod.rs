//! What inputs lead to: decisions, each recorded as events and folded at once.

mod account;
mod cancel;
mod command;
mod configure;
mod execute;
mod lease;
mod quotes;
mod replace;
mod report;
mod risk;
mod settle;

use crate::{CommandRef, Core, Effect, Event, InputRef, Outcome, UtcNanos};

/// Whose input it is, the time, and where what comes of it goes.
pub(crate) struct Decision<'a> {
    /// The session of the client that sent it; empty where none did, or named none.
    pub session_id: &'a str,
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
    pub fn apply<'a>(
        &mut self,
        input: impl Into<InputRef<'a>>,
        now: UtcNanos,
        events: &mut Vec<Event>,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        self.apply_for("", input, now, events, effects)
    }

    /// The same for an input of a client's session: what it opens belongs to that session's lease, if it has one.
    pub fn apply_for<'a>(
        &mut self,
        session_id: &str,
        input: impl Into<InputRef<'a>>,
        now: UtcNanos,
        events: &mut Vec<Event>,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let mut decision = Decision { session_id, now, events, effects };
        match input.into() {
            InputRef::Started { epoch } => {
                self.commit(Event::Started { epoch }, decision.events);
                Outcome::default()
            }
            InputRef::Configured(configuration) => {
                self.decide_configuration(configuration, &mut decision);
                Outcome::default()
            }
            InputRef::Command(command) => self.decide_command(command, &mut decision),
            InputRef::Venue(report) => {
                self.decide_report(report, &mut decision);
                Outcome::default()
            }
            InputRef::Forget(sweep) => {
                self.decide_forgetting(sweep, &mut decision);
                Outcome::default()
            }
            InputRef::AckTimeout { order } => {
                let waits = self.order(order).is_some_and(|order| !order.is_concluded());
                if waits {
                    self.commit(Event::Replied { order }, decision.events);
                }
                Outcome::default()
            }
            InputRef::LeaseExpired { session_id } => {
                self.decide_lease_expired(session_id, &mut decision);
                Outcome::default()
            }
        }
    }

    fn decide_command(&mut self, command: CommandRef<'_>, decision: &mut Decision<'_>) -> Outcome {
        match command {
            CommandRef::Execute(order) => self.decide_order(order, decision),
            CommandRef::Cancel(cancel) => self.decide_cancel(cancel, decision),
            CommandRef::Replace(replace) => self.decide_replace(replace, decision),
            CommandRef::Fence(fence) => self.decide_fence(fence, decision),
            CommandRef::CancelAll(cancel) => self.decide_cancel_all(cancel, decision),
            CommandRef::SetTradingState(set) => self.decide_trading_state(set, decision),
            CommandRef::PublishQuotes(publish) => self.decide_quotes(publish, decision),
            CommandRef::SetRiskLimits(set) => self.decide_risk_limits(set, decision),
            CommandRef::SetCancelOnDisconnect(set) => self.decide_cancel_on_disconnect(set, decision),
        }
    }
}
