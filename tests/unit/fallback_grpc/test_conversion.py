"""Orders, replies, updates and health keep every value on their way through protobuf."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback_grpc.conversion import (
    health_from_pb,
    market_data_from_pb,
    order_to_pb,
    orders_to_pb,
    quote_to_pb,
    reply_from_pb,
    update_from_pb,
)
from fallback_grpc.generated import execution_pb2 as pb
from fallback_grpc.original import order_from_dict
from transport.contract.codes import (
    ExecutionStatus,
    OrderSide,
    OrderType,
    ReasonCode,
    ServingStatus,
    TimeInForce,
    UpdateKind,
)
from transport.contract.decimals import from_wire
from transport.contract.errors import ValidationError
from transport.contract.orders import Order, Quote
from transport.contract.replies import OrderUpdate, UpdateGap

NUMBERS = st.builds(from_wire, st.integers(1, 2**63 - 1), st.integers(-18, 4))
TIMES = st.integers(0, 2**62)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
ORDERS = st.builds(
    Order,
    order_id=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=64),
    symbol=TEXTS,
    order_type=st.sampled_from([member for member in OrderType if member.is_recognised]),
    side=st.sampled_from([member for member in OrderSide if member.is_recognised]),
    quantity=NUMBERS,
    price=st.none() | NUMBERS,
    stop_loss=st.none() | NUMBERS,
    take_profit=st.none() | NUMBERS,
    account=TEXTS,
    time_in_force=st.sampled_from([member for member in TimeInForce if member.is_recognised]),
    timestamp_ns=st.none() | TIMES,
    expires_at_ns=st.none() | TIMES,
    metadata=st.dictionaries(TEXTS, TEXTS, max_size=4),
    trace_context=TEXTS,
)


def exact(message: pb.TradeOrder, field: str) -> Decimal | None:
    if not message.HasField(f"{field}_exact"):
        return None
    number = getattr(message, f"{field}_exact")
    return from_wire(number.mantissa, number.exponent)


def order_from_pb(message: pb.TradeOrder) -> Order:
    """What an engine reads: the reverse of `order_to_pb`, by the exact fields."""

    def moment(field: str) -> int | None:
        at = getattr(message, field)
        return at.seconds * 10**9 + at.nanos if message.HasField(field) else None

    return Order(
        order_id=message.order_id,
        symbol=message.symbol,
        order_type=OrderType(message.order_type_given),
        side=OrderSide(message.side_given),
        quantity=exact(message, "quantity") or Decimal(0),
        price=exact(message, "price"),
        stop_loss=exact(message, "stop_loss"),
        take_profit=exact(message, "take_profit"),
        account=message.account,
        time_in_force=TimeInForce(message.time_in_force),
        timestamp_ns=moment("timestamp"),
        expires_at_ns=moment("expires_at"),
        metadata=dict(message.metadata),
        trace_context=message.trace_context,
        contract_version=message.contract_version,
    )


@given(ORDERS)
def test_an_order_arrives_as_it_was_given(order: Order) -> None:
    received = order_from_pb(pb.TradeOrder.FromString(order_to_pb(order).SerializeToString()))
    assert received == order


@given(ORDERS)
def test_an_unusual_order_makes_the_same_message_as_a_usual_one(order: Order) -> None:
    """Orders of exactly the contract's types are converted in one go, all others field by field."""
    usual = msgspec.structs.replace(order, timestamp_ns=None, expires_at_ns=None)
    unusual = msgspec.structs.replace(usual, metadata=MappingProxyType(usual.metadata))
    assert order_to_pb(usual) == order_to_pb(unusual)


@pytest.mark.parametrize("quantity", ["0", "0.00", "1E+5", "1.50", "-2.5", "9007199254740993"])
def test_a_number_keeps_its_spelling_in_a_usual_order(quantity: str) -> None:
    order = Order(symbol="A", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(quantity))
    for _ in range(2):  # made, and remembered
        assert exact(order_to_pb(order), "quantity") == Decimal(quantity)
        assert str(exact(order_to_pb(order), "quantity")) == quantity


@given(ORDERS)
def test_a_double_is_sent_only_where_it_says_the_same_as_the_exact_number(order: Order) -> None:
    message = order_to_pb(order)
    for field in ("quantity", "price", "stop_loss", "take_profit"):
        double = getattr(message, field)
        assert double == 0 or Decimal(repr(double)) == exact(message, field)


def test_an_everyday_price_is_sent_as_a_double_too() -> None:
    order = Order(
        symbol="S", order_type=OrderType.LIMIT, side=OrderSide.SELL, quantity=Decimal("1.5"), price=Decimal("0.10")
    )
    message = order_to_pb(order)
    assert (message.quantity, message.price) == (1.5, 0.1)
    assert message.HasField("order_type_given") and message.HasField("side_given")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantity", Decimal("NaN")),
        ("price", Decimal("Infinity")),
        ("stop_loss", Decimal("1E400")),
        ("symbol", "\ud800"),
        ("timestamp", 2**80),
        ("metadata", {"key": 3}),
        ("contract_version", -1),
    ],
)
def test_what_has_no_form_on_the_wire_is_refused_by_name(field: str, value: object) -> None:
    one = Decimal(1)
    fields = {"symbol": "S", "order_type": OrderType.LIMIT, "side": OrderSide.BUY, "quantity": one, "price": one}
    fields["timestamp_ns" if field == "timestamp" else field] = value
    with pytest.raises(ValidationError) as refused:
        order_to_pb(Order(**fields))  # type: ignore[arg-type]
    assert refused.value.field == field


def test_a_bad_order_of_a_batch_is_named_by_its_index() -> None:
    good = Order(symbol="S", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1))
    bad = Order(symbol="S", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal("NaN"))
    with pytest.raises(ValidationError, match=r"orders\[1\].*quantity"):
        orders_to_pb([good, bad])


def test_a_reply_is_read_by_its_exact_numbers() -> None:
    message = pb.OrderResponse(
        order_id="a", status=pb.PARTIALLY_FILLED, exchange_order_id="x", executed_quantity=0.1, executed_price=99.0,
        code=pb.IOC_REMAINDER, order_version=3, sequence=9, symbol="S", side=pb.SELL, order_type=pb.MARKET,
    )  # fmt: skip
    message.executed_quantity_exact.mantissa, message.executed_quantity_exact.exponent = 1, -1
    message.executed_price_exact.mantissa, message.executed_price_exact.exponent = 9_900_000_001, -8
    message.execution_time.FromNanoseconds(1_234_567_890_123_456_789)
    reply = reply_from_pb(message)
    assert reply.status is ExecutionStatus.PARTIALLY_FILLED
    assert reply.code is ReasonCode.IOC_REMAINDER
    assert (reply.executed_quantity, reply.executed_price) == (Decimal("0.1"), Decimal("99.00000001"))
    assert reply.execution_time_ns == 1_234_567_890_123_456_789
    assert (reply.side, reply.order_type, reply.account) == (OrderSide.SELL, OrderType.MARKET, "default")


def test_a_reply_of_an_engine_of_the_original_schema_is_read_by_its_doubles() -> None:
    reply = reply_from_pb(pb.OrderResponse(order_id="a", status=pb.FILLED, executed_quantity=0.3))
    assert reply.executed_quantity == Decimal("0.3")
    assert reply.executed_price is None
    assert reply.side is None


def test_a_code_that_this_release_does_not_know_keeps_its_number() -> None:
    message = pb.OrderResponse.FromString(pb.OrderResponse(order_id="a").SerializeToString() + b"\xa0\x01\xb8\x17")
    assert reply_from_pb(message).code == 3000


def test_an_update_carries_its_fill_and_a_gap_its_range() -> None:
    message = pb.OrderResponse(order_id="a", sequence=5, update_kind=pb.UPDATE_FILL, execution_id=7, snapshot=False)
    message.last_price.mantissa = 12
    update = update_from_pb(message)
    assert isinstance(update, OrderUpdate)
    assert (update.sequence, update.kind, update.execution_id) == (5, UpdateKind.FILL, 7)
    assert update.last_price == Decimal(12)
    gap = pb.OrderResponse(gap=pb.UpdateGap(first_sequence=2, last_sequence=4))
    assert update_from_pb(gap) == UpdateGap(2, 4)


def test_quotes_and_market_data_and_health_keep_their_values() -> None:
    quote = quote_to_pb(Quote(symbol="S", bid=Decimal("1.25"), bid_size=Decimal(0), timestamp_ns=0))
    assert quote.HasField("bid_size") and quote.HasField("timestamp") and not quote.HasField("ask")
    market = market_data_from_pb(pb.MarketDataUpdate(symbol="S", bid=1.25, topic_sequence=4))
    assert (market.bid, market.ask, market.topic_sequence) == (Decimal("1.25"), None, 4)
    health = health_from_pb(
        pb.HealthCheckResponse(status=pb.HealthCheckResponse.DEGRADED, epoch=2, counters={"orders": 3})
    )
    assert (health.status, health.epoch, health.counters) == (ServingStatus.DEGRADED, 2, {"orders": 3})


def test_what_is_none_is_absent_and_left_to_the_engine_or_its_defaults() -> None:
    nothing: Any = dict.fromkeys(
        (
            "order_id",
            "symbol",
            "order_type",
            "side",
            "quantity",
            "account",
            "time_in_force",
            "metadata",
            "trace_context",
        )
    )
    assert order_to_pb(Order(**nothing)) == pb.TradeOrder(contract_version=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order_id", 7), ("symbol", b"S"), ("order_type", "MARKET"), ("side", True), ("time_in_force", "GTC"),
        ("metadata", [("a", "b")]), ("metadata", {"a": 1}), ("quantity", 1), ("price", "9.5"), ("account", 1),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_by_the_name_of_its_field(field: str, value: Any) -> None:
    content: dict[str, Any] = {
        "symbol": "S", "order_type": OrderType.MARKET, "side": OrderSide.BUY, "quantity": Decimal(1)
    }  # fmt: skip
    with pytest.raises(ValidationError) as refused:
        order_to_pb(Order(**(content | {field: value})))
    assert refused.value.field == field


def test_a_dictionary_may_lack_what_the_engine_will_ask_for() -> None:
    order = order_from_dict({"order_id": ""})
    assert (order.order_id, order.symbol, order.order_type, order.side, order.quantity) == ("", None, None, None, None)
    assert order_from_dict({"order_id": None}).order_id
