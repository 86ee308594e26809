"""What the transport could not do, as one hierarchy of exceptions; each says what the caller should do.

A rejected order is a reply and never one of these (invariant 11); who wants an exception calls
`OrderReply.raise_for_rejection()`.
"""

from __future__ import annotations

from transport.contract.codes import ReasonCode


class ExecutionBridgeError(Exception):
    """Base of everything the bridge raises."""


class NetworkError(ExecutionBridgeError):
    """The network or the path failed, and nothing was left in doubt: trying again is safe.

    As such, and not as `NotSentError`, it is what a query ends in that got no answer in time: `health_check`,
    `open_orders`, `get_order` without a fence. A query that an engine refused raises what it was refused with.
    """


class NotSentError(NetworkError):
    """The request never left this process on any path: send it again whenever and wherever you like."""


class AuthenticationError(ExecutionBridgeError):
    """The engine does not know this client, or does not allow it this: check keys and account."""


class ValidationError(ExecutionBridgeError):
    """A value cannot be sent, or the order was rejected for it: correct `field`; trying again does not help."""

    def __init__(self, message: str, *, field: str = "", code: ReasonCode = ReasonCode.INVALID_FIELD) -> None:
        super().__init__(message)
        self.field = field
        self.code = code


class ExecutionError(ExecutionBridgeError):
    """The engine refused before `apply` (`code` from 100 on), or, from `raise_for_rejection`, rejected the order.

    A refusal executed nothing. With `BUSY` and `SHUTTING_DOWN` the same id may be sent again after a pause.
    """

    def __init__(self, message: str, *, code: ReasonCode, field: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.field = field


class EngineSystemError(ExecutionBridgeError):
    """Something is wrong with the engine or with which engine this is: stop, and look at it."""

    def __init__(self, message: str, *, code: ReasonCode = ReasonCode.NONE) -> None:
        super().__init__(message)
        self.code = code


class StateRegressedError(EngineSystemError):
    """The engine has forgotten what this client has seen (an older disk, another engine): stop, and call somebody."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=ReasonCode.STATE_REGRESSED)


class JournalMismatchError(EngineSystemError):
    """Another engine than the one this client began with answers here: check endpoints and data directory."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=ReasonCode.JOURNAL_ID_MISMATCH)


class OutcomeUnknownError(ExecutionBridgeError):
    """The request may have been executed, and no answer came: not in its time, nor in the time for finding out.

    What to do: `client.resolve(order_id)` once a path is back (the bridge remembers the order), or by hand: send the
    same order again **under the same id**, on any path (it executes once), or ask `get_order(order_id, fence=True)`:
    found, or it never will be. A command goes again under its `command_id`. Never order anew under another id before
    that. This derives from the base alone, so that an `except NetworkError: order_again()` cannot double an order.
    """

    def __init__(
        self,
        message: str,
        *,
        order_ids: tuple[str, ...] = (),
        command_id: str = "",
        copies: int = 0,
        paths: tuple[str, ...] = (),
        reason: str = "",
        path_alive: bool = False,
        refusal: ReasonCode = ReasonCode.NONE,
    ) -> None:
        super().__init__(message)
        self.order_ids = order_ids
        """The orders in doubt."""
        self.command_id = command_id
        self.copies = copies
        """How many copies were sent, or tried to be; 0: not counted."""
        self.paths = paths
        """The paths they took, in the order of their first use."""
        self.reason = reason
        """What was last heard of a copy."""
        self.path_alive = path_alive
        """Whether a path was alive at the end: then the engine did not answer; else it could not be asked."""
        self.refusal = refusal
        """The code by which the engine refuses further copies, if it does: asking with a fence may still be allowed."""

    @property
    def order_id(self) -> str:
        """The order in doubt; empty where it was a command or a batch (see `order_ids`, `command_id`)."""
        return self.order_ids[0] if len(self.order_ids) == 1 else ""


class ForkedProcessError(ExecutionBridgeError):
    """A client made before `os.fork` was used in the child: make a client of its own in the child."""


class WrongLoopError(ExecutionBridgeError):
    """An asyncio client was used in another event loop than the one it began in: make one client per loop."""


class ClientClosedError(NotSentError):
    """The client was closed, or never connected: nothing was sent."""


class WireDecodeError(ExecutionBridgeError):
    """Bytes from the engine are no message of this protocol; the connection they came by is given up."""


_VALIDATION_REFUSALS = frozenset({ReasonCode.MESSAGE_TOO_LARGE, ReasonCode.BATCH_TOO_LARGE})
_AUTHENTICATION_REFUSALS = frozenset(
    {ReasonCode.UNAUTHENTICATED, ReasonCode.PERMISSION_DENIED, ReasonCode.ACCOUNT_NOT_ALLOWED}
)
_SYSTEM_REFUSALS = frozenset(
    {
        ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
        ReasonCode.MALFORMED_MESSAGE,
        ReasonCode.JOURNAL_FAILED,
        ReasonCode.HELLO_REQUIRED,
        ReasonCode.DATA_LOSS,
    }
)


def error_for_code(code: ReasonCode, message: str, field: str = "") -> ExecutionBridgeError:
    """The exception for a refusal or a rejection with this code (the table is WIRE.md section 7)."""
    text = f"{code.name}: {message}" if message else code.name
    if field:
        text = f"{text} (field {field})"
    if code == ReasonCode.STATE_REGRESSED:
        return StateRegressedError(text)
    if code == ReasonCode.JOURNAL_ID_MISMATCH:
        return JournalMismatchError(text)
    if code in _AUTHENTICATION_REFUSALS:
        return AuthenticationError(text)
    if code in _SYSTEM_REFUSALS:
        return EngineSystemError(text, code=code)
    if code in _VALIDATION_REFUSALS or ReasonCode.MISSING_FIELD <= code < ReasonCode.ACCOUNT_NOT_ALLOWED:
        return ValidationError(text, field=field, code=code)
    return ExecutionError(text, code=code, field=field)
