//! What a client asks, from a verified envelope.

use super::frame::{DecodeError, open};
use super::incoming::without_body;
use super::message::{ClientMessage, Envelope, GetOrder, Hello, ListOpenOrders, Subscribe};
use super::order::{account, decimal, known, order, quote, text, trading_state};
use crate::{DEFAULT_ACCOUNT, limits::DecodeLimits, schema as fb};
use bridge_core::{
    CancelAllOrders, CancelOrder, Command, PublishQuotes, ReasonCode, ReplaceOrder, RiskLimits, SetCancelOnDisconnect,
    SetRiskLimits, SetTradingState,
};
use flatbuffers::{ForwardsUOffset, Vector};

/// Reads one message part of a client. Values are converted, not validated: that is `apply`'s part.
///
/// # Errors
/// [`DecodeError`] for what is no message within `limits`, is unknown (`NOT_IMPLEMENTED`), or is not a client's to
/// send. The message had no effect; the connection may go on.
pub fn decode_request<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<Envelope<'a>, DecodeError> {
    let envelope = open(bytes, limits)?;
    let correlation = envelope.correlation();
    let body = client_message(&envelope, limits)?;
    Ok(Envelope { correlation, journal_id: envelope.journal_id().unwrap_or_default(), body })
}

pub(super) fn client_message(envelope: &fb::Envelope<'_>, limits: &DecodeLimits) -> Result<ClientMessage, DecodeError> {
    let kind = envelope.body_type();
    let message = match kind {
        fb::Body::Hello => envelope.body_as_hello().map(hello),
        fb::Body::ExecuteOrder => {
            envelope.body_as_execute_order().map(|body| ClientMessage::Command(Command::Execute(order(body.order()))))
        }
        fb::Body::ExecuteBatch => envelope
            .body_as_execute_batch()
            .map(|body| execute_batch(body, limits))
            .transpose()
            .map_err(|e| e.of(envelope))?,
        fb::Body::CancelOrder => envelope.body_as_cancel_order().map(cancel_order),
        fb::Body::ReplaceOrder => envelope.body_as_replace_order().map(replace_order),
        fb::Body::GetOrder => envelope.body_as_get_order().map(get_order),
        fb::Body::CancelAllOrders => envelope.body_as_cancel_all_orders().map(cancel_all_orders),
        fb::Body::SetTradingState => envelope.body_as_set_trading_state().map(set_trading_state),
        fb::Body::PublishQuotes => envelope
            .body_as_publish_quotes()
            .map(|body| publish_quotes(body, limits))
            .transpose()
            .map_err(|e| e.of(envelope))?,
        fb::Body::SubscribeOrderUpdates => envelope.body_as_subscribe_order_updates().map(subscribe),
        fb::Body::UnsubscribeOrderUpdates => envelope
            .body_as_unsubscribe_order_updates()
            .map(|body| ClientMessage::Unsubscribe { subscription: body.subscription() }),
        fb::Body::SetRiskLimits => envelope.body_as_set_risk_limits().map(set_risk_limits),
        fb::Body::SetCancelOnDisconnect => envelope.body_as_set_cancel_on_disconnect().map(set_cancel_on_disconnect),
        fb::Body::ListOpenOrders => envelope.body_as_list_open_orders().map(list_open_orders),
        fb::Body::HealthCheck => envelope.body_as_health_check().map(|_| ClientMessage::Health),
        other => return Err(not_for_an_engine(other, envelope.correlation())),
    };
    message.ok_or_else(|| without_body(envelope))
}

fn not_for_an_engine(kind: fb::Body, correlation: u64) -> DecodeError {
    match kind.variant_name() {
        _ if kind == fb::Body::NONE => DecodeError::malformed(correlation, "the envelope has no body"),
        Some(name) => DecodeError::malformed(correlation, format!("{name} is the engine's to send")),
        None => {
            let message = format!("body type {} is unknown to this engine", kind.0);
            DecodeError::new(correlation, ReasonCode::NotImplemented, message)
        }
    }
}

/// More entries than a message may have.
pub(super) struct TooMany {
    what: &'static str,
    given: usize,
    allowed: u32,
}

impl TooMany {
    fn check(what: &'static str, given: usize, limits: &DecodeLimits) -> Result<(), Self> {
        let allowed = limits.max_batch_orders;
        if given > allowed as usize { Err(Self { what, given, allowed }) } else { Ok(()) }
    }

    pub(super) fn of(self, envelope: &fb::Envelope<'_>) -> DecodeError {
        let message = format!("{} {}; at most {} are taken in one message", self.given, self.what, self.allowed);
        DecodeError::new(envelope.correlation(), ReasonCode::BatchTooLarge, message)
    }
}

/// The orders' tables.
pub(super) type OrderTables<'a> = Vector<'a, ForwardsUOffset<fb::TradeOrder<'a>>>;

/// The tables of a batch, if they are not too many.
pub(super) fn orders_of<'a>(body: &fb::ExecuteBatch<'a>, limits: &DecodeLimits) -> Result<OrderTables<'a>, TooMany> {
    let orders = body.orders().unwrap_or_default();
    TooMany::check("orders", orders.len(), limits)?;
    Ok(orders)
}

fn execute_batch(body: fb::ExecuteBatch<'_>, limits: &DecodeLimits) -> Result<ClientMessage, TooMany> {
    let orders = orders_of(&body, limits)?;
    Ok(ClientMessage::ExecuteBatch(orders.iter().map(|table| order(Some(table))).collect()))
}

fn publish_quotes(body: fb::PublishQuotes<'_>, limits: &DecodeLimits) -> Result<ClientMessage, TooMany> {
    let quotes = body.quotes().unwrap_or_default();
    TooMany::check("quotes", quotes.len(), limits)?;
    Ok(ClientMessage::Command(Command::PublishQuotes(PublishQuotes {
        command_id: text(body.command_id()),
        // The feed's side names no account; its ids are kept under the principal's own.
        account: DEFAULT_ACCOUNT.to_owned(),
        quotes: quotes.iter().map(quote).collect(),
        defect: None,
    })))
}

fn hello(body: fb::Hello<'_>) -> ClientMessage {
    ClientMessage::Hello(Hello {
        protocol_version: body.protocol_version(),
        client: text(body.client()),
        session_id: text(body.session_id()),
        resume_from: body.resume_from(),
        account: account(body.account()),
    })
}

fn cancel_order(body: fb::CancelOrder<'_>) -> ClientMessage {
    ClientMessage::Command(Command::Cancel(CancelOrder {
        command_id: text(body.command_id()),
        account: account(body.account()),
        order_id: text(body.order_id()),
        expected_version: body.expected_version(),
        defect: None,
    }))
}

fn replace_order(body: fb::ReplaceOrder<'_>) -> ClientMessage {
    ClientMessage::Command(Command::Replace(ReplaceOrder {
        command_id: text(body.command_id()),
        account: account(body.account()),
        order_id: text(body.order_id()),
        expected_version: body.expected_version(),
        quantity: decimal(body.quantity()),
        price: decimal(body.price()),
        defect: None,
    }))
}

fn get_order(body: fb::GetOrder<'_>) -> ClientMessage {
    ClientMessage::GetOrder(GetOrder {
        order_id: text(body.order_id()),
        account: account(body.account()),
        fence: body.fence(),
    })
}

fn cancel_all_orders(body: fb::CancelAllOrders<'_>) -> ClientMessage {
    ClientMessage::Command(Command::CancelAll(CancelAllOrders {
        command_id: text(body.command_id()),
        account: account(body.account()),
        symbol: text(body.symbol()),
        defect: None,
    }))
}

fn set_trading_state(body: fb::SetTradingState<'_>) -> ClientMessage {
    let mut defect = None;
    let state = known("state", trading_state(body.state()), &mut defect);
    ClientMessage::Command(Command::SetTradingState(SetTradingState {
        command_id: text(body.command_id()),
        account: account(body.account()),
        state,
        cancel_open_orders: body.cancel_open_orders(),
        all_accounts: body.all_accounts(),
        defect,
    }))
}

fn set_risk_limits(body: fb::SetRiskLimits<'_>) -> ClientMessage {
    ClientMessage::Command(Command::SetRiskLimits(SetRiskLimits {
        command_id: text(body.command_id()),
        account: account(body.account()),
        symbol: text(body.symbol()),
        limits: body.limits().map(risk_limits).unwrap_or_default(),
        defect: None,
    }))
}

fn risk_limits(table: fb::RiskLimits<'_>) -> RiskLimits {
    RiskLimits {
        max_order_quantity: decimal(table.max_order_quantity()),
        max_order_notional: decimal(table.max_order_notional()),
        price_collar: decimal(table.price_collar()),
        max_open_orders: table.max_open_orders(),
        max_position: decimal(table.max_position()),
        orders_per_second: table.orders_per_second(),
        order_burst: table.order_burst(),
    }
}

/// The session is the connection's: whoever has that fills it in.
fn set_cancel_on_disconnect(body: fb::SetCancelOnDisconnect<'_>) -> ClientMessage {
    ClientMessage::Command(Command::SetCancelOnDisconnect(SetCancelOnDisconnect {
        command_id: text(body.command_id()),
        account: account(body.account()),
        session_id: String::new(),
        grace_ms: body.grace_ms().map(u64::from),
        defect: None,
    }))
}

fn list_open_orders(body: fb::ListOpenOrders<'_>) -> ClientMessage {
    ClientMessage::ListOpenOrders(ListOpenOrders {
        account: account(body.account()),
        after_order_id: text(body.after_order_id()),
    })
}

fn subscribe(body: fb::SubscribeOrderUpdates<'_>) -> ClientMessage {
    ClientMessage::Subscribe(Subscribe {
        account: account(body.account()),
        resume_from: body.resume_from(),
        accept_gaps: body.accept_gaps(),
    })
}
