"""A client of the release before, over gRPC, in a process of its own: our generated code would claim the same names.

Run as `python client.py STUBS_DIR HOST:PORT`; prints one JSON line of what it was told.
"""

import json
import sys


def main(stubs_dir: str, endpoint: str) -> None:
    sys.path.insert(0, stubs_dir)
    import execution_pb2 as pb
    import execution_pb2_grpc
    import grpc

    with grpc.insecure_channel(endpoint) as channel:
        service = execution_pb2_grpc.ExecutionServiceStub(channel)
        one = pb.Decimal(mantissa=1)
        resting = pb.TradeOrder(
            order_id="older-1", symbol="NASDAQ", contract_version=1, order_type_given="LIMIT", order_type="LIMIT",
            side_given="BUY", quantity_exact=one, price_exact=one,
        )  # fmt: skip
        placed = service.ExecuteOrder(resting, timeout=10)
        halt = pb.SetTradingStateRequest(command_id="halt", state="HALTED", cancel_open_orders=True)
        halted = service.SetTradingState(halt, timeout=10)
        again = service.SetTradingState(halt, timeout=10)
        asked = service.GetOrder(pb.GetOrderRequest(order_id="older-1"), timeout=10)
    told = {
        "placed": pb.ExecutionStatus.Name(placed.status),
        "halted": [halted.code, halted.affected, halted.duplicate, again.duplicate],
        "asked": [pb.ExecutionStatus.Name(asked.order.status), pb.ReasonCode.Name(asked.order.code)],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
