"""What a peer can make gRPC hold is bounded: messages that never end, and frames of a byte each."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from fallback_grpc.generated import execution_pb2 as pb
from fallback_grpc.generated import execution_pb2_grpc
from tests.waiting import eventually

TIMEOUT_S = 30
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, GOAWAY = 0, 1, 4, 7
END_HEADERS = 4
ENHANCE_YOUR_CALM = 11
INITIAL_WINDOW_SIZE = 4
MIB = 1 << 20
STREAMS = 256
"""Of one connection, at most."""
STREAM_WINDOW_BYTES = 16 << 10
MOST_MIB = 150
"""Twice h2's budget of a connection for frames that are not read."""


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers(stream: int, method: str) -> bytes:
    path = f"/smc_trading.execution.ExecutionService/{method}"
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost"}
    fields |= {"content-type": "application/grpc", "te": "trailers"}
    block = b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )
    return frame(HEADERS, END_HEADERS, stream, block)


def begun(length: int) -> bytes:
    """A message's prefix, and nothing of the message."""
    return b"\0" + struct.pack(">I", length)


class Peer:
    """Somebody who speaks HTTP/2 by hand."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._unread = b""

    def send(self, *frames: bytes) -> None:
        self._socket.sendall(b"".join(frames))

    def receive(self) -> tuple[int, int, bytes]:
        """The next frame: kind, stream, payload. `ConnectionError` at the end."""
        while len(self._unread) < 9 or len(self._unread) < 9 + self._length():
            received = self._socket.recv(65_536)
            if not received:
                raise ConnectionResetError("the engine closed the connection")
            self._unread += received
        end = 9 + self._length()
        kind, stream = self._unread[3], struct.unpack(">I", self._unread[5:9])[0]
        payload, self._unread = self._unread[9:end], self._unread[end:]
        return kind, stream, payload

    def _length(self) -> int:
        return int.from_bytes(self._unread[:3], "big")


@contextmanager
def peer_of(engine: Any, settings: bytes = b"") -> Iterator[Peer]:
    host, port = engine.grpc.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as opened:
        peer = Peer(opened)
        peer.send(PREFACE, frame(SETTINGS, 0, 0, settings))
        yield peer


def resident_mib(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 // MIB


def small_order(order_id: str) -> pb.TradeOrder:
    return pb.TradeOrder(order_id=order_id, symbol="NASDAQ", quantity=1.0)


def long_batch(name: str) -> pb.ExecuteBatchRequest:
    request = pb.ExecuteBatchRequest(orders=[small_order(f"{name}-{number}") for number in range(900)])
    assert request.ByteSize() > 16 << 10
    return request


def test_messages_that_never_end_leave_room_for_orders_and_give_theirs_back(engine: Any) -> None:
    with grpc.insecure_channel(engine.grpc) as channel:
        service: Any = execution_pb2_grpc.ExecutionServiceStub(channel)
        with peer_of(engine) as peer:
            streams = range(1, 64, 2)
            for stream in streams:
                peer.send(headers(stream, "ExecuteBatch"), frame(DATA, 0, stream, begun(4 * MIB)))
            refused = 0
            while refused < len(streams) - 16:  # 64 MiB are 16 of them
                kind, stream, _ = peer.receive()
                refused += kind == HEADERS and stream in streams
            assert service.ExecuteOrder(small_order("a"), timeout=TIMEOUT_S).status == pb.FILLED
            with pytest.raises(grpc.RpcError) as busy:
                service.ExecuteBatch(long_batch("held"), timeout=TIMEOUT_S)
            assert busy.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            trailers: Any = busy.value.trailing_metadata()
        assert dict(trailers)["x-reason"] == "BUSY"

        def replies() -> int:
            try:
                return len(service.ExecuteBatch(long_batch("free"), timeout=TIMEOUT_S).replies)
            except grpc.RpcError:
                return 0

        assert eventually(replies, "the room is given back with the connection") == 900


def tiny_frames(stream: int, message: bytes) -> bytes:
    """More whole orders than a stream may have unanswered, and then bytes up to the end of its window, one a frame."""
    whole = message * 300
    tiny = b"".join(frame(DATA, 0, stream, b"\0") for _ in range(STREAM_WINDOW_BYTES - len(whole)))
    return headers(stream, "ExecuteBatchOrders") + frame(DATA, 0, stream, whole) + tiny


def goaway_code(peer: Peer) -> int | None:
    """With which code the engine ends the connection; None: it ended before that could be read."""
    try:
        while True:
            kind, _, payload = peer.receive()
            if kind == GOAWAY:
                return struct.unpack(">I", payload[4:8])[0]
    except ConnectionError:
        return None


def test_frames_of_a_byte_each_end_their_connection_before_they_fill_the_memory(engine: Any) -> None:
    """The peer takes no replies, so that its streams are not read any more, and goes on byte by byte."""
    nothing_wanted = struct.pack(">HI", INITIAL_WINDOW_SIZE, 0)
    before_mib = resident_mib(engine.pid)
    order = small_order("a").SerializeToString()
    with peer_of(engine, nothing_wanted) as peer:
        opened = 0
        with suppress(ConnectionError):
            for stream in range(1, 2 * STREAMS, 2):
                peer.send(tiny_frames(stream, begun(len(order)) + order))
                opened += 1
        assert goaway_code(peer) in (ENHANCE_YOUR_CALM, None)
    assert opened < STREAMS, "all streams were filled and the engine let them"
    grown_mib = resident_mib(engine.pid) - before_mib
    assert grown_mib < MOST_MIB, f"tiny frames on {opened} streams made the engine grow by {grown_mib} MiB"
    with grpc.insecure_channel(engine.grpc) as channel:
        service = execution_pb2_grpc.ExecutionServiceStub(channel)
        assert service.ExecuteOrder(small_order("b"), timeout=TIMEOUT_S).status == pb.FILLED
