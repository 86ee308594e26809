"""The asyncio shell of failover: drives one call's plan, and keeps probing the paths.

Everything here runs in one event loop; only that loop's tasks may use it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from fallback_grpc.failover.breaker import NS_PER_MS
from fallback_grpc.failover.hedging import HedgeBudget
from fallback_grpc.failover.plan import CallPlan, Conclude, Ending, PlanPolicy, Send
from fallback_grpc.failover.switchboard import Switchboard
from fallback_grpc.outcome import Done, Subject, done_or_raise, ending_of
from transport.contract.conclusions import Conclusion, NotSent, Replied
from transport.contract.errors import NotSentError, ValidationError
from transport.contract.replies import Path

_NS_PER_S = 1_000_000_000

ReplyT = TypeVar("ReplyT")
PathT = TypeVar("PathT")


class Probed(Protocol):
    """What the prober needs of a path."""

    async def probe(self, timeout_ms: float) -> bool: ...


class ChangeGate:
    """Lets tasks wait until the paths have changed, or a time has passed."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()
        self._told: list[Callable[[], None]] = []

    def wake(self) -> None:
        """Wakes every task that waits now. Call it in the loop."""
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        for tell in tuple(self._told):
            tell()

    @contextmanager
    def telling(self, tell: Callable[[], None]) -> Generator[None, None, None]:
        """Calls `tell` at every change while the context lasts."""
        self._told.append(tell)
        try:
            yield
        finally:
            self._told.remove(tell)

    async def wait(self, until_ns: int, others: Iterable[asyncio.Future[Any]] = ()) -> None:
        """Returns at `until_ns` (monotonic), or earlier if something changed or one of `others` is done."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        left_s = max(until_ns - time.monotonic_ns(), 0) / _NS_PER_S
        try:
            await asyncio.wait({waiter, *others}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiters.discard(waiter)

    async def pause(self, until_ns: int, stopped: Callable[[], bool]) -> None:
        """Returns at `until_ns` whatever the paths do; earlier only if everything has stopped."""
        while not stopped() and time.monotonic_ns() < until_ns:
            await self.wait(until_ns)


async def drive(
    plan: CallPlan,
    attempt: Callable[[Path, float], Coroutine[Any, Any, Conclusion[ReplyT]]],
    usable: Callable[[], tuple[Path, ...]],
    gate: ChangeGate,
    ended: Callable[[Path, Conclusion[ReplyT]], None],
    *,
    stopped: Callable[[], bool],
    first: tuple[int, Conclusion[ReplyT]] | None = None,
    one_path: bool = False,
) -> tuple[Conclude, Conclusion[ReplyT] | None]:
    """Runs a plan to its end: `attempt` sends one copy, `ended` hears how each copy that got no reply ended.

    `stopped`: whether no path will be used any more (the call then ends with what is known).
    `first`: a copy that the plan has adopted, and how it ended. `one_path`: no copy will ever have company.
    Copies still in flight at the end are abandoned: what they come to changes nothing any more.
    """
    conclusions: dict[int, Conclusion[ReplyT]] = {}
    flights: dict[asyncio.Task[Conclusion[ReplyT]], int] = {}
    if first is not None:
        _take(plan, *first, conclusions, ended)
    try:
        while True:
            now_ns = time.monotonic_ns()
            if stopped():
                plan.stop(now_ns)
            step = plan.next_step(now_ns, usable())
            if isinstance(step, Send):
                copy_ms = (step.until_ns - now_ns) / NS_PER_MS
                if one_path:
                    conclusion = await _concluded(attempt(step.path, copy_ms), plan, flights)
                    _take(plan, step.copy, conclusion, conclusions, ended)
                else:
                    flights[asyncio.create_task(attempt(step.path, copy_ms))] = step.copy
            elif isinstance(step, Conclude):
                return step, None if step.copy is None else conclusions.get(step.copy)
            elif flights:
                await gate.wait(step.until_ns, flights)
                for copy, conclusion in await _landed(flights, plan):
                    _take(plan, copy, conclusion, conclusions, ended)
            else:
                pause = gate.wait(step.until_ns) if step.for_path else gate.pause(step.until_ns, stopped)
                await pause
    finally:
        for task in flights:
            task.cancel()
            task.add_done_callback(_forget)


async def _landed(
    flights: dict[asyncio.Task[Conclusion[ReplyT]], int], plan: CallPlan
) -> list[tuple[int, Conclusion[ReplyT]]]:
    """The copies that have ended since the last look."""
    landed: list[tuple[int, Conclusion[ReplyT]]] = []
    for task in [each for each in flights if each.done()]:
        copy = flights.pop(task)
        landed.append((copy, await _concluded(task, plan, flights)))
    return landed


async def _concluded(
    attempt: Awaitable[Conclusion[ReplyT]], plan: CallPlan, others: Collection[object]
) -> Conclusion[ReplyT]:
    """What a copy came to. It raises only while no other copy can have been executed."""
    try:
        return await attempt
    except (ValidationError, NotSentError) as problem:
        if not plan.in_doubt and not others:
            raise
        # Another copy may have been executed: that this one cannot be sent settles nothing.
        return NotSent(str(problem))


def _forget(task: asyncio.Task[Conclusion[Any]]) -> None:
    """What an abandoned copy raises is nobody's business."""
    if not task.cancelled():
        task.exception()


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


class AsyncFailover:
    """Calls over several paths: each path by name, with the switchboard that says which may be used."""

    def __init__(self, board: Switchboard, policy: PlanPolicy, budget: HedgeBudget | None = None) -> None:
        """`budget`: orders may be hedged as far as it goes, if the policy or the call says so; None: never."""
        self._board = board
        self._policy = policy
        self._policy_in_time = replace(policy, resolution_ms=0.0)
        self._budget = budget or HedgeBudget(0.0)
        self._gate = ChangeGate()
        self._probers: list[asyncio.Task[None]] = []
        self._probe_gates: dict[Path, ChangeGate] = {}
        board.on_change(self._gate.wake)
        board.on_probe_due(self._wake_prober)

    @property
    def gate(self) -> ChangeGate:
        """Wakes when the paths change."""
        return self._gate

    async def call(
        self,
        attempt: Callable[[Path, float], Coroutine[Any, Any, Conclusion[ReplyT]]],
        connected: Callable[[Path], bool],
        subject: Callable[[], Subject],
        timeout_ms: float,
        *,
        orders: int = 0,
        in_doubt: bool = False,
        in_time: bool = False,
        hedge: bool | None = False,
    ) -> Done[ReplyT]:
        """Runs one call to its end. Raises as `transport.contract.client` says.

        `orders`: how many the call executes. `subject` is asked for only where something must be said of the call.
        `in_time`: it ends at its deadline, even in doubt. `hedge`: whether the call may be hedged, after the policy's
        delay (0: at once); None: if that is configured.
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
        budget = self._budget if may_hedge else None
        has_choice = bool(usable[1:])
        if not usable or in_doubt or (may_hedge and has_choice):
            plan = CallPlan(policy, deadline_ns=deadline_ns, in_doubt=in_doubt, budget=budget)
            return await self._finish(plan, None, attempt, connected, subject, orders=orders)
        # Nearly every call ends here: one copy, one reply, and no plan.
        path = usable[0]
        patience_ms = min(timeout_ms, policy.patience_ms) if has_choice else timeout_ms
        conclusion = await attempt(path, patience_ms)
        if isinstance(conclusion, Replied):
            board.replied_at_once(path, orders)
            return Done(conclusion.reply, path, 1, conclusion.duplicate, conclusion.correlation, False)
        plan = CallPlan(policy, deadline_ns=deadline_ns)
        first = (plan.adopt(path, began_ns), conclusion)
        return await self._finish(plan, first, attempt, connected, subject, orders=orders)

    async def _finish(
        self,
        plan: CallPlan,
        first: tuple[int, Conclusion[ReplyT]] | None,
        attempt: Callable[[Path, float], Coroutine[Any, Any, Conclusion[ReplyT]]],
        connected: Callable[[Path], bool],
        subject: Callable[[], Subject],
        *,
        orders: int,
    ) -> Done[ReplyT]:
        board = self._board

        def ended(path: Path, conclusion: Conclusion[ReplyT]) -> None:
            board.copy_ended(path, conclusion, connected(path), time.monotonic_ns())

        end, conclusion = await drive(
            plan, attempt, lambda: board.usable, self._gate, ended, stopped=board.is_stopped, first=first
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
        self._probe_gates = {path: ChangeGate() for path in paths}
        for path, client in paths.items():
            self._probers.append(asyncio.create_task(self._probe(path, client, timeout_ms), name=f"probe-{path}"))

    async def stop(self) -> None:
        """Ends the probing."""
        for task in self._probers:
            task.cancel()
        await asyncio.gather(*self._probers, return_exceptions=True)
        self._probers.clear()

    def _wake_prober(self, path: Path) -> None:
        gate = self._probe_gates.get(path)
        if gate is not None:
            gate.wake()

    async def _probe(self, path: Path, client: Probed, timeout_ms: float) -> None:
        board, gate = self._board, self._probe_gates[path]
        while board.stopped is None:
            now_ns = time.monotonic_ns()
            rest_ns = board.rest_ns(path, now_ns)
            if rest_ns > now_ns:
                await gate.wait(rest_ns)
                continue
            board.probe_started(path, now_ns)
            answered = await client.probe(timeout_ms)
            ended_ns = time.monotonic_ns()
            board.probe_ended(path, answered, (ended_ns - now_ns) / NS_PER_MS, ended_ns)
            await asyncio.sleep(0)
