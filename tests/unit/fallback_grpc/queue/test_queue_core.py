"""The queue's core: what is written before it is sent, who goes first, and what the application is told."""

from __future__ import annotations

import pytest

from fallback_grpc.queue.entries import QueueFullError, Stage
from fallback_grpc.queue.events import (
    CancelResult,
    NotStored,
    QueueEvent,
    Receipt,
    Refused,
    Result,
    Unresolved,
    Untraceable,
    Withdrawn,
)
from fallback_grpc.queue.outbox import OutboxError
from fallback_grpc.queue.sends import SendKind
from tests.unit.fallback_grpc.queue.queue_world import World, limit, market
from transport.contract.codes import ExecutionStatus, ReasonCode
from transport.contract.conclusions import NotSent, Replied, Unknown
from transport.contract.conclusions import Refused as RefusedCopy
from transport.contract.errors import JournalMismatchError, ValidationError
from transport.contract.replies import GetOrderReply, OrderReply
from transport.contract.requests import CancelOrder


def kinds(events: list[QueueEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def cancel(order_id: str) -> CancelOrder:
    return CancelOrder(order_id=order_id, command_id=f"cancel-{order_id}")


def test_nothing_is_sent_before_it_is_on_disk() -> None:
    world = World()
    world.put(market("a"))
    assert world.sends() == []
    writes = world.core.take_writes(world.now_ns)
    assert world.sends() == []
    world.disk.commit(writes)
    world.core.committed(world.now_ns)
    assert world.sends() == [["a"]]


def test_orders_that_come_together_share_a_transaction_and_a_message() -> None:
    world = World(batch_orders=3)
    for name in "abcde":
        world.put(limit(name))
    assert len(world.core.take_writes(world.now_ns)) == 5
    world.core.committed(world.now_ns)
    assert world.sends() == [["a", "b", "c"], ["d", "e"]]


def test_market_orders_and_cancels_go_first_each_in_its_order() -> None:
    world = World()
    for item in (limit("l1"), limit("l2"), market("m1"), cancel("x"), market("m2")):
        world.put(item)
    world.commit()
    assert world.sends() == [["m1"], ["cancel-x"], ["m2", "l1", "l2"]]


def test_an_ordinary_order_is_passed_by_so_many_urgent_ones_and_no_more() -> None:
    world = World(urgent_streak=2, batch_orders=100)
    for name in ("l1", "l2"):
        world.put(limit(name))
    for number in range(6):
        world.put(market(f"m{number}"))
    world.commit()
    assert world.sends() == [["m0", "m1", "l1", "m2", "m3", "l2", "m4", "m5"]]


def test_no_more_are_in_flight_than_allowed() -> None:
    world = World(max_in_flight=2, batch_orders=2)
    for name in "abc":
        world.put(limit(name))
    world.commit()
    ((_, entries),) = world.take_sends()
    assert world.sends() == []
    world.answer(entries[0])
    assert world.sends() == [["c"]]


def test_the_receipt_comes_before_the_result() -> None:
    world = World()
    world.put(market("a"))
    world.commit()
    world.answer_all()
    receipt, result = world.events()
    assert isinstance(receipt, Receipt) and isinstance(result, Result)
    assert (receipt.sequence, result.reply.status, result.recovered) == (1, ExecutionStatus.FILLED, False)


def test_a_slow_venue_s_order_is_asked_for_and_gets_its_receipt_early() -> None:
    world = World(receipt_after_ms=100)
    world.put(market("a"))
    world.commit()
    ((_, (entry,)),) = world.take_sends()
    assert world.core.next_asks(world.now_ns) == []
    world.pass_ms(100)
    assert world.core.next_asks(world.now_ns) == [entry]
    working = OrderReply("a", ExecutionStatus.PENDING)
    world.core.query_answered(entry, GetOrderReply(found=True, order=working), world.now_ns)
    world.core.asked(entry, world.now_ns)
    assert kinds(world.events()) == ["Receipt"]
    world.pass_ms(10_000)
    assert world.core.next_asks(world.now_ns) == []
    world.answer(entry)
    assert kinds(world.events()) == ["Result"]


def test_a_call_without_an_answer_is_unresolved_once_and_sent_again_until_it_is_answered() -> None:
    world = World()
    world.put(market("a"))
    world.commit()
    for _ in range(3):
        ((_, (entry,)),) = world.take_sends()
        world.end(entry, Unknown("the connection went"))
        world.pass_ms(2_000)
    assert kinds(world.events()) == ["Unresolved"]
    world.answer_all()
    assert kinds(world.events()) == ["Receipt", "Result"]


def test_without_a_path_nothing_is_sent_and_with_one_everything_at_once() -> None:
    world = World()
    for name in "ab":
        world.put(market(name))
    world.commit()
    ((_, (one, two)),) = world.take_sends()
    world.core.paths_usable(False)
    world.end(one, Unknown("the connection went"))
    world.end(two, NotSent("no path"))
    world.pass_ms(1)
    assert world.sends() == []
    world.core.paths_usable(True)
    assert world.sends() == [["a", "b"]]


def test_a_busy_engine_holds_the_priority_so_that_it_stays_in_order() -> None:
    world = World(max_in_flight=1)
    for item in (market("m"), limit("l1"), limit("l2")):
        world.put(item)
    world.commit()
    ((_, (urgent,)),) = world.take_sends()
    world.answer(urgent)
    ((_, (first,)),) = world.take_sends()
    world.end(first, RefusedCopy(ReasonCode.BUSY))
    assert world.sends() == []
    world.pass_ms(20)
    assert world.sends() == [["l1"]]
    assert kinds(world.events()) == ["Receipt", "Result"]


def test_a_refusal_for_good_is_final_where_no_copy_is_in_doubt() -> None:
    world = World()
    world.put(market("a"))
    world.commit()
    ((_, (entry,)),) = world.take_sends()
    world.end(entry, RefusedCopy(ReasonCode.ID_QUOTA_EXCEEDED, "too many", "order_id"))
    assert world.events() == [], "not before it is on disk: after a crash the order would be sent again"
    world.commit()
    (refused,) = world.events()
    assert isinstance(refused, Refused) and refused.code == ReasonCode.ID_QUOTA_EXCEEDED


@pytest.mark.parametrize("was_executed", [True, False])
def test_a_refusal_of_an_order_in_doubt_settles_nothing_and_a_fence_does(was_executed: bool) -> None:
    world = World()
    world.put(market("a"))
    world.commit()
    ((_, (entry,)),) = world.take_sends()
    if was_executed:
        world.engine.execute(market("a"))
    world.end(entry, Unknown("the connection went"))
    world.pass_ms(1_000)
    ((_, (entry,)),) = world.take_sends()
    world.end(entry, RefusedCopy(ReasonCode.ID_QUOTA_EXCEEDED))
    world.pass_ms(1_000)
    ((kind, (entry,)),) = world.take_sends()
    assert kind is SendKind.FENCE
    world.answer(entry, kind)
    world.commit()
    expected = ["Unresolved", "Receipt", "Result"] if was_executed else ["Unresolved", "Refused"]
    assert kinds(world.events()) == expected


def test_an_order_in_doubt_that_the_engine_has_forgotten_is_no_rejection() -> None:
    world = World()
    world.put(market("a"))
    world.commit()
    world.crash()
    ((_, (entry,)),) = world.take_sends()
    world.end(entry, Replied(OrderReply("a", ExecutionStatus.REJECTED, code=ReasonCode.ID_TOO_OLD)))
    world.commit()
    (event,) = world.events()
    assert isinstance(event, Untraceable)


def test_a_fence_of_an_id_that_the_engine_has_forgotten_is_no_refusal() -> None:
    world = World()
    world.put(market("a"))
    world.commit()
    world.crash()
    ((_, (entry,)),) = world.take_sends()
    world.end(entry, RefusedCopy(ReasonCode.ID_QUOTA_EXCEEDED))
    world.pass_ms(2_000)
    ((kind, _),) = world.take_sends()
    assert kind is SendKind.FENCE
    world.end(entry, Replied(GetOrderReply(fenced=True, code=ReasonCode.ID_TOO_OLD)))
    world.commit()
    assert kinds(world.events()) == ["Unresolved", "Untraceable"]


def test_an_order_cancelled_while_it_waits_is_never_sent() -> None:
    world = World()
    world.put(limit("a"))
    world.commit()
    assert world.core.withdraw("a", world.now_ns) is not None
    assert world.sends() == []
    assert world.events() == [], "not before it is on disk"
    world.crash()
    assert world.sends() == [["a"]], "the withdrawal was not on disk"


def test_a_withdrawal_on_disk_holds_across_a_crash() -> None:
    world = World()
    world.put(limit("a"))
    entry = world.core.withdraw("a", world.now_ns)
    assert entry is not None and entry.stage is Stage.SETTLING
    world.commit()
    assert kinds(world.events()) == ["Withdrawn"]
    world.crash()
    assert world.sends() == []
    (again,) = world.events()
    assert isinstance(again, Withdrawn) and again.recovered


def test_an_order_that_may_be_out_is_not_withdrawn() -> None:
    world = World()
    world.put(market("a"))
    world.commit()
    ((_, (entry,)),) = world.take_sends()
    assert world.core.withdraw("a", world.now_ns) is None
    world.end(entry, NotSent("no path"))
    assert world.core.withdraw("a", world.now_ns) is not None, "it never left"
    world.put(market("b"))
    world.commit()
    world.crash()
    assert world.core.withdraw("b", world.now_ns) is None, "an earlier run may have sent it"


def test_a_cancel_of_an_order_of_an_earlier_run_goes_before_it_and_fences_it() -> None:
    world = World()
    world.put(limit("a"))
    world.commit()
    world.crash()
    world.put(cancel("a"))
    world.commit()
    assert world.sends() == [["cancel-a"], ["a"]]
    world.crash()
    world.answer_all()
    world.commit()
    results = {type(event): event for event in world.events()}
    cancelled, result = results[CancelResult], results[Result]
    assert isinstance(cancelled, CancelResult) and cancelled.reply.fenced
    assert isinstance(result, Result) and result.reply.code == ReasonCode.FENCED


def test_what_was_not_acknowledged_is_told_again_and_marked() -> None:
    world = World()
    world.put(market("a"))
    world.put(market("b"))
    world.commit()
    world.answer_all()
    events = world.events()
    world.core.acknowledge(events[1], world.now_ns)
    world.commit()
    world.crash()
    assert world.sends() == []
    again = world.events()
    assert [(event.order_id, type(event).__name__, event.recovered) for event in again] == [
        ("b", "Receipt", True), ("b", "Result", True)
    ]  # fmt: skip


def test_an_order_acknowledged_at_once_costs_one_deletion_and_no_more() -> None:
    world = World()
    world.put(market("a"))
    world.commit()
    world.answer_all()
    for event in world.events():
        world.core.acknowledge(event, world.now_ns)
    world.pass_ms(1_000)
    assert [type(write).__name__ for write in world.core.take_writes(world.now_ns)] == ["Delete"]


def test_the_queue_is_full_until_a_final_event_is_acknowledged_and_off_the_disk() -> None:
    world = World(capacity=1)
    world.put(market("a"))
    world.commit()
    with pytest.raises(QueueFullError):
        world.put(market("b"))
    world.answer_all()
    with pytest.raises(QueueFullError):
        world.put(market("b"))
    world.core.acknowledge(world.events()[-1], world.now_ns)
    with pytest.raises(QueueFullError):
        world.put(market("b"))
    world.commit()
    world.put(market("b"))


def test_a_full_queue_still_takes_a_cancel() -> None:
    world = World(capacity=10)
    for number in range(10):
        world.put(market(str(number)))
    world.put(cancel("1"))
    with pytest.raises(QueueFullError):
        world.put(cancel("2"))


def test_the_same_order_again_is_the_same_entry_and_another_under_its_id_is_refused() -> None:
    world = World()
    assert world.put(market("a")) is world.put(market("a"))
    with pytest.raises(ValidationError) as refused:
        world.put(market("a", 2))
    assert refused.value.code == ReasonCode.DUPLICATE_ORDER_ID


def test_an_order_that_cannot_be_written_is_not_taken_and_not_sent() -> None:
    world = World()
    world.put(market("a"))
    world.put(market("b"), waited_for=False)
    world.core.take_writes(world.now_ns)
    refused = world.core.commit_failed(OutboxError("disk full", is_passing=True), world.now_ns)
    assert [entry.order_id for entry in refused] == ["a", "b"]
    assert world.sends() == []
    (told,) = world.events()
    assert isinstance(told, NotStored) and told.order_id == "b"


def test_what_may_be_on_disk_after_a_failed_write_is_deleted_with_the_next() -> None:
    world = World()
    world.put(market("a"))
    ghost = world.core.take_writes(world.now_ns)
    world.disk.commit(ghost)
    world.core.commit_failed(OutboxError("fsync", may_be_stored=True), world.now_ns)
    assert list(world.disk.rows) == [1]
    world.pass_ms(2_000)
    world.put(market("b"))
    world.commit()
    assert [row.item.order_id for row in world.disk.rows.values()] == ["b"]


def test_conclusions_that_could_not_be_written_are_written_later() -> None:
    world = World()
    world.put(market("a"))
    world.commit()
    world.answer_all()
    world.pass_ms(100)
    world.core.take_writes(world.now_ns)
    world.core.commit_failed(OutboxError("disk full", is_passing=True), world.now_ns)
    assert world.core.take_writes(world.now_ns) == []
    world.pass_ms(2_000)
    assert [type(write).__name__ for write in world.core.take_writes(world.now_ns)] == ["Conclude"]


def test_a_batch_that_is_too_large_is_halved() -> None:
    world = World(batch_orders=4)
    for name in "abcd":
        world.put(limit(name))
    world.commit()
    ((_, entries),) = world.take_sends()
    world.core.batch_too_large(entries)
    assert world.sends() == [["a", "b"], ["c", "d"]]


def test_orders_of_a_batch_that_one_of_them_spoils_are_sent_singly() -> None:
    world = World()
    for name in "abc":
        world.put(limit(name))
    world.commit()
    ((_, entries),) = world.take_sends()
    world.core.send_alone(entries)
    assert world.sends() == [["a"], ["b"], ["c"]]


def test_a_queue_that_halts_keeps_what_it_has() -> None:
    world = World()
    world.put(market("a"))
    world.commit()
    world.core.halt(JournalMismatchError("another engine"))
    assert world.sends() == []
    assert [entry.order_id for entry in world.core.unfinished()] == ["a"]


def test_a_queue_without_an_outbox_says_at_its_end_what_became_of_each() -> None:
    world = World(max_in_flight=1)
    for name in "ab":
        world.put(market(name))
    world.commit()
    ((_, (sent,)),) = world.take_sends()
    world.end(sent, Unknown("closed"))
    world.events()
    for entry in list(world.core.unfinished()):
        world.core.give_up(entry, "closed")
    events = world.events()
    assert kinds(events) == ["Withdrawn"]
    assert sent.told_unresolved
    assert isinstance(events[0], Withdrawn) and not isinstance(events[0], Unresolved)


def test_a_message_that_was_not_sent_is_one_setback_however_many_orders_it_carried() -> None:
    world = World(retry_min_ms=20, batch_orders=50)
    for number in range(50):
        world.put(limit(str(number)))
    world.commit()
    ((_, entries),) = world.take_sends()
    for entry in entries:
        world.end(entry, NotSent("no path"))
    world.pass_ms(20)
    assert [len(message) for message in world.sends()] == [50]


def test_the_number_of_unfinished_entries_is_kept() -> None:
    world = World()
    for name in "abcd":
        world.put(limit(name), waited_for=name != "d")
    assert world.core.unfinished_count == 4
    world.core.take_writes(world.now_ns)
    world.core.commit_failed(OutboxError("disk full"), world.now_ns)
    assert world.core.unfinished_count == 0 and world.core.occupied == 1
    world.pass_ms(2_000)
    for name in "efg":
        world.put(limit(name))
    world.commit()
    world.core.withdraw("e", world.now_ns)
    world.commit()
    assert world.core.unfinished_count == 2
    world.answer_all()
    assert world.core.unfinished_count == len(list(world.core.unfinished())) == 0
    world.crash()
    assert world.core.unfinished_count == 2
