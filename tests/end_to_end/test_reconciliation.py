"""What happened while a client was cut off is reported when it is back: fills, ends, and strange open orders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from examples.rig.engine_process import EngineProcess
from examples.rig.fault_proxy import FaultProxy
from fallback_grpc import connect, connect_blocking
from fallback_grpc.reconciliation import MissedClose, MissedFill, Reconciliation, UnknownToClient
from tests.conformance.drivers import AsyncDriver, BlockingDriver, bridge_config
from tests.waiting import eventually
from transport import BlockingFastPathClient, Order, OrderSide, OrderType, Quote

DRIVERS = {"async": (AsyncDriver, connect), "blocking": (BlockingDriver, connect_blocking)}


class Rig:
    """One engine, a client whose paths can be cut, and another client that acts meanwhile."""

    def __init__(self, engine: EngineProcess, zmq: FaultProxy, grpc: FaultProxy, flavour: str) -> None:
        self.engine, self.zmq, self.grpc = engine, zmq, grpc
        self._driver, self._connect = DRIVERS[flavour]
        self.reports: list[Reconciliation] = []

    @contextmanager
    def client(self, since: int | None = None) -> Iterator[Any]:
        """A client that reconciles, through the proxies."""
        # Patient: a path that was lost for a stall of the machine would be compared while an order is under way.
        config = bridge_config(self.engine, zmq_endpoint=f"tcp://{self.zmq.endpoint}", grpc_endpoint=self.grpc.endpoint)
        with self._driver(self._connect, config) as client:
            client.on_reconciled(self.reports.append, since=since)
            eventually(lambda: self.reports, "the first comparison")
            yield client

    @contextmanager
    def cut_off(self, client: Any) -> Iterator[Any]:
        """Both paths are away; the other client goes on. Ends once the client has compared again."""
        for proxy in (self.zmq, self.grpc):
            proxy.refuse_connections()
        eventually(lambda: not client.usable_paths if not callable(client.usable_paths) else False, "no path is left")
        before = len(self.reports)
        with BlockingFastPathClient(bridge_config(self.engine)) as other:
            yield other
        for proxy in (self.zmq, self.grpc):
            proxy.heal()
        eventually(lambda: len(self.reports) > before, "the comparison after the cut")


@pytest.fixture(params=sorted(DRIVERS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with (
        EngineProcess(tmp_path / "journal", durability="os") as engine,
        FaultProxy(engine.zmq) as zmq,
        FaultProxy(engine.grpc) as grpc,
    ):
        yield Rig(engine, zmq, grpc, request.param)


def buy(price: int) -> Order:
    return Order(
        symbol="NASDAQ", order_type=OrderType.LIMIT, side=OrderSide.BUY, quantity=Decimal(2), price=Decimal(price)
    )


def quote(price: int) -> Quote:
    size = Decimal(1_000_000)
    return Quote(symbol="NASDAQ", bid=Decimal(price), ask=price + Decimal("0.01"), bid_size=size, ask_size=size)


def test_fills_and_cancels_of_the_time_between_are_reported_once_the_client_is_back(rig: Rig) -> None:
    with BlockingFastPathClient(bridge_config(rig.engine)) as feed:
        feed.publish_quotes([quote(100)])
    with rig.client() as client:
        filled, cancelled, left = buy(90), buy(80), buy(70)
        for order in (filled, cancelled, left):
            client.execute_order(order)
        with rig.cut_off(client) as other:
            other.publish_quotes([quote(85)])
            other.cancel_order(cancelled.order_id)
        (report, *_) = [each for each in rig.reports[1:] if not each.agrees]
        assert [(type(each), each.order_id) for each in report.differences] == [
            (MissedFill, filled.order_id), (MissedClose, cancelled.order_id)
        ]  # fmt: skip
        assert (report.open_orders, report.gap) == (1, None)
        assert report.began_sequence is not None and report.ended_sequence > report.began_sequence
        # It is told once: after another cut there is nothing new.
        before = len(rig.reports)
        with rig.cut_off(client):
            pass
        assert all(each.agrees for each in rig.reports[before:])


def test_open_orders_of_an_earlier_run_are_unknown_and_its_missed_fills_are_told_from_where_it_was(rig: Rig) -> None:
    with BlockingFastPathClient(bridge_config(rig.engine)) as earlier:
        earlier.publish_quotes([quote(100)])
        handled = earlier.execute_order(buy(90)).sequence
        open_order = buy(80)
        earlier.execute_order(open_order)
        earlier.publish_quotes([quote(85)])
    with rig.client(since=handled):
        (report,) = rig.reports[:1]
    kinds = [type(each) for each in report.differences]
    assert kinds.count(MissedFill) == 1
    assert report.began_sequence == handled
    rig.reports.clear()
    with rig.client():
        (report,) = rig.reports[:1]
    assert [(type(each), each.order_id) for each in report.differences] == [(UnknownToClient, open_order.order_id)]


def test_a_client_that_trades_while_its_path_flaps_is_told_of_no_difference(rig: Rig) -> None:
    with rig.client() as client:
        for _ in range(3):
            for number in range(20):
                client.execute_order(buy(10 + number))
            before = len(rig.reports)
            rig.zmq.reset_connections()
            eventually(lambda before=before: len(rig.reports) > before, "the comparison")
        assert all(each.agrees for each in rig.reports[1:])
