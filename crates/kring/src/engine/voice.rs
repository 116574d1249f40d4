//! One voice from its packets to samples: jitter buffer, decoder, and the stretching between them and the ear.
//!
//! Guarantee: a block is filled whenever one is asked for; while the voice plays, sound is decoded no earlier than it
//! is needed, but for what a cut has to look at.

use kring_capture::Played;
use kring_codec::AudioDecoder;
use kring_codec::stretch::{self, HISTORY, LOOK};
use kring_core::media::{AudioPacket, JitterBuffer, JitterStats, Playout};
use kring_core::time::Time;
use std::time::Duration;

/// Samples in a millisecond.
const MS: usize = 48;
/// What is made up to join late sound to.
const JOIN: usize = 20 * MS;
/// How much of what was played is kept, beyond what stretching looks at, before it is thrown away.
const KEPT: usize = 200 * MS;
/// The longest concealment at once.
const LONGEST: usize = 120 * MS;

/// The time of each block: they follow on each other evenly, while the thread that asks for them is now and then a few
/// milliseconds late. Taken for a longer delay, that would be cut away and missed with the next block.
#[derive(Default)]
struct Beat {
    next: Option<Time>,
}

impl Beat {
    /// A block is taken up in so many parts of what it is off.
    const GAIN: u32 = 32;
    /// Farther off, the device has stood still.
    const LOST: Duration = Duration::from_millis(60);

    /// The time of the next block, of so many samples, if it is asked for at `now`.
    fn step(&mut self, now: Time, samples: usize) -> Time {
        let (early, late) =
            self.next.map_or((Beat::LOST, Beat::LOST), |next| (next.since(now), now.since(next)));
        let kept = |off: Duration| off * (Beat::GAIN - 1) / Beat::GAIN;
        let at = if early.max(late) < Beat::LOST { now + kept(early) - kept(late) } else { now };
        self.next = Some(at + Duration::from_micros(samples as u64 * 1000 / MS as u64));
        at
    }
}

/// One voice that plays.
pub(crate) struct Voice {
    jitter: JitterBuffer,
    decoder: Box<dyn AudioDecoder>,
    /// What was played lately, and from `next` on what is to be played.
    sound: Vec<f32>,
    next: usize,
    beat: Beat,
    /// Samples that stretching added and left out.
    pub(crate) stretched: (u64, u64),
    /// Whether what was added last came from the network or was made up.
    what: Played,
    /// From capture to ear, between the two ends' clocks, in µs.
    lag: i64,
}

impl Voice {
    /// A voice that has not spoken yet.
    pub(crate) fn new(decoder: Box<dyn AudioDecoder>) -> Voice {
        Voice {
            jitter: JitterBuffer::new(),
            decoder,
            sound: Vec::new(),
            next: 0,
            beat: Beat::default(),
            stretched: (0, 0),
            what: Played::Waiting,
            lag: 0,
        }
    }

    /// Sets the least delay, beyond the network's fastest packets.
    pub(crate) fn set_minimum(&mut self, minimum: Duration) {
        self.jitter.set_minimum(minimum);
    }

    /// Takes a packet that arrived at `now`.
    pub(crate) fn push(&mut self, now: Time, packet: AudioPacket) {
        let missing = self.jitter.lacks_before(packet.frame_id);
        let reach = if missing { self.decoder.reach(&packet.payload) } else { 0 };
        self.jitter.push_redundant(now, packet, Duration::from_micros((reach * 1000 / MS) as u64));
    }

    /// Fills `block` with what is to be heard from `now` on.
    pub(crate) fn play(&mut self, now: Time, block: &mut [f32]) -> Played {
        let now = self.beat.step(now, block.len());
        while self.ready() < block.len() {
            self.add(now, block.len());
        }
        block.copy_from_slice(&self.sound[self.next..self.next + block.len()]);
        self.next += block.len();
        if self.next > HISTORY + KEPT {
            self.sound.drain(..self.next - HISTORY);
            self.next = HISTORY;
        }
        self.what
    }

    /// What its jitter buffer has seen.
    pub(crate) fn stats(&self) -> JitterStats {
        self.jitter.stats()
    }

    /// From capture to ear, between the two ends' clocks, in µs; `None` while it does not play.
    pub(crate) fn lag(&self) -> Option<i64> {
        (self.what != Played::Waiting).then_some(self.lag)
    }

    fn ready(&self) -> usize {
        self.sound.len() - self.next
    }

    /// When what is added now will be heard, if a block is handed over at `now`.
    fn heard_at(&self, now: Time) -> Time {
        now + Duration::from_micros(self.ready() as u64 * 1000 / MS as u64)
    }

    /// Adds what comes next, at least some.
    fn add(&mut self, now: Time, block: usize) {
        let start = self.sound.len();
        let heard = self.heard_at(now);
        match self.jitter.pull(heard) {
            Playout::Decode(packet) => {
                self.lag = heard.as_micros().wrapping_sub(packet.capture).cast_signed();
                self.decode(now, &packet);
            }
            Playout::Conceal { duration, next, apart } => {
                let samples = samples(duration).clamp(1, LONGEST);
                // Codecs make sound of whole multiples of 2.5 ms.
                let samples = samples.next_multiple_of(5 * MS / 2);
                let made = match next {
                    Some(next) => self.decoder.recover(&next, self::samples(apart), samples, &mut self.sound),
                    None => self.decoder.conceal(samples, &mut self.sound),
                };
                if made.is_err() {
                    self.sound.resize(start + samples, 0.0);
                }
                self.what = Played::Concealed;
            }
            _ => self.what = Played::Waiting,
        }
        if self.sound.len() == start {
            self.sound.resize(start + block, 0.0);
        }
    }

    fn decode(&mut self, now: Time, packet: &AudioPacket) {
        let pace = self.jitter.pace();
        let mut expected = Vec::new();
        if pace.merge {
            let _ = self.decoder.conceal(JOIN, &mut expected);
        }
        let start = self.sound.len();
        self.append(packet);
        if pace.merge {
            stretch::join(&mut self.sound, start, &expected);
        }
        let most = samples(Duration::from_micros(pace.change.unsigned_abs()));
        let changed = match pace.change {
            1.. => stretch::lengthen(&mut self.sound, start, most, pace.loud),
            0 => 0,
            ..0 => {
                while self.ready() < LOOK + MS && self.jitter.follows() {
                    let Playout::Decode(packet) = self.jitter.pull(self.heard_at(now)) else { break };
                    self.append(&packet);
                }
                stretch::shorten(&mut self.sound, self.next, most, pace.loud)
            }
        };
        if changed > 0 {
            let longer = pace.change > 0;
            let count = if longer { &mut self.stretched.0 } else { &mut self.stretched.1 };
            *count += changed as u64;
            self.jitter.stretched(if longer { changed as i64 } else { -(changed as i64) } * 1000 / MS as i64);
        }
    }

    fn append(&mut self, packet: &AudioPacket) {
        self.what = Played::Decoded;
        if self.decoder.decode(&packet.payload, &mut self.sound).is_err() {
            let _ = self.decoder.conceal(10 * MS, &mut self.sound);
            self.what = Played::Concealed;
        }
    }
}

fn samples(duration: Duration) -> usize {
    (duration.as_micros() as usize).saturating_mul(MS) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_late_now_and_then_keeps_the_beat_and_a_slower_clock_is_followed() {
        let mut beat = Beat::default();
        let mut off = Duration::ZERO;
        for n in 0..4000u64 {
            // 200 ppm slower; late by up to 4 ms each tenth time.
            let due = Time::from_micros(1_000_000 + n * 5_001);
            let late = if n % 10 == 9 { Duration::from_millis(4) } else { Duration::ZERO };
            let at = beat.step(due + late, 240);
            if n > 500 {
                off = off.max(at.since(due)).max(due.since(at));
            }
        }
        assert!(off < Duration::from_millis(1), "{off:?}");
    }

    #[test]
    fn a_device_that_stood_still_is_taken_at_its_word() {
        let mut beat = Beat::default();
        beat.step(Time::from_millis(1000), 240);
        assert_eq!(beat.step(Time::from_millis(1200), 240), Time::from_millis(1200));
    }
}
