"""What a client sees of an engine whose journal has failed, and once somebody has started it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from examples.rig.engine_process import EngineProcess
from tests.conformance.conftest import quote
from tests.conformance.drivers import IMPLEMENTATIONS, bridge_config
from tests.waiting import eventually
from transport import ExecutionStatus, Order, ReasonCode, ServingStatus
from transport.contract.errors import EngineSystemError, ExecutionBridgeError

MakeOrder = Callable[..., Order]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    with EngineProcess(tmp_path / "journal") as process:
        yield process


# Carriers and hedges make no difference to a refusal of the engine.
CLIENTS = sorted(name for name in IMPLEMENTATIONS if not name.endswith(("pyzmq", "hedged")))


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, engine: EngineProcess) -> Iterator[Any]:
    with IMPLEMENTATIONS[request.param](bridge_config(engine, reconnect_max_ms=100.0)) as opened:
        opened.publish_quotes([quote("99.99", "100.01")])
        yield opened


def test_a_subscription_begun_at_a_failed_journal_waits_for_the_next_start_and_misses_nothing(
    client: Any, engine: EngineProcess, order: MakeOrder
) -> None:
    assert client.execute_order(order()).status == ExecutionStatus.FILLED
    engine.limit_file_bytes(1)
    with pytest.raises(ExecutionBridgeError):
        client.execute_order(order(), timeout_ms=200)
    eventually(lambda: client.health_check().status == ServingStatus.NOT_SERVING, "the journal has failed")
    with pytest.raises(EngineSystemError) as refused:
        client.open_orders()
    assert refused.value.code == ReasonCode.JOURNAL_FAILED
    before = client.health_check().counters["refused"]
    with ThreadPoolExecutor(1) as reader:
        updates: list[Any] = []
        reading = reader.submit(lambda: updates.extend(islice(client.subscribe_order_updates(resume_from=0), 3)))
        eventually(lambda: client.health_check().counters["refused"] > before, "the subscription was refused")
        assert engine.stop() == 1
        assert updates == [] and not reading.done()
        engine.start()
        eventually(lambda: filled(client, order), "orders execute again")
        reading.result(20)
    assert [update.sequence for update in updates] == [1, 2, 3]


def filled(client: Any, order: MakeOrder) -> bool:
    try:
        return client.execute_order(order()).status == ExecutionStatus.FILLED
    except ExecutionBridgeError:
        return False
