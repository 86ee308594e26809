"""What a gRPC client knows about its path: which engine, whether connected, who listens. No I/O; any thread."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from fallback_grpc.status import FailedRpc, Metadata, conclude_failure, is_connection_failure
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import NotSent, Refused, Unknown
from transport.contract.config import BridgeConfig
from transport.contract.errors import ClientClosedError, ExecutionBridgeError, ForkedProcessError, StateRegressedError
from transport.contract.path import PathConnected, PathEvent, PathListener, PathLost, PathRefused
from transport.contract.replies import ExecuteReply, Health, OrderReply

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mark:
    """What had been seen of the engine when a request was sent: its answer may be late, but never from before that."""

    epoch: int
    journal_seq: int
    sequences: dict[str, int]
    """Of each account, its highest update."""


class GrpcPathState:
    """Connection state as the RPCs' ends show it. gRPC connects by itself; a reply is the proof that it has.

    gRPC has no handshake that says how far the client has come. So the answers are compared with what was seen before
    their requests went out: an epoch, a journal or an order's number below that comes from an engine that forgot.
    """

    def __init__(self, config: BridgeConfig) -> None:
        self._session_id = config.session_id
        self._lock = threading.Lock()
        self._listeners: list[PathListener] = []
        self._process = os.getpid()
        self._connections = 0
        self._expected_journal = ""
        self._refused_journal = False
        self.is_connected = False
        self.is_closed = False
        self.journal_id = ""
        self.epoch = 0
        self.regressed = ""
        """How the engine's state was seen to have gone back; empty: it was not. Nothing is sent any more then."""
        self._journal_seq = 0
        self._sequences: dict[str, int] = {}
        self._checked = 0
        """The connection on which the engine was last asked whether it has what this client has seen."""
        self.in_flight = 0
        self.metadata: Sequence[tuple[str, str]] = (("x-session-id", config.session_id),)
        """What every request carries."""

    @property
    def is_inherited(self) -> bool:
        """Whether this is the child of the process that made the client: what is open belongs to the parent."""
        return os.getpid() != self._process

    def check_process(self) -> None:
        """Raises if the client belongs to the process that this one was forked from."""
        if self.is_inherited:
            raise ForkedProcessError(
                f"this client was made in process {self._process} and gRPC does not survive a fork: "
                f"make a client of its own in process {os.getpid()}"
            )

    def check_alive(self) -> None:
        """Raises if the client is inherited or closed; for the beginning of a call, when nothing was sent yet."""
        self.check_process()
        if self.is_closed:
            raise ClientClosedError("the client is closed; nothing was sent")

    def add_listener(self, listener: PathListener) -> None:
        """Tells `listener` of every event from now on."""
        self._listeners.append(listener)

    def bind_journal(self, journal_id: str) -> None:
        """From now on every request names this journal, and no other engine is accepted."""
        self._expected_journal = self.journal_id = journal_id
        self.metadata = (("x-session-id", self._session_id), ("x-journal-id", journal_id))

    @property
    def stopped(self) -> ExecutionBridgeError | None:
        """Why nothing is sent any more, if so."""
        if self.regressed:
            return StateRegressedError(self.regressed)
        return ClientClosedError("the client is closed") if self.is_closed else None

    @property
    def must_ask(self) -> bool:
        """Whether a connection was lost since the engine last said who it is: ask for its health before all else."""
        return not self.is_connected and self._connections > 0

    def mark(self) -> Mark:
        """What has been seen so far."""
        return Mark(self.epoch, self._journal_seq, dict(self._sequences))

    def refusal(self) -> Refused | None:
        """The refusal of everything, once the engine's state went back."""
        return Refused(ReasonCode.STATE_REGRESSED, self.regressed) if self.regressed else None

    def check_answer(self, answer: object, mark: Mark, *, duplicate: bool = False) -> None:
        """Compares an answer with what had been seen when its request was sent."""
        if isinstance(answer, Health):
            if answer.epoch < mark.epoch or answer.journal_seq < mark.journal_seq:
                self._regress(
                    f"it is at record {answer.journal_seq} of epoch {answer.epoch}; this client has seen "
                    f"record {mark.journal_seq} of epoch {mark.epoch}"
                )
                return
            self._journal_seq = max(self._journal_seq, answer.journal_seq)
            self.identified(answer.journal_id, answer.epoch, mark)
        elif isinstance(answer, OrderReply):
            self._check_reply(answer, mark, duplicate)
        elif isinstance(answer, list):
            for each in cast("list[object]", answer):
                if isinstance(each, ExecuteReply):
                    self._check_reply(each.reply, mark, each.duplicate)

    def _check_reply(self, reply: OrderReply, mark: Mark, duplicate: bool) -> None:
        if not reply.sequence or duplicate:
            return  # the stored reply to an earlier copy carries the number of its time
        seen = mark.sequences.get(reply.account, 0)
        if reply.sequence <= seen:
            self._regress(f"update {reply.sequence} of account {reply.account} is new; this client has seen {seen}")
            return
        self._sequences[reply.account] = max(self._sequences.get(reply.account, 0), reply.sequence)

    def position_to_check(self, account: str) -> int | None:
        """The highest update seen, where the engine has not been asked since the connection was made whether it has it.

        Health says nothing of it: an older copy of the engine's data may have the epoch and the records that the last
        health check saw, and yet not the orders since.
        """
        return self._sequences.get(account) if self._checked != self._connections else None

    def position_checked(self, ended: Refused | NotSent | Unknown | None) -> bool:
        """Takes what asking came to (None: the engine has it); returns whether the path may be used.

        An engine that refuses to say (it has too many subscribers) is asked again, and its answers are compared anyway.
        """
        if ended is None:
            self._checked = self._connections
        elif isinstance(ended, Refused) and ended.code == ReasonCode.STATE_REGRESSED:
            self._regress(ended.message)
            return False
        return not isinstance(ended, NotSent | Unknown)

    def _regress(self, how: str) -> None:
        with self._lock:
            if self.regressed:
                return
            self.regressed = (
                f"the engine of journal {self.journal_id} has forgotten: {how}. An older copy of its data is running"
            )
            self.is_connected = False
        self._tell(PathRefused(reason=self.regressed, code=ReasonCode.STATE_REGRESSED))

    def replied(self, headers: Metadata | None, mark: Mark) -> bool:
        """Takes the headers of a reply; returns whether it was the stored reply to an earlier copy."""
        duplicate = False
        journal_id, epoch = self.journal_id, self.epoch
        for key, value in headers or ():
            if key == "x-duplicate":
                duplicate = value == "1"
            elif key == "x-journal-id" and isinstance(value, str):
                journal_id = value
            elif key == "x-epoch" and isinstance(value, str) and value.isdigit():
                epoch = int(value)
        if not self.is_connected or epoch != self.epoch or journal_id != self.journal_id:
            self.identified(journal_id, epoch, mark)
        return duplicate

    def identified(self, journal_id: str, epoch: int, mark: Mark) -> None:
        """The engine has said who it is: binds to it at first, and refuses any other later."""
        expected = self._expected_journal
        if expected and journal_id and journal_id != expected:
            self._mismatch(f"journal {journal_id} answers where {expected} was expected")
            return
        if epoch < mark.epoch:
            self._regress(f"it is in epoch {epoch}; this client has seen epoch {mark.epoch}")
            return
        with self._lock:
            if journal_id and not self._expected_journal:
                self.bind_journal(journal_id)
            self.epoch = max(epoch, self.epoch)  # an answer may be late
            if self.is_connected or self.regressed:
                return
            self.is_connected = True
            self._refused_journal = False
            self._connections += 1
            event = PathConnected(journal_id=journal_id, epoch=epoch, connection=self._connections)
        self._tell(event)

    def failed(self, failure: FailedRpc) -> Refused | NotSent | Unknown:
        """Takes the end of an RPC that failed; returns what it came to."""
        conclusion = conclude_failure(failure)
        if isinstance(conclusion, Refused) and conclusion.code == ReasonCode.JOURNAL_ID_MISMATCH:
            self._mismatch(conclusion.message)
        elif is_connection_failure(failure):
            assert not isinstance(conclusion, Refused)
            self.lost(conclusion.reason)
        return conclusion

    def lost(self, reason: str) -> None:
        """The connection is gone, or could not be opened."""
        with self._lock:
            was_connected, self.is_connected = self.is_connected, False
        if was_connected:
            self._tell(PathLost(reason=reason, in_flight=self.in_flight))
        else:
            self._tell(PathRefused(reason=reason))

    def _mismatch(self, reason: str) -> None:
        with self._lock:
            self.is_connected = False
            if self._refused_journal:
                return
            self._refused_journal = True
        self._tell(PathRefused(reason=reason, code=ReasonCode.JOURNAL_ID_MISMATCH))

    def _tell(self, event: PathEvent) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:  # a listener must not stop the path
                _log.exception("a path listener failed on %s", event)
