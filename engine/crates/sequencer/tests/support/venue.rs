//! A venue in another process: it survives the engine, counts what it is told, and answers fencing questions.

use bridge_core::{VenueCommand, VenueKey, VenueReport};
use bridge_sequencer::{Output, VenueAnswer, VenueQuestion, venue_words};
use bridge_venue::Exchange;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct FarVenue {
    exchange: Exchange,
    history: BTreeMap<VenueKey, Vec<VenueReport>>,
    fenced: BTreeSet<VenueKey>,
    /// How often each new order arrived.
    pub arrivals: BTreeMap<VenueKey, u32>,
}

impl FarVenue {
    /// Carries out a command; its reports are for whoever is connected.
    pub fn receive(&mut self, command: &VenueCommand) -> Vec<VenueReport> {
        if let VenueCommand::New(new) = command {
            *self.arrivals.entry(new.key).or_default() += 1;
            if self.fenced.contains(&new.key) {
                return Vec::new();
            }
        }
        let (mut events, mut reports) = (Vec::new(), Vec::new());
        self.exchange.execute(&venue_words::command(command), &mut events);
        for event in &events {
            venue_words::reports(event, |report| reports.push(report));
        }
        for report in &reports {
            self.history.entry(key_of(report)).or_default().push(report.clone());
        }
        reports
    }

    /// Knows the key, or never will.
    pub fn answer(&mut self, question: VenueQuestion) -> VenueAnswer {
        match self.history.get(&question.key) {
            Some(reports) => VenueAnswer::Known(reports.clone()),
            None => {
                self.fenced.insert(question.key);
                VenueAnswer::UnknownAndFenced
            }
        }
    }

    /// What the orders of this venue executed, in steps.
    pub fn executed_steps(&self) -> i64 {
        let fills = self.history.values().flatten().filter_map(|report| match report {
            VenueReport::Filled { quantity_steps, .. } => Some(*quantity_steps),
            _ => None,
        });
        fills.sum()
    }
}

fn key_of(report: &VenueReport) -> VenueKey {
    match report {
        VenueReport::Accepted { key, .. }
        | VenueReport::Rejected { key, .. }
        | VenueReport::Filled { key, .. }
        | VenueReport::Closed { key, .. }
        | VenueReport::Triggered { key }
        | VenueReport::Replaced { key, .. }
        | VenueReport::CommandRefused { key, .. }
        | VenueReport::LegOpened { key, .. }
        | VenueReport::LegResized { key, .. } => *key,
    }
}

pub fn sends(outputs: &[Output]) -> Vec<VenueCommand> {
    let commands = outputs.iter().filter_map(|output| match output {
        Output::SendToVenue(command) => Some(*command),
        _ => None,
    });
    commands.collect()
}

pub fn questions(outputs: &[Output]) -> Vec<VenueQuestion> {
    let questions = outputs.iter().filter_map(|output| match output {
        Output::AskVenue(question) => Some(question.clone()),
        _ => None,
    });
    questions.collect()
}
