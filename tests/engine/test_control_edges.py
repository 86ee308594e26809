"""Requests that control an account, as a stranger may send them: no session, no journal, no place in the list."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import grpc
import pytest

from fallback_grpc.generated import execution_pb2 as pb
from fallback_grpc.generated import execution_pb2_grpc
from transport import (
    CommandReply,
    ListOpenOrders,
    OpenOrders,
    ReasonCode,
    RiskLimits,
    SetCancelOnDisconnect,
    SetRiskLimits,
)
from transport.wire.messages import Refusal

TIMEOUT_S = 10


@pytest.fixture
def service(engine: Any) -> Iterator[Any]:
    with grpc.insecure_channel(engine.grpc) as channel:
        yield execution_pb2_grpc.ExecutionServiceStub(channel)


def _records(service: Any) -> int:
    return service.HealthCheck(pb.HealthCheckRequest(), timeout=TIMEOUT_S).journal_seq


def test_a_connection_without_a_session_has_none_to_lose(client: Any, service: Any) -> None:
    answer = client.ask(2, SetCancelOnDisconnect(grace_ms=100, command_id="lease"))
    assert isinstance(answer, CommandReply)
    assert (answer.code, answer.field) == (ReasonCode.MISSING_FIELD, "session_id")
    # The same on the other path, and so the same command: it is answered from memory.
    again = service.SetCancelOnDisconnect(
        pb.SetCancelOnDisconnectRequest(command_id="lease", grace_ms=100), timeout=TIMEOUT_S
    )
    assert (again.code, again.field, again.duplicate) == (pb.MISSING_FIELD, "session_id", True)


@pytest.mark.parametrize("changes", [{"command_id": ""}, {"account": "other"}])
def test_a_command_without_an_id_or_for_another_account_changes_nothing(
    client: Any, service: Any, changes: dict[str, Any]
) -> None:
    before = _records(service)
    code = ReasonCode.MISSING_FIELD if "command_id" in changes else ReasonCode.ACCOUNT_NOT_ALLOWED
    for number, command in enumerate((SetRiskLimits, SetCancelOnDisconnect), 2):
        content = (
            {"grace_ms": 1} if command is SetCancelOnDisconnect else {"limits": RiskLimits(max_position=Decimal(1))}
        )
        answer = client.ask(number, command(**(content | changes)))
        assert (answer.code, answer.field) == (code, next(iter(changes)))
    assert (
        service.SetRiskLimits(pb.SetRiskLimitsRequest(**({"command_id": "c"} | changes)), timeout=TIMEOUT_S).code
        == code
    )
    assert _records(service) == before


def test_a_limit_without_an_exact_form_is_named_on_grpc(service: Any) -> None:
    limits = pb.RiskLimits(max_position=pb.Decimal(mantissa=1, exponent=1_000))
    answer = service.SetRiskLimits(pb.SetRiskLimitsRequest(command_id="a", limits=limits), timeout=TIMEOUT_S)
    assert (answer.code, answer.field) == (pb.OUT_OF_RANGE, "limits.max_position")


def test_a_command_names_the_journal_and_a_list_need_not(client: Any) -> None:
    refused = client.ask(2, SetRiskLimits(), journal_id="")
    assert isinstance(refused, Refusal)
    assert refused.code == ReasonCode.JOURNAL_ID_MISMATCH
    assert isinstance(client.ask(3, ListOpenOrders(), journal_id=""), OpenOrders)
    refused = client.ask(4, ListOpenOrders(), journal_id="another")
    assert refused.code == ReasonCode.JOURNAL_ID_MISMATCH


@pytest.mark.parametrize(
    ("asked", "code", "field"),
    [
        ({"after_order_id": "nobody"}, ReasonCode.UNKNOWN_ORDER, "after_order_id"),
        ({"after_order_id": "\n"}, ReasonCode.INVALID_FIELD, "after_order_id"),
        ({"account": "other"}, ReasonCode.ACCOUNT_NOT_ALLOWED, "account"),
    ],
)
def test_a_list_that_cannot_be_says_why_on_both_paths(
    client: Any, service: Any, asked: dict[str, str], code: ReasonCode, field: str
) -> None:
    page = client.ask(2, ListOpenOrders(**asked))
    assert (page.code, page.field, page.orders, page.more) == (code, field, [], False)
    same = service.ListOpenOrders(pb.ListOpenOrdersRequest(**asked), timeout=TIMEOUT_S)
    assert (same.code, same.field, same.message) == (code, field, page.message)
