"""Latency under open-loop load, free of coordinated omission: orders leave on a schedule that waits for nobody, and
each one's clock starts when it was to leave, not when the client came round to it."""

from __future__ import annotations

from bench.load.section import run
from bench.sections import Section

SECTION = Section(name="load", title="Latency under load", run=run)
