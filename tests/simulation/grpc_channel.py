"""gRPC at its carrier seam: a channel that behaves as grpc.aio's does, under the true gRPC client.

What is modelled is what the client can see of a channel: it connects when it is first used; a call without a
connection waits while one is being made and fails at once while none can be; calls of one connection are independent
of one another (handlers run side by side); a deadline ends the wait and not the request; a lost connection ends every
call on it with UNAVAILABLE, whatever became of the request. Messages are the fast path's envelopes: the engine's
module speaks only those, and conversion to protobuf has tests of its own.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, cast

import grpc

from fallback_grpc import service
from fallback_grpc.asynchronous import GrpcClient
from fallback_grpc.service import Rpc, UpdatesFrom
from tests.simulation.clock import MS
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.network import Connection, Item, Network
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import Conclusion
from transport.contract.config import BridgeConfig
from transport.contract.orders import Order
from transport.contract.replies import ExecuteReply
from transport.contract.requests import SubscribeOrderUpdates
from transport.wire.codec import Codec
from transport.wire.messages import (
    BatchReply,
    Refusal,
    SubscribeReply,
    SubscriptionEnded,
    UnsubscribeOrderUpdates,
)

_NO_CONNECTION: Final = "failed to connect to all addresses; last error: UNKNOWN: simulated"
_CONNECT_ATTEMPT_MS: Final = 500


class Carried:
    """A contract object where the client expects a protobuf message."""

    __slots__ = ("ask",)

    def __init__(self, ask: Any) -> None:
        self.ask = ask

    def ByteSize(self) -> int:  # noqa: N802 (protobuf's name)
        """Small."""
        return 256


def _as_it_is(reply: Any) -> Any:
    return reply


def carried(rpc: Rpc[Any, Any]) -> Rpc[Any, Any]:
    """The RPC without conversion."""
    return dataclasses.replace(rpc, to_pb=cast("Any", Carried), from_pb=_as_it_is)


CARRIED_UPDATES: Final = carried(service.SUBSCRIBE_ORDER_UPDATES)


class SimulatedRpcError(grpc.RpcError):
    """A call's end without a reply."""

    def __init__(self, code: grpc.StatusCode, details: str, trailers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(details)
        self._code = code
        self._details = details
        self._trailers = tuple(trailers)

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def initial_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    def trailing_metadata(self) -> Any:
        return self._trailers


_STATUS_OF: Final = {
    ReasonCode.SHUTTING_DOWN: grpc.StatusCode.UNAVAILABLE,
    ReasonCode.JOURNAL_FAILED: grpc.StatusCode.UNAVAILABLE,
    ReasonCode.JOURNAL_ID_MISMATCH: grpc.StatusCode.FAILED_PRECONDITION,
    ReasonCode.STATE_REGRESSED: grpc.StatusCode.FAILED_PRECONDITION,
    ReasonCode.DATA_LOSS: grpc.StatusCode.DATA_LOSS,
    ReasonCode.NOT_IMPLEMENTED: grpc.StatusCode.UNIMPLEMENTED,
}


def _status_of(code: ReasonCode, message: str, field: str = "") -> SimulatedRpcError:
    trailers = [("x-reason", code.name), ("x-reason-code", str(int(code)))]
    if field:
        trailers.append(("x-field", field))
    return SimulatedRpcError(_STATUS_OF.get(code, grpc.StatusCode.RESOURCE_EXHAUSTED), message, trailers)


class _UnaryCall:
    """What `channel.unary_unary(...)(request)` gives."""

    def __init__(self, channel: SimulatedChannel, ask: Any, timeout_s: float, journal_id: str) -> None:
        self._headers: tuple[tuple[str, str], ...] = ()
        self._task = channel.run(ask, timeout_s, journal_id, self._take_headers)

    def __await__(self) -> Any:
        return self._task.__await__()

    async def initial_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._headers

    def _take_headers(self, headers: tuple[tuple[str, str], ...]) -> None:
        self._headers = headers


class _StreamCall:
    """What `channel.unary_stream(...)(request)` gives; of order updates alone."""

    def __init__(self, channel: SimulatedChannel, ask: UpdatesFrom, journal_id: str) -> None:
        self._channel = channel
        self._items: asyncio.Queue[Any] = asyncio.Queue()
        self._headers: asyncio.Future[tuple[tuple[str, str], ...]] = asyncio.get_running_loop().create_future()
        self._begun = self._ended = False
        self._beginning: asyncio.Future[None] | None = None
        self._ask = SubscribeOrderUpdates(account=ask.account, resume_from=ask.resume_from, accept_gaps=ask.accept_gaps)
        self._journal_id = journal_id
        self._correlation = 0

    async def initial_metadata(self) -> tuple[tuple[str, str], ...]:
        if not self._begun:
            self._begun = True
            self._beginning = asyncio.ensure_future(self._begin())
        return await asyncio.shield(self._headers)

    async def _begin(self) -> None:
        """Apart from who waits for it: a deadline ends the wait while a connection is still being made."""
        try:
            correlation = await self._channel.begin(self._ask, self._journal_id, self.take)
        except (grpc.RpcError, asyncio.CancelledError) as problem:
            self.take(problem)
            return
        if self._ended:
            self._channel.unsubscribe(correlation, self._journal_id)
        else:
            self._correlation = correlation

    async def __aiter__(self) -> AsyncIterator[Any]:
        await self.initial_metadata()
        while True:
            item = await self._items.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def cancel(self) -> None:
        """Ends it: the engine hears RST_STREAM."""
        self._ended = True
        if self._correlation:
            self._channel.unsubscribe(self._correlation, self._journal_id)
            self._correlation = 0

    def take(self, body: Any) -> None:
        """What came for it."""
        if self._ended:
            return
        if isinstance(body, SubscribeReply):
            headers = (*self._channel.headers(), ("x-last-sequence", str(body.last_sequence)))
            if not self._headers.done():
                self._headers.set_result(headers)
            return
        if isinstance(body, SubscriptionEnded):
            body = None if body.code == ReasonCode.NONE else _status_of(body.code, body.message)
        elif isinstance(body, Refusal):
            body = _status_of(body.code, body.message, body.field)
        if isinstance(body, BaseException):
            self._ended = True
        if isinstance(body, BaseException) and not self._headers.done():
            self._headers.set_exception(body)
            self._headers.exception()  # it may be that nobody waits
        self._items.put_nowait(body)


class SimulatedChannel:
    """One HTTP/2 connection after the other, each made when a call needs it."""

    def __init__(
        self, network: Network, loop: VirtualLoop, process: Process, config: BridgeConfig, codec: Codec, pause_ms: float
    ) -> None:
        self._network = network
        self._loop = loop
        self._process = process
        self._config = config
        self._codec = codec
        self._connection: Connection | None = None
        self._end: _ChannelEnd | None = None
        self._waiting: list[asyncio.Future[bool]] = []
        self._pause_ms = self._least_pause_ms = pause_ms
        self._fails_until_ns = 0
        self._correlations = 0
        self._pending: dict[int, Callable[[Any], None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._identity = ("", 0)
        """Journal and epoch of the engine that answered last."""

    # ---- what the client uses of grpc.aio.Channel ----

    def unary_unary(self, method: str, **_serialisers: Any) -> Any:
        def begin(request: Carried, *, timeout: float, metadata: Sequence[tuple[str, str]]) -> _UnaryCall:
            return _UnaryCall(self, request.ask, timeout, dict(metadata).get("x-journal-id", ""))

        return begin

    def unary_stream(self, method: str, **_serialisers: Any) -> Any:
        def begin(
            request: Carried, *, metadata: Sequence[tuple[str, str]], timeout: float | None = None
        ) -> _StreamCall:
            call = _StreamCall(self, request.ask, dict(metadata).get("x-journal-id", ""))
            if timeout is not None:
                expired = SimulatedRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
                self._loop.call_later(timeout, call.take, expired)
            return call

        return begin

    async def close(self, grace: float | None = None) -> None:
        """Calls in flight are cancelled, as grpc.aio does it."""
        self._closed = True
        for task in tuple(self._tasks):
            task.cancel()
        for pending in list(self._pending.values()):
            pending(asyncio.CancelledError())
        self._drop()

    # ---- calls ----

    def run(
        self, ask: Any, timeout_s: float, journal_id: str, take_headers: Callable[[Any], None]
    ) -> asyncio.Task[Any]:
        """A unary call, as a task of its own: the channel may cancel it under its caller."""
        task = asyncio.ensure_future(self._call(ask, timeout_s, journal_id, take_headers))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _call(self, ask: Any, timeout_s: float, journal_id: str, take_headers: Callable[[Any], None]) -> Any:
        answer: asyncio.Future[Any] = self._loop.create_future()

        def take(body: Any) -> None:
            if not answer.done():
                answer.set_result(body)

        correlation = 0
        try:
            async with asyncio.timeout(timeout_s):
                correlation = await self.begin(ask, journal_id, take)
                body = await answer
        except TimeoutError:
            raise SimulatedRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded") from None
        finally:
            self._pending.pop(correlation, None)
        if isinstance(body, BaseException):
            raise body
        if isinstance(body, Refusal):
            raise _status_of(body.code, body.message, body.field)
        duplicate = getattr(body, "duplicate", False)
        take_headers((*self.headers(), ("x-duplicate", "1")) if duplicate else self.headers())
        if isinstance(body, ExecuteReply):
            return body.reply
        return body.replies if isinstance(body, BatchReply) else body

    async def begin(self, ask: Any, journal_id: str, take: Callable[[Any], None]) -> int:
        """Sends a request over a connection, made first where there is none; its correlation number."""
        while self._connection is None:
            await self._connect()
        self._correlations += 1
        correlation = self._correlations
        self._pending[correlation] = take
        self._connection.send_to_engine(self._encode(correlation, journal_id, ask), in_order=False)
        return correlation

    def unsubscribe(self, correlation: int, journal_id: str) -> None:
        """Ends a stream."""
        if self._pending.pop(correlation, None) is not None and self._connection is not None:
            self._correlations += 1
            ask = UnsubscribeOrderUpdates(correlation)
            data = self._codec.encode_request(self._correlations, journal_id, ask)
            self._connection.send_to_engine(bytes(data), in_order=False)

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Those of every response."""
        journal_id, epoch = self._identity
        return (("x-journal-id", journal_id), ("x-epoch", str(epoch)))

    def _encode(self, correlation: int, journal_id: str, ask: Any) -> bytes:
        if isinstance(ask, Order):
            return bytes(self._codec.encode_execute_order(correlation, journal_id, ask))
        if isinstance(ask, Sequence):
            return bytes(self._codec.encode_execute_batch(correlation, journal_id, cast("Sequence[Order]", ask)))
        return bytes(self._codec.encode_request(correlation, journal_id, ask))

    # ---- the connection ----

    async def _connect(self) -> None:
        if self._closed:
            raise asyncio.CancelledError
        if self._loop.clock.now_ns < self._fails_until_ns:
            raise SimulatedRpcError(grpc.StatusCode.UNAVAILABLE, _NO_CONNECTION)
        if self._end is None:
            self._end = end = _ChannelEnd(self)
            end.connection = self._network.connect(
                "grpc", self._process, end, session_id=self._config.session_id, round_trips=2
            )
            self._loop.call_later(_CONNECT_ATTEMPT_MS / 1e3, end.gave_up)
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._waiting.append(waiter)
        if not await waiter:
            raise SimulatedRpcError(grpc.StatusCode.UNAVAILABLE, _NO_CONNECTION)

    def opened(self, end: _ChannelEnd) -> None:
        """A connection stands."""
        if end is not self._end:
            return
        self._connection = end.connection
        self._pause_ms = self._least_pause_ms
        self._wake(True)

    def arrived(self, end: _ChannelEnd, data: bytes) -> None:
        """A reply, or an item of a stream."""
        if end is self._end and end.connection is not None:
            self._identity = end.connection.identity
            correlation, body = self._codec.decode(data)
            take = self._pending.get(correlation)
            if take is not None:
                take(body)

    def lost(self, end: _ChannelEnd, reason: str) -> None:
        """The connection went, or could not be made."""
        if end is not self._end:
            return
        was_open = self._connection is not None
        self._connection = self._end = None
        if not was_open:
            self._fails_until_ns = self._loop.clock.now_ns + int(self._pause_ms * MS)
            self._pause_ms = min(self._pause_ms * 1.6, self._config.reconnect_max_ms)
        pending, self._pending = self._pending, {}
        for take in pending.values():
            take(SimulatedRpcError(grpc.StatusCode.UNAVAILABLE, f"Socket closed: {reason}"))
        self._wake(False)

    def _wake(self, success: bool) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(success)

    def _drop(self) -> None:
        end, self._end = self._end, None
        self._connection = None
        if end is not None and end.connection is not None:
            end.connection.close()
        self._wake(False)


class _ChannelEnd:
    """A channel's end of one connection."""

    def __init__(self, channel: SimulatedChannel) -> None:
        self._channel = channel
        self.connection: Connection | None = None
        self._is_open = False

    def opened(self) -> None:
        self._is_open = True
        self._channel.opened(self)

    def arrived(self, item: Item) -> None:
        if isinstance(item, bytes):
            self._channel.arrived(self, item)

    def lost(self, reason: str) -> None:
        self._channel.lost(self, reason)

    def gave_up(self) -> None:
        """The attempt to connect has taken too long."""
        if not self._is_open and self.connection is not None:
            self.connection.close()
            self._channel.lost(self, "the attempt to connect timed out")


class SimulatedGrpcClient(GrpcClient):
    """The true client on a simulated channel."""

    def __init__(
        self, config: BridgeConfig, network: Network, loop: VirtualLoop, process: Process, codec: Codec
    ) -> None:
        super().__init__(config)
        self._make_channel = lambda: SimulatedChannel(
            network, loop, process, config, codec, self._channel_settings.reconnect_min_ms
        )

    def open(self) -> None:
        if self._channel is None:
            self._loop = asyncio.get_running_loop()
            channel: Any = self._make_channel()
            self._channel = channel
            self._methods = {rpc.name: self._unary_method(channel, rpc) for rpc in service.UNARY_RPCS}

    async def _attempt(self, rpc: Rpc[Any, Any], ask: Any, timeout_ms: float) -> Conclusion[Any]:
        return await super()._attempt(carried(rpc), ask, timeout_ms)
