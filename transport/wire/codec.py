"""The seam between contract types and bytes: one Envelope of `schemas/execution.fbs` per message.

Two codecs stand behind it: `native` (the PyO3 module `transport._native`, on the engine's own wire crate) and
`portable` (pure Python on the flatbuffers runtime; the oracle of the other in tests).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from transport.contract.orders import Order
from transport.wire.messages import EngineMessage, Request

CodecName = Literal["auto", "native", "portable"]


class Codec(Protocol):
    """Contract objects to bytes and back. Stateless to its callers, and safe to share between threads.

    Encoding raises `ValidationError(field=...)` for what has no form on the wire: a number that is no Decimal, is not
    finite or does not fit; an enum or integer outside its type's range; text that is not UTF-8 (lone surrogates).
    `None` in any optional place, and in a required one too, is left out: the engine answers what is missing.
    Decimal fields are named `quantity`, `price`, ...; of a batch `orders[3].quantity`; of quotes `quotes[0].bid`.
    `account` is written as given; an empty text is left out.

    Decoding raises `WireDecodeError` for whatever is not one whole, well-formed Envelope with the file identifier
    `XBR1`; never anything else, whatever the bytes are. Absent texts are "", absent enums and decimals None where the
    type allows it, else the schema's default. Metadata keeps the dictionary's order.
    """

    @property
    def name(self) -> str:
        """`native` or `portable`."""
        ...

    def encode_execute_order(self, correlation: int, journal_id: str, order: Order) -> bytes:
        """Envelope with ExecuteOrder."""
        ...

    def encode_execute_batch(self, correlation: int, journal_id: str, orders: Sequence[Order]) -> bytes:
        """Envelope with ExecuteBatch."""
        ...

    def encode_request(self, correlation: int, journal_id: str, request: Request) -> bytes:
        """Envelope with any other request."""
        ...

    def decode(self, data: bytes) -> tuple[int, EngineMessage]:
        """Correlation number and body of what an engine sent. `data` may be any object with the buffer protocol."""
        ...
