"""The closed vocabularies of the contract: types, sides, statuses and the one table of reason codes.

Values are those of the wire (`schemas/execution.fbs`). A value that this release does not know (a newer engine's)
becomes a member named `UNRECOGNISED_<value>` that keeps its number, so that an addition to a table cannot turn an
answer into an error.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class OpenEnum(IntEnum):
    """An enum that keeps numbers it has no name for; all of them fit 16 bits, as on the wire."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or not 0 <= value <= 0xFFFF:
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNRECOGNISED_{value}"
        member._value_ = value
        return cls._value2member_map_.setdefault(value, member)  # type: ignore[return-value]

    @property
    def is_recognised(self) -> bool:
        """Whether this release has a name for the value."""
        return not self.name.startswith("UNRECOGNISED_")


class OrderType(OpenEnum):
    """How an order is to be executed (WIRE.md section 3, "Types")."""

    MARKET = 0
    LIMIT = 1
    STOP_LOSS = 2
    TAKE_PROFIT = 3


class OrderSide(OpenEnum):
    """Buy or sell."""

    BUY = 0
    SELL = 1


class TimeInForce(OpenEnum):
    """How long what is not executed at once stays."""

    UNSPECIFIED = 0
    GTC = 1
    IOC = 2
    FOK = 3


class ExecutionStatus(OpenEnum):
    """Where an order stands (WIRE.md section 3, "Statuses")."""

    PENDING = 0
    FILLED = 1
    PARTIALLY_FILLED = 2
    CANCELLED = 3
    REJECTED = 4
    FAILED = 5

    @property
    def is_terminal(self) -> bool:
        """Whether the order can no longer change (a FAILED copy had no effect at all)."""
        return self in _TERMINAL_STATUSES


class TradingState(OpenEnum):
    """What an account may do."""

    UNSPECIFIED = 0
    ACTIVE = 1
    REDUCING = 2
    HALTED = 3


class ServingStatus(OpenEnum):
    """How the engine feels."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    DEGRADED = 3


class UpdateKind(OpenEnum):
    """Why an order update was sent."""

    UNSPECIFIED = 0
    ACCEPTED = 1
    FILL = 2
    CLOSED = 3
    REPLACED = 4
    TRIGGERED = 5
    LEG_CHANGED = 6
    REJECTED = 7


class ReasonCode(OpenEnum):
    """The one table of codes for replies, refusals and updates (WIRE.md section 7)."""

    NONE = 0
    MISSING_FIELD = 1
    INVALID_FIELD = 2
    OUT_OF_RANGE = 3
    CONFLICTING_VALUES = 4
    UNKNOWN_SYMBOL = 5
    PRICE_OFF_TICK = 6
    QUANTITY_OFF_STEP = 7
    UNSUPPORTED_CONTRACT_VERSION = 8
    ACCOUNT_NOT_ALLOWED = 9
    DUPLICATE_ORDER_ID = 20
    DUPLICATE_COMMAND_ID = 21
    FENCED = 22
    EXPIRED = 23
    ID_TOO_OLD = 24
    ID_FROM_FUTURE = 25
    UNKNOWN_ORDER = 30
    ORDER_CLOSED = 31
    ORDER_VERSION_MISMATCH = 32
    NO_LIQUIDITY = 40
    IOC_REMAINDER = 41
    FOK_UNFILLABLE = 42
    CANCELLED_BY_CLIENT = 43
    LEG_DONE = 44
    TRADING_HALTED = 45
    REDUCE_ONLY = 46
    VENUE_REJECTED = 47
    VENUE_UNAVAILABLE = 48
    ORDER_QUANTITY_LIMIT = 50
    ORDER_NOTIONAL_LIMIT = 51
    PRICE_COLLAR = 52
    NO_REFERENCE_PRICE = 53
    OPEN_ORDERS_LIMIT = 54
    POSITION_LIMIT = 55
    RATE_LIMIT = 56
    CANCELLED_ON_DISCONNECT = 57
    BUSY = 100
    SHUTTING_DOWN = 101
    JOURNAL_ID_MISMATCH = 102
    UNSUPPORTED_PROTOCOL_VERSION = 103
    MALFORMED_MESSAGE = 104
    MESSAGE_TOO_LARGE = 105
    NOT_IMPLEMENTED = 106
    UNAUTHENTICATED = 107
    PERMISSION_DENIED = 108
    STATE_REGRESSED = 109
    JOURNAL_FAILED = 110
    TOO_MANY_CONNECTIONS = 111
    HELLO_REQUIRED = 112
    BATCH_TOO_LARGE = 113
    TOO_MANY_SUBSCRIPTIONS = 114
    SLOW_CONSUMER = 115
    ID_QUOTA_EXCEEDED = 116
    DATA_LOSS = 117

    @property
    def is_refusal(self) -> bool:
        """Whether the code refuses a request before `apply`: that copy had no effect and is not remembered."""
        return self >= 100


_TERMINAL_STATUSES = frozenset(
    {ExecutionStatus.FILLED, ExecutionStatus.CANCELLED, ExecutionStatus.REJECTED, ExecutionStatus.FAILED}
)
