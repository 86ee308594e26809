"""A small engine in this process, from the generated servicer: remembers replies by id, and fails as it is told."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from examples.rig.held_ports import HeldPorts
from fallback_grpc.generated import execution_pb2 as pb
from fallback_grpc.generated import execution_pb2_grpc as pb_grpc
from transport.contract.config import BridgeConfig

BUSY = (grpc.StatusCode.RESOURCE_EXHAUSTED, (("x-reason", "BUSY"), ("x-reason-code", "100")))
SHUTTING_DOWN = (grpc.StatusCode.UNAVAILABLE, (("x-reason", "SHUTTING_DOWN"), ("x-reason-code", "101")))
WRONG_JOURNAL = (grpc.StatusCode.FAILED_PRECONDITION, (("x-reason", "JOURNAL_ID_MISMATCH"), ("x-reason-code", "102")))
STATE_REGRESSED = (grpc.StatusCode.FAILED_PRECONDITION, (("x-reason", "STATE_REGRESSED"), ("x-reason-code", "109")))


class StubEngine(pb_grpc.ExecutionServiceServicer):
    """Each entry of `refuse` refuses one request; of `lose_replies`, executes one and breaks its stream."""

    def __init__(self, journal_id: str = "journal-a") -> None:
        self.journal_id = journal_id
        self.replies: dict[str, pb.OrderResponse] = {}
        self.received: list[str] = []
        self.messages: list[Any] = []
        self.metadata: list[dict[str, str]] = []
        self.duplicates = 0
        self.refuse: deque[Any] = deque()
        self.lose_replies: deque[grpc.StatusCode] = deque()
        self.refuse_after_loss: deque[Any] = deque()
        self.break_stream_after: int | None = None
        self.short_answers = 0
        self.updates: list[pb.OrderResponse] = []
        # Where a subscription from now begins; None: it is sent all there are, and not told where it began.
        self.updates_from_now_after: int | None = None
        self.updates_after_break: list[pb.OrderResponse] = []
        self.end_updates: deque[Any] = deque()
        self.subscriptions: list[pb.OrderSubscriptionRequest] = []
        self.hold = threading.Event()
        self.hold.set()
        self._lock = threading.Lock()
        self._server: grpc.Server | None = None
        self._ports = HeldPorts()
        self.port = int(self._ports.chosen("127.0.0.1:0").rpartition(":")[2])

    # ---- life ----

    def start(self) -> StubEngine:
        self._server = grpc.server(ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
        pb_grpc.add_ExecutionServiceServicer_to_server(self, self._server)
        assert self._server.add_insecure_port(f"127.0.0.1:{self.port}") == self.port
        self._server.start()
        return self

    def stop(self) -> None:
        self.hold.set()
        if self._server is not None:
            self._server.stop(None).wait(5)
            self._server = None

    def config(self, **changes: Any) -> BridgeConfig:
        settings: dict[str, Any] = {
            "grpc_endpoint": f"127.0.0.1:{self.port}", "reconnect_min_ms": 5.0,
            # A machine may stand still for seconds: only a test ends a call.
            "connect_timeout_ms": 10_000.0, "call_timeout_ms": 20_000.0,
        }  # fmt: skip
        return BridgeConfig(**(settings | changes))

    # ---- what every request goes through ----

    def _enter(self, context: Any) -> None:
        metadata = dict(context.invocation_metadata())
        self.metadata.append(metadata)
        if metadata.get("x-journal-id", self.journal_id) != self.journal_id:
            self._fail(context, WRONG_JOURNAL)
        if self.refuse:
            self._fail(context, self.refuse.popleft())

    def _fail(self, context: Any, refusal: Any) -> None:
        status, trailers = refusal
        context.set_trailing_metadata(trailers)
        context.abort(status, "as scripted")

    def _execute(self, order: pb.TradeOrder) -> tuple[pb.OrderResponse, bool]:
        with self._lock:
            self.received.append(order.order_id)
            self.messages.append(order)
            duplicate = order.order_id in self.replies
            self.duplicates += duplicate
            if not duplicate:
                self.replies[order.order_id] = pb.OrderResponse(
                    order_id=order.order_id, status=pb.FILLED, sequence=len(self.replies) + 1, symbol=order.symbol
                )
            return self.replies[order.order_id], duplicate

    def _lose(self, context: Any) -> None:
        if self.lose_replies:
            self.refuse.extend(self.refuse_after_loss)
            context.abort(self.lose_replies.popleft(), "the connection broke, as scripted")

    def _headers(self, context: Any, duplicate: bool = False, more: tuple[tuple[str, str], ...] = ()) -> None:
        stored = (("x-duplicate", "1"),) if duplicate else ()
        context.send_initial_metadata((("x-journal-id", self.journal_id), ("x-epoch", "1"), *stored, *more))

    # ---- the service ----

    def ExecuteOrder(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter(context)
        reply, duplicate = self._execute(request)
        self._lose(context)
        self.hold.wait(10)
        self._headers(context, duplicate)
        return reply

    def ExecuteBatch(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter(context)
        response = pb.ExecuteBatchResponse()
        for order in request.orders:
            reply, duplicate = self._execute(order)
            response.replies.append(reply)
            response.replies[-1].duplicate = duplicate
        if self.short_answers:
            self.short_answers -= 1
            del response.replies[-1]
        self._lose(context)
        self._headers(context)
        return response

    def ExecuteBatchOrders(self, requests: Any, context: Any) -> Any:  # noqa: N802
        self._enter(context)
        self._headers(context)
        for count, order in enumerate(requests):
            reply, _ = self._execute(order)
            if self.break_stream_after == count:
                self.break_stream_after = None
                context.abort(grpc.StatusCode.UNAVAILABLE, "the stream broke, as scripted")
            yield reply

    def CancelOrder(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter(context)
        self.messages.append(request)
        self._lose(context)
        self._headers(context)
        return pb.OrderCommandResponse(command_id=request.command_id, fenced=True, code=pb.UNKNOWN_ORDER)

    def GetOrder(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter(context)
        self._headers(context)
        reply = self.replies.get(request.order_id)
        return pb.GetOrderResponse(found=reply is not None, fenced=request.fence and reply is None, reply=reply)

    def HealthCheck(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._headers(context)
        return pb.HealthCheckResponse(
            status=pb.HealthCheckResponse.SERVING, journal_id=self.journal_id, epoch=1, duplicates=self.duplicates
        )

    def SubscribeOrderUpdates(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter(context)
        self.subscriptions.append(request)
        after = request.resume_from if request.HasField("resume_from") else self.updates_from_now_after
        self._headers(context, more=() if after is None else (("x-last-sequence", str(after)),))
        for update in self.updates:
            if after is None or update.sequence > after:
                yield update
        if self.end_updates:
            ending = self.end_updates.popleft()
            if self.updates_after_break:
                # A status that comes together with the headers hides them from a client of grpc.aio.
                threading.Event().wait(0.1)
                self.updates.extend(self.updates_after_break)
            if ending is not None:
                self._fail(context, ending)
            return
        while context.is_active() and self._server is not None:
            threading.Event().wait(0.01)

    def StreamMarketData(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._headers(context)
        yield pb.MarketDataUpdate(symbol=request.symbols[0] if request.symbols else "ALL", bid=1.5, topic_sequence=1)
