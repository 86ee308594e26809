"""The engine alone in a storm: random orders, queries, connections, faults of disk and venue; no client between.

What is told is compared as it comes, and all of it with the journal and the exchange at the end. The whole bridge, with
the true client, is run by `world.py`; this finds what breaks in the engine by itself, some ten seeds a second.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any, Literal

from tests.simulation import _native_sim as native
from tests.simulation.native_desk import CODEC, MS, START_NS, limit_order
from transport import Order, OrderReply, OrderUpdate, UpdateGap
from transport.contract.codes import ReasonCode
from transport.contract.replies import ExecuteReply, GetOrderReply
from transport.contract.requests import CancelOrder, GetOrder, HealthCheck, SetCancelOnDisconnect, SubscribeOrderUpdates
from transport.wire.messages import Hello

GRACE_MS = 40


class Storm:
    """One run; a function of its seed."""

    def __init__(self, seed: int, bugs: Collection[str] = ()) -> None:
        self.chance = random.Random(seed)
        self.bugs = bugs
        self.now_ns = START_NS
        self.monotonic_ns = 0
        self.disk = native.Disk(seed)
        refused_share = self.chance.choice([0.0, 0.0, 0.1])
        self.venue = native.Venue(seed, refused_share=refused_share) if self.chance.random() < 0.5 else None
        self.durability: Literal["always", "os"] = self.chance.choice(["always", "always", "os"])
        self.segment_bytes = self.chance.choice([8_192, 16_384, 262_144])
        self.update_history = self.chance.choice([20, 100_000])
        self.correlation = 0
        self.orders: dict[str, Order] = {}
        self.replies: dict[str, OrderReply] = {}
        """As they were told, by order id: they never change."""
        self.fenced: set[str] = set()
        self.fencing: dict[int, str] = {}
        self.last_update = 0
        self.leases_expired = 0
        self.is_linked = False
        self.to_venue: list[bytes] = []
        self.to_engine: list[bytes] = []
        self.late: list[bytes] = []
        """For the venue, of connections that are gone."""
        self.start()

    # ---- the process ----

    def start(self) -> None:
        """Starts the engine, again where it dies starting."""
        while True:
            try:
                self.engine = native.Engine(
                    self.disk,
                    now_ns=self.now_ns,
                    durability=self.durability,
                    venue=self.venue,
                    ack_timeout_ms=50,
                    segment_bytes=self.segment_bytes,
                    update_history=self.update_history,
                    bugs=self.bugs,
                )
                break
            except native.EngineDied:
                self.disk = self.disk.kill()
        self.connections: list[int] = []
        self.alone_since_ns = self.monotonic_ns
        self.subscriber: int | None = None
        self.sync_is_out = False
        self.fencing.clear()
        self.cut_venue()
        if self.chance.random() < 0.3:
            self.disk.die_after(self.chance.randrange(60))

    def die(self) -> None:
        """The process dies, or the machine where the durability allows for it; and the engine starts again."""
        is_machine = self.durability == "always" and self.chance.random() < 0.5
        self.disk = self.disk.crash() if is_machine else self.disk.kill()
        self.disk.set_capacity(None)
        self.start()

    # ---- what can happen ----

    def blow(self, steps: int) -> None:
        """So many things happen."""
        happenings: list[tuple[Callable[[], None], float]] = [
            (self.order, 35), (self.cancel, 5), (self.fence, 3), (self.subscribe, 3), (self.disconnect, 2),
            (self.end_turn, 14), (self.end_sync, 10), (self.wait, 3), (self.die, 2), (self.spoil_disk, 5),
            (self.talk_to_venue, 17), (self.take_lease, 1), (self.lose_all_connections, 1),
        ]  # fmt: skip
        acts, weights = zip(*happenings, strict=True)
        for act in self.chance.choices(acts, weights, k=steps):
            passed_ns = self.chance.choice([1_000, 100_000, MS, 20 * MS])
            self.now_ns += passed_ns
            self.monotonic_ns += passed_ns
            if self.chance.random() < 0.01:
                self.now_ns += self.chance.choice([-3_600_000, 3_600_000]) * MS
            try:
                act()
                self.look_at_leases()
                if self.engine.failed is not None:
                    self.die()
            except native.EngineDied:
                self.die()

    def tell(self, connection: int, request: Any) -> int:
        self.correlation += 1
        named = self.engine.journal_id
        if isinstance(request, Order):
            message = CODEC.encode_execute_order(self.correlation, named, request)
        else:
            message = CODEC.encode_request(self.correlation, named, request)
        self.engine.receive(connection, message, self.now_ns)
        return self.correlation

    def connection(self) -> int:
        """One of those there are, or one more."""
        if len(self.connections) < 3 or self.chance.random() < 0.05:
            path: Literal["zmq", "grpc"] = self.chance.choice(["zmq", "grpc"])
            opened = self.engine.connect(path, "storm", self.now_ns)
            self.tell(opened, Hello(session_id="storm") if path == "zmq" else HealthCheck())
            self.connections.append(opened)
        return self.chance.choice(self.connections)

    def order_id(self) -> str:
        """One that was used, or a new one."""
        if not self.orders or self.chance.random() < 0.6:
            order_id = f"order-{len(self.orders)}"
            price, quantity = self.chance.choice(["2207.55", "2000", "2300"]), str(self.chance.randrange(1, 5))
            pad = "x" * self.chance.randrange(250)
            self.orders[order_id] = limit_order(order_id, price=price, quantity=quantity, metadata={"pad": pad})
        return self.chance.choice([*self.orders][-20:])

    def order(self) -> None:
        self.tell(self.connection(), self.orders[self.order_id()])

    def cancel(self) -> None:
        command_id = f"cancel-{self.chance.randrange(1 << 40)}"
        self.tell(self.connection(), CancelOrder(order_id=self.order_id(), command_id=command_id))

    def fence(self) -> None:
        order_id = self.order_id()
        self.fencing[self.tell(self.connection(), GetOrder(order_id=order_id, fence=True))] = order_id

    def subscribe(self) -> None:
        if self.subscriber is None:
            self.subscriber = self.connection()
            self.tell(self.subscriber, SubscribeOrderUpdates(resume_from=self.last_update, accept_gaps=True))

    def disconnect(self) -> None:
        if self.connections:
            gone = self.connections.pop(self.chance.randrange(len(self.connections)))
            self.engine.disconnect(gone, self.now_ns)
            self.alone_since_ns = self.monotonic_ns
            if gone == self.subscriber:
                self.subscriber = None

    def take_lease(self) -> None:
        command_id = f"lease-{self.chance.randrange(1 << 40)}"
        self.tell(self.connection(), SetCancelOnDisconnect(grace_ms=GRACE_MS, command_id=command_id))

    def lose_all_connections(self) -> None:
        while self.connections:
            self.disconnect()
        self.now_ns += 2 * GRACE_MS * MS
        self.monotonic_ns += 2 * GRACE_MS * MS

    def look_at_leases(self) -> None:
        """A lease expires for who had no connection for its whole grace, on either path, and for nobody else."""
        deadline_ns = self.engine.next_lease_deadline_ns(self.monotonic_ns)
        if deadline_ns is not None and deadline_ns <= self.monotonic_ns:
            assert not self.connections, "a lease expires though its session is connected"
            alone_ms = (self.monotonic_ns - self.alone_since_ns) // MS
            assert alone_ms >= GRACE_MS, f"a lease expires after {alone_ms} ms"
            self.engine.expire_leases(self.monotonic_ns, self.now_ns)
            self.leases_expired += 1

    def end_turn(self) -> None:
        self.sync_is_out |= self.engine.end_turn(self.now_ns)
        self.listen()

    def end_sync(self) -> None:
        if self.sync_is_out:
            self.sync_is_out = self.engine.sync_done(self.now_ns)
            self.listen()

    def wait(self) -> None:
        deadline_ns = self.engine.next_deadline_ns()
        if deadline_ns is not None:
            self.now_ns = max(self.now_ns, deadline_ns)
            self.engine.on_time(self.now_ns)

    def spoil_disk(self) -> None:
        fault = self.chance.randrange(6)
        nth = self.chance.randrange(1, 4)
        match fault:
            case 0:
                self.disk.fail_sync(nth)
            case 1:
                self.disk.fail_write(nth)
            case 2:
                self.disk.set_capacity(self.disk.used_bytes)
            case 3:
                self.disk.die_after(self.chance.randrange(20))
            case _:
                self.disk.set_capacity(None)

    # ---- the venue ----

    def cut_venue(self) -> None:
        """The connection is gone: what is under way to the engine is lost, what is under way to the venue may come."""
        if self.venue is not None:
            self.venue.disconnected()
        self.late += self.to_venue
        self.to_venue.clear()
        self.to_engine.clear()
        self.is_linked = False

    def talk_to_venue(self) -> None:
        if self.venue is None:
            return
        if not self.is_linked:
            self.engine.venue_connected(self.now_ns)
            self.is_linked = True
        elif self.chance.random() < 0.1:
            self.engine.venue_disconnected()
            self.cut_venue()
            return
        self.to_venue += self.engine.venue_out()
        for _ in range(self.chance.randrange(4)):
            if self.to_venue:
                self.venue.receive(self.to_venue.pop(0))
        if self.late and self.chance.random() < 0.3:
            self.venue.receive(self.late.pop(0))
        self.to_engine += self.venue.take_out()
        for _ in range(self.chance.randrange(4)):
            if self.to_engine and not self.engine.venue_in(self.to_engine.pop(0), self.now_ns):
                self.cut_venue()

    # ---- what is told ----

    def listen(self) -> None:
        for connection, message in self.engine.take_outputs():
            if message is None:
                self.connections.remove(connection)
                self.alone_since_ns = self.monotonic_ns
            else:
                self.hear(*CODEC.decode(message))

    def hear(self, correlation: int, said: Any) -> None:
        match said:
            case ExecuteReply(reply=reply):
                told = self.replies.setdefault(reply.order_id, reply)
                assert told == reply, f"the stored reply changed: {told} {reply}"
                if reply.order_id in self.fenced:
                    assert reply.code == ReasonCode.FENCED, f"fenced, and then {reply}"
            case GetOrderReply(fenced=True) if correlation in self.fencing:
                order_id = self.fencing[correlation]
                told = self.replies.get(order_id)
                assert told is None or told.code == ReasonCode.FENCED, f"answered, and then fenced: {told}"
                self.fenced.add(order_id)
            case OrderUpdate(snapshot=False, sequence=sequence):
                assert sequence == self.last_update + 1, f"update {sequence} after {self.last_update}"
                self.last_update = sequence
            case UpdateGap(first_sequence=first, last_sequence=last):
                assert first == self.last_update + 1, f"a gap from {first} after {self.last_update}"
                self.last_update = last
            case _:
                pass

    # ---- the end ----

    def settle(self) -> None:
        """The weather clears: every order is sent once more, and engine and venue come to an end."""
        self.disk = self.disk.kill()
        self.disk.set_capacity(None)
        self.start()
        self.disk.die_after(1 << 40)
        if self.venue is not None:
            self.engine.venue_connected(self.now_ns)
        for order in self.orders.values():
            self.tell(self.connection(), order)
        self.subscriber = None
        self.subscribe()
        for _ in range(30):
            self.now_ns += 100 * MS
            self.end_turn()
            while self.sync_is_out:
                self.end_sync()
            self.wait()
            if self.venue is not None:
                for message in [*self.engine.venue_out(), *self.late]:
                    self.venue.receive(message)
                self.late.clear()
                assert all(self.engine.venue_in(message, self.now_ns) for message in self.venue.take_out())

    def compare(self) -> None:
        """What was told, what the journal holds, and what the exchange did are one thing."""
        assert self.replies.keys() == self.orders.keys()
        done = self.venue.executions() if self.venue is not None else native.exchange_executions(self.disk)
        executed: defaultdict[str, Decimal] = defaultdict(Decimal)
        for execution in done:
            executed[execution.order_id] += Decimal(execution.quantity)
        believed = self.believed()
        for order_id, order in self.orders.items():
            quantity = executed[order_id]
            assert quantity <= order.quantity, f"{order_id} executed {quantity}"
            assert not (quantity and order_id in self.fenced), f"{order_id} executed though it was fenced"
            assert quantity == believed[order_id], f"{order_id}: {quantity} done, {believed[order_id]} known"
        assert self.last_update == self.engine.last_sequence()
        native.verify(self.disk)

    def believed(self) -> defaultdict[str, Decimal]:
        """What the engine knows of each order's executions."""
        asked = self.engine.connect("grpc", "", self.now_ns)
        for order_id in self.orders:
            self.tell(asked, GetOrder(order_id=order_id))
        self.engine.end_turn(self.now_ns)
        said = [CODEC.decode(message)[1] for to, message in self.engine.take_outputs() if to == asked and message]
        orders = [answer.order for answer in said if isinstance(answer, GetOrderReply) and answer.order is not None]
        return defaultdict(Decimal, {order.order_id: order.executed_quantity for order in orders})


def run(seed: int, bugs: Collection[str] = ()) -> Storm:
    """One storm from its beginning to the comparison at its end; AssertionError where a promise was broken."""
    storm = Storm(seed, bugs)
    storm.blow(storm.chance.randrange(100, 400))
    storm.settle()
    storm.compare()
    return storm
