"""Whatever a client heard of its orders, and whatever can still be replayed: after a comparison it believes what is
true, and was told of exactly the updates that it had not heard of."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from fallback_grpc.reconciliation import MissedChange, MissedClose, MissedFill, MissingAtEngine, UnknownToClient
from fallback_grpc.reconciliation.beliefs import Beliefs
from fallback_grpc.reconciliation.comparison import Comparison
from transport.contract.codes import ExecutionStatus, UpdateKind
from transport.contract.replies import GetOrderReply, OpenOrders, OrderReply, OrderUpdate, UpdateGap

_NEXT = {
    "fill": (UpdateKind.FILL, ExecutionStatus.PARTIALLY_FILLED),
    "done": (UpdateKind.FILL, ExecutionStatus.FILLED),
    "cancel": (UpdateKind.CLOSED, ExecutionStatus.CANCELLED),
    "replace": (UpdateKind.REPLACED, ExecutionStatus.PENDING),
}


@dataclass
class Engine:
    """One account's orders and its updates, without holes."""

    orders: dict[str, OrderReply] = field(default_factory=dict[str, OrderReply])
    updates: list[OrderUpdate] = field(default_factory=list[OrderUpdate])

    def change(self, order_id: str, kind: UpdateKind, status: ExecutionStatus) -> OrderUpdate:
        sequence = len(self.updates) + 1
        order = OrderReply(order_id, status, sequence=sequence, executed_quantity=Decimal(sequence))
        self.orders[order_id] = order
        self.updates.append(OrderUpdate(sequence=sequence, kind=kind, order=order))
        return self.updates[-1]

    def open_orders(self) -> list[OrderReply]:
        return [order for order in self.orders.values() if not order.status.is_terminal]


steps = st.lists(
    st.tuples(st.sampled_from(["new", *_NEXT]), st.integers(0, 30), st.booleans()), min_size=1, max_size=60
)


@settings(max_examples=300, deadline=None)
@given(script=steps, history=st.integers(0, 60), rounds=st.integers(1, 3))
def test_beliefs_are_true_and_the_differences_are_what_was_missed(
    script: list[tuple[str, int, bool]], history: int, rounds: int
) -> None:
    engine, beliefs = Engine(), Beliefs(position=0)
    share = max(len(script) // rounds, 1)
    for begin in range(0, len(script), share):
        unheard = _play(engine, beliefs, script[begin : begin + share])
        _compare(engine, beliefs, unheard, history)


def _play(engine: Engine, beliefs: Beliefs, script: list[tuple[str, int, bool]]) -> set[int]:
    """Changes at the engine; some are told to the client by a reply. The numbers of those that it did not hear of."""
    unheard: set[int] = set()
    for what, which, is_heard in script:
        still_open = sorted(engine.open_orders(), key=lambda order: order.sequence)
        if what == "new" or not still_open:
            update = engine.change(f"o{len(engine.updates)}", UpdateKind.ACCEPTED, ExecutionStatus.PENDING)
        else:
            order = still_open[which % len(still_open)]
            update = engine.change(order.order_id, *_NEXT[what])
        unheard.add(update.sequence)
        if is_heard:
            beliefs.replied(update.order)  # the state says all that befell the order before
            unheard -= {each.sequence for each in engine.updates if each.order.order_id == update.order.order_id}
    return unheard


def _compare(engine: Engine, beliefs: Beliefs, unheard: set[int], history: int) -> None:
    last = len(engine.updates)
    comparison = Comparison(beliefs, OpenOrders(orders=engine.open_orders(), last_sequence=last))
    begin, gap = comparison.replay_from, 0
    if begin is not None:
        first_kept = max(last - history + 1, begin + 1)
        if first_kept > begin + 1:
            gap = first_kept - 1
            comparison.replayed(UpdateGap(begin + 1, gap))
            for order in engine.open_orders():
                snapshot = OrderUpdate(sequence=order.sequence, kind=UpdateKind.ACCEPTED, order=order, snapshot=True)
                comparison.replayed(snapshot)
        for update in engine.updates[first_kept - 1 :]:
            comparison.replayed(update)
    for believed in comparison.to_look_up():
        order = engine.orders[believed.order_id]
        comparison.looked_up(believed, GetOrderReply(found=True, order=order))
    report = comparison.report()
    told = {
        each.update.sequence
        for each in report.differences
        if isinstance(each, MissedFill | MissedChange | MissedClose) and each.update is not None
    }
    assert told == {sequence for sequence in unheard if sequence > gap}
    assert not any(isinstance(each, MissingAtEngine) for each in report.differences)
    if not gap:
        assert not any(isinstance(each, UnknownToClient) for each in report.differences)
    assert {name: order.sequence for name, order in beliefs.open.items()} == {
        order.order_id: order.sequence for order in engine.open_orders()
    }
    assert (beliefs.position, beliefs.remembered, report.ended_sequence) == (last, 0, last)
