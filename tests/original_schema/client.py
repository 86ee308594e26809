"""A client of the original schema alone, in a process of its own: our generated code would claim the same names.

Run as `python client.py STUBS_DIR HOST:PORT ORDER_ID`; prints one JSON line of what it was told.
"""

import json
import sys


def main(stubs_dir: str, endpoint: str, order_id: str) -> None:
    sys.path.insert(0, stubs_dir)
    import execution_pb2
    import execution_pb2_grpc
    import grpc

    with grpc.insecure_channel(endpoint) as channel:
        service = execution_pb2_grpc.ExecutionServiceStub(channel)
        # BUY and MARKET are both 0, so proto3 leaves them out of the bytes.
        order = execution_pb2.TradeOrder(order_id=order_id, symbol="NASDAQ", quantity=2.5)
        reply = service.ExecuteOrder(order, timeout=10)
        stream = [
            execution_pb2.TradeOrder(order_id=f"{order_id}-{n}", symbol="SP500", side="SELL", quantity=1.0)
            for n in range(3)
        ]
        streamed = list(service.ExecuteBatchOrders(iter(stream), timeout=10))
        service.HealthCheck(execution_pb2.HealthCheckRequest(), timeout=10)
    told = {
        "order_id": reply.order_id,
        "status": execution_pb2.ExecutionStatus.Name(reply.status),
        "executed_quantity": reply.executed_quantity,
        "executed_price": reply.executed_price,
        "execution_time": reply.execution_time.seconds,
        "exchange_order_id": reply.exchange_order_id,
        "error_message": reply.error_message,
        "streamed": [[one.order_id, execution_pb2.ExecutionStatus.Name(one.status)] for one in streamed],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
