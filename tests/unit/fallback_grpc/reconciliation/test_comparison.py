"""What a client believed, compared with what the engine has: every difference once, and nothing that it knew."""

from __future__ import annotations

from decimal import Decimal

from fallback_grpc.reconciliation import (
    MissedChange,
    MissedClose,
    MissedFill,
    MissingAtEngine,
    Reconciliation,
    StateDiffers,
    UnknownToClient,
)
from fallback_grpc.reconciliation.beliefs import Beliefs
from fallback_grpc.reconciliation.comparison import Comparison
from transport.contract.codes import ExecutionStatus, ReasonCode, UpdateKind
from transport.contract.replies import GetOrderReply, OpenOrders, OrderReply, OrderUpdate, UpdateGap

PENDING, FILLED, CANCELLED = ExecutionStatus.PENDING, ExecutionStatus.FILLED, ExecutionStatus.CANCELLED


def order(order_id: str, status: ExecutionStatus, sequence: int, executed: int = 0) -> OrderReply:
    return OrderReply(order_id, status, sequence=sequence, executed_quantity=Decimal(executed))


def update(kind: UpdateKind, state: OrderReply, *, snapshot: bool = False) -> OrderUpdate:
    return OrderUpdate(sequence=state.sequence, kind=kind, order=state, snapshot=snapshot)


def reconcile(
    beliefs: Beliefs,
    open_orders: list[OrderReply],
    last: int,
    updates: list[OrderUpdate | UpdateGap] | None = None,
    found: dict[str, OrderReply] | None = None,
) -> Reconciliation:
    """One comparison, with an engine that says this."""
    comparison = Comparison(beliefs, OpenOrders(orders=open_orders, last_sequence=last))
    if comparison.replay_from is not None:
        for item in updates or []:
            if comparison.replayed(item):
                break
    for believed in comparison.to_look_up():
        state = (found or {}).get(believed.order_id)
        comparison.looked_up(believed, GetOrderReply(found=state is not None, order=state))
    return comparison.report()


def test_a_client_that_had_it_all_right_is_told_so() -> None:
    beliefs = Beliefs(position=0)
    beliefs.replied(order("a", PENDING, 1))
    beliefs.replied(order("b", FILLED, 3))
    seen = [
        update(UpdateKind.ACCEPTED, order("a", PENDING, 1)),
        update(UpdateKind.ACCEPTED, order("b", PENDING, 2)),
        update(UpdateKind.FILL, order("b", FILLED, 3)),
    ]
    report = reconcile(beliefs, [order("a", PENDING, 1)], 3, list(seen))
    assert report.agrees and (report.began_sequence, report.ended_sequence, report.open_orders) == (0, 3, 1)


def test_missed_fills_ends_and_changes_are_told_one_by_one_in_their_order() -> None:
    beliefs = Beliefs(position=3)
    for number, name in enumerate("abc"):
        beliefs.replied(order(name, PENDING, number + 1))
    missed = [
        update(UpdateKind.FILL, order("a", ExecutionStatus.PARTIALLY_FILLED, 4, 1)),
        update(UpdateKind.REPLACED, order("b", PENDING, 5)),
        update(UpdateKind.CLOSED, order("c", CANCELLED, 6)),
        update(UpdateKind.FILL, order("a", FILLED, 7, 2)),
    ]
    report = reconcile(beliefs, [order("b", PENDING, 5)], 7, list(missed))
    assert [(type(each), each.order_id) for each in report.differences] == [
        (MissedFill, "a"), (MissedChange, "b"), (MissedClose, "c"), (MissedFill, "a")
    ]  # fmt: skip
    assert reconcile(beliefs, [order("b", PENDING, 5)], 7).agrees


def test_at_a_first_connection_the_engine_s_open_orders_are_news() -> None:
    report = reconcile(Beliefs(), [order("a", PENDING, 9)], 9)
    assert [type(each) for each in report.differences] == [UnknownToClient]
    assert (report.began_sequence, report.ended_sequence) == (None, 9)


def test_an_order_that_the_engine_has_forgotten_is_told_as_missing() -> None:
    beliefs = Beliefs(position=5)
    beliefs.replied(order("a", PENDING, 5))
    (missing,) = reconcile(beliefs, [], 5).differences
    assert isinstance(missing, MissingAtEngine) and missing.order_id == "a"


def test_an_order_that_was_forgotten_for_its_age_is_not_missing_but_part_of_a_gap() -> None:
    beliefs = Beliefs(position=5)
    believed = order("a", PENDING, 3)
    beliefs.replied(believed)
    comparison = Comparison(beliefs, OpenOrders(orders=[], last_sequence=5))
    assert comparison.to_look_up() == [believed]
    comparison.looked_up(believed, GetOrderReply(fenced=True, code=ReasonCode.ID_TOO_OLD))
    report = comparison.report()
    assert report.agrees and report.gap == UpdateGap(4, 5)
    assert beliefs.open == {}


def test_a_query_that_was_refused_leaves_the_belief_as_it_is() -> None:
    beliefs = Beliefs(position=5)
    believed = order("a", PENDING, 3)
    beliefs.replied(believed)
    comparison = Comparison(beliefs, OpenOrders(orders=[], last_sequence=5))
    comparison.to_look_up()
    comparison.looked_up(believed, GetOrderReply(code=ReasonCode.BUSY))
    assert comparison.report().agrees
    assert beliefs.open == {"a": believed}


def test_what_a_gap_swallowed_shows_in_the_orders() -> None:
    beliefs = Beliefs(position=2)
    beliefs.replied(order("a", PENDING, 1))
    beliefs.replied(order("b", PENDING, 2))
    items: list[OrderUpdate | UpdateGap] = [
        UpdateGap(3, 8),
        update(UpdateKind.ACCEPTED, order("a", PENDING, 4), snapshot=True),
        update(UpdateKind.ACCEPTED, order("c", FILLED, 9)),
    ]
    ended = order("b", CANCELLED, 6)
    report = reconcile(beliefs, [order("a", PENDING, 4)], 9, items, {"b": ended})
    assert report.gap == UpdateGap(3, 8)
    assert [(type(each), each.order_id) for each in report.differences] == [
        (MissedClose, "c"), (StateDiffers, "a"), (MissedClose, "b")
    ]  # fmt: skip


def test_an_order_that_was_taken_after_the_listing_is_no_difference() -> None:
    beliefs = Beliefs(position=5)
    comparison = Comparison(beliefs, OpenOrders(orders=[], last_sequence=5))
    beliefs.replied(order("new", PENDING, 6))
    silent = order("silent", PENDING, 0)
    beliefs.replied(silent)
    assert comparison.to_look_up() == [silent]
    comparison.looked_up(silent, GetOrderReply(found=True, order=silent))
    assert comparison.report().agrees
    assert set(beliefs.open) == {"new", "silent"}


def test_a_stored_reply_of_long_ago_does_not_open_an_order_again() -> None:
    beliefs = Beliefs()
    beliefs.replied(order("a", PENDING, 1))
    beliefs.replied(order("a", CANCELLED, 2))
    beliefs.replied(order("a", PENDING, 1))
    assert beliefs.open == {}


def test_a_subscription_moves_the_position_only_without_holes() -> None:
    beliefs = Beliefs(position=3)
    beliefs.heard(update(UpdateKind.ACCEPTED, order("a", PENDING, 4)))
    beliefs.heard(update(UpdateKind.ACCEPTED, order("b", PENDING, 9)))
    assert beliefs.position == 4
    beliefs.heard(UpdateGap(5, 20))
    assert beliefs.position == 20


def test_ended_orders_are_forgotten_beyond_a_bound_and_the_replay_begins_behind_them() -> None:
    beliefs = Beliefs(position=0, most_closed=10)
    for number in range(1, 101):
        beliefs.replied(order(str(number), FILLED, number))
    assert 5 <= beliefs.remembered <= 10
    comparison = Comparison(beliefs, OpenOrders(orders=[], last_sequence=100))
    begin = comparison.replay_from
    assert begin is not None and 90 <= begin <= 95
    for number in range(begin + 1, 101):
        comparison.replayed(update(UpdateKind.FILL, order(str(number), FILLED, number)))
    report = comparison.report()
    assert report.agrees and report.gap == UpdateGap(1, begin)
    assert beliefs.remembered == 0


def test_orders_that_nobody_says_have_ended_are_forgotten_beyond_a_bound() -> None:
    beliefs = Beliefs(position=0, most_open=10)
    for number in range(1, 101):
        beliefs.replied(order(str(number), PENDING, number))
        assert len(beliefs.open) <= 10
    assert "100" in beliefs.open
    comparison = Comparison(beliefs, OpenOrders(orders=list(beliefs.open.values()), last_sequence=100))
    begin = comparison.replay_from
    assert begin is not None and 90 <= begin <= 95
    for number in range(begin + 1, 101):
        comparison.replayed(update(UpdateKind.ACCEPTED, order(str(number), PENDING, number)))
    assert comparison.to_look_up() == []
    report = comparison.report()
    assert report.agrees and report.gap == UpdateGap(1, begin)


def test_rejections_without_a_number_are_not_kept() -> None:
    beliefs = Beliefs()
    beliefs.replied(OrderReply("a", ExecutionStatus.REJECTED, code=ReasonCode.DUPLICATE_ORDER_ID))
    assert beliefs.open == {} and beliefs.remembered == 0
