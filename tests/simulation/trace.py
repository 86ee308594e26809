"""What happened in a run, in order: hashed always, so that two runs can be compared whole; kept as text on demand."""

from __future__ import annotations

import hashlib
from collections import Counter

from tests.simulation.clock import Clock


class Trace:
    """Every message, fault and outcome of a run."""

    def __init__(self, clock: Clock, *, keep: bool = False) -> None:
        self._clock = clock
        self._hash = hashlib.blake2b(digest_size=16)
        self.lines: list[str] | None = [] if keep else None
        self.counts: Counter[str] = Counter()
        """How often what happened, by name: what a report and the test of coverage read."""
        self.is_open = True

    def note(self, what: str, about: str = "", data: bytes = b"") -> None:
        """Takes one event: `what` from a small set of names, `about` its particulars, `data` what travelled."""
        if not self.is_open:
            return
        line = f"{self._clock.elapsed_ns} {what} {about}"
        self._hash.update(line.encode())
        self._hash.update(data)
        self.counts[what] += 1
        if self.lines is not None:
            self.lines.append(f"{self._clock.elapsed_ns / 1e6:12.3f} ms  {what:22} {about}" + _short(data))

    def count(self, what: str) -> None:
        """Counts something that the events already show."""
        self.counts[what] += 1

    def digest(self) -> str:
        """Hash of everything so far."""
        return self._hash.hexdigest()


def _short(data: bytes) -> str:
    return f"  [{len(data)} bytes {hashlib.blake2b(data, digest_size=4).hexdigest()}]" if data else ""
