"""The venue in another process: an order reaches it at most once, whatever the engine does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import eventually
from transport import ExecutionStatus, Order, OrderSide, OrderType, ReasonCode
from transport.contract.requests import CancelOrder, GetOrder
from transport.wire.messages import ExecuteOrder

SCRIPT = Path(__file__).resolve().parents[1] / "venues" / "slow_venue.py"
ORDERS = 40


@dataclass
class VenueProcess:
    """The test venue; it survives the engines that connect to it."""

    directory: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list[subprocess.Popen[str]])

    def start(self, delay_ms: float, *options: str) -> None:
        command = [sys.executable, str(SCRIPT), str(self.socket), str(self.log), "--delay-ms", str(delay_ms), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"

    @property
    def socket(self) -> Path:
        return self.directory / "venue.sock"

    @property
    def log(self) -> Path:
        return self.directory / "venue.jsonl"

    def orders(self) -> list[dict[str, Any]]:
        # The venue may be writing just now: a line counts once its newline is there.
        whole_lines = self.log.read_text().rpartition("\n")[0] if self.log.exists() else ""
        return [json.loads(line) for line in whole_lines.splitlines()]

    def config(self, ack_timeout_ms: int = 5_000) -> str:
        return f'[venue]\nkind = "external"\nendpoint = "ipc://{self.socket}"\nack_timeout_ms = {ack_timeout_ms}\n'

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait(10)
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[VenueProcess]:
    process = VenueProcess(tmp_path)
    yield process
    process.end()


def order(number: int = 1, **changes: Any) -> Order:
    content = {"symbol": "NASDAQ", "order_type": OrderType.LIMIT, "side": OrderSide.BUY, "price": Decimal(100)}
    return Order(**(content | {"quantity": Decimal(number)} | changes))


def test_an_order_is_answered_with_the_venue_s_first_word(venue: VenueProcess, start_engine: Any, connect: Any) -> None:
    venue.start(20)
    client = connect(start_engine(venue.config()).zmq)
    client.hello()
    sent = order(3)
    reply = client.ask(2, ExecuteOrder(sent)).reply
    assert reply.status in (ExecutionStatus.PENDING, ExecutionStatus.FILLED)
    assert reply.exchange_order_id.startswith("SLOW-")
    filled = eventually(lambda: is_filled(client, sent), "the order fills")
    assert (filled.executed_quantity, filled.executed_price) == (Decimal(3), Decimal(100))
    assert [told["quantity"] for told in venue.orders()] == ["3"]


def is_filled(client: Any, sent: Order) -> Any:
    state = client.ask(9, GetOrder(order_id=sent.order_id)).order
    return state if state.status == ExecutionStatus.FILLED else None


def test_a_venue_that_says_nothing_in_time_leaves_the_order_pending(
    venue: VenueProcess, start_engine: Any, connect: Any
) -> None:
    venue.start(2_500)
    client = connect(start_engine(venue.config(ack_timeout_ms=100)).zmq)
    client.hello()
    sent = order(3)
    first = client.ask(2, ExecuteOrder(sent)).reply
    assert first.status == ExecutionStatus.PENDING
    again = client.ask(3, ExecuteOrder(sent))
    assert again.duplicate and again.reply == first
    eventually(lambda: is_filled(client, sent), "the order fills")
    assert client.ask(4, ExecuteOrder(sent)).reply == first
    assert len(venue.orders()) == 1


def test_an_order_rests_and_is_cancelled_there(venue: VenueProcess, start_engine: Any, connect: Any) -> None:
    venue.start(10)
    client = connect(start_engine(venue.config()).zmq)
    client.hello()
    sent = order(2, order_type=OrderType.STOP_LOSS, price=Decimal(5_000))
    assert client.ask(2, ExecuteOrder(sent)).reply.status == ExecutionStatus.PENDING
    done = client.ask(3, CancelOrder(order_id=sent.order_id))
    assert (done.code, done.order.status) == (ReasonCode.NONE, ExecutionStatus.CANCELLED)


def test_without_a_venue_an_order_never_reaches_it_later(venue: VenueProcess, start_engine: Any, connect: Any) -> None:
    client = connect(start_engine(venue.config(ack_timeout_ms=100)).zmq)
    client.hello()
    sent = order(3)
    assert client.ask(2, ExecuteOrder(sent)).reply.status == ExecutionStatus.PENDING
    venue.start(10)
    state = eventually(lambda: has_ended(client, sent), "the order ends")
    assert (state.status, state.code) == (ExecutionStatus.REJECTED, ReasonCode.VENUE_UNAVAILABLE)
    assert venue.orders() == []


def has_ended(client: Any, sent: Order) -> Any:
    state = client.ask(9, GetOrder(order_id=sent.order_id)).order
    ended = (ExecutionStatus.FILLED, ExecutionStatus.REJECTED, ExecutionStatus.CANCELLED)
    return state if state.status in ended else None


@pytest.mark.parametrize("delay_ms", [0, 30, 400])
@pytest.mark.parametrize("reached", [1, 7, ORDERS])
def test_an_order_reaches_the_venue_at_most_once_over_a_crash_of_the_engine(
    delay_ms: int, reached: int, venue: VenueProcess, start_engine: Any, connect: Any
) -> None:
    """Given orders in flight, when the engine is killed and all are sent again, then none was executed twice."""
    venue.start(delay_ms)
    engine = start_engine(venue.config())
    client = connect(engine.zmq)
    client.hello()
    # The quantity names the order in the venue's log.
    sent = [order(number + 1) for number in range(ORDERS)]
    for number, one in enumerate(sent):
        client.send(100 + number, ExecuteOrder(one))
    eventually(lambda: len(venue.orders()) >= reached, "orders reach the venue")
    engine.kill()
    engine.start()
    client = connect(engine.zmq)
    client.hello()
    for number, one in enumerate(sent):
        client.send(100 + number, ExecuteOrder(one))
    answered = {client.receive()[0] for _ in sent}
    assert answered == set(range(100, 100 + ORDERS))
    states = [eventually(lambda one=one: has_ended(client, one), "the order ends") for one in sent]
    told = [int(Decimal(order["quantity"])) for order in venue.orders()]
    assert len(told) == len(set(told)), "an order reached the venue twice"
    for number, state in enumerate(states, start=1):
        if number in told:
            assert (state.status, state.executed_quantity) == (ExecutionStatus.FILLED, Decimal(number))
        else:
            assert (state.status, state.code) == (ExecutionStatus.REJECTED, ReasonCode.VENUE_UNAVAILABLE)
    assert engine.stop() == 0
    assert engine.verify()["records"] > ORDERS


def test_an_order_lost_with_its_machine_is_another_than_the_next_of_its_number(
    venue: VenueProcess, start_engine: Any, connect: Any, tmp_path: Path
) -> None:
    """Given an engine whose last records are gone: what the venue says of the lost order counts for no other one."""
    venue.start(10)
    engine = start_engine(venue.config())
    journal, kept = tmp_path / "journal", tmp_path / "kept"
    shutil.copytree(journal, kept)
    for quantity in (3, 5):
        client = connect(engine.zmq)
        client.hello()
        sent = order(quantity)
        client.ask(2, ExecuteOrder(sent))
        ended = eventually(lambda client=client, sent=sent: has_ended(client, sent), "the order ends")
        assert (ended.status, ended.executed_quantity) == (ExecutionStatus.FILLED, Decimal(quantity))
        engine.kill()
        shutil.rmtree(journal)
        shutil.copytree(kept, journal)
        engine.start()
    names = [(told["key"], told["epoch"]) for told in venue.orders()]
    assert names == [(4, 1), (4, 2)]
