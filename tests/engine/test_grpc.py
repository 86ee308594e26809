"""The gRPC path as a stranger sees it: health, reflection, headers, trailers, limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from fallback_grpc.generated import execution_pb2 as pb
from fallback_grpc.generated import execution_pb2_grpc

SERVICE = "smc_trading.execution.ExecutionService"
TIMEOUT_S = 10


@pytest.fixture
def channel(engine: Any) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(engine.grpc) as opened:
        yield opened


@pytest.fixture
def service(channel: grpc.Channel) -> Any:
    return execution_pb2_grpc.ExecutionServiceStub(channel)


def order(order_id: str, **changes: Any) -> Any:
    return pb.TradeOrder(**({"order_id": order_id, "symbol": "NASDAQ", "quantity": 1.0} | changes))


def refused(call: Any) -> tuple[grpc.StatusCode, dict[str, Any]]:
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value.code(), dict(raised.value.trailing_metadata() or ())


def test_health_says_journal_epoch_and_state_hash_on_its_headers(engine: Any, channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", SERVICE):
        answer, call = health.Check.with_call(health_pb2.HealthCheckRequest(service=name), timeout=TIMEOUT_S)
        headers = dict(call.initial_metadata())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert headers["x-journal-id"] == engine.ready["journal_id"]
        assert headers["x-epoch"] == "1"
        assert int(headers["x-journal-seq"]) >= 1
        assert len(headers["x-state-hash"]) == 32
    unknown = health_pb2.HealthCheckRequest(service="nothing")
    assert refused(lambda: health.Check(unknown, timeout=TIMEOUT_S))[0] == grpc.StatusCode.NOT_FOUND


def test_the_state_hash_of_health_is_that_of_verify(engine: Any, service: Any) -> None:
    service.ExecuteOrder(order("a"), timeout=TIMEOUT_S)
    health = service.HealthCheck(pb.HealthCheckRequest(), timeout=TIMEOUT_S)
    assert health.state_hash == engine.verify()["state_hash"]
    assert health.counters["orders"] == 1


def test_a_watcher_of_health_hears_that_the_engine_goes(engine: Any, channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    assert engine.stop() == 0
    statuses: list[int] = []
    with pytest.raises(grpc.RpcError):
        statuses.extend(answer.status for answer in watch)
    assert set(statuses) <= {health_pb2.HealthCheckResponse.NOT_SERVING}


def test_reflection_knows_all_services(channel: grpc.Channel) -> None:
    known = ProtoReflectionDescriptorDatabase(channel)
    assert {SERVICE, "grpc.health.v1.Health"} <= set(known.get_services())
    assert known.FindFileContainingSymbol(SERVICE).package == "smc_trading.execution"


def test_a_response_says_which_engine_and_whether_it_was_stored(engine: Any, service: Any) -> None:
    first, call = service.ExecuteOrder.with_call(order("a"), timeout=TIMEOUT_S)
    headers = dict(call.initial_metadata())
    assert (headers["x-journal-id"], headers["x-epoch"]) == (engine.ready["journal_id"], "1")
    assert "x-duplicate" not in headers and not first.duplicate
    again, call = service.ExecuteOrder.with_call(order("a"), timeout=TIMEOUT_S)
    assert dict(call.initial_metadata())["x-duplicate"] == "1" and again.duplicate
    again.duplicate = False
    assert again == first


def test_another_engine_s_journal_is_refused_by_name(service: Any) -> None:
    metadata = (("x-journal-id", "another"),)
    status, trailers = refused(lambda: service.ExecuteOrder(order("a"), timeout=TIMEOUT_S, metadata=metadata))
    assert status == grpc.StatusCode.FAILED_PRECONDITION
    assert (trailers["x-reason"], trailers["x-reason-code"]) == ("JOURNAL_ID_MISMATCH", "102")
    assert not service.GetOrder(pb.GetOrderRequest(order_id="a"), timeout=TIMEOUT_S).found


def test_what_is_too_long_or_no_message_is_refused_by_name(start_engine: Any) -> None:
    engine = start_engine("[limits]\nmax_message_bytes = 4096")
    with grpc.insecure_channel(engine.grpc) as channel:
        service = execution_pb2_grpc.ExecutionServiceStub(channel)
        long = order("a", metadata={"key": "x" * 5_000})
        status, trailers = refused(lambda: service.ExecuteOrder(long, timeout=TIMEOUT_S))
        assert (status, trailers["x-reason"]) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")
        status, trailers = refused(lambda: list(service.ExecuteBatchOrders(iter([long]), timeout=TIMEOUT_S)))
        assert (status, trailers["x-reason"]) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")
        garbled = channel.unary_unary(f"/{SERVICE}/ExecuteOrder", request_serializer=bytes)
        status, trailers = refused(lambda: garbled(b"\xff\xff\xff", timeout=TIMEOUT_S))
        assert (status, trailers["x-reason"]) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")
        assert service.ExecuteOrder(order("b"), timeout=TIMEOUT_S).status == pb.FILLED


def test_a_stream_answers_every_order_and_a_bad_one_ends_nothing(service: Any) -> None:
    orders = [order(f"o-{n}", quantity=float(n % 5)) for n in range(2_000)]
    replies = {reply.order_id: reply for reply in service.ExecuteBatchOrders(iter(orders), timeout=60)}
    assert len(replies) == len(orders)
    for sent in orders:
        expected = pb.FILLED if sent.quantity else pb.REJECTED
        assert replies[sent.order_id].status == expected
    assert replies["o-0"].field == "quantity"


def test_a_stream_that_cannot_be_read_on_answers_all_before_it_and_says_why_last(start_engine: Any) -> None:
    engine = start_engine("[limits]\nmax_message_bytes = 65536\n")
    with grpc.insecure_channel(engine.grpc) as channel:
        service = execution_pb2_grpc.ExecutionServiceStub(channel)
        orders = [order(f"before-{n}") for n in range(200)]
        too_long = order("too-long", metadata={"x": "y" * 100_000})
        answered: list[str] = []
        call = service.ExecuteBatchOrders(iter([*orders, too_long, order("after")]), timeout=TIMEOUT_S)
        with pytest.raises(grpc.RpcError) as raised:
            answered.extend(reply.order_id for reply in call)
        assert dict(raised.value.trailing_metadata() or ())["x-reason"] == "MESSAGE_TOO_LARGE"
        assert sorted(answered) == sorted(one.order_id for one in orders)
        for never in ("too-long", "after"):
            assert not service.GetOrder(pb.GetOrderRequest(order_id=never), timeout=TIMEOUT_S).found


def test_a_call_that_this_engine_does_not_have_is_refused_by_name(channel: grpc.Channel) -> None:
    of_a_newer_client: Any = channel.unary_unary(f"/{SERVICE}/ComeLater")
    status, trailers = refused(lambda: of_a_newer_client(b"", timeout=TIMEOUT_S))
    assert (status, trailers["x-reason"]) == (grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED")


def test_doubles_are_taken_by_their_text_and_conflicts_rejected(service: Any) -> None:
    exact = pb.Decimal(mantissa=2, exponent=-1)
    reply = service.ExecuteOrder(order("a", quantity=0.1, quantity_exact=exact), timeout=TIMEOUT_S)
    assert (reply.status, reply.code, reply.field) == (pb.REJECTED, pb.CONFLICTING_VALUES, "quantity")
    reply = service.ExecuteOrder(order("b", quantity=float("nan")), timeout=TIMEOUT_S)
    assert (reply.status, reply.code, reply.field) == (pb.REJECTED, pb.OUT_OF_RANGE, "quantity")
    reply = service.ExecuteOrder(order("c", quantity=0.3), timeout=TIMEOUT_S)
    assert (reply.executed_quantity, reply.executed_quantity_exact) == (0.3, pb.Decimal(mantissa=3, exponent=-1))


def test_more_connections_than_allowed_are_closed_and_others_served(start_engine: Any) -> None:
    engine = start_engine("[limits]\nmax_grpc_connections = 1")
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(engine.grpc, options) as first, grpc.insecure_channel(engine.grpc, options) as second:
        served = execution_pb2_grpc.ExecutionServiceStub(first)
        assert served.ExecuteOrder(order("a"), timeout=TIMEOUT_S).status == pb.FILLED
        status, _ = refused(lambda: execution_pb2_grpc.ExecutionServiceStub(second).ExecuteOrder(order("b"), timeout=2))
        assert status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        assert served.ExecuteOrder(order("c"), timeout=TIMEOUT_S).status == pb.FILLED


def test_a_market_data_stream_of_all_symbols_gets_each_quote(service: Any) -> None:
    stream = service.StreamMarketData(pb.MarketDataRequest(), timeout=TIMEOUT_S)
    stream.initial_metadata()
    one = pb.Decimal(mantissa=1, exponent=0)
    two = pb.Decimal(mantissa=2, exponent=0)
    for number, symbol in enumerate(("NASDAQ", "SP500")):
        quote = pb.Quote(symbol=symbol, bid=one, ask=two, bid_size=one, ask_size=one)
        request = pb.PublishQuotesRequest(command_id=f"q-{number}", quotes=[quote])
        assert service.PublishQuotes(request, timeout=TIMEOUT_S).affected == 1
        data = next(stream)
        assert (data.symbol, data.bid, data.ask, data.topic_sequence > 0) == (symbol, 1.0, 2.0, True)
    stream.cancel()
