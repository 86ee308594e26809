//! The contract's Python types, imported once, and their enums' members by number.

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// Members of an enum: by number where known, made by the enum itself (which is open) where not.
pub struct EnumMembers {
    class: Py<PyAny>,
    members: Vec<Option<Py<PyAny>>>,
}

impl EnumMembers {
    fn load(codes: &Bound<'_, PyModule>, name: &str) -> PyResult<Self> {
        let class = codes.getattr(name)?;
        let mut members = Vec::new();
        for member in class.try_iter()? {
            let member = member?;
            let number: usize = member.extract()?;
            if members.len() <= number {
                members.resize_with(number + 1, || None);
            }
            members[number] = Some(member.unbind());
        }
        Ok(Self { class: class.unbind(), members })
    }

    /// The member with this number.
    pub fn member<'py>(&self, py: Python<'py>, number: u16) -> PyResult<Bound<'py, PyAny>> {
        match self.members.get(usize::from(number)) {
            Some(Some(member)) => Ok(member.bind(py).clone()),
            _ => self.class.bind(py).call1((number,)),
        }
    }
}

/// Fields of the classes that are read and made by position, as `__struct_fields__` must name them.
pub const ORDER_FIELDS: [&str; 15] = [
    "symbol",
    "order_type",
    "side",
    "quantity",
    "price",
    "stop_loss",
    "take_profit",
    "order_id",
    "account",
    "time_in_force",
    "timestamp_ns",
    "metadata",
    "expires_at_ns",
    "contract_version",
    "trace_context",
];
const ORDER_REPLY_FIELDS: [&str; 19] = [
    "order_id",
    "status",
    "exchange_order_id",
    "executed_quantity",
    "executed_price",
    "execution_time_ns",
    "error_message",
    "code",
    "field",
    "account",
    "order_version",
    "sequence",
    "remaining_quantity",
    "symbol",
    "order_type",
    "side",
    "quantity",
    "price",
    "parent_order_id",
];
const ORDER_UPDATE_FIELDS: [&str; 8] =
    ["sequence", "kind", "order", "execution_id", "last_quantity", "last_price", "event_time_ns", "snapshot"];

fn check_fields(py: Python<'_>, class: &Py<PyAny>, expected: &[&str]) -> PyResult<()> {
    let fields: Vec<String> = class.bind(py).getattr("__struct_fields__")?.extract()?;
    if fields == expected { Ok(()) } else { Err(PyImportError::new_err(format!("{class} has the fields {fields:?}"))) }
}

macro_rules! contract {
    ($($module:literal { $($(#[$doc:meta])* $field:ident: $name:literal,)* })*) => {
        /// Every Python type that messages are made of.
        #[allow(missing_docs)]
        pub struct Contract {
            $($($(#[$doc])* pub $field: Py<PyAny>,)*)*
            pub execution_status: EnumMembers,
            pub order_side: EnumMembers,
            pub order_type: EnumMembers,
            pub reason_code: EnumMembers,
            pub serving_status: EnumMembers,
            pub update_kind: EnumMembers,
        }

        impl Contract {
            fn load(py: Python<'_>) -> PyResult<Self> {
                let codes = py.import("transport.contract.codes")?;
                let loaded = Self {
                    $($($field: py.import($module)?.getattr($name)?.unbind(),)*)*
                    execution_status: EnumMembers::load(&codes, "ExecutionStatus")?,
                    order_side: EnumMembers::load(&codes, "OrderSide")?,
                    order_type: EnumMembers::load(&codes, "OrderType")?,
                    reason_code: EnumMembers::load(&codes, "ReasonCode")?,
                    serving_status: EnumMembers::load(&codes, "ServingStatus")?,
                    update_kind: EnumMembers::load(&codes, "UpdateKind")?,
                };
                check_fields(py, &loaded.order, &ORDER_FIELDS)?;
                check_fields(py, &loaded.order_reply, &ORDER_REPLY_FIELDS)?;
                check_fields(py, &loaded.order_update, &ORDER_UPDATE_FIELDS)?;
                Ok(loaded)
            }
        }
    };
}

contract! {
    "decimal" { decimal: "Decimal", }
    "msgspec.structs" { astuple: "astuple", }
    "transport.contract.orders" { order: "Order", }
    "transport.contract.errors" {
        validation_error: "ValidationError",
        wire_decode_error: "WireDecodeError",
    }
    "transport.contract.requests" {
        cancel_order: "CancelOrder",
        replace_order: "ReplaceOrder",
        get_order: "GetOrder",
        cancel_all_orders: "CancelAllOrders",
        set_trading_state: "SetTradingState",
        publish_quotes: "PublishQuotes",
        set_risk_limits: "SetRiskLimits",
        set_cancel_on_disconnect: "SetCancelOnDisconnect",
        list_open_orders: "ListOpenOrders",
        health_check: "HealthCheck",
        subscribe_order_updates: "SubscribeOrderUpdates",
    }
    "transport.contract.replies" {
        order_reply: "OrderReply",
        execute_reply: "ExecuteReply",
        order_command_reply: "OrderCommandReply",
        command_reply: "CommandReply",
        get_order_reply: "GetOrderReply",
        open_orders: "OpenOrders",
        order_update: "OrderUpdate",
        update_gap: "UpdateGap",
        market_data_update: "MarketDataUpdate",
        health: "Health",
    }
    "transport.wire.messages" {
        hello: "Hello",
        unsubscribe_order_updates: "UnsubscribeOrderUpdates",
        limits: "Limits",
        welcome: "Welcome",
        refusal: "Refusal",
        batch_reply: "BatchReply",
        subscribe_reply: "SubscribeReply",
        subscription_ended: "SubscriptionEnded",
        going_away: "GoingAway",
        system_notice: "SystemNotice",
        topic_mark: "TopicMark",
        unknown_body: "UnknownBody",
    }
}

static CONTRACT: PyOnceLock<Contract> = PyOnceLock::new();

/// The types, imported on first use (importing them with this module would be a circle).
///
/// # Errors
/// `ImportError` where the package `transport` of another version lacks one.
pub fn contract(py: Python<'_>) -> PyResult<&'static Contract> {
    CONTRACT.get_or_try_init(py, || {
        Contract::load(py).map_err(|cause| {
            let error = PyImportError::new_err("transport._native and the package transport are of different versions");
            error.set_cause(py, Some(cause));
            error
        })
    })
}

/// Whether `object` is of exactly this type.
pub fn is_exactly(object: &Bound<'_, PyType>, class: &Py<PyAny>) -> bool {
    object.as_any().as_ptr() == class.as_ptr()
}
