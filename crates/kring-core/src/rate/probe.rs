//! Short bursts above the estimate, to learn quickly whether more would pass.
//!
//! Guarantee: a burst lasts some 22 ms, up to 60 more where delays vary, and at most [`MAX_BYTES`]; without success they become rare.

use super::history::{Judged, Received};
use crate::time::Time;
use std::time::Duration;

/// How long a burst lasts.
const LENGTH: Duration = Duration::from_millis(22);
/// Where delays vary by themselves it is longer by as much, in ms, up to this.
const NOISE: f64 = 60.0;
/// Packets in a burst, at least.
const PACKETS: f64 = 5.0;
/// The most bytes of one burst.
const MAX_BYTES: u32 = 40_000;
/// So long its packets are waited for, beyond the round trip.
const PATIENCE: Duration = Duration::from_millis(400);
/// So long a burst waits to be confirmed.
const DOUBT: Duration = Duration::from_secs(1);
/// Arrivals that come so much (of the burst's length) closer together than they were sent are not taken at face value.
const SQUEEZED: f64 = 0.15;
/// The time between bursts after one that showed more, and the longest.
const INTERVAL: (Duration, Duration) = (Duration::from_millis(800), Duration::from_millis(2000));
/// Between one of which too little came and the next.
const AGAIN: Duration = Duration::from_millis(250);
/// Where bursts mislead, they come no more often than that in the end.
const DISTRUST: Duration = Duration::from_secs(48);

/// What a burst showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// In bit/s.
    pub(super) rate: f64,
    /// Whether it came as it was sent. Else the link was full for a moment, and others on it paid for a part.
    pub(super) passed: bool,
}

/// A burst on its way out.
#[derive(Clone, Copy, Debug)]
struct Burst {
    id: u32,
    rate: f64,
    bytes_left: u32,
    packets_left: u32,
}

/// A burst that was sent and is being told of.
#[derive(Clone, Copy, Debug)]
struct Flight {
    id: u32,
    /// What it was meant to be sent at, in bit/s.
    rate: f64,
    packets: u32,
    sent: Option<(Time, Time)>,
    /// Of those received: when the first and the last were sent and came (in µs), their sizes, and all bytes.
    gone: Option<(Time, Time)>,
    came: Option<(i64, i64)>,
    first_size: u32,
    last_size: u32,
    bytes: u32,
    received: u32,
    judged: u32,
    /// How long packets waited before it, and what their delays vary by themselves; how long its first and last waited. In ms.
    before: f64,
    waited: (f64, f64),
    /// By how much packets came closer together than they were sent, in µs.
    squeezed: i64,
}

/// Sends bursts and reads what became of them.
#[derive(Debug)]
pub(super) struct Prober {
    burst: Option<Burst>,
    flight: Option<Flight>,
    next_id: u32,
    next_at: Time,
    begun: Option<Time>,
    interval: Duration,
    /// The longest time between bursts; longer where they mislead.
    most: Duration,
    /// When one last showed more, and what.
    success: Option<(Time, f64)>,
    /// How often in a row a burst told nothing.
    silent: u32,
    /// When a burst showed what is to be confirmed by another.
    doubtful: Option<(Time, f64)>,
}

impl Prober {
    pub(super) fn new(now: Time) -> Prober {
        Prober {
            burst: None,
            flight: None,
            next_id: 0,
            next_at: now,
            begun: None,
            interval: INTERVAL.0,
            most: INTERVAL.1,
            success: None,
            silent: 0,
            doubtful: None,
        }
    }

    /// Whether a burst is due and none is on its way.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.due().is_some_and(|at| now >= at)
    }

    /// When one is due next, unless one is out.
    pub(super) fn due(&self) -> Option<Time> {
        (self.burst.is_none() && self.flight.is_none()).then_some(self.next_at)
    }

    /// When the last one began.
    pub(super) fn begun(&self) -> Option<Time> {
        self.begun
    }

    /// No burst for so long.
    pub(super) fn postpone(&mut self, until: Time) {
        self.next_at = self.next_at.max(until);
    }

    /// Begins a burst at `rate` bit/s; of more packets where many get lost. `before` is how long, in ms, a packet may wait
    /// without it, `noise` by how much delays vary.
    pub(super) fn begin(&mut self, now: Time, rate: f64, loss: f64, before: f64, noise: f64) {
        self.begun = Some(now);
        let longer = 1.0 + noise.min(NOISE) / 1e3 / LENGTH.as_secs_f64();
        let bytes = (rate / 8.0 * LENGTH.as_secs_f64() * longer).clamp(800.0, f64::from(MAX_BYTES)) as u32;
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.burst = Some(Burst {
            id,
            rate,
            bytes_left: bytes,
            packets_left: (PACKETS * longer / (1.0 - 2.0 * loss).max(0.4)) as u32,
        });
        self.flight = Some(Flight {
            id,
            rate,
            packets: 0,
            sent: None,
            gone: None,
            came: None,
            first_size: 0,
            last_size: 0,
            bytes: 0,
            received: 0,
            judged: 0,
            before,
            waited: (0.0, 0.0),
            squeezed: 0,
        });
    }

    /// The burst that is going out: its rate in bit/s and how large padding has to be, if there is nothing else.
    pub(super) fn sending(&self) -> Option<(f64, u32)> {
        let burst = self.burst?;
        Some((burst.rate, burst.bytes_left.div_ceil(burst.packets_left.max(1)).clamp(100, 1200)))
    }

    /// Counts a packet that is sent now; gives the burst that it belongs to.
    pub(super) fn sent(&mut self, now: Time, size: u32) -> Option<u32> {
        let burst = self.burst.as_mut()?;
        let id = burst.id;
        burst.bytes_left = burst.bytes_left.saturating_sub(size);
        burst.packets_left = burst.packets_left.saturating_sub(1);
        if burst.bytes_left == 0 && burst.packets_left == 0 {
            self.burst = None;
        }
        if let Some(flight) = &mut self.flight {
            flight.packets += 1;
            flight.sent = Some((flight.sent.map_or(now, |(first, _)| first), now));
        }
        Some(id)
    }

    /// Gives up what is going out.
    pub(super) fn stop(&mut self, now: Time) {
        if self.burst.take().is_some() {
            self.flight = None;
            self.next_at = now + self.interval;
        }
    }

    /// Takes a packet that was received, and how long it waited, in ms.
    pub(super) fn received(&mut self, packet: &Received, waited: f64) {
        let Some(flight) = self.flight.as_mut().filter(|f| packet.probe == Some(f.id)) else { return };
        flight.received += 1;
        flight.bytes += packet.size;
        flight.last_size = packet.size;
        let before = flight.came;
        match &mut flight.came {
            None => {
                flight.came = Some((packet.arrival, packet.arrival));
                flight.first_size = packet.size;
                flight.waited = (waited, waited);
            }
            Some((_, last)) => {
                if packet.arrival >= *last {
                    flight.waited.1 = waited;
                }
                *last = packet.arrival.max(*last);
            }
        }
        if let (Some((_, sent)), Some((_, came))) = (flight.gone, before) {
            let apart = packet.sent.since(sent).as_micros() as i64;
            flight.squeezed += (apart - (packet.arrival - came).max(0)).max(0);
        }
        flight.gone = Some((flight.gone.map_or(packet.sent, |(first, _)| first), packet.sent));
    }

    /// Takes a packet of which is known whether it came.
    pub(super) fn judged(&mut self, packet: &Judged) {
        if let Some(flight) = self.flight.as_mut().filter(|f| packet.probe == Some(f.id)) {
            flight.judged += 1;
        }
    }

    /// What the burst showed, once enough is known. `loss` is the share that gets lost anyway.
    pub(super) fn result(&mut self, now: Time, round_trip: Duration, loss: f64) -> Option<Shown> {
        let flight = self.flight.filter(|_| self.burst.is_none())?;
        let (_, last) = flight.sent?;
        let late = now.since(last) > round_trip + PATIENCE;
        if flight.judged < flight.packets && !late {
            return None;
        }
        self.flight = None;
        self.next_at = now + self.interval;
        self.silent += 1;
        let expected = f64::from(flight.packets) * (1.0 - loss) * 0.6;
        let (came_first, came_last) = flight.came.unwrap_or_default();
        if flight.received < 3 || f64::from(flight.received) < expected {
            // On a bad link that happens; nothing speaks against trying again.
            if self.silent < 5 {
                self.next_at = now + AGAIN;
            }
            return None;
        }
        // Bytes between the first and the last, over the time between them, at both ends.
        let (first, last) = flight.gone?;
        let sent_in = last.since(first).as_secs_f64().max(0.000_5);
        let apart = (came_last - came_first) as f64 / 1e6;
        // What the link loses by itself has used it.
        let arrived = 1.0 - loss.min(0.5);
        // What went out in a clump tells nothing of more than was meant.
        let sent = (f64::from(flight.bytes - flight.last_size) * 8.0 / sent_in / arrived).min(flight.rate);
        // A receiver that was busy takes what came meanwhile at once, as if it had come faster than it did. But then what came
        // first was held up; so the queue that the last one found tells, if it is longer than the first one's.
        let queued = (flight.waited.1 - flight.before.min(flight.waited.0)).max(0.0) / 1e3;
        let squeezed = flight.squeezed as f64 / 1e6 > SQUEEZED * sent_in;
        let came_in = if squeezed { apart.max(sent_in + queued) } else { apart };
        let came = (f64::from(flight.bytes - flight.first_size) * 8.0 / came_in / arrived).min(flight.rate);
        if apart < 0.7 * sent_in.max(LENGTH.as_secs_f64() / 3.0) {
            // Held back and let go at once, by the network or a receiver that was busy: they tell nothing of rates.
            self.next_at = now + AGAIN;
            return None;
        }
        self.silent = 0;
        let passed = came_in <= sent_in * 1.12 + 0.000_5;
        Some(Shown { rate: if passed { sent } else { came.min(sent) * 0.95 }, passed })
    }

    /// Says whether it showed more than was known, which decides when the next one follows.
    pub(super) fn learned(&mut self, now: Time, more: Option<f64>) {
        if let Some(shown) = more {
            self.interval = INTERVAL.0.min(self.most);
            self.next_at = now;
            self.success = Some((now, shown));
        } else {
            self.next_at = now + self.interval;
            self.interval = (self.interval * 3 / 2).min(self.most);
        }
    }

    /// What a burst that showed `rate` and the one before are agreed on. If there is none, the next one follows at once to confirm it.
    pub(super) fn confirmed(&mut self, now: Time, rate: f64) -> Option<f64> {
        let before = self.doubtful.take().filter(|(at, _)| now.since(*at) < DOUBT).map(|(_, before)| before);
        let agreed = before.filter(|before| rate > 0.7 * before).map(|before| rate.min(before));
        if agreed.is_none() {
            self.doubtful = Some((now, rate));
            self.next_at = now;
        }
        agreed
    }

    /// The rate turned out too high, by far: only `rate` passes. If that was a burst's advice, the next ones are rarer: a token bucket, say, lets
    /// bursts through whose rate it does not carry.
    pub(super) fn refuted(&mut self, now: Time, rate: f64) {
        let misled = |(at, shown)| now.since(at) < Duration::from_secs(2) && rate < 0.6 * shown;
        if self.success.take().is_some_and(misled) {
            self.most = (self.most * 2).min(DISTRUST);
            self.interval = self.most;
            self.next_at = now + self.interval;
        }
    }

    /// The link changed: what was learned about waiting is void.
    pub(super) fn eager(&mut self, at: Time) {
        self.interval = INTERVAL.0;
        self.next_at = at;
    }
}
