//! Which datagrams came and when: noted by the receiver, told in reports, read by the sender's rate control.
//!
//! Guarantee: at most [`MAX_COVERED`] datagrams are noted or told at once whatever comes, and each report tells again
//! what the one before it told first, so that one lost report loses nothing. Where datagrams overtake each other, one that has
//! not come is told of for as long as others were overtaken by.
//!
//! The idea is that of transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01); the
//! encoding is Kring's own, see docs/protocol.md.

use super::overtaken::Overtaken;
use crate::media::SendTime;
use crate::time::Time;
use crate::varint;
use crate::wire::Malformed;
use std::collections::VecDeque;
use std::time::Duration;

/// The most datagrams that one report covers.
pub const MAX_COVERED: usize = 480;
/// A report is due at once when so many have come since the last one.
const DUE_AFTER: usize = 160;
/// One that has not come is told of for so many percent of the time by which others were overtaken.
const OVERTAKEN: u32 = 150;

/// One datagram that a report tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The low 16 bits of its transport sequence.
    pub sequence: u16,
    /// When it came, in µs on the receiver's clock, counted from the report's first arrival; `None` if it has not.
    pub arrival: Option<i64>,
}

/// What one report tells about arrivals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    /// The first arrival on the receiver's clock.
    pub start: SendTime,
    /// Each datagram covered, in the order of their sequences.
    pub fates: Vec<Fate>,
    /// How long the report waited after the newest datagram that it covers.
    pub held: Duration,
}

impl Feedback {
    /// Reads a report's field.
    ///
    /// ```text
    /// first sequence (2 B), first arrival (3 B, a send time), held (varint, µs), then for each datagram a varint:
    /// 0 not here, else 1 + zigzag(units of 2⁻¹² s since the arrival before)
    /// ```
    ///
    /// # Errors
    /// If it is cut short, or covers more than [`MAX_COVERED`].
    pub fn decode(mut bytes: &[u8]) -> Result<Feedback, Malformed> {
        let (&[s0, s1, t0, t1, t2], rest) = bytes.split_first_chunk::<5>().ok_or(Malformed)?;
        bytes = rest;
        let held = varint::read(&mut bytes).ok_or(Malformed)?;
        let (first, mut at) = (u16::from_be_bytes([s0, s1]), 0i64);
        let mut fates = Vec::with_capacity(bytes.len().min(MAX_COVERED));
        while !bytes.is_empty() {
            let value = varint::read(&mut bytes).ok_or(Malformed)?;
            if fates.len() == MAX_COVERED {
                return Err(Malformed);
            }
            let arrival = value.checked_sub(1).map(|zigzag| {
                // Half a minute either way is more than any report spans.
                let units = ((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)).clamp(-(1 << 17), 1 << 17);
                at = (at + units).clamp(-(1 << 18), 1 << 18);
                at * 1_000_000 / (1 << 12)
            });
            fates.push(Fate { sequence: first.wrapping_add(fates.len() as u16), arrival });
        }
        let start = SendTime::from_units(u32::from_be_bytes([0, t0, t1, t2]));
        Ok(Feedback { start, fates, held: Duration::from_micros(held.min(60_000_000)) })
    }
}

/// Notes what comes, for the reports.
#[derive(Debug, Default)]
pub struct Recorder {
    /// The sequence (without wrap) of the first entry.
    first: u64,
    arrivals: VecDeque<Option<Time>>,
    /// Where the last report began its news, and where it ended.
    told: (u64, u64),
    newest: Option<Time>,
    overtaken: Overtaken,
    /// The first that came after reports had told that it had not: since the last report, and before that one.
    late: [u64; 2],
}

impl Recorder {
    /// Notes a datagram that came at `now`; `number` is its transport sequence without wrap.
    pub fn add(&mut self, now: Time, number: u64) {
        self.newest = Some(now);
        let end = self.first + self.arrivals.len() as u64;
        if self.arrivals.is_empty() || number >= end + MAX_COVERED as u64 {
            *self = Recorder {
                first: number,
                told: (number, number),
                newest: self.newest,
                late: [u64::MAX; 2],
                ..Recorder::default()
            };
        }
        let Some(index) = number.checked_sub(self.first) else { return };
        while self.arrivals.len() as u64 <= index {
            self.arrivals.push_back(None);
        }
        // The first of two copies counts.
        if self.arrivals[index as usize].is_none() {
            self.arrivals[index as usize] = Some(now);
            if number < self.told.1 {
                self.late[0] = self.late[0].min(number);
            }
            if let Some(later) = self.arrivals.range(index as usize + 1..).flatten().min() {
                self.overtaken.add(now, now.since(*later));
            }
        }
        while self.arrivals.len() > MAX_COVERED {
            self.arrivals.pop_front();
            self.first += 1;
        }
    }

    /// Whether so much has come that a report cannot wait.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.first + self.arrivals.len() as u64 >= self.told.1 + DUE_AFTER as u64
    }

    /// Whether anything has come that no report has told yet.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.first + self.arrivals.len() as u64 > self.told.1
    }

    /// The first that has not come and may still, as others did so long after later ones.
    fn awaited(&self, now: Time) -> u64 {
        let wait = self.overtaken.most() * OVERTAKEN / 100;
        if wait.is_zero() {
            return u64::MAX;
        }
        let (mut later, mut first) = (now, u64::MAX);
        for (index, arrival) in self.arrivals.iter().enumerate().rev() {
            match arrival {
                Some(at) => later = later.min(*at),
                None if now.since(later) <= wait => first = self.first + index as u64,
                None => break,
            }
        }
        first
    }

    /// The field for a report sent at `now`: what came since the last report and, once more, what that one told first.
    /// `None` if nothing has come at all.
    pub fn report(&mut self, now: Time) -> Option<Vec<u8>> {
        let end = self.first + self.arrivals.len() as u64;
        self.overtaken.turn(now);
        let begin = self.told.0.max(self.first).min(self.awaited(now)).min(self.late[0]).min(self.late[1]);
        let begin = begin.max(self.first);
        self.late = [u64::MAX, self.late[0]];
        while self.first < begin {
            self.arrivals.pop_front();
            self.first += 1;
        }
        self.told = (self.told.1.max(begin), end);
        let start = self.arrivals.iter().flatten().next()?;
        let held = now.since(self.newest?).as_micros() as u64;
        let mut out = Vec::with_capacity(16 + self.arrivals.len());
        out.extend_from_slice(&(begin as u16).to_be_bytes());
        out.extend_from_slice(&SendTime::at(*start).as_units().to_be_bytes()[1..]);
        varint::write(held, &mut out);
        let mut before = 0;
        for arrival in &self.arrivals {
            let value = arrival.map_or(0, |at| {
                let units = SendTime::at(at).micros_since(SendTime::at(*start)) * (1 << 12) / 1_000_000;
                let step = units - before;
                before = units;
                1 + ((step << 1) ^ (step >> 63)).cast_unsigned()
            });
            varint::write(value, &mut out);
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn a_report_tells_what_came_and_what_did_not() {
        let mut recorder = Recorder::default();
        for (number, ms) in [(65_534, 100), (65_535, 103), (65_537, 104), (65_536, 110)] {
            recorder.add(at(ms), number);
        }
        recorder.add(at(112), 65_540);
        let feedback = Feedback::decode(&recorder.report(at(120)).unwrap()).unwrap();
        let sequences: Vec<_> = feedback.fates.iter().map(|f| f.sequence).collect();
        assert_eq!(sequences, [65_534, 65_535, 0, 1, 2, 3, 4]);
        let came: Vec<_> = feedback.fates.iter().map(|f| f.arrival.map(|a| (a + 500) / 1000)).collect();
        assert_eq!(came, [Some(0), Some(3), Some(10), Some(4), None, None, Some(12)]);
        assert_eq!(feedback.held, Duration::from_millis(8));
    }

    #[test]
    fn what_one_report_told_first_the_next_tells_again() {
        let mut recorder = Recorder::default();
        let mut covered = Vec::new();
        for round in 0..4u64 {
            for n in 0..3 {
                recorder.add(at(round * 10 + n), round * 3 + n);
            }
            let feedback = Feedback::decode(&recorder.report(at(round * 10 + 5)).unwrap()).unwrap();
            covered.push((feedback.fates[0].sequence, feedback.fates.len()));
        }
        assert_eq!(covered, [(0, 3), (0, 6), (3, 6), (6, 6)]);
    }

    #[test]
    fn where_datagrams_overtake_each_other_one_that_lacks_is_told_of_for_longer() {
        let lasts = |overtaken: bool| {
            let mut recorder = Recorder::default();
            recorder.add(at(0), 0);
            if overtaken {
                recorder.add(at(10), 2);
                recorder.add(at(90), 1);
            }
            // 10 never comes.
            let mut told = 0;
            for n in 3..60 {
                if n != 10 {
                    recorder.add(at(100 + n * 10), n);
                }
                if n % 4 == 0 {
                    let feedback = Feedback::decode(&recorder.report(at(101 + n * 10)).unwrap()).unwrap();
                    let lacks = |f: &Fate| f.sequence == 10 && f.arrival.is_none();
                    told += usize::from(feedback.fates.iter().any(lacks));
                }
            }
            told
        };
        assert_eq!(lasts(false), 2);
        assert_eq!(lasts(true), 3, "1.5 times 80 ms");
    }

    #[test]
    fn whatever_numbers_come_the_memory_is_bounded() {
        let mut recorder = Recorder::default();
        for n in 0..5000u64 {
            recorder.add(at(n), n * n % 7919 + n / 100 * 1000);
            assert!(recorder.arrivals.len() <= MAX_COVERED);
        }
        assert!(Feedback::decode(&recorder.report(at(5000)).unwrap()).unwrap().fates.len() <= MAX_COVERED);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            if let Ok(feedback) = Feedback::decode(&bytes) {
                assert!(feedback.fates.len() <= MAX_COVERED);
            }
        }
    }
}
