"""The full contract over gRPC, for threads.

One client may be used by any number of threads. gRPC does not survive a fork: a client used in a child process
raises `ForkedProcessError`. An iterator belongs to the thread that reads it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, Self, TypeVar, cast

import grpc

from fallback_grpc import service
from fallback_grpc.blocking_calls import BlockingCalls
from fallback_grpc.channel import ChannelSettings, open_channel, refuse_too_large
from fallback_grpc.failover.blocking import ThreadGate, drive
from fallback_grpc.failover.breaker import NS_PER_MS
from fallback_grpc.failover.plan import CallPlan, PlanPolicy
from fallback_grpc.failover.updates import UpdateCursor, is_final, last_sequence_of
from fallback_grpc.outcome import Done, Subject, done_or_raise, subject_of_command, subject_of_orders, whole_batch
from fallback_grpc.path_state import GrpcPathState
from fallback_grpc.service import Rpc, UpdatesFrom
from fallback_grpc.status import FailedRpc, Metadata
from transport.contract.conclusions import Conclusion, NotSent, Refused, Replied, Unknown
from transport.contract.config import BridgeConfig
from transport.contract.errors import ExecutionBridgeError, NetworkError, NotSentError, error_for_code
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


class BlockingGrpcClient(BlockingCalls):
    """`GrpcClient`, for threads."""

    def __init__(self, config: BridgeConfig, *, channel_settings: ChannelSettings | None = None) -> None:
        self._config = config
        self._channel_settings = channel_settings or ChannelSettings.of(config)
        self._state = GrpcPathState(config)
        self._policy = PlanPolicy(retries=config.retries)
        self._gate = ThreadGate()
        self._silent_probes = 0
        self._open()

    # ---- the path ----

    def connect(self) -> None:
        """Asks for the engine's health, within `connect_timeout_ms`.

        Raises `NotSentError` if nobody answers there, or what the engine refused with.
        """
        deadline_ns = time.monotonic_ns() + int(self._config.connect_timeout_ms * NS_PER_MS)
        while True:
            left_ms = (deadline_ns - time.monotonic_ns()) / NS_PER_MS
            conclusion = self.attempt(HealthCheck(), max(left_ms, 1.0))
            if isinstance(conclusion, Replied):
                self._set_lease()
                return
            if isinstance(conclusion, Refused):
                raise error_for_code(conclusion.code, conclusion.message, conclusion.field)
            if left_ms <= self._config.reconnect_min_ms:
                raise NotSentError(f"no engine answers over gRPC at {self._config.grpc_endpoint}: {conclusion.reason}")
            self._pause_ms(self._config.reconnect_min_ms)

    def close(self) -> None:
        """Closes the channel; calls in flight end as unknown. In a child process it does nothing."""
        if not self._state.is_closed and not self._state.is_inherited:
            self._state.is_closed = True
            self._gate.wake()
            self._channel.close()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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

    def attempt_order(self, order: Order, timeout_ms: float) -> Conclusion[OrderReply]:
        """One copy of one order."""
        return self._attempt(service.EXECUTE_ORDER, order, timeout_ms)

    def attempt_batch(self, orders: Sequence[Order], timeout_ms: float) -> Conclusion[list[ExecuteReply]]:
        """One copy of a batch, as one message."""
        return whole_batch(self._attempt(service.EXECUTE_BATCH, orders, timeout_ms), len(orders))

    def attempt(self, command: Command, timeout_ms: float) -> Conclusion[CommandReplies]:
        """One copy of a command or query."""
        return self._attempt(service.rpc_of(command), command, timeout_ms)

    def probe(self, timeout_ms: float) -> bool:
        """Whether the engine answers a health check just now."""
        conclusion = self.attempt(HealthCheck(), timeout_ms)
        if isinstance(conclusion, Replied | Refused):
            self._silent_probes = 0
            if isinstance(conclusion, Replied) and self._state.is_connected:
                return self._has_what_was_seen(timeout_ms)
            return False
        self._silent_probes = 0 if isinstance(conclusion, NotSent) else self._silent_probes + 1
        if self._silent_probes >= _SILENT_PROBES_TO_REOPEN and not self._state.is_closed:
            self._silent_probes = 0
            old = self._channel
            self._open()
            self._state.lost("the connection went silent")
            old.close()
        return False

    def _attempt(self, rpc: Rpc[AskT, ReplyT], ask: AskT, timeout_ms: float) -> Conclusion[ReplyT]:
        self._state.check_process()
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
            unknown = self._ask_again(timeout_ms)
            if unknown is not None:
                return unknown
        too_large = refuse_too_large(request.ByteSize(), self._channel_settings)
        if too_large is not None:
            return too_large
        state = self._state
        mark = state.mark()
        state.in_flight += 1
        try:
            reply, call = self._methods[rpc.name].with_call(
                request, timeout=timeout_ms / 1_000, metadata=state.metadata
            )
            duplicate = state.replied(call.initial_metadata(), mark)
        except grpc.RpcError as failure:
            return state.failed(cast("FailedRpc", failure))
        except ValueError as problem:  # what gRPC says of a channel that was closed meanwhile: it sends nothing then
            if "closed channel" in str(problem):
                return NotSent(str(problem))
            raise
        finally:
            state.in_flight -= 1
        answer = rpc.from_pb(reply)
        state.check_answer(answer, mark, duplicate=duplicate)
        refusal = state.refusal() if isinstance(answer, Health) else None
        return refusal or Replied(answer, duplicate)

    def _ask_again(self, timeout_ms: float) -> Refused | NotSent | None:
        """After a loss, no order goes out before the engine has said again who it is; None: it has."""
        conclusion = self.attempt(HealthCheck(), timeout_ms)
        if isinstance(conclusion, Replied):
            return None
        return NotSent(conclusion.reason) if isinstance(conclusion, Unknown) else conclusion

    def _has_what_was_seen(self, timeout_ms: float) -> bool:
        """Once per connection: whether the engine has come as far as this client has seen. A subscription says so."""
        seen = self._state.position_to_check(self._config.account)
        if seen is None:
            return True
        rpc = service.SUBSCRIBE_ORDER_UPDATES
        channel: Any = self._channel
        request = rpc.request(UpdatesFrom(self._config.account, seen, True))
        call: Any = None
        try:
            method: Any = channel.unary_stream(
                rpc.method, request_serializer=rpc.serialise, response_deserializer=rpc.parse
            )
            call = method(request, timeout=timeout_ms / 1_000, metadata=self._state.metadata)
            if last_sequence_of(call.initial_metadata()) is None:
                next(call, None)  # raises what it was refused with
            return self._state.position_checked(None)
        except grpc.RpcError as failure:
            return self._state.position_checked(self._state.failed(cast("FailedRpc", failure)))
        except ValueError:  # the channel was closed meanwhile
            return False
        finally:
            if call is not None:
                call.cancel()

    def _open(self) -> None:
        self._channel: grpc.Channel = open_channel(self._config.grpc_endpoint, self._channel_settings)
        channel: Any = self._channel
        self._methods: dict[str, Any] = {
            rpc.name: channel.unary_unary(rpc.method, request_serializer=rpc.serialise, response_deserializer=rpc.parse)
            for rpc in service.UNARY_RPCS
        }

    # ---- the contract ----

    def _order(self, order: Order, timeout_ms: float, *, in_doubt: bool = False) -> Done[OrderReply]:
        def attempt(_: Path, copy_ms: float) -> Conclusion[OrderReply]:
            return self.attempt_order(order, copy_ms)

        return self._conclude(attempt, subject_of_orders((order,)), timeout_ms, in_doubt)

    def _batch(self, orders: Sequence[Order], timeout_ms: float) -> Done[list[ExecuteReply]]:
        def attempt(_: Path, copy_ms: float) -> Conclusion[list[ExecuteReply]]:
            return self.attempt_batch(orders, copy_ms)

        return self._conclude(attempt, subject_of_orders(orders), timeout_ms, False)

    def _command(self, command: Command, timeout_ms: float) -> Done[CommandReplies]:
        def attempt(_: Path, copy_ms: float) -> Conclusion[CommandReplies]:
            return self.attempt(command, copy_ms)

        return self._conclude(attempt, subject_of_command(command), timeout_ms, False)

    def _conclude(self, attempt: Any, subject: Subject, timeout_ms: float, in_doubt: bool) -> Done[Any]:
        if not in_doubt:
            self._state.check_alive()
        deadline_ns = time.monotonic_ns() + int(timeout_ms * NS_PER_MS)
        plan = CallPlan(self._policy, deadline_ns=deadline_ns, in_doubt=in_doubt)
        state = self._state
        end, conclusion = drive(
            plan, attempt, lambda: _ONLY_PATH, self._gate, _unheard, stopped=lambda: state.stopped is not None
        )
        return done_or_raise(plan, end, conclusion, subject, state.stopped, path_alive=state.is_connected)

    def health_check(self, *, timeout_ms: float | None = None) -> Health:
        """How the engine is."""
        return self._engine_health(timeout_ms)

    def stream_market_data(self, symbols: Sequence[str] = ()) -> Iterator[MarketDataUpdate]:
        """The market of some symbols, or of all. Reconnects by itself; what was missed meanwhile is lost."""
        rpc = service.STREAM_MARKET_DATA
        while True:
            try:
                with closing(self._stream(rpc, rpc.request(symbols))) as messages:
                    for message in messages:
                        yield rpc.from_pb(message)
            except NetworkError:
                self._state.check_alive()
            self._pause_ms(self._config.reconnect_min_ms)

    def subscribe_order_updates(
        self, *, resume_from: int | None = None, accept_gaps: bool = True
    ) -> Iterator[OrderUpdate | UpdateGap]:
        """Every update of the account, once and in order; see `GrpcClient.subscribe_order_updates`."""
        cursor = UpdateCursor(resume_from)
        rpc = service.SUBSCRIBE_ORDER_UPDATES

        def begun(headers: Metadata | None) -> None:
            cursor.began(last_sequence_of(headers))

        while True:
            ask = UpdatesFrom(self._config.account, cursor.resume_from, accept_gaps)
            try:
                with closing(self._stream(rpc, rpc.request(ask), on_headers=begun)) as messages:
                    for message in messages:
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
            self._pause_ms(self._config.reconnect_min_ms)

    def _pause_ms(self, pause_ms: float) -> None:
        self._gate.pause(time.monotonic_ns() + int(pause_ms * NS_PER_MS), lambda: self._state.is_closed)

    def _stream(
        self, rpc: Rpc[Any, Any], request: Any, *, on_headers: Callable[[Metadata | None], None] | None = None
    ) -> Generator[Any, None, None]:
        self._state.check_alive()
        channel: Any = self._channel
        method: Any = channel.unary_stream(
            rpc.method, request_serializer=rpc.serialise, response_deserializer=rpc.parse
        )
        mark = self._state.mark()
        call = method(request, metadata=self._state.metadata)
        heard = False
        try:
            if on_headers is not None:
                on_headers(call.initial_metadata())
            for message in call:
                if not heard:
                    heard = True
                    self._state.replied(call.initial_metadata(), mark)
                yield message
        except grpc.RpcError as failure:
            conclusion = self._state.failed(cast("FailedRpc", failure))
            if isinstance(conclusion, Refused):
                raise error_for_code(conclusion.code, conclusion.message, conclusion.field) from failure
            raise NetworkError(f"{rpc.name}: the stream broke: {conclusion.reason}") from failure
        finally:
            call.cancel()


def _unheard(_path: Path, _conclusion: Conclusion[Any]) -> None:
    """With one path, nobody else needs to know how a copy ended."""
