"""A queue across `os.fork`: the child is told so, and however it ends, the parent's outbox is as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]

# A process of its own, whose child ends as programs do: with all its objects freed.
PROGRAM = """
import asyncio, gc, os, sys
from pathlib import Path
from fallback_grpc.queue import OrderQueue
from tests.unit.fallback_grpc.queue.queue_world import market
from tests.unit.fallback_grpc.queue.test_order_queue import FakeClient
from transport.contract.errors import ForkedProcessError

path, how = Path(sys.argv[1]), sys.argv[2]
queues = []

async def in_child():
    (queue,) = queues
    refused = 0
    for use in (lambda: queue.put(market("b")), queue.drain, queue.start, lambda: queue._store.commit([])):
        try:
            await use()
        except ForkedProcessError:
            refused += 1
    try:
        queue.events()
    except ForkedProcessError:
        refused += 1
    await queue.close()
    return refused

async def begin():
    client = FakeClient()
    client.usable_paths = ()
    queues.append(await OrderQueue(client, outbox=path).start())
    await queues[0].put(market("a"))

loop = asyncio.new_event_loop()
loop.run_until_complete(begin())
child = os.fork()
if child == 0:
    loop.close = lambda: None  # its selector is the parent's too
    was_right = how == "exit" or asyncio.new_event_loop().run_until_complete(in_child()) == 5
    queues.clear()
    gc.collect()
    sys.exit(7 if was_right else 8)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 7
assert path.with_name(path.name + "-wal").exists(), "the child deleted the log"
loop.run_until_complete(queues[0].put(market("c")))
os._exit(0)  # as a kill would: what was put must be found
"""

FIND = """
import asyncio, sys
from fallback_grpc.queue import OrderQueue
from tests.unit.fallback_grpc.queue.test_order_queue import FakeClient

async def main():
    client = FakeClient()
    client.usable_paths = ()
    async with OrderQueue(client, outbox=sys.argv[1]) as queue:
        print(queue.occupied)

asyncio.run(main())
"""


def run(program: str, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("how", ["exit", "use"])
def test_a_forked_child_that_ends_leaves_the_parents_outbox_alone(tmp_path: Path, how: str) -> None:
    path = tmp_path / "outbox"
    run(PROGRAM, str(path), how)
    assert run(FIND, str(path)).strip() == "2"
