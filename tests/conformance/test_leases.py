"""Cancel on disconnect: the orders of a session that is gone from both paths, and no others; on every path alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.conformance.drivers import IMPLEMENTATIONS, bridge_config
from tests.waiting import eventually
from transport import ExecutionStatus, OrderType, ReasonCode, new_command_id

D = Decimal
LIMIT = {"order_type": OrderType.LIMIT, "price": D("99.00")}


def _name(request: pytest.FixtureRequest) -> str:
    return request.node.callspec.params["client"]


def test_orders_of_a_session_that_is_gone_are_cancelled_and_no_others(client, order, engine, request) -> None:
    ours, theirs, before = (order(**LIMIT) for _ in range(3))
    client.execute_order(ours)
    with IMPLEMENTATIONS[_name(request)](bridge_config(engine)) as leaving:
        leaving.execute_order(before)
        assert leaving.cancel_on_disconnect(100).code == ReasonCode.NONE
        leaving.execute_order(theirs)
    state = eventually(lambda: _ended(client, theirs.order_id), "the order of the session that is gone is cancelled")
    assert (state.status, state.code) == (ExecutionStatus.CANCELLED, ReasonCode.CANCELLED_ON_DISCONNECT)
    assert sorted(one.order_id for one in client.open_orders().orders) == sorted([ours.order_id, before.order_id])


def _ended(client, order_id: str) -> Any:
    state = client.get_order(order_id).order
    return state if state.status.is_terminal else None


def test_the_setting_puts_the_lease_on_when_the_client_connects(client, order, engine, request) -> None:
    theirs = order(**LIMIT)
    records = client.health_check().journal_seq
    with IMPLEMENTATIONS[_name(request)](bridge_config(engine, cancel_on_disconnect_ms=100)) as leaving:
        assert client.health_check().journal_seq == records + 1, "said once, whatever the paths"
        leaving.execute_order(theirs)
    state = eventually(lambda: _ended(client, theirs.order_id), "the order is cancelled")
    assert state.code == ReasonCode.CANCELLED_ON_DISCONNECT


def test_a_session_lives_on_by_either_path(client, other_path, order, engine, request) -> None:
    config = bridge_config(engine, cancel_on_disconnect_ms=100)
    theirs = order(**LIMIT)
    other = "zmq-blocking" if _name(request).startswith("grpc") else "grpc-blocking"
    with IMPLEMENTATIONS[other](config) as staying:
        command_id = new_command_id()
        with IMPLEMENTATIONS[_name(request)](config) as leaving:
            assert not leaving.cancel_on_disconnect(100, command_id=command_id).duplicate
            leaving.execute_order(theirs)
        assert staying.cancel_on_disconnect(100, command_id=command_id).duplicate, "the same session's"
        strange = client.cancel_on_disconnect(100, command_id=command_id)
        assert strange.code == ReasonCode.DUPLICATE_COMMAND_ID, "another session's is another command"
        waited = order(**LIMIT)
        with IMPLEMENTATIONS[_name(request)](bridge_config(engine, cancel_on_disconnect_ms=300)) as witness:
            witness.execute_order(waited)
        eventually(lambda: _ended(client, waited.order_id), "three times the grace has passed")
        assert client.get_order(theirs.order_id).order.status == ExecutionStatus.PENDING
    eventually(lambda: _ended(client, theirs.order_id), "its last connection is gone")


def test_a_lease_that_was_ended_cancels_nothing(client, order, engine, request) -> None:
    theirs, witnessed = order(**LIMIT), order(**LIMIT)
    with IMPLEMENTATIONS[_name(request)](bridge_config(engine, cancel_on_disconnect_ms=100)) as leaving:
        leaving.execute_order(theirs)
        assert leaving.cancel_on_disconnect(None).code == ReasonCode.NONE
    with IMPLEMENTATIONS[_name(request)](bridge_config(engine, cancel_on_disconnect_ms=200)) as witness:
        witness.execute_order(witnessed)
    eventually(lambda: _ended(client, witnessed.order_id), "twice the grace has passed")
    assert client.get_order(theirs.order_id).order.status == ExecutionStatus.PENDING
