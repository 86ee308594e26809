//! Attributes of the contract's objects, checked while they are read.

use crate::contract::contract;
use crate::decimals::{NoForm, parse, read};
use crate::refusals::validation_error;
use bridge_core::Decimal;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyString};

/// Where an object stands in its message, to name a field at fault. Made into text only when one is.
#[derive(Clone, Copy)]
pub enum Place {
    /// The message itself, or its only order.
    Top,
    /// An order of a batch.
    Order(usize),
    /// A quote of a publication.
    Quote(usize),
    /// The limits of a SetRiskLimits.
    Limits,
}

impl Place {
    /// The field's full name.
    pub fn name(self, field: &str) -> String {
        match self {
            Self::Top => field.to_owned(),
            Self::Order(index) => format!("orders[{index}].{field}"),
            Self::Quote(index) => format!("quotes[{index}].{field}"),
            Self::Limits => format!("limits.{field}"),
        }
    }
}

/// A text that was checked to have a UTF-8 form; `None` counts as empty.
pub struct Text<'py>(Option<Bound<'py, PyString>>);

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        // Checked when it was read, and cached by Python since.
        self.0.as_ref().and_then(|text| text.to_str().ok()).unwrap_or_default()
    }
}

/// A text that is given already.
pub fn as_text<'py>(value: Bound<'py, PyAny>, field: &str, place: Place) -> PyResult<Text<'py>> {
    if value.is_none() {
        return Ok(Text(None));
    }
    let py = value.py();
    let text = value.cast_into::<PyString>().map_err(|error| {
        let problem = format!("{} is no text", described(&error.into_inner()));
        validation_error(py, &place.name(field), &problem, None)
    })?;
    if text.to_str().is_err() {
        let problem = format!("{} has no UTF-8 form", described(&text));
        return Err(validation_error(py, &place.name(field), &problem, None));
    }
    Ok(Text(Some(text)))
}

/// The text attribute `name`.
pub fn text<'py>(object: &Bound<'py, PyAny>, name: &Bound<'py, PyString>, place: Place) -> PyResult<Text<'py>> {
    as_text(object.getattr(name)?, name.to_str()?, place)
}

/// The decimal attribute `name`.
pub fn decimal<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    place: Place,
) -> PyResult<Option<Decimal>> {
    as_decimal(&object.getattr(name)?, name.to_str()?, place)
}

/// A decimal that is given already.
pub fn as_decimal(value: &Bound<'_, PyAny>, field: &str, place: Place) -> PyResult<Option<Decimal>> {
    if value.is_none() {
        return Ok(None);
    }
    let py = value.py();
    let refuse = |problem: &str, code| Err(validation_error(py, &place.name(field), problem, code));
    let class = contract(py)?.decimal.bind(py);
    let number = if value.get_type().is(class) {
        read(value)?
    } else if value.is_instance(class)? {
        parse(value.str()?.to_str()?)
    } else {
        let kind = value.get_type().name()?.to_string();
        let problem = format!("{} is a {kind}; give a Decimal, made from text: Decimal('1.23')", described(value));
        return refuse(&problem, None);
    };
    match number {
        Ok(number) => Ok(Some(number)),
        Err(NoForm(problem)) => refuse(&format!("{} {problem}", described(value)), Some(NoForm::CODE)),
    }
}

/// The integer or enum attribute `name`, within the range of `T`.
pub fn integer<'py, T>(object: &Bound<'py, PyAny>, name: &Bound<'py, PyString>, place: Place) -> PyResult<Option<T>>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    as_integer(object.getattr(name)?, name.to_str()?, place)
}

/// An integer that is given already.
pub fn as_integer<'py, T>(value: Bound<'py, PyAny>, field: &str, place: Place) -> PyResult<Option<T>>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    if value.is_none() {
        return Ok(None);
    }
    if value.is_instance_of::<PyInt>()
        && let Ok(number) = value.extract::<T>()
    {
        return Ok(Some(number));
    }
    let bits = 8 * size_of::<T>();
    let problem = format!("{} is no integer that fits the field's {bits} bits", described(&value));
    Err(validation_error(value.py(), &place.name(field), &problem, None))
}

/// The flag `name`; `None` counts as false.
pub fn flag<'py>(object: &Bound<'py, PyAny>, name: &Bound<'py, PyString>) -> PyResult<bool> {
    let value = object.getattr(name)?;
    if value.is_none() {
        return Ok(false);
    }
    match value.cast::<PyBool>() {
        Ok(flag) => Ok(flag.is_true()),
        Err(_) => {
            let problem = format!("{} is neither True nor False", described(&value));
            Err(validation_error(object.py(), name.to_str()?, &problem, None))
        }
    }
}

/// `repr`, cut short: a message is for a person.
fn described(value: &Bound<'_, PyAny>) -> String {
    let text = value.repr().map_or_else(|_| "the value".to_owned(), |repr| repr.to_string_lossy().into_owned());
    if text.chars().count() > 60 { text.chars().take(57).chain("...".chars()).collect() } else { text }
}
