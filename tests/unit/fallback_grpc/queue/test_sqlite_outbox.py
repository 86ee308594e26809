"""The outbox on disk: what was committed is there after a kill, one owner, and every failure in plain words."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fallback_grpc.queue.events import Result
from fallback_grpc.queue.outbox import (
    Conclude,
    Delete,
    Insert,
    OutboxDamagedError,
    OutboxError,
    OutboxInUseError,
    OutboxMismatchError,
    Owner,
    Position,
    Recovered,
    Write,
)
from fallback_grpc.queue.sqlite_outbox import SqliteOutbox
from transport.contract.codes import ExecutionStatus, OrderSide, OrderType
from transport.contract.orders import Order
from transport.contract.replies import OrderReply
from transport.contract.requests import CancelOrder

OWNER = Owner("default", "journal-a")
FULL = Order(
    order_id="full",
    symbol="NASDAQ",
    order_type=OrderType.LIMIT,
    side=OrderSide.SELL,
    quantity=Decimal("1.50"),
    price=Decimal("15000.25"),
    stop_loss=Decimal(15100),
    metadata={"desk": "Zürich"},
    timestamp_ns=1,
    expires_at_ns=2,
    trace_context="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)
RESULT = Result(
    number=1, order_id="full", reply=OrderReply("full", ExecutionStatus.FILLED, executed_price=Decimal("1.10"))
)


def order(number: int) -> Order:
    return Order(
        order_id=f"o{number}", symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1)
    )


@asynccontextmanager
async def opened(path: Path, owner: Owner = OWNER) -> AsyncIterator[tuple[SqliteOutbox, Recovered]]:
    store = SqliteOutbox(path)
    recovered = await store.open(owner)
    try:
        yield store, recovered
    finally:
        await store.close()


async def write(path: Path, *transactions: Sequence[Write]) -> None:
    async with opened(path) as (store, _):
        for writes in transactions:
            await store.commit(writes)


async def read(path: Path, owner: Owner = OWNER) -> Recovered:
    async with opened(path, owner) as (_, recovered):
        return recovered


async def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "outbox"
    cancel = CancelOrder(order_id="full", command_id="c")
    await write(
        file,
        [Insert(1, FULL), Insert(2, cancel), Insert(3, order(3)), Position(41)],
        [Conclude(1, RESULT), Delete(3), Position(42)],
    )
    recovered = await read(file)
    assert [(row.number, row.item, row.outcome) for row in recovered.entries] == [(1, FULL, RESULT), (2, cancel, None)]
    assert str(recovered.entries[0].item.quantity) == "1.50"  # type: ignore[union-attr]
    assert recovered.position == 42


async def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    file = tmp_path / "outbox"
    async with opened(file) as (store, _):
        await store.commit([Insert(1, FULL)])
        assert modes(tmp_path) == {"outbox": 0o600, "outbox-wal": 0o600}
    with pytest.raises(OutboxError, match="cannot be created"):
        await read(tmp_path / "nowhere" / "outbox")


def modes(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}


async def test_a_second_queue_or_process_is_told_that_the_outbox_is_in_use(tmp_path: Path) -> None:
    file = tmp_path / "outbox"
    async with opened(file):
        with pytest.raises(OutboxInUseError, match="has it open"):
            await read(file)
        context = multiprocessing.get_context("spawn")
        told = context.Queue()
        other = context.Process(target=_open_in_another_process, args=(str(file), told))
        other.start()
        assert told.get(timeout=100) == "OutboxInUseError"
        other.join(30)
    assert (await read(file)).entries == ()


def _open_in_another_process(file: str, told: Any) -> None:
    try:
        asyncio.run(read(Path(file)))
    except OutboxError as problem:
        told.put(type(problem).__name__)
    else:
        told.put("opened")


@pytest.mark.parametrize("other", [Owner("other", "journal-a"), Owner("default", "journal-b")])
async def test_orders_of_another_account_or_engine_are_not_taken_over(tmp_path: Path, other: Owner) -> None:
    file = tmp_path / "outbox"
    await write(file, [Insert(1, FULL), Position(7)])
    with pytest.raises(OutboxMismatchError, match="it holds 1 orders of"):
        await read(file, other)
    assert len((await read(file)).entries) == 1, "nothing was lost"


async def test_an_empty_outbox_is_free_for_another_engine_and_forgets_the_position(tmp_path: Path) -> None:
    file = tmp_path / "outbox"
    await write(file, [Insert(1, FULL), Position(7)], [Delete(1)])
    assert (await read(file)).position == 7
    assert (await read(file, Owner("default", "journal-b"))).position is None


async def test_a_file_that_is_no_outbox_is_left_alone(tmp_path: Path) -> None:
    text, database = tmp_path / "notes.txt", tmp_path / "other.db"
    text.write_text("not a database, and longer than the header of one " * 100)
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = [path.read_bytes() for path in (text, database)]
    for path in (text, database):
        with pytest.raises(OutboxDamagedError):
            await read(path)
    assert [path.read_bytes() for path in (text, database)] == before


async def test_another_release_s_schema_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "outbox"
    await write(file, [Insert(1, FULL)])
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(OutboxMismatchError, match="schema 2"):
        await read(file)


async def test_a_flipped_bit_in_an_order_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "outbox"
    await write(file, [Insert(1, FULL)])
    content = bytearray(file.read_bytes())
    at = content.index(b"15000.25")
    content[at] ^= 1
    file.write_bytes(content)
    with pytest.raises(OutboxDamagedError, match="row 1 is damaged"):
        await read(file)


async def test_a_destroyed_page_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "outbox"
    await write(file, [Insert(number, order(number)) for number in range(1, 500)])
    content = bytearray(file.read_bytes())
    content[4096 * 3 : 4096 * 4] = os.urandom(4096)
    file.write_bytes(content)
    with pytest.raises(OutboxDamagedError):
        await read(file)


async def test_a_full_disk_loses_nothing_and_passes(tmp_path: Path) -> None:
    file = tmp_path / "outbox"
    async with opened(file) as (store, _):
        await store.commit([Insert(1, FULL)])
        limit(store, 8)
        with pytest.raises(OutboxError, match="the disk is full") as full:
            await store.commit([Insert(number, order(number)) for number in range(2, 2_000)])
        assert full.value.is_passing and not full.value.may_be_stored
        limit(store, 1_000_000)
        await store.commit([Insert(2, order(2))])
    assert [row.number for row in (await read(file)).entries] == [1, 2]


def limit(store: SqliteOutbox, pages: int) -> None:
    """The file may not grow beyond so many pages: SQLite says of that what it says of a full disk."""
    thread, connection = store._thread, store._connection  # pyright: ignore[reportPrivateUsage]
    assert thread is not None and connection is not None
    thread.submit(lambda: connection.execute(f"PRAGMA max_page_count = {pages}")).result(10)


async def test_a_write_that_fails_otherwise_is_the_last_one(tmp_path: Path) -> None:
    async with opened(tmp_path / "outbox") as (store, _):
        connection, thread = store._connection, store._thread  # pyright: ignore[reportPrivateUsage]
        assert thread is not None and connection is not None
        thread.submit(lambda: connection.execute("PRAGMA query_only = 1")).result(10)
        with pytest.raises(OutboxError) as failed:
            await store.commit([Insert(1, FULL)])
        assert not failed.value.is_passing and failed.value.may_be_stored
        thread.submit(lambda: connection.execute("PRAGMA query_only = 0")).result(10)
        with pytest.raises(OutboxError, match="nothing more is written"):
            await store.commit([Insert(1, FULL)])


async def test_the_file_does_not_grow_with_what_was_deleted(tmp_path: Path) -> None:
    file = tmp_path / "outbox"
    async with opened(file) as (store, _):
        for turn in range(30):
            first = turn * 100 + 1
            await store.commit([Insert(number, order(number)) for number in range(first, first + 100)])
            await store.commit([Delete(number) for number in range(first, first + 100)])
    assert file.stat().st_size < 100_000


async def test_a_file_of_much_unused_space_is_compacted_when_it_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "outbox"
    await write(file, [Insert(number, order(number)) for number in range(1, 12_000)])
    large = file.stat().st_size
    await write(file, [Delete(number) for number in range(1, 12_000)])
    assert file.stat().st_size == large
    await read(file)
    assert file.stat().st_size < large / 10


def test_what_was_committed_is_there_after_a_kill_and_nothing_of_what_was_not(tmp_path: Path) -> None:
    file = tmp_path / "outbox"
    context = multiprocessing.get_context("spawn")
    said, child_said = context.Pipe(duplex=False)
    child = context.Process(target=_commit_for_ever, args=(str(file), child_said))
    child.start()
    committed = 0
    while committed < 200:
        assert said.poll(30)
        committed = said.recv()
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join(30)
    while said.poll():
        try:
            committed = said.recv()
        except EOFError:
            break
    numbers = [row.number for row in asyncio.run(read(file)).entries]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) % 10 == 0, "a transaction is there whole"
    assert committed <= len(numbers) <= committed + 20


def _commit_for_ever(file: str, said: Any) -> None:
    async def run() -> None:
        async with opened(Path(file)) as (store, _):
            number = 0
            while True:
                await store.commit([Insert(number + each, order(number + each)) for each in range(1, 11)])
                number += 10
                said.send(number)

    asyncio.run(run())
