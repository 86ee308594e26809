"""The lone caller's way through the native carrier ends in the same conclusions as the general way."""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.transport.fake_engine import FakeEngine
from tests.unit.transport.test_codec import order
from tests.waiting import eventually
from transport import (
    BlockingFastPathClient,
    ExecutionError,
    ExecutionStatus,
    HealthCheck,
    JournalMismatchError,
    NotSent,
    NotSentError,
    OutcomeUnknownError,
    PathGoingAway,
    ReasonCode,
    Refused,
    Replied,
    RetryRule,
    RetryTable,
    Unknown,
    ValidationError,
    connect_blocking,
)
from transport.wire.messages import ExecuteOrder, GoingAway, Hello, Refusal, Welcome

pytest.importorskip("transport._native")
pytestmark = pytest.mark.timeout(120)

NO_RETRIES = RetryTable(network=RetryRule(), execution=RetryRule())
FIRST_OF_LONE_CALLERS = 1 << 62


@pytest.fixture(params=[0, 200], ids=["sleeping", "spinning"])
def client(request: pytest.FixtureRequest, engine: FakeEngine) -> Iterator[BlockingFastPathClient]:
    config = engine.config(carrier="native", spin_us=request.param, retries=NO_RETRIES, reconnect_max_ms=50)
    with connect_blocking(config) as connected:
        yield connected


def lone(client: BlockingFastPathClient) -> Any:
    """What the lone caller's way says of an order: a reply, False, or the number of an orphan."""
    return client._pass(order(), 20_000_000_000)


def answer_first(engine: FakeEngine, answer: Callable[[bytes, int, Any], None]) -> None:
    """The next order gets `answer`, those after it what an engine says."""
    answered = threading.Event()

    def script(identity: bytes, correlation: int, body: Any) -> bool:
        if not isinstance(body, ExecuteOrder) or answered.is_set():
            return False
        answered.set()
        answer(identity, correlation, body)
        return True

    engine.script = script


def copies(engine: FakeEngine) -> int:
    return sum(isinstance(body, ExecuteOrder) for body in engine.received)


def test_an_order_takes_one_call_and_its_numbers_are_its_own(
    client: BlockingFastPathClient, engine: FakeEngine
) -> None:
    given = order()
    first, second = client.attempt_order(given, 20_000), client.attempt_order(given, 20_000)
    assert isinstance(first, Replied)
    assert isinstance(second, Replied)
    assert (first.duplicate, second.duplicate) == (False, True)
    assert (first.correlation, second.correlation) == (FIRST_OF_LONE_CALLERS, FIRST_OF_LONE_CALLERS + 1)
    assert client.execute_order(given) == first.reply
    assert client.last_sequence == 1
    assert lone(client).status == ExecutionStatus.FILLED
    assert client.last_sequence == 2


def test_who_asks_the_client_something_does_not_close_the_way(client: BlockingFastPathClient) -> None:
    assert client.is_connected
    assert client.last_sequence == 0
    client.health_check()
    assert lone(client).status == ExecutionStatus.FILLED


def test_no_reply_before_the_deadline_is_unknown_and_a_late_one_is_ignored(
    client: BlockingFastPathClient, engine: FakeEngine
) -> None:
    late: list[Callable[[], None]] = []

    def hold(identity: bytes, correlation: int, body: Any) -> None:
        reply = engine.execute(body.order)
        late.append(lambda: engine.send(identity, correlation, reply))

    answer_first(engine, hold)
    given = order()
    began = time.monotonic()
    with pytest.raises(OutcomeUnknownError) as raised:
        client.execute_order(given, timeout_ms=1_000)
    assert raised.value.order_id == given.order_id
    assert time.monotonic() - began < 10
    engine.later(eventually(lambda: late, "the engine has the order")[0])
    others = [order() for _ in range(3)]
    assert [client.execute_order(each).order_id for each in others] == [each.order_id for each in others]
    again = client.attempt_order(given, 20_000)
    assert isinstance(again, Replied)
    assert again.duplicate


def test_a_refusal_is_what_it_is_on_the_general_way(client: BlockingFastPathClient, engine: FakeEngine) -> None:
    answer_first(engine, lambda who, number, _: engine.send(who, number, Refusal(code=ReasonCode.BUSY, message="full")))
    assert client.attempt_order(order(), 20_000) == Refused(ReasonCode.BUSY, "full")
    answer_first(engine, lambda who, number, _: engine.send(who, number, Refusal(code=ReasonCode.BUSY, message="full")))
    with pytest.raises(ExecutionError, match="full"):
        client.execute_order(order())
    assert client.execute_order(order()).status == ExecutionStatus.FILLED


def test_another_journal_is_a_mismatch(client: BlockingFastPathClient, engine: FakeEngine) -> None:
    refusal = Refusal(code=ReasonCode.JOURNAL_ID_MISMATCH, message="not me", journal_id="another")
    answer_first(engine, lambda who, number, _: engine.send(who, number, refusal))
    with pytest.raises(JournalMismatchError):
        client.execute_order(order())


def test_a_notice_before_the_reply_is_heard_and_the_reply_counts(
    client: BlockingFastPathClient, engine: FakeEngine
) -> None:
    told: list[Any] = []
    client.add_listener(told.append)

    def leave(identity: bytes, correlation: int, body: Any) -> None:
        engine.send(identity, 0, GoingAway("maintenance", 1000))
        engine.send(identity, correlation, engine.execute(body.order))

    answer_first(engine, leave)
    assert client.execute_order(order()).status == ExecutionStatus.FILLED
    assert told == [PathGoingAway(message="maintenance", drain_ms=1000)]
    with pytest.raises(NotSentError, match="maintenance"):
        client.execute_order(order())


def test_replies_to_others_that_come_first_find_their_calls(client: BlockingFastPathClient, engine: FakeEngine) -> None:
    held: list[tuple[int, Any]] = []

    def pair(identity: bytes, correlation: int, body: Any) -> bool:
        if isinstance(body, ExecuteOrder):
            held.append((correlation, engine.execute(body.order)))
            if len(held) == 2:
                for number, reply in reversed(held):
                    engine.send(identity, number, reply)
            return True
        return False

    engine.script = pair
    begun = client.start_order(order(order_id="begun"), 20_000)
    assert client.execute_order(order(order_id="lone")).order_id == "lone"
    conclusion = client.finish(begun)
    assert isinstance(conclusion, Replied)
    assert conclusion.reply.order_id == "begun"


def test_a_connection_that_breaks_leaves_the_order_unknown(client: BlockingFastPathClient, engine: FakeEngine) -> None:
    answer_first(engine, lambda who, _number, _body: engine.send_bytes(who, b"no message"))
    conclusion = client.attempt_order(order(), 20_000)
    assert isinstance(conclusion, Unknown)
    assert "no message" in conclusion.reason


def test_a_connection_that_was_lost_meanwhile_sends_nothing(client: BlockingFastPathClient, engine: FakeEngine) -> None:
    client.execute_order(order())
    engine.silence()
    eventually(lambda: isinstance(client.attempt_order(order(), 50), NotSent), "the path is found closed")
    engine.listen()
    eventually(lambda: isinstance(client.attempt_order(order(), 2_000), Replied), "the path is made anew")
    assert lone(client).status == ExecutionStatus.FILLED


def test_what_cannot_be_encoded_is_refused_and_the_way_stays_open(
    client: BlockingFastPathClient, engine: FakeEngine
) -> None:
    with pytest.raises(ValidationError, match="quantity"):
        client.execute_order(order(quantity=Decimal("NaN")))
    assert lone(client).status == ExecutionStatus.FILLED
    assert copies(engine) == 1


def test_an_order_above_the_engine_s_limit_is_refused_here(engine: FakeEngine) -> None:
    engine.limits = engine.limits.__class__(max_message_bytes=600, max_in_flight=10)
    config = engine.config(carrier="native", retries=NO_RETRIES)
    with connect_blocking(config) as client:
        large = order(metadata={"a": "x" * 600})
        conclusion = client.attempt_order(large, 20_000)
        assert isinstance(conclusion, Refused)
        assert conclusion.code == ReasonCode.MESSAGE_TOO_LARGE
        assert copies(engine) == 0


class SignalledError(Exception):
    """What the test's handler of signals raises."""


def test_a_signal_interrupts_the_wait_and_the_client_goes_on(
    client: BlockingFastPathClient, engine: FakeEngine
) -> None:
    late: list[Callable[[], None]] = []

    def hold(identity: bytes, correlation: int, body: Any) -> None:
        reply = engine.execute(body.order)
        late.append(lambda: engine.send(identity, correlation, reply))
        os.kill(os.getpid(), signal.SIGUSR1)

    def interrupt(_signal: int, _frame: Any) -> None:
        raise SignalledError

    answer_first(engine, hold)
    before = signal.signal(signal.SIGUSR1, interrupt)
    began = time.monotonic()
    try:
        with pytest.raises(SignalledError):
            client.execute_order(order(), timeout_ms=20_000)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert time.monotonic() - began < 5
    engine.later(late[0])
    assert client.execute_order(order()).status == ExecutionStatus.FILLED
    eventually(lambda: client.health_check() and not client._core.in_flight, "the interrupted order is accounted for")
    assert lone(client).status == ExecutionStatus.FILLED


def test_a_signal_in_a_thread_that_follows_leaves_the_others_alone(
    client: BlockingFastPathClient, engine: FakeEngine
) -> None:
    held: list[Callable[[], None]] = []

    def hold(identity: bytes, correlation: int, body: Any) -> bool:
        if isinstance(body, ExecuteOrder) and body.order.order_id.startswith("held"):
            reply = engine.execute(body.order)
            held.append(lambda: engine.send(identity, correlation, reply))
            if len(held) == 3:
                os.kill(os.getpid(), signal.SIGUSR1)
            return True
        return False

    def interrupt(_signal: int, _frame: Any) -> None:
        raise SignalledError

    engine.script = hold
    outcomes: list[Any] = []
    threads = [
        threading.Thread(target=lambda name=name: outcomes.append(client.attempt_order(order(order_id=name), 20_000)))
        for name in ("held 1", "held 2")
    ]
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        for sent, thread in enumerate(threads, 1):
            thread.start()
            eventually(lambda sent=sent: len(held) == sent, "the order was sent")
        with pytest.raises(SignalledError):
            client.execute_order(order(order_id="held 3"), timeout_ms=20_000)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert client.execute_order(order()).status == ExecutionStatus.FILLED
    for send in held:
        engine.later(send)
    for thread in threads:
        thread.join(10)
    assert [type(outcome) for outcome in outcomes] == [Replied, Replied]
    eventually(lambda: client.health_check() and not client._core.in_flight, "the interrupted order is accounted for")


def test_others_get_in_while_a_lone_caller_waits(client: BlockingFastPathClient, engine: FakeEngine) -> None:
    release: list[Callable[[], None]] = []

    def hold(identity: bytes, correlation: int, body: Any) -> None:
        reply = engine.execute(body.order)
        release.append(lambda: engine.send(identity, correlation, reply))

    answer_first(engine, hold)
    outcome: list[Any] = []
    waiter = threading.Thread(target=lambda: outcome.append(client.execute_order(order(), timeout_ms=30_000)))
    waiter.start()
    eventually(lambda: bool(release), "the first order was sent")
    began = time.monotonic()
    assert client.is_connected
    assert client.health_check().is_serving
    assert [client.execute_order(order()).status for _ in range(5)] == [ExecutionStatus.FILLED] * 5
    assert time.monotonic() - began < 10
    assert waiter.is_alive()
    engine.later(release[0])
    waiter.join(10)
    assert outcome[0].status == ExecutionStatus.FILLED


def test_closing_ends_a_lone_caller_s_wait(client: BlockingFastPathClient, engine: FakeEngine) -> None:
    answer_first(engine, lambda _who, _number, _body: None)
    outcome: list[Any] = []
    waiter = threading.Thread(target=lambda: outcome.append(client.attempt_order(order(), 30_000)))
    waiter.start()
    eventually(lambda: copies(engine) == 1, "the order was sent")
    client.close()
    waiter.join(10)
    assert isinstance(outcome[0], Unknown)
    assert isinstance(client.attempt_order(order(), 100), NotSent)


def test_a_silent_engine_is_found_out_by_heartbeats(engine: FakeEngine) -> None:
    # libzmq answers PINGs by itself, whatever its user does: so the engine is one that reads nothing at all.
    with SilentAfterWelcome(engine) as silent:
        config = engine.config(
            zmq_endpoint=silent.endpoint, carrier="native", heartbeat_timeout_ms=2_000, retries=NO_RETRIES
        )
        with connect_blocking(config) as other:
            silent.fall_silent.set()
            conclusion = other.attempt_order(order(), 20_000)
    assert isinstance(conclusion, Unknown)
    assert "silent" in conclusion.reason


class SilentAfterWelcome:
    """A relay in front of an engine, which can stop relaying and keep the connection."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine.endpoint.removeprefix("tcp://").split(":")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.fall_silent = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._relay, daemon=True)

    def __enter__(self) -> SilentAfterWelcome:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)
        self._listener.close()

    def _relay(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection((self._engine[0], int(self._engine[1])))
        while not self._over.is_set():
            ready, _, _ = select.select([near, far], [], [], 0.01)
            if self.fall_silent.is_set():
                continue
            for end in ready:
                data = end.recv(65536)
                if not data:
                    self._over.set()
                    break
                (far if end is near else near).sendall(data)
        near.close()
        far.close()


def test_an_idle_client_is_not_taken_for_a_dead_engine(engine: FakeEngine) -> None:
    config = engine.config(carrier="native", heartbeat_interval_ms=50, heartbeat_timeout_ms=1_000)
    with connect_blocking(config) as client:
        client.execute_order(order())
        engine.script = lambda _who, _number, body: isinstance(body, ExecuteOrder)
        # Long enough for PINGs to go out and be answered, and for silence to be judged if they were not.
        assert isinstance(client.attempt_order(order(), 1_500), Unknown)
        engine.script = lambda _who, _number, _body: False
        # The next PING's answer is read only after its time.
        threading.Event().wait(1.5)
        assert client.execute_order(order()).status == ExecutionStatus.FILLED
    assert sum(isinstance(body, Hello) for body in engine.received) == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_cannot_pass(client: BlockingFastPathClient) -> None:
    assert lone(client).status == ExecutionStatus.FILLED
    child = os.fork()
    if child == 0:
        os._exit(42 if lone(client) is False else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 42
    assert lone(client).status == ExecutionStatus.FILLED


def test_many_threads_in_bursts_never_lose_a_reply(engine: FakeEngine) -> None:
    config = engine.config(carrier="native", call_timeout_ms=20_000)
    wrong: list[str] = []
    pause = threading.Event()
    with connect_blocking(config) as client:

        def trade(pause_s: float) -> None:
            for _ in range(60):
                given = order()
                if client.execute_order(given).order_id != given.order_id:
                    wrong.append(given.order_id)
                pause.wait(pause_s)

        threads = [threading.Thread(target=trade, args=(pause_s,)) for pause_s in (0, 0.0005, 0.001)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    assert len(engine.replies) == 180


def test_a_client_that_is_dropped_goes(engine: FakeEngine) -> None:
    client = connect_blocking(engine.config(carrier="native"))
    client.execute_order(order())
    gone = weakref.ref(client._turns)
    client.close()
    del client
    gc.collect()
    assert gone() is None


def test_a_probe_of_health_between_orders_changes_nothing(client: BlockingFastPathClient) -> None:
    for _ in range(3):
        assert isinstance(client.attempt(HealthCheck(), 20_000), Replied)
        assert lone(client).status == ExecutionStatus.FILLED


def test_a_welcome_out_of_turn_is_not_taken_for_a_reply(client: BlockingFastPathClient, engine: FakeEngine) -> None:
    def confuse(identity: bytes, correlation: int, body: Any) -> None:
        engine.send(identity, correlation, engine.welcome())

    answer_first(engine, confuse)
    conclusion = client.attempt_order(order(), 20_000)
    assert isinstance(conclusion, Unknown)
    assert Welcome.__name__ in conclusion.reason
