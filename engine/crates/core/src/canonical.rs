//! The canonical form: which orders, and which commands, are the same (WIRE.md, section 6).

use crate::{
    CancelAllOrders, CancelOrder, ContentHash, DEFAULT_ACCOUNT, Decimal, Order, PublishQuotes, Quote, Rejection,
    ReplaceOrder, RiskLimits, SetCancelOnDisconnect, SetRiskLimits, SetTradingState, UtcNanos,
};
use sha2::{Digest, Sha256};

/// First 16 bytes of the SHA-256 of a canonical form.
pub fn content_hash(form: &[u8]) -> ContentHash {
    let digest = Sha256::digest(form);
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    hash
}

/// Canonical form of an order.
pub fn order(order: &Order) -> Vec<u8> {
    order_in(Vec::new(), order)
}

/// The same, made in the memory of `bytes`.
pub(crate) fn order_in(bytes: Vec<u8>, order: &Order) -> Vec<u8> {
    let mut form = Form::in_memory_of(bytes, b"XBR-ORDER1");
    form.text(1, &order.order_id);
    form.text_unless_empty(2, &order.symbol);
    form.byte(3, order.order_type.map(|value| value as u8));
    form.byte(4, order.side.map(|value| value as u8));
    form.decimal(5, order.quantity);
    form.decimal(6, order.price);
    form.decimal(7, order.stop_loss);
    form.decimal(8, order.take_profit);
    form.time(9, order.timestamp_ns);
    form.metadata(&order.metadata);
    form.account(11, &order.account);
    form.byte(12, Some(order.time_in_force as u8));
    form.time(13, order.expires_at_ns);
    form.defect(order.defect.as_ref())
}

/// Canonical form of a cancel.
pub fn cancel(command: &CancelOrder) -> Vec<u8> {
    let mut form = Form::new(b"XBR-CANCELORDER1");
    form.text(1, &command.command_id);
    form.text(2, &command.order_id);
    form.account(3, &command.account);
    form.number(4, command.expected_version);
    form.defect(command.defect.as_ref())
}

/// Canonical form of a replace.
pub fn replace(command: &ReplaceOrder) -> Vec<u8> {
    let mut form = Form::new(b"XBR-REPLACEORDER1");
    form.text(1, &command.command_id);
    form.text(2, &command.order_id);
    form.account(3, &command.account);
    form.number(4, command.expected_version);
    form.decimal(5, command.quantity);
    form.decimal(6, command.price);
    form.defect(command.defect.as_ref())
}

/// Canonical form of a cancel-all.
pub fn cancel_all(command: &CancelAllOrders) -> Vec<u8> {
    let mut form = Form::new(b"XBR-CANCELALLORDERS1");
    form.text(1, &command.command_id);
    form.account(3, &command.account);
    form.text_unless_empty(7, &command.symbol);
    form.defect(command.defect.as_ref())
}

/// Canonical form of a set-trading-state.
pub fn set_trading_state(command: &SetTradingState) -> Vec<u8> {
    let mut form = Form::new(b"XBR-SETTRADINGSTATE1");
    form.text(1, &command.command_id);
    form.account(3, &command.account);
    form.byte(8, command.state.map(|value| value as u8));
    form.byte(9, Some(u8::from(command.cancel_open_orders)));
    form.byte(11, command.all_accounts.then_some(1));
    form.defect(command.defect.as_ref())
}

/// Canonical form of a publish-quotes.
pub fn publish_quotes(command: &PublishQuotes) -> Vec<u8> {
    let mut form = Form::new(b"XBR-PUBLISHQUOTES1");
    form.text(1, &command.command_id);
    form.account(3, &command.account);
    for quote in &command.quotes {
        form.field(10, &quote_value(quote));
    }
    form.defect(command.defect.as_ref())
}

/// Canonical form of a set-risk-limits.
pub fn set_risk_limits(command: &SetRiskLimits) -> Vec<u8> {
    let RiskLimits {
        max_order_quantity,
        max_order_notional,
        price_collar,
        max_open_orders,
        max_position,
        orders_per_second,
        order_burst,
    } = command.limits;
    let mut form = Form::new(b"XBR-SETRISKLIMITS1");
    form.text(1, &command.command_id);
    form.account(3, &command.account);
    form.text_unless_empty(7, &command.symbol);
    form.decimal(12, max_order_quantity);
    form.decimal(13, max_order_notional);
    form.decimal(14, price_collar);
    form.number(15, max_open_orders.map(u64::from));
    form.decimal(16, max_position);
    form.number(17, orders_per_second.map(u64::from));
    form.number(18, order_burst.map(u64::from));
    form.defect(command.defect.as_ref())
}

/// Canonical form of a set-cancel-on-disconnect.
pub fn set_cancel_on_disconnect(command: &SetCancelOnDisconnect) -> Vec<u8> {
    let mut form = Form::new(b"XBR-SETCANCELONDISCONNECT1");
    form.text(1, &command.command_id);
    form.account(3, &command.account);
    form.text(19, &command.session_id);
    form.number(20, command.grace_ms);
    form.defect(command.defect.as_ref())
}

fn quote_value(quote: &Quote) -> Vec<u8> {
    let mut value = Vec::with_capacity(80 + quote.symbol.len());
    value.extend_from_slice(&length(&quote.symbol));
    value.extend_from_slice(quote.symbol.as_bytes());
    let decimals = [quote.bid, quote.ask, quote.bid_size, quote.ask_size, quote.last_price, quote.volume];
    for decimal in decimals {
        value.push(u8::from(decimal.is_some()));
        if let Some(decimal) = decimal {
            value.extend_from_slice(&decimal_value(decimal));
        }
    }
    value.push(u8::from(quote.timestamp_ns.is_some()));
    if let Some(timestamp_ns) = quote.timestamp_ns {
        value.extend_from_slice(&timestamp_ns.to_le_bytes());
    }
    value
}

fn decimal_value(decimal: Decimal) -> [u8; 9] {
    let decimal = decimal.normalised();
    let mut value = [0; 9];
    value[..8].copy_from_slice(&decimal.mantissa.to_le_bytes());
    value[8] = decimal.exponent.to_le_bytes()[0];
    value
}

/// Lengths are 4 bytes; no message is as long as that can say.
fn length(bytes: impl AsRef<[u8]>) -> [u8; 4] {
    u32::try_from(bytes.as_ref().len()).unwrap_or(u32::MAX).to_le_bytes()
}

/// The bytes so far: fields by rising tag.
struct Form(Vec<u8>);

impl Form {
    fn new(name: &[u8]) -> Self {
        Self::in_memory_of(Vec::with_capacity(192), name)
    }

    fn in_memory_of(mut bytes: Vec<u8>, name: &[u8]) -> Self {
        bytes.clear();
        bytes.extend_from_slice(name);
        Self(bytes)
    }

    fn field(&mut self, tag: u8, value: &[u8]) {
        self.0.push(tag);
        self.0.extend_from_slice(&length(value));
        self.0.extend_from_slice(value);
    }

    fn text(&mut self, tag: u8, value: &str) {
        self.field(tag, value.as_bytes());
    }

    fn text_unless_empty(&mut self, tag: u8, value: &str) {
        if !value.is_empty() {
            self.text(tag, value);
        }
    }

    fn account(&mut self, tag: u8, value: &str) {
        self.text(tag, if value.is_empty() { DEFAULT_ACCOUNT } else { value });
    }

    fn byte(&mut self, tag: u8, value: Option<u8>) {
        if let Some(value) = value {
            self.field(tag, &[value]);
        }
    }

    fn decimal(&mut self, tag: u8, value: Option<Decimal>) {
        if let Some(value) = value {
            self.field(tag, &decimal_value(value));
        }
    }

    fn time(&mut self, tag: u8, value: Option<UtcNanos>) {
        if let Some(value) = value {
            self.field(tag, &value.to_le_bytes());
        }
    }

    fn number(&mut self, tag: u8, value: Option<u64>) {
        if let Some(value) = value {
            self.field(tag, &value.to_le_bytes());
        }
    }

    /// Sorted by key; without an allocation where there are few.
    fn metadata(&mut self, entries: &[(String, String)]) {
        const FEW: usize = 32;
        if entries.is_sorted_by(|a, b| a.0.as_bytes() <= b.0.as_bytes()) {
            entries.iter().for_each(|entry| self.entry(entry));
        } else if entries.len() <= FEW {
            let mut places = [0; FEW];
            let places = &mut places[..entries.len()];
            places.iter_mut().enumerate().for_each(|(at, place)| *place = at);
            // Equal keys (which are refused later) stay in the order given.
            places.sort_unstable_by(|a, b| entries[*a].0.as_bytes().cmp(entries[*b].0.as_bytes()).then(a.cmp(b)));
            places.iter().for_each(|place| self.entry(&entries[*place]));
        } else {
            let mut sorted: Vec<&(String, String)> = entries.iter().collect();
            sorted.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            sorted.into_iter().for_each(|entry| self.entry(entry));
        }
    }

    fn entry(&mut self, (key, value): &(String, String)) {
        let bytes = u32::try_from(4 + key.len() + value.len()).unwrap_or(u32::MAX);
        self.0.push(10);
        self.0.extend_from_slice(&bytes.to_le_bytes());
        self.0.extend_from_slice(&length(key));
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(value.as_bytes());
    }

    fn defect(mut self, defect: Option<&Rejection>) -> Vec<u8> {
        if let Some(defect) = defect {
            let mut bytes = (defect.code as u16).to_le_bytes().to_vec();
            bytes.extend_from_slice(defect.field.as_bytes());
            self.field(255, &bytes);
        }
        self.0
    }
}
