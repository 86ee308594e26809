"""The fast path's client protocol, sans I/O: messages and instants in, messages and conclusions out.

One core serves the blocking and the asyncio shell, and every carrier. It has no socket, clock, thread or lock: a
shell tells it the time (monotonic nanoseconds), feeds it what a carrier received, and performs its `actions`.

| phase | next, and why |
| --- | --- |
| IDLE | CONNECTING: `start` |
| CONNECTING | GREETING: carrier ready, Hello sent; BACKOFF: lost, or no handshake in time |
| GREETING | OPEN: Welcome; BACKOFF: lost, no Welcome in time, Hello refused for now; HALTED: refused for good |
| OPEN | DRAINING: GoingAway; BACKOFF: lost, or garbage received |
| DRAINING | BACKOFF: lost |
| BACKOFF | CONNECTING: the pause is over |
| HALTED | CONNECTING after a pause, where another journal answered (that may pass); else none: for people to look at |
| any | CLOSED: `close` |
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final

from transport.contract.codes import ReasonCode
from transport.contract.conclusions import Conclusion, NotSent, Refused, Replied, Unknown
from transport.contract.config import BridgeConfig
from transport.contract.errors import JournalMismatchError, WireDecodeError
from transport.contract.path import PathConnected, PathGoingAway, PathLost, PathRefused
from transport.contract.replies import ExecuteReply, OrderReply
from transport.fastpath.calls import Action, Call, CloseCarrier, OpenCarrier, Send, StreamSink, Tell
from transport.wire.codec import Codec
from transport.wire.messages import PROTOCOL_VERSION, EngineMessage, GoingAway, Hello, Refusal, Welcome

NS_PER_MS: Final = 1_000_000
NEVER_NS: Final = 2**63 - 1
"""An instant that does not come."""
UNLIMITED: Final = 2**63 - 1


class Phase(Enum):
    """Where the path stands; transitions are in the module's table."""

    IDLE = "idle"
    CONNECTING = "connecting"
    GREETING = "greeting"
    OPEN = "open"
    DRAINING = "draining"
    BACKOFF = "backoff"
    HALTED = "halted"
    CLOSED = "closed"


_CONNECTED: Final = (Phase.CONNECTING, Phase.GREETING, Phase.OPEN, Phase.DRAINING)


class FastPathCore:
    """One client's path to one engine, over one connection after the other. Not safe for threads: see the shells."""

    def __init__(
        self,
        config: BridgeConfig,
        codec: Codec,
        *,
        last_sequence: int | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.phase = Phase.IDLE
        self.journal_id = ""
        self.epoch = 0
        self.connection = 0
        """Counts connections that became open."""
        self.welcome: Welcome | None = None
        self.last_sequence = last_sequence
        """Highest update sequence number seen; an engine that is behind it has forgotten something."""
        self.halted = Refused(ReasonCode.NONE)
        """Why the path is HALTED."""
        self.not_open_reason = "not connected yet"
        self.in_flight: dict[int, Call] = {}
        self.streams: dict[int, StreamSink] = {}
        self.actions: deque[Action] = deque()
        self.late_replies = 0
        """Replies to calls that had been given up."""
        self._config = config
        self._decode = codec.decode
        self.encode = codec.encode_request
        self._jitter = jitter
        self._correlations = itertools.count(1)
        self._set_window(config.max_in_flight)
        self.max_message_bytes = UNLIMITED
        """The largest message that the engine takes."""
        self._timer_ns = NEVER_NS
        self._earliest_deadline_ns = NEVER_NS
        self._failures = 0
        self._watchers: list[Call] = []

    # ---- requests ----

    def next_correlation(self) -> int:
        """A number that no other request of this client has, on any of its connections. Safe for threads."""
        return next(self._correlations)

    def refuse_locally(self) -> Conclusion[Any] | None:
        """Why no request can be sent just now, if so."""
        if self.phase is not Phase.OPEN:
            # A path that looks again after a mismatch says so until the engine that is meant has answered.
            return self.halted if self.halted.code and self.phase is not Phase.CLOSED else NotSent(self.not_open_reason)
        return self.full if len(self.in_flight) >= self._window else None

    def admit(self, call: Call, data: bytes, journal_id: str) -> Conclusion[Any] | None:
        """Enter a request that is about to be sent, or say why it cannot be. `journal_id`: the one in `data`."""
        in_flight = self.in_flight
        if self.phase is not Phase.OPEN or len(in_flight) >= self._window:
            return self.refuse_locally()
        if journal_id != self.journal_id:
            return NotSent("the connection opened only while the request was made")
        # The engine would refuse a message above its limit, and close the connection on top.
        if len(data) > self.max_message_bytes:
            return Refused(
                ReasonCode.MESSAGE_TOO_LARGE, f"{len(data)} bytes; the engine takes {self.max_message_bytes}"
            )
        in_flight[call.correlation] = call
        self._earliest_deadline_ns = min(self._earliest_deadline_ns, call.deadline_ns)
        return None

    def _set_window(self, requests: int) -> None:
        self._window = requests
        self.full = NotSent(f"{requests} requests are in flight, which is the limit")
        """This very conclusion is that of requests for which there was no room."""

    def room(self) -> int:
        """How many more requests can be sent just now."""
        return self._window - len(self.in_flight) if self.phase is Phase.OPEN else 0

    def enter(self, call: Call) -> None:
        """As `admit`, for a request that was sent: with `room`, within `max_message_bytes`, to this journal."""
        self.in_flight[call.correlation] = call
        self._earliest_deadline_ns = min(self._earliest_deadline_ns, call.deadline_ns)

    def withdraw(self, call: Call) -> NotSent:
        """The carrier did not take the request: it was not sent."""
        self.in_flight.pop(call.correlation, None)
        return NotSent("the carrier did not take the message (its queue is full, or the connection just went)")

    def abandon(self, call: Call, reason: str) -> None:
        """Give a call up: its outcome is unknown. A reply that comes later is ignored."""
        if call.conclusion is None:
            self.in_flight.pop(call.correlation, None)
            call.conclude(Unknown(reason))

    def watch_open(self, deadline_ns: int) -> Call:
        """A call that concludes when the path opens (`Replied`), or fails to (`NotSent`, `Refused`)."""
        watcher = Call(0, deadline_ns, Welcome)
        if self.phase is Phase.OPEN:
            watcher.conclude(Replied(self.welcome))
        elif self.phase in (Phase.HALTED, Phase.CLOSED):
            watcher.conclude(self.refuse_locally() or NotSent(self.not_open_reason))
        else:
            self._watchers.append(watcher)
        return watcher

    # ---- lifecycle ----

    def start(self, now_ns: int) -> None:
        """Connect, and stay connected."""
        if self.phase is Phase.IDLE:
            self._connect(now_ns)

    def bind_journal(self, journal_id: str) -> None:
        """Accept no engine but the one of this journal; raises `JournalMismatchError` if it is bound to another."""
        if self.journal_id and journal_id != self.journal_id:
            raise JournalMismatchError(
                f"the fast path's engine has journal {self.journal_id}, the other path's {journal_id}: "
                "both endpoints must name one engine"
            )
        self.journal_id = journal_id

    def close(self) -> None:
        """End for good. Requests in flight are unknown."""
        if self.phase is not Phase.CLOSED:
            self._drop("the client was closed", Phase.CLOSED)

    def carrier_ready(self) -> None:
        """The transport's handshake is done: introduce ourselves."""
        if self.phase is not Phase.CONNECTING:
            return
        self.phase = Phase.GREETING
        hello = Hello(
            client=self._config.client_name,
            session_id=self._config.session_id,
            resume_from=self.last_sequence,
            account=self._config.account,
        )
        # Without a correlation number of its own a refusal of the Hello could not be told from a stray one.
        self.actions.append(Send(self.encode(self.next_correlation(), "", hello)))

    def carrier_lost(self, reason: str, now_ns: int) -> None:
        """The connection went, or could not be made."""
        if self.phase in _CONNECTED:
            self._fail(reason, now_ns)

    def timer_ns(self) -> int | None:
        """When `on_time` has something to do, at the earliest."""
        earliest_ns = min(self._timer_ns, self._earliest_deadline_ns)
        return None if earliest_ns == NEVER_NS else earliest_ns

    def on_time(self, now_ns: int) -> None:
        """Let time pass: deadlines of calls, of the handshake, and the back-off's end."""
        if now_ns >= self._earliest_deadline_ns:
            self._expire(now_ns)
        if now_ns < self._timer_ns:
            return
        self._timer_ns = NEVER_NS
        if self.phase in (Phase.BACKOFF, Phase.HALTED):
            self._connect(now_ns)
        elif self.phase in (Phase.CONNECTING, Phase.GREETING):
            waited_for = "ZMTP handshake" if self.phase is Phase.CONNECTING else "Welcome"
            self._fail(f"no {waited_for} within {self._config.connect_timeout_ms:g} ms", now_ns)

    # ---- what comes from the engine ----

    def received(self, data: bytes, now_ns: Callable[[], int]) -> None:
        """Take one message, as bytes. `now_ns` is asked only where time matters (a reply's does not)."""
        try:
            correlation, body = self._decode(data)
        except WireDecodeError as error:
            self.carrier_lost(f"the engine sent what is no message: {error}", now_ns())
            return
        self.take(correlation, body, now_ns)

    def take(self, correlation: int, body: Any, now_ns: Callable[[], int]) -> None:
        """As `received`, for a message that its carrier has decoded."""
        self.take_all(((correlation, body),), now_ns)

    def take_all(self, messages: Iterable[tuple[int, Any]], now_ns: Callable[[], int]) -> None:
        """As `take`, for what came at once, up to the first that asks for an action. On the way of every order."""
        calls = self.in_flight
        actions = self.actions
        for correlation, body in messages:
            call = calls.pop(correlation, None)
            kind: type[Any] = body.__class__
            if call is None:
                self._received_unasked(correlation, body, now_ns)
            elif kind is call.expects:
                # `conclude`, written out: what is in flight has no conclusion yet.
                if kind is ExecuteReply:
                    reply: OrderReply = body.reply
                    if reply.sequence > (self.last_sequence or 0):
                        self.last_sequence = reply.sequence
                    call.conclusion = Replied(reply, body.duplicate, correlation)
                else:
                    call.conclusion = Replied(body, getattr(body, "duplicate", False), correlation)
                if call.wake is not None:
                    call.wake(call)
                continue
            elif kind is Refusal:
                self._refused(call, body, now_ns)
            else:
                call.conclude(Unknown(f"the engine answered with {kind.__name__}, which answers something else"))
                self.carrier_lost(f"an answer of the wrong kind: {kind.__name__}", now_ns())
            if actions:
                return

    def _refused(self, call: Call, refusal: Refusal, now_ns: Callable[[], int]) -> None:
        conclusion = self._other_journal(refusal.journal_id) or Refused(refusal.code, refusal.message, refusal.field)
        call.conclude(conclusion)
        if conclusion.code in (ReasonCode.JOURNAL_ID_MISMATCH, ReasonCode.STATE_REGRESSED):
            self._halt(conclusion, now_ns())
        elif refusal.code == ReasonCode.HELLO_REQUIRED:
            self.carrier_lost("the engine does not know this connection's Hello", now_ns())

    def _received_unasked(self, correlation: int, body: EngineMessage, now_ns: Callable[[], int]) -> None:
        stream = self.streams.get(correlation)
        if stream is not None:
            stream(body)
        elif isinstance(body, Welcome):
            self._welcomed(body, now_ns())
        elif isinstance(body, GoingAway):
            self._going_away(body)
        elif isinstance(body, Refusal) and self.phase is Phase.GREETING:
            self._hello_refused(body, now_ns())
        elif correlation:
            self.late_replies += 1

    def _welcomed(self, welcome: Welcome, now_ns: int) -> None:
        if self.phase is not Phase.GREETING:
            return
        fault = self._fault_of(welcome)
        if fault is not None:
            self._halt(fault, now_ns)
            return
        self.phase = Phase.OPEN
        self.halted = Refused(ReasonCode.NONE)
        self.journal_id = welcome.journal_id
        self.epoch = welcome.epoch
        self.connection += 1
        self.welcome = welcome
        self._timer_ns = NEVER_NS
        self._failures = 0
        limit = welcome.limits.max_in_flight
        self._set_window(min(self._config.max_in_flight, limit) if limit else self._config.max_in_flight)
        self.max_message_bytes = welcome.limits.max_message_bytes or UNLIMITED
        self.actions.append(
            Tell(PathConnected(journal_id=self.journal_id, epoch=self.epoch, connection=self.connection))
        )
        self._conclude_watchers(Replied(welcome))

    def _fault_of(self, welcome: Welcome) -> Refused | None:
        if welcome.protocol_version != PROTOCOL_VERSION:
            return Refused(
                ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
                f"the engine speaks protocol version {welcome.protocol_version}, this client {PROTOCOL_VERSION}",
            )
        if not welcome.journal_id:
            return Refused(ReasonCode.MALFORMED_MESSAGE, "the engine's Welcome names no journal")
        other = self._other_journal(welcome.journal_id)
        if other is not None:
            return other
        if welcome.last_sequence < (self.last_sequence or 0) or welcome.epoch < self.epoch:
            return Refused(
                ReasonCode.STATE_REGRESSED,
                f"the engine is at update {welcome.last_sequence} of epoch {welcome.epoch}; this client has seen "
                f"update {self.last_sequence or 0} of epoch {self.epoch}. An older copy of its data is running",
            )
        return None

    def _other_journal(self, journal_id: str) -> Refused | None:
        """The fault, where another journal answers than ours. To be asked first: that one's numbers say nothing."""
        if not journal_id or not self.journal_id or journal_id == self.journal_id:
            return None
        return Refused(
            ReasonCode.JOURNAL_ID_MISMATCH,
            f"{self._config.zmq_endpoint} answers with journal {journal_id}; this client belongs to "
            f"{self.journal_id}. Check the endpoint and the engine's data directory",
        )

    def _going_away(self, notice: GoingAway) -> None:
        if self.phase is Phase.OPEN:
            self.phase = Phase.DRAINING
            self.not_open_reason = f"the engine is shutting down: {notice.message}"
            self.actions.append(Tell(PathGoingAway(message=notice.message, drain_ms=notice.drain_ms)))

    _FINAL_HELLO_REFUSALS: Final = frozenset(
        {
            ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
            ReasonCode.STATE_REGRESSED,
            ReasonCode.JOURNAL_ID_MISMATCH,
            ReasonCode.UNAUTHENTICATED,
            ReasonCode.PERMISSION_DENIED,
            ReasonCode.ACCOUNT_NOT_ALLOWED,
            ReasonCode.MALFORMED_MESSAGE,
            ReasonCode.INVALID_FIELD,
        }
    )

    def _hello_refused(self, refusal: Refusal, now_ns: int) -> None:
        other = self._other_journal(refusal.journal_id)
        if other is not None:
            self._halt(other, now_ns)
        elif refusal.code in self._FINAL_HELLO_REFUSALS:
            message = refusal.message
            if refusal.supported_protocol_versions:
                versions = ", ".join(map(str, refusal.supported_protocol_versions))
                message = f"{message} (the engine speaks {versions}; this client {PROTOCOL_VERSION})"
            self._halt(Refused(refusal.code, message, refusal.field), now_ns)
        else:
            self._fail(f"the engine refused the Hello: {refusal.message}", now_ns, refusal.code)

    # ---- transitions that end a connection ----

    def _connect(self, now_ns: int) -> None:
        self.phase = Phase.CONNECTING
        self.not_open_reason = "connecting"
        self._timer_ns = now_ns + int(self._config.connect_timeout_ms * NS_PER_MS)
        self.actions.append(OpenCarrier())

    def _fail(self, reason: str, now_ns: int, code: ReasonCode = ReasonCode.NONE) -> None:
        """The connection is of no more use: drop it, and try again after a pause that doubles with each failure."""
        self._drop(reason, Phase.BACKOFF, code)
        self._come_back(now_ns)

    def _come_back(self, now_ns: int) -> None:
        pause_ms = min(self._config.reconnect_min_ms * 2.0 ** min(self._failures, 30), self._config.reconnect_max_ms)
        self._failures += 1
        # Up to a quarter less, so that clients of one engine do not come back as one.
        self._timer_ns = now_ns + int(pause_ms * (1.0 - 0.25 * self._jitter()) * NS_PER_MS)

    def _halt(self, fault: Refused, now_ns: int) -> None:
        self.halted = fault
        self._drop(fault.message, Phase.HALTED, fault.code)
        if fault.code == ReasonCode.JOURNAL_ID_MISMATCH:
            self._come_back(now_ns)

    def _drop(self, reason: str, phase: Phase, code: ReasonCode = ReasonCode.NONE) -> None:
        was, self.phase = self.phase, phase
        self.not_open_reason = reason
        self._timer_ns = NEVER_NS
        self._earliest_deadline_ns = NEVER_NS
        calls = list(self.in_flight.values())
        self.in_flight.clear()
        self.streams.clear()
        if was in _CONNECTED:
            self.actions.append(CloseCarrier())
        if was in (Phase.OPEN, Phase.DRAINING):
            if phase is not Phase.CLOSED:
                self.actions.append(Tell(PathLost(reason=reason, in_flight=len(calls))))
        elif phase is not Phase.CLOSED:
            self.actions.append(Tell(PathRefused(reason=reason, code=code)))
        for call in calls:
            call.conclude(Unknown(reason))
        self._conclude_watchers(self.halted if phase is Phase.HALTED else _not_opened(reason, code))

    def _conclude_watchers(self, conclusion: Conclusion[Any]) -> None:
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher.conclude(conclusion)

    def _expire(self, now_ns: int) -> None:
        expired = [call for call in self.in_flight.values() if call.deadline_ns <= now_ns]
        for call in expired:
            self.abandon(call, "no reply before the deadline")
        self._earliest_deadline_ns = min((call.deadline_ns for call in self.in_flight.values()), default=NEVER_NS)


def _not_opened(reason: str, code: ReasonCode) -> Conclusion[Any]:
    return Refused(code, reason) if code != ReasonCode.NONE else NotSent(reason)
