"""What every client of the engine offers, whatever its path: the same names, sync and async.

Deadlines: `timeout_ms` bounds a whole call with its retries (default: `BridgeConfig.call_timeout_ms`). A call ends in
a reply, or raises `NotSentError`, `ExecutionError`, `ValidationError`, `AuthenticationError`, `EngineSystemError`,
or `OutcomeUnknownError` (`transport.contract.errors` says what to do with each). A query changes nothing: without an
answer it raises `NetworkError`, and never `OutcomeUnknownError`.

The bridge clients go on for `unknown_resolution_ms` with a call that is in doubt when its time is over, while a path is
alive, and offer `resolve(order_id)` for what stays unknown. Clients of one path end at `timeout_ms`; there, send the
same order again under its id, or ask `get_order(order_id, fence=True)`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Protocol

from transport.contract.codes import TradingState
from transport.contract.conclusions import Conclusion
from transport.contract.orders import Order, Quote
from transport.contract.path import PathListener
from transport.contract.replies import (
    CommandReplies,
    CommandReply,
    Delivery,
    ExecuteReply,
    GetOrderReply,
    Health,
    MarketDataUpdate,
    OpenOrders,
    OrderCommandReply,
    OrderReply,
    OrderUpdate,
    UpdateGap,
)
from transport.contract.requests import Command, RiskLimits


class AsyncExecutionClient(Protocol):
    """The contract, for asyncio. Use a client in the event loop it was connected in, from as many tasks as you like.

    Cancelling a task that awaits a call abandons the wait, not the order: its outcome is unknown then.
    """

    async def execute_order(self, order: Order, *, timeout_ms: float | None = None) -> OrderReply: ...
    async def deliver_order(self, order: Order, *, timeout_ms: float | None = None) -> Delivery: ...
    async def execute_batch(self, orders: Sequence[Order], *, timeout_ms: float | None = None) -> list[OrderReply]: ...
    def execute_batch_orders(self, orders: Iterable[Order] | AsyncIterable[Order]) -> AsyncIterator[OrderReply]: ...
    async def cancel_order(
        self,
        order_id: str,
        *,
        command_id: str | None = None,
        expected_version: int | None = None,
        timeout_ms: float | None = None,
    ) -> OrderCommandReply: ...
    async def replace_order(
        self,
        order_id: str,
        *,
        expected_version: int,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> OrderCommandReply: ...
    async def get_order(
        self, order_id: str, *, fence: bool = False, timeout_ms: float | None = None
    ) -> GetOrderReply: ...
    async def cancel_all_orders(
        self, *, symbol: str | None = None, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply: ...
    async def set_risk_limits(
        self,
        limits: RiskLimits,
        *,
        symbol: str = "",
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> CommandReply: ...
    async def cancel_on_disconnect(
        self, grace_ms: int | None, *, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply: ...
    async def open_orders(self, *, timeout_ms: float | None = None) -> OpenOrders: ...
    async def set_trading_state(
        self,
        state: TradingState,
        *,
        cancel_open_orders: bool = False,
        all_accounts: bool = False,
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> CommandReply: ...
    async def publish_quotes(
        self, quotes: Sequence[Quote], *, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply: ...
    def stream_market_data(self, symbols: Sequence[str] = ()) -> AsyncIterator[MarketDataUpdate]: ...
    def subscribe_order_updates(
        self, *, resume_from: int | None = None, accept_gaps: bool = True
    ) -> AsyncIterator[OrderUpdate | UpdateGap]: ...
    async def health_check(self, *, timeout_ms: float | None = None) -> Health: ...
    async def close(self) -> None: ...


class BlockingExecutionClient(Protocol):
    """The contract, for threads. One client may be used by many threads; not across `os.fork`."""

    def execute_order(self, order: Order, *, timeout_ms: float | None = None) -> OrderReply: ...
    def deliver_order(self, order: Order, *, timeout_ms: float | None = None) -> Delivery: ...
    def execute_batch(self, orders: Sequence[Order], *, timeout_ms: float | None = None) -> list[OrderReply]: ...
    def execute_batch_orders(self, orders: Iterable[Order]) -> Iterator[OrderReply]: ...
    def cancel_order(
        self,
        order_id: str,
        *,
        command_id: str | None = None,
        expected_version: int | None = None,
        timeout_ms: float | None = None,
    ) -> OrderCommandReply: ...
    def replace_order(
        self,
        order_id: str,
        *,
        expected_version: int,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> OrderCommandReply: ...
    def get_order(self, order_id: str, *, fence: bool = False, timeout_ms: float | None = None) -> GetOrderReply: ...
    def cancel_all_orders(
        self, *, symbol: str | None = None, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply: ...
    def set_risk_limits(
        self,
        limits: RiskLimits,
        *,
        symbol: str = "",
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> CommandReply: ...
    def cancel_on_disconnect(
        self, grace_ms: int | None, *, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply: ...
    def open_orders(self, *, timeout_ms: float | None = None) -> OpenOrders: ...
    def set_trading_state(
        self,
        state: TradingState,
        *,
        cancel_open_orders: bool = False,
        all_accounts: bool = False,
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> CommandReply: ...
    def publish_quotes(
        self, quotes: Sequence[Quote], *, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply: ...
    def stream_market_data(self, symbols: Sequence[str] = ()) -> Iterator[MarketDataUpdate]: ...
    def subscribe_order_updates(
        self, *, resume_from: int | None = None, accept_gaps: bool = True
    ) -> Iterator[OrderUpdate | UpdateGap]: ...
    def health_check(self, *, timeout_ms: float | None = None) -> Health: ...
    def close(self) -> None: ...


class AsyncPath(AsyncExecutionClient, Protocol):
    """One path to the engine, as failover sees it: single attempts that conclude and never raise for the network.

    An attempt raises only `ValidationError` (the request has no form on the wire) and `ForkedProcessError`.
    """

    async def connect(self) -> None:
        """Open the path within `connect_timeout_ms`, or raise what kept it from opening."""
        ...

    @property
    def is_connected(self) -> bool:
        """Whether a request would be sent now."""
        ...

    @property
    def journal_id(self) -> str:
        """The engine's journal that this path is bound to; empty before the first connection."""
        ...

    def bind_journal(self, journal_id: str) -> None:
        """Accept no other engine than this one (the other path's)."""
        ...

    def add_listener(self, listener: PathListener) -> None:
        """Tell `listener` of every event of the path from now on."""
        ...

    async def attempt_order(self, order: Order, timeout_ms: float) -> Conclusion[OrderReply]: ...
    async def attempt_batch(self, orders: Sequence[Order], timeout_ms: float) -> Conclusion[list[ExecuteReply]]: ...
    async def attempt(self, command: Command, timeout_ms: float) -> Conclusion[CommandReplies]: ...
    async def probe(self, timeout_ms: float) -> bool:
        """Whether the path carries a request and its reply (a health check) just now."""
        ...


class BlockingPath(BlockingExecutionClient, Protocol):
    """`AsyncPath`, for threads."""

    def connect(self) -> None: ...
    @property
    def is_connected(self) -> bool: ...
    @property
    def journal_id(self) -> str: ...
    def bind_journal(self, journal_id: str) -> None: ...
    def add_listener(self, listener: PathListener) -> None: ...
    def attempt_order(self, order: Order, timeout_ms: float) -> Conclusion[OrderReply]: ...
    def attempt_batch(self, orders: Sequence[Order], timeout_ms: float) -> Conclusion[list[ExecuteReply]]: ...
    def attempt(self, command: Command, timeout_ms: float) -> Conclusion[CommandReplies]: ...
    def probe(self, timeout_ms: float) -> bool: ...
