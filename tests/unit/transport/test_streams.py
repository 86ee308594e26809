"""Order updates and market data: the feeds by themselves, and the streams over real sockets."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import zmq
from msgspec import structs

from tests.unit.transport.fake_engine import JOURNAL, FakeEngine, filled
from tests.unit.transport.test_codec import order
from tests.waiting import eventually
from transport import (
    BridgeConfig,
    ClientClosedError,
    EngineSystemError,
    ForkedProcessError,
    MarketDataUpdate,
    NotSentError,
    OrderUpdate,
    ReasonCode,
    StateRegressedError,
    SubscribeOrderUpdates,
    UpdateGap,
    UpdateKind,
    connect_blocking,
)
from transport.fastpath.blocking_streams import BlockingOrderUpdates
from transport.fastpath.market_feed import MarketFeed
from transport.fastpath.update_feed import UpdateFeed
from transport.wire.messages import Refusal, SubscribeReply, SubscriptionEnded, TopicMark
from transport.wire.portable import PortableCodec, encode_message

pytestmark = pytest.mark.timeout(120)


def update(sequence: int, *, snapshot: bool = False) -> OrderUpdate:
    return OrderUpdate(sequence=sequence, kind=UpdateKind.FILL, order=filled(order(order_id="a")), snapshot=snapshot)


def feed_of(resume_from: int | None = None) -> UpdateFeed:
    feed = UpdateFeed("default", resume_from, accept_gaps=True)
    feed.take(SubscribeReply("default", 10))
    return feed


def numbers(feed: UpdateFeed) -> list[Any]:
    return [
        (item.first_sequence, item.last_sequence) if isinstance(item, UpdateGap) else item.sequence
        for item in feed.ready
    ]


# ---- the feed of updates by itself ----


def test_a_subscription_from_now_resumes_from_where_now_was() -> None:
    assert feed_of().request().resume_from == 10


def test_updates_come_once_and_the_next_connection_begins_after_the_last() -> None:
    feed = feed_of(resume_from=4)
    for sequence in (5, 6, 6, 5, 7):
        feed.take(update(sequence))
    assert numbers(feed) == [5, 6, 7]
    assert feed.request() == SubscribeOrderUpdates(account="default", resume_from=7, accept_gaps=True)


def test_a_hole_is_an_error_after_what_came_before_it() -> None:
    feed = feed_of(resume_from=4)
    feed.take(update(5))
    feed.take(update(7))
    assert numbers(feed) == [5]
    assert isinstance(feed.error, EngineSystemError)


def test_a_gap_is_shown_with_its_snapshot_and_comes_again_if_the_snapshot_was_cut_off() -> None:
    feed = feed_of(resume_from=4)
    feed.take(UpdateGap(5, 100))
    feed.take(update(60, snapshot=True))
    assert feed.request().resume_from == 4
    feed.take(update(101))
    assert numbers(feed) == [(5, 100), 60, 101]
    assert feed.request().resume_from == 101
    assert feed.error is None


def test_a_slow_consumer_is_resumed_and_lost_data_is_an_error() -> None:
    feed = feed_of()
    feed.take(SubscriptionEnded(ReasonCode.SLOW_CONSUMER, "too slow", 12))
    assert feed.ended_by_engine and feed.error is None
    feed.take(SubscriptionEnded(ReasonCode.DATA_LOSS, "gone", 12))
    assert isinstance(feed.error, EngineSystemError)


@pytest.mark.parametrize("code", [ReasonCode.JOURNAL_FAILED, ReasonCode.BUSY, ReasonCode.SHUTTING_DOWN])
def test_an_engine_that_cannot_just_now_is_subscribed_to_again(code) -> None:
    feed = feed_of(resume_from=4)
    feed.take(Refusal(code=code))
    assert feed.ended_by_engine and feed.error is None
    assert feed.request().resume_from == 4


def test_a_subscription_that_nobody_confirms_says_what_kept_it_and_not_that_it_was_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = BridgeConfig(zmq_endpoint=f"tcp://127.0.0.1:{silent.getsockname()[1]}", connect_timeout_ms=100)
        updates = BlockingOrderUpdates(config, PortableCodec(), feed_for(config), journal_id=JOURNAL)
        with pytest.raises(NotSentError, match=r"not subscribed in time: (?!the client was closed)"):
            updates.start()


def feed_for(config: BridgeConfig) -> UpdateFeed:
    return UpdateFeed(config.account, None, accept_gaps=True)


def test_an_engine_that_forgot_is_loud() -> None:
    feed = UpdateFeed("default", 99, accept_gaps=True)
    feed.take(Refusal(code=ReasonCode.STATE_REGRESSED))
    assert isinstance(feed.error, StateRegressedError)


# ---- the feed of market data by itself ----


def test_lost_market_data_is_counted_also_at_the_end() -> None:
    feed = MarketFeed(PortableCodec(), ["NASDAQ"])
    assert feed.topics == [b"md.NASDAQ\0"]

    def take(body: Any) -> Any:
        return feed.take([b"md.NASDAQ\0", encode_message(0, "", body)])

    assert take(MarketDataUpdate(symbol="NASDAQ", topic_sequence=5)).topic_sequence == 5
    assert feed.lost_messages == 0
    take(MarketDataUpdate(symbol="NASDAQ", topic_sequence=8))
    assert feed.lost_messages == 2
    assert take(TopicMark("md.NASDAQ", 9)) is None
    assert feed.lost_messages == 3
    take(MarketDataUpdate(symbol="NASDAQ", topic_sequence=10))
    take(MarketDataUpdate(symbol="NASDAQ", topic_sequence=1))
    assert feed.lost_messages == 3
    assert feed.take([b"x"]) is None and feed.take([b"x", b"garbage"]) is None


# ---- over sockets ----


def replaying(engine: FakeEngine, history: list[OrderUpdate]) -> Callable[[bytes, int, Any], bool]:
    """A script that answers a subscription with what comes after its resume point."""

    def script(identity: bytes, correlation: int, body: Any) -> bool:
        if not isinstance(body, SubscribeOrderUpdates):
            return False
        engine.send(identity, correlation, SubscribeReply("default", len(history)))
        start = len(history) if body.resume_from is None else body.resume_from
        for each in history[start:]:
            engine.send(identity, correlation, each)
        return True

    return script


def test_updates_go_on_after_the_engine_came_back_each_once(connected: Callable[..., Any], engine: FakeEngine) -> None:
    history = [update(number) for number in range(1, 4)]
    engine.last_sequence = 6
    engine.script = replaying(engine, history)
    updates = connected().subscribe_order_updates(resume_from=0)
    seen = [each.sequence for each in islice(updates, 3)]
    engine.silence()
    history += [update(number) for number in range(4, 7)]
    engine.epoch += 1
    engine.listen()
    seen += [each.sequence for each in islice(updates, 3)]
    updates.close()
    assert seen == [1, 2, 3, 4, 5, 6]
    resumed = [body.resume_from for body in engine.received if isinstance(body, SubscribeOrderUpdates)]
    assert resumed == [0, 3]


def test_a_subscription_that_the_engine_ended_is_resumed(connected: Callable[..., Any], engine: FakeEngine) -> None:
    history = [update(number) for number in range(1, 5)]
    engine.last_sequence = 4
    cut = [True]

    def script(identity: bytes, correlation: int, body: Any) -> bool:
        if isinstance(body, SubscribeOrderUpdates) and cut:
            cut.clear()
            engine.send(identity, correlation, SubscribeReply("default", 4))
            engine.send(identity, correlation, history[0])
            engine.send(identity, correlation, SubscriptionEnded(ReasonCode.SLOW_CONSUMER, "too slow", 1))
            return True
        return replaying(engine, history)(identity, correlation, body)

    engine.script = script
    updates = connected().subscribe_order_updates(resume_from=0)
    assert [each.sequence for each in islice(updates, 4)] == [1, 2, 3, 4]
    updates.close()


def test_market_data_of_the_symbols_asked_for(connected: Callable[..., Any], engine: FakeEngine) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    publisher = context.socket(zmq.XPUB)
    publisher.bind("tcp://127.0.0.1:*")
    engine.pub_endpoint = publisher.getsockopt_string(zmq.LAST_ENDPOINT)
    client = connected()
    stream = client.stream_market_data(["SP500"])
    received: list[Any] = []

    def publish_when_subscribed() -> None:
        assert publisher.poll(5000)
        assert publisher.recv() == b"\x01md.SP500\0"
        for number in range(1, 4):
            for symbol in ("NASDAQ", "SP500"):
                body = MarketDataUpdate(symbol=symbol, topic_sequence=number)
                publisher.send_multipart([f"md.{symbol}\0".encode(), encode_message(0, "", body)])

    publishing = threading.Thread(target=publish_when_subscribed)
    publishing.start()
    received = [(each.symbol, each.topic_sequence) for each in islice(stream, 3)]
    publishing.join(5)
    stream.close()
    publisher.close(linger=0)
    context.term()
    assert received == [("SP500", 1), ("SP500", 2), ("SP500", 3)]


def test_market_data_without_an_endpoint_says_so(connected: Callable[..., Any]) -> None:
    with pytest.raises(NotSentError, match="pub_endpoint"):
        next(iter(connected().stream_market_data()))


def test_closing_a_stream_ends_its_iteration(connected: Callable[..., Any], engine: FakeEngine) -> None:
    engine.script = replaying(engine, [update(1)])
    engine.last_sequence = 1
    updates = connected().subscribe_order_updates(resume_from=0)
    assert next(iter(updates)).sequence == 1
    updates.close()
    assert list(islice(updates, 1)) == []


# ---- streams end with their client ----


@pytest.mark.parametrize("stream_of", ["updates", "market data"])
def test_a_reader_is_told_that_the_client_was_closed(
    connected: Callable[..., Any], engine: FakeEngine, stream_of: str
) -> None:
    engine.pub_endpoint = "tcp://127.0.0.1:1"
    client = connected()
    stream = client.subscribe_order_updates() if stream_of == "updates" else client.stream_market_data()
    ended: list[Any] = []

    def read() -> None:
        try:
            ended.append(list(islice(stream, 1)))
        except ClientClosedError as error:
            ended.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    if stream_of == "updates":
        eventually(lambda: any(isinstance(body, SubscribeOrderUpdates) for body in engine.received), "it is read")
    client.close()
    reader.join(5)
    assert [type(each) for each in ended] == [ClientClosedError]
    with pytest.raises(ClientClosedError):
        next(iter(stream))


def test_what_came_before_the_client_was_closed_is_still_given() -> None:
    feed = feed_of(resume_from=0)
    feed.take(update(1))
    stream = BlockingOrderUpdates(BridgeConfig(), PortableCodec(), feed, journal_id=JOURNAL)
    stream.end_with_client()
    assert next(stream).sequence == 1
    with pytest.raises(ClientClosedError):
        next(stream)


def test_a_closed_client_opens_no_stream(connected: Callable[..., Any]) -> None:
    client = connected()
    client.close()
    with pytest.raises(ClientClosedError):
        next(iter(client.subscribe_order_updates()))
    with pytest.raises(NotSentError):
        next(iter(client.stream_market_data()))


# ---- bounds ----


def test_a_reader_that_does_not_read_stops_the_engine_and_not_this_process(
    connected: Callable[..., Any], engine: FakeEngine
) -> None:
    subscription: list[tuple[bytes, int]] = []

    def script(identity: bytes, correlation: int, body: Any) -> bool:
        if isinstance(body, SubscribeOrderUpdates):
            subscription.append((identity, correlation))
        return False

    engine.script = script
    stream = connected().subscribe_order_updates()
    begun: list[Any] = []
    reader = threading.Thread(target=lambda: begun.extend(islice(stream, 1)))
    reader.start()
    eventually(lambda: subscription, "the engine has the subscription")
    engine.later(lambda: engine.send(*subscription[0], update(1)))
    reader.join(10)
    assert len(begun) == 1
    sent: list[int] = []
    stopped = threading.Event()
    # What is of a snapshot is kept, whatever its number.
    kept = update(1, snapshot=True)
    large = structs.replace(kept, order=structs.replace(kept.order, error_message="x" * 10_000))

    def flood() -> None:
        identity, correlation = subscription[0]
        sent.append(engine.flood(identity, encode_message(correlation, "", large), at_most=20_000))
        stopped.set()

    engine.later(flood)
    assert stopped.wait(30)
    assert sent[0] < 20_000
    stream.close()


def test_a_subscription_that_falls_silent_is_made_anew(connected: Callable[..., Any], engine: FakeEngine) -> None:
    history = [update(1), update(2)]
    engine.last_sequence = 2
    silent: list[bytes] = []

    def script(identity: bytes, correlation: int, body: Any) -> bool:
        if identity in silent:
            return True
        if isinstance(body, SubscribeOrderUpdates) and not silent:
            silent.append(identity)
            engine.send(identity, correlation, SubscribeReply("default", 2))
            engine.send(identity, correlation, history[0])
            return True
        return replaying(engine, history)(identity, correlation, body)

    engine.script = script
    updates = connected().subscribe_order_updates(resume_from=0)
    assert [each.sequence for each in islice(updates, 2)] == [1, 2]
    updates.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_cannot_read_its_parents_stream(engine: FakeEngine) -> None:
    with (
        connect_blocking(engine.config()) as client,
        client.subscribe_order_updates() as updates,
    ):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                next(updates)
            except ForkedProcessError:
                code = 42
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 42
