"""Failure detector: what an event says about a path. Sans-I/O, no state: the circuit breaker keeps the score.

Only evidence of the path counts: connections that went or went silent, refused handshakes, probes without an
answer. What the engine says (`BUSY`, any rejection) proves that the path works. A call that ran into its deadline
proves nothing, for a slow disk looks the same and a change of path would not cure it: it makes the path *suspect*,
and a probe, which the engine answers whatever its disk does, tells the two apart.
"""

from __future__ import annotations

from typing import Any

from fallback_grpc.failover.breaker import Signal
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import Conclusion, NotSent, Refused, Unknown
from transport.contract.path import PathEvent, PathLost, PathRefused

# Refusals of the handshake: this connection serves nobody, whatever the engine thinks of orders.
HANDSHAKE_REFUSALS = frozenset(
    {
        ReasonCode.HELLO_REQUIRED,
        ReasonCode.JOURNAL_ID_MISMATCH,
        ReasonCode.UNAUTHENTICATED,
        ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
    }
)


def signal_of_event(event: PathEvent) -> Signal | None:
    """What the path itself reported. A connection that opened is no proof yet: a probe gives that."""
    if isinstance(event, PathLost | PathRefused):
        return Signal.TRIP
    return None


def signal_of_conclusion(conclusion: Conclusion[Any], *, connected: bool) -> Signal | None:
    """What the end of one copy says; `connected`: whether the path still has its connection.

    A request that was not sent although the path is connected met a full window: no fault of the path.
    """
    if isinstance(conclusion, Unknown):
        return None
    if isinstance(conclusion, NotSent):
        return None if connected else Signal.FAILURE
    if isinstance(conclusion, Refused) and conclusion.code in HANDSHAKE_REFUSALS:
        return Signal.TRIP
    return Signal.SUCCESS


def makes_suspect(conclusion: Conclusion[Any]) -> bool:
    """Whether a probe should look at the path: a request got no answer."""
    return isinstance(conclusion, Unknown)


def signal_of_probe(answered: bool, took_ms: float, slow_ms: float) -> Signal:
    """What a probe says."""
    if not answered:
        return Signal.FAILURE
    return Signal.SLOW if took_ms >= slow_ms else Signal.SUCCESS
