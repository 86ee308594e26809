"""How a call that has ended reaches its caller: the reply, or the exception that says what is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from fallback_grpc.failover.plan import CallPlan, Conclude, Ending
from transport.contract.codes import ExecutionStatus, ReasonCode
from transport.contract.conclusions import Conclusion, NotSent, Refused, Replied, Unknown
from transport.contract.errors import ExecutionBridgeError, NotSentError, OutcomeUnknownError, error_for_code
from transport.contract.orders import Order
from transport.contract.replies import ExecuteReply, OrderReply, Path
from transport.contract.requests import CancelOrder, Command, GetOrder, ReplaceOrder, command_id_of

ReplyT = TypeVar("ReplyT")


class Subject(msgspec.Struct, frozen=True, gc=False):
    """What a call is about, for its errors and statistics."""

    order_ids: tuple[str, ...] = ()
    command_id: str = ""
    orders: int = 0
    """Orders that the call executes; 0 for commands and queries."""


class Done(msgspec.Struct, Generic[ReplyT], frozen=True):
    """A call that got its reply."""

    reply: ReplyT
    path: Path
    attempts: int
    duplicate: bool
    correlation: int
    was_in_doubt: bool


def subject_of_orders(orders: Sequence[Order]) -> Subject:
    """The subject of an order or a batch."""
    return Subject(tuple(order.order_id for order in orders), "", len(orders))


def subject_of_command(command: Command) -> Subject:
    """The subject of a command or query."""
    named = isinstance(command, CancelOrder | ReplaceOrder | GetOrder)
    return Subject((command.order_id,) if named else (), command_id_of(command))


def ending_of(conclusion: Conclusion[object]) -> tuple[Ending, ReasonCode]:
    """A conclusion in the words of the plan."""
    if isinstance(conclusion, Replied):
        return Ending.REPLIED, ReasonCode.NONE
    if isinstance(conclusion, Refused):
        return Ending.REFUSED, conclusion.code
    return (Ending.UNKNOWN if isinstance(conclusion, Unknown) else Ending.NOT_SENT), ReasonCode.NONE


def error_of(
    ending: Ending, conclusion: Conclusion[object] | None, subject: Subject, attempts: int
) -> ExecutionBridgeError:
    """The exception for a call that ended without a reply."""
    about = _about(subject)
    if ending is Ending.REFUSED and isinstance(conclusion, Refused):
        return error_for_code(conclusion.code, f"{about}: {conclusion.message}", conclusion.field)
    reason = conclusion.reason if isinstance(conclusion, NotSent | Unknown) else _last_word(conclusion)
    if ending is Ending.NOT_SENT:
        return NotSentError(f"{about}: never sent on any path ({attempts} attempts): {reason}")
    return OutcomeUnknownError(
        f"{about}: may have been executed; no path answered in time ({attempts} copies sent): {reason}. "
        "Send it again under the same id, or ask get_order(order_id, fence=True)",
        order_ids=subject.order_ids,
        command_id=subject.command_id,
    )


def done_or_raise(
    plan: CallPlan,
    end: Conclude,
    conclusion: Conclusion[ReplyT] | None,
    subject: Subject,
    stopped: ExecutionBridgeError | None = None,
) -> Done[ReplyT]:
    """The reply of a call that has one; raises what any other ended in.

    `stopped`: why no path is used any more, if so; it ends what is not in doubt, and is the cause where doubt remains.
    """
    if end.ending is not Ending.REPLIED or end.copy is None or not isinstance(conclusion, Replied):
        problem = error_of(end.ending, conclusion, subject, plan.attempts)
        if stopped is None:
            raise problem
        if not isinstance(problem, OutcomeUnknownError):
            raise type(stopped)(f"{stopped} ({problem})") from problem
        raise OutcomeUnknownError(
            f"{problem} ({stopped})", order_ids=problem.order_ids, command_id=problem.command_id
        ) from stopped
    return Done(
        conclusion.reply,
        plan.path_of(end.copy),
        plan.attempts,
        conclusion.duplicate,
        conclusion.correlation,
        plan.in_doubt,
    )


def conclusion_of_batched(answer: ExecuteReply) -> Conclusion[OrderReply]:
    """One order's share of a batch reply: FAILED with a refusal's code means that this copy had no effect."""
    reply = answer.reply
    if reply.status == ExecutionStatus.FAILED and reply.code.is_refusal:
        return Refused(reply.code, reply.error_message, reply.field)
    return Replied(reply, answer.duplicate)


def failed_reply(order: Order, code: ReasonCode, message: str, field: str = "") -> OrderReply:
    """The answer to an order of a stream that was refused: no effect, and the other orders go on."""
    return OrderReply(
        order_id=order.order_id,
        status=ExecutionStatus.FAILED,
        code=code,
        error_message=message,
        field=field,
        account=order.account,
        symbol=order.symbol,
    )


def _about(subject: Subject) -> str:
    if subject.orders > 1:
        return f"batch of {subject.orders} orders"
    if subject.command_id:
        return f"command {subject.command_id}" + (f" on order {subject.order_ids[0]}" if subject.order_ids else "")
    return f"order {subject.order_ids[0]}" if subject.order_ids else "query"


def _last_word(conclusion: Conclusion[object] | None) -> str:
    if isinstance(conclusion, Refused):
        return f"last answer {conclusion.code.name} {conclusion.message}"
    return "no path is connected"
