//! What the venue says. A report that does not fit the state, or says nothing new, leads to no event.

use super::Decision;
use crate::order_state::OrderState;
use crate::progress::Work;
use crate::{CommandNo, Core, Event, Intent, Part, ReasonCode, VenueKey, VenueReport};

impl Core {
    pub(super) fn decide_report(&mut self, report: &VenueReport, decision: &mut Decision<'_>) {
        if let Some(event) = self.event_of(report, decision.now) {
            self.commit(event, decision.events);
        }
    }

    fn event_of(&self, report: &VenueReport, at_ns: i64) -> Option<Event> {
        match report {
            VenueReport::Accepted { key, venue_order_id } => {
                let (_, work) = self.working_at_venue(*key)?;
                let is_news = work.now.venue_order_id != *venue_order_id || self.unreported.contains(&key.order());
                let venue_order_id = venue_order_id.clone();
                is_news.then_some(Event::Accepted { key: *key, venue_order_id, at_ns })
            }
            VenueReport::Rejected { key, code, message } => {
                self.open_at_venue(*key)?;
                let message = message.clone();
                Some(Event::VenueRejected { key: *key, code: *code, message, at_ns })
            }
            VenueReport::Filled { key, execution_id, quantity_steps, price_ticks } => {
                let (_, work) = self.working_at_venue(*key)?;
                let is_news = *quantity_steps > 0 && !work.has_execution(*execution_id);
                is_news.then_some(Event::Filled {
                    key: *key,
                    execution_id: *execution_id,
                    quantity_steps: *quantity_steps,
                    price_ticks: *price_ticks,
                    at_ns,
                })
            }
            VenueReport::Closed { key, code } => {
                self.open_at_venue(*key)?;
                Some(Event::Closed { key: *key, code: self.whose_cancel(*key, *code), at_ns })
            }
            VenueReport::Triggered { key } => {
                let (_, work) = self.open_at_venue(*key)?;
                (!work.now.triggered).then_some(Event::Triggered { key: *key, at_ns })
            }
            _ => self.event_of_change(report, at_ns),
        }
    }

    /// Reports of changed terms: replaces and legs.
    fn event_of_change(&self, report: &VenueReport, at_ns: i64) -> Option<Event> {
        match report {
            VenueReport::Replaced { key, quantity_steps, price_ticks } => {
                self.open_at_venue(*key)?;
                Some(Event::Replaced {
                    key: *key,
                    command: self.oldest_waiting(*key, |intent| matches!(intent, Intent::Replace { .. })),
                    quantity_steps: *quantity_steps,
                    price_ticks: *price_ticks,
                    at_ns,
                })
            }
            VenueReport::CommandRefused { key, code, message } => Some(Event::CommandRefused {
                key: *key,
                command: self.oldest_waiting(*key, |_| true)?,
                code: *code,
                message: message.clone(),
            }),
            VenueReport::LegOpened { key, trigger_ticks, quantity_steps } => {
                let (order, part) = (self.order(key.order())?, key.part()?);
                let is_news = part != Part::Entry && order.went_to_venue() && order.work(part).is_none();
                is_news.then_some(Event::LegOpened {
                    key: *key,
                    trigger_ticks: *trigger_ticks,
                    quantity_steps: *quantity_steps,
                    at_ns,
                })
            }
            VenueReport::LegResized { key, quantity_steps } => {
                let (_, work) = self.open_at_venue(*key)?;
                let is_news = key.part()? != Part::Entry && work.now.quantity_steps != *quantity_steps;
                let quantity_steps = *quantity_steps;
                is_news.then_some(Event::LegResized { key: *key, quantity_steps, at_ns })
            }
            _ => None,
        }
    }

    /// A venue knows no sessions: it is told to cancel, whoever wants it.
    fn whose_cancel(&self, key: VenueKey, code: ReasonCode) -> ReasonCode {
        if code != ReasonCode::CancelledByClient {
            return code;
        }
        let is_cancel = |intent: &Intent| !matches!(intent, Intent::None | Intent::Replace { .. });
        let waiting = self.waiting.get(&key).into_iter().flatten();
        let first = waiting.filter_map(|no| self.command(*no)).find(|command| is_cancel(&command.intent));
        match first.map(|command| command.intent) {
            Some(Intent::CancelOnDisconnect) => ReasonCode::CancelledOnDisconnect,
            _ => code,
        }
    }

    fn working_at_venue(&self, key: VenueKey) -> Option<(&OrderState, &Work)> {
        let order = self.order(key.order()).filter(|order| order.went_to_venue())?;
        Some((order, order.work(key.part()?)?))
    }

    fn open_at_venue(&self, key: VenueKey) -> Option<(&OrderState, &Work)> {
        self.working_at_venue(key).filter(|(_, work)| work.now.is_open())
    }

    fn oldest_waiting(&self, key: VenueKey, wanted: fn(Intent) -> bool) -> Option<CommandNo> {
        let waiting = self.waiting.get(&key)?.iter().filter_map(|no| self.command(*no));
        waiting.into_iter().find(|command| wanted(command.intent)).map(|command| command.no)
    }
}
