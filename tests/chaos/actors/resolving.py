"""The way out of an unknown: the same id again, or a query with a fence; until the ledger knows of no doubt."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable

from tests.chaos.actors.calling import Caller
from tests.chaos.actors.doubts import Doubts
from tests.chaos.actors.ledger_file import order_of_words
from tests.chaos.actors.trading import call_of_words

_PAUSE_S = 0.05


async def resolve_all(doubts: Doubts, caller: Caller, go_on: Callable[[], bool]) -> int:
    """Resolves what this client's own ledger leaves open; how much is left when `go_on` says that it is enough.

    By their ids some orders are sent again, some are fenced, and some are left to the client's own `resolve`.
    """
    while doubts.orders or doubts.commands:
        if not go_on():
            return len(doubts.orders) + len(doubts.commands)
        for order_id, words in list(doubts.orders.items()):
            match zlib.crc32(order_id.encode()) % (3 if caller.can_resolve else 2):
                case 0:
                    await caller.order(order_of_words(words), "resolve")
                case 1:
                    await caller.fence(order_id)
                case _:
                    await caller.resolve(order_id)
        for call in list(doubts.commands.values()):
            await caller.command(call.kind, call.command, call_of_words(call.command))
        await asyncio.sleep(_PAUSE_S)
    return 0
