"""Circuit breaker of one path: closed, open, half-open. No clock and no I/O: time is an argument.

The breaker is told what the detector (`detector.py`) made of an event, and answers two questions: may orders
use this path (`permits_orders`), and is it time to probe it (`probe_due`)? Orders never test a path that has
failed: while the breaker is open or half-open only probes are sent, and enough good ones close it again.

States and transitions (a test compares this table with the code):

| state     | signal                | next      | when                                                     |
| --------- | --------------------- | --------- | -------------------------------------------------------- |
| CLOSED    | FAILURE               | OPEN      | `failure_threshold` failures within `window_ms`          |
| CLOSED    | SLOW                  | OPEN      | `slow_threshold` of at least `slow_minimum` beats slow   |
| CLOSED    | TRIP                  | OPEN      | at once                                                  |
| OPEN      | PROBE_STARTED         | HALF_OPEN | the pause is over                                        |
| OPEN      | SUCCESS               | OPEN      | an answer to something sent before the fault: no evidence |
| HALF_OPEN | SUCCESS               | CLOSED    | `successes_to_close` good probes in a row                |
| HALF_OPEN | FAILURE, SLOW, TRIP   | OPEN      | at once; the pause doubles, up to `max_pause_ms`         |
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

NS_PER_MS = 1_000_000
# Bounds the window's memory; a window that has seen more is judged by its latest.
_MOST_BEATS = 1_024


class BreakerState(Enum):
    """What a path may be used for: orders (CLOSED), nothing yet (OPEN), a probe in progress (HALF_OPEN)."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Signal(Enum):
    """What happened on the path, as the detector sees it."""

    SUCCESS = "success"
    SLOW = "slow"
    FAILURE = "failure"
    TRIP = "trip"
    PROBE_STARTED = "probe_started"


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """Thresholds of a breaker. The pauses bound how long a healed path stays unused: a probe finds it."""

    failure_threshold: int = 3
    window_ms: int = 1_000
    slow_threshold: float = 0.5
    slow_minimum: int = 10
    pause_ms: int = 100
    max_pause_ms: int = 1_000
    successes_to_close: int = 2


# Every change of state there is; what is missing leaves the state alone. `_reached` holds the last column.
TRANSITIONS: dict[tuple[BreakerState, Signal], BreakerState] = {
    (BreakerState.CLOSED, Signal.FAILURE): BreakerState.OPEN,
    (BreakerState.CLOSED, Signal.SLOW): BreakerState.OPEN,
    (BreakerState.CLOSED, Signal.TRIP): BreakerState.OPEN,
    (BreakerState.OPEN, Signal.PROBE_STARTED): BreakerState.HALF_OPEN,
    (BreakerState.HALF_OPEN, Signal.SUCCESS): BreakerState.CLOSED,
    (BreakerState.HALF_OPEN, Signal.FAILURE): BreakerState.OPEN,
    (BreakerState.HALF_OPEN, Signal.SLOW): BreakerState.OPEN,
    (BreakerState.HALF_OPEN, Signal.TRIP): BreakerState.OPEN,
}


class CircuitBreaker:
    """The breaker of one path. Not thread-safe: its owner serialises the calls."""

    __slots__ = ("_beats", "_good_probes", "_pause_ms", "_pause_until_ns", "_settings", "_state")

    def __init__(self, settings: BreakerSettings | None = None) -> None:
        self._settings = settings or BreakerSettings()
        self._state = BreakerState.CLOSED
        self._beats: deque[tuple[int, Signal]] = deque(maxlen=_MOST_BEATS)
        self._good_probes = 0
        self._pause_ms = self._settings.pause_ms
        self._pause_until_ns = 0

    @property
    def state(self) -> BreakerState:
        """The present state."""
        return self._state

    @property
    def permits_orders(self) -> bool:
        """Whether orders may be sent on this path."""
        return self._state is BreakerState.CLOSED

    @property
    def probe_at_ns(self) -> int | None:
        """When the next probe is due (monotonic nanoseconds); None unless the breaker is open."""
        return self._pause_until_ns if self._state is BreakerState.OPEN else None

    def probe_due(self, now_ns: int) -> bool:
        """Whether a probe should be sent now."""
        return self._state is BreakerState.OPEN and now_ns >= self._pause_until_ns

    def record(self, signal: Signal, now_ns: int) -> BreakerState:
        """Takes one signal at monotonic time `now_ns` and returns the state after it."""
        target = TRANSITIONS.get((self._state, signal))
        if self._state is BreakerState.CLOSED and signal is not Signal.PROBE_STARTED:
            self._beats.append((now_ns, signal))
            self._forget_before(now_ns - self._settings.window_ms * NS_PER_MS)
        if target is not None and self._reached(signal, now_ns):
            self._enter(target, now_ns)
        return self._state

    def hasten(self, now_ns: int) -> None:
        """The path has a connection again: probe it now instead of after the pause (which starts small again)."""
        if self._state is BreakerState.OPEN:
            self._pause_ms = self._settings.pause_ms
            self._pause_until_ns = min(self._pause_until_ns, now_ns)

    def _reached(self, signal: Signal, now_ns: int) -> bool:
        """Whether the condition in the table's last column holds."""
        settings = self._settings
        match self._state, signal:
            case BreakerState.CLOSED, Signal.FAILURE:
                failures = sum(1 for _, beat in self._beats if beat is Signal.FAILURE)
                return failures >= settings.failure_threshold
            case BreakerState.CLOSED, Signal.SLOW:
                slow = sum(1 for _, beat in self._beats if beat is Signal.SLOW)
                seen = len(self._beats)
                return seen >= settings.slow_minimum and slow >= settings.slow_threshold * seen
            case BreakerState.OPEN, Signal.PROBE_STARTED:
                return now_ns >= self._pause_until_ns
            case BreakerState.HALF_OPEN, Signal.SUCCESS:
                self._good_probes += 1
                return self._good_probes >= settings.successes_to_close
            case _:
                return True

    def _enter(self, state: BreakerState, now_ns: int) -> None:
        if state is BreakerState.OPEN:
            failed_again = self._state is BreakerState.HALF_OPEN
            doubled = min(self._pause_ms * 2, self._settings.max_pause_ms)
            self._pause_ms = doubled if failed_again else self._settings.pause_ms
            self._pause_until_ns = now_ns + self._pause_ms * NS_PER_MS
        self._state = state
        self._good_probes = 0
        self._beats.clear()

    def _forget_before(self, oldest_ns: int) -> None:
        while self._beats and self._beats[0][0] < oldest_ns:
            self._beats.popleft()
