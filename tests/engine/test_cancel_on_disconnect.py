"""Cancel on disconnect with real connections: a client that dies, one that changes paths, an engine that restarts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from examples.rig.engine_process import EngineProcess
from fallback_grpc import BlockingGrpcClient
from tests.conformance.drivers import bridge_config
from tests.engine.conftest import EngineStarter
from tests.waiting import eventually
from transport import (
    BlockingFastPathClient,
    ExecutionStatus,
    Order,
    OrderSide,
    OrderType,
    ReasonCode,
)
from transport.contract.requests import SetCancelOnDisconnect

ROOT = Path(__file__).parents[2]
GRACE_MS = 300

CLIENT = """
import sys
from decimal import Decimal
from fallback_grpc import connect_blocking
from transport import Order, OrderSide, OrderType

zmq, grpc, grace_ms = sys.argv[1:]
with connect_blocking(
    zmq_endpoint=zmq, grpc_endpoint=grpc, session_id="mortal", cancel_on_disconnect_ms=int(grace_ms),
    connect_timeout_ms=30_000, heartbeat_timeout_ms=10_000,
) as client:
    client.execute_order(
        Order(order_id="rests", symbol="SP500", order_type=OrderType.LIMIT, side=OrderSide.BUY,
              quantity=Decimal(1), price=Decimal(1000))
    )
    print("entered", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def open_clients() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def zmq_client(engine: EngineProcess, session_id: str, stack: ExitStack) -> BlockingFastPathClient:
    client = BlockingFastPathClient(bridge_config(engine, session_id=session_id))
    client.connect()
    return stack.enter_context(client)


def grpc_client(engine: EngineProcess, session_id: str, stack: ExitStack) -> BlockingGrpcClient:
    client = BlockingGrpcClient(bridge_config(engine, session_id=session_id))
    client.connect()
    return stack.enter_context(client)


def enter(client: Any, order_id: str) -> None:
    order = Order(
        order_id=order_id,
        symbol="SP500",
        order_type=OrderType.LIMIT,
        side=OrderSide.BUY,
        quantity=Decimal(1),
        price=Decimal(1000),
    )
    assert client.execute_order(order).status == ExecutionStatus.PENDING


def state(client: Any, order_id: str) -> tuple[ExecutionStatus, ReasonCode]:
    order = client.get_order(order_id).order
    return order.status, order.code


OPEN = (ExecutionStatus.PENDING, ReasonCode.NONE)
CANCELLED = (ExecutionStatus.CANCELLED, ReasonCode.CANCELLED_ON_DISCONNECT)


def wait_until_cancelled(client: Any, order_id: str) -> None:
    eventually(lambda: state(client, order_id) == CANCELLED, f"{order_id} is cancelled", 30.0)


def let_a_grace_pass(engine: EngineProcess, witness: Any) -> None:
    """Returns when a session that went just now has lost its order, and so a grace has passed for everybody."""
    session = f"short-lived-{witness.health_check().journal_seq}"
    with ExitStack() as stack:
        client = zmq_client(engine, session, stack)
        client.cancel_on_disconnect(GRACE_MS)
        enter(client, session)
    wait_until_cancelled(witness, session)


def entering_process(engine: EngineProcess, grace_ms: int) -> subprocess.Popen[str]:
    """A client of both paths in a process of its own, whose order rests."""
    command = [sys.executable, "-c", CLIENT, engine.zmq, engine.grpc, str(grace_ms)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "entered\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_the_orders_of_a_client_that_dies_are_cancelled_and_no_others(
    engine: EngineProcess, open_clients: ExitStack
) -> None:
    witness = zmq_client(engine, "witness", open_clients)
    enter(witness, "mine")
    process = entering_process(engine, GRACE_MS)
    try:
        let_a_grace_pass(engine, witness)
        assert state(witness, "rests") == OPEN, "its client lives"
    finally:
        kill(process)
    wait_until_cancelled(witness, "rests")
    assert state(witness, "mine") == OPEN
    open_clients.close()
    engine.stop()
    engine.verify()


def test_a_change_of_path_trips_nothing_and_the_loss_of_both_does(
    engine: EngineProcess, open_clients: ExitStack
) -> None:
    witness = zmq_client(engine, "witness", open_clients)
    with ExitStack() as of_zmq, ExitStack() as of_grpc:
        client = zmq_client(engine, "both", of_zmq)
        client.cancel_on_disconnect(GRACE_MS)
        enter(client, "by zmq")
        other = grpc_client(engine, "both", of_grpc)
        enter(other, "by grpc")
        of_zmq.close()
        let_a_grace_pass(engine, witness)
        assert state(witness, "by zmq") == OPEN, "the other path stands"
        client = zmq_client(engine, "both", of_zmq)
        of_grpc.close()
        let_a_grace_pass(engine, witness)
        assert state(witness, "by grpc") == OPEN, "and the other way round"
    wait_until_cancelled(witness, "by zmq")
    wait_until_cancelled(witness, "by grpc")
    again = zmq_client(engine, "both", open_clients)
    enter(again, "after coming back")
    again.close()
    wait_until_cancelled(witness, "after coming back")


def test_a_path_that_only_stands_by_is_a_connection_of_its_session(
    engine: EngineProcess, open_clients: ExitStack
) -> None:
    witness = zmq_client(engine, "witness", open_clients)
    with ExitStack() as of_zmq:
        client = zmq_client(engine, "stands by", of_zmq)
        client.cancel_on_disconnect(GRACE_MS)
        enter(client, "rests")
        with ExitStack() as of_grpc:
            grpc_client(engine, "stands by", of_grpc).health_check()
            of_zmq.close()
            let_a_grace_pass(engine, witness)
            assert state(witness, "rests") == OPEN
    wait_until_cancelled(witness, "rests")


def test_after_a_restart_of_the_engine_a_lease_has_its_full_grace(
    start_engine: EngineStarter, open_clients: ExitStack
) -> None:
    grace_ms = 1_000
    engine = start_engine()
    process = entering_process(engine, grace_ms)
    engine.kill()
    kill(process)
    engine.start()
    witness = zmq_client(engine, "witness", open_clients)
    wait_until_cancelled(witness, "rests")
    open_clients.close()
    engine.stop()
    records = {record["kind"]: record for record in engine.dump()}
    waited_ns = records["LeaseExpired"]["time_ns"] - records["Started"]["time_ns"]
    assert waited_ns >= grace_ms * 1_000_000
    assert records["LeaseExpired"]["path"] == "internal"
    engine.verify()


def test_a_session_without_a_name_cannot_have_it(engine: EngineProcess, connect: Any) -> None:
    client = connect(engine.zmq)
    client.hello()
    answer = client.ask(2, SetCancelOnDisconnect(command_id="c", account="default", grace_ms=1))
    assert (answer.code, answer.field) == (ReasonCode.MISSING_FIELD, "session_id")
