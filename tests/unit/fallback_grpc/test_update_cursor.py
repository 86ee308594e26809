"""Which ends of a subscription are its end: only those that resuming would not put right."""

from __future__ import annotations

import pytest

from fallback_grpc.failover.updates import is_final
from transport import ReasonCode
from transport.contract.errors import error_for_code


@pytest.mark.parametrize(
    ("code", "final"),
    [
        (ReasonCode.SLOW_CONSUMER, False),
        (ReasonCode.SHUTTING_DOWN, False),
        (ReasonCode.BUSY, False),
        (ReasonCode.JOURNAL_FAILED, False),
        (ReasonCode.DATA_LOSS, True),
        (ReasonCode.STATE_REGRESSED, True),
        (ReasonCode.JOURNAL_ID_MISMATCH, True),
        (ReasonCode.PERMISSION_DENIED, True),
    ],
)
def test_a_subscription_ends_for_good_only_where_resuming_does_not_help(code, final) -> None:
    assert is_final(error_for_code(code, "as the engine says")) == final
