"""Cancel, replace, get, fence, cancel all, trading state, health: on every path alike."""

from __future__ import annotations

import time
from decimal import Decimal

from tests.conformance.conftest import id_of_time, quote
from transport import ExecutionStatus, OrderSide, OrderType, ReasonCode, TradingState, new_command_id, new_order_id

D = Decimal


def _resting(client, order, price: str = "99.00"):
    placed = order(order_type=OrderType.LIMIT, price=D(price))
    assert client.execute_order(placed).status == ExecutionStatus.PENDING
    return placed


def test_an_open_order_is_cancelled_once(client, order) -> None:
    placed = _resting(client, order)
    answer = client.cancel_order(placed.order_id)
    assert answer.code == ReasonCode.NONE
    assert (answer.order.status, answer.order.code) == (ExecutionStatus.CANCELLED, ReasonCode.CANCELLED_BY_CLIENT)
    assert client.cancel_order(placed.order_id).code == ReasonCode.ORDER_CLOSED


def test_the_same_command_again_is_answered_from_memory(client, other_path, order) -> None:
    placed = _resting(client, order)
    command_id = new_command_id()
    first = client.cancel_order(placed.order_id, command_id=command_id)
    again = other_path.cancel_order(placed.order_id, command_id=command_id)
    assert again.duplicate
    assert (again.code, again.order) == (first.code, first.order)
    other = client.cancel_order(new_order_id(), command_id=command_id)
    assert other.code == ReasonCode.DUPLICATE_COMMAND_ID


def test_cancelling_an_unknown_id_fences_it(client, order) -> None:
    late = order()
    answer = client.cancel_order(late.order_id)
    assert (answer.code, answer.fenced) == (ReasonCode.UNKNOWN_ORDER, True)
    reply = client.execute_order(late)
    assert (reply.status, reply.code) == (ExecutionStatus.REJECTED, ReasonCode.FENCED)


def test_asking_with_a_fence_settles_that_an_order_never_executes(client, other_path, order) -> None:
    late = order()
    assert not client.get_order(late.order_id).found
    assert client.get_order(late.order_id, fence=True).fenced
    assert other_path.execute_order(late).code == ReasonCode.FENCED


def test_a_fence_does_not_touch_an_order_that_is_known(client, order) -> None:
    known = order()
    reply = client.execute_order(known)
    answer = client.get_order(known.order_id, fence=True)
    assert (answer.found, answer.fenced, answer.reply) == (True, False, reply)


def test_a_replace_changes_quantity_and_price_and_raises_the_version(client, order) -> None:
    placed = _resting(client, order)
    answer = client.replace_order(placed.order_id, expected_version=1, quantity=D(7), price=D("99.50"))
    assert answer.code == ReasonCode.NONE
    assert (answer.order.order_version, answer.order.quantity, answer.order.price) == (2, D(7), D("99.5"))
    client.publish_quotes([quote("99.00", "99.40")])
    assert client.get_order(placed.order_id).order.executed_quantity == D(7)


def test_a_replace_decided_on_an_old_version_is_refused(client, order) -> None:
    placed = _resting(client, order)
    client.replace_order(placed.order_id, expected_version=1, quantity=D(7))
    answer = client.replace_order(placed.order_id, expected_version=1, quantity=D(8))
    assert answer.code == ReasonCode.ORDER_VERSION_MISMATCH
    assert client.get_order(placed.order_id).order.quantity == D(7)


def test_cancel_all_takes_every_open_order_of_the_symbol(client, order) -> None:
    ours = [_resting(client, order) for _ in range(3)]
    other = order(symbol="SP500", order_type=OrderType.LIMIT, price=D("1.00"))
    client.execute_order(other)
    answer = client.cancel_all_orders(symbol="NASDAQ")
    assert (answer.code, answer.affected) == (ReasonCode.NONE, 3)
    assert {client.get_order(one.order_id).order.status for one in ours} == {ExecutionStatus.CANCELLED}
    assert client.get_order(other.order_id).order.status == ExecutionStatus.PENDING
    assert client.cancel_all_orders().affected == 1


def test_a_halted_account_places_nothing_and_may_still_cancel(client, order) -> None:
    placed = _resting(client, order)
    client.set_trading_state(TradingState.HALTED)
    reply = client.execute_order(order())
    assert (reply.status, reply.code) == (ExecutionStatus.REJECTED, ReasonCode.TRADING_HALTED)
    assert client.cancel_order(placed.order_id).code == ReasonCode.NONE
    client.set_trading_state(TradingState.ACTIVE)
    assert client.execute_order(order()).status == ExecutionStatus.FILLED


def test_a_reducing_account_may_only_reduce(client, order) -> None:
    client.execute_order(order())
    client.set_trading_state(TradingState.REDUCING)
    assert client.execute_order(order(quantity=D(1))).code == ReasonCode.REDUCE_ONLY
    assert client.execute_order(order(side=OrderSide.SELL, quantity=D(11))).code == ReasonCode.REDUCE_ONLY
    assert client.execute_order(order(side=OrderSide.SELL, quantity=D(10))).status == ExecutionStatus.FILLED


def test_a_quote_that_cannot_be_is_refused_by_field(client) -> None:
    answer = client.publish_quotes([quote("100.01", "99.99")])
    assert answer.code == ReasonCode.INVALID_FIELD
    assert answer.field.startswith("quotes[0]")
    assert answer.affected == 0


def test_quotes_of_a_clock_that_runs_an_hour_ahead_are_not_published(client, other_path, order) -> None:
    before = client.execute_order(order())
    command_id = id_of_time(time.time() + 3600)
    answer = client.publish_quotes([quote("49.99", "50.01")], command_id=command_id)
    assert (answer.code, answer.field, answer.affected) == (ReasonCode.ID_FROM_FUTURE, "command_id", 0)
    again = other_path.publish_quotes([quote("49.99", "50.01")], command_id=command_id)
    assert (again.code, again.duplicate) == (ReasonCode.ID_FROM_FUTURE, True)
    assert client.execute_order(order()).executed_price == before.executed_price


def test_a_cancel_of_a_clock_that_runs_an_hour_ahead_is_done(client, order) -> None:
    placed = _resting(client, order)
    answer = client.cancel_order(placed.order_id, command_id=id_of_time(time.time() + 3600))
    assert (answer.code, answer.order.status) == (ReasonCode.NONE, ExecutionStatus.CANCELLED)


def test_health_says_the_same_on_both_paths(client, other_path, order) -> None:
    client.execute_order(order())
    here, there = client.health_check(), other_path.health_check()
    assert here.is_serving
    assert (here.journal_seq, here.state_hash, here.epoch) == (there.journal_seq, there.state_hash, there.epoch)
    assert here.epoch == 1
    assert len(here.state_hash) == 32
    assert here.journal_id == there.journal_id
