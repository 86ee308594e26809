"""A handler of signals that uses the client whose call waits: the kill switch of an orchestrator."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.unit.transport.fake_engine import FakeEngine
from tests.unit.transport.test_codec import order
from tests.unit.transport.test_lone_caller import answer_first
from transport import ExecutionStatus, OutcomeUnknownError, connect_blocking


@pytest.mark.parametrize("spin_us", [0, 1000])
def test_it_may_close_the_client_and_does_not_wait_for_the_call_that_it_ends(engine: FakeEngine, spin_us: int) -> None:
    def swallow(_identity: bytes, _correlation: int, body: Any) -> None:
        engine.execute(body.order)
        os.kill(os.getpid(), signal.SIGUSR1)

    with connect_blocking(engine.config(carrier="native", spin_us=spin_us)) as client:
        assert client.execute_order(order()).status == ExecutionStatus.FILLED
        answer_first(engine, swallow)
        before = signal.signal(signal.SIGUSR1, lambda _signal, _frame: client.close())
        try:
            with pytest.raises(OutcomeUnknownError):
                client.execute_order(order(), timeout_ms=20_000)
        finally:
            signal.signal(signal.SIGUSR1, before)
