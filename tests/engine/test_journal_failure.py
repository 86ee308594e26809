"""A disk that fails under a running engine: nothing more is acknowledged, and everybody is told."""

from __future__ import annotations

import resource
import shlex
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zmq

from examples.rig.engine_process import engine_binary
from tests.waiting import eventually
from transport import ExecutionStatus, Order, OrderSide, OrderType, ReasonCode, ServingStatus
from transport.contract.requests import HealthCheck
from transport.wire.messages import ExecuteOrder, Refusal


def order() -> Order:
    return Order(symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1))


@pytest.mark.parametrize("durability", ["always", "os"])
def test_a_write_that_fails_ends_all_acknowledgement(
    durability: str, start_engine: Any, connect: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without its signal, a write beyond the limit below fails like a broken disk.
    wrapped = tmp_path / "engine.sh"
    wrapped.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec {shlex.quote(str(engine_binary()))} \"$@\"\n")
    wrapped.chmod(0o755)
    monkeypatch.setenv("EXECUTION_ENGINE_BINARY", str(wrapped))
    engine = start_engine("drain_ms = 300", durability=durability)
    client, waiting = connect(engine.zmq), connect(engine.zmq)
    client.hello()
    waiting.hello()
    assert client.ask(2, ExecuteOrder(order())).reply.status == ExecutionStatus.FILLED
    resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (1, 1))
    never_answered = order()
    waiting.send(3, ExecuteOrder(never_answered))

    def health() -> Any:
        found = client.ask(4, HealthCheck())
        return found if found.status == ServingStatus.NOT_SERVING else None

    assert "journal failed" in eventually(health, "the engine says that it does not serve").message
    refusal = client.ask(5, ExecuteOrder(order()))
    assert isinstance(refusal, Refusal) and refusal.code == ReasonCode.JOURNAL_FAILED
    waiting.socket.setsockopt(zmq.RCVTIMEO, 200)
    with pytest.raises(zmq.Again):
        waiting.receive()
    assert engine.stop() == 1
    engine.start()
    again = connect(engine.zmq)
    again.hello()
    reply = again.ask(6, ExecuteOrder(never_answered))
    assert (reply.reply.status, reply.duplicate) == (ExecutionStatus.FILLED, False)
