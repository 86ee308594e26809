"""Configuration of the bridge's clients: a TOML file, environment variables, arguments; each over the one before."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self, cast

import msgspec

from transport.contract.errors import ValidationError
from transport.contract.ids import is_printable_ascii_id, new_session_id
from transport.contract.retries import RetryTable

ENVIRONMENT_PREFIX: Final = "EXECUTION_BRIDGE_"
TOML_TABLE: Final = "execution_bridge"


class BridgeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a client, checked when made. Times are milliseconds unless the name says otherwise."""

    zmq_endpoint: str = "tcp://127.0.0.1:5555"
    """The engine's ROUTER: `tcp://host:port` or `ipc://path`."""
    pub_endpoint: str = ""
    """The engine's PUB socket; empty: the one that the engine names in its Welcome."""
    grpc_endpoint: str = "127.0.0.1:50051"
    """The engine's gRPC service: `host:port` or `unix:path`. The original called it `rust_endpoint`."""
    account: str = "default"
    session_id: str = msgspec.field(default_factory=new_session_id)
    """Names this client across both paths."""
    cancel_on_disconnect_ms: int | None = None
    """Have the engine cancel this session's open orders once it has had no connection on either path for so long.
    Said to the engine when the client first connects (`cancel_on_disconnect` of the clients), which journals it: it
    holds after reconnects, failover and restarts of either engine or client, the latter under the same `session_id`,
    until it is set anew. None: nothing is said, and what was said before stays."""
    client_name: str = "execution-bridge-python"
    """Free text that the engine logs."""
    call_timeout_ms: float = 2000.0
    """Bound of a whole call, its retries included. The original's `sync_timeout` (seconds) is taken too."""
    unknown_resolution_ms: float = 2000.0
    """How much longer the bridge goes on with a call whose outcome is unknown when its time is over, while a path is
    alive: it sends the same id again until it knows. 0: not at all. As long as a call by default, so a call that stays
    unknown has ended after twice its time. An order that must not execute that late says so with `expires_at`."""
    prefer: Literal["zmq", "grpc"] = "zmq"
    """The path that calls take while both are well; `client.prefer` changes it at run time."""
    hedge_after_us: int = 0
    """An order without a reply after so long is also sent by the other path (same id: it executes once).
    0: only where its call says so (`hedge=True`), and then at once."""
    hedge_share: float = 0.05
    """Share of a client's orders that may be sent twice, for `hedge_after_us` or because a call asks for it."""
    connect_timeout_ms: float = 1000.0
    """Bound of one connection's handshake, Hello and Welcome included."""
    heartbeat_interval_ms: int = 20
    """Pause between ZMTP PINGs."""
    heartbeat_timeout_ms: int = 90
    """Silence after a PING that ends the connection, 10 ms later at the latest. With the interval that is between 100
    and 120 ms after a path fell silent: an engine may stand still for 100 ms and keeps its connections."""
    reconnect_min_ms: float = 10.0
    reconnect_max_ms: float = 1000.0
    """Pauses between attempts to connect grow from the one to the other, doubling."""
    max_in_flight: int = 4096
    """Requests without a reply per connection (the engine's own limit applies as well). Beyond it, calls of asyncio
    clients wait within their time, and calls of blocking clients are tried again as `retries` says."""
    codec: Literal["auto", "native", "portable"] = "auto"
    """`native`: the PyO3 module; `portable`: pure Python, twenty times slower; `auto`: native where it is built."""
    carrier: Literal["auto", "native", "pyzmq"] = "auto"
    """How the fast path's bytes travel. `native`: without a thread of its own, by the PyO3 module and its codec;
    `pyzmq`: by libzmq; `auto`: native where it is built and the codec is not `portable`, else pyzmq. Market data comes
    by pyzmq in any case."""
    spin_us: int = 0
    """How long a blocking call of the native carrier looks for its reply again and again before it sleeps; 0: never.
    It spares two wake-ups of some 10 us and burns a core for as long as calls wait: only where a core is to spare.
    Asyncio clients do not spin, whatever this says: the event loop does the waiting, for other tasks as well."""
    retries: RetryTable = RetryTable()
    batch_window: int = 512
    """Orders in flight of one `execute_batch_orders`: enough that neither end waits for the other, nor for the disk."""
    breaker_failure_threshold: int = 3
    """Failures of a path within the window that open its circuit breaker."""
    breaker_window_ms: float = 10_000.0
    breaker_slow_call_ms: float = 1000.0
    """A call above this counts as slow."""
    breaker_slow_call_share: float = 0.5
    """Share of slow calls within the window that opens the breaker."""
    breaker_minimum_calls: int = 20
    """Calls within the window below which shares say nothing."""
    breaker_open_ms: float = 100.0
    """Time in state open before the first probe."""
    breaker_half_open_probes: int = 2
    """Probes in a row that must succeed to close the breaker."""

    def __post_init__(self) -> None:
        self._check_numbers()
        if self.carrier == "native" and self.codec == "portable":
            raise _bad("carrier", self.carrier, "decodes by itself: it does not go with codec = 'portable'")
        if not is_printable_ascii_id(self.session_id):
            raise _bad("session_id", self.session_id, "must be 1 to 64 bytes of printable ASCII")
        if self.reconnect_max_ms < self.reconnect_min_ms:
            raise _bad("reconnect_max_ms", self.reconnect_max_ms, "must not be below reconnect_min_ms")
        if self.heartbeat_timeout_ms < self.heartbeat_interval_ms:
            raise _bad("heartbeat_timeout_ms", self.heartbeat_timeout_ms, "must not be below heartbeat_interval_ms")
        self._check_endpoints()

    def _check_numbers(self) -> None:
        for name in _POSITIVE:
            if not 0 < getattr(self, name) < _ENDLESS:
                raise _bad(name, getattr(self, name), "must be above 0, and finite")
        for name in ("spin_us", "hedge_after_us", "unknown_resolution_ms"):
            if not 0 <= getattr(self, name) < _ENDLESS:
                raise _bad(name, getattr(self, name), "must be 0 or above, and finite")
        if self.cancel_on_disconnect_ms is not None and not 0 <= self.cancel_on_disconnect_ms <= _UINT32_MAX:
            raise _bad("cancel_on_disconnect_ms", self.cancel_on_disconnect_ms, f"must be 0 to {_UINT32_MAX}, or None")
        for name, largest in _LARGEST.items():
            if getattr(self, name) > largest:
                raise _bad(name, getattr(self, name), f"must be at most {largest}")
        for name in ("breaker_slow_call_share", "hedge_share"):
            if not 0 < getattr(self, name) <= 1:
                raise _bad(name, getattr(self, name), "must be above 0 and at most 1")

    def _check_endpoints(self) -> None:
        for name in ("zmq_endpoint", "pub_endpoint"):
            endpoint: str = getattr(self, name)
            if not endpoint.startswith(("tcp://", "ipc://")) and not (name == "pub_endpoint" and not endpoint):
                raise _bad(name, endpoint, "must start with tcp:// or ipc://")
        if not self.grpc_endpoint.strip():
            raise _bad("grpc_endpoint", self.grpc_endpoint, "must be host:port or unix:path")

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """A configuration from a dictionary, the original's names included.

        Raises `ValidationError`, its `field` the setting, for unknown names and values of the wrong type or range.
        """
        known = _canonical_names(settings)
        unknown = sorted(set(known) - set(cls.__struct_fields__))
        if unknown:
            raise ValidationError(
                f"configuration: unknown setting {unknown[0]!r}; known are {', '.join(cls.__struct_fields__)}",
                field=unknown[0],
            )
        for name, value in known.items():
            _check_type(name, value)
        if isinstance(known.get("retries"), Mapping):
            known["retries"] = _whole_table(known["retries"])
        return msgspec.convert(known, cls)

    @classmethod
    def of(cls, config: Mapping[str, Any] | Self | None = None, **settings: Any) -> Self:
        """What an entry point was given, as a configuration; `settings` stand over it.

        A `BridgeConfig` is taken as it is. With a mapping, or nothing, the environment says what it does not.
        """
        if not isinstance(config, cls):
            return cls.load(**(dict(cast("Mapping[str, Any]", config or {})) | settings))
        if not settings:
            return config
        return cls.from_mapping({name: getattr(config, name) for name in cls.__struct_fields__} | settings)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> Self:
        """Settings of the TOML file's table `[execution_bridge]`, over them the environment's, over them `arguments`.

        Raises `ValidationError` for a file that cannot be read and for settings as `from_mapping` does. Arguments
        that are None count as not given.
        """
        settings: dict[str, Any] = {} if path is None else _read_table(Path(path))
        settings |= _read_environment(os.environ if environment is None else environment)
        # Under one name each: the argument `sync_timeout` stands over the environment's CALL_TIMEOUT_MS.
        settings |= _canonical_names({name: value for name, value in arguments.items() if value is not None})
        return cls.from_mapping(settings)


_ALIASES: Final = {"rust_endpoint": "grpc_endpoint"}
_POSITIVE: Final = (
    "call_timeout_ms",
    "connect_timeout_ms",
    "heartbeat_interval_ms",
    "heartbeat_timeout_ms",
    "reconnect_min_ms",
    "reconnect_max_ms",
    "max_in_flight",
    "batch_window",
    "breaker_failure_threshold",
    "breaker_window_ms",
    "breaker_slow_call_ms",
    "breaker_minimum_calls",
    "breaker_open_ms",
    "breaker_half_open_probes",
)
_ENDLESS: Final = 1e12
"""Some thirty years of milliseconds."""
_INT32_MAX: Final = 2**31 - 1
_UINT32_MAX: Final = 2**32 - 1
_LARGEST: Final = {
    # What libzmq's options can hold; its queues are set to twice max_in_flight.
    "connect_timeout_ms": _INT32_MAX,
    "heartbeat_interval_ms": _INT32_MAX,
    "heartbeat_timeout_ms": _INT32_MAX,
    "max_in_flight": _INT32_MAX // 2,
    # A second: longer is a mistake in the unit.
    "spin_us": 1_000_000,
}
_TYPES: Final = {field.name: field.type for field in msgspec.structs.fields(BridgeConfig)}


def _bad(name: str, value: object, rule: str) -> ValidationError:
    return ValidationError(f"configuration: {name} = {value!r} {rule}", field=name)


def _seconds_to_ms(seconds: object) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise _bad("sync_timeout", seconds, "must be a number of seconds above 0")
    return float(seconds) * 1000.0


def _whole_table(given: Mapping[str, Any]) -> dict[str, Any]:
    """Rules of a table that is given in part: what is not given of a rule stays as it is by default."""
    standard: dict[str, Any] = msgspec.to_builtins(RetryTable())
    return {
        category: standard[category] | dict(cast("Mapping[str, Any]", rule)) if isinstance(rule, Mapping) else rule
        for category, rule in given.items()
    }


def _check_type(name: str, value: object) -> None:
    try:
        msgspec.convert(value, _TYPES[name])
    except msgspec.ValidationError as error:
        raise _bad(name, value, f"is not usable: {error}") from None


def _read_table(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValidationError(f"configuration file {path}: {error}", field="path") from error
    table: object = document.get(TOML_TABLE, {})
    if not isinstance(table, dict):
        raise ValidationError(f"configuration file {path}: [{TOML_TABLE}] must be a table", field=TOML_TABLE)
    return _canonical_names(cast("dict[str, Any]", table))


def _read_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for variable, text in environment.items():
        if variable.startswith(ENVIRONMENT_PREFIX):
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            settings[name] = _parse(name, text)
    return _canonical_names(settings)


def _canonical_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {_ALIASES.get(name, name): value for name, value in settings.items() if name != "sync_timeout"}
    if "sync_timeout" in settings:
        renamed.setdefault("call_timeout_ms", _seconds_to_ms(settings["sync_timeout"]))
    return renamed


def _parse(name: str, text: str) -> object:
    """The environment has only text: numbers and JSON (for `retries`) are read as such where the setting is no text."""
    expected = _TYPES.get(_ALIASES.get(name, name))
    if name != "sync_timeout" and expected not in (int, float, int | None, RetryTable):
        return text
    try:
        return msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        raise _bad(name, text, f"(from {ENVIRONMENT_PREFIX}{name.upper()}) is no number or JSON") from None
