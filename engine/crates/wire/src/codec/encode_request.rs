//! What a client asks, into bytes. Enums travel as their numbers, known to this release or not.

use super::encoder::{Builder, Encoder, optional, text};
use super::message::{GetOrder, Hello, ListOpenOrders, Subscribe};
use crate::schema as fb;
use bridge_core::{CancelAllOrders, CancelOrder, Decimal, Order, Quote, ReplaceOrder, SetRiskLimits};
use flatbuffers::WIPOffset;

/// An order's fields where they are, so that writing one copies each text once.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct OrderFields<'a> {
    pub order_id: &'a str,
    pub symbol: &'a str,
    pub order_type: Option<u8>,
    pub side: Option<u8>,
    pub quantity: Option<Decimal>,
    pub price: Option<Decimal>,
    pub stop_loss: Option<Decimal>,
    pub take_profit: Option<Decimal>,
    pub timestamp_ns: Option<i64>,
    pub metadata: &'a [(&'a str, &'a str)],
    pub account: &'a str,
    pub time_in_force: Option<u8>,
    pub expires_at_ns: Option<i64>,
    pub contract_version: u16,
    pub trace_context: &'a str,
}

impl<'a> OrderFields<'a> {
    /// The fields of `order`, with `metadata` as its entries.
    pub fn of(order: &'a Order, metadata: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            order_id: &order.order_id,
            symbol: &order.symbol,
            order_type: order.order_type.map(|kind| kind as u8),
            side: order.side.map(|side| side as u8),
            quantity: order.quantity,
            price: order.price,
            stop_loss: order.stop_loss,
            take_profit: order.take_profit,
            timestamp_ns: order.timestamp_ns,
            metadata,
            account: &order.account,
            time_in_force: Some(order.time_in_force as u8),
            expires_at_ns: order.expires_at_ns,
            contract_version: order.contract_version,
            trace_context: &order.trace_context,
        }
    }
}

/// What SetTradingState carries; `state` is the number on the wire.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct TradingStateFields<'a> {
    pub command_id: &'a str,
    pub account: &'a str,
    pub state: u8,
    pub cancel_open_orders: bool,
    pub all_accounts: bool,
}

impl Encoder {
    /// First message of a connection.
    pub fn hello(&mut self, correlation: u64, journal_id: &str, hello: &Hello) -> &[u8] {
        let builder = self.start();
        let client = text(builder, &hello.client);
        let session_id = text(builder, &hello.session_id);
        let account = text(builder, &hello.account);
        let body = fb::Hello::create(
            builder,
            &fb::HelloArgs {
                protocol_version: hello.protocol_version,
                client,
                session_id,
                resume_from: hello.resume_from,
                account,
            },
        );
        self.finish(correlation, journal_id, fb::Body::Hello, body)
    }

    /// One order.
    pub fn execute_order(&mut self, correlation: u64, journal_id: &str, order: &OrderFields<'_>) -> &[u8] {
        self.builder.reset();
        let order = self.order(order);
        let body = fb::ExecuteOrder::create(&mut self.builder, &fb::ExecuteOrderArgs { order: Some(order) });
        self.finish(correlation, journal_id, fb::Body::ExecuteOrder, body)
    }

    /// Begins a message with many orders: [`Encoder::add_order`] each, then [`Encoder::end_batch`].
    pub fn begin_batch(&mut self) {
        self.builder.reset();
        self.orders.clear();
    }

    /// One more order of the batch that was begun.
    pub fn add_order(&mut self, order: &OrderFields<'_>) {
        let order = self.order(order);
        self.orders.push(order);
    }

    /// Ends the batch that was begun.
    pub fn end_batch(&mut self, correlation: u64, journal_id: &str) -> &[u8] {
        let orders = self.builder.create_vector(&self.orders);
        let body = fb::ExecuteBatch::create(&mut self.builder, &fb::ExecuteBatchArgs { orders: Some(orders) });
        self.finish(correlation, journal_id, fb::Body::ExecuteBatch, body)
    }

    /// Cancels one order.
    pub fn cancel_order(&mut self, correlation: u64, journal_id: &str, request: &CancelOrder) -> &[u8] {
        let builder = self.start();
        let command_id = text(builder, &request.command_id);
        let order_id = text(builder, &request.order_id);
        let account = text(builder, &request.account);
        let expected_version = request.expected_version;
        let body =
            fb::CancelOrder::create(builder, &fb::CancelOrderArgs { command_id, order_id, account, expected_version });
        self.finish(correlation, journal_id, fb::Body::CancelOrder, body)
    }

    /// Changes quantity, price or both of one order.
    pub fn replace_order(&mut self, correlation: u64, journal_id: &str, request: &ReplaceOrder) -> &[u8] {
        let builder = self.start();
        let command_id = text(builder, &request.command_id);
        let order_id = text(builder, &request.order_id);
        let account = text(builder, &request.account);
        let body = fb::ReplaceOrder::create(
            builder,
            &fb::ReplaceOrderArgs {
                command_id,
                order_id,
                account,
                expected_version: request.expected_version,
                quantity: optional(request.quantity).as_ref(),
                price: optional(request.price).as_ref(),
            },
        );
        self.finish(correlation, journal_id, fb::Body::ReplaceOrder, body)
    }

    /// Asks for one order, or fences its id.
    pub fn get_order(&mut self, correlation: u64, journal_id: &str, request: &GetOrder) -> &[u8] {
        let builder = self.start();
        let order_id = text(builder, &request.order_id);
        let account = text(builder, &request.account);
        let body = fb::GetOrder::create(builder, &fb::GetOrderArgs { order_id, account, fence: request.fence });
        self.finish(correlation, journal_id, fb::Body::GetOrder, body)
    }

    /// Cancels all open orders of the account, or of one symbol.
    pub fn cancel_all_orders(&mut self, correlation: u64, journal_id: &str, request: &CancelAllOrders) -> &[u8] {
        let builder = self.start();
        let command_id = text(builder, &request.command_id);
        let account = text(builder, &request.account);
        let symbol = text(builder, &request.symbol);
        let body = fb::CancelAllOrders::create(builder, &fb::CancelAllOrdersArgs { command_id, account, symbol });
        self.finish(correlation, journal_id, fb::Body::CancelAllOrders, body)
    }

    /// Says what the account, or every account, may do.
    pub fn set_trading_state(&mut self, correlation: u64, journal_id: &str, request: &TradingStateFields<'_>) -> &[u8] {
        let builder = self.start();
        let command_id = text(builder, request.command_id);
        let account = text(builder, request.account);
        let body = fb::SetTradingState::create(
            builder,
            &fb::SetTradingStateArgs {
                command_id,
                account,
                state: fb::TradingState(request.state),
                cancel_open_orders: request.cancel_open_orders,
                all_accounts: request.all_accounts,
            },
        );
        self.finish(correlation, journal_id, fb::Body::SetTradingState, body)
    }

    /// Quotes of a feed.
    pub fn publish_quotes(&mut self, correlation: u64, journal_id: &str, command_id: &str, quotes: &[Quote]) -> &[u8] {
        let builder = self.start();
        let quotes: Vec<_> = quotes.iter().map(|given| quote(builder, given)).collect();
        let quotes = builder.create_vector(&quotes);
        let command_id = text(builder, command_id);
        let published = fb::PublishQuotesArgs { command_id, quotes: Some(quotes) };
        let body = fb::PublishQuotes::create(builder, &published);
        self.finish(correlation, journal_id, fb::Body::PublishQuotes, body)
    }

    /// Says how much the account, or one of its symbols, may do.
    pub fn set_risk_limits(&mut self, correlation: u64, journal_id: &str, request: &SetRiskLimits) -> &[u8] {
        let builder = self.start();
        let command_id = text(builder, &request.command_id);
        let account = text(builder, &request.account);
        let symbol = text(builder, &request.symbol);
        let limits = &request.limits;
        let limits = fb::RiskLimits::create(
            builder,
            &fb::RiskLimitsArgs {
                max_order_quantity: optional(limits.max_order_quantity).as_ref(),
                max_order_notional: optional(limits.max_order_notional).as_ref(),
                price_collar: optional(limits.price_collar).as_ref(),
                max_open_orders: limits.max_open_orders,
                max_position: optional(limits.max_position).as_ref(),
                orders_per_second: limits.orders_per_second,
                order_burst: limits.order_burst,
            },
        );
        let set = fb::SetRiskLimitsArgs { command_id, account, symbol, limits: Some(limits) };
        let body = fb::SetRiskLimits::create(builder, &set);
        self.finish(correlation, journal_id, fb::Body::SetRiskLimits, body)
    }

    /// Has the session's orders cancelled once it has had no connection for `grace_ms`; without that, no more.
    pub fn set_cancel_on_disconnect(
        &mut self,
        correlation: u64,
        journal_id: &str,
        command_id: &str,
        account: &str,
        grace_ms: Option<u32>,
    ) -> &[u8] {
        let builder = self.start();
        let command_id = text(builder, command_id);
        let account = text(builder, account);
        let set = fb::SetCancelOnDisconnectArgs { command_id, account, grace_ms };
        let body = fb::SetCancelOnDisconnect::create(builder, &set);
        self.finish(correlation, journal_id, fb::Body::SetCancelOnDisconnect, body)
    }

    /// Asks for a page of the account's open orders.
    pub fn list_open_orders(&mut self, correlation: u64, journal_id: &str, request: &ListOpenOrders) -> &[u8] {
        let builder = self.start();
        let account = text(builder, &request.account);
        let after_order_id = text(builder, &request.after_order_id);
        let body = fb::ListOpenOrders::create(builder, &fb::ListOpenOrdersArgs { account, after_order_id });
        self.finish(correlation, journal_id, fb::Body::ListOpenOrders, body)
    }

    /// Asks for the account's updates.
    pub fn subscribe(&mut self, correlation: u64, journal_id: &str, request: &Subscribe) -> &[u8] {
        let builder = self.start();
        let account = text(builder, &request.account);
        let body = fb::SubscribeOrderUpdates::create(
            builder,
            &fb::SubscribeOrderUpdatesArgs {
                account,
                resume_from: request.resume_from,
                accept_gaps: request.accept_gaps,
            },
        );
        self.finish(correlation, journal_id, fb::Body::SubscribeOrderUpdates, body)
    }

    /// Ends the subscription whose request had the number `subscription`.
    pub fn unsubscribe(&mut self, correlation: u64, journal_id: &str, subscription: u64) -> &[u8] {
        let ended = fb::UnsubscribeOrderUpdatesArgs { subscription };
        let body = fb::UnsubscribeOrderUpdates::create(self.start(), &ended);
        self.finish(correlation, journal_id, fb::Body::UnsubscribeOrderUpdates, body)
    }

    /// Asks how the engine is.
    pub fn health_check(&mut self, correlation: u64, journal_id: &str, service: &str) -> &[u8] {
        let builder = self.start();
        let service = text(builder, service);
        let body = fb::HealthCheck::create(builder, &fb::HealthCheckArgs { service });
        self.finish(correlation, journal_id, fb::Body::HealthCheck, body)
    }

    fn order(&mut self, order: &OrderFields<'_>) -> WIPOffset<fb::TradeOrder<'static>> {
        let builder = &mut self.builder;
        self.entries.clear();
        for &(key, value) in order.metadata {
            let key = text(builder, key);
            let value = text(builder, value);
            self.entries.push(fb::MetadataEntry::create(builder, &fb::MetadataEntryArgs { key, value }));
        }
        let metadata = if self.entries.is_empty() { None } else { Some(builder.create_vector(&self.entries)) };
        let order_id = text(builder, order.order_id);
        let symbol = text(builder, order.symbol);
        let account = text(builder, order.account);
        let trace_context = text(builder, order.trace_context);
        fb::TradeOrder::create(
            builder,
            &fb::TradeOrderArgs {
                order_id,
                symbol,
                order_type: order.order_type.map(fb::OrderType),
                side: order.side.map(fb::OrderSide),
                quantity: optional(order.quantity).as_ref(),
                price: optional(order.price).as_ref(),
                stop_loss: optional(order.stop_loss).as_ref(),
                take_profit: optional(order.take_profit).as_ref(),
                timestamp_ns: order.timestamp_ns,
                metadata,
                account,
                time_in_force: order.time_in_force.map(fb::TimeInForce),
                expires_at_ns: order.expires_at_ns,
                contract_version: order.contract_version,
                trace_context,
            },
        )
    }
}

fn quote(builder: &mut Builder, quote: &Quote) -> WIPOffset<fb::Quote<'static>> {
    let symbol = text(builder, &quote.symbol);
    fb::Quote::create(
        builder,
        &fb::QuoteArgs {
            symbol,
            bid: optional(quote.bid).as_ref(),
            ask: optional(quote.ask).as_ref(),
            bid_size: optional(quote.bid_size).as_ref(),
            ask_size: optional(quote.ask_size).as_ref(),
            last_price: optional(quote.last_price).as_ref(),
            volume: optional(quote.volume).as_ref(),
            timestamp_ns: quote.timestamp_ns,
        },
    )
}
