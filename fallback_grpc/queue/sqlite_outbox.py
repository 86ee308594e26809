"""The outbox on disk: SQLite with a write-ahead log, every commit synced, one owner at a time.

All of it runs in one thread of its own, so that the event loop never waits for the disk. A row holds its order as
bytes with a checksum: SQLite would not notice a flipped bit, and an order with another quantity is another order.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sqlite3
import weakref
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from fallback_grpc.queue.entries import Item
from fallback_grpc.queue.events import FinalEvent
from fallback_grpc.queue.outbox import (
    Conclude,
    Delete,
    Insert,
    OutboxDamagedError,
    OutboxError,
    OutboxInUseError,
    OutboxMismatchError,
    Owner,
    Recovered,
    StoredEntry,
    Write,
    check_owner,
)
from transport.contract.errors import ForkedProcessError
from transport.contract.orders import Order
from transport.contract.requests import CancelOrder

APPLICATION_ID: Final = 0x58425251
"""`XBRQ`, in the header of the file."""
SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE owner (
    only INTEGER PRIMARY KEY CHECK (only = 1), account TEXT NOT NULL, journal_id TEXT NOT NULL, position INTEGER
) STRICT;
CREATE TABLE entries (
    number INTEGER PRIMARY KEY, kind INTEGER NOT NULL, item BLOB NOT NULL, item_crc INTEGER NOT NULL,
    outcome BLOB, outcome_crc INTEGER
) STRICT;
"""
_KINDS: Final[dict[int, type[Any]]] = {1: Order, 2: CancelOrder}
# A file whose unused pages are more than so many, and more than the used ones, is compacted when it is opened.
_MOST_UNUSED_PAGES: Final = 256

ResultT = TypeVar("ResultT")
_encode = msgspec.msgpack.encode


class SqliteOutbox:
    """An `OutboxStore` in one file (and SQLite's `-wal` beside it while it is open).

    A child process must open one of its own: in a fork's child this raises `ForkedProcessError`, and closes nothing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens nothing yet. The directory must exist."""
        self._path = Path(path)
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._failed: OutboxError | None = None
        self._process = os.getpid()
        _outboxes.add(self)

    async def open(self, owner: Owner) -> Recovered:
        """As `OutboxStore.open`. Raises `OutboxInUseError`, `OutboxDamagedError`, `OutboxMismatchError`."""
        if self._thread is None:
            self._process = os.getpid()
            self._thread = ThreadPoolExecutor(1, "outbox")
        try:
            return await self._in_thread(lambda: self._open(owner))
        except BaseException:
            await self.close()
            raise

    async def commit(self, writes: Sequence[Write]) -> None:
        """As `OutboxStore.commit`. A full disk is passing; after any other failure nothing is written any more."""
        if self._failed is not None:
            raise self._failed
        try:
            await self._in_thread(lambda: self._commit(writes))
        except OutboxError as problem:
            if not problem.is_passing:
                self._failed = OutboxError(f"{problem} (nothing more is written until the program starts again)")
            raise

    async def close(self) -> None:
        """As `OutboxStore.close`."""
        if os.getpid() != self._process:
            return
        thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
        finally:
            thread.shutdown(wait=False)

    # ---- in the thread ----

    async def _in_thread(self, work: Callable[[], ResultT]) -> ResultT:
        if self._thread is None:
            raise OutboxError(f"outbox {self._path}: it is closed")
        if os.getpid() != self._process:
            raise ForkedProcessError(f"outbox {self._path}: the parent process {self._process} has it open")
        # A commit that has begun is waited for, also by a task that is cancelled: its end must not be guessed.
        running = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            with suppress(Exception):
                await running
            raise
        except sqlite3.Error as problem:
            raise self._in_words(problem) from problem

    def _open(self, owner: Owner) -> Recovered:
        is_new = not self._path.exists()
        if is_new:
            self._create()
        self._connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        run = self._connection.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        self._check_file()
        if (mode := run("PRAGMA journal_mode = WAL").fetchone()[0]) != "wal":
            raise OutboxError(f"outbox {self._path}: no write-ahead log is possible here (journal mode {mode})")
        run("PRAGMA synchronous = FULL")
        run("BEGIN EXCLUSIVE")  # takes the lock, and keeps it until the connection is closed
        if run("PRAGMA user_version").fetchone()[0] == 0:
            for statement in _SCHEMA.split(";"):
                run(statement)
            run(f"PRAGMA application_id = {APPLICATION_ID}")
            run(f"PRAGMA user_version = {SCHEMA_VERSION}")
        run("COMMIT")
        if is_new:
            _sync_directory(self._path.parent)
        recovered = self._read(owner)
        run("INSERT OR REPLACE INTO owner VALUES (1, ?, ?, ?)", (owner.account, owner.journal_id, recovered.position))
        unused, pages = run("PRAGMA freelist_count").fetchone()[0], run("PRAGMA page_count").fetchone()[0]
        if unused > _MOST_UNUSED_PAGES and unused * 2 > pages:
            run("VACUUM")
        return recovered

    def _create(self) -> None:
        """An empty file that only its owner may read: orders are nobody else's business."""
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            pass  # another process was faster, and will have the lock
        except OSError as problem:
            raise OutboxError(f"outbox {self._path}: it cannot be created: {problem.strerror}") from problem

    def _check_file(self) -> None:
        run = self._connected().execute
        version, application = (run(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id"))
        if version == 0 and application == 0 and not run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return
        if application != APPLICATION_ID:
            raise OutboxDamagedError(
                f"outbox {self._path}: the file is a database of something else; it was left alone"
            )
        if version != SCHEMA_VERSION:
            raise OutboxMismatchError(
                f"outbox {self._path}: it has schema {version}, and this release knows {SCHEMA_VERSION}. Let the "
                "release that wrote it finish its orders"
            )
        verdict = run("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise OutboxDamagedError(
                f"outbox {self._path}: {verdict}. Keep the file, and ask the engine for its orders"
            )

    def _read(self, owner: Owner) -> Recovered:
        run = self._connected().execute
        found = run("SELECT account, journal_id, position FROM owner").fetchone()
        rows = run("SELECT number, kind, item, item_crc, outcome, outcome_crc FROM entries ORDER BY number").fetchall()
        former = None if found is None else Owner(found[0], found[1])
        check_owner(former, owner, len(rows))
        # The position counts updates of one journal.
        position = found[2] if found is not None and former == owner else None
        return Recovered(tuple(self._entry(row) for row in rows), position)

    def _entry(self, row: tuple[int, int, bytes, int, bytes | None, int | None]) -> StoredEntry:
        number, kind, item, item_crc, outcome, outcome_crc = row
        if zlib.crc32(item) != item_crc or (outcome is not None and zlib.crc32(outcome) != outcome_crc):
            raise OutboxDamagedError(f"outbox {self._path}: row {number} is damaged. Keep the file; nothing was sent")
        try:
            read: Item = msgspec.msgpack.decode(item, type=_KINDS[kind])
            concluded = None if outcome is None else msgspec.msgpack.decode(outcome, type=FinalEvent)
        except (KeyError, msgspec.MsgspecError) as problem:
            raise OutboxDamagedError(f"outbox {self._path}: row {number} cannot be read: {problem}") from problem
        return StoredEntry(number, read, concluded)

    def _commit(self, writes: Sequence[Write]) -> None:
        run = self._connected().execute
        run("BEGIN")
        try:
            for write in writes:
                run(*_statement(write))
            run("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                run("ROLLBACK")
            raise

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def keep_open(self) -> None:
        """In a fork's child: the connection is never freed. SQLite would take it for the last one, whose locks a
        child does not have, and delete the write-ahead log of the parent."""
        if self._connection is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise OutboxError(f"outbox {self._path}: it is closed")
        return self._connection

    def _in_words(self, problem: sqlite3.Error) -> OutboxError:
        name = getattr(problem, "sqlite_errorname", "") or ""
        where = f"outbox {self._path}"
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return OutboxInUseError(f"{where}: another process, or another queue, has it open")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return OutboxDamagedError(f"{where}: {problem}. Keep the file, and ask the engine for its orders")
        if name.startswith("SQLITE_FULL"):
            # Rolled back: the frame that would commit it is the last to be written, and was not.
            return OutboxError(f"{where}: the disk is full; nothing was written", is_passing=True)
        return OutboxError(f"{where}: {problem} ({name or type(problem).__name__})", may_be_stored=True)


_outboxes: weakref.WeakSet[SqliteOutbox] = weakref.WeakSet()


def _keep_the_parents_open() -> None:
    for outbox in tuple(_outboxes):
        outbox.keep_open()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_the_parents_open)


def _statement(write: Write) -> tuple[str, tuple[Any, ...]]:
    if isinstance(write, Insert):
        item = _encode(write.item)
        kind = 2 if isinstance(write.item, CancelOrder) else 1
        return "INSERT INTO entries VALUES (?, ?, ?, ?, NULL, NULL)", (write.number, kind, item, zlib.crc32(item))
    if isinstance(write, Conclude):
        outcome = _encode(write.outcome)
        return (
            "UPDATE entries SET outcome = ?, outcome_crc = ? WHERE number = ?",
            (outcome, zlib.crc32(outcome), write.number),
        )
    if isinstance(write, Delete):
        return "DELETE FROM entries WHERE number = ?", (write.number,)
    return "UPDATE owner SET position = ?", (write.sequence,)


def _sync_directory(directory: Path) -> None:
    """The file's name is on disk too."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
