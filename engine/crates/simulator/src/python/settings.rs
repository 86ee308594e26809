//! Settings of an engine from the keywords of `Engine`.

use crate::settings::{InstrumentText, Limits, Settings, instruments, number};
use bridge_core::{Configuration, Decimal, RiskConfiguration, RiskLimits};
use bridge_sequencer::{Durability, Options, VenueKind};
use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// As the server's.
const MAX_MESSAGE_BYTES: u32 = 4 << 20;

/// Keywords that were given, each taken out once.
struct Given<'py>(Option<Bound<'py, PyDict>>);

impl<'py> Given<'py> {
    fn take<T: FromPyObjectOwned<'py>>(&self, name: &str, default: T) -> PyResult<T> {
        let Some(given) = &self.0 else { return Ok(default) };
        let Some(value) = given.get_item(name)? else { return Ok(default) };
        given.del_item(name)?;
        value.extract::<T>().map_err(|error| PyTypeError::new_err(format!("{name}: {}", Into::<PyErr>::into(error))))
    }

    /// Whatever is left is no setting.
    fn end(self) -> PyResult<()> {
        match self.0.and_then(|given| given.keys().iter().next()) {
            None => Ok(()),
            Some(name) => Err(PyTypeError::new_err(format!("Engine has no setting {name}"))),
        }
    }
}

/// What is given, and the product's default for the rest.
///
/// # Errors
/// A value that is none, and a name that is none.
pub fn settings_from(given: Option<&Bound<'_, PyDict>>, is_external: bool) -> PyResult<Settings> {
    let given = Given(given.cloned());
    let ack_timeout_ms = given.take("ack_timeout_ms", 1_000)?;
    let update_backlog = given.take("update_backlog", 16_384)?;
    let options = Options {
        durability: durability_named(&given.take("durability", "always".to_owned())?)?,
        segment_bytes: given.take("segment_bytes", 256 << 10)?,
        max_batch_orders: given.take("max_batch_orders", 1_000)?,
        max_parked_outputs: given.take("max_parked_outputs", 200_000)?,
        max_waiting_calls: given.take("max_waiting_calls", 100_000)?,
        update_lag: update_backlog,
        venue: if is_external { VenueKind::External { ack_timeout_ms } } else { VenueKind::Embedded },
        ..Options::default()
    };
    let limits = Limits {
        max_message_bytes: MAX_MESSAGE_BYTES,
        max_in_flight: given.take("max_in_flight", 1_024)?,
        max_subscriptions: given.take("max_subscriptions", 16)?,
        update_backlog,
        output_high_water_bytes: given.take("output_high_water_bytes", 1 << 20)?,
        max_output_bytes: given.take("max_output_bytes", 32 << 20)?,
    };
    let configuration = configuration_from(&given)?;
    given.end()?;
    Ok(Settings { options, configuration, limits })
}

fn configuration_from(given: &Given<'_>) -> PyResult<Configuration> {
    let texts: Option<Vec<InstrumentText>> = given.take("instruments", None)?;
    let risk: Option<Bound<'_, PyDict>> = given.take("risk", None)?;
    Ok(Configuration {
        instruments: instruments(texts).map_err(PyValueError::new_err)?,
        max_skew_ms: given.take("max_skew_ms", 10_000)?,
        retention_ms: given.take("retention_ms", 7 * 24 * 3_600_000)?,
        quote_retention_ms: given.take("quote_retention_ms", 600_000)?,
        foreign_id_quota: given.take("foreign_id_quota", 1_000_000)?,
        max_remembered_ids: given.take("max_remembered_ids", 5_000_000)?,
        update_history: given.take("update_history", 100_000)?,
        max_metadata_entries: 32,
        max_metadata_bytes: 256,
        risk: RiskConfiguration { limits: risk_limits(risk.as_ref())?, ..RiskConfiguration::default() },
        max_leases: 1_000,
    })
}

/// Limits from a dictionary with the names of their fields: decimals as text, counts as numbers.
fn risk_limits(given: Option<&Bound<'_, PyDict>>) -> PyResult<RiskLimits> {
    let mut limits = RiskLimits::NONE;
    for (name, value) in given.into_iter().flatten() {
        let name: String = name.extract()?;
        let decimal = || -> PyResult<Option<Decimal>> {
            Ok(Some(number(&value.extract::<String>()?).map_err(PyValueError::new_err)?))
        };
        match name.as_str() {
            "max_order_quantity" => limits.max_order_quantity = decimal()?,
            "max_order_notional" => limits.max_order_notional = decimal()?,
            "price_collar" => limits.price_collar = decimal()?,
            "max_open_orders" => limits.max_open_orders = Some(value.extract()?),
            "max_position" => limits.max_position = decimal()?,
            "orders_per_second" => limits.orders_per_second = Some(value.extract()?),
            "order_burst" => limits.order_burst = Some(value.extract()?),
            other => return Err(PyValueError::new_err(format!("{other:?} is no limit"))),
        }
    }
    Ok(limits)
}

fn durability_named(name: &str) -> PyResult<Durability> {
    match name {
        "always" => Ok(Durability::Always),
        "os" => Ok(Durability::Os),
        other => Err(PyValueError::new_err(format!("durability {other:?} is neither \"always\" nor \"os\""))),
    }
}
