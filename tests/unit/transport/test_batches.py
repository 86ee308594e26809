"""Streams of orders that end early: what was sent is concluded and its replies come, then the error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.transport.fake_engine import FakeEngine
from tests.unit.transport.test_codec import order
from transport import NO_RETRIES, Order, OutcomeUnknownError, ValidationError
from transport.wire.messages import ExecuteOrder

pytestmark = pytest.mark.timeout(120)

Source = Callable[[list[Any]], Any]


class SourceBrokeError(Exception):
    """What the tests' sources raise."""


def plain(items: list[Any]) -> Iterator[Order]:
    """A source that raises where an item is an exception."""
    for item in items:
        if isinstance(item, Exception):
            raise item
        yield item


async def asynchronous(items: list[Any]) -> Any:
    """The same, asynchronous."""
    for item in plain(items):
        yield item


@pytest.fixture(params=["plain", "asynchronous"])
def source(request: pytest.FixtureRequest) -> Source:
    if request.param == "asynchronous" and request.node.callspec.params["connected"].startswith("blocking"):
        pytest.skip("a blocking client takes plain iterables")
    return plain if request.param == "plain" else asynchronous


def taken(stream: Any, error: type[Exception]) -> tuple[list[str], Any]:
    """The ids of the replies that came, and the error that came after them."""
    replies: list[str] = []
    ended: list[Exception] = []
    try:
        replies.extend(reply.order_id for reply in stream)
    except error as raised:
        ended.append(raised)
    assert ended, "the stream ended as if all were well"
    return replies, ended[0]


def test_an_order_that_cannot_be_sent_costs_no_reply_of_those_before_it(connected: Any, source: Source) -> None:
    orders = [order() for _ in range(5)]
    bad = order(quantity=Decimal("NaN"))
    stream = connected().execute_batch_orders(source([*orders, bad, order()]))
    replies, error = taken(stream, ValidationError)
    assert replies == [each.order_id for each in orders]
    assert error.field == "quantity"


def test_a_source_that_raises_costs_no_reply_of_what_it_gave(connected: Any, source: Source) -> None:
    orders = [order() for _ in range(5)]
    stream = connected().execute_batch_orders(source([*orders, SourceBrokeError("no more")]))
    replies, _ = taken(stream, SourceBrokeError)
    assert replies == [each.order_id for each in orders]


def test_an_item_that_is_none_is_an_error_and_not_the_end(connected: Any, source: Source) -> None:
    given = order()
    replies, _ = taken(connected().execute_batch_orders(source([given, None])), Exception)
    assert replies == [given.order_id]


def test_an_order_without_an_answer_is_named_after_the_replies_of_the_others(
    connected: Any, engine: FakeEngine, source: Source
) -> None:
    orders = [order() for _ in range(5)]
    lost = orders[1].order_id
    engine.script = lambda _i, _c, body: isinstance(body, ExecuteOrder) and body.order.order_id == lost
    client = connected(retries=NO_RETRIES, call_timeout_ms=2_000, batch_window=8)
    replies, error = taken(client.execute_batch_orders(source(orders)), OutcomeUnknownError)
    assert replies == [each.order_id for each in orders if each.order_id != lost]
    assert error.order_ids == (lost,)
