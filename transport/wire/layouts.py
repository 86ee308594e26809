"""The tables of `schemas/execution.fbs` and the contract types that they stand for, fields in the schema's order.

Tests hold this against flatc's own output; a field added to the schema is added here at the end of its table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from transport.contract.codes import (
    ExecutionStatus,
    OrderSide,
    OrderType,
    ReasonCode,
    ServingStatus,
    TimeInForce,
    TradingState,
    UpdateKind,
)
from transport.contract.orders import Order, Quote
from transport.contract.replies import (
    CommandReply,
    ExecuteReply,
    GetOrderReply,
    Health,
    MarketDataUpdate,
    OpenOrders,
    OrderCommandReply,
    OrderReply,
    OrderUpdate,
    UpdateGap,
)
from transport.contract.requests import (
    CancelAllOrders,
    CancelOrder,
    GetOrder,
    HealthCheck,
    ListOpenOrders,
    PublishQuotes,
    ReplaceOrder,
    RiskLimits,
    SetCancelOnDisconnect,
    SetRiskLimits,
    SetTradingState,
    SubscribeOrderUpdates,
)
from transport.wire.kinds import (
    Enumeration,
    Flag,
    Layout,
    Mapped,
    Number,
    ShortNumbers,
    Table,
    Tables,
    Text,
    i64,
    number_or_zero,
    optional,
    u16,
    u32,
    u64,
)
from transport.wire.messages import (
    BatchReply,
    ExecuteBatch,
    ExecuteOrder,
    GoingAway,
    Hello,
    Limits,
    Refusal,
    SubscribeReply,
    SubscriptionEnded,
    SystemNotice,
    TopicMark,
    UnsubscribeOrderUpdates,
    Welcome,
)

_REASON: Final = Enumeration(ReasonCode, wide=True)

_ORDER: Final = Layout("TradeOrder", Order, [
    ("order_id", Text()), ("symbol", Text()), ("order_type", optional(OrderType)), ("side", optional(OrderSide)),
    ("quantity", Number()), ("price", Number()), ("stop_loss", Number()), ("take_profit", Number()),
    ("timestamp_ns", i64(None)), ("metadata", Mapped(Text())), ("account", Text()),
    ("time_in_force", optional(TimeInForce)), ("expires_at_ns", i64(None)), ("contract_version", u16(1)),
    ("trace_context", Text()),
])  # fmt: skip
_ORDER_REPLY: Final = Layout("OrderReply", OrderReply, [
    ("order_id", Text()), ("status", Enumeration(ExecutionStatus)), ("exchange_order_id", Text()),
    ("executed_quantity", number_or_zero()), ("executed_price", Number()), ("execution_time_ns", i64(None)),
    ("error_message", Text()), ("code", _REASON), ("field", Text()), ("account", Text()), ("order_version", u64()),
    ("sequence", u64()), ("remaining_quantity", number_or_zero()), ("symbol", Text()),
    ("order_type", optional(OrderType)), ("side", optional(OrderSide)), ("quantity", Number()), ("price", Number()),
    ("parent_order_id", Text()),
])  # fmt: skip
_EXECUTE_REPLY: Final = Layout("ExecuteReply", ExecuteReply, [
    ("reply", Table(_ORDER_REPLY, required=True)), ("duplicate", Flag()),
])  # fmt: skip
_QUOTE: Final = Layout("Quote", Quote, [
    ("symbol", Text()), ("bid", Number()), ("ask", Number()), ("bid_size", Number()), ("ask_size", Number()),
    ("last_price", Number()), ("volume", Number()), ("timestamp_ns", i64(None)),
])  # fmt: skip
_LIMITS: Final = Layout("Limits", Limits, [
    ("max_message_bytes", u32()), ("max_batch_orders", u32()), ("max_in_flight", u32()),
    ("max_metadata_entries", u32()), ("update_history", u32()),
])  # fmt: skip
_RISK_LIMITS: Final = Layout("RiskLimits", RiskLimits, [
    ("max_order_quantity", Number()), ("max_order_notional", Number()), ("price_collar", Number()),
    ("max_open_orders", u32(None)), ("max_position", Number()), ("orders_per_second", u32(None)),
    ("order_burst", u32(None)),
])  # fmt: skip

BODIES: Final[tuple[Layout, ...]] = (
    Layout("Hello", Hello, [
        ("protocol_version", u16()), ("client", Text()), ("session_id", Text()), ("resume_from", u64(None)),
        ("account", Text()),
    ]),
    Layout("ExecuteOrder", ExecuteOrder, [("order", Table(_ORDER, required=True))]),
    Layout("ExecuteBatch", ExecuteBatch, [("orders", Tables(_ORDER))]),
    Layout("CancelOrder", CancelOrder, [
        ("command_id", Text()), ("order_id", Text()), ("account", Text()), ("expected_version", u64(None)),
    ]),
    Layout("ReplaceOrder", ReplaceOrder, [
        ("command_id", Text()), ("order_id", Text()), ("account", Text()), ("expected_version", u64(None)),
        ("quantity", Number()), ("price", Number()),
    ]),
    Layout("GetOrder", GetOrder, [("order_id", Text()), ("account", Text()), ("fence", Flag())]),
    Layout("CancelAllOrders", CancelAllOrders, [("command_id", Text()), ("account", Text()), ("symbol", Text())]),
    Layout("SetTradingState", SetTradingState, [
        ("command_id", Text()), ("account", Text()), ("state", Enumeration(TradingState)),
        ("cancel_open_orders", Flag()), ("all_accounts", Flag()),
    ]),
    Layout("PublishQuotes", PublishQuotes, [("command_id", Text()), ("quotes", Tables(_QUOTE, tuple))]),
    Layout("SubscribeOrderUpdates", SubscribeOrderUpdates, [
        ("account", Text()), ("resume_from", u64(None)), ("accept_gaps", Flag()),
    ]),
    Layout("UnsubscribeOrderUpdates", UnsubscribeOrderUpdates, [("subscription", u64())]),
    Layout("HealthCheck", HealthCheck, [("service", Text())]),
    Layout("Welcome", Welcome, [
        ("protocol_version", u16()), ("contract_version", u16()), ("journal_id", Text()), ("epoch", u64()),
        ("engine_version", Text()), ("limits", Table(_LIMITS, absent=Limits())), ("last_sequence", u64()),
        ("pub_endpoint", Text()),
    ]),
    Layout("Refusal", Refusal, [
        ("code", _REASON), ("message", Text()), ("field", Text()), ("supported_protocol_versions", ShortNumbers()),
        ("journal_id", Text()),
    ]),
    _EXECUTE_REPLY,
    Layout("BatchReply", BatchReply, [("replies", Tables(_EXECUTE_REPLY))]),
    Layout("OrderCommandReply", OrderCommandReply, [
        ("command_id", Text()), ("code", _REASON), ("message", Text()), ("field", Text()),
        ("order", Table(_ORDER_REPLY)), ("duplicate", Flag()), ("fenced", Flag()),
    ]),
    Layout("CommandReply", CommandReply, [
        ("command_id", Text()), ("code", _REASON), ("message", Text()), ("field", Text()), ("affected", u64()),
        ("duplicate", Flag()),
    ]),
    Layout("GetOrderReply", GetOrderReply, [
        ("found", Flag()), ("fenced", Flag()), ("order", Table(_ORDER_REPLY)), ("reply", Table(_ORDER_REPLY)),
        ("code", _REASON), ("message", Text()), ("field", Text()),
    ]),
    Layout("SubscribeReply", SubscribeReply, [("account", Text()), ("last_sequence", u64())]),
    Layout("OrderUpdate", OrderUpdate, [
        ("sequence", u64()), ("kind", Enumeration(UpdateKind)), ("order", Table(_ORDER_REPLY, required=True)),
        ("execution_id", u64()), ("last_quantity", Number()), ("last_price", Number()), ("event_time_ns", i64()),
        ("snapshot", Flag()),
    ]),
    Layout("UpdateGap", UpdateGap, [("first_sequence", u64()), ("last_sequence", u64())]),
    Layout("SubscriptionEnded", SubscriptionEnded, [("code", _REASON), ("message", Text()), ("last_sequence", u64())]),
    Layout("HealthReply", Health, [
        ("status", Enumeration(ServingStatus)), ("message", Text()), ("journal_id", Text()), ("epoch", u64()),
        ("journal_seq", u64()), ("state_hash", Text()), ("engine_version", Text()), ("durability", Text()),
        ("duplicates", u64()), ("counters", Mapped(u64())),
    ]),
    Layout("GoingAway", GoingAway, [("message", Text()), ("drain_ms", u32())]),
    Layout("MarketData", MarketDataUpdate, [
        ("topic_sequence", u64()), ("symbol", Text()), ("bid", Number()), ("ask", Number()), ("last_price", Number()),
        ("volume", Number()), ("bid_size", Number()), ("ask_size", Number()), ("timestamp_ns", i64()),
    ]),
    Layout("SystemNotice", SystemNotice, [
        ("topic_sequence", u64()), ("code", _REASON), ("message", Text()), ("timestamp_ns", i64()),
    ]),
    Layout("TopicMark", TopicMark, [("topic", Text()), ("last_topic_sequence", u64())]),
    Layout("SetRiskLimits", SetRiskLimits, [
        ("command_id", Text()), ("account", Text()), ("symbol", Text()),
        ("limits", Table(_RISK_LIMITS, absent=RiskLimits(), named=True)),
    ]),
    Layout("SetCancelOnDisconnect", SetCancelOnDisconnect, [
        ("command_id", Text()), ("account", Text()), ("grace_ms", u32(None)),
    ]),
    Layout("ListOpenOrders", ListOpenOrders, [("account", Text()), ("after_order_id", Text())]),
    Layout("OpenOrders", OpenOrders, [
        ("last_sequence", u64()), ("orders", Tables(_ORDER_REPLY)), ("more", Flag()), ("code", _REASON),
        ("message", Text()), ("field", Text()),
    ]),
)  # fmt: skip
"""The union Body: the layout with index i has the tag i + 1."""

_OF_CLIENTS: Final = frozenset(
    {"Hello", "ExecuteOrder", "ExecuteBatch", "CancelOrder", "ReplaceOrder", "GetOrder", "CancelAllOrders",
     "SetTradingState", "PublishQuotes", "SubscribeOrderUpdates", "UnsubscribeOrderUpdates", "HealthCheck",
     "SetRiskLimits", "SetCancelOnDisconnect", "ListOpenOrders"}
)  # fmt: skip
CLIENT_TAGS: Final = frozenset(tag for tag, layout in enumerate(BODIES, 1) if layout.name in _OF_CLIENTS)
"""Bodies that clients send; the others come from engines."""

TAG_BY_TYPE: Final[dict[Callable[..., Any], int]] = {layout.make: tag for tag, layout in enumerate(BODIES, 1)}
