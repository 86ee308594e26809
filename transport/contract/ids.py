"""Ids of orders, commands and sessions: made by the client before anything is sent, so that a retry is the same one."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from typing import Final

MAX_ID_BYTES: Final = 64

_NANOS_PER_MILLI: Final = 1_000_000


def uuid7(unix_ns: int | None = None) -> str:
    """A UUIDv7 (RFC 9562) in its 36-character form.

    48 bits of milliseconds, 12 bits of the millisecond's fraction (section 6.2, method 3: ids of one process sort by
    time to a quarter of a microsecond), 62 random bits of the operating system (safe across fork).
    """
    now_ns = time.time_ns() if unix_ns is None else unix_ns
    milli, rest_ns = divmod(now_ns, _NANOS_PER_MILLI)
    fraction = (rest_ns << 12) // _NANOS_PER_MILLI
    random_bits = int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    text = f"{(milli << 16 | 0x7000 | fraction) & 0xFFFF_FFFF_FFFF_FFFF:016x}{random_bits:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _now() -> str:
    return uuid7()


def _fastest() -> Callable[[], str]:
    """The native module's `uuid7` where that is built: an order is made in half the time."""
    try:
        made: Callable[[], str] = importlib.import_module("transport._native").uuid7
    except (ImportError, AttributeError):
        return _now
    return made


new_order_id: Final = _fastest()
"""A fresh id for one order; keep it with the order, and use it again for every retry of that order."""

new_command_id: Final = new_order_id
"""A fresh id for one command (cancel, replace, ...), which makes it idempotent."""

new_session_id: Final = new_order_id
"""A fresh name for a client across both paths."""


def is_printable_ascii_id(text: str) -> bool:
    """Whether `text` may be an order, command or session id: 1 to 64 bytes of printable ASCII (0x20 to 0x7E)."""
    return 0 < len(text) <= MAX_ID_BYTES and all(" " <= character <= "~" for character in text)
