"""Order updates and market data: every change once, in order, without holes, on every path alike."""

from __future__ import annotations

import threading
from decimal import Decimal
from itertools import islice

import pytest

from tests.conformance.conftest import quote
from transport import OrderType, OrderUpdate, StateRegressedError, UpdateKind

D = Decimal


def test_a_subscriber_hears_every_change_in_sequence(client, order) -> None:
    start = client.health_check()
    assert start.is_serving
    updates = client.subscribe_order_updates(resume_from=0)
    entry = order(stop_loss=D(95), take_profit=D(105))
    client.execute_order(entry)
    client.publish_quotes([quote("106", "106.5")])
    seen: list[OrderUpdate] = []
    for update in updates:
        seen.append(update)
        if update.order.order_id == f"{entry.order_id}·SL" and update.kind == UpdateKind.CLOSED:
            break
    updates.close()
    assert [update.sequence for update in seen] == list(range(1, len(seen) + 1))
    fills = [(u.order.order_id, u.last_quantity, u.last_price) for u in seen if u.kind == UpdateKind.FILL]
    assert fills == [(entry.order_id, D(10), D("100.01")), (f"{entry.order_id}·TP", D(10), D(106))]


def test_what_one_path_began_the_other_continues(client, other_path, order) -> None:
    for _ in range(5):
        client.execute_order(order())
    first = client.subscribe_order_updates(resume_from=0)
    seen = [update.sequence for update in islice(first, 4)]
    first.close()
    rest = other_path.subscribe_order_updates(resume_from=seen[-1])
    seen += [update.sequence for update in islice(rest, 6)]
    rest.close()
    assert seen == list(range(1, 11))


def test_a_resume_point_beyond_the_engine_is_loud(client, order) -> None:
    client.execute_order(order())
    with pytest.raises(StateRegressedError):
        next(iter(client.subscribe_order_updates(resume_from=1_000_000)))


def test_market_data_reaches_a_subscriber_of_the_symbol_only(client, other_path) -> None:
    heard = threading.Event()

    def speak_until_heard() -> None:
        # A subscription takes effect some time after it was made, and quotes are not repeated: so the feed goes on.
        while not heard.wait(0.01):
            other_path.publish_quotes([quote("50", "51"), quote("60", "61", symbol="SP500")])

    feed = threading.Thread(target=speak_until_heard)
    stream = client.stream_market_data(["SP500"])
    feed.start()
    try:
        received = list(islice(stream, 3))
    finally:
        heard.set()
        feed.join()
        stream.close()
    assert {update.symbol for update in received} == {"SP500"}
    assert {(update.bid, update.ask, update.bid_size) for update in received} == {(D(60), D(61), D(1000))}
    numbers = [update.topic_sequence for update in received]
    assert numbers == list(range(numbers[0], numbers[0] + 3))


def test_an_order_that_was_replaced_says_so(client, order) -> None:
    updates = client.subscribe_order_updates(resume_from=0)
    placed = order(order_type=OrderType.LIMIT, price=D(99))
    client.execute_order(placed)
    client.replace_order(placed.order_id, expected_version=1, quantity=D(3))
    client.cancel_order(placed.order_id)
    kinds = [update.kind for update in islice(updates, 3)]
    updates.close()
    assert kinds == [UpdateKind.ACCEPTED, UpdateKind.REPLACED, UpdateKind.CLOSED]
