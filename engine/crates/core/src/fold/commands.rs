//! Events of remembered commands, and of what they wait for.

use crate::command_state::CommandState;
use crate::{Call, CommandNo, CommandOutcome, CommandRecorded, Core, ExecutionStatus, ReasonCode, Text, VenueKey};

impl Core {
    pub(super) fn absorb_command(&mut self, event: &CommandRecorded) {
        if event.command != self.next_command() {
            return;
        }
        let command = CommandState {
            no: event.command,
            account: self.account_index(&event.account),
            command_id: event.command_id.clone(),
            content_hash: event.content_hash,
            is_quotes: event.in_quota,
            intent: event.intent,
            waits_for: event.waits_for.iter().copied().collect(),
            refused: None,
            cancelled: 0,
            replaced: false,
            reply: event.reply.clone().map(Box::new),
            hash: 0,
            hash_is_due: false,
        };
        for key in &command.waits_for {
            self.waiting.entry(*key).or_default().push(command.no);
        }
        let account = &mut self.accounts[command.account as usize];
        account.remember_command(&command.command_id, command.no, command.takes_quota());
        self.commands.push(command);
        self.command_changed(event.command);
    }

    pub(super) fn absorb_conclusion(&mut self, no: CommandNo, reply: &CommandOutcome) {
        self.change_command(no, |command| command.reply = Some(Box::new(reply.clone())));
        self.turn.concluded.push(Call::Command(no));
    }

    pub(super) fn absorb_command_refused(&mut self, key: VenueKey, no: CommandNo, code: ReasonCode, message: &Text) {
        self.change_command(no, |command| command.refused = Some((code, message.clone())));
        self.stop_waiting(key, no);
    }

    /// A replace was done.
    pub(super) fn mark_replaced(&mut self, key: VenueKey, no: CommandNo) {
        self.change_command(no, |command| command.replaced = true);
        self.stop_waiting(key, no);
    }

    /// The order or leg has ended: whatever was asked of it is answered by how.
    pub(super) fn finish_waiting(&mut self, key: VenueKey) {
        let ended = self.order(key.order()).zip(key.part());
        let progress = ended.and_then(|(order, part)| Some(&order.work(part)?.now));
        let asked_for = [ReasonCode::CancelledByClient, ReasonCode::CancelledOnDisconnect];
        let cancelled =
            progress.is_some_and(|now| now.status == ExecutionStatus::Cancelled && asked_for.contains(&now.code));
        for no in self.waiting.get(&key).cloned().unwrap_or_default() {
            self.change_command(no, |command| command.cancelled += u64::from(cancelled));
            self.stop_waiting(key, no);
        }
    }

    fn stop_waiting(&mut self, key: VenueKey, no: CommandNo) {
        if let Some(waiting) = self.waiting.get_mut(&key) {
            waiting.retain(|other| *other != no);
            if waiting.is_empty() {
                self.waiting.remove(&key);
            }
        }
        self.change_command(no, |command| {
            command.waits_for.remove(&key);
        });
        if self.command(no).is_some_and(|command| command.waits_for.is_empty()) {
            self.turn.finished.push(no);
        }
    }

    /// Changes a command, and so its share of the state hash.
    fn change_command(&mut self, no: CommandNo, change: impl FnOnce(&mut CommandState)) {
        if let Some(command) = self.commands.get_mut(no.0) {
            change(command);
        }
        self.command_changed(no);
    }
}
