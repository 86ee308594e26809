"""One engine of `_native_sim` with somebody who talks to it: for tests of the module itself, without a world around."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from tests.simulation import _native_sim as native
from transport import Order, OrderSide, OrderType
from transport.contract.requests import GetOrder, SubscribeOrderUpdates
from transport.wire.messages import Hello
from transport.wire.portable import PortableCodec

CODEC = PortableCodec()
START_NS = 1_750_000_000_000_000_000
MS = 1_000_000


def limit_order(order_id: str, price: str = "2207.55", quantity: str = "1", **fields: Any) -> Order:
    """A buy of NASDAQ that executes at once against the opening quote, or rests below it."""
    return Order(
        order_id=order_id,
        symbol="NASDAQ",
        order_type=OrderType.LIMIT,
        side=OrderSide.BUY,
        quantity=Decimal(quantity),
        price=Decimal(price),
        **fields,
    )


@dataclass
class Desk:
    """An engine on a disk, and the time and numbers of those who talk to it."""

    disk: native.Disk
    bugs: Collection[str] = ()
    venue: native.Venue | None = None
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    now_ns: int = START_NS
    correlation: int = 0
    heard: list[tuple[int, int, Any]] = field(default_factory=list[tuple[int, int, Any]])
    """Connection, correlation, body (None: the connection was closed) of all that came and was not taken."""
    sync_is_out: bool = False

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Starts the engine on the disk."""
        self.sync_is_out = False
        self.engine = native.Engine(self.disk, now_ns=self.now_ns, venue=self.venue, bugs=self.bugs, **self.settings)

    def restart(self, how: Literal["kill", "crash"]) -> None:
        """The process or the machine dies here, and the engine starts again."""
        self.disk = self.disk.kill() if how == "kill" else self.disk.crash()
        self.heard.clear()
        self.start()

    def connect(self, path: Literal["zmq", "grpc"] = "zmq", **hello: Any) -> int:
        """A connection that may ask; of the fast path its Welcome was taken."""
        connection = self.engine.connect(path, "desk", self.now_ns)
        if path == "zmq":
            self.ask(connection, Hello(session_id="desk", **hello))
        return connection

    def tell(self, connection: int, request: Any, journal_id: str | None = None) -> int:
        """Sends a request and does not wait; its correlation number."""
        self.correlation += 1
        named = self.engine.journal_id if journal_id is None else journal_id
        if isinstance(request, Order):
            message = CODEC.encode_execute_order(self.correlation, named, request)
        elif isinstance(request, list):
            message = CODEC.encode_execute_batch(self.correlation, named, request)
        else:
            message = CODEC.encode_request(self.correlation, named, request)
        self.now_ns += MS
        self.engine.receive(connection, message, self.now_ns)
        return self.correlation

    def turn(self) -> None:
        """Ends a turn without waiting for the disk, and listens."""
        self.sync_is_out |= self.engine.end_turn(self.now_ns)
        self.listen()

    def settle(self) -> None:
        """Ends turns until nothing waits for the disk or for the venue."""
        while True:
            self.turn()
            while self.sync_is_out:
                self.now_ns += MS
                self.sync_is_out = self.engine.sync_done(self.now_ns)
            self.listen()
            if not self.exchange_with_venue():
                return

    def exchange_with_venue(self) -> bool:
        """Carries what engine and venue have for one another; whether there was anything."""
        if self.venue is None:
            return False
        to_venue = self.engine.venue_out()
        for message in to_venue:
            self.venue.receive(message)
        to_engine = self.venue.take_out()
        for message in to_engine:
            assert self.engine.venue_in(message, self.now_ns)
        return bool(to_venue or to_engine)

    def snapshot(self) -> native.Made:
        """Makes a snapshot, from its beginning to its end; orders come until there is something to put in."""
        connection = self.connect()
        while not self.engine.begin_snapshot():
            self.ask(connection, limit_order(f"for-a-snapshot-{self.correlation}"))
        while (made := self.engine.step_snapshot()) is None:
            pass
        return made

    def let_leases_expire(self, after_ms: int) -> None:
        """Looks at the leases now and after so long."""
        self.engine.next_lease_deadline_ns(self.now_ns)
        self.now_ns += after_ms * MS
        self.engine.expire_leases(self.now_ns, self.now_ns)
        self.settle()

    def listen(self) -> None:
        """Reads what has left."""
        for connection, message in self.engine.take_outputs():
            correlation, body = (0, None) if message is None else CODEC.decode(message)
            self.heard.append((connection, correlation, body))

    def take(self, correlation: int) -> list[Any]:
        """What came under a number, taken."""
        taken = [body for _, number, body in self.heard if number == correlation]
        self.heard = [heard for heard in self.heard if heard[1] != correlation]
        return taken

    def ask(self, connection: int, request: Any, journal_id: str | None = None) -> Any:
        """Sends a request, settles, and gives the one reply."""
        correlation = self.tell(connection, request, journal_id)
        self.settle()
        (reply,) = self.take(correlation)
        return reply

    def subscribe(self, connection: int, resume_from: int | None = None, *, accept_gaps: bool = True) -> int:
        """Subscribes to updates; the subscription's number. Its reply is left among what was heard."""
        return self.tell(connection, SubscribeOrderUpdates(resume_from=resume_from, accept_gaps=accept_gaps))

    def get(self, connection: int, order_id: str, *, fence: bool = False) -> Any:
        """Asks for an order."""
        return self.ask(connection, GetOrder(order_id=order_id, fence=fence))

    def executed(self, order_id: str) -> int:
        """How often the exchange has executed something of this order."""
        done = self.venue.executions() if self.venue else native.exchange_executions(self.disk)
        return sum(execution.order_id == order_id for execution in done)
