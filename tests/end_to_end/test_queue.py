"""The queue with a real engine: clients killed at any moment, engines killed, venues that answer slowly."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import uvloop

from examples.audit import Journal
from examples.rig.engine_process import EngineProcess
from fallback_grpc import connect
from fallback_grpc.queue import BlockingOrderQueue, CancelResult, OrderQueue, Receipt, Result, Unresolved
from fallback_grpc.reconciliation import MissedFill, Reconciliation
from tests.conformance.drivers import bridge_config
from transport import BlockingFastPathClient, ExecutionStatus, Order, OrderSide, OrderType, OrderUpdate, Quote
from transport.contract.errors import ClientClosedError
from transport.contract.ids import new_order_id

UNKILLED_S = 60.0
"""How long a client may take that nobody kills."""
VENUE = Path(__file__).resolve().parents[1] / "venues" / "slow_venue.py"


def quote(price: int) -> Quote:
    size = Decimal(1_000_000)
    return Quote(symbol="NASDAQ", bid=Decimal(price), ask=price + Decimal("0.01"), bid_size=size, ask_size=size)


def limit(price: int = 100) -> Order:
    return Order(
        symbol="NASDAQ", order_type=OrderType.LIMIT, side=OrderSide.BUY, quantity=Decimal(1), price=Decimal(price)
    )


@dataclass
class KilledClient:
    """Client processes one after another, over one outbox."""

    engine: EngineProcess
    outbox: Path
    lines: list[list[str]] = field(default_factory=list[list[str]])
    """What all of them said, of each run."""

    def run(self, orders: list[dict[str, Any]], kill_after_s: float | None, unanswered: set[str]) -> bool:
        """Runs a client to its end, or kills it; whether it came to its end."""
        endpoints = {
            "zmq_endpoint": self.engine.zmq,
            "pub_endpoint": self.engine.pub,
            "grpc_endpoint": self.engine.grpc,
        }
        task = {"endpoints": endpoints, "outbox": str(self.outbox), "orders": orders, "unanswered": sorted(unanswered)}
        command = [sys.executable, "-m", "tests.end_to_end.queue_client"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
        killer = threading.Timer(UNKILLED_S, process.kill)
        said: list[str] = []
        if kill_after_s is None:
            killer.start()
        for line in process.stdout:
            if kill_after_s is not None and not said:
                killer = threading.Timer(kill_after_s, process.kill)
                killer.start()
            if line.endswith("\n"):
                said.append(line.strip())
        process.wait(30)
        process.stdin.close()
        process.stdout.close()
        killer.cancel()
        self.lines.append(said)
        return "done" in said

    def said(self, word: str) -> list[list[str]]:
        return [line.split() for lines in self.lines for line in lines if line.startswith(word + " ")]


@pytest.mark.timeout(400)
def test_a_client_killed_at_any_moment_sends_each_order_once_and_hears_of_each(tmp_path: Path) -> None:
    chance = random.Random(5)
    described = [
        {"order_id": new_order_id(), "quantity": str(number % 7 + 1), "price": None if number % 3 == 0 else "100"}
        for number in range(360)
    ]
    with EngineProcess(tmp_path / "journal", durability="os") as engine:
        with BlockingFastPathClient(bridge_config(engine)) as feed:
            feed.publish_quotes([quote(100)])
        client = KilledClient(engine, tmp_path / "outbox")
        left, put, heard, kills = list(described), set[str](), set[str](), 0
        while left or put - heard:
            share = left[: chance.randrange(20, 80)]
            # The kills hit starts, puts, sends and answers alike.
            kill_after_s = chance.choice([0.0, 0.002, 0.005, 0.01, 0.02]) if kills < 8 else None
            finished = client.run(share, kill_after_s, put - heard)
            assert finished or kill_after_s is not None, "a client that is left alone comes to its end"
            kills += not finished
            put = {words[1] for words in client.said("put")}
            heard = {words[1] for words in client.said("final")}
            # An order whose `put` did not return may be stored or not: it is put again, under its id.
            left = [order for order in left if order["order_id"] not in put | heard]
        assert client.run([], None, set()), "the outbox is empty: there is nothing to wait for"
        assert engine.stop() == 0
        journal = Journal.read(engine.dump())
        verified = engine.verify()
    ids = {order["order_id"] for order in described}
    assert kills >= 4
    assert heard == ids
    assert journal.admitted == dict.fromkeys(ids, 1), "each order reached the exchange once"
    assert journal.told == journal.traded
    statuses: dict[str, set[tuple[str, ...]]] = {}
    for _, order_id, *what in client.said("final"):
        statuses.setdefault(order_id, set()).add(tuple(what[:2]))
    assert all(len(told) == 1 for told in statuses.values()), "what is told again is the same"
    assert verified["records"] > 0


def test_what_is_told_twice_is_marked(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "journal", durability="os") as engine:

        async def run(acknowledged: int) -> list[tuple[str, bool]]:
            told: list[tuple[str, bool]] = []
            async with (
                await connect(bridge_config(engine)) as client,
                OrderQueue(client, outbox=tmp_path / "outbox", acknowledge="manual") as queue,
            ):
                if not acknowledged:
                    await queue.put_many(orders)
                async for event in queue.events():
                    if isinstance(event, Result):
                        told.append((event.order_id, event.recovered))
                        if len(told) <= acknowledged:
                            queue.ack(event)
                        if len(told) == len(orders):
                            break
            return told

        orders = [limit(50) for _ in range(5)]
        first = uvloop.run(run(0))
        again = uvloop.run(run(5))
    assert first == [(order.order_id, False) for order in orders]
    assert again == [(order.order_id, True) for order in orders]


def test_orders_of_a_priority_reach_the_engine_in_the_order_in_which_they_were_put(tmp_path: Path) -> None:
    orders = [limit(50) for _ in range(3_000)]

    async def run(engine: EngineProcess) -> None:
        async with await connect(bridge_config(engine)) as client, OrderQueue(client, batch_orders=50) as queue:
            queue.on_event(lambda _: None)
            await queue.put_many(orders)

    with EngineProcess(tmp_path / "journal", durability="os") as engine:
        uvloop.run(run(engine))
        assert engine.stop() == 0
        opened = [event["order_id"] for record in engine.dump() for event in record["events"] if "order_id" in event]
    admitted = list(dict.fromkeys(opened))
    assert admitted == [order.order_id for order in orders]


def test_an_engine_that_is_killed_under_the_queue_costs_nothing_but_time(tmp_path: Path) -> None:
    orders = [limit() for _ in range(2_000)]

    async def run(engine: EngineProcess) -> list[Any]:
        events: list[Any] = []
        loop = asyncio.get_running_loop()
        config = bridge_config(engine, call_timeout_ms=300.0, unknown_resolution_ms=200.0)
        async with await connect(config) as client, OrderQueue(client, outbox=tmp_path / "outbox") as queue:
            putting = asyncio.create_task(queue.put_many(orders))
            results = 0
            async for event in queue.events():
                events.append(event)
                results += isinstance(event, Result)
                if isinstance(event, Result) and results == 300:
                    await loop.run_in_executor(None, engine.kill)
                    await loop.run_in_executor(None, engine.start)
                if results == len(orders):
                    break
            await putting
        return events

    with EngineProcess(tmp_path / "journal") as engine:
        with BlockingFastPathClient(bridge_config(engine)) as feed:
            feed.publish_quotes([quote(100)])
        events = uvloop.run(run(engine))
        assert engine.stop() == 0
        journal = Journal.read(engine.dump())
    finals = [event.order_id for event in events if isinstance(event, Result)]
    assert sorted(finals) == sorted(order.order_id for order in orders)
    assert journal.admitted == dict.fromkeys(finals, 1)
    received: set[str] = set()
    for event in events:
        if isinstance(event, Receipt):
            received.add(event.order_id)
        elif isinstance(event, Result):
            assert event.order_id in received, "the receipt came first"
        else:
            assert isinstance(event, Unresolved)


@pytest.fixture
def slow_engine(tmp_path: Path) -> Iterator[EngineProcess]:
    """An engine whose venue thinks for two and a half seconds before it says anything."""
    socket, log = tmp_path / "venue.sock", tmp_path / "venue.jsonl"
    venue = subprocess.Popen(
        [sys.executable, str(VENUE), str(socket), str(log), "--delay-ms", "2500"], stdout=subprocess.PIPE, text=True
    )
    assert venue.stdout is not None and venue.stdout.readline() == "ready\n"
    config = tmp_path / "engine.toml"
    config.write_text(f'[venue]\nkind = "external"\nendpoint = "ipc://{socket}"\nack_timeout_ms = 20000\n')
    engine = EngineProcess(tmp_path / "journal", durability="os", arguments=("--config", str(config)))
    try:
        with engine:
            yield engine
    finally:
        venue.kill()
        venue.wait(10)
        venue.stdout.close()


def test_a_slow_venue_s_orders_have_their_receipts_long_before_their_results(slow_engine: EngineProcess) -> None:
    orders = [limit() for _ in range(10)]

    async def run() -> list[Any]:
        events: list[Any] = []
        async with (
            await connect(bridge_config(slow_engine, call_timeout_ms=2_000.0)) as client,
            OrderQueue(client) as queue,
        ):
            await queue.put_many(orders)
            async for event in queue.events():
                events.append(event)
                if sum(isinstance(each, Result) for each in events) == len(orders):
                    break
        return events

    events = uvloop.run(run())
    kinds = [type(event) for event in events]
    assert kinds == [Receipt] * 10 + [Result] * 10, "all receipts came while the venue was still thinking"
    replies = [event.reply for event in events if isinstance(event, Result)]
    assert {reply.status for reply in replies} <= {ExecutionStatus.PENDING, ExecutionStatus.FILLED}


def test_threads_have_the_same_queue(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "journal", durability="os") as engine:
        config, outbox = bridge_config(engine), tmp_path / "outbox"
        orders = [limit(50) for _ in range(40)]
        with BlockingOrderQueue(config, outbox=outbox) as queue:
            putting = [threading.Thread(target=queue.put, args=(order,)) for order in orders]
            for thread in putting:
                thread.start()
            results: list[str] = []
            for event in queue.events():
                if isinstance(event, Result):
                    results.append(event.order_id)
                    if len(results) == len(orders):
                        break
            for thread in putting:
                thread.join()
            assert sorted(results) == sorted(order.order_id for order in orders)
            assert queue.cancel(orders[0].order_id) is None
            assert isinstance(next(queue.events()), CancelResult)
        with pytest.raises(ClientClosedError):
            queue.put(limit(50))
        with BlockingOrderQueue(config, outbox=outbox) as again:
            assert again.occupied == 1, "the cancel's result was not acknowledged: nothing was asked for after it"


def test_a_reader_thread_ends_with_its_queue(tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "journal", durability="os") as engine:
        queue = BlockingOrderQueue(bridge_config(engine)).start()
        reader = threading.Thread(target=lambda: list(queue.events()))
        reader.start()
        queue.put(limit(50))
        queue.close()
        reader.join(10)
        assert not reader.is_alive()


def test_the_next_run_reconciles_from_where_the_last_one_was(tmp_path: Path) -> None:
    resting = limit(90)

    async def first(engine: EngineProcess) -> int:
        async with (
            await connect(bridge_config(engine)) as client,
            OrderQueue(client, outbox=tmp_path / "outbox") as queue,
        ):
            client.on_reconciled(lambda _: None, since=0)
            updates = client.subscribe_order_updates(resume_from=0)
            await queue.put(resting)
            heard = await anext(updates)
            await queue.put(limit(10))  # the position goes to the disk with the next transaction
            return heard.sequence if isinstance(heard, OrderUpdate) else 0

    async def second(engine: EngineProcess) -> tuple[int | None, Reconciliation]:
        async with (
            await connect(bridge_config(engine)) as client,
            OrderQueue(client, outbox=tmp_path / "outbox") as queue,
        ):
            reports: asyncio.Queue[Reconciliation] = asyncio.Queue()
            client.on_reconciled(reports.put_nowait, since=queue.position)
            return queue.position, await reports.get()

    with EngineProcess(tmp_path / "journal", durability="os") as engine:
        with BlockingFastPathClient(bridge_config(engine)) as feed:
            feed.publish_quotes([quote(100)])
            handled = uvloop.run(first(engine))
            feed.publish_quotes([quote(85)])
        position, report = uvloop.run(second(engine))
    assert handled >= 1 and position is not None and position >= handled
    assert report.began_sequence == position
    fills = [each for each in report.differences if isinstance(each, MissedFill)]
    assert [fill.order_id for fill in fills] == [resting.order_id]
