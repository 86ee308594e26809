//! Things by the numbers that the engine gives them, from 1 up; any of them may be forgotten.
//!
//! They lie in chunks, so that a million more never moves those there are (a reactor that copies a table stands
//! still), and what is forgotten gives its memory back.

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;

/// Things of one chunk: one that is never forgotten (an order that rests for a year) keeps so many places with it.
const CHUNK: usize = 64;
/// Between two that are remembered, in a snapshot that makes sense.
const MOST_FORGOTTEN: u64 = 1 << 36;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct Numbered<T> {
    /// Those before are empty.
    first_chunk: u64,
    chunks: VecDeque<Chunk<T>>,
    /// The highest number that was given.
    last: u64,
    remembered: u64,
}

#[derive(Clone, Debug)]
struct Chunk<T> {
    /// Of an empty one: none.
    items: Vec<Option<T>>,
    remembered: usize,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { first_chunk: 0, chunks: VecDeque::new(), last: 0, remembered: 0 }
    }
}

impl<T> Default for Chunk<T> {
    fn default() -> Self {
        Self { items: Vec::new(), remembered: 0 }
    }
}

/// Chunk and place in it.
fn place_of(number: u64) -> Option<(u64, usize)> {
    let index = number.checked_sub(1)?;
    Some((index / CHUNK as u64, (index % CHUNK as u64) as usize))
}

impl<T> Numbered<T> {
    /// The highest number that was given; 0 before the first.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// How many are remembered.
    pub const fn len(&self) -> u64 {
        self.remembered
    }

    pub fn get(&self, number: u64) -> Option<&T> {
        let (chunk, place) = place_of(number)?;
        let chunk = usize::try_from(chunk.checked_sub(self.first_chunk)?).ok()?;
        self.chunks.get(chunk)?.items.get(place)?.as_ref()
    }

    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let (chunk, place) = place_of(number)?;
        let chunk = usize::try_from(chunk.checked_sub(self.first_chunk)?).ok()?;
        self.chunks.get_mut(chunk)?.items.get_mut(place)?.as_mut()
    }

    /// Gives the next number.
    pub fn push(&mut self, item: T) -> u64 {
        self.put(self.last + 1, item);
        self.last
    }

    /// Puts a thing under a number above all that were given: those between are forgotten ones.
    pub fn put(&mut self, number: u64, item: T) {
        let Some((chunk, place)) = place_of(number).filter(|_| number > self.last) else { return };
        if self.chunks.is_empty() {
            self.first_chunk = chunk;
        }
        let at = usize::try_from(chunk - self.first_chunk).unwrap_or(usize::MAX);
        while self.chunks.len() <= at {
            self.chunks.push_back(Chunk::default());
        }
        if let Some(chunk) = self.chunks.get_mut(at) {
            if chunk.items.capacity() == 0 {
                chunk.items.reserve_exact(CHUNK);
            }
            chunk.items.resize_with(place, || None);
            chunk.items.push(Some(item));
            chunk.remembered += 1;
        }
        self.last = number;
        self.remembered += 1;
    }

    /// The last number was this, whatever is remembered.
    pub fn resume_after(&mut self, last: u64) {
        self.last = self.last.max(last);
    }

    pub fn forget(&mut self, number: u64) -> Option<T> {
        let (chunk, place) = place_of(number)?;
        let at = usize::try_from(chunk.checked_sub(self.first_chunk)?).ok()?;
        let chunk = self.chunks.get_mut(at)?;
        let item = chunk.items.get_mut(place)?.take()?;
        chunk.remembered -= 1;
        self.remembered -= 1;
        // The last chunk may be the one that is written to: its places stay.
        if chunk.remembered == 0 && chunk.items.len() == CHUNK {
            chunk.items = Vec::new();
            self.drop_empty_front();
        }
        Some(item)
    }

    fn drop_empty_front(&mut self) {
        while self.chunks.len() > 1 && self.chunks.front().is_some_and(|chunk| chunk.items.is_empty()) {
            self.chunks.pop_front();
            self.first_chunk += 1;
        }
    }

    /// All that are remembered, by ascending number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.from(1)
    }

    /// Those from a number on.
    pub fn from(&self, number: u64) -> impl Iterator<Item = (u64, &T)> {
        let wanted = number.saturating_sub(1) / CHUNK as u64;
        let skipped = usize::try_from(wanted.saturating_sub(self.first_chunk)).unwrap_or(usize::MAX);
        let first = self.first_chunk + skipped.min(self.chunks.len()) as u64;
        let chunks = (first..).zip(self.chunks.range(skipped.min(self.chunks.len())..));
        let items = chunks.flat_map(|(chunk, held)| (chunk * CHUNK as u64 + 1..).zip(&held.items));
        items.filter(move |(at, _)| *at >= number).filter_map(|(at, item)| Some((at, item.as_ref()?)))
    }
}

/// The last number, how many are remembered, and each with its number.
impl<T: Serialize> Serialize for Numbered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items = usize::try_from(self.remembered).unwrap_or(usize::MAX);
        let mut written = serializer.serialize_seq(items.checked_add(1))?;
        written.serialize_element(&(self.last, None::<&T>))?;
        for (number, item) in self.iter() {
            written.serialize_element(&(number, Some(item)))?;
        }
        written.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Numbered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
    type Value = Numbered<T>;

    fn expecting(&self, words: &mut fmt::Formatter<'_>) -> fmt::Result {
        words.write_str("the last number, then things with their ascending numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut read: A) -> Result<Self::Value, A::Error> {
        let mut numbered = Numbered::default();
        let last = match read.next_element::<(u64, Option<T>)>()? {
            Some((last, None)) => last,
            _ => return Err(A::Error::custom("no last number")),
        };
        while let Some((number, item)) = read.next_element::<(u64, Option<T>)>()? {
            // Chunks between are made one by one: a number that lies far off must not make a million of them.
            let gap = number.saturating_sub(numbered.last);
            if number <= numbered.last || number > last || (numbered.remembered > 0 && gap > MOST_FORGOTTEN) {
                return Err(A::Error::custom("numbers out of order"));
            }
            numbered.put(number, item.ok_or_else(|| A::Error::custom("a number without its thing"))?);
        }
        numbered.resume_after(last);
        Ok(numbered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_holds_what_a_map_holds() {
        let (mut tested, mut plain) = (Numbered::default(), BTreeMap::new());
        let mut dice = 1u64;
        for step in 0..20_000u64 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if dice >> 40 & 1 == 0 {
                let number = tested.push(step);
                plain.insert(number, step);
            } else {
                let number = (dice >> 20) % (tested.last() + 2);
                assert_eq!(tested.forget(number), plain.remove(&number));
            }
            if step % 500 == 0 {
                let from = (dice >> 30) % (tested.last() + 2);
                let expected: Vec<_> = plain.range(from..).map(|(number, item)| (*number, *item)).collect();
                assert_eq!(tested.from(from).map(|(number, item)| (number, *item)).collect::<Vec<_>>(), expected);
            }
            assert_eq!(tested.len(), plain.len() as u64);
        }
        assert!(plain.iter().all(|(number, item)| tested.get(*number) == Some(item)));
    }

    #[test]
    fn what_is_forgotten_from_the_front_keeps_no_memory() {
        let mut tested = Numbered::default();
        for number in 1..=10_000u64 {
            assert_eq!(tested.push(number), number);
        }
        assert!((1..=10_000).all(|number| tested.forget(number).is_some()));
        assert!(tested.chunks.len() <= 1 && tested.iter().next().is_none());
        assert_eq!(tested.push(7), 10_001);
        assert_eq!(tested.get(10_001), Some(&7));
    }

    #[test]
    fn numbers_with_gaps_are_put_back_as_they_were() {
        let mut tested = Numbered::default();
        for number in [700, 701, 5_000] {
            tested.put(number, number);
        }
        tested.resume_after(6_000);
        assert_eq!(tested.iter().map(|(number, _)| number).collect::<Vec<_>>(), [700, 701, 5_000]);
        assert_eq!(tested.push(1), 6_001);
        assert_eq!((tested.get(6_000), tested.get(6_001), tested.len()), (None, Some(&1), 4));
    }
}
