//! What one side tells the other, several times a second, about what it receives and plays.
//!
//! Guarantee: a report travels sealed, so nobody between the callers can forge one; its numbers are believed only for
//! display and for timing, never for an allocation.

use crate::keys::REPORT_TRACK;
use crate::media::SendTime;
use crate::rate::{Feedback, Recorder};
use crate::time::Time;
use crate::varint;
use crate::wire::{self, Fields, Malformed};

/// What an end really plays and shows, counted since the call began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Playout {
    /// Sound played that came from the other side, in ms.
    pub audio_played_ms: u64,
    /// Of that, how much was concealed for want of packets, in ms.
    pub audio_concealed_ms: u64,
    /// Pictures shown.
    pub pictures_shown: u64,
    /// How long sound waits before it is played, beyond the fastest packets, in µs.
    pub audio_delay_us: u64,
    /// How long pictures stood still for longer than they should, in ms.
    pub frozen_ms: u64,
}

/// One report as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Datagrams received.
    pub received: u64,
    /// Datagrams that did not come, by the gaps in the transport sequence.
    pub lost: u64,
    /// Interarrival jitter in µs (RFC 3550, section 6.4.1, over datagrams).
    pub jitter_us: u64,
    /// What is really played and shown.
    pub playout: Playout,
}

/// What of the peer's pictures of one track could be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PictureState {
    pub(super) track: u8,
    /// The newest one that was, with all that it builds on.
    pub(super) decoded: Option<u32>,
    /// Whether what has come since cannot be decoded and is waited for no more.
    pub(super) lost: bool,
}

/// All that a report says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    /// Its counts, if it has all of them.
    pub(super) counts: Option<Report>,
    pub(super) arrivals: Option<Feedback>,
    /// One for each track at most.
    pub(super) pictures: Vec<PictureState>,
}

/// The field with how long pictures stood still.
const FROZEN: u64 = 8;
/// The field that tells of arrivals.
const ARRIVALS: u64 = 9;
/// The field with a [`PictureState`].
const PICTURES: u64 = 10;
/// A field that means nothing (GREASE).
const FILLER: u64 = 33;
/// What the counts take, in bytes, filled up: eight numbers below 2³⁰, and the filler's own two bytes. How long sound waits
/// to be played, and how much of it was made up, depends a little on what was said, and must not show.
const COUNTS_LEN: usize = 8 * 6 + 2;

impl PictureState {
    /// Adds it to a report.
    ///
    /// ```text
    /// lost:1 | 0:3 | track:4, then the frame id that was decoded (varint), if one was
    /// ```
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut value = vec![u8::from(self.lost) << 7 | self.track & 0x0f];
        if let Some(decoded) = self.decoded {
            varint::write(decoded.into(), &mut value);
        }
        wire::put(PICTURES, &value, out);
    }

    fn decode(value: &[u8]) -> Result<PictureState, Malformed> {
        let (&first, mut rest) = value.split_first().ok_or(Malformed)?;
        let decoded = match rest {
            [] => None,
            _ => Some(varint::read(&mut rest).and_then(|id| u32::try_from(id).ok()).ok_or(Malformed)?),
        };
        let track = first & 0x0f;
        if first & 0x70 != 0 || track >= REPORT_TRACK || !rest.is_empty() {
            return Err(Malformed);
        }
        Ok(PictureState { track, decoded, lost: first & 0x80 != 0 })
    }
}

impl Report {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let numbers = [
            self.received,
            self.lost,
            self.jitter_us,
            self.playout.audio_played_ms,
            self.playout.audio_concealed_ms,
            self.playout.pictures_shown,
            self.playout.audio_delay_us,
        ];
        let start = out.len();
        for (kind, number) in (1..).zip(numbers) {
            wire::put_number(kind, number, out);
        }
        wire::put_number(FROZEN, self.playout.frozen_ms, out);
        let room = COUNTS_LEN.saturating_sub(out.len() - start + 2);
        wire::put(FILLER, &[0; COUNTS_LEN][..room], out);
    }
}

/// Adds what a [`Recorder`] tells.
pub(super) fn put_arrivals(arrivals: &[u8], out: &mut Vec<u8>) {
    wire::put(ARRIVALS, arrivals, out);
}

/// Reads a report.
pub(super) fn decode(bytes: &[u8]) -> Result<Told, Malformed> {
    let (mut n, mut seen, mut told) = ([0; 9], 0u8, Told::default());
    for field in Fields(bytes) {
        match field? {
            (kind @ 1..=7, value) => {
                n[kind as usize] = wire::number(value)?;
                seen |= 1 << kind;
            }
            (FROZEN, value) => n[8] = wire::number(value)?,
            (ARRIVALS, value) => told.arrivals = Some(Feedback::decode(value)?),
            (PICTURES, value) => {
                let state = PictureState::decode(value)?;
                if told.pictures.iter().all(|known| known.track != state.track) {
                    told.pictures.push(state);
                }
            }
            _ => {}
        }
    }
    let [_, _, _, _, audio_played_ms, audio_concealed_ms, pictures_shown, audio_delay_us, frozen_ms] = n;
    let playout = Playout { audio_played_ms, audio_concealed_ms, pictures_shown, audio_delay_us, frozen_ms };
    let report = Report { received: n[1], lost: n[2], jitter_us: n[3], playout };
    told.counts = (seen == 0b1111_1110).then_some(report);
    Ok(told)
}

/// Follows the datagrams that come in.
#[derive(Default)]
pub(super) struct Arrivals {
    /// The first sequence number and the highest, both without wrap.
    range: Option<(u64, u64)>,
    pub(super) received: u64,
    /// When the last one came, when it says that it was sent, and the jitter so far in µs × 16.
    last: Option<(Time, SendTime)>,
    jitter: i64,
    pub(super) recorder: Recorder,
}

impl Arrivals {
    /// Notes a datagram; whether others that were sent before it have not come.
    pub(super) fn add(&mut self, now: Time, sequence: u16, sent: SendTime) -> bool {
        self.received += 1;
        let (first, highest) =
            self.range.unwrap_or((1 << 16 | u64::from(sequence), 1 << 16 | u64::from(sequence)));
        // The number nearest to the highest that ends in these 16 bits.
        let step = sequence.wrapping_sub(highest as u16).cast_signed();
        let number = highest.saturating_add_signed(step.into());
        let gap = number > highest + 1;
        self.range = Some((first.min(number), highest.max(number)));
        self.recorder.add(now, number);
        if let Some((last_now, last_sent)) = self.last {
            let apart = i64::try_from(now.since(last_now).as_micros()).unwrap_or(i64::MAX);
            let change = apart.saturating_sub(sent.micros_since(last_sent)).saturating_abs().min(10_000_000);
            self.jitter += change - (self.jitter >> 4);
        }
        self.last = Some((now, sent));
        gap
    }

    /// Expected less received; duplicates count against it.
    pub(super) fn lost(&self) -> u64 {
        self.range.map_or(0, |(first, highest)| (highest - first + 1).saturating_sub(self.received))
    }

    pub(super) fn jitter_us(&self) -> u64 {
        u64::try_from(self.jitter >> 4).unwrap_or(0)
    }

    pub(super) fn report(&self, playout: Playout) -> Report {
        Report { received: self.received, lost: self.lost(), jitter_us: self.jitter_us(), playout }
    }
}

/// A report with both halves, for the test vectors.
#[cfg(all(test, feature = "aws-lc", feature = "pure-rust"))]
pub(crate) fn written_report(playout: Playout) -> Vec<u8> {
    let mut arrivals = Arrivals::default();
    for (sequence, at) in [(65_534, 10_000), (65_535, 10_021), (1, 10_060), (2, 10_060)] {
        arrivals.add(Time::from_millis(at), sequence, SendTime::at(Time::from_millis(at - 40)));
    }
    let mut report = Vec::new();
    let told = arrivals.recorder.report(Time::from_millis(10_071)).expect("something has come");
    put_arrivals(&told, &mut report);
    arrivals.report(playout).encode(&mut report);
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_report_survives_the_wire_with_and_without_counts() {
        let mut arrivals = Arrivals::default();
        arrivals.add(Time::from_millis(500), 7, SendTime::at(Time::from_millis(60_000)));
        let playout = Playout {
            audio_played_ms: 20,
            audio_concealed_ms: 10,
            pictures_shown: 3,
            audio_delay_us: 9,
            frozen_ms: 7,
        };
        let report = arrivals.report(playout);
        let mut bytes = Vec::new();
        put_arrivals(&arrivals.recorder.report(Time::from_millis(540)).unwrap(), &mut bytes);
        let told = decode(&bytes).unwrap();
        assert_eq!((told.counts, told.arrivals.unwrap().fates.len()), (None, 1));
        report.encode(&mut bytes);
        assert_eq!(decode(&bytes).unwrap().counts, Some(report));
    }

    #[test]
    fn what_was_decoded_survives_the_wire_once_for_each_track() {
        let states = [
            PictureState { track: 1, decoded: Some(70_000), lost: true },
            PictureState { track: 2, decoded: None, lost: false },
        ];
        let mut bytes = Vec::new();
        states.iter().chain(&states).for_each(|state| state.encode(&mut bytes));
        assert_eq!(decode(&bytes).unwrap().pictures, states);
        for bad in [&[][..], &[0x10], &[15], &[1, 7, 7], &[1, 0xc0, 0, 0, 1, 0, 0, 0, 0]] {
            let mut bytes = Vec::new();
            wire::put(PICTURES, bad, &mut bytes);
            assert_eq!(decode(&bytes), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn counts_have_one_size_whatever_they_are() {
        for number in [0, 63, 64, 20_000, (1 << 30) - 1] {
            let playout = Playout {
                audio_played_ms: number,
                audio_concealed_ms: number / 3,
                pictures_shown: number,
                audio_delay_us: number / 7,
                frozen_ms: number / 2,
            };
            let report = Report { received: number, lost: number, jitter_us: number, playout };
            let mut bytes = Vec::new();
            report.encode(&mut bytes);
            assert_eq!(bytes.len(), COUNTS_LEN, "{number}");
            assert_eq!(decode(&bytes).unwrap().counts, Some(report));
        }
    }

    #[test]
    fn gaps_count_as_lost_until_they_are_filled_and_the_wrap_is_none() {
        let mut arrivals = Arrivals::default();
        for sequence in [65_534, 65_535, 1, 2] {
            arrivals.add(Time::ZERO, sequence, SendTime::at(Time::ZERO));
        }
        assert_eq!(arrivals.lost(), 1);
        arrivals.add(Time::ZERO, 0, SendTime::at(Time::ZERO));
        assert_eq!(arrivals.lost(), 0);
    }

    #[test]
    fn even_arrivals_have_no_jitter_and_uneven_ones_do() {
        let mut even = Arrivals::default();
        let mut uneven = Arrivals::default();
        for n in 0..200u16 {
            let sent = Time::from_millis(u64::from(n) * 20);
            even.add(sent + Duration::from_millis(30), n, SendTime::at(sent));
            let late = Duration::from_millis(30 + u64::from(n % 2) * 10);
            uneven.add(sent + late, n, SendTime::at(sent));
        }
        assert!(even.jitter_us() < 10, "{}", even.jitter_us());
        assert!(uneven.jitter_us().abs_diff(10_000) < 300, "{}", uneven.jitter_us());
    }
}
