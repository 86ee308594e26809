"""Which paths may carry orders now: breakers, connections and the journal check put together. No I/O.

A path is usable while it is connected, its breaker is closed, and its engine is the right one (invariant 12). The
shells (`asynchronous.py`, `blocking.py`) tell the switchboard what happens and read `usable`. Its methods may be
called from any thread; listeners run outside the lock, in the thread of one who found something to tell: one event at
a time, in the order in which things happened.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fallback_grpc.failover.breaker import NS_PER_MS, BreakerSettings, BreakerState, Signal
from fallback_grpc.failover.detector import makes_suspect, signal_of_conclusion, signal_of_event, signal_of_probe
from fallback_grpc.failover.events import BridgePathEvent, BridgePathListener, BridgeStatistics, PathEventKind
from fallback_grpc.failover.path_record import PathRecord
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import Conclusion, NotSent, Refused
from transport.contract.errors import ClientClosedError, ExecutionBridgeError, StateRegressedError, ValidationError
from transport.contract.path import PathConnected, PathEvent, PathGoingAway, PathLost, PathRefused
from transport.contract.replies import Path

_log = logging.getLogger(__name__)
_SHORTEST_REST_MS = 50
_KIND_OF_STATE = {
    BreakerState.OPEN: PathEventKind.BREAKER_OPEN,
    BreakerState.HALF_OPEN: PathEventKind.BREAKER_HALF_OPEN,
    BreakerState.CLOSED: PathEventKind.BREAKER_CLOSED,
}


@dataclass(frozen=True, slots=True)
class SwitchboardSettings:
    """Settings of the breakers and of the probes of paths that are well (the standby path is kept warm by them)."""

    breaker: BreakerSettings
    slow_probe_ms: float = 1_000.0
    probe_interval_ms: float = 250.0


class Switchboard:
    """The paths of one bridge, in order of preference."""

    def __init__(self, paths: Sequence[Path], settings: SwitchboardSettings) -> None:
        self._settings = settings
        self._paths: tuple[Path, ...] = tuple(paths)
        self._records = {path: PathRecord(settings.breaker) for path in paths}
        self._lock = threading.Lock()
        self._listeners: list[BridgePathListener] = []
        self._notices: deque[BridgePathEvent] = deque()
        """What happened and is not told yet, in the order in which it happened: added to inside the lock alone."""
        self._teller: object | None = None
        """Who tells just now: one at a time, so that things are told in the order in which they happened."""
        self._on_change: list[Callable[[], None]] = []
        self._on_probe_due: list[Callable[[Path], None]] = []
        self._longest_rest_ns = max(settings.breaker.pause_ms, _SHORTEST_REST_MS) * NS_PER_MS
        self._settled = False
        self._fault_at_ns: int | None = None
        self._completed: dict[Path, int] = dict.fromkeys(self._paths, 0)
        self._resent = self._resolved = self._unresolved = self._failovers = 0
        self._hedged = self._hedge_won = 0
        self._last_failover_ms: float | None = None
        self.journal_id = ""
        self.usable: tuple[Path, ...] = ()
        """The paths that may carry orders now, best first. Replaced as a whole: read it without a lock."""
        self.stopped: ExecutionBridgeError | None = None
        """Why no path is used any more, ever: the client was closed, or its engine's state went back."""

    # ---- listeners ----

    def add_listener(self, listener: BridgePathListener) -> None:
        """Tells `listener` of every event from now on."""
        self._listeners.append(listener)

    def on_change(self, wake: Callable[[], None]) -> None:
        """Calls `wake` whenever `usable` has changed, and at the end."""
        self._on_change.append(wake)

    def on_probe_due(self, wake: Callable[[Path], None]) -> None:
        """Calls `wake` where a path is to be probed before its prober looks by itself (`rest`), and at the end."""
        self._on_probe_due.append(wake)

    # ---- the end ----

    def stop(self, why: ExecutionBridgeError, now_ns: int) -> None:
        """No path is used from now on; who waits for one is woken. The first reason stands."""
        notices = self._notices
        with self._lock:
            self._stop(why, notices, now_ns)
        self._publish(wake=True, probe=self._paths)

    def is_stopped(self) -> bool:
        """Whether no path is used any more."""
        return self.stopped is not None

    def raise_if_stopped(self) -> None:
        """Raises the reason why no path is used any more, if there is one."""
        if self.stopped is not None:
            raise type(self.stopped)(str(self.stopped))

    # ---- what happened ----

    def path_event(self, path: Path, event: PathEvent, now_ns: int) -> None:
        """Takes what a path reported."""
        notices = self._notices
        with self._lock:
            record = self._records[path]
            if isinstance(event, PathConnected):
                record.connected, record.journal_id = True, event.journal_id
                record.refusal = ReasonCode.NONE
                record.breaker.hasten(now_ns)
                record.next_probe_ns = now_ns
                notices.append(_notice(path, PathEventKind.CONNECTED, f"epoch {event.epoch}", now_ns))
                self._check_journal(path, notices, now_ns)
            elif isinstance(event, PathGoingAway):
                notices.append(_notice(path, PathEventKind.GOING_AWAY, event.message, now_ns))
            else:
                self._disconnected(path, event, notices, now_ns)
            self._signal(path, signal_of_event(event), notices, now_ns)
            self._refresh(notices, now_ns)
            probe = self._to_be_woken(path)
        self._publish(wake=True, probe=probe)

    def prefer(self, path: Path, now_ns: int) -> None:
        """Calls take `path` first from now on, whenever it is up. Raises `ValidationError` for a path there is not."""
        notices = self._notices
        with self._lock:
            if path not in self._records:
                raise ValidationError(f"prefer: {path!r} is none of {', '.join(self._records)}", field="prefer")
            if self._paths[0] != path:
                self._paths = (path, *(other for other in self._paths if other != path))
                notices.append(_notice(path, PathEventKind.PREFERRED, "asked for", now_ns))
                self._refresh(notices, now_ns)
        self._publish(wake=True)

    def copy_ended(self, path: Path, conclusion: Conclusion[Any], connected: bool, now_ns: int) -> None:
        """Takes how one copy ended; the shells need not report replies on a path that is well."""
        notices = self._notices
        suspect = makes_suspect(conclusion)
        with self._lock:
            record = self._records[path]
            signal = signal_of_conclusion(conclusion, connected=connected)
            if record.breaker.state is not BreakerState.HALF_OPEN:  # only probes speak for a path on probation
                self._signal(path, signal, notices, now_ns)
            if suspect:
                record.next_probe_ns = min(record.next_probe_ns, now_ns)
            if isinstance(conclusion, Refused) and conclusion.code == ReasonCode.STATE_REGRESSED:
                self._regressed(path, conclusion.message, notices, now_ns)
            elif signal is Signal.TRIP or signal is Signal.FAILURE:
                self._take_reason(record, conclusion)
            changed = self._refresh(notices, now_ns)
            probe = self._to_be_woken(path)
        self._publish(wake=changed or self.stopped is not None, probe=probe)

    def state_regressed(self, path: Path, reason: str, now_ns: int) -> None:
        """A stream found that the engine has forgotten what this client has seen: no path is used any more."""
        notices = self._notices
        with self._lock:
            self._regressed(path, reason, notices, now_ns)
        self._publish(wake=True, probe=self._paths)

    def settle(self, now_ns: int) -> None:
        """All first attempts to connect have ended: the best connected path says which journal counts."""
        notices = self._notices
        with self._lock:
            self._settled = True
            for path in self._paths:
                if self._records[path].connected:
                    self._check_journal(path, notices, now_ns)
            self._refresh(notices, now_ns)
        self._publish(wake=True)

    def replied_at_once(self, path: Path, orders: int) -> None:
        """Counts a call whose first copy was answered: nearly all are, so this is short."""
        with self._lock:
            self._completed[path] += orders
            if self._fault_at_ns is None or not orders:
                return
        self.call_ended(path, orders=0, attempts=1, in_doubt=False, now_ns=time.monotonic_ns(), ends_fault=True)

    def call_ended(
        self,
        path: Path | None,
        *,
        orders: int,
        attempts: int,
        in_doubt: bool,
        now_ns: int,
        ends_fault: bool = False,
        hedged: bool = False,
        won_by_hedge: bool = False,
    ) -> None:
        """Counts a call: `path` answered it (None: nobody did). A completed order ends the measured failover."""
        with self._lock:
            self._hedged += hedged
            self._hedge_won += won_by_hedge
            self._resent += max(attempts - 1, 0)
            if path is None:
                self._unresolved += in_doubt
                return
            self._resolved += in_doubt
            self._completed[path] += orders
            if (orders or ends_fault) and self._fault_at_ns is not None:
                self._last_failover_ms = (now_ns - self._fault_at_ns) / NS_PER_MS
                self._fault_at_ns = None

    # ---- probes ----

    def next_probe_ns(self, path: Path) -> int:
        """When the next probe of a path is due."""
        with self._lock:
            return self._records[path].probe_due_ns

    def rest_ns(self, path: Path, now_ns: int) -> int:
        """Until when a path's prober may rest unless `on_probe_due` wakes it; not after `now_ns`: a probe is due.

        It rests no longer than an opened breaker pauses. So a path that fails wakes nobody: who looks by himself early
        enough does not compete with the orders that go out again.
        """
        with self._lock:
            record = self._records[path]
            rests_until_ns = min(record.probe_due_ns, now_ns + self._longest_rest_ns)
            record.rests_until_ns = rests_until_ns if rests_until_ns > now_ns else 0
            return rests_until_ns

    def probe_started(self, path: Path, now_ns: int) -> None:
        """A probe is on its way."""
        notices = self._notices
        with self._lock:
            record = self._records[path]
            self._signal(path, Signal.PROBE_STARTED, notices, now_ns)
            record.next_probe_ns = now_ns + int(self._settings.probe_interval_ms * NS_PER_MS)
        self._publish(wake=False)

    def probe_ended(self, path: Path, answered: bool, took_ms: float, now_ns: int) -> None:
        """A probe was answered or not."""
        notices = self._notices
        signal = signal_of_probe(answered, took_ms, self._settings.slow_probe_ms)
        with self._lock:
            record = self._records[path]
            if not answered and record.refusal == ReasonCode.NONE:
                record.reason = "a probe got no answer"
            self._signal(path, signal, notices, now_ns)
            if record.breaker.state is BreakerState.HALF_OPEN or not answered:
                record.next_probe_ns = now_ns  # look again at once: the breaker is about to decide
            changed = self._refresh(notices, now_ns)
        self._publish(wake=changed)

    # ---- what is known ----

    def describe(self, path: Path) -> dict[str, Any]:
        """The state of a path, for health checks."""
        with self._lock:
            record = self._records[path]
            return {
                "usable": record.usable and self.stopped is None,
                "connected": record.connected,
                "breaker": record.breaker.state.value,
                "journal_id": record.journal_id,
                "journal_mismatch": record.mismatched,
                "refused": "" if record.refusal == ReasonCode.NONE else record.refusal.name,
                "reason": self._why_unusable(record),
            }

    def statistics(self) -> BridgeStatistics:
        """The counters so far."""
        with self._lock:
            return BridgeStatistics(
                orders_by_path=dict(self._completed),
                resent=self._resent,
                resolved=self._resolved,
                unresolved=self._unresolved,
                failovers=self._failovers,
                hedged=self._hedged,
                hedge_won=self._hedge_won,
                last_failover_ms=self._last_failover_ms,
            )

    # ---- inside the lock ----

    def _to_be_woken(self, path: Path) -> Sequence[Path]:
        """The path, if its prober would sleep through what it is to do now."""
        if self.stopped is not None:
            return self._paths
        record = self._records[path]
        return (path,) if record.probe_due_ns < record.rests_until_ns else ()

    def _signal(self, path: Path, signal: Signal | None, notices: deque[BridgePathEvent], now_ns: int) -> None:
        if signal is None:
            return
        breaker = self._records[path].breaker
        before = breaker.state
        after = breaker.record(signal, now_ns)
        if after is not before:
            notices.append(_notice(path, _KIND_OF_STATE[after], signal.value, now_ns))

    def _disconnected(
        self, path: Path, event: PathLost | PathRefused, notices: deque[BridgePathEvent], now_ns: int
    ) -> None:
        record = self._records[path]
        if record.connected:
            notices.append(_notice(path, PathEventKind.DISCONNECTED, event.reason, now_ns))
        record.connected, record.reason = False, event.reason
        record.refusal = event.code if isinstance(event, PathRefused) else ReasonCode.NONE
        if record.refusal == ReasonCode.STATE_REGRESSED:
            self._regressed(path, event.reason, notices, now_ns)
        elif record.refusal == ReasonCode.JOURNAL_ID_MISMATCH:
            self._mismatched(path, event.reason, notices, now_ns)

    def _take_reason(self, record: PathRecord, conclusion: Conclusion[Any]) -> None:
        if isinstance(conclusion, Refused):
            record.refusal, record.reason = conclusion.code, conclusion.message
        elif isinstance(conclusion, NotSent) and record.refusal == ReasonCode.NONE:
            record.reason = conclusion.reason

    def _mismatched(self, path: Path, reason: str, notices: deque[BridgePathEvent], now_ns: int) -> None:
        record = self._records[path]
        record.reason, record.refusal = reason, ReasonCode.JOURNAL_ID_MISMATCH
        if not record.mismatched:
            record.mismatched = True
            notices.append(_notice(path, PathEventKind.JOURNAL_MISMATCH, reason, now_ns))

    def _regressed(self, path: Path, reason: str, notices: deque[BridgePathEvent], now_ns: int) -> None:
        """One path's engine is every path's engine: none may go on with one that forgot orders."""
        record = self._records[path]
        record.reason, record.refusal = reason, ReasonCode.STATE_REGRESSED
        if self.stopped is None:
            notices.append(_notice(path, PathEventKind.STATE_REGRESSED, reason, now_ns))
            why = StateRegressedError(f"the engine's state went back, seen on path {path}: {reason}")
            self._stop(why, notices, now_ns)

    def _stop(self, why: ExecutionBridgeError, notices: deque[BridgePathEvent], now_ns: int) -> None:
        if self.stopped is None:
            self.stopped = why
            if isinstance(why, ClientClosedError):
                self.usable = ()  # what the user did is no news
            else:
                self._refresh(notices, now_ns)

    def _check_journal(self, path: Path, notices: deque[BridgePathEvent], now_ns: int) -> None:
        record = self._records[path]
        if not self._settled:
            return
        if not self.journal_id:
            self.journal_id = record.journal_id
        differs = record.journal_id != self.journal_id
        if differs:
            reason = f"journal {record.journal_id} answers where {self.journal_id} was expected"
            self._mismatched(path, reason, notices, now_ns)
        else:
            record.mismatched = False

    def _refresh(self, notices: deque[BridgePathEvent], now_ns: int) -> bool:
        """Brings `usable` up to date; returns whether it changed."""
        if not self._settled:
            return False
        before = self.usable
        now_usable: tuple[Path, ...] = tuple(
            path for path in self._paths if self.stopped is None and self._records[path].usable
        )
        if now_usable == before:
            return False
        self.usable = now_usable
        if before and before[0] not in now_usable:
            self._fault_at_ns = now_ns if self._fault_at_ns is None else self._fault_at_ns
            self._failovers += bool(now_usable)
        for path in self._paths:
            if (path in before) != (path in now_usable):
                kind = PathEventKind.UP if path in now_usable else PathEventKind.DOWN
                reason = "" if kind is PathEventKind.UP else self._why_down(self._records[path])
                notices.append(_notice(path, kind, reason, now_ns))
        return True

    def _why_unusable(self, record: PathRecord) -> str:
        if record.usable:
            return "" if self.stopped is None else str(self.stopped)
        return record.reason

    def _why_down(self, record: PathRecord) -> str:
        reason = record.reason if self.stopped is None else str(self.stopped)
        return reason if record.refusal == ReasonCode.NONE else f"{record.refusal.name}: {reason}"

    # ---- outside the lock ----

    def _publish(self, *, wake: bool, probe: Sequence[Path] = ()) -> None:
        while self._notices and self._tell_all():
            pass  # what came when it had just been told has nobody else
        if wake:
            for call in tuple(self._on_change):
                call()
        for path in probe:
            for tell in tuple(self._on_probe_due):
                tell(path)

    def _tell_all(self) -> bool:
        """Tells what there is, what other threads noticed too; False if another thread, or a caller, does that now."""
        me = object()
        try:
            with self._lock:
                if self._teller is None:
                    self._teller = me
            while self._teller is me and self._notices:
                self._tell(self._notices.popleft())
            return self._teller is me
        finally:
            if self._teller is me:  # a signal's handler may have raised anywhere above
                self._teller = None

    def _tell(self, notice: BridgePathEvent) -> None:
        _log_notice(notice)
        for listener in tuple(self._listeners):
            try:
                listener(notice)
            except Exception:  # a listener is the user's code, and must not stop the bridge
                _log.exception("a path listener failed on %s", notice)


def _notice(path: Path, kind: PathEventKind, reason: str, now_ns: int) -> BridgePathEvent:
    return BridgePathEvent(path=path, kind=kind, reason=reason, at_ns=now_ns)


def _log_notice(notice: BridgePathEvent) -> None:
    level = logging.DEBUG
    if notice.kind in (PathEventKind.UP, PathEventKind.PREFERRED, PathEventKind.GOING_AWAY):
        level = logging.INFO
    if notice.kind is PathEventKind.STATE_REGRESSED:
        level = logging.CRITICAL
    elif notice.kind is PathEventKind.JOURNAL_MISMATCH:
        level = logging.ERROR
    elif notice.kind is PathEventKind.DOWN:
        level = logging.WARNING
    _log.log(level, "path %s %s: %s", notice.path, notice.kind.value, notice.reason)
