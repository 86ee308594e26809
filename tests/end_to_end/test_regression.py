"""An engine that has forgotten what its clients have seen is noticed without an order, and every path stops."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from examples.rig.engine_process import EngineProcess
from fallback_grpc import PathEventKind
from tests.conformance.drivers import bridge_config
from tests.end_to_end.test_cut_paths import SHELLS
from tests.end_to_end.test_unknown_outcomes import market_order
from tests.waiting import eventually
from transport import StateRegressedError

REGRESSED = PathEventKind.STATE_REGRESSED


def kinds(events: list[Any]) -> list[PathEventKind]:
    return [event.kind for event in tuple(events)]


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_an_idle_client_of_grpc_alone_notices_an_older_copy_by_its_probes(shell: str, tmp_path: Path) -> None:
    folder, older = tmp_path / "journal", tmp_path / "older"
    engine = EngineProcess(folder)
    with engine:
        config = bridge_config(engine)
        events: list[Any] = []
        with SHELLS[shell](config, "grpc") as client:
            client.on_path_event(events.append)
            assert engine.stop() == 0
            shutil.copytree(folder, older)
            engine.start()
            eventually(lambda: client.usable_paths[:1] == ("grpc",), "gRPC is back")
            for _ in range(5):
                client.execute_order(market_order())
            engine.kill()
            shutil.rmtree(folder)
            shutil.copytree(older, folder)
            engine.start()
            # Nobody orders or asks for anything: probes and handshakes find it.
            eventually(lambda: REGRESSED in kinds(events), "the older copy was noticed")
            assert client.usable_paths == ()
            with pytest.raises(StateRegressedError):
                client.execute_order(market_order())


def _by_an_iterator(client: Any, resume_from: int) -> None:
    next(iter(client.subscribe_order_updates(resume_from=resume_from)))


@pytest.mark.parametrize("shell", sorted(SHELLS))
@pytest.mark.parametrize("path", ["zmq", "grpc"])
def test_a_subscription_that_the_engine_has_not_come_to_stops_the_bridge(shell: str, path: str, tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "journal") as engine:
        config = bridge_config(engine)
        events: list[Any] = []
        with SHELLS[shell](config, path) as client:
            client.on_path_event(events.append)
            with pytest.raises(StateRegressedError):
                _by_an_iterator(client, 1_000_000)
            eventually(lambda: REGRESSED in kinds(events), "the bridge was told")
            assert client.usable_paths == ()
            with pytest.raises(StateRegressedError):
                client.execute_order(market_order())
