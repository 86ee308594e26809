"""Stages of an order: they add up to the whole, whatever the two ends saw first."""

from __future__ import annotations

import pytest

from bench.stages.breakdown import STAGES, EngineStamps, read_engine_stamps, stages_of, typical
from bench.stages.seam_client import ClientStamps

CLIENT = ClientStamps(began=100, encoded=110, sent=130, received=300, read=320)
ENGINE = EngineStamps(readable=150, read=160, decoded=170, applied=190, journaled=200, encoded=210, sent=250)


def test_stages_add_up_to_what_the_order_took() -> None:
    stages = stages_of(CLIENT, ENGINE)
    assert len(stages) == len(STAGES)
    assert stages == (10, 20, 20, 10, 10, 20, 10, 10, 40, 50, 20)
    assert sum(stages) == CLIENT.read - CLIENT.began


def test_a_send_ends_when_the_other_end_has_seen_the_bytes_though_its_call_returns_later() -> None:
    stages = stages_of(CLIENT._replace(sent=155), ENGINE._replace(sent=310))
    assert min(stages) >= 0
    assert sum(stages) == CLIENT.read - CLIENT.began
    by_name = dict(zip(STAGES, stages, strict=True))
    assert (by_name["kernel, engine wakes"], by_name["kernel, client wakes, receive"]) == (0, 0)


def test_stamps_that_go_backwards_are_refused() -> None:
    with pytest.raises(ValueError, match="not in order"):
        stages_of(CLIENT, ENGINE._replace(applied=165))


def test_the_typical_order_is_the_mean_about_the_median_total_and_outliers_do_not_count() -> None:
    orders = [(total // 2, total - total // 2) for total in range(100, 200)] + [(10_000, 10_000)] * 3
    assert sum(typical(orders)) == pytest.approx(151, abs=1)


def test_no_orders_have_no_typical_one() -> None:
    with pytest.raises(ValueError, match="no order"):
        typical([])


def test_engine_stamps_are_read_by_correlation_number_and_unfinished_orders_left_out() -> None:
    names = ("readable", "read", "decoded", "applied", "journaled", "encoded", "sent")
    fields = ", ".join(f'"t_{name}": {place}' for place, name in enumerate(names, 1))
    unfinished = fields.replace('"t_sent": 7', '"t_sent": 0')
    lines = [f'{{"correlation": 7, {fields}}}\n', f'{{"correlation": 8, {unfinished}}}\n']
    assert read_engine_stamps(lines) == {7: EngineStamps(1, 2, 3, 4, 5, 6, 7)}
