"""Which modules declare rows and sections. A module that is not there yet is left out, and the report says so."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from bench.rows.row import Group, Row
from bench.sections import Section

ROW_MODULES = (
    "bench.rows.groups",
    "bench.rows.floors",
    "bench.rows.fast_path",
    "bench.rows.grpc_paths",
    "bench.rows.disk",
    "bench.rows.codecs",
    "bench.rows.throughput",
    "bench.peers",
)
"""Each exports `GROUPS: list[Group]` and `ROWS: list[Row]`; rows may belong to another module's group."""
SECTION_MODULES = ("bench.load.section", "bench.stages.section", "bench.recovery.section", "bench.growth.section")
"""Each exports `SECTION: Section`."""


def groups() -> dict[str, Group]:
    """Every declared group by name, in the order of the report."""
    declared: list[Group] = [group for module in _present(ROW_MODULES) for group in module.GROUPS]
    return {group.name: group for group in declared}


def rows() -> list[Row]:
    """Every declared row, by group in the order of the report."""
    declared: list[Row] = [row for module in _present(ROW_MODULES) for row in module.ROWS]
    order = list(groups())
    return sorted(declared, key=lambda row: order.index(row.group))


def sections() -> list[Section]:
    """Every declared section."""
    return [module.SECTION for module in _present(SECTION_MODULES)]


def missing() -> list[str]:
    """Modules that are named here and do not exist."""
    return [name for name in (*ROW_MODULES, *SECTION_MODULES) if not _exists(name)]


def _present(names: tuple[str, ...]) -> list[ModuleType]:
    return [importlib.import_module(name) for name in names if _exists(name)]


def _exists(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
