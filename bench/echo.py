"""The floor of gRPC: a bare tonic server that answers ExecuteOrder with a canned reply and has no engine behind it."""

from __future__ import annotations

import json
import subprocess
from types import TracebackType

from examples.rig.engine_process import engine_binary


class EchoServer:
    """One `execution-engine bench-echo` on a free port. A context manager that leaves no process behind."""

    def __enter__(self) -> EchoServer:
        command = [str(engine_binary()), "bench-echo", "--grpc", "127.0.0.1:0"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        self.endpoint: str = json.loads(self._process.stdout.readline())["grpc"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
