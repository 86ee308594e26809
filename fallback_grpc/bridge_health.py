"""What `health_check` of a bridge client answers: the engine, and the paths to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from transport.contract.codes import ServingStatus
from transport.contract.errors import ExecutionBridgeError
from transport.contract.replies import Health, Path


class BridgeHealth(Health, frozen=True, kw_only=True):
    """The engine's health, and what the bridge knows of its paths."""

    checks: dict[str, bool] = msgspec.field(default_factory=dict[str, bool])
    """Each path by name (`zmq`, `grpc`): may it carry orders now?"""
    paths: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict[str, dict[str, Any]])
    """Details of each path: connected, breaker, journal_id, reason."""
    path: Path | None = None
    """Which path brought this answer."""

    @property
    def healthy(self) -> bool:
        """The original's verdict: the engine takes orders, and every path is well."""
        return self.is_serving and all(self.checks.values())


def stopped_health(why: ExecutionBridgeError, journal_id: str, states: Mapping[str, dict[str, Any]]) -> BridgeHealth:
    """The health of a bridge that uses no path any more (`why`): nobody was asked."""
    return BridgeHealth(
        status=ServingStatus.NOT_SERVING,
        message=str(why),
        journal_id=journal_id,
        checks=dict.fromkeys(states, False),
        paths=dict(states),
    )


def bridge_health(engine: Health, states: Mapping[str, dict[str, Any]], path: Path) -> BridgeHealth:
    """The engine's answer that came by `path`, with the states of all paths."""
    fields = {name: getattr(engine, name) for name in Health.__struct_fields__}
    checks = {name: bool(state["usable"]) for name, state in states.items()}
    return BridgeHealth(**fields, checks=checks, paths=dict(states), path=path)
