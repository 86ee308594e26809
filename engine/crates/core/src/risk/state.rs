//! What risk checks remember: the limits that were set, last prices, buckets, the state of trading for all. Part of
//! the core's state and of its hash; what is derived from it, and from orders and configuration, is not.

use super::bounds::Bounds;
use super::bucket::{Bucket, Rate};
use super::exposure::Exposure;
use super::limits::{RiskConfiguration, RiskLimits};
use crate::account::Account;
use crate::instruments::Instruments;
use crate::state_hash::{Kind, StateHash, entity_hash};
use crate::{Core, TradingState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A value, and its share of the state hash as the sum has it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Hashed<T> {
    value: T,
    hash: u128,
}

/// See the module's documentation. Indices are those of [`Core::accounts`] and of instruments.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RiskState {
    /// What holds for every account, beside its own; `None` before it was ever set.
    for_all: Hashed<Option<TradingState>>,
    /// By account and symbol; no symbol: all that have none of their own.
    set: BTreeMap<(u32, Option<u32>), Hashed<RiskLimits>>,
    /// By instrument, in half ticks.
    last_prices: Vec<Hashed<Option<i64>>>,
    /// By account; `None` for one that was never limited.
    buckets: Vec<Hashed<Option<Bucket>>>,
    /// Last prices and buckets whose hash is not what the sum has.
    #[serde(skip)]
    due: Vec<Due>,
    #[serde(skip)]
    derived: Derived,
}

/// What hash must be made anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Due {
    LastPrice(u32),
    Bucket(u32),
}

/// Made from the rest of the state, for quick looks.
#[derive(Clone, Debug, Default)]
struct Derived {
    /// By account, then instrument.
    bounds: Vec<Vec<Bounds>>,
    /// By account.
    rates: Vec<Option<Rate>>,
    /// By account, then instrument.
    exposures: Vec<Vec<Exposure>>,
}

impl RiskState {
    /// What holds for every account.
    pub fn state_for_all(&self) -> TradingState {
        self.for_all.value.unwrap_or(TradingState::Active)
    }

    pub fn set_state_for_all(&mut self, state: TradingState, total: &mut StateHash) {
        self.for_all.value = Some(state);
        let hash = entity_hash(Kind::StateForAll, &state, &mut Vec::new());
        total.replace(&mut self.for_all.hash, hash);
    }

    /// What was set for an account, and one of its symbols or all that have none of their own.
    pub fn limits_set(&self, account: u32, symbol: Option<u32>) -> RiskLimits {
        self.set.get(&(account, symbol)).map_or(RiskLimits::NONE, |set| set.value)
    }

    pub fn set_limits(&mut self, account: u32, symbol: Option<u32>, limits: RiskLimits, total: &mut StateHash) {
        let place = (account, symbol);
        if limits == RiskLimits::NONE {
            if let Some(mut set) = self.set.remove(&place) {
                total.replace(&mut set.hash, 0);
            }
            return;
        }
        let set = self.set.entry(place).or_default();
        set.value = limits;
        total.replace(&mut set.hash, limits_hash(place, &limits, &mut Vec::new()));
    }

    /// In half ticks.
    pub fn last_price(&self, symbol: u32) -> Option<i64> {
        self.last_prices.get(symbol as usize)?.value
    }

    pub fn set_last_price(&mut self, symbol: u32, half_ticks: Option<i64>) {
        let at = symbol as usize;
        if self.last_price(symbol) == half_ticks {
            return;
        }
        if at >= self.last_prices.len() {
            self.last_prices.resize(at + 1, Hashed::default());
        }
        self.last_prices[at].value = half_ticks;
        self.is_due(Due::LastPrice(symbol));
    }

    pub fn bucket(&self, account: u32) -> Option<Bucket> {
        self.buckets.get(account as usize)?.value
    }

    pub fn set_bucket(&mut self, account: u32, bucket: Bucket) {
        let at = account as usize;
        if at >= self.buckets.len() {
            self.buckets.resize(at + 1, Hashed::default());
        }
        self.buckets[at].value = Some(bucket);
        self.is_due(Due::Bucket(account));
    }

    fn is_due(&mut self, due: Due) {
        if !self.due.contains(&due) {
            self.due.push(due);
        }
    }

    /// Brings the shares of the state hash up to date.
    pub fn hash_changes(&mut self, total: &mut StateHash, bytes: &mut Vec<u8>) {
        for due in self.due.drain(..) {
            match due {
                Due::LastPrice(symbol) => {
                    if let Some(price) = self.last_prices.get_mut(symbol as usize) {
                        let hash = last_price_hash(symbol, price.value, bytes);
                        total.replace(&mut price.hash, hash);
                    }
                }
                Due::Bucket(account) => {
                    if let Some(bucket) = self.buckets.get_mut(account as usize) {
                        let hash = bucket_hash(account, bucket.value, bytes);
                        total.replace(&mut bucket.hash, hash);
                    }
                }
            }
        }
    }

    /// Every hash that stands for a part of this, from scratch.
    pub fn each_hash(&self, bytes: &mut Vec<u8>, add: &mut impl FnMut(u128)) {
        if let Some(state) = self.for_all.value {
            add(entity_hash(Kind::StateForAll, &state, bytes));
        }
        self.set.iter().for_each(|(place, set)| add(limits_hash(*place, &set.value, bytes)));
        for (symbol, price) in (0u32..).zip(&self.last_prices) {
            add(last_price_hash(symbol, price.value, bytes));
        }
        for (account, bucket) in (0u32..).zip(&self.buckets) {
            add(bucket_hash(account, bucket.value, bytes));
        }
    }

    /// What an account's orders in an instrument may be; an account that nothing happened in has no index yet.
    pub fn bounds(&self, account: u32, symbol: u32) -> Option<&Bounds> {
        self.derived.bounds.get(account as usize)?.get(symbol as usize)
    }

    /// How fast an account may send orders; `None`: as fast as it likes.
    pub fn rate(&self, account: u32) -> Option<Rate> {
        *self.derived.rates.get(account as usize)?
    }

    pub fn exposure(&self, account: u32, symbol: u32) -> Exposure {
        let of_account = self.derived.exposures.get(account as usize);
        of_account.and_then(|one| one.get(symbol as usize)).copied().unwrap_or_default()
    }

    pub fn shift_exposure(&mut self, account: u32, symbol: u32, change: Exposure) {
        let (account, symbol) = (account as usize, symbol as usize);
        let exposures = &mut self.derived.exposures;
        if account >= exposures.len() {
            exposures.resize(account + 1, Vec::new());
        }
        let of_account = &mut exposures[account];
        if symbol >= of_account.len() {
            of_account.resize(symbol + 1, Exposure::default());
        }
        of_account[symbol] = of_account[symbol] + change;
    }
}

fn limits_hash(place: (u32, Option<u32>), limits: &RiskLimits, bytes: &mut Vec<u8>) -> u128 {
    entity_hash(Kind::Limits, &(place, limits), bytes)
}

/// No last price is as good as none ever.
fn last_price_hash(symbol: u32, half_ticks: Option<i64>, bytes: &mut Vec<u8>) -> u128 {
    half_ticks.map_or(0, |half_ticks| entity_hash(Kind::LastPrice, &(symbol, half_ticks), bytes))
}

fn bucket_hash(account: u32, bucket: Option<Bucket>, bytes: &mut Vec<u8>) -> u128 {
    bucket.map_or(0, |bucket| entity_hash(Kind::Bucket, &(account, bucket), bytes))
}

impl Core {
    /// Limits, instruments or accounts have changed: what orders are compared with is made anew.
    pub(crate) fn rebuild_bounds(&mut self) {
        const NONE: &RiskConfiguration = &RiskConfiguration::NONE;
        let configured = self.configuration.as_ref().map_or(NONE, |configuration| &configuration.risk);
        let names = self.accounts.iter().map(|account: &Account| account.name.as_str());
        let indexed = (0u32..).zip(names);
        let made = indexed.map(|(account, name)| {
            let set = |symbol| self.risk.limits_set(account, symbol);
            (bounds_of(name, &set, configured, &self.instruments), rate_of(name, &set(None), configured))
        });
        (self.risk.derived.bounds, self.risk.derived.rates) = made.collect();
    }

    /// What the first order of an account that nothing happened in may be, and its rate.
    pub(crate) fn bounds_of_new_account(&self, name: &str, symbol: u32) -> (Bounds, Option<Rate>) {
        let configured = &self.limits().risk;
        let set = |_| RiskLimits::NONE;
        let bounds = bounds_of(name, &set, configured, &self.instruments);
        let bounds = bounds.get(symbol as usize).copied().unwrap_or(Bounds::NONE);
        (bounds, rate_of(name, &RiskLimits::NONE, configured))
    }

    /// Whether what is derived is what it would be from scratch, for tests and checks.
    pub fn derived_state_is_true(&self) -> bool {
        let mut again = self.clone();
        again.rebuild_risk();
        let (kept, made) = (&self.risk.derived, &again.risk.derived);
        (&kept.bounds, &kept.rates) == (&made.bounds, &made.rates) && exposures_in(kept) == exposures_in(made)
    }

    /// All that is derived, from scratch: for a state that was not built from events.
    pub(crate) fn rebuild_risk(&mut self) {
        self.rebuild_bounds();
        let exposures = self.recompute_exposures();
        self.risk.derived.exposures.clear();
        for (account, symbol, exposure) in exposures {
            self.risk.shift_exposure(account, symbol, exposure);
        }
    }
}

/// Those that there are: account, instrument, exposure.
fn exposures_in(derived: &Derived) -> Vec<(usize, usize, Exposure)> {
    let mut exposures = Vec::new();
    for (account, of_account) in derived.exposures.iter().enumerate() {
        let there = of_account.iter().enumerate().filter(|(_, exposure)| **exposure != Exposure::default());
        exposures.extend(there.map(|(symbol, exposure)| (account, symbol, *exposure)));
    }
    exposures
}

fn bounds_of(
    account: &str,
    set: &dyn Fn(Option<u32>) -> RiskLimits,
    configured: &RiskConfiguration,
    instruments: &Instruments,
) -> Vec<Bounds> {
    let for_all = set(None);
    let of_instrument = |symbol| {
        let instrument = &instruments.get(symbol)?.instrument;
        let limits = set(Some(symbol)).or(&configured.for_symbol(account, &instrument.symbol, &for_all));
        Some(Bounds::new(&limits, instrument))
    };
    (0u32..).map_while(of_instrument).collect()
}

fn rate_of(account: &str, set: &RiskLimits, configured: &RiskConfiguration) -> Option<Rate> {
    let limits = configured.for_account(account, set);
    let per_second = limits.orders_per_second?;
    Some(Rate { per_second, burst: limits.order_burst.unwrap_or(per_second) })
}
