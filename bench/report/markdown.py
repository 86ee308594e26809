"""The run as Markdown: what it was made on, where it landed, every table with its plot, what the sections found."""

from __future__ import annotations

from collections.abc import Sequence

from bench import registry
from bench.machine import Machine
from bench.report.tables import as_markdown, group_table, targets_table
from bench.run import Run
from bench.targets import Outcome


def as_document(run: Run, outcomes: Sequence[Outcome], plots: Sequence[str], defects: Sequence[str]) -> str:
    """The whole page; links are to the plots beside it."""
    profile = run.context.profile
    command = "make bench-full" if profile == "full" else "make bench"
    parts = [
        f"# Results of `{command}`",
        f"Written by the run itself from `{profile}.json`; docs/benchmarks.md says how to read it. Ratios are of one "
        "run; in brackets the quartiles of the same ratio round by round. A figure of another machine, or of another "
        "run, is not comparable.",
        machine_lines(run.machine),
        f"## {targets_table(outcomes).title}",
        as_markdown(targets_table(outcomes)),
    ]
    if defects:
        parts += ["## DEFECTS: this run compares unfairly", "\n".join(f"- {defect}" for defect in defects)]
    for group in registry.groups().values():
        table = group_table(run, group)
        if table is None:
            continue
        parts += [f"## {table.title}", as_markdown(table)]
        parts += [f"![{name}]({profile}-{name}.svg)" for name in plots if name in (group.name, _curve_of(group.name))]
    for section in registry.sections():
        if section.name not in run.sections:
            continue
        result = run.sections[section.name]
        parts += [f"## {section.title}", result.markdown.strip()]
        parts += [f"![{name}]({profile}-{name}.svg)" for name in plots if name.startswith(section.name)]
    if absent := registry.missing():
        parts.append(f"Not there yet: {', '.join(absent)}.")
    return "\n\n".join(parts) + "\n"


def _curve_of(group: str) -> str:
    return f"{group}-percentiles"


def machine_lines(machine: Machine) -> str:
    """What the run was made on."""
    lines = [
        f"- {machine.cpu}, {machine.cores} cores{' (virtual machine)' if machine.hypervisor else ''}, "
        f"{machine.memory_gib} GiB, Linux {machine.kernel}, governor {machine.governor}, Python {machine.python}, "
        f"journals on {machine.filesystem}",
        f"- load at the start {machine.load_1min}, cores busy before the run {machine.busy_share:.1%}, "
        f"stolen by the hypervisor in the run {machine.steal_share:.2%}",
        f"- commit {machine.commit or 'unknown'}, finished {machine.finished}, took {machine.duration_s:.0f} s",
    ]
    return "\n".join([*lines, *(f"- **WARNING: {warning}**" for warning in machine.warnings)])
