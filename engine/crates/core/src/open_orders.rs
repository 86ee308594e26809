//! What works in an account: listed in pages, so that no one answer is long.

use crate::identity::{check_id, split_leg};
use crate::queries::{Found, account_name, check_account, unknown_order};
use crate::{Core, OrderReply, ReasonCode, Rejection, Text, VenueKey};

/// One page of an account's open orders and legs (WIRE.md, section 1.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenOrders {
    /// The account's last update as of this page.
    pub last_sequence: u64,
    /// As they are now, the oldest first, each entry before its legs.
    pub orders: Vec<OrderReply>,
    /// There are younger ones: ask again after the last of these.
    pub more: bool,
    /// [`ReasonCode::None`], or why there is no page.
    pub code: ReasonCode,
    /// In words.
    pub message: Text,
    /// The field at fault.
    pub field: Text,
}

impl Core {
    /// At most `most` of the account's open orders and legs, those behind the order `after` (empty: from the oldest).
    /// What has ended since keeps its place, so that pages can be turned while orders come and go.
    pub fn open_orders(&self, account: &str, after: &str, most: usize) -> OpenOrders {
        match check_account(account).and_then(|()| self.place_of(account, after)) {
            Ok(after) => self.page(account_name(account), after, most),
            Err(rejection) => OpenOrders {
                last_sequence: 0,
                orders: Vec::new(),
                more: false,
                code: rejection.code,
                message: rejection.message,
                field: rejection.field,
            },
        }
    }

    fn place_of(&self, account: &str, order_id: &str) -> Result<Option<VenueKey>, Rejection> {
        if order_id.is_empty() {
            return Ok(None);
        }
        check_id("after_order_id", split_leg(order_id).0)?;
        match self.find(account_name(account), order_id) {
            Found::Order(key) => Ok(Some(key)),
            _ => Err(Rejection { field: "after_order_id".into(), ..unknown_order(order_id) }),
        }
    }

    fn page(&self, account: &str, after: Option<VenueKey>, most: usize) -> OpenOrders {
        let open = self.account(account).map(|account| account.open.first_above(after, most.saturating_add(1)));
        let mut keys = open.unwrap_or_default();
        let more = keys.len() > most;
        keys.truncate(most);
        OpenOrders {
            last_sequence: self.last_sequence(account),
            orders: keys.into_iter().filter_map(|key| self.state_of(key)).collect(),
            more,
            code: ReasonCode::None,
            message: Text::default(),
            field: Text::default(),
        }
    }
}
