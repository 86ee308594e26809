"""Many threads, one connection: whose turn it is to wait at the socket.

libzmq sockets belong to one thread at a time, and handing a request to an I/O thread and back would cost two thread
hops (some 30 us each). So the calling threads do the I/O themselves, under one lock: each sends its own request, and
one of those that wait, the leader, also waits at the descriptors, without the lock, and reads for all. Who gets its
answer leaves; a leader that leaves passes the turn to another that waits.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from typing import Final

from transport.fastpath.calls import Call
from transport.fastpath.core import NS_PER_MS, Phase
from transport.fastpath.driver import Driver

_READ: Final = select.POLLIN
_LONGEST_WAIT_MS: Final = 1000.0
"""A leader looks again at least this often, so that a lost wake-up could delay but never hang."""


class _Follower:
    """A thread that waits while another leads."""

    __slots__ = ("gate", "promoted")

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()
        self.promoted = False

    def wake(self, _: Call) -> None:
        """Let the thread look at its call."""
        if self.gate.locked():
            self.gate.release()


class Turns:
    """The lock of a client, and the order in which its threads wait. `lock` guards driver, core and carrier."""

    def __init__(self, driver: Driver) -> None:
        self.lock = threading.Lock()
        self._driver = driver
        self._leader: Call | None = None
        self._followers: dict[Call, _Follower] = {}
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._watched: tuple[int, ...] = ()
        self._closing = False
        self._poll.register(self._wake, _READ)

    def close(self) -> None:
        """Free the descriptor once no thread waits any more: their calls have been concluded. With `lock` held."""
        self._closing = True
        if self._leader is None and not self._followers and self._wake >= 0:
            os.close(self._wake)
            self._wake = -1
        else:
            self.interrupt()

    def wait(self, call: Call) -> None:
        """Wait, with `lock` held, for the call's conclusion or its deadline; returns with the lock released.

        Called after the request was handed to the carrier.
        """
        if self._leader is None:
            self._leader = call
            self._lead(call)
            return
        follower = _Follower()
        call.wake = follower.wake
        self._followers[call] = follower
        # Sending may have taken the edge of the descriptor that the leader waits on: read what is there.
        self._driver.look()
        self._wake_leader_if_needed()
        self.lock.release()
        self._follow(call, follower)

    @property
    def has_leader(self) -> bool:
        """Whether a thread waits at the descriptors; with `lock` held."""
        return self._leader is not None

    def interrupt(self) -> None:
        """Make the leader look at its call; with `lock` held."""
        if self._leader is not None and self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    def _wake_leader_if_needed(self) -> None:
        if self._leader is not None and self._leader.conclusion is not None:
            self.interrupt()

    def _lead(self, call: Call) -> None:
        """Wait at the socket; entered with `lock` held, left without."""
        driver = self._driver
        core = driver.core
        try:
            while True:
                carrier = driver.carrier
                # The reply of a lone caller, on the shortest way there is.
                if carrier is not None and core.phase is Phase.OPEN:
                    while call.conclusion is None and (data := carrier.receive()) is not None:
                        core.received(data, time.monotonic_ns)
                        if core.actions:
                            driver.act()
                            break
                else:
                    driver.look()
                if call.conclusion is not None:
                    return
                now_ns = time.monotonic_ns()
                if now_ns >= call.deadline_ns:
                    core.abandon(call, "no reply before the deadline")
                    return
                self._wait_at_descriptors(call.deadline_ns, now_ns)
        finally:
            self._pass_on()
            self.lock.release()

    def _wait_at_descriptors(self, deadline_ns: int, now_ns: int) -> None:
        """Let the lock go, wait, take it again, and read the carrier's events if it was they."""
        driver = self._driver
        carrier = driver.carrier
        filenos = carrier.filenos() if carrier is not None else ()
        if filenos != self._watched:
            for fileno in self._watched:
                self._poll.unregister(fileno)
            for fileno in filenos:
                self._poll.register(fileno, _READ)
            self._watched = filenos
        if driver.core.phase is not Phase.OPEN:
            deadline_ns = min(deadline_ns, driver.core.timer_ns() or deadline_ns)
        timeout_ms = min((deadline_ns - now_ns) / NS_PER_MS, _LONGEST_WAIT_MS)
        self.lock.release()
        try:
            ready = self._poll.poll(max(timeout_ms, 0.0) + 0.5 if timeout_ms < _LONGEST_WAIT_MS else timeout_ms)
        finally:
            self.lock.acquire()
        for fileno, _ in ready:
            if fileno == self._wake:
                _reset(self._wake)
        if len(ready) != 1 or ready[0][0] != (filenos[0] if filenos else -1):
            driver.look()

    def _follow(self, call: Call, follower: _Follower) -> None:
        while True:
            remaining_s = (call.deadline_ns - time.monotonic_ns()) / 1e9
            follower.gate.acquire(timeout=max(remaining_s, 0.0))
            with self.lock:
                if follower.promoted and call.conclusion is None:
                    break
                if call.conclusion is None and time.monotonic_ns() < call.deadline_ns:
                    continue
                self._followers.pop(call, None)
                if follower.promoted:
                    self._pass_on()
                if call.conclusion is None:
                    call.wake = None
                    self._driver.core.abandon(call, "no reply before the deadline")
                return
        self.lock.acquire()
        call.wake = None
        self._lead(call)

    def _pass_on(self) -> None:
        """Make another thread the leader, if one waits; with `lock` held."""
        self._leader = None
        if self._closing:
            self._followers = {call: each for call, each in self._followers.items() if call.conclusion is None}
        for call, follower in self._followers.items():
            if call.conclusion is None:
                del self._followers[call]
                self._leader = call
                follower.promoted = True
                if follower.gate.locked():
                    follower.gate.release()
                return
        if self._closing:
            self.close()


def _reset(eventfd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.eventfd_read(eventfd)
