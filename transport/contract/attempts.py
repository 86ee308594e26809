"""What follows when a copy of a request ended without a reply: another copy after a pause, or the error that ends
the call (invariant 6). Sans I/O; every client decides by it.
"""

from __future__ import annotations

from collections.abc import Callable

from transport.contract.conclusions import NotSent, Refused, Unknown
from transport.contract.errors import (
    ExecutionBridgeError,
    NetworkError,
    NotSentError,
    OutcomeUnknownError,
    error_for_code,
)
from transport.contract.retries import RetryTable

_NS_PER_MS = 1_000_000


class Attempts:
    """The copies of one request, all under the same id. Counts, remembers doubt, and says what comes next."""

    def __init__(
        self,
        table: RetryTable,
        deadline_ns: int,
        *,
        order_ids: Callable[[], tuple[str, ...]] = tuple,
        command_id: str = "",
        is_query: bool = False,
    ) -> None:
        """`is_query`: the request changes nothing, so that a copy without an answer leaves nothing in doubt."""
        self.count = 0
        """Copies that have ended."""
        self.in_doubt = False
        """Whether some copy may have been executed: then no refusal of another concludes the call."""
        self._table = table
        self._deadline_ns = deadline_ns
        self._order_ids = order_ids
        self._command_id = command_id
        self._is_query = is_query
        self._retries: dict[str, int] = {}

    def pause_ns(self, conclusion: Refused | NotSent | Unknown, now_ns: int) -> int:
        """Nanoseconds to wait before the next copy; raises the error that ends the call where there is none."""
        self.count += 1
        error = self._error_of(conclusion)
        category, rule = self._table.rule_for(error)
        used = self._retries.get(category, 0)
        pause_ns = int(rule.delay_ms(used + 1) * _NS_PER_MS)
        if used >= rule.max_retries or now_ns + pause_ns >= self._deadline_ns:
            raise self._final(error)
        self._retries[category] = used + 1
        return pause_ns

    def _error_of(self, conclusion: Refused | NotSent | Unknown) -> ExecutionBridgeError:
        if isinstance(conclusion, Refused):
            return error_for_code(conclusion.code, conclusion.message, conclusion.field)
        if isinstance(conclusion, NotSent):
            return NotSentError(f"not sent: {conclusion.reason}")
        if self._is_query:
            return NetworkError(f"the query had no answer after {self.count} copies: {conclusion.reason}; ask again")
        self.in_doubt = True
        return self._unknown(conclusion.reason)

    def _final(self, error: ExecutionBridgeError) -> ExecutionBridgeError:
        if not self.in_doubt or isinstance(error, OutcomeUnknownError):
            return error
        unknown = self._unknown(f"a copy got no answer, and the last one ended so: {error}")
        unknown.__cause__ = error
        return unknown

    def _unknown(self, reason: str) -> OutcomeUnknownError:
        order_ids = self._order_ids()
        # A command may name the order it is about: to send that order again would be to place it.
        if self._command_id:
            named, advice = f"command {self._command_id}", "send it again with the same command_id"
            if order_ids:
                named += f" on order {order_ids[0]}"
        elif order_ids:
            named = f"order {order_ids[0]}" if len(order_ids) == 1 else f"{len(order_ids)} orders"
            advice = "send the same id again, or ask get_order(order_id, fence=True)"
        else:
            named, advice = "the request", "send it again"
        return OutcomeUnknownError(
            f"outcome of {named} unknown after {self.count} copies: {reason}; {advice}",
            order_ids=order_ids,
            command_id=self._command_id,
            copies=self.count,
            reason=reason,
        )
