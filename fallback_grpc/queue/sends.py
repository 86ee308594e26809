"""How entries travel: singly, as a batch, as a cancel, or as the query that settles what cannot be sent again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from fallback_grpc.queue.entries import Entry
from transport.contract.codes import ExecutionStatus, ReasonCode
from transport.contract.conclusions import Conclusion, NotSent, Refused, Replied, Unknown
from transport.contract.errors import (
    AuthenticationError,
    ClientClosedError,
    EngineSystemError,
    ExecutionBridgeError,
    ExecutionError,
    ForkedProcessError,
    JournalMismatchError,
    OutcomeUnknownError,
    StateRegressedError,
    ValidationError,
    WrongLoopError,
)
from transport.contract.orders import Order
from transport.contract.replies import OrderReply
from transport.contract.requests import CancelOrder

# Refused before any effect, and a later copy may fare better. JOURNAL_FAILED lasts until the engine is started again.
PASSING_REFUSALS: Final = frozenset(
    {
        ReasonCode.BUSY,
        ReasonCode.SHUTTING_DOWN,
        ReasonCode.TOO_MANY_CONNECTIONS,
        ReasonCode.HELLO_REQUIRED,
        ReasonCode.JOURNAL_FAILED,
    }
)
_TOO_LARGE: Final = frozenset({ReasonCode.BATCH_TOO_LARGE, ReasonCode.MESSAGE_TOO_LARGE})
# Sending on would be wrong (another engine, one that forgot) or in vain (no rights, no client).
_HALTING: Final = (
    AuthenticationError,
    ClientClosedError,
    ForkedProcessError,
    JournalMismatchError,
    StateRegressedError,
    WrongLoopError,
)


class SendKind(Enum):
    """How entries are sent."""

    ORDER = "order"
    BATCH = "batch"
    CANCEL = "cancel"
    FENCE = "fence"
    """`GetOrder` with `fence`: an order in doubt that the engine refuses for good; answered by a `GetOrderReply`."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send these now, in this order; report with `QueueCore.ended`, one conclusion for each."""

    kind: SendKind
    entries: tuple[Entry, ...]

    @property
    def orders(self) -> list[Order]:
        """The orders of an ORDER or BATCH."""
        return [entry.item for entry in self.entries if isinstance(entry.item, Order)]


def single_kind(entry: Entry) -> SendKind | None:
    """How an entry travels that cannot be part of a batch; None: it can."""
    if isinstance(entry.item, CancelOrder):
        return SendKind.CANCEL
    if entry.refusal is not None:
        return SendKind.FENCE
    return SendKind.ORDER if entry.alone else None


def batch_of(entries: list[Entry]) -> Send:
    """Orders together; one is no batch."""
    return Send(SendKind.ORDER if len(entries) == 1 else SendKind.BATCH, tuple(entries))


def conclusion_of(problem: ExecutionBridgeError) -> Conclusion[OrderReply]:
    """What a call's exception says of each entry that it carried."""
    if isinstance(problem, OutcomeUnknownError):
        return Unknown(str(problem))
    if halts(problem):
        return NotSent(str(problem))
    if isinstance(problem, ValidationError | ExecutionError):
        return Refused(problem.code, str(problem), problem.field)
    if isinstance(problem, EngineSystemError):
        return Refused(problem.code, str(problem))
    return NotSent(str(problem))


def conclusion_for(entry: Entry, problem: ExecutionBridgeError) -> Conclusion[OrderReply]:
    """As `conclusion_of`; an order in doubt whose id the engine has forgotten is told apart: asking again is in vain.

    `Refused` with `ID_TOO_OLD` is that and nothing else: not in doubt, it is a reply.
    """
    if (
        isinstance(problem, OutcomeUnknownError)
        and problem.refusal == ReasonCode.ID_TOO_OLD
        and isinstance(entry.item, Order)
        and entry.order_id in problem.order_ids
    ):
        return Refused(ReasonCode.ID_TOO_OLD, problem.reason)
    return conclusion_of(problem)


def conclusion_of_reply(reply: OrderReply) -> Conclusion[OrderReply]:
    """What one reply of a batch says: FAILED with a refusal's code means that this copy had no effect."""
    if reply.status == ExecutionStatus.FAILED and reply.code.is_refusal:
        return Refused(reply.code, reply.error_message, reply.field)
    return Replied(reply)


def halts(problem: ExecutionBridgeError) -> bool:
    """Whether the queue must not go on sending."""
    if isinstance(problem, EngineSystemError) and problem.code == ReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
        return True
    return isinstance(problem, _HALTING)


def is_too_large(problem: ExecutionBridgeError) -> bool:
    """Whether a batch was refused for its size: before any effect, and a smaller one may pass."""
    return isinstance(problem, ValidationError) and problem.code in _TOO_LARGE


def is_about_one(problem: ExecutionBridgeError) -> bool:
    """Whether a batch could not be sent because of one of its orders, or because batches are not known there."""
    if isinstance(problem, ValidationError):
        return problem.code not in _TOO_LARGE
    return isinstance(problem, ExecutionError) and problem.code == ReasonCode.NOT_IMPLEMENTED
