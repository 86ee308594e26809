"""Which paths a bridge uses follows from the endpoints that were given, wherever they were given."""

from __future__ import annotations

from typing import Any

import pytest

from fallback_grpc.bridge_settings import bridge_settings
from fallback_grpc.channel import ChannelSettings, channel_options
from transport.contract.config import BridgeConfig

ZMQ, GRPC = "tcp://127.0.0.1:6001", "127.0.0.1:6002"


@pytest.mark.parametrize("config", [{"rust_endpoint": GRPC}, {"grpc_endpoint": GRPC, "zmq_endpoint": None}])
def test_only_grpc_given_is_grpc_alone(config: dict[str, Any]) -> None:
    settings = bridge_settings(config)
    assert (settings.paths, settings.config.grpc_endpoint) == (("grpc",), GRPC)
    assert bridge_settings(None, config).paths == ("grpc",)


@pytest.mark.parametrize("config", [{}, {"rust_endpoint": GRPC, "zmq_endpoint": ZMQ}, BridgeConfig(grpc_endpoint=GRPC)])
def test_both_or_neither_given_means_both_and_one_engine(config: Any) -> None:
    settings = bridge_settings(config)
    assert (settings.paths, settings.one_engine) == (("zmq", "grpc"), True)


def test_only_the_fast_path_given_leaves_grpc_as_a_help() -> None:
    settings = bridge_settings({"zmq_endpoint": ZMQ})
    assert (settings.paths, settings.one_engine) == (("zmq", "grpc"), False)


def test_an_endpoint_of_the_environment_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECUTION_BRIDGE_RUST_ENDPOINT", GRPC)
    assert bridge_settings({}).paths == ("grpc",)
    monkeypatch.setenv("EXECUTION_BRIDGE_ZMQ_ENDPOINT", ZMQ)
    settings = bridge_settings({})
    assert (settings.paths, settings.one_engine, settings.config.zmq_endpoint) == (("zmq", "grpc"), True, ZMQ)


def test_pauses_between_attempts_to_connect_reach_grpc() -> None:
    settings = ChannelSettings.of(BridgeConfig(reconnect_min_ms=30.0, reconnect_max_ms=600.0))
    options = dict(channel_options(GRPC, settings))
    assert options["grpc.initial_reconnect_backoff_ms"] == 30
    assert options["grpc.max_reconnect_backoff_ms"] == 500
