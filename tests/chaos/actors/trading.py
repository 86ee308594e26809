"""One trader: draws what to do next from its seed, again and again, until it is told to wind down."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from decimal import Decimal
from typing import Any

import msgspec

from tests.chaos.actors.calling import Caller
from tests.chaos.actors.orders import SYMBOLS, near_price, random_order, random_quotes, shared_order
from transport import (
    ExecutionStatus,
    Order,
    OrderReply,
    OrderType,
    Quote,
    RiskLimits,
    TradingState,
    new_command_id,
    new_order_id,
)

_REMEMBERED = 200
_OPEN = (ExecutionStatus.PENDING, ExecutionStatus.PARTIALLY_FILLED)


class Trader:
    """Orders alone, in batches, in streams; the same again; cancels, replaces, queries, fences."""

    def __init__(self, caller: Caller, seed: int, life: int, name: str) -> None:
        self._caller = caller
        self._seed = seed
        self._prefers = caller.has_two_paths
        self._draw = random.Random(f"{seed}/{name}/{life}")
        self._open: deque[OrderReply] = deque(maxlen=_REMEMBERED)
        self._concluded: deque[Order] = deque(maxlen=_REMEMBERED)

    async def step(self) -> None:
        """One thing to do, whatever comes of it."""
        deeds = (
            (self._order, 40), (self._batch, 8), (self._stream, 5), (self._cancel, 12), (self._replace, 10),
            (self._same_again, 6), (self._other_under_same_id, 2), (self._fence_then_send, 2), (self._shared, 12),
            (self._twice_at_once, 3), (self._cancel_all, 2), (self._limit, 1),
            (self._reduce_for_a_moment, 1), (self._prefer_another, 1 if self._prefers else 0),
        )  # fmt: skip
        deed = self._draw.choices([one for one, _ in deeds], [weight for _, weight in deeds])[0]
        await deed()

    async def _order(self) -> None:
        order = random_order(self._draw)
        self._learn(order, await self._caller.order(order))

    async def _batch(self) -> None:
        orders = [random_order(self._draw) for _ in range(self._draw.randint(2, 8))]
        self._learn_all(orders, await self._caller.batch(orders))

    async def _stream(self) -> None:
        orders = [random_order(self._draw) for _ in range(self._draw.randint(5, 20))]
        self._learn_all(orders, await self._caller.stream(orders))

    async def _shared(self) -> None:
        await self._caller.order(shared_order(self._seed), "shared")

    async def _twice_at_once(self) -> None:
        order = random_order(self._draw)
        replies = await asyncio.gather(self._caller.order(order), self._caller.order(order, "again"))
        self._learn(order, replies[0] or replies[1])

    async def _cancel_all(self) -> None:
        command = {"command_id": new_command_id(), "symbol": self._draw.choice(SYMBOLS)}
        await send_command(self._caller, "cancel_all_orders", command)

    async def _limit(self) -> None:
        limits = {"max_order_quantity": str(self._draw.randint(25, 60))} if self._draw.random() < 0.7 else {}
        command = {"command_id": new_command_id(), "symbol": self._draw.choice(("", *SYMBOLS)), "limits": limits}
        await send_command(self._caller, "set_risk_limits", command)

    async def _reduce_for_a_moment(self) -> None:
        for state in (TradingState.REDUCING, TradingState.ACTIVE):
            await send_command(self._caller, "set_trading_state", {"command_id": new_command_id(), "state": state.name})

    async def _prefer_another(self) -> None:
        await self._caller.prefer(self._draw.choice(("zmq", "grpc")))

    async def _same_again(self) -> None:
        if self._concluded:
            await self._caller.order(self._draw.choice(self._concluded), "again")

    async def _other_under_same_id(self) -> None:
        if self._concluded:
            known = self._draw.choice(self._concluded)
            await self._caller.order(msgspec.structs.replace(known, quantity=known.quantity + 1), "other content")

    async def _fence_then_send(self) -> None:
        order = random_order(self._draw, new_order_id())
        await self._caller.fence(order.order_id)
        await self._caller.order(order, "after its fence")

    async def _cancel(self) -> None:
        if self._open:
            await self._send_cancel(self._draw.choice(self._open).order_id)

    async def _send_cancel(self, order_id: str) -> None:
        command = {"command_id": new_command_id(), "order_id": order_id}
        await self._caller.command("cancel_order", command, command)

    async def _replace(self) -> None:
        if not self._open:
            return
        known = self._draw.choice(self._open)
        command: dict[str, Any] = {
            "command_id": new_command_id(),
            "order_id": known.order_id,
            "expected_version": known.order_version,
        }
        if self._draw.random() < 0.5 and known.order_type != OrderType.MARKET:
            command["price"] = near_price(self._draw, known.symbol)
        else:
            command["quantity"] = Decimal(self._draw.randint(1, 60))
        await send_command(self._caller, "replace_order", command)

    def _learn_all(self, orders: list[Order], replies: list[OrderReply]) -> None:
        by_id = {reply.order_id: reply for reply in replies}
        for order in orders:
            self._learn(order, by_id.get(order.order_id))

    def _learn(self, order: Order, reply: OrderReply | None) -> None:
        if reply is None or reply.status == ExecutionStatus.FAILED:
            return
        self._concluded.append(order)
        if reply.status in _OPEN:
            self._open.append(reply)


class Feed:
    """Publishes quotes of every symbol."""

    def __init__(self, caller: Caller, seed: int, life: int, name: str) -> None:
        self._caller = caller
        self._draw = random.Random(f"{seed}/{name}/{life}")

    async def step(self) -> None:
        """One quote of each symbol, as one message."""
        quotes = [{k: v for k, v in msgspec.to_builtins(q).items() if v is not None} for q in random_quotes(self._draw)]
        await send_command(self._caller, "publish_quotes", {"command_id": new_command_id(), "quotes": quotes})


async def send_command(caller: Caller, name: str, command: dict[str, Any]) -> Any:
    """Sends a command as the ledger keeps it, so that what is read back from there is sent the same again."""
    words = {key: str(value) if isinstance(value, Decimal) else value for key, value in command.items()}
    return await caller.command(name, words, call_of_words(words))


def call_of_words(words: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the client's method again."""
    call = dict(words)
    for name in ("price", "quantity"):
        if name in call:
            call[name] = Decimal(call[name])
    if "quotes" in call:
        call["quotes"] = msgspec.convert(call["quotes"], list[Quote])
    if "limits" in call:
        call["limits"] = msgspec.convert(call["limits"], RiskLimits)
    if "state" in call:
        call["state"] = TradingState[call["state"]]
    return call
