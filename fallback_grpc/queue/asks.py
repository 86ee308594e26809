"""When to ask the engine for an order that nobody has answered: its receipt must not wait for a slow venue. Pure."""

from __future__ import annotations

import heapq

from fallback_grpc.queue.entries import Entry

_NS_PER_MS = 1_000_000


class AskSchedule:
    """Entries by the time when they are to be asked for, with a bound on queries at once."""

    def __init__(self, first_ms: float, most_ms: float, most_at_once: int) -> None:
        self._first_ms = first_ms
        self._most_ms = most_ms
        self._most_at_once = most_at_once
        self._running = 0
        self._due: list[tuple[int, int, Entry]] = []

    def add(self, entry: Entry, now_ns: int) -> None:
        """To be asked for after the entry's pause, which doubles each time."""
        pause_ms = min(self._first_ms * 2 ** min(entry.asks, 30), self._most_ms)
        entry.asks += 1
        heapq.heappush(self._due, (now_ns + int(pause_ms * _NS_PER_MS), entry.number, entry))

    def take(self, now_ns: int) -> list[Entry]:
        """Whom to ask for now; `done` for each, whatever comes of it."""
        asks: list[Entry] = []
        while self._running < self._most_at_once and (first := self._first()) is not None and first[0] <= now_ns:
            heapq.heappop(self._due)
            self._running += 1
            asks.append(first[2])
        return asks

    def done(self, entry: Entry, now_ns: int) -> None:
        """The query is over."""
        self._running -= 1
        if _wanted(entry):
            self.add(entry, now_ns)

    def next_at_ns(self) -> int | None:
        """When `take` has something; None: nobody waits, or there is no room."""
        first = self._first()
        return None if first is None or self._running >= self._most_at_once else first[0]

    def _first(self) -> tuple[int, int, Entry] | None:
        while self._due and not _wanted(self._due[0][2]):
            heapq.heappop(self._due)
        return self._due[0] if self._due else None


def _wanted(entry: Entry) -> bool:
    return not entry.has_receipt and not entry.is_settled
