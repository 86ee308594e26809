"""Channel options: the original's, and those that let a channel recover within a second."""

from __future__ import annotations

from fallback_grpc.channel import channel_options


def test_the_options_of_the_original_are_there_unchanged() -> None:
    options = dict(channel_options("127.0.0.1:1"))
    assert options["grpc.keepalive_time_ms"] == 30_000
    assert options["grpc.keepalive_timeout_ms"] == 5_000
    assert options["grpc.keepalive_permit_without_calls"] == 1
    assert options["grpc.http2.max_pings_without_data"] == 0
    assert options["grpc.http2.min_time_between_pings_ms"] == 10_000
    assert options["grpc.http2.min_ping_interval_without_data_ms"] == 300_000


def test_reconnects_are_tried_several_times_within_a_second() -> None:
    options = dict(channel_options("127.0.0.1:1"))
    backoffs = ("grpc.initial_reconnect_backoff_ms", "grpc.min_reconnect_backoff_ms", "grpc.max_reconnect_backoff_ms")
    assert all(0 < int(options[name]) <= 500 for name in backoffs)


def test_grpc_resends_nothing_by_itself() -> None:
    assert dict(channel_options("127.0.0.1:1"))["grpc.enable_retries"] == 0


def test_a_unix_socket_names_an_authority_that_http_servers_accept() -> None:
    assert dict(channel_options("unix:/run/engine.sock"))["grpc.default_authority"] == "localhost"
    assert "grpc.default_authority" not in dict(channel_options("127.0.0.1:1"))
