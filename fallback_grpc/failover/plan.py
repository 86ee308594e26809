"""One call over two paths, sans-I/O: which copy of the request to send next, when, and when the call has ended.

A *copy* is one sending of the same request (same id, same content) on one path. The driver asks `next_step` what
to do, does it, and reports each copy's end with `copy_ended`. Time is an argument (monotonic nanoseconds).

How a call ends (invariant 6, WIRE.md section 5):

- a reply to any copy ends the call, the first that comes;
- a negative answer (refused, not sent) ends it only when every copy has ended so, and its retries are used up;
- a copy that nobody answered leaves the call *in doubt*. Then the same request goes out again, first on the other
  path, as long as there is a path and time.

The limits on retries (the original's table) apply while nothing is in doubt: they keep a failing call short.
A call in doubt is bounded by time alone, since finding out matters more than giving up early: by its deadline, and
beyond that by `resolve_until_ns` for as long as a path is alive. It ends earlier as unknown only where the engine
refuses further copies for good on every path: then only a fencing query can settle it (the shells ask one).

Several copies may be in flight, one a path: a copy without an answer gets company on another path after
`patience_ms`, at once if its own path is no longer usable, or after `hedge_after_us` where the call may be hedged and
the budget allows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from fallback_grpc.failover.breaker import NS_PER_MS
from fallback_grpc.failover.hedging import HedgeBudget
from transport.contract.codes import ReasonCode
from transport.contract.replies import Path
from transport.contract.retries import RetryTable


class Ending(Enum):
    """What a copy came to."""

    REPLIED = "replied"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PlanPolicy:
    """Limits of a call: the original's table of retries, and the pauses of a call in doubt."""

    retries: RetryTable = field(default_factory=RetryTable)
    doubt_pause_ms: float = 10.0
    doubt_max_pause_ms: float = 250.0
    patience_ms: float = 1_000.0
    resolution_ms: float = 0.0
    """How long a call in doubt may go on after its deadline, while a path is alive."""
    hedge_after_us: int = 0


@dataclass(frozen=True, slots=True)
class Send:
    """Send copy number `copy` on `path` now.

    Its time is over at `until_ns`. If no answer came by `patience_until_ns`, ask `next_step` again: the copy may get
    company. A driver that can only wait for one copy at a time reports it as UNKNOWN then.
    """

    copy: int
    path: Path
    patience_until_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to send before `until_ns`. With `for_path`, ask again as soon as the state of a path changes."""

    until_ns: int
    for_path: bool


@dataclass(frozen=True, slots=True)
class Conclude:
    """The call has ended like this; `copy` is the copy whose ending says so (None: no copy was ever sent)."""

    ending: Ending
    copy: int | None


Step = Send | Wait | Conclude

# Refused before any effect, and a later copy may fare better.
_PASSING_REFUSALS = frozenset({ReasonCode.BUSY, ReasonCode.SHUTTING_DOWN, ReasonCode.TOO_MANY_CONNECTIONS})
REFUSALS_OF_A_PATH = frozenset({ReasonCode.HELLO_REQUIRED, ReasonCode.JOURNAL_ID_MISMATCH, ReasonCode.UNAUTHENTICATED})
"""Refused for what is particular to a path: the other one may accept."""
REFUSALS_TO_WAIT_OUT = _PASSING_REFUSALS | REFUSALS_OF_A_PATH | {ReasonCode.JOURNAL_FAILED}
"""In doubt these are waited out: the path is probed, or the engine started anew. Any other refusal stays what it is."""


@dataclass(slots=True)
class _Copy:
    path: Path
    sent_at_ns: int
    ending: Ending | None = None
    code: ReasonCode = ReasonCode.NONE


class CallPlan:
    """The state of one call. Not thread-safe: one driver."""

    __slots__ = (
        "_budget", "_copies", "_deadline_ns", "_doubts", "_hedge", "_in_doubt", "_latest", "_not_before_ns", "_policy",
        "_refusals", "_replied", "_resolve_until_ns", "_unsent",
    )  # fmt: skip

    def __init__(
        self, policy: PlanPolicy, *, deadline_ns: int, in_doubt: bool = False, budget: HedgeBudget | None = None
    ) -> None:
        """`in_doubt`: an earlier copy of this request, outside this plan, may have been executed. `budget`: the call
        may be hedged after the policy's delay, as far as that goes.
        """
        self._policy = policy
        self._deadline_ns = deadline_ns
        self._resolve_until_ns = deadline_ns + int(policy.resolution_ms * NS_PER_MS)
        self._copies: list[_Copy] = []
        self._in_doubt = in_doubt
        self._replied: int | None = None
        self._latest: int | None = None
        """The copy that ended last."""
        self._not_before_ns = 0
        self._doubts = 0
        self._refusals = 0
        self._unsent = 0
        self._budget = budget
        self._hedge: int | None = None

    @property
    def attempts(self) -> int:
        """How many copies were sent, or tried to be."""
        return len(self._copies)

    @property
    def in_doubt(self) -> bool:
        """Whether a copy may have been executed without an answer."""
        return self._in_doubt

    @property
    def may_have_executed(self) -> bool:
        """Whether a copy without an answer may have been executed, or may yet be: in doubt, or still in flight."""
        return self._in_doubt or any(copy.ending is None for copy in self._copies)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths that copies took, in the order of their first use."""
        return tuple(dict.fromkeys(copy.path for copy in self._copies))

    @property
    def is_hedged(self) -> bool:
        """Whether a second copy went out because the first hesitated."""
        return self._hedge is not None

    @property
    def is_won_by_hedge(self) -> bool:
        """Whether that second copy brought the reply."""
        return self._hedge is not None and self._hedge == self._replied

    def adopt(self, path: Path, sent_at_ns: int) -> int:
        """Enters the first copy, sent on the best usable path before the plan was made: most calls need no plan."""
        self._copies.append(_Copy(path, sent_at_ns))
        return len(self._copies) - 1

    def stop(self, now_ns: int) -> None:
        """No path will be used any more: whatever is open now ends as far as it is known."""
        self._deadline_ns = min(self._deadline_ns, now_ns)
        self._resolve_until_ns = self._deadline_ns

    def path_of(self, copy: int) -> Path:
        """The path that copy was sent on."""
        return self._copies[copy].path

    def next_step(self, now_ns: int, usable: Sequence[Path]) -> Step:
        """What to do now. `usable`: the paths that may carry orders, in order of preference."""
        if self._replied is not None:
            return Conclude(Ending.REPLIED, self._replied)
        in_flight = [copy for copy in self._copies if copy.ending is None]
        in_doubt = self._in_doubt or bool(in_flight)
        open_paths = self._not_refused_for_good(usable) if in_doubt else usable
        end_ns = self._end_ns(now_ns, open_paths, in_doubt=in_doubt)
        if now_ns >= end_ns:
            return self._give_up(bool(in_flight))
        if in_flight:
            return self._while_in_flight(in_flight, now_ns, end_ns, open_paths)
        if not in_doubt and self._retries_used_up(usable):
            return self._give_up(False)
        if in_doubt and usable and not open_paths and not self._not_refused_for_good(self.paths):
            return self._give_up(False)
        return self._send_again(now_ns, end_ns, open_paths)

    def _end_ns(self, now_ns: int, usable: Sequence[Path], *, in_doubt: bool) -> int:
        """When the call ends at the latest, as things stand: past its deadline nobody waits for a path to return."""
        if now_ns < self._deadline_ns or not in_doubt or not usable:
            return self._deadline_ns
        return self._resolve_until_ns

    def _not_refused_for_good(self, usable: Sequence[Path]) -> Sequence[Path]:
        refused = {
            copy.path
            for copy in self._copies
            if copy.ending is Ending.REFUSED and copy.code not in REFUSALS_TO_WAIT_OUT
        }
        return [path for path in usable if path not in refused] if refused else usable

    def copy_ended(self, copy: int, ending: Ending, now_ns: int, code: ReasonCode = ReasonCode.NONE) -> None:
        """Reports what a copy came to; `code` is that of a refusal. Later news of the same copy is ignored."""
        state = self._copies[copy]
        if state.ending not in (None, Ending.UNKNOWN):
            return
        first_news = state.ending is None
        state.ending, state.code = ending, code
        self._latest = copy
        if ending is Ending.REPLIED:
            if self._replied is None:
                self._replied = copy
        elif first_news:
            self._count(ending, now_ns)

    def _count(self, ending: Ending, now_ns: int) -> None:
        """Sets the earliest time of the next copy on the path that just failed; the other path need not wait."""
        policy = self._policy
        if ending is Ending.UNKNOWN:
            self._in_doubt = True
        if self._in_doubt:
            pause_ms = min(policy.doubt_pause_ms * 2**self._doubts, policy.doubt_max_pause_ms)
            self._doubts = min(self._doubts + 1, 16)
        elif ending is Ending.REFUSED:
            self._refusals += 1
            pause_ms = policy.retries.execution.delay_ms(self._refusals)
        else:
            self._unsent += 1
            pause_ms = policy.retries.network.delay_ms(self._unsent)
        self._not_before_ns = now_ns + int(pause_ms * NS_PER_MS)

    def _retries_used_up(self, usable: Sequence[Path]) -> bool:
        last = self._last_to_end
        if last is None:
            return False
        if last.ending is Ending.NOT_SENT:
            return self._unsent > self._policy.retries.network.max_retries
        if last.code in _PASSING_REFUSALS:
            return self._refusals > self._policy.retries.execution.max_retries
        return last.code not in REFUSALS_OF_A_PATH or self._untried(usable) is None

    def _send_again(self, now_ns: int, end_ns: int, usable: Sequence[Path]) -> Step:
        untried = self._untried(usable)
        if not self._copies and usable:
            return self._send(usable[0], now_ns, end_ns, usable)
        # After a failure of one path the other is tried at once; a refusal is the engine's, whatever the path.
        if untried is not None and not self._must_pause():
            return self._send(untried, now_ns, end_ns, usable)
        if now_ns < self._not_before_ns:
            return Wait(min(self._not_before_ns, end_ns), for_path=not self._must_pause())
        if usable:
            return self._send(self._preferred(usable), now_ns, end_ns, usable)
        return self._without_path(now_ns)

    def _without_path(self, now_ns: int) -> Step:
        """No path is alive: a call in doubt waits for one; any other uses up its retries, and was never sent."""
        if self._in_doubt:
            return Wait(self._deadline_ns, for_path=True)
        if self._unsent >= self._policy.retries.network.max_retries:
            return self._give_up(False)
        self._count(Ending.NOT_SENT, now_ns)
        return Wait(min(self._not_before_ns, self._deadline_ns), for_path=True)

    def _while_in_flight(self, in_flight: list[_Copy], now_ns: int, end_ns: int, usable: Sequence[Path]) -> Step:
        taken = {copy.path for copy in in_flight}
        free: Path | None = next((path for path in usable if path not in taken), None)
        if free is None:
            return Wait(end_ns, for_path=True)
        if taken.isdisjoint(usable):
            return self._send(free, now_ns, end_ns, usable)
        company_at_ns = max(copy.sent_at_ns for copy in in_flight) + int(self._policy.patience_ms * NS_PER_MS)
        if self._budget is not None and len(self._copies) == 1:
            hedge_at_ns = in_flight[0].sent_at_ns + self._policy.hedge_after_us * 1_000
            if now_ns < hedge_at_ns:
                return Wait(min(hedge_at_ns, company_at_ns, end_ns), for_path=True)
            budget, self._budget = self._budget, None
            if budget.take():
                self._hedge = len(self._copies)
                return self._send(free, now_ns, end_ns, usable)
        if now_ns >= company_at_ns:
            return self._send(free, now_ns, end_ns, usable)
        return Wait(min(company_at_ns, end_ns), for_path=True)

    def _send(self, path: Path, now_ns: int, end_ns: int, usable: Sequence[Path]) -> Send:
        self._copies.append(_Copy(path, now_ns))
        patience_ns = end_ns
        # In doubt, too: a path that comes back meanwhile must not wait for the end of a copy that nobody answers.
        if self._in_doubt or any(other != path for other in usable):
            patience_ns = min(patience_ns, now_ns + int(self._policy.patience_ms * NS_PER_MS))
        return Send(len(self._copies) - 1, path, patience_ns, end_ns)

    @property
    def _last_to_end(self) -> _Copy | None:
        return None if self._latest is None else self._copies[self._latest]

    def _must_pause(self) -> bool:
        last = self._last_to_end
        return last is not None and last.code in _PASSING_REFUSALS

    def _untried(self, usable: Sequence[Path]) -> Path | None:
        """A usable path that carried no copy yet."""
        tried = {copy.path for copy in self._copies}
        return next((path for path in usable if path not in tried), None)

    def _preferred(self, usable: Sequence[Path]) -> Path:
        """The path for a copy that is neither the first nor a change of path: not the one that just failed."""
        last = self._last_to_end
        if last is None or last.ending is Ending.REFUSED:
            return usable[0]
        other: Path | None = next((path for path in usable if path != last.path), None)
        return other or usable[0]

    def _give_up(self, still_in_flight: bool) -> Conclude:
        last = len(self._copies) - 1 if self._copies else None
        if still_in_flight or self._in_doubt:
            return Conclude(Ending.UNKNOWN, last if self._latest is None else self._latest)
        refused = [number for number, copy in enumerate(self._copies) if copy.ending is Ending.REFUSED]
        if refused:
            return Conclude(Ending.REFUSED, refused[-1])
        return Conclude(Ending.NOT_SENT, last)
