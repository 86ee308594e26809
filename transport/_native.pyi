"""What the native module has (PyO3, `engine/crates/python`): the codec's functions, and carriers without a thread.

Times named `_ns` are `time.monotonic_ns()`.
"""

from collections.abc import Callable, Sequence

from transport.contract.orders import Order
from transport.contract.replies import OrderReply
from transport.wire.messages import EngineMessage, Request

# ---- codec: see `transport.wire.codec.Codec` ----

def encode_execute_order(correlation: int, journal_id: str, order: Order) -> bytes: ...
def encode_execute_batch(correlation: int, journal_id: str, orders: Sequence[Order]) -> bytes: ...
def encode_request(correlation: int, journal_id: str, request: Request) -> bytes: ...
def decode(data: bytes) -> tuple[int, EngineMessage]: ...

# ---- ids ----

def uuid7() -> str:
    """A fresh id; see `transport.contract.ids.uuid7`."""

# ---- carriers ----

class ZmtpError(ConnectionError):
    """A connection that cannot carry a message: its handshake is not done, or it has failed."""

class Dealer:
    """A ZMTP DEALER for threads, over a non-blocking socket that it owns; no thread: who calls does the I/O, with the
    GIL released. One connection, never made anew. One thread at a time, but for `wait`, during which others may use it,
    and `wake`, which is for others.

    Reading stops while a whole message waits for `receive`: what a slow reader leaves fills the kernel's buffers, and
    the engine notices. Heartbeats take place while somebody waits; who was away for long PINGs before judging.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        heartbeat_interval_ms: int,
        heartbeat_timeout_ms: int,
        handshake_timeout_ms: int,
        output_bytes: int,
        max_message_bytes: int,
    ) -> None:
        """Begin to connect to `tcp://host:port` or `ipc://path`; `OSError` where it cannot even begin.

        `output_bytes`: bound of what waits for the kernel to take it. `max_message_bytes`: a longer message ends the
        connection. `heartbeat_interval_ms` 0: no PINGs.
        """

    def send(self, data: bytes) -> bool:
        """Hand one message over. False: not accepted (not ready, lost, or too much waits), and it will not be sent."""

    def send_orders(self, correlations: list[int], journal_id: str, orders: list[Order], max_bytes: int) -> int:
        """Send orders one by one, in one write, each under its number; how many. It stops before an order that has no
        form on the wire, or is above `max_bytes`, and where no more is accepted."""

    def receive_all(self) -> list[tuple[int, EngineMessage]]:
        """Correlation number and body of all messages that were read; reads once where there was none.

        Raises `WireDecodeError` where the first is no message.
        """

    def receive(self) -> bytes | None:
        """The next message, or None where there is none yet."""

    def events(self) -> list[tuple[int, str]]:
        """What happened since the last call: 0 ready, or 1 lost and why. Messages before a loss can still be read."""

    def wait(self, timeout_ns: int, spin_ns: int) -> bool:
        """Until there is something to receive, or an event, or `wake` was called, or the time is over.

        True: `events` has something. Looks again and again for `spin_ns`, then sleeps. Handlers of signals run
        meanwhile, within 100 ms, and may raise.
        """

    def wake(self) -> None:
        """End the present `wait`, or the next one. From any thread."""

    def close(self) -> None:
        """Drop the connection, and what was accepted but not sent; a thread that waits wakes. May be called again."""

class Turnstile:
    """The lock of a blocking client, and the way of the lone caller through it: one order, one call.

    As a lock: a context manager, never kept for long. Who takes it while a lone caller is under way makes that one
    leave its order as an *orphan*, sent and not answered, and learns of it by `adopt` before it has the lock.
    """

    def __init__(self, adopt: Callable[[int, tuple[int, int, bool] | None], None]) -> None:
        """`adopt(last_sequence, orphan)` is called with the lock held: the highest sequence number that lone callers
        saw, and correlation number, deadline and whether its caller comes back for it, of the order that one left.
        """

    def acquire(self) -> None: ...
    def release(self) -> None:
        """Does nothing where this thread does not hold the lock."""

    def __enter__(self) -> None: ...
    def __exit__(self, *raised: object) -> None: ...
    def set_lane(self, dealer: Dealer, journal_id: str, max_message_bytes: int, spin_ns: int) -> None:
        """Where the orders of lone callers go from now on. With the lock held."""

    def let_pass(self) -> None:
        """Until the lock is next taken, lone callers may pass. With the lock held, when nobody waits for anything."""

    def shut(self) -> None:
        """Let no lone caller pass any more: for a forked child, whose locks may be in any state."""

    def execute(self, order: Order, timeout_ns: int) -> OrderReply | int:
        """Encode, send, wait and decode. The reply; or False, nothing was sent: go the general way; or the correlation
        number of an orphan: sent, and then something else came first, or nothing in time, or another wants the lock.

        Raises `ValidationError` as `encode_execute_order` does, with nothing sent; and what a signal's handler raises:
        then the order is an orphan that nobody comes back for.
        """

    def deliver(self, order: Order, timeout_ns: int) -> tuple[OrderReply, bool, int] | int:
        """As `execute`; of a reply also whether it is a duplicate's, and its correlation number."""

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

    def send_orders(self, correlations: list[int], journal_id: str, orders: list[Order], max_bytes: int) -> int:
        """Queue orders one by one, each under its number; how many. It stops before an order that has no form on the
        wire, or is above `max_bytes`: sent by itself, that one says why."""

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
