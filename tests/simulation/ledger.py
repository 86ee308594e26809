"""What a client believes: how every call ended, what it was told of every order, which updates it was given."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from fallback_grpc.queue import FINAL, QueueEvent, Receipt, Result, Untraceable
from fallback_grpc.queue import Refused as RefusedInQueue
from fallback_grpc.reconciliation import Reconciliation
from transport.contract.codes import ReasonCode
from transport.contract.errors import (
    EngineSystemError,
    ExecutionBridgeError,
    ExecutionError,
    NotSentError,
    OutcomeUnknownError,
    ValidationError,
)
from transport.contract.orders import Order
from transport.contract.replies import (
    CommandReply,
    GetOrderReply,
    OrderCommandReply,
    OrderReply,
    OrderUpdate,
    UpdateGap,
)
from transport.contract.requests import RiskLimits


class Ending(Enum):
    """How a call ended, for who made it."""

    OPEN = "open"
    REPLIED = "replied"
    REFUSED = "refused"
    """By the engine, before any effect: nothing was executed."""
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    STOPPED = "stopped"
    """A system fault: the engine forgot, another journal, a journal that failed."""
    DIED = "died"
    """The caller's process died while it waited."""


@dataclass(eq=False)
class Call:
    """One call of the client's API."""

    what: str
    began_ns: int
    bound_ns: int
    """It must have ended so many nanoseconds after it began."""
    ending: Ending = Ending.OPEN
    ended_ns: int = 0
    reply: Any = None
    problem: ExecutionBridgeError | None = None
    path: str = ""
    duplicate: bool = False

    def end(self, now_ns: int, reply: Any) -> None:
        """It got its reply."""
        self.ending, self.ended_ns, self.reply = Ending.REPLIED, now_ns, reply

    def fail(self, now_ns: int, problem: ExecutionBridgeError) -> None:
        """It raised."""
        self.ended_ns, self.problem = now_ns, problem
        self.ending = ending_of(problem)

    def died(self, now_ns: int) -> None:
        """Its caller's process was killed."""
        if self.ending is Ending.OPEN:
            self.ended_ns, self.ending = now_ns, Ending.DIED


def ending_of(problem: ExecutionBridgeError) -> Ending:
    """What an exception says of the call."""
    if isinstance(problem, OutcomeUnknownError):
        return Ending.UNKNOWN
    if isinstance(problem, NotSentError):
        return Ending.NOT_SENT
    if isinstance(problem, ExecutionError | ValidationError):
        return Ending.REFUSED
    if isinstance(problem, EngineSystemError) and problem.code == ReasonCode.JOURNAL_FAILED:
        return Ending.REFUSED
    return Ending.STOPPED


@dataclass
class OrderBelief:
    """All that the clients were told of one order id."""

    order: Order
    number: int
    calls: list[Call] = field(default_factory=list[Call])
    answers: list[GetOrderReply] = field(default_factory=list[GetOrderReply])
    """Of queries, in the order they came."""
    resolved: OrderReply | None = None
    """The reply that a resolution found."""
    fenced: bool = False
    """A resolution said that it never executes."""
    altered: list[OrderReply] = field(default_factory=list[OrderReply])
    """Replies to the same id with other content."""
    altered_copies: int = 0
    """Such copies sent, answered or not."""
    told: list[QueueEvent] = field(default_factory=list[QueueEvent])
    """Events of the queue about it, in order; final ones may come again after a restart."""
    queued: Call | None = None
    """The call that the queue's final event ends."""

    def take(self, event: QueueEvent, now_ns: int) -> None:
        """An event of the queue."""
        self.told.append(event)
        call = self.queued
        if call is None or not isinstance(event, FINAL) or call.ending not in (Ending.OPEN, Ending.DIED):
            return
        if isinstance(event, Result):
            call.end(now_ns, event.reply)
        else:
            call.ended_ns = now_ns
            call.ending = Ending.REFUSED if isinstance(event, RefusedInQueue) else Ending.NOT_SENT
            if isinstance(event, Untraceable):
                call.ending = Ending.UNKNOWN

    @property
    def has_receipt(self) -> bool:
        """Whether the queue said that the engine has it."""
        return any(isinstance(event, Receipt) for event in self.told)

    @property
    def replies(self) -> list[OrderReply]:
        """Every reply that a call of it got."""
        return [call.reply for call in self.calls if call.ending is Ending.REPLIED]

    @property
    def is_in_doubt(self) -> bool:
        """Whether it may have been executed, for all that its clients know."""
        if self.replies or self.resolved is not None or self.fenced:
            return False
        return any(call.ending in (Ending.UNKNOWN, Ending.DIED, Ending.STOPPED) for call in self.calls)

    @property
    def was_denied(self) -> bool:
        """Whether every call of it was told that nothing was executed."""
        endings = {call.ending for call in self.calls}
        return bool(self.calls) and endings <= {Ending.REFUSED, Ending.NOT_SENT}


@dataclass
class CommandBelief:
    """A cancel, a replace, a cancel-all, a trading state, limits or a lease."""

    command_id: str
    order_id: str
    call: Call
    limits: RiskLimits | None = None
    """What it sets, if it sets limits."""
    symbol: str = ""
    """Of the limits."""

    @property
    def reply(self) -> OrderCommandReply | CommandReply | None:
        """What it was told."""
        return self.call.reply


@dataclass
class UpdatesHeard:
    """What one subscriber was given, in order; across its client's restarts, which resume where it had come to."""

    items: list[OrderUpdate | UpdateGap] = field(default_factory=list[OrderUpdate | UpdateGap])
    resumed_at: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Where a subscription of a new process began: index in `items`, and the number it resumed from."""
    position: int = 0
    """Where to resume: kept by the strategy, as it should be. Before a gap until an update has followed it."""
    reached: int = 0
    """The highest number that the items account for."""
    problems: list[str] = field(default_factory=list[str])
    """What ended a subscription."""

    def take(self, item: OrderUpdate | UpdateGap) -> None:
        """One more."""
        self.items.append(item)
        if isinstance(item, UpdateGap):
            self.reached = item.last_sequence
        elif not item.snapshot:
            self.position = self.reached = item.sequence


@dataclass
class Reconciled:
    """What one user's program was told by reconciliations, across its restarts."""

    reports: list[Reconciliation] = field(default_factory=list[Reconciliation])
    position: int = 0
    """Up to where it has dealt with all; kept by the program, as it should be."""

    def take(self, report: Reconciliation) -> None:
        """One more."""
        self.reports.append(report)
        self.position = report.ended_sequence


@dataclass
class Ledger:
    """All clients of a run: they are one user, and share what they know of orders."""

    orders: dict[str, OrderBelief] = field(default_factory=dict[str, OrderBelief])
    by_number: dict[int, OrderBelief] = field(default_factory=dict[int, OrderBelief])
    commands: list[CommandBelief] = field(default_factory=list[CommandBelief])
    updates: list[UpdatesHeard] = field(default_factory=list[UpdatesHeard])
    reconciled: list[Reconciled] = field(default_factory=list[Reconciled])
    to_reconcile: int = 0
    """The engine's last update when everybody who follows none started for the last time."""
    strange: list[str] = field(default_factory=list[str])
    """What no client should have been told."""
    stopped: list[str] = field(default_factory=list[str])
    """Why clients stopped for good (the engine's state went back)."""
    stopped_at_ns: int | None = None
    final: dict[str, GetOrderReply] = field(default_factory=dict[str, GetOrderReply])
    """What the engine said of orders at the very end."""

    def believe(self, order: Order, number: int) -> OrderBelief:
        """An order that is about to be sent: its id is written down first."""
        belief = self.orders.setdefault(order.order_id, OrderBelief(order, number))
        self.by_number[number] = belief
        return belief
