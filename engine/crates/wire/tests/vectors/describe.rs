//! What a message says, as JSON in the schema's own words: fields by their names there, enums by name, decimals as
//! `<mantissa>E<exponent>`; what is absent, and an empty text, is left out.

use bridge_wire::schema as fb;
use serde_json::{Map, Value, json};

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    fn optional(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    fn text(self, name: &str, value: Option<&str>) -> Self {
        self.optional(name, value.filter(|text| !text.is_empty()))
    }

    fn decimal(self, name: &str, value: Option<&fb::Decimal>) -> Self {
        self.optional(name, value.map(|number| format!("{}E{}", number.mantissa(), number.exponent())))
    }

    fn named(self, name: &str, value: Option<&'static str>) -> Self {
        self.set(name, value.expect("an enum value without a name"))
    }

    fn list(self, name: &str, values: Vec<Value>) -> Self {
        if values.is_empty() { self } else { self.set(name, values) }
    }

    fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// The whole envelope.
pub fn describe(envelope: &fb::Envelope<'_>) -> Value {
    json!({
        "correlation": envelope.correlation(),
        "journal_id": envelope.journal_id().unwrap_or_default(),
        "body": envelope.body_type().variant_name(),
        "content": request(envelope).or_else(|| reply(envelope)).expect("a body"),
    })
}

fn request(envelope: &fb::Envelope<'_>) -> Option<Value> {
    let of = |table: Fields| Some(table.done());
    match envelope.body_type() {
        fb::Body::Hello => envelope.body_as_hello().and_then(|body| {
            of(Fields::default()
                .set("protocol_version", body.protocol_version())
                .text("client", body.client())
                .text("session_id", body.session_id())
                .optional("resume_from", body.resume_from())
                .text("account", body.account()))
        }),
        fb::Body::ExecuteOrder => envelope
            .body_as_execute_order()
            .and_then(|body| of(Fields::default().optional("order", body.order().map(order)))),
        fb::Body::ExecuteBatch => envelope.body_as_execute_batch().and_then(|body| {
            of(Fields::default().list("orders", body.orders().unwrap_or_default().iter().map(order).collect()))
        }),
        fb::Body::CancelOrder => envelope.body_as_cancel_order().and_then(|body| {
            of(Fields::default()
                .text("command_id", body.command_id())
                .text("order_id", body.order_id())
                .text("account", body.account())
                .optional("expected_version", body.expected_version()))
        }),
        fb::Body::ReplaceOrder => envelope.body_as_replace_order().and_then(|body| {
            of(Fields::default()
                .text("command_id", body.command_id())
                .text("order_id", body.order_id())
                .text("account", body.account())
                .optional("expected_version", body.expected_version())
                .decimal("quantity", body.quantity())
                .decimal("price", body.price()))
        }),
        fb::Body::GetOrder => envelope.body_as_get_order().and_then(|body| {
            of(Fields::default()
                .text("order_id", body.order_id())
                .text("account", body.account())
                .set("fence", body.fence()))
        }),
        fb::Body::CancelAllOrders => envelope.body_as_cancel_all_orders().and_then(|body| {
            of(Fields::default()
                .text("command_id", body.command_id())
                .text("account", body.account())
                .text("symbol", body.symbol()))
        }),
        fb::Body::SetTradingState => envelope.body_as_set_trading_state().and_then(|body| {
            of(Fields::default()
                .text("command_id", body.command_id())
                .text("account", body.account())
                .named("state", body.state().variant_name())
                .set("cancel_open_orders", body.cancel_open_orders())
                .set("all_accounts", body.all_accounts()))
        }),
        fb::Body::PublishQuotes => envelope.body_as_publish_quotes().and_then(|body| {
            of(Fields::default()
                .text("command_id", body.command_id())
                .list("quotes", body.quotes().unwrap_or_default().iter().map(quote).collect()))
        }),
        fb::Body::SubscribeOrderUpdates => envelope.body_as_subscribe_order_updates().and_then(|body| {
            of(Fields::default()
                .text("account", body.account())
                .optional("resume_from", body.resume_from())
                .set("accept_gaps", body.accept_gaps()))
        }),
        fb::Body::UnsubscribeOrderUpdates => envelope
            .body_as_unsubscribe_order_updates()
            .and_then(|body| of(Fields::default().set("subscription", body.subscription()))),
        fb::Body::SetRiskLimits => envelope.body_as_set_risk_limits().and_then(|body| {
            of(Fields::default()
                .text("command_id", body.command_id())
                .text("account", body.account())
                .text("symbol", body.symbol())
                .optional("limits", body.limits().map(risk_limits)))
        }),
        fb::Body::SetCancelOnDisconnect => envelope.body_as_set_cancel_on_disconnect().and_then(|body| {
            of(Fields::default()
                .text("command_id", body.command_id())
                .text("account", body.account())
                .optional("grace_ms", body.grace_ms()))
        }),
        fb::Body::ListOpenOrders => envelope.body_as_list_open_orders().and_then(|body| {
            of(Fields::default().text("account", body.account()).text("after_order_id", body.after_order_id()))
        }),
        fb::Body::HealthCheck => {
            envelope.body_as_health_check().and_then(|body| of(Fields::default().text("service", body.service())))
        }
        _ => None,
    }
}

fn reply(envelope: &fb::Envelope<'_>) -> Option<Value> {
    let of = |table: Fields| Some(table.done());
    match envelope.body_type() {
        fb::Body::Welcome => envelope.body_as_welcome().and_then(|body| {
            of(Fields::default()
                .set("protocol_version", body.protocol_version())
                .set("contract_version", body.contract_version())
                .text("journal_id", body.journal_id())
                .set("epoch", body.epoch())
                .text("engine_version", body.engine_version())
                .optional("limits", body.limits().map(limits))
                .set("last_sequence", body.last_sequence())
                .text("pub_endpoint", body.pub_endpoint()))
        }),
        fb::Body::Refusal => envelope.body_as_refusal().and_then(|body| {
            let versions = body.supported_protocol_versions().unwrap_or_default();
            of(Fields::default()
                .named("code", body.code().variant_name())
                .text("message", body.message())
                .text("field", body.field())
                .list("supported_protocol_versions", versions.iter().map(Value::from).collect())
                .text("journal_id", body.journal_id()))
        }),
        fb::Body::ExecuteReply => envelope.body_as_execute_reply().map(execute_reply),
        fb::Body::BatchReply => envelope.body_as_batch_reply().and_then(|body| {
            of(Fields::default()
                .list("replies", body.replies().unwrap_or_default().iter().map(execute_reply).collect()))
        }),
        fb::Body::OrderCommandReply => envelope.body_as_order_command_reply().and_then(|body| {
            of(Fields::default()
                .text("command_id", body.command_id())
                .named("code", body.code().variant_name())
                .text("message", body.message())
                .text("field", body.field())
                .optional("order", body.order().map(order_reply))
                .set("duplicate", body.duplicate())
                .set("fenced", body.fenced()))
        }),
        fb::Body::CommandReply => envelope.body_as_command_reply().and_then(|body| {
            of(Fields::default()
                .text("command_id", body.command_id())
                .named("code", body.code().variant_name())
                .text("message", body.message())
                .text("field", body.field())
                .set("affected", body.affected())
                .set("duplicate", body.duplicate()))
        }),
        fb::Body::GetOrderReply => envelope.body_as_get_order_reply().and_then(|body| {
            of(Fields::default()
                .set("found", body.found())
                .set("fenced", body.fenced())
                .optional("order", body.order().map(order_reply))
                .optional("reply", body.reply().map(order_reply))
                .named("code", body.code().variant_name())
                .text("message", body.message())
                .text("field", body.field()))
        }),
        fb::Body::OpenOrders => envelope.body_as_open_orders().and_then(|body| {
            of(Fields::default()
                .set("last_sequence", body.last_sequence())
                .list("orders", body.orders().unwrap_or_default().iter().map(order_reply).collect())
                .set("more", body.more())
                .named("code", body.code().variant_name())
                .text("message", body.message())
                .text("field", body.field()))
        }),
        fb::Body::SubscribeReply => envelope.body_as_subscribe_reply().and_then(|body| {
            of(Fields::default().text("account", body.account()).set("last_sequence", body.last_sequence()))
        }),
        _ => stream(envelope),
    }
}

fn stream(envelope: &fb::Envelope<'_>) -> Option<Value> {
    let of = |table: Fields| Some(table.done());
    match envelope.body_type() {
        fb::Body::OrderUpdate => envelope.body_as_order_update().and_then(|body| {
            of(Fields::default()
                .set("sequence", body.sequence())
                .named("kind", body.kind().variant_name())
                .optional("order", body.order().map(order_reply))
                .set("execution_id", body.execution_id())
                .decimal("last_quantity", body.last_quantity())
                .decimal("last_price", body.last_price())
                .set("event_time_ns", body.event_time_ns())
                .set("snapshot", body.snapshot()))
        }),
        fb::Body::UpdateGap => envelope.body_as_update_gap().and_then(|body| {
            of(Fields::default()
                .set("first_sequence", body.first_sequence())
                .set("last_sequence", body.last_sequence()))
        }),
        fb::Body::SubscriptionEnded => envelope.body_as_subscription_ended().and_then(|body| {
            of(Fields::default()
                .named("code", body.code().variant_name())
                .text("message", body.message())
                .set("last_sequence", body.last_sequence()))
        }),
        fb::Body::HealthReply => envelope.body_as_health_reply().map(health),
        fb::Body::GoingAway => envelope
            .body_as_going_away()
            .and_then(|body| of(Fields::default().text("message", body.message()).set("drain_ms", body.drain_ms()))),
        fb::Body::MarketData => envelope.body_as_market_data().and_then(|body| {
            of(Fields::default()
                .set("topic_sequence", body.topic_sequence())
                .text("symbol", body.symbol())
                .decimal("bid", body.bid())
                .decimal("ask", body.ask())
                .decimal("last_price", body.last_price())
                .decimal("volume", body.volume())
                .decimal("bid_size", body.bid_size())
                .decimal("ask_size", body.ask_size())
                .set("timestamp_ns", body.timestamp_ns()))
        }),
        fb::Body::SystemNotice => envelope.body_as_system_notice().and_then(|body| {
            of(Fields::default()
                .set("topic_sequence", body.topic_sequence())
                .named("code", body.code().variant_name())
                .text("message", body.message())
                .set("timestamp_ns", body.timestamp_ns()))
        }),
        fb::Body::TopicMark => envelope.body_as_topic_mark().and_then(|body| {
            of(Fields::default().text("topic", body.topic()).set("last_topic_sequence", body.last_topic_sequence()))
        }),
        _ => None,
    }
}

fn order(table: fb::TradeOrder<'_>) -> Value {
    let metadata = table.metadata().unwrap_or_default().iter();
    Fields::default()
        .text("order_id", table.order_id())
        .text("symbol", table.symbol())
        .optional("order_type", table.order_type().and_then(|kind| kind.variant_name()))
        .optional("side", table.side().and_then(|side| side.variant_name()))
        .decimal("quantity", table.quantity())
        .decimal("price", table.price())
        .decimal("stop_loss", table.stop_loss())
        .decimal("take_profit", table.take_profit())
        .optional("timestamp_ns", table.timestamp_ns())
        .list("metadata", metadata.map(|entry| json!({"key": entry.key(), "value": entry.value()})).collect())
        .text("account", table.account())
        .optional("time_in_force", table.time_in_force().and_then(|given| given.variant_name()))
        .optional("expires_at_ns", table.expires_at_ns())
        .set("contract_version", table.contract_version())
        .text("trace_context", table.trace_context())
        .done()
}

fn quote(table: fb::Quote<'_>) -> Value {
    Fields::default()
        .text("symbol", table.symbol())
        .decimal("bid", table.bid())
        .decimal("ask", table.ask())
        .decimal("bid_size", table.bid_size())
        .decimal("ask_size", table.ask_size())
        .decimal("last_price", table.last_price())
        .decimal("volume", table.volume())
        .optional("timestamp_ns", table.timestamp_ns())
        .done()
}

fn limits(table: fb::Limits<'_>) -> Value {
    Fields::default()
        .set("max_message_bytes", table.max_message_bytes())
        .set("max_batch_orders", table.max_batch_orders())
        .set("max_in_flight", table.max_in_flight())
        .set("max_metadata_entries", table.max_metadata_entries())
        .set("update_history", table.update_history())
        .done()
}

fn risk_limits(table: fb::RiskLimits<'_>) -> Value {
    Fields::default()
        .decimal("max_order_quantity", table.max_order_quantity())
        .decimal("max_order_notional", table.max_order_notional())
        .decimal("price_collar", table.price_collar())
        .optional("max_open_orders", table.max_open_orders())
        .decimal("max_position", table.max_position())
        .optional("orders_per_second", table.orders_per_second())
        .optional("order_burst", table.order_burst())
        .done()
}

fn execute_reply(table: fb::ExecuteReply<'_>) -> Value {
    Fields::default().optional("reply", table.reply().map(order_reply)).set("duplicate", table.duplicate()).done()
}

fn order_reply(table: fb::OrderReply<'_>) -> Value {
    Fields::default()
        .text("order_id", table.order_id())
        .named("status", table.status().variant_name())
        .text("exchange_order_id", table.exchange_order_id())
        .decimal("executed_quantity", table.executed_quantity())
        .decimal("executed_price", table.executed_price())
        .optional("execution_time_ns", table.execution_time_ns())
        .text("error_message", table.error_message())
        .named("code", table.code().variant_name())
        .text("field", table.field())
        .text("account", table.account())
        .set("order_version", table.order_version())
        .set("sequence", table.sequence())
        .decimal("remaining_quantity", table.remaining_quantity())
        .text("symbol", table.symbol())
        .optional("order_type", table.order_type().and_then(|kind| kind.variant_name()))
        .optional("side", table.side().and_then(|side| side.variant_name()))
        .decimal("quantity", table.quantity())
        .decimal("price", table.price())
        .text("parent_order_id", table.parent_order_id())
        .done()
}

fn health(body: fb::HealthReply<'_>) -> Value {
    let counters = body.counters().unwrap_or_default().iter();
    Fields::default()
        .named("status", body.status().variant_name())
        .text("message", body.message())
        .text("journal_id", body.journal_id())
        .set("epoch", body.epoch())
        .set("journal_seq", body.journal_seq())
        .text("state_hash", body.state_hash())
        .text("engine_version", body.engine_version())
        .text("durability", body.durability())
        .set("duplicates", body.duplicates())
        .list("counters", counters.map(|each| json!({"name": each.name(), "value": each.value()})).collect())
        .done()
}
