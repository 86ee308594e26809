"""The execution bridge: orders over the fast path with gRPC behind it, each exactly once.

`connect()` (asyncio) and `connect_blocking()` (threads) return connected clients; `ExecutionBridgeClient` is the
original design's client. `GrpcClient` and `BlockingGrpcClient` speak gRPC alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallback_grpc.asynchronous import GrpcClient
from fallback_grpc.blocking import BlockingGrpcClient
from fallback_grpc.blocking_bridge import BlockingExecutionBridgeClient
from fallback_grpc.bridge import ExecutionBridgeClient
from fallback_grpc.bridge_health import BridgeHealth
from fallback_grpc.bridge_settings import bridge_settings
from fallback_grpc.failover.events import BridgePathEvent, BridgeStatistics, PathEventKind
from fallback_grpc.resolution import Dismissed, Resolution
from transport.contract.config import BridgeConfig

__all__ = [
    "BlockingExecutionBridgeClient",
    "BlockingGrpcClient",
    "BridgeHealth",
    "BridgePathEvent",
    "BridgeStatistics",
    "Dismissed",
    "ExecutionBridgeClient",
    "GrpcClient",
    "PathEventKind",
    "Resolution",
    "connect",
    "connect_blocking",
    "connect_grpc",
    "connect_grpc_blocking",
]


async def connect(config: Mapping[str, Any] | BridgeConfig | None = None, **settings: Any) -> ExecutionBridgeClient:
    """A connected client for the running event loop; `async with await connect() as client:` closes it.

    `settings` stand over `config`. Without a `BridgeConfig`, environment variables `EXECUTION_BRIDGE_*` fill what is
    not given. Give `zmq_endpoint` and `grpc_endpoint`; with `grpc_endpoint` (`rust_endpoint`) alone the client uses
    gRPC alone. Raises if no path to the engine opens, and `JournalMismatchError` if the two endpoints name two engines
    (`ExecutionBridgeClient.connect`).
    """
    client = ExecutionBridgeClient(bridge_settings(config, settings))
    await client.connect()
    return client


def connect_blocking(
    config: Mapping[str, Any] | BridgeConfig | None = None, **settings: Any
) -> BlockingExecutionBridgeClient:
    """A connected client for threads; `with connect_blocking() as client:` closes it. Arguments as for `connect`."""
    client = BlockingExecutionBridgeClient(bridge_settings(config, settings))
    client.connect()
    return client


async def connect_grpc(config: Mapping[str, Any] | BridgeConfig | None = None, **settings: Any) -> GrpcClient:
    """A connected client that speaks gRPC alone. Arguments as for `connect`."""
    client = GrpcClient(bridge_settings(config, settings).config)
    try:
        await client.connect()
    except BaseException:
        await client.close()
        raise
    return client


def connect_grpc_blocking(
    config: Mapping[str, Any] | BridgeConfig | None = None, **settings: Any
) -> BlockingGrpcClient:
    """A connected client for threads that speaks gRPC alone. Arguments as for `connect`."""
    client = BlockingGrpcClient(bridge_settings(config, settings).config)
    try:
        client.connect()
    except BaseException:
        client.close()
        raise
    return client
