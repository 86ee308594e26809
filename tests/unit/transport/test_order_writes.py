"""Many orders in one write: whatever the carrier takes, and whatever interrupts it, no call is lost or made up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.transport.fake_engine import JOURNAL, filled
from tests.unit.transport.test_codec import order
from tests.unit.transport.test_core import Rig
from transport.contract import ExecuteReply, Order, Replied, ValidationError
from transport.fastpath.driver import Driver

DEADLINE_NS = 10_000_000_000


class Carrier:
    """Does with a write of orders what a test says."""

    def __init__(self, write: Callable[[list[int]], int]) -> None:
        self._write = write

    def send_orders(self, correlations: list[int], journal_id: str, orders: list[Order], max_bytes: int) -> int:
        assert journal_id == JOURNAL and len(orders) >= len(correlations) and max_bytes > 0
        return self._write(correlations)


def no_carrier() -> Any:
    raise OSError("the test connects by hand")


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.greeting()
    rig.welcomed()
    return rig


def orders(count: int) -> list[Order]:
    return [order() for _ in range(count)]


def test_orders_that_the_carrier_did_not_take_have_no_call(rig: Rig) -> None:
    driver = Driver(rig.core, no_carrier)
    calls = driver.send_orders(Carrier(lambda _: 2), orders(3), DEADLINE_NS)
    assert [call.correlation for call in calls] == list(rig.core.in_flight)
    assert len(calls) == 2


def test_no_more_orders_are_tried_than_have_room(rig: Rig) -> None:
    driver = Driver(rig.core, no_carrier)
    room = rig.core.room()
    tried: list[int] = []

    def take_all(correlations: list[int]) -> int:
        tried.append(len(correlations))
        return len(correlations)

    assert len(driver.send_orders(Carrier(take_all), orders(room + 3), DEADLINE_NS)) == room
    assert driver.send_orders(Carrier(take_all), orders(1), DEADLINE_NS) == []
    assert tried == [room], "where there is no room the carrier is not asked"


def test_a_first_order_without_a_form_on_the_wire_leaves_nothing_behind(rig: Rig) -> None:
    driver = Driver(rig.core, no_carrier)

    def refuse(_: list[int]) -> int:
        raise ValidationError("quantity: not a number", field="quantity")

    with pytest.raises(ValidationError):
        driver.send_orders(Carrier(refuse), orders(2), DEADLINE_NS)
    assert not rig.core.in_flight


def test_a_reply_finds_its_call_though_a_handler_of_signals_raised_in_the_write(rig: Rig) -> None:
    driver = Driver(rig.core, no_carrier)
    written: list[int] = []

    def interrupted(correlations: list[int]) -> int:
        written.extend(correlations)
        raise RuntimeError("raised by a handler of signals")

    with pytest.raises(RuntimeError):
        driver.send_orders(Carrier(interrupted), orders(2), DEADLINE_NS)
    assert list(rig.core.in_flight) == written, "they may have left: their room is taken until they conclude"
    call = rig.core.in_flight[written[0]]
    reply = ExecuteReply(filled(order()), False)
    rig.engine_says(written[0], reply)
    assert isinstance(call.conclusion, Replied)
    rig.advance(DEADLINE_NS / 1_000_000)
    assert not rig.core.in_flight
