//! The embedded exchange: a deterministic price-time order book in integer ticks and steps, and the seam behind which
//! another venue can stand in its place ([`seam`]).
//!
//! [`Exchange::execute`] decides and reports [`Event`]s; every change of state goes through [`Exchange::fold`], so
//! recovery from recorded events rebuilds the same book, with the same [`Exchange::state_hash`]. No I/O, clock or
//! randomness; no bad command panics, each gets a refusal event.
//!
//! # Rules
//! WIRE.md section 3 is the authority ("Types", "Legs", "Prices of executions"). Where it is silent:
//!
//! **Matching.** Better price first; at one price the earlier first, where the feed's quote is as old as its arrival
//! and every quote is a new arrival, the same price and size included. A trade is at the price of what was there
//! first. An entry and its own legs do not trade with one another; other self-trades are not prevented, because the
//! venue does not know accounts.
//!
//! **Working at market.** A triggered GTC order that found too little stays, ahead of every priced order of its side.
//! It has no price of its own, so it trades with the next limit order or quote at the best price of its own side, if
//! the newcomer takes that, else at the newcomer's price. Two orders without a price do not trade with one another.
//!
//! **Quotes.** Bid must be below ask; a crossed, locked or malformed quote is refused and the former one stands. A
//! quote first trades with what rests, then triggers: every stop before any target, sells before buys, and within
//! these the trigger that the market reaches first, then the earlier one. What triggers is the quote's price, also
//! when its size is traded away, until the next quote. Trades never trigger.
//!
//! **Time in force.** A MARKET order's rest ends as `NoLiquidity`, with GTC and IOC alike; with FOK it executes whole
//! or not at all. IOC and FOK of an order with a trigger apply when it triggers; until then it waits.
//!
//! **Replace.** A smaller total, or terms that are the same, keep the place in the queue; another price or a larger
//! total lose it. A price that can trade does, one that the present quote triggers triggers. A total that does not
//! exceed what is executed is refused: who wants the order to end cancels it. A triggered order has no price to
//! replace. Of a leg only the trigger can be replaced: its quantity follows the entry.
//!
//! **Legs.** An open leg has left what the entry executed less what both legs executed: never more. A leg that is
//! triggered holds the other one back; if it is cancelled, the other waits again. Legs with nothing left end, one as
//! `Filled`, the other as `LegDone`, once their entry has ended. While the entry can still fill they stay open with
//! nothing left, so that its later fills are protected too, and with the next fill they wait for their triggers anew, from the next
//! quote on (else orders and legs of several brackets could fill one another for ever on one quote).
//! A cancelled leg does not come back. When the entry is cancelled, the legs stay for what it executed.
//!
//! # Code map
//! `decide` and its parts read the state and emit events; `exchange` holds the state, `exchange/fold` changes it;
//! `book` has the indexes of one instrument, `order` says in which of them an order belongs, `hash` what is hashed.

mod book;
pub mod command;
mod decide;
pub mod event;
pub mod exchange;
mod hash;
mod open_orders;
pub mod order;
pub mod seam;
pub mod terms;

pub use command::{Command, NewOrder, Quote, Replace};
pub use event::{CloseReason, Event, Refusal, Trade};
pub use exchange::Exchange;
pub use order::OpenOrder;
pub use seam::{Answer, External, Venue};
pub use terms::{Key, Level, OrderType, Part, Party, Side, TimeInForce};
