"""The order as a client gives it, and the quote of a feed (WIRE.md section 3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from transport.contract.codes import OrderSide, OrderType, ReasonCode, TimeInForce
from transport.contract.decimals import to_wire
from transport.contract.errors import ValidationError
from transport.contract.ids import is_printable_ascii_id, new_order_id

CONTRACT_VERSION = 1
MAX_METADATA_ENTRIES = 32
MAX_METADATA_BYTES = 256
MAX_TRACE_CONTEXT_BYTES = 128

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Order(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order. It is the same order wherever its `order_id` and content are the same, so retries reuse the object.

    Numbers are `Decimal`; times are UTC nanoseconds since 1970 (`datetime` would lose nanoseconds).
    What the engine does not accept comes back as a reply with status REJECTED; `validate()` finds most of it early.
    """

    symbol: str
    order_type: OrderType
    side: OrderSide
    quantity: Decimal
    price: Decimal | None = None
    """LIMIT: the limit; STOP_LOSS, TAKE_PROFIT: the trigger; MARKET: a reference that constrains nothing."""
    stop_loss: Decimal | None = None
    """Trigger of the stop-loss leg."""
    take_profit: Decimal | None = None
    """Trigger of the take-profit leg."""
    order_id: str = msgspec.field(default_factory=new_order_id)
    account: str = "default"
    time_in_force: TimeInForce = TimeInForce.GTC
    timestamp_ns: int | None = None
    metadata: dict[str, str] = {}
    expires_at_ns: int | None = None
    """The engine refuses the order from this instant on (engine time)."""
    contract_version: int = CONTRACT_VERSION
    trace_context: str = ""
    """W3C traceparent; not part of the order's content."""

    @property
    def timestamp(self) -> datetime | None:
        """`timestamp_ns` as an aware datetime, cut to microseconds."""
        return None if self.timestamp_ns is None else datetime_from_ns(self.timestamp_ns)

    @property
    def expires_at(self) -> datetime | None:
        """`expires_at_ns` as an aware datetime, cut to microseconds."""
        return None if self.expires_at_ns is None else datetime_from_ns(self.expires_at_ns)

    def validate(self) -> None:
        """Raise `ValidationError`, naming the field, for what any engine would reject.

        Clients do not call this by themselves: the engine's answer is the one that counts (it knows ticks, steps and
        instruments), and a rejected order is a reply, not an exception.
        """
        if not is_printable_ascii_id(self.order_id):
            raise ValidationError("order_id: must be 1 to 64 bytes of printable ASCII", field="order_id")
        if not self.symbol:
            raise ValidationError("symbol: must be given", field="symbol", code=ReasonCode.MISSING_FIELD)
        for name, allowed in (("order_type", OrderType), ("side", OrderSide), ("time_in_force", TimeInForce)):
            value = getattr(self, name)
            if not isinstance(value, allowed) or not value.is_recognised:
                raise ValidationError(f"{name}: must be a member of {allowed.__name__}", field=name)
        self._validate_numbers()
        self._validate_legs()
        self._validate_texts()

    def _validate_numbers(self) -> None:
        for field in ("quantity", "price", "stop_loss", "take_profit"):
            value: Decimal | None = getattr(self, field)
            needed = field == "quantity" or (field == "price" and self.order_type != OrderType.MARKET)
            if value is None:
                if needed:
                    raise ValidationError(f"{field}: must be given", field=field, code=ReasonCode.MISSING_FIELD)
                continue
            if to_wire(value, field)[0] <= 0:
                raise ValidationError(f"{field}: {value} must be positive", field=field)

    def _validate_legs(self) -> None:
        price = self.price if self.order_type != OrderType.MARKET else None
        below, above = ("below", "above") if self.side == OrderSide.BUY else ("above", "below")
        # The same pairs in the same order as the engine's, so that both name the same field.
        pairs = (
            ("stop_loss", self.stop_loss, price, f"{below} the price"),
            ("take_profit", price, self.take_profit, f"{above} the price"),
            ("take_profit", self.stop_loss, self.take_profit, f"{above} the stop_loss"),
        )
        for field, lower, upper, where in pairs:
            if lower is None or upper is None:
                continue
            if (lower >= upper) if self.side == OrderSide.BUY else (lower <= upper):
                raise ValidationError(f"{field}: must lie {where} for a {self.side.name}", field=field)

    def _validate_texts(self) -> None:
        if len(self.metadata) > MAX_METADATA_ENTRIES:
            raise ValidationError(f"metadata: at most {MAX_METADATA_ENTRIES} entries", field="metadata")
        for key, value in self.metadata.items():
            if not key or len(_utf8(key)) > MAX_METADATA_BYTES or len(_utf8(value)) > MAX_METADATA_BYTES:
                raise ValidationError(
                    f"metadata: key {key[:40]!r} or its value is empty or above {MAX_METADATA_BYTES} bytes",
                    field="metadata",
                )
        if not self.trace_context.isascii() or len(self.trace_context) > MAX_TRACE_CONTEXT_BYTES:
            raise ValidationError(
                f"trace_context: must be ASCII of at most {MAX_TRACE_CONTEXT_BYTES} bytes", field="trace_context"
            )


class Quote(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One quote of a feed; its sizes are what can be traded against it. A side that is absent has no size."""

    symbol: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    last_price: Decimal | None = None
    volume: Decimal | None = None
    timestamp_ns: int | None = None


def datetime_from_ns(unix_ns: int) -> datetime:
    """An aware datetime from UTC nanoseconds, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=unix_ns // 1000)


def ns_from_datetime(moment: datetime, field: str = "timestamp") -> int:
    """UTC nanoseconds of an aware datetime, exactly; a naive one is refused (whose midnight is it?)."""
    if moment.tzinfo is None:
        raise ValidationError(f"{field}: {moment!r} has no time zone; use datetime.now(UTC)", field=field)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
