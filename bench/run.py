"""One run: what was measured so far, and the whole of it as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import registry
from bench.context import Context
from bench.interleave import Measured, measure_group
from bench.machine import Machine
from bench.rows.row import Group, Row
from bench.samples import Samples
from bench.sections import SectionResult


@dataclass
class Run:
    """Measures a group when the first of its rows is asked for; afterwards all rows of the group are there."""

    context: Context
    machine: Machine
    rows: Sequence[Row]
    """Those that were selected: of a group, only they take turns."""
    on_turn: Callable[[Group, int, int], None]
    measured: dict[str, Measured] = field(default_factory=dict[str, Measured])
    """By `group/row`."""
    sections: dict[str, SectionResult] = field(default_factory=dict[str, SectionResult])

    def measure(self, row: Row) -> Measured:
        """The row's times; its whole group is measured if it has not been."""
        key = key_of(row)
        if key not in self.measured:
            group = registry.groups()[row.group]
            chosen = [each for each in self.rows if each.group == row.group]
            told = self.on_turn
            for each in measure_group(self.context, group, chosen, lambda done, of: told(group, done, of)):
                self.measured[key_of(each.row)] = each
        return self.measured[key]

    def samples(self, key: str) -> Samples | None:
        """Times of `group/row`; None if it was not measured, or failed."""
        found = self.measured.get(key)
        return None if found is None or found.failure is not None or not found.rounds_ns else found.samples

    def term(self, name: str) -> float:
        """The number that a target names: `group/row@p50` in us per order, or a section's figure; NaN if not there.

        `group/row|other@p50`: the smaller of the two, where the comparison is against the best of several.
        """
        if "@p" not in name:
            figures = (result.figures for result in self.sections.values())
            return next((found[name] for found in figures if name in found), math.nan)
        rows, _, percent = name.partition("@p")
        group, _, names = rows.partition("/")
        samples = [self.samples(f"{group}/{row}") for row in names.split("|")]
        return min((each.us(float(percent)) for each in samples if each is not None), default=math.nan)

    def as_json(self) -> dict[str, Any]:
        """What goes into the run's file; the report reads nothing else."""
        effort = {name: self.context.effort(group) for name, group in registry.groups().items()}
        return {
            "profile": self.context.profile,
            "machine": self.machine.as_json(),
            "rows": {key: _row_json(found, effort[found.row.group].rounds) for key, found in self.measured.items()},
            "sections": {
                name: {"figures": result.figures, "data": result.data, "defects": result.defects}
                for name, result in self.sections.items()
            },
            "not_there": registry.missing(),
        }


def key_of(row: Row) -> str:
    """`group/row`."""
    return f"{row.group}/{row.name}"


def _row_json(found: Measured, rounds: int) -> dict[str, Any]:
    row = found.row
    written: dict[str, Any] = {"spin": row.spin, "security": row.security, "note": row.note}
    if found.failure is not None or found.facts is None:
        return written | {"failure": f"{type(found.failure).__name__}: {found.failure}"}
    return written | {
        "durability": found.facts.durability,
        "payload": found.facts.payload,
        "request_bytes": found.facts.request_bytes,
        "reply_bytes": found.facts.reply_bytes,
        "warm_up_calls": found.warm_up_calls,
        "lead_in_calls": found.lead_in_calls,
        "rounds": len(found.rounds_ns),
        "rounds_asked": rounds,
        **found.samples.as_json(),
    }
