"""A client process with a durable outbox, to be killed: puts the orders it is given, and says what it hears.

Run as `python -m tests.end_to_end.queue_client` with one JSON object on standard input: endpoints, outbox, orders.
One line of standard output for each thing that it knows for sure: `put ID`, `final ID KIND STATUS RECOVERED`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from typing import Any

import uvloop

from fallback_grpc import connect
from fallback_grpc.queue import OrderQueue, Result
from fallback_grpc.queue.events import FINAL
from transport import BridgeConfig, Order, OrderSide, OrderType


def order_of(described: dict[str, Any]) -> Order:
    """The same description is the same order in every run."""
    price = described["price"]
    return Order(
        order_id=described["order_id"],
        symbol="NASDAQ",
        order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
        side=OrderSide.BUY,
        quantity=Decimal(described["quantity"]),
        price=None if price is None else Decimal(price),
    )


def say(*words: object) -> None:
    """One line, at once: whoever kills this process knows what it had said."""
    print(*words, flush=True)


async def run(task: dict[str, Any]) -> None:
    """Puts every order, reads events until all are final, and ends."""
    config = BridgeConfig(**task["endpoints"], connect_timeout_ms=20_000)
    orders = [order_of(described) for described in task["orders"]]
    wanted = {order.order_id for order in orders} | set(task["unanswered"])
    async with await connect(config) as client, OrderQueue(client, outbox=task["outbox"]) as queue:

        async def put() -> None:
            for order in orders:
                await queue.put(order)
                say("put", order.order_id)

        putting = asyncio.create_task(put())
        while wanted:
            async for event in queue.events():
                if isinstance(event, FINAL):
                    status = event.reply.status.name if isinstance(event, Result) else ""
                    say("final", event.order_id, type(event).__name__, status, event.recovered)
                    wanted.discard(event.order_id)
                    queue.ack(event)
                    break
        await putting
    say("done")


if __name__ == "__main__":
    uvloop.run(run(json.loads(sys.stdin.readline())))
