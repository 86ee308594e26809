//! Replies to orders, and order updates: what an engine sends most, made straight from its bytes.

use crate::contract::Contract;
use crate::decimals::make;
use crate::replies::{flag, number, or_none, repeated_text, text};
use crate::tables::{Buffer, Damaged, Table};
use bridge_wire::limits::DecodeLimits;
use bridge_wire::schema as fb;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

/// File identifier of the envelope.
const IDENTIFIER: &[u8; 4] = b"XBR1";

/// Why nothing was made.
pub enum Trouble {
    /// Not one of these messages, or not a whole one: for the general way to say.
    NotHere,
    /// What Python raised.
    Raised(PyErr),
}

impl From<Damaged> for Trouble {
    fn from(_: Damaged) -> Self {
        Self::NotHere
    }
}

impl From<PyErr> for Trouble {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

type Made<'py> = Result<Bound<'py, PyAny>, Trouble>;

/// Correlation number and body of an ExecuteReply, a BatchReply or an OrderUpdate.
pub fn message<'py>(maker: &Maker<'py>, bytes: &[u8]) -> Result<(u64, Bound<'py, PyAny>), Trouble> {
    let buffer = bounded(bytes)?;
    let envelope = buffer.root(IDENTIFIER)?;
    let kind = fb::Body(envelope.u8(fb::Envelope::VT_BODY_TYPE)?.unwrap_or(0));
    let body = envelope.table(fb::Envelope::VT_BODY)?.ok_or(Trouble::NotHere)?;
    let body = match kind {
        fb::Body::ExecuteReply => maker.execute_reply(body)?,
        fb::Body::BatchReply => maker.batch_reply(body)?,
        fb::Body::OrderUpdate => maker.order_update(body)?,
        _ => return Err(Trouble::NotHere),
    };
    Ok((envelope.u64(fb::Envelope::VT_CORRELATION)?.unwrap_or(0), body))
}

/// The reply to the ExecuteOrder with this number, its sequence, and whether it is a duplicate's; `NotHere` where
/// `bytes` is anything else.
pub fn reply_to<'py>(
    maker: &Maker<'py>,
    bytes: &[u8],
    correlation: u64,
) -> Result<(Bound<'py, PyAny>, u64, bool), Trouble> {
    let buffer = bounded(bytes)?;
    let envelope = buffer.root(IDENTIFIER)?;
    let is_it = envelope.u64(fb::Envelope::VT_CORRELATION)? == Some(correlation)
        && envelope.u8(fb::Envelope::VT_BODY_TYPE)? == Some(fb::Body::ExecuteReply.0);
    let body = envelope.table(fb::Envelope::VT_BODY)?.filter(|_| is_it).ok_or(Trouble::NotHere)?;
    let reply = body.table(fb::ExecuteReply::VT_REPLY)?.ok_or(Trouble::NotHere)?;
    let sequence = reply.u64(fb::OrderReply::VT_SEQUENCE)?.unwrap_or(0);
    Ok((maker.order_reply(reply)?, sequence, body.flag(fb::ExecuteReply::VT_DUPLICATE)?))
}

/// The OrderReply at `at` of a message that was verified.
pub fn verified_reply<'py>(maker: &Maker<'py>, bytes: &[u8], at: usize) -> Made<'py> {
    maker.order_reply(Buffer::new(bytes).table(at)?)
}

fn bounded(bytes: &[u8]) -> Result<Buffer<'_>, Trouble> {
    let is_bounded = bytes.len() <= DecodeLimits::OF_A_CLIENT.max_message_bytes as usize;
    if is_bounded { Ok(Buffer::new(bytes)) } else { Err(Trouble::NotHere) }
}

/// Makes objects of tables.
pub struct Maker<'py> {
    pub py: Python<'py>,
    pub types: &'static Contract,
}

impl<'py> Maker<'py> {
    fn execute_reply(&self, table: Table<'_>) -> Made<'py> {
        let reply = table.table(fb::ExecuteReply::VT_REPLY)?.ok_or(Trouble::NotHere)?;
        let fields = [self.order_reply(reply)?, flag(self.py, table.flag(fb::ExecuteReply::VT_DUPLICATE)?)];
        Ok(self.types.execute_reply.bind(self.py).call1(PyTuple::new(self.py, fields)?)?)
    }

    fn batch_reply(&self, table: Table<'_>) -> Made<'py> {
        let replies = PyList::empty(self.py);
        for reply in table.tables(fb::BatchReply::VT_REPLIES)? {
            replies.append(self.execute_reply(reply?)?)?;
        }
        Ok(self.types.batch_reply.bind(self.py).call1((replies,))?)
    }

    fn order_update(&self, table: Table<'_>) -> Made<'py> {
        let (py, types) = (self.py, self.types);
        let order = table.table(fb::OrderUpdate::VT_ORDER)?.ok_or(Trouble::NotHere)?;
        let fields = [
            number(py, table.u64(fb::OrderUpdate::VT_SEQUENCE)?.unwrap_or(0))?,
            types.update_kind.member(py, table.u8(fb::OrderUpdate::VT_KIND)?.unwrap_or(0).into())?,
            self.order_reply(order)?,
            number(py, table.u64(fb::OrderUpdate::VT_EXECUTION_ID)?.unwrap_or(0))?,
            self.decimal_or_none(table.decimal(fb::OrderUpdate::VT_LAST_QUANTITY)?)?,
            self.decimal_or_none(table.decimal(fb::OrderUpdate::VT_LAST_PRICE)?)?,
            number(py, table.i64(fb::OrderUpdate::VT_EVENT_TIME_NS)?.unwrap_or(0))?,
            flag(py, table.flag(fb::OrderUpdate::VT_SNAPSHOT)?),
        ];
        Ok(types.order_update.bind(py).call1(PyTuple::new(py, fields)?)?)
    }

    /// By position: naming nineteen fields costs four times as much. The order is that of the class, which is checked
    /// when the types are loaded.
    fn order_reply(&self, table: Table<'_>) -> Made<'py> {
        type Field = fb::OrderReply<'static>;
        let (py, types) = (self.py, self.types);
        let fields = [
            text(py, table.text(Field::VT_ORDER_ID)?),
            types.execution_status.member(py, table.u8(Field::VT_STATUS)?.unwrap_or(0).into())?,
            text(py, table.text(Field::VT_EXCHANGE_ORDER_ID)?),
            self.decimal_or_zero(table.decimal(Field::VT_EXECUTED_QUANTITY)?)?,
            self.decimal_or_none(table.decimal(Field::VT_EXECUTED_PRICE)?)?,
            or_none(py, table.i64(Field::VT_EXECUTION_TIME_NS)?.map(|at| number(py, at)).transpose()?),
            text(py, table.text(Field::VT_ERROR_MESSAGE)?),
            types.reason_code.member(py, table.u16(Field::VT_CODE)?.unwrap_or(0))?,
            text(py, table.text(Field::VT_FIELD)?),
            repeated_text(py, table.text(Field::VT_ACCOUNT)?),
            number(py, table.u64(Field::VT_ORDER_VERSION)?.unwrap_or(0))?,
            number(py, table.u64(Field::VT_SEQUENCE)?.unwrap_or(0))?,
            self.decimal_or_zero(table.decimal(Field::VT_REMAINING_QUANTITY)?)?,
            repeated_text(py, table.text(Field::VT_SYMBOL)?),
            or_none(
                py,
                table.u8(Field::VT_ORDER_TYPE)?.map(|kind| types.order_type.member(py, kind.into())).transpose()?,
            ),
            or_none(py, table.u8(Field::VT_SIDE)?.map(|side| types.order_side.member(py, side.into())).transpose()?),
            self.decimal_or_none(table.decimal(Field::VT_QUANTITY)?)?,
            self.decimal_or_none(table.decimal(Field::VT_PRICE)?)?,
            text(py, table.text(Field::VT_PARENT_ORDER_ID)?),
        ];
        Ok(types.order_reply.bind(py).call1(PyTuple::new(py, fields)?)?)
    }

    fn decimal_or_none(&self, given: Option<(i64, i8)>) -> PyResult<Bound<'py, PyAny>> {
        match given {
            Some((mantissa, exponent)) => make(self.py, mantissa, exponent),
            None => Ok(self.py.None().into_bound(self.py)),
        }
    }

    /// The class's own default stands for what is absent.
    fn decimal_or_zero(&self, given: Option<(i64, i8)>) -> PyResult<Bound<'py, PyAny>> {
        let (mantissa, exponent) = given.unwrap_or((0, 0));
        make(self.py, mantissa, exponent)
    }
}
