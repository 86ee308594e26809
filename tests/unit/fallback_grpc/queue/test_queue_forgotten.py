"""Ids that the engine has forgotten, over lossy paths: the queue ends them, and asks no more."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fallback_grpc.outcome import batch_unknown, forgotten
from fallback_grpc.queue import Result
from fallback_grpc.queue.events import Untraceable
from tests.unit.fallback_grpc.queue.queue_world import limit
from tests.unit.fallback_grpc.queue.test_order_queue import FakeClient, names, queue_of, take
from transport.contract.orders import Order


@pytest.mark.parametrize("others", [0, 2])
async def test_an_order_in_doubt_that_the_client_finds_forgotten_is_untraceable(others: int) -> None:
    client = FakeClient()

    def problem(orders: Sequence[Order]) -> Exception | None:
        ids = [order.order_id for order in orders]
        if "old" not in ids:
            return None
        return forgotten("old") if len(ids) == 1 else batch_unknown(len(ids), [forgotten("old")])

    client.problem = problem
    async with queue_of(client) as queue:
        await queue.put_many([limit("old"), *(limit(f"new{number}") for number in range(others))])
        events = await take(queue, Untraceable)
        while sum(isinstance(event, Result) for event in events) < others:
            events += await take(queue, Result)
    assert "Untraceable old" in names(events)
    assert sum("old" in message for message in client.messages) == 1, "it is not sent again"
