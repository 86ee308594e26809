"""A pyzmq REP process that reads every field of a pickled order and answers with a pickled reply. Run as a script."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal
from operator import attrgetter

import zmq

from transport import ExecutionStatus, Order, OrderReply


def serve() -> None:
    """Prints a ready line and answers until it is killed."""
    socket = zmq.Context[zmq.Socket[bytes]].instance().socket(zmq.REP)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    print(json.dumps({"event": "ready", "zmq": f"tcp://127.0.0.1:{port}"}), flush=True)
    read_fields, price, answered = attrgetter(*Order.__struct_fields__), Decimal("100.01"), 0
    while True:
        order: Order = pickle.loads(socket.recv())
        read_fields(order)
        answered += 1
        reply = OrderReply(
            order_id=order.order_id,
            status=ExecutionStatus.FILLED,
            exchange_order_id="E-123456",
            executed_quantity=order.quantity,
            executed_price=price,
            execution_time_ns=1_718_000_000_123_456_789,
            order_version=1,
            sequence=answered,
            symbol=order.symbol,
            order_type=order.order_type,
            side=order.side,
            quantity=order.quantity,
        )
        socket.send(pickle.dumps(reply, pickle.HIGHEST_PROTOCOL))


if __name__ == "__main__":
    serve()
