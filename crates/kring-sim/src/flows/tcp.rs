//! A TCP sender with Cubic (RFC 9438) and selective acknowledgement, reduced to what fills a bottleneck.

use super::{Figures, Packet};
use kring_core::time::Time;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// IP, TCP and payload.
const SEGMENT: usize = 1500;
const ACKNOWLEDGEMENT: usize = 52;
const C: f64 = 0.4;
const BETA: f64 = 0.7;

pub(crate) struct Tcp {
    window: f64,
    threshold: f64,
    before: f64,
    reduced: Option<Time>,
    next: u64,
    /// Sent and not acknowledged: number and when.
    flying: VecDeque<(u64, Time)>,
    again: BTreeSet<u64>,
    /// Losses of what was sent before this number belong to one event.
    recover: u64,
    round_trip: Duration,
    timer: Time,
    received: BTreeSet<u64>,
    expected: u64,
    acknowledge: Vec<(u64, u64)>,
}

impl Tcp {
    pub(crate) fn new(now: Time) -> Tcp {
        Tcp {
            window: 10.0,
            threshold: f64::INFINITY,
            before: 0.0,
            reduced: None,
            next: 0,
            flying: VecDeque::new(),
            again: BTreeSet::new(),
            recover: 0,
            round_trip: Duration::from_millis(100),
            timer: now + Duration::from_secs(1),
            received: BTreeSet::new(),
            expected: 0,
            acknowledge: Vec::new(),
        }
    }

    pub(crate) fn receive(&mut self, now: Time, packet: &Packet, figures: &mut Figures) {
        match *packet {
            Packet::Segment { number } => {
                figures.deliver(now, SEGMENT);
                if number >= self.expected {
                    self.received.insert(number);
                }
                while self.received.remove(&self.expected) {
                    self.expected += 1;
                }
                self.acknowledge.push((self.expected, number));
            }
            Packet::Acknowledge { next, number } => self.acknowledged(now, next, number),
            Packet::Media(_) => {}
        }
    }

    fn acknowledged(&mut self, now: Time, next: u64, number: u64) {
        let before = self.flying.len();
        if let Some(&(_, at)) = self.flying.iter().find(|(n, _)| *n == number) {
            self.round_trip = (self.round_trip * 7 + now.since(at)) / 8;
        }
        self.flying.retain(|(n, _)| *n != number && *n >= next);
        self.again.retain(|n| *n >= next && *n != number);
        if self.flying.len() < before {
            self.timer = now + (self.round_trip * 2).max(Duration::from_millis(300));
            self.grow(now);
        }
        // What was sent well before something that has arrived is lost.
        let reference = self.flying.iter().find(|(n, _)| *n > number).map(|(_, at)| *at);
        let lost: Vec<u64> = self
            .flying
            .iter()
            .filter(|(n, at)| n + 3 <= number && reference.is_none_or(|r| r.since(*at) > Duration::ZERO))
            .map(|(n, _)| *n)
            .collect();
        self.flying.retain(|(n, _)| !lost.contains(n));
        if lost.iter().any(|n| *n >= self.recover) {
            self.recover = self.next;
            self.reduce(now);
        }
        self.again.extend(lost);
    }

    fn grow(&mut self, now: Time) {
        let Some(reduced) = self.reduced.filter(|_| self.window >= self.threshold) else {
            self.window += 1.0;
            return;
        };
        let k = (self.before * (1.0 - BETA) / C).cbrt();
        let t = now.since(reduced).as_secs_f64() + self.round_trip.as_secs_f64();
        let cubic = C * (t - k).powi(3) + self.before;
        let step = ((cubic - self.window) / self.window).clamp(0.01 / self.window, 0.5);
        self.window += step.max(0.5 / self.window);
    }

    fn reduce(&mut self, now: Time) {
        self.before = self.window;
        self.window = (self.window * BETA).max(2.0);
        self.threshold = self.window;
        self.reduced = Some(now);
    }

    pub(crate) fn run(&mut self, now: Time, mut send: impl FnMut(usize, usize, Packet)) {
        for (next, number) in self.acknowledge.drain(..) {
            send(1, ACKNOWLEDGEMENT, Packet::Acknowledge { next, number });
        }
        if now >= self.timer {
            self.again.extend(self.flying.drain(..).map(|(n, _)| n));
            self.reduce(now);
            self.window = 2.0;
            self.timer = now + (self.round_trip * 4).max(Duration::from_secs(1));
        }
        while self.flying.len() < self.window as usize {
            let number = self.again.pop_first().unwrap_or_else(|| {
                self.next += 1;
                self.next - 1
            });
            self.flying.push_back((number, now));
            send(0, SEGMENT, Packet::Segment { number });
        }
    }

    pub(crate) fn due(&self) -> Time {
        if self.acknowledge.is_empty() { self.timer } else { Time::ZERO }
    }
}
