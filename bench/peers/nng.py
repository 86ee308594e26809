"""pynng REQ/REP: the client as its users write it; the server on Debian's nng in native code, else pynng's own."""

from __future__ import annotations

import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pynng  # pyright: ignore[reportMissingTypeStubs]

from bench.context import Context
from bench.peer_programs import Peer, release_file, started
from bench.peers import debian, json_orders
from bench.peers.reference import GROUP, facts
from bench.rows.row import Opened, Row, UnavailableError
from bench.timing import time_orders
from transport import Order, OrderReply

PYTHON_SERVER = Path(__file__).with_name("nng_server.py")


def _server(context: Context, url: str) -> list[str]:
    try:
        library = debian.library("libnng.so.*", "libnng1")
        beside = f"LD_LIBRARY_PATH={library.parent}"
        return ["env", beside, str(release_file("bench-peers")), "nng-rep", "--libnng", str(library), "--url", url]
    except UnavailableError as problem:
        context.say(f"peers: pynng's server is a Python process: {problem}")
        return [sys.executable, "-P", str(PYTHON_SERVER), url]


@contextmanager
def _serving(context: Context) -> Generator[Peer]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    with started(_server(context, url)) as peer:
        yield peer


@contextmanager
def _opened(context: Context) -> Generator[Opened]:
    untyped: Any = pynng
    with _serving(context) as server, untyped.Req0(dial=server.ready["nng"], recv_timeout=2000) as client:
        send, receive = client.send, client.recv
        encode, decode = json_orders.encode, json_orders.decode_reply

        def call(order: Order) -> OrderReply:
            send(encode(order))
            return decode(receive())

        yield Opened(time_orders(call), facts("none", *json_orders.sizes()))


ROWS: list[Row] = [Row("pynng", GROUP, _opened, note="REQ/REP, JSON by msgspec; nng REP in native code")]
