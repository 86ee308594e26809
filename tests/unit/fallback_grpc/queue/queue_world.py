"""A world for the queue's core: a disk that keeps what was committed, and an engine that executes each id once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fallback_grpc.queue.core import QueueCore
from fallback_grpc.queue.entries import Entry, Item
from fallback_grpc.queue.events import QueueEvent
from fallback_grpc.queue.outbox import Conclude, Delete, Insert, Position, Recovered, StoredEntry, Write
from fallback_grpc.queue.sends import SendKind
from fallback_grpc.queue.settings import QueueSettings
from transport.contract.codes import ExecutionStatus, OrderSide, OrderType, ReasonCode
from transport.contract.conclusions import Conclusion, Replied
from transport.contract.orders import Order
from transport.contract.replies import GetOrderReply, OrderCommandReply, OrderReply
from transport.contract.requests import CancelOrder

MS = 1_000_000


def market(order_id: str, quantity: int = 1) -> Order:
    """An urgent order."""
    return Order(
        order_id=order_id, symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(quantity)
    )


def limit(order_id: str, quantity: int = 1) -> Order:
    """An ordinary order."""
    return Order(
        order_id=order_id,
        symbol="NASDAQ",
        order_type=OrderType.LIMIT,
        side=OrderSide.BUY,
        quantity=Decimal(quantity),
        price=Decimal(100),
    )


@dataclass
class Disk:
    """Rows of committed transactions."""

    rows: dict[int, StoredEntry] = field(default_factory=dict[int, StoredEntry])

    def commit(self, writes: Sequence[Write]) -> None:
        for write in writes:
            if isinstance(write, Insert):
                assert write.number not in self.rows
                self.rows[write.number] = StoredEntry(write.number, write.item)
            elif isinstance(write, Conclude):
                self.rows[write.number] = StoredEntry(write.number, self.rows[write.number].item, write.outcome)
            elif isinstance(write, Delete):
                self.rows.pop(write.number, None)
            else:
                assert isinstance(write, Position)

    def recovered(self) -> Recovered:
        return Recovered(tuple(self.rows[number] for number in sorted(self.rows)))


@dataclass
class Engine:
    """Executes, stores replies, fences: what WIRE.md says of ids."""

    executed: dict[str, Order] = field(default_factory=dict[str, Order])
    replies: dict[str, OrderReply] = field(default_factory=dict[str, OrderReply])
    fenced: set[str] = field(default_factory=set[str])
    commands: dict[str, OrderCommandReply] = field(default_factory=dict[str, OrderCommandReply])

    def take(self, item: Item, kind: SendKind) -> Any:
        if kind is SendKind.FENCE:
            return self.get(item.order_id, fence=True)
        return self.cancel(item) if isinstance(item, CancelOrder) else self.execute(item)

    def execute(self, order: Order) -> OrderReply:
        if order.order_id in self.fenced:
            return OrderReply(order.order_id, ExecutionStatus.REJECTED, code=ReasonCode.FENCED)
        known = self.executed.setdefault(order.order_id, order)
        assert known == order, "the same id with other content"
        sequence = len(self.replies) + 1
        reply = OrderReply(order.order_id, ExecutionStatus.FILLED, sequence=sequence)
        return self.replies.setdefault(order.order_id, reply)

    def cancel(self, command: CancelOrder) -> OrderCommandReply:
        fenced = command.order_id not in self.executed
        if fenced:
            self.fenced.add(command.order_id)
        code = ReasonCode.UNKNOWN_ORDER if fenced else ReasonCode.ORDER_CLOSED
        reply = OrderCommandReply(command_id=command.command_id, code=code, fenced=fenced)
        return self.commands.setdefault(command.command_id, reply)

    def get(self, order_id: str, *, fence: bool = False) -> GetOrderReply:
        if order_id in self.executed:
            reply = self.replies[order_id]
            return GetOrderReply(found=True, order=reply, reply=reply)
        if fence:
            self.fenced.add(order_id)
        return GetOrderReply(fenced=order_id in self.fenced, code=ReasonCode.UNKNOWN_ORDER)


class World:
    """One core, driven step by step; `crash` makes the next one from the disk."""

    def __init__(self, **settings: Any) -> None:
        self.settings = QueueSettings(**settings)
        self.disk = Disk()
        self.engine = Engine()
        self.now_ns = 1_000 * MS
        self.told: list[QueueEvent] = []
        self.core = QueueCore(self.settings)
        self.core.paths_usable(True)

    def pass_ms(self, milliseconds: float) -> None:
        self.now_ns += int(milliseconds * MS)

    def put(self, item: Item, **options: Any) -> Entry:
        return self.core.admit(item, self.now_ns, **options)

    def commit(self) -> list[Entry]:
        """Commits everything that waits."""
        changed: list[Entry] = []
        self.core.hurry_writes()
        while writes := self.core.take_writes(self.now_ns):
            self.disk.commit(writes)
            changed += self.core.committed(self.now_ns)
            self.core.hurry_writes()
        return changed

    def sends(self) -> list[list[str]]:
        """What is sent now, by message: ids."""
        return [[entry.key[1] for entry in entries] for _, entries in self.take_sends()]

    def take_sends(self) -> list[tuple[SendKind, tuple[Entry, ...]]]:
        return [(send.kind, send.entries) for send in self.core.next_sends(self.now_ns)]

    def end(self, entry: Entry, conclusion: Conclusion[Any]) -> None:
        self.core.ended(entry, conclusion, self.now_ns)

    def answer(self, entry: Entry, kind: SendKind = SendKind.ORDER) -> None:
        self.end(entry, Replied(self.engine.take(entry.item, kind)))

    def answer_all(self) -> None:
        """Sends and answers until nobody is left to be sent."""
        while sends := self.take_sends():
            for kind, entries in sends:
                for entry in entries:
                    self.answer(entry, kind)

    def events(self) -> list[QueueEvent]:
        """The events since the last look."""
        new: list[QueueEvent] = []
        while (event := self.core.next_event()) is not None:
            new.append(event)
        self.told += new
        return new

    def crash(self) -> None:
        """The client dies; the next one finds what was committed."""
        self.core = QueueCore(self.settings, self.disk.recovered())
        self.core.paths_usable(True)
