"""Bytes are hostile: what is not ours is refused or closed, and everybody else is served as before."""

from __future__ import annotations

import socket
from decimal import Decimal
from typing import Any

import pytest
import zmq

from tests.waiting import eventually
from transport import ExecutionStatus, Order, OrderSide, OrderType, Quote, ReasonCode, new_order_id
from transport.contract.requests import CancelAllOrders, GetOrder, HealthCheck, PublishQuotes
from transport.wire.messages import ExecuteBatch, ExecuteOrder, GoingAway, Hello
from transport.wire.portable import encode_message


def order(**changes: Any) -> Order:
    content: dict[str, Any] = {"symbol": "NASDAQ", "order_type": OrderType.MARKET, "side": OrderSide.BUY}
    return Order(**(content | {"quantity": Decimal(1)} | changes))


def assert_serves(client: Any) -> None:
    assert client.ask(900, ExecuteOrder(order())).reply.status == ExecutionStatus.FILLED


def raw(endpoint: str) -> socket.socket:
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def test_what_is_no_zmtp_is_closed(engine: Any, client: Any) -> None:
    with raw(engine.zmq) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\nHost: engine\r\n\r\n" + bytes(100))
        while stranger.recv(4096):
            pass
    assert_serves(client)


def test_a_connection_that_never_shakes_hands_is_closed(start_engine: Any) -> None:
    engine = start_engine("[limits]\nhandshake_timeout_ms = 100")
    with raw(engine.zmq) as silent:
        while silent.recv(4096):
            pass


def test_a_zmtp_peer_that_never_says_hello_gives_its_place_back(start_engine: Any, connect: Any) -> None:
    engine = start_engine("[limits]\nhandshake_timeout_ms = 2000\nmax_connections = 2")
    known = connect(engine.zmq)
    assert known.hello().epoch == 1
    mute = connect(engine.zmq)
    # An answer shows that it is a ZMTP peer, and what is expected of it.
    assert mute.ask(1, HealthCheck()).code == ReasonCode.HELLO_REQUIRED
    monitor_sees_end(mute)
    assert connect(engine.zmq).hello().epoch == 1
    assert_serves(known)


def test_a_subscriber_of_market_data_needs_no_hello(start_engine: Any, connect: Any) -> None:
    engine = start_engine("[limits]\nhandshake_timeout_ms = 2000")
    publisher = connect(engine.zmq)
    publisher.hello()
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.setsockopt(zmq.RECONNECT_IVL, -1)
        subscriber.setsockopt(zmq.RCVTIMEO, 10_000)
        subscriber.setsockopt(zmq.SUBSCRIBE, b"")
        subscriber.connect(engine.pub)
        mute = connect(engine.zmq)
        assert mute.ask(1, HealthCheck()).code == ReasonCode.HELLO_REQUIRED
        monitor_sees_end(mute)  # so the time is over, for who has to say something
        engine_quote = Quote(symbol="NASDAQ", bid=Decimal(1), ask=Decimal(2), bid_size=Decimal(1), ask_size=Decimal(1))

        def received() -> bool:
            publisher.ask(2, PublishQuotes(command_id=new_order_id(), quotes=(engine_quote,)))
            return bool(subscriber.poll(50))

        eventually(received, "the subscriber is served")


@pytest.mark.parametrize("part", [b"", b"x", bytes(64), b"\x10\x00\x00\x00XBR1" + bytes(40), b"\xff" * 500])
def test_a_frame_that_is_not_ours_is_refused_and_the_connection_goes_on(part: bytes, client: Any) -> None:
    client.socket.send(part)
    correlation, refusal = client.receive()
    assert (correlation, refusal.code) == (0, ReasonCode.MALFORMED_MESSAGE)
    assert_serves(client)


def test_a_flatbuffer_that_fails_verification_is_refused_under_its_number(client: Any) -> None:
    good = encode_message(77, client.journal_id, ExecuteOrder(order()))
    answers: set[tuple[int, str]] = set()
    for position in range(8, len(good), 3):
        bad = bytearray(good)
        bad[position] ^= 0xFF
        client.socket.send(bytes(bad))
        number, answer = client.receive()
        answers.add((number, type(answer).__name__))
    assert (77, "Refusal") in answers
    assert_serves(client)


def test_a_message_of_several_parts_is_refused(client: Any) -> None:
    client.socket.send_multipart([b"", encode_message(5, client.journal_id, ExecuteOrder(order()))])
    assert client.receive()[1].code == ReasonCode.MALFORMED_MESSAGE
    assert_serves(client)


def test_an_oversized_message_is_refused_and_its_connection_closed(start_engine: Any, connect: Any) -> None:
    engine = start_engine("[limits]\nmax_message_bytes = 4096")
    client, other = connect(engine.zmq), connect(engine.zmq)
    client.hello()
    other.hello()
    client.socket.send(bytes(100_000))
    _, refusal = client.receive()
    assert refusal.code == ReasonCode.MESSAGE_TOO_LARGE
    monitor_sees_end(client)
    assert_serves(other)


def monitor_sees_end(client: Any) -> None:
    """RECONNECT_IVL -1: once the engine has closed, nothing takes our messages any more."""
    client.socket.setsockopt(zmq.SNDTIMEO, 0)

    def closed() -> bool:
        try:
            client.socket.send(b"still there?")
        except zmq.Again:
            return True
        return False

    eventually(closed, "the connection is closed")


def test_an_unknown_protocol_version_is_refused_with_those_that_are_known(engine: Any, connect: Any) -> None:
    client = connect(engine.zmq)
    refusal = client.hello(protocol_version=99)
    assert refusal.code == ReasonCode.UNSUPPORTED_PROTOCOL_VERSION
    assert tuple(refusal.supported_protocol_versions) == (1,)
    assert client.hello().epoch == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"resume_from": 10**9}, ReasonCode.STATE_REGRESSED),
        ({"account": "somebody"}, ReasonCode.PERMISSION_DENIED),
        ({"session_id": "x" * 65}, ReasonCode.MALFORMED_MESSAGE),
    ],
)
def test_a_hello_that_cannot_be_is_refused(changes: Any, code: ReasonCode, engine: Any, connect: Any) -> None:
    assert connect(engine.zmq).hello(**changes).code == code


def test_hello_comes_first(engine: Any, connect: Any) -> None:
    client = connect(engine.zmq)
    assert client.ask(3, HealthCheck()).code == ReasonCode.HELLO_REQUIRED


def test_a_request_names_the_journal_where_it_could_change_state(client: Any) -> None:
    for journal_id in ("", "another"):
        refused = client.ask(2, ExecuteOrder(order()), journal_id)
        assert refused.code == ReasonCode.JOURNAL_ID_MISMATCH
        fence = client.ask(3, GetOrder(order_id="x", fence=True), journal_id)
        assert fence.code == ReasonCode.JOURNAL_ID_MISMATCH
    assert client.ask(4, GetOrder(order_id="x"), "").found is False
    assert client.ask(5, HealthCheck(), "").journal_id == client.journal_id
    assert client.ask(6, HealthCheck(), "another").code == ReasonCode.JOURNAL_ID_MISMATCH


def test_a_batch_above_the_limit_is_refused_whole(start_engine: Any, connect: Any) -> None:
    client = connect(start_engine("[limits]\nmax_batch_orders = 3").zmq)
    client.hello()
    assert client.ask(2, ExecuteBatch([order() for _ in range(4)])).code == ReasonCode.BATCH_TOO_LARGE
    assert len(client.ask(3, ExecuteBatch([order() for _ in range(3)])).replies) == 3


def test_a_message_of_the_engine_s_is_not_a_client_s_to_send(client: Any) -> None:
    assert client.ask(8, GoingAway("go", 1)).code == ReasonCode.MALFORMED_MESSAGE
    assert_serves(client)


def test_more_connections_than_allowed_are_told_so(start_engine: Any, connect: Any) -> None:
    engine = start_engine("[limits]\nmax_connections = 2")
    first, second, third = (connect(engine.zmq) for _ in range(3))
    assert first.hello().epoch == 1
    assert second.hello().epoch == 1
    assert third.hello().code == ReasonCode.TOO_MANY_CONNECTIONS
    assert_serves(first)
    assert_serves(second)


def test_requests_beyond_what_may_be_in_flight_are_busy(start_engine: Any, connect: Any) -> None:
    engine = start_engine("[limits]\nmax_in_flight = 4", durability="always")
    client = connect(engine.zmq)
    client.hello()
    orders = [order() for _ in range(300)]
    engine.pause()  # so that they lie there together, however slowly they are sent
    for number, one in enumerate(orders):
        client.send(number + 10, ExecuteOrder(one))
    engine.resume()
    answers = dict(client.receive() for _ in orders)
    refused = [number for number, answer in answers.items() if getattr(answer, "code", None) == ReasonCode.BUSY]
    assert refused
    again = orders[refused[0] - 10]
    assert client.ask(5_000, ExecuteOrder(again)).reply.status == ExecutionStatus.FILLED


def test_bad_input_is_logged_at_a_bounded_rate(engine: Any, client: Any) -> None:
    for _ in range(2_000):
        client.socket.send(b"not ours")
    for _ in range(2_000):
        client.receive()
    assert 1 <= engine.log_file.read_text().count("bad input") <= 60
    assert_serves(client)


def test_a_second_hello_is_welcome(client: Any) -> None:
    client.send(2, Hello())
    assert client.receive()[1].journal_id == client.journal_id
    assert client.ask(3, CancelAllOrders(command_id="c-1", symbol="")).affected == 0
