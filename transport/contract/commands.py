"""Builds the commands of one account from the arguments of the client API, the same for every client."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from transport.contract.codes import TradingState
from transport.contract.ids import new_command_id
from transport.contract.orders import Quote
from transport.contract.requests import (
    CancelAllOrders,
    CancelOrder,
    GetOrder,
    ListOpenOrders,
    PublishQuotes,
    ReplaceOrder,
    RiskLimits,
    SetCancelOnDisconnect,
    SetRiskLimits,
    SetTradingState,
)


class AccountCommands(msgspec.Struct, frozen=True):
    """Commands of `account`. A `command_id` of None is made up, once, so that retries carry the same one."""

    account: str

    def cancel(self, order_id: str, command_id: str | None, expected_version: int | None) -> CancelOrder:
        """Cancels one order."""
        return CancelOrder(
            order_id=order_id,
            command_id=command_id or new_command_id(),
            account=self.account,
            expected_version=expected_version,
        )

    def replace(
        self,
        order_id: str,
        command_id: str | None,
        expected_version: int,
        quantity: Decimal | None,
        price: Decimal | None,
    ) -> ReplaceOrder:
        """Changes quantity or price of one order."""
        return ReplaceOrder(
            order_id=order_id,
            command_id=command_id or new_command_id(),
            account=self.account,
            expected_version=expected_version,
            quantity=quantity,
            price=price,
        )

    def get(self, order_id: str, *, fence: bool) -> GetOrder:
        """Asks for one order."""
        return GetOrder(order_id=order_id, account=self.account, fence=fence)

    def cancel_all(self, symbol: str | None, command_id: str | None) -> CancelAllOrders:
        """Cancels all, or all of one symbol."""
        return CancelAllOrders(command_id=command_id or new_command_id(), account=self.account, symbol=symbol or "")

    def set_trading_state(
        self, state: TradingState, command_id: str | None, *, cancel_open_orders: bool, all_accounts: bool
    ) -> SetTradingState:
        """Changes what the account, or every account, may do."""
        return SetTradingState(
            state=state,
            command_id=command_id or new_command_id(),
            account=self.account,
            cancel_open_orders=cancel_open_orders,
            all_accounts=all_accounts,
        )

    def set_risk_limits(self, limits: RiskLimits, symbol: str, command_id: str | None) -> SetRiskLimits:
        """Changes how much the account may do."""
        return SetRiskLimits(
            limits=limits, symbol=symbol, command_id=command_id or new_command_id(), account=self.account
        )

    def cancel_on_disconnect(self, grace_ms: int | None, command_id: str | None) -> SetCancelOnDisconnect:
        """Puts a lease on the session, or takes it away."""
        return SetCancelOnDisconnect(grace_ms=grace_ms, command_id=command_id or new_command_id(), account=self.account)

    def open_orders(self, after_order_id: str = "") -> ListOpenOrders:
        """Asks for a page of the open orders."""
        return ListOpenOrders(account=self.account, after_order_id=after_order_id)

    def publish_quotes(self, quotes: Sequence[Quote], command_id: str | None) -> PublishQuotes:
        """Feeds quotes to the embedded exchange."""
        return PublishQuotes(quotes=tuple(quotes), command_id=command_id or new_command_id())
