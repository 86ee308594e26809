"""Whatever is put, written, sent, lost, refused, cancelled and crashed: each order is sent until it is answered, never
with other content, never after it was withdrawn; and the application hears of each, the receipt first."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fallback_grpc.queue.entries import Entry, QueueFullError
from fallback_grpc.queue.events import (
    FINAL,
    CancelResult,
    NotStored,
    QueueEvent,
    Receipt,
    Refused,
    Result,
    Unresolved,
    Withdrawn,
)
from fallback_grpc.queue.outbox import OutboxError
from fallback_grpc.queue.sends import SendKind
from tests.unit.fallback_grpc.queue.queue_world import World, limit, market
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import NotSent, Unknown
from transport.contract.conclusions import Refused as RefusedCopy
from transport.contract.orders import Order
from transport.contract.requests import CancelOrder

PASSING = [ReasonCode.BUSY, ReasonCode.SHUTTING_DOWN]


class Queue(RuleBasedStateMachine):
    """One client after another over one disk and one engine."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(capacity=12, batch_orders=3, max_in_flight=5, urgent_streak=2, most_asks=2)
        self.accepted: dict[str, Order] = {}
        self.cancels: set[str] = set()
        self.finals: dict[str, list[QueueEvent]] = {}
        self.this_run: dict[tuple[str, str], list[QueueEvent]] = {}
        self.out: list[tuple[SendKind, Entry]] = []
        self.late: list[tuple[SendKind, Any]] = []
        self.unacknowledged: list[QueueEvent] = []
        self.withdrawn: set[str] = set()
        self.refused: set[str] = set()
        self.names = 0

    # ---- the application ----

    @rule(urgent=st.booleans(), waited_for=st.booleans())
    def put(self, urgent: bool, waited_for: bool) -> None:
        self.names += 1
        order = (market if urgent else limit)(f"o{self.names}", self.names)
        try:
            self.world.put(order, waited_for=waited_for)
        except QueueFullError:
            return
        self.accepted[order.order_id] = order

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order_id = data.draw(st.sampled_from(sorted(self.accepted)))
        if self.world.core.withdraw(order_id, self.world.now_ns) is not None:
            return
        self.names += 1
        try:
            self.world.put(CancelOrder(order_id=order_id, command_id=f"c{self.names}"))
        except QueueFullError:
            return
        self.cancels.add(f"c{self.names}")

    @rule()
    def listen(self) -> None:
        for event in self.world.events():
            self.heard(event)

    @precondition(lambda self: self.unacknowledged)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.unacknowledged))
        self.unacknowledged.remove(event)
        self.world.core.acknowledge(event, self.world.now_ns)

    # ---- the disk ----

    @rule()
    def commit(self) -> None:
        self.world.commit()

    @rule(ghost=st.booleans(), unsure=st.booleans())
    def fail_a_commit(self, ghost: bool, unsure: bool) -> None:
        world = self.world
        world.core.hurry_writes()
        if not (writes := world.core.take_writes(world.now_ns)):
            return
        if ghost and unsure:
            world.disk.commit(writes)
        for entry in world.core.commit_failed(OutboxError("disk", may_be_stored=unsure), world.now_ns):
            if not unsure and entry.waited_for:
                self.accepted.pop(entry.order_id, None) if isinstance(entry.item, Order) else None
                self.cancels.discard(entry.key[1])
            elif entry.waited_for:
                # The caller was told that a later run may send it: whatever happens to it from here is right.
                self.accepted.pop(entry.order_id, None) if isinstance(entry.item, Order) else None
                self.cancels.discard(entry.key[1])

    # ---- the way to the engine ----

    @rule()
    def send(self) -> None:
        for kind, entries in self.world.take_sends():
            for entry in entries:
                row = self.world.disk.rows[entry.number]
                assert row.item == entry.item, "what is sent is what is on disk"
                assert entry.order_id not in self.withdrawn or isinstance(entry.item, CancelOrder)
                self.out.append((kind, entry))

    @precondition(lambda self: self.out)
    @rule(data=st.data(), how=st.sampled_from(["answer", "lose reply", "lose", "late", "busy", "refuse", "not sent"]))
    def end_a_copy(self, data: st.DataObject, how: str) -> None:
        kind, entry = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        world = self.world
        if how == "answer":
            world.answer(entry, kind)
        elif how == "lose reply":
            world.engine.take(entry.item, kind)
            world.end(entry, Unknown("lost"))
        elif how == "lose":
            world.end(entry, Unknown("lost"))
        elif how == "late":
            self.late.append((kind, entry.item))
            world.end(entry, Unknown("lost"))
        elif how == "busy":
            world.end(entry, RefusedCopy(data.draw(st.sampled_from(PASSING))))
        elif how == "refuse":
            world.end(entry, RefusedCopy(ReasonCode.ID_QUOTA_EXCEEDED))
        else:
            world.end(entry, NotSent("no path"))

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def a_late_copy_arrives(self, data: st.DataObject) -> None:
        kind, item = self.late.pop(data.draw(st.integers(0, len(self.late) - 1)))
        self.world.engine.take(item, kind)

    @rule()
    def go_on(self) -> None:
        self.world.pass_ms(2_000)
        self.world.commit()
        self.send()

    @rule()
    def ask(self) -> None:
        for entry in self.world.core.next_asks(self.world.now_ns):
            self.world.core.query_answered(entry, self.world.engine.get(entry.order_id), self.world.now_ns)
            self.world.core.asked(entry, self.world.now_ns)

    @rule(usable=st.booleans())
    def paths(self, usable: bool) -> None:
        self.world.core.paths_usable(usable)

    @rule(milliseconds=st.sampled_from([1, 25, 150, 2_000]))
    def time(self, milliseconds: int) -> None:
        self.world.pass_ms(milliseconds)

    @rule()
    def crash(self) -> None:
        self.late += [(kind, entry.item) for kind, entry in self.out]
        self.out.clear()
        self.unacknowledged.clear()
        self.this_run.clear()
        stored = {row.item.order_id for row in self.world.disk.rows.values() if isinstance(row.item, Order)}
        commands = {row.item.command_id for row in self.world.disk.rows.values() if isinstance(row.item, CancelOrder)}
        done = set(self.finals)
        # What was not on disk was never sent, and `put` had not returned.
        self.accepted = {name: order for name, order in self.accepted.items() if name in stored | done}
        self.cancels &= commands | done
        self.world.crash()

    # ---- what must hold ----

    def heard(self, event: QueueEvent) -> None:
        subject = event.command_id or event.order_id
        before = self.this_run.setdefault((event.command_id, event.order_id), [])
        if isinstance(event, Result):
            assert any(isinstance(each, Receipt) for each in before), "a receipt precedes the result"
        if isinstance(event, FINAL):
            assert not any(isinstance(each, FINAL) for each in before), "one final event in a run"
            for earlier in self.finals.get(subject, []):
                if isinstance(earlier, NotStored) and earlier.may_be_stored:
                    continue
                assert type(earlier) is type(event), "what is told again is the same"
                assert event.recovered
            self.finals.setdefault(subject, []).append(event)
            self.unacknowledged.append(event)
        elif isinstance(event, Unresolved):
            assert not any(isinstance(each, Unresolved | Receipt) for each in before)
        if isinstance(event, Withdrawn):
            self.withdrawn.add(event.order_id)
        if isinstance(event, Refused) and not event.command_id:
            self.refused.add(event.order_id)
        before.append(event)

    @invariant()
    def what_was_withdrawn_or_refused_is_not_executed(self) -> None:
        assert not self.withdrawn & set(self.world.engine.executed)
        assert not self.refused & set(self.world.engine.executed)

    @invariant()
    def what_is_known_is_bounded(self) -> None:
        assert self.world.core.occupied <= 12 + 1

    def teardown(self) -> None:
        """The weather clears: everything that was taken gets its final event, and it is true."""
        world = self.world
        for kind, entry in self.out:
            world.answer(entry, kind)
        self.out.clear()
        world.core.paths_usable(True)
        for _ in range(60):
            world.pass_ms(2_000)
            world.commit()
            world.answer_all()
            self.listen()
        world.commit()
        assert world.core.is_written
        for order_id in self.accepted:
            finals = self.finals.get(order_id)
            assert finals, f"nothing final was heard of {order_id}"
            final = finals[-1]
            if isinstance(final, Result):
                if final.reply.code != ReasonCode.FENCED:
                    assert final.reply == world.engine.replies[order_id]
                else:
                    assert order_id in world.engine.fenced
            else:
                assert isinstance(final, Refused | Withdrawn | NotStored)
                if isinstance(final, NotStored) and final.may_be_stored:
                    continue
                assert order_id not in world.engine.executed
        for command_id in self.cancels:
            assert isinstance(self.finals[command_id][-1], CancelResult | Refused)
        assert all(
            world.engine.executed[name] == order
            for name, order in self.accepted.items()
            if name in world.engine.executed
        )


Queue.TestCase.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestQueue = Queue.TestCase
