"""Checks of what lies beside the orders: starts from snapshots, and reconciliations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from fallback_grpc.queue import Result
from fallback_grpc.reconciliation import (
    MissedChange,
    MissedClose,
    MissedFill,
    MissingAtEngine,
    Reconciliation,
    StateDiffers,
    UnknownToClient,
)
from tests.simulation.history import History
from transport.contract.replies import OrderCommandReply, OrderReply


def a_start_from_a_snapshot_stands_where_replay_does(history: History) -> Iterator[str]:
    """Invariant 3: snapshot and tail give the state that all records give; with the archive, none is missing."""
    for snapshot_seq, first_seq, state_hash, replayed_hash, problem in history.recoveries:
        if problem:
            yield f"after a start from the snapshot at record {snapshot_seq}: {problem}"
        elif first_seq != 1:
            yield f"after a start from the snapshot at record {snapshot_seq} the records before {first_seq} are gone"
        elif state_hash != replayed_hash:
            yield f"the snapshot at record {snapshot_seq} led to state {state_hash}, all records to {replayed_hash}"


def reconciliations_tell_what_the_journal_says(history: History) -> Iterator[str]:
    """What was missed is the journal's, told once; nothing is said to be missing that is there."""
    if history.forgot:
        return
    updates = history.journal.updates
    for reconciled in history.ledger.reconciled:
        last = 0
        for report in reconciled.reports:
            for difference in report.differences:
                if isinstance(difference, MissingAtEngine):
                    yield f"order {difference.order_id} was said to be missing at the engine, which forgot nothing"
                elif isinstance(difference, StateDiffers | UnknownToClient):
                    if difference.order_id.split("·")[0] not in history.journal.admitted:
                        yield f"order {difference.order_id} was said to be open; the journal has nothing"
                elif difference.update is not None:
                    told = difference.update
                    kept = updates[told.sequence - 1] if told.sequence <= len(updates) else None
                    if kept is None or (kept.kind, kept.order_id) != (told.kind.name, told.order.order_id):
                        yield f"missed update {told.sequence} was {told.kind.name}; the journal has {kept}"
                    if told.sequence <= last:
                        yield f"missed update {told.sequence} was told after {last}"
                    last = told.sequence


def who_reconciles_misses_nothing(history: History) -> Iterator[str]:
    """Who follows no updates is told of each by a reply or by reconciliation, or that there is a gap."""
    settings = history.settings
    if history.forgot or not settings.reconciles or settings.subscribes:
        return
    heard = _heard_by_replies(history)
    for number, reconciled in enumerate(history.ledger.reconciled):
        position = 0
        for report in reconciled.reports:
            began = report.began_sequence
            if began is None or began > position:
                yield f"client {number} was compared from {began} on; it had come to {position}"
            yield from _all_told(history, report, position, heard)
            position = report.ended_sequence
        if position < history.ledger.to_reconcile and not history.loud:
            yield f"client {number} has been compared up to {position} of {history.ledger.to_reconcile}"


def _all_told(history: History, report: Reconciliation, began: int, heard: dict[str, int]) -> Iterator[str]:
    told = {
        difference.update.sequence
        for difference in report.differences
        if isinstance(difference, MissedFill | MissedClose | MissedChange) and difference.update is not None
    }
    for sequence in range(began + 1, min(report.ended_sequence, len(history.journal.updates)) + 1):
        update = history.journal.updates[sequence - 1]
        in_gap = report.gap is not None and report.gap.first_sequence <= sequence <= report.gap.last_sequence
        if sequence not in told and not in_gap and heard.get(update.order_id, 0) < sequence and not report.omitted:
            yield f"update {sequence} ({update.kind} of {update.order_id}) was told by nothing"


def _heard_by_replies(history: History) -> dict[str, int]:
    """The last update of each order that a reply told of, at any time, to anybody."""
    heard: dict[str, int] = {}
    replies: list[OrderReply | None] = []
    for belief in history.ledger.orders.values():
        replies += belief.replies
        replies += [event.reply for event in belief.told if isinstance(event, Result)]
        replies += [order for answer in belief.answers for order in (answer.order, answer.reply)]
        replies.append(belief.resolved)
    replies += [answer.order for answer in history.ledger.final.values()]
    replies += [each.reply.order for each in history.ledger.commands if isinstance(each.reply, OrderCommandReply)]
    for reply in replies:
        if reply is not None:
            heard[reply.order_id] = max(heard.get(reply.order_id, 0), reply.sequence)
    return heard


STATE_CHECKS: Final[tuple[Callable[[History], Iterator[str]], ...]] = (
    a_start_from_a_snapshot_stands_where_replay_does,
    reconciliations_tell_what_the_journal_says,
    who_reconciles_misses_nothing,
)
