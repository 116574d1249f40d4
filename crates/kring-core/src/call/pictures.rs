//! Pictures on their way to the peer: their packets, which of these have come, and what goes next.
//!
//! Guarantee: bounded in bytes and time whatever the peer reports. A picture is taken whole or not at all; what was lost is
//! sent again only while it can still be of use; what waited too long to begin is given up, with all that builds on it,
//! and that is told once.
//!
//! What goes next: what is sent again, then parity whose time has come, then the oldest picture.

use super::protect::{Class, Protection};
use crate::media::Datagram;
use crate::rate::Feedback;
use crate::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Most bytes of pictures that wait to be sent.
const MAX_WAITING: usize = 1 << 20;
/// Most bytes kept, what is under way and might be sent again included.
const MAX_KEPT: usize = 5 << 18;
/// Most datagrams whose fate is waited for.
const MAX_FLIGHTS: usize = 4096;
/// A picture of which nothing was sent for so long is of no use any more; one that was begun has so long.
const STALE: Duration = Duration::from_millis(250);
const BEGUN: Duration = Duration::from_millis(1000);
/// Pictures were made for another rate if there is less than so much of it, and what waits takes so long or, with a keyframe, so long.
const FAR_LESS: f64 = 0.6;
const BEHIND: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(600));
/// How long a receiver waits for a repair: some of its round trips, and this. See `VideoBuffer`.
const PATIENCE: Duration = Duration::from_millis(140);
/// The most later packets that have to come before one counts as lost, where the network reorders.
const MAX_REORDERING: usize = 48;
/// How long a network that reordered is expected to do so.
const REORDERED: Duration = Duration::from_secs(10);

/// A picture, cut into datagrams.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) track: u8,
    pub(super) frame_id: u32,
    pub(super) class: Class,
    /// The datagrams of the picture, and those beside it.
    pub(super) parts: Vec<Datagram>,
    pub(super) parity: Vec<Datagram>,
    /// How many of its parts are sent once more, as if they were parity.
    pub(super) twice: usize,
}

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// To be sent.
    Waiting,
    /// So many of it are under way.
    Flying(u8),
    Came,
    Lost,
}

#[derive(Debug)]
struct Part {
    datagram: Datagram,
    fate: Fate,
    /// How many of it wait to be sent again.
    again: u8,
}

#[derive(Debug)]
struct Pending {
    track: u8,
    frame_id: u32,
    class: Class,
    queued: Time,
    /// What pictures could take then, in bit/s.
    rate: u32,
    /// When the last of its own parts was sent for the first time; `queued` before.
    sent: Time,
    /// How many parts make it whole.
    count: usize,
    parts: Vec<Part>,
    /// It has come, or is of no use any more.
    done: bool,
}

impl Pending {
    fn finish(&mut self) -> usize {
        self.done = true;
        std::mem::take(&mut self.parts).iter().map(|p| p.datagram.bytes.len()).sum()
    }

    fn is_begun(&self) -> bool {
        self.parts.iter().any(|part| part.fate != Fate::Waiting)
    }

    /// How many of its parts came, and how many may come still.
    fn hope(&self) -> (usize, usize) {
        self.parts.iter().fold((0, 0), |(came, hope), part| match part.fate {
            Fate::Came => (came + 1, hope),
            Fate::Waiting | Fate::Flying(_) => (came, hope + 1),
            Fate::Lost => (came, hope + usize::from(part.again > 0)),
        })
    }
}

/// A part of a picture that is kept, by the picture's place in the order of all and its own in it.
type Place = (u64, u16);

#[derive(Debug, Default)]
pub(super) struct Pictures {
    /// The place of the first that is kept.
    first: u64,
    kept: VecDeque<Pending>,
    kept_bytes: usize,
    again: VecDeque<Place>,
    parity: VecDeque<(Time, Place)>,
    own: VecDeque<Place>,
    /// Bytes in `own` and `again`.
    waiting: usize,
    /// Under way, by transport sequence, and whether it counts as lost.
    flights: VecDeque<(u16, Place, bool)>,
    /// How many later packets have to come before one counts as lost, and when the network last reordered.
    reordering: (usize, Time),
    /// What pictures may take, in bit/s.
    rate: u32,
    /// Tracks whose next picture must not build on those given up.
    broken: u16,
    /// Packets sent again, and packets of parity sent.
    pub(super) repeated: u64,
    pub(super) protected: u64,
}

impl Pictures {
    /// Takes a picture, whose parity goes `apart` later; `false` if too much waits.
    pub(super) fn push(&mut self, now: Time, picture: Outgoing, apart: Duration) -> bool {
        let size = |datagrams: &[Datagram]| datagrams.iter().map(|d| d.bytes.len()).sum::<usize>();
        let (bytes, beside) = (size(&picture.parts), size(&picture.parity));
        self.forget(now, bytes + beside);
        if self.waiting + bytes > MAX_WAITING || self.kept_bytes + bytes + beside > MAX_KEPT {
            return false;
        }
        let place = self.first + self.kept.len() as u64;
        let count = picture.parts.len();
        self.waiting += bytes;
        self.kept_bytes += bytes + beside;
        self.own.extend((0..count as u16).map(|part| (place, part)));
        let parity = (count as u16..).take(picture.parity.len()).chain((0..count as u16).take(picture.twice));
        self.parity.extend(parity.map(|part| (now + apart, (place, part))));
        let part = |datagram| Part { datagram, fate: Fate::Waiting, again: 0 };
        self.kept.push_back(Pending {
            track: picture.track,
            frame_id: picture.frame_id,
            class: picture.class,
            queued: now,
            rate: self.rate,
            sent: now,
            count,
            parts: picture.parts.into_iter().chain(picture.parity).map(part).collect(),
            done: false,
        });
        true
    }

    /// Lets go of what is done or too old to be sent again, and of more if there has to be room.
    fn forget(&mut self, now: Time, room: usize) {
        while let Some(oldest) = self.kept.front() {
            let waits = self.own.front().is_some_and(|place| place.0 == self.first);
            let old = now.since(oldest.queued) > BEGUN || self.kept_bytes + room > MAX_KEPT;
            if !oldest.done && (waits || !old) {
                break;
            }
            self.drop_picture(self.first);
            self.kept.pop_front();
            self.first += 1;
        }
    }

    fn at(&mut self, place: Place) -> Option<&mut Pending> {
        self.kept.get_mut(place.0.checked_sub(self.first)? as usize).filter(|picture| !picture.done)
    }

    /// The next datagram, which is sent now with that transport sequence.
    pub(super) fn pop(&mut self, now: Time, sequence: u16) -> Option<Datagram> {
        let place = self.next(now)?;
        let picture = self.at(place)?;
        let protects = usize::from(place.1) >= picture.count;
        let part = picture.parts.get_mut(usize::from(place.1))?;
        let mut datagram = part.datagram.clone();
        let repeated = part.fate != Fate::Waiting;
        if !repeated && !protects {
            picture.sent = now;
        }
        part.fate = match part.fate {
            Fate::Flying(n) => Fate::Flying(n.saturating_add(1)),
            Fate::Came => Fate::Came,
            Fate::Waiting | Fate::Lost => Fate::Flying(1),
        };
        if repeated {
            datagram.mark_repeated();
            self.repeated += 1;
        } else if protects {
            self.protected += 1;
        }
        self.flights.push_back((sequence, place, false));
        if self.flights.len() > MAX_FLIGHTS {
            self.flights.pop_front();
        }
        Some(datagram)
    }

    /// Takes the place of what goes next off its queue.
    fn next(&mut self, now: Time) -> Option<Place> {
        while let Some(place) = self.again.pop_front() {
            let Some(picture) = self.at(place) else { continue };
            let part = &mut picture.parts[usize::from(place.1)];
            part.again = part.again.saturating_sub(1);
            let (len, came) = (part.datagram.bytes.len(), part.fate == Fate::Came);
            self.waiting = self.waiting.saturating_sub(len);
            if !came {
                return Some(place);
            }
        }
        // Parity goes behind what it protects.
        let begun = self.own.front().map_or(u64::MAX, |place| place.0);
        while let Some(&(_, place)) = self.parity.front().filter(|(due, (at, _))| *due <= now && *at < begun)
        {
            self.parity.pop_front();
            let wanted = |p: &mut Pending| p.parts[usize::from(place.1)].fate != Fate::Came;
            if self.at(place).is_some_and(wanted) {
                return Some(place);
            }
        }
        while let Some(place) = self.own.pop_front() {
            let Some(picture) = self.at(place) else { continue };
            let (begun, age) = (picture.is_begun(), now.since(picture.queued));
            if age > if begun { BEGUN } else { STALE } {
                self.own.push_front(place);
                self.give_up(place.0);
                continue;
            }
            let len = picture.parts[usize::from(place.1)].datagram.bytes.len();
            self.waiting = self.waiting.saturating_sub(len);
            return Some(place);
        }
        None
    }

    /// Pictures may take `rate` bit/s from now on. What waits is given up if it was made for far more and cannot be sent soon: what
    /// is made anew is there first.
    pub(super) fn set_rate(&mut self, rate: u32) {
        self.rate = rate;
        let takes = self.waiting as f64 * 8.0 / f64::from(rate);
        let waits = |p: &&Pending| !p.done && p.parts.iter().any(|p| p.again > 0 || p.fate == Fate::Waiting);
        let made_for_more = |p: &Pending| f64::from(rate) < FAR_LESS * f64::from(p.rate);
        if takes <= BEHIND.0.as_secs_f64() || !self.kept.iter().filter(waits).any(made_for_more) {
            return;
        }
        let keyframe = self.kept.iter().filter(waits).any(|p| p.class == Class::Keyframe);
        if keyframe && takes <= BEHIND.1.as_secs_f64() {
            return;
        }
        for place in self.first..self.first + self.kept.len() as u64 {
            self.give_up(place);
        }
    }

    /// Gives up a picture, and what may build on it up to the next keyframe of its track.
    fn give_up(&mut self, place: u64) {
        let Some((track, alone)) = self.at((place, 0)).map(|p| (p.track, p.class == Class::Discardable))
        else {
            return;
        };
        for at in place..self.first + self.kept.len() as u64 {
            let Some(picture) = self.at((at, 0)).filter(|p| p.track == track) else { continue };
            if at > place && (alone || picture.class == Class::Keyframe) {
                break;
            }
            self.drop_picture(at);
        }
        if !alone {
            self.broken |= 1 << track;
        }
    }

    fn drop_picture(&mut self, place: u64) {
        let Some(picture) = self.at((place, 0)) else { return };
        let mut waiting = 0;
        for (index, part) in picture.parts.iter().enumerate() {
            let own = usize::from(index < picture.count && part.fate == Fate::Waiting);
            waiting += part.datagram.bytes.len() * (own + usize::from(part.again));
        }
        let bytes = picture.finish();
        self.kept_bytes -= bytes;
        self.waiting = self.waiting.saturating_sub(waiting);
    }

    /// What the peer reports: sends again what is lost, as far as it is needed and of use; gives back how many bytes.
    pub(super) fn report(
        &mut self,
        now: Time,
        feedback: &Feedback,
        protection: &mut Protection,
        round_trip: Duration,
    ) -> usize {
        let Some(first) = feedback.fates.first().map(|fate| fate.sequence) else { return 0 };
        let after = |sequence: u16| sequence.wrapping_sub(first);
        let (mut touched, mut judged, mut gone) = (Vec::new(), 0, 0);
        let flights = std::mem::take(&mut self.flights);
        for (sequence, place, was_lost) in flights {
            // Before what the report tells of: nothing more will be told.
            let passed = after(sequence) > u16::MAX / 2;
            let fate = feedback.fates.get(usize::from(after(sequence))).filter(|_| !passed);
            let later = feedback.fates.len().saturating_sub(1 + usize::from(after(sequence)));
            let came = fate.is_some_and(|fate| fate.arrival.is_some());
            let lost = passed || fate.is_some() && !came && later >= self.reordering.0.max(1);
            if !came && !passed {
                self.flights.push_back((sequence, place, was_lost || lost));
            }
            if came && was_lost {
                self.reordered(now, later);
            }
            if !came && (was_lost || !lost) {
                continue;
            }
            // What no report told of is taken for lost, but nobody knows.
            if !passed && !was_lost {
                judged += 1;
                gone += u32::from(!came);
            }
            if let Some(part) = self.at(place).and_then(|p| p.parts.get_mut(usize::from(place.1))) {
                part.fate = match part.fate {
                    _ if came => Fate::Came,
                    Fate::Flying(n) if n > 1 => Fate::Flying(n - 1),
                    Fate::Flying(_) => Fate::Lost,
                    other => other,
                };
            }
            touched.push(place.0);
        }
        protection.observe(judged, gone);
        touched.sort_unstable();
        touched.dedup();
        let useful = (round_trip * 3 / 2 + PATIENCE).min(BEGUN);
        let again: usize = touched.into_iter().map(|place| self.repair(now, place, protection, useful)).sum();
        self.forget(now, 0);
        again
    }

    /// What was judged lost came after all, when so many later ones had: the network reorders.
    fn reordered(&mut self, now: Time, by: usize) {
        let before = if now.since(self.reordering.1) > REORDERED { 1 } else { self.reordering.0 };
        self.reordering = (before.max(by + 1).min(MAX_REORDERING), now);
    }

    fn repair(&mut self, now: Time, place: u64, protection: &Protection, useful: Duration) -> usize {
        let Some(picture) = self.at((place, 0)) else { return 0 };
        let (came, hope) = picture.hope();
        if came >= picture.count {
            self.drop_picture(place);
            return 0;
        }
        let late = now.since(picture.sent) > useful;
        if came + hope >= picture.count || picture.class == Class::Discardable {
            return 0;
        }
        if late {
            // The peer waits for it no more, or will not when a repair comes: going back is quicker than being asked to.
            self.give_up(place);
            return 0;
        }
        let needed = picture.count - came - hope;
        let wanted = protection.again(needed);
        let lost: Vec<u16> =
            (0..).zip(&picture.parts).filter(|(_, p)| p.fate == Fate::Lost).map(|(index, _)| index).collect();
        let mut again = lost.iter().cycle().take(wanted);
        let (mut bytes, mut beside) = (0, 0);
        for &index in again.by_ref().take(needed) {
            let part = &mut picture.parts[usize::from(index)];
            part.again = part.again.saturating_add(1);
            bytes += part.datagram.bytes.len();
        }
        for &index in again {
            beside += picture.parts[usize::from(index)].datagram.bytes.len();
        }
        let places = lost.iter().cycle().map(|&index| (place, index)).take(wanted);
        self.again.extend(places.clone().take(needed));
        // What is more than needed stands in for it, and must not get lost with it.
        let due = now + protection.apart();
        self.parity.extend(places.skip(needed).map(|place| (due, place)));
        self.waiting += bytes;
        bytes + beside
    }

    /// The peer has decoded that picture, so none before it is of use any more.
    pub(super) fn acknowledged(&mut self, track: u8, frame_id: u32) {
        self.pass(track, |id| id <= frame_id);
    }

    /// The picture of that number builds on none that is still under way.
    pub(super) fn recovers(&mut self, track: u8, frame_id: u32) {
        self.pass(track, |id| id < frame_id);
        self.broken &= !(1 << track);
    }

    fn pass(&mut self, track: u8, over: impl Fn(u32) -> bool) {
        for place in self.first..self.first + self.kept.len() as u64 {
            if self.at((place, 0)).is_some_and(|p| p.track == track && over(p.frame_id)) {
                self.drop_picture(place);
            }
        }
    }

    /// Whether what follows on that track must not build on pictures that were given up; told once.
    pub(super) fn take_broken(&mut self, track: u8) -> bool {
        let bit = 1 << track;
        let broken = self.broken & bit != 0;
        self.broken &= !bit;
        broken
    }

    /// Bytes that wait, without parity.
    pub(super) fn bytes(&self) -> usize {
        self.waiting
    }

    /// Bytes held.
    #[cfg(feature = "fuzzing")]
    pub(super) fn held(&self) -> usize {
        self.kept_bytes
    }

    /// When something may go next; `None` if nothing waits.
    pub(super) fn due(&self) -> Option<Time> {
        if !self.again.is_empty() || !self.own.is_empty() {
            return Some(Time::ZERO);
        }
        self.parity.front().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::SendTime;
    use crate::rate::Fate as Told;
    use proptest::prelude::*;

    const RTT: Duration = Duration::from_millis(100);

    fn picture(frame_id: u32, class: Class, parts: usize, parity: usize) -> Outgoing {
        let cut = |n| (0..n).map(|_| Datagram { bytes: vec![0; 1000] }).collect();
        Outgoing { track: 1, frame_id, class, parts: cut(parts), parity: cut(parity), twice: 0 }
    }

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    /// Tells of the datagrams from `first` on.
    fn feedback(first: u16, came: &[bool]) -> Feedback {
        let fate = |(n, &came): (u16, &bool)| Told { sequence: first + n, arrival: came.then_some(0) };
        let fates = (0..).zip(came).map(fate).collect();
        Feedback { start: SendTime::at(Time::ZERO), fates, held: Duration::ZERO }
    }

    /// Sends all that waits, numbered from `first` on; how many.
    fn send(pictures: &mut Pictures, now: Time, first: u16) -> usize {
        (first..).map_while(|sequence| pictures.pop(now, sequence)).count()
    }

    fn lossless() -> Protection {
        Protection::default()
    }

    #[test]
    fn what_is_lost_is_sent_again_and_marked() {
        let mut pictures = Pictures::default();
        assert!(pictures.push(at(0), picture(0, Class::Base, 4, 0), Duration::ZERO));
        assert_eq!((send(&mut pictures, at(1), 10), pictures.bytes()), (4, 0));
        assert_eq!(
            pictures.report(at(110), &feedback(10, &[true, false, true, true]), &mut lossless(), RTT),
            1000
        );
        assert_eq!((pictures.bytes(), pictures.due()), (1000, Some(Time::ZERO)));
        let again = pictures.pop(at(111), 14).unwrap();
        assert_eq!((again.bytes[0] & 0x10, pictures.repeated), (0x10, 1));
        // Lost again, and sent again.
        assert_eq!(pictures.report(at(220), &feedback(14, &[false, true]), &mut lossless(), RTT), 1000);
        assert!(pictures.pop(at(221), 16).is_some());
        assert_eq!(pictures.report(at(330), &feedback(16, &[true]), &mut lossless(), RTT), 0);
        assert_eq!((pictures.kept.len(), pictures.kept_bytes, pictures.bytes()), (0, 0, 0));
    }

    #[test]
    fn what_parity_makes_up_for_is_not_sent_again() {
        let mut pictures = Pictures::default();
        pictures.push(at(0), picture(0, Class::Base, 3, 1), Duration::ZERO);
        assert_eq!((send(&mut pictures, at(1), 0), pictures.protected), (4, 1));
        assert_eq!(
            pictures.report(at(110), &feedback(0, &[false, true, true, true]), &mut lossless(), RTT),
            0
        );
        assert_eq!(pictures.kept.len(), 0, "it is whole there");
        pictures.push(at(200), picture(1, Class::Base, 3, 1), Duration::ZERO);
        send(&mut pictures, at(201), 4);
        let again =
            pictures.report(at(300), &feedback(4, &[false, true, true, false, true]), &mut lossless(), RTT);
        assert_eq!(again, 1000, "one of two is enough");
    }

    #[test]
    fn parts_that_go_twice_follow_the_parity_and_either_of_them_will_do() {
        let mut pictures = Pictures::default();
        pictures.push(at(0), Outgoing { twice: 2, ..picture(0, Class::Base, 3, 3) }, Duration::ZERO);
        assert_eq!(pictures.bytes(), 3000, "as if it were parity");
        assert_eq!((send(&mut pictures, at(1), 0), pictures.protected, pictures.repeated), (8, 3, 2));
        // The first part comes the second time, and two of the parity.
        let came = [false, false, false, false, true, true, true, false];
        assert_eq!(pictures.report(at(110), &feedback(0, &came), &mut lossless(), RTT), 0);
        assert_eq!((pictures.kept.len(), pictures.kept_bytes), (0, 0), "it is whole there");
    }

    #[test]
    fn parity_may_go_later_and_not_at_all_once_the_picture_is_there() {
        let mut pictures = Pictures::default();
        let apart = Duration::from_millis(40);
        pictures.push(at(0), picture(0, Class::Base, 2, 1), apart);
        assert_eq!((send(&mut pictures, at(1), 0), pictures.due()), (2, Some(at(40))));
        pictures.push(at(33), picture(1, Class::Base, 2, 1), apart);
        assert_eq!(send(&mut pictures, at(34), 2), 2);
        pictures.report(at(35), &feedback(0, &[true, true]), &mut lossless(), RTT);
        assert_eq!(send(&mut pictures, at(45), 4), 0);
        assert_eq!((send(&mut pictures, at(80), 4), pictures.due()), (1, None));
    }

    #[test]
    fn what_is_of_no_use_any_more_is_not_sent_again() {
        for (class, late) in [(Class::Discardable, 110), (Class::Base, 300)] {
            let mut pictures = Pictures::default();
            pictures.push(at(0), picture(0, class, 3, 0), Duration::ZERO);
            send(&mut pictures, at(1), 0);
            assert_eq!(
                pictures.report(at(late), &feedback(0, &[false, true, true]), &mut lossless(), RTT),
                0
            );
            assert_eq!(
                pictures.take_broken(1),
                class == Class::Base,
                "nothing waits for what nothing builds on"
            );
        }
        let mut pictures = Pictures::default();
        pictures.push(at(0), picture(0, Class::Base, 3, 0), Duration::ZERO);
        send(&mut pictures, at(1), 0);
        pictures.acknowledged(1, 0);
        assert_eq!(pictures.report(at(110), &feedback(0, &[false, true, true]), &mut lossless(), RTT), 0);
    }

    #[test]
    fn what_waited_too_long_is_given_up_with_what_builds_on_it() {
        let mut pictures = Pictures::default();
        let queue = [Class::Base, Class::Discardable, Class::Base, Class::Keyframe];
        for (id, class) in (0..).zip(queue) {
            pictures.push(at(10 * u64::from(id)), picture(id, class, 2, 1), Duration::ZERO);
        }
        // The first has begun before the network stopped.
        assert!(pictures.pop(at(0), 0).is_some());
        assert_eq!(pictures.bytes(), 7000);
        let places: Vec<_> = std::iter::from_fn(|| pictures.next(at(271))).collect();
        // The rest of it and its parity, and then the keyframe with its own.
        assert_eq!(places, [(0, 1), (0, 2), (3, 0), (3, 1), (3, 2)]);
        assert_eq!((pictures.bytes(), pictures.take_broken(1), pictures.take_broken(1)), (0, true, false));
    }

    #[test]
    fn what_was_made_for_another_rate_is_given_up() {
        let mut pictures = Pictures::default();
        pictures.set_rate(1_000_000);
        pictures.push(at(0), picture(0, Class::Base, 10, 0), Duration::ZERO);
        send(&mut pictures, at(1), 0);
        pictures.report(at(60), &feedback(0, &[true, false, false, false, true]), &mut lossless(), RTT);
        pictures.push(at(70), picture(1, Class::Base, 9, 1), Duration::ZERO);
        pictures.set_rate(400_000);
        assert_eq!((pictures.bytes(), pictures.take_broken(1)), (12_000, false), "a quarter of a second's");
        pictures.set_rate(200_000);
        assert_eq!((pictures.bytes(), pictures.take_broken(1)), (0, true));
        assert_eq!(send(&mut pictures, at(71), 30), 0);
        // A large picture is no reason as long as the rate is what it was; and a keyframe is large by nature.
        pictures.push(at(80), picture(2, Class::Keyframe, 10, 2), Duration::ZERO);
        pictures.set_rate(130_000);
        assert_eq!(pictures.bytes(), 10_000);
        pictures.set_rate(110_000);
        assert_eq!((pictures.bytes(), pictures.take_broken(1)), (0, true));
    }

    #[test]
    fn a_network_that_reorders_is_given_time() {
        let mut pictures = Pictures::default();
        pictures.push(at(0), picture(0, Class::Base, 6, 0), Duration::ZERO);
        send(&mut pictures, at(1), 0);
        assert_eq!(pictures.report(at(100), &feedback(0, &[false, true, true]), &mut lossless(), RTT), 1000);
        pictures.report(at(105), &feedback(0, &[true, true, true]), &mut lossless(), RTT);
        assert_eq!(send(&mut pictures, at(106), 6), 0, "it came after all, so it is not sent again");
        assert_eq!(pictures.report(at(110), &feedback(3, &[false, true, true]), &mut lossless(), RTT), 0);
    }

    proptest! {
        #[test]
        fn whatever_is_reported_it_stays_bounded(
            steps in proptest::collection::vec((0..6u8, 0..30u64, any::<u16>(), any::<u64>()), 0..300),
        ) {
            let (mut pictures, mut now, mut next, mut id) = (Pictures::default(), Time::ZERO, 0u16, 0);
            for (step, ms, number, bits) in steps {
                now += Duration::from_millis(ms);
                match step {
                    0 | 1 => {
                        let class = [Class::Keyframe, Class::Base, Class::Layer, Class::Discardable][usize::from(number % 4)];
                        let (parts, parity) = (1 + usize::from(number >> 4) % 200, usize::from(number >> 12));
                        pictures.push(now, picture(id, class, parts, parity), Duration::from_millis(ms));
                        id += 1;
                    }
                    2 => {
                        for _ in 0..number % 300 {
                            if pictures.pop(now, next).is_none() {
                                break;
                            }
                            next = next.wrapping_add(1);
                        }
                    }
                    3 | 4 => {
                        let came: Vec<bool> = (0..64).map(|n| bits >> n & 1 == 1).collect();
                        let first = if step == 3 { next.wrapping_sub(number % 100) } else { number };
                        let fates = (0..64u16).zip(came).map(|(n, came)| Told {
                            sequence: first.wrapping_add(n),
                            arrival: came.then_some(0),
                        });
                        let told = Feedback { start: SendTime::at(now), fates: fates.collect(), held: Duration::ZERO };
                        pictures.report(now, &told, &mut lossless(), RTT);
                    }
                    _ => pictures.acknowledged(1, number.into()),
                }
                prop_assert!(pictures.kept_bytes <= MAX_KEPT && pictures.flights.len() <= MAX_FLIGHTS);
                prop_assert!(pictures.again.len() <= 4 * (MAX_KEPT / 1000 + 1));
                let held: usize = pictures.kept.iter().flat_map(|p| &p.parts).map(|p| p.datagram.bytes.len()).sum();
                prop_assert_eq!(held, pictures.kept_bytes);
                let waiting: usize = pictures.kept.iter().map(|p| {
                    let own = p.parts.iter().take(p.count).filter(|p| p.fate == Fate::Waiting).count();
                    (own + p.parts.iter().map(|p| usize::from(p.again)).sum::<usize>()) * 1000
                }).sum();
                prop_assert_eq!(waiting, pictures.bytes());
            }
        }
    }
}
