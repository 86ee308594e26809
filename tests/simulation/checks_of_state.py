"""Checks of what lies beside the orders: starts from snapshots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tests.simulation.history import History


def a_start_from_a_snapshot_stands_where_replay_does(history: History) -> Iterator[str]:
    """Invariant 3: snapshot and tail give the state that all records give; with the archive, none is missing."""
    for snapshot_seq, first_seq, state_hash, replayed_hash, problem in history.recoveries:
        if problem:
            yield f"after a start from the snapshot at record {snapshot_seq}: {problem}"
        elif first_seq != 1:
            yield f"after a start from the snapshot at record {snapshot_seq} the records before {first_seq} are gone"
        elif state_hash != replayed_hash:
            yield f"the snapshot at record {snapshot_seq} led to state {state_hash}, all records to {replayed_hash}"


STATE_CHECKS: Final[tuple[Callable[[History], Iterator[str]], ...]] = (
    a_start_from_a_snapshot_stands_where_replay_does,
)
