//! Events of risk control: limits, last prices, buckets, the state for all, leases.

use crate::lease::Lease;
use crate::risk::Bucket;
use crate::{Core, Event, LeaseSet};

impl Core {
    pub(super) fn absorb_control(&mut self, event: &Event) {
        match event {
            Event::TradingStateForAllSet { state } => self.risk.set_state_for_all(*state, &mut self.hash),
            Event::RiskLimitsSet(set) => {
                let account = self.account_index(&set.account);
                self.risk.set_limits(account, set.symbol, set.limits, &mut self.hash);
                self.rebuild_bounds();
            }
            Event::LastPriceSet { symbol, half_ticks } => self.risk.set_last_price(*symbol, *half_ticks),
            Event::RateCharged { account, level, at_ns } => {
                let account = self.account_index(account);
                self.risk.set_bucket(account, Bucket { level: *level, at_ns: *at_ns });
            }
            Event::LeaseSet(set) => {
                let LeaseSet { lease, account, session_id, grace_ms } = &**set;
                let account = self.account_index(account);
                let one = Lease { account, session_id: session_id.clone(), grace_ms: *grace_ms, expired: false };
                self.leases.set(*lease, one, &mut self.hash);
            }
            Event::LeaseEnded { lease } => self.leases.end(*lease, &mut self.hash),
            Event::LeaseExpired { lease } => self.leases.set_expired(*lease, true, &mut self.hash),
            _ => {}
        }
    }
}
