"""The groups of the report: what is compared with what, and how much is measured of each row."""

from __future__ import annotations

from bench.rows.row import Effort, Group, Row

_ONE = Effort(rounds=30, calls=400, lead_in_calls=25, warm_up_calls=300)
_ONE_LONG = Effort(rounds=100, calls=1000, lead_in_calls=50, warm_up_calls=2000)
# Every call waits for the disk, and the reserved part of a segment should not run out in every turn.
_ONE_SYNCED = Effort(rounds=25, calls=200, lead_in_calls=15, warm_up_calls=150)
_ONE_SYNCED_LONG = Effort(rounds=100, calls=500, lead_in_calls=50, warm_up_calls=1000)
_CODEC = Effort(rounds=20, calls=20, lead_in_calls=2, warm_up_calls=20)
_CODEC_LONG = Effort(rounds=100, calls=50, lead_in_calls=5, warm_up_calls=100)
_MANY = Effort(rounds=10, calls=2, lead_in_calls=1, warm_up_calls=2)
# Five million ids are remembered at most: the long form stays below.
_MANY_LONG = Effort(rounds=30, calls=3, lead_in_calls=1, warm_up_calls=3)

# Each codec and each batch has its own.
_SIZES = frozenset({"request_bytes", "reply_bytes"})

FLOOR_TCP, FLOOR_UNIX = "floor-tcp-spin", "floor-unix-spin"

ONE_TCP_OS = Group(
    "one-tcp-os",
    "One order at a time, tcp, durability os",
    _ONE,
    _ONE_LONG,
    reference=FLOOR_TCP,
    grpc_reference="grpc-sync",
)
ONE_IPC_OS = Group(
    "one-ipc-os", "One order at a time, Unix socket, durability os", _ONE, _ONE_LONG, reference=FLOOR_UNIX
)
ONE_TCP_ALWAYS = Group(
    "one-tcp-always",
    "One order at a time, tcp, durability always",
    _ONE_SYNCED,
    _ONE_SYNCED_LONG,
    reference=FLOOR_TCP,
    grpc_reference="grpc-sync",
)
ONE_IPC_ALWAYS = Group(
    "one-ipc-always",
    "One order at a time, Unix socket, durability always",
    _ONE_SYNCED,
    _ONE_SYNCED_LONG,
    reference=FLOOR_UNIX,
)
CODEC_BUILD = Group("codec-build", "Codecs: bytes from an order object", _CODEC, _CODEC_LONG, varies=_SIZES)
CODEC_READ = Group("codec-read", "Codecs: every field of a reply, from bytes", _CODEC, _CODEC_LONG, varies=_SIZES)
THROUGHPUT = Group(
    "throughput",
    "Throughput of one client process, every reply field read",
    _MANY,
    _MANY_LONG,
    grpc_reference="grpc-stream-aio",
    varies=_SIZES | {"durability"},
)

GROUPS = [ONE_TCP_OS, ONE_IPC_OS, ONE_TCP_ALWAYS, ONE_IPC_ALWAYS, CODEC_BUILD, CODEC_READ, THROUGHPUT]
ROWS: list[Row] = []
