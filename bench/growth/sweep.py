"""One order at a time on several engines that differ in one number alone, turn by turn, so that all meet the same
weather of the machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.context import Context
from bench.engines import SPIN_US, BenchEngine, start_engine
from bench.interleave import measure_group
from bench.orders import content
from bench.rows.row import Effort, Facts, Group, Opened, Row
from bench.samples import Samples, paired_ratio_spread
from bench.timing import time_orders
from transport import BlockingFastPathClient

SHORT = Effort(rounds=20, calls=80, lead_in_calls=20, warm_up_calls=200)
FULL = Effort(rounds=60, calls=300, lead_in_calls=30, warm_up_calls=1_000)


@dataclass
class Swept:
    """What came of one sweep."""

    samples: dict[int, Samples]
    """By the number that varies."""
    more: dict[str, float] = field(default_factory=dict[str, float])
    """What else was measured on the way, by name with its unit."""

    @property
    def ratio(self) -> float:
        """p50 at the largest number over p50 at the smallest."""
        return self.samples[max(self.samples)].us(50) / self.samples[min(self.samples)].us(50)

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        smallest, largest = self.samples[min(self.samples)], self.samples[max(self.samples)]
        return {
            "points": {str(count): found.as_json() for count, found in self.samples.items()},
            "ratio_p50": round(self.ratio, 3),
            "ratio_quartiles": [round(value, 3) for value in paired_ratio_spread(largest, smallest)],
            **self.more,
        }


@contextmanager
def engine_of(
    context: Context, name: str, arguments: tuple[str, ...] = (), spin_us: int = SPIN_US
) -> Generator[BenchEngine]:
    """An engine of its own in mode `os`; its journal (a gigabyte with a million orders) goes with it."""
    data_dir = context.folder / name
    try:
        with start_engine(data_dir, "os", spin_us, arguments) as engine:
            yield engine
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


def one_order_on_each(context: Context, name: str, engines: Mapping[int, BenchEngine]) -> dict[int, Samples]:
    """Round trips of one order by the native client, both ends spinning."""
    # What the filling wrote goes to the disk now, and not while one of them is timed.
    os.sync()
    group = Group(name, name, short=SHORT, full=FULL)
    rows = [Row(str(count), name, _client_of(engine), spin="both") for count, engine in engines.items()]
    found: dict[int, Samples] = {}
    for measured in measure_group(context, group, rows):
        if measured.failure is not None:
            raise measured.failure
        found[int(measured.row.name)] = measured.samples
    return found


def _client_of(engine: BenchEngine) -> Callable[[Context], AbstractContextManager[Opened]]:
    @contextmanager
    def opened(_: Context) -> Generator[Opened]:
        client = BlockingFastPathClient(engine.config(carrier="native", spin_us=SPIN_US))
        client.connect()
        try:
            yield Opened(time_orders(client.execute_order), Facts(engine.durability, content()))
        finally:
            client.close()

    return opened
