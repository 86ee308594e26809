"""What the configuration says for failover: which paths, breakers, probes, the plan of a call; and why none opened."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from fallback_grpc.failover.breaker import BreakerSettings
from fallback_grpc.failover.plan import PlanPolicy
from fallback_grpc.failover.switchboard import SwitchboardSettings
from transport.contract.config import ENVIRONMENT_PREFIX, BridgeConfig
from transport.contract.errors import ExecutionBridgeError, JournalMismatchError, NotSentError
from transport.contract.replies import Path

# A probe's answer takes a fraction of a millisecond; this leaves room for a busy machine.
_PROBE_TIMEOUT_MS = 500.0
# The original's names of settings that have another here.
_NAMES = {"rust_endpoint": "grpc_endpoint"}


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """The configuration of a bridge, and what is to be concluded from which endpoints were given."""

    config: BridgeConfig
    paths: tuple[Path, ...] = ("zmq", "grpc")
    """The paths to use, best first."""
    one_engine: bool = True
    """Both endpoints are meant: two engines behind them are an error, not a path that is left out."""

    @property
    def inner(self) -> BridgeSettings:
        """For the clients that a bridge is made of: what is said to the engine once, the bridge says."""
        return replace(self, config=msgspec.structs.replace(self.config, cancel_on_disconnect_ms=None))


def bridge_settings(
    config: Mapping[str, Any] | BridgeConfig | BridgeSettings | None, settings: Mapping[str, Any] | None = None
) -> BridgeSettings:
    """Reads what a bridge client is made from; `settings` stand over `config`, and both over the environment.

    - Only gRPC's endpoint was given: gRPC alone. The default of the fast path might be somebody else's engine.
    - Only the fast path's was given: gRPC at its default helps if the same engine answers there.
    - Both or neither: both are meant. So they are in a `BridgeConfig`, whose fields have all been decided on.
    """
    if isinstance(config, BridgeSettings):
        return config
    if isinstance(config, BridgeConfig):
        settings = settings or {}
        return BridgeSettings(BridgeConfig.of(config, **settings))
    given = _canonical(config or {}) | _canonical(settings or {})
    names = {name for name, value in given.items() if value is not None} | _named_in_environment()
    read = BridgeConfig.of(given)
    if "grpc_endpoint" in names and "zmq_endpoint" not in names:
        return BridgeSettings(read, ("grpc",))
    return BridgeSettings(read, one_engine=("grpc_endpoint" in names) == ("zmq_endpoint" in names))


def check_one_engine(settings: BridgeSettings, states: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises `JournalMismatchError` if both endpoints are meant and two engines answer there."""
    strange = [name for name, state in states.items() if state["journal_mismatch"]]
    if settings.one_engine and strange:
        config = settings.config
        journals = "; ".join(f"{name}: {state['journal_id'] or state['reason']}" for name, state in states.items())
        raise JournalMismatchError(
            f"zmq_endpoint {config.zmq_endpoint} and grpc_endpoint {config.grpc_endpoint} name different engines "
            f"(journals: {journals}). Give the endpoints of one"
        )


def _canonical(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {_NAMES.get(name, name): value for name, value in settings.items()}


def _named_in_environment() -> set[str]:
    names = {
        name.removeprefix(ENVIRONMENT_PREFIX).lower() for name in os.environ if name.startswith(ENVIRONMENT_PREFIX)
    }
    return {_NAMES.get(name, name) for name in names}


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


def in_preference(paths: Iterable[Path], config: BridgeConfig) -> tuple[Path, ...]:
    """The paths, the one that calls are to take first first."""
    return tuple(sorted(paths, key=lambda path: path != config.prefer))


def plan_policy(config: BridgeConfig) -> PlanPolicy:
    """Retries, and the patience after which a copy without an answer gets company: half the call's time, or 1 s."""
    return PlanPolicy(
        retries=config.retries,
        patience_ms=min(1_000.0, config.call_timeout_ms / 2),
        resolution_ms=config.unknown_resolution_ms,
        hedge_after_us=config.hedge_after_us,
    )


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
