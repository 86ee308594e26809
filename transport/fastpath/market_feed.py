"""Market data as it comes by PUB: which topics, which messages count, and how many were lost. Sans I/O."""

from __future__ import annotations

from collections.abc import Sequence

from transport.contract.errors import NotSentError, WireDecodeError
from transport.contract.replies import MarketDataUpdate
from transport.wire.codec import Codec
from transport.wire.messages import TopicMark, Welcome


class MarketFeed:
    """Counts each topic's numbers; a slow subscriber loses whole messages, and `lost_messages` says how many."""

    def __init__(self, codec: Codec, symbols: Sequence[str]) -> None:
        self.topics = [f"md.{symbol}\0".encode() for symbol in symbols] or [b"md."]
        self.lost_messages = 0
        self._decode = codec.decode
        self._numbers: dict[str, int] = {}

    def take(self, parts: Sequence[bytes]) -> MarketDataUpdate | None:
        """The update in a message, if it is one. What is no message of this protocol is not counted and not shown."""
        if len(parts) != 2:
            return None
        try:
            _, body = self._decode(parts[1])
        except WireDecodeError:
            return None
        if isinstance(body, MarketDataUpdate):
            self._count(body.symbol, body.topic_sequence)
            return body
        if isinstance(body, TopicMark) and body.topic.startswith("md."):
            symbol = body.topic.removeprefix("md.").rstrip("\0")
            if symbol in self._numbers:
                self._count(symbol, body.last_topic_sequence + 1)
                self._numbers[symbol] = body.last_topic_sequence
        return None

    def _count(self, symbol: str, number: int) -> None:
        last = self._numbers.get(symbol)
        # Numbers begin anew with each epoch of the engine.
        if last is not None and number > last + 1:
            self.lost_messages += number - last - 1
        self._numbers[symbol] = number


def pub_endpoint_of(configured: str, welcome: Welcome | None) -> str:
    """Where the engine publishes: as configured, or as its Welcome says."""
    endpoint = configured or (welcome.pub_endpoint if welcome is not None else "")
    if not endpoint:
        raise NotSentError("no pub_endpoint is configured, and the engine has not named one")
    return endpoint
