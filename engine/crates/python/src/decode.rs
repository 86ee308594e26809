//! What an engine sent: from bytes to the contract's objects.

use crate::contract::{Contract, contract};
use crate::order_replies::{self, Maker, Trouble};
use crate::refusals::wire_decode_error;
use crate::replies::Keywords;
use bridge_wire::codec::open;
use bridge_wire::limits::DecodeLimits;
use bridge_wire::schema as fb;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

type Made<'py> = PyResult<Bound<'py, PyAny>>;

/// Correlation number and body of what an engine sent.
#[pyfunction]
pub fn decode<'py>(data: &Bound<'py, PyAny>) -> PyResult<(u64, Bound<'py, PyAny>)> {
    let py = data.py();
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return decode_bytes(py, bytes.as_bytes());
    }
    // Others with the buffer protocol are copied: they could change while they are read.
    let copy = py.get_type::<PyBytes>().call1((data,))?.cast_into::<PyBytes>()?;
    decode_bytes(py, copy.as_bytes())
}

/// As [`decode`], of what is known to stay as it is.
pub fn decode_bytes<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<(u64, Bound<'py, PyAny>)> {
    let maker = Maker { py, types: contract(py)? };
    match order_replies::message(&maker, bytes) {
        Ok(message) => return Ok(message),
        Err(Trouble::Raised(error)) => return Err(error),
        Err(Trouble::NotHere) => {}
    }
    let envelope =
        open(bytes, &DecodeLimits::OF_A_CLIENT).map_err(|error| wire_decode_error(py, &error.rejection.message))?;
    let reader = Reader { py, types: maker.types, maker };
    Ok((envelope.correlation(), reader.body(&envelope)?))
}

/// See [`order_replies::reply_to`]; `None` where `bytes` is anything else, damaged messages included: others will say
/// what is wrong with them.
pub fn order_reply_to<'py>(
    py: Python<'py>,
    bytes: &[u8],
    correlation: u64,
) -> PyResult<Option<(Bound<'py, PyAny>, u64, bool)>> {
    match order_replies::reply_to(&Maker { py, types: contract(py)? }, bytes, correlation) {
        Ok(reply) => Ok(Some(reply)),
        Err(Trouble::NotHere) => Ok(None),
        Err(Trouble::Raised(error)) => Err(error),
    }
}

struct Reader<'py> {
    py: Python<'py>,
    types: &'static Contract,
    maker: Maker<'py>,
}

impl<'py> Reader<'py> {
    fn body(&self, envelope: &fb::Envelope<'_>) -> Made<'py> {
        let made = match envelope.body_type() {
            // Whole ones were made already.
            fb::Body::ExecuteReply | fb::Body::BatchReply | fb::Body::OrderUpdate => {
                Some(Err(wire_decode_error(self.py, "an OrderReply that must be there is missing or damaged")))
            }
            fb::Body::MarketData => envelope.body_as_market_data().map(|body| self.market_data(body)),
            fb::Body::OrderCommandReply => {
                envelope.body_as_order_command_reply().map(|body| self.order_command_reply(body))
            }
            fb::Body::CommandReply => envelope.body_as_command_reply().map(|body| self.command_reply(body)),
            fb::Body::GetOrderReply => envelope.body_as_get_order_reply().map(|body| self.get_order_reply(body)),
            fb::Body::OpenOrders => envelope.body_as_open_orders().map(|body| self.open_orders(body)),
            fb::Body::Refusal => envelope.body_as_refusal().map(|body| self.refusal(body)),
            fb::Body::Welcome => envelope.body_as_welcome().map(|body| self.welcome(body)),
            fb::Body::SubscribeReply => envelope.body_as_subscribe_reply().map(|body| self.subscribe_reply(body)),
            fb::Body::UpdateGap => envelope.body_as_update_gap().map(|body| self.update_gap(body)),
            fb::Body::SubscriptionEnded => {
                envelope.body_as_subscription_ended().map(|body| self.subscription_ended(body))
            }
            fb::Body::HealthReply => envelope.body_as_health_reply().map(|body| self.health(body)),
            fb::Body::GoingAway => envelope.body_as_going_away().map(|body| self.going_away(body)),
            fb::Body::SystemNotice => envelope.body_as_system_notice().map(|body| self.system_notice(body)),
            fb::Body::TopicMark => envelope.body_as_topic_mark().map(|body| self.topic_mark(body)),
            fb::Body::NONE => None,
            // A newer engine's, or a client's: the caller decides.
            fb::Body(tag) => envelope.body().map(|_| self.types.unknown_body.bind(self.py).call1((tag,))),
        };
        made.unwrap_or_else(|| Err(wire_decode_error(self.py, "an envelope without a body")))
    }

    fn order_reply(&self, table: fb::OrderReply<'_>) -> Made<'py> {
        order_replies::verified_reply(&self.maker, table._tab.buf(), table._tab.loc()).map_err(
            |trouble| match trouble {
                Trouble::Raised(error) => error,
                Trouble::NotHere => wire_decode_error(self.py, "an OrderReply is damaged"),
            },
        )
    }

    fn optional_order(&self, given: Option<fb::OrderReply<'_>>) -> PyResult<Option<Bound<'py, PyAny>>> {
        given.map(|table| self.order_reply(table)).transpose()
    }

    fn order_command_reply(&self, table: fb::OrderCommandReply<'_>) -> Made<'py> {
        let (py, types) = (self.py, self.types);
        Keywords::new(py)
            .text(intern!(py, "command_id"), table.command_id())?
            .member_unless_zero(intern!(py, "code"), &types.reason_code, table.code().0)?
            .optional_text(intern!(py, "message"), table.message())?
            .optional_text(intern!(py, "field"), table.field())?
            .optional(intern!(py, "order"), self.optional_order(table.order())?)?
            .set(intern!(py, "duplicate"), table.duplicate())?
            .set(intern!(py, "fenced"), table.fenced())?
            .make(&types.order_command_reply)
    }

    fn command_reply(&self, table: fb::CommandReply<'_>) -> Made<'py> {
        let (py, types) = (self.py, self.types);
        Keywords::new(py)
            .text(intern!(py, "command_id"), table.command_id())?
            .member_unless_zero(intern!(py, "code"), &types.reason_code, table.code().0)?
            .optional_text(intern!(py, "message"), table.message())?
            .optional_text(intern!(py, "field"), table.field())?
            .set(intern!(py, "affected"), table.affected())?
            .set(intern!(py, "duplicate"), table.duplicate())?
            .make(&types.command_reply)
    }

    fn get_order_reply(&self, table: fb::GetOrderReply<'_>) -> Made<'py> {
        let (py, types) = (self.py, self.types);
        Keywords::new(py)
            .set(intern!(py, "found"), table.found())?
            .set(intern!(py, "fenced"), table.fenced())?
            .optional(intern!(py, "order"), self.optional_order(table.order())?)?
            .optional(intern!(py, "reply"), self.optional_order(table.reply())?)?
            .member_unless_zero(intern!(py, "code"), &types.reason_code, table.code().0)?
            .optional_text(intern!(py, "message"), table.message())?
            .optional_text(intern!(py, "field"), table.field())?
            .make(&types.get_order_reply)
    }

    fn open_orders(&self, table: fb::OpenOrders<'_>) -> Made<'py> {
        let (py, types) = (self.py, self.types);
        let orders: PyResult<Vec<_>> =
            table.orders().unwrap_or_default().iter().map(|order| self.order_reply(order)).collect();
        Keywords::new(py)
            .set(intern!(py, "last_sequence"), table.last_sequence())?
            .set(intern!(py, "orders"), orders?)?
            .set(intern!(py, "more"), table.more())?
            .member_unless_zero(intern!(py, "code"), &types.reason_code, table.code().0)?
            .optional_text(intern!(py, "message"), table.message())?
            .optional_text(intern!(py, "field"), table.field())?
            .make(&types.open_orders)
    }

    fn welcome(&self, table: fb::Welcome<'_>) -> Made<'py> {
        let (py, types) = (self.py, self.types);
        let limits = table.limits().map(|limits| self.limits(limits)).transpose()?;
        Keywords::new(py)
            .set(intern!(py, "protocol_version"), table.protocol_version())?
            .set(intern!(py, "contract_version"), table.contract_version())?
            .text(intern!(py, "journal_id"), table.journal_id())?
            .set(intern!(py, "epoch"), table.epoch())?
            .text(intern!(py, "engine_version"), table.engine_version())?
            .optional(intern!(py, "limits"), limits)?
            .set(intern!(py, "last_sequence"), table.last_sequence())?
            .text(intern!(py, "pub_endpoint"), table.pub_endpoint())?
            .make(&types.welcome)
    }

    fn limits(&self, table: fb::Limits<'_>) -> Made<'py> {
        let py = self.py;
        Keywords::new(py)
            .set(intern!(py, "max_message_bytes"), table.max_message_bytes())?
            .set(intern!(py, "max_batch_orders"), table.max_batch_orders())?
            .set(intern!(py, "max_in_flight"), table.max_in_flight())?
            .set(intern!(py, "max_metadata_entries"), table.max_metadata_entries())?
            .set(intern!(py, "update_history"), table.update_history())?
            .make(&self.types.limits)
    }

    fn refusal(&self, table: fb::Refusal<'_>) -> Made<'py> {
        let (py, types) = (self.py, self.types);
        let versions: Vec<u16> = table.supported_protocol_versions().unwrap_or_default().iter().collect();
        Keywords::new(py)
            .member(intern!(py, "code"), &types.reason_code, table.code().0)?
            .text(intern!(py, "message"), table.message())?
            .text(intern!(py, "field"), table.field())?
            .set(intern!(py, "supported_protocol_versions"), PyTuple::new(py, versions)?)?
            .text(intern!(py, "journal_id"), table.journal_id())?
            .make(&types.refusal)
    }

    fn subscribe_reply(&self, table: fb::SubscribeReply<'_>) -> Made<'py> {
        let account = table.account().unwrap_or_default();
        self.types.subscribe_reply.bind(self.py).call1((account, table.last_sequence()))
    }

    fn update_gap(&self, table: fb::UpdateGap<'_>) -> Made<'py> {
        self.types.update_gap.bind(self.py).call1((table.first_sequence(), table.last_sequence()))
    }

    fn subscription_ended(&self, table: fb::SubscriptionEnded<'_>) -> Made<'py> {
        let code = self.types.reason_code.member(self.py, table.code().0)?;
        let message = table.message().unwrap_or_default();
        self.types.subscription_ended.bind(self.py).call1((code, message, table.last_sequence()))
    }

    fn going_away(&self, table: fb::GoingAway<'_>) -> Made<'py> {
        self.types.going_away.bind(self.py).call1((table.message().unwrap_or_default(), table.drain_ms()))
    }

    fn health(&self, table: fb::HealthReply<'_>) -> Made<'py> {
        let (py, types) = (self.py, self.types);
        let counters = PyDict::new(py);
        for counter in table.counters().unwrap_or_default() {
            let name = counter.name().unwrap_or_default();
            if counters.contains(name)? {
                return Err(wire_decode_error(py, "a counter stands twice"));
            }
            counters.set_item(name, counter.value())?;
        }
        Keywords::new(py)
            .member(intern!(py, "status"), &types.serving_status, table.status().0.into())?
            .text(intern!(py, "message"), table.message())?
            .text(intern!(py, "journal_id"), table.journal_id())?
            .set(intern!(py, "epoch"), table.epoch())?
            .set(intern!(py, "journal_seq"), table.journal_seq())?
            .text(intern!(py, "state_hash"), table.state_hash())?
            .text(intern!(py, "engine_version"), table.engine_version())?
            .text(intern!(py, "durability"), table.durability())?
            .set(intern!(py, "duplicates"), table.duplicates())?
            .set(intern!(py, "counters"), counters)?
            .make(&types.health)
    }

    fn market_data(&self, table: fb::MarketData<'_>) -> Made<'py> {
        let py = self.py;
        Keywords::new(py)
            .text(intern!(py, "symbol"), table.symbol())?
            .set(intern!(py, "topic_sequence"), table.topic_sequence())?
            .decimal(intern!(py, "bid"), table.bid())?
            .decimal(intern!(py, "ask"), table.ask())?
            .decimal(intern!(py, "last_price"), table.last_price())?
            .decimal(intern!(py, "volume"), table.volume())?
            .decimal(intern!(py, "bid_size"), table.bid_size())?
            .decimal(intern!(py, "ask_size"), table.ask_size())?
            .set(intern!(py, "timestamp_ns"), table.timestamp_ns())?
            .make(&self.types.market_data_update)
    }

    fn system_notice(&self, table: fb::SystemNotice<'_>) -> Made<'py> {
        let py = self.py;
        Keywords::new(py)
            .set(intern!(py, "topic_sequence"), table.topic_sequence())?
            .member(intern!(py, "code"), &self.types.reason_code, table.code().0)?
            .text(intern!(py, "message"), table.message())?
            .set(intern!(py, "timestamp_ns"), table.timestamp_ns())?
            .make(&self.types.system_notice)
    }

    fn topic_mark(&self, table: fb::TopicMark<'_>) -> Made<'py> {
        let topic = table.topic().unwrap_or_default();
        self.types.topic_mark.bind(self.py).call1((topic, table.last_topic_sequence()))
    }
}
