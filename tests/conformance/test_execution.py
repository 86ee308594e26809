"""What becomes of an order, on every path alike."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from tests.conformance.conftest import quote
from tests.waiting import eventually
from transport import ExecutionStatus, OrderSide, OrderType, ReasonCode, TimeInForce

D = Decimal


def test_a_market_order_fills_at_the_quote(client, order) -> None:
    bought = order()
    reply = client.execute_order(bought)
    assert reply.order_id == bought.order_id
    assert (reply.status, reply.code) == (ExecutionStatus.FILLED, ReasonCode.NONE)
    assert (reply.executed_quantity, reply.executed_price, reply.remaining_quantity) == (D(10), D("100.01"), D(0))
    assert (reply.symbol, reply.order_type, reply.side) == ("NASDAQ", OrderType.MARKET, OrderSide.BUY)
    assert reply.account == "default"
    assert reply.order_version == 1
    assert reply.exchange_order_id
    assert reply.execution_time_ns


def test_what_a_market_order_leaves_is_cancelled_with_a_reason(client, order) -> None:
    client.publish_quotes([quote("99.99", "100.01", size="4")])
    reply = client.execute_order(order())
    assert (reply.status, reply.code) == (ExecutionStatus.CANCELLED, ReasonCode.NO_LIQUIDITY)
    assert reply.executed_quantity == D(4)


def test_a_limit_order_rests_and_is_filled_by_a_quote_that_reaches_it(client, order) -> None:
    resting = order(order_type=OrderType.LIMIT, price=D("99.50"))
    reply = client.execute_order(resting)
    assert (reply.status, reply.executed_quantity, reply.executed_price) == (ExecutionStatus.PENDING, D(0), None)
    client.publish_quotes([quote("99.00", "99.20")])
    now = client.get_order(resting.order_id)
    assert now.found
    assert (now.order.status, now.order.executed_price) == (ExecutionStatus.FILLED, D("99.5"))
    assert now.reply == reply, "the stored reply stays what the call was told"


def test_a_limit_order_executes_in_part_and_the_rest_stays(client, order) -> None:
    client.publish_quotes([quote("99.99", "100.01", size="3")])
    reply = client.execute_order(order(order_type=OrderType.LIMIT, price=D("100.01")))
    assert (reply.status, reply.remaining_quantity) == (ExecutionStatus.PARTIALLY_FILLED, D(7))


@pytest.mark.parametrize(
    ("time_in_force", "code", "executed"),
    [(TimeInForce.IOC, ReasonCode.IOC_REMAINDER, D(3)), (TimeInForce.FOK, ReasonCode.FOK_UNFILLABLE, D(0))],
)
def test_time_in_force_decides_what_is_left(client, order, time_in_force, code, executed) -> None:
    client.publish_quotes([quote("99.99", "100.01", size="3")])
    reply = client.execute_order(order(order_type=OrderType.LIMIT, price=D("100.01"), time_in_force=time_in_force))
    assert (reply.status, reply.code, reply.executed_quantity) == (ExecutionStatus.CANCELLED, code, executed)


@pytest.mark.parametrize(
    ("order_type", "side", "trigger", "moved"),
    [
        (OrderType.STOP_LOSS, OrderSide.SELL, "99.00", ("98.90", "98.95")),
        (OrderType.STOP_LOSS, OrderSide.BUY, "101.00", ("101.10", "101.20")),
        (OrderType.TAKE_PROFIT, OrderSide.SELL, "101.00", ("101.10", "101.20")),
        (OrderType.TAKE_PROFIT, OrderSide.BUY, "99.00", ("98.90", "98.95")),
    ],
)
def test_a_stop_or_target_waits_for_its_trigger_and_executes_at_market(
    client, order, order_type, side, trigger, moved
) -> None:
    waiting = order(order_type=order_type, side=side, price=D(trigger))
    assert client.execute_order(waiting).status == ExecutionStatus.PENDING
    client.publish_quotes([quote(*moved)])
    now = client.get_order(waiting.order_id).order
    assert (now.status, now.executed_price) == (ExecutionStatus.FILLED, D(moved[side == OrderSide.BUY]))


@pytest.mark.parametrize(("leg", "sibling", "moved"), [("SL", "TP", ("94", "94.5")), ("TP", "SL", ("106", "106.5"))])
def test_one_leg_closes_the_position_and_ends_the_other(client, order, leg, sibling, moved) -> None:
    entry = order(stop_loss=D(95), take_profit=D(105))
    assert client.execute_order(entry).status == ExecutionStatus.FILLED
    client.publish_quotes([quote(*moved)])
    done = client.get_order(f"{entry.order_id}·{leg}").order
    other = client.get_order(f"{entry.order_id}·{sibling}").order
    assert (done.status, done.parent_order_id, done.executed_quantity) == (
        ExecutionStatus.FILLED,
        entry.order_id,
        D(10),
    )
    assert (other.status, other.code, other.executed_quantity) == (ExecutionStatus.CANCELLED, ReasonCode.LEG_DONE, D(0))


def test_a_batch_is_answered_by_index_and_one_bad_order_spoils_no_other(client, order) -> None:
    orders = [order(), order(symbol="NOWHERE"), order(order_type=OrderType.LIMIT, price=D("99.00"))]
    replies = client.execute_batch(orders)
    assert [reply.order_id for reply in replies] == [one.order_id for one in orders]
    assert [reply.status for reply in replies] == [
        ExecutionStatus.FILLED, ExecutionStatus.REJECTED, ExecutionStatus.PENDING,
    ]  # fmt: skip
    assert (replies[1].code, replies[1].field) == (ReasonCode.UNKNOWN_SYMBOL, "symbol")


def test_a_stream_of_orders_answers_every_one(client, order) -> None:
    orders = [order(quantity=D(1)) for _ in range(50)]
    replies = {reply.order_id: reply for reply in client.execute_batch_orders(orders)}
    assert set(replies) == {one.order_id for one in orders}
    assert {reply.status for reply in replies.values()} == {ExecutionStatus.FILLED}


def test_the_reply_is_the_same_on_the_other_path(request, client, other_path, order) -> None:
    is_hedged = "hedged" in request.node.callspec.params["client"]  # then either path may have been first
    twice = order(metadata={"strategy": "crossover", "läge": "größer"}, stop_loss=D("90"), take_profit=D("110.50"))
    delivered = client.deliver_order(twice)
    again = other_path.deliver_order(twice)
    assert is_hedged or delivered.attempts > 1 or not delivered.duplicate
    assert again.duplicate
    assert again.reply == delivered.reply
    assert is_hedged or delivered.attempts > 1 or again.path != delivered.path


def test_an_id_with_other_content_is_refused_and_the_first_order_stands(client, order) -> None:
    first = order()
    filled = client.execute_order(first)
    reply = client.execute_order(order(order_id=first.order_id, quantity=D(11)))
    assert (reply.status, reply.code) == (ExecutionStatus.REJECTED, ReasonCode.DUPLICATE_ORDER_ID)
    assert client.get_order(first.order_id).order == filled


def test_decimals_that_spell_one_value_are_one_order(client, order) -> None:
    first = order(quantity=D("1.500"))
    client.execute_order(first)
    assert client.deliver_order(order(order_id=first.order_id, quantity=D("1.5"))).duplicate


def test_an_order_expires_once_and_its_reply_does_not(client, other_path, order) -> None:
    expires_at_ns = time.time_ns() + 3_000_000_000
    taken = order(expires_at_ns=expires_at_ns)
    reply = client.execute_order(taken)
    assert reply.status == ExecutionStatus.FILLED
    eventually(lambda: time.time_ns() > expires_at_ns, "it has expired")
    assert other_path.execute_order(taken) == reply, "a late copy of what was taken in time"
    late = order(expires_at_ns=expires_at_ns)
    refused = client.execute_order(late)
    assert (refused.status, refused.code, refused.field) == (
        ExecutionStatus.REJECTED, ReasonCode.EXPIRED, "expires_at",
    )  # fmt: skip
    assert other_path.execute_order(late) == refused
