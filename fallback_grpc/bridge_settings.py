"""What the configuration says for failover: breakers, probes, the plan of a call; and why no path could be opened."""

from __future__ import annotations

from collections.abc import Mapping

from fallback_grpc.failover.breaker import BreakerSettings
from fallback_grpc.failover.plan import PlanPolicy
from fallback_grpc.failover.switchboard import SwitchboardSettings
from transport.contract.config import BridgeConfig
from transport.contract.errors import ExecutionBridgeError, NotSentError
from transport.contract.replies import Path

# A probe's answer takes a fraction of a millisecond; this leaves room for a busy machine.
_PROBE_TIMEOUT_MS = 500.0


def switchboard_settings(config: BridgeConfig) -> SwitchboardSettings:
    """Breakers and probes."""
    return SwitchboardSettings(
        breaker=BreakerSettings(
            failure_threshold=config.breaker_failure_threshold,
            window_ms=int(config.breaker_window_ms),
            slow_threshold=config.breaker_slow_call_share,
            slow_minimum=config.breaker_minimum_calls,
            pause_ms=int(config.breaker_open_ms),
            max_pause_ms=max(1_000, int(config.breaker_open_ms)),
            successes_to_close=config.breaker_half_open_probes,
        ),
        # A probe slower than its own time-out would be a failure: "slow" lies below that.
        slow_probe_ms=min(config.breaker_slow_call_ms, probe_timeout_ms(config) / 2),
    )


def plan_policy(config: BridgeConfig) -> PlanPolicy:
    """Retries, and the patience after which a copy without an answer gets company: half the call's time, or 1 s."""
    return PlanPolicy(retries=config.retries, patience_ms=min(1_000.0, config.call_timeout_ms / 2))


def probe_timeout_ms(config: BridgeConfig) -> float:
    """How long a probe may take: never less than two of the fast path's own beats."""
    return max(_PROBE_TIMEOUT_MS, 2.0 * config.heartbeat_timeout_ms)


def why_nothing_connected(failures: Mapping[Path, BaseException | None]) -> ExecutionBridgeError:
    """The error of a client none of whose paths opened: the engine's own refusal, if it spoke."""
    known = [failure for failure in failures.values() if isinstance(failure, ExecutionBridgeError)]
    serious = [failure for failure in known if not isinstance(failure, NotSentError)]
    if serious:
        return serious[0]
    reasons = "; ".join(f"{path}: {failure}" for path, failure in failures.items())
    return NotSentError(f"no path to the engine could be opened: {reasons}")
