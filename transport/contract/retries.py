"""How often, and after what pause, a failed call is made again: the original's table, always under the same id."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from transport.contract.errors import (
    ExecutionBridgeError,
    ExecutionError,
    NetworkError,
    OutcomeUnknownError,
    ValidationError,
)


class RetryRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One category's rule."""

    max_retries: int = 0
    """Retries after the first attempt."""
    backoff: Literal["exponential", "linear", "none"] = "none"
    first_delay_ms: float = 20.0
    max_delay_ms: float = 1000.0

    def delay_ms(self, retry: int) -> float:
        """Pause before the retry with this number, from 1 on."""
        if self.backoff == "none":
            return 0.0
        factor = 2 ** min(retry - 1, 30) if self.backoff == "exponential" else retry
        return min(self.first_delay_ms * factor, self.max_delay_ms)


NEVER = RetryRule()
"""No retries."""


class RetryTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules by category of error (the original's RETRY_CONFIG). A retry always carries the same id and content."""

    network: RetryRule = RetryRule(max_retries=3, backoff="exponential")
    """Path failures, whether the copy was not sent or its outcome is unknown: the id makes both safe to repeat."""
    execution: RetryRule = RetryRule(max_retries=1, backoff="linear")
    """Refusals before `apply`, such as BUSY."""
    validation: RetryRule = NEVER
    """What is wrong stays wrong."""

    def __post_init__(self) -> None:
        for category in self.__struct_fields__:
            rule: RetryRule = getattr(self, category)
            for name in ("max_retries", "first_delay_ms", "max_delay_ms"):
                number: float = getattr(rule, name)
                if not 0 <= number < math.inf:
                    raise ValidationError(
                        f"configuration: retries.{category}.{name} = {number!r} must be 0 or above, and finite",
                        field="retries",
                    )

    def rule_for(self, error: ExecutionBridgeError) -> tuple[str, RetryRule]:
        """The category of an error and its rule; categories without a row are not retried."""
        if isinstance(error, NetworkError | OutcomeUnknownError):
            return "network", self.network
        if isinstance(error, ExecutionError):
            return "execution", self.execution
        if isinstance(error, ValidationError):
            return "validation", self.validation
        return "other", NEVER


NO_RETRIES = RetryTable(network=NEVER, execution=NEVER)
"""Every attempt's failure reaches the caller."""
