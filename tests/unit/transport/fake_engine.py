"""A scripted engine for the clients' tests: a pyzmq ROUTER in a thread, speaking the protocol by the portable codec."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Self

import zmq

from examples.rig.held_ports import HeldPorts
from tests.waiting import eventually
from transport.contract import (
    BridgeConfig,
    CancelAllOrders,
    CancelOrder,
    CommandReply,
    ExecuteReply,
    ExecutionStatus,
    GetOrder,
    GetOrderReply,
    Health,
    HealthCheck,
    Order,
    OrderCommandReply,
    OrderReply,
    PublishQuotes,
    ReasonCode,
    ReplaceOrder,
    ServingStatus,
    SetTradingState,
    SubscribeOrderUpdates,
)
from transport.wire.messages import (
    BatchReply,
    ExecuteBatch,
    ExecuteOrder,
    Hello,
    Limits,
    Refusal,
    SubscribeReply,
    Welcome,
)
from transport.wire.portable import decode_message, encode_message

JOURNAL = "0190aaaa-0000-7000-8000-000000000001"


def filled(order: Order, sequence: int = 1) -> OrderReply:
    return OrderReply(
        order_id=order.order_id,
        status=ExecutionStatus.FILLED,
        exchange_order_id="X1",
        executed_quantity=order.quantity,
        executed_price=Decimal("100.25"),
        execution_time_ns=1_700_000_000_000_000_000,
        account=order.account,
        order_version=1,
        sequence=sequence,
        symbol=order.symbol,
        order_type=order.order_type,
        side=order.side,
        quantity=order.quantity,
        price=order.price,
    )


class FakeEngine:
    """Answers like an engine, unless `script` says otherwise.

    `script(identity, correlation, body)` returns True where it has handled a message; `send` and `hang_up` are its
    means. Orders are remembered: a second copy of an id is answered with `duplicate`.
    """

    def __init__(self, endpoint: str = "tcp://127.0.0.1:0") -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._ports = HeldPorts()
        self._wanted = self._ports.chosen(endpoint)
        self.endpoint = ""
        self.journal_id = JOURNAL
        self.epoch = 1
        self.last_sequence = 0
        self.limits = Limits(max_message_bytes=1 << 20, max_batch_orders=1000, max_in_flight=1024)
        self.pub_endpoint = ""
        self.script: Callable[[bytes, int, Any], bool] = lambda _identity, _correlation, _body: False
        self.received: list[Any] = []
        self.replies: dict[str, OrderReply] = {}
        self.duplicates = 0
        self._commands: list[Callable[[], None]] = []
        self._stop = threading.Event()
        self._socket: zmq.Socket[bytes] | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.silence()
        self._context.destroy(linger=0)

    def config(self, **changes: Any) -> BridgeConfig:
        """A client's settings under which only a test ends a path or a call, however long the machine stands still."""
        patient = {"heartbeat_timeout_ms": 10_000, "connect_timeout_ms": 10_000, "call_timeout_ms": 20_000}
        return BridgeConfig(**({"zmq_endpoint": self.endpoint} | patient | changes))

    def listen(self) -> None:
        """Accept connections, at the same endpoint as before if there was one."""
        self._stop.clear()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 200)
        # Unbounded: libzmq 4.3.5 aborts the process where a socket at its mark has a peer with heartbeats.
        self._socket.setsockopt(zmq.RCVHWM, 0)
        # libzmq closes the old socket in the background: its port becomes free a little later.
        eventually(self._bind, "the port is free again")
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _bind(self) -> bool:
        assert self._socket is not None
        try:
            self._socket.bind(self.endpoint or self._wanted)
        except zmq.ZMQError:
            return False
        return True

    def silence(self) -> None:
        """Close all connections and the endpoint."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)

    def send(self, identity: bytes, correlation: int, body: Any) -> None:
        self.send_bytes(identity, encode_message(correlation, "", body))

    def send_bytes(self, identity: bytes, data: bytes) -> None:
        assert self._socket is not None
        self._socket.send_multipart([identity, data])

    def flood(self, identity: bytes, data: bytes, *, at_most: int) -> int:
        """Send `data` until the connection takes no more for a second, or `at_most` times; in the engine's thread."""
        assert self._socket is not None
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.SNDTIMEO, 1000)
        sent = 0
        while sent < at_most:
            try:
                self._socket.send_multipart([identity, data])
            except zmq.Again:
                break
            sent += 1
        return sent

    def later(self, action: Callable[[], None]) -> None:
        """Run `action` in the engine's thread."""
        self._commands.append(action)

    def _serve(self) -> None:
        socket = self._socket
        assert socket is not None
        while not self._stop.is_set():
            while self._commands:
                self._commands.pop(0)()
            if socket.poll(5):
                identity, data = socket.recv_multipart()
                correlation, journal_id, body = decode_message(data)
                self.received.append(body)
                if not self.script(identity, correlation, body):
                    self.answer(identity, correlation, journal_id, body)
        socket.close()

    def answer(self, identity: bytes, correlation: int, journal_id: str, body: Any) -> None:
        if isinstance(body, Hello):
            self.send(identity, correlation, self.welcome())
        elif journal_id != self.journal_id and not isinstance(body, HealthCheck):
            self.send(identity, correlation, Refusal(code=ReasonCode.JOURNAL_ID_MISMATCH, journal_id=self.journal_id))
        else:
            self.send(identity, correlation, self.reply_to(body))

    def welcome(self) -> Welcome:
        return Welcome(
            protocol_version=1,
            contract_version=1,
            journal_id=self.journal_id,
            epoch=self.epoch,
            engine_version="fake",
            limits=self.limits,
            last_sequence=self.last_sequence,
            pub_endpoint=self.pub_endpoint,
        )

    def execute(self, order: Order) -> ExecuteReply:
        known = self.replies.get(order.order_id)
        if known is not None:
            self.duplicates += 1
            return ExecuteReply(known, True)
        self.last_sequence += 1
        reply = self.replies[order.order_id] = filled(order, self.last_sequence)
        return ExecuteReply(reply)

    def reply_to(self, body: Any) -> Any:
        match body:
            case ExecuteOrder(order=order):
                return self.execute(order)
            case ExecuteBatch(orders=orders):
                return BatchReply([self.execute(order) for order in orders])
            case CancelOrder() | ReplaceOrder():
                return OrderCommandReply(command_id=body.command_id, order=self.replies.get(body.order_id))
            case CancelAllOrders() | SetTradingState():
                return CommandReply(command_id=body.command_id, affected=2)
            case PublishQuotes():
                return CommandReply(command_id=body.command_id, affected=len(body.quotes))
            case GetOrder():
                reply = self.replies.get(body.order_id)
                return GetOrderReply(found=reply is not None, fenced=body.fence and reply is None, order=reply)
            case HealthCheck():
                return Health(status=ServingStatus.SERVING, journal_id=self.journal_id, duplicates=self.duplicates)
            case SubscribeOrderUpdates():
                return SubscribeReply(body.account or "default", self.last_sequence)
            case _:
                return Refusal(code=ReasonCode.NOT_IMPLEMENTED)
