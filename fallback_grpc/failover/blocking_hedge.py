"""A hedged call of a thread: it waits for its own copy, while threads of a pool carry the others."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, Protocol, TypeVar

from fallback_grpc.failover.breaker import NS_PER_MS
from fallback_grpc.failover.plan import Send
from transport.contract.conclusions import Conclusion, NotSent
from transport.contract.errors import ExecutionBridgeError
from transport.contract.replies import Path

ReplyT = TypeVar("ReplyT")
ReplyT_co = TypeVar("ReplyT_co", covariant=True)

# Who waits for threads of the pool alone looks at the paths this often.
_LOOK_NS = 50 * NS_PER_MS


class OwnCopy(Protocol[ReplyT_co]):
    """A copy that the calling thread waits for itself, and that another thread may call it away from."""

    def wait(self, until_ns: int) -> Conclusion[ReplyT_co] | None:
        """How it ended; None: not yet, at `until_ns` or when interrupted."""
        ...

    def interrupt(self) -> None:
        """Ends the present `wait`, or the next one. From any thread."""
        ...

    def abandon(self) -> None:
        """Nobody waits for it any more."""
        ...


class Copies(Generic[ReplyT]):
    """The copies of one call that are in flight."""

    def __init__(
        self,
        begin: Callable[[Path, float], OwnCopy[ReplyT] | None],
        attempt: Callable[[Path, float], Conclusion[ReplyT]],
        pool: ThreadPoolExecutor,
    ) -> None:
        """`begin` sends a copy for the calling thread to wait for (None: this path has no such way)."""
        self._begin = begin
        self._attempt = attempt
        self._pool = pool
        self._own: OwnCopy[ReplyT] | None = None
        self._own_number = -1
        self._flying = 0
        self._news: queue.SimpleQueue[tuple[int, Conclusion[ReplyT]]] = queue.SimpleQueue()

    def __bool__(self) -> bool:
        return self._own is not None or self._flying > 0

    def send(self, step: Send, now_ns: int) -> None:
        """Sends one copy and does not wait."""
        if self._own is None:
            self._own = self._begin(step.path, (step.until_ns - now_ns) / NS_PER_MS)
            self._own_number = step.copy
            if self._own is not None:
                return
        self._flying += 1
        try:
            self._pool.submit(self._fly, step)
        except RuntimeError:  # the pool was shut down: the client is being closed
            self._news.put((step.copy, NotSent("the client is closed")))

    def wait(self, until_ns: int) -> list[tuple[int, Conclusion[ReplyT]]]:
        """The copies that have ended, and how; none if it is `until_ns` first."""
        ended: list[tuple[int, Conclusion[ReplyT]]] = []
        # What came before there was an own copy to interrupt is not waited for behind it.
        if self._own is not None and self._news.empty():
            conclusion = self._own.wait(until_ns)
            if conclusion is not None:
                self._own = None
                ended.append((self._own_number, conclusion))
        elif self._flying and self._own is None:
            left_ns = min(until_ns - time.monotonic_ns(), _LOOK_NS)
            try:
                ended.append(self._news.get(timeout=max(left_ns, 0) / 1e9))
            except queue.Empty:
                return ended
            self._flying -= 1
        while self._flying and not self._news.empty():
            ended.append(self._news.get())
            self._flying -= 1
        return ended

    def abandon(self) -> None:
        """The call has ended: what is in flight changes nothing any more."""
        if self._own is not None:
            self._own.abandon()

    def _fly(self, step: Send) -> None:
        """In a thread of the pool: one copy, to its end."""
        conclusion: Conclusion[Any]
        try:
            left_ms = (step.until_ns - time.monotonic_ns()) / NS_PER_MS
            conclusion = self._attempt(step.path, left_ms) if left_ms > 0 else NotSent("no thread was free in time")
        except ExecutionBridgeError as problem:
            conclusion = NotSent(str(problem))
        self._news.put((step.copy, conclusion))
        own = self._own
        if own is not None:
            own.interrupt()
