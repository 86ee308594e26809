"""The counters of health: docs/health.md explains every one of them, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import grpc

from fallback_grpc.generated import execution_pb2 as pb
from fallback_grpc.generated import execution_pb2_grpc
from tests.conformance.drivers import bridge_config
from transport import BlockingFastPathClient

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "health.md"
TIMEOUT_S = 10


def explained() -> set[str]:
    first_cells = [line.split("|")[1] for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    return {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}


def test_what_health_counts_is_explained_for_operators_and_the_same_on_both_paths(engine: Any) -> None:
    with BlockingFastPathClient(bridge_config(engine)) as client:
        counted = client.health_check().counters
    with grpc.insecure_channel(engine.grpc) as channel:
        service: Any = execution_pb2_grpc.ExecutionServiceStub(channel)
        by_grpc = service.HealthCheck(pb.HealthCheckRequest(), timeout=TIMEOUT_S).counters
    assert set(counted) == explained() == set(by_grpc)
