"""Bodies of the envelope that only the fast path has; the others are the contract's own types."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from transport.contract.codes import ReasonCode
from transport.contract.orders import Order
from transport.contract.replies import (
    CommandReply,
    ExecuteReply,
    GetOrderReply,
    Health,
    MarketDataUpdate,
    OpenOrders,
    OrderCommandReply,
    OrderUpdate,
    UpdateGap,
)
from transport.contract.requests import (
    CancelAllOrders,
    CancelOrder,
    Command,
    GetOrder,
    HealthCheck,
    ListOpenOrders,
    PublishQuotes,
    ReplaceOrder,
    SetCancelOnDisconnect,
    SetRiskLimits,
    SetTradingState,
    SubscribeOrderUpdates,
)

PROTOCOL_VERSION = 1
FILE_IDENTIFIER = b"XBR1"


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """First message of a connection."""

    protocol_version: int = PROTOCOL_VERSION
    client: str = ""
    session_id: str = ""
    resume_from: int | None = None
    account: str = "default"


class ExecuteOrder(msgspec.Struct, frozen=True):
    """Executes one order."""

    order: Order


class ExecuteBatch(msgspec.Struct, frozen=True):
    """Executes orders that travel in one message; each is journaled and answered by itself."""

    orders: list[Order]


class UnsubscribeOrderUpdates(msgspec.Struct, frozen=True):
    """Ends the subscription whose request had this correlation number."""

    subscription: int


class Limits(msgspec.Struct, frozen=True):
    """What the engine takes."""

    max_message_bytes: int = 0
    max_batch_orders: int = 0
    max_in_flight: int = 0
    max_metadata_entries: int = 0
    update_history: int = 0


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """Answers Hello: which engine this is, and what it takes."""

    protocol_version: int
    contract_version: int
    journal_id: str
    epoch: int
    engine_version: str = ""
    limits: Limits = Limits()
    last_sequence: int = 0
    pub_endpoint: str = ""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Refuses one copy of a request before `apply`."""

    code: ReasonCode
    message: str = ""
    field: str = ""
    supported_protocol_versions: tuple[int, ...] = ()
    journal_id: str = ""


class BatchReply(msgspec.Struct, frozen=True):
    """Answers ExecuteBatch, by index."""

    replies: list[ExecuteReply]


class SubscribeReply(msgspec.Struct, frozen=True):
    """A subscription stands; updates follow with its correlation number."""

    account: str
    last_sequence: int


class SubscriptionEnded(msgspec.Struct, frozen=True):
    """A subscription has ended; it may be resumed after `last_sequence`."""

    code: ReasonCode
    message: str
    last_sequence: int


class GoingAway(msgspec.Struct, frozen=True):
    """The engine shuts down."""

    message: str
    drain_ms: int


class SystemNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice of the topic `sys`."""

    topic_sequence: int
    code: ReasonCode
    message: str
    timestamp_ns: int


class TopicMark(msgspec.Struct, frozen=True):
    """The last number of a topic, so that a hole shows even at the end."""

    topic: str
    last_topic_sequence: int


class UnknownBody(msgspec.Struct, frozen=True):
    """A body that this release does not know (a newer peer's): its union tag. Ignored, or refused by an engine."""

    tag: int


Request = Hello | Command | SubscribeOrderUpdates | UnsubscribeOrderUpdates
"""What `Codec.encode_request` takes: all but orders, which have functions of their own."""

EngineMessage = (
    ExecuteReply
    | BatchReply
    | OrderCommandReply
    | CommandReply
    | GetOrderReply
    | OpenOrders
    | Welcome
    | Refusal
    | SubscribeReply
    | OrderUpdate
    | UpdateGap
    | SubscriptionEnded
    | Health
    | GoingAway
    | MarketDataUpdate
    | SystemNotice
    | TopicMark
    | UnknownBody
)
"""What `Codec.decode` returns."""

REPLY_TYPE_OF: Final[dict[type[Any], type[Any]]] = {
    CancelOrder: OrderCommandReply,
    ReplaceOrder: OrderCommandReply,
    GetOrder: GetOrderReply,
    CancelAllOrders: CommandReply,
    SetTradingState: CommandReply,
    PublishQuotes: CommandReply,
    SetRiskLimits: CommandReply,
    SetCancelOnDisconnect: CommandReply,
    ListOpenOrders: OpenOrders,
    HealthCheck: Health,
}
"""Which body answers which command (WIRE.md section 1.4)."""
