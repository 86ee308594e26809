"""The fast-path clients, blocking and asyncio, on both loops, against a scripted engine over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.transport.fake_engine import FakeEngine
from tests.unit.transport.test_codec import order
from tests.waiting import eventually
from transport import (
    ClientClosedError,
    ExecutionError,
    ExecutionStatus,
    HealthCheck,
    JournalMismatchError,
    NotSent,
    NotSentError,
    OutcomeUnknownError,
    PathConnected,
    PathLost,
    Quote,
    ReasonCode,
    Refused,
    Replied,
    RetryRule,
    RetryTable,
    StateRegressedError,
    TradingState,
    Unknown,
    ValidationError,
)
from transport.wire.messages import BatchReply, ExecuteOrder, GoingAway, Hello, Limits, Refusal

pytestmark = pytest.mark.timeout(120)

PATIENT_MS = 20_000
"""Ends a test that hangs; nothing is judged by it."""
PATIENT = RetryTable(network=RetryRule(max_retries=20, backoff="linear", first_delay_ms=20, max_delay_ms=200))


Connect = Callable[..., Any]


def test_an_order_comes_back_as_a_reply(connected: Connect, engine: FakeEngine) -> None:
    client = connected()
    given = order()
    delivery = client.deliver_order(given)
    assert (delivery.reply.order_id, delivery.reply.status) == (given.order_id, ExecutionStatus.FILLED)
    assert (delivery.path, delivery.attempts, delivery.duplicate) == ("zmq", 1, False)
    assert client.deliver_order(given).duplicate
    assert client.execute_order(given) == delivery.reply
    assert client.journal_id == engine.journal_id
    assert client.last_sequence == 1


def test_every_command_finds_its_reply(connected: Connect) -> None:
    client = connected()
    placed = client.execute_order(order())
    assert client.cancel_order(placed.order_id, command_id="c1").command_id == "c1"
    assert client.replace_order(placed.order_id, expected_version=1, quantity=Decimal(2)).order == placed
    assert client.get_order(placed.order_id).order == placed
    assert client.get_order("nobody", fence=True).fenced
    assert client.cancel_all_orders(symbol="NASDAQ").affected == 2
    assert client.set_trading_state(TradingState.HALTED, cancel_open_orders=True).affected == 2
    assert client.publish_quotes([Quote(symbol="NASDAQ", bid=Decimal(1))]).affected == 1
    assert client.health_check().is_serving


def test_a_batch_is_answered_by_index(connected: Connect) -> None:
    client = connected()
    orders = [order() for _ in range(20)]
    assert [reply.order_id for reply in client.execute_batch(orders)] == [each.order_id for each in orders]


def test_streamed_orders_are_answered_in_order_and_a_refused_one_fails_alone(
    connected: Connect, engine: FakeEngine
) -> None:
    client = connected(batch_window=8, retries=RetryTable(execution=RetryRule()))
    orders = [order() for _ in range(50)]
    refused = orders[17].order_id

    def refuse_one(identity: bytes, correlation: int, body: Any) -> bool:
        if isinstance(body, ExecuteOrder) and body.order.order_id == refused:
            engine.send(identity, correlation, Refusal(code=ReasonCode.ID_QUOTA_EXCEEDED, message="full"))
            return True
        return False

    engine.script = refuse_one
    replies = list(client.execute_batch_orders(orders))
    assert [reply.order_id for reply in replies] == [each.order_id for each in orders]
    failed = [reply for reply in replies if reply.status == ExecutionStatus.FAILED]
    assert [(reply.order_id, reply.code) for reply in failed] == [(refused, ReasonCode.ID_QUOTA_EXCEEDED)]


def busy_times(engine: FakeEngine, times: int) -> Callable[[bytes, int, Any], bool]:
    left = [times]

    def script(identity: bytes, correlation: int, body: Any) -> bool:
        if isinstance(body, ExecuteOrder) and left[0]:
            left[0] -= 1
            engine.send(identity, correlation, Refusal(code=ReasonCode.BUSY, message="full"))
            return True
        return False

    return script


def test_a_busy_engine_is_asked_again_once_under_the_same_id(connected: Connect, engine: FakeEngine) -> None:
    client = connected()
    engine.script = busy_times(engine, 1)
    given = order()
    assert client.deliver_order(given).attempts == 2
    copies = [body.order.order_id for body in engine.received if isinstance(body, ExecuteOrder)]
    assert copies == [given.order_id] * 2
    engine.script = busy_times(engine, 2)
    with pytest.raises(ExecutionError) as raised:
        client.execute_order(order())
    assert raised.value.code == ReasonCode.BUSY


def test_silence_until_the_deadline_leaves_the_outcome_unknown(connected: Connect, engine: FakeEngine) -> None:
    client = connected()
    engine.script = lambda _identity, _correlation, body: isinstance(body, ExecuteOrder)
    given = order()
    with pytest.raises(OutcomeUnknownError) as raised:
        client.execute_order(given, timeout_ms=1_000)
    assert raised.value.order_id == given.order_id
    engine.script = lambda _identity, _correlation, _body: False
    assert client.execute_order(given).order_id == given.order_id


def test_a_single_attempt_says_how_it_ended_and_raises_nothing(connected: Connect, engine: FakeEngine) -> None:
    client = connected()
    assert isinstance(client.attempt_order(order(), PATIENT_MS), Replied)
    assert isinstance(client.attempt(HealthCheck(), PATIENT_MS), Replied)
    assert isinstance(client.attempt_batch([order()], PATIENT_MS), Replied)
    engine.script = busy_times(engine, 1)
    assert isinstance(client.attempt_order(order(), PATIENT_MS), Refused)
    engine.script = lambda _identity, _correlation, body: isinstance(body, ExecuteOrder)
    assert isinstance(client.attempt_order(order(), 1_000), Unknown)
    engine.silence()
    eventually(lambda: isinstance(client.attempt_order(order(), 30), NotSent), "the path is found closed")


def test_a_batch_answered_in_part_is_not_believed(connected: Connect, engine: FakeEngine) -> None:
    client = connected()

    def short(identity: bytes, correlation: int, body: Any) -> bool:
        if isinstance(body, Hello):
            return False
        engine.send(identity, correlation, BatchReply([]))
        return True

    engine.script = short
    assert isinstance(client.attempt_batch([order()], PATIENT_MS), Unknown)


def test_a_connection_lost_in_flight_is_retried_and_answered_with_the_stored_reply(
    connected: Connect, engine: FakeEngine
) -> None:
    client = connected(retries=PATIENT)
    given = order()
    executed = threading.Event()

    def execute_and_say_nothing(_identity: bytes, _correlation: int, body: Any) -> bool:
        if isinstance(body, ExecuteOrder) and not executed.is_set():
            engine.execute(body.order)
            executed.set()
            return True
        return False

    engine.script = execute_and_say_nothing

    def restart() -> None:
        assert executed.wait(5)
        engine.silence()
        engine.epoch += 1
        engine.listen()

    restarter = threading.Thread(target=restart)
    restarter.start()
    delivery = client.deliver_order(given)
    restarter.join(10)
    assert delivery.duplicate
    assert delivery.attempts >= 2
    assert engine.duplicates == 1


def test_listeners_hear_of_the_path(connected: Connect, engine: FakeEngine) -> None:
    client = connected()
    events: list[Any] = []
    client.add_listener(events.append)
    client.health_check()
    engine.silence()
    eventually(lambda: not client.is_connected, "the loss is noticed")
    engine.listen()
    eventually(lambda: client.probe(200), "the path is back")
    kinds = [type(event) for event in events]
    assert kinds[0] is PathLost
    assert kinds[-1] is PathConnected


def test_another_engine_at_the_endpoint_is_an_error_and_gets_no_order(connected: Connect, engine: FakeEngine) -> None:
    client = connected(retries=PATIENT)
    client.execute_order(order())
    engine.silence()
    eventually(lambda: not client.is_connected, "the loss is noticed")
    engine.journal_id = "0190bbbb-0000-7000-8000-000000000002"
    engine.received.clear()
    engine.listen()
    with pytest.raises(JournalMismatchError, match="0190bbbb"):
        client.execute_order(order())
    assert {type(body) for body in engine.received} == {Hello}


def test_an_engine_that_forgot_is_an_error(connected: Connect, engine: FakeEngine) -> None:
    client = connected(retries=PATIENT)
    client.execute_order(order())
    engine.silence()
    eventually(lambda: not client.is_connected, "the loss is noticed")
    engine.last_sequence = 0
    engine.listen()
    with pytest.raises(StateRegressedError):
        client.execute_order(order())


def test_an_engine_that_goes_away_gets_nothing_new(connected: Connect, engine: FakeEngine) -> None:
    client = connected(retries=RetryTable(network=RetryRule()))

    def leave(identity: bytes, correlation: int, body: Any) -> bool:
        if isinstance(body, HealthCheck):
            engine.send(identity, 0, GoingAway("maintenance", 1000))
        return False

    engine.script = leave
    client.health_check()
    with pytest.raises(NotSentError, match="maintenance"):
        client.execute_order(order())


def test_garbage_from_the_engine_costs_the_connection_and_nothing_else(connected: Connect, engine: FakeEngine) -> None:
    client = connected(retries=PATIENT)
    once = [True]

    def garbage(identity: bytes, _correlation: int, body: Any) -> bool:
        if isinstance(body, ExecuteOrder) and once:
            once.clear()
            engine.send_bytes(identity, b"this is no message of ours at all")
            return True
        return False

    engine.script = garbage
    assert client.execute_order(order()).status == ExecutionStatus.FILLED
    assert sum(isinstance(body, Hello) for body in engine.received) == 2


def test_what_cannot_be_encoded_is_never_sent(connected: Connect, engine: FakeEngine) -> None:
    client = connected()
    with pytest.raises(ValidationError) as raised:
        client.execute_order(order(price=Decimal("NaN")))
    assert raised.value.field == "price"
    assert not any(isinstance(body, ExecuteOrder) for body in engine.received)
    assert client.execute_order(order()).status == ExecutionStatus.FILLED


def test_a_message_above_the_engines_limit_is_refused_without_costing_the_connection(
    connected: Connect, engine: FakeEngine
) -> None:
    engine.limits = Limits(max_message_bytes=2000)
    client = connected()
    with pytest.raises(ValidationError, match="MESSAGE_TOO_LARGE"):
        client.execute_batch([order() for _ in range(20)])
    assert client.is_connected


def test_nobody_at_the_endpoint_is_not_sent(connected: Connect, engine: FakeEngine) -> None:
    engine.silence()
    with pytest.raises(NotSentError):
        connected(connect_timeout_ms=500)


def test_a_closed_client_says_so(connected: Connect) -> None:
    client = connected()
    client.close()
    with pytest.raises(ClientClosedError):
        client.execute_order(order())
    client.close()


def test_both_codecs_speak_to_the_engine(connected: Connect) -> None:
    assert connected(codec="portable").execute_order(order()).status == ExecutionStatus.FILLED


@pytest.mark.parametrize("timeout_ms", [float("inf"), float("nan"), -1, "x", True])
def test_a_timeout_that_is_no_time_is_named(connected: Connect, engine: FakeEngine, timeout_ms: Any) -> None:
    client = connected()
    for call in (
        lambda: client.execute_order(order(), timeout_ms=timeout_ms),
        lambda: client.deliver_order(order(), timeout_ms=timeout_ms),
        lambda: client.execute_batch([order()], timeout_ms=timeout_ms),
        lambda: client.health_check(timeout_ms=timeout_ms),
    ):
        with pytest.raises(ValidationError) as raised:
            call()
        assert raised.value.field == "timeout_ms"


def test_no_time_at_all_sends_nothing(connected: Connect, engine: FakeEngine) -> None:
    client = connected()
    for call in (client.execute_order, client.deliver_order):
        with pytest.raises(NotSentError):
            call(order(), timeout_ms=0)
    assert {type(body) for body in engine.received} == {Hello}
