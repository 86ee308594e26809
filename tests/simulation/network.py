"""The network between clients and engine: ordered connections on two paths, with everything that can become of them.

A connection delivers in order or is lost; it never loses a message and lives. While a direction is silent its
messages are held, as TCP holds what nobody acknowledges, and come late when it heals. Traps strike when the n-th
message passes a point, so that every place where a call can be cut is hit, not only likely ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.schedule import Effect, Point
from tests.simulation.trace import Trace
from transport.contract.replies import Path

LATENCY_NS: Final = 60_000
JITTER_NS: Final = 40_000


class Way(Enum):
    """The two directions."""

    TO_ENGINE = "to_engine"
    TO_CLIENT = "to_client"


class Mark(Enum):
    """What travels besides messages."""

    CLOSED = "closed"
    PING = "ping"
    PONG = "pong"


Item = bytes | Mark


class ClientEnd(Protocol):
    """What a connection tells its client; in the client's process."""

    def opened(self) -> None: ...
    def arrived(self, item: Item) -> None: ...
    def lost(self, reason: str) -> None: ...


class EngineEnd(Protocol):
    """What a connection tells the engine's machine."""

    @property
    def is_listening(self) -> bool: ...
    @property
    def is_machine_up(self) -> bool: ...
    def accepted(self, connection: Connection) -> None: ...
    def arrived(self, connection: Connection, item: Item) -> None: ...
    def gone(self, connection: Connection) -> None: ...


@dataclass
class Trap:
    """Strikes when the n-th message passes a point of a path."""

    path: Path
    point: Point
    countdown: int
    effect: Effect
    lasts_ms: float


@dataclass
class PathState:
    """What one path is like just now."""

    path: Path
    extra_ns: int = 0
    refusing: bool = False
    silent: set[Way] = field(default_factory=set[Way])
    connections: dict[int, Connection] = field(default_factory=dict[int, "Connection"])

    def latency_ns(self, chance: random.Random) -> int:
        """Of one message."""
        extra = self.extra_ns and int(self.extra_ns * (0.5 + chance.random()))
        return LATENCY_NS + int(JITTER_NS * chance.random()) + extra


class _Pipe:
    """One direction of one connection."""

    def __init__(
        self, loop: VirtualLoop, state: PathState, way: Way, chance: random.Random, deliver: Callable[[Item], None]
    ) -> None:
        self._loop = loop
        self._state = state
        self._way = way
        self._chance = chance
        self._deliver = deliver
        self._last_at_ns = 0
        self._numbers = 0
        self._held: list[tuple[int, Item]] = []
        self.is_shut = False

    def put(self, item: Item, *, in_order: bool = True) -> None:
        """Sends; it arrives later, unless the connection is lost before."""
        self._numbers += 1
        self._travel(self._numbers, item, in_order)

    def release(self) -> None:
        """The way is no longer silent."""
        held, self._held = sorted(self._held, key=lambda each: each[0]), []
        for number, item in held:
            self._travel(number, item, in_order=True)

    def shut(self) -> None:
        """Nothing arrives any more."""
        self.is_shut = True
        self._held.clear()

    def _travel(self, number: int, item: Item, in_order: bool) -> None:
        if self.is_shut:
            return
        if self._way in self._state.silent:
            self._held.append((number, item))
            return
        at_ns = self._loop.clock.now_ns + self._state.latency_ns(self._chance)
        if in_order:
            at_ns = self._last_at_ns = max(at_ns, self._last_at_ns + 100)
        self._loop.at_ns(at_ns, self._arrive, number, item)

    def _arrive(self, number: int, item: Item) -> None:
        if self.is_shut:
            return
        if self._way in self._state.silent or self._held:
            self._held.append((number, item))
        else:
            self._deliver(item)


class Connection:
    """One TCP connection of a path."""

    def __init__(self, network: Network, state: PathState, number: int, process: Process, end: ClientEnd) -> None:
        self.network = network
        self.state = state
        self.path: Path = state.path
        self.number = number
        self.process = process
        self.session_id = ""
        self.engine_number: int | None = None
        """The engine's number for it, while it knows it."""
        self.identity: tuple[str, int] = ("", 0)
        """Journal and epoch of the engine at the other end."""
        chance = random.Random(f"{network.seed} {state.path} {number}")
        self._end = end
        self._loop = network.loop
        self._up = _Pipe(self._loop, state, Way.TO_ENGINE, chance, self._at_engine)
        self._down = _Pipe(self._loop, state, Way.TO_CLIENT, chance, self._at_client)
        self._chance = chance
        self._client_knows = False
        """The client has been told that it is over, or has ended it itself."""
        self._engine_machine_forgot = False

    def __str__(self) -> str:
        return f"{self.path}#{self.number}"

    def begin(self, round_trips: int) -> None:
        """SYN and handshake: `round_trips` until the client may send."""
        self._loop.at_ns(self._loop.clock.now_ns + self.state.latency_ns(self._chance), self._syn, round_trips)

    def _syn(self, round_trips: int) -> None:
        if self._client_knows or self.state.silent or not self.network.engine.is_machine_up:
            return  # nobody answers: the client's own time-out ends it
        if self.state.refusing or not self.network.engine.is_listening:
            self._tell_lost("connection refused")
            return
        left_ns = sum(self.state.latency_ns(self._chance) for _ in range(2 * round_trips - 1))
        self._loop.at_ns(self._loop.clock.now_ns + left_ns, self._opened)

    def _opened(self) -> None:
        if self._client_knows or self.state.silent or self._up.is_shut:
            return
        if self.state.refusing or not self.network.engine.is_listening:
            self._tell_lost("connection refused")
            return
        self.network.engine.accepted(self)
        self._in_client(self._end.opened)

    # ---- messages ----

    def send_to_engine(self, item: Item, *, in_order: bool = True) -> bool:
        """From the client. False: not accepted."""
        if self._client_knows or self.process.is_dead:
            return False
        if self._engine_machine_forgot:
            # A machine that started anew answers what it does not know with a reset.
            if self.network.engine.is_machine_up and not self.state.silent:
                self._tell_lost("connection reset by the engine's machine")
            return True
        if isinstance(item, bytes):
            if self.network.springs(Point.BEFORE_LEAVING, self) and (self._up.is_shut or self.process.is_dead):
                return False
            self.network.trace.note("request", str(self), item)
        self._up.put(item, in_order=in_order)
        if isinstance(item, bytes):
            self.network.springs(Point.TO_ENGINE, self)
        return True

    def send_to_client(self, item: Item) -> None:
        """From the engine."""
        if self._down.is_shut:
            return
        if isinstance(item, bytes) and self.network.springs(Point.REPLY_LEAVES, self) and self._down.is_shut:
            return
        self._down.put(item)
        if isinstance(item, bytes):
            self.network.springs(Point.TO_CLIENT, self)

    def _at_engine(self, item: Item) -> None:
        if item is Mark.CLOSED:
            self._forget()
            self.network.engine.gone(self)
        else:
            self.network.engine.arrived(self, item)

    def _at_client(self, item: Item) -> None:
        if item is Mark.CLOSED:
            self._tell_lost("the engine closed the connection")
        elif not self._client_knows:
            if isinstance(item, bytes):
                self.network.trace.note("answer", str(self), item)
            self._in_client(self._end.arrived, item)

    # ---- ends ----

    def close(self) -> None:
        """The client closes it, or its process died: what was sent still arrives, and then the end."""
        if not self._client_knows:
            self._client_knows = True
            self._down.shut()
            self._up.put(Mark.CLOSED)
            if self.engine_number is None:
                self._forget()

    def engine_died(self, *, silently: bool) -> None:
        """The engine's process is gone: what it sent still arrives. Its machine says so, or is gone too."""
        self.engine_number = None
        self._up.shut()
        if silently:
            self._up.is_shut = False  # the client cannot know: it goes on sending
            self._engine_machine_forgot = True
        else:
            self._down.put(Mark.CLOSED)

    def close_by_engine(self) -> None:
        """The engine closes it, after what it sent."""
        self.engine_number = None
        self._down.put(Mark.CLOSED)

    def reset(self, reason: str) -> None:
        """The network breaks it: what is under way is lost, and both ends learn of it."""
        self._up.shut()
        self._down.shut()
        delay_ns = self.state.latency_ns(self._chance)
        if not self._client_knows:
            self._loop.at_ns(self._loop.clock.now_ns + delay_ns // 2, self._tell_lost, reason)
        self._loop.at_ns(self._loop.clock.now_ns + delay_ns, self.network.engine.gone, self)
        self._forget()

    def release(self) -> None:
        """The path speaks again."""
        self._up.release()
        self._down.release()

    def _tell_lost(self, reason: str) -> None:
        if not self._client_knows:
            self._client_knows = True
            self._up.shut()
            self._down.shut()
            self._forget()
            self.network.trace.note("lost", f"{self} {reason}")
            self._in_client(self._end.lost, reason)

    def _forget(self) -> None:
        self.state.connections.pop(self.number, None)

    def _in_client(self, tell: Callable[..., None], *args: object) -> None:
        if not self.process.is_dead:
            self.process.context.run(tell, *args)


class Network:
    """Both paths, and what is the matter with them."""

    def __init__(self, loop: VirtualLoop, trace: Trace, seed: str, engine: EngineEnd) -> None:
        self.loop = loop
        self.trace = trace
        self.seed = seed
        self.engine = engine
        self.paths: dict[Path, PathState] = {"zmq": PathState("zmq"), "grpc": PathState("grpc")}
        self.traps: list[Trap] = []
        self.on_trap: Callable[[Trap, Connection], None] = lambda _trap, _connection: None
        self._connections = 0

    def connect(self, path: Path, process: Process, end: ClientEnd, *, session_id: str, round_trips: int) -> Connection:
        """A client begins a connection."""
        self._connections += 1
        state = self.paths[path]
        connection = Connection(self, state, self._connections, process, end)
        connection.session_id = session_id
        state.connections[connection.number] = connection
        connection.begin(round_trips)
        return connection

    def springs(self, point: Point, connection: Connection) -> bool:
        """Whether a trap strikes as a message passes this point."""
        for trap in self.traps:
            if trap.point is point and trap.path == connection.path:
                trap.countdown -= 1
                if trap.countdown <= 0:
                    self.traps.remove(trap)
                    self.trace.note(f"trap_{trap.effect.value}", f"{point.value} {connection}")
                    self.trace.count(f"cut_{point.value}_{connection.path}")
                    self.on_trap(trap, connection)
                    return True
        return False

    def all_connections(self) -> list[Connection]:
        """Of both paths, in the order they were made."""
        found = [each for state in self.paths.values() for each in state.connections.values()]
        return sorted(found, key=lambda each: each.number)

    def cut(self, path: Path, reason: str = "connection reset by peer") -> None:
        """Every connection of the path is reset."""
        for connection in list(self.paths[path].connections.values()):
            connection.reset(reason)

    def silence(self, path: Path, ways: set[Way]) -> None:
        """Nothing gets through in these directions, and nobody is told."""
        self.paths[path].silent |= ways

    def heal(self, path: Path) -> None:
        """The path is as it should be; what was held comes now."""
        state = self.paths[path]
        state.silent.clear()
        state.refusing = False
        state.extra_ns = 0
        for connection in list(state.connections.values()):
            connection.release()
