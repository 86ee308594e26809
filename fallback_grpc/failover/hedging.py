"""How many orders may be hedged: a token bucket that calls fill and hedges empty, so that the share is never passed."""

from __future__ import annotations

import threading

# Hedges in a row after a long time without any: a path that hesitates for everybody at once stays within this.
_MOST_SAVED = 10.0


class HedgeBudget:
    """Of the orders so far, at most `share` were hedged. Any thread."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._begun = self._counted = 0
        self._saved = 0.0
        self._lock = threading.Lock()

    def earn(self) -> None:
        """An order was begun. On the way of every order, so without a lock: what threads lose saves hedges."""
        self._begun += 1

    def take(self) -> bool:
        """Whether one order may be sent a second time now."""
        with self._lock:
            begun = self._begun
            self._saved = min(self._saved + (begun - self._counted) * self._share, _MOST_SAVED)
            self._counted = begun
            if self._saved < 1.0 - 1e-9:  # twenty times 0.05 is a little less than 1
                return False
            self._saved -= 1.0
            return True
