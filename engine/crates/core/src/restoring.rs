//! A state that was read from a snapshot: what is not in one is made again, and its hash is added up.

use crate::Core;
use crate::account::Slot;
use crate::state_hash::{Kind, entity_hash};

impl Core {
    /// Brings the state's own books up to date, so that it can be serialised whole: nothing is left to be told, and
    /// its hash is known.
    pub fn settle_for_snapshot(&mut self) -> u128 {
        self.turn = crate::core::Turn::default();
        self.state_hash()
    }

    /// Makes again what a snapshot does not hold: tables of ids, the hashes of commands, what is derived for risk
    /// checks. The hashes of orders are taken as they were stored: [`Core::recompute_state_hash`] tells whether they
    /// are true.
    ///
    /// # Errors
    /// The parts do not add up to the hash of the whole, or name what is not there: the snapshot is not one of ours.
    pub fn restore(&mut self) -> Result<(), String> {
        self.restore_ids().ok_or("it names an account that is not there")?;
        self.rebuild_risk();
        let mut bytes = Vec::new();
        let mut commands = 0u128;
        let numbers: Vec<u64> = self.commands.iter().map(|(no, _)| no).collect();
        for no in numbers {
            if let Some(command) = self.commands.get_mut(no) {
                command.hash = entity_hash(Kind::Command, command, &mut bytes);
                commands = commands.wrapping_add(command.hash);
            }
        }
        let orders = self.orders.iter().fold(0u128, |sum, (_, order)| sum.wrapping_add(order.hash));
        let all = orders.wrapping_add(commands).wrapping_add(self.hash_of_the_rest());
        match all == self.state_hash() {
            true => Ok(()),
            false => Err("its parts do not add up to its state hash".to_owned()),
        }
    }

    fn restore_ids(&mut self) -> Option<()> {
        let mut counts = vec![(0usize, 0usize); self.accounts.len()];
        self.orders.iter().for_each(|(_, order)| count(&mut counts, order.account, |at| &mut at.0));
        self.tombstones.iter().for_each(|(_, fenced)| count(&mut counts, fenced.account, |at| &mut at.0));
        self.commands.iter().for_each(|(_, command)| count(&mut counts, command.account, |at| &mut at.1));
        for (account, (ids, commands)) in self.accounts.iter_mut().zip(counts) {
            account.ids.reserve(ids);
            account.commands.reserve(commands);
        }
        // What counts against a quota is counted anew: an engine of before did not count ids from the future.
        self.accounts.iter_mut().for_each(|account| account.foreign_ids = 0);
        for (_, order) in self.orders.iter() {
            let account = self.accounts.get_mut(order.account as usize)?;
            account.remember_order(&order.order_id, Slot::Order(order.no), order.takes_quota());
        }
        for (no, fenced) in self.tombstones.iter() {
            let account = self.accounts.get_mut(fenced.account as usize)?;
            account.remember_order(&fenced.order_id, Slot::Fenced(no), false);
        }
        for (_, command) in self.commands.iter() {
            let account = self.accounts.get_mut(command.account as usize)?;
            account.remember_command(&command.command_id, command.no, command.takes_quota());
        }
        Some(())
    }
}

fn count(counts: &mut [(usize, usize)], account: u32, which: fn(&mut (usize, usize)) -> &mut usize) {
    if let Some(of_account) = counts.get_mut(account as usize) {
        *which(of_account) += 1;
    }
}
