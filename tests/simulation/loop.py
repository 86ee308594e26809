"""An asyncio event loop in virtual time: when nothing is ready, the clock jumps to the next timer. No I/O at all.

Descriptors are numbers that simulated carriers make up and signal. Every callback belongs to a *process* of the
simulation (or to the world, where there is none); a process that was killed runs no further line of its code.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

from tests.simulation.clock import Clock

_MOST_TURNS_AT_ONE_INSTANT: Final = 50_000


class SimulationStalledError(AssertionError):
    """Nothing is scheduled any more, or the clock stands while callbacks go round: somebody would wait for ever."""


class Process:
    """A process of the simulated machine: what it started ends with it, in the middle of whatever it was doing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.context = contextvars.copy_context()
        self.context.run(_PROCESS.set, self)


_PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class _Future(asyncio.Future[Any]):
    """A future whose hash is its number: sets of them have the same order in every run."""

    number: int

    def __hash__(self) -> int:
        return self.number


class _Task(asyncio.Task[Any]):
    """A task whose hash is its number."""

    def __init__(self, coroutine: Any, number: int, **settings: Any) -> None:
        self.number = number  # first: the base puts it into a set
        self.process = _PROCESS.get()
        super().__init__(coroutine, **settings)

    def __hash__(self) -> int:
        return self.number


class _Selector:
    """What the loop asks instead of the kernel."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[object]:
        loop = self._loop
        if timeout is None:
            raise SimulationStalledError("nothing is scheduled any more")
        if timeout > 0:
            loop.jump()
        else:
            loop.count_turn()
        return []

    def close(self) -> None: ...


class VirtualLoop(asyncio.BaseEventLoop):
    """See the module's text."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock_resolution = 1e-9
        self.clock = clock
        self._selector = _Selector(self)
        self._readers: dict[int, asyncio.Handle] = {}
        self._next_fileno = 1_000_000
        self._turns_at_this_instant = 0
        self._killed: list[Process] = []
        self._remains: list[set[asyncio.Task[Any]]] = []
        self._is_over = False
        self._made = 0
        self._tasks: list[_Task] = []
        """All of the run: nothing may be finalized in the middle of it."""
        self.world_context = contextvars.copy_context()
        self.problems: list[str] = []
        """What callbacks and tasks raised that nobody caught."""
        self.set_exception_handler(self._note)
        self.set_task_factory(self._make_task)

    def create_future(self) -> asyncio.Future[Any]:
        """One whose place in a set does not depend on memory addresses."""
        future = _Future(loop=self)
        self._made += 1
        future.number = self._made
        return future

    def _make_task(self, _loop: asyncio.AbstractEventLoop, coroutine: Any, **settings: Any) -> asyncio.Task[Any]:
        self._made += 1
        task = _Task(coroutine, self._made, loop=self, **settings)
        self._tasks.append(task)
        return task

    def note_what_tasks_raised(self) -> None:
        """Exceptions that nobody asked a task for: said at the end of the run, not when a collector finds them."""
        for task in self._tasks:
            if task.process is not None and task.process.is_dead:
                continue
            if task.done() and getattr(task, "_log_traceback", False):
                self.problems.append(f"task {task.get_name()} raised {task.exception()!r}, and nobody asked")

    # ---- time ----

    def time(self) -> float:
        """The virtual clock, in seconds."""
        return self.clock.now_ns / 1e9

    def jump(self) -> None:
        """To the next timer."""
        self._turns_at_this_instant = 0
        scheduled = cast("list[asyncio.TimerHandle]", self._scheduled)  # type: ignore[attr-defined]
        self.clock.now_ns = max(self.clock.now_ns, math.ceil(scheduled[0].when() * 1e9))

    def count_turn(self) -> None:
        """A turn without a jump."""
        self._turns_at_this_instant += 1
        if self._turns_at_this_instant > _MOST_TURNS_AT_ONE_INSTANT:
            raise SimulationStalledError(f"{self._turns_at_this_instant} turns of the loop at one instant")

    def at_ns(self, at_ns: int, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Calls back at this instant, on behalf of the world."""
        return self.call_at(at_ns / 1e9, callback, *args, context=self.world_context)

    def soon(self, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        """Calls back in this instant's next turn, on behalf of the world."""
        return self.call_soon(callback, *args, context=self.world_context)

    # ---- processes ----

    def call_soon(self, callback: Any, *args: Any, context: contextvars.Context | None = None) -> asyncio.Handle:
        """As asyncio's; what a dead process schedules never runs."""
        handle = super().call_soon(callback, *args, context=context)
        if _is_of_the_dead(context):
            handle.cancel()
        return handle

    def call_at(
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's; what a dead process schedules never runs."""
        handle = super().call_at(when, callback, *args, context=context)
        if _is_of_the_dead(context):
            handle.cancel()
        return handle

    def spawn(self, process: Process, coroutine: Any, name: str) -> asyncio.Task[Any]:
        """A task of a process."""
        return process.context.run(self.create_task, coroutine, name=name)

    def kill(self, process: Process) -> None:
        """SIGKILL: no line of the process runs any more, no handler, no `finally`."""
        process.is_dead = True
        self._killed.append(process)
        # Nothing of it may be finalized before the run is over: finalizers are lines of code, too.
        self._remains.append(asyncio.all_tasks(self))
        scheduled = cast("list[asyncio.TimerHandle]", self._scheduled)  # type: ignore[attr-defined]
        ready = cast("list[asyncio.Handle]", self._ready)  # type: ignore[attr-defined]
        for handle in [*scheduled, *ready]:
            context: contextvars.Context = handle._context  # pyright: ignore[reportPrivateUsage]
            if not handle.cancelled() and context.get(_PROCESS) is process:
                handle.cancel()

    def bury(self) -> None:
        """Ends what is left of all tasks, so that nothing of this run is there in the next one."""
        left = [task for task in asyncio.all_tasks(self) if not task.done()]
        self._is_over = True
        for process in self._killed:
            process.is_dead = False  # so that what is left of it can unwind
        for task in left:
            task.cancel()
        for _ in range(50):
            if all(task.done() for task in left):
                break
            self.call_soon(self.stop)
            self.run_forever()
        for task in left:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            if not task.done():
                # Its next step was dropped when its process was killed: it never runs again.
                with suppress(Exception):
                    task.get_coro().close()  # type: ignore[union-attr]

    # ---- descriptors ----

    def new_fileno(self) -> int:
        """A descriptor's number that no other carrier has."""
        self._next_fileno += 1
        return self._next_fileno

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        """Watches a made-up descriptor."""
        self._readers[fd] = asyncio.Handle(callback, args, self, None)

    def remove_reader(self, fd: Any) -> bool:
        """Watches it no more."""
        handle = self._readers.pop(fd, None)
        if handle is not None:
            handle.cancel()
        return handle is not None

    def readable(self, fd: int) -> None:
        """An edge: the descriptor has something."""
        handle = self._readers.get(fd)
        if handle is not None and not handle.cancelled():
            owner: Process | None = handle._context.get(_PROCESS)  # type: ignore[attr-defined]
            if owner is None or not owner.is_dead:
                self._ready.append(handle)  # type: ignore[attr-defined]

    # ---- what threads would do ----

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """At once, in this thread; the result comes a moment later."""
        future = self.create_future()
        try:
            result = func(*args)
        except Exception as problem:
            self.call_later(1e-4, _fail, future, problem)
        else:
            self.call_later(1e-4, _give, future, result)
        return future

    # ---- what asyncio wants of a loop ----

    def _process_events(self, event_list: Any) -> None: ...

    def _write_to_self(self) -> None: ...

    def _note(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        problem = context.get("exception")
        if not self._is_over:
            self.problems.append(f"{context.get('message')}: {problem!r}")


def _is_of_the_dead(context: contextvars.Context | None) -> bool:
    process = _PROCESS.get() if context is None else context.get(_PROCESS)
    return process is not None and process.is_dead


def _give(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], problem: Exception) -> None:
    if not future.done():
        future.set_exception(problem)
