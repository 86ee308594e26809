"""The demo's audit bites: each way in which the three books can differ is found and counted."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from examples.audit import Findings, audit
from examples.cuts import Cut
from examples.ledger import Call, Ledger
from examples.report import last_line
from transport import (
    Delivery,
    ExecutionStatus,
    Order,
    OrderReply,
    OrderSide,
    OrderType,
    OrderUpdate,
    UpdateKind,
)

D = Decimal
CUTS = [
    Cut("reset", in_flight=40, executed_unanswered=40, duplicates=40, failover_ms=12.0),
    Cut("blackhole", in_flight=40, executed_unanswered=40, duplicates=40, failover_ms=170.0),
]
LEGS = ("·SL", "·TP")


def _order(number: int) -> Order:
    return Order(
        order_id=f"o{number}", symbol="NASDAQ", order_type=OrderType(number % 4), side=OrderSide.BUY, quantity=D(5)
    )


def _books() -> tuple[Ledger, list[dict[str, Any]]]:
    """Four filled orders, one of each type, on both paths; both legs triggered; all books agree."""
    ledger = Ledger(cancelled=1, replaced=1)
    records = []
    for number in range(4):
        order = _order(number)
        reply = OrderReply(
            order_id=order.order_id, status=ExecutionStatus.FILLED, executed_quantity=D(5), sequence=number + 1
        )
        path = "zmq" if number % 2 else "grpc"
        ledger.record_call(Call(order, "alone", 10.0, Delivery(reply, path, 1, 1, duplicate=False), reply))
        ledger.record_update(
            OrderUpdate(
                sequence=number + 1, kind=UpdateKind.FILL, execution_id=number + 1,
                last_quantity=D(5), last_price=D(100),
                order=OrderReply(
                    order_id=order.order_id, status=ExecutionStatus.FILLED, executed_quantity=D(5),
                    order_type=order.order_type,
                ),
            )
        )  # fmt: skip
        fill = {"order_id": order.order_id, "execution_id": number + 1, "quantity": "5", "price": "100.00"}
        records.append({
            "kind": "ExecuteOrder",
            "events": [{"event": "OrderOpened", "order_id": order.order_id}, {"event": "Filled", **fill}],
            "venue_events": [
                {"venue_event": "Opened", "order_id": order.order_id}, {"venue_event": "Trade", "fills": [fill]},
            ],
            "reply": {
                "order_id": order.order_id, "status": "FILLED", "executed_quantity": "5", "sequence": number + 1,
                "code": "NONE",
            },
        })  # fmt: skip
    records[0]["venue_events"] += [{"venue_event": "Triggered", "order_id": f"o0{leg}"} for leg in LEGS]
    return ledger, records


def _audit(ledger: Ledger, records: list[dict[str, Any]], cuts: list[Cut] = CUTS) -> Findings:
    return audit(ledger, cuts, records, {"records": len(records)}, engine_exit_code=0)


def test_books_that_agree_are_ok() -> None:
    ledger, records = _books()
    findings = _audit(ledger, records)
    assert findings.faults == []
    expected = "demo: orders=4 lost=0 duplicated=0 mismatched=0 failover_ms=170 ok"
    assert last_line(ledger, CUTS, findings) == expected


def _executed_twice(records: list[dict[str, Any]]) -> None:
    records.append(copy.deepcopy(records[1]))


def _filled_once_more(records: list[dict[str, Any]]) -> None:
    more = {"order_id": "o1", "execution_id": 99, "quantity": "5", "price": "100"}
    records[1]["venue_events"].append({"venue_event": "Trade", "fills": [more]})


def _never_arrived(records: list[dict[str, Any]]) -> None:
    del records[2]


def _told_another_price(records: list[dict[str, Any]]) -> None:
    records[1]["events"][1]["price"] = "100.01"


def _traded_less(records: list[dict[str, Any]]) -> None:
    records[1]["venue_events"][1]["fills"][0] |= {"quantity": "4"}


def _stored_another_reply(records: list[dict[str, Any]]) -> None:
    records[3]["reply"]["status"] = "CANCELLED"


def _order_from_nowhere(records: list[dict[str, Any]]) -> None:
    records.append({"kind": "x", "events": [{"event": "OrderOpened", "order_id": "?"}], "venue_events": []})


@pytest.mark.parametrize(
    ("damage", "counted"),
    [
        (_executed_twice, "duplicated"),
        (_filled_once_more, "duplicated"),
        (_never_arrived, "lost"),
        (_told_another_price, "mismatched"),
        (_traded_less, "mismatched"),
        (_stored_another_reply, "mismatched"),
        (_order_from_nowhere, "mismatched"),
    ],
)
def test_each_difference_is_counted_and_ends_the_ok(damage, counted) -> None:
    ledger, records = _books()
    damage(records)
    findings = _audit(ledger, records)
    assert getattr(findings, counted) > 0
    assert not last_line(ledger, CUTS, findings).endswith("ok")


def test_a_call_that_ended_in_an_exception_is_lost() -> None:
    ledger, records = _books()
    ledger.calls["o1"].reply = None
    assert _audit(ledger, records).lost == 1


def test_a_hole_in_the_updates_is_a_fault() -> None:
    ledger, records = _books()
    ledger.sequences.remove(2)
    assert _audit(ledger, records).faults


@pytest.mark.parametrize("change", [{"in_flight": 19}, {"executed_unanswered": 9}, {"duplicates": 9}])
def test_a_cut_that_hit_too_little_proves_nothing(change) -> None:
    ledger, records = _books()
    weak = Cut(
        **({"kind": "reset", "in_flight": 40, "executed_unanswered": 40, "duplicates": 40, "failover_ms": 1.0} | change)
    )
    assert _audit(ledger, records, [weak, CUTS[1]]).faults


def test_a_slow_failover_is_not_ok() -> None:
    ledger, records = _books()
    slow = [CUTS[0], Cut("blackhole", 40, 40, 40, failover_ms=1000.5)]
    assert not last_line(ledger, slow, _audit(ledger, records, slow)).endswith("ok")
