"""Starts, stops and kills one engine process, and asks it what only its command line can say."""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from examples.rig.held_ports import HeldPorts

READY_DEADLINE_S = 20.0
STOP_DEADLINE_S = 15.0
VERIFY_DEADLINE_S = 600.0
"""Executing again what a long run did takes a while."""


class EngineFailedError(RuntimeError):
    """The engine did not start, or did not end as asked. The message holds the last lines of its log."""


def engine_binary() -> Path:
    """The engine to run: `EXECUTION_ENGINE_BINARY`, the installed one, or the one cargo built.

    Raises:
        EngineFailedError: none of them exists; run `make setup`.
    """
    candidates = [
        Path(sysconfig.get_path("scripts")) / "execution-engine",
        Path(__file__).resolve().parents[2] / "engine" / "target" / "release" / "execution-engine",
    ]
    if named := os.environ.get("EXECUTION_ENGINE_BINARY"):
        candidates = [Path(named)]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise EngineFailedError(f"no engine at {', '.join(map(str, candidates))}: run `make setup`")


@dataclass
class EngineProcess:
    """One `execution-engine serve` on loopback ports that stay its own over restarts. A context manager that leaves no
    process behind."""

    data_dir: Path
    durability: str = "always"
    arguments: tuple[str, ...] = ()
    zmq: str = "tcp://127.0.0.1:0"
    pub: str = "tcp://127.0.0.1:0"
    grpc: str = "127.0.0.1:0"
    ready_deadline_s: float = READY_DEADLINE_S
    """How long a start may take; a journal of millions of orders takes longer to read."""
    ready: dict[str, Any] = field(default_factory=dict[str, Any])
    _process: subprocess.Popen[bytes] | None = None
    _ports: HeldPorts = field(default_factory=HeldPorts)

    def start(self) -> EngineProcess:
        """Starts the engine and waits for its ready line; a restart keeps the ports of the first start.

        Raises:
            EngineFailedError: it ended, or said nothing within `ready_deadline_s`.
        """
        self.zmq, self.pub, self.grpc = map(self._ports.chosen, (self.zmq, self.pub, self.grpc))
        command = [str(engine_binary()), "serve", "--zmq", self.zmq, "--pub", self.pub, "--grpc", self.grpc]
        command += ["--data-dir", str(self.data_dir), "--durability", self.durability, *self.arguments]
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            # Python ignores SIGXFSZ, and so does this child then: a file-size limit is a full disk, and not a death.
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, restore_signals=False)
        self.ready = json.loads(self._ready_line())
        self.zmq, self.pub, self.grpc = self.ready["zmq"][0], self.ready["pub"], self.ready["grpc"]
        return self

    @property
    def log_file(self) -> Path:
        """Where the engine's standard error goes, beside its data directory."""
        return self.data_dir.with_name(self.data_dir.name + ".log")

    @property
    def pid(self) -> int:
        """Process id of the running engine."""
        assert self._process is not None, "the engine was not started"
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How the engine ended by itself (negative: the signal); None while it runs, and when it was stopped."""
        return None if self._process is None else self._process.poll()

    @property
    def is_running(self) -> bool:
        """Whether there is a process that has not ended."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> int:
        """SIGTERM, and the exit code once it has drained.

        Raises:
            EngineFailedError: it was still there after 15 seconds (it is killed then).
        """
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise EngineFailedError(f"no end {STOP_DEADLINE_S} s after SIGTERM\n{self.last_log_lines()}") from None
        finally:
            self._forget()

    def kill(self) -> None:
        """SIGKILL: what a crash of the process leaves behind."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_DEADLINE_S)
            self._forget()

    def pause(self) -> None:
        """SIGSTOP: alive, and silent."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def limit_file_bytes(self, most_bytes: int | None) -> None:
        """No file of the running engine may grow beyond this: a disk that is full, or fails. None: no limit."""
        _, hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        soft = resource.RLIM_INFINITY if most_bytes is None else most_bytes
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (soft, hard))

    def verify(self) -> dict[str, Any]:
        """What `execution-engine verify` says of the data directory, from another process.

        Raises:
            EngineFailedError: it found damage or a difference.
        """
        done = subprocess.run(
            [str(engine_binary()), "verify", str(self.data_dir)],
            capture_output=True,
            text=True,
            timeout=VERIFY_DEADLINE_S,
            check=False,
        )
        if done.returncode != 0:
            raise EngineFailedError(f"verify exits {done.returncode}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def dump(self) -> Iterator[dict[str, Any]]:
        """Every record of the journal, as `execution-engine dump` prints it, while it prints.

        Raises:
            EngineFailedError: it found damage.
        """
        command = [str(engine_binary()), "dump", str(self.data_dir)]
        with tempfile.TemporaryFile() as problems:
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=problems) as process:
                assert process.stdout is not None
                yield from map(json.loads, process.stdout)
            if process.returncode != 0:
                problems.seek(0)
                raise EngineFailedError(f"dump exits {process.returncode}: {problems.read().decode(errors='replace')}")

    def last_log_lines(self, count: int = 15) -> str:
        """The end of the engine's log, for a person."""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-count:])

    def _ready_line(self) -> bytes:
        assert self._process is not None and self._process.stdout is not None
        line = _line_within(self._process.stdout, self.ready_deadline_s)
        if not line:
            self.kill()
            raise EngineFailedError(f"the engine did not get ready\n{self.last_log_lines()}")
        return line

    def _forget(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    def __enter__(self) -> EngineProcess:
        return self.start() if self._process is None else self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _line_within(stream: IO[bytes], deadline_s: float) -> bytes:
    """The first line of the stream, or what came of it until the end of the stream or the deadline."""
    ends = time.monotonic() + deadline_s
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not line.endswith(b"\n") and selector.select(max(0.0, ends - time.monotonic())):
            chunk = os.read(stream.fileno(), 65536)
            if not chunk:
                return b""
            line += chunk
    return line if line.endswith(b"\n") else b""
