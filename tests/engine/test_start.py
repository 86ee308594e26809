"""What keeps an engine from starting: one clear line, and an exit code that a script can tell apart."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from transport.contract.requests import HealthCheck

ENDPOINTS = ("--zmq", "tcp://127.0.0.1:0", "--pub", "tcp://127.0.0.1:0", "--grpc", "127.0.0.1:0")

BAD_SETTINGS = {
    "unknown key": ("no_such_setting = 1", "no_such_setting"),
    "unknown limit": ("[limits]\nmax_sockets = 1", "max_sockets"),
    "wrong type": ('drain_ms = "soon"', "line 1"),
    "no TOML": ("drain_ms = ", "line 1"),
    "a bound of nothing": ("[limits]\nmax_connections = 0", "limits.max_connections"),
    "durability": ('durability = "sometimes"', "durability"),
    "venue kind": ('[venue]\nkind = "imaginary"', "venue.kind"),
    "venue endpoint": ('[venue]\nkind = "external"', "venue.endpoint"),
    "segment size": ("[journal]\nsegment_bytes = 1", "journal.segment_bytes"),
    "a tick that is no number": ('[[instruments]]\nsymbol = "A"\ntick = "x"\nquantity_step = "1"', "tick"),
    "a tick of nothing": ('[[instruments]]\nsymbol = "A"\ntick = "0"\nquantity_step = "1"', "tick"),
}  # fmt: skip


def assert_one_line(stderr: str, *words: str) -> None:
    lines = [line for line in stderr.splitlines() if line.startswith("execution-engine:")]
    assert len(lines) == 1, stderr
    assert "panicked" not in stderr and "backtrace" not in stderr
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize("case", BAD_SETTINGS)
def test_a_bad_setting_is_one_line_that_names_it(case: str, command_line: Any, tmp_path: Path) -> None:
    text, named = BAD_SETTINGS[case]
    config = tmp_path / "engine.toml"
    config.write_text(text)
    done = command_line("serve", "--config", config, *ENDPOINTS, "--data-dir", tmp_path / "journal")
    assert done.returncode == 2 and done.stdout == ""
    assert_one_line(done.stderr, named)


def test_a_setting_that_the_core_refuses_is_named_once(command_line: Any, tmp_path: Path) -> None:
    config = tmp_path / "engine.toml"
    config.write_text('[[instruments]]\nsymbol = "A"\ntick = "0"\nquantity_step = "1"')
    done = command_line("serve", "--config", config, *ENDPOINTS, "--data-dir", tmp_path / "journal")
    assert done.stderr.count("configuration:") == 1


@pytest.mark.parametrize("endpoint", ["tcp://0.0.0.0:0", "tcp://*:0", "tcp://192.0.2.1:0", "udp://127.0.0.1:1"])
def test_what_other_machines_could_reach_is_refused(endpoint: str, command_line: Any, tmp_path: Path) -> None:
    others = ("--pub", "tcp://127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data-dir", tmp_path / "journal")
    done = command_line("serve", "--zmq", endpoint, *others)
    assert done.returncode == 2
    assert_one_line(done.stderr, endpoint)


def test_grpc_is_bound_to_loopback_too(command_line: Any, tmp_path: Path) -> None:
    others = ("--zmq", "tcp://127.0.0.1:0", "--pub", "tcp://127.0.0.1:0", "--data-dir", tmp_path / "journal")
    done = command_line("serve", *others, "--grpc", "0.0.0.0:0")
    assert done.returncode == 2
    assert_one_line(done.stderr, "0.0.0.0:0")


def test_a_port_that_is_taken_is_named(command_line: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for option in ("--zmq", "--grpc"):
            endpoint = address if option == "--grpc" else f"tcp://{address}"
            rest = [
                part for pair in zip(ENDPOINTS[::2], ENDPOINTS[1::2], strict=True) if pair[0] != option for part in pair
            ]
            done = command_line("serve", *rest, option, endpoint, "--data-dir", tmp_path / "journal")
            assert done.returncode == 2
            assert_one_line(done.stderr, address)


def test_a_data_directory_in_use_is_refused_and_its_engine_goes_on(engine: Any, command_line: Any) -> None:
    done = command_line("serve", *ENDPOINTS, "--data-dir", engine.data_dir)
    assert done.returncode == 2
    assert_one_line(done.stderr, str(engine.data_dir), str(engine.pid))
    assert engine.stop() == 0


def test_a_socket_file_in_use_is_refused_and_a_stale_one_is_replaced(
    start_engine: Any, command_line: Any, tmp_path: Path
) -> None:
    endpoint = f"ipc://{tmp_path}/engine.sock"
    engine = start_engine(zmq=endpoint)
    others = ("--pub", "tcp://127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data-dir", tmp_path / "other")
    done = command_line("serve", "--zmq", endpoint, *others)
    assert done.returncode == 2
    assert_one_line(done.stderr, endpoint)
    engine.kill()
    assert (tmp_path / "engine.sock").exists()
    engine.start()
    assert engine.stop() == 0
    assert not (tmp_path / "engine.sock").exists()


def test_a_damaged_journal_is_refused_by_file_and_offset(start_engine: Any, command_line: Any) -> None:
    engine = start_engine()
    assert engine.stop() == 0
    [segment] = sorted(engine.data_dir.glob("*.seg"))[:1]
    content = bytearray(segment.read_bytes())
    content[120] ^= 0xFF
    segment.write_bytes(content)
    for command in (("serve", *ENDPOINTS, "--data-dir"), ("verify",), ("dump",)):
        done = command_line(*command, engine.data_dir)
        assert done.returncode == 3, done.stderr
        assert_one_line(done.stderr, segment.name, "offset")


def test_a_missing_argument_is_named(command_line: Any, tmp_path: Path) -> None:
    done = command_line("serve", "--data-dir", tmp_path)
    assert done.returncode == 2
    assert_one_line(done.stderr, "zmq")


def test_a_journal_that_is_not_there_is_one_line(command_line: Any, tmp_path: Path) -> None:
    for command in ("verify", "dump"):
        done = command_line(command, tmp_path / "nothing")
        assert done.returncode != 0
        assert_one_line(done.stderr, "nothing")


def test_the_command_line_is_stronger_than_the_file(start_engine: Any, connect: Any) -> None:
    engine = start_engine('durability = "always"\n[limits]\nmax_batch_orders = 7')
    client = connect(engine.zmq)
    assert client.hello().limits.max_batch_orders == 7
    assert client.ask(2, HealthCheck()).durability == "os"
