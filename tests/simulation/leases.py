"""The clock of cancel on disconnect: looks at the engine's leases, and keeps books of its own of who is connected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.history import LeaseLook
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Connection
from tests.simulation.trace import Trace

if TYPE_CHECKING:
    from tests.simulation.engine_host import EngineHost


class LeaseClock:
    """What the reactor's loop is to leases; its clock does not jump."""

    def __init__(self, host: EngineHost, loop: VirtualLoop, trace: Trace) -> None:
        self._host = host
        self._loop = loop
        self._trace = trace
        self._there: dict[str, set[Connection]] = {}
        """By session, the connections of it that the engine has heard and has not lost."""
        self._alone_since_ns: dict[str, int] = {}
        """Sessions that have no connection any more."""
        self._started_ns = 0
        self._armed_ns: int | None = None
        self.looks: dict[int, LeaseLook] = {}
        """By the record of each lease that expired. A record that was lost comes again: the last one counts."""

    def engine_started(self) -> None:
        """Nobody is connected, and everybody has the full grace."""
        self._there.clear()
        self._alone_since_ns.clear()
        self._started_ns = self._loop.clock.now_ns
        self._armed_ns = None
        self.look()

    def spoke(self, connection: Connection) -> None:
        """A connection stands for its session from its first message on."""
        self._there.setdefault(connection.session_id, set()).add(connection)
        self._alone_since_ns.pop(connection.session_id, None)

    def gone(self, connection: Connection) -> None:
        """The engine has lost it, or ended it."""
        there = self._there.get(connection.session_id)
        if there and connection in there:
            there.remove(connection)
            if not there:
                self._alone_since_ns[connection.session_id] = self._loop.clock.now_ns

    def look(self) -> None:
        """Graces begin, and the next one's end is waited for."""
        host, now_ns = self._host, self._loop.clock.now_ns
        deadline_ns = host.with_engine(lambda engine: engine.next_lease_deadline_ns(now_ns))
        if deadline_ns is None or (self._armed_ns is not None and self._armed_ns <= deadline_ns):
            return
        self._armed_ns = deadline_ns
        host.later(max(deadline_ns - now_ns, 0), self._expire)

    def _expire(self) -> None:
        self._armed_ns = None
        host, now_ns = self._host, self._loop.clock.now_ns
        engine = host.engine
        if engine is None:
            return
        before = host.with_engine(lambda engine: engine.last_seq)
        host.with_engine(lambda engine: engine.expire_leases(now_ns, host.now_ns()))
        after = host.with_engine(lambda engine: engine.last_seq)
        if before is None or after is None or host.engine is not engine:
            return
        if after > before:
            self._trace.note("lease_looked_at", f"record {after}")
            self.looks[after] = LeaseLook(
                connected=frozenset(session for session, there in self._there.items() if there),
                alone_ns={session: now_ns - since_ns for session, since_ns in self._alone_since_ns.items()},
                up_ns=now_ns - self._started_ns,
            )
        host.turn_soon()

    def alone_at_the_end(self) -> LeaseLook:
        """Who has no connection when the run is over, and for how long."""
        now_ns = self._loop.clock.now_ns
        return LeaseLook(
            connected=frozenset(session for session, there in self._there.items() if there),
            alone_ns={session: now_ns - since_ns for session, since_ns in self._alone_since_ns.items()},
            up_ns=now_ns - self._started_ns,
        )
