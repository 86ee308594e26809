"""What is measured in another shape than rows (load, growth, stages): the interface between a section and the report.

A section is a module that exports `SECTION: Section`; `bench.registry` names the modules. `run` measures and returns;
the report writes its data into the run's JSON, its Markdown and its plots beside it, and evaluates those of its
`figures` that the table "Where to land" names (`bench.targets`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.context import Context


@dataclass(frozen=True)
class SectionResult:
    """What a section found."""

    data: dict[str, Any]
    """Everything that was measured, as JSON can hold it."""
    markdown: str
    """Tables and what to say about them, without a heading of its own and without links to the plots."""
    plots: dict[str, str] = field(default_factory=dict[str, str])
    """SVG text by file name without its suffix; `bench.report.plots.svg_of` makes it from a matplotlib figure."""
    figures: dict[str, float] = field(default_factory=dict[str, float])
    """Single numbers by name, such as `growth.remembered.ratio`: what targets refer to."""
    defects: list[str] = field(default_factory=list[str])
    """What makes the section's own comparison unfair; the run fails on it."""


@dataclass(frozen=True)
class Section:
    """One chapter of the report that measures by itself."""

    name: str
    """Also the prefix of its figures and plots."""
    title: str
    run: Callable[[Context], SectionResult]
    full_only: bool = False
    """Too long for `make bench`."""
