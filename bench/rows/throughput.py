"""Throughput of one client process: batches of one message, pipelined singles, and gRPC's ways of sending many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager

from bench.connected import LoopKind, connected, connected_in_loop
from bench.context import Context
from bench.engines import SPIN_US
from bench.orders import content
from bench.rows.fast_path import Asked, Opening
from bench.rows.groups import THROUGHPUT
from bench.rows.grpc_paths import aio_channel, of_engine, pipelined_stream, pipelined_sync_stream
from bench.rows.row import Facts, Group, Opened, Row
from bench.timing import time_batches, time_batches_in_loop
from fallback_grpc import BlockingGrpcClient, GrpcClient
from fallback_grpc.channel import open_channel
from transport import BlockingFastPathClient, BridgeConfig, FastPathClient, Order, OrderReply

BATCH = 1000
"""The engine's largest batch by default."""
BATCHES = 5
"""In flight at once, where a row has several."""
PIPELINED = 5000
WINDOW = 1000
"""Orders in flight: an engine takes 1,024 from a connection by default."""
GRPC_ORDERS = 2000
CALL_TIMEOUT_MS = 30_000.0

Many = Callable[[list[Order]], Awaitable[Sequence[OrderReply]]]


def _config(context: Context, carrier: str, durability: Asked) -> BridgeConfig:
    engine = context.engine(durability, spin_us=SPIN_US)
    return engine.config("tcp", carrier=carrier, batch_window=WINDOW, call_timeout_ms=CALL_TIMEOUT_MS)


def _facts(context: Context, durability: Asked) -> Facts:
    """As the engine states it."""
    return Facts(context.engine(durability, spin_us=SPIN_US).durability, content())


def blocking_batch(carrier: str, durability: Asked) -> Opening:
    """`BlockingFastPathClient.execute_batch`: one message there, one back."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        with connected(BlockingFastPathClient(_config(context, carrier, durability))) as client:
            yield Opened(time_batches(client.execute_batch, BATCH), _facts(context, durability))

    return opening


def blocking_pipelined(carrier: str, durability: Asked) -> Opening:
    """`BlockingFastPathClient.execute_batch_orders`: orders singly, a window of them in flight."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        with connected(BlockingFastPathClient(_config(context, carrier, durability))) as client:

            def many(orders: list[Order]) -> list[OrderReply]:
                return list(client.execute_batch_orders(orders))

            yield Opened(time_batches(many, PIPELINED), _facts(context, durability))

    return opening


def _in_loop(
    carrier: str, durability: Asked, kind: LoopKind, orders_per_call: int, many: Callable[[FastPathClient], Many]
) -> Opening:
    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        config = _config(context, carrier, durability)
        with connected_in_loop(lambda: FastPathClient(config), kind) as (loop, client):
            timed = time_batches_in_loop(loop, many(client), orders_per_call)
            yield Opened(timed, _facts(context, durability))

    return opening


def loop_batch(carrier: str, durability: Asked, kind: LoopKind = "uvloop") -> Opening:
    """`FastPathClient.execute_batch`."""
    return _in_loop(carrier, durability, kind, BATCH, lambda client: client.execute_batch)


def loop_batches(carrier: str, durability: Asked, kind: LoopKind = "uvloop") -> Opening:
    """Several batches in flight: the client builds and reads one while the engine works on another."""

    def together(client: FastPathClient) -> Many:
        async def many(orders: list[Order]) -> list[OrderReply]:
            batches = [orders[at : at + BATCH] for at in range(0, len(orders), BATCH)]
            return [reply for replies in await asyncio.gather(*map(client.execute_batch, batches)) for reply in replies]

        return many

    return _in_loop(carrier, durability, kind, BATCHES * BATCH, together)


def loop_pipelined(carrier: str, durability: Asked, kind: LoopKind = "uvloop") -> Opening:
    """`FastPathClient.execute_batch_orders`, a window of thousands in flight."""

    def streaming(client: FastPathClient) -> Many:
        async def many(orders: list[Order]) -> list[OrderReply]:
            return [reply async for reply in client.execute_batch_orders(orders)]

        return many

    return _in_loop(carrier, durability, kind, PIPELINED, streaming)


def loop_gather(carrier: str, durability: Asked, kind: LoopKind = "uvloop") -> Opening:
    """A task for every order, all at once: how a program of many strategies would do it."""

    def gathering(client: FastPathClient) -> Many:
        async def many(orders: list[Order]) -> list[OrderReply]:
            return list(await asyncio.gather(*map(client.execute_order, orders)))

        return many

    return _in_loop(carrier, durability, kind, WINDOW, gathering)


def grpc_stream_aio() -> Opening:
    """grpc.aio's bidi stream with the generated classes alone: the most that the stream gives."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        with of_engine("os")(context) as (endpoint, durability), aio_channel(endpoint) as (loop, channel):

            async def many(orders: list[Order]) -> list[OrderReply]:
                return await pipelined_stream(channel, orders)

            yield Opened(time_batches_in_loop(loop, many, GRPC_ORDERS), Facts(durability, content()))

    return opening


def grpc_stream_sync() -> Opening:
    """The same on sync grpcio."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        with of_engine("os")(context) as (endpoint, durability), open_channel(endpoint) as channel:

            def many(orders: list[Order]) -> list[OrderReply]:
                return pipelined_sync_stream(channel, orders)

            yield Opened(time_batches(many, GRPC_ORDERS), Facts(durability, content()))

    return opening


def grpc_stream_client() -> Opening:
    """`GrpcClient.execute_batch_orders`, with the same window."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        with of_engine("os")(context) as (endpoint, durability):
            config = BridgeConfig(grpc_endpoint=endpoint, batch_window=WINDOW, call_timeout_ms=CALL_TIMEOUT_MS)
            with connected_in_loop(lambda: GrpcClient(config)) as (loop, client):

                async def many(orders: list[Order]) -> list[OrderReply]:
                    return [reply async for reply in client.execute_batch_orders(orders)]

                yield Opened(time_batches_in_loop(loop, many, GRPC_ORDERS), Facts(durability, content()))

    return opening


def grpc_batch() -> Opening:
    """`BlockingGrpcClient.execute_batch`: one unary message there, one back."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        with of_engine("os")(context) as (endpoint, durability):
            config = BridgeConfig(grpc_endpoint=endpoint, call_timeout_ms=CALL_TIMEOUT_MS)
            with connected(BlockingGrpcClient(config)) as client:
                yield Opened(time_batches(client.execute_batch, BATCH), Facts(durability, content()))

    return opening


def _row(name: str, opening: Opening, orders_per_call: int, note: str) -> Row:
    spin = "none" if name.startswith("grpc") else "engine"
    return Row(name, THROUGHPUT.name, opening, spin, orders_per_call=orders_per_call, note=note)


_BATCHED, _STREAMED = f"batches of {BATCH:,}", f"singles, {WINDOW:,} in flight"
GROUPS: list[Group] = []
ROWS = [
    _row("native-batch", blocking_batch("native", "os"), BATCH, _BATCHED),
    _row("native-batch-uvloop", loop_batch("native", "os"), BATCH, _BATCHED),
    _row("native-batches-uvloop", loop_batches("native", "os"), BATCHES * BATCH, f"{BATCHES} {_BATCHED} in flight"),
    _row("native-pipelined", blocking_pipelined("native", "os"), PIPELINED, _STREAMED),
    _row("native-pipelined-uvloop", loop_pipelined("native", "os"), PIPELINED, _STREAMED),
    _row("native-gather-uvloop", loop_gather("native", "os"), WINDOW, f"a task for each of {WINDOW:,} orders"),
    _row("native-batch-always", blocking_batch("native", "always"), BATCH, f"{_BATCHED}, durability always"),
    _row("native-pipelined-always", blocking_pipelined("native", "always"), PIPELINED, "durability always"),
    _row("native-pipelined-uvloop-always", loop_pipelined("native", "always"), PIPELINED, "durability always"),
    _row("pyzmq-batch", blocking_batch("pyzmq", "os"), BATCH, _BATCHED),
    _row("pyzmq-pipelined", blocking_pipelined("pyzmq", "os"), PIPELINED, _STREAMED),
    _row("grpc-batch", grpc_batch(), BATCH, f"unary ExecuteBatch of {BATCH:,}"),
    _row("grpc-stream-aio", grpc_stream_aio(), GRPC_ORDERS, "bidi stream, generated classes alone"),
    _row("grpc-stream-sync", grpc_stream_sync(), GRPC_ORDERS, "bidi stream, generated classes alone, sync"),
    _row("grpc-stream-client", grpc_stream_client(), GRPC_ORDERS, "bidi stream, this package's client"),
]
