"""What a user would otherwise pick, with the same order and every field read on both ends.

None of them does what an engine does: nothing is validated, deduplicated, matched or journaled behind these rows. They
answer the question what the bridge costs against a message library alone.
"""

from __future__ import annotations

from bench.peers import grpc_mtls, nats, nng, pickled, reference
from bench.rows.row import Effort, Group, Row

GROUPS: list[Group] = [
    Group(
        name=reference.GROUP,
        title="One order: the bridge and what a user would otherwise pick",
        short=Effort(rounds=20, calls=120, lead_in_calls=20, warm_up_calls=300),
        full=Effort(rounds=60, calls=400, lead_in_calls=40, warm_up_calls=1000),
        grpc_reference=reference.GRPC,
        # Only ours has an engine behind it, and each library has its own encoding.
        varies=frozenset({"durability", "request_bytes", "reply_bytes"}),
    )
]
ROWS: list[Row] = [*reference.ROWS, *pickled.ROWS, *nng.ROWS, *nats.ROWS, *grpc_mtls.ROWS]
