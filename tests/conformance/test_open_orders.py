"""The list of open orders: all that works and nothing else, in pages that are joined, on every path alike."""

from __future__ import annotations

from decimal import Decimal

from tests.conformance.conftest import quote
from transport import ExecutionStatus, OrderSide, OrderType, ReasonCode

D = Decimal


def _ids(listed) -> list[str]:
    assert listed.code == ReasonCode.NONE
    assert not listed.more
    return [one.order_id for one in listed.orders]


def test_what_works_is_listed_as_it_is_now_and_nothing_else(client, order) -> None:
    assert _ids(client.open_orders()) == []
    resting = order(order_type=OrderType.LIMIT, price=D("99.00"))
    filled, cancelled = order(), order(order_type=OrderType.LIMIT, price=D("98.00"))
    for one in (resting, filled, cancelled):
        client.execute_order(one)
    client.cancel_order(cancelled.order_id)
    client.replace_order(resting.order_id, expected_version=1, quantity=D(4))
    listed = client.open_orders()
    assert _ids(listed) == [resting.order_id]
    (state,) = listed.orders
    assert state == client.get_order(resting.order_id).order
    assert (state.order_version, state.remaining_quantity, state.status) == (2, D(4), ExecutionStatus.PENDING)
    assert listed.last_sequence == max(client.get_order(one.order_id).order.sequence for one in (resting, cancelled))


def test_legs_are_listed_behind_their_entry_and_end_like_orders(client, order) -> None:
    entry = order(stop_loss=D(95), take_profit=D(105))
    resting = order(order_type=OrderType.LIMIT, price=D("99.00"))
    client.execute_order(entry)
    client.execute_order(resting)
    listed = client.open_orders()
    assert _ids(listed) == [f"{entry.order_id}·SL", f"{entry.order_id}·TP", resting.order_id]
    assert {one.parent_order_id for one in listed.orders[:2]} == {entry.order_id}
    client.publish_quotes([quote("106", "106.5")])
    assert _ids(client.open_orders()) == [resting.order_id]


def test_many_are_listed_whole_and_in_order_on_both_paths(client, other_path, order) -> None:
    placed = [order(order_type=OrderType.LIMIT, price=D("99.00"), side=OrderSide.BUY) for _ in range(600)]
    assert {reply.status for reply in client.execute_batch(placed)} == {ExecutionStatus.PENDING}
    listed = client.open_orders()
    assert _ids(listed) == [one.order_id for one in placed]
    assert listed == other_path.open_orders()
    for one in placed[100:400]:
        client.cancel_order(one.order_id)
    assert _ids(other_path.open_orders()) == [one.order_id for one in placed[:100] + placed[400:]]


def test_updates_from_its_number_on_are_all_that_it_does_not_know(client, order) -> None:
    placed = order(order_type=OrderType.LIMIT, price=D("99.00"))
    client.execute_order(placed)
    listed = client.open_orders()
    updates = client.subscribe_order_updates(resume_from=listed.last_sequence)
    client.cancel_order(placed.order_id)
    first = next(iter(updates))
    updates.close()
    assert (first.sequence, first.order.order_id) == (listed.last_sequence + 1, placed.order_id)
    assert first.order.status == ExecutionStatus.CANCELLED
