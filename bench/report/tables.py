"""The tables of a run: one for each group with ratios against its floor and against gRPC, and the targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench import registry
from bench.interleave import Measured
from bench.rows.row import Group, UnavailableError
from bench.run import Run
from bench.samples import Samples, paired_ratio_spread
from bench.targets import Outcome, Verdict


@dataclass(frozen=True)
class Table:
    """Headings and cells, as text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    """So many columns from the left are texts; the others are numbers."""


def group_table(run: Run, group: Group) -> Table | None:
    """The rows of one group that were measured; None if there is none."""
    found = [one for one in run.measured.values() if one.row.group == group.name]
    if not found:
        return None
    many = any(one.row.orders_per_call > 1 for one in found) and not group.name.startswith("codec")
    columns = ["row", "spins", "security", "p50", "p99", "p99.9", *(["orders/s"] if many else [])]
    references = [(name, title) for name, title in _references(run, group) if name]
    columns += [title for _, title in references]
    columns.append("notes")
    rows = [_cells(run, group, one, [name for name, _ in references], many=many) for one in found]
    return Table(f"{group.title} (us per order)", columns, rows)


def _references(run: Run, group: Group) -> list[tuple[str, str]]:
    there = [("", "")]
    for name, title in ((group.reference, "x floor"), (group.grpc_reference, "x faster than gRPC")):
        if name and run.samples(f"{group.name}/{name}") is not None:
            there.append((name, title))
    return there


def _cells(run: Run, group: Group, one: Measured, references: Sequence[str], *, many: bool) -> list[str]:
    row = one.row
    if one.failure is not None:
        text = str(one.failure).split("\n")[0]
        why = "left out" if isinstance(one.failure, UnavailableError) else f"FAILED: {type(one.failure).__name__}"
        blanks = ["-"] * (3 + many + len(references))
        return [row.name, row.spin, row.security, *blanks, f"{why}: {text[:80]}"]
    samples = one.samples
    cells = [row.name, row.spin, row.security, *(_percentile(samples, percent) for percent in (50, 99, 99.9))]
    if many:
        cells.append(f"{samples.orders_per_s:,.0f}")
    for name in references:
        other = run.samples(f"{group.name}/{name}")
        assert other is not None
        faster = name == group.grpc_reference
        if faster and one.floor:
            cells.append("")  # neither a disk nor an echo carries orders
            continue
        ratio = other.us(50) / samples.us(50) if faster else samples.us(50) / other.us(50)
        pair = (other, samples) if faster else (samples, other)
        low, high = paired_ratio_spread(*pair)
        cells.append(f"{ratio:.2f} ({low:.2f}-{high:.2f})")
    return [*cells, row.note]


def _percentile(samples: Samples, percent: float) -> str:
    return number(samples.us(percent)) if samples.can_say(percent) else "-"


def number(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def targets_table(outcomes: Sequence[Outcome]) -> Table:
    """Where to land, and where the run did."""
    rows = [
        [outcome.target.figure, outcome.bound if outcome.target.asked else "(not asked)", outcome.found, _loud(outcome)]
        for outcome in outcomes
    ]
    return Table("Where to land", ["figure", "asked", "found", "verdict"], rows, left=2)


def _loud(outcome: Outcome) -> str:
    if not outcome.target.asked:
        return "info"
    return f"!! {outcome.verdict} !!" if outcome.verdict == Verdict.MISS else str(outcome.verdict)


def all_tables(run: Run) -> list[Table]:
    """Every group's table, in the order of the report."""
    made = [group_table(run, group) for group in registry.groups().values()]
    return [table for table in made if table is not None]


def as_markdown(table: Table) -> str:
    """A Markdown table without its title."""
    rule = ["---" if place < table.left or column == "notes" else "--:" for place, column in enumerate(table.columns)]
    lines = [table.columns, rule, *[[cell.replace("|", "\\|") for cell in row] for row in table.rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
