"""Twenty years of daily bars of two indices, and the quotes that a feed would have made of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path

from transport import Quote

DATA_FILE = Path(__file__).parent / "data" / "index_daily.csv"
TICK = Decimal("0.01")
QUANTITY_STEP = Decimal("0.001")
_VOLUME_PER_UNIT = 1_000_000
"""The volume of an index counts shares of all its members; a millionth of it is the size one could trade."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One symbol's day: prices in index points, volume in shares."""

    day: date
    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


def read_days(path: Path = DATA_FILE) -> list[list[Bar]]:
    """Every trading day, oldest first, with one bar per symbol.

    Raises:
        ValueError: a row that is no bar; the message names file and line.
    """
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        bars = [_bar(row, f"{path.name}, line {number}") for number, row in enumerate(rows, start=2)]
    return [list(day) for _, day in groupby(bars, key=lambda bar: bar.day)]


def _bar(row: dict[str, str], place: str) -> Bar:
    try:
        prices = [Decimal(row[name]) for name in ("open", "high", "low", "close")]
        return Bar(date.fromisoformat(row["date"]), row["symbol"], *prices, volume=int(row["volume"]))
    except (KeyError, ValueError, ArithmeticError) as error:
        raise ValueError(f"{place}: not a bar ({error}): {row}") from error


def quotes_of_day(bars: list[Bar]) -> Iterator[list[Quote]]:
    """Four rounds of quotes: open, the two extremes in the order that the close suggests, close."""
    for moment in range(4):
        yield [_quote(bar, _path_of(bar)[moment], moment) for bar in bars]


def _path_of(bar: Bar) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    if bar.close >= bar.open:
        return bar.open, bar.low, bar.high, bar.close
    return bar.open, bar.high, bar.low, bar.close


def _quote(bar: Bar, price: Decimal, moment: int) -> Quote:
    size = (Decimal(bar.volume) / _VOLUME_PER_UNIT / 4).quantize(QUANTITY_STEP)
    opening = datetime(bar.day.year, bar.day.month, bar.day.day, 14, 30, tzinfo=UTC)
    return Quote(
        symbol=bar.symbol,
        bid=price - TICK,
        ask=price + TICK,
        bid_size=size,
        ask_size=size,
        last_price=price,
        volume=Decimal(bar.volume),
        timestamp_ns=(int(opening.timestamp()) + moment * 7800) * 1_000_000_000,
    )
