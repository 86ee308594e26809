"""What a row of the benchmark is: how it is opened, what it times, and what must be equal between rows of a group."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from bench.context import Context

Durability = Literal["os", "always", "none"]
Spin = Literal["both", "engine", "client", "none"]
Security = Literal["plain", "encrypted"]


class UnavailableError(RuntimeError):
    """What a row is to be compared with cannot be had on this machine: the row is left out, with this one line."""


class Timed(Protocol):
    """Makes that many calls, one after the other, and returns what each of them took, in ns.

    The clock of a call runs from a built order object to every field of the reply object read (`bench.timing`).
    Orders are built before the first clock starts.
    """

    def __call__(self, calls: int) -> list[int]: ...


@dataclass(frozen=True)
class Facts:
    """What was seen of a row while it was open; rows of a group must agree in all of it (`bench.defects`)."""

    durability: Durability
    """What the engine said of itself when asked; `none` where there is no engine behind the row."""
    payload: str
    """Digest of the orders' content (`bench.orders.CONTENT`), or of what a floor sends in their place."""
    request_bytes: int = 0
    """Of one message as it travels, without the framing of the transport; 0 where the transport does not tell."""
    reply_bytes: int = 0


@dataclass(frozen=True)
class Opened:
    """A row that is ready to be timed. `floor`: it sends messages of the same size in place of orders."""

    timed: Timed
    facts: Facts
    floor: bool = False


@dataclass(frozen=True)
class Row:
    """One line of a table: declared here, opened once per run, timed in turns with the other rows of its group.

    `open` returns a context manager: it connects on entry and closes on exit, both outside every clock.
    """

    name: str
    group: str
    open: Callable[[Context], AbstractContextManager[Opened]]
    spin: Spin = "none"
    """Which ends spin while they wait."""
    security: Security = "plain"
    orders_per_call: int = 1
    """Above 1, the figure of interest is orders per second."""
    note: str = ""
    """Printed beside the row."""


@dataclass(frozen=True)
class Effort:
    """How often the rows of one group are called: the same for each of them, by construction."""

    rounds: int
    """Turns of every row."""
    calls: int
    """Timed calls in a turn."""
    lead_in_calls: int
    """Calls at the start of every turn that are not counted: they wake what slept while the other rows ran."""
    warm_up_calls: int
    """Calls of every row before the first round, not counted."""


@dataclass(frozen=True)
class Group:
    """Rows that are compared with one another, and how much is measured of each."""

    name: str
    title: str
    short: Effort
    full: Effort
    reference: str = ""
    """The floor of this group: ratios of the table are against it."""
    grpc_reference: str = ""
    """The gRPC row of this group: the other column of ratios."""
    varies: frozenset[str] = field(default_factory=frozenset[str])
    """Names of `Facts` that differ between the rows on purpose (os against always, say)."""
