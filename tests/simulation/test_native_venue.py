"""The simulator's external venue, and the engine's link to it: what is lost on the way is asked for, never repeated."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.simulation import _native_sim as native
from tests.simulation.native_desk import MS, Desk, limit_order
from transport.contract.codes import ExecutionStatus, ReasonCode
from transport.contract.requests import CancelOrder, ReplaceOrder


@pytest.fixture
def talk() -> Desk:
    opened = Desk(native.Disk(1), venue=native.Venue(1), settings={"ack_timeout_ms": 50})
    opened.engine.venue_connected(opened.now_ns)
    opened.settle()
    return opened


def venue_of(talk: Desk) -> native.Venue:
    assert talk.venue is not None
    return talk.venue


def synced(talk: Desk) -> list[bytes]:
    """Ends the turn and its syncs; what is on its way to the venue then."""
    talk.turn()
    while talk.sync_is_out:
        talk.sync_is_out = talk.engine.sync_done(talk.now_ns)
    talk.listen()
    return talk.engine.venue_out()


def reconnect(talk: Desk) -> None:
    """The connection to the venue is cut, and the next one stands."""
    talk.engine.venue_disconnected()
    venue_of(talk).disconnected()
    talk.engine.venue_connected(talk.now_ns)
    talk.settle()


def state(talk: Desk, order_id: str) -> Any:
    return talk.get(talk.connect(), order_id).order


def test_an_order_goes_out_when_its_intent_is_durable_and_its_reports_are_journaled(talk: Desk) -> None:
    talk.tell(talk.connect(), limit_order("order"))
    talk.turn()
    assert talk.engine.venue_out() == []
    talk.settle()
    assert state(talk, "order").status == ExecutionStatus.FILLED
    (execution,) = venue_of(talk).executions()
    assert (execution.order_id, execution.quantity, execution.price) == ("order", "1", "2207.55")
    assert talk.executed("order") == 1


def test_a_venue_that_is_told_twice_executes_twice(talk: Desk) -> None:
    talk.tell(talk.connect(), limit_order("order"))
    (message,) = synced(talk)
    venue_of(talk).receive(message)
    venue_of(talk).receive(message)
    assert venue_of(talk).received() == [("new", "order"), ("new", "order")]
    assert talk.executed("order") == 2


def test_a_call_without_a_report_is_pending_after_its_time_and_the_reports_come_later(talk: Desk) -> None:
    connection = talk.connect()
    correlation = talk.tell(connection, limit_order("order"))
    on_the_way = synced(talk)
    deadline_ns = talk.engine.next_deadline_ns()
    assert deadline_ns is not None and deadline_ns == talk.now_ns + 50 * MS
    talk.now_ns = deadline_ns
    talk.engine.on_time(talk.now_ns)
    synced(talk)
    assert [reply.reply.status for reply in talk.take(correlation)] == [ExecutionStatus.PENDING]
    for message in on_the_way:
        venue_of(talk).receive(message)
    talk.settle()
    assert state(talk, "order").status == ExecutionStatus.FILLED


def test_a_command_that_is_lost_with_its_connection_is_asked_for_and_refused_when_it_still_comes(talk: Desk) -> None:
    correlation = talk.tell(talk.connect(), limit_order("order"))
    late = synced(talk)
    reconnect(talk)
    (reply,) = talk.take(correlation)
    assert (reply.reply.status, reply.reply.code) == (ExecutionStatus.REJECTED, ReasonCode.VENUE_UNAVAILABLE)
    for message in late:
        venue_of(talk).receive(message)
    talk.settle()
    assert talk.executed("order") == 0
    assert venue_of(talk).received() == [("ask", "order"), ("new", "order")]


@pytest.mark.parametrize("how", ["kill", "crash"])
def test_an_engine_that_died_before_the_report_asks_and_does_not_send_again(talk: Desk, how: Any) -> None:
    talk.tell(talk.connect(), limit_order("order"))
    for message in synced(talk):
        venue_of(talk).receive(message)
    venue_of(talk).disconnected()
    talk.restart(how)
    talk.engine.venue_connected(talk.now_ns)
    reply = talk.ask(talk.connect(), limit_order("order"))
    assert reply.duplicate and reply.reply.order_id == "order"
    assert state(talk, "order").status == ExecutionStatus.FILLED
    assert talk.executed("order") == 1
    assert native.verify(talk.disk)["records"] > 0


def test_reports_that_were_lost_with_a_connection_are_repeated_once(talk: Desk) -> None:
    talk.tell(talk.connect(), limit_order("order"))
    for message in synced(talk):
        venue_of(talk).receive(message)
    assert len(venue_of(talk).take_out()) == 3
    reconnect(talk)
    order = state(talk, "order")
    assert (order.status, order.sequence) == (ExecutionStatus.FILLED, 2)


def test_a_report_of_a_connection_that_is_gone_is_ignored(talk: Desk) -> None:
    talk.tell(talk.connect(), limit_order("order"))
    for message in synced(talk):
        venue_of(talk).receive(message)
    stale = venue_of(talk).take_out()
    talk.engine.venue_disconnected()
    venue_of(talk).disconnected()
    talk.engine.venue_connected(talk.now_ns)
    assert talk.engine.venue_in(stale[1], talk.now_ns)
    talk.settle()
    assert state(talk, "order").status == ExecutionStatus.FILLED


def test_a_world_that_loses_a_report_and_leaves_its_connection_is_told(talk: Desk) -> None:
    talk.tell(talk.connect(), limit_order("order"))
    for message in synced(talk):
        venue_of(talk).receive(message)
    _, second, _ = venue_of(talk).take_out()
    with pytest.raises(ValueError, match="one was lost, and its connection was not cut"):
        talk.engine.venue_in(second, talk.now_ns)


def test_the_market_moves_without_the_engine_and_fills_come_by_themselves(talk: Desk) -> None:
    connection = talk.connect()
    talk.ask(connection, limit_order("resting", price="2200"))
    (open_order,) = venue_of(talk).open_orders()
    assert (open_order.order_id, open_order.price, open_order.executed) == ("resting", "2200", "0")
    venue_of(talk).quote("NASDAQ", ("2198.00", "5"), ("2199.00", "0.4"))
    talk.settle()
    order = state(talk, "resting")
    assert (order.status, str(order.executed_quantity)) == (ExecutionStatus.PARTIALLY_FILLED, "0.4")


def test_cancels_and_replaces_reach_the_venue_and_are_answered(talk: Desk) -> None:
    connection = talk.connect()
    talk.ask(connection, limit_order("resting", price="2200"))
    replaced = talk.ask(connection, ReplaceOrder(order_id="resting", expected_version=1, quantity=Decimal(2)))
    assert (replaced.code, replaced.order.order_version) == (ReasonCode.NONE, 2)
    cancelled = talk.ask(connection, CancelOrder(order_id="resting", command_id="c"))
    assert cancelled.code == ReasonCode.NONE
    assert venue_of(talk).open_orders() == []
    assert state(talk, "resting").code == ReasonCode.CANCELLED_BY_CLIENT


def test_legs_work_at_the_venue_under_their_names(talk: Desk) -> None:
    connection = talk.connect()
    talk.ask(connection, limit_order("entry", stop_loss=Decimal(2100), take_profit=Decimal(2300)))
    assert [order.order_id for order in venue_of(talk).open_orders()] == ["entry·SL", "entry·TP"]
    venue_of(talk).quote("NASDAQ", ("2300.00", "5"), ("2301.00", "5"))
    talk.settle()
    assert talk.executed("entry·TP") == 1
    assert state(talk, "entry·TP").status == ExecutionStatus.FILLED


def test_a_share_of_the_orders_is_refused_by_the_venue_and_the_seed_says_which() -> None:
    def refused(seed: int) -> list[str]:
        talk = Desk(native.Disk(1), venue=native.Venue(seed, refused_share=0.5))
        talk.engine.venue_connected(talk.now_ns)
        replies = [talk.ask(talk.connect(), limit_order(f"order-{n}")).reply for n in range(20)]
        return [reply.order_id for reply in replies if reply.code == ReasonCode.VENUE_REJECTED]

    assert refused(1) == refused(1) != refused(2)
    assert 0 < len(refused(1)) < 20
