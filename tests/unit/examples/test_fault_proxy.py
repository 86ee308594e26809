"""The fault proxy does to connections what it says: each way of breaking one, seen from both ends."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from examples.rig.fault_proxy import FaultProxy
from tests.waiting import eventually

DEADLINE_S = 10.0


@dataclass
class Ends:
    """Both ends of one proxied connection."""

    proxy: FaultProxy
    client: socket.socket
    engine: socket.socket
    listener: socket.socket


@pytest.fixture
def ends() -> Iterator[Ends]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        FaultProxy(f"127.0.0.1:{listener.getsockname()[1]}") as proxy,
        connected(proxy) as client,
    ):
        listener.settimeout(DEADLINE_S)
        with listener.accept()[0] as engine:
            engine.settimeout(DEADLINE_S)
            assert passes(client, engine), "the proxy has joined them"
            yield Ends(proxy, client, engine, listener)


def connected(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=DEADLINE_S)


def is_reset(end: socket.socket) -> bool:
    try:
        return end.recv(1) != b"" and False
    except ConnectionResetError:
        return True


def is_refused(proxy: FaultProxy) -> bool:
    """The reset may come before the connection is known to stand, or after."""
    try:
        with connected(proxy) as refused:
            return is_reset(refused)
    except ConnectionResetError:
        return True


def is_silent(end: socket.socket) -> bool:
    end.settimeout(0.1)
    try:
        return end.recv(1) != b"" and False
    except TimeoutError:
        return True
    finally:
        end.settimeout(DEADLINE_S)


def passes(end: socket.socket, other: socket.socket, data: bytes = b"x") -> bool:
    end.sendall(data)
    return b"".join(iter(lambda: other.recv(1), b"x")) == data[:-1]


def test_bytes_pass_both_ways(ends: Ends) -> None:
    assert passes(ends.client, ends.engine, b"hellox")
    assert passes(ends.engine, ends.client, b"welcomex")


def test_a_delay_holds_every_message_for_as_long_and_ends_with_the_healing(ends: Ends) -> None:
    ends.proxy.delay(50, jitter_ms=5)
    for end, other in ((ends.client, ends.engine), (ends.engine, ends.client)):
        began = time.monotonic()
        assert passes(end, other)
        assert time.monotonic() - began >= 0.05
    ends.proxy.delay(60_000)
    ends.client.sendall(b"x")
    assert is_silent(ends.engine)
    ends.proxy.heal()
    assert ends.engine.recv(1) == b"x"


def test_dripping_passes_everything_in_pieces(ends: Ends) -> None:
    ends.proxy.drip(2000)
    message = bytes(100)
    began = time.monotonic()
    ends.client.sendall(message)
    pieces: list[bytes] = []
    while sum(map(len, pieces)) < len(message):
        pieces.append(ends.engine.recv(4096))
    assert b"".join(pieces) == message
    assert len(pieces) > 1
    assert time.monotonic() - began >= 0.04
    ends.proxy.heal()
    assert passes(ends.client, ends.engine)


def test_a_loss_ends_both_sides_in_order(ends: Ends) -> None:
    ends.proxy.close_connections()
    assert ends.client.recv(1) == b""
    assert ends.engine.recv(1) == b""


def test_a_reset_is_seen_by_both_sides_and_new_connections_pass(ends: Ends) -> None:
    ends.proxy.reset_connections()
    assert is_reset(ends.client)
    assert is_reset(ends.engine)
    with connected(ends.proxy) as client, ends.listener.accept()[0] as engine:
        engine.settimeout(DEADLINE_S)
        assert passes(client, engine)


@pytest.mark.parametrize("left", ["client", "engine"])
def test_half_open_one_side_is_reset_and_the_other_is_not_told(ends: Ends, left) -> None:
    kept, gone = (ends.client, ends.engine) if left == "client" else (ends.engine, ends.client)
    ends.proxy.leave_half_open(left)
    assert is_reset(gone)
    kept.sendall(b"to nobody")
    assert is_silent(kept)
    ends.proxy.heal()
    assert is_reset(kept)


def test_half_open_ends_when_the_side_that_was_left_goes(ends: Ends) -> None:
    ends.proxy.leave_half_open("client")
    assert is_reset(ends.engine)
    ends.client.close()
    with connected(ends.proxy) as client, ends.listener.accept()[0] as engine:
        engine.settimeout(DEADLINE_S)
        assert passes(client, engine)


def test_a_blackhole_takes_bytes_and_what_it_took_never_passes(ends: Ends) -> None:
    ends.proxy.blackhole()
    ends.client.sendall(b"lost")
    eventually(lambda: ends.proxy.held_from_clients() == 4, "the bytes are withheld")
    assert is_silent(ends.engine)
    ends.proxy.heal()
    assert is_reset(ends.client)
    assert is_reset(ends.engine)


def test_refused_connections_are_reset_until_it_heals(ends: Ends) -> None:
    ends.proxy.refuse_connections()
    assert is_reset(ends.client)
    assert is_refused(ends.proxy)
    ends.proxy.heal()
    with connected(ends.proxy) as client, ends.listener.accept()[0] as engine:
        engine.settimeout(DEADLINE_S)
        assert passes(client, engine)


def test_a_connection_on_its_way_to_the_engine_when_all_are_cut_is_cut_as_well() -> None:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as engine,
        socket.create_connection(engine.getsockname(), timeout=DEADLINE_S),  # now its queue is full: the next one waits
        FaultProxy(f"127.0.0.1:{engine.getsockname()[1]}") as proxy,
        connected(proxy) as client,
    ):
        eventually(lambda: proxy.accepted == 1, "the proxy connects to the engine")
        proxy.refuse_connections()
        engine.settimeout(DEADLINE_S)
        engine.accept()[0].close()
        assert is_reset(client)
