"""How one copy of a request ended on one path: the only four ways there are (invariant 6, WIRE.md section 5)."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from transport.contract.codes import ReasonCode

ReplyT_co = TypeVar("ReplyT_co", covariant=True)


class Replied(msgspec.Struct, Generic[ReplyT_co], frozen=True, gc=False):
    """The engine replied: the call is over."""

    reply: ReplyT_co
    duplicate: bool = False
    """Answered with the stored reply: another copy was there first."""
    correlation: int = 0
    """Number of the request on its connection; 0 where the path has none."""


class Refused(msgspec.Struct, frozen=True):
    """The engine refused this copy before `apply`: no effect, not remembered. Says nothing of any other copy."""

    code: ReasonCode
    message: str = ""
    field: str = ""


class NotSent(msgspec.Struct, frozen=True):
    """This copy never left the process: it had and will have no effect."""

    reason: str


class Unknown(msgspec.Struct, frozen=True):
    """This copy may have been executed, or may yet be: send the same id again, or ask with a fence."""

    reason: str


Conclusion = Replied[ReplyT_co] | Refused | NotSent | Unknown
