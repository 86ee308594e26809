"""The least client that `zmq.asyncio` allows: DEALER, Hello, then one order at a time with the native codec."""

from __future__ import annotations

import zmq
import zmq.asyncio

from transport import Order, OrderReply, new_session_id
from transport.wire.choice import choose_codec
from transport.wire.messages import ExecuteReply, Hello, Welcome

RECEIVE_DEADLINE_MS = 5_000


class RawZmqClient:
    """No retries, no deadlines of its own, no liveness: what a user would write first."""

    def __init__(self, endpoint: str) -> None:
        self._codec = choose_codec("native")
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVTIMEO, RECEIVE_DEADLINE_MS)
        self._socket.connect(endpoint)
        self._journal_id = ""
        self._correlation = 0

    async def connect(self) -> None:
        """Hello and Welcome."""
        hello = Hello(client="bench-zmq-asyncio", session_id=new_session_id())
        await self._socket.send(self._codec.encode_request(self._next(), "", hello))
        _, welcome = self._codec.decode(await self._socket.recv())
        if not isinstance(welcome, Welcome):
            raise ConnectionRefusedError(f"the engine answered Hello with {welcome}")
        self._journal_id = welcome.journal_id

    async def execute_order(self, order: Order) -> OrderReply:
        """One order, and its reply."""
        correlation = self._next()
        await self._socket.send(self._codec.encode_execute_order(correlation, self._journal_id, order))
        answered, message = self._codec.decode(await self._socket.recv())
        if answered != correlation or not isinstance(message, ExecuteReply):
            raise ConnectionError(f"request {correlation} was answered by {answered}: {message}")
        return message.reply

    async def close(self) -> None:
        """Frees socket and context."""
        self._socket.close()
        self._context.term()

    def _next(self) -> int:
        self._correlation += 1
        return self._correlation
