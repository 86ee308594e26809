"""The tables that stand in several places say the same: codes and enums in WIRE.md, both schemas, Rust and Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fallback_grpc.generated import execution_pb2
from transport.contract import codes
from transport.wire.generated import execution as flat

ROOT = Path(__file__).resolve().parents[2]
CODES = {member.name: member.value for member in codes.ReasonCode if member.is_recognised}
SCHEMA_ENUMS = [
    "OrderType",
    "OrderSide",
    "TimeInForce",
    "ExecutionStatus",
    "TradingState",
    "ServingStatus",
    "UpdateKind",
]


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def flat_values(name: str) -> dict[str, int]:
    return {key: value for key, value in vars(getattr(flat, name)).items() if key.isupper()}


def proto_values(name: str) -> dict[str, int]:
    enum = getattr(execution_pb2, name, None) or getattr(execution_pb2.HealthCheckResponse, name)
    # Names of one proto package must differ, so some values carry their enum's name before their own.
    prefixes = ("TIME_IN_FORCE_", "TRADING_STATE_", "UPDATE_KIND_", "UPDATE_")
    return {_without(key, prefixes): value for key, value in enum.items()}


def _without(name: str, prefixes: tuple[str, ...]) -> str:
    return next((name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix)), name)


def test_the_codes_of_the_document_are_those_of_python() -> None:
    section = text("schemas/WIRE.md").split("## 7. Codes")[1]
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", section, re.MULTILINE)
    assert {name: int(value) for value, name in rows} == CODES
    assert len(rows) == len(CODES)


def test_the_codes_of_both_schemas_are_those_of_python() -> None:
    assert flat_values("ReasonCode") == CODES
    assert dict(execution_pb2.ReasonCode.items()) == CODES


def test_the_codes_of_the_core_are_those_of_python() -> None:
    rows = re.findall(r'^    \w+ = (\d+) "([A-Z_]+)",', text("engine/crates/core/src/code.rs"), re.MULTILINE)
    assert {name: int(value) for value, name in rows} == CODES


@pytest.mark.parametrize("name", SCHEMA_ENUMS)
def test_the_enums_of_both_schemas_are_those_of_python(name: str) -> None:
    expected = {member.name: member.value for member in getattr(codes, name) if member.is_recognised}
    assert flat_values(name) == expected
    assert proto_values(name) == expected


@pytest.mark.parametrize("code", sorted(name for name, value in CODES.items() if value >= 100))
def test_the_document_gives_every_refusal_a_grpc_status(code: str) -> None:
    table = text("schemas/WIRE.md").split("## 2. The gRPC path")[1].split("### 2.1")[0]
    assert re.search(rf"\b{code}\b", table)
