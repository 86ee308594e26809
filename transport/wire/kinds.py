"""Kinds of fields of the schema: how each is checked and written, and how it is read back.

A layout (`layouts.py`) lists a table's fields by these kinds, in the schema's order, so that one description serves
both directions. Writing has two steps, as FlatBuffers wants it: `prepare` makes what lies outside the table (texts,
tables, vectors), `add` puts the field into the open table.
"""

# ruff: noqa: ARG002 (one signature for all kinds)
from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from transport.contract.codes import OpenEnum
from transport.contract.decimals import from_wire, to_wire
from transport.contract.errors import ValidationError, WireDecodeError
from transport.wire.reader import MessageReader, TableView

ValueT = TypeVar("ValueT")

_DECIMAL: Final = Struct("<qb")
_DECIMAL_BYTES: Final = 16


class Builder(Protocol):
    """What is used of `flatbuffers.Builder` (which has no types)."""

    def StartObject(self, numfields: int) -> None: ...  # noqa: N802
    def EndObject(self) -> int: ...  # noqa: N802
    def CreateString(self, s: bytes) -> int: ...  # noqa: N802
    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int: ...  # noqa: N802, N803
    def EndVector(self) -> int: ...  # noqa: N802
    def PrependUOffsetTRelative(self, off: int) -> None: ...  # noqa: N802
    def PrependUint16(self, x: int) -> None: ...  # noqa: N802
    def PrependUOffsetTRelativeSlot(self, o: int, x: int, d: int) -> None: ...  # noqa: N802
    def PrependStructSlot(self, v: int, x: int, d: int) -> None: ...  # noqa: N802
    def Prep(self, size: int, additionalBytes: int) -> None: ...  # noqa: N802, N803
    def Pad(self, n: int) -> None: ...  # noqa: N802
    def PrependInt8(self, x: int) -> None: ...  # noqa: N802
    def PrependInt64(self, x: int) -> None: ...  # noqa: N802
    def Offset(self) -> int: ...  # noqa: N802
    def Finish(self, rootTable: int, file_identifier: bytes | None = None) -> int: ...  # noqa: N802, N803
    def Output(self) -> bytearray: ...  # noqa: N802


class Kind(Generic[ValueT]):
    """One kind of field. `ValueT` is what the contract's types hold."""

    def absent(self) -> ValueT:
        """The value of a field that is not there."""
        raise NotImplementedError

    def prepare(self, builder: Builder, value: ValueT, field: str) -> Any:
        """Check `value`, and make what lies outside the table; None leaves the field out."""
        raise NotImplementedError

    def add(self, builder: Builder, slot: int, prepared: Any) -> None:
        """Put into the open table what `prepare` returned."""
        builder.PrependUOffsetTRelativeSlot(slot, prepared, 0)

    def read(self, reader: MessageReader, table: TableView, position: int) -> ValueT:
        """The value whose field lies at `position`."""
        raise NotImplementedError


class Scalar(Kind[Any]):
    """A number of the schema. `default` None: absence is told from every value."""

    def __init__(self, code: str, method: str, low: int, high: int, default: int | None) -> None:
        self._struct = Struct("<" + code)
        self._method = method
        self._low = low
        self._high = high
        self.default = default

    def absent(self) -> Any:
        return self.default

    def prepare(self, builder: Builder, value: Any, field: str) -> Any:
        if value is None:
            return None
        if not isinstance(value, int) or not self._low <= value <= self._high:
            raise ValidationError(f"{field}: {value!r} is no integer from {self._low} to {self._high}", field=field)
        return None if value == self.default else int(value)

    def add(self, builder: Builder, slot: int, prepared: Any) -> None:
        getattr(builder, self._method)(slot, prepared, None)

    def read(self, reader: MessageReader, table: TableView, position: int) -> Any:
        reader.bytes_at(position, self._struct.size)
        return self._struct.unpack_from(reader.data, position)[0]


class Enumeration(Scalar):
    """An enum of the schema, kept open: a newer peer's value keeps its number."""

    def __init__(self, enum: type[OpenEnum], *, wide: bool = False, default: int | None = 0) -> None:
        code, method, high = ("H", "PrependUint16Slot", 0xFFFF) if wide else ("B", "PrependUint8Slot", 0xFF)
        super().__init__(code, method, 0, high, default)
        self._enum = enum

    def absent(self) -> Any:
        return None if self.default is None else self._enum(self.default)

    def read(self, reader: MessageReader, table: TableView, position: int) -> Any:
        return self._enum(super().read(reader, table, position))


class Flag(Scalar):
    """A bool. Any byte but 0 is true, as the schema's runtime reads it."""

    def __init__(self) -> None:
        super().__init__("B", "PrependBoolSlot", 0, 1, 0)

    def absent(self) -> Any:
        return False

    def prepare(self, builder: Builder, value: Any, field: str) -> Any:
        if value is not None and not isinstance(value, bool):
            raise ValidationError(f"{field}: {value!r} is neither True nor False", field=field)
        return super().prepare(builder, value, field)

    def read(self, reader: MessageReader, table: TableView, position: int) -> Any:
        return bool(super().read(reader, table, position))


class Text(Kind[str]):
    """A string; empty and absent are one."""

    def absent(self) -> str:
        return ""

    def prepare(self, builder: Builder, value: str, field: str) -> Any:
        encoded = b"" if value is None else utf8(value, field)  # pyright: ignore[reportUnnecessaryComparison]
        return builder.CreateString(encoded) if encoded else None

    def read(self, reader: MessageReader, table: TableView, position: int) -> str:
        return reader.text(position)


class Number(Kind[Any]):
    """A struct Decimal. `default` None: absence is told from zero."""

    def __init__(self, default: Any = None) -> None:
        self._default = default

    def absent(self) -> Any:
        return self._default

    def prepare(self, builder: Builder, value: Any, field: str) -> Any:
        return None if value is None else to_wire(value, field)

    def add(self, builder: Builder, slot: int, prepared: Any) -> None:
        mantissa, exponent = prepared
        builder.Prep(8, _DECIMAL_BYTES)
        builder.Pad(7)
        builder.PrependInt8(exponent)
        builder.PrependInt64(mantissa)
        builder.PrependStructSlot(slot, builder.Offset(), 0)

    def read(self, reader: MessageReader, table: TableView, position: int) -> Any:
        reader.bytes_at(position, _DECIMAL_BYTES)
        mantissa, exponent = _DECIMAL.unpack_from(reader.data, position)
        return from_wire(mantissa, exponent)


class Layout:
    """A table of the schema: the contract type that it stands for, and its fields in the schema's order."""

    def __init__(self, name: str, make: Callable[..., Any], fields: Sequence[tuple[str, Kind[Any]]]) -> None:
        self.name = name
        self.make = make
        self.fields = tuple(fields)

    def write(self, builder: Builder, value: Any, prefix: str = "") -> int:
        """Write `value` as this table; `prefix` names where it stands, for errors."""
        prepared = [kind.prepare(builder, getattr(value, name), prefix + name) for name, kind in self.fields]
        builder.StartObject(len(prepared))
        for slot, ((_, kind), made) in enumerate(zip(self.fields, prepared, strict=True)):
            if made is not None:
                kind.add(builder, slot, made)
        return builder.EndObject()

    def read(self, reader: MessageReader, table: TableView) -> Any:
        """The contract's object; fields beyond those of this release are ignored."""
        present = len(table.fields)
        values: dict[str, Any] = {}
        for slot, (name, kind) in enumerate(self.fields):
            offset = table.fields[slot] if slot < present else 0
            values[name] = kind.read(reader, table, table.position + offset) if offset else kind.absent()
        return self.make(**values)


class Table(Kind[Any]):
    """A table within a table. `named`: its fields are told by its name too, such as `limits.price_collar`."""

    def __init__(self, layout: Layout, *, required: bool = False, absent: Any = None, named: bool = False) -> None:
        self._layout = layout
        self._named = named
        self._required = required
        self._absent = absent

    def absent(self) -> Any:
        if self._required:
            raise WireDecodeError(f"a {self._layout.name} that must be there is missing")
        return self._absent

    def prepare(self, builder: Builder, value: Any, field: str) -> Any:
        return None if value is None else self._layout.write(builder, value, f"{field}." if self._named else "")

    def read(self, reader: MessageReader, table: TableView, position: int) -> Any:
        return self._layout.read(reader, reader.table(position, table))


class Tables(Kind[Any]):
    """A vector of tables, as a list or a tuple."""

    def __init__(self, layout: Layout, make: Callable[[list[Any]], Any] = list) -> None:
        self._layout = layout
        self._make = make

    def absent(self) -> Any:
        return self._make([])

    def prepare(self, builder: Builder, value: Sequence[Any], field: str) -> Any:
        return _vector(
            builder, [self._layout.write(builder, item, f"{field}[{index}].") for index, item in enumerate(value)]
        )

    def read(self, reader: MessageReader, table: TableView, position: int) -> Any:
        start, length = reader.vector(position, 4)
        layout = self._layout
        return self._make([layout.read(reader, reader.table(start + 4 * index, table)) for index in range(length)])


class Mapped(Kind[dict[str, Any]]):
    """A vector of key-value tables, as a dictionary; keys must be unique."""

    def __init__(self, value: Kind[Any]) -> None:
        self._key = Text()
        self._value = value

    def absent(self) -> dict[str, Any]:
        return {}

    def prepare(self, builder: Builder, value: dict[str, Any] | None, field: str) -> Any:
        if value is None:
            return None
        if not isinstance(value, dict):  # pyright: ignore[reportUnnecessaryIsInstance] (callers may be untyped)
            raise ValidationError(f"{field}: a {type(value).__name__} is no dictionary", field=field)
        return _vector(builder, [self._entry(builder, key, item, field) for key, item in value.items()]) or None

    def _entry(self, builder: Builder, key: str, item: Any, field: str) -> int:
        key_offset = self._key.prepare(builder, key, field)
        prepared = self._value.prepare(builder, item, field)
        builder.StartObject(2)
        if key_offset is not None:
            self._key.add(builder, 0, key_offset)
        if prepared is not None:
            self._value.add(builder, 1, prepared)
        return builder.EndObject()

    def read(self, reader: MessageReader, table: TableView, position: int) -> dict[str, Any]:
        start, length = reader.vector(position, 4)
        entries: dict[str, Any] = {}
        for index in range(length):
            entry = reader.table(start + 4 * index, table)
            fields = (*entry.fields, 0, 0)
            key = self._key.read(reader, entry, entry.position + fields[0]) if fields[0] else ""
            if key in entries:
                raise WireDecodeError(f"key {key[:40]!r} stands twice")
            entries[key] = (
                self._value.read(reader, entry, entry.position + fields[1]) if fields[1] else self._value.absent()
            )
        return entries


class ShortNumbers(Kind[tuple[int, ...]]):
    """A vector of ushort."""

    def absent(self) -> tuple[int, ...]:
        return ()

    def prepare(self, builder: Builder, value: tuple[int, ...], field: str) -> Any:
        if not value:
            return None
        builder.StartVector(2, len(value), 2)
        for item in reversed(value):
            builder.PrependUint16(item)
        return builder.EndVector()

    def read(self, reader: MessageReader, table: TableView, position: int) -> tuple[int, ...]:
        start, length = reader.vector(position, 2)
        return Struct(f"<{length}H").unpack_from(reader.data, start)


def utf8(text: Any, field: str) -> bytes:
    """`text` as UTF-8, or a `ValidationError` that names `field`."""
    if not isinstance(text, str):
        raise ValidationError(f"{field}: {text!r} is a {type(text).__name__}, not text", field=field)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValidationError(f"{field}: {text!r} has no UTF-8 form: {error.reason}", field=field) from None


def _vector(builder: Builder, offsets: list[int]) -> int | None:
    if not offsets:
        return None
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def u8() -> Scalar:
    """A ubyte."""
    return Scalar("B", "PrependUint8Slot", 0, 0xFF, 0)


def u16(default: int = 0) -> Scalar:
    """A ushort."""
    return Scalar("H", "PrependUint16Slot", 0, 0xFFFF, default)


def u32(default: int | None = 0) -> Scalar:
    """A uint."""
    return Scalar("I", "PrependUint32Slot", 0, 0xFFFF_FFFF, default)


def u64(default: int | None = 0) -> Scalar:
    """A ulong."""
    return Scalar("Q", "PrependUint64Slot", 0, 2**64 - 1, default)


def i64(default: int | None = 0) -> Scalar:
    """A long."""
    return Scalar("q", "PrependInt64Slot", -(2**63), 2**63 - 1, default)


def optional(enum: type[OpenEnum]) -> Enumeration:
    """An enum whose absence is told from its 0."""
    return Enumeration(enum, default=None)


def number_or_zero() -> Number:
    """A Decimal whose absence means zero."""
    return Number(cast("Any", from_wire(0, 0)))
