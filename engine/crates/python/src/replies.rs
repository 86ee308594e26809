//! Collects the fields of one of the contract's objects, and makes it.

use crate::contract::EnumMembers;
use crate::decimals::make;
use bridge_wire::schema as fb;
use pyo3::IntoPyObjectExt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyString};
use std::sync::Mutex;

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

/// A text; the empty one is always the same.
pub fn text<'py>(py: Python<'py>, given: &str) -> Bound<'py, PyAny> {
    if given.is_empty() { intern!(py, "").clone().into_any() } else { PyString::new(py, given).into_any() }
}

/// Texts that come again and again (symbols, accounts) are made once.
const REPEATED_TEXTS: usize = 256;
const MAX_REPEATED_BYTES: usize = 32;
type RepeatedSlot = Option<(String, Py<PyString>)>;
static REPEATED: PyOnceLock<Mutex<Vec<RepeatedSlot>>> = PyOnceLock::new();

/// As [`text`], of a text that many messages share.
pub fn repeated_text<'py>(py: Python<'py>, given: &str) -> Bound<'py, PyAny> {
    if given.is_empty() || given.len() > MAX_REPEATED_BYTES {
        return text(py, given);
    }
    let text = given;
    let mixed = text.bytes().fold(0_u32, |hash, byte| hash.rotate_left(5).wrapping_add(u32::from(byte)));
    let slot = (mixed.wrapping_mul(0x9E37_79B9) >> 24) as usize % REPEATED_TEXTS;
    let cache = REPEATED.get_or_init(py, || Mutex::new((0..REPEATED_TEXTS).map(|_| None).collect()));
    let Ok(mut texts) = cache.lock() else { return PyString::new(py, text).into_any() };
    if let Some((known, made)) = &texts[slot]
        && known == text
    {
        return made.bind(py).clone().into_any();
    }
    let made = PyString::new(py, text);
    // Dropping a text runs no Python code, so it may happen under the lock.
    texts[slot] = Some((text.to_owned(), made.clone().unbind()));
    made.into_any()
}

/// A whole number.
pub fn number<'py, T: IntoPyObject<'py>>(py: Python<'py>, value: T) -> PyResult<Bound<'py, PyAny>> {
    value.into_bound_py_any(py)
}

/// True or False.
pub fn flag(py: Python<'_>, value: bool) -> Bound<'_, PyAny> {
    PyBool::new(py, value).to_owned().into_any()
}

/// None where there is nothing.
pub fn or_none<'py>(py: Python<'py>, value: Option<Bound<'py, PyAny>>) -> Bound<'py, PyAny> {
    value.unwrap_or_else(|| py.None().into_bound(py))
}
