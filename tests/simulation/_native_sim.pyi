"""The true engine for the simulator (`engine/crates/simulator`): sequencer, core, exchange, journal and wire codec of
the product, around them a shell that does what the reactor and the gRPC service do, without sockets, threads or clocks.

Nothing here waits, reads a clock or draws chance of its own: the same calls in the same order give the same bytes.
Times named `now_ns` are engine time, UTC nanoseconds; they may jump either way (the engine never goes back by itself).
Built by `make simulator` into this folder; no part of any package.

The life of a message: `receive` (decoded, checked, executed), `end_turn` (the turn's records are written), `sync_done`
(they are durable), `take_outputs` (what may leave has left). Whatever the engine is doing, a disk operation may be its
last (`Disk.die_after`): then `EngineDied` is raised by that call and by every later one, and outputs that were not
taken are gone, as they are with a process.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, TypedDict

BUGS: Mapping[str, str]
"""Bugs that can be planted (`Engine(bugs=...)`), and what each breaks. They live in the shell around the product's
crates, which have none of them: the simulator must find each."""

class EngineDied(Exception):  # noqa: N818 (it is no error of anybody's: it is what the schedule asked for)
    """The engine's process has ended, here and now. Make a new `Engine` on `Disk.kill()` or `Disk.crash()`."""

class OpenError(Exception):
    """The journal cannot be opened: what `execution-engine` would say and end with. Never after faults that the
    design survives: whoever sees it has found a bug, unless the disk is full or fails."""

class Execution:
    """One execution of one order (or leg), as the exchange did it. Two orders that trade have one each."""

    order_id: str
    """The client's id; of a leg with its `·SL` or `·TP`."""
    execution_id: int
    """The trade's number at the exchange."""
    side: Literal["BUY", "SELL"]
    quantity: str
    """Decimal text."""
    price: str

class OpenOrder:
    """An order (or leg) that works at the exchange."""

    order_id: str
    side: Literal["BUY", "SELL"]
    quantity: str
    """The total, what is executed included."""
    executed: str
    price: str | None
    """Limit or trigger; None: at market."""

class Recovered(TypedDict):
    """What opening the journal found."""

    records: int
    cut_bytes: int
    """Of a torn tail."""
    last_seq: int
    """Last record that was there; 0: a new journal."""
    snapshot_seq: int
    """The record of the snapshot that it went on from; 0: from the first record."""
    unusable_snapshots: list[str]
    """Why newer ones could not be used."""

class Made(TypedDict):
    """What came of a snapshot."""

    seq: int
    """The last record in it."""
    archived_segments: int
    problem: str | None
    """Why there is none; the engine goes on."""

class Health(TypedDict):
    """As a health reply says it."""

    status: Literal["SERVING", "DEGRADED", "NOT_SERVING"]
    message: str
    journal_id: str
    epoch: int
    journal_seq: int
    """Last durable record."""
    state_hash: str
    durability: Literal["always", "os"]
    duplicates: int
    counters: dict[str, int]

class Verified(TypedDict):
    """What `verify` found."""

    journal_id: str
    records: int
    first_seq: int
    last_seq: int
    cut_bytes: int
    state_hash: str

class Disk:
    """A machine's disk: what a process wrote is in the cache, what was synced is on the platter. Full, torn, lost and
    failing as the seed says; all chance of the journal (its id too) comes from the seed."""

    def __init__(self, seed: int) -> None: ...
    def kill(self) -> Disk:
        """The disk as the next process finds it when this one died now: the cache survives. Faults that were asked for
        are forgotten (the capacity stays). This object is as it was: who still writes to it writes into the void."""

    def crash(self) -> Disk:
        """The disk as the next process finds it when the machine lost its power now: of what was not synced, each
        sector is there or not, one may be torn, and names come or go, all by the seed."""

    def set_capacity(self, most_bytes: int | None) -> None:
        """From now on the disk holds so many bytes at most; None: no limit. See `used_bytes`."""

    def fail_sync(self, nth: int) -> None:
        """The `nth` sync from now fails (1: the next); what it should have written counts as clean, as in Linux."""

    def fail_write(self, nth: int) -> None:
        """The `nth` write from now fails with some of its bytes written."""

    def die_after(self, operations: int) -> None:
        """Lets the engine live for so many more operations that change the disk (0: none) and die in the next: that
        one happens in part, wholly or not at all, by the seed. Nothing reaches the disk afterwards."""

    @property
    def is_dead(self) -> bool:
        """Whether `die_after` has struck."""

    @property
    def operations(self) -> int:
        """Operations that changed the disk, or tried to, since this object was made."""

    @property
    def used_bytes(self) -> int:
        """What the files take, preallocated space included."""

    def fingerprint(self) -> str:
        """Hash of names and contents as a process reads them: equal for equal runs."""

class Venue:
    """An external exchange in a process of its own: it survives the engine's. It does what it is told each time it is
    told, so that a command which is sent twice is executed twice, and answers truthfully what became of an order.

    Messages between it and the engine belong to one connection: they arrive in order, and one that is lost takes its
    connection with it. Messages of a former connection may still arrive at the venue (they were in its buffer);
    those to the engine are ignored there.
    """

    def __init__(
        self,
        seed: int,
        *,
        instruments: Sequence[tuple[str, str, str, str, str, str]] | None = None,
        refused_share: float = 0.0,
    ) -> None:
        """`instruments`: as given to the engine. `refused_share`: so many new orders are refused, by the seed."""

    def receive(self, message: bytes) -> None:
        """One message of `Engine.venue_out`; carried out at once."""

    def take_out(self) -> list[bytes]:
        """Messages for `Engine.venue_in` that the present connection has not been given yet, in order. Empty without a
        connection: reports are kept, and repeated as far as the engine asks when it says hello."""

    def disconnected(self) -> None:
        """The connection is gone: nothing is given out until the next hello."""

    def quote(self, symbol: str, bid: tuple[str, str] | None, ask: tuple[str, str] | None) -> None:
        """The market moves: (price, size) of both sides; resting orders may trade, and reports follow."""

    def executions(self) -> list[Execution]:
        """All it has done, in order."""

    def open_orders(self) -> list[OpenOrder]:
        """What works there now, by order id."""

    def received(self) -> list[tuple[str, str]]:
        """All commands that arrived, in order: ("new" | "cancel" | "replace" | "ask", order id)."""

class Engine:
    """One process of the engine."""

    def __init__(
        self,
        disk: Disk,
        *,
        now_ns: int,
        durability: Literal["always", "os"] = "always",
        venue: Venue | None = None,
        ack_timeout_ms: int = 1_000,
        instruments: Sequence[tuple[str, str, str, str, str, str]] | None = None,
        segment_bytes: int = 262_144,
        update_history: int = 100_000,
        max_skew_ms: int = 10_000,
        retention_ms: int = 604_800_000,
        quote_retention_ms: int = 600_000,
        foreign_id_quota: int = 1_000_000,
        max_remembered_ids: int = 5_000_000,
        max_batch_orders: int = 1_000,
        max_in_flight: int = 1_024,
        max_parked_outputs: int = 200_000,
        max_waiting_calls: int = 100_000,
        max_subscriptions: int = 16,
        update_backlog: int = 16_384,
        output_high_water_bytes: int = 1_048_576,
        max_output_bytes: int = 33_554_432,
        risk: Mapping[str, str | int] | None = None,
        bugs: Collection[str] = frozenset(),
    ) -> None:
        """Opens the journal and recovers: raises `EngineDied` or `OpenError`.

        `venue` None: the embedded exchange; else orders go out by `venue_out`. `instruments`: (symbol, tick, quantity
        step, bid, ask, size of both), the product's default where None. `risk`: limits of every account, by names of
        `RiskLimits` (decimals as text). Everything else is the setting of that name.
        `bugs`: names of `BUGS`; they belong to this process, and a restart that should have them names them again.
        """

    @property
    def journal_id(self) -> str: ...
    @property
    def epoch(self) -> int: ...
    @property
    def recovered(self) -> Recovered: ...
    @property
    def failed(self) -> str | None:
        """Why the journal failed, once it has: nothing is acknowledged any more."""

    @property
    def last_seq(self) -> int:
        """The last record, durable or not."""

    def last_sequence(self, account: str = "default") -> int:
        """The account's last update that is durable."""

    # ---- connections ----

    def connect(self, path: Literal["zmq", "grpc"], session_id: str, now_ns: int) -> int:
        """A connection; its number, never used twice by one engine.

        "zmq": the first message must be Hello, which names the session (`session_id` here is not looked at).
        "grpc": there is no Hello; `session_id` is the calls' `x-session-id`, an envelope's `journal_id` their
        `x-journal-id` (empty: not named, and taken). Each request is a call: a Refusal stands for its status with
        `x-reason`; a SubscribeReply for the headers of its stream, SubscriptionEnded for the stream's last status.
        The headers `x-journal-id` and `x-epoch` of every response are `journal_id` and `epoch`.
        """

    def disconnect(self, connection: int, now_ns: int) -> None:
        """It is gone: what was not taken is lost, what it asked for is executed all the same."""

    def receive(self, connection: int, message: bytes, now_ns: int) -> None:
        """One message of a client: an envelope, or whatever it is. After `disconnect` it is ignored."""

    def set_reading(self, connection: int, reading: bool) -> None:
        """Whether the client reads. What it does not read stays in the engine's output (`take_outputs` leaves it out)
        and makes it a slow consumer in the end; its requests are not read either while too much waits."""

    def take_outputs(self) -> list[tuple[int, bytes | None]]:
        """What has left, in order: (connection, message), or None for the message: the engine closes the connection
        after what came before."""

    # ---- a turn ----

    def end_turn(self, now_ns: int) -> bool:
        """Writes what was received since the last turn, with one write, and lets go what may leave. True: a sync began;
        call `sync_done` when it is over. While one is out, later turns give False: the next begins with its end."""

    def sync_done(self, now_ns: int) -> bool:
        """The sync that is out has ended (well or not: the disk decides); lets go what depended on it. True: another
        began at once, for what was written meanwhile."""

    def next_deadline_ns(self) -> int | None:
        """When `on_time` is due."""

    def on_time(self, now_ns: int) -> None:
        """Timers of the engine; a turn must be ended after it."""

    # ---- cancel on disconnect ----

    def next_lease_deadline_ns(self, monotonic_ns: int) -> int | None:
        """When `expire_leases` is due, on the clock of `monotonic_ns`: one that does not jump, from any beginning. Ask
        after each connection that came or went, and after each turn: graces begin with the look that finds them."""

    def expire_leases(self, monotonic_ns: int, now_ns: int) -> None:
        """Cancels the orders of sessions whose grace is over; a turn must be ended after it. A session is connected
        while any connection of it stands, on either path: of "zmq" from its Hello on, of "grpc" from its first call."""

    # ---- snapshots ----

    def begin_snapshot(self) -> bool:
        """Begins a snapshot of what is in closed segments, on a thread that goes only as far as `step_snapshot` lets
        it. False: one is being made, or there is nothing new to put in."""

    def step_snapshot(self) -> Made | None:
        """One disk operation of it further. None: there is more to do."""

    # ---- the link to an external venue ----

    def venue_connected(self, now_ns: int) -> None:
        """A new connection to the venue stands: the engine says hello and asks for what it has heard nothing of."""

    def venue_disconnected(self) -> None:
        """It is gone: what `venue_out` did not give yet is dropped, and never sent."""

    def venue_out(self) -> list[bytes]:
        """Messages for `Venue.receive`, in order."""

    def venue_in(self, message: bytes, now_ns: int) -> bool:
        """One message of `Venue.take_out`. False: it could not be journaled (the disk is full), and the connection is
        to be cut: the venue repeats it on the next one."""

    # ---- its end ----

    def begin_drain(self, now_ns: int) -> None:
        """SIGTERM: GoingAway to all, and new requests are refused with SHUTTING_DOWN. End the turns as always."""

    def close(self, now_ns: int) -> None:
        """The end in order: everything is synced and marked as closed. `take_outputs` gives what that released and ends
        all connections; nothing else may be called."""

    def health(self, now_ns: int) -> Health: ...

def dump(disk: Disk) -> list[dict[str, Any]]:
    """The records as `execution-engine dump` shows them, archive included, of a disk whose engine may be alive."""

def verify(disk: Disk) -> Verified:
    """Executes journal and archive again and compares; raises ValueError where it differs or cannot be read."""

def exchange_executions(disk: Disk) -> list[Execution]:
    """What the embedded exchange of this journal has done, read from the exchange's own events."""
