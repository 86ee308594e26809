//! Protobuf to core and back, as WIRE.md section 2 says.

mod numbers;
mod replies;
mod requests;

pub use replies::{
    batch_reply, command_reply, gap, get_order_reply, health_reply, market_data, open_orders, order_command_reply,
    order_reply, refused_order, update,
};
pub use requests::{
    cancel, cancel_all, order, publish_quotes, replace, set_cancel_on_disconnect, set_risk_limits, set_trading_state,
};
