"""An order with a missing or impossible field: status REJECTED, the code and the field's name, and nothing executed."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from tests.conformance.conftest import id_of_time
from transport import ExecutionStatus, OrderSide, OrderType, ReasonCode

D = Decimal
LIMIT = {"order_type": OrderType.LIMIT, "price": D(100)}

BAD_ORDERS = {
    "no symbol": ({"symbol": ""}, ReasonCode.MISSING_FIELD, "symbol"),
    "unknown symbol": ({"symbol": "NOWHERE"}, ReasonCode.UNKNOWN_SYMBOL, "symbol"),
    "zero quantity": ({"quantity": D(0)}, ReasonCode.INVALID_FIELD, "quantity"),
    "negative quantity": ({"quantity": D(-1)}, ReasonCode.INVALID_FIELD, "quantity"),
    "quantity off step": ({"quantity": D("0.0001")}, ReasonCode.QUANTITY_OFF_STEP, "quantity"),
    "limit without price": ({"order_type": OrderType.LIMIT}, ReasonCode.MISSING_FIELD, "price"),
    "stop without price": ({"order_type": OrderType.STOP_LOSS}, ReasonCode.MISSING_FIELD, "price"),
    "negative price": (LIMIT | {"price": D(-100)}, ReasonCode.INVALID_FIELD, "price"),
    "price off tick": (LIMIT | {"price": D("100.001")}, ReasonCode.PRICE_OFF_TICK, "price"),
    "price beyond the book": (LIMIT | {"price": D("9E+25")}, ReasonCode.OUT_OF_RANGE, "price"),
    "target below the stop": ({"stop_loss": D(110), "take_profit": D(105)}, ReasonCode.INVALID_FIELD, "take_profit"),
    "target of a sell above the stop": (
        {"side": OrderSide.SELL, "stop_loss": D(90), "take_profit": D(95)}, ReasonCode.INVALID_FIELD, "take_profit",
    ),
    "stop above the limit": (LIMIT | {"stop_loss": D(101)}, ReasonCode.INVALID_FIELD, "stop_loss"),
    "stop off tick": ({"stop_loss": D("90.005")}, ReasonCode.PRICE_OFF_TICK, "stop_loss"),
    "target off tick": ({"take_profit": D("110.005")}, ReasonCode.PRICE_OFF_TICK, "take_profit"),
    "contract of the future": ({"contract_version": 2}, ReasonCode.UNSUPPORTED_CONTRACT_VERSION, "contract_version"),
    "expired": ({"expires_at_ns": 1}, ReasonCode.EXPIRED, "expires_at"),
    "somebody else's account": ({"account": "other"}, ReasonCode.ACCOUNT_NOT_ALLOWED, "account"),
    "too much metadata": ({"metadata": {str(n): "" for n in range(33)}}, ReasonCode.INVALID_FIELD, "metadata"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ORDERS)
def test_a_bad_order_is_rejected_by_name_and_executes_nothing(client, order, case) -> None:
    changes, code, field = BAD_ORDERS[case]
    bad = order(**changes)
    reply = client.execute_order(bad)
    assert (reply.status, reply.code, reply.field) == (ExecutionStatus.REJECTED, code, field)
    assert reply.order_id == bad.order_id
    assert reply.error_message
    assert reply.executed_quantity == 0
    assert client.get_order(bad.order_id).order is None or (
        client.get_order(bad.order_id).order.status == ExecutionStatus.REJECTED
    )


def test_a_rejection_spends_the_id_and_is_repeated(client, other_path, order) -> None:
    bad = order(quantity=D("0.0001"))
    first = client.execute_order(bad)
    assert other_path.execute_order(bad) == first
    corrected = client.execute_order(order(order_id=bad.order_id))
    assert corrected.code == ReasonCode.DUPLICATE_ORDER_ID


@pytest.mark.parametrize(("age_s", "code"), [(-3600, ReasonCode.ID_FROM_FUTURE), (400 * 86400, ReasonCode.ID_TOO_OLD)])
def test_an_id_that_carries_its_age_is_judged_by_it(client, order, age_s, code) -> None:
    reply = client.execute_order(order(order_id=id_of_time(time.time() - age_s)))
    assert (reply.status, reply.code, reply.field) == (ExecutionStatus.REJECTED, code, "order_id")


def test_a_rejection_becomes_an_exception_only_for_who_wants_one(client, order) -> None:
    from transport import ValidationError

    reply = client.execute_order(order(symbol="NOWHERE"))
    with pytest.raises(ValidationError, match="NOWHERE") as raised:
        reply.raise_for_rejection()
    assert raised.value.field == "symbol"
