"""The strategy of a client's process: uses the true client, and writes down what it was told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any, Final

import msgspec

from fallback_grpc.bridge import ExecutionBridgeClient
from fallback_grpc.queue import MemoryOutbox, OrderQueue, QueueFullError
from fallback_grpc.reconciliation import Reconciliation
from tests.simulation.clock import MS, seeded_uuid7
from tests.simulation.ledger import Call, CommandBelief, Ending, Ledger, OrderBelief, Reconciled, UpdatesHeard
from tests.simulation.loop import VirtualLoop
from tests.simulation.schedule import OrderPlan, SetLimits, Settings
from tests.simulation.trace import Trace
from transport.contract.codes import OrderSide, OrderType, TimeInForce, TradingState
from transport.contract.errors import (
    ClientClosedError,
    ExecutionBridgeError,
    OutcomeUnknownError,
    StateRegressedError,
)
from transport.contract.orders import Order, Quote
from transport.contract.requests import RiskLimits

_QUEUE_PATIENCE_MS: Final = 60_000.0
"""The queue goes on until it knows."""
RESOLUTION_MS: Final = 500.0
"""`unknown_resolution_ms` of the clients."""
SLACK_NS: Final = int((RESOLUTION_MS + 100.0) * MS)
"""A call may end so much after its time-out."""


class Strategy:
    """What it knows survives its process: ids are written down before anything is sent, and so are update numbers."""

    def __init__(
        self,
        loop: VirtualLoop,
        trace: Trace,
        settings: Settings,
        ledger: Ledger,
        number: int,
        outbox: type[MemoryOutbox],
    ) -> None:
        self.loop = loop
        self.number = number
        self.ledger = ledger
        self.heard = UpdatesHeard()
        ledger.updates.append(self.heard)
        self.reconciled = Reconciled()
        ledger.reconciled.append(self.reconciled)
        self.trace = trace
        self.client: ExecutionBridgeClient | None = None
        self.queue: OrderQueue | None = None
        self.regressed = False
        """The engine has forgotten what this client saw: it does nothing more."""
        self._settings = settings
        self._ids = seeded_uuid7(loop.clock, random.Random(f"{settings.seed} ids {number}"))
        self._chance = random.Random(f"{settings.seed} client {number}")
        self._outbox = outbox(partial(asyncio.sleep, 0.0004)) if settings.outbox else None
        self._calls: list[Call] = []
        """Those that have not ended."""
        self._durable: set[Call] = set()
        """Calls of orders that the outbox holds: the next process finishes them."""

    def _stop(self, why: str) -> None:
        """The engine has forgotten what this client saw: somebody must look, and the program does nothing more."""
        if not self.regressed:
            self.regressed = True
            self.trace.note("client_stopped", why)
            self.ledger.stopped.append(why)

    async def _listen(self, client: ExecutionBridgeClient) -> None:
        while True:
            self.heard.resumed_at.append((len(self.heard.items), self.heard.position))
            try:
                async for item in client.subscribe_order_updates(resume_from=self.heard.position):
                    self.heard.take(item)
                    self.trace.note("update", f"{self.number} {getattr(item, 'sequence', item)}")
                problem = "it ended by itself"
            except StateRegressedError as error:
                self._stop(str(error))
                return
            except ClientClosedError:
                return
            except ExecutionBridgeError as error:
                problem = f"{type(error).__name__}: {error}"
            self.heard.problems.append(problem)
            self.trace.note("subscription_ended", problem)
            await asyncio.sleep(0.05)

    def _compare(self, report: Reconciliation) -> None:
        """What a reconciliation found."""
        self.reconciled.take(report)
        about = f"{report.began_sequence} to {report.ended_sequence}, {len(report.differences)} differences"
        self.trace.note("reconciled", f"{self.number} {about}{' and a gap' if report.gap else ''}")
        for difference in report.differences:
            self.trace.count(f"difference_{type(difference).__name__}")

    async def _hear(self, queue: OrderQueue) -> None:
        """What the queue tells, until it halts."""
        try:
            async for event in queue.events():
                self.trace.note("queue_event", f"{type(event).__name__} {event.number}")
                self.trace.count(f"queue_{type(event).__name__}")
                belief = self.ledger.orders.get(event.order_id)
                if belief is None:
                    self.ledger.strange.append(f"the queue tells of {event.order_id}, which nobody gave it")
                    continue
                belief.take(event, self._now_ns())
        except StateRegressedError as problem:
            self._stop(str(problem))
        except ClientClosedError:
            pass

    # ---- calls ----

    async def enqueue(self, plan: OrderPlan) -> None:
        """One order into the queue: on disk before it is sent, where there is an outbox."""
        assert self.queue is not None
        order = self.order_of(plan)
        belief = self.ledger.believe(order, plan.number)
        call = belief.queued = self._begin("queued", _QUEUE_PATIENCE_MS)
        belief.calls.append(call)
        try:
            await self.queue.put(order, timeout_ms=300.0)
        except ExecutionBridgeError as problem:
            # Not taken (no room, no disk, halted): it was never sent, unless it may be stored.
            call.fail(self._now_ns(), problem)
            if isinstance(problem, QueueFullError):
                call.ending = Ending.NOT_SENT
            return
        if self._outbox is not None and call.ending is Ending.OPEN:
            self._durable.add(call)

    def order_of(self, plan: OrderPlan) -> Order:
        """The order of a plan, with an id of now."""
        expires_at_ns = None
        if plan.expires_in_ms is not None:
            expires_at_ns = self.loop.clock.client_time_ns() + int(plan.expires_in_ms * MS)
        return Order(
            order_id=self._ids(),
            symbol=plan.symbol,
            order_type=OrderType[plan.order_type],
            side=OrderSide[plan.side],
            quantity=Decimal(plan.quantity),
            price=_decimal(plan.price),
            stop_loss=_decimal(plan.stop_loss),
            take_profit=_decimal(plan.take_profit),
            time_in_force=TimeInForce[plan.time_in_force or "GTC"],
            expires_at_ns=expires_at_ns,
        )

    def _begin(self, what: str, timeout_ms: float | None) -> Call:
        bound_ns = int((timeout_ms or self._settings.call_timeout_ms) * MS) + SLACK_NS
        call = Call(what, self._now_ns(), bound_ns)
        self._calls.append(call)
        return call

    async def _conclude(self, call: Call, answer: Awaitable[Any]) -> Any:
        """Waits for a call and writes down how it ended; its reply, or None."""
        try:
            reply = await answer
        except ExecutionBridgeError as problem:
            call.fail(self._now_ns(), problem)
            self._calls.remove(call)
            if isinstance(problem, StateRegressedError):
                self._stop(str(problem))
            self.trace.note(f"call_{call.ending.value}", f"{call.what} {type(problem).__name__}")
            return None
        call.end(self._now_ns(), reply)
        self._calls.remove(call)
        return reply

    async def place(self, plan: OrderPlan, timeout_ms: float | None) -> None:
        """One order by a call."""
        assert self.client is not None
        order = self.order_of(plan)
        belief = self.ledger.believe(order, plan.number)
        await self._send(belief, timeout_ms)
        if belief.is_in_doubt:
            await asyncio.sleep(0.02 + 0.2 * self._chance.random())
            await self.resolve(belief)

    async def _send(self, belief: OrderBelief, timeout_ms: float | None = None) -> None:
        assert self.client is not None
        call = self._begin("order", timeout_ms)
        belief.calls.append(call)
        delivery = await self._conclude(call, self.client.deliver_order(belief.order, timeout_ms=timeout_ms))
        if delivery is not None:
            call.reply, call.path, call.duplicate = delivery.reply, delivery.path, delivery.duplicate
            code = delivery.reply.code.name
            self.trace.note(f"replied_{delivery.path}", f"{delivery.reply.status.name} {code}")
            self.trace.count(f"copies_{min(delivery.attempts, 4)}")
            self.trace.count(f"code_{code}")
            if delivery.duplicate:
                self.trace.count("duplicate_reply")

    async def resend(self, number: int) -> None:
        """The same order again."""
        belief = self.ledger.by_number.get(number)
        if belief is not None:
            await self._send(belief)

    async def alter(self, number: int, quantity: str) -> None:
        """Another order under an id that is spent."""
        belief = self.ledger.by_number.get(number)
        if belief is None or not belief.replies or self.client is None:
            return
        call = self._begin("altered", None)
        belief.altered_copies += 1
        other = msgspec.structs.replace(belief.order, quantity=Decimal(quantity))
        delivery = await self._conclude(call, self.client.deliver_order(other))
        if delivery is not None:
            belief.altered.append(delivery.reply)

    async def place_batch(self, plans: tuple[OrderPlan, ...]) -> None:
        """Orders in one message."""
        assert self.client is not None
        beliefs = [self.ledger.believe(self.order_of(plan), plan.number) for plan in plans]
        call = self._begin("batch", None)
        calls = [Call("batched", call.began_ns, call.bound_ns) for _ in beliefs]
        for belief, share in zip(beliefs, calls, strict=True):
            belief.calls.append(share)
            self._calls.append(share)
        replies = await self._conclude(call, self.client.execute_batch([belief.order for belief in beliefs]))
        for index, share in enumerate(calls):
            self._calls.remove(share)
            self._share(share, call, None if replies is None else replies[index])
        for belief in beliefs:
            if belief.is_in_doubt:
                await self.resolve(belief)

    def _share(self, share: Call, whole: Call, reply: Any) -> None:
        """One order's share of a batch that has ended."""
        share.ending, share.ended_ns, share.problem = whole.ending, whole.ended_ns, whole.problem
        if reply is not None:
            share.reply = reply
            if reply.code.is_refusal:
                share.ending = Ending.REFUSED

    async def place_stream(self, plans: tuple[OrderPlan, ...]) -> None:
        """Orders by `execute_batch_orders`: what got no reply is named by the error at the end."""
        assert self.client is not None
        beliefs = [self.ledger.believe(self.order_of(plan), plan.number) for plan in plans]
        by_id = {belief.order.order_id: belief for belief in beliefs}
        calls: dict[str, Call] = {}
        for belief in beliefs:
            call = calls[belief.order.order_id] = self._begin("streamed", None)
            belief.calls.append(call)
        problem: ExecutionBridgeError | None = None
        try:
            async for reply in self.client.execute_batch_orders(belief.order for belief in beliefs):
                call = calls.pop(reply.order_id)
                call.end(self._now_ns(), reply)
                self._calls.remove(call)
                if reply.code.is_refusal:
                    call.ending = Ending.REFUSED
        except ExecutionBridgeError as error:
            problem = error
            if isinstance(error, StateRegressedError):
                self._stop(str(error))
        for order_id, call in calls.items():
            # The error at the end names who is in doubt; what it does not name is told apart by asking.
            call.fail(self._now_ns(), problem or OutcomeUnknownError("no reply came", order_ids=(order_id,)))
            self._calls.remove(call)
            if call.ending is Ending.NOT_SENT:
                call.ending = Ending.UNKNOWN
        for order_id in calls:
            await self.resolve(by_id[order_id])

    # ---- commands and queries ----

    async def cancel(self, number: int) -> None:
        """Cancels an order, or fences the id of one that was never placed."""
        assert self.client is not None
        belief = self.ledger.by_number.get(number)
        order_id = self._ids() if belief is None else belief.order.order_id
        command_id = self._ids()
        call = self._begin("cancel", None)
        self.ledger.commands.append(CommandBelief(command_id, order_id, call))
        await self._conclude(call, self.client.cancel_order(order_id, command_id=command_id))

    async def replace(self, number: int, quantity: str | None, price: str | None) -> None:
        """Changes an order, at the version that its last reply named."""
        belief = self.ledger.by_number.get(number)
        if belief is None or not belief.replies or self.client is None:
            return
        command_id = self._ids()
        call = self._begin("replace", None)
        self.ledger.commands.append(CommandBelief(command_id, belief.order.order_id, call))
        answer = self.client.replace_order(
            belief.order.order_id,
            expected_version=belief.replies[-1].order_version,
            quantity=_decimal(quantity),
            price=_decimal(price),
            command_id=command_id,
        )
        await self._conclude(call, answer)

    async def cancel_all(self, symbol: str) -> None:
        """Cancels every open order."""
        assert self.client is not None
        command_id = self._ids()
        call = self._begin("cancel_all", None)
        self.ledger.commands.append(CommandBelief(command_id, "", call))
        await self._conclude(call, self.client.cancel_all_orders(symbol=symbol or None, command_id=command_id))

    async def set_state(self, state: str, *, cancel_open_orders: bool) -> None:
        """What the account may do."""
        assert self.client is not None
        command_id = self._ids()
        call = self._begin("trading_state", None)
        self.ledger.commands.append(CommandBelief(command_id, "", call))
        answer = self.client.set_trading_state(
            TradingState[state], cancel_open_orders=cancel_open_orders, command_id=command_id
        )
        await self._conclude(call, answer)

    async def set_limits(self, plan: SetLimits) -> None:
        """What orders may be."""
        assert self.client is not None
        limits = RiskLimits(
            max_order_quantity=_decimal(plan.max_order_quantity),
            max_order_notional=_decimal(plan.max_order_notional),
            price_collar=_decimal(plan.price_collar),
            max_open_orders=plan.max_open_orders,
            max_position=_decimal(plan.max_position),
            orders_per_second=plan.orders_per_second,
            order_burst=plan.order_burst,
        )
        command_id = self._ids()
        call = self._begin("limits", None)
        self.ledger.commands.append(CommandBelief(command_id, "", call, limits, plan.symbol))
        answer = self.client.set_risk_limits(limits, symbol=plan.symbol, command_id=command_id)
        await self._conclude(call, answer)

    async def set_lease(self, grace_ms: int | None) -> None:
        """Cancel on disconnect, for the session of this process."""
        assert self.client is not None
        command_id = self._ids()
        call = self._begin("lease", None)
        self.ledger.commands.append(CommandBelief(command_id, "", call))
        await self._conclude(call, self.client.cancel_on_disconnect(grace_ms, command_id=command_id))

    async def quote(self, symbol: str, bid: tuple[str, str] | None, ask: tuple[str, str] | None) -> None:
        """The feed's side of the embedded exchange."""
        assert self.client is not None
        quote = Quote(
            symbol=symbol,
            bid=_decimal(bid and bid[0]),
            bid_size=_decimal(bid and bid[1]),
            ask=_decimal(ask and ask[0]),
            ask_size=_decimal(ask and ask[1]),
        )
        call = self._begin("quote", None)
        await self._conclude(call, self.client.publish_quotes([quote], command_id=self._ids()))

    async def query(self, number: int, *, fence: bool) -> None:
        """Asks for an order."""
        belief = self.ledger.by_number.get(number)
        if belief is not None:
            await self._ask(belief, fence=fence)

    async def _ask(self, belief: OrderBelief, *, fence: bool) -> bool:
        """Whether an answer came."""
        assert self.client is not None
        call = self._begin("query", None)
        answer = await self._conclude(call, self.client.get_order(belief.order.order_id, fence=fence))
        if answer is None:
            return False
        belief.answers.append(answer)
        if fence and not answer.found:
            belief.fenced = belief.fenced or answer.fenced
        if answer.reply is not None:
            belief.resolved = answer.reply
        return answer.found or answer.fenced

    async def resolve(self, belief: OrderBelief) -> None:
        """Finds out what became of an order in doubt: by its own id again, or by a fence."""
        if self.regressed or not belief.is_in_doubt:
            return
        self.trace.note("resolving", str(belief.number))
        with suppress(ExecutionBridgeError):
            way = self._chance.random()
            if way < 0.25:
                await self._ask(belief, fence=True)
            elif way < 0.5:
                await self._settle(belief)
            else:
                await self._resolve(belief)
        if not belief.is_in_doubt:
            self.trace.count("resolved")

    async def _resolve(self, belief: OrderBelief) -> None:
        assert self.client is not None
        call = self._begin("resolve", None)
        found = await self._conclude(call, self.client.resolve(belief.order.order_id))
        if found is not None:
            belief.resolved = found.reply
            belief.fenced = belief.fenced or found.fenced

    async def _settle(self, belief: OrderBelief) -> None:
        assert self.client is not None
        call = self._begin("settle", None)
        belief.calls.append(call)
        done = await self._conclude(call, self.client.settle_order(belief.order, in_doubt=True))
        if done is not None:
            call.reply, call.path, call.duplicate = done.reply, done.path, done.duplicate

    def _now_ns(self) -> int:
        return self.loop.clock.now_ns


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
