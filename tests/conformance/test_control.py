"""How an account is controlled: risk limits, and a trading state for all accounts; on every path alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.conformance.conftest import quote
from transport import (
    ExecutionStatus,
    OrderSide,
    OrderType,
    ReasonCode,
    RiskLimits,
    TradingState,
    ValidationError,
    new_command_id,
)

D = Decimal
LIMIT = {"order_type": OrderType.LIMIT, "price": D("99.00")}

# The last price is 99.99: the bid of the quote that every test begins with.
LIMITS = {
    "quantity": (RiskLimits(max_order_quantity=D(9)), {}, ReasonCode.ORDER_QUANTITY_LIMIT),
    "notional": (RiskLimits(max_order_notional=D("999.8")), {}, ReasonCode.ORDER_NOTIONAL_LIMIT),
    "collar": (RiskLimits(price_collar=D("0.009")), LIMIT, ReasonCode.PRICE_COLLAR),
    "position": (RiskLimits(max_position=D(9)), {}, ReasonCode.POSITION_LIMIT),
}


@pytest.mark.parametrize("case", LIMITS)
def test_an_order_beyond_a_limit_is_rejected_until_the_limit_is_taken_back(client, order, case) -> None:
    limits, changes, code = LIMITS[case]
    answer = client.set_risk_limits(limits)
    assert (answer.code, answer.affected) == (ReasonCode.NONE, 0)
    beyond = order(**changes)
    reply = client.execute_order(beyond)
    assert (reply.status, reply.code) == (ExecutionStatus.REJECTED, code)
    assert reply.error_message
    assert client.execute_order(order(**(changes | {"symbol": "SP500"}))).code in (code, ReasonCode.NO_REFERENCE_PRICE)
    assert client.set_risk_limits(RiskLimits()).code == ReasonCode.NONE
    assert client.execute_order(order(**changes)).status in (ExecutionStatus.FILLED, ExecutionStatus.PENDING)
    assert client.execute_order(beyond) == reply, "its id is spent"


def test_as_many_orders_rest_as_may_and_no_more(client, order) -> None:
    client.set_risk_limits(RiskLimits(max_open_orders=2), symbol="NASDAQ")
    first, second, third = (client.execute_order(order(**LIMIT)) for _ in range(3))
    assert (first.status, second.status) == (ExecutionStatus.PENDING, ExecutionStatus.PENDING)
    assert (third.status, third.code) == (ExecutionStatus.REJECTED, ReasonCode.OPEN_ORDERS_LIMIT)
    client.cancel_order(first.order_id)
    assert client.execute_order(order(**LIMIT)).status == ExecutionStatus.PENDING
    assert len(client.open_orders().orders) == 2


def test_a_burst_passes_and_then_the_rate_holds(client, order) -> None:
    client.set_risk_limits(RiskLimits(orders_per_second=1, order_burst=3))
    replies = client.execute_batch([order(quantity=D(1)) for _ in range(20)])
    assert [reply.status for reply in replies[:3]] == [ExecutionStatus.FILLED] * 3
    assert {reply.code for reply in replies[-10:]} == {ReasonCode.RATE_LIMIT}


def test_a_limit_of_one_symbol_stands_beside_that_of_all(client, order) -> None:
    client.set_risk_limits(RiskLimits(max_order_quantity=D(5), max_position=D(100)))
    client.set_risk_limits(RiskLimits(max_order_quantity=D(20)), symbol="NASDAQ")
    assert client.execute_order(order()).status == ExecutionStatus.FILLED
    assert client.execute_order(order(symbol="SP500")).code == ReasonCode.ORDER_QUANTITY_LIMIT
    assert client.execute_order(order(quantity=D(21))).code == ReasonCode.ORDER_QUANTITY_LIMIT


BAD_LIMITS: dict[str, tuple[RiskLimits, str, ReasonCode, str]] = {
    "unknown symbol": (RiskLimits(max_position=D(1)), "NOWHERE", ReasonCode.UNKNOWN_SYMBOL, "symbol"),
    "quantity of 0": (RiskLimits(max_order_quantity=D(0)), "", ReasonCode.INVALID_FIELD, "limits.max_order_quantity"),
    "no notional": (RiskLimits(max_order_notional=D(0)), "", ReasonCode.INVALID_FIELD, "limits.max_order_notional"),
    "negative collar": (RiskLimits(price_collar=D("-0.1")), "", ReasonCode.INVALID_FIELD, "limits.price_collar"),
    "negative position": (RiskLimits(max_position=D(-1)), "", ReasonCode.INVALID_FIELD, "limits.max_position"),
    "no orders": (RiskLimits(orders_per_second=0), "", ReasonCode.INVALID_FIELD, "limits.orders_per_second"),
    "no burst": (RiskLimits(order_burst=0), "", ReasonCode.INVALID_FIELD, "limits.order_burst"),
    "rate of a symbol": (
        RiskLimits(orders_per_second=1), "SP500", ReasonCode.INVALID_FIELD, "limits.orders_per_second",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_LIMITS)
def test_limits_that_make_no_sense_are_refused_by_name_and_change_nothing(client, order, case) -> None:
    limits, symbol, code, field = BAD_LIMITS[case]
    client.set_risk_limits(RiskLimits(max_order_quantity=D(9)))
    answer = client.set_risk_limits(limits, symbol=symbol)
    assert (answer.code, answer.field) == (code, field)
    assert answer.message
    assert client.execute_order(order()).code == ReasonCode.ORDER_QUANTITY_LIMIT
    assert client.execute_order(order(quantity=D(9))).status == ExecutionStatus.FILLED


@pytest.mark.parametrize(
    ("limits", "field"),
    [({"max_position": D("NaN")}, "limits.max_position"), ({"max_open_orders": 2**32}, "limits.max_open_orders"),
     ({"order_burst": -1}, "limits.order_burst"), ({"price_collar": 0.05}, "limits.price_collar")],
)  # fmt: skip
def test_limits_that_have_no_form_on_the_wire_are_not_sent(client, limits: dict[str, Any], field: str) -> None:
    records = client.health_check().journal_seq
    with pytest.raises(ValidationError) as refused:
        client.set_risk_limits(RiskLimits(**limits))
    assert refused.value.field == field
    assert client.health_check().journal_seq == records


def test_the_same_command_on_the_other_path_is_answered_from_memory(client, other_path, order) -> None:
    command_id = new_command_id()
    limits = RiskLimits(max_order_quantity=D("9.0"))
    first = client.set_risk_limits(limits, command_id=command_id)
    again = other_path.set_risk_limits(RiskLimits(max_order_quantity=D(9)), command_id=command_id)
    assert (first.code, first.duplicate, again.duplicate) == (ReasonCode.NONE, False, True)
    other = other_path.set_risk_limits(RiskLimits(max_order_quantity=D(8)), command_id=command_id)
    assert other.code == ReasonCode.DUPLICATE_COMMAND_ID
    assert client.execute_order(order(quantity=D(9))).status == ExecutionStatus.FILLED


def test_a_state_for_all_accounts_holds_beside_the_accounts_own_and_the_stricter_counts(
    client, other_path, order
) -> None:
    placed = order(**LIMIT)
    client.execute_order(placed)
    command_id = new_command_id()
    halt = {"cancel_open_orders": True, "all_accounts": True, "command_id": command_id}
    halted = client.set_trading_state(TradingState.HALTED, **halt)
    assert (halted.code, halted.affected) == (ReasonCode.NONE, 1)
    assert other_path.set_trading_state(TradingState.HALTED, **halt).duplicate
    own = other_path.set_trading_state(TradingState.HALTED, **(halt | {"all_accounts": False}))
    assert own.code == ReasonCode.DUPLICATE_COMMAND_ID, "its scope is part of what it says"
    assert client.get_order(placed.order_id).order.status == ExecutionStatus.CANCELLED
    client.set_trading_state(TradingState.ACTIVE)
    assert client.execute_order(order()).code == ReasonCode.TRADING_HALTED
    client.set_trading_state(TradingState.ACTIVE, all_accounts=True)
    assert client.execute_order(order()).status == ExecutionStatus.FILLED
    client.set_trading_state(TradingState.REDUCING)
    assert client.execute_order(order()).code == ReasonCode.REDUCE_ONLY


def test_a_quote_moves_the_collar_with_it(client, order) -> None:
    client.set_risk_limits(RiskLimits(price_collar=D("0.05")))
    far = {"order_type": OrderType.LIMIT, "price": D(120), "side": OrderSide.SELL}
    assert client.execute_order(order(**far)).code == ReasonCode.PRICE_COLLAR
    client.publish_quotes([quote("118", "118.5")])
    assert client.execute_order(order(**far)).status == ExecutionStatus.PENDING
