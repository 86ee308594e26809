"""The seam to the disk: what the queue writes, what it finds after a restart, and how that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from fallback_grpc.queue.entries import Item
from fallback_grpc.queue.events import FinalEvent
from transport.contract.errors import ExecutionBridgeError


class OutboxError(ExecutionBridgeError):
    """The outbox could not be opened or written. What it held before is untouched.

    `may_be_stored`: what was to be written may be on disk all the same. The order was not sent; put it again under
    the same id (it executes once), or leave it: a later run may send it. Never put it again under a new id.

    `accepted`: how many orders of a `put_many` were taken before that; each of them may be stored, and sent.
    """

    def __init__(
        self, message: str, *, may_be_stored: bool = False, is_passing: bool = False, accepted: int = 0
    ) -> None:
        super().__init__(message)
        self.accepted = accepted
        self.may_be_stored = may_be_stored
        self.is_passing = is_passing
        """Writing may work again by itself (room was made on a full disk)."""


class OutboxInUseError(OutboxError):
    """Another process (or another queue of this one) has the outbox: two would send from it. Give each its own."""


class OutboxDamagedError(OutboxError):
    """The file is no outbox, or parts of it are destroyed. Keep the file; resolve its orders with the engine."""


class OutboxMismatchError(OutboxError):
    """The outbox belongs to another account, another engine's journal, or another release's schema."""


class Owner(msgspec.Struct, frozen=True):
    """Whose orders an outbox holds."""

    account: str
    journal_id: str


class Insert(msgspec.Struct, frozen=True):
    """A new order or cancel, before anything of it is sent."""

    number: int
    item: Item


class Conclude(msgspec.Struct, frozen=True):
    """The final event of an entry, until the application has acknowledged it."""

    number: int
    outcome: FinalEvent


class Delete(msgspec.Struct, frozen=True):
    """The application has acknowledged the final event (or the row was never to be)."""

    number: int


class Position(msgspec.Struct, frozen=True):
    """The account's last update that this client has dealt with; reconciliation begins there after a restart."""

    sequence: int


Write = Insert | Conclude | Delete | Position


class StoredEntry(msgspec.Struct, frozen=True):
    """A row that an earlier run left."""

    number: int
    item: Item
    outcome: FinalEvent | None = None


class Recovered(msgspec.Struct, frozen=True):
    """What an outbox holds when it is opened; entries by rising number."""

    entries: tuple[StoredEntry, ...] = ()
    position: int | None = None


class OutboxStore(Protocol):
    """Durable rows. One queue uses a store, one call at a time."""

    async def open(self, owner: Owner) -> Recovered:
        """Takes possession, and reads what is there. Raises `OutboxError`."""
        ...

    async def commit(self, writes: Sequence[Write]) -> None:
        """All of it or nothing, and durable when it returns. Raises `OutboxError`; what was there is untouched."""
        ...

    async def close(self) -> None:
        """Gives up possession."""
        ...


async def _at_once() -> None:
    return None


class MemoryOutbox:
    """Rows in memory: for a queue without an outbox, for tests, and for the simulator.

    `sync` is awaited within each commit, before its rows count: a crash before it returns loses exactly that commit.
    The object outlives a simulated client; the next client opens it again and finds what was committed.
    """

    def __init__(self, sync: Callable[[], Awaitable[None]] = _at_once) -> None:
        self._sync = sync
        self._rows: dict[int, StoredEntry] = {}
        self._position: int | None = None
        self._owner: Owner | None = None
        self._opened = 0
        self.commits = 0

    async def open(self, owner: Owner) -> Recovered:
        """As `OutboxStore.open`; whoever had it before cannot write any more."""
        check_owner(self._owner, owner, len(self._rows))
        self._owner = owner
        self._opened += 1
        return Recovered(tuple(self._rows[number] for number in sorted(self._rows)), self._position)

    async def commit(self, writes: Sequence[Write]) -> None:
        """As `OutboxStore.commit`."""
        opened = self._opened
        await self._sync()
        if opened != self._opened or not opened:
            raise OutboxInUseError("this outbox was taken over")
        self.commits += 1
        for write in writes:
            self._apply(write)

    async def close(self) -> None:
        """As `OutboxStore.close`."""

    def _apply(self, write: Write) -> None:
        if isinstance(write, Insert):
            self._rows[write.number] = StoredEntry(write.number, write.item)
        elif isinstance(write, Conclude):
            row = self._rows[write.number]
            self._rows[write.number] = StoredEntry(row.number, row.item, write.outcome)
        elif isinstance(write, Delete):
            self._rows.pop(write.number, None)
        else:
            self._position = write.sequence


def check_owner(found: Owner | None, wanted: Owner, rows: int) -> None:
    """Raises `OutboxMismatchError` if the outbox holds orders of another account or for another journal.

    An empty one is free for all.
    """
    if found is None or found == wanted or not rows:
        return
    differs = "account" if found.account != wanted.account else "journal_id"
    raise OutboxMismatchError(
        f"outbox: it holds {rows} orders of {differs} {getattr(found, differs)!r}, and this client is for "
        f"{getattr(wanted, differs)!r}. Nothing of it was sent: connect to the engine that it belongs to, or give "
        "this client an outbox of its own"
    )
