"""A client written from `schemas/` alone: raw pyzmq and flatc's own output, none of our code on its side."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import flatbuffers
import pytest
import zmq

from examples.rig.engine_process import EngineProcess

SCHEMA = Path(__file__).parents[2] / "schemas" / "execution.fbs"
OLDER_SCHEMA = Path(__file__).parent / "older" / "execution.fbs"
"""As it was before risk limits, cancel on disconnect and lists of open orders; never to change."""
NEWEST_BODIES = "  SetRiskLimits, SetCancelOnDisconnect, ListOpenOrders, OpenOrders\n"
IDENTIFIER = b"XBR1"


def _newer(schema: str) -> str:
    """The schema of a release to come: more fields in tables that a client sends, one more body."""
    for table in ("Hello", "TradeOrder", "Envelope"):
        start = schema.index(f"table {table} {{")
        end = schema.index("}", start)
        schema = f"{schema[:end]}  added_later: string;\n{schema[end:]}"
    assert NEWEST_BODIES in schema
    schema = schema.replace(NEWEST_BODIES, NEWEST_BODIES.replace("\n", ", LaterRequest\n"))
    return schema.replace("union Body {", "table LaterRequest { text: string; }\nunion Body {")


@pytest.fixture(scope="module", params=["this release's schema", "a newer schema", "an older schema"])
def fbs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """flatc's Python code, generated here and now."""
    folder = tmp_path_factory.mktemp("flatc")
    flatc = Path(sysconfig.get_path("scripts")) / "flatc"
    text = (OLDER_SCHEMA if "older" in request.param else SCHEMA).read_text()
    source = folder / SCHEMA.name
    source.write_text(_newer(text) if "newer" in request.param else text)
    command = [str(flatc), "--python", "--gen-onefile", "--filename-suffix", "", "-o", str(folder), str(source)]
    subprocess.run(command, check=True, timeout=100)
    spec = importlib.util.spec_from_file_location("raw_execution", folder / "execution.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["raw_execution"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["tcp", "ipc"])
def socket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[zmq.Socket[bytes]]:
    ipc = f"ipc://{tmp_path}/engine.sock"
    with EngineProcess(tmp_path / "journal", arguments=("--zmq", ipc)) as engine, zmq.Context() as context:
        with context.socket(zmq.DEALER) as dealer:
            dealer.setsockopt(zmq.LINGER, 0)
            dealer.setsockopt(zmq.RCVTIMEO, 10_000)
            dealer.connect(engine.zmq if request.param == "tcp" else ipc)
            yield dealer
        assert engine.stop() == 0


def _envelope(
    fbs: ModuleType, builder: Any, correlation: int, body_type: int, body: int, journal_id: str = ""
) -> bytes:
    journal, later = (builder.CreateString(text) for text in (journal_id, "later"))
    fbs.EnvelopeStart(builder)
    _add_later(fbs, builder, "Envelope", later)
    fbs.EnvelopeAddCorrelation(builder, correlation)
    fbs.EnvelopeAddJournalId(builder, journal)
    fbs.EnvelopeAddBodyType(builder, body_type)
    fbs.EnvelopeAddBody(builder, body)
    builder.Finish(fbs.EnvelopeEnd(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def _add_later(fbs: ModuleType, builder: Any, table: str, text: int) -> None:
    """Gives the field that only the newer schema has."""
    add = getattr(fbs, f"{table}AddAddedLater", None)
    if add is not None:
        add(builder, text)


def _hello(fbs: ModuleType, protocol_version: int = 1, resume_from: int | None = None) -> bytes:
    builder = flatbuffers.Builder(256)
    client, later = (builder.CreateString(text) for text in ("raw client", "later"))
    fbs.HelloStart(builder)
    _add_later(fbs, builder, "Hello", later)
    fbs.HelloAddProtocolVersion(builder, protocol_version)
    fbs.HelloAddClient(builder, client)
    if resume_from is not None:
        fbs.HelloAddResumeFrom(builder, resume_from)
    return _envelope(fbs, builder, 1, fbs.Body.Hello, fbs.HelloEnd(builder))


def _order(fbs: ModuleType, correlation: int, journal_id: str, order_id: str) -> bytes:
    builder = flatbuffers.Builder(256)
    ids = [builder.CreateString(text) for text in (order_id, "NASDAQ", "later")]
    fbs.TradeOrderStart(builder)
    _add_later(fbs, builder, "TradeOrder", ids[2])
    fbs.TradeOrderAddOrderId(builder, ids[0])
    fbs.TradeOrderAddSymbol(builder, ids[1])
    fbs.TradeOrderAddOrderType(builder, fbs.OrderType.MARKET)
    fbs.TradeOrderAddSide(builder, fbs.OrderSide.BUY)
    fbs.TradeOrderAddQuantity(builder, fbs.CreateDecimal(builder, 25, -1))
    order = fbs.TradeOrderEnd(builder)
    fbs.ExecuteOrderStart(builder)
    fbs.ExecuteOrderAddOrder(builder, order)
    return _envelope(fbs, builder, correlation, fbs.Body.ExecuteOrder, fbs.ExecuteOrderEnd(builder), journal_id)


def _answer(fbs: ModuleType, socket: zmq.Socket[bytes], request: bytes, kind: str) -> tuple[int, Any]:
    """Sends a request; the correlation number and body of the answer, which must be of this kind."""
    socket.send(request)
    data = socket.recv()
    assert not socket.getsockopt(zmq.RCVMORE), "one part"
    assert data[4:8] == IDENTIFIER
    envelope = fbs.Envelope.GetRootAs(data)
    assert envelope.BodyType() == getattr(fbs.Body, kind), envelope.BodyType()
    union = envelope.Body()
    body = getattr(fbs, kind)()
    body.Init(union.Bytes, union.Pos)
    return envelope.Correlation(), body


def test_hello_an_order_and_the_same_order_again(fbs: ModuleType, socket: zmq.Socket[bytes]) -> None:
    _, welcome = _answer(fbs, socket, _hello(fbs), "Welcome")
    journal_id = welcome.JournalId().decode()
    assert welcome.Epoch() == 1
    correlation, executed = _answer(fbs, socket, _order(fbs, 7, journal_id, "raw-1"), "ExecuteReply")
    assert (correlation, executed.Duplicate()) == (7, False)
    reply = executed.Reply()
    assert (reply.OrderId(), reply.Status()) == (b"raw-1", fbs.ExecutionStatus.FILLED)
    quantity = reply.ExecutedQuantity()
    assert quantity.Mantissa() * 10.0 ** quantity.Exponent() == 2.5
    assert reply.ExecutedPrice().Mantissa() > 0
    _, again = _answer(fbs, socket, _order(fbs, 8, journal_id, "raw-1"), "ExecuteReply")
    assert again.Duplicate()
    assert again.Reply().Sequence() == reply.Sequence()


def test_an_unknown_version_is_answered_with_those_that_are_known(fbs: ModuleType, socket: zmq.Socket[bytes]) -> None:
    _, refusal = _answer(fbs, socket, _hello(fbs, protocol_version=9), "Refusal")
    assert refusal.Code() == fbs.ReasonCode.UNSUPPORTED_PROTOCOL_VERSION
    assert [refusal.SupportedProtocolVersions(n) for n in range(refusal.SupportedProtocolVersionsLength())] == [1]
    _answer(fbs, socket, _hello(fbs), "Welcome")


def test_a_client_that_has_seen_more_than_the_engine_is_told_so_and_by_whom(
    fbs: ModuleType, socket: zmq.Socket[bytes]
) -> None:
    _, refusal = _answer(fbs, socket, _hello(fbs, resume_from=1_000), "Refusal")
    assert refusal.Code() == fbs.ReasonCode.STATE_REGRESSED
    named = refusal.JournalId()
    _, welcome = _answer(fbs, socket, _hello(fbs), "Welcome")
    assert named == welcome.JournalId()


@pytest.mark.parametrize("journal_id", ["", "00000000-0000-4000-8000-000000000000"])
def test_an_order_for_another_journal_is_refused_before_any_effect(
    fbs: ModuleType, socket: zmq.Socket[bytes], journal_id: str
) -> None:
    _, welcome = _answer(fbs, socket, _hello(fbs), "Welcome")
    correlation, refusal = _answer(fbs, socket, _order(fbs, 3, journal_id, "raw-2"), "Refusal")
    assert (correlation, refusal.Code()) == (3, fbs.ReasonCode.JOURNAL_ID_MISMATCH)
    _, executed = _answer(fbs, socket, _order(fbs, 4, welcome.JournalId().decode(), "raw-2"), "ExecuteReply")
    assert not executed.Duplicate()


def test_a_request_before_hello_and_bytes_that_are_nothing_are_refused(
    fbs: ModuleType, socket: zmq.Socket[bytes]
) -> None:
    _, refusal = _answer(fbs, socket, _order(fbs, 5, "", "raw-3"), "Refusal")
    assert refusal.Code() == fbs.ReasonCode.HELLO_REQUIRED
    # Of a message whose end is missing the number could still be read.
    numbers = {b"": 0, b"\x00" * 7: 0, b"not a flatbuffer": 0, _hello(fbs)[:-9]: 1}
    for garbage, number in numbers.items():
        correlation, refusal = _answer(fbs, socket, garbage, "Refusal")
        assert (correlation, refusal.Code()) == (number, fbs.ReasonCode.MALFORMED_MESSAGE)
    _answer(fbs, socket, _hello(fbs), "Welcome")


def test_a_request_of_a_newer_schema_is_refused_and_costs_nothing(fbs: ModuleType, socket: zmq.Socket[bytes]) -> None:
    later = getattr(fbs.Body, "LaterRequest", None)
    if later is None:
        newest = getattr(fbs.Body, "OpenOrders", fbs.Body.TopicMark)
        assert newest in (28, 32), "the newest body of the release before, and of this one"
        return
    _, welcome = _answer(fbs, socket, _hello(fbs), "Welcome")
    builder = flatbuffers.Builder(64)
    fbs.LaterRequestStart(builder)
    journal_id = welcome.JournalId().decode()
    request = _envelope(fbs, builder, 11, later, fbs.LaterRequestEnd(builder), journal_id)
    correlation, refusal = _answer(fbs, socket, request, "Refusal")
    assert (correlation, refusal.Code()) == (11, fbs.ReasonCode.NOT_IMPLEMENTED)
    _answer(fbs, socket, _order(fbs, 12, journal_id, "raw-4"), "ExecuteReply")
