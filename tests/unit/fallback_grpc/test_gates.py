"""Waiting for news of the paths: none is slept through."""

from __future__ import annotations

import threading
import time

from fallback_grpc.failover.blocking import ThreadGate

FAR_NS = 20 * 10**9


def test_a_change_between_looking_and_waiting_ends_the_wait_at_once() -> None:
    gate = ThreadGate()
    seen = gate.changes
    gate.wake()
    began_ns = time.monotonic_ns()
    gate.wait(began_ns + FAR_NS, seen)
    assert time.monotonic_ns() - began_ns < FAR_NS / 4


def test_a_pause_ends_early_only_when_everything_has_stopped() -> None:
    gate = ThreadGate()
    stopped = threading.Event()
    began_ns = time.monotonic_ns()
    pausing = threading.Thread(target=lambda: gate.pause(began_ns + FAR_NS, stopped.is_set))
    pausing.start()
    gate.wake()
    pausing.join(0.1)
    assert pausing.is_alive()
    stopped.set()
    gate.wake()
    pausing.join(5)
    assert not pausing.is_alive()
