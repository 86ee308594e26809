"""What a subscriber of order updates must see: each update once, in order, without holes (invariant 7). Sans I/O.

A feed outlives connections: it says how to subscribe on a new one, drops what it has had already, and turns what
cannot be put right into an error.
"""

from __future__ import annotations

from collections import deque

from transport.contract.codes import ReasonCode
from transport.contract.errors import EngineSystemError, ExecutionBridgeError, error_for_code
from transport.contract.replies import OrderUpdate, UpdateGap
from transport.contract.requests import SubscribeOrderUpdates
from transport.wire.messages import EngineMessage, Refusal, SubscribeReply, SubscriptionEnded

# A subscription that the engine ended so is begun again. (After JOURNAL_FAILED: once somebody has restarted it.)
_RESUMABLE = frozenset(
    {
        ReasonCode.NONE,
        ReasonCode.SLOW_CONSUMER,
        ReasonCode.SHUTTING_DOWN,
        ReasonCode.BUSY,
        ReasonCode.JOURNAL_FAILED,
    }
)


class UpdateFeed:
    """One subscription, over as many connections as it takes."""

    def __init__(self, account: str, resume_from: int | None, *, accept_gaps: bool) -> None:
        self.ready: deque[OrderUpdate | UpdateGap] = deque()
        """What the subscriber has not taken yet."""
        self.error: ExecutionBridgeError | None = None
        """Why the subscription is over for good; what is `ready` comes first."""
        self.started = False
        """Whether the engine has confirmed the subscription once."""
        self.ended_by_engine = False
        """The engine ended this connection's subscription, and it may be resumed: subscribe anew."""
        self._account = account
        self._accept_gaps = accept_gaps
        self._last = resume_from
        # After a gap the snapshot is whole only once an update follows it: until then a new connection begins
        # before the gap, and the gap and its snapshot come again.
        self._resume_from = resume_from

    @property
    def last_sequence(self) -> int | None:
        """Number of the last update seen; None before anything was."""
        return self._last

    def request(self) -> SubscribeOrderUpdates:
        """How to subscribe on a new connection."""
        self.ended_by_engine = False
        return SubscribeOrderUpdates(
            account=self._account, resume_from=self._resume_from, accept_gaps=self._accept_gaps
        )

    def take(self, message: EngineMessage) -> None:
        """Take a message of the subscription."""
        if isinstance(message, OrderUpdate):
            self._take_update(message)
        elif isinstance(message, UpdateGap):
            self._last = max(self._last or 0, message.last_sequence)
            self.ready.append(message)
        elif isinstance(message, SubscribeReply):
            self._subscribed(message)
        elif isinstance(message, SubscriptionEnded | Refusal):
            self._ended(message.code, message.message)

    def _take_update(self, update: OrderUpdate) -> None:
        if update.snapshot:
            self.ready.append(update)
            return
        last = self._last
        if last is not None and update.sequence <= last:
            return
        if last is not None and update.sequence > last + 1:
            self._fail(
                EngineSystemError(
                    f"order updates have a hole: {update.sequence} came after {last}. Nothing was delivered past "
                    f"{last}; subscribe again from there, and report this"
                )
            )
            return
        self._last = self._resume_from = update.sequence
        self.ready.append(update)

    def _subscribed(self, reply: SubscribeReply) -> None:
        self.started = True
        if self._last is None:
            # From now on: a connection lost before the first update must not lose that one.
            self._last = self._resume_from = reply.last_sequence

    def _ended(self, code: ReasonCode, message: str) -> None:
        if code in _RESUMABLE:
            self.ended_by_engine = True
        else:
            self._fail(error_for_code(code, message))

    def _fail(self, error: ExecutionBridgeError) -> None:
        if self.error is None:
            self.error = error
