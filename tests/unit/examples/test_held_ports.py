"""A port that is held is its server's alone: while it is down, and when it comes again."""

from __future__ import annotations

import gc
import socket

import pytest

from examples.rig.held_ports import HeldPorts


def address(endpoint: str) -> tuple[str, int]:
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    return host, int(port)


def test_a_held_port_is_given_to_nobody_else_and_its_server_may_come_again() -> None:
    ports = HeldPorts()
    held = address(ports.chosen("tcp://127.0.0.1:0"))
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(held)
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind(held)
        with socket.create_server(held) as server, socket.create_connection(held, timeout=10):
            server.settimeout(10)
            server.accept()[0].close()


def test_a_port_is_held_no_longer_than_its_holder_lives() -> None:
    ports = HeldPorts()
    held = address(ports.chosen("127.0.0.1:0"))
    del ports
    gc.collect()
    with socket.socket() as anybody:
        anybody.bind(held)


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:4711", "ipc:///somewhere", "tcp://0.0.0.0:0"])
def test_an_endpoint_that_is_certain_or_of_other_interfaces_stays_as_it_is(endpoint: str) -> None:
    assert HeldPorts().chosen(endpoint) == endpoint
