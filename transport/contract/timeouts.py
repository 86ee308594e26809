"""The time that a caller gives one call."""

from __future__ import annotations

from typing import Final

from transport.contract.errors import NotSentError, ValidationError

_ENDLESS_MS: Final = 1e12
"""Some thirty years."""


def call_timeout_ms(given: float | None, standard: float) -> float:
    """`given`, or the `standard` where it is None. Milliseconds.

    Raises `ValidationError` naming `timeout_ms` for what is no finite number from 0 on, and `NotSentError` for 0,
    which leaves no time to send anything.
    """
    if given is None:
        return standard
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < _ENDLESS_MS:  # pyright: ignore[reportUnnecessaryIsInstance] (callers may be untyped)
        raise ValidationError(f"timeout_ms: {given!r} is no finite number of milliseconds", field="timeout_ms")
    if given == 0:
        raise NotSentError("timeout_ms is 0: there was no time to send anything")
    return given
