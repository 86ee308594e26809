"""Commands and queries, of orders and of the account: cancel, replace, get, trading state, limits. Every client's.

Over one primitive of the client: a command, and its reply.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from decimal import Decimal
from typing import cast

from transport.contract.codes import ReasonCode, TradingState
from transport.contract.commands import AccountCommands
from transport.contract.config import BridgeConfig
from transport.contract.orders import Quote
from transport.contract.replies import (
    CommandReplies,
    CommandReply,
    GetOrderReply,
    OpenOrders,
    OrderCommandReply,
    OrderReply,
)
from transport.contract.requests import Command, ListOpenOrders, RiskLimits
from transport.contract.timeouts import call_timeout_ms


class OpenOrderPages:
    """Joins the pages of a list of open orders: ask `query()` until it is None, then take `joined()`."""

    def __init__(self, config: BridgeConfig, timeout_ms: float | None) -> None:
        self._commands = AccountCommands(config.account)
        self._until_s = time.monotonic() + call_timeout_ms(timeout_ms, config.call_timeout_ms) / 1_000
        self._orders: list[OrderReply] = []
        self._first: OpenOrders | None = None
        self._last: OpenOrders | None = None

    @property
    def left_ms(self) -> float:
        """Of the whole call's time."""
        return max((self._until_s - time.monotonic()) * 1_000, 0.001)

    def query(self) -> ListOpenOrders | None:
        """The next page's; None when there are no more, or the engine has none to give."""
        page = self._last
        if page is None:
            return self._commands.open_orders()
        if page.code != ReasonCode.NONE or not page.more or not page.orders:
            return None
        return self._commands.open_orders(page.orders[-1].order_id)

    def add(self, page: OpenOrders) -> None:
        """Takes the page that was asked for."""
        self._first = self._first or page
        self._last = page
        self._orders += page.orders

    def joined(self) -> OpenOrders:
        """All orders; or the page that says why they could not be listed."""
        if self._last is not None and self._last.code != ReasonCode.NONE:
            return self._last
        # An update between two pages may be of an order of the first: only that one's number hides none.
        return OpenOrders(orders=self._orders, last_sequence=self._first.last_sequence if self._first else 0)


class AsyncControl(ABC):
    """For asyncio; see `transport.contract.client`."""

    @abstractmethod
    def _client_config(self) -> BridgeConfig: ...

    @abstractmethod
    async def _run(self, command: Command, timeout_ms: float | None) -> CommandReplies: ...

    async def cancel_order(
        self,
        order_id: str,
        *,
        command_id: str | None = None,
        expected_version: int | None = None,
        timeout_ms: float | None = None,
    ) -> OrderCommandReply:
        """Cancel one order; an id that the engine does not know is fenced."""
        command = _commands(self._client_config()).cancel(order_id, command_id, expected_version)
        return cast(OrderCommandReply, await self._run(command, timeout_ms))

    async def replace_order(
        self,
        order_id: str,
        *,
        expected_version: int,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> OrderCommandReply:
        """Change total quantity or price of an open order that is still at `expected_version`."""
        command = _commands(self._client_config()).replace(order_id, command_id, expected_version, quantity, price)
        return cast(OrderCommandReply, await self._run(command, timeout_ms))

    async def get_order(self, order_id: str, *, fence: bool = False, timeout_ms: float | None = None) -> GetOrderReply:
        """Ask for one order; with `fence`, an unknown id will never execute afterwards."""
        return cast(
            GetOrderReply, await self._run(_commands(self._client_config()).get(order_id, fence=fence), timeout_ms)
        )

    async def cancel_all_orders(
        self, *, symbol: str | None = None, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply:
        """Cancel every open order of the account, or of one symbol."""
        return cast(
            CommandReply, await self._run(_commands(self._client_config()).cancel_all(symbol, command_id), timeout_ms)
        )

    async def publish_quotes(
        self, quotes: Sequence[Quote], *, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply:
        """Feed quotes to the embedded exchange."""
        return cast(
            CommandReply,
            await self._run(_commands(self._client_config()).publish_quotes(quotes, command_id), timeout_ms),
        )

    async def set_trading_state(
        self,
        state: TradingState,
        *,
        cancel_open_orders: bool = False,
        all_accounts: bool = False,
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> CommandReply:
        """Say what the account may do from now on; with `all_accounts`, what every account may do at most."""
        command = _commands(self._client_config()).set_trading_state(
            state, command_id, cancel_open_orders=cancel_open_orders, all_accounts=all_accounts
        )
        return cast(CommandReply, await self._run(command, timeout_ms))

    async def set_risk_limits(
        self,
        limits: RiskLimits,
        *,
        symbol: str = "",
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> CommandReply:
        """Say how much the account may do from now on, in one symbol or in all that have no limits of their own.

        `limits` replace all that were set for account and symbol before; `RiskLimits()` goes back to the engine's
        configuration. Like every command they are journaled: they hold across restarts of the engine.
        """
        command = _commands(self._client_config()).set_risk_limits(limits, symbol, command_id)
        return cast(CommandReply, await self._run(command, timeout_ms))

    async def cancel_on_disconnect(
        self, grace_ms: int | None, *, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply:
        """Have this session's open orders cancelled once it has had no connection for `grace_ms`; None: no more.

        Those that it enters from now on, stops and targets included; not those from before. Either path's connection
        counts, so failing over trips nothing. It is journaled and belongs to the session (`BridgeConfig.session_id`):
        it need not be said again after a reconnect, nor after it has tripped, nor after a restart of the engine (which
        grants the full grace anew). A client that starts again under another session id leaves it behind.
        """
        command = _commands(self._client_config()).cancel_on_disconnect(grace_ms, command_id)
        return cast(CommandReply, await self._run(command, timeout_ms))

    _lease_is_set = False

    async def _set_lease(self) -> None:
        """As `BridgeConfig.cancel_on_disconnect_ms` says, once in the client's life: the engine remembers it."""
        grace_ms = self._client_config().cancel_on_disconnect_ms
        if grace_ms is not None and not self._lease_is_set:
            (await self.cancel_on_disconnect(grace_ms)).raise_for_rejection()
            self._lease_is_set = True

    async def open_orders(self, *, timeout_ms: float | None = None) -> OpenOrders:
        """Ask for the account's open orders and legs, oldest first.

        Asked for in pages, which are joined here: an order that ended meanwhile may be among them, and one that began
        meanwhile too. To be exact, follow the updates from `last_sequence` on.
        """
        pages = OpenOrderPages(self._client_config(), timeout_ms)
        while (query := pages.query()) is not None:
            pages.add(cast(OpenOrders, await self._run(query, pages.left_ms)))
        return pages.joined()


class BlockingControl(ABC):
    """For threads; see `transport.contract.client`, and `AsyncControl` for what each says."""

    @abstractmethod
    def _client_config(self) -> BridgeConfig: ...

    @abstractmethod
    def _run(self, command: Command, timeout_ms: float | None) -> CommandReplies: ...

    def cancel_order(
        self,
        order_id: str,
        *,
        command_id: str | None = None,
        expected_version: int | None = None,
        timeout_ms: float | None = None,
    ) -> OrderCommandReply:
        """Cancel one order; an id that the engine does not know is fenced."""
        return cast(
            OrderCommandReply,
            self._run(_commands(self._client_config()).cancel(order_id, command_id, expected_version), timeout_ms),
        )

    def replace_order(
        self,
        order_id: str,
        *,
        expected_version: int,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> OrderCommandReply:
        """Change total quantity or price of an open order that is still at `expected_version`."""
        command = _commands(self._client_config()).replace(order_id, command_id, expected_version, quantity, price)
        return cast(OrderCommandReply, self._run(command, timeout_ms))

    def get_order(self, order_id: str, *, fence: bool = False, timeout_ms: float | None = None) -> GetOrderReply:
        """Ask for one order; with `fence`, an unknown id will never execute afterwards."""
        return cast(GetOrderReply, self._run(_commands(self._client_config()).get(order_id, fence=fence), timeout_ms))

    def cancel_all_orders(
        self, *, symbol: str | None = None, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply:
        """Cancel every open order of the account, or of one symbol."""
        return cast(
            CommandReply, self._run(_commands(self._client_config()).cancel_all(symbol, command_id), timeout_ms)
        )

    def publish_quotes(
        self, quotes: Sequence[Quote], *, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply:
        """Feed quotes to the embedded exchange."""
        return cast(
            CommandReply, self._run(_commands(self._client_config()).publish_quotes(quotes, command_id), timeout_ms)
        )

    def set_trading_state(
        self,
        state: TradingState,
        *,
        cancel_open_orders: bool = False,
        all_accounts: bool = False,
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> CommandReply:
        """Say what the account may do from now on; with `all_accounts`, what every account may do at most."""
        command = _commands(self._client_config()).set_trading_state(
            state, command_id, cancel_open_orders=cancel_open_orders, all_accounts=all_accounts
        )
        return cast(CommandReply, self._run(command, timeout_ms))

    def set_risk_limits(
        self,
        limits: RiskLimits,
        *,
        symbol: str = "",
        command_id: str | None = None,
        timeout_ms: float | None = None,
    ) -> CommandReply:
        """Say how much the account may do from now on, in one symbol or in all that have no limits of their own."""
        command = _commands(self._client_config()).set_risk_limits(limits, symbol, command_id)
        return cast(CommandReply, self._run(command, timeout_ms))

    def cancel_on_disconnect(
        self, grace_ms: int | None, *, command_id: str | None = None, timeout_ms: float | None = None
    ) -> CommandReply:
        """Have this session's open orders cancelled once it has had no connection for `grace_ms`; None: no more."""
        command = _commands(self._client_config()).cancel_on_disconnect(grace_ms, command_id)
        return cast(CommandReply, self._run(command, timeout_ms))

    _lease_is_set = False

    def _set_lease(self) -> None:
        grace_ms = self._client_config().cancel_on_disconnect_ms
        if grace_ms is not None and not self._lease_is_set:
            self.cancel_on_disconnect(grace_ms).raise_for_rejection()
            self._lease_is_set = True

    def open_orders(self, *, timeout_ms: float | None = None) -> OpenOrders:
        """Ask for the account's open orders and legs, oldest first."""
        pages = OpenOrderPages(self._client_config(), timeout_ms)
        while (query := pages.query()) is not None:
            pages.add(cast(OpenOrders, self._run(query, pages.left_ms)))
        return pages.joined()


def _commands(config: BridgeConfig) -> AccountCommands:
    return AccountCommands(config.account)
