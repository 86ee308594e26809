"""The failure detector: evidence of the path counts, the engine's pace and answers do not."""

from __future__ import annotations

import pytest

from fallback_grpc.failover.breaker import Signal
from fallback_grpc.failover.detector import (
    makes_suspect,
    signal_of_conclusion,
    signal_of_event,
    signal_of_probe,
)
from transport.contract.codes import ReasonCode
from transport.contract.conclusions import NotSent, Refused, Replied, Unknown
from transport.contract.path import PathConnected, PathGoingAway, PathLost, PathRefused


def test_a_lost_or_refused_connection_trips_the_breaker() -> None:
    assert signal_of_event(PathLost(reason="reset", in_flight=3)) is Signal.TRIP
    assert signal_of_event(PathRefused(reason="refused")) is Signal.TRIP


def test_a_new_connection_or_a_farewell_is_no_evidence() -> None:
    assert signal_of_event(PathConnected(journal_id="j", epoch=1, connection=1)) is None
    assert signal_of_event(PathGoingAway(message="bye", drain_ms=1)) is None


@pytest.mark.parametrize(
    "code", [ReasonCode.BUSY, ReasonCode.SHUTTING_DOWN, ReasonCode.JOURNAL_FAILED, ReasonCode.NOT_IMPLEMENTED]
)
def test_what_the_engine_refuses_proves_that_the_path_works(code: ReasonCode) -> None:
    assert signal_of_conclusion(Refused(code), connected=True) is Signal.SUCCESS
    assert signal_of_conclusion(Replied("reply"), connected=True) is Signal.SUCCESS


@pytest.mark.parametrize(
    "code", [ReasonCode.JOURNAL_ID_MISMATCH, ReasonCode.HELLO_REQUIRED, ReasonCode.UNAUTHENTICATED]
)
def test_a_refused_handshake_trips_the_breaker(code: ReasonCode) -> None:
    assert signal_of_conclusion(Refused(code), connected=True) is Signal.TRIP


def test_a_slow_disk_is_no_evidence_but_makes_the_path_suspect() -> None:
    timed_out = Unknown("no answer in time")
    assert signal_of_conclusion(timed_out, connected=True) is None
    assert makes_suspect(timed_out)
    assert not makes_suspect(Replied("reply"))


def test_a_full_window_is_no_fault_of_the_path() -> None:
    assert signal_of_conclusion(NotSent("window full"), connected=True) is None
    assert signal_of_conclusion(NotSent("not connected"), connected=False) is Signal.FAILURE


def test_probes_tell_silence_from_slowness() -> None:
    assert signal_of_probe(False, 500.0, 100.0) is Signal.FAILURE
    assert signal_of_probe(True, 100.0, 100.0) is Signal.SLOW
    assert signal_of_probe(True, 1.0, 100.0) is Signal.SUCCESS
