"""The RPCs of `smc_trading.execution.ExecutionService`: name, request and reply of each, for both flavours of gRPC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from google.protobuf.message import Message

from fallback_grpc import conversion
from fallback_grpc.conversion import quote_to_pb, set_decimal
from fallback_grpc.generated import execution_pb2 as pb
from transport.contract.errors import ValidationError
from transport.contract.orders import Order
from transport.contract.replies import (
    CommandReplies,
    ExecuteReply,
    MarketDataUpdate,
    OrderReply,
    OrderUpdate,
    UpdateGap,
)
from transport.contract.requests import (
    CancelAllOrders,
    CancelOrder,
    Command,
    GetOrder,
    HealthCheck,
    ListOpenOrders,
    PublishQuotes,
    ReplaceOrder,
    SetCancelOnDisconnect,
    SetRiskLimits,
    SetTradingState,
)

_PREFIX = "/smc_trading.execution.ExecutionService/"

AskT = TypeVar("AskT")
ReplyT = TypeVar("ReplyT")


@dataclass(frozen=True, slots=True)
class Rpc(Generic[AskT, ReplyT]):
    """One RPC: how its request is made from the contract's type, and its reply turned into one."""

    name: str
    to_pb: Callable[[AskT], Message]
    from_pb: Callable[[Any], ReplyT]
    reply_class: type[Message]

    @property
    def method(self) -> str:
        """The HTTP/2 path."""
        return _PREFIX + self.name

    def serialise(self, message: Message) -> bytes:
        """Bytes of a request."""
        return message.SerializeToString()

    def parse(self, data: bytes) -> Message:
        """The reply's message."""
        return self.reply_class.FromString(data)

    def request(self, ask: AskT) -> Message:
        """The request's message; `ValidationError` for what has no form on the wire."""
        try:
            return self.to_pb(ask)
        except (TypeError, ValueError) as problem:
            raise ValidationError(f"{self.name}: {problem}", field="") from problem


def _cancel_order(ask: CancelOrder) -> Message:
    return pb.CancelOrderRequest(
        command_id=ask.command_id, order_id=ask.order_id, account=ask.account, expected_version=ask.expected_version
    )


def _replace_order(ask: ReplaceOrder) -> Message:
    request = pb.ReplaceOrderRequest(
        command_id=ask.command_id, order_id=ask.order_id, account=ask.account, expected_version=ask.expected_version
    )
    if ask.quantity is not None:
        set_decimal(request.quantity, ask.quantity, "quantity")
    if ask.price is not None:
        set_decimal(request.price, ask.price, "price")
    return request


def _get_order(ask: GetOrder) -> Message:
    return pb.GetOrderRequest(order_id=ask.order_id, account=ask.account, fence=ask.fence)


def _cancel_all_orders(ask: CancelAllOrders) -> Message:
    return pb.CancelAllOrdersRequest(command_id=ask.command_id, account=ask.account, symbol=ask.symbol)


def _set_trading_state(ask: SetTradingState) -> Message:
    request = pb.SetTradingStateRequest(
        command_id=ask.command_id,
        account=ask.account,
        cancel_open_orders=ask.cancel_open_orders,
        all_accounts=ask.all_accounts,
    )
    request.state = int(ask.state)  # pyright: ignore[reportAttributeAccessIssue] (open enum)
    return request


def _set_risk_limits(ask: SetRiskLimits) -> Message:
    return pb.SetRiskLimitsRequest(
        command_id=ask.command_id, account=ask.account, symbol=ask.symbol, limits=conversion.limits_to_pb(ask.limits)
    )


def _set_cancel_on_disconnect(ask: SetCancelOnDisconnect) -> Message:
    return pb.SetCancelOnDisconnectRequest(command_id=ask.command_id, account=ask.account, grace_ms=ask.grace_ms)


def _list_open_orders(ask: ListOpenOrders) -> Message:
    return pb.ListOpenOrdersRequest(account=ask.account, after_order_id=ask.after_order_id)


def _publish_quotes(ask: PublishQuotes) -> Message:
    return pb.PublishQuotesRequest(command_id=ask.command_id, quotes=[quote_to_pb(quote) for quote in ask.quotes])


def _health_check(ask: HealthCheck) -> Message:
    return pb.HealthCheckRequest(service=ask.service)


@dataclass(frozen=True, slots=True)
class UpdatesFrom:
    """A subscription to order updates."""

    account: str
    resume_from: int | None
    accept_gaps: bool


def _updates_request(ask: UpdatesFrom) -> Message:
    return pb.OrderSubscriptionRequest(account=ask.account, resume_from=ask.resume_from, accept_gaps=ask.accept_gaps)


def _market_data_request(symbols: Sequence[str]) -> Message:
    return pb.MarketDataRequest(symbols=list(symbols))


EXECUTE_ORDER: Rpc[Order, OrderReply] = Rpc(
    "ExecuteOrder", conversion.order_to_pb, conversion.reply_from_pb, pb.OrderResponse
)
EXECUTE_BATCH: Rpc[Sequence[Order], list[ExecuteReply]] = Rpc(
    "ExecuteBatch", conversion.orders_to_pb, conversion.batch_from_pb, pb.ExecuteBatchResponse
)
EXECUTE_BATCH_ORDERS: Rpc[Order, ExecuteReply] = Rpc(
    "ExecuteBatchOrders", conversion.order_to_pb, conversion.execute_reply_from_pb, pb.OrderResponse
)
STREAM_MARKET_DATA: Rpc[Sequence[str], MarketDataUpdate] = Rpc(
    "StreamMarketData", _market_data_request, conversion.market_data_from_pb, pb.MarketDataUpdate
)
SUBSCRIBE_ORDER_UPDATES: Rpc[UpdatesFrom, OrderUpdate | UpdateGap] = Rpc(
    "SubscribeOrderUpdates", _updates_request, conversion.update_from_pb, pb.OrderResponse
)

_COMMANDS: dict[type[Any], Rpc[Any, Any]] = {
    CancelOrder: Rpc("CancelOrder", _cancel_order, conversion.order_command_from_pb, pb.OrderCommandResponse),
    ReplaceOrder: Rpc("ReplaceOrder", _replace_order, conversion.order_command_from_pb, pb.OrderCommandResponse),
    GetOrder: Rpc("GetOrder", _get_order, conversion.get_order_from_pb, pb.GetOrderResponse),
    CancelAllOrders: Rpc("CancelAllOrders", _cancel_all_orders, conversion.command_from_pb, pb.CommandResponse),
    SetTradingState: Rpc("SetTradingState", _set_trading_state, conversion.command_from_pb, pb.CommandResponse),
    PublishQuotes: Rpc("PublishQuotes", _publish_quotes, conversion.command_from_pb, pb.CommandResponse),
    SetRiskLimits: Rpc("SetRiskLimits", _set_risk_limits, conversion.command_from_pb, pb.CommandResponse),
    SetCancelOnDisconnect: Rpc(
        "SetCancelOnDisconnect", _set_cancel_on_disconnect, conversion.command_from_pb, pb.CommandResponse
    ),
    ListOpenOrders: Rpc("ListOpenOrders", _list_open_orders, conversion.open_orders_from_pb, pb.OpenOrdersResponse),
    HealthCheck: Rpc("HealthCheck", _health_check, conversion.health_from_pb, pb.HealthCheckResponse),
}

UNARY_RPCS: tuple[Rpc[Any, Any], ...] = (EXECUTE_ORDER, EXECUTE_BATCH, *_COMMANDS.values())


def rpc_of(command: Command) -> Rpc[Command, CommandReplies]:
    """The RPC that carries a command."""
    return cast("Rpc[Command, CommandReplies]", _COMMANDS[type(command)])
