"""The native codec: the PyO3 module `transport._native`, which has the functions of the seam by the same names."""

from __future__ import annotations

import importlib
from typing import Any

from transport.wire.codec import Codec


class NativeCodec:
    """See `transport.wire.codec.Codec`. The methods are the module's own functions, with nothing in between."""

    name = "native"

    def __init__(self, module: Any) -> None:
        self.encode_execute_order = module.encode_execute_order
        self.encode_execute_batch = module.encode_execute_batch
        self.encode_request = module.encode_request
        self.decode = module.decode


def load() -> Codec:
    """The native codec; `ImportError` where the module is not built."""
    module = importlib.import_module("transport._native")
    return NativeCodec(module)
