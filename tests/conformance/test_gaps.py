"""What can no longer be replayed: the gap says exactly that, and nothing else is missing, on every path alike."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from examples.rig.engine_process import EngineProcess
from transport import ExecutionBridgeError, OrderType, OrderUpdate, ReasonCode, UpdateGap, UpdateKind

D = Decimal
HISTORY = 5


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    """An engine that can replay few updates."""
    config = tmp_path / "engine.toml"
    config.write_text(f"[orders]\nupdate_history = {HISTORY}\n")
    with EngineProcess(tmp_path / "journal", arguments=("--config", str(config))) as process:
        yield process
        assert process.stop() == 0, process.last_log_lines()


def _trade(client, order) -> tuple[str, str, int]:
    """Two orders that rest, the second replaced last of all; market orders between. Gives the account's last number."""
    old, lately = (order(order_type=OrderType.LIMIT, price=D(price)) for price in ("98.00", "99.00"))
    client.execute_order(old)
    client.execute_order(lately)
    for _ in range(4):
        client.execute_order(order())
    last = client.replace_order(lately.order_id, expected_version=1, quantity=D(3)).order.sequence
    assert last == 2 + 4 * 2 + 1
    return old.order_id, lately.order_id, last


def test_after_a_gap_come_the_open_orders_and_then_every_update_that_is_left(client, order) -> None:
    old, lately, last = _trade(client, order)
    updates = client.subscribe_order_updates(resume_from=0, accept_gaps=True)
    gap, *items = islice(updates, 1 + 2 + HISTORY)
    assert isinstance(gap, UpdateGap)
    assert (gap.first_sequence, gap.last_sequence) == (1, last - HISTORY)

    snapshot, rest = items[:2], items[2:]
    assert all(isinstance(item, OrderUpdate) for item in items)
    assert [(item.snapshot, item.order.order_id, item.sequence) for item in snapshot] == [
        (True, old, 1),
        (True, lately, last),
    ]
    assert snapshot[1].order.quantity == D(3), "the state now"
    assert [(item.snapshot, item.sequence) for item in rest] == [
        (False, number) for number in range(last - HISTORY + 1, last + 1)
    ]
    assert [item.kind for item in rest].count(UpdateKind.FILL) == HISTORY // 2

    bought = order()
    client.execute_order(bought)
    live = list(islice(updates, 2))
    updates.close()
    assert [(item.sequence, item.order.order_id) for item in live] == [
        (last + 1, bought.order_id),
        (last + 2, bought.order_id),
    ]


def test_who_accepts_no_gaps_is_told_which_updates_are_lost(client, order) -> None:
    _, _, last = _trade(client, order)
    with pytest.raises(ExecutionBridgeError, match=f"1 to {last - HISTORY} can no longer") as caught:
        next(iter(client.subscribe_order_updates(resume_from=0, accept_gaps=False)))
    assert getattr(caught.value, "code", None) == ReasonCode.DATA_LOSS
    updates = client.subscribe_order_updates(resume_from=last - HISTORY, accept_gaps=False)
    numbers = [update.sequence for update in islice(updates, HISTORY)]
    updates.close()
    assert numbers == list(range(last - HISTORY + 1, last + 1))
