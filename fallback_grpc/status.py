"""What a failed RPC says about the request: refused, never sent, or unknown (WIRE.md section 2, invariant 6).

| what came back                                        | conclusion                                             |
| ----------------------------------------------------- | ------------------------------------------------------ |
| any status with the trailer `x-reason`                | `Refused`: the engine decided before `apply`           |
| UNAVAILABLE that gRPC made without any connection     | `NotSent`                                              |
| everything else (CANCELLED, DEADLINE_EXCEEDED,        | `Unknown`: nothing is guessed                          |
| UNAVAILABLE, INTERNAL, UNKNOWN, ...)                  |                                                        |

How "without any connection" is known: gRPC's load-balancing policy fails a call with the text "failed to connect to
all addresses" when it has no connection to give it to; such a call never had a stream. We switch gRPC's own retries
off (`channel.py`), so no earlier attempt hides behind it, and demand that no metadata came back, so that the text
cannot be a proxy's. If a release of gRPC changes the text, the conclusion becomes `Unknown`, which is safe.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import grpc

from transport.contract.codes import ReasonCode
from transport.contract.conclusions import NotSent, Refused, Unknown

_NEVER_CONNECTED = "failed to connect to all addresses"
# A refusal whose code this release cannot read at all is still a refusal.
_UNREADABLE_REASON = ReasonCode(0xFFFF)

Metadata = Iterable[tuple[str, str | bytes]]


class FailedRpc(Protocol):
    """What both flavours of gRPC's exceptions offer."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def initial_metadata(self) -> Metadata | None: ...
    def trailing_metadata(self) -> Metadata | None: ...


def conclude_failure(failure: FailedRpc) -> Refused | NotSent | Unknown:
    """What a failed RPC came to, by the table above."""
    details = failure.details() or ""
    trailers = metadata_as_dict(failure.trailing_metadata())
    if "x-reason" in trailers:
        return Refused(_reason_code(trailers), details, trailers.get("x-field", ""))
    name = failure.code().name
    if (
        failure.code() is grpc.StatusCode.UNAVAILABLE
        and details.startswith(_NEVER_CONNECTED)
        and not trailers
        and not metadata_as_dict(failure.initial_metadata())
    ):
        return NotSent(f"gRPC has no connection: {details}")
    return Unknown(f"gRPC status {name}: {details}")


def is_connection_failure(failure: FailedRpc) -> bool:
    """Whether the failure is evidence against the path itself: the connection, not the engine's answer or pace."""
    trailers = metadata_as_dict(failure.trailing_metadata())
    return failure.code() is grpc.StatusCode.UNAVAILABLE and "x-reason" not in trailers


def metadata_as_dict(metadata: Metadata | None) -> dict[str, str]:
    """Metadata as a dictionary of texts; binary values are left out."""
    return {key: value for key, value in metadata or () if isinstance(value, str)}


def _reason_code(trailers: dict[str, str]) -> ReasonCode:
    number = trailers.get("x-reason-code", "")
    if number.isascii() and number.isdigit() and int(number) <= 0xFFFF:
        return ReasonCode(int(number))
    try:
        return ReasonCode[trailers["x-reason"]]
    except KeyError:
        return _UNREADABLE_REASON
