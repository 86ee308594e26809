"""What is known of one path: its connection, breaker and journal, why it is not used, and when it is probed."""

from __future__ import annotations

from fallback_grpc.failover.breaker import BreakerSettings, CircuitBreaker
from transport.contract.codes import ReasonCode


class PathRecord:
    """One path of a switchboard, which guards it."""

    __slots__ = (
        "breaker", "connected", "journal_id", "mismatched", "next_probe_ns", "reason", "refusal", "rests_until_ns",
    )  # fmt: skip

    def __init__(self, settings: BreakerSettings) -> None:
        """A path that never connected."""
        self.breaker = CircuitBreaker(settings)
        self.connected = False
        self.journal_id = ""
        self.mismatched = False
        self.next_probe_ns = 0
        self.rests_until_ns = 0
        """When the path's prober looks again, if nobody wakes it; 0: it does not rest."""
        self.reason = "not connected yet"
        self.refusal = ReasonCode.NONE
        """The code by which the engine refused the path as such; its reason stands until the path connects."""

    @property
    def usable(self) -> bool:
        """Whether orders may go by it."""
        return self.connected and not self.mismatched and self.breaker.permits_orders

    @property
    def probe_due_ns(self) -> int:
        """When it is to be probed next."""
        at_open = self.breaker.probe_at_ns
        return self.next_probe_ns if at_open is None else at_open
