"""What a gRPC client knows about its path: which engine, whether connected, who listens. No I/O; any thread."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence

from fallback_grpc.status import FailedRpc, Metadata, conclude_failure, is_connection_failure
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import NotSent, Refused, Unknown
from transport.contract.config import BridgeConfig
from transport.contract.errors import ClientClosedError, ForkedProcessError
from transport.contract.path import PathConnected, PathEvent, PathListener, PathLost, PathRefused

_log = logging.getLogger(__name__)


class GrpcPathState:
    """Connection state as the RPCs' ends show it. gRPC connects by itself; a reply is the proof that it has."""

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

    def replied(self, headers: Metadata | None) -> bool:
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
            self.identified(journal_id, epoch)
        return duplicate

    def identified(self, journal_id: str, epoch: int) -> None:
        """The engine has said who it is: binds to it at first, and refuses any other later."""
        with self._lock:
            expected = self._expected_journal
            if expected and journal_id and journal_id != expected:
                self._mismatch(journal_id)
                return
            if journal_id and not expected:
                self.bind_journal(journal_id)
            self.epoch = epoch
            if self.is_connected:
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
            with self._lock:
                self._mismatch("another one", conclusion.message)
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

    def _mismatch(self, found: str, message: str = "") -> None:
        self.is_connected = False
        if self._refused_journal:
            return
        self._refused_journal = True
        reason = message or f"journal {found} answers where {self._expected_journal} was expected"
        self._tell(PathRefused(reason=reason, code=ReasonCode.JOURNAL_ID_MISMATCH))

    def _tell(self, event: PathEvent) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:  # a listener must not stop the path
                _log.exception("a path listener failed on %s", event)
