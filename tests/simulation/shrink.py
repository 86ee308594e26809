"""Makes a failing schedule short: delta debugging over its actions, then simpler actions, then simpler settings.

A candidate counts if it still violates one of the checks that the first run did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from tests.simulation.schedule import Action, Place, PlaceBatch, PlaceStream, Schedule

MOST_RUNS: Final = 400
"""A bound of patience; what is reached by then is good enough to read."""


class Shrinker:
    """Shrinks one schedule; `fails` runs a candidate."""

    def __init__(self, fails: Callable[[Schedule], bool], most_runs: int = MOST_RUNS) -> None:
        self._fails = fails
        self._left = most_runs
        self.runs = 0

    def shrink(self, schedule: Schedule) -> Schedule:
        """The shortest that was found."""
        before = None
        while before != schedule and self._left > 0:
            before = schedule
            schedule = self._fewer_actions(schedule)
            schedule = self._simpler_actions(schedule)
            schedule = self._simpler_settings(schedule)
        return schedule

    def _still_fails(self, candidate: Schedule) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        self.runs += 1
        return self._fails(candidate)

    def _fewer_actions(self, schedule: Schedule) -> Schedule:
        """ddmin (Zeller and Hildebrandt 2002), removal only: halves, quarters, ..., single actions."""
        actions = list(schedule.actions)
        pieces = 2
        while len(actions) >= 2 and self._left > 0:
            size = max(len(actions) // pieces, 1)
            shorter = self._without_a_piece(schedule, actions, size)
            if shorter is not None:
                actions = shorter
                pieces = max(pieces - 1, 2)
            elif size == 1:
                break
            else:
                pieces = min(pieces * 2, len(actions))
        return msgspec.structs.replace(schedule, actions=tuple(actions))

    def _without_a_piece(self, schedule: Schedule, actions: list[Action], size: int) -> list[Action] | None:
        for begin in range(0, len(actions), size):
            rest = actions[:begin] + actions[begin + size :]
            if self._still_fails(msgspec.structs.replace(schedule, actions=tuple(rest))):
                return rest
        return None

    def _simpler_actions(self, schedule: Schedule) -> Schedule:
        index = 0
        while index < len(schedule.actions):
            for simpler in _simpler(schedule.actions[index]):
                actions = (*schedule.actions[:index], *simpler, *schedule.actions[index + 1 :])
                candidate = msgspec.structs.replace(schedule, actions=actions)
                if self._still_fails(candidate):
                    schedule = candidate
                    break
            index += 1
        return schedule

    def _simpler_settings(self, schedule: Schedule) -> Schedule:
        for name, value in _SIMPLEST.items():
            if getattr(schedule.settings, name) != value:
                settings = msgspec.structs.replace(schedule.settings, **{name: value})
                candidate = msgspec.structs.replace(schedule, settings=settings)
                if self._still_fails(candidate):
                    schedule = candidate
        return schedule


_SIMPLEST: Final[dict[str, Any]] = {
    "venue": "embedded",
    "durability": "always",
    "clients": 1,
    "prefer": "zmq",
    "hedge_after_us": 0,
    "update_history": 100_000,
    "max_parked_outputs": 200_000,
    "call_timeout_ms": 400.0,
    "outbox": True,
    "lease_ms": None,
    "reconciles": False,
    "subscribes": True,
}


def _simpler(action: Action) -> Iterator[Sequence[Action]]:
    """What could stand in the place of an action, the simplest first."""
    if isinstance(action, PlaceBatch | PlaceStream):
        half = len(action.orders) // 2
        if half:
            yield (msgspec.structs.replace(action, orders=action.orders[:half]),)
            yield (msgspec.structs.replace(action, orders=action.orders[half:]),)
        yield tuple(Place(at_ms=action.at_ms, order=order, client=action.client) for order in action.orders)
    if isinstance(action, Place):
        order = action.order
        plain = msgspec.structs.replace(order, stop_loss=None, take_profit=None, expires_in_ms=None, time_in_force=None)
        if plain != order:
            yield (msgspec.structs.replace(action, order=plain),)
    if getattr(action, "client", 0):
        yield (msgspec.structs.replace(action, client=0),)
