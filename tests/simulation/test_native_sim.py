"""The engine in the simulator does what the engine does: turns, faults of the disk, both paths, subscriptions."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal

import pytest

from tests.simulation import _native_sim as native
from tests.simulation.native_desk import CODEC, MS, START_NS, Desk, limit_order
from transport import Order, OrderUpdate, UpdateGap
from transport.contract.codes import ExecutionStatus, ReasonCode, ServingStatus
from transport.contract.requests import CancelOrder, HealthCheck, ListOpenOrders, SetCancelOnDisconnect
from transport.wire.messages import GoingAway, Hello, Refusal, SubscribeReply, SubscriptionEnded, Welcome


@pytest.fixture
def talk() -> Iterator[Desk]:
    opened = Desk(native.Disk(1))
    yield opened
    if not opened.disk.is_dead:
        native.verify(opened.disk)


def updates_in(heard: list[Any]) -> list[OrderUpdate]:
    return [item for item in heard if isinstance(item, OrderUpdate)]


# ---- turns and determinism ----


def a_day_at_the_desk(seed: int) -> tuple[list[tuple[int, int, Any]], str, str]:
    talk = Desk(native.Disk(seed), settings={"segment_bytes": 8_192})
    connections = [talk.connect("zmq"), talk.connect("grpc")]
    heard: list[tuple[int, int, Any]] = []
    for n in range(60):
        talk.tell(connections[n % 2], limit_order(f"order-{n // 2}", price=f"22{n % 9:02}.00"))
        talk.settle()
        heard += talk.heard
        if n == 30:
            talk.restart("crash")
            connections = [talk.connect("zmq"), talk.connect("grpc")]
        talk.heard.clear()
    return heard, talk.engine.journal_id, talk.disk.fingerprint()


def test_the_same_calls_give_the_same_bytes() -> None:
    assert a_day_at_the_desk(3) == a_day_at_the_desk(3)


def test_another_seed_gives_another_journal() -> None:
    assert a_day_at_the_desk(3)[1:] != a_day_at_the_desk(4)[1:]


def test_a_reply_waits_for_the_sync_and_a_refusal_does_not(talk: Desk) -> None:
    connection = talk.connect()
    order, refused = talk.tell(connection, limit_order("order")), talk.tell(connection, limit_order("no"), "other")
    talk.turn()
    assert talk.sync_is_out and not talk.take(order)
    assert [refusal.code for refusal in talk.take(refused)] == [ReasonCode.JOURNAL_ID_MISMATCH]
    talk.settle()
    assert [reply.reply.status for reply in talk.take(order)] == [ExecutionStatus.FILLED]


def test_what_is_written_during_a_sync_is_covered_by_the_next(talk: Desk) -> None:
    connection = talk.connect()
    first = talk.tell(connection, limit_order("first"))
    assert talk.engine.end_turn(talk.now_ns)
    second = talk.tell(connection, limit_order("second"))
    assert not talk.engine.end_turn(talk.now_ns)
    assert talk.engine.sync_done(talk.now_ns)
    talk.listen()
    assert talk.take(first) and not talk.take(second)
    assert not talk.engine.sync_done(talk.now_ns)
    talk.listen()
    assert talk.take(second)


def test_in_mode_os_a_reply_leaves_with_its_turn() -> None:
    talk = Desk(native.Disk(1), settings={"durability": "os"})
    correlation = talk.tell(talk.connect(), limit_order("order"))
    talk.turn()
    assert talk.take(correlation)


# ---- the disk ----


def padded(n: int) -> Order:
    return limit_order(f"order-{n}", metadata={"pad": "x" * 250})


def acknowledged_before_death(disk: native.Disk, orders: int) -> set[int]:
    """Sends orders until the engine dies on this disk."""
    acknowledged: set[int] = set()
    with contextlib.suppress(native.EngineDied):
        talk = Desk(disk, settings={"segment_bytes": 8_192})
        connection = talk.connect()
        for n in range(orders):
            talk.ask(connection, padded(n))
            acknowledged.add(n)
    return acknowledged


@pytest.mark.parametrize("how", ["kill", "crash"])
@pytest.mark.parametrize("seed", range(4))
def test_an_engine_that_dies_in_any_operation_of_its_disk_keeps_what_it_acknowledged(how: Any, seed: int) -> None:
    orders = 12
    operations = 0
    for operations in itertools.count():
        disk = native.Disk(seed * 1_000 + operations)
        disk.die_after(operations)
        acknowledged = acknowledged_before_death(disk, orders)
        if not disk.is_dead:
            break
        after = Desk(disk.kill() if how == "kill" else disk.crash())
        connection = after.connect()
        for n in range(orders):
            assert after.ask(connection, padded(n)).duplicate or n not in acknowledged
            assert after.executed(f"order-{n}") == 1
        native.verify(after.disk)
    assert operations > 40


def test_a_dead_engine_does_nothing_more_and_nothing_reaches_its_disk(talk: Desk) -> None:
    connection = talk.connect()
    talk.disk.die_after(0)
    talk.tell(connection, limit_order("order"))
    with pytest.raises(native.EngineDied):
        talk.engine.end_turn(talk.now_ns)
    assert talk.disk.is_dead
    before = talk.disk.fingerprint()
    for call in (talk.engine.take_outputs, lambda: talk.engine.epoch, lambda: talk.engine.health(talk.now_ns)):
        with pytest.raises(native.EngineDied):
            call()
    assert talk.disk.fingerprint() == before


def test_a_full_disk_is_busy_until_there_is_room(talk: Desk) -> None:
    connection = talk.connect()
    talk.disk.set_capacity(talk.disk.used_bytes)
    replies: list[Any] = []
    for n in range(2_000):
        replies.append(talk.ask(connection, limit_order(f"order-{n}", metadata={"pad": "x" * 256})))
        if isinstance(replies[-1], Refusal):
            break
    refused = f"order-{len(replies) - 1}"
    assert replies[-1].code == ReasonCode.BUSY
    assert talk.engine.health(talk.now_ns)["status"] == "DEGRADED"
    assert talk.executed(refused) == 0
    assert talk.ask(connection, limit_order("order-0", metadata={"pad": "x" * 256})).duplicate
    talk.disk.set_capacity(None)
    assert not talk.ask(connection, limit_order(refused)).duplicate
    assert talk.executed(refused) == 1


@pytest.mark.parametrize("fault", ["fail_sync", "fail_write"])
def test_a_disk_that_failed_ends_all_acknowledgement_until_the_engine_starts_again(talk: Desk, fault: str) -> None:
    connection = talk.connect()
    getattr(talk.disk, fault)(1)
    lost = talk.tell(connection, limit_order("lost"))
    talk.settle()
    assert not talk.take(lost)
    assert talk.engine.failed
    for order_id in ("lost", "next"):
        assert talk.ask(connection, limit_order(order_id)).code == ReasonCode.JOURNAL_FAILED
    assert talk.ask(connection, HealthCheck()).status == ServingStatus.NOT_SERVING
    talk.restart("crash")
    talk.ask(talk.connect(), limit_order("lost"))
    assert talk.executed("lost") == 1


def test_the_epoch_counts_starts_and_the_journal_stays_the_same(talk: Desk) -> None:
    journal_id = talk.engine.journal_id
    talk.restart("kill")
    talk.restart("crash")
    assert (talk.engine.epoch, talk.engine.journal_id) == (3, journal_id)
    assert talk.engine.recovered["records"] > 0


def test_the_dump_is_the_engines_own(talk: Desk) -> None:
    talk.ask(talk.connect(), limit_order("order"))
    kinds = [record["kind"] for record in native.dump(talk.disk)]
    assert kinds == ["Started", "Configured", "ExecuteOrder"]
    (execution,) = native.exchange_executions(talk.disk)
    assert (execution.order_id, execution.side, execution.quantity, execution.price) == ("order", "BUY", "1", "2207.55")


# ---- connections ----


def test_hello_comes_first(talk: Desk) -> None:
    connection = talk.engine.connect("zmq", "", talk.now_ns)
    assert talk.ask(connection, limit_order("early")).code == ReasonCode.HELLO_REQUIRED
    welcome = talk.ask(connection, Hello(session_id="desk"))
    assert isinstance(welcome, Welcome) and welcome.journal_id == talk.engine.journal_id
    assert talk.ask(connection, Hello(protocol_version=9)).supported_protocol_versions == (1,)


def test_hello_that_has_seen_more_than_there_is_is_told_that_the_engine_has_regressed(talk: Desk) -> None:
    connection = talk.engine.connect("zmq", "", talk.now_ns)
    refusal = talk.ask(connection, Hello(resume_from=1))
    assert (refusal.code, refusal.journal_id) == (ReasonCode.STATE_REGRESSED, talk.engine.journal_id)


def test_the_fast_path_must_name_the_journal_and_grpc_may(talk: Desk) -> None:
    fast, full = talk.connect("zmq"), talk.connect("grpc")
    assert talk.ask(fast, limit_order("order"), "").code == ReasonCode.JOURNAL_ID_MISMATCH
    assert talk.ask(full, limit_order("order"), "other").code == ReasonCode.JOURNAL_ID_MISMATCH
    assert not talk.ask(full, limit_order("order"), "").duplicate
    assert talk.ask(fast, limit_order("order")).duplicate


@pytest.mark.parametrize("path", ["zmq", "grpc"])
def test_hostile_bytes_are_refused_and_change_nothing(talk: Desk, path: Any) -> None:
    connection = talk.connect(path)
    whole = CODEC.encode_execute_order(77, talk.engine.journal_id, limit_order("order"))
    before = talk.engine.health(talk.now_ns)["journal_seq"]
    cuts = range(len(whole) // 2)
    for cut in cuts:
        talk.engine.receive(connection, whole[:cut], talk.now_ns)
    talk.settle()
    codes = {body.code for _, _, body in talk.heard}
    assert len(talk.heard) == len(cuts) and codes == {ReasonCode.MALFORMED_MESSAGE}
    assert talk.engine.health(talk.now_ns)["journal_seq"] == before


def test_a_message_that_is_too_large_ends_its_connection(talk: Desk) -> None:
    connection = talk.connect()
    talk.engine.receive(connection, bytes(5 << 20), talk.now_ns)
    talk.settle()
    assert [(code.code if code else None) for _, _, code in talk.heard] == [ReasonCode.MESSAGE_TOO_LARGE, None]


def test_what_a_lost_connection_asked_for_is_executed_and_not_told(talk: Desk) -> None:
    connection = talk.connect()
    talk.tell(connection, limit_order("order"))
    talk.turn()
    talk.engine.disconnect(connection, talk.now_ns)
    talk.settle()
    assert not talk.heard and talk.executed("order") == 1
    assert talk.ask(talk.connect("grpc"), limit_order("order")).duplicate


def test_a_batch_is_answered_by_index_and_a_cancel_fences(talk: Desk) -> None:
    connection = talk.connect()
    replies = talk.ask(connection, [limit_order("one"), limit_order("one"), limit_order("two", price="2000")]).replies
    assert [reply.duplicate for reply in replies] == [False, True, False]
    assert talk.ask(connection, CancelOrder(order_id="never")).fenced
    assert talk.ask(connection, limit_order("never")).reply.code == ReasonCode.FENCED
    assert [order.order_id for order in talk.ask(connection, ListOpenOrders()).orders] == ["two"]


def test_an_engine_that_drains_says_so_and_closes_in_order(talk: Desk) -> None:
    connection = talk.connect()
    subscription = talk.subscribe(connection)
    talk.settle()
    talk.engine.begin_drain(talk.now_ns)
    assert talk.ask(connection, limit_order("late")).code == ReasonCode.SHUTTING_DOWN
    talk.engine.close(talk.now_ns)
    talk.listen()
    going, closed = talk.take(0)
    assert isinstance(going, GoingAway) and closed is None
    ended = [body for body in talk.take(subscription) if isinstance(body, SubscriptionEnded)]
    assert [end.code for end in ended] == [ReasonCode.SHUTTING_DOWN]
    with pytest.raises(RuntimeError, match="closed"):
        talk.engine.health(talk.now_ns)
    talk.restart("kill")
    assert talk.engine.recovered["cut_bytes"] == 0


# ---- cancel on disconnect ----


def resting_under_a_lease(talk: Desk, path: Literal["zmq", "grpc"]) -> int:
    connection = talk.connect(path)
    assert talk.ask(connection, SetCancelOnDisconnect(grace_ms=10)).code == ReasonCode.NONE
    talk.ask(connection, limit_order("resting", price="2000"))
    return connection


@pytest.mark.parametrize("path", ["zmq", "grpc"])
def test_a_session_without_a_connection_loses_its_orders_after_the_grace(talk: Desk, path: Any) -> None:
    connection = resting_under_a_lease(talk, path)
    talk.let_leases_expire(20)
    assert talk.get(connection, "resting").order.status == ExecutionStatus.PENDING
    talk.engine.disconnect(connection, talk.now_ns)
    assert talk.engine.next_lease_deadline_ns(talk.now_ns) == talk.now_ns + 10 * MS
    talk.let_leases_expire(20)
    order = talk.get(talk.connect(), "resting").order
    assert (order.status, order.code) == (ExecutionStatus.CANCELLED, ReasonCode.CANCELLED_ON_DISCONNECT)


def test_a_failover_trips_nothing(talk: Desk) -> None:
    fast, full = resting_under_a_lease(talk, "zmq"), talk.connect("grpc")
    assert talk.get(full, "resting").found  # the connection's first call names the session
    talk.engine.disconnect(fast, talk.now_ns)
    talk.let_leases_expire(20)
    assert talk.get(full, "resting").order.status == ExecutionStatus.PENDING


def test_a_restart_grants_the_full_grace(talk: Desk) -> None:
    resting_under_a_lease(talk, "zmq")
    talk.restart("kill")
    assert talk.engine.next_lease_deadline_ns(0) == 10 * MS
    talk.connect("zmq")
    assert talk.engine.next_lease_deadline_ns(0) is None


# ---- updates ----


def test_a_subscription_is_resumed_on_the_other_path(talk: Desk) -> None:
    fast, full = talk.connect("zmq"), talk.connect("grpc")
    first = talk.subscribe(fast)
    talk.settle()
    talk.ask(fast, limit_order("one"))
    seen = [update.sequence for update in updates_in(talk.take(first))]
    talk.engine.disconnect(fast, talk.now_ns)
    talk.ask(full, limit_order("two"))
    second = talk.subscribe(full, resume_from=seen[-1])
    talk.ask(full, limit_order("three"))
    seen += [update.sequence for update in updates_in(talk.take(second))]
    assert seen == [1, 2, 3, 4, 5, 6]


def test_what_can_no_longer_be_replayed_is_a_gap_and_the_open_orders() -> None:
    talk = Desk(native.Disk(1), settings={"update_history": 4})
    connection = talk.connect()
    talk.ask(connection, limit_order("open", price="2000"))
    for n in range(8):
        talk.ask(connection, limit_order(f"order-{n}"))
    subscription = talk.subscribe(connection, resume_from=1)
    refused = talk.subscribe(connection, resume_from=1, accept_gaps=False)
    talk.settle()
    reply, gap, *rest = talk.take(subscription)
    assert isinstance(reply, SubscribeReply) and isinstance(gap, UpdateGap)
    assert (gap.first_sequence, gap.last_sequence) == (2, 13)
    assert [(update.order.order_id, update.snapshot) for update in rest[:1]] == [("open", True)]
    assert [update.sequence for update in rest[1:]] == [14, 15, 16, 17]
    (ended,) = talk.take(refused)
    assert isinstance(ended, SubscriptionEnded) and ended.code == ReasonCode.DATA_LOSS


@pytest.mark.parametrize("path", ["zmq", "grpc"])
def test_a_subscriber_that_does_not_read_is_cut_off_and_others_are_not(path: Any) -> None:
    talk = Desk(native.Disk(1), settings={"update_backlog": 20, "output_high_water_bytes": 2_000})
    slow, quick = talk.connect(path), talk.connect()
    lagging, other = talk.subscribe(slow), talk.subscribe(quick)
    talk.settle()
    talk.engine.set_reading(slow, False)
    for n in range(30):
        talk.ask(quick, limit_order(f"order-{n}"))
    assert len(updates_in(talk.take(other))) == 60
    talk.engine.set_reading(slow, True)
    talk.settle()
    heard = talk.take(lagging)
    seen = [update.sequence for update in updates_in(heard)]
    assert seen == list(range(1, len(seen) + 1)) and len(seen) < 60
    assert heard[-1].code == ReasonCode.SLOW_CONSUMER and heard[-1].last_sequence == seen[-1]
    closed = [connection for connection, _, body in talk.heard if body is None]
    assert closed == ([slow] if path == "zmq" else [])


def test_limits_come_with_the_settings() -> None:
    talk = Desk(native.Disk(1), settings={"risk": {"max_order_quantity": "2"}})
    reply = talk.ask(talk.connect(), limit_order("large", quantity="3")).reply
    assert (reply.status, reply.code) == (ExecutionStatus.REJECTED, ReasonCode.ORDER_QUANTITY_LIMIT)


def test_a_setting_that_there_is_not_is_named() -> None:
    with pytest.raises(TypeError, match="no_such_setting"):
        Desk(native.Disk(1), settings={"no_such_setting": 1})


def test_engine_time_is_the_callers(talk: Desk) -> None:
    reply = talk.ask(talk.connect(), limit_order("order")).reply
    assert reply.execution_time_ns == START_NS + 2 * MS
    assert reply.executed_quantity == Decimal(1)
