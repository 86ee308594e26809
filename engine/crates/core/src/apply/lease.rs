//! Cancel on disconnect: leases are set and ended, and what becomes of the orders of one that expired.

use super::Decision;
use super::command::{Identity, Known, command_reply, done, unremembered};
use crate::identity::check_id;
use crate::lease::LeaseNo;
use crate::queries::account_name;
use crate::{
    Core, Effect, Event, Intent, LeaseSet, Outcome, Rejection, SetCancelOnDisconnect, Text, VenueCommand, VenueKey,
    canonical,
};
use smol_str::format_smolstr;

impl Core {
    pub(super) fn decide_cancel_on_disconnect(
        &mut self,
        set: &SetCancelOnDisconnect,
        decision: &mut Decision<'_>,
    ) -> Outcome {
        let identity = Identity {
            account: &set.account,
            command_id: &set.command_id,
            content_hash: canonical::content_hash(&canonical::set_cancel_on_disconnect(set)),
            is_quotes: false,
        };
        match self.known_command(&identity) {
            Known::Seen(outcome) => return outcome,
            Known::Refused(rejection) => return unremembered(command_reply(&set.command_id, rejection, 0)),
            Known::New => {}
        }
        let verdict = match judge(set) {
            Ok(()) => {
                self.set_lease(account_name(&set.account), set, decision);
                done()
            }
            Err(rejection) => rejection,
        };
        self.answer(&identity, command_reply(&set.command_id, verdict, 0), decision)
    }

    fn set_lease(&mut self, account: &str, set: &SetCancelOnDisconnect, decision: &mut Decision<'_>) {
        let known = self.leases.of(&set.session_id, self.account_place(account));
        let Some(grace_ms) = set.grace_ms else {
            if known != 0 {
                self.commit(Event::LeaseEnded { lease: known }, decision.events);
            }
            return;
        };
        // A session that is long gone makes room for one that is there.
        if known == 0
            && self.leases_are_full()
            && let Some(lease) = self.spent_lease()
        {
            self.commit(Event::LeaseEnded { lease }, decision.events);
        }
        let lease = if known == 0 { self.leases.next() } else { known };
        let (account, session_id) = (account.into(), set.session_id.as_str().into());
        let set = LeaseSet { lease, account, session_id, grace_ms };
        self.commit(Event::LeaseSet(Box::new(set)), decision.events);
    }

    /// A session has had no connection for its grace: the venue is asked to cancel what it entered. Given again, it
    /// asks again for what is still open and was not asked for.
    pub(super) fn decide_lease_expired(&mut self, session_id: &str, decision: &mut Decision<'_>) {
        let leases: Vec<LeaseNo> = self.leases.of_session(session_id).map(|(no, _)| no).collect();
        for lease in leases {
            if self.leases.get(lease).is_some_and(|lease| !lease.expired) {
                self.commit(Event::LeaseExpired { lease }, decision.events);
            }
            self.cancel_orders_of(lease, decision);
        }
    }

    fn cancel_orders_of(&mut self, lease: LeaseNo, decision: &mut Decision<'_>) {
        let Some(account) = self.leases.get(lease).and_then(|one| self.accounts.get(one.account as usize)) else {
            return;
        };
        let is_meant =
            |key: &VenueKey| self.is_entered_under(*key, lease) && !self.is_being_cancelled_on_disconnect(*key);
        let mut keys: Vec<VenueKey> = account.open.iter().filter(is_meant).collect();
        keys.sort_unstable();
        if keys.is_empty() {
            return;
        }
        decision.effects.extend(keys.iter().map(|key| Effect::Venue(VenueCommand::Cancel { key: *key })));
        // Kept as a command is, so that an external venue's answer finds it. Its id is none that a client can use.
        let command_id: Text = format_smolstr!("cancel-on-disconnect·{}", self.next_command().0);
        let account = account.name.clone();
        let identity = Identity {
            account: &account,
            command_id: &command_id,
            content_hash: canonical::content_hash(command_id.as_bytes()),
            is_quotes: false,
        };
        self.wait(&identity, Intent::CancelOnDisconnect, keys, decision);
    }

    fn is_entered_under(&self, key: VenueKey, lease: LeaseNo) -> bool {
        self.order(key.order()).is_some_and(|order| order.lease == lease)
    }

    fn is_being_cancelled_on_disconnect(&self, key: VenueKey) -> bool {
        let waiting = self.waiting.get(&key).into_iter().flatten();
        let mut waiting = waiting.filter_map(|no| self.command(*no));
        waiting.any(|command| command.intent == Intent::CancelOnDisconnect)
    }

    /// Whether a session is gone whose orders the venue was not asked to cancel, or would not.
    pub fn has_orders_to_cancel(&self, session_id: &str) -> bool {
        self.leases.of_session(session_id).any(|(no, lease)| {
            let account = self.accounts.get(lease.account as usize);
            account.is_some_and(|account| account.open.iter().any(|key| self.is_entered_under(key, no)))
        })
    }
}

fn judge(set: &SetCancelOnDisconnect) -> Result<(), Rejection> {
    set.defect.clone().map_or(Ok(()), Err)?;
    check_id("session_id", &set.session_id)
}
