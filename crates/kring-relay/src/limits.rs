//! How much of something there may be: a bucket that fills evenly, and counts by address.
//!
//! Guarantee: memory is bounded by what is counted now; who is over a limit is told no at once, and nothing is kept of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

/// A token bucket: `rate` a second, `burst` at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    level: f64,
    filled: Instant,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub(crate) fn full(burst: f64, now: Instant) -> Bucket {
        Bucket { level: burst, filled: now }
    }

    /// Takes `amount` out, if there is as much.
    pub(crate) fn take(&mut self, amount: f64, rate: f64, burst: f64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.level = (self.level + passed * rate).min(burst);
        self.filled = now;
        let enough = self.level >= amount;
        if enough {
            self.level -= amount;
        }
        enough
    }

    fn is_full(&self, rate: f64, burst: f64, now: Instant) -> bool {
        self.level + now.saturating_duration_since(self.filled).as_secs_f64() * rate >= burst
    }
}

/// Whom an address belongs to as far as limits go: one IPv4 address, or 2^64 IPv6 addresses, which is what one
/// subscriber has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Origin(IpAddr);

impl From<IpAddr> for Origin {
    fn from(ip: IpAddr) -> Origin {
        Origin(match ip.to_canonical() {
            IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) >> 64 << 64).into(),
            ip => ip,
        })
    }
}

/// How much each origin has of something, and how often it asked.
#[derive(Debug)]
pub(crate) struct Origins {
    by: HashMap<Origin, (u32, Bucket)>,
    most: u32,
    rate: f64,
    burst: f64,
}

impl Origins {
    /// At most `most` at a time for each, `rate` a second, `burst` at once.
    #[must_use]
    pub(crate) fn new(most: u32, rate: f64, burst: f64) -> Origins {
        Origins { by: HashMap::new(), most, rate, burst }
    }

    /// One more for `origin`, unless that is too many or too often.
    pub(crate) fn enter(&mut self, origin: Origin, now: Instant) -> bool {
        let full = || (0, Bucket::full(self.burst, now));
        let (count, bucket) = self.by.entry(origin).or_insert_with(full);
        let fits = *count < self.most && bucket.take(1.0, self.rate, self.burst, now);
        if fits {
            *count += 1;
        }
        fits
    }

    /// One less.
    pub(crate) fn leave(&mut self, origin: Origin) {
        if let Some((count, _)) = self.by.get_mut(&origin) {
            *count = count.saturating_sub(1);
        }
    }

    /// Forgets who has nothing and has not asked for long.
    pub(crate) fn tidy(&mut self, now: Instant) {
        let (rate, burst) = (self.rate, self.burst);
        self.by.retain(|_, (count, bucket)| *count > 0 || !bucket.is_full(rate, burst, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let begin = Instant::now();
        let mut bucket = Bucket::full(10.0, begin);
        let mut taken = |after| {
            let now = begin + Duration::from_millis(after);
            (0..100).filter(|_| bucket.take(1.0, 2.0, 10.0, now)).count()
        };
        assert_eq!([taken(0), taken(1000), taken(1400), taken(1500), taken(60_000)], [10, 2, 0, 1, 10]);
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one_origin() {
        let of = |text: &str| Origin::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }

    #[test]
    fn an_origin_has_a_number_and_a_rate_and_is_forgotten() {
        let (begin, me) = (Instant::now(), Origin::from(IpAddr::from([192, 0, 2, 1])));
        let mut origins = Origins::new(3, 1.0, 4.0);
        assert_eq!((0..9).filter(|_| origins.enter(me, begin)).count(), 3);
        origins.leave(me);
        assert!(origins.enter(me, begin) && !origins.enter(me, begin));
        for _ in 0..3 {
            origins.leave(me);
        }
        assert!(!origins.enter(me, begin), "four at once were enough");
        origins.tidy(begin);
        assert_eq!(origins.by.len(), 1);
        origins.tidy(begin + Duration::from_secs(60));
        assert_eq!(origins.by.len(), 0);
    }
}
