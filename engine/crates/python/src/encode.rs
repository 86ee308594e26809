//! Requests: from the contract's objects to bytes.

use crate::contract::{ORDER_FIELDS, contract, is_exactly};
use crate::fields::{Place, Text, as_decimal, as_integer, as_text, decimal, flag, integer, text};
use crate::order_messages::OrderMessage;
use crate::refusals::validation_error;
use bridge_core::{CancelAllOrders, CancelOrder, Quote, ReplaceOrder, RiskLimits, SetRiskLimits};
use bridge_wire::CONTRACT_VERSION;
use bridge_wire::codec::{Encoder, GetOrder, Hello, ListOpenOrders, OrderFields, Subscribe, TradingStateFields};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use std::cell::Cell;

thread_local! {
    /// Taken out while in use: reading attributes may run Python code, which may encode in turn.
    static ENCODER: Cell<Option<Encoder>> = const { Cell::new(None) };
    static ORDER_MESSAGE: Cell<Option<OrderMessage>> = const { Cell::new(None) };
}

/// Above this size the buffer is given back rather than kept.
const KEPT_BYTES: usize = 4 << 20;

fn with_encoder<T>(use_encoder: impl FnOnce(&mut Encoder) -> PyResult<T>) -> PyResult<T> {
    let mut encoder = ENCODER.take().unwrap_or_default();
    let result = use_encoder(&mut encoder);
    if encoder.capacity_bytes() <= KEPT_BYTES {
        ENCODER.set(Some(encoder));
    }
    result
}

fn with_order_writer<T>(use_message: impl FnOnce(&mut OrderMessage) -> PyResult<T>) -> PyResult<T> {
    let mut message = ORDER_MESSAGE.take().unwrap_or_default();
    let result = use_message(&mut message);
    if message.capacity_bytes() <= KEPT_BYTES {
        ORDER_MESSAGE.set(Some(message));
    }
    result
}

/// Envelope with ExecuteOrder.
#[pyfunction]
pub fn encode_execute_order<'py>(
    correlation: Bound<'py, PyAny>,
    journal_id: Bound<'py, PyAny>,
    order: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    with_order_message(correlation, journal_id, order, |bytes| Ok(PyBytes::new(order.py(), bytes)))
}

/// Makes the message of one order and shows it to `take`.
pub fn with_order_message<'py, T>(
    correlation: Bound<'py, PyAny>,
    journal_id: Bound<'py, PyAny>,
    order: &Bound<'py, PyAny>,
    take: impl FnOnce(&[u8]) -> PyResult<T>,
) -> PyResult<T> {
    let address = Address::read(correlation, journal_id)?;
    with_order_bytes(address.correlation, address.journal_id.as_str(), order, take)?
}

/// As [`with_order_message`], with the envelope's own fields as they are.
pub fn with_order_bytes<'py, T>(
    correlation: u64,
    journal_id: &str,
    order: &Bound<'py, PyAny>,
    take: impl FnOnce(&[u8]) -> T,
) -> PyResult<T> {
    with_order_writer(|message| {
        with_order(order, Place::Top, |fields| take(message.single(correlation, journal_id, fields)))
    })
}

/// Envelope with ExecuteBatch.
#[pyfunction]
pub fn encode_execute_batch<'py>(
    correlation: Bound<'py, PyAny>,
    journal_id: Bound<'py, PyAny>,
    orders: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = orders.py();
    let address = Address::read(correlation, journal_id)?;
    // The count comes first in the message: what only iterates is gathered.
    let orders: Vec<Bound<'py, PyAny>> = orders.try_iter()?.collect::<PyResult<_>>()?;
    with_order_writer(|message| {
        message.begin_batch(address.correlation, address.journal_id.as_str(), orders.len());
        for (index, order) in orders.iter().enumerate() {
            with_order(order, Place::Order(index), |fields| message.order(fields))?;
        }
        Ok(PyBytes::new(py, message.bytes()))
    })
}

/// Envelope with any other request.
#[pyfunction]
pub fn encode_request<'py>(
    correlation: Bound<'py, PyAny>,
    journal_id: Bound<'py, PyAny>,
    request: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let address = Address::read(correlation, journal_id)?;
    with_encoder(|encoder| write_request(encoder, &address, request))
}

/// The envelope's own fields.
struct Address<'py> {
    correlation: u64,
    journal_id: Text<'py>,
}

impl<'py> Address<'py> {
    fn read(correlation: Bound<'py, PyAny>, journal_id: Bound<'py, PyAny>) -> PyResult<Self> {
        Ok(Self {
            correlation: as_integer(correlation, "correlation", Place::Top)?.unwrap_or(0),
            journal_id: as_text(journal_id, "journal_id", Place::Top)?,
        })
    }
}

fn with_order<'py, T>(
    order: &Bound<'py, PyAny>,
    place: Place,
    write: impl FnOnce(&OrderFields<'_>) -> T,
) -> PyResult<T> {
    let fields = fields_of(order)?;
    let field = |index: usize| fields.get_item(index).map(|value| (value, ORDER_FIELDS[index]));
    let read_text = |index| field(index).and_then(|(value, name)| as_text(value, name, place));
    let read_decimal = |index| field(index).and_then(|(value, name)| as_decimal(&value, name, place));
    let read_time = |index| field(index).and_then(|(value, name)| as_integer::<i64>(value, name, place));
    let read_member = |index| field(index).and_then(|(value, name)| as_integer::<u8>(value, name, place));
    let (symbol, order_id, account, trace_context) = (read_text(0)?, read_text(7)?, read_text(8)?, read_text(14)?);
    let entries = metadata(&field(11)?.0, place)?;
    let metadata: Vec<(&str, &str)> = entries.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let (version, version_name) = field(13)?;
    Ok(write(&OrderFields {
        order_id: order_id.as_str(),
        symbol: symbol.as_str(),
        order_type: read_member(1)?,
        side: read_member(2)?,
        quantity: read_decimal(3)?,
        price: read_decimal(4)?,
        stop_loss: read_decimal(5)?,
        take_profit: read_decimal(6)?,
        timestamp_ns: read_time(10)?,
        metadata: &metadata,
        account: account.as_str(),
        time_in_force: read_member(9)?,
        expires_at_ns: read_time(12)?,
        contract_version: as_integer(version, version_name, place)?.unwrap_or(CONTRACT_VERSION),
        trace_context: trace_context.as_str(),
    }))
}

/// All fields at once, in the order of `ORDER_FIELDS`: one call instead of fifteen.
fn fields_of<'py>(order: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    let py = order.py();
    let types = contract(py)?;
    if is_exactly(&order.get_type(), &types.order) {
        return Ok(types.astuple.bind(py).call1((order,))?.cast_into::<PyTuple>()?);
    }
    // A subclass, or something that looks like an order.
    let fields: Vec<_> = ORDER_FIELDS.iter().map(|name| order.getattr(*name)).collect::<PyResult<_>>()?;
    PyTuple::new(py, fields)
}

fn metadata<'py>(given: &Bound<'py, PyAny>, place: Place) -> PyResult<Vec<(Text<'py>, Text<'py>)>> {
    let Ok(entries) = given.cast::<PyDict>() else {
        if given.is_none() {
            return Ok(Vec::new());
        }
        let problem = format!("a {} is no dictionary", given.get_type().name()?);
        return Err(validation_error(given.py(), &place.name("metadata"), &problem, None));
    };
    entries
        .iter()
        .map(|(key, value)| Ok((as_text(key, "metadata", place)?, as_text(value, "metadata", place)?)))
        .collect()
}

fn write_request<'py>(
    encoder: &mut Encoder,
    address: &Address<'py>,
    request: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = request.py();
    let types = contract(py)?;
    let class = request.get_type();
    let (correlation, journal_id) = (address.correlation, address.journal_id.as_str());
    let bytes = if is_exactly(&class, &types.cancel_order) {
        encoder.cancel_order(correlation, journal_id, &cancel_order(request)?)
    } else if is_exactly(&class, &types.replace_order) {
        encoder.replace_order(correlation, journal_id, &replace_order(request)?)
    } else if is_exactly(&class, &types.get_order) {
        encoder.get_order(correlation, journal_id, &get_order(request)?)
    } else if is_exactly(&class, &types.publish_quotes) {
        let command_id = owned(request, intern!(py, "command_id"))?;
        encoder.publish_quotes(correlation, journal_id, &command_id, &quotes(request)?)
    } else if is_exactly(&class, &types.cancel_all_orders) {
        encoder.cancel_all_orders(correlation, journal_id, &cancel_all_orders(request)?)
    } else if is_exactly(&class, &types.set_trading_state) {
        let command_id = owned(request, intern!(py, "command_id"))?;
        let account = owned(request, intern!(py, "account"))?;
        let state = integer(request, intern!(py, "state"), Place::Top)?.unwrap_or(0);
        let set = TradingStateFields {
            command_id: &command_id,
            account: &account,
            state,
            cancel_open_orders: flag(request, intern!(py, "cancel_open_orders"))?,
            all_accounts: flag(request, intern!(py, "all_accounts"))?,
        };
        encoder.set_trading_state(correlation, journal_id, &set)
    } else if is_exactly(&class, &types.list_open_orders) {
        encoder.list_open_orders(correlation, journal_id, &list_open_orders(request)?)
    } else if is_exactly(&class, &types.set_risk_limits) {
        encoder.set_risk_limits(correlation, journal_id, &set_risk_limits(request)?)
    } else if is_exactly(&class, &types.set_cancel_on_disconnect) {
        let command_id = owned(request, intern!(py, "command_id"))?;
        let account = owned(request, intern!(py, "account"))?;
        let grace_ms = integer(request, intern!(py, "grace_ms"), Place::Top)?;
        encoder.set_cancel_on_disconnect(correlation, journal_id, &command_id, &account, grace_ms)
    } else if is_exactly(&class, &types.subscribe_order_updates) {
        encoder.subscribe(correlation, journal_id, &subscribe(request)?)
    } else if is_exactly(&class, &types.unsubscribe_order_updates) {
        let subscription = integer(request, intern!(py, "subscription"), Place::Top)?.unwrap_or(0);
        encoder.unsubscribe(correlation, journal_id, subscription)
    } else if is_exactly(&class, &types.health_check) {
        encoder.health_check(correlation, journal_id, &owned(request, intern!(py, "service"))?)
    } else if is_exactly(&class, &types.hello) {
        encoder.hello(correlation, journal_id, &hello(request)?)
    } else {
        return Err(PyTypeError::new_err(format!("{} is no request of the fast path", class.name()?)));
    };
    Ok(PyBytes::new(py, bytes))
}

fn owned<'py>(request: &Bound<'py, PyAny>, name: &Bound<'py, pyo3::types::PyString>) -> PyResult<String> {
    Ok(text(request, name, Place::Top)?.as_str().to_owned())
}

fn hello(request: &Bound<'_, PyAny>) -> PyResult<Hello> {
    let py = request.py();
    Ok(Hello {
        protocol_version: integer(request, intern!(py, "protocol_version"), Place::Top)?.unwrap_or(0),
        client: owned(request, intern!(py, "client"))?,
        session_id: owned(request, intern!(py, "session_id"))?,
        resume_from: integer(request, intern!(py, "resume_from"), Place::Top)?,
        account: owned(request, intern!(py, "account"))?,
    })
}

fn cancel_order(request: &Bound<'_, PyAny>) -> PyResult<CancelOrder> {
    let py = request.py();
    Ok(CancelOrder {
        command_id: owned(request, intern!(py, "command_id"))?,
        account: owned(request, intern!(py, "account"))?,
        order_id: owned(request, intern!(py, "order_id"))?,
        expected_version: integer(request, intern!(py, "expected_version"), Place::Top)?,
        defect: None,
    })
}

fn replace_order(request: &Bound<'_, PyAny>) -> PyResult<ReplaceOrder> {
    let py = request.py();
    Ok(ReplaceOrder {
        command_id: owned(request, intern!(py, "command_id"))?,
        account: owned(request, intern!(py, "account"))?,
        order_id: owned(request, intern!(py, "order_id"))?,
        expected_version: integer(request, intern!(py, "expected_version"), Place::Top)?,
        quantity: decimal(request, intern!(py, "quantity"), Place::Top)?,
        price: decimal(request, intern!(py, "price"), Place::Top)?,
        defect: None,
    })
}

fn get_order(request: &Bound<'_, PyAny>) -> PyResult<GetOrder> {
    let py = request.py();
    Ok(GetOrder {
        order_id: owned(request, intern!(py, "order_id"))?,
        account: owned(request, intern!(py, "account"))?,
        fence: flag(request, intern!(py, "fence"))?,
    })
}

fn cancel_all_orders(request: &Bound<'_, PyAny>) -> PyResult<CancelAllOrders> {
    let py = request.py();
    Ok(CancelAllOrders {
        command_id: owned(request, intern!(py, "command_id"))?,
        account: owned(request, intern!(py, "account"))?,
        symbol: owned(request, intern!(py, "symbol"))?,
        defect: None,
    })
}

fn list_open_orders(request: &Bound<'_, PyAny>) -> PyResult<ListOpenOrders> {
    let py = request.py();
    Ok(ListOpenOrders {
        account: owned(request, intern!(py, "account"))?,
        after_order_id: owned(request, intern!(py, "after_order_id"))?,
    })
}

fn set_risk_limits(request: &Bound<'_, PyAny>) -> PyResult<SetRiskLimits> {
    let py = request.py();
    let limits = request.getattr(intern!(py, "limits"))?;
    Ok(SetRiskLimits {
        command_id: owned(request, intern!(py, "command_id"))?,
        account: owned(request, intern!(py, "account"))?,
        symbol: owned(request, intern!(py, "symbol"))?,
        limits: if limits.is_none() { RiskLimits::default() } else { risk_limits(&limits)? },
        defect: None,
    })
}

fn risk_limits(limits: &Bound<'_, PyAny>) -> PyResult<RiskLimits> {
    let py = limits.py();
    Ok(RiskLimits {
        max_order_quantity: decimal(limits, intern!(py, "max_order_quantity"), Place::Limits)?,
        max_order_notional: decimal(limits, intern!(py, "max_order_notional"), Place::Limits)?,
        price_collar: decimal(limits, intern!(py, "price_collar"), Place::Limits)?,
        max_open_orders: integer(limits, intern!(py, "max_open_orders"), Place::Limits)?,
        max_position: decimal(limits, intern!(py, "max_position"), Place::Limits)?,
        orders_per_second: integer(limits, intern!(py, "orders_per_second"), Place::Limits)?,
        order_burst: integer(limits, intern!(py, "order_burst"), Place::Limits)?,
    })
}

fn subscribe(request: &Bound<'_, PyAny>) -> PyResult<Subscribe> {
    let py = request.py();
    Ok(Subscribe {
        account: owned(request, intern!(py, "account"))?,
        resume_from: integer(request, intern!(py, "resume_from"), Place::Top)?,
        accept_gaps: flag(request, intern!(py, "accept_gaps"))?,
    })
}

fn quotes(request: &Bound<'_, PyAny>) -> PyResult<Vec<Quote>> {
    let given = request.getattr(intern!(request.py(), "quotes"))?;
    given.try_iter()?.enumerate().map(|(index, quote)| read_quote(&quote?, Place::Quote(index))).collect()
}

fn read_quote(quote: &Bound<'_, PyAny>, place: Place) -> PyResult<Quote> {
    let py = quote.py();
    Ok(Quote {
        symbol: text(quote, intern!(py, "symbol"), place)?.as_str().to_owned(),
        bid: decimal(quote, intern!(py, "bid"), place)?,
        ask: decimal(quote, intern!(py, "ask"), place)?,
        bid_size: decimal(quote, intern!(py, "bid_size"), place)?,
        ask_size: decimal(quote, intern!(py, "ask_size"), place)?,
        last_price: decimal(quote, intern!(py, "last_price"), place)?,
        volume: decimal(quote, intern!(py, "volume"), place)?,
        timestamp_ns: integer(quote, intern!(py, "timestamp_ns"), place)?,
    })
}
