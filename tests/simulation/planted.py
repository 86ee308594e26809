"""Bugs of the client, planted in subclasses and patches of this test build alone; the engine's are in `_native_sim`.

Each says what it breaks. The product has none of this: a kit puts other classes in the place of its own for one run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from unittest import mock

import msgspec

from fallback_grpc.bridge import ExecutionBridgeClient
from fallback_grpc.failover.plan import CallPlan, Ending
from fallback_grpc.failover.updates import UpdateCursor
from fallback_grpc.queue import MemoryOutbox
from fallback_grpc.queue.outbox import Conclude, Insert, Owner, Recovered, Write
from fallback_grpc.reconciliation import Difference, MissedFill
from fallback_grpc.reconciliation.comparison import Comparison
from fallback_grpc.resolution import Resolution
from tests.simulation.client_host import Kit
from tests.simulation.fast_carrier import SimulatedFastPath
from tests.simulation.grpc_channel import SimulatedGrpcClient
from transport.contract import ids
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import Conclusion, NotSent, Unknown
from transport.contract.orders import Order
from transport.contract.replies import OrderReply, OrderUpdate, UpdateGap


def _with_order_paths(
    spoil: Callable[[Order], Order], judge: Callable[[Conclusion[OrderReply]], Conclusion[OrderReply]]
) -> Kit:
    """Both paths, with every copy of an order spoilt before it leaves, or its conclusion after."""

    class Fast(SimulatedFastPath):
        async def attempt_order(self, order: Order, timeout_ms: float) -> Conclusion[OrderReply]:
            return judge(await super().attempt_order(spoil(order), timeout_ms))

    class Slow(SimulatedGrpcClient):
        async def attempt_order(self, order: Order, timeout_ms: float) -> Conclusion[OrderReply]:
            return judge(await super().attempt_order(spoil(order), timeout_ms))

    return Kit(fast_path=Fast, grpc_client=Slow)


def resend_with_new_id() -> Kit:
    """A copy after the first goes out under another id: it executes once more (invariant 1)."""
    sent: set[str] = set()

    def spoil(order: Order) -> Order:
        if order.order_id in sent:
            return msgspec.structs.replace(order, order_id=ids.new_order_id())
        sent.add(order.order_id)
        return order

    return _with_order_paths(spoil, lambda conclusion: conclusion)


def unknown_reported_as_not_sent() -> Kit:
    """A copy that nobody answered is said never to have left (invariant 6)."""

    def judge(conclusion: Conclusion[OrderReply]) -> Conclusion[OrderReply]:
        return NotSent(conclusion.reason) if isinstance(conclusion, Unknown) else conclusion

    return _with_order_paths(lambda order: order, judge)


def refusal_of_one_copy_concludes() -> Kit:
    """A refused copy ends the call while another is in doubt (invariant 6)."""
    honest = CallPlan.copy_ended

    def copy_ended(plan: CallPlan, copy: int, ending: Ending, now_ns: int, code: ReasonCode = ReasonCode.NONE) -> None:
        honest(plan, copy, ending, now_ns, code)
        if ending is Ending.REFUSED:
            plan._in_doubt = False  # pyright: ignore[reportPrivateUsage]
            for other in plan._copies:  # pyright: ignore[reportPrivateUsage]
                if other.ending in (None, Ending.UNKNOWN):
                    other.ending = Ending.REFUSED
            plan.stop(now_ns)

    return Kit(patched=lambda: mock.patch.object(CallPlan, "copy_ended", copy_ended))


class _SkippingCursor(UpdateCursor):
    @property
    def resume_from(self) -> int | None:
        last = super().resume_from
        return last + 1 if last else last

    def accept(self, item: OrderUpdate | UpdateGap) -> OrderUpdate | UpdateGap | None:
        if isinstance(item, OrderUpdate) and not item.snapshot:
            self._last = item.sequence - 1
        return super().accept(item)


class _RepeatingCursor(UpdateCursor):
    @property
    def resume_from(self) -> int | None:
        last = super().resume_from
        return last - 1 if last else last

    def accept(self, item: OrderUpdate | UpdateGap) -> OrderUpdate | UpdateGap | None:
        if isinstance(item, OrderUpdate) and not item.snapshot:
            self._last = item.sequence - 1
        return super().accept(item)


def _with_cursor(cursor: type[UpdateCursor]) -> Kit:
    @contextmanager
    def patched() -> Generator[None, None, None]:
        with (
            mock.patch("fallback_grpc.failover.streams.UpdateCursor", cursor),
            mock.patch("fallback_grpc.asynchronous.UpdateCursor", cursor),
        ):
            yield

    return Kit(patched=patched)


def update_cursor_skips() -> Kit:
    """A subscription resumes one update too far, and minds no hole (invariant 7)."""
    return _with_cursor(_SkippingCursor)


def update_delivered_twice_on_resume() -> Kit:
    """A subscription resumes one update too early, and drops nothing (invariant 7)."""
    return _with_cursor(_RepeatingCursor)


class _ForgetfulOutbox(MemoryOutbox):
    async def open(self, owner: Owner) -> Recovered:
        await super().open(owner)
        return Recovered()

    async def commit(self, writes: Sequence[Write]) -> None:
        await super().commit([write for write in writes if not isinstance(write, Conclude)])


def outbox_forgets() -> Kit:
    """A client that starts again finds its outbox empty: what was in it is never finished."""
    return Kit(outbox=_ForgetfulOutbox)


class _RenamingOutbox(MemoryOutbox):
    async def open(self, owner: Owner) -> Recovered:
        recovered = await super().open(owner)
        for entry in recovered.entries:
            if isinstance(entry.item, Order):
                self._apply(Insert(entry.number, msgspec.structs.replace(entry.item, order_id=ids.new_order_id())))
        return await super().open(owner)


def outbox_sends_again_with_new_id() -> Kit:
    """A client that starts again sends what is in its outbox, answered or not, under new ids (invariant 1)."""
    return Kit(outbox=_RenamingOutbox)


class _GuessingBridge(ExecutionBridgeClient):
    async def resolve(self, order_id: str, *, timeout_ms: float | None = None) -> Resolution:
        return Resolution(order_id=order_id, path="zmq", resent=False)


def resolve_guesses() -> Kit:
    """`resolve` says that the order never executes, and has asked nobody (invariant 6)."""
    return Kit(bridge=_GuessingBridge)


def missed_fills_not_reported() -> Kit:
    """Reconciliation leaves out the executions that were missed."""
    honest = Comparison._add  # pyright: ignore[reportPrivateUsage]

    def add(comparison: Comparison, difference: Difference) -> None:
        if not isinstance(difference, MissedFill):
            honest(comparison, difference)

    return Kit(patched=lambda: mock.patch.object(Comparison, "_add", add))


def reconciliation_begins_too_late() -> Kit:
    """Reconciliation passes over the first update that was missed."""
    honest = Comparison.replay_from.fget
    assert honest is not None

    def replay_from(comparison: Comparison) -> int | None:
        begin = honest(comparison)
        return None if begin is None or begin + 1 >= comparison.ended_sequence else begin + 1

    return Kit(patched=lambda: mock.patch.object(Comparison, "replay_from", property(replay_from)))


CLIENT_BUGS: Final[dict[str, Callable[[], Kit]]] = {
    make.__name__: make
    for make in (
        resend_with_new_id,
        unknown_reported_as_not_sent,
        refusal_of_one_copy_concludes,
        update_cursor_skips,
        update_delivered_twice_on_resume,
        outbox_forgets,
        outbox_sends_again_with_new_id,
        resolve_guesses,
        missed_fills_not_reported,
        reconciliation_begins_too_late,
    )
}


def kit_with(bugs: frozenset[str]) -> tuple[frozenset[str], Kit]:
    """The engine's share of these bugs, and a kit with the client's (one at most)."""
    of_client = sorted(bugs & set(CLIENT_BUGS))
    kit: Any = CLIENT_BUGS[of_client[0]]() if of_client else Kit()
    return bugs - set(of_client), kit
