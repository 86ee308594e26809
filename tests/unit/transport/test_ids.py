"""Ids as the native module and plain Python make them: the same kind, in the order of their time."""

from __future__ import annotations

import importlib
import time
import uuid
from collections.abc import Callable

import pytest

from transport.contract import ids
from transport.contract.ids import is_printable_ascii_id, new_order_id, uuid7

native = pytest.importorskip("transport._native")

MAKERS: dict[str, Callable[[], str]] = {"native": native.uuid7, "python": uuid7}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_an_id_is_a_uuid_of_version_7_and_of_now(make: Callable[[], str]) -> None:
    before_ms = time.time_ns() // 1_000_000
    made = make()
    after_ms = time.time_ns() // 1_000_000
    parsed = uuid.UUID(made)
    assert str(parsed) == made
    assert is_printable_ascii_id(made)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert before_ms <= parsed.int >> 80 <= after_ms


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_ids_differ_and_sort_by_time(make: Callable[[], str]) -> None:
    made = [make() for _ in range(2000)]
    assert len(set(made)) == 2000
    # To the quarter of a microsecond that the time in them has.
    times = [each[:18] for each in made]
    assert times == sorted(times)


def test_both_makers_sort_into_one_order() -> None:
    mixed = [MAKERS["native" if number % 2 else "python"]() for number in range(200)]
    times = [each[:18] for each in mixed]
    assert times == sorted(times)


def test_without_the_native_module_ids_are_made_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise ImportError

    assert new_order_id is native.uuid7
    monkeypatch.setattr(importlib, "import_module", missing)
    assert uuid.UUID(ids._fastest()()).version == 7
