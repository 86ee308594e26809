"""Tables of the report: ratios against the floor and against gRPC, and rows that are not there."""

from __future__ import annotations

from dataclasses import replace

from bench.interleave import Measured
from bench.report.tables import Table, as_markdown, group_table, targets_table
from bench.rows.row import UnavailableError
from bench.targets import Target, evaluate
from tests.unit.bench.declared_rows import GROUP, measured, run_of

GROUP_WITH_GRPC = replace(GROUP, grpc_reference="grpc")


def table_of(*rows: Measured) -> Table:
    table = group_table(run_of(list(rows)), GROUP_WITH_GRPC)
    assert table is not None
    return table


def test_a_row_is_so_many_times_its_floor_and_so_many_times_faster_than_grpc() -> None:
    floor = measured("floor", rounds_ns=[[1_000], [2_000], [1_000]])
    grpc = measured("grpc", rounds_ns=[[90_000], [180_000], [90_000]])
    fast = measured("fast", rounds_ns=[[2_000], [4_000], [2_000]])
    table = table_of(floor, grpc, fast)
    cells = dict(zip(table.columns, table.rows[2], strict=True))
    assert cells["p50"] == "2"
    assert cells["x floor"] == "2.00 (2.00-2.00)", "the weather of the second round is in both rows"
    assert cells["x faster than gRPC"] == "45.00 (45.00-45.00)"


def test_a_ratio_without_its_reference_is_not_there() -> None:
    table = table_of(measured("fast"))
    assert "x floor" not in table.columns
    assert "x faster than gRPC" not in table.columns


def test_a_row_that_failed_says_so_where_its_figures_would_be() -> None:
    failed = Measured(measured("gone").row, failure=ConnectionResetError("the engine went\nmore"))
    cells = table_of(measured("floor"), failed).rows[1]
    assert cells[3:-1] == ["-"] * (len(cells) - 4)
    assert cells[-1] == "FAILED: ConnectionResetError: the engine went"


def test_a_row_that_cannot_be_had_here_is_left_out_and_no_failure() -> None:
    absent = Measured(measured("peer").row, failure=UnavailableError("no nats-server"))
    assert table_of(measured("floor"), absent).rows[1][-1] == "left out: no nats-server"


def test_a_miss_is_loud() -> None:
    outcome = evaluate(Target("faster", ("a",), at_least=2), lambda _: 1.0)
    assert targets_table([outcome]).rows == [["faster", ">= 2 x", "1 x", "!! MISS !!"]]


def test_what_was_not_asked_for_has_no_verdict() -> None:
    outcome = evaluate(Target("faster", ("a",), at_least=2, asked=False), lambda _: 1.0)
    assert targets_table([outcome]).rows == [["faster", "(not asked)", "1 x", "info"]]


def test_markdown_keeps_what_stands_in_a_cell() -> None:
    text = as_markdown(Table("t", ["row", "p50", "notes"], [["a|b", "1", "x"]]))
    assert text == "| row | p50 | notes |\n| --- | --: | --- |\n| a\\|b | 1 | x |"
