//! FlatBuffers tables read where they lie, each field checked as it is read (invariant 9).
//!
//! The generated code verifies a whole message before any of it is read, and then looks every field up anew: of the
//! time to decode a reply more than half. This does both in one pass, for the few tables on the way of every order. It
//! is as strict: positions within the buffer, alignment, texts UTF-8 and closed by NUL. Whatever it finds damaged is
//! left to the general way, which says what is wrong.

use std::cell::Cell;

/// Something is not as it has to be.
#[derive(Debug, PartialEq, Eq)]
pub struct Damaged;

type Read<T> = Result<T, Damaged>;

/// What a table counts at least against what a message may refer to.
const LEAST_TABLE_BYTES: usize = 64;

/// A message's bytes, and how much its tables may refer to altogether: parts may be shared, but not without end.
pub struct Buffer<'a> {
    bytes: &'a [u8],
    budget: Cell<usize>,
}

impl<'a> Buffer<'a> {
    /// Texts and tables may come to four times the message, as on the general way.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, budget: Cell::new(bytes.len().saturating_mul(4)) }
    }

    /// The root table, of a message with this file identifier.
    pub fn root(&self, identifier: &[u8; 4]) -> Read<Table<'_>> {
        if self.bytes.get(4..8) != Some(identifier) {
            return Err(Damaged);
        }
        self.table(u32::from_le_bytes(self.at(0)?) as usize)
    }

    /// The table at this position.
    pub fn table(&self, at: usize) -> Read<Table<'_>> {
        let back = i64::from(i32::from_le_bytes(self.at(at)?));
        let vtable = (at as i64).checked_sub(back).and_then(|vtable| usize::try_from(vtable).ok()).ok_or(Damaged)?;
        let vtable_bytes = usize::from(u16::from_le_bytes(self.at(vtable)?));
        let size = usize::from(u16::from_le_bytes(self.at(vtable + 2)?));
        let entries = self.bytes.get(vtable..vtable + vtable_bytes).ok_or(Damaged)?;
        let is_whole = vtable_bytes >= 4 && size >= 4 && at + size <= self.bytes.len();
        if !is_whole || !at.is_multiple_of(4) || !vtable.is_multiple_of(2) || !vtable_bytes.is_multiple_of(2) {
            return Err(Damaged);
        }
        // A table becomes an object, however small it is here.
        self.spend(size.max(LEAST_TABLE_BYTES))?;
        Ok(Table { buffer: self, at, size, entries })
    }

    fn at<const N: usize>(&self, position: usize) -> Read<[u8; N]> {
        self.bytes.get(position..).and_then(|rest| rest.first_chunk::<N>()).copied().ok_or(Damaged)
    }

    /// Where the offset at this position points to.
    fn target(&self, position: usize) -> Read<usize> {
        Ok(position.saturating_add(u32::from_le_bytes(self.at(position)?) as usize))
    }

    fn spend(&self, bytes: usize) -> Read<()> {
        self.budget.set(self.budget.get().checked_sub(bytes).ok_or(Damaged)?);
        Ok(())
    }

    fn text(&self, position: usize) -> Read<&str> {
        let start = self.target(position)?;
        let length = u32::from_le_bytes(self.at(start)?) as usize;
        let rest = self.bytes.get(start.saturating_add(4)..).ok_or(Damaged)?;
        if !start.is_multiple_of(4) || rest.get(length) != Some(&0) {
            return Err(Damaged);
        }
        self.spend(length)?;
        std::str::from_utf8(&rest[..length]).map_err(|_| Damaged)
    }
}

/// One table of a message. Fields are named by their place in the vtable; what is absent is `None`.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    buffer: &'a Buffer<'a>,
    at: usize,
    size: usize,
    entries: &'a [u8],
}

macro_rules! scalars {
    ($($name:ident: $kind:ty,)*) => {
        $(
            /// A number.
            pub fn $name(&self, field: u16) -> Read<Option<$kind>> {
                match self.place(field, size_of::<$kind>(), size_of::<$kind>())? {
                    Some(position) => Ok(Some(<$kind>::from_le_bytes(self.buffer.at(position)?))),
                    None => Ok(None),
                }
            }
        )*
    };
}

impl<'a> Table<'a> {
    scalars! { u8: u8, u16: u16, u64: u64, i64: i64, }

    /// True or False; absent means False.
    pub fn flag(&self, field: u16) -> Read<bool> {
        Ok(self.u8(field)?.unwrap_or(0) != 0)
    }

    /// A text, empty where it is absent.
    pub fn text(&self, field: u16) -> Read<&'a str> {
        match self.place(field, 4, 4)? {
            Some(position) => self.buffer.text(position),
            None => Ok(""),
        }
    }

    /// Mantissa and exponent.
    pub fn decimal(&self, field: u16) -> Read<Option<(i64, i8)>> {
        let Some(position) = self.place(field, 16, 8)? else { return Ok(None) };
        let parts: [u8; 16] = self.buffer.at(position)?;
        let (mantissa, rest) = parts.split_first_chunk::<8>().ok_or(Damaged)?;
        Ok(Some((i64::from_le_bytes(*mantissa), rest[0] as i8)))
    }

    /// Another table.
    pub fn table(&self, field: u16) -> Read<Option<Table<'a>>> {
        match self.place(field, 4, 4)? {
            Some(position) => self.buffer.table(self.buffer.target(position)?).map(Some),
            None => Ok(None),
        }
    }

    /// Many tables; none where they are absent.
    pub fn tables(&self, field: u16) -> Read<impl ExactSizeIterator<Item = Read<Table<'a>>> + use<'a>> {
        let buffer = self.buffer;
        let (start, count) = match self.place(field, 4, 4)? {
            Some(position) => {
                let start = buffer.target(position)?;
                (start, u32::from_le_bytes(buffer.at(start)?) as usize)
            }
            None => (0, 0),
        };
        let is_whole = start.is_multiple_of(4) && count <= buffer.bytes.len().saturating_sub(start) / 4;
        if !is_whole {
            return Err(Damaged);
        }
        Ok((0..count).map(move |index| buffer.table(buffer.target(start + 4 + 4 * index)?)))
    }

    fn place(&self, field: u16, bytes: usize, alignment: usize) -> Read<Option<usize>> {
        let field = usize::from(field);
        // A table of an older writer has a shorter vtable.
        let Some(entry) = self.entries.get(field..).and_then(|rest| rest.first_chunk::<2>()) else { return Ok(None) };
        let offset = usize::from(u16::from_le_bytes(*entry));
        if offset == 0 {
            return Ok(None);
        }
        let position = self.at + offset;
        if offset + bytes > self.size || !position.is_multiple_of(alignment) {
            return Err(Damaged);
        }
        Ok(Some(position))
    }
}
