//! Collects the fields of one of the contract's objects, and makes it.

use crate::contract::EnumMembers;
use crate::decimals::make;
use bridge_wire::schema as fb;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Keyword arguments of a constructor. What is absent on the wire and has the same default in Python is left out.
pub struct Keywords<'py>(Bound<'py, PyDict>);

impl<'py> Keywords<'py> {
    /// No fields yet.
    pub fn new(py: Python<'py>) -> Self {
        Self(PyDict::new(py))
    }

    /// The object.
    pub fn make(self, class: &Py<PyAny>) -> PyResult<Bound<'py, PyAny>> {
        class.bind(self.0.py()).call((), Some(&self.0))
    }

    /// Any value.
    pub fn set(self, name: &Bound<'py, PyString>, value: impl IntoPyObject<'py>) -> PyResult<Self> {
        self.0.set_item(name, value)?;
        Ok(self)
    }

    /// A value where there is one; its default in Python is None.
    pub fn optional(self, name: &Bound<'py, PyString>, value: Option<impl IntoPyObject<'py>>) -> PyResult<Self> {
        match value {
            Some(value) => self.set(name, value),
            None => Ok(self),
        }
    }

    /// A text, given whether it is empty or not.
    pub fn text(self, name: &Bound<'py, PyString>, value: Option<&str>) -> PyResult<Self> {
        self.set(name, value.unwrap_or_default())
    }

    /// A text whose default in Python is the empty one.
    pub fn optional_text(self, name: &Bound<'py, PyString>, value: Option<&str>) -> PyResult<Self> {
        self.optional(name, value.filter(|text| !text.is_empty()))
    }

    /// A decimal where there is one; the default in Python stands for its absence.
    pub fn decimal(self, name: &Bound<'py, PyString>, value: Option<&fb::Decimal>) -> PyResult<Self> {
        match value {
            Some(number) => {
                let number = make(self.0.py(), number.mantissa(), number.exponent())?;
                self.set(name, number)
            }
            None => Ok(self),
        }
    }

    /// An enum's member.
    pub fn member(self, name: &Bound<'py, PyString>, members: &EnumMembers, number: u16) -> PyResult<Self> {
        let member = members.member(self.0.py(), number)?;
        self.set(name, member)
    }

    /// An enum's member, unless its number is the default 0.
    pub fn member_unless_zero(self, name: &Bound<'py, PyString>, members: &EnumMembers, number: u16) -> PyResult<Self> {
        if number == 0 { Ok(self) } else { self.member(name, members, number) }
    }
}
