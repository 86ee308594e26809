"""How a call that has ended reaches its caller: the reply, or the exception that says what is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from fallback_grpc.failover.plan import REFUSALS_OF_A_PATH, CallPlan, Conclude, Ending
from transport.contract.codes import ExecutionStatus, ReasonCode
from transport.contract.conclusions import Conclusion, NotSent, Refused, Replied, Unknown
from transport.contract.errors import (
    ExecutionBridgeError,
    ExecutionError,
    NetworkError,
    NotSentError,
    OutcomeUnknownError,
    ValidationError,
    error_for_code,
)
from transport.contract.orders import Order
from transport.contract.replies import Delivery, ExecuteReply, OrderReply, Path
from transport.contract.requests import Command, command_id_of, is_query, order_ids_of

ReplyT = TypeVar("ReplyT")

TOO_LARGE = frozenset({ReasonCode.BATCH_TOO_LARGE, ReasonCode.MESSAGE_TOO_LARGE})
"""What a batch is refused with where its orders, singly, would not be."""


class Subject(msgspec.Struct, frozen=True, gc=False):
    """What a call is about, for its errors and statistics."""

    order_ids: tuple[str, ...] = ()
    command_id: str = ""
    orders: int = 0
    """Orders that the call executes; 0 for commands and queries."""
    is_query: bool = False
    """It changes nothing: a copy without an answer leaves nothing in doubt."""


class Done(msgspec.Struct, Generic[ReplyT], frozen=True):
    """A call that got its reply."""

    reply: ReplyT
    path: Path
    attempts: int
    duplicate: bool
    correlation: int
    was_in_doubt: bool
    """Another copy, or an earlier one, may have been executed or still be on its way."""


def delivery_of(done: Done[OrderReply]) -> Delivery:
    """The reply with its envelope."""
    return Delivery(done.reply, done.path, done.correlation, done.attempts, done.duplicate)


def subject_of_orders(orders: Sequence[Order]) -> Subject:
    """The subject of an order or a batch."""
    return Subject(tuple(order.order_id for order in orders), "", len(orders))


def subject_of_command(command: Command) -> Subject:
    """The subject of a command or query."""
    return Subject(order_ids_of(command), command_id_of(command), is_query=is_query(command))


def ending_of(conclusion: Conclusion[object]) -> tuple[Ending, ReasonCode]:
    """A conclusion in the words of the plan."""
    if isinstance(conclusion, Replied):
        return Ending.REPLIED, ReasonCode.NONE
    if isinstance(conclusion, Refused):
        return Ending.REFUSED, conclusion.code
    return (Ending.UNKNOWN if isinstance(conclusion, Unknown) else Ending.NOT_SENT), ReasonCode.NONE


def error_of(
    plan: CallPlan, ending: Ending, conclusion: Conclusion[object] | None, subject: Subject, *, path_alive: bool
) -> ExecutionBridgeError:
    """The exception for a call that ended without a reply."""
    about = _about(subject)
    # What is refused on one path alone says nothing of the silent one: taken for final, nobody would ask again.
    is_said = subject.is_query and isinstance(conclusion, Refused) and conclusion.code not in REFUSALS_OF_A_PATH
    if isinstance(conclusion, Refused) and (ending is Ending.REFUSED or is_said):
        return error_for_code(conclusion.code, f"{about}: {conclusion.message}", conclusion.field)
    reason = conclusion.reason if isinstance(conclusion, NotSent | Unknown) else _last_word(conclusion)
    if ending is Ending.NOT_SENT:
        return NotSentError(f"{about}: never sent on any path ({plan.attempts} attempts): {reason}")
    why = "no answer in time" if path_alive else "every path is dead"
    if subject.is_query:
        copies = f"{plan.attempts} copies by {', '.join(plan.paths) or 'no path'}"
        return NetworkError(f"{about}: {why} ({copies}): {reason}. It changes nothing: ask again")
    return OutcomeUnknownError(
        f"{about}: may have been executed; {why} ({plan.attempts} copies by {', '.join(plan.paths) or 'no path'}): "
        f"{reason}. {_advice(subject)}",
        order_ids=subject.order_ids,
        command_id=subject.command_id,
        copies=plan.attempts,
        paths=plan.paths,
        reason=reason,
        path_alive=path_alive,
        refusal=conclusion.code if isinstance(conclusion, Refused) else ReasonCode.NONE,
    )


def done_or_raise(
    plan: CallPlan,
    end: Conclude,
    conclusion: Conclusion[ReplyT] | None,
    subject: Subject,
    stopped: ExecutionBridgeError | None = None,
    *,
    path_alive: bool = False,
) -> Done[ReplyT]:
    """The reply of a call that has one; raises what any other ended in.

    `stopped`: why no path is used any more, if so; it ends what is not in doubt, and is the cause where doubt remains.
    """
    if end.ending is Ending.REPLIED and end.copy is not None and isinstance(conclusion, Replied):
        reply: object = conclusion.reply
        # A copy that is still in flight meets the same answer: only what went before the engine forgot is in doubt.
        if plan.in_doubt and isinstance(reply, OrderReply) and reply.code == ReasonCode.ID_TOO_OLD:
            raise forgotten(reply.order_id or subject.order_ids[0], plan.paths, plan.attempts)
        return Done(
            conclusion.reply,
            plan.path_of(end.copy),
            plan.attempts,
            conclusion.duplicate,
            conclusion.correlation,
            plan.may_have_executed,
        )
    problem = error_of(plan, end.ending, conclusion, subject, path_alive=path_alive and stopped is None)
    if stopped is None:
        raise problem
    if not isinstance(problem, OutcomeUnknownError):
        raise type(stopped)(f"{stopped} ({problem})") from problem
    problem.args = (f"{problem} ({stopped})",)
    raise problem from stopped


def forgotten(order_id: str, paths: tuple[str, ...] = (), copies: int = 0) -> OutcomeUnknownError:
    """The error of an order in doubt whose id the engine remembers no more: that tells nothing of a copy in time."""
    reason = "the engine remembers ids of that age no more"
    return OutcomeUnknownError(
        f"order {order_id}: may have been executed; {reason}, and nothing executes under this one from now on. What "
        "became of it is in the journal's archive alone",
        order_ids=(order_id,),
        copies=copies,
        paths=paths,
        reason=reason,
        path_alive=True,
        refusal=ReasonCode.ID_TOO_OLD,
    )


def not_asked(order: Order, problem: ExecutionBridgeError) -> OutcomeUnknownError:
    """The error of an order in doubt that this client cannot ask for any more: closed, or in another process."""
    return OutcomeUnknownError(
        f"order {order.order_id}: may have been executed; it could not be found out: {problem}",
        order_ids=(order.order_id,),
        reason=str(problem),
    )


def fenced_reply(order: Order, problem: ExecutionBridgeError) -> OrderReply | None:
    """The FAILED reply to an order of a batch that was refused and fenced (`resolving.refused_and_fenced`).

    None: `problem` is something else, and settles nothing.
    """
    doubt = problem.__cause__
    if isinstance(problem, OutcomeUnknownError) or not isinstance(doubt, OutcomeUnknownError):
        return None
    field = problem.field if isinstance(problem, ExecutionError | ValidationError) else ""
    return failed_reply(order, doubt.refusal, str(problem), field)


def batch_unknown(orders: int, unknown: Sequence[OutcomeUnknownError]) -> OutcomeUnknownError:
    """The error of a batch some of whose orders stay in doubt; it names these."""
    first = unknown[0]
    forgotten_all = all(each.refusal == ReasonCode.ID_TOO_OLD for each in unknown)
    return OutcomeUnknownError(
        f"batch of {orders} orders: {len(unknown)} of them may have been executed ({first.reason}); the others have "
        "their replies, which the same batch brings again. Resolve these later (client.resolve)",
        order_ids=tuple(order_id for each in unknown for order_id in each.order_ids),
        copies=sum(each.copies for each in unknown),
        paths=first.paths,
        reason=first.reason,
        path_alive=first.path_alive,
        refusal=ReasonCode.ID_TOO_OLD if forgotten_all else ReasonCode.NONE,
    )


def conclusion_of_batched(answer: ExecuteReply) -> Conclusion[OrderReply]:
    """One order's share of a batch reply: FAILED with a refusal's code means that this copy had no effect."""
    reply = answer.reply
    if reply.status == ExecutionStatus.FAILED and reply.code.is_refusal:
        return Refused(reply.code, reply.error_message, reply.field)
    return Replied(reply, answer.duplicate)


def settled_replies(done: Done[list[ExecuteReply]], *, refusals_are_final: bool) -> list[OrderReply | None]:
    """What a batch's answer settles, by index; None: ask again for that one, under its id.

    An order that is refused or forgotten in this copy may have been executed by an earlier one, if there was one. Where
    there was none, a refusal is final or not, as the caller likes.
    """

    def is_settled(answer: ExecuteReply) -> bool:
        is_refused = isinstance(conclusion_of_batched(answer), Refused)
        if done.was_in_doubt:
            return not is_refused and answer.reply.code != ReasonCode.ID_TOO_OLD
        return refusals_are_final or not is_refused

    return [answer.reply if is_settled(answer) else None for answer in done.reply]


def whole_batch(conclusion: Conclusion[list[ExecuteReply]], orders: int) -> Conclusion[list[ExecuteReply]]:
    """The conclusion of a batch: an answer for another number of orders is none, since nobody knows to which."""
    if isinstance(conclusion, Replied) and len(conclusion.reply) != orders:
        return Unknown(f"the engine answered {len(conclusion.reply)} orders of a batch of {orders}")
    return conclusion


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
    asked = "query of " if subject.is_query else ""
    return f"{asked}order {subject.order_ids[0]}" if subject.order_ids else "query"


def _advice(subject: Subject) -> str:
    if subject.order_ids and not subject.command_id:
        return "Resolve it later (client.resolve), send it again under the same id, or ask get_order(id, fence=True)"
    return "Send it again under the same command_id" if subject.command_id else "Ask again"


def _last_word(conclusion: Conclusion[object] | None) -> str:
    if isinstance(conclusion, Refused):
        return f"last answer {conclusion.code.name} {conclusion.message}"
    return "no path is connected"
