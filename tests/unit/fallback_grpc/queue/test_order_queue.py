"""The queue as an application uses it: back-pressure, events in order, acknowledgement, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from fallback_grpc.queue import (
    CancelResult,
    MemoryOutbox,
    NotStored,
    OrderQueue,
    OutboxError,
    QueueEvent,
    QueueFullError,
    Receipt,
    Refused,
    Result,
    Unresolved,
    Withdrawn,
)
from fallback_grpc.queue.outbox import Write
from fallback_grpc.queue.sends import SendKind
from tests.unit.fallback_grpc.queue.queue_world import Engine, limit, market
from transport.contract.codes import ReasonCode
from transport.contract.errors import (
    ClientClosedError,
    JournalMismatchError,
    OutcomeUnknownError,
    ValidationError,
)
from transport.contract.orders import Order
from transport.contract.replies import GetOrderReply, OrderCommandReply, OrderReply, Path
from transport.contract.requests import CancelOrder


class FakeClient:
    """A client whose engine answers as a test says."""

    def __init__(self) -> None:
        self.account, self.journal_id, self.last_sequence = "default", "journal-a", None
        self.usable_paths: tuple[Path, ...] = ("zmq",)
        self.engine = Engine()
        self.messages: list[list[str]] = []
        self.sent = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.problem: Callable[[Sequence[Order]], Exception | None] = lambda _: None
        self.listeners: list[Callable[[Any], None]] = []

    def on_path_event(self, listener: Callable[[Any], None]) -> None:
        self.listeners.append(listener)

    async def execute_order(self, order: Order, *, timeout_ms: float | None = None) -> OrderReply:
        return (await self.execute_batch([order]))[0]

    async def execute_batch(self, orders: Sequence[Order], *, timeout_ms: float | None = None) -> list[OrderReply]:
        self.messages.append([order.order_id for order in orders])
        self.sent.set()
        await self.open.wait()
        if (problem := self.problem(orders)) is not None:
            raise problem
        return [self.engine.execute(order) for order in orders]

    async def cancel_order(self, order_id: str, *, command_id: str | None = None) -> OrderCommandReply:
        return self.engine.take(CancelOrder(order_id=order_id, command_id=command_id or ""), SendKind.CANCEL)

    async def get_order(self, order_id: str, *, fence: bool = False) -> GetOrderReply:
        return self.engine.get(order_id, fence=fence)


class FailingOutbox(MemoryOutbox):
    """Fails as often as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[OutboxError] = []

    async def commit(self, writes: Sequence[Write]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        await super().commit(writes)


@asynccontextmanager
async def queue_of(client: FakeClient, **options: Any) -> AsyncIterator[OrderQueue]:
    async with asyncio.timeout(20), OrderQueue(client, **options) as queue:
        yield queue


async def take(queue: OrderQueue, until: type[QueueEvent] = Result, count: int = 1) -> list[QueueEvent]:
    """Events up to and with so many of a kind."""
    taken: list[QueueEvent] = []
    async for event in queue.events():
        taken.append(event)
        count -= isinstance(event, until)
        if not count:
            break
    return taken


async def until(condition: Callable[[], object], what: str) -> None:
    """Lets the loop go on until the condition holds."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    pytest.fail(f"never: {what}")


def names(events: Sequence[QueueEvent]) -> list[str]:
    return [f"{type(event).__name__} {event.order_id}" for event in events]


async def test_receipts_and_results_come_in_order_and_orders_share_messages() -> None:
    client = FakeClient()
    async with queue_of(client) as queue:
        await queue.put_many([limit("a"), limit("b"), limit("c")])
        events = await take(queue, count=3)
    assert names(events) == [f"{kind} {name}" for name in "abc" for kind in ("Receipt", "Result")]
    assert [len(message) for message in client.messages] == [3]


async def test_put_waits_for_room_and_gives_up_after_its_time_with_nothing_taken() -> None:
    client = FakeClient()
    client.open.clear()
    async with queue_of(client, capacity=2) as queue:
        await queue.put_many([market("a"), market("b")])
        with pytest.raises(QueueFullError):
            await queue.put(market("c"), timeout_ms=20)
        with pytest.raises(QueueFullError):
            queue.put_nowait(market("c"))
        waiting = asyncio.create_task(queue.put(market("d")))
        client.open.set()
        await take(queue, count=2)
        await take(queue, count=1)
        await waiting
        assert "c" not in client.engine.executed and set(client.engine.executed) == {"a", "b", "d"}


async def test_many_that_do_not_all_fit_say_how_many_were_taken() -> None:
    client = FakeClient()
    client.open.clear()
    async with queue_of(client, capacity=3) as queue:
        with pytest.raises(QueueFullError) as full:
            await queue.put_many([market(str(number)) for number in range(5)], timeout_ms=20)
        assert (full.value.accepted, queue.occupied) == (3, 3)
        client.open.set()


async def test_callers_that_wait_for_room_are_served_in_their_order() -> None:
    client = FakeClient()
    client.open.clear()
    async with queue_of(client, capacity=1, batch_orders=1) as queue:
        await queue.put(limit("0"))
        waiting = [asyncio.create_task(queue.put(limit(str(number)))) for number in range(1, 6)]
        await asyncio.sleep(0)
        client.open.set()
        await take(queue, count=6)
        await asyncio.gather(*waiting)
    assert [message[0] for message in client.messages] == list("012345")


async def test_an_event_counts_as_handled_when_the_next_one_is_asked_for() -> None:
    client, store = FakeClient(), MemoryOutbox()
    async with queue_of(client, outbox=store) as queue:
        await queue.put_many([market("a"), market("b")])
        await take(queue, count=2)
    async with queue_of(client, outbox=store) as queue:
        events = await take(queue, count=1)
        assert names(events) == ["Receipt b", "Result b"] and all(event.recovered for event in events)
        assert queue.occupied == 1


async def test_with_manual_acknowledgement_only_ack_counts() -> None:
    client, store = FakeClient(), MemoryOutbox()
    async with queue_of(client, outbox=store, acknowledge="manual") as queue:
        await queue.put_many([market("a"), market("b"), market("c")])
        events = await take(queue, count=3)
        for event in events:
            if event.order_id == "b":
                queue.ack(event)
    async with queue_of(client, outbox=store) as queue:
        assert [event.order_id for event in await take(queue, count=2) if isinstance(event, Result)] == ["a", "c"]


async def test_a_listener_that_fails_has_not_handled_the_event() -> None:
    client, store = FakeClient(), MemoryOutbox()
    heard: list[str] = []

    def listener(event: QueueEvent) -> None:
        heard.append(f"{type(event).__name__} {event.order_id}")
        if event.order_id == "b":
            raise RuntimeError("the listener's own fault")

    async with queue_of(client, outbox=store) as queue:
        queue.on_event(listener)
        await queue.put_many([market("a"), market("b")])
        await queue.drain()
        assert heard == ["Receipt a", "Result a", "Receipt b", "Result b"]
    async with queue_of(client, outbox=store) as queue:
        assert names(await take(queue)) == ["Receipt b", "Result b"]


async def test_an_order_that_waits_is_withdrawn_and_one_that_is_out_is_cancelled_by_the_engine() -> None:
    client = FakeClient()
    client.open.clear()
    async with queue_of(client, max_in_flight=1) as queue:
        await queue.put_many([limit("out"), limit("waits")])
        await client.sent.wait()
        withdrawn = await queue.cancel("waits")
        assert isinstance(withdrawn, Withdrawn)
        assert await queue.cancel("out", command_id="c1") is None
        client.open.set()
        events = await take(queue, CancelResult)
    assert "Withdrawn waits" in names(events)
    assert client.messages == [["out"]]
    assert any(isinstance(event, CancelResult) and event.command_id == "c1" for event in events)


async def test_an_unknown_outcome_is_told_and_then_resolved_by_itself() -> None:
    client = FakeClient()
    troubles = 2

    def lost(orders: Sequence[Order]) -> Exception | None:
        nonlocal troubles
        troubles -= 1
        if troubles < 0:
            return None
        client.engine.execute(orders[0])
        return OutcomeUnknownError("no path answered", order_ids=(orders[0].order_id,))

    client.problem = lost
    # Copies alone resolve it here: a query for the receipt would find the order, and spare the last copy.
    async with queue_of(client, receipt_after_ms=60_000) as queue:
        await queue.put(market("a"))
        assert [type(event) for event in await take(queue)] == [Unresolved, Receipt, Result]
    assert client.messages == [["a"]] * 3


async def test_one_order_without_a_wire_form_spoils_no_batch() -> None:
    client = FakeClient()

    def spoiled(orders: Sequence[Order]) -> Exception | None:
        bad = any(order.order_id == "bad" for order in orders)
        return ValidationError("quantity: too large", field="quantity", code=ReasonCode.OUT_OF_RANGE) if bad else None

    client.problem = spoiled
    async with queue_of(client) as queue:
        await queue.put_many([limit("a"), limit("bad"), limit("b")])
        await queue.drain()
        events = await take(queue, count=2)
        events += await take(queue, Refused) if "Refused bad" not in names(events) else []
    assert {"Result a", "Result b", "Refused bad"} <= set(names(events))


async def test_a_batch_that_is_too_large_is_sent_in_smaller_ones() -> None:
    client = FakeClient()

    def too_large(orders: Sequence[Order]) -> Exception | None:
        return ValidationError("too many", code=ReasonCode.BATCH_TOO_LARGE) if len(orders) > 2 else None

    client.problem = too_large
    async with queue_of(client) as queue:
        await queue.put_many([limit(str(number)) for number in range(8)])
        await take(queue, count=8)
    assert len(client.engine.executed) == 8


async def test_an_order_that_cannot_be_written_is_refused_where_it_was_given() -> None:
    client, store = FakeClient(), FailingOutbox()
    async with queue_of(client, outbox=store) as queue:
        store.failures = [OutboxError("the disk is full", is_passing=True)] * 2
        with pytest.raises(OutboxError, match="full"):
            await queue.put(market("a"))
        queue.put_nowait(market("b"))
        assert names(await take(queue, NotStored)) == ["NotStored b"]
        await queue.put(market("a"))
        assert names(await take(queue)) == ["Receipt a", "Result a"]
    assert client.messages == [["a"]]


async def test_events_asked_for_before_the_start_are_those_of_the_started_queue() -> None:
    client = FakeClient()
    client.problem = lambda _: JournalMismatchError("another journal")
    queue = OrderQueue(client)
    early = queue.events()
    async with asyncio.timeout(20), queue:
        await queue.put(market("a"))
        with pytest.raises(JournalMismatchError):
            async for _ in early:
                pass


async def test_another_engine_s_journal_halts_the_queue_and_loses_nothing() -> None:
    client, store = FakeClient(), MemoryOutbox()
    client.problem = lambda _: JournalMismatchError("another engine answers")
    async with queue_of(client, outbox=store) as queue:
        await queue.put(market("a"))
        with pytest.raises(JournalMismatchError):
            await take(queue)
        assert isinstance(queue.halted, JournalMismatchError)
        with pytest.raises(JournalMismatchError):
            await queue.put(market("b"))
    client.problem = lambda _: None
    async with queue_of(client, outbox=store) as queue:
        assert names(await take(queue)) == ["Receipt a", "Result a"]


async def test_what_cannot_be_stored_or_is_of_another_account_is_refused_at_once() -> None:
    async with queue_of(FakeClient()) as queue:
        bad = [
            market("é"),
            Order(**{**_fields(market("a")), "account": "other"}),
            Order(**{**_fields(market("a")), "quantity": Decimal("NaN")}),
            Order(**{**_fields(market("a")), "metadata": {"number": 1}}),
        ]
        for order in bad:
            with pytest.raises(ValidationError):
                await queue.put(order)
        assert queue.occupied == 0


def _fields(order: Order) -> dict[str, Any]:
    return {name: getattr(order, name) for name in order.__struct_fields__}


async def test_a_queue_without_an_outbox_finishes_before_it_closes() -> None:
    client = FakeClient()
    async with queue_of(client) as queue:
        await queue.put_many([limit(str(number)) for number in range(50)])
    assert len(client.engine.executed) == 50
    with pytest.raises(ClientClosedError):
        await queue.put(limit("late"))


async def test_a_queue_without_an_outbox_tells_at_its_end_what_it_could_not_finish() -> None:
    client = FakeClient()
    client.open.clear()
    queue = await OrderQueue(client, max_in_flight=1).start()
    await queue.put_many([limit("out"), limit("waits")])
    await client.sent.wait()
    await queue.close(drain_ms=10)
    assert names([event async for event in queue.events()]) == ["Unresolved out", "Withdrawn waits"]


async def test_a_put_that_is_cancelled_after_the_order_was_taken_does_not_take_it_back() -> None:
    client = FakeClient()
    hold = asyncio.Event()
    store = MemoryOutbox(hold.wait)  # type: ignore[arg-type]
    async with queue_of(client, outbox=store) as queue:
        putting = asyncio.create_task(queue.put(market("a")))
        await asyncio.sleep(0.01)
        putting.cancel()
        await asyncio.gather(putting, return_exceptions=True)
        hold.set()
        assert names(await take(queue)) == ["Receipt a", "Result a"]


async def test_nothing_is_sent_while_no_path_is_usable() -> None:
    client = FakeClient()
    client.usable_paths = ()
    async with queue_of(client) as queue:
        await queue.put(market("a"))
        await asyncio.sleep(0.01)
        assert client.messages == []
        client.usable_paths = ("grpc",)
        for listener in client.listeners:
            listener("up")
        await take(queue)
    assert client.messages == [["a"]]
