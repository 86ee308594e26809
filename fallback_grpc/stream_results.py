"""What becomes of the orders of a stream that get no reply: refused ones answered, others kept for its end."""

from __future__ import annotations

from fallback_grpc.outcome import TOO_LARGE, failed_reply
from transport.contract.errors import ExecutionError, NotSentError, OutcomeUnknownError, ValidationError
from transport.contract.orders import Order
from transport.contract.replies import OrderReply


class StreamResults:
    """Collects what went wrong in one stream of orders."""

    def __init__(self) -> None:
        self._unknown: list[str] = []
        self._not_sent: list[str] = []
        self._first_problem: Exception | None = None

    def reply_for(self, order: Order, problem: Exception) -> OrderReply | None:
        """The FAILED reply to an order that was refused alone; None where there can be no reply."""
        if isinstance(problem, ExecutionError) or (isinstance(problem, ValidationError) and problem.code.is_refusal):
            return failed_reply(order, problem.code, str(problem), problem.field)
        if isinstance(problem, OutcomeUnknownError):
            self._unknown.append(order.order_id)
        elif isinstance(problem, NotSentError):
            self._not_sent.append(order.order_id)
        self._first_problem = self._first_problem or problem
        return None

    def source_failed(self, problem: Exception) -> None:
        """The source of orders raised: what was sent before is concluded first, and this is raised last."""
        self._first_problem = self._first_problem or problem

    @staticmethod
    def is_about_each(problem: Exception) -> bool:
        """Whether a batch's problem holds for each of its orders, so that sending them singly would tell no more."""
        if isinstance(problem, OutcomeUnknownError):
            return problem.refusal not in TOO_LARGE
        return isinstance(problem, NotSentError)

    def raise_if_failed(self) -> None:
        """Raises what is worst: an unknown outcome names every order in doubt."""
        if self._unknown:
            raise OutcomeUnknownError(
                f"{len(self._unknown)} orders of the stream may have been executed, and no path answered in time "
                f"({len(self._not_sent)} others were never sent). Send them again under the same ids",
                order_ids=tuple(self._unknown),
            ) from self._first_problem
        if self._not_sent:
            raise NotSentError(
                f"{len(self._not_sent)} orders of the stream were never sent: {', '.join(self._not_sent[:10])}"
            ) from self._first_problem
        if self._first_problem is not None:
            raise self._first_problem
