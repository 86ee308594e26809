"""The copies of a hedged call of a thread: whose end is heard of, and when."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fallback_grpc.failover.blocking_hedge import Copies
from fallback_grpc.failover.plan import Send
from tests.waiting import eventually
from transport.contract.conclusions import Conclusion, NotSent, Replied
from transport.contract.replies import Path

SECOND = 1_000_000_000


class SlowCopy:
    """An own copy that no reply comes for."""

    def __init__(self) -> None:
        self._interrupted = threading.Event()

    def wait(self, until_ns: int) -> Conclusion[str] | None:
        self._interrupted.wait((until_ns - time.monotonic_ns()) / SECOND)
        self._interrupted.clear()
        return None

    def interrupt(self) -> None:
        self._interrupted.set()

    def abandon(self) -> None:
        pass


def send(copy: int, path: Path) -> Send:
    until_ns = time.monotonic_ns() + 30 * SECOND
    return Send(copy=copy, path=path, until_ns=until_ns, patience_until_ns=until_ns)


def test_a_copy_that_ended_before_there_was_an_own_one_is_heard_of_at_once() -> None:
    with ThreadPoolExecutor(1) as pool:
        copies: Copies[str] = Copies(
            lambda path, _: SlowCopy() if path == "zmq" else None, lambda *_: Replied("a"), pool
        )
        copies.send(send(0, "grpc"), time.monotonic_ns())
        pool.submit(lambda: None).result(10)
        copies.send(send(1, "zmq"), time.monotonic_ns())
        began_ns = time.monotonic_ns()
        assert copies.wait(began_ns + 20 * SECOND) == [(0, Replied("a"))]
        assert time.monotonic_ns() - began_ns < 10 * SECOND
        assert copies, "the own copy is still in flight"


def test_a_copy_that_ends_while_the_own_one_is_waited_for_ends_the_wait() -> None:
    go = threading.Event()

    def attempt(*_: Any) -> Conclusion[str]:
        go.wait(10)
        return Replied("b")

    with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as caller:
        copies: Copies[str] = Copies(lambda path, _: SlowCopy() if path == "zmq" else None, attempt, pool)
        copies.send(send(0, "zmq"), time.monotonic_ns())
        copies.send(send(1, "grpc"), time.monotonic_ns())
        waiting = caller.submit(copies.wait, time.monotonic_ns() + 20 * SECOND)
        eventually(waiting.running, "it waits")
        go.set()
        assert waiting.result(10) == [(1, Replied("b"))]


def test_a_copy_for_a_pool_that_was_shut_down_was_not_sent() -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    copies: Copies[str] = Copies(lambda *_: None, lambda *_: Replied("c"), pool)
    copies.send(send(0, "grpc"), time.monotonic_ns())
    ((number, conclusion),) = copies.wait(time.monotonic_ns() + SECOND)
    assert number == 0 and isinstance(conclusion, NotSent)
