"""A subscription to order updates that says where it stands, so that another path can go on from there."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Self

from fallback_grpc.failover.updates import UpdateCursor
from transport.contract.replies import OrderUpdate, UpdateGap


class UpdateStream:
    """An async iterator of updates. For one task of the client's event loop."""

    def __init__(self, items: AsyncGenerator[OrderUpdate | UpdateGap, None], cursor: UpdateCursor) -> None:
        self._items = items
        self._cursor = cursor

    @property
    def last_sequence(self) -> int | None:
        """Where to resume another subscription; None until the engine has said where this one began."""
        return self._cursor.resume_from

    @property
    def is_subscribed(self) -> bool:
        """Whether the engine has answered the present subscription; another path takes over where it long has not."""
        return self._cursor.is_streaming

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> OrderUpdate | UpdateGap:
        return await anext(self._items)

    async def aclose(self) -> None:
        """Ends the subscription."""
        await self._items.aclose()
