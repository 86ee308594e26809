"""Orders as the native codec writes them, byte by byte its own work, against the engine's verifier and its rules."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples.rig.engine_process import EngineProcess
from tests.unit.transport.messages import orders
from transport import ExecuteReply, Order, ReasonCode
from transport.wire.messages import BatchReply, Hello, Refusal, Welcome
from transport.wire.portable import decode_message

_native = pytest.importorskip("transport._native")
pytestmark = pytest.mark.timeout(120)

Ask = Callable[[int, bytes], Any]


@pytest.fixture(scope="module")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ask, str]]:
    """Sends one message and gives the answer's body; and the engine's journal."""
    with EngineProcess(tmp_path_factory.mktemp("native") / "journal", durability="os") as engine:
        dealer = _native.Dealer(
            engine.zmq, heartbeat_interval_ms=50, heartbeat_timeout_ms=1000, handshake_timeout_ms=5000,
            output_bytes=1 << 20, max_message_bytes=1 << 24,
        )  # fmt: skip

        def ask(correlation: int, message: bytes) -> Any:
            assert dealer.send(message)
            ends = time.monotonic() + 10
            while (answer := dealer.receive()) is None:
                assert time.monotonic() < ends, "no answer"
                dealer.wait(100_000_000, 0)
            answered, body = _native.decode(answer)
            assert answered == correlation
            return body

        while not dealer.events():
            dealer.wait(100_000_000, 0)
        welcome = ask(1, _native.encode_request(1, "", Hello(client="test")))
        assert isinstance(welcome, Welcome)
        yield ask, welcome.journal_id
        dealer.close()
        engine.stop()


correlations = itertools.count(2)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_orders=st.lists(orders, max_size=4))
def test_a_batch_of_any_orders_is_whole_to_the_engine(conversation: tuple[Ask, str], given_orders: list[Order]) -> None:
    ask, journal_id = conversation
    correlation = next(correlations)
    message = _native.encode_execute_batch(correlation, journal_id, given_orders)
    assert decode_message(message)[2].orders == given_orders
    body = ask(correlation, message)
    assert isinstance(body, BatchReply), body
    assert [each.reply.order_id for each in body.replies] == [each.order_id for each in given_orders]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_order=orders, names_journal=st.booleans())
def test_any_order_is_whole_to_the_engine(
    conversation: tuple[Ask, str], given_order: Order, names_journal: bool
) -> None:
    ask, journal_id = conversation
    correlation = next(correlations)
    message = _native.encode_execute_order(correlation, journal_id if names_journal else "", given_order)
    body = ask(correlation, message)
    if names_journal:
        assert isinstance(body, ExecuteReply), body
        assert body.reply.order_id == given_order.order_id
    else:
        assert isinstance(body, Refusal)
        assert body.code == ReasonCode.JOURNAL_ID_MISMATCH
