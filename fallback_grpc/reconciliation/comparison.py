"""One reconciliation, without I/O: missed updates first, then the open orders, then those that are missing. Pure.

The shell asks the engine for its open orders (`listed`), replays the updates from `replay_from` up to the number that
the listing has (`replayed`), looks up what `to_look_up` names (`looked_up`), and takes the `report`.
"""

from __future__ import annotations

from typing import Final

from fallback_grpc.reconciliation.beliefs import Beliefs
from fallback_grpc.reconciliation.report import (
    Difference,
    MissedChange,
    MissedClose,
    MissedFill,
    MissingAtEngine,
    Reconciliation,
    StateDiffers,
    UnknownToClient,
)
from transport.contract.codes import ReasonCode, UpdateKind
from transport.contract.replies import GetOrderReply, OpenOrders, OrderReply, OrderUpdate, UpdateGap

_MOST_DIFFERENCES: Final = 10_000


class Comparison:
    """One comparison of the client's beliefs with the engine's word."""

    def __init__(self, beliefs: Beliefs, listing: OpenOrders) -> None:
        """`listing`: the engine's open orders, all pages."""
        self._beliefs = beliefs
        self._listing = listing
        self._began = beliefs.position
        self._differences: list[Difference] = []
        self._omitted = 0
        self._gap: UpdateGap | None = None
        self._told: set[str] = set()
        if self._began is not None and beliefs.floor > self._began:
            self._add_gap(UpdateGap(self._began + 1, min(beliefs.floor, listing.last_sequence)))

    @property
    def replay_from(self) -> int | None:
        """Where to begin the replay of updates, up to and with `ended_sequence`; None: nothing is to be replayed."""
        if self._began is None:
            return None
        begin = max(self._began, self._beliefs.floor)
        return begin if begin < self._listing.last_sequence else None

    @property
    def ended_sequence(self) -> int:
        """The number of the last update that belongs to this comparison."""
        return self._listing.last_sequence

    def replayed(self, item: OrderUpdate | UpdateGap) -> bool:
        """Takes one item of the replay; returns whether that was the last."""
        if isinstance(item, UpdateGap):
            self._add_gap(item)
            return item.last_sequence >= self.ended_sequence
        if item.snapshot:
            return False  # the listing says the same, and newer
        if item.sequence <= self.ended_sequence and item.sequence > self._beliefs.last_heard(item.order.order_id):
            self._missed(item)
        self._beliefs.heard(item)
        return item.sequence >= self.ended_sequence

    def _missed(self, update: OrderUpdate) -> None:
        order_id = update.order.order_id
        self._told.add(order_id)
        if update.kind == UpdateKind.FILL:
            self._add(MissedFill(order_id, update))
        elif update.order.status.is_terminal:
            self._add(MissedClose(order_id, update.order, update))
        else:
            self._add(MissedChange(order_id, update))

    def to_look_up(self) -> list[OrderReply]:
        """Orders that the client believes open and the engine does not list: ask for each (`GetOrder`)."""
        listed = {order.order_id for order in self._listing.orders}
        self._compare_listed()
        return [
            order
            for order_id, order in self._beliefs.open.items()
            if order_id not in listed and order.sequence <= self.ended_sequence
        ]

    def _compare_listed(self) -> None:
        beliefs = self._beliefs
        for order in self._listing.orders:
            believed = beliefs.open.get(order.order_id)
            if believed is None:
                if beliefs.closed_at(order.order_id) < 0 and order.order_id not in self._told:
                    self._add(UnknownToClient(order.order_id, order))
            elif believed.sequence < order.sequence and order.order_id not in self._told:
                self._add(StateDiffers(order.order_id, believed, order))

    def looked_up(self, believed: OrderReply, found: GetOrderReply) -> None:
        """What the engine says of an order that `to_look_up` named."""
        order_id = believed.order_id
        if self._beliefs.open.get(order_id) is not believed:
            return  # news came meanwhile
        if not found.found or found.order is None:
            self._not_found(believed, found)
            return
        if found.order.status.is_terminal and order_id not in self._told:
            self._add(MissedClose(order_id, found.order))
        self._beliefs.replied(found.order)

    def _not_found(self, believed: OrderReply, answer: GetOrderReply) -> None:
        """Forgotten for its age: it ended, and how is in the archive. Unknown: missing. Else the query told nothing."""
        if answer.code == ReasonCode.ID_TOO_OLD:
            last = self.ended_sequence
            self._add_gap(UpdateGap(min(believed.sequence + 1, last), last))
        elif not answer.found and answer.code in (ReasonCode.NONE, ReasonCode.UNKNOWN_ORDER):
            self._add(MissingAtEngine(believed.order_id, believed))
        else:
            return  # believed as before, and looked up again next time
        del self._beliefs.open[believed.order_id]

    def report(self) -> Reconciliation:
        """The end: from now on the client believes what the engine said."""
        self._beliefs.settle(self._listing.orders, self.ended_sequence)
        return Reconciliation(
            began_sequence=self._began,
            ended_sequence=self.ended_sequence,
            differences=tuple(self._differences),
            omitted=self._omitted,
            gap=self._gap,
            open_orders=len(self._listing.orders),
        )

    def _add(self, difference: Difference) -> None:
        if len(self._differences) < _MOST_DIFFERENCES:
            self._differences.append(difference)
        else:
            self._omitted += 1

    def _add_gap(self, gap: UpdateGap) -> None:
        first = gap.first_sequence if self._gap is None else min(self._gap.first_sequence, gap.first_sequence)
        last = gap.last_sequence if self._gap is None else max(self._gap.last_sequence, gap.last_sequence)
        self._gap = UpdateGap(first, last)
