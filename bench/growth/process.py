"""What Linux says of a process: memory of its own, and time on a CPU (proc(5))."""

from __future__ import annotations

import threading
import time
from pathlib import Path

_PROC = Path("/proc")
BYTES_PER_KIB = 1024


def own_memory_bytes(pid: int) -> int:
    """Anonymous memory in RAM: heap and stacks, without the pages of files (the journal's among them)."""
    return anonymous_bytes((_PROC / str(pid) / "status").read_text())


def anonymous_bytes(status: str) -> int:
    """`RssAnon` of the text of /proc/PID/status. Raises `ValueError` where it is not there."""
    for line in status.splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * BYTES_PER_KIB
    raise ValueError("no RssAnon in /proc/PID/status: Linux 4.5 or newer is needed")


def cpu_ns(pid: int) -> int:
    """Time that all threads together have been on a CPU. /proc/PID/stat counts it in ticks of 10 ms: too coarse."""
    tasks = (_PROC / str(pid) / "task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def cpu_percent(pid: int, seconds: float) -> float:
    """Share of one core that the process uses over the next so many seconds."""
    began_ns, used_ns = time.monotonic_ns(), cpu_ns(pid)
    threading.Event().wait(seconds)  # the period that is measured
    return 100 * (cpu_ns(pid) - used_ns) / (time.monotonic_ns() - began_ns)
