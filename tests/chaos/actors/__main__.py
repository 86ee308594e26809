"""`python -m tests.chaos.actors SPEC`: one client process of a run. Told what to do on stdin, answers on stdout.

stdin    {"do": "wind down"}: stop sending, resolve what is in doubt     {"do": "drain", "sequence": n}: read the
         updates up to there     {"do": "end"}: close the client and exit. The end of stdin ends the process.
stdout   {"said": "connected"}, {"said": "counts", ...} twice a second, {"said": "resolved", "left": n},
         {"said": "drained", "sequence": n}
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from fallback_grpc.reconciliation.report import MissedFill, MissingAtEngine, Reconciliation
from tests.chaos.actors.calling import Caller
from tests.chaos.actors.doubts import Doubts
from tests.chaos.actors.faces import AsyncFace, Face, connect
from tests.chaos.actors.ledger_file import LedgerFile, read_ledger
from tests.chaos.actors.queueing import QueueTrader
from tests.chaos.actors.resolving import resolve_all
from tests.chaos.actors.spec import ActorSpec
from tests.chaos.actors.trading import Feed, Trader, send_command
from transport import BridgeConfig, ExecutionBridgeError, UpdateGap, new_command_id

_COUNTS_S = 0.5
_RESUBSCRIBE_S = 0.1


class Actor:
    """One client from its start to its end."""

    def __init__(self, spec: ActorSpec) -> None:
        self._spec = spec
        self._path = Path(spec.ledger)
        self._doubts = Doubts.of_earlier_lives(read_ledger(self._path) if self._path.exists() else ())
        self._life = self._doubts.lives + 1
        self._ledger = LedgerFile(self._path, self._life, self._doubts.take)
        self._sequence = self._doubts.last_sequence
        self._trading = True
        self._draining_to: int | None = None
        self._orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._caller: Caller | None = None
        self._queue: QueueTrader | None = None

    async def run(self) -> None:
        """Connects, trades, winds down and ends as it is told."""
        await self._listen_to_stdin()
        config = BridgeConfig.from_mapping(self._spec.config)
        face = await connect(self._spec.kind, config, self._note_failure)
        self._caller = Caller(face, self._ledger)
        self._hear_reconciliations(face)
        say(said="connected")
        background = [asyncio.create_task(self._count())]
        if self._spec.subscribes:
            background.append(asyncio.create_task(self._hear_updates(face)))
        if self._spec.is_queue:
            self._queue = await self._start_queue(face)
        work = asyncio.create_task(self._work(self._caller))
        await self._obey(work)
        if self._queue is not None:
            await self._queue.close()
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await face.close()
        self._ledger.write({"e": "closed"})

    async def _obey(self, work: asyncio.Task[None]) -> None:
        while True:
            told = asyncio.create_task(self._orders.get())
            await asyncio.wait((told, work), return_when=asyncio.FIRST_COMPLETED)
            if work.done() and (problem := work.exception()) is not None:
                raise problem
            match await told:
                case {"do": "wind down"}:
                    self._trading = False
                    await work
                    assert self._caller is not None
                    left = await resolve_all(self._doubts, self._caller, self._orders.empty)
                    if self._queue is not None:
                        left += await self._queue.settle(self._orders.empty)
                    say(said="resolved", left=left)
                case {"do": "drain", "sequence": sequence}:
                    self._draining_to = sequence
                    self._note_drained()
                case _:
                    return

    async def _work(self, caller: Caller) -> None:
        """First what an earlier life left open, then trading by several hands at once."""
        await resolve_all(self._doubts, caller, lambda: self._trading)
        if self._spec.lease_ms is not None:
            lease = {"command_id": new_command_id(), "grace_ms": self._spec.lease_ms}
            await send_command(caller, "cancel_on_disconnect", lease)
        if self._queue is not None:
            await self._use(self._queue, 0)
            return
        make = Feed if self._spec.is_feed else Trader
        name, seed = self._spec.name, self._spec.seed
        hands = [make(caller, seed, self._life, f"{name}/{number}") for number in range(self._spec.hands)]
        await asyncio.gather(*(self._use(hand, number) for number, hand in enumerate(hands)))

    async def _start_queue(self, face: Face) -> QueueTrader:
        """Over the same client."""
        assert isinstance(face, AsyncFace)
        seed = f"{self._spec.seed}/{self._spec.name}/{self._life}"
        queue = QueueTrader(face.client, self._ledger, self._path.with_suffix(".outbox"), seed)
        await queue.start()
        return queue

    async def _use(self, hand: Trader | Feed | QueueTrader, number: int) -> None:
        pause = self._spec.pauses(self._life, number)
        while self._trading:
            await hand.step()
            await asyncio.sleep(next(pause))

    def _hear_reconciliations(self, face: Face) -> None:
        """Of clients that have them; those for threads tell in a thread of their own."""
        if hasattr(face.client, "on_reconciled"):
            loop = asyncio.get_running_loop()

            def heard(report: Reconciliation) -> None:
                loop.call_soon_threadsafe(self._note_reconciled, report)

            face.client.on_reconciled(heard, since=self._sequence or None)

    def _note_reconciled(self, report: Reconciliation) -> None:
        found = report.differences
        self._ledger.write({
            "e": "reconciled",
            "began": report.began_sequence,
            "ended": report.ended_sequence,
            "kinds": Counter(type(one).__name__ for one in found),
            "fills": [(one.order_id, one.update.execution_id) for one in found if isinstance(one, MissedFill)],
            "missing": [one.order_id for one in found if isinstance(one, MissingAtEngine)],
            "gap": "" if report.gap is None else str(report.gap),
        })  # fmt: skip

    async def _hear_updates(self, face: Face) -> None:
        self._ledger.write({"e": "subscribed", "after": self._sequence})
        while True:
            came = 0
            try:
                async for update in face.updates(self._sequence):
                    came += 1
                    if isinstance(update, UpdateGap):
                        self._ledger.write({"e": "gap", "first": update.first_sequence, "last": update.last_sequence})
                        continue
                    if update.snapshot:
                        continue
                    self._ledger.update(update)
                    self._sequence = update.sequence
                    self._note_drained()
                self._ledger.write({"e": "updates ended", "problem": "", "came": came})
            except ExecutionBridgeError as problem:
                what = f"{type(problem).__name__}: {problem}"
                self._ledger.write({"e": "updates ended", "problem": what, "came": came})
            await asyncio.sleep(_RESUBSCRIBE_S)

    def _note_drained(self) -> None:
        if self._draining_to is not None and (self._sequence >= self._draining_to or not self._spec.subscribes):
            self._draining_to = None
            say(said="drained", sequence=self._sequence)

    async def _count(self) -> None:
        while self._caller is not None:
            counted = self._queue or self._caller
            say(said="counts", sent=counted.orders_sent, replied=counted.orders_replied)
            await asyncio.sleep(_COUNTS_S)

    def _note_failure(self, problem: ExecutionBridgeError) -> None:
        self._ledger.write({"e": "not connected", "problem": f"{type(problem).__name__}: {problem}"})

    async def _listen_to_stdin(self) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

        async def read() -> None:
            while line := await reader.readline():
                self._orders.put_nowait(json.loads(line))
            os._exit(3)  # whoever started this process is gone

        self._reading = asyncio.create_task(read())


def say(**what: Any) -> None:
    """One line on stdout."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    uvloop.run(Actor(msgspec.json.decode(sys.argv[1], type=ActorSpec)).run())
