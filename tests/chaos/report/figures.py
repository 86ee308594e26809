"""The figures of a run: counts, recovery by client and kind of fault, memory at both ends."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.chaos.actors.books import ClientBook
from tests.chaos.checker import Books
from tests.chaos.checker.differences import Difference, Total
from tests.chaos.faults import Happened
from tests.chaos.plan import ENGINE
from tests.chaos.run import MemorySample, RunResult
from tests.chaos.world import Cast

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Recovery:
    """From faults of one kind to the next completed order of one client, in milliseconds."""

    client: str
    fault: str
    samples: int
    p50_ms: float
    p99_ms: float
    worst_ms: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of one process, in MiB; of clients that were killed, of the last life at the end."""

    process: str
    start_mib: float
    end_mib: float
    most_mib: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that the report says."""

    seed: int
    minutes: float
    durability: str
    took_s: float
    orders: int
    calls: int
    updates: int
    journal_orders: int
    duplicates_answered: int
    """Replies that the engine gave from memory."""
    faults: dict[str, int]
    full_disks: int
    """Times that the engine refused for want of room."""
    full_disks_that_failed: int
    """A limit that took room from a segment that had it already: a broken disk, rather than a full one."""
    client_lives: dict[str, int]
    ends: dict[str, dict[str, int]]
    """By client: how many calls ended in what."""
    totals: dict[Total, int]
    differences: list[str]
    recovery: list[Recovery]
    recovery_of_all: Recovery | None
    memory: list[Memory]

    @property
    def is_good(self) -> bool:
        """Nothing lost, doubled, unresolved or otherwise different."""
        return not self.differences


def figures_of(result: RunResult) -> Figures:
    """Reads the figures out of a finished run."""
    books = result.books
    assert books is not None
    cast = {one.name: one for one in result.settings.cast}
    clients = {name: book for name, book in books.clients.items() if name in cast}
    samples = list(_recoveries(result.happened, clients, cast))
    return Figures(
        seed=result.settings.seed,
        minutes=result.settings.span_ms / 60_000,
        durability=result.settings.durability,
        took_s=result.took_s,
        orders=books.orders,
        calls=sum(len(book.calls) for book in clients.values()),
        updates=sum(len(book.updates) for book in clients.values()),
        journal_orders=len(books.journal.contents),
        duplicates_answered=_duplicates(books),
        faults=dict(sorted(Counter(str(one.fault.kind) for one in result.happened).items())),
        full_disks=result.full_disks,
        full_disks_that_failed=result.restarts_after_full_disk,
        client_lives={name: book.lives for name, book in clients.items()},
        ends={
            name: dict(Counter(call.how or "killed" for call in book.calls.values())) for name, book in clients.items()
        },
        totals=_totals(result.differences),
        differences=[str(difference) for difference in result.differences],
        recovery=_by_client_and_kind(samples),
        recovery_of_all=_summary("all", "all", [took_ms for _, _, took_ms in samples]),
        memory=_memory(result.memory),
    )


def recoveries_ms(result: RunResult) -> list[tuple[str, str, float]]:
    """Client, kind of fault, milliseconds: every single recovery."""
    assert result.books is not None
    cast = {one.name: one for one in result.settings.cast}
    return list(_recoveries(result.happened, result.books.clients, cast))


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed (nearest rank)."""
    return sorted_values[max(0, math.ceil(share * len(sorted_values)) - 1)]


def _recoveries(
    happened: Sequence[Happened], clients: dict[str, ClientBook], cast: dict[str, Cast]
) -> Iterator[tuple[str, str, float]]:
    """A fault of the engine meets every trader, one of a lane those of the lane, one of a client that client."""
    for name, book in clients.items():
        if name not in cast or cast[name].is_feed:
            continue
        completed = sorted(call.replied_ns for call in book.order_calls() if call.replied_ns)
        for one in happened:
            if one.fault.target not in (ENGINE, name) and not one.fault.target.startswith(f"{cast[name].lane}."):
                continue
            after = bisect_right(completed, one.began_ns)
            if after < len(completed):
                yield name, str(one.fault.kind), (completed[after] - one.began_ns) / 1e6


def _by_client_and_kind(samples: Sequence[tuple[str, str, float]]) -> list[Recovery]:
    grouped: dict[tuple[str, str], list[float]] = defaultdict(list)
    for client, kind, took_ms in samples:
        grouped[client, kind].append(took_ms)
    summaries = [_summary(client, kind, took) for (client, kind), took in sorted(grouped.items())]
    return [summary for summary in summaries if summary is not None]


def _summary(client: str, kind: str, took_ms: list[float]) -> Recovery | None:
    if not took_ms:
        return None
    took_ms.sort()
    return Recovery(client, kind, len(took_ms), percentile(took_ms, 0.5), percentile(took_ms, 0.99), took_ms[-1])


def _memory(samples: Sequence[MemorySample]) -> list[Memory]:
    by_process: dict[str, list[int]] = defaultdict(list)
    for sample in samples:
        for process, rss in sample.rss_bytes.items():
            if rss:
                by_process[process].append(rss)
    return [Memory(name, rss[0] / MIB, rss[-1] / MIB, max(rss) / MIB) for name, rss in sorted(by_process.items())]


def _totals(differences: Sequence[Difference]) -> dict[Total, int]:
    counted = Counter(difference.total for difference in differences)
    return {name: counted[name] for name in ("lost", "duplicated", "unresolved", "other")}


def _duplicates(books: Books) -> int:
    return sum(call.duplicates for book in books.clients.values() for call in book.calls.values())
