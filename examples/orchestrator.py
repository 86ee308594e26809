"""The trading loop: publishes the day's quotes, asks the strategies, and sends what they want over the bridge."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Literal

from examples.ledger import Call, Ledger
from examples.market import Bar, quotes_of_day
from examples.strategy import Cancel, Crossover, Intent, Place, PlaceBasket, PlaceBatch, Reprice
from fallback_grpc import ExecutionBridgeClient
from transport import ExecutionBridgeError, Order, OrderReply, OrderSide, OrderType, ReasonCode

Basket = Callable[["Orchestrator", Sequence[Order]], Awaitable[None]]


class Orchestrator:
    """One account's trading on one bridge client. It knows orders and replies; of paths it knows nothing."""

    def __init__(self, client: ExecutionBridgeClient, ledger: Ledger, symbols: Sequence[str]) -> None:
        self._client, self._ledger = client, ledger
        self._strategies = {symbol: Crossover(symbol) for symbol in symbols}

    async def trade(self, days: Sequence[list[Bar]], send_basket: Basket) -> AsyncIterator[int]:
        """Trades day by day and yields the number of each; `send_basket` sends what goes out all at once."""
        for number, bars in enumerate(days):
            for quotes in quotes_of_day(bars):
                (await self._client.publish_quotes(quotes)).raise_for_rejection()
            for bar in bars:
                for intent in self._strategies[bar.symbol].on_close(bar):
                    await self._carry_out(intent, send_basket)
            yield number

    async def close(self) -> int:
        """Cancels everything open and sends one last order; the number of its last update."""
        (await self._client.cancel_all_orders()).raise_for_rejection()
        symbol = next(iter(self._strategies))
        last = Order(symbol=symbol, order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal("0.1"))
        await self.execute(last)
        reply = self._ledger.calls[last.order_id].reply
        return reply.sequence if reply is not None else 0

    async def execute_at_once(self, orders: Sequence[Order]) -> None:
        """Sends every order by itself, none waiting for another, and returns when all have ended."""
        await asyncio.gather(*(self.execute(order, sent="in basket") for order in orders))

    async def execute(self, order: Order, *, sent: Literal["alone", "in basket"] = "alone") -> None:
        """Sends one order and writes down how it ended."""
        started = time.perf_counter_ns()
        call = Call(order, sent)
        try:
            call.delivery = await self._client.deliver_order(order)
            call.reply = call.delivery.reply
        except ExecutionBridgeError as error:
            call.error = error
        call.latency_us = (time.perf_counter_ns() - started) / 1000
        self._ledger.record_call(call)

    async def _carry_out(self, intent: Intent, send_basket: Basket) -> None:
        match intent:
            case Place(order):
                await self.execute(order)
            case PlaceBasket(orders):
                await send_basket(self, orders)
            case PlaceBatch(orders):
                await self._execute_batch(orders)
            case Cancel(order_id):
                answer = await self._client.cancel_order(order_id)
                self._ledger.cancelled += answer.code == ReasonCode.NONE
            case Reprice(order_id, price):
                known = self._ledger.states.get(order_id)
                if known is not None and not known.status.is_terminal:
                    version = known.order_version
                    answer = await self._client.replace_order(order_id, expected_version=version, price=price)
                    self._ledger.replaced += answer.code == ReasonCode.NONE

    async def _execute_batch(self, orders: Sequence[Order]) -> None:
        started = time.perf_counter_ns()
        replies: Sequence[OrderReply | None]
        error = None
        try:
            replies = await self._client.execute_batch(orders)
        except ExecutionBridgeError as failure:
            replies, error = [None] * len(orders), failure
        latency_us = (time.perf_counter_ns() - started) / 1000
        for order, reply in zip(orders, replies, strict=True):
            self._ledger.record_call(Call(order, "in batch", latency_us, reply=reply, error=error))


async def keep_ledger(client: ExecutionBridgeClient, ledger: Ledger) -> None:
    """Writes every order update of the account into the ledger, until cancelled."""
    async for update in client.subscribe_order_updates(resume_from=0):
        ledger.record_update(update)
