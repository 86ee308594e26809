"""Queries that get no answer: they change nothing, so nothing is left in doubt; a fence does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from examples.rig.engine_process import EngineProcess
from tests.waiting import eventually
from transport.contract.errors import ExecutionBridgeError, NetworkError, OutcomeUnknownError

# Less than the silence that ends a connection: the request is on its way, and nobody answers.
TIMEOUT_MS = 60


@contextmanager
def standing_still(engine: EngineProcess, client: Any) -> Iterator[None]:
    """The engine stands still, beginning with a client that is connected."""
    eventually(lambda: answers(client), "the client is connected")
    engine.pause()
    try:
        yield
    finally:
        engine.resume()


def answers(client: Any) -> bool:
    try:
        return client.health_check().is_serving
    except ExecutionBridgeError:
        return False


QUERIES: dict[str, Callable[[Any], Any]] = {
    "health_check": lambda client: client.health_check(timeout_ms=TIMEOUT_MS),
    "get_order": lambda client: client.get_order("o-1", timeout_ms=TIMEOUT_MS),
    "open_orders": lambda client: client.open_orders(timeout_ms=TIMEOUT_MS),
}


def test_a_query_without_an_answer_leaves_nothing_in_doubt(client: Any, engine: EngineProcess) -> None:
    for name, ask in QUERIES.items():
        with standing_still(engine, client), pytest.raises(NetworkError, match="ask again") as unanswered:
            ask(client)
        assert type(unanswered.value) is NetworkError, name
    if hasattr(client, "statistics"):
        assert client.statistics.unresolved == 0


def test_a_fence_without_an_answer_may_have_been_placed(client: Any, engine: EngineProcess) -> None:
    with standing_still(engine, client), pytest.raises(OutcomeUnknownError) as unknown:
        client.get_order("o-1", fence=True, timeout_ms=TIMEOUT_MS)
    assert unknown.value.order_ids == ("o-1",)
