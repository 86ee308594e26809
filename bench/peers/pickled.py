"""pyzmq REQ/REP with pickle: the first thing that a Python shop builds. Pickle keeps both ends Python."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import zmq

from bench.context import Context
from bench.orders import fresh_orders, sample_reply
from bench.peer_programs import started
from bench.peers.reference import GROUP, facts
from bench.rows.row import Opened, Row
from bench.timing import time_orders
from transport import Order, OrderReply

SERVER = Path(__file__).with_name("pickle_server.py")


@contextmanager
def _opened(context: Context) -> Generator[Opened]:
    # -P: the folder of the script is not where imports are looked for.
    with started([sys.executable, "-P", str(SERVER)]) as server, zmq.Context[zmq.Socket[bytes]]() as libzmq:
        socket = libzmq.socket(zmq.REQ)
        socket.linger = 0
        socket.connect(server.ready["zmq"])
        send, receive, dumps, loads = socket.send, socket.recv, pickle.dumps, pickle.loads

        def call(order: Order) -> OrderReply:
            send(dumps(order, pickle.HIGHEST_PROTOCOL))
            return loads(receive())

        (order,) = fresh_orders(1)
        sizes = [len(dumps(message, pickle.HIGHEST_PROTOCOL)) for message in (order, sample_reply(order))]
        yield Opened(time_orders(call), facts("none", *sizes))
        socket.close()


ROWS: list[Row] = [
    Row("pyzmq-pickle", GROUP, _opened, note="REQ/REP; the server is Python too: pickle allows no other"),
]
