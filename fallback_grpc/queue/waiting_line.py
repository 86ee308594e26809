"""Who is sent next: two priorities, each first in, first out, and a rule against starving. Pure."""

from __future__ import annotations

import heapq

from fallback_grpc.queue.entries import Entry, Stage


class WaitingLine:
    """Entries in stage STORED, by priority and number.

    Urgent ones (market orders, cancels) go first. At most `urgent_streak` of them in a row pass an ordinary one that
    waits: then that one goes. A line may be held for a time; the other goes on meanwhile.
    """

    def __init__(self, urgent_streak: int) -> None:
        self._most_in_a_row = urgent_streak
        self._streak = 0
        self._lines: dict[bool, list[tuple[int, Entry]]] = {True: [], False: []}
        self._held_until_ns = {True: 0, False: 0}

    def add(self, entry: Entry) -> None:
        """Takes an entry; by its number it goes before those that were admitted later."""
        heapq.heappush(self._lines[entry.is_urgent], (entry.number, entry))

    def hold(self, urgent: bool, until_ns: int) -> None:
        """Nothing of that priority goes before `until_ns`."""
        self._held_until_ns[urgent] = max(self._held_until_ns[urgent], until_ns)

    def is_held(self, urgent: bool, now_ns: int) -> bool:
        """Whether nothing of that priority goes just now."""
        return now_ns < self._held_until_ns[urgent]

    def release(self) -> None:
        """Ends all holds."""
        self._held_until_ns = {True: 0, False: 0}

    def peek(self, now_ns: int) -> Entry | None:
        """Who goes next, if anybody may."""
        urgent, ordinary = self._first(True, now_ns), self._first(False, now_ns)
        if urgent is not None and ordinary is not None:
            return ordinary if self._streak >= self._most_in_a_row else urgent
        return urgent or ordinary

    def take(self, entry: Entry) -> None:
        """Removes the entry that `peek` gave."""
        heapq.heappop(self._lines[entry.is_urgent])
        passed = entry.is_urgent and bool(self._live(False))
        self._streak = self._streak + 1 if passed else 0

    def next_at_ns(self, now_ns: int) -> int | None:
        """When a held line goes on that has somebody waiting; None: there is none."""
        times = [self._held_until_ns[line] for line in (True, False) if self._live(line)]
        return min((at for at in times if at > now_ns), default=None)

    def _first(self, urgent: bool, now_ns: int) -> Entry | None:
        if self.is_held(urgent, now_ns):
            return None
        line = self._live(urgent)
        return line[0][1] if line else None

    def _live(self, urgent: bool) -> list[tuple[int, Entry]]:
        """The line without those at its head that wait no more (withdrawn, answered)."""
        line = self._lines[urgent]
        while line and line[0][1].stage is not Stage.STORED:
            heapq.heappop(line)
        return line


class DelayedEntries:
    """Entries in stage DELAYED, by the time of their next copy."""

    def __init__(self) -> None:
        self._due: list[tuple[int, int, Entry]] = []

    def add(self, entry: Entry, at_ns: int) -> None:
        """Its next copy is due then."""
        heapq.heappush(self._due, (at_ns, entry.number, entry))

    def hasten(self) -> None:
        """All are due now."""
        self._due = sorted((0, number, entry) for _, number, entry in self._due)

    def take(self, now_ns: int) -> list[Entry]:
        """Those whose next copy is due."""
        taken: list[Entry] = []
        while self._due and self._due[0][0] <= now_ns:
            entry = heapq.heappop(self._due)[2]
            if entry.stage is Stage.DELAYED:
                taken.append(entry)
        return taken

    def next_at_ns(self) -> int | None:
        """When the first is due."""
        return self._due[0][0] if self._due else None
