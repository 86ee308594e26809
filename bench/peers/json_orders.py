"""Orders and replies as JSON, for libraries that carry bytes and leave the encoding to their user.

msgspec writes and reads it in 1 to 3 us: next to nothing of what these libraries take.
"""

from __future__ import annotations

import msgspec

from bench.orders import fresh_orders, sample_reply
from transport import OrderReply

encode = msgspec.json.Encoder().encode
"""An order or a reply as JSON: decimals as text (exact), enums as numbers."""
decode_reply = msgspec.json.Decoder(OrderReply).decode


def sizes() -> tuple[int, int]:
    """Bytes of an order and of its reply."""
    (order,) = fresh_orders(1)
    return len(encode(order)), len(encode(sample_reply(order)))
