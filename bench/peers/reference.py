"""The bridge's own rows among the peers, with a whole engine behind them, and libzmq alone under the same client."""

from __future__ import annotations

from bench.orders import content
from bench.rows.fast_path import blocking, pyzmq_to_libzmq_router
from bench.rows.grpc_paths import of_engine, sync_client
from bench.rows.row import Durability, Facts, Row

GROUP = "peers"
GRPC = "bridge-grpc"
_ENGINE = "whole engine behind it"


def facts(durability: Durability = "none", request_bytes: int = 0, reply_bytes: int = 0) -> Facts:
    """Of a row that sends the bench's orders."""
    return Facts(durability, content(), request_bytes, reply_bytes)


ROWS: list[Row] = [
    Row("bridge-native", GROUP, blocking("native", "tcp", "os", "both"), spin="both", note=_ENGINE),
    Row("bridge-native-block", GROUP, blocking("native", "tcp", "os", "none"), note=_ENGINE),
    Row("bridge-pyzmq", GROUP, blocking("pyzmq", "tcp", "os", "engine"), spin="engine", note=_ENGINE),
    Row("libzmq-router", GROUP, pyzmq_to_libzmq_router(), note="our client and codec; libzmq ROUTER, canned reply"),
    Row(GRPC, GROUP, sync_client(of_engine("os")), note=_ENGINE),
]
