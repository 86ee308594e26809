//! What the engine says, into bytes.

use super::encoder::{Builder, Encoder, decimal, optional, text};
use super::message::{HealthReply, MarketData, SystemNotice, Welcome};
use crate::schema as fb;
use bridge_core::{
    CommandReply, ExecuteReply, GetOrderReply, OpenOrders, OrderCommandReply, OrderReply, OrderUpdate, ReasonCode,
    Rejection,
};
use flatbuffers::WIPOffset;

impl Encoder {
    /// Answers Hello.
    pub fn welcome(&mut self, correlation: u64, welcome: &Welcome) -> &[u8] {
        let builder = self.start();
        let journal_id = text(builder, &welcome.journal_id);
        let engine_version = text(builder, &welcome.engine_version);
        let pub_endpoint = text(builder, &welcome.pub_endpoint);
        let limits = fb::Limits::create(
            builder,
            &fb::LimitsArgs {
                max_message_bytes: welcome.limits.max_message_bytes,
                max_batch_orders: welcome.limits.max_batch_orders,
                max_in_flight: welcome.limits.max_in_flight,
                max_metadata_entries: welcome.limits.max_metadata_entries,
                update_history: welcome.limits.update_history,
            },
        );
        let body = fb::Welcome::create(
            builder,
            &fb::WelcomeArgs {
                protocol_version: welcome.protocol_version,
                contract_version: welcome.contract_version,
                journal_id,
                epoch: welcome.epoch,
                engine_version,
                limits: Some(limits),
                last_sequence: welcome.last_sequence,
                pub_endpoint,
            },
        );
        self.finish(correlation, "", fb::Body::Welcome, body)
    }

    /// Refuses one copy of a request. `supported_protocol_versions` goes with `UNSUPPORTED_PROTOCOL_VERSION`,
    /// `journal_id` (the engine's own) with `JOURNAL_ID_MISMATCH`; empty otherwise.
    pub fn refusal(
        &mut self,
        correlation: u64,
        rejection: &Rejection,
        supported_protocol_versions: &[u16],
        journal_id: &str,
    ) -> &[u8] {
        let builder = self.start();
        let message = text(builder, &rejection.message);
        let field = text(builder, &rejection.field);
        let journal_id = text(builder, journal_id);
        let versions = match supported_protocol_versions {
            [] => None,
            versions => Some(builder.create_vector(versions)),
        };
        let body = fb::Refusal::create(
            builder,
            &fb::RefusalArgs {
                code: code(rejection.code),
                message,
                field,
                supported_protocol_versions: versions,
                journal_id,
            },
        );
        self.finish(correlation, "", fb::Body::Refusal, body)
    }

    /// Ends an ExecuteOrder.
    pub fn execute_reply(&mut self, correlation: u64, reply: &ExecuteReply) -> &[u8] {
        let body = execute_reply(self.start(), reply);
        self.finish(correlation, "", fb::Body::ExecuteReply, body)
    }

    /// Ends an ExecuteBatch, by index.
    pub fn batch_reply(&mut self, correlation: u64, replies: &[ExecuteReply]) -> &[u8] {
        self.builder.reset();
        self.replies.clear();
        for reply in replies {
            self.replies.push(execute_reply(&mut self.builder, reply));
        }
        let replies = self.builder.create_vector(&self.replies);
        let body = fb::BatchReply::create(&mut self.builder, &fb::BatchReplyArgs { replies: Some(replies) });
        self.finish(correlation, "", fb::Body::BatchReply, body)
    }

    /// Ends a CancelOrder or ReplaceOrder.
    pub fn order_command_reply(&mut self, correlation: u64, reply: &OrderCommandReply) -> &[u8] {
        let builder = self.start();
        let command_id = text(builder, &reply.command_id);
        let message = text(builder, &reply.message);
        let field = text(builder, &reply.field);
        let order = reply.order.as_ref().map(|order| order_reply(builder, order));
        let body = fb::OrderCommandReply::create(
            builder,
            &fb::OrderCommandReplyArgs {
                command_id,
                code: code(reply.code),
                message,
                field,
                order,
                duplicate: reply.duplicate,
                fenced: reply.fenced,
            },
        );
        self.finish(correlation, "", fb::Body::OrderCommandReply, body)
    }

    /// Ends a CancelAllOrders, SetTradingState or PublishQuotes.
    pub fn command_reply(&mut self, correlation: u64, reply: &CommandReply) -> &[u8] {
        let builder = self.start();
        let command_id = text(builder, &reply.command_id);
        let message = text(builder, &reply.message);
        let field = text(builder, &reply.field);
        let body = fb::CommandReply::create(
            builder,
            &fb::CommandReplyArgs {
                command_id,
                code: code(reply.code),
                message,
                field,
                affected: reply.affected,
                duplicate: reply.duplicate,
            },
        );
        self.finish(correlation, "", fb::Body::CommandReply, body)
    }

    /// Answers a GetOrder.
    pub fn get_order_reply(&mut self, correlation: u64, reply: &GetOrderReply) -> &[u8] {
        let builder = self.start();
        let message = text(builder, &reply.message);
        let field = text(builder, &reply.field);
        let order = reply.order.as_ref().map(|order| order_reply(builder, order));
        let stored = reply.reply.as_ref().map(|order| order_reply(builder, order));
        let body = fb::GetOrderReply::create(
            builder,
            &fb::GetOrderReplyArgs {
                found: reply.found,
                fenced: reply.fenced,
                order,
                reply: stored,
                code: code(reply.code.unwrap_or(ReasonCode::None)),
                message,
                field,
            },
        );
        self.finish(correlation, "", fb::Body::GetOrderReply, body)
    }

    /// A page of open orders.
    pub fn open_orders(&mut self, correlation: u64, page: &OpenOrders) -> &[u8] {
        self.builder.reset();
        self.listed.clear();
        for order in &page.orders {
            self.listed.push(order_reply(&mut self.builder, order));
        }
        let builder = &mut self.builder;
        let orders = builder.create_vector(&self.listed);
        let message = text(builder, &page.message);
        let field = text(builder, &page.field);
        let body = fb::OpenOrders::create(
            builder,
            &fb::OpenOrdersArgs {
                last_sequence: page.last_sequence,
                orders: Some(orders),
                more: page.more,
                code: code(page.code),
                message,
                field,
            },
        );
        self.finish(correlation, "", fb::Body::OpenOrders, body)
    }

    /// A subscription stands; its updates carry the same correlation number.
    pub fn subscribe_reply(&mut self, correlation: u64, account: &str, last_sequence: u64) -> &[u8] {
        let builder = self.start();
        let account = text(builder, account);
        let body = fb::SubscribeReply::create(builder, &fb::SubscribeReplyArgs { account, last_sequence });
        self.finish(correlation, "", fb::Body::SubscribeReply, body)
    }

    /// One update of a subscription.
    pub fn order_update(&mut self, correlation: u64, update: &OrderUpdate) -> &[u8] {
        let builder = self.start();
        let order = order_reply(builder, &update.order);
        let body = fb::OrderUpdate::create(
            builder,
            &fb::OrderUpdateArgs {
                sequence: update.sequence,
                kind: fb::UpdateKind(update.kind as u8),
                order: Some(order),
                execution_id: update.execution_id,
                last_quantity: optional(update.last_quantity).as_ref(),
                last_price: optional(update.last_price).as_ref(),
                event_time_ns: update.event_time_ns,
                snapshot: update.snapshot,
            },
        );
        self.finish(correlation, "", fb::Body::OrderUpdate, body)
    }

    /// The updates `first_sequence` to `last_sequence`, both included, can no longer be replayed.
    pub fn update_gap(&mut self, correlation: u64, first_sequence: u64, last_sequence: u64) -> &[u8] {
        let body = fb::UpdateGap::create(self.start(), &fb::UpdateGapArgs { first_sequence, last_sequence });
        self.finish(correlation, "", fb::Body::UpdateGap, body)
    }

    /// A subscription has ended; it may be resumed after `last_sequence`.
    pub fn subscription_ended(
        &mut self,
        correlation: u64,
        reason: ReasonCode,
        message: &str,
        last_sequence: u64,
    ) -> &[u8] {
        let builder = self.start();
        let message = text(builder, message);
        let ended = fb::SubscriptionEndedArgs { code: code(reason), message, last_sequence };
        let body = fb::SubscriptionEnded::create(builder, &ended);
        self.finish(correlation, "", fb::Body::SubscriptionEnded, body)
    }

    /// Answers a HealthCheck. Allocates: it is not on the hot path.
    pub fn health_reply(&mut self, correlation: u64, health: &HealthReply<'_>) -> &[u8] {
        let builder = self.start();
        let message = text(builder, health.message);
        let journal_id = text(builder, health.journal_id);
        let state_hash = text(builder, &format!("{:032x}", health.state_hash));
        let engine_version = text(builder, health.engine_version);
        let durability = text(builder, health.durability);
        let mut counters = Vec::with_capacity(health.counters.len());
        for &(name, value) in health.counters {
            let name = text(builder, name);
            counters.push(fb::Counter::create(builder, &fb::CounterArgs { name, value }));
        }
        let counters = builder.create_vector(&counters);
        let body = fb::HealthReply::create(
            builder,
            &fb::HealthReplyArgs {
                status: fb::ServingStatus(health.status as u8),
                message,
                journal_id,
                epoch: health.epoch,
                journal_seq: health.journal_seq,
                state_hash,
                engine_version,
                durability,
                duplicates: health.duplicates,
                counters: Some(counters),
            },
        );
        self.finish(correlation, "", fb::Body::HealthReply, body)
    }

    /// The engine shuts down and reads on for `drain_ms`.
    pub fn going_away(&mut self, message: &str, drain_ms: u32) -> &[u8] {
        let builder = self.start();
        let message = text(builder, message);
        let body = fb::GoingAway::create(builder, &fb::GoingAwayArgs { message, drain_ms });
        self.finish(0, "", fb::Body::GoingAway, body)
    }

    /// Part 2 of a message of the topic `md.<symbol>`.
    pub fn market_data(&mut self, data: &MarketData<'_>) -> &[u8] {
        let builder = self.start();
        let symbol = text(builder, data.symbol);
        let body = fb::MarketData::create(
            builder,
            &fb::MarketDataArgs {
                topic_sequence: data.topic_sequence,
                symbol,
                bid: optional(data.bid).as_ref(),
                ask: optional(data.ask).as_ref(),
                last_price: optional(data.last_price).as_ref(),
                volume: optional(data.volume).as_ref(),
                bid_size: optional(data.bid_size).as_ref(),
                ask_size: optional(data.ask_size).as_ref(),
                timestamp_ns: data.timestamp_ns,
            },
        );
        self.finish(0, "", fb::Body::MarketData, body)
    }

    /// Part 2 of a message of the topic `sys`.
    pub fn system_notice(&mut self, notice: &SystemNotice<'_>) -> &[u8] {
        let builder = self.start();
        let message = text(builder, notice.message);
        let body = fb::SystemNotice::create(
            builder,
            &fb::SystemNoticeArgs {
                topic_sequence: notice.topic_sequence,
                code: code(notice.code),
                message,
                timestamp_ns: notice.timestamp_ns,
            },
        );
        self.finish(0, "", fb::Body::SystemNotice, body)
    }

    /// Part 2 of a topic's periodic mark. `topic` without the closing NUL.
    pub fn topic_mark(&mut self, topic: &str, last_topic_sequence: u64) -> &[u8] {
        let builder = self.start();
        let topic = text(builder, topic);
        let body = fb::TopicMark::create(builder, &fb::TopicMarkArgs { topic, last_topic_sequence });
        self.finish(0, "", fb::Body::TopicMark, body)
    }
}

fn code(code: ReasonCode) -> fb::ReasonCode {
    fb::ReasonCode(code as u16)
}

fn execute_reply(builder: &mut Builder, reply: &ExecuteReply) -> WIPOffset<fb::ExecuteReply<'static>> {
    let order = order_reply(builder, &reply.reply);
    fb::ExecuteReply::create(builder, &fb::ExecuteReplyArgs { reply: Some(order), duplicate: reply.duplicate })
}

fn order_reply(builder: &mut Builder, reply: &OrderReply) -> WIPOffset<fb::OrderReply<'static>> {
    let order_id = text(builder, &reply.order_id);
    let exchange_order_id = text(builder, &reply.exchange_order_id);
    let error_message = text(builder, &reply.error_message);
    let field = text(builder, &reply.field);
    let account = text(builder, &reply.account);
    let symbol = text(builder, &reply.symbol);
    let parent_order_id = text(builder, &reply.parent_order_id);
    fb::OrderReply::create(
        builder,
        &fb::OrderReplyArgs {
            order_id,
            status: fb::ExecutionStatus(reply.status as u8),
            exchange_order_id,
            executed_quantity: Some(&decimal(reply.executed_quantity)),
            executed_price: optional(reply.executed_price).as_ref(),
            execution_time_ns: reply.execution_time_ns,
            error_message,
            code: code(reply.code),
            field,
            account,
            order_version: reply.order_version,
            sequence: reply.sequence,
            remaining_quantity: Some(&decimal(reply.remaining_quantity)),
            symbol,
            order_type: reply.order_type.map(|kind| fb::OrderType(kind as u8)),
            side: reply.side.map(|side| fb::OrderSide(side as u8)),
            quantity: optional(reply.quantity).as_ref(),
            price: optional(reply.price).as_ref(),
            parent_order_id,
        },
    )
}
