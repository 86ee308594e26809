"""Each planted bug breaks what it says, and the engine without it does not: one scene, played with and without."""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any

import pytest

from tests.simulation import _native_sim as native
from tests.simulation.native_desk import MS, START_NS, Desk, limit_order
from transport import OrderUpdate, UpdateGap
from transport.contract.codes import ExecutionStatus, ReasonCode
from transport.contract.requests import RiskLimits, SetCancelOnDisconnect, SetRiskLimits
from transport.wire.messages import Refusal, SubscribeReply

Scene = Callable[[Collection[str]], bool]
SCENES: dict[str, Scene] = {}


def scene(bug: str) -> Callable[[Scene], Scene]:
    """Registers what shows a bug: true where a promise was broken."""

    def register(play: Scene) -> Scene:
        SCENES[bug] = play
        return play

    return register


def desk(bugs: Collection[str], seed: int = 7, **more: Any) -> Desk:
    return Desk(native.Disk(seed), bugs, **more)


def external(bugs: Collection[str], **more: Any) -> Desk:
    opened = desk(bugs, venue=native.Venue(7), **more)
    opened.engine.venue_connected(opened.now_ns)
    return opened


def updates_of(heard: list[Any]) -> list[int]:
    return [update.sequence for update in heard if isinstance(update, OrderUpdate) and not update.snapshot]


def crash_is_noticed(talk: Desk) -> set[str]:
    """The ids that engines know which start after the loss of the machine, over some ways to lose it."""
    known: set[str] = set()
    for _ in range(8):
        after = Desk(talk.disk.crash(), now_ns=talk.now_ns)
        if not after.get(after.connect(), "order").found:
            known.add("lost")
    return known


@scene("reply_before_sync")
def acknowledged_order_is_lost_with_the_machine(bugs: Collection[str]) -> bool:
    talk = desk(bugs)
    correlation = talk.tell(talk.connect(), limit_order("order"))
    talk.turn()
    acknowledged = bool(talk.take(correlation))
    return acknowledged and bool(crash_is_noticed(talk))


@scene("update_escapes_before_durable")
def update_is_seen_of_an_order_that_never_was(bugs: Collection[str]) -> bool:
    talk = desk(bugs)
    connection = talk.connect()
    subscription = talk.subscribe(connection)
    talk.settle()
    talk.tell(connection, limit_order("order"))
    talk.turn()
    seen = updates_of(talk.take(subscription))
    return bool(seen) and bool(crash_is_noticed(talk))


@scene("venue_send_before_durable")
def venue_executes_an_order_that_the_engine_never_had(bugs: Collection[str]) -> bool:
    talk = external(bugs)
    talk.tell(talk.connect(), limit_order("order"))
    talk.turn()
    talk.exchange_with_venue()
    if not talk.executed("order"):
        return False
    for _ in range(8):
        after = Desk(talk.disk.crash(), venue=talk.venue, now_ns=talk.now_ns)
        after.engine.venue_connected(after.now_ns)
        after.ask(after.connect(), limit_order("order"))
    return talk.executed("order") > 1


@scene("dedup_lost_on_restart")
def order_executes_again_after_a_restart(bugs: Collection[str]) -> bool:
    talk = desk(bugs)
    talk.ask(talk.connect(), limit_order("order"))
    talk.restart("kill")
    reply = talk.ask(talk.connect(), limit_order("order"))
    return talk.executed("order") > 1 and not reply.duplicate and reply.reply.order_id == "order"


@scene("duplicate_executes_on_other_path")
def order_executes_on_each_path(bugs: Collection[str]) -> bool:
    talk = desk(bugs)
    talk.ask(talk.connect("zmq"), limit_order("order"))
    talk.ask(talk.connect("grpc"), limit_order("order"))
    return talk.executed("order") > 1


@scene("update_sequence_reset")
def numbers_of_updates_begin_anew(bugs: Collection[str]) -> bool:
    talk = desk(bugs)
    before = talk.ask(talk.connect(), limit_order("one")).reply.sequence
    talk.restart("kill")
    connection = talk.connect()
    subscription = talk.subscribe(connection)
    talk.ask(connection, limit_order("two"))
    return min(updates_of(talk.take(subscription))) <= before


@scene("venue_send_repeated_on_recovery")
def venue_is_told_twice(bugs: Collection[str]) -> bool:
    talk = external(bugs)
    talk.tell(talk.connect(), limit_order("order"))
    talk.turn()
    assert talk.venue is not None
    while talk.sync_is_out:
        talk.sync_is_out = talk.engine.sync_done(talk.now_ns)
    for message in talk.engine.venue_out():
        talk.venue.receive(message)  # and its reports are lost with the engine
    talk.restart("kill")
    talk.engine.venue_connected(talk.now_ns)
    reply = talk.ask(talk.connect(), limit_order("order"))
    assert reply.reply.order_id == "order"
    return talk.executed("order") > 1


@scene("query_does_not_fence")
def order_executes_after_it_was_fenced(bugs: Collection[str]) -> bool:
    talk = desk(bugs)
    connection = talk.connect()
    assert talk.get(connection, "order", fence=True).fenced
    talk.ask(connection, limit_order("order"))
    return talk.executed("order") > 0


@scene("ack_after_fsync_error")
def order_is_acknowledged_though_its_sync_failed(bugs: Collection[str]) -> bool:
    def is_lost(seed: int) -> bool:
        talk = desk(bugs, seed)
        connection = talk.connect()
        talk.disk.fail_sync(1)
        correlation = talk.tell(connection, limit_order("order"))
        talk.settle()
        return bool(talk.take(correlation)) and not talk.engine.failed and bool(crash_is_noticed(talk))

    # A sync that fails may have written everything.
    return any(is_lost(seed) for seed in range(8))


@scene("acknowledged_record_cut")
def acknowledged_order_is_cut_off(bugs: Collection[str]) -> bool:
    talk = desk(bugs)
    talk.ask(talk.connect(), limit_order("order"))
    talk.restart("kill")
    return not talk.get(talk.connect(), "order").found


@scene("expired_order_executed")
def order_executes_after_it_expired(bugs: Collection[str]) -> bool:
    talk = desk(bugs)
    talk.ask(talk.connect(), limit_order("order", expires_at_ns=START_NS - MS))
    return talk.executed("order") > 0


@scene("busy_after_effect")
def order_is_refused_and_executed(bugs: Collection[str]) -> bool:
    talk = desk(bugs)
    connection = talk.connect()
    replies = {f"order-{n}": talk.ask(connection, limit_order(f"order-{n}")) for n in range(40)}
    refused = [order_id for order_id, reply in replies.items() if isinstance(reply, Refusal)]
    return any(talk.executed(order_id) for order_id in refused)


@scene("gap_not_told")
def updates_are_missing_without_a_word(bugs: Collection[str]) -> bool:
    talk = desk(bugs, settings={"update_history": 4})
    connection = talk.connect()
    for n in range(10):
        talk.ask(connection, limit_order(f"order-{n}"))
    subscription = talk.subscribe(connection, resume_from=2)
    talk.settle()
    heard = talk.take(subscription)
    assert isinstance(heard[0], SubscribeReply)
    return updates_of(heard)[0] > 3 and not any(isinstance(item, UpdateGap) for item in heard)


def resumed(bugs: Collection[str]) -> list[int]:
    talk = desk(bugs)
    connection = talk.connect()
    for n in range(3):
        talk.ask(connection, limit_order(f"order-{n}"))
    subscription = talk.subscribe(connection, resume_from=2)
    talk.settle()
    return updates_of(talk.take(subscription))


@scene("update_lost_on_resume")
def an_update_is_missing(bugs: Collection[str]) -> bool:
    return 3 not in resumed(bugs)


@scene("update_twice_on_resume")
def an_update_comes_again(bugs: Collection[str]) -> bool:
    return 2 in resumed(bugs)


def small(bugs: Collection[str]) -> Desk:
    """An engine whose segments are soon full."""
    return desk(bugs, settings={"segment_bytes": 4_096})


@scene("recovery_ignores_tail")
def order_behind_the_snapshot_is_forgotten(bugs: Collection[str]) -> bool:
    talk = small(bugs)
    assert talk.snapshot()["problem"] is None
    talk.ask(talk.connect(), limit_order("order"))
    talk.restart("kill")
    return not talk.get(talk.connect(), "order").found


@scene("snapshot_omits_ids")
def order_before_the_snapshot_executes_again(bugs: Collection[str]) -> bool:
    talk = small(bugs)
    talk.ask(talk.connect(), limit_order("order"))
    talk.snapshot()
    talk.restart("kill")
    talk.ask(talk.connect(), limit_order("order"))
    return talk.executed("order") > 1


@scene("snapshot_not_synced")
def snapshot_is_torn_by_the_loss_of_the_machine(bugs: Collection[str]) -> bool:
    talk = small(bugs)
    made = talk.snapshot()
    found = [Desk(talk.disk.crash(), now_ns=talk.now_ns).engine.recovered for _ in range(8)]
    return any(each["unusable_snapshots"] or each["snapshot_seq"] != made["seq"] for each in found)


@scene("archived_segment_lost")
def the_chain_of_records_has_no_beginning(bugs: Collection[str]) -> bool:
    talk = small(bugs)
    while not talk.snapshot()["archived_segments"]:
        pass
    return native.verify(talk.disk)["first_seq"] != 1


@scene("lease_ends_with_one_path")
def orders_of_who_is_there_are_cancelled(bugs: Collection[str]) -> bool:
    talk = desk(bugs)
    fast, slow = talk.connect("zmq"), talk.connect("grpc")
    talk.ask(slow, SetCancelOnDisconnect(grace_ms=50, command_id="lease"))
    talk.ask(slow, limit_order("order", price="2000"))
    talk.engine.disconnect(fast, talk.now_ns)
    talk.let_leases_expire(100)
    return talk.get(slow, "order").order.status == ExecutionStatus.CANCELLED


@scene("limits_lost_on_restart")
def order_beyond_the_limit_is_taken(bugs: Collection[str]) -> bool:
    talk = desk(bugs)
    talk.ask(talk.connect(), SetRiskLimits(limits=RiskLimits(max_order_quantity=Decimal(1)), command_id="limits"))
    talk.restart("kill")
    reply = talk.ask(talk.connect(), limit_order("order", quantity="2")).reply
    assert reply.code in (ReasonCode.NONE, ReasonCode.ORDER_QUANTITY_LIMIT)
    return reply.code == ReasonCode.NONE


def test_every_bug_that_can_be_planted_has_a_scene_that_shows_it() -> None:
    assert set(SCENES) == set(native.BUGS)


@pytest.mark.parametrize("bug", sorted(SCENES))
def test_the_engine_without_the_bug_keeps_its_promise(bug: str) -> None:
    assert not SCENES[bug](())


@pytest.mark.parametrize("bug", sorted(SCENES))
def test_the_planted_bug_breaks_what_it_says(bug: str) -> None:
    assert SCENES[bug]({bug})


def test_a_bug_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match=r'"no_such_bug" is no bug that can be planted'):
        desk(["no_such_bug"])


def test_refused_for_its_expiry_is_a_reply_and_not_a_missing_one() -> None:
    talk = desk(())
    reply = talk.ask(talk.connect(), limit_order("order", expires_at_ns=START_NS - MS))
    assert reply.reply.code == ReasonCode.EXPIRED
