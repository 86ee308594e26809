"""What grows with use: the time of an order with what is remembered, connected and open; memory, idle CPU, restart."""

from __future__ import annotations

from bench.growth.section import run
from bench.sections import Section

SECTION = Section(name="growth", title="Growth", run=run)
