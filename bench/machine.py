"""The machine of a run: what it is, and whether it was left alone."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

BUSY_SHARE = 0.10
"""Of all cores, taken by others while we look: above it, figures would tell of them."""
LOOK_S = 1.0


class BusyMachineError(RuntimeError):
    """Other processes take the cores, and the run was to be a quiet one."""


@dataclass(frozen=True)
class CpuTimes:
    """Ticks of all cores since the machine started (`/proc/stat`; proc(5))."""

    busy: int
    steal: int
    total: int

    def since(self, earlier: CpuTimes) -> tuple[float, float]:
        """Shares of all cores that were busy, and that the hypervisor gave to others, since `earlier`."""
        total = max(self.total - earlier.total, 1)
        return (self.busy - earlier.busy) / total, (self.steal - earlier.steal) / total


def parse_cpu_times(stat: str) -> CpuTimes:
    """The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, ..."""
    user, nice, system, idle, iowait, irq, softirq, steal = (int(word) for word in stat.split()[1:9])
    busy = user + nice + system + irq + softirq
    return CpuTimes(busy, steal, busy + idle + iowait + steal)


def cpu_times() -> CpuTimes:
    """Just now."""
    return parse_cpu_times(Path("/proc/stat").read_text())


@dataclass
class Machine:
    """What a run was made on. Figures of two machines are not comparable; ratios of one run are."""

    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    governor: str
    """How the clock rate is chosen; `unknown` where the hypervisor hides it."""
    hypervisor: bool
    load_1min: float
    busy_share: float
    """Of all cores, at the start, before anything of ours ran."""
    filesystem: str = "unknown"
    """Of the folder where the journals lie."""
    warnings: list[str] = field(default_factory=list[str])
    steal_share: float = 0.0
    """Of all cores, over the run: what the hypervisor gave to others."""
    duration_s: float = 0.0
    finished: str = ""
    """UTC."""
    commit: str = ""

    def as_json(self) -> dict[str, Any]:
        """As it is written down."""
        return asdict(self)


def filesystem_of(folder: Path, mounts: str) -> str:
    """The type of the filesystem that holds `folder`, by `/proc/mounts` (proc(5)): that of the longest mount point."""
    entries = [line.split()[1:3] for line in mounts.splitlines()]
    holding = [(len(point), kind) for point, kind in entries if folder.is_relative_to(point)]
    return max(holding, key=lambda entry: entry[0], default=(0, "unknown"))[1]


def look_at_machine(folder: Path, *, must_be_quiet: bool, wait: Callable[[float], None] = time.sleep) -> Machine:
    """Describes the machine, with the disk of `folder`, and watches it for a second.

    Raises:
        BusyMachineError: others took more than a tenth of it, and `must_be_quiet`.
    """
    before = cpu_times()
    wait(LOOK_S)
    busy, _ = cpu_times().since(before)
    info = _cpu_info()
    machine = Machine(
        cpu=info.get("model name", platform.machine()),
        cores=os.cpu_count() or 1,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        kernel=platform.release(),
        python=platform.python_version(),
        governor=_governor(),
        hypervisor="hypervisor" in info.get("flags", "").split(),
        load_1min=round(os.getloadavg()[0], 2),
        busy_share=round(busy, 3),
        filesystem=filesystem_of(folder, Path("/proc/mounts").read_text()),
    )
    _judge(machine, must_be_quiet=must_be_quiet)
    return machine


def _judge(machine: Machine, *, must_be_quiet: bool) -> None:
    if machine.busy_share > BUSY_SHARE:
        found = f"others take {machine.busy_share:.0%} of the cores: these figures tell of them too"
        if must_be_quiet:
            raise BusyMachineError(f"{found}. Wait until it is quiet, or leave out BENCH_QUIET=1")
        machine.warnings.append(found)
    if machine.governor not in ("performance", "unknown"):
        machine.warnings.append(f"the clock rate moves (governor {machine.governor})")
    if machine.filesystem in ("tmpfs", "ramfs"):
        machine.warnings.append(
            "the journals lie in memory, where durability always costs nothing: set TMPDIR to a disk"
        )
    if machine.cores < 2:
        machine.warnings.append("one core: two ends that spin take it from each other")


def _cpu_info() -> dict[str, str]:
    first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _governor() -> str:
    path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return path.read_text().strip() if path.exists() else "unknown"
