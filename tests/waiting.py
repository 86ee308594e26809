"""Waiting for a condition with a deadline: what tests do in the place of sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_PAUSE = threading.Event()


def eventually(condition: Callable[[], T], what: str, deadline_s: float = 10.0) -> T:
    """The condition's first true value.

    Raises:
        AssertionError: it did not come true in time; `what` says what was waited for.
    """
    ends = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < ends, f"not within {deadline_s} s: {what}"
        _PAUSE.wait(0.001)
    return value
