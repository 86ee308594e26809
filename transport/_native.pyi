"""What the native module has (PyO3, `engine/crates/python`): the codec's functions, and carriers without a thread.

Times named `_ns` are `time.monotonic_ns()`.
"""

from collections.abc import Sequence

from transport.contract.orders import Order
from transport.wire.messages import EngineMessage, Request

# ---- codec: see `transport.wire.codec.Codec` ----

def encode_execute_order(correlation: int, journal_id: str, order: Order) -> bytes: ...
def encode_execute_batch(correlation: int, journal_id: str, orders: Sequence[Order]) -> bytes: ...
def encode_request(correlation: int, journal_id: str, request: Request) -> bytes: ...
def decode(data: bytes) -> tuple[int, EngineMessage]: ...

# ---- carriers ----

class ZmtpError(ConnectionError):
    """A connection that cannot carry a message: its handshake is not done, or it has failed."""

class Connection:
    """A ZMTP DEALER's end of one connection, without a socket: for an `asyncio.Protocol`. For one thread.

    Write `take_output()` after each call that may leave something there: making it (the greeting), `feed` (handshake,
    PONGs), `send`, `send_order` and `on_time` (PINGs).
    """

    def __init__(self, *, heartbeat_interval_ms: int, heartbeat_timeout_ms: int, max_message_bytes: int) -> None:
        """`heartbeat_interval_ms` 0: no PINGs. `max_message_bytes`: a longer message ends the connection."""

    def feed(self, data: bytes, now_ns: int) -> list[tuple[int, EngineMessage]]:
        """Correlation number and body of each message that `data` completes, in order.

        Never raises for what the peer does: look at `failure()` afterwards. What came before a failure is returned;
        after one nothing is taken any more.
        """

    def failure(self) -> str | None:
        """Why the connection is to be closed, if it is: a breach of ZMTP, a message too long, what is no message of
        the engine, a refusal by the peer, silence."""

    def is_ready(self) -> bool:
        """Whether the handshake is done and nothing has failed: messages may be sent."""

    def send(self, data: bytes) -> None:
        """Queue one message; `ZmtpError` where the connection is not ready. Unbounded: see `pending_output_bytes`."""

    def send_order(self, correlation: int, journal_id: str, order: Order, max_bytes: int) -> int:
        """Encode an order straight into the output; its message's bytes. Above `max_bytes` it is not queued.

        Raises `ValidationError` as `encode_execute_order` does and `ZmtpError` as `send` does; nothing is queued then.
        """

    def pending_output_bytes(self) -> int:
        """Bytes that `take_output` would return."""

    def take_output(self) -> bytes:
        """What is to be written next; empty where there is nothing. It counts as written from then on."""

    def deadline_ns(self) -> int | None:
        """When `on_time` has something to do."""

    def on_time(self, now_ns: int) -> str | None:
        """Let time pass: may queue a PING; returns `failure()`. Feed what was read before.

        Who comes late (a blocked loop) does not judge a beat missed, but PINGs again and waits anew.
        """
