"""A pynng REP process that reads every field of an order's JSON, where no nng for native code can be had."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Any

import msgspec
import pynng  # pyright: ignore[reportMissingTypeStubs]

from transport import ExecutionStatus, Order, OrderReply


def serve(url: str) -> None:
    """Prints a ready line and answers until it is killed."""
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(Order).decode
    untyped: Any = pynng
    with untyped.Rep0(listen=url) as server:
        print(json.dumps({"event": "ready", "nng": url}), flush=True)
        while True:
            order = decode(server.recv())
            reply = OrderReply(
                order_id=order.order_id,
                status=ExecutionStatus.FILLED,
                exchange_order_id="E-123456",
                executed_quantity=order.quantity,
                executed_price=Decimal("100.01"),
                execution_time_ns=1_718_000_000_123_456_789,
                symbol=order.symbol,
                order_type=order.order_type,
                side=order.side,
                quantity=order.quantity,
            )
            server.send(encode(reply))


if __name__ == "__main__":
    serve(sys.argv[1])
