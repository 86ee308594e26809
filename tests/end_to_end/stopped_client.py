"""A bridge client in a process of its own, to be stopped and continued: one order for each line on standard input."""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from typing import Any

from fallback_grpc import BlockingExecutionBridgeClient, ExecutionBridgeClient
from transport import BridgeConfig, Order, OrderSide, OrderType


def _order() -> Order:
    return Order(symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1))


def _say(path: str, events: list[Any]) -> None:
    told = [f"{event.path} {event.kind.value}" for event in tuple(events)]
    print(json.dumps({"path": path, "events": told}), flush=True)


def blocking(config: BridgeConfig) -> None:
    """The blocking client."""
    events: list[Any] = []
    client = BlockingExecutionBridgeClient(config)
    client.on_path_event(events.append)
    with client:
        _say("", events)
        for _ in sys.stdin:
            _say(client.deliver_order(_order()).path, events)


async def asynchronous(config: BridgeConfig) -> None:
    """The asyncio client."""
    events: list[Any] = []
    client = ExecutionBridgeClient(config)
    client.on_path_event(events.append)
    async with client:
        _say("", events)
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            _say((await client.deliver_order(_order())).path, events)


if __name__ == "__main__":
    zmq, pub, grpc, silence_ms = sys.argv[2:]
    endpoints = BridgeConfig(
        zmq_endpoint=zmq,
        pub_endpoint=pub,
        grpc_endpoint=grpc,
        heartbeat_timeout_ms=int(silence_ms),
        connect_timeout_ms=10_000,
    )
    if sys.argv[1] == "blocking":
        blocking(endpoints)
    else:
        asyncio.run(asynchronous(endpoints))
