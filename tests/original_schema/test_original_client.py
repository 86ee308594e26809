"""Clients generated from the original schema, unchanged, work: all that the original promised stays promised."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from examples.rig.engine_process import EngineProcess

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def compile_proto(source: Path, into: Path) -> None:
    """Generates a schema's code, and its descriptor set as `set.bin`."""
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{source.parent}", f"--python_out={into}"]
    command += [f"--grpc_python_out={into}", f"--descriptor_set_out={into / 'set.bin'}", str(source)]
    subprocess.run(command, check=True, timeout=100)


@pytest.fixture
def original_stubs(tmp_path: Path) -> Path:
    source = tmp_path / "source" / "execution.proto"
    source.parent.mkdir()
    text = (HERE / "execution.proto").read_text() + (HERE / "undefined_messages.proto.txt").read_text()
    source.write_text(text)
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    compile_proto(source, stubs)
    return stubs


def test_a_client_of_the_original_schema_executes_a_buy_market_order(original_stubs: Path, tmp_path: Path) -> None:
    with EngineProcess(tmp_path / "journal") as engine:
        command = [sys.executable, str(HERE / "client.py"), str(original_stubs), engine.grpc, "orig-1"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["order_id"] == "orig-1"
        assert (told["status"], told["executed_quantity"]) == ("FILLED", 2.5)
        assert told["executed_price"] > 0
        assert told["execution_time"] > 1_500_000_000
        assert told["exchange_order_id"]
        assert told["streamed"] == [[f"orig-1-{n}", "FILLED"] for n in range(3)]
        assert engine.stop() == 0


def declared(descriptor_set: Path) -> dict[str, object]:
    """Every field, enum value and method of a compiled schema, by full name."""
    parsed = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set.read_bytes())
    found: dict[str, object] = {}
    for file in parsed.file:
        for message in file.message_type:
            for field in message.field:
                found[f"{message.name}.{field.name}"] = (field.number, field.type, field.label, field.type_name)
        for enum in file.enum_type:
            found |= {f"{enum.name}.{value.name}": value.number for value in enum.value}
        for service in file.service:
            for method in service.method:
                shape = (method.input_type, method.output_type, method.client_streaming, method.server_streaming)
                found[f"{service.name}.{method.name}"] = shape
    return found


def test_the_full_schema_changes_nothing_that_the_original_declares(original_stubs: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    ours.mkdir()
    compile_proto(ROOT / "schemas" / "execution.proto", ours)
    original, full = declared(original_stubs / "set.bin"), declared(ours / "set.bin")
    assert len(original) == 40
    assert {name: full.get(name) for name in original} == original
