//! The datagrams sent lately, until the peer has told what became of them.
//!
//! Guarantee: at most [`MAX_SENT`] are remembered; a report can only speak of those, each is taken as received once,
//! and what a report says of others is ignored.

use super::feedback::Feedback;
use super::overtaken::Overtaken;
use crate::media::SendTime;
use crate::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// The most datagrams remembered.
const MAX_SENT: usize = 4096;
/// So many later ones have to be there before one counts as lost: networks reorder.
const REORDERING: usize = 3;
/// And so many percent of the time by which others were overtaken have to pass.
const OVERTAKEN: u32 = 125;
/// Before it is known whether the network reorders, so much has to pass: with the first so many datagrams.
const UNTRIED: (Duration, u64) = (Duration::from_millis(50), 60);
/// So many reports' beginnings are remembered.
const MAX_BEGUN: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Flying,
    /// A report told of later ones and not of it.
    Missing,
    /// No report told of it, and none will.
    Unknown,
    Lost,
    Received,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Time,
    size: u32,
    probe: Option<u32>,
    state: State,
}

impl Sent {
    fn is_open(&self) -> bool {
        matches!(self.state, State::Flying | State::Missing)
    }

    fn judged(&self, lost: bool) -> Judged {
        Judged { sent: self.at, size: self.size, probe: self.probe, lost }
    }
}

/// A datagram that the peer has received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) sent: Time,
    /// µs on the receiver's clock.
    pub(super) arrival: i64,
    /// Bytes, headers of all layers included.
    pub(super) size: u32,
    pub(super) probe: Option<u32>,
}

/// A datagram of which is known for the first time whether it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) sent: Time,
    pub(super) size: u32,
    pub(super) probe: Option<u32>,
    pub(super) lost: bool,
}

/// What a report brought.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Newly received, in the order of their sequences.
    pub(super) received: Vec<Received>,
    /// Newly judged, in the order of their sequences.
    pub(super) judged: Vec<Judged>,
    /// How many came of those that were judged lost.
    pub(super) regained: u32,
    /// From sending the newest to now, less what the report waited.
    pub(super) round_trip: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct History {
    /// The sequence (without wrap) of the first entry.
    first: u64,
    sent: VecDeque<Sent>,
    in_flight: u64,
    /// The last report's start and its place on the receiver's line.
    line: Option<(SendTime, i64)>,
    overtaken: Overtaken,
    /// Where reports began, and when they came: an older one may still tell of what is before.
    begun: VecDeque<(u64, Time)>,
}

impl History {
    /// Notes a datagram as it is sent; they are numbered one after the other.
    pub(super) fn add(&mut self, now: Time, size: u32, probe: Option<u32>) {
        if self.sent.len() == MAX_SENT {
            self.forget();
        }
        self.in_flight += u64::from(size);
        self.sent.push_back(Sent { at: now, size, probe, state: State::Flying });
    }

    fn forget(&mut self) {
        if let Some(old) = self.sent.pop_front() {
            self.first += 1;
            if old.is_open() {
                self.in_flight = self.in_flight.saturating_sub(old.size.into());
            }
        }
    }

    /// Those before `number` that no report told of are not waited for any longer, and those that a report missed are lost.
    fn pass_over(&mut self, number: u64, judged: &mut Vec<Judged>) {
        let before = judged.len();
        for sent in self.sent.iter_mut().take((number - self.first) as usize).rev() {
            match sent.state {
                State::Flying => sent.state = State::Unknown,
                State::Missing => {
                    sent.state = State::Lost;
                    judged.push(sent.judged(true));
                }
                State::Unknown => break,
                State::Lost | State::Received => continue,
            }
            self.in_flight = self.in_flight.saturating_sub(sent.size.into());
        }
        judged[before..].reverse();
    }

    /// For each datagram told of how long the receiver has had a later one, in µs; and remembers by how much any was overtaken.
    fn behind(&mut self, now: Time, feedback: &Feedback) -> Vec<i64> {
        let newest = feedback.fates.iter().filter_map(|f| f.arrival).max().unwrap_or(0);
        let told = newest.saturating_add(feedback.held.as_micros() as i64);
        let (mut later, mut most) = (i64::MAX, 0);
        let mut behind: Vec<i64> = feedback
            .fates
            .iter()
            .rev()
            .map(|fate| {
                let behind = told.saturating_sub(later).max(0);
                if let Some(arrival) = fate.arrival {
                    most = most.max(arrival.saturating_sub(later));
                    later = later.min(arrival);
                }
                behind
            })
            .collect();
        behind.reverse();
        self.overtaken.add(now, Duration::from_micros(most.unsigned_abs()));
        behind
    }

    /// By how much one came after a later one, lately, at most.
    pub(super) fn overtaken(&self) -> Duration {
        self.overtaken.most()
    }

    /// Bytes of which nothing is known yet.
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Takes a report.
    pub(super) fn take(&mut self, now: Time, feedback: &Feedback) -> News {
        let mut news = News::default();
        let start = self.line.map_or(0, |(seen, at)| at + feedback.start.micros_since(seen));
        self.line = Some((feedback.start, start));
        let end = self.first + self.sent.len() as u64;
        // The number nearest to what was sent last that ends in these 16 bits.
        let newest = end.wrapping_sub(1);
        let numbered = |sequence: u16| {
            let step = sequence.wrapping_sub(newest as u16).cast_signed();
            newest.checked_add_signed(step.into()).filter(|n| (self.first..end).contains(n))
        };
        let numbers: Vec<_> = feedback.fates.iter().map(|f| (numbered(f.sequence), f.arrival)).collect();
        let mut newest_received = None;
        if let Some(&(Some(number), _)) = numbers.first() {
            self.begun.push_back((number, now));
            let wait = self.overtaken.most() * OVERTAKEN / 100;
            while let Some(&(number, at)) = self.begun.front() {
                if now.since(at) < wait && self.begun.len() <= MAX_BEGUN {
                    break;
                }
                self.begun.pop_front();
                if number > self.first {
                    self.pass_over(number, &mut news.judged);
                }
            }
        }
        let behind = self.behind(now, feedback);
        let untried = self.first == 0 && end < UNTRIED.1;
        let least = if untried { UNTRIED.0 } else { Duration::ZERO };
        let wait = (self.overtaken.most() * OVERTAKEN / 100).max(least).as_micros() as i64;
        for (at, &(number, arrival)) in numbers.iter().enumerate() {
            let Some(number) = number else { continue };
            let sent = &mut self.sent[(number - self.first) as usize];
            let (was, open) = (sent.state, sent.is_open());
            match arrival {
                Some(arrival) if was != State::Received => {
                    sent.state = State::Received;
                    newest_received = Some(sent.at);
                    let (size, probe) = (sent.size, sent.probe);
                    news.received.push(Received { sent: sent.at, arrival: start + arrival, size, probe });
                    if was == State::Lost {
                        news.regained += 1;
                    } else {
                        news.judged.push(sent.judged(false));
                    }
                }
                None if open && numbers.len() - at > REORDERING => {
                    sent.state = State::Missing;
                    if behind[at] < wait {
                        continue;
                    }
                    sent.state = State::Lost;
                    news.judged.push(sent.judged(true));
                }
                _ => continue,
            }
            if open {
                self.in_flight = self.in_flight.saturating_sub(sent.size.into());
            }
        }
        news.round_trip = newest_received.and_then(|sent| now.since(sent).checked_sub(feedback.held));
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::feedback::Fate;

    fn feedback(first: u16, came: &[bool]) -> Feedback {
        let fates = came.iter().zip(0..).map(|(&came, n)| Fate {
            sequence: first.wrapping_add(n),
            arrival: came.then_some(i64::from(n) * 1000),
        });
        Feedback { start: SendTime::at(Time::from_millis(500)), fates: fates.collect(), held: Duration::ZERO }
    }

    fn history(n: u64) -> History {
        let mut history = History::default();
        (0..n).for_each(|n| history.add(Time::from_millis(n), 100, None));
        history
    }

    #[test]
    fn each_datagram_is_judged_once_and_may_come_after_all() {
        let mut history = history(UNTRIED.1);
        let news = history.take(Time::from_millis(60), &feedback(0, &[true, false, true, true, true, true]));
        assert_eq!((news.received.len(), news.judged.iter().filter(|j| j.lost).count()), (5, 1));
        assert_eq!(news.round_trip, Some(Duration::from_millis(55)));
        assert_eq!(history.in_flight(), 100 * (UNTRIED.1 - 6));
        let news = history.take(Time::from_millis(70), &feedback(0, &[true, true, true, true, true, true]));
        assert_eq!((news.received.len(), news.judged.len()), (1, 0));
    }

    #[test]
    fn where_packets_are_overtaken_by_a_time_none_is_lost_before_it_has_passed() {
        let (mut history, ms) = (history(60), |n: i64| n * 1000);
        let feedback = |first: u16, came: &[Option<i64>]| Feedback {
            start: SendTime::at(Time::from_millis(500)),
            fates: came
                .iter()
                .zip(first..)
                .map(|(arrival, sequence)| Fate { sequence, arrival: *arrival })
                .collect(),
            held: Duration::ZERO,
        };
        let lost = |news: &News| news.judged.iter().filter(|j| j.lost).map(|j| j.sent).collect::<Vec<_>>();
        // Number 1 comes 80 ms after number 2: from now on that is waited for.
        let mut came: Vec<_> = (0..10).map(|n| Some(ms(n * 10))).collect();
        came[1] = Some(ms(100));
        assert!(lost(&history.take(Time::from_millis(100), &feedback(0, &came))).is_empty());
        let mut came: Vec<_> = (0..20).map(|n| Some(ms(n * 5))).collect();
        (came[2], came[18]) = (None, None);
        assert!(lost(&history.take(Time::from_millis(200), &feedback(10, &came))).is_empty());
        came.extend((0..10).map(|n| Some(ms(100 + n * 5))));
        assert_eq!(
            lost(&history.take(Time::from_millis(300), &feedback(10, &came))),
            [Time::from_millis(12)]
        );
        // Number 28 has not, and no report will tell of it again, but for one that was overtaken itself.
        let came: Vec<_> = (0..10).map(|n| Some(ms(n * 5))).collect();
        assert!(lost(&history.take(Time::from_millis(400), &feedback(40, &came))).is_empty());
        let more = feedback(50, &came);
        assert_eq!(lost(&history.take(Time::from_millis(510), &more)), [Time::from_millis(28)]);
        assert_eq!(history.in_flight(), 0);
    }

    #[test]
    fn what_is_only_reordered_is_not_lost_and_what_is_lost_is_found() {
        use crate::rate::feedback::Recorder;
        for (seed, loses) in [(1, false), (2, false), (3, true)] {
            let mut state: u64 = seed;
            let mut random = move || {
                state =
                    state.wrapping_mul(6_364_136_223_846_793_005u64).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as f64 / f64::from(1u32 << 31)
            };
            // 50 ms and about 30 of deviation, each by itself: 12 even ones are nearly normal.
            let mut late = move || {
                let even: f64 = (0..12).map(|_| random()).sum();
                (50_000.0 + 30_000.0 * (even - 6.0)).max(0.0) as u64
            };
            let (mut history, mut recorder) = (History::default(), Recorder::default());
            // What is on its way, by when it comes: a datagram, or a report.
            let mut on_its_way: Vec<(u64, Result<u64, Vec<u8>>)> = Vec::new();
            let (mut sent, mut lost, mut judged) = (0, 0, 0);
            for now in (0..10_000_000u64).step_by(1000) {
                let time = Time::from_micros(now);
                if now % 7_000 == 0 {
                    history.add(time, 1000, None);
                    if !(loses && sent % 10 == 5) {
                        on_its_way.push((now + late(), Ok(sent)));
                    }
                    sent += 1;
                }
                let due = now % 50_000 == 49_000;
                if let Some(report) = due.then(|| recorder.report(time)).flatten() {
                    on_its_way.push((now + late(), Err(report)));
                }
                on_its_way.retain(|(at, what)| {
                    match what {
                        _ if *at > now => return true,
                        Ok(number) => recorder.add(time, *number),
                        Err(report) => {
                            let news = history.take(time, &Feedback::decode(report).expect("a report"));
                            lost += news.judged.iter().filter(|j| j.lost).count();
                            judged += news.judged.len();
                        }
                    }
                    false
                });
            }
            let share = lost as f64 / judged as f64;
            let right = if loses { 0.09..0.12 } else { 0.0..0.01 };
            assert!(right.contains(&share), "{seed}: {lost} of {judged}, {sent} sent");
            assert!(judged * 100 > sent as usize * 95, "{seed}: {judged} of {sent}");
        }
    }

    #[test]
    fn the_last_few_may_be_late_rather_than_lost() {
        let news = history(10).take(Time::from_millis(60), &feedback(0, &[true, false, true]));
        assert!(news.judged.iter().all(|j| !j.lost));
    }

    #[test]
    fn what_was_never_sent_is_ignored() {
        let mut history = history(10);
        for first in [10, 600, 40_000, 65_530] {
            let news = history.take(Time::from_millis(60), &feedback(first, &[true; 6]));
            assert_eq!((news.received.len(), news.round_trip), (0, None));
        }
        assert_eq!(history.in_flight(), 1000);
    }

    #[test]
    fn the_memory_is_bounded_and_numbers_wrap() {
        let mut history = history(70_000);
        assert_eq!(history.sent.len(), MAX_SENT);
        let news = history.take(Time::from_millis(71_000), &feedback((69_990 % 65_536) as u16, &[true; 10]));
        assert_eq!(news.received.len(), 10);
        assert_eq!(news.received[9].sent, Time::from_millis(69_999));
    }
}
