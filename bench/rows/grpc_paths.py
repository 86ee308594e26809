"""gRPC, always against an engine that does not spin: unary sync and aio, one order at a time on the bidi stream.

`grpc-*` are this package's clients; `grpc-*-stub` are the least that grpcio allows (the generated classes, the same
conversion from and to the contract's types, nothing around it), so that our client cannot flatter the comparison;
`tonic-echo-*` is the same client against a bare tonic server with a canned reply.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import grpc
import grpc.aio

from bench.connected import connected, connected_in_loop, new_loop
from bench.context import Context
from bench.orders import content, fresh_orders
from bench.peer_programs import start_grpc_echo
from bench.rows.fast_path import Asked, Opening
from bench.rows.groups import ONE_TCP_ALWAYS, ONE_TCP_OS
from bench.rows.row import Durability, Facts, Group, Opened, Row
from bench.timing import time_orders, time_orders_in_loop
from fallback_grpc import BlockingGrpcClient, GrpcClient
from fallback_grpc.channel import open_aio_channel, open_channel
from fallback_grpc.conversion import order_to_pb, reply_from_pb
from fallback_grpc.generated import execution_pb2 as pb
from transport import BridgeConfig, Order, OrderReply

UNARY = "/smc_trading.execution.ExecutionService/ExecuteOrder"
STREAM = "/smc_trading.execution.ExecutionService/ExecuteBatchOrders"
_SERIALISERS: dict[str, Any] = {
    "request_serializer": pb.TradeOrder.SerializeToString,
    "response_deserializer": pb.OrderResponse.FromString,
}


def _unary(channel: Any) -> Any:
    return channel.unary_unary(UNARY, **_SERIALISERS)


def _stream(channel: Any) -> Any:
    return channel.stream_stream(STREAM, **_SERIALISERS)


Where = Callable[[Context], AbstractContextManager[tuple[str, Durability]]]
"""Gives the address of a gRPC server, and its durability."""


def of_engine(durability: Asked) -> Where:
    """The engine that does not spin: spinning would take the core that tokio needs here."""

    @contextmanager
    def where(context: Context) -> Generator[tuple[str, Durability]]:
        engine = context.engine(durability, spin_us=0)
        yield engine.grpc, engine.durability

    return where


@contextmanager
def bare_tonic(_: Context) -> Generator[tuple[str, Durability]]:
    """No engine at all."""
    with start_grpc_echo() as echo:
        yield echo.ready["grpc"], "none"


def facts_of(durability: Durability) -> Facts:
    """Facts of a row that carries orders over gRPC."""
    (order,) = fresh_orders(1)
    return Facts(durability, content(), len(order_to_pb(order).SerializeToString()))


def sync_client(where: Where) -> Opening:
    """`BlockingGrpcClient`, unary."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        with (
            where(context) as (endpoint, durability),
            connected(BlockingGrpcClient(BridgeConfig(grpc_endpoint=endpoint))) as client,
        ):
            yield Opened(time_orders(client.execute_order), facts_of(durability))

    return opening


def aio_client(where: Where) -> Opening:
    """`GrpcClient` on uvloop, unary."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        with where(context) as (endpoint, durability):
            config = BridgeConfig(grpc_endpoint=endpoint)
            with connected_in_loop(lambda: GrpcClient(config)) as (loop, client):
                yield Opened(time_orders_in_loop(loop, client.execute_order), facts_of(durability))

    return opening


def sync_stub(where: Where) -> Opening:
    """The least that sync grpcio allows, unary."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        with where(context) as (endpoint, durability), open_channel(endpoint) as channel:
            call = _unary(channel)

            def execute(order: Order) -> OrderReply:
                return reply_from_pb(call(order_to_pb(order)))

            yield Opened(time_orders(execute), facts_of(durability))

    return opening


def aio_stub(where: Where) -> Opening:
    """The least that grpc.aio allows, unary, on uvloop."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        with where(context) as (endpoint, durability), aio_channel(endpoint) as (loop, channel):
            call = _unary(channel)

            async def execute(order: Order) -> OrderReply:
                return reply_from_pb(await call(order_to_pb(order)))

            yield Opened(time_orders_in_loop(loop, execute), facts_of(durability))

    return opening


def aio_stream(where: Where) -> Opening:
    """One order at a time on one bidi stream of grpc.aio, on uvloop: no headers, no new stream for each order."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        with where(context) as (endpoint, durability), aio_channel(endpoint) as (loop, channel):
            stream = _stream(channel)()

            async def execute(order: Order) -> OrderReply:
                await stream.write(order_to_pb(order))
                return reply_from_pb(await stream.read())

            yield Opened(time_orders_in_loop(loop, execute), facts_of(durability))
            loop.run_until_complete(stream.done_writing())

    return opening


def sync_stream(where: Where) -> Opening:
    """The same on sync grpcio, whose requests come from an iterator that a thread of grpcio reads."""

    @contextmanager
    def opening(context: Context) -> Generator[Opened]:
        with where(context) as (endpoint, durability), open_channel(endpoint) as channel:
            orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()

            def requests() -> Iterator[pb.TradeOrder]:
                while (order := orders.get()) is not None:
                    yield order_to_pb(order)

            replies = _stream(channel)(requests())

            def execute(order: Order) -> OrderReply:
                orders.put(order)
                return reply_from_pb(next(replies))

            yield Opened(time_orders(execute), facts_of(durability))
            orders.put(None)

    return opening


@contextmanager
def aio_channel(endpoint: str) -> Generator[tuple[asyncio.AbstractEventLoop, grpc.aio.Channel]]:
    """A channel on a uvloop of its own."""
    loop = new_loop()
    asyncio.set_event_loop(loop)

    async def made() -> grpc.aio.Channel:
        return open_aio_channel(endpoint)

    channel = loop.run_until_complete(made())
    yield loop, channel
    loop.run_until_complete(channel.close(None))
    loop.close()


async def pipelined_stream(channel: grpc.aio.Channel, orders: list[Order]) -> list[OrderReply]:
    """All orders on one bidi stream, written by one task and read by another: the most that the stream gives."""

    async def requests() -> AsyncIterator[pb.TradeOrder]:
        for order in orders:
            yield order_to_pb(order)

    return [reply_from_pb(reply) async for reply in _stream(channel)(requests())]


def pipelined_sync_stream(channel: grpc.Channel, orders: list[Order]) -> list[OrderReply]:
    """The same on sync grpcio: a thread of grpcio writes, the caller reads."""
    return [reply_from_pb(reply) for reply in _stream(channel)(map(order_to_pb, orders))]


def _of(group: Group, durability: Asked) -> list[Row]:
    engine = of_engine(durability)
    rows = [
        ("grpc-sync", sync_client(engine), "unary"),
        ("grpc-sync-stub", sync_stub(engine), "unary, generated classes alone"),
        ("grpc-aio", aio_client(engine), "unary, uvloop"),
        ("grpc-aio-stub", aio_stub(engine), "unary, generated classes alone, uvloop"),
        ("grpc-stream-aio", aio_stream(engine), "bidi stream, uvloop"),
    ]
    return [Row(name, group.name, opening, note=note) for name, opening, note in rows]


GROUPS: list[Group] = []
ROWS = [
    *_of(ONE_TCP_OS, "os"),
    Row("grpc-stream-sync", ONE_TCP_OS.name, sync_stream(of_engine("os")), note="bidi stream"),
    Row("tonic-echo-sync", ONE_TCP_OS.name, sync_client(bare_tonic), note="grpc-sync to bare tonic"),
    Row("tonic-echo-aio", ONE_TCP_OS.name, aio_client(bare_tonic), note="grpc-aio to bare tonic"),
    *_of(ONE_TCP_ALWAYS, "always"),
]
