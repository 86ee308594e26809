"""What records say of limits, trading states, leases and the orders that they hold for."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple


class Opened(NamedTuple):
    """An order was accepted."""

    record: int
    time_ns: int
    session_id: str
    order_id: str
    symbol: str
    quantity: Decimal
    price: Decimal | None
    order_type: str
    may_rest: bool
    """It, or a leg of it, can stay open."""


class Executed(NamedTuple):
    """So much of an order was executed."""

    record: int
    order_id: str
    quantity: Decimal


class Resized(NamedTuple):
    """An order has another total quantity."""

    record: int
    order_id: str
    quantity: Decimal


class Ended(NamedTuple):
    """An order is over."""

    record: int
    order_id: str


class LimitsSet(NamedTuple):
    """Limits from now on; what they are is in the books of who set them."""

    record: int
    time_ns: int
    command_id: str
    symbol: str


class StateSet(NamedTuple):
    """A trading state from now on."""

    record: int
    state: str
    cancels: bool
    """Open orders are cancelled."""


class LeaseTaken(NamedTuple):
    """A session has a lease from now on; None: it has none."""

    record: int
    session_id: str
    grace_ms: int | None


class LeaseExpired(NamedTuple):
    """A session was gone for the grace of its lease."""

    record: int
    session_id: str


Fact = Opened | Executed | Resized | Ended | LimitsSet | StateSet | LeaseTaken | LeaseExpired


def facts_of(record: dict[str, Any]) -> Iterator[Fact]:
    """What a record of the dump says, in its order."""
    seq, given = record["seq"], record["input"]
    if record["kind"] == "LeaseExpired":
        yield LeaseExpired(seq, given["session_id"])
    for event in record["events"]:
        match event["event"]:
            case "OrderOpened":
                yield _opened(record, event)
            case "Filled":
                yield Executed(seq, event["order_id"], Decimal(event["quantity"]))
            case "Replaced":
                yield Resized(seq, event["order_id"], Decimal(event["quantity"]))
            case "Closed" | "VenueRejected":
                yield Ended(seq, event["order_id"])
            case "RiskLimitsSet":
                yield LimitsSet(seq, record["time_ns"], given["command_id"], given["symbol"])
            case "TradingStateSet":
                yield StateSet(seq, event["state"], given["cancel_open_orders"])
            case "LeaseSet" | "LeaseEnded":
                yield LeaseTaken(seq, given["session_id"], event.get("grace_ms"))
            case _:
                pass


def _opened(record: dict[str, Any], event: dict[str, Any]) -> Opened:
    new = event["new"]
    order_type, has_legs = new["order_type"], bool(new["stop_loss"] or new["take_profit"])
    rests = order_type in ("STOP_LOSS", "TAKE_PROFIT") or (order_type == "LIMIT" and new["time_in_force"] == "GTC")
    return Opened(
        record=record["seq"],
        time_ns=record["time_ns"],
        session_id=record["session_id"],
        order_id=event["order_id"],
        symbol=new["symbol"],
        quantity=Decimal(event["quantity"]),
        price=None if new["price"] is None else Decimal(new["price"]),
        order_type=order_type,
        may_rest=rests or has_legs,
    )
