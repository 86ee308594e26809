"""gRPC's connections: none ends under a client that does nothing wrong, none is kept by a peer that says nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import grpc
import msgspec
import pytest

from fallback_grpc.generated import execution_pb2 as pb
from fallback_grpc.generated import execution_pb2_grpc
from tests.waiting import eventually
from transport import Order, OrderSide, OrderType, TimeInForce
from transport.wire.messages import ExecuteOrder

TIMEOUT_S = 60
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def order(order_id: str) -> Any:
    return pb.TradeOrder(order_id=order_id, symbol="NASDAQ", quantity=1.0)


def with_unknown(field: str) -> Order:
    """An order whose `field` has a number without a meaning; the constructor would refuse it."""
    made = Order(symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1))
    kinds = {"order_type": OrderType, "side": OrderSide, "time_in_force": TimeInForce}
    msgspec.structs.force_setattr(made, field, kinds[field](9))
    return made


def small_orders(stream: int, count: int) -> Iterator[Any]:
    return (order(f"{stream}-{number}") for number in range(count))


def test_streams_of_small_orders_never_end_the_connection_they_share(start_engine: Any) -> None:
    """The engine syncs each turn, so replies come slower than orders and the stream waits full of small frames."""
    engine = start_engine(durability="always")
    streams, count = 4, 10_000
    failures: list[grpc.RpcError] = []
    answered: list[int] = []
    done = threading.Event()
    with grpc.insecure_channel(engine.grpc) as channel:
        service = execution_pb2_grpc.ExecutionServiceStub(channel)

        def call_beside() -> None:
            number = 0
            while not done.is_set():
                number += 1
                try:
                    service.ExecuteOrder(order(f"single-{number}"), timeout=TIMEOUT_S)
                except grpc.RpcError as failure:
                    failures.append(failure)
                    return

        beside = threading.Thread(target=call_beside)
        beside.start()
        try:
            for stream in range(streams):
                replies = service.ExecuteBatchOrders(small_orders(stream, count), timeout=TIMEOUT_S)
                answered.append(sum(reply.status == pb.FILLED for reply in replies))
        finally:
            done.set()
            beside.join()
    assert answered == [count] * streams
    assert failures == []


@pytest.mark.parametrize("said", [b"", PREFACE[:-1], b"GET / HTTP/1.1\r\n\r\n"])
def test_a_peer_that_does_not_speak_http2_gives_its_place_back(said: bytes, start_engine: Any) -> None:
    engine = start_engine("[limits]\nhandshake_timeout_ms = 200\nmax_grpc_connections = 1")
    host, port = engine.grpc.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as silent:
        silent.sendall(said)
        while silent.recv(4096):
            pass
        with grpc.insecure_channel(engine.grpc) as channel:
            service = execution_pb2_grpc.ExecutionServiceStub(channel)
            assert service.ExecuteOrder(order("a"), timeout=TIMEOUT_S, wait_for_ready=True).status == pb.FILLED


def test_a_connection_that_has_said_its_preface_may_be_idle(start_engine: Any) -> None:
    engine = start_engine("[limits]\nhandshake_timeout_ms = 100")
    host, port = engine.grpc.rsplit(":", 1)
    with (
        grpc.insecure_channel(engine.grpc) as channel,
        socket.create_connection((host, int(port)), timeout=10) as other,
    ):
        grpc.channel_ready_future(channel).result(TIMEOUT_S)
        while other.recv(4096):
            pass  # it was silent from after the channel's beginning: the channel's time is over too
        states: list[grpc.ChannelConnectivity] = []
        channel.subscribe(states.append)
        eventually(lambda: states, "the channel says how it is")
        assert states == [grpc.ChannelConnectivity.READY]


def test_an_update_subscription_says_where_it_began(engine: Any) -> None:
    with grpc.insecure_channel(engine.grpc) as channel:
        service = execution_pb2_grpc.ExecutionServiceStub(channel)
        last = service.ExecuteOrder(order("a"), timeout=TIMEOUT_S).sequence
        stream = service.SubscribeOrderUpdates(pb.OrderSubscriptionRequest(), timeout=TIMEOUT_S)
        began = int(dict(stream.initial_metadata())["x-last-sequence"])
        assert began >= last > 0
        service.ExecuteOrder(order("b"), timeout=TIMEOUT_S)
        assert next(stream).sequence == began + 1
        stream.cancel()


def test_market_data_of_an_unknown_symbol_is_refused_by_name(engine: Any) -> None:
    with grpc.insecure_channel(engine.grpc) as channel:
        service = execution_pb2_grpc.ExecutionServiceStub(channel)
        stream = service.StreamMarketData(pb.MarketDataRequest(symbols=["NASDAQ", "NOPE"]), timeout=TIMEOUT_S)
        with pytest.raises(grpc.RpcError) as refused:
            next(stream)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert dict(refused.value.trailing_metadata())["x-reason"] == "UNKNOWN_SYMBOL"
        assert "NOPE" in refused.value.details()


@pytest.mark.parametrize("field", ["order_type", "side", "time_in_force"])
def test_an_unknown_value_is_refused_in_the_same_words_on_both_paths(field: str, engine: Any, client: Any) -> None:
    with grpc.insecure_channel(engine.grpc) as channel:
        service = execution_pb2_grpc.ExecutionServiceStub(channel)
        wrong = order("a")
        setattr(wrong, field, 9)
        slow = service.ExecuteOrder(wrong, timeout=TIMEOUT_S)
        assert (slow.code, slow.field) == (pb.INVALID_FIELD, field)
        fast = client.ask(2, ExecuteOrder(with_unknown(field))).reply
        assert (fast.field, fast.error_message) == (field, slow.error_message)
        assert "9" in slow.error_message and "(1)" in slow.error_message


def test_a_contract_version_beyond_16_bits_is_told_by_its_true_number(engine: Any) -> None:
    with grpc.insecure_channel(engine.grpc) as channel:
        future = pb.TradeOrder(order_id="a", symbol="NASDAQ", quantity=1.0, contract_version=70_000)
        reply = execution_pb2_grpc.ExecutionServiceStub(channel).ExecuteOrder(future, timeout=TIMEOUT_S)
        assert (reply.code, reply.field) == (pb.UNSUPPORTED_CONTRACT_VERSION, "contract_version")
        assert "70000" in reply.error_message
