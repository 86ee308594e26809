"""A client's ledger on disk: one JSON object a line, written before each send and after each end.

A line is one `write` into the page cache, so what was written survives SIGKILL of the client; a line that the kill
cut in two is marked when the client starts again.

    {"e": "started", "t", "life", "pid"}
    {"e": "intent", "t", "n", "call", "orders": [...]} or {..., "command": {...}}    before the send
    {"e": "reply", "t", "n", "id", "reply": {...}, "path", "duplicate"}               an order was answered
    {"e": "answer", "t", "n", "answer": {...}}                                        a command or query was
    {"e": "end", "t", "n", "how", "code", "message"}                                  the call is over
    ["u", t, sequence, kind, order_id, execution_id, quantity, price, status, executed_quantity]    an update

`t` is CLOCK_MONOTONIC in nanoseconds, the same for every process of the machine; `n` numbers the calls.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec

from transport import Order, OrderReply, OrderUpdate

Entry = dict[str, Any]
TORN = {"e": "torn"}
"""Stands in the ledger's place of a line that a kill cut in two."""
_CALLS_PER_LIFE = 1_000_000_000


class LedgerFile:
    """The writing end. Not shared by threads: the actor's loop writes."""

    def __init__(self, path: Path, life: int, follow: Callable[[Any], None] | None = None) -> None:
        """`life` counts the processes that wrote this ledger, from 1; `follow` is told of every entry."""
        _mark_torn_line(path)
        self._follow = follow
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._last_call = life * _CALLS_PER_LIFE
        self.write({"e": "started", "life": life, "pid": os.getpid()})

    def write(self, entry: Entry) -> None:
        """Appends one entry, with the time."""
        whole = {"t": time.monotonic_ns()} | entry
        self._append(whole)
        if self._follow is not None:
            self._follow(whole)

    def intent(self, call: str, **what: Any) -> int:
        """Says what will be sent; the number of the call."""
        self._last_call += 1
        self.write({"e": "intent", "n": self._last_call, "call": call} | what)
        return self._last_call

    def update(self, update: OrderUpdate) -> None:
        """An update of the account was delivered."""
        order = update.order
        self._append([
            "u", time.monotonic_ns(), update.sequence, update.kind.name, order.order_id, update.execution_id,
            _text(update.last_quantity), _text(update.last_price), order.status.name, _text(order.executed_quantity),
        ])  # fmt: skip

    def _append(self, entry: object) -> None:
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        written = os.write(self._file, line)
        assert written == len(line), f"the ledger's disk took {written} of {len(line)} bytes"


def read_ledger(path: Path) -> Iterator[Any]:
    """Every entry, oldest first; a torn last line of a client that was killed and not started again is left out.

    Raises:
        ValueError: a line that is no JSON and not the last one; the message names file and line.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ValueError(f"{path.name}, line {number}: no JSON ({error}): {line[:200]!r}") from error


def _mark_torn_line(path: Path) -> None:
    """Cuts off what a kill left of a line, and says so: none of it was acted upon."""
    if not path.exists():
        return
    data_bytes = path.stat().st_size
    with path.open("r+b") as file:
        whole_bytes = data_bytes
        while whole_bytes:
            file.seek(whole_bytes - 1)
            if file.read(1) == b"\n":
                break
            whole_bytes -= 1
        if whole_bytes == data_bytes:
            return
        file.truncate(whole_bytes)
        file.seek(whole_bytes)
        file.write(json.dumps(TORN).encode() + b"\n")


def order_words(order: Order) -> Entry:
    """An order as the ledger holds it; `order_of_words` reads it back."""
    return {name: value for name, value in msgspec.to_builtins(order).items() if value not in (None, "", {})}


def order_of_words(words: Entry) -> Order:
    """The order again, equal in content."""
    return msgspec.convert(words, Order)


def reply_words(reply: OrderReply) -> Entry:
    """A reply in the words of `execution-engine dump`, so that the two can be compared field by field."""
    return words_of(reply)


def words_of(value: msgspec.Struct) -> Entry:
    """Any reply's fields: enums by name, decimals as text, replies inside it likewise."""
    return {name: _word(getattr(value, name)) for name in value.__struct_fields__}


def _word(value: object) -> Any:
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, msgspec.Struct):
        return words_of(value)
    return value


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def ids_of(orders: Sequence[Entry]) -> list[str]:
    """Order ids of an intent."""
    return [order["order_id"] for order in orders]
