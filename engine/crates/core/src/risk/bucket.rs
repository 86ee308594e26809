//! A token bucket on engine time: how many orders an account may send at once, and how many a second.

use crate::UtcNanos;
use serde::{Deserialize, Serialize};

const NANOS: u64 = 1_000_000_000;

/// How fast a bucket fills, and what it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rate {
    pub per_second: u32,
    pub burst: u32,
}

/// What an account's bucket holds. An order takes one token; integers only, so that nothing is lost to rounding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Bucket {
    /// Tokens times 10^9: `per_second` of these come with every nanosecond.
    pub level: u64,
    /// As of this engine time.
    pub at_ns: UtcNanos,
}

impl Rate {
    /// The bucket after one order more; `None` where it has no whole token. One that was never used is full.
    pub fn take(self, bucket: Option<Bucket>, now: UtcNanos) -> Option<Bucket> {
        let most = u64::from(self.burst) * NANOS; // 32 and 30 bits
        let level = bucket.map_or(most, |bucket| {
            let elapsed_ns = u64::try_from(now.saturating_sub(bucket.at_ns)).unwrap_or(0);
            bucket.level.saturating_add(elapsed_ns.saturating_mul(u64::from(self.per_second))).min(most)
        });
        Some(Bucket { level: level.checked_sub(NANOS)?, at_ns: now })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many orders pass at once.
    fn pass(rate: Rate, bucket: &mut Option<Bucket>, now: UtcNanos) -> u32 {
        let mut passed = 0;
        while let Some(less) = rate.take(*bucket, now) {
            *bucket = Some(less);
            passed += 1;
        }
        passed
    }

    #[test]
    fn a_full_bucket_lets_a_burst_through_and_then_what_time_brings() {
        let (rate, mut bucket) = (Rate { per_second: 3, burst: 5 }, None);
        assert_eq!(pass(rate, &mut bucket, 0), 5);
        assert_eq!(pass(rate, &mut bucket, 333_333_333), 0);
        assert_eq!(pass(rate, &mut bucket, 333_333_334), 1);
        assert_eq!(pass(rate, &mut bucket, 1_000_000_000), 2);
        assert_eq!(pass(rate, &mut bucket, 3_600_000_000_000), 5);
    }

    #[test]
    fn no_order_is_lost_to_rounding() {
        let (rate, mut bucket) = (Rate { per_second: 7, burst: 1 }, None);
        assert_eq!(pass(rate, &mut bucket, 0), 1);
        let passed: u32 = (1..=1_000).map(|milliseconds| pass(rate, &mut bucket, milliseconds * 10_000_000)).sum();
        assert_eq!(passed, 66); // one at each look that a seventh of a second, in tens of milliseconds, has passed
    }

    #[test]
    fn nothing_overflows() {
        let (rate, mut bucket) =
            (Rate { per_second: u32::MAX, burst: u32::MAX }, Some(Bucket { level: 0, at_ns: i64::MIN }));
        assert!(rate.take(bucket, i64::MAX).is_some());
        bucket = Some(Bucket { level: u64::MAX, at_ns: i64::MAX });
        assert!(rate.take(bucket, i64::MIN).is_some());
    }
}
