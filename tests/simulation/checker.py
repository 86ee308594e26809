"""What must hold after every run. Each check has a name, reads the history alone, and says what is wrong.

Invariants are those of ARCHITECTURE.md. What may be missing in mode `os` after the machine was lost is said by
`History.forgot`: then what was acknowledged may be gone from the journal, and a client that had seen more must stop
loudly; nothing may be executed twice or contradict the journal that is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from fallback_grpc.queue import FINAL, FinalEvent, Result
from tests.simulation.checks_of_control import CONTROL_CHECKS
from tests.simulation.checks_of_state import STATE_CHECKS
from tests.simulation.history import Fill, History
from tests.simulation.ledger import Ending, OrderBelief
from transport.contract.codes import ExecutionStatus, ReasonCode
from transport.contract.replies import OrderReply, OrderUpdate, UpdateGap


class Violation(NamedTuple):
    """What a check found."""

    check: str
    what: str


Check = Callable[[History], Iterator[str]]


def _exchange_may_know_more(history: History) -> bool:
    """Mode `os`, and the machine was lost: the external exchange remembers what the engine has forgotten."""
    return history.forgot and history.settings.venue == "external"


def acknowledged_orders_are_in_the_journal(history: History) -> Iterator[str]:
    """Invariants 1, 2: a reply that a client got is a record's."""
    if history.forgot:
        return
    for order_id, belief in history.ledger.orders.items():
        for reply in belief.replies:
            if not _is_stored(reply):
                continue
            if order_id not in history.journal.admitted and order_id not in history.journal.fences:
                yield f"order {belief.number} ({order_id}) was answered {reply.status.name} and the journal has nothing"


def orders_execute_once(history: History) -> Iterator[str]:
    """Invariant 1: `apply` takes an id once, the exchange opens it once, no execution counts twice."""
    for order_id, admissions in history.journal.admitted.items():
        if len(admissions) > 1:
            yield f"order {order_id} was admitted {len(admissions)} times"
    if not history.forgot:
        for order_id, times in history.exchange_new.items():
            if times > 1:
                yield f"order {order_id} reached the exchange {times} times"
    for order_id, fills in history.exchange.items():
        if len({fill.execution_id for fill in fills}) < len(fills):
            yield f"order {order_id}: an execution is there twice: {fills}"
    for order_id, fills in history.journal.fills.items():
        if len({fill.execution_id for fill in fills}) < len(fills):
            yield f"order {order_id}: the account was told of an execution twice: {fills}"


def no_order_is_overfilled(history: History) -> Iterator[str]:
    """Invariant 1: executed is at most what was ordered (or replaced to)."""
    if _exchange_may_know_more(history):
        return
    replaced = {command.order_id for command in history.ledger.commands if command.call.what == "replace"}
    for order_id, belief in history.ledger.orders.items():
        executed = sum((fill.quantity for fill in history.exchange.get(order_id, [])), Decimal(0))
        if (
            executed > belief.order.quantity
            and order_id not in replaced
            and not (history.forgot and belief.altered_copies)
        ):
            yield f"order {belief.number} ({order_id}) of {belief.order.quantity} was executed for {executed}"


def orders_come_from_the_clients(history: History) -> Iterator[str]:
    """Invariant 1: no order under an id that no client ever gave (legs carry their entry's)."""
    for order_id in [*history.journal.admitted, *history.exchange]:
        if order_id.split("·")[0] not in history.ledger.orders:
            yield f"order {order_id} is nobody's"


def replies_say_what_the_journal_says(history: History) -> Iterator[str]:
    """Invariants 1, 11: every reply to an id, on whatever path and however often, is the stored one."""
    for order_id, belief in history.ledger.orders.items():
        stored = history.journal.replies.get(order_id)
        told = [reply for reply in belief.replies if _is_stored(reply)]
        if belief.resolved is not None:
            told.append(belief.resolved)
        for reply in told:
            if stored is None:
                if not history.forgot and order_id in history.journal.admitted:
                    yield f"order {belief.number} ({order_id}) was answered {reply.status.name}; no reply is stored"
                continue
            kept = (stored["status"], Decimal(stored["executed_quantity"]), stored["sequence"], stored["code"])
            heard = (reply.status.name, reply.executed_quantity, reply.sequence, reply.code.name)
            if reply is belief.resolved and heard == ("PENDING", Decimal(0), 0, "NONE"):
                continue  # taken, and the external venue had not said a word
            if kept != heard and not history.forgot:
                yield f"order {belief.number} ({order_id}) was answered {heard}; the journal has {kept}"


def altered_orders_are_rejected(history: History) -> Iterator[str]:
    """Invariant 1: the same id with other content is rejected, and the first order stands."""
    for belief in history.ledger.orders.values():
        for reply in belief.altered:
            expected = (ReasonCode.DUPLICATE_ORDER_ID, ReasonCode.ID_TOO_OLD, ReasonCode.FENCED)
            if (reply.status != ExecutionStatus.REJECTED or reply.code not in expected) and not history.forgot:
                yield f"order {belief.number} with other content was answered {reply.status.name} {reply.code.name}"


def nothing_denied_was_executed(history: History) -> Iterator[str]:
    """Invariants 6, 11: who was told that nothing was executed was told the truth."""
    for order_id, belief in history.ledger.orders.items():
        opened = any(each.event == "OrderOpened" for each in history.journal.admitted.get(order_id, []))
        traded = order_id in history.exchange and not _exchange_may_know_more(history)
        if not opened and not traded:
            continue
        endings = [call.ending.value for call in belief.calls]
        if belief.was_denied:
            yield f"order {belief.number} ({order_id}) was executed; its calls ended {endings}"
        if belief.fenced:
            yield f"order {belief.number} ({order_id}) was executed though a fence said never"
        rejected = [reply for reply in belief.replies if reply.status == ExecutionStatus.REJECTED]
        if order_id in history.exchange and rejected and not history.forgot:
            yield f"order {belief.number} ({order_id}) was executed; it was answered REJECTED {rejected[0].code.name}"


def fenced_orders_never_execute(history: History) -> Iterator[str]:
    """Invariant 6: what was fenced before it came is never opened."""
    for order_id in history.journal.fences:
        if any(each.event == "OrderOpened" for each in history.journal.admitted.get(order_id, [])):
            yield f"order {order_id} was opened, and is fenced"
        if order_id in history.exchange and not _exchange_may_know_more(history):
            yield f"order {order_id} was executed, and is fenced"


def cancelled_orders_do_not_fill_afterwards(history: History) -> Iterator[str]:
    """What a client was told is over is over."""
    if _exchange_may_know_more(history):
        return  # its keys come again
    for order_id, (record, reason) in history.journal.ended.items():
        if history.journal.last_fill_record.get(order_id, 0) > record and "·" not in order_id:
            yield f"order {order_id} ended with {reason} in record {record} and filled after that"


def expired_orders_do_not_execute(history: History) -> Iterator[str]:
    """`expires_at` holds by engine time, however late a copy arrives."""
    for order_id, admissions in history.journal.admitted.items():
        belief = history.ledger.orders.get(order_id)
        expires_ns = belief.order.expires_at_ns if belief is not None else None
        for admission in admissions:
            if expires_ns is not None and admission.event == "OrderOpened" and admission.time_ns >= expires_ns:
                late_ms = (admission.time_ns - expires_ns) / 1e6
                yield f"order {order_id} was opened {late_ms:.3f} ms after it had expired"


def the_account_was_told_what_the_exchange_did(history: History) -> Iterator[str]:
    """Invariant 2, and reconciliation: journal and exchange have the same executions."""
    if _exchange_may_know_more(history):
        return
    for order_id in sorted({*history.journal.fills, *history.exchange}):
        told = sorted(history.journal.fills.get(order_id, []))
        did: list[Fill] = sorted(history.exchange.get(order_id, []))
        if told != did:
            yield f"order {order_id}: the account was told {told}, the exchange did {did}"


def updates_come_once_and_in_order(history: History) -> Iterator[str]:
    """Invariant 7: no hole, no repetition, and each update is the journal's."""
    for subscriber, heard in enumerate(history.ledger.updates):
        resumed = dict(heard.resumed_at)
        last = before_gap = 0
        for index, item in enumerate(heard.items):
            last = resumed.get(index, last)
            before_gap = resumed.get(index, before_gap)
            if isinstance(item, UpdateGap):
                # Who is cut off before an update has followed a gap gets it again, with a whole snapshot.
                begins = item.first_sequence in (last + 1, before_gap + 1)
                if not begins or item.last_sequence < max(item.first_sequence, last):
                    yield f"subscriber {subscriber}: {item} came after {last}"
                last = item.last_sequence
            elif not item.snapshot:
                if item.sequence != last + 1:
                    yield f"subscriber {subscriber}: update {item.sequence} came after {last}"
                last = before_gap = item.sequence
                yield from _update_is_the_journals(history, item)


def _update_is_the_journals(history: History, item: OrderUpdate) -> Iterator[str]:
    updates = history.journal.updates
    if item.sequence > len(updates):
        if not history.forgot:
            yield f"update {item.sequence} is not in the journal, which has {len(updates)}"
        return
    kept = updates[item.sequence - 1]
    heard = (item.kind.name, item.order.order_id, item.execution_id)
    if (kept.kind, kept.order_id, kept.execution_id) != heard and not history.forgot:
        yield f"update {item.sequence} was {heard}; the journal has {kept}"


def updates_arrive(history: History) -> Iterator[str]:
    """Invariant 7: once everything is healed, a subscriber has all there are."""
    if history.loud or not history.settings.subscribes:
        return
    for subscriber, heard in enumerate(history.ledger.updates):
        if heard.reached < history.engine_last_sequence:
            yield f"subscriber {subscriber} has come to {heard.reached} of {history.engine_last_sequence}"
        for problem in heard.problems:
            if "JOURNAL_FAILED" in problem:
                continue  # loud, and the subscriber goes on where it was
            yield f"subscriber {subscriber}: the subscription ended: {problem}"


def gaps_are_followed_by_a_snapshot(history: History) -> Iterator[str]:
    """Invariant 7: after a gap comes every order that is open then."""
    if history.forgot:
        return
    for heard in history.ledger.updates:
        for index, item in enumerate(heard.items):
            if not isinstance(item, UpdateGap):
                continue
            shown: set[str] = set()
            closed = False
            for later in heard.items[index + 1 :]:
                if isinstance(later, UpdateGap):
                    break  # it was cut off, and comes again
                if not later.snapshot:
                    closed = True
                    break
                shown.add(later.order.order_id)
            if closed:
                yield from _open_orders_are_in(history, item.last_sequence, shown)


def _open_orders_are_in(history: History, sequence: int, shown: set[str]) -> Iterator[str]:
    """Orders that were open at `sequence`, and still are at the end, were open when the snapshot was made."""
    begun = {update.order_id for update in history.journal.updates[:sequence]}
    for order_id in sorted((begun & history.journal.open_orders()) - shown):
        yield f"order {order_id} was open at update {sequence} and is not in the snapshot after the gap"


def doubts_are_resolved(history: History) -> Iterator[str]:
    """Invariant 6: with a path alive, no order stays unknown; what a resolution says is true."""
    for order_id, belief in history.ledger.orders.items():
        if belief.is_in_doubt and not history.loud:
            endings = [call.ending.value for call in belief.calls]
            yield f"order {belief.number} ({order_id}) is still in doubt: {endings}"
        for answer in belief.answers:
            known = order_id in history.journal.admitted
            if answer.found and not known and not history.forgot:
                yield f"order {belief.number} ({order_id}) was said to be known; the journal has nothing"
        yield from _contradictions(history, belief)


def _contradictions(history: History, belief: OrderBelief) -> Iterator[str]:
    if history.forgot:
        return
    if belief.fenced and any(_is_stored(r) and r.code != ReasonCode.FENCED for r in belief.replies):
        codes = [reply.code.name for reply in belief.replies]
        yield f"order {belief.number} was fenced, and answered as {codes}"


def the_queue_tells_each_order_once(history: History) -> Iterator[str]:
    """An order that the queue took gets one final event; told again after a restart, it is the same one."""
    for order_id, belief in history.ledger.orders.items():
        final = [event for event in belief.told if isinstance(event, FINAL)]
        if len({_final_word(event) for event in final}) > 1 and not history.forgot:
            yield f"order {belief.number} ({order_id}) was told {[_final_word(event) for event in final]}"
        if len(final) > 1 and not all(event.recovered for event in final[1:]):
            yield f"order {belief.number} ({order_id}) was told {len(final)} final events without a restart between"
        known = order_id in history.journal.admitted or order_id in history.journal.fences
        if belief.has_receipt and not history.forgot and not known:
            yield f"order {belief.number} ({order_id}) has a receipt and is not in the journal"
        names = [type(event).__name__ for event in belief.told]
        if "Result" in names and "Receipt" in names[names.index("Result") + 1 :] and len(final) == 1:
            yield f"order {belief.number} ({order_id}) was told its receipt after its result"


def _final_word(event: FinalEvent) -> str:
    reply = event.reply if isinstance(event, Result) else None
    return type(event).__name__ + ("" if reply is None else f" {reply.status.name} {reply.sequence} {reply.code.name}")


def calls_end_in_time(history: History) -> Iterator[str]:
    """A call ends within its time; nobody waits for ever."""
    calls = [call for belief in history.ledger.orders.values() for call in belief.calls]
    calls += [command.call for command in history.ledger.commands]
    for call in calls:
        if call.ending is Ending.OPEN:
            if call.what == "queued" and history.loud:
                continue  # a queue that has halted leaves what it has to people
            yield f"a call ({call.what}) has not ended"
        elif call.ending is not Ending.DIED and call.ended_ns - call.began_ns > call.bound_ns:
            yield f"a call ({call.what}) took {(call.ended_ns - call.began_ns) / 1e6:.0f} ms"


def commands_apply_once(history: History) -> Iterator[str]:
    """Invariant 1: a command id is recorded once; who was answered is in the journal."""
    for command_id, records in history.journal.commands.items():
        if len(records) > 1:
            yield f"command {command_id} was recorded {len(records)} times"
    if history.forgot:
        return
    for command in history.ledger.commands:
        reply = command.reply
        if reply is None or reply.code in _NOT_STORED_COMMANDS:
            continue
        if command.command_id not in history.journal.commands:
            yield f"{command.call.what} {command.command_id} was answered {reply.code.name} and is not in the journal"


_NOT_STORED_COMMANDS: Final = frozenset({ReasonCode.MISSING_FIELD, ReasonCode.INVALID_FIELD, ReasonCode.ID_TOO_OLD})


def the_engine_says_at_the_end_what_the_journal_says(history: History) -> Iterator[str]:
    """Invariant 3: the state that is served is the state that is recorded."""
    for order_id, answer in history.ledger.final.items():
        executed = sum((fill.quantity for fill in history.journal.fills.get(order_id, [])), Decimal(0))
        known = order_id in history.journal.admitted
        if answer.found != known:
            yield f"order {order_id}: found is {answer.found}; the journal {'has' if known else 'has not'} got it"
        elif answer.order is not None and answer.order.executed_quantity != executed:
            yield f"order {order_id}: executed {answer.order.executed_quantity} is said, {executed} recorded"


def verify_agrees(history: History) -> Iterator[str]:
    """Invariant 3: the inputs, executed again, give the same events, replies and state."""
    if history.verified:
        yield history.verified


def forgetting_is_loud(history: History) -> Iterator[str]:
    """Invariant 7: a client that has seen more than the engine knows stops; and none stops without cause."""
    if history.loud and not history.forgot:
        yield f"a client stopped though nothing may have been forgotten: {history.ledger.stopped[0]}"
    if history.forgot and not history.loud:
        heard = max((heard.reached for heard in history.ledger.updates), default=0)
        if heard > history.engine_last_sequence:
            yield f"a client has seen update {heard}, the engine is at {history.engine_last_sequence}, nobody was told"


def nothing_impossible_happened(history: History) -> Iterator[str]:
    """Engines start, loops do not stall, nothing raises what nobody catches."""
    yield from history.problems


def _is_stored(reply: OrderReply) -> bool:
    """Whether a reply is one that the engine keeps under the id."""
    if reply.status == ExecutionStatus.FAILED:
        return False
    return reply.code not in (ReasonCode.ID_TOO_OLD, ReasonCode.DUPLICATE_ORDER_ID, ReasonCode.FENCED)


CHECKS: Final[dict[str, Check]] = {
    check.__name__: check
    for check in (
        nothing_impossible_happened,
        acknowledged_orders_are_in_the_journal,
        orders_execute_once,
        no_order_is_overfilled,
        orders_come_from_the_clients,
        replies_say_what_the_journal_says,
        altered_orders_are_rejected,
        nothing_denied_was_executed,
        fenced_orders_never_execute,
        cancelled_orders_do_not_fill_afterwards,
        expired_orders_do_not_execute,
        the_account_was_told_what_the_exchange_did,
        updates_come_once_and_in_order,
        updates_arrive,
        gaps_are_followed_by_a_snapshot,
        doubts_are_resolved,
        the_queue_tells_each_order_once,
        calls_end_in_time,
        commands_apply_once,
        the_engine_says_at_the_end_what_the_journal_says,
        verify_agrees,
        forgetting_is_loud,
        *STATE_CHECKS,
        *CONTROL_CHECKS,
    )
}


def check(history: History) -> list[Violation]:
    """All that does not hold."""
    return [Violation(name, what) for name, examine in CHECKS.items() for what in examine(history)]


def summary(violations: list[Violation], most: int = 12) -> list[str]:
    """For people: the first few of each check."""
    lines: list[str] = []
    counted: dict[str, int] = {}
    for violation in violations:
        counted[violation.check] = counted.get(violation.check, 0) + 1
        if counted[violation.check] <= 3 and len(lines) < most:
            lines.append(f"{violation.check}: {violation.what}")
    return lines
