"""For all tests: what a property test is judged by is its assertions, and not how long an example took."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# On a busy machine a process may stand still for a second: no example's fault, and none of how it was drawn.
settings.register_profile("whatever the machine does", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("whatever the machine does")
