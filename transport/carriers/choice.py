"""Which carrier a client uses."""

from __future__ import annotations

import importlib
from typing import Any, Literal

from transport.contract.config import BridgeConfig
from transport.contract.errors import ValidationError


def native_module() -> Any:
    """The PyO3 module `transport._native`; `ImportError` where it is not built, or built without the carrier."""
    module = importlib.import_module("transport._native")
    if not hasattr(module, "Connection"):
        raise ImportError("transport._native was built from an older tree, without the carrier")
    return module


def choose_carrier(config: BridgeConfig) -> Literal["native", "pyzmq"]:
    """What `config.carrier` comes to here: `auto` is native where that is built and the codec is not `portable`.

    Raises `ValidationError` (field `carrier`) where `native` is asked for and not built.
    """
    if config.carrier == "pyzmq" or (config.carrier == "auto" and config.codec == "portable"):
        return "pyzmq"
    try:
        native_module()
    except ImportError as error:
        if config.carrier == "native":
            raise ValidationError(
                f"carrier: the native module transport._native is not built ({error}); "
                "install the package with a Rust toolchain, or choose carrier='pyzmq'",
                field="carrier",
            ) from error
        return "pyzmq"
    return "native"
