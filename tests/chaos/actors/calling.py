"""Every call of a client with its lines in the ledger: the intent before it, what came of it after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fallback_grpc.resolution import Resolution
from tests.chaos.actors.faces import Face
from tests.chaos.actors.ledger_file import LedgerFile, order_words, reply_words, words_of
from transport import (
    ExecutionBridgeError,
    ExecutionError,
    Order,
    OrderReply,
    OutcomeUnknownError,
    Path,
    ValidationError,
)


class Caller:
    """Sends, and writes down. It remembers nothing itself: what it would have to know is in the ledger."""

    def __init__(self, face: Face, ledger: LedgerFile) -> None:
        self._face, self._ledger = face, ledger
        self.orders_sent = 0
        self.orders_replied = 0

    @property
    def has_two_paths(self) -> bool:
        """Whether the client can be told which path to take."""
        return hasattr(self._face.client, "prefer")

    async def prefer(self, path: Path) -> None:
        """Takes this path first from now on."""
        self._face.client.prefer(path)
        self._ledger.write({"e": "prefer", "path": path})

    async def order(self, order: Order, kind: str = "order") -> OrderReply | None:
        """Sends one order; None where the call ended in an exception of the bridge."""
        number = self._intent(kind, (order,))
        try:
            delivery = await self._face.deliver(order)
        except ExecutionBridgeError as problem:
            self._failed(number, problem)
            return None
        except Exception as surprise:
            self._surprised(number, surprise)
            raise
        self._replied(number, delivery.reply, path=delivery.path, duplicate=delivery.duplicate)
        self._done(number)
        return delivery.reply

    async def batch(self, orders: Sequence[Order]) -> list[OrderReply]:
        """Sends orders as one message; the replies that came."""
        number = self._intent("batch", orders)
        try:
            replies = await self._face.batch(orders)
        except ExecutionBridgeError as problem:
            self._failed(number, problem)
            return []
        except Exception as surprise:
            self._surprised(number, surprise)
            raise
        for reply in replies:
            self._replied(number, reply)
        self._done(number)
        return replies

    async def stream(self, orders: Sequence[Order]) -> list[OrderReply]:
        """Sends orders as a stream; the replies that came."""
        number = self._intent("stream", orders)
        replies: list[OrderReply] = []
        try:
            async for reply in self._face.stream(orders):
                replies.append(reply)
                self._replied(number, reply)
        except ExecutionBridgeError as problem:
            self._failed(number, problem)
            return replies
        except Exception as surprise:
            self._surprised(number, surprise)
            raise
        self._done(number)
        return replies

    async def command(self, name: str, command: dict[str, Any], call: dict[str, Any]) -> Any:
        """Calls the client's method `name` with `call`; `command` is what the ledger keeps of it."""
        number = self._ledger.intent(name, command=command)
        try:
            answer = await self._face.command(name, **call)
        except ExecutionBridgeError as problem:
            self._failed(number, problem)
            return None
        except Exception as surprise:
            self._surprised(number, surprise)
            raise
        self._ledger.write({"e": "answer", "n": number, "answer": words_of(answer)})
        self._done(number)
        return answer

    async def fence(self, order_id: str) -> Any:
        """Asks for an order, so that it never executes if the engine does not know it."""
        number = self._ledger.intent("fence", command={"order_id": order_id})
        try:
            answer = await self._face.command("get_order", order_id, fence=True)
        except ExecutionBridgeError as problem:
            self._failed(number, problem)
            return None
        self._ledger.write({"e": "answer", "n": number, "answer": words_of(answer)})
        self._done(number)
        return answer

    @property
    def can_resolve(self) -> bool:
        """Whether the client itself knows the way out of an unknown."""
        return hasattr(self._face.client, "resolve")

    async def resolve(self, order_id: str) -> None:
        """Has the client find out; in the ledger it reads as a query with a fence, which it is at least as good as."""
        number = self._ledger.intent("fence", command={"order_id": order_id, "by": "resolve"})
        try:
            found: Resolution = await self._face.command("resolve", order_id)
        except ExecutionBridgeError as problem:
            self._failed(number, problem)
            return
        reply = None if found.reply is None else reply_words(found.reply)
        answer = {"found": reply is not None, "fenced": found.fenced, "reply": reply, "resent": found.resent}
        self._ledger.write({"e": "answer", "n": number, "answer": answer})
        self._done(number)

    def _intent(self, kind: str, orders: Sequence[Order]) -> int:
        self.orders_sent += len(orders)
        return self._ledger.intent(kind, orders=[order_words(order) for order in orders])

    def _replied(self, number: int, reply: OrderReply, **how: Any) -> None:
        self.orders_replied += 1
        self._ledger.write({"e": "reply", "n": number, "reply": reply_words(reply)} | how)

    def _done(self, number: int) -> None:
        self._ledger.write({"e": "end", "n": number, "how": "done"})

    def _failed(self, number: int, problem: ExecutionBridgeError) -> None:
        end: dict[str, Any] = {"e": "end", "n": number, "how": type(problem).__name__, "message": str(problem)}
        if isinstance(problem, OutcomeUnknownError):
            end["ids"] = list(problem.order_ids)
        if isinstance(problem, ExecutionError | ValidationError):
            end["code"] = problem.code.name
        self._ledger.write(end)

    def _surprised(self, number: int, surprise: Exception) -> None:
        self._ledger.write({"e": "surprise", "n": number, "what": f"{type(surprise).__name__}: {surprise}"})
