"""Configuration: a file, the environment over it, arguments over both; wrong settings are named."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zmq

from transport import BlockingFastPathClient, BridgeConfig, FastPathClient, RetryRule, RetryTable, ValidationError
from transport.carriers.pyzmq_dealer import DealerOptions, PyzmqDealer

NO_ENVIRONMENT: dict[str, str] = {}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bridge.toml"
    path.write_text(
        '[execution_bridge]\nzmq_endpoint = "tcp://10.0.0.1:1"\nmax_in_flight = 7\ncall_timeout_ms = 500\n'
        '[execution_bridge.retries.network]\nmax_retries = 9\nbackoff = "linear"\n[other]\nx = 1\n'
    )
    return path


def test_each_source_goes_over_the_one_before(file: Path) -> None:
    environment = {"EXECUTION_BRIDGE_MAX_IN_FLIGHT": "8", "EXECUTION_BRIDGE_CALL_TIMEOUT_MS": "600.5", "HOME": "/x"}
    config = BridgeConfig.load(file, environment=environment, call_timeout_ms=700, account=None)
    assert (config.zmq_endpoint, config.max_in_flight, config.call_timeout_ms) == ("tcp://10.0.0.1:1", 8, 700)
    assert (config.account, config.retries.network.max_retries, config.retries.execution.max_retries) == (
        "default",
        9,
        1,
    )


def test_defaults_need_no_source() -> None:
    assert BridgeConfig.load(environment=NO_ENVIRONMENT).heartbeat_timeout_ms == 90


def test_each_client_has_a_session_of_its_own() -> None:
    assert BridgeConfig().session_id != BridgeConfig().session_id


def test_the_originals_names_are_understood_in_every_source(file: Path) -> None:
    config = BridgeConfig.from_mapping({"rust_endpoint": "host:50051", "sync_timeout": 10.0})
    assert (config.grpc_endpoint, config.call_timeout_ms) == ("host:50051", 10_000)
    environment = {"EXECUTION_BRIDGE_RUST_ENDPOINT": "other:1", "EXECUTION_BRIDGE_SYNC_TIMEOUT": "3"}
    config = BridgeConfig.load(file, environment=environment)
    assert (config.grpc_endpoint, config.call_timeout_ms) == ("other:1", 3000)


def test_retries_come_from_the_environment_as_json() -> None:
    environment = {"EXECUTION_BRIDGE_RETRIES": '{"network": {"max_retries": 0}}'}
    assert BridgeConfig.load(environment=environment).retries.network.max_retries == 0


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"zmq_endpiont": "x"}, "zmq_endpiont"),
        ({"zmq_endpoint": "127.0.0.1:5555"}, "zmq_endpoint"),
        ({"pub_endpoint": "nowhere"}, "pub_endpoint"),
        ({"codec": "fast"}, "codec"),
        ({"carrier": "pigeon"}, "carrier"),
        ({"carrier": "native", "codec": "portable"}, "carrier"),
        ({"spin_us": -1}, "spin_us"),
        ({"spin_us": 1.5}, "spin_us"),
        ({"spin_us": 2_000_000}, "spin_us"),
        ({"max_in_flight": 0}, "max_in_flight"),
        ({"max_in_flight": "many"}, "max_in_flight"),
        ({"call_timeout_ms": -1}, "call_timeout_ms"),
        ({"call_timeout_ms": float("nan")}, "call_timeout_ms"),
        ({"session_id": ""}, "session_id"),
        ({"reconnect_min_ms": 5000}, "reconnect_max_ms"),
        ({"heartbeat_timeout_ms": 10}, "heartbeat_timeout_ms"),
        ({"hedge_after_us": -1}, "hedge_after_us"),
        ({"hedge_share": 1.5}, "hedge_share"),
        ({"unknown_resolution_ms": -1.0}, "unknown_resolution_ms"),
        ({"prefer": "carrier-pigeon"}, "prefer"),
        ({"breaker_slow_call_share": 2}, "breaker_slow_call_share"),
        ({"sync_timeout": "soon"}, "sync_timeout"),
        ({"retries": {"network": {"max_retires": 1}}}, "retries"),
        ({"retries": {"network": {"max_retries": -1}}}, "retries"),
        ({"retries": {"execution": {"first_delay_ms": float("nan")}}}, "retries"),
        ({"heartbeat_interval_ms": 2**31, "heartbeat_timeout_ms": 2**31}, "heartbeat_interval_ms"),
        ({"connect_timeout_ms": 2**31}, "connect_timeout_ms"),
        ({"max_in_flight": 2**30}, "max_in_flight"),
        ({"grpc_endpoint": ""}, "grpc_endpoint"),
        ({"cancel_on_disconnect_ms": -1}, "cancel_on_disconnect_ms"),
        ({"cancel_on_disconnect_ms": 2**32}, "cancel_on_disconnect_ms"),
        ({"cancel_on_disconnect_ms": 1.5}, "cancel_on_disconnect_ms"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field) as raised:
        BridgeConfig.load(environment=NO_ENVIRONMENT, **settings)
    assert raised.value.field == field


def test_carrier_and_spinning_come_from_the_environment() -> None:
    environment = {"EXECUTION_BRIDGE_CARRIER": "pyzmq", "EXECUTION_BRIDGE_SPIN_US": "50"}
    config = BridgeConfig.load(environment=environment)
    assert (config.carrier, config.spin_us) == ("pyzmq", 50)
    with pytest.raises(ValidationError, match="EXECUTION_BRIDGE_SPIN_US"):
        BridgeConfig.load(environment={"EXECUTION_BRIDGE_SPIN_US": "long"})


def test_a_number_that_may_be_absent_comes_from_the_environment_too() -> None:
    def read(text: str) -> int | None:
        return BridgeConfig.load(environment={"EXECUTION_BRIDGE_CANCEL_ON_DISCONNECT_MS": text}).cancel_on_disconnect_ms

    assert (read("1500"), read("0"), read("null")) == (1500, 0, None)
    assert BridgeConfig().cancel_on_disconnect_ms is None


def test_a_number_that_is_none_is_named_with_its_variable() -> None:
    with pytest.raises(ValidationError, match="EXECUTION_BRIDGE_MAX_IN_FLIGHT"):
        BridgeConfig.load(environment={"EXECUTION_BRIDGE_MAX_IN_FLIGHT": "lots"})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"missing\.toml"):
        BridgeConfig.load(tmp_path / "missing.toml", environment=NO_ENVIRONMENT)
    broken = tmp_path / "broken.toml"
    broken.write_text("[execution_bridge")
    with pytest.raises(ValidationError, match=r"broken\.toml"):
        BridgeConfig.load(broken, environment=NO_ENVIRONMENT)


def test_an_argument_stands_over_the_environment_under_either_name() -> None:
    environment = {"EXECUTION_BRIDGE_CALL_TIMEOUT_MS": "600", "EXECUTION_BRIDGE_GRPC_ENDPOINT": "environment:1"}
    config = BridgeConfig.load(environment=environment, sync_timeout=1.0, rust_endpoint="argument:1")
    assert (config.call_timeout_ms, config.grpc_endpoint) == (1000, "argument:1")


def test_a_rule_given_in_part_keeps_the_rest_of_its_default() -> None:
    retries = BridgeConfig.from_mapping({"retries": {"network": {"max_retries": 5}}}).retries
    assert retries.network == RetryRule(max_retries=5, backoff="exponential")
    assert retries.execution == RetryTable().execution


def asynchronous_config(made_of: Any) -> BridgeConfig:
    client = FastPathClient(made_of)
    asyncio.run(client.close())
    return client.config


@pytest.mark.parametrize("made_of", [None, {"account": "desk"}], ids=["nothing", "mapping"])
def test_entry_points_fill_from_the_environment_what_is_not_given(
    monkeypatch: pytest.MonkeyPatch, made_of: dict[str, Any] | None
) -> None:
    monkeypatch.setenv("EXECUTION_BRIDGE_MAX_IN_FLIGHT", "7")
    monkeypatch.setenv("EXECUTION_BRIDGE_ACCOUNT", "environment")
    with closing(BlockingFastPathClient(made_of)) as client:
        assert client.config.max_in_flight == 7
        assert client.config.account == ("environment" if made_of is None else "desk")
    assert asynchronous_config(made_of).max_in_flight == 7
    assert BridgeConfig.of(made_of, account="argument").account == "argument"


def test_a_configuration_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECUTION_BRIDGE_MAX_IN_FLIGHT", "7")
    config = BridgeConfig(account="desk")
    assert asynchronous_config(config) is config
    changed = BridgeConfig.of(config, batch_window=3)
    assert (changed.account, changed.batch_window, changed.max_in_flight) == ("desk", 3, config.max_in_flight)
    assert changed.session_id == config.session_id


def test_an_option_that_libzmq_cannot_hold_is_an_error_and_not_a_hang() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    options = DealerOptions(
        endpoint="tcp://127.0.0.1:1", heartbeat_interval_ms=2**40, heartbeat_timeout_ms=2**40, connect_timeout_ms=1,
        queue_messages=1,
    )  # fmt: skip
    with pytest.raises((OverflowError, OSError)):
        PyzmqDealer(context, options)
    # pytest's time-out would end this if the socket were still open.
    context.term()
