"""The blocking shell of failover: the calling thread drives its call's plan; one daemon thread probes each path."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol, TypeVar

from fallback_grpc.failover.blocking_hedge import Copies, OwnCopy
from fallback_grpc.failover.breaker import NS_PER_MS
from fallback_grpc.failover.hedging import HedgeBudget
from fallback_grpc.failover.plan import CallPlan, Conclude, Ending, PlanPolicy, Send
from fallback_grpc.failover.switchboard import Switchboard
from fallback_grpc.outcome import Done, Subject, done_or_raise, ending_of
from transport.contract.conclusions import Conclusion, NotSent, Replied
from transport.contract.errors import ExecutionBridgeError, NotSentError, ValidationError
from transport.contract.replies import Path

_log = logging.getLogger(__name__)
_NS_PER_S = 1_000_000_000
# Threads for second copies; started as they are needed.
_MOST_HEDGES = 16

ReplyT = TypeVar("ReplyT")


class Probed(Protocol):
    """What the prober needs of a path."""

    def probe(self, timeout_ms: float) -> bool: ...


class ThreadGate:
    """Lets threads wait until the paths have changed, or a time has passed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._changes = 0

    def wake(self) -> None:
        """Wakes every thread that waits now."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    @property
    def changes(self) -> int:
        """Counts the changes. Take it before looking at the paths and give it to `wait`: none is slept through."""
        with self._changed:
            return self._changes

    def wait(self, until_ns: int, seen: int) -> None:
        """Returns at `until_ns` (monotonic), or at once when there were changes since `seen`."""
        with self._changed:
            left_s = (until_ns - time.monotonic_ns()) / _NS_PER_S
            self._changed.wait_for(lambda: self._changes != seen, max(left_s, 0))

    def pause(self, until_ns: int, stopped: Callable[[], bool]) -> None:
        """Returns at `until_ns` whatever the paths do; earlier only if everything has stopped."""
        while time.monotonic_ns() < until_ns:
            seen = self.changes
            if stopped():
                return
            self.wait(until_ns, seen)


def drive(
    plan: CallPlan,
    attempt: Callable[[Path, float], Conclusion[ReplyT]],
    usable: Callable[[], tuple[Path, ...]],
    gate: ThreadGate,
    ended: Callable[[Path, Conclusion[ReplyT]], None],
    *,
    stopped: Callable[[], bool],
    first: tuple[int, Conclusion[ReplyT]] | None = None,
    copies: Copies[ReplyT] | None = None,
) -> tuple[Conclude, Conclusion[ReplyT] | None]:
    """Runs a plan to its end: `attempt` sends one copy, `ended` hears how each copy that got no reply ended.

    `stopped`: whether no path will be used any more (the call then ends with what is known).
    `first`: a copy that the plan has adopted, and how it ended. `copies`: of a hedged call, whose copies are in flight
    together. Without it they go one after the other, and who has waited out his patience goes on to the next.
    """
    conclusions: dict[int, Conclusion[ReplyT]] = {}
    if first is not None:
        _take(plan, *first, conclusions, ended)
    while True:
        now_ns = time.monotonic_ns()
        seen = gate.changes  # before the paths are looked at: a change after that ends the wait
        if stopped():
            plan.stop(now_ns)
        step = plan.next_step(now_ns, usable())
        if isinstance(step, Send) and copies is not None:
            copies.send(step, now_ns)
        elif isinstance(step, Send):
            try:
                conclusion = attempt(step.path, (step.patience_until_ns - now_ns) / NS_PER_MS)
            except (ValidationError, NotSentError) as problem:
                if not plan.in_doubt:
                    raise
                # An earlier copy may have been executed: that this one cannot be sent settles nothing.
                conclusion = NotSent(str(problem))
            _take(plan, step.copy, conclusion, conclusions, ended)
        elif isinstance(step, Conclude):
            return step, None if step.copy is None else conclusions.get(step.copy)
        elif copies:
            for copy, conclusion in copies.wait(step.until_ns):
                _take(plan, copy, conclusion, conclusions, ended)
        elif step.for_path:
            gate.wait(step.until_ns, seen)
        else:
            gate.pause(step.until_ns, stopped)


def _take(
    plan: CallPlan,
    copy: int,
    conclusion: Conclusion[ReplyT],
    conclusions: dict[int, Conclusion[ReplyT]],
    ended: Callable[[Path, Conclusion[ReplyT]], None],
) -> None:
    conclusions[copy] = conclusion
    if not isinstance(conclusion, Replied):
        ended(plan.path_of(copy), conclusion)
    ending, code = ending_of(conclusion)
    plan.copy_ended(copy, ending, time.monotonic_ns(), code)


class BlockingFailover:
    """Calls over several paths, from any number of threads."""

    def __init__(self, board: Switchboard, policy: PlanPolicy, budget: HedgeBudget | None = None) -> None:
        """`budget`: orders may be hedged as far as it goes, if the policy or the call says so; None: never."""
        self._board = board
        self._policy = policy
        self._policy_in_time = replace(policy, resolution_ms=0.0)
        self._budget = budget or HedgeBudget(0.0)
        self._pool = ThreadPoolExecutor(_MOST_HEDGES, "bridge-hedge")
        self._gate = ThreadGate()
        self._stopping = threading.Event()
        self._probers: list[threading.Thread] = []
        self._probe_gates: dict[Path, ThreadGate] = {}
        board.on_change(self._gate.wake)
        board.on_probe_due(self._wake_prober)

    def call(
        self,
        attempt: Callable[[Path, float], Conclusion[ReplyT]],
        connected: Callable[[Path], bool],
        subject: Callable[[], Subject],
        timeout_ms: float,
        *,
        orders: int = 0,
        in_doubt: bool = False,
        in_time: bool = False,
        begin: Callable[[Path, float], OwnCopy[ReplyT] | None] | None = None,
        hedge: bool | None = None,
    ) -> Done[ReplyT]:
        """Runs one call to its end. Raises as `transport.contract.client` says.

        `orders`: how many the call executes. `subject` is asked for only where something must be said of the call.
        `in_time`: it ends at its deadline, even in doubt. `begin` sends a copy for the calling thread to wait for: such
        a call may be hedged, after the policy's delay (0: at once), if `hedge` says so; None: if that is configured.
        """
        board = self._board
        if not in_doubt:
            board.raise_if_stopped()
        began_ns = time.monotonic_ns()
        deadline_ns = began_ns + int(timeout_ms * NS_PER_MS)
        usable = board.usable
        policy = self._policy_in_time if in_time else self._policy
        if orders == 1:
            self._budget.earn()
        may_hedge = policy.hedge_after_us > 0 if hedge is None else hedge
        if begin is not None and may_hedge and len(usable) > 1 and not in_doubt:
            plan = CallPlan(policy, deadline_ns=deadline_ns, budget=self._budget)
            copies = Copies(begin, attempt, self._pool)
            try:
                return self._finish(plan, None, attempt, connected, subject, orders=orders, copies=copies)
            finally:
                copies.abandon()
        if not usable or in_doubt:
            plan = CallPlan(policy, deadline_ns=deadline_ns, in_doubt=in_doubt)
            return self._finish(plan, None, attempt, connected, subject, orders=orders)
        # Nearly every call ends here: one copy, one reply, and no plan.
        path = usable[0]
        patience_ms = min(timeout_ms, policy.patience_ms) if len(usable) > 1 else timeout_ms
        conclusion = attempt(path, patience_ms)
        if isinstance(conclusion, Replied):
            board.replied_at_once(path, orders)
            return Done(conclusion.reply, path, 1, conclusion.duplicate, conclusion.correlation, False)
        plan = CallPlan(policy, deadline_ns=deadline_ns)
        first = (plan.adopt(path, began_ns), conclusion)
        return self._finish(plan, first, attempt, connected, subject, orders=orders)

    def _finish(
        self,
        plan: CallPlan,
        first: tuple[int, Conclusion[ReplyT]] | None,
        attempt: Callable[[Path, float], Conclusion[ReplyT]],
        connected: Callable[[Path], bool],
        subject: Callable[[], Subject],
        *,
        orders: int,
        copies: Copies[ReplyT] | None = None,
    ) -> Done[ReplyT]:
        board = self._board

        def ended(path: Path, conclusion: Conclusion[ReplyT]) -> None:
            board.copy_ended(path, conclusion, connected(path), time.monotonic_ns())

        end, conclusion = drive(
            plan, attempt, lambda: board.usable, self._gate, ended, stopped=board.is_stopped, first=first, copies=copies
        )
        replied = end.ending is Ending.REPLIED and end.copy is not None
        about = subject()
        board.call_ended(
            plan.path_of(end.copy) if replied and end.copy is not None else None,
            orders=orders,
            attempts=plan.attempts,
            in_doubt=plan.in_doubt and not about.is_query,
            now_ns=time.monotonic_ns(),
            hedged=plan.is_hedged,
            won_by_hedge=plan.is_won_by_hedge,
        )
        return done_or_raise(plan, end, conclusion, about, board.stopped, path_alive=bool(board.usable))

    def start_probing(self, paths: Mapping[Path, Probed], timeout_ms: float) -> None:
        """Probes every path from now on: those that failed, to find their return; the others, to keep them warm."""
        self._probe_gates = {path: ThreadGate() for path in paths}
        for path, client in paths.items():
            thread = threading.Thread(
                target=self._probe, args=(path, client, timeout_ms), name=f"bridge-probe-{path}", daemon=True
            )
            thread.start()
            self._probers.append(thread)

    def stop(self, timeout_s: float) -> None:
        """Ends the probing; a probe under way is waited for, at most `timeout_s`."""
        self._stopping.set()
        self._gate.wake()
        for gate in self._probe_gates.values():
            gate.wake()
        for thread in self._probers:
            thread.join(timeout_s)
        self._probers.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _wake_prober(self, path: Path) -> None:
        gate = self._probe_gates.get(path)
        if gate is not None:
            gate.wake()

    def _probe(self, path: Path, client: Probed, timeout_ms: float) -> None:
        board, gate = self._board, self._probe_gates[path]
        while not self._stopping.is_set() and board.stopped is None:
            seen = gate.changes
            now_ns = time.monotonic_ns()
            rest_ns = board.rest_ns(path, now_ns)
            if rest_ns > now_ns:
                gate.wait(rest_ns, seen)
                continue
            board.probe_started(path, now_ns)
            try:
                answered = client.probe(timeout_ms)
            except ExecutionBridgeError as problem:
                answered = False
                _log.debug("probe of path %s: %s", path, problem)
            ended_ns = time.monotonic_ns()
            board.probe_ended(path, answered, (ended_ns - now_ns) / NS_PER_MS, ended_ns)
