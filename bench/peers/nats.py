"""NATS request-reply: nats-py on uvloop, Debian's nats-server on loopback, a native responder on NATS' own protocol."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nats
import uvloop

from bench.context import Context
from bench.peer_programs import start_peer
from bench.peers import debian, json_orders
from bench.peers.reference import GROUP, facts
from bench.rows.row import Opened, Row, UnavailableError
from bench.timing import time_orders_in_loop
from transport import Order, OrderReply

SUBJECT = "orders"
READY_DEADLINE_S = 10.0


@contextmanager
def broker(folder: Path) -> Generator[str]:
    """`nats-server` on a free loopback port; yields its URL, and leaves no process behind."""
    program = debian.program("nats-server", "nats-server")
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(program), "--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir", str(folder)]
    with (folder / "nats-server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield _url(folder / f"nats-server_{process.pid}.ports", process)
    finally:
        process.kill()
        process.wait()


def _url(ports_file: Path, process: subprocess.Popen[bytes]) -> str:
    ends = time.monotonic() + READY_DEADLINE_S
    pause = threading.Event()
    while time.monotonic() < ends and process.poll() is None:
        try:
            return json.loads(ports_file.read_text())["nats"][0]
        except (FileNotFoundError, json.JSONDecodeError):
            pause.wait(0.01)
    raise UnavailableError("nats-server did not get ready")


@contextmanager
def _opened(context: Context) -> Generator[Opened]:
    # `nats` has types for neither its connection nor its messages that a strict checker takes.
    library: Any = nats
    loop = uvloop.new_event_loop()
    with broker(context.folder / "nats") as url, start_peer(("nats", "--server", url, "--subject", SUBJECT)):
        asyncio.set_event_loop(loop)
        client: Any = loop.run_until_complete(library.connect(url))
        encode, decode = json_orders.encode, json_orders.decode_reply

        async def call(order: Order) -> OrderReply:
            message = await client.request(SUBJECT, encode(order), timeout=2.0)
            return decode(message.data)

        try:
            yield Opened(time_orders_in_loop(loop, call), facts("none", *json_orders.sizes()))
        finally:
            loop.run_until_complete(client.close())
            loop.close()


ROWS: list[Row] = [Row("nats", GROUP, _opened, note="request-reply, uvloop, JSON by msgspec; a broker between")]
