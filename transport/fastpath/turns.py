"""Many threads, one connection: whose turn it is to wait at the socket.

A connection belongs to one thread at a time, and handing a request to an I/O thread and back would cost two thread
hops (some 30 us each). So the calling threads do the I/O themselves, under one lock: each sends its own request, and
one of those that wait, the leader, also waits at the socket, without the lock, and reads for all. Who gets its answer
leaves; a leader that leaves passes the turn to another that waits.

Over a native carrier the lock is a `Turnstile`: while nobody else uses the client, a caller's whole order is one call
of native code. What such callers leave behind (`adopt`) becomes a request in flight like any other.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final

from transport.carriers.choice import native_module
from transport.carriers.native_dealer import NativeDealer
from transport.contract.errors import WireDecodeError
from transport.contract.replies import ExecuteReply
from transport.fastpath.calls import Call
from transport.fastpath.core import NS_PER_MS, Phase
from transport.fastpath.driver import Driver

_READ: Final = select.POLLIN
_LONGEST_WAIT_MS: Final = 1000.0
"""A leader looks again at least this often, so that a lost wake-up could delay but never hang."""
_LONGEST_WAIT_NS: Final = 1_000_000_000


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

    def __init__(self, driver: Driver, *, is_native: bool = False, spin_us: int = 0) -> None:
        self.turnstile = native_module().Turnstile(_weakly(self)) if is_native else None
        self.lock: threading.Lock = self.turnstile or threading.Lock()
        self.adopted: dict[int, Call] = {}
        """Requests of lone callers that go on like others: for their callers to take out."""
        self._driver = driver
        self._spin_ns = spin_us * 1000
        self._lane: NativeDealer | None = None
        self._waits_at: NativeDealer | None = None
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
        """Wait, with `lock` held, for the call's conclusion or its deadline; `lock` is let go meanwhile.

        Called after the request was handed to the carrier. At `call.until_ns` it returns with the call in flight.
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
        self._follow(call, follower)

    def settle(self) -> None:
        """Before `lock` is let go: from now on a lone caller may pass, if nobody waits and the path is open."""
        turnstile, core = self.turnstile, self._driver.core
        if turnstile is None or self._leader is not None or core.phase is not Phase.OPEN or core.in_flight:
            return
        carrier = self._driver.carrier
        if carrier is not self._lane:
            if not isinstance(carrier, NativeDealer):
                return
            self._lane = carrier
            turnstile.set_lane(carrier.dealer, core.journal_id, core.max_message_bytes, self._spin_ns)
        turnstile.let_pass()

    @property
    def has_leader(self) -> bool:
        """Whether a thread waits at the descriptors; with `lock` held."""
        return self._leader is not None

    def interrupt(self) -> None:
        """Make the leader look at its call; with `lock` held."""
        if self._waits_at is not None:
            self._waits_at.wake()
        elif self._leader is not None and self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    def adopt(self, last_sequence: int, orphan: tuple[int, int, bool] | None) -> None:
        """What lone callers left, told by the turnstile to who takes the lock next."""
        core = self._driver.core
        if last_sequence > (core.last_sequence or 0):
            core.last_sequence = last_sequence
        if orphan is not None:
            correlation, deadline_ns, is_awaited = orphan
            call = Call(correlation, deadline_ns, ExecuteReply)
            core.enter(call)
            if is_awaited:
                self.adopted[correlation] = call

    def call_away(self, call: Call) -> None:
        """Ends the wait for this call, which stays in flight; with `lock` held."""
        call.until_ns = 0
        if call is self._leader:
            self.interrupt()
        elif call in self._followers:
            self._followers[call].wake(call)

    def _wake_leader_if_needed(self) -> None:
        if self._leader is not None and self._leader.conclusion is not None:
            self.interrupt()

    def _lead(self, call: Call) -> None:
        """Wait at the socket."""
        driver = self._driver
        core = driver.core
        try:
            while True:
                carrier = driver.carrier
                if isinstance(carrier, NativeDealer) and core.phase is Phase.OPEN:
                    self._receive_all(carrier)
                elif carrier is not None and core.phase is Phase.OPEN:
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
                if now_ns >= call.until_ns:
                    return
                self._wait_at_carrier(min(call.deadline_ns, call.until_ns), now_ns)
        finally:
            self._pass_on()

    def _receive_all(self, carrier: NativeDealer) -> None:
        try:
            self._driver.bring(carrier.receive_all())
        except WireDecodeError as error:
            self._driver.core.carrier_lost(f"the engine sent what is no message: {error}", time.monotonic_ns())
            self._driver.act()

    def _wait_at_carrier(self, deadline_ns: int, now_ns: int) -> None:
        """Let the lock go, wait, take it again, and read the carrier's events if it was they."""
        driver = self._driver
        carrier = driver.carrier
        if driver.core.phase is not Phase.OPEN:
            deadline_ns = min(deadline_ns, driver.core.timer_ns() or deadline_ns)
        if not isinstance(carrier, NativeDealer):
            self._wait_at_descriptors(carrier.filenos() if carrier is not None else (), deadline_ns - now_ns)
            return
        timeout_ns = min(max(deadline_ns - now_ns, 0), _LONGEST_WAIT_NS)
        has_changed = False
        self._waits_at = carrier
        self.lock.release()
        try:
            has_changed = carrier.wait(timeout_ns, self._spin_ns)
        finally:
            self.lock.acquire()
            self._waits_at = None
        if has_changed:
            driver.look()

    def _wait_at_descriptors(self, filenos: tuple[int, ...], left_ns: int) -> None:
        driver = self._driver
        if filenos != self._watched:
            for fileno in self._watched:
                self._poll.unregister(fileno)
            for fileno in filenos:
                self._poll.register(fileno, _READ)
            self._watched = filenos
        timeout_ms = min(left_ns / NS_PER_MS, _LONGEST_WAIT_MS)
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
        try:
            self._await_turn(call, follower)
        except BaseException:
            # A handler of signals raised: nobody is to wait for this thread to lead.
            self._leave(call, follower)
            raise
        if call.conclusion is None and follower.promoted:
            call.wake = None
            self._lead(call)
        else:
            self._leave(call, follower)

    def _await_turn(self, call: Call, follower: _Follower) -> None:
        """Until the call is concluded, or abandoned at its deadline, or this thread is to lead."""
        while call.conclusion is None and not follower.promoted:
            remaining_ns = call.deadline_ns - time.monotonic_ns()
            if remaining_ns <= 0:
                call.wake = None
                self._driver.core.abandon(call, "no reply before the deadline")
                return
            patience_ns = call.until_ns - time.monotonic_ns()
            if patience_ns <= 0:
                call.wake = None
                return
            remaining_ns = min(remaining_ns, patience_ns)
            self.lock.release()
            try:
                follower.gate.acquire(timeout=remaining_ns / 1e9)
            finally:
                self.lock.acquire()

    def _leave(self, call: Call, follower: _Follower) -> None:
        self._followers.pop(call, None)
        if follower.promoted:
            self._pass_on()

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


def _weakly(turns: Turns) -> Callable[[int, tuple[int, int, bool] | None], None]:
    """`Turns.adopt` without keeping `turns`: it keeps the turnstile, and the collector does not see through that."""
    reference = weakref.ref(turns)

    def adopt(last_sequence: int, orphan: tuple[int, int, bool] | None) -> None:
        alive = reference()
        if alive is not None:
            alive.adopt(last_sequence, orphan)

    return adopt


def _reset(eventfd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.eventfd_read(eventfd)
