"""SIGTERM: everybody is told, what is owed is sent, what is new is refused, and the exit code is 0."""

from __future__ import annotations

import os
import signal
import socket
from decimal import Decimal
from typing import Any

import grpc
import pytest

from fallback_grpc.generated import execution_pb2 as pb
from fallback_grpc.generated import execution_pb2_grpc
from transport import Order, OrderSide, OrderType, ReasonCode
from transport.contract.requests import SubscribeOrderUpdates
from transport.wire.messages import ExecuteOrder, GoingAway, Refusal, SubscriptionEnded


def order() -> Order:
    return Order(symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1))


def test_an_idle_engine_ends_at_once_with_0(engine: Any) -> None:
    assert engine.stop() == 0


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_connections_are_told_and_what_is_new_is_refused(sent: int, engine: Any, client: Any) -> None:
    assert type(client.ask(2, SubscribeOrderUpdates())).__name__ == "SubscribeReply"
    os.kill(engine.pid, sent)
    correlation, going = client.receive()
    assert correlation == 0 and isinstance(going, GoingAway)
    client.send(7, ExecuteOrder(order()))
    answers = dict([client.receive(), client.receive()])
    assert isinstance(answers[7], Refusal) and answers[7].code == ReasonCode.SHUTTING_DOWN
    assert isinstance(answers[2], SubscriptionEnded) and answers[2].code == ReasonCode.SHUTTING_DOWN
    assert engine.stop() == 0


def test_what_was_accepted_before_the_signal_is_answered(start_engine: Any, connect: Any) -> None:
    engine = start_engine(durability="always")
    client = connect(engine.zmq)
    client.hello()
    for number in range(200):
        client.send(number + 10, ExecuteOrder(order()))
    first = client.receive()[0]
    os.kill(engine.pid, signal.SIGTERM)
    answered = {first} | {correlation for correlation, _ in (client.receive() for _ in range(200))} - {0}
    assert answered == set(range(10, 210))
    assert engine.stop() == 0
    assert engine.verify()["records"] >= 1


def test_a_peer_that_never_closes_does_not_hold_the_engine_up(start_engine: Any) -> None:
    engine = start_engine("drain_ms = 600")
    host, port = engine.zmq.removeprefix("tcp://").rsplit(":", 1)
    with socket.create_connection((host, int(port))):
        assert engine.stop() == 0


def test_grpc_streams_are_ended_with_a_reason(engine: Any) -> None:
    with grpc.insecure_channel(engine.grpc) as channel:
        service = execution_pb2_grpc.ExecutionServiceStub(channel)
        updates = service.SubscribeOrderUpdates(pb.OrderSubscriptionRequest(), timeout=10)
        quotes = service.StreamMarketData(pb.MarketDataRequest(), timeout=10)
        updates.initial_metadata()
        quotes.initial_metadata()
        os.kill(engine.pid, signal.SIGTERM)
        for stream in (updates, quotes):
            with pytest.raises(grpc.RpcError) as raised:
                next(stream)
            assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
            assert dict(raised.value.trailing_metadata() or ())["x-reason"] == "SHUTTING_DOWN"
    assert engine.stop() == 0


def test_a_clean_end_leaves_the_same_state_for_the_next_epoch(engine: Any, connect: Any) -> None:
    client = connect(engine.zmq)
    client.hello()
    done = client.ask(5, ExecuteOrder(order()))
    client.socket.close()
    assert engine.stop() == 0
    before = engine.verify()["state_hash"]
    engine.start()
    again = connect(engine.zmq)
    assert again.hello().epoch == 2
    assert again.ask(6, ExecuteOrder(order())).reply.sequence > done.reply.sequence
    engine.kill()
    assert engine.verify()["state_hash"] != before
