"""A schedule: everything that a run does and suffers, as plain data. A run is a pure function of it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path as FilePath
from typing import Literal

import msgspec

from transport.contract.replies import Path

Durability = Literal["always", "os"]
VenueKind = Literal["embedded", "external"]


class Point(Enum):
    """Where a call can be cut."""

    BEFORE_LEAVING = "before_leaving"
    """The client has not handed the request over."""
    TO_ENGINE = "to_engine"
    """The request is on its way."""
    TAKEN = "taken"
    """The engine has taken it; nothing is durable yet."""
    REPLY_LEAVES = "reply_leaves"
    """The reply may go; it does not."""
    TO_CLIENT = "to_client"
    """The reply is on its way."""


class Effect(Enum):
    """What a trap does."""

    RESET = "reset"
    SILENCE = "silence"
    KILL_ENGINE = "kill_engine"
    CRASH_MACHINE = "crash_machine"
    KILL_CLIENT = "kill_client"


class _Action(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", omit_defaults=True):
    at_ms: float


class OrderPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One order. `number` names it in the schedule; its id is made from it and the run's clock. Numbers as text."""

    number: int
    symbol: str
    order_type: str
    side: str
    quantity: str
    price: str | None = None
    stop_loss: str | None = None
    take_profit: str | None = None
    time_in_force: str | None = None
    expires_in_ms: float | None = None


# ---- what clients do ----


class Place(_Action, frozen=True, kw_only=True, tag="place"):
    """One order, by a call; `timeout_ms` None: the configuration's."""

    order: OrderPlan
    client: int = 0
    timeout_ms: float | None = None


class PlaceBatch(_Action, frozen=True, kw_only=True, tag="batch"):
    """Orders in one message."""

    orders: tuple[OrderPlan, ...]
    client: int = 0


class PlaceStream(_Action, frozen=True, kw_only=True, tag="stream"):
    """Orders by `execute_batch_orders`."""

    orders: tuple[OrderPlan, ...]
    client: int = 0


class Enqueue(_Action, frozen=True, kw_only=True, tag="enqueue"):
    """One order into the client's queue (with its outbox, where the run has one)."""

    order: OrderPlan
    client: int = 0


class Resend(_Action, frozen=True, kw_only=True, tag="resend"):
    """An order that was placed before, once more under its id, by any client."""

    number: int
    client: int = 0


class Alter(_Action, frozen=True, kw_only=True, tag="alter"):
    """The id of an order that was placed before, with another quantity: must be rejected."""

    number: int
    quantity: str
    client: int = 0


class Cancel(_Action, frozen=True, kw_only=True, tag="cancel"):
    """Cancels an order by number; of one that was never placed, fences its id."""

    number: int
    client: int = 0


class Replace(_Action, frozen=True, kw_only=True, tag="replace"):
    """Changes an order, at the version that the client knows."""

    number: int
    quantity: str | None = None
    price: str | None = None
    client: int = 0


class CancelAll(_Action, frozen=True, kw_only=True, tag="cancel_all"):
    """Cancels every open order of the account."""

    symbol: str = ""
    client: int = 0


class SetState(_Action, frozen=True, kw_only=True, tag="trading_state"):
    """ACTIVE, REDUCING or HALTED."""

    state: str
    cancel_open_orders: bool = False
    client: int = 0


class SetLimits(_Action, frozen=True, kw_only=True, tag="limits"):
    """What orders may be from now on, of one symbol or of all that have no limits of their own. Numbers as text."""

    symbol: str = ""
    max_order_quantity: str | None = None
    max_order_notional: str | None = None
    price_collar: str | None = None
    max_open_orders: int | None = None
    max_position: str | None = None
    orders_per_second: int | None = None
    order_burst: int | None = None
    client: int = 0


class SetLease(_Action, frozen=True, kw_only=True, tag="lease"):
    """Cancel on disconnect for the client's present session; without a grace, no more."""

    grace_ms: int | None = None
    client: int = 0


class Query(_Action, frozen=True, kw_only=True, tag="query"):
    """Asks for an order; with `fence`, an unknown one never executes."""

    number: int
    fence: bool = False
    client: int = 0


class Quotes(_Action, frozen=True, kw_only=True, tag="quote"):
    """The market moves: (price, size) of both sides. Embedded: a client publishes it; external: the venue's own."""

    symbol: str
    bid: tuple[str, str] | None
    ask: tuple[str, str] | None
    client: int = 0


class Prefer(_Action, frozen=True, kw_only=True, tag="prefer"):
    """The client's choice of path, at run time."""

    path: Path
    client: int = 0


# ---- what the network does ----


class CutPath(_Action, frozen=True, kw_only=True, tag="cut"):
    """Every connection of the path is reset; new ones are refused for a while."""

    path: Path
    refused_ms: float = 0.0


class Silence(_Action, frozen=True, kw_only=True, tag="silence"):
    """Half open: these directions are dead and nobody is told."""

    path: Path
    to_engine: bool
    to_client: bool
    lasts_ms: float


class Delay(_Action, frozen=True, kw_only=True, tag="delay"):
    """Messages of the path take so much longer."""

    path: Path
    extra_ms: float
    lasts_ms: float


class SetTrap(_Action, frozen=True, kw_only=True, tag="trap"):
    """Strikes when the `nth` message from now passes a point."""

    path: Path
    point: Point
    nth: int
    effect: Effect
    lasts_ms: float = 50.0


# ---- what the engine's machine does ----


class KillEngine(_Action, frozen=True, kw_only=True, tag="kill_engine"):
    """SIGKILL; started anew after a while."""

    down_ms: float


class CrashMachine(_Action, frozen=True, kw_only=True, tag="crash_machine"):
    """The machine loses its power; started anew after a while."""

    down_ms: float


class DieAfter(_Action, frozen=True, kw_only=True, tag="die_after"):
    """The engine dies in the middle of a disk operation, so many operations from now."""

    operations: int
    machine: bool
    down_ms: float


class DrainEngine(_Action, frozen=True, kw_only=True, tag="drain_engine"):
    """SIGTERM: an end in order; started anew after a while."""

    drain_ms: float
    down_ms: float


class SlowDisk(_Action, frozen=True, kw_only=True, tag="slow_disk"):
    """Syncs take so long."""

    sync_ms: float
    lasts_ms: float


class FullDisk(_Action, frozen=True, kw_only=True, tag="full_disk"):
    """So much room is left, for a while."""

    room_bytes: int
    lasts_ms: float


class FailSync(_Action, frozen=True, kw_only=True, tag="fail_sync"):
    """The nth sync from now fails; the operator kills and starts the engine anew after a while."""

    nth: int
    down_ms: float


class FailWrite(_Action, frozen=True, kw_only=True, tag="fail_write"):
    """The nth write from now fails; the operator kills and starts the engine anew after a while."""

    nth: int
    down_ms: float


class TakeSnapshot(_Action, frozen=True, kw_only=True, tag="snapshot"):
    """The engine snapshots what is in closed segments, one disk operation each `operation_ms`, and goes on meanwhile.
    With `dies_in` it dies in that operation of it (0: the first), with its machine where `machine` says so."""

    operation_ms: float = 0.2
    dies_in: int | None = None
    machine: bool = False
    down_ms: float = 50.0


class EngineClock(_Action, frozen=True, kw_only=True, tag="engine_clock"):
    """The wall clock of the engine's machine jumps."""

    jump_ms: float


class CutVenue(_Action, frozen=True, kw_only=True, tag="cut_venue"):
    """The link to the external venue is cut, for a while."""

    lasts_ms: float


class SlowVenue(_Action, frozen=True, kw_only=True, tag="slow_venue"):
    """Messages of the link to the venue take so much longer."""

    extra_ms: float
    lasts_ms: float


# ---- what the clients' machine does ----


class KillClient(_Action, frozen=True, kw_only=True, tag="kill_client"):
    """SIGKILL of a client's process; started anew from its outbox, or from the list of ids that it had."""

    client: int
    down_ms: float


class ClientClock(_Action, frozen=True, kw_only=True, tag="client_clock"):
    """The wall clock of the clients' machine jumps."""

    jump_ms: float


Orders = Place | PlaceBatch | PlaceStream | Enqueue
Fault = (
    CutPath | Silence | Delay | SetTrap | KillEngine | CrashMachine | DieAfter | DrainEngine | SlowDisk | FullDisk
    | FailSync | FailWrite | EngineClock | CutVenue | SlowVenue | KillClient | ClientClock
)  # fmt: skip
Action = (
    Orders | Resend | Alter | Cancel | Replace | CancelAll | SetState | SetLimits | SetLease | Query | Quotes | Prefer
    | TakeSnapshot | Fault
)  # fmt: skip

FAULTS: tuple[type[_Action], ...] = (
    CutPath, Silence, Delay, SetTrap, KillEngine, CrashMachine, DieAfter, DrainEngine, SlowDisk, FullDisk,
    FailSync, FailWrite, EngineClock, CutVenue, SlowVenue, KillClient, ClientClock,
)  # fmt: skip


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What holds for a whole run."""

    seed: int
    """Of the chance that is not in the actions: latencies, torn sectors, jitter."""
    durability: Durability = "always"
    venue: VenueKind = "embedded"
    clients: int = 1
    outbox: bool = True
    """Whether queues have a durable outbox."""
    prefer: Path = "zmq"
    hedge_after_us: int = 0
    call_timeout_ms: float = 400.0
    update_history: int = 100_000
    """Updates that the engine can replay; few: gaps happen."""
    max_parked_outputs: int = 200_000
    """Outputs that may wait for the disk; few: orders are refused with BUSY."""
    segment_bytes: int = 262_144
    sync_us: int = 300
    lease_ms: int | None = None
    """The grace of the lease that every session takes when it begins; None: none does."""
    reconciles: bool = False
    """Whether clients compare their account with the engine's at every connection."""
    subscribes: bool = True
    """Whether they follow the updates; who does not learns of them by reconciliation."""


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Settings and actions, in order of time."""

    settings: Settings
    actions: tuple[Action, ...]

    @property
    def orders(self) -> int:
        """How many orders it places."""
        single = sum(isinstance(action, Place | Enqueue) for action in self.actions)
        return single + sum(len(a.orders) for a in self.actions if isinstance(a, PlaceBatch | PlaceStream))

    @property
    def faults(self) -> int:
        """How many faults it has."""
        return sum(isinstance(action, FAULTS) for action in self.actions)


def load(path: FilePath) -> Schedule:
    """From a file that `save` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Schedule)


def save(schedule: Schedule, path: FilePath) -> None:
    """As JSON, one action a line, so that people can read and edit it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = msgspec.json.encode(schedule.settings).decode()
    actions = ",\n  ".join(msgspec.json.encode(action).decode() for action in schedule.actions)
    path.write_text(f'{{"settings": {settings},\n "actions": [\n  {actions}\n]}}\n', encoding="utf-8")
