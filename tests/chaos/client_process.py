"""One client process of a run: starts it, breaks it, starts it again on the same ledger, tells it what to do."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.chaos.actors.spec import ActorSpec

ROOT = Path(__file__).resolve().parents[2]
_WAIT_S = 10.0
_LAST_LINES = 20


class ClientFailedError(RuntimeError):
    """A client ended by itself, or did not do what it was told in time. The message holds the end of its log."""


class ClientProcess:
    """A `python -m tests.chaos.actors` and its pipes. For one thread; a reader thread of its own takes what it says."""

    def __init__(self, spec: ActorSpec) -> None:
        self.spec = spec
        self.counts: dict[str, int] = {}
        """Of the present life: orders sent and replied."""
        self.earlier_counts: dict[str, int] = {}
        self._said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """As the plan names it."""
        return self.spec.name

    @property
    def log_file(self) -> Path:
        """Its standard error, of all its lives."""
        return Path(self.spec.ledger).with_suffix(".log")

    @property
    def pid(self) -> int:
        """Process id of the running client."""
        assert self._process is not None, f"client {self.name} was not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether there is a process that has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def ended_by_itself(self) -> int | None:
        """The exit code of a client that nobody told to end."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Starts the process; it connects by itself, however long that takes."""
        for name, count in self.counts.items():
            self.earlier_counts[name] = self.earlier_counts.get(name, 0) + count
        self.counts = {}
        command = [sys.executable, "-m", "tests.chaos.actors", msgspec.json.encode(self.spec).decode()]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, cwd=ROOT
            )
        self._said = queue.SimpleQueue()
        threading.Thread(
            target=self._listen, args=(self._process, self._said), name=f"hear-{self.name}", daemon=True
        ).start()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._forget()

    def pause(self) -> None:
        """SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def tell(self, do: str, **what: Any) -> None:
        """Sends one order to the process."""
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do} | what).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failure("it is gone") from None

    def wait_until_it_says(self, said: str, deadline_s: float, alive: Callable[[], None]) -> dict[str, Any]:
        """The next thing of this kind that it says; `alive` is called while it waits.

        Raises:
            ClientFailedError: it ended, or said nothing of the kind in time.
        """
        ends = time.monotonic() + deadline_s
        while True:
            try:
                heard = self._said.get(timeout=0.1)
            except queue.Empty:
                alive()
                if self.ended_by_itself is not None:
                    raise self._failure(f"it exited {self.ended_by_itself}") from None
                if time.monotonic() > ends:
                    raise self._failure(f"it did not say {said!r} within {deadline_s} s") from None
                continue
            if heard["said"] == said:
                return heard

    def end(self) -> int:
        """Tells it to end; its exit code.

        Raises:
            ClientFailedError: it did not end in time (it is killed then).
        """
        if self._process is None:
            return 0
        self.tell("end")
        try:
            return self._process.wait(_WAIT_S)
        except subprocess.TimeoutExpired:
            raise self._failure(f"it did not end within {_WAIT_S} s") from None
        finally:
            self.kill()

    def _failure(self, what: str) -> ClientFailedError:
        lines = self.log_file.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return ClientFailedError(f"client {self.name}: {what}\n" + "\n".join(lines))

    def _listen(self, process: subprocess.Popen[bytes], said: queue.SimpleQueue[dict[str, Any]]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.endswith(b"\n"):
                return  # cut in two by a kill
            heard = json.loads(line)
            if heard["said"] == "counts":
                if process is self._process:
                    self.counts = {name: heard[name] for name in ("sent", "replied")}
            else:
                said.put(heard)

    def _forget(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.wait(_WAIT_S)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        continue  # what was not flushed to a killed process is of no use


def rss_bytes(pid: int) -> int:
    """Memory of a process that is resident; 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0)
