"""Random orders and quotes of a market around one price: every type, side and time in force, some bad on purpose."""

from __future__ import annotations

import random
import time
from decimal import Decimal

from transport import Order, OrderSide, OrderType, Quote, TimeInForce, new_order_id

MIDDLE = {"NASDAQ": Decimal(2207), "SP500": Decimal(1229)}
"""The default instruments' opening prices; the feed wanders around them."""
SYMBOLS = tuple(MIDDLE)
_TICK = Decimal("0.01")
_SHARED_EVERY_MS = 400


def random_order(draw: random.Random, order_id: str | None = None) -> Order:
    """One order. Its prices lie around the middle, so that some rest, some fill, some trigger."""
    symbol = draw.choice(SYMBOLS)
    side = draw.choice(list(OrderSide))
    order_type = draw.choices(list(OrderType), (5, 6, 2, 2))[0]
    price = None if order_type == OrderType.MARKET else _near(draw, symbol)
    if draw.random() < 0.02 and price is not None:
        price += Decimal("0.001")  # off the tick: a rejection, which is a reply like any other
    has_legs = draw.random() < 0.15
    stop_loss, take_profit = _legs(draw, price or MIDDLE[symbol], side) if has_legs else (None, None)
    soon = draw.random() < 0.05
    return Order(
        order_id=order_id or new_order_id(),
        symbol=symbol,
        order_type=order_type,
        side=side,
        quantity=Decimal(draw.randint(1, 40)),
        price=price,
        stop_loss=stop_loss,
        take_profit=take_profit,
        time_in_force=draw.choices([TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK], (6, 2, 1))[0],
        expires_at_ns=time.time_ns() + draw.randint(1, 1500) * 1_000_000 if soon else None,
        metadata={"drawn": str(draw.randint(0, 99))} if draw.random() < 0.1 else {},
    )


def shared_order(seed: int) -> Order:
    """The order that every client sends at this time of the day under the same id: one of them will be first."""
    number = time.monotonic_ns() // (_SHARED_EVERY_MS * 1_000_000)
    draw = random.Random(f"{seed}/shared/{number}")
    return Order(
        order_id=f"shared-{seed}-{number}",
        symbol=draw.choice(SYMBOLS),
        order_type=OrderType.MARKET,
        side=draw.choice(list(OrderSide)),
        quantity=Decimal(draw.randint(1, 5)),
    )


def random_quotes(draw: random.Random) -> list[Quote]:
    """A quote of each symbol somewhere around its middle, of a size that orders can exhaust."""
    quotes: list[Quote] = []
    for symbol in SYMBOLS:
        bid = _near(draw, symbol)
        size = Decimal(draw.choice((0, 50, 400, 3000)))
        quotes.append(Quote(symbol=symbol, bid=bid, ask=bid + 2 * _TICK, bid_size=size, ask_size=size, last_price=bid))
    return quotes


def near_price(draw: random.Random, symbol: str) -> Decimal:
    """A price for a replace."""
    return _near(draw, symbol)


def _near(draw: random.Random, symbol: str) -> Decimal:
    return MIDDLE[symbol] + _TICK * draw.randint(-150, 150)


def _legs(draw: random.Random, price: Decimal, side: OrderSide) -> tuple[Decimal, Decimal]:
    """Near enough that one of them triggers before long: what rests costs room in the journal with every record."""
    below = price - _TICK * draw.randint(5, 100)
    above = price + _TICK * draw.randint(5, 100)
    return (below, above) if side == OrderSide.BUY else (above, below)
