"""Snapshots and the archive of a real engine: killed at any time, it starts from them with nothing lost."""

from __future__ import annotations

import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.drivers import bridge_config
from tests.waiting import eventually
from transport import BlockingFastPathClient, Order, OrderSide, OrderType

CONFIGURATION = """
[journal]
segment_bytes = 65536
snapshot_every_bytes = 65536
"""
ORDERS = 600
OF_SNAPSHOTS = (
    "snapshots",
    "snapshot_running",
    "snapshot_failures",
    "snapshot_seq",
    "snapshot_time_ms",
    "snapshot_bytes",
    "snapshot_duration_ms",
)


def trade(client: BlockingFastPathClient) -> None:
    # One by one: a batch makes room for all it may lead to, in a segment as large as that.
    for _ in range(ORDERS):
        order = Order(symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1))
        client.execute_order(order)


def trade_until_archived(engine: Any, client: BlockingFastPathClient) -> None:
    """Some orders for each snapshot, until the first segment is in the archive and gone from the directory."""
    seen = {-1}

    def is_archived() -> bool:
        if (seq := client.health_check().counters["snapshot_seq"]) not in seen:
            seen.add(seq)
            trade(client)
        return len(seen) > 3 and not (engine.data_dir / "00000000000000000001.seg").exists()

    eventually(is_archived, "the first segment is archived", deadline_s=60)


def heap_bytes(engine: Any) -> int:
    """Of the reactor's heap, touched or not (proc(5))."""
    lines = Path(f"/proc/{engine.pid}/maps").read_text().splitlines()
    (heap,) = [line.split()[0] for line in lines if line.endswith("[heap]")]
    first, end = (int(address, 16) for address in heap.split("-"))
    return end - first


def newest(engine: Any) -> tuple[int, int]:
    """The record that the last snapshot stands at, and how long its file is."""
    found = max(engine.data_dir.glob("*.snapshot"))
    return int(found.stem), found.stat().st_size


def segments_in(folder: Path) -> tuple[int, int]:
    lengths = [each.stat().st_size for each in folder.glob("*.seg")]
    return len(lengths), sum(lengths)


def connected(engine: Any) -> BlockingFastPathClient:
    client = BlockingFastPathClient(bridge_config(engine))
    client.connect()
    return client


def test_an_engine_that_is_killed_starts_from_its_snapshot_and_archives_what_it_needs_no_more(
    start_engine: Any, command_line: Any, tmp_path: Path
) -> None:
    engine = start_engine(CONFIGURATION, durability="os")
    client = connected(engine)
    archive = engine.data_dir / "archive"
    trade_until_archived(engine, client)
    known = Order(symbol="NASDAQ", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=Decimal(1))
    first = client.execute_order(known)
    before = client.health_check()
    engine.kill()
    assert len(list(engine.data_dir.glob("*.snapshot"))) == 2
    assert list(archive.glob("*.seg"))

    engine.start()
    client = connected(engine)
    after = client.health_check()
    assert after.state_hash == before.state_hash
    assert after.counters["snapshot_seq"] > 0
    assert client.execute_order(known) == first
    client.close()
    engine.kill()

    whole = command_line("verify", engine.data_dir)
    assert whole.returncode == 0 and '"first_seq":1,' in whole.stdout, whole.stderr
    archive.rename(tmp_path / "elsewhere")
    alone = command_line("verify", engine.data_dir)
    assert alone.returncode == 0 and '"first_seq":1,' not in alone.stdout, alone.stderr
    given = command_line("verify", engine.data_dir, "--archive", tmp_path / "elsewhere")
    assert given.stdout == whole.stdout


def test_health_says_what_lies_on_the_disk_and_how_the_last_snapshot_went(start_engine: Any) -> None:
    engine = start_engine(CONFIGURATION, durability="os")
    client = connected(engine)
    began_ms = time.time_ns() // 1_000_000
    before = client.health_check().counters
    assert all(before[name] == 0 for name in (*OF_SNAPSHOTS, "archived_segments", "archived_segment_bytes"))
    assert (before["segments"], before["segment_bytes"]) == (1, 65536)

    trade_until_archived(engine, client)
    eventually(lambda: not client.health_check().counters["snapshot_running"], "no snapshot is being made")
    eventually(lambda: client.health_check().counters["snapshot_seq"] == newest(engine)[0], "it is taken note of")
    now = client.health_check().counters
    assert now["snapshots"] >= 2
    assert now["snapshot_failures"] == 0
    assert (now["snapshot_seq"], now["snapshot_bytes"]) == newest(engine)
    assert began_ms <= now["snapshot_time_ms"] <= time.time_ns() // 1_000_000
    assert 0 < now["snapshot_duration_ms"] < 60_000
    assert (now["segments"], now["segment_bytes"]) == segments_in(engine.data_dir)
    assert (now["archived_segments"], now["archived_segment_bytes"]) == segments_in(engine.data_dir / "archive")
    engine.kill()

    engine.start()
    client = connected(engine)
    eventually(lambda: client.health_check().counters["archived_segments"] > 0, "the archive is counted")
    after = client.health_check().counters
    assert after["snapshots"] == 0
    for name in ("snapshot_seq", "snapshot_time_ms", "snapshot_bytes", "archived_segments", "archived_segment_bytes"):
        assert after[name] == now[name], name
    assert (after["segments"], after["segment_bytes"]) == segments_in(engine.data_dir)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heap, as Linux shows it")
def test_the_reactor_has_room_in_its_heap_before_another_thread_makes_a_snapshot(start_engine: Any) -> None:
    engine = start_engine(CONFIGURATION, durability="os")
    client = connected(engine)
    assert heap_bytes(engine) < 16 << 20
    trade_until_archived(engine, client)
    assert heap_bytes(engine) > 56 << 20


@pytest.mark.parametrize("which", ["newest", "all"])
def test_a_damaged_snapshot_is_passed_over_or_refused_by_name(which: str, start_engine: Any, command_line: Any) -> None:
    engine = start_engine(CONFIGURATION, durability="os")
    client = connected(engine)
    trade_until_archived(engine, client)
    state_hash = client.health_check().state_hash
    engine.kill()
    snapshots = sorted(engine.data_dir.glob("*.snapshot"))
    for snapshot in snapshots if which == "all" else snapshots[-1:]:
        content = bytearray(snapshot.read_bytes())
        content[len(content) // 2] ^= 0xFF
        snapshot.write_bytes(content)
    if which == "newest":
        engine.start()
        assert connected(engine).health_check().state_hash == state_hash
        return
    listening = ("--zmq", "tcp://127.0.0.1:0", "--pub", "tcp://127.0.0.1:0", "--grpc", "127.0.0.1:0")
    done = command_line("serve", *listening, "--data-dir", engine.data_dir)
    assert done.returncode == 3, done.stderr
    assert all(snapshot.name in done.stderr for snapshot in snapshots) and "archive" in done.stderr
