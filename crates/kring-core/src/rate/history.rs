//! The datagrams sent lately, until the peer has told what became of them.
//!
//! Guarantee: at most [`MAX_SENT`] are remembered; a report can only speak of those, each is taken as received once,
//! and what a report says of others is ignored.

use super::feedback::Feedback;
use crate::media::SendTime;
use crate::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// The most datagrams remembered.
const MAX_SENT: usize = 4096;
/// So many later ones have to be there before one counts as lost: networks reorder. Where they do so farther, more; but for so long
/// only.
const REORDERING: (usize, usize) = (3, 48);
const REORDERED: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Flying,
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
    /// How many later ones came before one that came after all, and when that was.
    reordered: Option<(usize, Time)>,
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
            if old.state == State::Flying {
                self.in_flight = self.in_flight.saturating_sub(old.size.into());
            }
        }
    }

    /// Those before `number` that no report told of are not waited for any longer.
    fn pass_over(&mut self, number: u64) {
        for sent in self.sent.iter_mut().take((number - self.first) as usize).rev() {
            match sent.state {
                State::Flying => sent.state = State::Unknown,
                State::Unknown => break,
                State::Lost | State::Received => continue,
            }
            self.in_flight = self.in_flight.saturating_sub(sent.size.into());
        }
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
        self.reordered = self.reordered.filter(|(_, at)| now.since(*at) < REORDERED);
        let patience = self.reordered.map_or(REORDERING.0, |(by, _)| by);
        if let Some(&(Some(number), _)) = numbers.first() {
            self.pass_over(number);
        }
        for (at, &(number, arrival)) in numbers.iter().enumerate() {
            let Some(number) = number else { continue };
            let sent = &mut self.sent[(number - self.first) as usize];
            let was = sent.state;
            match arrival {
                Some(arrival) if was != State::Received => {
                    sent.state = State::Received;
                    newest_received = Some(sent.at);
                    let (size, probe) = (sent.size, sent.probe);
                    news.received.push(Received { sent: sent.at, arrival: start + arrival, size, probe });
                    if was == State::Lost {
                        news.regained += 1;
                        let by = (numbers.len() - at).clamp(patience, REORDERING.1);
                        self.reordered = Some((by.max(self.reordered.map_or(0, |(by, _)| by)), now));
                    } else {
                        news.judged.push(Judged { sent: sent.at, size, probe, lost: false });
                    }
                }
                None if was == State::Flying && numbers.len() - at > patience => {
                    sent.state = State::Lost;
                    news.judged.push(Judged {
                        sent: sent.at,
                        size: sent.size,
                        probe: sent.probe,
                        lost: true,
                    });
                }
                _ => continue,
            }
            if was == State::Flying {
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
        let mut history = history(10);
        let news = history.take(Time::from_millis(60), &feedback(0, &[true, false, true, true, true, true]));
        assert_eq!((news.received.len(), news.judged.iter().filter(|j| j.lost).count()), (5, 1));
        assert_eq!(news.round_trip, Some(Duration::from_millis(55)));
        assert_eq!(history.in_flight(), 400);
        let news = history.take(Time::from_millis(70), &feedback(0, &[true, true, true, true, true, true]));
        assert_eq!((news.received.len(), news.judged.len()), (1, 0));
    }

    #[test]
    fn where_packets_overtake_each_other_by_far_none_is_lost_so_soon() {
        let mut history = history(100);
        let mut came = [true; 20];
        came[0] = false;
        let lost = |news: &News| news.judged.iter().filter(|j| j.lost).count();
        assert_eq!(lost(&history.take(Time::from_millis(60), &feedback(0, &came))), 1);
        assert_eq!(history.take(Time::from_millis(70), &feedback(0, &[true; 20])).regained, 1);
        assert_eq!(lost(&history.take(Time::from_millis(80), &feedback(20, &came))), 0);
        assert_eq!(
            lost(&history.take(Time::from_millis(90), &feedback(20, &[&came[..], &came].concat()))),
            1
        );
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
