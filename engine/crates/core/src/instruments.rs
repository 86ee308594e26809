//! The instruments that the core knows, by index and by symbol. An index, once given, stays.

use crate::{Configuration, ConfigurationError, Decimal, Instrument, Text};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// One instrument, and whether a configuration still has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub instrument: Instrument,
    /// Its symbol, as replies carry it.
    pub symbol: Text,
    pub tradable: bool,
    /// Orders that count in its ticks and steps; while there are any, it may not change.
    pub orders: u64,
}

/// All instruments that ever were.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Instruments {
    listed: Vec<Listed>,
    /// Looked up, never iterated.
    by_symbol: HashMap<String, u32>,
}

/// How a configuration changes one instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// Not there before: gets this index.
    Added(u32),
    /// There before with other ticks, or not tradable: opens anew.
    Reopened(u32),
    /// No longer tradable.
    Withdrawn(u32),
}

impl Instruments {
    /// A tradable instrument and its index.
    pub fn find(&self, symbol: &str) -> Option<(u32, &Instrument)> {
        let index = *self.by_symbol.get(symbol)?;
        let listed = self.get(index)?;
        listed.tradable.then_some((index, &listed.instrument))
    }

    /// The index of any instrument that ever was.
    pub fn index_of(&self, symbol: &str) -> Option<u32> {
        self.by_symbol.get(symbol).copied()
    }

    pub fn get(&self, index: u32) -> Option<&Listed> {
        self.listed.get(usize::try_from(index).ok()?)
    }

    /// One more order counts in this instrument's units.
    pub fn count_order(&mut self, index: u32) {
        if let Some(listed) = usize::try_from(index).ok().and_then(|at| self.listed.get_mut(at)) {
            listed.orders += 1;
        }
    }

    /// What a configuration would change, in the order of its instruments, then those that it lacks.
    pub fn changes(&self, configuration: &Configuration) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut next = u32::try_from(self.listed.len()).unwrap_or(u32::MAX);
        for wanted in &configuration.instruments {
            match self.by_symbol.get(&wanted.symbol) {
                None => {
                    changes.push(Change::Added(next));
                    next = next.saturating_add(1);
                }
                Some(&index) => match self.get(index) {
                    Some(listed) if listed.tradable && same_units(&listed.instrument, wanted) => {}
                    _ => changes.push(Change::Reopened(index)),
                },
            }
        }
        for (index, listed) in (0u32..).zip(&self.listed) {
            let wanted = configuration.instruments.iter();
            if listed.tradable && !wanted.clone().any(|one| one.symbol == listed.instrument.symbol) {
                changes.push(Change::Withdrawn(index));
            }
        }
        changes
    }

    /// Whether no instrument with orders would vanish or count anew.
    pub fn check(&self, configuration: &Configuration) -> Result<(), ConfigurationError> {
        for listed in self.listed.iter().filter(|listed| listed.orders > 0) {
            let symbol = &listed.instrument.symbol;
            let position = configuration.instruments.iter().position(|one| one.symbol == *symbol);
            let Some(position) = position else {
                return Err(ConfigurationError::new(
                    "instruments",
                    format!("{symbol} is missing, but the journal has orders in it: keep it"),
                ));
            };
            let wanted = &configuration.instruments[position];
            for (name, now, then) in [
                ("tick", listed.instrument.tick, wanted.tick),
                ("quantity_step", listed.instrument.quantity_step, wanted.quantity_step),
            ] {
                if !now.same_value(then) {
                    return Err(ConfigurationError::new(
                        format!("instruments[{position}].{name}"),
                        format!("{symbol} has orders counted in {now}: it cannot become {then}"),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Goes over to a configuration.
    pub fn configure(&mut self, configuration: &Configuration) {
        for listed in &mut self.listed {
            listed.tradable = false;
        }
        for wanted in &configuration.instruments {
            let known = self.by_symbol.get(&wanted.symbol).copied();
            let at = known.and_then(|index| usize::try_from(index).ok());
            if let Some(listed) = at.and_then(|at| self.listed.get_mut(at)) {
                listed.instrument = wanted.clone();
                listed.tradable = true;
                continue;
            }
            let index = u32::try_from(self.listed.len()).unwrap_or(u32::MAX);
            self.by_symbol.insert(wanted.symbol.clone(), index);
            let symbol = Text::from(&*wanted.symbol);
            self.listed.push(Listed { instrument: wanted.clone(), symbol, tradable: true, orders: 0 });
        }
    }

    /// A count of quantity steps as a number.
    pub fn quantity(&self, index: u32, steps: i64) -> Option<Decimal> {
        Decimal::from_steps(steps, self.get(index)?.instrument.quantity_step)
    }

    /// A count of ticks as a number.
    pub fn price(&self, index: u32, ticks: i64) -> Option<Decimal> {
        Decimal::from_steps(ticks, self.get(index)?.instrument.tick)
    }
}

fn same_units(a: &Instrument, b: &Instrument) -> bool {
    a.tick.same_value(b.tick) && a.quantity_step.same_value(b.quantity_step)
}
