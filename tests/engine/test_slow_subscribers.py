"""A subscriber that does not read: updates cut it off, market data passes it over, and nobody else waits."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import grpc
import pytest
import zmq

from fallback_grpc.generated import execution_pb2 as pb
from fallback_grpc.generated import execution_pb2_grpc
from transport import ExecutionStatus, Order, OrderSide, OrderType, OrderUpdate, Quote, ReasonCode
from transport.contract.requests import PublishQuotes, SubscribeOrderUpdates
from transport.wire.messages import ExecuteBatch, SubscribeReply, SubscriptionEnded, SystemNotice, TopicMark
from transport.wire.portable import decode_message

SMALL = "[limits]\nupdate_backlog = 100\noutput_high_water_bytes = 8192"
BATCH = 200


def orders(count: int) -> list[Order]:
    return [
        Order(symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1))
        for _ in range(count)
    ]


def trade(client: Any, batches: int) -> None:
    for number in range(batches):
        replies = client.ask(1_000 + number, ExecuteBatch(orders(BATCH))).replies
        assert all(reply.reply.status == ExecutionStatus.FILLED for reply in replies)


def test_a_subscriber_of_updates_that_does_not_read_is_cut_off_and_told_where(start_engine: Any, connect: Any) -> None:
    engine = start_engine(SMALL)
    slow, trader = connect(engine.zmq), connect(engine.zmq)
    # Small buffers, so that the engine's own bound is what counts.
    slow.socket.setsockopt(zmq.RCVHWM, 1)
    slow.hello()
    trader.hello()
    assert isinstance(slow.ask(5, SubscribeOrderUpdates()), SubscribeReply)
    trade(trader, 60)
    seen: list[int] = []
    while isinstance(message := slow.receive()[1], OrderUpdate):
        seen.append(message.sequence)
    assert isinstance(message, SubscriptionEnded) and message.code == ReasonCode.SLOW_CONSUMER
    assert seen == list(range(1, message.last_sequence + 1))
    resumed = connect(engine.zmq)
    resumed.hello()
    assert isinstance(resumed.ask(6, SubscribeOrderUpdates(resume_from=message.last_sequence)), SubscribeReply)
    assert resumed.receive()[1].sequence == message.last_sequence + 1


def test_a_grpc_stream_of_updates_that_is_not_read_ends_with_slow_consumer(start_engine: Any, connect: Any) -> None:
    engine = start_engine(SMALL)
    trader = connect(engine.zmq)
    trader.hello()
    with grpc.insecure_channel(engine.grpc) as channel:
        service = execution_pb2_grpc.ExecutionServiceStub(channel)
        stream = service.SubscribeOrderUpdates(pb.OrderSubscriptionRequest(), timeout=60)
        stream.initial_metadata()
        trade(trader, 60)
        sequences: list[int] = []
        with pytest.raises(grpc.RpcError) as raised:
            sequences.extend(update.sequence for update in stream)
        assert dict(raised.value.trailing_metadata() or ())["x-reason"] == "SLOW_CONSUMER"
        assert sequences == list(range(1, len(sequences) + 1))


@pytest.fixture
def subscriber() -> Iterator[Any]:
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, 10_000)
        yield socket


def test_a_topic_is_numbered_and_marked(engine: Any, client: Any, subscriber: Any) -> None:
    subscriber.connect(engine.pub)
    subscriber.setsockopt(zmq.SUBSCRIBE, b"md.NASDAQ\x00")
    subscriber.setsockopt(zmq.SUBSCRIBE, b"sys\x00")
    # The marks of all topics come every second: once both were here, the subscriptions stand.
    marks: dict[bytes, int] = {}
    while set(marks) != {b"md.NASDAQ\x00", b"sys\x00"}:
        topic, part = subscriber.recv_multipart()
        marks[topic] = decode_message(part)[2].last_topic_sequence
    assert set(marks.values()) == {1}
    last = 1
    for number in range(3):
        assert client.ask(10 + number, PublishQuotes(quotes=(quote("NASDAQ"), quote("SP500")))).affected == 2
        topic, part = receive_but_marks(subscriber)
        data = decode_message(part)[2]
        assert topic == b"md.NASDAQ\x00" and data.symbol == "NASDAQ" and data.topic_sequence == last + 1
        last = data.topic_sequence
    assert engine.stop() == 0
    notice = decode_message(receive_but_marks(subscriber)[1])[2]
    assert isinstance(notice, SystemNotice) and notice.code == ReasonCode.SHUTTING_DOWN


def receive_but_marks(subscriber: Any) -> tuple[bytes, bytes]:
    while isinstance(decode_message((parts := subscriber.recv_multipart())[1])[2], TopicMark):
        pass
    return parts


def quote(symbol: str) -> Quote:
    one = Decimal(1)
    return Quote(
        symbol=symbol, bid=Decimal(99), ask=Decimal(101), bid_size=one, ask_size=one, last_price=one, volume=one
    )
