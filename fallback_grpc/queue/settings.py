"""How large the queue is, how much it sends at once, and how long it waits."""

from __future__ import annotations

import math

import msgspec

from transport.contract.errors import ValidationError


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one queue, checked when made."""

    capacity: int = 10_000
    """Orders from `put` until their final event was acknowledged; a tenth more for cancels."""
    batch_orders: int = 128
    """Orders of one `ExecuteBatch`; halved by itself where the engine takes less."""
    max_in_flight: int = 512
    """Orders and cancels that are with the client at once."""
    urgent_streak: int = 16
    """So many market orders and cancels in a row may pass an ordinary order that waits; then that one goes."""
    retry_min_ms: float = 20.0
    retry_max_ms: float = 1_000.0
    """Pauses between copies of an order grow from the one to the other, doubling."""
    receipt_after_ms: float = 100.0
    """An order without an answer for so long is asked for (`GetOrder`), so that its receipt does not wait for a slow
    venue; again after twice the time, and so on to `retry_max_ms`."""
    most_asks: int = 32
    """Such queries at once."""
    write_patience_ms: float = 20.0
    """How long a conclusion may wait for company before it is written; new orders never wait."""
    writes_at_once: int = 1_024
    """Rows of one transaction."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not 0 < getattr(self, name) < math.inf:
                raise ValidationError(
                    f"queue: {name} = {getattr(self, name)!r} must be above 0, and finite", field=name
                )
