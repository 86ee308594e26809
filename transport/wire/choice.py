"""Which codec a client uses."""

from __future__ import annotations

from transport.contract.errors import ValidationError
from transport.wire import native
from transport.wire.codec import Codec, CodecName
from transport.wire.portable import PortableCodec


def choose_codec(name: CodecName) -> Codec:
    """`native`, `portable`, or `auto`: native where it is built, else portable (some twenty times slower)."""
    if name == "portable":
        return PortableCodec()
    try:
        return native.load()
    except ImportError as error:
        if name == "native":
            raise ValidationError(
                f"codec: the native module transport._native is not built ({error}); "
                "install the package with a Rust toolchain, or choose codec='portable'",
                field="codec",
            ) from error
        return PortableCodec()
