"""gRPC channels: the options of the original design, and those that let a channel recover within a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import grpc
import grpc.aio

from transport.contract.codes import ReasonCode
from transport.contract.conclusions import Refused
from transport.contract.config import BridgeConfig

ChannelOption = tuple[str, int | str]

# The original design's options, unchanged.
_ORIGINAL_OPTIONS: tuple[ChannelOption, ...] = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_time_between_pings_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 300_000),
)


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """What may be tuned on a channel.

    `reconnect_min_ms` and `reconnect_max_ms` bound the pause between attempts to connect. gRPC's own
    defaults grow to 120 s; an engine that restarts within a second would then be found a minute later.
    `connect_attempt_ms` is how long one attempt may take (gRPC's name for it misleads).
    `max_message_bytes` bounds messages in both directions; the default is gRPC's.
    """

    reconnect_min_ms: int = 50
    reconnect_max_ms: int = 500
    connect_attempt_ms: int = 500
    max_message_bytes: int = 4 * 1024 * 1024

    @classmethod
    def of(cls, config: BridgeConfig) -> Self:
        """As the configuration says. gRPC adds up to a fifth to a pause: taken off, so that its bound holds."""
        least_ms = max(1, int(config.reconnect_min_ms))
        return cls(reconnect_min_ms=least_ms, reconnect_max_ms=max(least_ms, int(config.reconnect_max_ms / 1.2)))


def refuse_too_large(size_bytes: int, settings: ChannelSettings | None) -> Refused | None:
    """The refusal of a message that gRPC would not send: its own status for that would leave the outcome unknown."""
    most = (settings or ChannelSettings()).max_message_bytes
    if size_bytes <= most:
        return None
    return Refused(ReasonCode.MESSAGE_TOO_LARGE, f"{size_bytes} bytes; this client sends at most {most}")


def channel_options(endpoint: str, settings: ChannelSettings | None = None) -> list[ChannelOption]:
    """Options of a channel to `endpoint` (`host:port`, or `unix:/path`)."""
    settings = settings or ChannelSettings()
    options = list(_ORIGINAL_OPTIONS)
    options += [
        ("grpc.initial_reconnect_backoff_ms", settings.reconnect_min_ms),
        ("grpc.min_reconnect_backoff_ms", settings.connect_attempt_ms),
        ("grpc.max_reconnect_backoff_ms", settings.reconnect_max_ms),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        # Resending is decided by the failover plan alone, which knows what each copy came to. Without
        # gRPC's own (transparent) retries, "failed to connect" also proves that nothing was ever sent.
        ("grpc.enable_retries", 0),
        # Channels with equal options share one connection; a bridge's paths must fail by themselves.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if endpoint.startswith("unix:"):
        # gRPC would send the escaped socket path as HTTP/2 authority, which tonic (hyper) refuses.
        options.append(("grpc.default_authority", "localhost"))
    return options


def open_channel(endpoint: str, settings: ChannelSettings | None = None) -> grpc.Channel:
    """A channel for blocking use. It connects when it is first used."""
    return grpc.insecure_channel(endpoint, options=channel_options(endpoint, settings))


def open_aio_channel(endpoint: str, settings: ChannelSettings | None = None) -> grpc.aio.Channel:
    """A channel for asyncio. Call it inside the event loop that will use it."""
    return grpc.aio.insecure_channel(endpoint, options=channel_options(endpoint, settings))
