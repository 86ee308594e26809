"""A moving-average crossover, pure: bars in, intents out. It knows nothing of paths, faults or retries."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from examples.market import TICK, Bar
from transport import Order, OrderSide, OrderType, TimeInForce

FAST_DAYS = 5
SLOW_DAYS = 20
LADDER_STEPS = (Decimal("0.995"), Decimal("0.99"), Decimal("0.98"))
BASKET_DAYS = 21
"""A basket of small orders every month."""
BASKET_SIZE = 40


@dataclass(frozen=True, slots=True)
class Place:
    """Send this order by itself and wait for its reply."""

    order: Order


@dataclass(frozen=True, slots=True)
class PlaceBatch:
    """Send these orders as one message."""

    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class PlaceBasket:
    """Send these orders one by one, all at once."""

    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take this order back, if it is still there."""

    order_id: str


@dataclass(frozen=True, slots=True)
class Reprice:
    """Move this order to a new price, if it is still there."""

    order_id: str
    price: Decimal


Intent = Place | PlaceBatch | PlaceBasket | Cancel | Reprice


@dataclass
class Crossover:
    """The strategy for one symbol."""

    symbol: str
    _closes: deque[Decimal] = field(default_factory=lambda: deque[Decimal](maxlen=SLOW_DAYS))
    _ladder: tuple[Order, ...] = ()
    _is_up: bool | None = None
    _day: int = 0

    def on_close(self, bar: Bar) -> Iterator[Intent]:
        """What to do after the bar's close."""
        self._closes.append(bar.close)
        self._day += 1
        if len(self._closes) < SLOW_DAYS:
            return
        was_up, self._is_up = self._is_up, self._mean(FAST_DAYS) > self._mean(SLOW_DAYS)
        if was_up is not None and was_up != self._is_up:
            yield from self._on_cross_up(bar) if self._is_up else self._on_cross_down(bar)
        elif self._ladder and self._day % 3 == 0:
            yield Reprice(self._ladder[0].order_id, _ticks(bar.close * Decimal("0.997")))
        if self._day % BASKET_DAYS == 0:
            yield PlaceBasket(tuple(self._basket()))

    def _on_cross_up(self, bar: Bar) -> Iterator[Intent]:
        close = bar.close
        yield Place(
            self._order(
                OrderType.MARKET,
                OrderSide.BUY,
                "10",
                stop_loss=_ticks(close * Decimal("0.98")),
                take_profit=_ticks(close * Decimal("1.03")),
            )
        )
        yield Place(self._order(OrderType.STOP_LOSS, OrderSide.BUY, "2", price=_ticks(close * Decimal("1.01"))))
        steps = [_ticks(close * step) for step in LADDER_STEPS]
        self._ladder = tuple(self._order(OrderType.LIMIT, OrderSide.BUY, "400", price=price) for price in steps)
        yield PlaceBatch(self._ladder)

    def _on_cross_down(self, bar: Bar) -> Iterator[Intent]:
        for order in self._ladder:
            yield Cancel(order.order_id)
        self._ladder = ()
        close = bar.close
        yield Place(
            self._order(
                OrderType.LIMIT,
                OrderSide.SELL,
                "10",
                price=_ticks(close * Decimal("0.999")),
                time_in_force=TimeInForce.IOC,
                stop_loss=_ticks(close * Decimal("1.02")),
                take_profit=_ticks(close * Decimal("0.97")),
            )
        )
        yield Place(self._order(OrderType.TAKE_PROFIT, OrderSide.BUY, "2", price=_ticks(close * Decimal("0.98"))))

    def _basket(self) -> Iterator[Order]:
        side = OrderSide.BUY if self._is_up else OrderSide.SELL
        return (self._order(OrderType.MARKET, side, "0.1") for _ in range(BASKET_SIZE))

    def _order(
        self,
        order_type: OrderType,
        side: OrderSide,
        quantity: str,
        *,
        price: Decimal | None = None,
        time_in_force: TimeInForce = TimeInForce.GTC,
        stop_loss: Decimal | None = None,
        take_profit: Decimal | None = None,
    ) -> Order:
        return Order(
            symbol=self.symbol,
            order_type=order_type,
            side=side,
            quantity=Decimal(quantity),
            price=price,
            time_in_force=time_in_force,
            stop_loss=stop_loss,
            take_profit=take_profit,
            metadata={"strategy": "crossover"},
        )

    def _mean(self, days: int) -> Decimal:
        recent = list(self._closes)[-days:]
        return sum(recent, Decimal(0)) / len(recent)


def _ticks(price: Decimal) -> Decimal:
    return price.quantize(TICK)
