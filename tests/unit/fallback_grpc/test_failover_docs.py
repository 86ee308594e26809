"""docs/failover.md against the code: the breaker's diagram and table, the settings with their defaults, the events."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fallback_grpc.failover.breaker import TRANSITIONS, BreakerState, Signal
from fallback_grpc.failover.events import PathEventKind
from fallback_grpc.resolution import MOST_REMEMBERED
from transport.contract.config import BridgeConfig

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "failover.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """What stands under a heading, up to the next of its rank."""
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every table's row, without headings."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


BREAKER = section("The circuit breaker of a path")


def test_the_diagram_shows_every_transition_of_the_breaker_and_no_other() -> None:
    drawn = {
        (BreakerState[state], Signal[signal]): BreakerState[target]
        for state, target, signals in re.findall(r"(\w+) --> (\w+) : ([A-Z_, ]+)", BREAKER)
        for signal in signals.split(", ")
    }
    assert drawn == TRANSITIONS


def test_the_table_lists_every_transition_of_the_breaker_and_no_other() -> None:
    listed = {
        (BreakerState[state], Signal[signal]): BreakerState[target]
        for state, signal, target, *_ in (row for row in rows(BREAKER) if len(row) == 4 and row[0] != "state")
    }
    assert listed == TRANSITIONS


def test_every_signal_is_explained() -> None:
    explained = [row[0] for row in rows(BREAKER) if len(row) == 2 and row[0] != "signal"]
    assert explained == [signal.name for signal in Signal]


SETTINGS = {row[0].strip("`"): row[1].strip("`") for row in rows(section("Settings")) if row[0] != "setting"}


@pytest.mark.parametrize(("name", "default"), SETTINGS.items())
def test_each_setting_has_the_default_that_the_page_says(name: str, default: str) -> None:
    value = getattr(BridgeConfig(), name)
    assert default == (value if isinstance(value, str) else f"{value:g}")


def test_no_setting_of_failover_is_left_out() -> None:
    prefixes = (
        "breaker_",
        "hedge_",
        "heartbeat_",
        "reconnect_",
        "prefer",
        "unknown_",
        "call_timeout",
        "connect_timeout",
    )
    names = {name for name in BridgeConfig.__struct_fields__ if name.startswith(prefixes)}
    assert set(SETTINGS) == names


def test_every_event_is_listed() -> None:
    listed = {row[0].strip("`") for row in rows(section("Events")) if row[0] != "event"}
    assert listed == {kind.value for kind in PathEventKind}


def test_how_many_orders_are_remembered_is_what_the_page_says() -> None:
    assert f"It remembers {MOST_REMEMBERED:,} of them" in PAGE
