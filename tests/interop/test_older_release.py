"""Clients of the release before work unchanged (N-1): its schemas are kept in `older/` and never change.

`test_raw_client.py` runs its fast-path schema against the engine.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples.rig.engine_process import EngineProcess
from tests.original_schema.test_original_client import compile_proto, declared

OLDER = Path(__file__).parent / "older"
SCHEMAS = Path(__file__).parents[2] / "schemas"


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    folder = tmp_path / "stubs"
    folder.mkdir()
    compile_proto(OLDER / "execution.proto", folder)
    return folder


def test_a_grpc_client_of_the_release_before_trades_and_halts(stubs: Path, tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "journal") as engine:
        command = [sys.executable, str(OLDER / "client.py"), str(stubs), engine.grpc]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {
            "placed": "PENDING",
            "halted": [0, 1, False, True],
            "asked": ["CANCELLED", "CANCELLED_BY_CLIENT"],
        }
        assert engine.stop() == 0


def test_the_service_changes_nothing_that_the_release_before_declares(stubs: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    ours.mkdir()
    compile_proto(SCHEMAS / "execution.proto", ours)
    older, now = declared(stubs / "set.bin"), declared(ours / "set.bin")
    assert len(older) > 200
    assert {name: now.get(name) for name in older} == older


def _members(schema: str) -> dict[str, list[str]]:
    """Tables, structs, enums and unions of a FlatBuffers schema: their members, in order."""
    code = re.sub(r"//[^\n]*", "", schema)
    found = re.findall(r"(table|struct|enum|union) (\w+)[^{]*\{([^}]*)\}", code)
    members = {name: re.split(r"[;,]", body) for _, name, body in found}
    return {name: [" ".join(one.split()) for one in body if one.strip()] for name, body in members.items()}


def test_the_fast_path_only_adds_and_only_at_the_end() -> None:
    older = _members((OLDER / "execution.fbs").read_text())
    now = _members((SCHEMAS / "execution.fbs").read_text())
    assert len(older) > 40
    for name, members in older.items():
        if name == "ReasonCode":  # numbered one by one
            assert set(members) <= set(now[name])
        else:
            assert now[name][: len(members)] == members, name
