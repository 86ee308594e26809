"""Round-robin: in each round every row of a group has one turn, so that all meet the same weather of the machine.

pytest-benchmark's `pedantic` runs all rounds of one row before the next row's: on a virtual machine whose clock rate,
neighbours and caches drift, that compares the weather. Here the rounds are made first, of all rows of the group in
turn; `bench.conftest` then replays each row's rounds to pytest-benchmark through a timer that reads them from tape.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench.context import Context
from bench.rows.row import Effort, Facts, Group, Opened, Row
from bench.samples import Samples

SEED = 20_240_610
"""Of the order within each round: shuffled, so that no row always follows the same one; the same in every run."""


@dataclass
class Measured:
    """What came of one row."""

    row: Row
    facts: Facts | None = None
    floor: bool = False
    warm_up_calls: int = 0
    lead_in_calls: int = 0
    rounds_ns: list[list[int]] = field(default_factory=list[list[int]])
    failure: BaseException | None = None
    """Why it could not be opened or measured; it has no samples then."""

    @property
    def samples(self) -> Samples:
        """Its times. Raises `ValueError` where it failed."""
        if self.failure is not None or not self.rounds_ns:
            raise ValueError(f"{self.row.group}/{self.row.name} was not measured: {self.failure}")
        return Samples(self.rounds_ns, self.row.orders_per_call)


def order_of_turns(names: Sequence[str], rounds: int, seed: int = SEED) -> list[list[str]]:
    """For every round, each name once, shuffled."""
    draw = random.Random(seed)
    return [draw.sample(list(names), len(names)) for _ in range(rounds)]


def measure_group(
    context: Context, group: Group, rows: Sequence[Row], on_turn: Callable[[int, int], None] = lambda done, of: None
) -> list[Measured]:
    """Opens all rows, warms each up, and gives them their turns; a row that fails is left out, and says why.

    `on_turn(done, of)` is told after every turn.
    """
    effort = context.effort(group)
    with ExitStack() as held:
        found = {row.name: Measured(row) for row in rows}
        opened: dict[str, Opened] = {}
        for row in rows:
            _open(context, held, effort, found[row.name], opened)
        # What is alive now (modules, clients) is not looked through by the collections of the turns.
        gc.collect()
        gc.freeze()
        try:
            _take_turns(effort, found, opened, on_turn)
        finally:
            gc.unfreeze()
    return list(found.values())


def _open(context: Context, held: ExitStack, effort: Effort, measured: Measured, opened: dict[str, Opened]) -> None:
    try:
        one = held.enter_context(measured.row.open(context))
        one.timed(effort.warm_up_calls)
    except Exception as failure:
        measured.failure = failure
        return
    measured.facts, measured.floor = one.facts, one.floor
    measured.warm_up_calls = effort.warm_up_calls
    opened[measured.row.name] = one


def _take_turns(
    effort: Effort, found: dict[str, Measured], opened: dict[str, Opened], on_turn: Callable[[int, int], None]
) -> None:
    turns = order_of_turns(list(opened), effort.rounds)
    for number, names in enumerate(turns):
        for name in names:
            measured = found[name]
            if measured.failure is None:
                gc.collect()
                _take_turn(effort, measured, opened[name])
        on_turn(number + 1, len(turns))


def _take_turn(effort: Effort, measured: Measured, opened: Opened) -> None:
    try:
        taken_ns = opened.timed(effort.lead_in_calls + effort.calls)
    except Exception as failure:
        measured.failure = failure
        measured.rounds_ns.clear()
        return
    measured.lead_in_calls = effort.lead_in_calls
    measured.rounds_ns.append(taken_ns[effort.lead_in_calls :])
