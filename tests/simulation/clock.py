"""The clocks of a run, and the spell under which the process sees them: time, randomness and ids all come from the run.

One monotonic clock for everybody; a wall clock for the clients' machine and one for the engine's, which may jump.
"""

from __future__ import annotations

import gc
import logging
import random
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest import mock

from transport.contract import ids

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
_START_NS: Final = 1_000 * SECOND
_WALL_AT_START_NS: Final = 1_790_000_000 * SECOND
"""An instant of 2026."""


class Clock:
    """Virtual nanoseconds. Only the loop moves them."""

    def __init__(self) -> None:
        self.now_ns = _START_NS
        self.client_offset_ns = 0
        self.engine_offset_ns = 0

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back."""
        return self.now_ns

    def monotonic(self) -> float:
        """The same in seconds, as asyncio wants them."""
        return self.now_ns / 1e9

    @property
    def elapsed_ns(self) -> int:
        """Since the run began."""
        return self.now_ns - _START_NS

    def client_time_ns(self) -> int:
        """UTC as the clients' machine has it."""
        return _WALL_AT_START_NS + self.elapsed_ns + self.client_offset_ns

    def engine_time_ns(self) -> int:
        """UTC as the engine's machine has it."""
        return _WALL_AT_START_NS + self.elapsed_ns + self.engine_offset_ns

    def client_time(self) -> float:
        """UTC as the clients' machine has it, in seconds."""
        return self.client_time_ns() / 1e9


def seeded_uuid7(clock: Clock, source: random.Random) -> Callable[[], str]:
    """Makes UUIDv7 ids from the run's clock and its randomness; same layout as `transport.contract.ids.uuid7`."""

    def uuid7() -> str:
        milli, rest_ns = divmod(clock.client_time_ns(), MS)
        high = (milli << 16 | 0x7000 | (rest_ns << 12) // MS) & 0xFFFF_FFFF_FFFF_FFFF
        low = source.getrandbits(62) | 0x8000_0000_0000_0000
        text = f"{high:016x}{low:016x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    return uuid7


def _places_of_ids() -> list[tuple[Any, str]]:
    """Where the product's modules hold the function that makes ids."""
    makers = {ids.new_order_id, ids.uuid7}
    return [
        (module, name)
        for module_name, module in sorted(sys.modules.items())
        if module_name.split(".")[0] in ("transport", "fallback_grpc")
        for name, value in sorted(vars(module).items())
        if callable(value) and any(value is maker for maker in makers)
    ]


@contextmanager
def spell(clock: Clock, source: random.Random) -> Generator[None, None, None]:
    """While it lasts, this process has the run's time, randomness and ids, and collects no garbage cycles.

    What a finalizer does must not depend on when the collector happens to run.
    """
    state = random.getstate()
    uuid7 = seeded_uuid7(clock, source)
    was_collecting = gc.isenabled()
    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(time, "monotonic_ns", clock.monotonic_ns))
        patches.enter_context(mock.patch.object(time, "monotonic", clock.monotonic))
        patches.enter_context(mock.patch.object(time, "time_ns", clock.client_time_ns))
        patches.enter_context(mock.patch.object(time, "time", clock.client_time))
        for module, name in _places_of_ids():
            patches.enter_context(mock.patch.object(module, name, uuid7))
        random.seed(source.getrandbits(64))
        gc.disable()
        was_disabled = logging.root.manager.disable
        logging.disable()
        try:
            yield
        finally:
            logging.disable(was_disabled)
            random.setstate(state)
            if was_collecting:
                gc.enable()
