"""How the pages of a list of open orders are joined."""

from __future__ import annotations

import time

import pytest

from transport.contract.codes import ExecutionStatus, ReasonCode
from transport.contract.config import BridgeConfig
from transport.contract.control import OpenOrderPages
from transport.contract.errors import ExecutionError
from transport.contract.replies import OpenOrders, OrderReply


def page(*order_ids: str, last_sequence: int, more: bool = False) -> OpenOrders:
    orders = [OrderReply(order_id=order_id, status=ExecutionStatus.PENDING) for order_id in order_ids]
    return OpenOrders(orders=orders, last_sequence=last_sequence, more=more)


def joined(*pages: OpenOrders) -> tuple[OpenOrders, list[str]]:
    """What comes of these pages, and behind which orders they were asked for."""
    list_of = OpenOrderPages(BridgeConfig(account="desk"), None)
    coming, places = iter(pages), list[str]()
    while (query := list_of.query()) is not None:
        assert query.account == "desk"
        places.append(query.after_order_id)
        list_of.add(next(coming))
    assert next(coming, None) is None
    return list_of.joined(), places


def test_one_page_is_the_list() -> None:
    assert joined(page("a", "b", last_sequence=5)) == (page("a", "b", last_sequence=5), [""])
    assert joined(page(last_sequence=0)) == (page(last_sequence=0), [""])


def test_pages_are_joined_and_the_first_says_from_where_updates_are_news() -> None:
    listed, places = joined(
        page("a", "b", last_sequence=5, more=True), page("c", last_sequence=9, more=True), page(last_sequence=11)
    )
    assert listed == page("a", "b", "c", last_sequence=5)
    assert places == ["", "b", "c"]


def test_a_page_that_promises_more_and_has_none_ends_the_list() -> None:
    listed, places = joined(page("a", last_sequence=1, more=True), page(last_sequence=1, more=True))
    assert (listed, places) == (page("a", last_sequence=1), ["", "a"])


def test_a_page_that_could_not_be_listed_is_the_answer() -> None:
    refused = OpenOrders(code=ReasonCode.UNKNOWN_ORDER, field="after_order_id", message="forgotten")
    listed, _ = joined(page("a", last_sequence=1, more=True), refused)
    assert listed == refused
    with pytest.raises(ExecutionError, match="forgotten"):
        listed.raise_for_rejection()


def test_all_pages_share_the_time_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    pages = OpenOrderPages(BridgeConfig(), 1_000)
    clock[0] += 0.75
    assert pages.left_ms == pytest.approx(250)
    clock[0] += 5
    assert 0 < pages.left_ms < 1
