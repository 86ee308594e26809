"""A venue of its own: a process that executes orders after a delay, survives the engine, and logs what reached it.

Run as `python slow_venue.py SOCKET LOG --delay-ms N`. It prints `ready` once it listens. What it says is in
docs/venue-protocol.md. One line of the log for each order that reached it: `{"key": 4, ...}`; the log is what a test
compares with, because a resent order would stand there twice.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Line = dict[str, Any]
Name = tuple[int | None, int]


def name_of(line: Line) -> Name:
    """What an order is known by: its epoch, for keys alone may come again, and its key."""
    return line.get("epoch"), line["key"]


class Venue:
    """Orders by name, reports by number. MARKET and LIMIT fill whole after the delay; the others rest."""

    def __init__(self, log: Path, delay_s: float, silent: bool) -> None:
        self._log = log
        self._delay_s = delay_s
        self._silent = silent
        self._orders: dict[Name, Line] = {}
        self._reports: list[Line] = []
        self._fenced: set[Name] = set()
        self._unsettled: dict[Name, int] = {}
        self._settled = asyncio.Condition()
        self._engine: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the engine; a newer one takes its place."""
        said: dict[str, Callable[[Line], Awaitable[None]]] = {
            "hello": self._hello, "new": self._new, "cancel": self._cancel, "replace": self._replace,
            "reconcile": self._reconcile,
        }  # fmt: skip
        tasks: set[asyncio.Task[None]] = set()
        self._engine = writer
        # A line without its end was cut off with its engine, and is no command.
        while (line := await reader.readline()).endswith(b"\n"):
            command = json.loads(line)
            if command["op"] == "new":
                self._receive(command)
            if handle := said.get(command["op"]):
                task = asyncio.ensure_future(handle(command))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        if self._engine is writer:
            self._engine = None
        writer.close()

    def _known(self, line: Line) -> Name:
        """The name that this order came under: by its key alone, if an engine of before epochs sent it."""
        name = name_of(line)
        without_epoch = (None, line["key"])
        return without_epoch if name not in self._orders and without_epoch in self._orders else name

    def _receive(self, order: Line) -> None:
        with self._log.open("a") as log:
            log.write(json.dumps(order) + "\n")
        self._unsettled[name_of(order)] = self._unsettled.get(name_of(order), 0) + 1

    async def _hello(self, hello: Line) -> None:
        for report in self._reports[hello["after"] :]:
            self._send(report)

    async def _new(self, order: Line) -> None:
        name = name_of(order)
        await asyncio.sleep(self._delay_s)
        if name in self._fenced or name in self._orders:
            self._report(name, "rejected", message="the order was fenced, or is known already")
        else:
            self._orders[name] = order
            self._report(name, "accepted", venue_order_id=f"SLOW-{name[0]}-{name[1]}")
            if order["order_type"] in ("MARKET", "LIMIT"):
                price = order["price"] or "100"
                self._report(name, "filled", execution_id=name[1], quantity=order["quantity"], price=price)
                order["done"] = True
        async with self._settled:
            self._unsettled[name] -= 1
            self._settled.notify_all()

    async def _cancel(self, command: Line) -> None:
        await asyncio.sleep(self._delay_s)
        name = self._known(command)
        order = self._orders.get(name)
        if order is None or order.get("done"):
            self._report(name, "refused", message="no such open order")
            return
        order["done"] = True
        self._report(name, "closed", code="CANCELLED_BY_CLIENT")

    async def _replace(self, command: Line) -> None:
        self._report(self._known(command), "refused", message="this venue replaces nothing")

    async def _reconcile(self, question: Line) -> None:
        asked, without_epoch = name_of(question), (None, question["key"])
        about = {"epoch": asked[0], "key": asked[1]}
        async with self._settled:
            await self._settled.wait_for(
                lambda: not self._unsettled.get(asked) and not self._unsettled.get(without_epoch)
            )
        name = self._known(question)
        if name in self._orders:
            reports = [report for report in self._reports if name_of(report) == name]
            self._send({"answer": "known", **about, "reports": reports})
        else:
            self._fenced.add(name)
            self._send({"answer": "unknown", **about})

    def _report(self, name: Name, kind: str, **fields: Any) -> None:
        about = {"epoch": name[0], "key": name[1]}
        report = {"report": kind, "number": len(self._reports) + 1, **about, **fields}
        self._reports.append(report)
        self._send(report)

    def _send(self, line: Line) -> None:
        if self._engine is not None and not self._silent:
            self._engine.write(json.dumps(line).encode() + b"\n")


async def main() -> None:
    """Serves until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("socket")
    parser.add_argument("log", type=Path)
    parser.add_argument("--delay-ms", type=float, default=50)
    parser.add_argument("--silent", action="store_true", help="say nothing: as if every report were lost")
    arguments = parser.parse_args()
    venue = Venue(arguments.log, arguments.delay_ms / 1000, arguments.silent)
    server = await asyncio.start_unix_server(venue.serve, arguments.socket)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
