"""The worked examples of WIRE.md section 6, against Python's canonical form (Rust's is tested in `crates/core`)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from transport.contract.codes import OrderSide, OrderType, TimeInForce, TradingState
from transport.contract.orders import Order
from transport.contract.requests import (
    ReplaceOrder,
    RiskLimits,
    SetCancelOnDisconnect,
    SetRiskLimits,
    SetTradingState,
)
from transport.wire.canonical import command_form, content_hash, order_form

WIRE = Path(__file__).resolve().parents[2] / "schemas" / "WIRE.md"
_BLOCK = re.compile(
    r"```text\nname: (?P<name>.+)\nkind: (?P<kind>.+)\nfields \(JSON\): (?P<fields>.+)\n"
    r"canonical \(hex\): (?P<form>[0-9a-f]+)\nsha256-16 \(hex\): (?P<hash>[0-9a-f]{32})\n```"
)
EXAMPLES = {match["name"]: match.groupdict() for match in _BLOCK.finditer(WIRE.read_text(encoding="utf-8"))}
_CONVERTED: dict[str, Callable[[Any], Any]] = {
    "order_type": OrderType.__getitem__,
    "side": OrderSide.__getitem__,
    "time_in_force": TimeInForce.__getitem__,
    "state": TradingState.__getitem__,
    "limits": lambda limits: RiskLimits(**{name: _limit(value) for name, value in limits.items()}),
    **dict.fromkeys(("quantity", "price", "stop_loss", "take_profit"), Decimal),
}


def _limit(value: str | int) -> Decimal | int:
    return Decimal(value) if isinstance(value, str) else value


def form(example: dict[str, str]) -> bytes:
    fields = {
        name: _CONVERTED.get(name, lambda value: value)(value) for name, value in json.loads(example["fields"]).items()
    }
    match example["kind"]:
        case "order":
            return order_form(Order(**fields))
        case "replace":
            return command_form(ReplaceOrder(**fields))
        case "set-trading-state":
            return command_form(SetTradingState(**fields))
        case "set-risk-limits":
            return command_form(SetRiskLimits(**fields))
        case "set-cancel-on-disconnect":
            session_id = fields.pop("session_id")
            return command_form(SetCancelOnDisconnect(**fields), session_id=session_id)
        case other:
            raise AssertionError(f"the document has an example of a kind that this test does not know: {other}")


def test_the_document_has_its_examples() -> None:
    assert len(EXAMPLES) == WIRE.read_text(encoding="utf-8").count("canonical (hex):") >= 8


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_form_and_the_hash_are_those_of_the_document(name: str) -> None:
    example = EXAMPLES[name]
    assert form(example).hex() == example["form"]
    assert content_hash(form(example)).hex() == example["hash"]


def test_an_order_spelled_otherwise_is_the_same_order() -> None:
    same = [example["hash"] for name, example in EXAMPLES.items() if name.startswith("limit-order-with-everything")]
    assert len(same) == 2 and same[0] == same[1]
