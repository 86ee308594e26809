"""Risk limits of the configuration file: they hold, bad ones are named, and what was set at run time stands."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from examples.rig.engine_process import EngineProcess
from tests.conformance.drivers import bridge_config
from tests.engine.conftest import CommandLine, EngineStarter
from transport import (
    BlockingFastPathClient,
    Order,
    OrderSide,
    OrderType,
    ReasonCode,
    RiskLimits,
    TradingState,
)

ENDPOINTS = ("--zmq", "tcp://127.0.0.1:0", "--pub", "tcp://127.0.0.1:0", "--grpc", "127.0.0.1:0")

LIMITS = """
[risk]
max_order_quantity = 10
price_collar = "0.10"

[risk.symbols.SP500]
max_order_quantity = "2.5"

[risk.accounts.default]
max_open_orders = 3

[risk.accounts.default.symbols.NASDAQ]
max_order_notional = "20000"
"""

BAD_LIMITS = {
    "unknown limit": ("[risk]\nmax_orders = 1", "max_orders"),
    "no number": ('[risk]\nmax_order_quantity = "many"', "risk.max_order_quantity"),
    "not exact": ("[risk]\nprice_collar = 0.05", "risk.price_collar"),
    "of nothing": ("[risk]\nmax_order_notional = 0", "risk.max_order_notional"),
    "negative": ("[risk]\nmax_position = -1", "risk.max_position"),
    "a rate of half an order": ("[risk]\norders_per_second = 0.5", "risk.orders_per_second"),
    "no orders": ("[risk]\norders_per_second = 0", "risk.orders_per_second"),
    "of a symbol": ("[risk.symbols.SP500]\nmax_open_orders = -1", "risk.symbols.SP500.max_open_orders"),
    "a rate of a symbol": ("[risk.symbols.SP500]\norders_per_second = 1", "risk.symbols.SP500.orders_per_second"),
    "no instrument": ("[risk.symbols.DAX]\nmax_open_orders = 1", "risk.symbols.DAX"),
    "of an account": ('[risk.accounts.default]\nmax_position = "x"', "risk.accounts.default.max_position"),
    "of an account's symbol": (
        "[risk.accounts.default.symbols.SP500]\nmax_order_quantity = 0",
        "risk.accounts.default.symbols.SP500.max_order_quantity",
    ),
    "too many leases": ("[risk]\nmax_leases = 4000000", "max_leases"),
}


def connected(engine: EngineProcess) -> BlockingFastPathClient:
    client = BlockingFastPathClient(bridge_config(engine))
    client.connect()
    return client


def code(client: BlockingFastPathClient, symbol: str, quantity: str, price: str) -> ReasonCode:
    order = Order(
        symbol=symbol,
        order_type=OrderType.LIMIT,
        side=OrderSide.BUY,
        quantity=Decimal(quantity),
        price=Decimal(price),
    )
    return client.execute_order(order).code


@pytest.mark.parametrize("case", BAD_LIMITS)
def test_a_bad_limit_is_one_line_that_names_it(case: str, command_line: CommandLine, tmp_path: Path) -> None:
    text, named = BAD_LIMITS[case]
    config = tmp_path / "engine.toml"
    config.write_text(text)
    done = command_line("serve", "--config", config, *ENDPOINTS, "--data-dir", tmp_path / "journal")
    assert done.returncode == 2 and done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("execution-engine:")]
    assert len(lines) == 1 and named in lines[0], done.stderr


def test_limits_of_the_file_hold_from_the_first_order_on(start_engine: EngineStarter) -> None:
    # The opening quotes say that NASDAQ was last at 2207.54, and SP500 at 1229.23.
    with connected(start_engine(LIMITS)) as client:
        assert code(client, "SP500", "2.5", "1200") == ReasonCode.NONE
        assert code(client, "SP500", "2.501", "1200") == ReasonCode.ORDER_QUANTITY_LIMIT
        assert code(client, "SP500", "1", "1100") == ReasonCode.PRICE_COLLAR
        assert code(client, "NASDAQ", "10", "2000") == ReasonCode.NONE
        assert code(client, "NASDAQ", "10", "2000.01") == ReasonCode.ORDER_NOTIONAL_LIMIT
        assert code(client, "NASDAQ", "10.001", "1990") == ReasonCode.ORDER_QUANTITY_LIMIT
        assert code(client, "NASDAQ", "1", "2000") == ReasonCode.NONE
        assert code(client, "NASDAQ", "1", "2000") == ReasonCode.NONE
        assert code(client, "NASDAQ", "1", "2000") == ReasonCode.OPEN_ORDERS_LIMIT


def test_what_was_set_at_run_time_survives_restarts_and_another_configuration(
    start_engine: EngineStarter, tmp_path: Path
) -> None:
    engine = start_engine(LIMITS)
    with connected(engine) as client:
        client.set_risk_limits(RiskLimits(max_order_quantity=Decimal(5)), symbol="SP500")
        assert code(client, "SP500", "5", "1200") == ReasonCode.NONE
    engine.kill()
    (tmp_path / "engine-0.toml").write_text('[risk]\nmax_order_quantity = "1"')
    engine.start()
    with connected(engine) as client:
        assert code(client, "SP500", "5", "1200") == ReasonCode.NONE
        assert code(client, "SP500", "5.001", "1200") == ReasonCode.ORDER_QUANTITY_LIMIT
        assert code(client, "NASDAQ", "1.001", "2000") == ReasonCode.ORDER_QUANTITY_LIMIT, "the file's new limit"
        client.set_risk_limits(RiskLimits(), symbol="SP500")
        assert code(client, "SP500", "1.001", "1200") == ReasonCode.ORDER_QUANTITY_LIMIT, "back to the file's"
    engine.stop()
    engine.verify()


def test_a_halt_for_all_survives_a_restart(start_engine: EngineStarter) -> None:
    engine = start_engine()
    with connected(engine) as client:
        assert code(client, "SP500", "1", "1000") == ReasonCode.NONE
        halted = client.set_trading_state(TradingState.HALTED, cancel_open_orders=True, all_accounts=True)
        assert halted.affected == 1
    engine.kill()
    engine.start()
    with connected(engine) as client:
        assert code(client, "SP500", "1", "1000") == ReasonCode.TRADING_HALTED
        client.set_trading_state(TradingState.ACTIVE, all_accounts=True)
        assert code(client, "SP500", "1", "1000") == ReasonCode.NONE
    engine.stop()
    engine.verify()


def test_a_rate_is_refilled_by_engine_time(start_engine: EngineStarter) -> None:
    engine = start_engine("[risk]\norders_per_second = 1000\norder_burst = 5")
    with connected(engine) as client:
        orders: list[Any] = [
            Order(symbol="SP500", order_type=OrderType.LIMIT, side=OrderSide.BUY, quantity=Decimal(1), price=Decimal(9))
            for _ in range(200)
        ]
        codes = [reply.code for reply in client.execute_batch(orders)]
    assert codes[:5] == [ReasonCode.NONE] * 5
    engine.stop()
    opened = [record for record in engine.dump() if record["kind"] == "ExecuteOrder"]
    passed = [record["time_ns"] for record in opened if record["reply"]["code"] == "NONE"]
    # Over any stretch of time no more than the burst and what the time brings.
    assert len(passed) <= 5 + (passed[-1] - passed[0]) // 1_000_000 + 1
    engine.verify()
