"""The asyncio shell of failover: drives one call's plan, and keeps probing the paths.

Everything here runs in one event loop; only that loop's tasks may use it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Protocol, TypeVar

from fallback_grpc.failover.breaker import NS_PER_MS
from fallback_grpc.failover.plan import CallPlan, Conclude, Ending, PlanPolicy, Send, Wait
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

    async def wait(self, until_ns: int) -> None:
        """Returns at `until_ns` (monotonic), or earlier if something changed."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(max(until_ns - time.monotonic_ns(), 0) / _NS_PER_S):
                await waiter
        except TimeoutError:
            pass
        finally:
            self._waiters.discard(waiter)

    async def pause(self, until_ns: int, stopped: Callable[[], bool]) -> None:
        """Returns at `until_ns` whatever the paths do; earlier only if everything has stopped."""
        while not stopped() and time.monotonic_ns() < until_ns:
            await self.wait(until_ns)


async def drive(
    plan: CallPlan,
    attempt: Callable[[Path, float], Awaitable[Conclusion[ReplyT]]],
    usable: Callable[[], tuple[Path, ...]],
    gate: ChangeGate,
    ended: Callable[[Path, Conclusion[ReplyT]], None],
    *,
    stopped: Callable[[], bool],
    first: tuple[int, Conclusion[ReplyT]] | None = None,
) -> tuple[Conclude, Conclusion[ReplyT] | None]:
    """Runs a plan to its end: `attempt` sends one copy, `ended` hears how each copy that got no reply ended.

    `stopped`: whether no path will be used any more (the call then ends with what is known).
    `first`: a copy that the plan has adopted, and how it ended.
    """
    conclusions: dict[int, Conclusion[ReplyT]] = {}
    if first is not None:
        _take(plan, *first, conclusions, ended)
    while True:
        now_ns = time.monotonic_ns()
        if stopped():
            plan.stop(now_ns)
        step = plan.next_step(now_ns, usable())
        if isinstance(step, Send):
            try:
                conclusion = await attempt(step.path, (step.patience_until_ns - now_ns) / NS_PER_MS)
            except (ValidationError, NotSentError) as problem:
                if not plan.in_doubt:
                    raise
                # An earlier copy may have been executed: that this one cannot be sent settles nothing.
                conclusion = NotSent(str(problem))
            _take(plan, step.copy, conclusion, conclusions, ended)
        elif isinstance(step, Wait):
            if step.for_path:
                await gate.wait(step.until_ns)
            else:
                await gate.pause(step.until_ns, stopped)
        else:
            return step, None if step.copy is None else conclusions.get(step.copy)


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

    def __init__(self, board: Switchboard, policy: PlanPolicy) -> None:
        self._board = board
        self._policy = policy
        self._gate = ChangeGate()
        self._probers: list[asyncio.Task[None]] = []
        board.on_change(self._gate.wake)

    @property
    def gate(self) -> ChangeGate:
        """Wakes when the paths change."""
        return self._gate

    async def call(
        self,
        attempt: Callable[[Path, float], Awaitable[Conclusion[ReplyT]]],
        connected: Callable[[Path], bool],
        subject: Callable[[], Subject],
        timeout_ms: float,
        *,
        orders: int = 0,
        in_doubt: bool = False,
    ) -> Done[ReplyT]:
        """Runs one call to its end. Raises as `transport.contract.client` says.

        `orders`: how many the call executes. `subject` is asked for only where something must be said of the call.
        """
        board = self._board
        if not in_doubt:
            board.raise_if_stopped()
        began_ns = time.monotonic_ns()
        deadline_ns = began_ns + int(timeout_ms * NS_PER_MS)
        usable = board.usable
        if not usable or in_doubt:
            plan = CallPlan(self._policy, deadline_ns=deadline_ns, in_doubt=in_doubt)
            return await self._finish(plan, None, attempt, connected, subject, orders=orders)
        # Nearly every call ends here: one copy, one reply, and no plan.
        path = usable[0]
        patience_ms = min(timeout_ms, self._policy.patience_ms) if len(usable) > 1 else timeout_ms
        conclusion = await attempt(path, patience_ms)
        if isinstance(conclusion, Replied):
            board.replied_at_once(path, orders)
            return Done(conclusion.reply, path, 1, conclusion.duplicate, conclusion.correlation, False)
        plan = CallPlan(self._policy, deadline_ns=deadline_ns)
        first = (plan.adopt(path, began_ns), conclusion)
        return await self._finish(plan, first, attempt, connected, subject, orders=orders)

    async def _finish(
        self,
        plan: CallPlan,
        first: tuple[int, Conclusion[ReplyT]] | None,
        attempt: Callable[[Path, float], Awaitable[Conclusion[ReplyT]]],
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
        board.call_ended(
            plan.path_of(end.copy) if replied and end.copy is not None else None,
            orders=orders,
            attempts=plan.attempts,
            in_doubt=plan.in_doubt,
            now_ns=time.monotonic_ns(),
        )
        return done_or_raise(plan, end, conclusion, subject(), board.stopped)

    def start_probing(self, paths: Mapping[Path, Probed], timeout_ms: float) -> None:
        """Probes every path from now on: those that failed, to find their return; the others, to keep them warm."""
        for path, client in paths.items():
            self._probers.append(asyncio.create_task(self._probe(path, client, timeout_ms), name=f"probe-{path}"))

    async def stop(self) -> None:
        """Ends the probing."""
        for task in self._probers:
            task.cancel()
        await asyncio.gather(*self._probers, return_exceptions=True)
        self._probers.clear()

    async def _probe(self, path: Path, client: Probed, timeout_ms: float) -> None:
        board = self._board
        while board.stopped is None:
            now_ns = time.monotonic_ns()
            due_ns = board.next_probe_ns(path)
            if due_ns > now_ns:
                await self._gate.wait(due_ns)
                continue
            board.probe_started(path, now_ns)
            answered = await client.probe(timeout_ms)
            ended_ns = time.monotonic_ns()
            board.probe_ended(path, answered, (ended_ns - now_ns) / NS_PER_MS, ended_ns)
            await asyncio.sleep(0)
