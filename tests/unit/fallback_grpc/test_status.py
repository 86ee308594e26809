"""What each gRPC status says about a request: the table of WIRE.md section 2."""

from __future__ import annotations

import grpc
import pytest

from fallback_grpc.status import conclude_failure, is_connection_failure
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import NotSent, Refused, Unknown

Code = grpc.StatusCode
NO_CONNECTION = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused"


class Failure:
    """A failed RPC as gRPC shows it."""

    def __init__(self, code: grpc.StatusCode, details: str = "", trailers=(), headers=()) -> None:
        self._code, self._details, self._trailers, self._headers = code, details, trailers, headers

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details

    def initial_metadata(self):
        return self._headers

    def trailing_metadata(self):
        return self._trailers


@pytest.mark.parametrize("code", [Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE, Code.INTERNAL, Code.CANCELLED])
def test_a_status_with_a_reason_is_a_refusal_whatever_the_status(code: grpc.StatusCode) -> None:
    trailers = (("x-reason", "BUSY"), ("x-reason-code", "100"), ("x-field", "orders"), ("bin-bin", b"1"))
    conclusion = conclude_failure(Failure(code, "no room", trailers))
    assert conclusion == Refused(ReasonCode.BUSY, "no room", "orders")


def test_a_reason_without_a_number_is_read_by_its_name() -> None:
    conclusion = conclude_failure(Failure(Code.UNAVAILABLE, "", (("x-reason", "SHUTTING_DOWN"),)))
    assert conclusion == Refused(ReasonCode.SHUTTING_DOWN, "", "")


def test_a_reason_that_nobody_knows_is_still_a_refusal() -> None:
    conclusion = conclude_failure(Failure(Code.UNAVAILABLE, "", (("x-reason", "NEW"), ("x-reason-code", "x"))))
    assert isinstance(conclusion, Refused)
    assert conclusion.code.is_refusal


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_every_status_without_a_reason_leaves_the_outcome_unknown(code: grpc.StatusCode) -> None:
    assert isinstance(conclude_failure(Failure(code, "whatever")), Unknown)


def test_only_a_call_that_never_had_a_connection_was_not_sent() -> None:
    assert isinstance(conclude_failure(Failure(Code.UNAVAILABLE, NO_CONNECTION)), NotSent)


@pytest.mark.parametrize(
    "failure",
    [
        Failure(Code.UNAVAILABLE, "Socket closed"),
        Failure(Code.UNAVAILABLE, "Stream removed"),
        Failure(Code.DEADLINE_EXCEEDED, NO_CONNECTION),
        Failure(Code.UNAVAILABLE, NO_CONNECTION, trailers=(("server", "proxy"),)),
        Failure(Code.UNAVAILABLE, NO_CONNECTION, headers=(("server", "proxy"),)),
    ],
)
def test_anything_less_certain_is_unknown(failure: Failure) -> None:
    assert isinstance(conclude_failure(failure), Unknown)


def test_only_unavailable_without_a_reason_is_evidence_against_the_connection() -> None:
    assert is_connection_failure(Failure(Code.UNAVAILABLE, "Socket closed"))
    assert not is_connection_failure(Failure(Code.DEADLINE_EXCEEDED))
    assert not is_connection_failure(Failure(Code.UNAVAILABLE, "", (("x-reason", "SHUTTING_DOWN"),)))
