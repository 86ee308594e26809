"""The fault proxy as a process of its own: `python -m bench.recovery.proxy HOST:PORT`, told by lines what to break.

In the client's process its threads would compete for the interpreter's lock with the failover that is measured. Both
ends read CLOCK_MONOTONIC, which is the machine's.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from examples.rig.fault_proxy import FaultProxy

T = TypeVar("T")
FAULTS: Final[dict[str, Callable[[FaultProxy], None]]] = {
    "reset": FaultProxy.reset_connections,
    "blackhole": FaultProxy.blackhole,
}
"""RST on every connection of the fast path; or nothing passes any more, either way, and nobody is told."""
STOP_DEADLINE_S: Final = 10.0


class TimedProxy(FaultProxy):
    """A fault proxy that knows when it struck: in its own thread, right before it breaks something."""

    struck_at_ns = 0

    def _on_loop(self, act: Callable[..., T], **named: Any) -> T:
        def timed(**given: Any) -> T:
            self.struck_at_ns = time.monotonic_ns()
            return act(**given)

        return super()._on_loop(timed, **named)


class ProxyProcess:
    """A `TimedProxy` elsewhere. A context manager."""

    def __init__(self, upstream: str) -> None:
        """`upstream`: `host:port` of the engine."""
        command = [sys.executable, "-m", "bench.recovery.proxy", upstream.removeprefix("tcp://")]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, restore_signals=False
        )
        self._owes_an_instant = False
        self.endpoint = f"127.0.0.1:{self._answer()}"
        """`host:port` that clients connect to."""

    def strike(self, fault: str, lead_s: float) -> None:
        """Breaks the connections after `lead_s`; returns at once, and `struck_at_ns` says when it happened."""
        self._tell(f"{fault} {lead_s}")
        self._owes_an_instant = True

    def struck_at_ns(self) -> int:
        """When the last strike came. Waits for it; to be asked once for each."""
        self._owes_an_instant = False
        return self._answer()

    def heal(self) -> None:
        """New connections pass; those that lost bytes are reset."""
        self._tell("heal 0")
        self._answer()

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        if self._owes_an_instant:
            self.struck_at_ns()
        self._process.stdin.close()
        self._process.wait(STOP_DEADLINE_S)
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the fault proxy ended with status {self._process.wait(STOP_DEADLINE_S)}")
        return int(line)


def serve(upstream: str) -> None:
    """Does what standard input says, a line each, and answers with the instant at which it was done."""
    pause = threading.Event()
    proxy = TimedProxy(upstream)
    with proxy:
        print(proxy.port, flush=True)
        for line in sys.stdin:
            what, lead_s = line.split()
            pause.wait(float(lead_s))
            FAULTS.get(what, FaultProxy.heal)(proxy)
            print(proxy.struck_at_ns, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
