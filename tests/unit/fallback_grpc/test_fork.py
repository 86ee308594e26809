"""Clients across `os.fork`: the child is told so at once, and may make a client of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.fallback_grpc.stub_engine import StubEngine

ROOT = Path(__file__).resolve().parents[3]

# A process of its own: forking this one, with its threads and servers, would prove something else.
PROGRAM = """
import os, sys
from decimal import Decimal
from fallback_grpc import connect_blocking, connect_grpc_blocking
from transport.contract import ForkedProcessError, Order, OrderSide, OrderType

def order():
    return Order(symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1))

connect = {"grpc": connect_grpc_blocking, "bridge": connect_blocking}[sys.argv[1]]
client = connect(grpc_endpoint=sys.argv[2], zmq_endpoint="tcp://127.0.0.1:1", connect_timeout_ms=500)
child = os.fork()
if child == 0:
    try:
        client.execute_order(order())
    except ForkedProcessError:
        client.close()
        os._exit(7)
    os._exit(1)
_, status = os.waitpid(child, 0)
client.execute_order(order())
client.close()
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize("kind", ["grpc", "bridge"])
def test_the_child_is_refused_clearly_and_the_parent_goes_on(engine: StubEngine, kind: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind, f"127.0.0.1:{engine.port}"],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ended.returncode == 7, ended.stderr
    assert len(engine.received) == 1
