"""Contract types: validation names the field, ids, exact decimals, codes, errors, retries."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import transport
from tests.unit.transport.fake_engine import filled
from tests.unit.transport.test_codec import order
from transport import (
    AuthenticationError,
    EngineSystemError,
    ExecutionBridgeError,
    ExecutionError,
    ExecutionStatus,
    JournalMismatchError,
    NetworkError,
    NotSent,
    NotSentError,
    OrderSide,
    OrderType,
    OutcomeUnknownError,
    ReasonCode,
    Refused,
    RetryRule,
    RetryTable,
    StateRegressedError,
    Unknown,
    ValidationError,
    new_order_id,
)
from transport.contract.attempts import Attempts
from transport.contract.decimals import from_wire, normalised, to_wire
from transport.contract.errors import error_for_code
from transport.contract.ids import uuid7
from transport.contract.orders import ns_from_datetime
from transport.contract.retries import NEVER

D = Decimal
MS = 1_000_000


# ---- orders ----


def test_a_good_order_validates() -> None:
    order(order_type=OrderType.MARKET, price=None, side=OrderSide.BUY, stop_loss=D(95), take_profit=D(105)).validate()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"order_id": ""}, "order_id"),
        ({"order_id": "x" * 65}, "order_id"),
        ({"order_id": "naïve"}, "order_id"),
        ({"symbol": ""}, "symbol"),
        ({"order_type": None}, "order_type"),
        ({"side": OrderSide(7)}, "side"),
        ({"quantity": None}, "quantity"),
        ({"quantity": D(0)}, "quantity"),
        ({"quantity": D("NaN")}, "quantity"),
        ({"price": None}, "price"),
        ({"price": D(-1)}, "price"),
        ({"side": OrderSide.BUY, "price": D(100), "stop_loss": D(101)}, "stop_loss"),
        ({"side": OrderSide.SELL, "price": D(100), "take_profit": D(101)}, "take_profit"),
        ({"metadata": {"": "x"}}, "metadata"),
        ({"metadata": {"k": "v" * 257}}, "metadata"),
        ({"metadata": {str(n): "" for n in range(33)}}, "metadata"),
        ({"trace_context": "ü"}, "trace_context"),
    ],
    ids=str,
)
def test_validation_names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field) as raised:
        order(**changes).validate()
    assert raised.value.field == field


def test_orders_do_not_share_ids_or_metadata() -> None:
    def plain() -> transport.Order:
        return transport.Order(symbol="A", order_type=OrderType.MARKET, side=OrderSide.BUY, quantity=D(1))

    first, second = plain(), plain()
    assert first.order_id != second.order_id
    assert first.metadata is not second.metadata


def test_orders_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        order().quantity = D(2)  # type: ignore[misc]


def test_times_keep_nanoseconds_and_offer_datetimes() -> None:
    given_order = order(timestamp_ns=1_700_000_000_123_456_789)
    assert given_order.timestamp == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)
    assert ns_from_datetime(given_order.timestamp) == 1_700_000_000_123_456_000
    with pytest.raises(ValidationError, match="time zone"):
        ns_from_datetime(datetime(2024, 1, 1))


# ---- ids ----


def test_ids_are_uuids_of_version_7_that_sort_by_time() -> None:
    ids = [new_order_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {UUID(text).version for text in ids} == {7}
    early, late = uuid7(1_700_000_000_000_000_000), uuid7(1_700_000_000_000_001_000)
    assert early < late
    assert int(early.replace("-", "")[:12], 16) == 1_700_000_000_000


# ---- decimals ----


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-128, 127))
def test_every_number_of_the_wire_survives_exactly(mantissa: int, exponent: int) -> None:
    with localcontext() as context:
        context.prec = 3
        value = from_wire(mantissa, exponent)
    assert value.as_tuple().exponent == exponent
    read = to_wire(value, "quantity")
    assert D(read[0]).scaleb(read[1]) == D(mantissa).scaleb(exponent)


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("1.50", (150, -2)),
        ("0", (0, 0)),
        ("0E-200", (0, 0)),
        ("9223372036854775807", (2**63 - 1, 0)),
        ("-9223372036854775808", (-(2**63), 0)),
        ("92233720368547758070", (2**63 - 1, 1)),
        ("1E+130", (1000, 127)),
        ("1000E-131", (1, -128)),
    ],
)
def test_numbers_take_the_form_that_fits(text: str, wire: tuple[int, int]) -> None:
    assert to_wire(D(text), "quantity") == wire


@pytest.mark.parametrize(
    "text", ["NaN", "sNaN", "Infinity", "-0", "9223372036854775809", "1E-129", "1E+150", "1" * 400]
)
def test_numbers_without_an_exact_form_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="price") as raised:
        to_wire(D(text), "price")
    assert raised.value.code == ReasonCode.OUT_OF_RANGE


@pytest.mark.parametrize("value", [1.5, "1.5", 1, None, True])
def test_only_decimals_are_numbers(value: Any) -> None:
    with pytest.raises(ValidationError, match="Decimal"):
        to_wire(value, "price")


def test_the_normal_form_has_no_trailing_zeros() -> None:
    assert normalised(1500, -3) == (15, -1)
    assert normalised(0, 5) == (0, 0)


# ---- errors ----


def test_an_unknown_outcome_is_no_network_error() -> None:
    assert OutcomeUnknownError.__mro__[1] is ExecutionBridgeError
    assert issubclass(NotSentError, NetworkError)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (ReasonCode.MISSING_FIELD, ValidationError),
        (ReasonCode.UNSUPPORTED_CONTRACT_VERSION, ValidationError),
        (ReasonCode.BATCH_TOO_LARGE, ValidationError),
        (ReasonCode.ACCOUNT_NOT_ALLOWED, AuthenticationError),
        (ReasonCode.UNAUTHENTICATED, AuthenticationError),
        (ReasonCode.BUSY, ExecutionError),
        (ReasonCode.FENCED, ExecutionError),
        (ReasonCode.TRADING_HALTED, ExecutionError),
        (ReasonCode.JOURNAL_FAILED, EngineSystemError),
        (ReasonCode.STATE_REGRESSED, StateRegressedError),
        (ReasonCode.JOURNAL_ID_MISMATCH, JournalMismatchError),
        (ReasonCode(900), ExecutionError),
    ],
    ids=str,
)
def test_each_code_has_its_category(code: ReasonCode, kind: type[ExecutionBridgeError]) -> None:
    error = error_for_code(code, "because", "price")
    assert type(error) is kind
    assert code.name in str(error) and "because" in str(error)


def test_a_rejection_is_a_value_until_somebody_asks_for_the_exception() -> None:
    good = filled(order())
    assert good.raise_for_rejection() is good
    bad = msgspec.structs.replace(good, status=ExecutionStatus.REJECTED, code=ReasonCode.PRICE_OFF_TICK, field="price")
    with pytest.raises(ValidationError) as raised:
        bad.raise_for_rejection()
    assert raised.value.field == "price"


# ---- retries ----


def attempts(table: RetryTable | None = None, deadline_ns: int = 10**12) -> Attempts:
    return Attempts(table or RetryTable(), deadline_ns, order_ids=lambda: ("order-1",))


def test_a_path_failure_is_retried_three_times_with_doubling_pauses() -> None:
    call = attempts()
    assert [call.pause_ns(NotSent("down"), 0) for _ in range(3)] == [20 * MS, 40 * MS, 80 * MS]
    with pytest.raises(NotSentError, match="down"):
        call.pause_ns(NotSent("down"), 0)
    assert call.count == 4


def test_a_query_without_an_answer_is_a_network_error_and_a_refusal_of_it_stays_one() -> None:
    query = Attempts(RetryTable(network=NEVER, execution=NEVER), 10**12, is_query=True)
    with pytest.raises(NetworkError, match="ask again") as unanswered:
        query.pause_ns(Unknown("no answer"), 0)
    assert type(unanswered.value) is NetworkError and not query.in_doubt
    with pytest.raises(ExecutionError, match="BUSY"):
        query.pause_ns(Refused(ReasonCode.BUSY), 0)


def test_an_unknown_command_is_to_be_sent_again_and_never_the_order_that_it_is_about() -> None:
    table = RetryTable(network=NEVER, execution=NEVER)
    call = Attempts(table, 10**12, order_ids=lambda: ("order-1",), command_id="command-1")
    with pytest.raises(OutcomeUnknownError, match=r"command command-1 on order order-1.*same command_id") as unknown:
        call.pause_ns(Unknown("no answer"), 0)
    assert "send the same id" not in str(unknown.value)
    assert (unknown.value.order_ids, unknown.value.command_id) == (("order-1",), "command-1")


def test_a_refusal_is_retried_once() -> None:
    call = attempts()
    assert call.pause_ns(Refused(ReasonCode.BUSY), 0) == 20 * MS
    with pytest.raises(ExecutionError) as raised:
        call.pause_ns(Refused(ReasonCode.BUSY), 0)
    assert raised.value.code == ReasonCode.BUSY


@pytest.mark.parametrize("code", [ReasonCode.MESSAGE_TOO_LARGE, ReasonCode.UNAUTHENTICATED, ReasonCode.JOURNAL_FAILED])
def test_what_stays_wrong_is_not_retried(code: ReasonCode) -> None:
    with pytest.raises(ExecutionBridgeError):
        attempts().pause_ns(Refused(code), 0)


def test_an_unknown_outcome_is_retried_and_only_then_surfaces() -> None:
    call = attempts(RetryTable(network=RetryRule(max_retries=1)))
    assert call.pause_ns(Unknown("reset"), 0) == 0
    with pytest.raises(OutcomeUnknownError) as raised:
        call.pause_ns(Unknown("reset"), 0)
    assert raised.value.order_id == "order-1"


@pytest.mark.parametrize("last", [Refused(ReasonCode.UNAUTHENTICATED), Refused(ReasonCode.BUSY), NotSent("down")])
def test_no_refusal_settles_what_another_copy_left_in_doubt(last: Any) -> None:
    call = attempts(RetryTable(network=RetryRule(max_retries=1), execution=RetryRule()))
    call.pause_ns(Unknown("reset"), 0)
    with pytest.raises(OutcomeUnknownError):
        call.pause_ns(last, 0)


def test_no_retry_begins_after_the_deadline() -> None:
    call = attempts(deadline_ns=100 * MS)
    with pytest.raises(NotSentError):
        call.pause_ns(NotSent("down"), 81 * MS)


# ---- the package ----


def test_the_public_names_are_there_and_nothing_else() -> None:
    for name in transport.__all__:
        assert hasattr(transport, name)
    assert {"BlockingFastPathClient", "FastPathClient", "BridgeConfig", "Order", "connect", "connect_blocking"} <= set(
        transport.__all__
    )
    assert [name for name in transport.__all__ if name.startswith("_")] == []


def test_importing_transport_imports_no_grpc() -> None:
    code = "import sys, transport; print([m for m in sys.modules if m.partition('.')[0] in ('grpc', 'google')])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.strip() == "[]"
