"""A journal that is damaged after its engine was killed: no acknowledged order is dropped in silence."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from transport import ExecutionStatus, Order, OrderSide, OrderType
from transport.wire.messages import ExecuteOrder

ENDPOINTS = ("--zmq", "tcp://127.0.0.1:0", "--pub", "tcp://127.0.0.1:0", "--grpc", "127.0.0.1:0")
ORDERS = 400


@pytest.fixture
def segment(start_engine: Any, connect: Any) -> Path:
    """The only segment of an engine in mode os that acknowledged many orders and was killed."""
    engine = start_engine(durability="os")
    client = connect(engine.zmq)
    client.hello()
    for number in range(ORDERS):
        order = Order(symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1))
        assert client.ask(2 + number, ExecuteOrder(order)).reply.status == ExecutionStatus.FILLED
    engine.kill()
    [segment] = engine.data_dir.glob("*.seg")
    return segment


def flip_a_byte(used: bytearray) -> bytearray:
    used[len(used) // 2] ^= 0xFF
    return used


def zero_a_hole(used: bytearray) -> bytearray:
    middle = len(used) // 2
    used[middle : middle + 4096] = bytes(4096)
    return used


@pytest.mark.parametrize("damage", [flip_a_byte, zero_a_hole])
def test_damage_in_the_middle_is_refused_although_nothing_was_synced(
    damage: Any, segment: Path, command_line: Any
) -> None:
    content = segment.read_bytes()
    used = bytearray(content.rstrip(b"\0"))
    segment.write_bytes(bytes(damage(used)).ljust(len(content), b"\0"))
    for command in (("serve", *ENDPOINTS, "--durability", "os", "--data-dir"), ("verify",)):
        done = command_line(*command, segment.parent)
        assert done.returncode == 3, done.stderr
        assert segment.name in done.stderr and "offset" in done.stderr


def test_a_torn_last_write_is_cut_and_the_engine_starts(segment: Path, start_engine: Any, command_line: Any) -> None:
    content = segment.read_bytes()
    torn = content.rstrip(b"\0")[:-60]
    segment.write_bytes(torn.ljust(len(content), b"\0"))
    done = command_line("verify", segment.parent)
    assert done.returncode == 0, done.stderr
    assert '"cut_bytes":0' not in done.stdout and '"cut_bytes":' in done.stdout
    engine = start_engine(durability="os", data_dir=segment.parent)
    # Each order is a record; each start records its epoch, and the first one its configuration.
    assert engine.verify()["records"] == ORDERS + 2
    assert engine.stop() == 0


def test_a_segment_that_was_cut_short_starts(segment: Path, start_engine: Any) -> None:
    used = segment.read_bytes().rstrip(b"\0")
    segment.write_bytes(used[: len(used) // 2])
    engine = start_engine(durability="os", data_dir=segment.parent)
    assert engine.stop() == 0
