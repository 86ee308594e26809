"""Two scripted paths to one remembering engine, for tests of the bridge: asyncio and blocking from one script."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

from transport.contract.codes import ExecutionStatus, ReasonCode, ServingStatus, UpdateKind
from transport.contract.conclusions import Conclusion, NotSent, Refused, Replied, Unknown
from transport.contract.errors import NotSentError
from transport.contract.orders import Order
from transport.contract.path import PathConnected, PathEvent, PathLost, PathRefused
from transport.contract.replies import ExecuteReply, GetOrderReply, Health, MarketDataUpdate, OrderReply, OrderUpdate
from transport.contract.requests import Command, GetOrder, HealthCheck


class FakeEngine:
    """Executes each id once, whatever path it came by."""

    def __init__(self) -> None:
        self.replies: dict[str, OrderReply] = {}
        self.arrivals: list[str] = []
        self.fenced: set[str] = set()
        self.forgotten: set[str] = set()
        self.lock = threading.Lock()

    def execute(self, order: Order) -> Replied[OrderReply]:
        with self.lock:
            self.arrivals.append(order.order_id)
            duplicate = order.order_id in self.replies
            if order.order_id in self.forgotten:
                code, status = ReasonCode.ID_TOO_OLD, ExecutionStatus.REJECTED
                return Replied(OrderReply(order_id=order.order_id, status=status, code=code))
            if order.order_id in self.fenced:
                code, status = ReasonCode.FENCED, ExecutionStatus.REJECTED
                return Replied(OrderReply(order_id=order.order_id, status=status, code=code))
            reply = OrderReply(order_id=order.order_id, status=ExecutionStatus.FILLED, sequence=len(self.replies) + 1)
            return Replied(self.replies.setdefault(order.order_id, reply), duplicate)

    def find(self, query: GetOrder) -> Replied[GetOrderReply]:
        with self.lock:
            if query.order_id in self.forgotten:
                return Replied(GetOrderReply(found=False, fenced=True, code=ReasonCode.ID_TOO_OLD))
            reply = self.replies.get(query.order_id)
            if reply is None and query.fence:
                self.fenced.add(query.order_id)
            fenced = query.order_id in self.fenced
            return Replied(GetOrderReply(found=reply is not None, fenced=fenced, order=reply, reply=reply))


class FakePath:
    """What both flavours share.

    `mode`: works; drops (the order is lost on its way); loses (executes, and the reply is lost); hangs (executes, and
    answers only probes); silent (answers nothing); dead (refuses connections).
    """

    def __init__(self, engine: FakeEngine, journal_id: str = "journal-a") -> None:
        self.engine = engine
        self.mode = "works"
        self.refusal: ReasonCode | None = None
        self.refused_ids: dict[str, ReasonCode] = {}
        self.command_refusal: ReasonCode | None = None
        self.refused = 0
        self.journal_id = journal_id
        self.is_connected = False
        self.closed = False
        self.orders: list[str] = []
        self.batches: list[int] = []
        self.probes = 0
        self.most_singles = 0
        self.connections = 0
        self.updates: list[OrderUpdate] = []
        self.resumed_from: list[int | None] = []
        self._singles = 0
        self._listeners: list[Any] = []

    # ---- what a test does to it ----

    def cut(self, reason: str = "reset") -> None:
        """The connection is reset: nothing gets through until `heal`."""
        self.mode, self.is_connected = "dead", False
        self.tell(PathLost(reason=reason, in_flight=self._singles))
        self.release()

    def heal(self) -> None:
        """The connection is made anew."""
        self.mode = "works"
        self.open()

    def tell(self, event: PathEvent) -> None:
        for listener in self._listeners:
            listener(event)

    def release(self) -> None:
        """Wakes what hangs."""

    def hold(self) -> None:
        """Replies are held back until `release`."""

    # ---- what the bridge asks ----

    def add_listener(self, listener: Any) -> None:
        self._listeners.append(listener)

    def bind_journal(self, journal_id: str) -> None:
        self.bound = journal_id

    def open(self) -> None:
        if self.mode == "dead":
            self.tell(PathRefused(reason="connection refused"))
            raise NotSentError("connection refused")
        self.is_connected = True
        self.connections += 1
        self.tell(PathConnected(journal_id=self.journal_id, epoch=1, connection=self.connections))

    def answer(self, order: Order) -> Conclusion[OrderReply]:
        if self.mode == "dead":
            return NotSent("connection refused")
        refusal = self.refused_ids.get(order.order_id, self.refusal)
        if refusal is not None:
            self.refused += 1
            return Refused(refusal)
        self.orders.append(order.order_id)
        if self.mode == "drops":
            return Unknown("the connection went")
        replied = self.engine.execute(order)
        return Unknown("the connection went") if self.mode == "loses" else replied

    def answer_batch(self, orders: Sequence[Order]) -> Conclusion[list[ExecuteReply]]:
        self.batches.append(len(orders))
        answers = [self.answer(order) for order in orders]
        replied: list[ExecuteReply] = []
        for order, each in zip(orders, answers, strict=True):
            if isinstance(each, Replied):
                replied.append(ExecuteReply(each.reply, each.duplicate))
            elif isinstance(each, Refused) and order.order_id in self.refused_ids:
                replied.append(ExecuteReply(OrderReply(order.order_id, ExecutionStatus.FAILED, code=each.code)))
        return Replied(replied) if len(replied) == len(orders) else Unknown("the connection went")

    def answer_command(self, command: Command) -> Conclusion[Any]:
        if self.mode != "works":
            return NotSent("connection refused") if self.mode == "dead" else Unknown("no answer")
        if self.command_refusal is not None:
            self.refused += 1
            return Refused(self.command_refusal)
        if isinstance(command, GetOrder):
            return self.engine.find(command)
        assert isinstance(command, HealthCheck)
        return Replied(Health(status=ServingStatus.SERVING, journal_id=self.journal_id))

    def answer_probe(self) -> bool:
        self.probes += 1
        return self.mode != "silent" and self.is_connected


class FakeAsyncPath(FakePath):
    """For asyncio."""

    def __init__(self, engine: FakeEngine, journal_id: str = "journal-a") -> None:
        super().__init__(engine, journal_id)
        self._released = asyncio.Event()

    def release(self) -> None:
        self._released.set()

    def hold(self) -> None:
        self.mode = "hangs"
        self._released.clear()

    async def connect(self) -> None:
        self.open()

    async def close(self) -> None:
        self.closed = True

    async def attempt_order(self, order: Order, timeout_ms: float) -> Conclusion[OrderReply]:
        self._singles += 1
        self.most_singles = max(self.most_singles, self._singles)
        try:
            if self.mode in ("hangs", "silent"):
                answer = self.answer(order)
                try:
                    async with asyncio.timeout(timeout_ms / 1_000):
                        await self._released.wait()
                except TimeoutError:
                    return Unknown("no answer in time")
                return Unknown("the connection went") if self.mode == "dead" else answer
            await asyncio.sleep(0)
            return self.answer(order)
        finally:
            self._singles -= 1

    async def attempt_batch(self, orders: Sequence[Order], timeout_ms: float) -> Conclusion[list[ExecuteReply]]:
        await asyncio.sleep(0)
        return self.answer_batch(orders)

    async def attempt(self, command: Command, timeout_ms: float) -> Conclusion[Any]:
        return self.answer_command(command)

    async def probe(self, timeout_ms: float) -> bool:
        await asyncio.sleep(0)
        return self.answer_probe()

    async def subscribe_order_updates(
        self, *, resume_from: int | None = None, accept_gaps: bool = True
    ) -> AsyncIterator[OrderUpdate]:
        self.resumed_from.append(resume_from)
        for update in self.updates:
            if resume_from is None or update.sequence > resume_from:
                yield update
        await asyncio.Event().wait()

    async def stream_market_data(self, symbols: Sequence[str] = ()) -> AsyncIterator[MarketDataUpdate]:
        number = 0
        while True:
            number += 1
            yield MarketDataUpdate(symbol=f"{id(self)}", topic_sequence=number)
            await asyncio.sleep(0.001)


class FakeBlockingPath(FakePath):
    """For threads."""

    def __init__(self, engine: FakeEngine, journal_id: str = "journal-a") -> None:
        super().__init__(engine, journal_id)
        self._released = threading.Event()

    def release(self) -> None:
        self._released.set()

    def hold(self) -> None:
        self.mode = "hangs"
        self._released.clear()

    def connect(self) -> None:
        self.open()

    def close(self) -> None:
        self.closed = True

    def attempt_order(self, order: Order, timeout_ms: float) -> Conclusion[OrderReply]:
        if self.mode not in ("hangs", "silent"):
            return self.answer(order)
        answer = self.answer(order)
        if not self._released.wait(timeout_ms / 1_000):
            return Unknown("no answer in time")
        return Unknown("the connection went") if self.mode == "dead" else answer

    def attempt_batch(self, orders: Sequence[Order], timeout_ms: float) -> Conclusion[list[ExecuteReply]]:
        return self.answer_batch(orders)

    def attempt(self, command: Command, timeout_ms: float) -> Conclusion[Any]:
        return self.answer_command(command)

    def probe(self, timeout_ms: float) -> bool:
        return self.answer_probe()


def update(sequence: int) -> OrderUpdate:
    """An order update with this number."""
    order = OrderReply(order_id="a", status=ExecutionStatus.PENDING, sequence=sequence)
    return OrderUpdate(sequence=sequence, kind=UpdateKind.ACCEPTED, order=order)
