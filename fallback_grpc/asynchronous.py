"""The full contract over gRPC, for asyncio.

Use a client in the event loop it was connected in, from as many tasks as you like. gRPC does not survive a fork: a
client used in a child process raises `ForkedProcessError`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import Message

from fallback_grpc import service
from fallback_grpc.asynchronous_calls import AsyncCalls
from fallback_grpc.batch_stream import stream_orders
from fallback_grpc.channel import ChannelSettings, open_aio_channel, refuse_too_large
from fallback_grpc.failover.asynchronous import ChangeGate, drive
from fallback_grpc.failover.breaker import NS_PER_MS
from fallback_grpc.failover.plan import CallPlan, PlanPolicy
from fallback_grpc.failover.updates import UpdateCursor, is_final, last_sequence_of
from fallback_grpc.outcome import Done, Subject, done_or_raise, subject_of_command, subject_of_orders, whole_batch
from fallback_grpc.path_state import GrpcPathState
from fallback_grpc.service import Rpc, UpdatesFrom
from fallback_grpc.status import FailedRpc, Metadata
from fallback_grpc.update_stream import UpdateStream
from transport.contract.conclusions import Conclusion, NotSent, Refused, Replied, Unknown
from transport.contract.config import BridgeConfig
from transport.contract.errors import ExecutionBridgeError, NetworkError, NotSentError, WrongLoopError, error_for_code
from transport.contract.orders import Order
from transport.contract.path import PathListener
from transport.contract.replies import (
    CommandReplies,
    ExecuteReply,
    Health,
    MarketDataUpdate,
    OrderReply,
    OrderUpdate,
    Path,
    UpdateGap,
)
from transport.contract.requests import Command, HealthCheck

_ONLY_PATH: tuple[Path, ...] = ("grpc",)
# A channel whose probes stay unanswered this often in a row is silently dead: gRPC's own keepalive takes 35 s.
_SILENT_PROBES_TO_REOPEN = 3

AskT = TypeVar("AskT")
ReplyT = TypeVar("ReplyT")


class GrpcClient(AsyncCalls):
    """One gRPC path to the engine. As a path of the bridge it offers single attempts that conclude."""

    def __init__(self, config: BridgeConfig, *, channel_settings: ChannelSettings | None = None) -> None:
        self._config = config
        self._channel_settings = channel_settings or ChannelSettings.of(config)
        self._state = GrpcPathState(config)
        self._policy = PlanPolicy(retries=config.retries)
        self._gate = ChangeGate()
        self._channel: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._methods: dict[str, Any] = {}
        self._silent_probes = 0

    # ---- the path ----

    async def connect(self) -> None:
        """Opens the channel and asks for the engine's health, within `connect_timeout_ms`.

        Raises `NotSentError` if nobody answers there, or what the engine refused with.
        """
        self._state.check_alive()
        self.open()
        deadline_ns = time.monotonic_ns() + int(self._config.connect_timeout_ms * NS_PER_MS)
        while True:
            left_ms = (deadline_ns - time.monotonic_ns()) / NS_PER_MS
            conclusion = await self.attempt(HealthCheck(), max(left_ms, 1.0))
            if isinstance(conclusion, Replied):
                await self._set_lease()
                return
            if isinstance(conclusion, Refused):
                raise error_for_code(conclusion.code, conclusion.message, conclusion.field)
            if left_ms <= self._config.reconnect_min_ms:
                raise NotSentError(f"no engine answers over gRPC at {self._config.grpc_endpoint}: {conclusion.reason}")
            await asyncio.sleep(self._config.reconnect_min_ms / 1_000)

    def open(self) -> None:
        """Makes the channel, in the running loop, without waiting for its connection."""
        if self._channel is None:
            self._loop = asyncio.get_running_loop()
            self._channel = open_aio_channel(self._config.grpc_endpoint, self._channel_settings)
            self._methods = {rpc.name: self._unary_method(self._channel, rpc) for rpc in service.UNARY_RPCS}

    async def close(self) -> None:
        """Closes the channel; calls in flight end as unknown. In a child process it does nothing."""
        if not self._state.is_closed and not self._state.is_inherited:
            self._state.is_closed = True
            self._gate.wake()
            channel, self._channel = self._channel, None
            if channel is not None:
                await channel.close(None)

    async def __aenter__(self) -> GrpcClient:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def is_connected(self) -> bool:
        """Whether the last thing heard of the engine was a reply."""
        return self._state.is_connected

    @property
    def journal_id(self) -> str:
        """The journal that requests name; empty before the engine has said."""
        return self._state.journal_id

    def bind_journal(self, journal_id: str) -> None:
        """Accepts no other engine than this one."""
        self._state.bind_journal(journal_id)

    def add_listener(self, listener: PathListener) -> None:
        """Tells `listener` when the path connects, is lost or refused."""
        self._state.add_listener(listener)

    # ---- single attempts ----

    async def attempt_order(self, order: Order, timeout_ms: float) -> Conclusion[OrderReply]:
        """One copy of one order."""
        return await self._attempt(service.EXECUTE_ORDER, order, timeout_ms)

    async def attempt_batch(self, orders: Sequence[Order], timeout_ms: float) -> Conclusion[list[ExecuteReply]]:
        """One copy of a batch, as one message."""
        return whole_batch(await self._attempt(service.EXECUTE_BATCH, orders, timeout_ms), len(orders))

    async def attempt(self, command: Command, timeout_ms: float) -> Conclusion[CommandReplies]:
        """One copy of a command or query."""
        return await self._attempt(service.rpc_of(command), command, timeout_ms)

    async def probe(self, timeout_ms: float) -> bool:
        """Whether the engine answers a health check just now."""
        try:
            conclusion = await self.attempt(HealthCheck(), timeout_ms)
        except ExecutionBridgeError:
            return False
        if isinstance(conclusion, Replied | Refused):
            self._silent_probes = 0
            if isinstance(conclusion, Replied) and self._state.is_connected:
                return await self._has_what_was_seen(timeout_ms)
            return False
        self._silent_probes = 0 if isinstance(conclusion, NotSent) else self._silent_probes + 1
        if self._silent_probes >= _SILENT_PROBES_TO_REOPEN and not self._state.is_closed:
            await self._reopen()
        return False

    async def _attempt(self, rpc: Rpc[AskT, ReplyT], ask: AskT, timeout_ms: float) -> Conclusion[ReplyT]:
        self._check_loop()
        request = rpc.request(ask)
        if self._state.is_closed:
            return NotSent("the client is closed")
        if not self._state.journal_id and rpc.name != "HealthCheck":
            return NotSent("the engine at the other end is not known yet: connect first")
        refusal = self._state.refusal()
        if refusal is not None:
            return refusal
        if timeout_ms <= 0:
            return NotSent("the deadline had passed before anything was sent")
        if self._state.must_ask and rpc.name != "HealthCheck":
            unknown = await self._ask_again(timeout_ms)
            if unknown is not None:
                return unknown
        too_large = refuse_too_large(request.ByteSize(), self._channel_settings)
        if too_large is not None:
            return too_large
        state = self._state
        mark = state.mark()
        state.in_flight += 1
        try:
            call = self._methods[rpc.name](request, timeout=timeout_ms / 1_000, metadata=state.metadata)
            reply = await call
            duplicate = state.replied(await call.initial_metadata(), mark)
        except grpc.RpcError as failure:
            return state.failed(cast("FailedRpc", failure))
        except asyncio.CancelledError:
            if _is_being_cancelled():
                raise
            return Unknown("the channel was closed under the request")
        finally:
            state.in_flight -= 1
        answer = rpc.from_pb(reply)
        state.check_answer(answer, mark, duplicate=duplicate)
        refusal = state.refusal() if isinstance(answer, Health) else None
        return refusal or Replied(answer, duplicate)

    async def _ask_again(self, timeout_ms: float) -> Refused | NotSent | None:
        """After a loss, no order goes out before the engine has said again who it is; None: it has."""
        conclusion = await self.attempt(HealthCheck(), timeout_ms)
        if isinstance(conclusion, Replied):
            return None
        return NotSent(conclusion.reason) if isinstance(conclusion, Unknown) else conclusion

    async def _has_what_was_seen(self, timeout_ms: float) -> bool:
        """Once per connection: whether the engine has come as far as this client has seen. A subscription says so."""
        seen = self._state.position_to_check(self._config.account)
        if seen is None:
            return True
        rpc = service.SUBSCRIBE_ORDER_UPDATES
        channel: Any = self._channel
        method: Any = channel.unary_stream(
            rpc.method, request_serializer=rpc.serialise, response_deserializer=rpc.parse
        )
        request = rpc.request(UpdatesFrom(self._config.account, seen, True))
        call = method(request, timeout=timeout_ms / 1_000, metadata=self._state.metadata)
        try:
            if last_sequence_of(await call.initial_metadata()) is None:
                await call.read()  # raises what it was refused with
            return self._state.position_checked(None)
        except grpc.RpcError as failure:
            return self._state.position_checked(self._state.failed(cast("FailedRpc", failure)))
        except asyncio.CancelledError:
            if _is_being_cancelled():
                raise
            return False  # the channel was closed under it
        finally:
            call.cancel()

    def _check_loop(self) -> None:
        self._state.check_process()
        if self._loop is None and not self._state.is_closed:
            self.open()
        elif self._loop not in (None, asyncio.get_running_loop()):
            raise WrongLoopError("this client belongs to another event loop: make one client per loop")

    async def _reopen(self) -> None:
        """Replaces a channel that has gone silent; its calls end as unknown and are sent again elsewhere."""
        self._silent_probes = 0
        old, self._channel = self._channel, None
        self.open()
        self._state.lost("the connection went silent")
        if old is not None:
            await old.close(None)

    @staticmethod
    def _unary_method(channel: Any, rpc: Rpc[Any, Any]) -> Any:
        return channel.unary_unary(rpc.method, request_serializer=rpc.serialise, response_deserializer=rpc.parse)

    # ---- the contract ----

    async def _order(self, order: Order, timeout_ms: float, *, in_doubt: bool = False) -> Done[OrderReply]:
        async def attempt(_: Path, copy_ms: float) -> Conclusion[OrderReply]:
            return await self.attempt_order(order, copy_ms)

        return await self._conclude(attempt, subject_of_orders((order,)), timeout_ms, in_doubt)

    async def _batch(self, orders: Sequence[Order], timeout_ms: float) -> Done[list[ExecuteReply]]:
        async def attempt(_: Path, copy_ms: float) -> Conclusion[list[ExecuteReply]]:
            return await self.attempt_batch(orders, copy_ms)

        return await self._conclude(attempt, subject_of_orders(orders), timeout_ms, False)

    async def _command(self, command: Command, timeout_ms: float) -> Done[CommandReplies]:
        async def attempt(_: Path, copy_ms: float) -> Conclusion[CommandReplies]:
            return await self.attempt(command, copy_ms)

        return await self._conclude(attempt, subject_of_command(command), timeout_ms, False)

    async def _conclude(self, attempt: Any, subject: Subject, timeout_ms: float, in_doubt: bool) -> Done[Any]:
        if not in_doubt:
            self._state.check_alive()
        deadline_ns = time.monotonic_ns() + int(timeout_ms * NS_PER_MS)
        plan = CallPlan(self._policy, deadline_ns=deadline_ns, in_doubt=in_doubt)
        state = self._state
        end, conclusion = await drive(
            plan,
            attempt,
            lambda: _ONLY_PATH,
            self._gate,
            _unheard,
            stopped=lambda: state.stopped is not None,
            one_path=True,
        )
        return done_or_raise(plan, end, conclusion, subject, state.stopped, path_alive=state.is_connected)

    async def health_check(self, *, timeout_ms: float | None = None) -> Health:
        """How the engine is."""
        return await self._engine_health(timeout_ms)

    def execute_batch_orders(self, orders: Iterable[Order] | AsyncIterable[Order]) -> AsyncIterator[OrderReply]:
        """Streams orders over the original's bidirectional RPC; see `AsyncCalls.execute_batch_orders`."""
        return stream_orders(self, orders, self._config.batch_window)

    async def open_order_stream(self, requests: AsyncIterator[Message]) -> AsyncIterator[ExecuteReply]:
        """One `ExecuteBatchOrders` call. Raises `NetworkError` where the stream breaks, what it refused otherwise."""
        rpc = service.EXECUTE_BATCH_ORDERS
        async with aclosing(self._stream(rpc, requests, streams_requests=True)) as replies:
            async for reply in replies:
                yield rpc.from_pb(reply)

    async def stream_market_data(self, symbols: Sequence[str] = ()) -> AsyncIterator[MarketDataUpdate]:
        """The market of some symbols, or of all. Reconnects by itself; what was missed meanwhile is lost."""
        rpc = service.STREAM_MARKET_DATA
        while True:
            try:
                async with aclosing(self._stream(rpc, rpc.request(symbols))) as messages:
                    async for message in messages:
                        yield rpc.from_pb(message)
            except NetworkError:
                self._state.check_alive()
            await asyncio.sleep(self._config.reconnect_min_ms / 1_000)

    def subscribe_order_updates(self, *, resume_from: int | None = None, accept_gaps: bool = True) -> UpdateStream:
        """Every update of the account, once and in order, from now or from after `resume_from`.

        The subscription begins when the first item is awaited. It goes on after a reconnect from the last one seen,
        or from where the engine said that it began: give `resume_from` to miss nothing before that either.
        Raises `StateRegressedError` if the engine has forgotten what this client has seen, and `EngineSystemError`
        (`DATA_LOSS`) for a gap that is not accepted.
        """
        cursor = UpdateCursor(resume_from)
        return UpdateStream(self._updates(cursor, accept_gaps), cursor)

    async def _updates(self, cursor: UpdateCursor, accept_gaps: bool) -> AsyncGenerator[OrderUpdate | UpdateGap, None]:
        rpc = service.SUBSCRIBE_ORDER_UPDATES

        def begun(headers: Metadata | None) -> None:
            cursor.began(last_sequence_of(headers))

        while True:
            ask = UpdatesFrom(self._config.account, cursor.resume_from, accept_gaps)
            try:
                async with aclosing(self._stream(rpc, rpc.request(ask), on_headers=begun)) as messages:
                    async for message in messages:
                        item = cursor.accept(rpc.from_pb(message))
                        if item is not None:
                            yield item
                        if cursor.has_hole:
                            break
            except NetworkError:
                self._state.check_alive()
            except ExecutionBridgeError as problem:
                if is_final(problem):
                    raise
            cursor.restarted()
            await asyncio.sleep(self._config.reconnect_min_ms / 1_000)

    async def _stream(
        self,
        rpc: Rpc[Any, Any],
        request: Any,
        *,
        streams_requests: bool = False,
        on_headers: Callable[[Metadata | None], None] | None = None,
    ) -> AsyncGenerator[Any, None]:
        self._state.check_alive()
        self._check_loop()
        channel: Any = self._channel
        make = channel.stream_stream if streams_requests else channel.unary_stream
        method: Any = make(rpc.method, request_serializer=rpc.serialise, response_deserializer=rpc.parse)
        mark = self._state.mark()
        call = method(request, metadata=self._state.metadata)
        heard = False
        try:
            if on_headers is not None:
                on_headers(await call.initial_metadata())
            async for message in call:
                if not heard:
                    heard = True
                    self._state.replied(await call.initial_metadata(), mark)
                yield message
        except grpc.RpcError as failure:
            conclusion = self._state.failed(cast("FailedRpc", failure))
            if isinstance(conclusion, Refused):
                raise error_for_code(conclusion.code, conclusion.message, conclusion.field) from failure
            raise NetworkError(f"{rpc.name}: the stream broke: {conclusion.reason}") from failure
        except asyncio.CancelledError:
            if _is_being_cancelled():
                raise
            raise NetworkError(f"{rpc.name}: the channel was closed under the stream") from None
        finally:
            call.cancel()


def _unheard(_path: Path, _conclusion: Conclusion[Any]) -> None:
    """With one path, nobody else needs to know how a copy ended."""


def _is_being_cancelled() -> bool:
    """Whether the caller's task is cancelled; gRPC raises the same exception when its channel is closed."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
