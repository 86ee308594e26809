"""The schedule of a seed: at least 200 orders and 5 faults, of a mixture that the seed draws as well."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from tests.simulation import schedule as plan
from tests.simulation.generate_state import limits, with_leases, with_reconciliation, with_snapshots
from tests.simulation.schedule import Action, Effect, OrderPlan, Point, Schedule, Settings
from transport.contract.replies import Path

LEAST_ORDERS: Final = 200
LEAST_FAULTS: Final = 5
_SYMBOLS: Final = {"NASDAQ": Decimal("15000.00"), "SP500": Decimal("4500.00")}
_TICK: Final = Decimal("0.01")


class _Draw:
    """One seed's chance, in words."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"schedule {seed}")
        self.numbers = 0
        self.settings = self._settings(seed)
        self.lasts_ms = self.chance.choice((600.0, 1_200.0, 2_500.0))

    def _settings(self, seed: int) -> Settings:
        chance = self.chance
        return Settings(
            seed=seed,
            durability="always" if chance.random() < 0.65 else "os",
            venue="external" if chance.random() < 0.4 else "embedded",
            clients=2 if chance.random() < 0.25 else 1,
            outbox=chance.random() < 0.7,
            prefer="zmq" if chance.random() < 0.75 else "grpc",
            hedge_after_us=chance.choice((0, 0, 2_000, 20_000)),
            call_timeout_ms=chance.choice((150.0, 400.0, 1_000.0)),
            update_history=chance.choice((40, 100_000, 100_000)),
            max_parked_outputs=chance.choice((24, 200_000, 200_000)),
            segment_bytes=chance.choice((65_536, 262_144)),
            sync_us=chance.choice((100, 300, 1_500)),
        )

    def at_ms(self) -> float:
        return round(5.0 + self.chance.random() * self.lasts_ms, 3)

    def client(self) -> int:
        return self.chance.randrange(self.settings.clients)

    def path(self) -> Path:
        return "zmq" if self.chance.random() < 0.6 else "grpc"

    def between(self, least: float, most: float) -> float:
        return round(least + (most - least) * self.chance.random(), 3)

    # ---- orders ----

    def order(self) -> OrderPlan:
        chance = self.chance
        self.numbers += 1
        symbol = chance.choice(tuple(_SYMBOLS))
        middle = _SYMBOLS[symbol]
        kind = chance.choices(("MARKET", "LIMIT", "STOP_LOSS", "TAKE_PROFIT"), (40, 40, 10, 10))[0]
        side = chance.choice(("BUY", "SELL"))
        up = side == "BUY"
        price = None if kind == "MARKET" else self._price(middle, Decimal(chance.randrange(-8, 9)))
        stop = target = None
        if kind in ("MARKET", "LIMIT") and chance.random() < 0.2:
            entry = Decimal(price) if price is not None else middle
            stop = self._price(entry, Decimal(-12 if up else 12))
            target = self._price(entry, Decimal(12 if up else -12))
        return OrderPlan(
            number=self.numbers,
            symbol=symbol if chance.random() > 0.01 else "NOWHERE",
            order_type=kind,
            side=side,
            quantity=str(Decimal(chance.randrange(1, 4_000)) / 1_000),
            price=price,
            stop_loss=stop,
            take_profit=target,
            time_in_force=chance.choices((None, "IOC", "FOK"), (80, 12, 8))[0],
            expires_in_ms=self.between(5, 400) if chance.random() < 0.12 else None,
        )

    def _price(self, middle: Decimal, away: Decimal) -> str:
        """`away` thousandths of `middle` from it, on the tick."""
        return str((middle * (1 + away / 1_000)).quantize(_TICK))

    def orders(self, count: int) -> tuple[OrderPlan, ...]:
        return tuple(self.order() for _ in range(count))

    def quote(self, at_ms: float) -> Action:
        symbol = self.chance.choice(tuple(_SYMBOLS))
        middle = _SYMBOLS[symbol] * (1 + Decimal(self.chance.randrange(-10, 11)) / 1_000)
        size = str(Decimal(self.chance.randrange(1, 40)))
        bid = (str((middle - 1).quantize(_TICK)), size)
        ask = (str((middle + 1).quantize(_TICK)), size)
        return plan.Quotes(at_ms=at_ms, symbol=symbol, bid=bid, ask=ask, client=self.client())

    def known(self) -> int:
        """Number of an order; now and then of one that is never placed."""
        return self.chance.randrange(1, max(self.numbers, 2) + 4)

    # ---- faults ----

    def faults(self) -> list[Action]:
        makers: tuple[tuple[int, Callable[[float], Action]], ...] = (
            (14, self._cut),
            (12, self._silence),
            (6, self._delay),
            (24, self._trap),
            (7, self._kill_engine),
            (5, self._crash_machine),
            (8, self._die_after),
            (3, self._drain),
            (5, self._slow_disk),
            (3, self._full_disk),
            (3, self._fail_sync),
            (2, self._fail_write),
            (4, self._engine_clock),
            (3, self._client_clock),
            (6, self._kill_client),
            (6 if self.settings.venue == "external" else 0, self._cut_venue),
            (4 if self.settings.venue == "external" else 0, self._slow_venue),
        )
        weights = [weight for weight, _ in makers]
        fault = self.chance.choices([make for _, make in makers], weights)[0](self.at_ms())
        if isinstance(fault, plan.FailSync | plan.FailWrite) and self.chance.random() < 0.6:
            # What a failed sync has lost shows when the machine goes.
            return [fault, self._crash_machine(round(fault.at_ms + self.between(0.5, 30), 3))]
        return [fault]

    def _cut(self, at_ms: float) -> Action:
        refused_ms = self.chance.choice((0.0, 0.0, self.between(5, 300)))
        return plan.CutPath(at_ms=at_ms, path=self.path(), refused_ms=refused_ms)

    def _silence(self, at_ms: float) -> Action:
        to_engine, to_client = self.chance.choice(((True, True), (True, False), (False, True)))
        return plan.Silence(
            at_ms=at_ms, path=self.path(), to_engine=to_engine, to_client=to_client, lasts_ms=self.between(5, 900)
        )

    def _delay(self, at_ms: float) -> Action:
        return plan.Delay(
            at_ms=at_ms,
            path=self.path(),
            extra_ms=self.chance.choice((2.0, 40.0, 300.0)),
            lasts_ms=self.between(5, 400),
        )

    def _trap(self, at_ms: float) -> Action:
        effects = (Effect.RESET, Effect.SILENCE, Effect.KILL_ENGINE, Effect.CRASH_MACHINE, Effect.KILL_CLIENT)
        return plan.SetTrap(
            at_ms=at_ms,
            path="zmq" if self.chance.random() < 0.5 else "grpc",
            point=self.chance.choice(tuple(Point)),
            nth=self.chance.randrange(1, 12),
            effect=self.chance.choices(effects, (50, 15, 15, 8, 12))[0],
            lasts_ms=self.between(5, 300),
        )

    def _kill_engine(self, at_ms: float) -> Action:
        return plan.KillEngine(at_ms=at_ms, down_ms=self.between(5, 300))

    def _crash_machine(self, at_ms: float) -> Action:
        return plan.CrashMachine(at_ms=at_ms, down_ms=self.between(20, 400))

    def _die_after(self, at_ms: float) -> Action:
        return plan.DieAfter(
            at_ms=at_ms,
            operations=self.chance.choice((0, 1, 2, 3, 5, 9, 20)),
            machine=self.chance.random() < 0.5,
            down_ms=self.between(5, 200),
        )

    def _drain(self, at_ms: float) -> Action:
        return plan.DrainEngine(at_ms=at_ms, drain_ms=self.between(5, 100), down_ms=self.between(5, 200))

    def _slow_disk(self, at_ms: float) -> Action:
        return plan.SlowDisk(
            at_ms=at_ms, sync_ms=self.chance.choice((20.0, 200.0, 1_500.0)), lasts_ms=self.between(10, 400)
        )

    def _full_disk(self, at_ms: float) -> Action:
        return plan.FullDisk(
            at_ms=at_ms, room_bytes=self.chance.choice((0, 3_000, 60_000)), lasts_ms=self.between(20, 400)
        )

    def _fail_sync(self, at_ms: float) -> Action:
        return plan.FailSync(at_ms=at_ms, nth=self.chance.randrange(1, 6), down_ms=self.between(5, 200))

    def _fail_write(self, at_ms: float) -> Action:
        return plan.FailWrite(at_ms=at_ms, nth=self.chance.randrange(1, 6), down_ms=self.between(5, 200))

    def _engine_clock(self, at_ms: float) -> Action:
        return plan.EngineClock(at_ms=at_ms, jump_ms=self.chance.choice((-5_000.0, -200.0, 150.0, 3_000.0, 20_000.0)))

    def _client_clock(self, at_ms: float) -> Action:
        return plan.ClientClock(at_ms=at_ms, jump_ms=self.chance.choice((-4_000.0, -100.0, 100.0, 5_000.0, 15_000.0)))

    def _kill_client(self, at_ms: float) -> Action:
        return plan.KillClient(at_ms=at_ms, client=self.client(), down_ms=self.between(5, 300))

    def _cut_venue(self, at_ms: float) -> Action:
        return plan.CutVenue(at_ms=at_ms, lasts_ms=self.between(0, 400))

    def _slow_venue(self, at_ms: float) -> Action:
        return plan.SlowVenue(
            at_ms=at_ms, extra_ms=self.chance.choice((5.0, 100.0, 1_500.0)), lasts_ms=self.between(10, 400)
        )


def schedule_of(seed: int) -> Schedule:
    """The schedule that this seed makes."""
    draw = _Draw(seed)
    chance = draw.chance
    actions: list[Action] = []
    bursts = [draw.at_ms() for _ in range(chance.randrange(2, 6))]
    queued = chance.random() < 0.6
    while draw.numbers < LEAST_ORDERS:
        kind = chance.random()
        near = chance.random() < 0.4
        at_ms = round(chance.choice(bursts) + 2 * chance.random(), 3) if near else draw.at_ms()
        if kind < 0.15 and queued:
            actions.append(plan.Enqueue(at_ms=at_ms, order=draw.order(), client=draw.client()))
        elif kind < 0.83:
            actions.append(
                plan.Place(at_ms=at_ms, order=draw.order(), client=draw.client(), timeout_ms=_patience(chance))
            )
        elif kind < 0.9:
            orders = draw.orders(chance.randrange(1, 12))
            actions.append(plan.PlaceBatch(at_ms=at_ms, orders=orders, client=draw.client()))
        else:
            orders = draw.orders(chance.randrange(2, 12))
            actions.append(plan.PlaceStream(at_ms=at_ms, orders=orders, client=draw.client()))
    for _ in range(chance.randrange(20, 40)):
        actions.append(draw.quote(draw.at_ms()))
    for _ in range(chance.randrange(20, 50)):
        actions.append(_follow_up(draw))
    for _ in range(LEAST_FAULTS + chance.randrange(0, 8)):
        actions.extend(draw.faults())
    settings, snapshots = with_snapshots(draw.settings, draw.lasts_ms)
    settings, leases = with_leases(settings, draw.lasts_ms)
    settings = with_reconciliation(settings)
    actions += [*snapshots, *leases, *limits(settings, draw.lasts_ms)]
    return Schedule(settings=settings, actions=tuple(sorted(actions, key=lambda action: action.at_ms)))


def _patience(chance: random.Random) -> float | None:
    return chance.choice((None, None, None, None, 30.0, 2_000.0))


def _follow_up(draw: _Draw) -> Action:
    chance, at_ms, client = draw.chance, draw.at_ms(), draw.client()
    kind = chance.random()
    if kind < 0.3:
        return plan.Cancel(at_ms=at_ms, number=draw.known(), client=client)
    if kind < 0.45:
        price = draw.order().price if chance.random() < 0.5 else None
        quantity = str(Decimal(chance.randrange(1, 6_000)) / 1_000) if price is None or chance.random() < 0.5 else None
        return plan.Replace(at_ms=at_ms, number=draw.known(), quantity=quantity, price=price, client=client)
    if kind < 0.65:
        return plan.Resend(at_ms=at_ms, number=draw.known(), client=client)
    if kind < 0.72:
        return plan.Alter(at_ms=at_ms, number=draw.known(), quantity="4.321", client=client)
    if kind < 0.86:
        return plan.Query(at_ms=at_ms, number=draw.known(), fence=chance.random() < 0.5, client=client)
    if kind < 0.9:
        return plan.CancelAll(at_ms=at_ms, symbol=chance.choice(("", "NASDAQ")), client=client)
    if kind < 0.95:
        return plan.Prefer(at_ms=at_ms, path=draw.path(), client=client)
    state = chance.choice(("ACTIVE", "ACTIVE", "REDUCING", "HALTED"))
    return plan.SetState(at_ms=at_ms, state=state, cancel_open_orders=chance.random() < 0.3, client=client)
