//! What one SUB peer wants to hear: counted topic prefixes, bounded (invariant 10).

use std::collections::BTreeMap;

/// Prefixes of one peer.
const MAX_PREFIXES: usize = 1024;
/// Bytes of one prefix; no topic of ours is longer.
const MAX_PREFIX_BYTES: usize = 255;

/// A subscription that is not taken; close the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// One more than a peer may have.
    #[error("more than {MAX_PREFIXES} subscriptions")]
    TooMany,
    /// A prefix longer than any topic.
    #[error("a topic prefix of more than {MAX_PREFIX_BYTES} bytes")]
    TooLong,
}

/// A multiset of topic prefixes: one subscribed twice is cancelled twice, as in ZeroMQ.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Subscriptions {
    counts: BTreeMap<Vec<u8>, u32>,
}

impl Subscriptions {
    /// Adds one subscription; the empty prefix means everything.
    ///
    /// # Errors
    /// [`SubscriptionError`] beyond the bounds.
    pub fn add(&mut self, prefix: &[u8]) -> Result<(), SubscriptionError> {
        if prefix.len() > MAX_PREFIX_BYTES {
            return Err(SubscriptionError::TooLong);
        }
        if let Some(count) = self.counts.get_mut(prefix) {
            *count = count.checked_add(1).ok_or(SubscriptionError::TooMany)?;
            return Ok(());
        }
        if self.counts.len() == MAX_PREFIXES {
            return Err(SubscriptionError::TooMany);
        }
        self.counts.insert(prefix.to_vec(), 1);
        Ok(())
    }

    /// Takes one subscription back; one that is not there is ignored.
    pub fn remove(&mut self, prefix: &[u8]) {
        if let Some(count) = self.counts.get_mut(prefix) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(prefix);
            }
        }
    }

    /// Whether a message of this topic is wanted.
    pub fn matches(&self, topic: &[u8]) -> bool {
        !self.counts.is_empty() && (0..=topic.len()).any(|length| self.counts.contains_key(&topic[..length]))
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_matches_its_topics_until_each_subscription_is_cancelled() {
        let mut wanted = Subscriptions::default();
        assert!(!wanted.matches(b"md.SP500\0"));
        wanted.add(b"md.SP").unwrap();
        wanted.add(b"md.SP").unwrap();
        assert!(wanted.matches(b"md.SP500\0") && !wanted.matches(b"md.S"));
        wanted.remove(b"md.SP");
        assert!(wanted.matches(b"md.SP500\0"));
        wanted.remove(b"md.SP");
        wanted.remove(b"md.SP");
        assert!(!wanted.matches(b"md.SP500\0"));
    }

    #[test]
    fn the_empty_prefix_wants_everything() {
        let mut wanted = Subscriptions::default();
        wanted.add(b"").unwrap();
        assert!(wanted.matches(b"") && wanted.matches(b"sys\0"));
    }

    #[test]
    fn subscriptions_are_bounded_in_number_and_length() {
        let mut wanted = Subscriptions::default();
        assert_eq!(wanted.add(&[b'x'; MAX_PREFIX_BYTES + 1]), Err(SubscriptionError::TooLong));
        for number in 0..MAX_PREFIXES {
            wanted.add(number.to_string().as_bytes()).unwrap();
        }
        assert_eq!(wanted.add(b"one more"), Err(SubscriptionError::TooMany));
        assert_eq!(wanted.add(b"1"), Ok(()));
    }
}
