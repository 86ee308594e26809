"""The probers of both shells: they rest, and are woken where a path is to be probed sooner than they would look."""

from __future__ import annotations

import asyncio
import threading
import time

from fallback_grpc.failover.asynchronous import AsyncFailover
from fallback_grpc.failover.blocking import BlockingFailover
from fallback_grpc.failover.breaker import BreakerSettings
from fallback_grpc.failover.plan import PlanPolicy
from fallback_grpc.failover.switchboard import Switchboard, SwitchboardSettings
from transport.contract.conclusions import Unknown
from transport.contract.path import PathConnected
from transport.contract.replies import Path

LONG_MS = 600_000
"""Of every pause here: what happens within the tests' time was woken."""
DEADLINE_S = 20.0


class WatchedBoard(Switchboard):
    """Tells when the prober goes to rest."""

    def __init__(self) -> None:
        settings = SwitchboardSettings(BreakerSettings(pause_ms=LONG_MS), probe_interval_ms=LONG_MS)
        super().__init__(("zmq",), settings)
        self.resting = threading.Event()

    def rest_ns(self, path: Path, now_ns: int) -> int:
        until_ns = super().rest_ns(path, now_ns)
        if until_ns > now_ns:
            self.resting.set()
        return until_ns


def connected_board() -> WatchedBoard:
    made = WatchedBoard()
    made.path_event("zmq", PathConnected(journal_id="journal-a", epoch=1, connection=1), time.monotonic_ns())
    made.settle(time.monotonic_ns())
    return made


class BlockingPath:
    def __init__(self) -> None:
        self.probed = threading.Semaphore(0)

    def probe(self, timeout_ms: float) -> bool:
        self.probed.release()
        return True


class AsyncPath:
    def __init__(self) -> None:
        self.probed = asyncio.Semaphore(0)

    async def probe(self, timeout_ms: float) -> bool:
        self.probed.release()
        return True


def test_a_request_without_an_answer_wakes_the_prober_thread() -> None:
    board, path = connected_board(), BlockingPath()
    failover = BlockingFailover(board, PlanPolicy())
    failover.start_probing({"zmq": path}, 1_000)
    try:
        assert path.probed.acquire(timeout=DEADLINE_S)  # the first: it has just connected
        assert board.resting.wait(DEADLINE_S)
        board.copy_ended("zmq", Unknown("no answer"), True, time.monotonic_ns())
        assert path.probed.acquire(timeout=DEADLINE_S)
    finally:
        failover.stop(DEADLINE_S)


async def test_a_request_without_an_answer_wakes_the_prober_task() -> None:
    board, path = connected_board(), AsyncPath()
    failover = AsyncFailover(board, PlanPolicy())
    failover.start_probing({"zmq": path}, 1_000)
    try:
        async with asyncio.timeout(DEADLINE_S):
            await path.probed.acquire()
            while not board.resting.is_set():  # noqa: ASYNC110 (it waits before another task runs)
                await asyncio.sleep(0)
            board.copy_ended("zmq", Unknown("no answer"), True, time.monotonic_ns())
            await path.probed.acquire()
    finally:
        await failover.stop()


def test_a_prober_thread_that_rests_ends_with_the_client() -> None:
    board, path = connected_board(), BlockingPath()
    failover = BlockingFailover(board, PlanPolicy())
    failover.start_probing({"zmq": path}, 1_000)
    assert board.resting.wait(DEADLINE_S)
    failover.stop(DEADLINE_S)
    assert not [one for one in threading.enumerate() if one.name == "bridge-probe-zmq"]
