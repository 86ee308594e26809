"""Exact decimals between `Decimal` and the wire's signed 64-bit mantissa and 8-bit exponent (invariant 5)."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Final

from transport.contract.codes import ReasonCode
from transport.contract.errors import ValidationError

MANTISSA_MIN: Final = -(2**63)
MANTISSA_MAX: Final = 2**63 - 1
EXPONENT_MIN: Final = -128
EXPONENT_MAX: Final = 127


def to_wire(value: Decimal, field: str) -> tuple[int, int]:
    """Mantissa and exponent of `value`, exactly; the spelling (1.50 or 1.5) is kept where it fits.

    Raises `ValidationError` naming `field` for what is no `Decimal`, NaN, infinities, negative zero, and numbers
    without an exact form on the wire.
    """
    if not isinstance(value, Decimal):  # pyright: ignore[reportUnnecessaryIsInstance] (callers may be untyped)
        raise ValidationError(
            f"{field}: {value!r} is a {type(value).__name__}; give a Decimal, made from text: Decimal('1.23')",
            field=field,
        )
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise _out_of_range(value, field, "is not a finite number")
    mantissa = 0
    for digit in digits if len(digits) <= 256 else ():
        mantissa = mantissa * 10 + digit
    if len(digits) > 256:
        raise _out_of_range(value, field, "has more digits than the wire can carry")
    if mantissa == 0:
        if sign:
            raise _out_of_range(value, field, "is a negative zero")
        return 0, exponent if EXPONENT_MIN <= exponent <= EXPONENT_MAX else 0
    if sign:
        mantissa = -mantissa
    return _fit(mantissa, exponent, value, field)


def _fit(mantissa: int, exponent: int, value: Decimal, field: str) -> tuple[int, int]:
    while mantissa % 10 == 0 and (exponent < EXPONENT_MIN or not MANTISSA_MIN <= mantissa <= MANTISSA_MAX):
        mantissa //= 10
        exponent += 1
    while exponent > EXPONENT_MAX and MANTISSA_MIN <= mantissa * 10 <= MANTISSA_MAX:
        mantissa *= 10
        exponent -= 1
    if not (MANTISSA_MIN <= mantissa <= MANTISSA_MAX and EXPONENT_MIN <= exponent <= EXPONENT_MAX):
        raise _out_of_range(value, field, "has no exact form on the wire (a signed 64-bit mantissa, an 8-bit exponent)")
    return mantissa, exponent


def _out_of_range(value: Decimal, field: str, problem: str) -> ValidationError:
    return ValidationError(f"{field}: {value} {problem}", field=field, code=ReasonCode.OUT_OF_RANGE)


@lru_cache(maxsize=8192)
def from_wire(mantissa: int, exponent: int) -> Decimal:
    """The number that is `mantissa` x 10^`exponent`: exact, whatever the decimal context is."""
    return Decimal(f"{mantissa}E{exponent}")


def normalised(mantissa: int, exponent: int) -> tuple[int, int]:
    """The one spelling of a value: no trailing decimal zeros in the mantissa; zero is (0, 0) (WIRE.md section 6)."""
    if mantissa == 0:
        return 0, 0
    while mantissa % 10 == 0 and exponent < EXPONENT_MAX:
        mantissa //= 10
        exponent += 1
    return mantissa, exponent
