"""The run's own client, past all proxies, with a ledger like the others': it fills disks, and has the last word."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from fallback_grpc import BlockingGrpcClient
from tests.chaos.actors.doubts import Doubts
from tests.chaos.actors.ledger_file import LedgerFile, order_of_words, order_words, reply_words, words_of
from transport import (
    BridgeConfig,
    ExecutionBridgeError,
    ExecutionError,
    Order,
    OrderReply,
    OrderSide,
    OrderType,
    OutcomeUnknownError,
    ReasonCode,
    TimeInForce,
    new_command_id,
)

_MOST_BALLAST_ORDERS = 400
_BALLAST = {f"ballast {number}": "x" * 250 for number in range(30)}
"""Some 8 KB of an order that the journal has to keep."""
_PATIENCE_MS = 10_000.0
_BALLAST_PATIENCE_MS = 5_000.0
"""An engine whose disk has failed does not answer; one on a busy machine does, but it may take seconds."""


class Observer:
    """One client for one call at a time; it connects anew for each, since engines come and go."""

    def __init__(self, config: BridgeConfig, folder: Path) -> None:
        self.ledger_path = folder / "observer.jsonl"
        self._config = config
        self._doubts = Doubts()
        self._ledger = LedgerFile(self.ledger_path, 1, self._doubts.take)

    def is_serving(self) -> bool:
        """What the engine says of itself."""
        with BlockingGrpcClient(self._config) as client:
            return client.health_check(timeout_ms=_PATIENCE_MS).is_serving

    def fill_the_disk(self) -> bool:
        """Sends large orders until the engine has no room for another; whether it said so."""
        with BlockingGrpcClient(self._config) as client:
            for _ in range(_MOST_BALLAST_ORDERS):
                order = Order(
                    symbol="NASDAQ", order_type=OrderType.LIMIT, side=OrderSide.BUY, quantity=Decimal(1),
                    price=Decimal(1), time_in_force=TimeInForce.IOC, metadata=_BALLAST,
                )  # fmt: skip
                try:
                    self._send(client, order, _BALLAST_PATIENCE_MS)
                except ExecutionError as refused:
                    return refused.code == ReasonCode.BUSY
                except ExecutionBridgeError:
                    return False
        return False

    def last_words(self) -> tuple[int, list[str]]:
        """Resolves its own doubts, takes back what is open, and sends one more order.

        The number of that order's last update, and the ids that were still open after all were cancelled.
        """
        with BlockingGrpcClient(self._config) as client:
            for words in list(self._doubts.orders.values()):
                self._send(client, order_of_words(words))
            command = {"command_id": new_command_id()}
            number = self._ledger.intent("cancel_all_orders", command=command)
            answer = client.cancel_all_orders(command_id=command["command_id"], timeout_ms=3 * _PATIENCE_MS)
            self._ledger.write({"e": "answer", "n": number, "answer": words_of(answer.raise_for_rejection())})
            left = [order.order_id for order in client.open_orders(timeout_ms=_PATIENCE_MS).orders]
            last = Order(symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1))
            return self._send(client, last).sequence, left

    def _send(self, client: BlockingGrpcClient, order: Order, timeout_ms: float = _PATIENCE_MS) -> OrderReply:
        number = self._ledger.intent("order", orders=[order_words(order)])
        end: dict[str, Any] = {"e": "end", "n": number, "how": "done"}
        try:
            reply = client.execute_order(order, timeout_ms=timeout_ms)
        except ExecutionBridgeError as problem:
            end |= {"how": type(problem).__name__, "message": str(problem)}
            end["ids"] = list(problem.order_ids) if isinstance(problem, OutcomeUnknownError) else []
            raise
        else:
            self._ledger.write({"e": "reply", "n": number, "reply": reply_words(reply)})
            return reply
        finally:
            self._ledger.write(end)
