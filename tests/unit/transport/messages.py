"""Strategies for every message of the wire, for property tests of the codecs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from transport import contract as c
from transport.contract.decimals import from_wire
from transport.wire import messages as m

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
u16s = st.integers(0, 2**16 - 1)
u32s = st.integers(0, 2**32 - 1)
u64s = st.integers(0, 2**64 - 1)
i64s = st.integers(-(2**63), 2**63 - 1)
flags = st.booleans()
decimals: st.SearchStrategy[Decimal] = st.builds(from_wire, i64s, st.integers(-128, 127))


def maybe(strategy: Any) -> Any:
    return st.none() | strategy


def enums(enum: Any) -> Any:
    return st.sampled_from(list(enum))


codes = enums(c.ReasonCode)
orders = st.builds(
    c.Order, order_id=texts, symbol=texts, order_type=maybe(enums(c.OrderType)), side=maybe(enums(c.OrderSide)),
    quantity=maybe(decimals), price=maybe(decimals), stop_loss=maybe(decimals), take_profit=maybe(decimals),
    timestamp_ns=maybe(i64s), metadata=st.dictionaries(texts, texts, max_size=4), account=texts,
    time_in_force=maybe(enums(c.TimeInForce)), expires_at_ns=maybe(i64s), contract_version=u16s, trace_context=texts,
)  # fmt: skip
order_replies = st.builds(
    c.OrderReply, order_id=texts, status=enums(c.ExecutionStatus), exchange_order_id=texts,
    executed_quantity=decimals, executed_price=maybe(decimals), execution_time_ns=maybe(i64s), error_message=texts,
    code=codes, field=texts, account=texts, order_version=u64s, sequence=u64s, remaining_quantity=decimals,
    symbol=texts, order_type=maybe(enums(c.OrderType)), side=maybe(enums(c.OrderSide)), quantity=maybe(decimals),
    price=maybe(decimals), parent_order_id=texts,
)  # fmt: skip
quotes = st.builds(
    c.Quote, symbol=texts, bid=maybe(decimals), ask=maybe(decimals), bid_size=maybe(decimals),
    ask_size=maybe(decimals), last_price=maybe(decimals), volume=maybe(decimals), timestamp_ns=maybe(i64s),
)  # fmt: skip
execute_replies = st.builds(c.ExecuteReply, reply=order_replies, duplicate=flags)
limits = st.builds(m.Limits, u32s, u32s, u32s, u32s, u32s)

requests = st.one_of(
    st.builds(
        m.Hello, protocol_version=u16s, client=texts, session_id=texts, resume_from=maybe(u64s), account=texts
    ),
    st.builds(c.CancelOrder, command_id=texts, order_id=texts, account=texts, expected_version=maybe(u64s)),
    st.builds(
        c.ReplaceOrder, command_id=texts, order_id=texts, account=texts, expected_version=u64s,
        quantity=maybe(decimals), price=maybe(decimals),
    ),
    st.builds(c.GetOrder, order_id=texts, account=texts, fence=flags),
    st.builds(c.CancelAllOrders, command_id=texts, account=texts, symbol=texts),
    st.builds(
        c.SetTradingState, command_id=texts, account=texts, state=enums(c.TradingState), cancel_open_orders=flags
    ),
    st.builds(c.PublishQuotes, command_id=texts, quotes=st.lists(quotes, max_size=3).map(tuple)),
    st.builds(c.SubscribeOrderUpdates, account=texts, resume_from=maybe(u64s), accept_gaps=flags),
    st.builds(m.UnsubscribeOrderUpdates, u64s),
    st.builds(c.HealthCheck, service=texts),
)  # fmt: skip
engine_messages = st.one_of(
    st.builds(
        m.Welcome, protocol_version=u16s, contract_version=u16s, journal_id=texts, epoch=u64s, engine_version=texts,
        limits=limits, last_sequence=u64s, pub_endpoint=texts,
    ),
    st.builds(
        m.Refusal, code=codes, message=texts, field=texts,
        supported_protocol_versions=st.lists(u16s, max_size=3).map(tuple), journal_id=texts,
    ),
    execute_replies,
    st.builds(m.BatchReply, st.lists(execute_replies, max_size=3)),
    st.builds(
        c.OrderCommandReply, command_id=texts, code=codes, message=texts, field=texts, order=maybe(order_replies),
        duplicate=flags, fenced=flags,
    ),
    st.builds(
        c.CommandReply, command_id=texts, code=codes, message=texts, field=texts, affected=u64s, duplicate=flags
    ),
    st.builds(
        c.GetOrderReply, found=flags, fenced=flags, order=maybe(order_replies), reply=maybe(order_replies),
        code=codes, message=texts, field=texts,
    ),
    st.builds(m.SubscribeReply, account=texts, last_sequence=u64s),
    st.builds(
        c.OrderUpdate, sequence=u64s, kind=enums(c.UpdateKind), order=order_replies, execution_id=u64s,
        last_quantity=maybe(decimals), last_price=maybe(decimals), event_time_ns=i64s, snapshot=flags,
    ),
    st.builds(c.UpdateGap, u64s, u64s),
    st.builds(m.SubscriptionEnded, codes, texts, u64s),
    st.builds(
        c.Health, status=enums(c.ServingStatus), message=texts, journal_id=texts, epoch=u64s, journal_seq=u64s,
        state_hash=texts, engine_version=texts, durability=texts, duplicates=u64s,
        counters=st.dictionaries(texts, u64s, max_size=3),
    ),
    st.builds(m.GoingAway, texts, u32s),
    st.builds(
        c.MarketDataUpdate, topic_sequence=u64s, symbol=texts, bid=maybe(decimals), ask=maybe(decimals),
        last_price=maybe(decimals), volume=maybe(decimals), bid_size=maybe(decimals), ask_size=maybe(decimals),
        timestamp_ns=i64s,
    ),
    st.builds(m.SystemNotice, topic_sequence=u64s, code=codes, message=texts, timestamp_ns=i64s),
    st.builds(m.TopicMark, texts, u64s),
)  # fmt: skip
