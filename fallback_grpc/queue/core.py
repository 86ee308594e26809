"""The queue without I/O: who is taken, written, sent, sent again, and what the application is told. Pure.

The shell (`order_queue.py`) does what this says, and tells it what came of that. Time is an argument, monotonic
nanoseconds. For one event loop.

What is promised, and where it is kept:

- nothing is sent before its row is on disk: only `committed` makes an entry STORED, and only STORED is sent;
- an order is sent until it is answered, always with the same content: `ended` has no way out of an order but an answer,
  a refusal of one that is not in doubt, or a fence;
- a receipt comes before the result: `_order_replied` and `_recover` see to it;
- what was told is told the same after a crash: `_conclude` waits for the disk where the engine would not say it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from fallback_grpc.queue.asks import AskSchedule
from fallback_grpc.queue.entries import Entry, Item, QueueFullError, Stage, is_same, key_of
from fallback_grpc.queue.events import (
    FINAL,
    CancelResult,
    FinalEvent,
    NotStored,
    QueueEvent,
    Refused,
    Result,
    Untraceable,
    Withdrawn,
)
from fallback_grpc.queue.outbox import Conclude, Delete, Insert, OutboxError, Recovered, Write
from fallback_grpc.queue.pending_writes import PendingWrites
from fallback_grpc.queue.sends import PASSING_REFUSALS, Send, batch_of, single_kind
from fallback_grpc.queue.settings import QueueSettings
from fallback_grpc.queue.told import EventLog, about
from fallback_grpc.queue.waiting_line import DelayedEntries, WaitingLine
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import Conclusion, NotSent, Replied
from transport.contract.conclusions import Refused as RefusedCopy
from transport.contract.errors import ExecutionBridgeError, ValidationError
from transport.contract.orders import Order
from transport.contract.replies import GetOrderReply, OrderCommandReply, OrderReply
from transport.contract.requests import CancelOrder

NS_PER_MS: Final = 1_000_000


class QueueCore:
    """The state of one queue."""

    def __init__(self, settings: QueueSettings, recovered: Recovered | None = None) -> None:
        """`recovered`: what the outbox held; unanswered entries are in doubt, answered ones are told again."""
        self._settings = settings
        self._entries: dict[int, Entry] = {}
        self._by_key: dict[tuple[bool, str], Entry] = {}
        self._line = WaitingLine(settings.urgent_streak)
        self._delayed = DelayedEntries()
        self._asks = AskSchedule(settings.receipt_after_ms, settings.retry_max_ms, settings.most_asks)
        self._in_flight = 0
        self._most_per_batch = settings.batch_orders
        self._setbacks = {True: 0, False: 0}
        self._writes = PendingWrites(int(settings.write_patience_ms * NS_PER_MS), settings.writes_at_once)
        self._told = EventLog()
        self._usable = False
        self.halted: ExecutionBridgeError | None = None
        """Why nothing is sent any more, if so."""
        self.unfinished_count = 0
        """Entries without a final event."""
        self._next_number = 1
        for stored in recovered.entries if recovered is not None else ():
            self._recover(Entry(stored.number, stored.item, recovered=True), stored.outcome)

    def _recover(self, entry: Entry, outcome: FinalEvent | None) -> None:
        self._next_number = entry.number + 1
        entry.stage, entry.is_stored, entry.in_doubt = Stage.STORED, True, True
        self._entries[entry.number] = self._by_key[entry.key] = entry
        self.unfinished_count += 1
        if outcome is None:
            self._line.add(entry)
            return
        if isinstance(outcome, Result):
            self._told.received(entry, outcome.reply.sequence)
        self._finish(entry, outcome)

    # ---- admission ----

    @property
    def occupied(self) -> int:
        """Entries from admission until their rows are deleted."""
        return len(self._entries)

    @property
    def free_places(self) -> int:
        """Orders that `admit` would take."""
        return self._settings.capacity - len(self._entries)

    def has_room(self, item: Item) -> bool:
        """Whether `admit` would take it."""
        capacity = self._settings.capacity
        if isinstance(item, CancelOrder):
            capacity += max(capacity // 10, 1)
        return len(self._entries) < capacity

    def known(self, item: Item) -> Entry | None:
        """The entry that this is another copy of; raises `ValidationError` if the id stands for something else."""
        entry = self._by_key.get(key_of(item))
        if entry is not None and not is_same(entry.item, item):
            raise ValidationError(
                f"order_id: {entry.key[1]} stands for another order in this queue, and that one stands",
                field="order_id",
                code=ReasonCode.DUPLICATE_ORDER_ID,
            )
        return entry

    def admit(self, item: Item, now_ns: int, *, waited_for: bool = True) -> Entry:
        """Takes an order or cancel. The same one again is the same entry. Raises `QueueFullError`."""
        if (known := self.known(item)) is not None:
            return known
        if not self.has_room(item):
            raise QueueFullError(f"queue: {len(self._entries)} entries wait or are not acknowledged")
        entry = Entry(self._next_number, item, waited_for=waited_for)
        self._next_number += 1
        self._entries[entry.number] = self._by_key[entry.key] = entry
        self.unfinished_count += 1
        self._writes.add(Insert(entry.number, item), now_ns, urgent=True)
        return entry

    def withdraw(self, order_id: str, now_ns: int) -> Entry | None:
        """Cancels an order that no run has sent; its `Withdrawn` follows. None: only the engine can cancel it."""
        entry = self._by_key.get((False, order_id))
        if entry is None or entry.may_be_out or not isinstance(entry.item, Order):
            return None
        if entry.stage is Stage.STORED:
            self._settle(entry, Withdrawn(**about(entry)), now_ns)
            entry.is_withdrawn = True
        if entry.stage is Stage.ADMITTED:
            entry.move(Stage.SETTLING)  # what `committed` finds when the row is there
            entry.is_withdrawn = True
        return entry if entry.is_withdrawn else None

    # ---- the disk ----

    def write_due_ns(self) -> int | None:
        """When `take_writes` has something."""
        return self._writes.due_ns()

    def take_writes(self, now_ns: int) -> list[Write]:
        """The next transaction, if one is due; end it with `committed` or `commit_failed`."""
        return self._writes.take(now_ns)

    def hurry_writes(self) -> None:
        """Callers wait for room: what is acknowledged shall leave the disk now."""
        self._writes.hurry()

    def set_position(self, sequence: int) -> None:
        """The account's last update that was dealt with; written along with what comes next."""
        self._writes.set_position(sequence)

    @property
    def is_written(self) -> bool:
        """Whether nothing waits to be written."""
        return self._writes.is_empty

    def committed(self, now_ns: int) -> list[Entry]:
        """The transaction is on disk. Returns the entries whose rows are there from now on."""
        changed: list[Entry] = []
        for write in self._writes.committed():
            if isinstance(write, Delete):
                self._remove(write.number)
            elif isinstance(write, Insert):
                entry = self._entries[write.number]
                entry.is_stored = True
                changed.append(entry)
                if entry.is_withdrawn:
                    self._settle(entry, Withdrawn(**about(entry)), now_ns)
                else:
                    entry.move(Stage.STORED)
                    self._line.add(entry)
            elif isinstance(write, Conclude) and self._entries[write.number].stage is Stage.SETTLING:
                self._finish(self._entries[write.number], write.outcome)
        return changed

    def commit_failed(self, problem: OutboxError, now_ns: int) -> list[Entry]:
        """The transaction failed. Returns the entries that are not taken after all; none of them was sent."""
        retry_at_ns = now_ns + int(self._settings.retry_max_ms * NS_PER_MS)
        refused: list[Entry] = []
        for insert in self._writes.failed(retry_at_ns, may_be_stored=problem.may_be_stored):
            entry = self._entries[insert.number]
            refused.append(entry)
            if entry.waited_for:
                self._remove(entry.number)
                continue
            outcome = NotStored(**about(entry), reason=str(problem), may_be_stored=problem.may_be_stored)
            self._finish(entry, outcome)
        return refused

    def _remove(self, number: int) -> None:
        entry = self._entries.pop(number, None)
        if entry is None:
            return
        self.unfinished_count -= entry.outcome is None
        if self._by_key.get(entry.key) is entry:
            del self._by_key[entry.key]

    # ---- sending ----

    def paths_usable(self, usable: bool) -> None:
        """Whether the client has a path. When one is back, everybody goes at once."""
        if usable and not self._usable:
            self._line.release()
            self._delayed.hasten()
        self._usable = usable

    def halt(self, problem: ExecutionBridgeError) -> None:
        """Sends nothing from now on: it would be wrong, or in vain. The first reason stands."""
        self.halted = self.halted or problem

    def next_sends(self, now_ns: int) -> list[Send]:
        """What to send now, in order."""
        self._bring_delayed(now_ns)
        sends: list[Send] = []
        batch: list[Entry] = []
        while self._usable and self.halted is None and self._in_flight < self._settings.max_in_flight:
            entry = self._line.peek(now_ns)
            if entry is None:
                break
            self._line.take(entry)
            self._sent(entry, now_ns)
            single = single_kind(entry)
            if single is None:
                batch.append(entry)
            if batch and (single is not None or len(batch) >= self._most_per_batch):
                sends.append(batch_of(batch))
                batch = []
            if single is not None:
                sends.append(Send(single, (entry,)))
        return [*sends, batch_of(batch)] if batch else sends

    def _sent(self, entry: Entry, now_ns: int) -> None:
        entry.move(Stage.SENT)
        self._in_flight += 1
        if not entry.attempts and isinstance(entry.item, Order):
            self._asks.add(entry, now_ns)
        entry.attempts += 1

    def ended(self, entry: Entry, conclusion: Conclusion[Any], now_ns: int) -> None:
        """How the copy ended that `next_sends` asked for."""
        self._in_flight -= 1
        if entry.stage is not Stage.SENT:
            return  # answered meanwhile by a query
        if isinstance(conclusion, Replied):
            self._setbacks[entry.is_urgent] = 0
            self._replied(entry, conclusion.reply, now_ns)
        elif isinstance(conclusion, NotSent):
            self._set_back(entry, conclusion.reason, now_ns)
        elif isinstance(conclusion, RefusedCopy):
            self._refused(entry, conclusion, now_ns)
        else:
            entry.in_doubt = True
            self._told.unresolved(entry, conclusion.reason)
            self._delay(entry, now_ns)

    def batch_too_large(self, entries: Sequence[Entry]) -> None:
        """A batch was refused for its size, or because one of its orders has no wire form; nothing had an effect."""
        self._most_per_batch = max(min(self._most_per_batch, len(entries)) // 2, 1)
        self._send_again(entries)

    def send_alone(self, entries: Sequence[Entry]) -> None:
        """A batch could not be sent because of one of these: each is sent by itself."""
        for entry in entries:
            entry.alone = True
        self._send_again(entries)

    def _send_again(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._in_flight -= 1
            if entry.stage is Stage.SENT:
                entry.move(Stage.STORED)
                self._line.add(entry)

    # ---- how copies end ----

    def _replied(self, entry: Entry, reply: object, now_ns: int) -> None:
        if isinstance(reply, GetOrderReply):
            self._fence_answered(entry, reply, now_ns)
        elif isinstance(reply, OrderCommandReply):
            self._conclude(entry, CancelResult(**about(entry), reply=reply), now_ns)
        elif isinstance(reply, OrderReply):
            self._order_replied(entry, reply, now_ns)
        else:
            raise TypeError(f"{type(reply).__name__} answers no order and no cancel")

    def _order_replied(self, entry: Entry, reply: OrderReply, now_ns: int) -> None:
        if reply.code == ReasonCode.ID_TOO_OLD and entry.in_doubt:
            self._forgotten(entry, reply.error_message, now_ns)
            return
        self._told.received(entry, reply.sequence)
        self._conclude(entry, Result(**about(entry), reply=reply), now_ns)

    def _forgotten(self, entry: Entry, message: str, now_ns: int) -> None:
        reason = f"{message}; an earlier copy of it may have been executed"
        self._conclude(entry, Untraceable(**about(entry), reason=reason), now_ns)

    def _fence_answered(self, entry: Entry, reply: GetOrderReply, now_ns: int) -> None:
        refusal = entry.refusal
        if reply.found:
            self.query_answered(entry, reply, now_ns)
            if entry.stage is Stage.SENT:
                self._delay(entry, now_ns)  # the call is not concluded yet
        elif reply.code == ReasonCode.ID_TOO_OLD:
            self._forgotten(entry, reply.message, now_ns)  # `fenced`, but that is said of copies to come alone
        elif reply.fenced and refusal is not None:
            outcome = Refused(**about(entry), code=refusal.code, message=refusal.message, field=refusal.field)
            self._conclude(entry, outcome, now_ns)
        else:
            self._delay(entry, now_ns)

    def _refused(self, entry: Entry, refusal: RefusedCopy, now_ns: int) -> None:
        if refusal.code == ReasonCode.ID_TOO_OLD and isinstance(entry.item, Order):
            self._forgotten(entry, refusal.message, now_ns)
        elif refusal.code in PASSING_REFUSALS:
            self._set_back(entry, f"{refusal.code.name} {refusal.message}", now_ns)
        elif not entry.in_doubt:
            outcome = Refused(**about(entry), code=refusal.code, message=refusal.message, field=refusal.field)
            self._conclude(entry, outcome, now_ns)
        else:
            if isinstance(entry.item, Order):
                entry.refusal = refusal
            self._told.unresolved(entry, f"{refusal.code.name} {refusal.message}")
            self._delay(entry, now_ns)

    def _set_back(self, entry: Entry, reason: str, now_ns: int) -> None:
        """The engine or the paths take nothing just now: the whole priority waits, so that it stays in order."""
        urgent = entry.is_urgent
        if not self._line.is_held(urgent, now_ns):  # all orders of a message are one setback
            self._setbacks[urgent] += 1
            self._line.hold(urgent, now_ns + self._pause_ns(self._setbacks[urgent]))
        if entry.in_doubt:
            self._told.unresolved(entry, reason)
        entry.move(Stage.STORED)
        self._line.add(entry)

    def _delay(self, entry: Entry, now_ns: int) -> None:
        entry.move(Stage.DELAYED)
        self._delayed.add(entry, now_ns + self._pause_ns(entry.attempts))

    def _bring_delayed(self, now_ns: int) -> None:
        for entry in self._delayed.take(now_ns):
            entry.move(Stage.STORED)
            self._line.add(entry)

    def _pause_ns(self, times: int) -> int:
        pause_ms = self._settings.retry_min_ms * 2 ** min(times - 1, 30)
        return int(min(pause_ms, self._settings.retry_max_ms) * NS_PER_MS)

    # ---- queries for receipts ----

    def next_asks(self, now_ns: int) -> list[Entry]:
        """Orders to ask for now (`GetOrder`); report with `asked`, or `query_answered` first."""
        return self._asks.take(now_ns) if self._usable and self.halted is None else []

    def asked(self, entry: Entry, now_ns: int) -> None:
        """The query is over, whatever came of it."""
        self._asks.done(entry, now_ns)

    def query_answered(self, entry: Entry, reply: GetOrderReply, now_ns: int) -> None:
        """What the engine knows of an order: that it has it, and perhaps its stored reply."""
        if not reply.found or entry.is_settled:
            return
        self._told.received(entry, 0 if reply.order is None else reply.order.sequence)
        if reply.reply is not None:
            self._order_replied(entry, reply.reply, now_ns)

    # ---- events ----

    def next_event(self) -> QueueEvent | None:
        """The next event, in order; a final one stays in the outbox until `acknowledge`."""
        return self._told.next()

    def acknowledge(self, event: QueueEvent, now_ns: int) -> None:
        """The application has handled this event; it is not told again. Only final ones need it; twice is once."""
        entry = self._entries.get(event.number)
        if entry is None or entry.stage is not Stage.ANSWERED or not isinstance(event, FINAL):
            return
        entry.move(Stage.ACKNOWLEDGED)
        self._by_key.pop(entry.key, None)
        self._writes.forget_conclusion(entry.number)
        self._writes.add(Delete(entry.number), now_ns)

    def unfinished(self) -> Iterator[Entry]:
        """Entries without a final event."""
        return (entry for entry in self._entries.values() if entry.outcome is None)

    def give_up(self, entry: Entry, reason: str) -> None:
        """A queue without a durable outbox ends: nobody will finish this. Says so, as far as it is known."""
        if entry.may_be_out:
            self._told.unresolved(entry, reason)
        else:
            self._finish(entry, Withdrawn(**about(entry), reason=reason))

    def _finish(self, entry: Entry, outcome: FinalEvent) -> None:
        self.unfinished_count -= 1
        self._told.finish(entry, outcome)

    def _conclude(self, entry: Entry, outcome: FinalEvent, now_ns: int) -> None:
        if _is_repeatable(outcome):
            self._writes.add(Conclude(entry.number, outcome), now_ns)
            self._finish(entry, outcome)
        else:
            self._settle(entry, outcome, now_ns)

    def _settle(self, entry: Entry, outcome: FinalEvent, now_ns: int) -> None:
        """Ends an entry in words that are told once they are on disk (`committed`)."""
        if entry.stage is not Stage.SETTLING:
            entry.move(Stage.SETTLING)
        self._writes.add(Conclude(entry.number, outcome), now_ns, urgent=True)

    # ---- time ----

    def next_at_ns(self, now_ns: int) -> int | None:
        """When `next_sends` or `next_asks` may have something new, if nothing else happens."""
        times = [self._delayed.next_at_ns(), self._line.next_at_ns(now_ns)]
        if self._usable and self.halted is None:
            times.append(self._asks.next_at_ns())
        return min((at for at in times if at is not None), default=None)


def _is_repeatable(outcome: FinalEvent) -> bool:
    """Whether the engine would say the same to another copy: its stored replies, not its refusals."""
    if isinstance(outcome, Result):
        return outcome.reply.sequence > 0
    return isinstance(outcome, CancelResult)
