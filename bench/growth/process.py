"""What Linux says of a process: memory of its own, and time on a CPU (proc(5))."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
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


def process_cpu_ns(pid: int) -> int:
    """The same of all threads that the process ever had, by its CPU clock (clock_getcpuclockid(3) says how the id of
    that clock is made of a pid)."""
    cpu_clock = 2
    return time.clock_gettime_ns((~pid << 3) | cpu_clock)


@contextmanager
def waits_of(thread_ids: Sequence[int]) -> Generator[Callable[[], int]]:
    """Says how long these threads together have been ready to run and had no core, in ns. A process id stands for its
    first thread. One look costs a system call for each."""
    with ExitStack() as held:
        files = [held.enter_context((_PROC / str(each) / "schedstat").open("rb")).fileno() for each in thread_ids]
        # Time on a core, time without one, turns: proc(5).
        yield lambda: sum(int(os.pread(file, 100, 0).split()[1]) for file in files)
