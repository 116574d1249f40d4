//! The jitter buffer of one audio track: what to play next, in time with the sender.
//!
//! Guarantee: every [`pull`](JitterBuffer::pull) has an answer at once; at most [`MAX_PACKETS`] packets and
//! [`MAX_HELD_TIME`] of sound are held; and whatever a sender's clock and frame ids have claimed, packets that
//! follow on each other are played again within 2 s.
//!
//! The timeline is the sender's capture clock. Playout runs a delay behind the fastest packets. Its target covers nearly
//! all of them, and copies of lost ones as they come; [`pace`](JitterBuffer::pace) says how to get there by making
//! sound longer or shorter, which takes up the drift of sound cards as well. A packet that comes after its slot was
//! concealed is still played, and so makes the delay longer at once.

mod adapt;
mod delay;

pub use adapt::Pace;

use std::collections::BTreeMap;
use std::time::Duration;

use adapt::Adaptation;
use delay::{MAX_DELAY, NetworkDelay, micros};

use super::DURATION_UNIT;
use super::seen::Seen;
use crate::time::Time;

/// The most packets that a buffer holds.
pub const MAX_PACKETS: usize = 200;
/// The most sound that a buffer holds.
pub const MAX_HELD_TIME: Duration = Duration::from_secs(2);
/// The largest payload that a buffer takes, in bytes; several times what an Opus packet needs.
pub const MAX_AUDIO_PAYLOAD: usize = 16 << 10;

/// The longest packet: what the frame info can say.
const MAX_DURATION: Duration = Duration::from_micros(157_500);
/// After so much concealment with nothing newer there is silence until something comes.
const CONCEAL_LIMIT: Duration = Duration::from_millis(200);
/// Playout never starts further behind than this; if the network needs more it grows there.
const START_LIMIT: Duration = Duration::from_millis(200);
/// A jump of ids or clock beyond this is not the network's doing.
const JUMP: Duration = Duration::from_secs(3);
/// After so many packets in a row that contradict those before, they are believed.
const CONVINCING: u8 = 5;
/// After only late packets, or such as came before, for so long the timeline is wrong, not they.
const ALL_LATE: Duration = Duration::from_secs(1);
/// So much is made up at a time while nobody knows how much is missing.
const STEP: Duration = Duration::from_millis(10);
/// How far a sender's capture times may be out of step with its sound, in µs.
const UNEVEN: i64 = 15_000;
/// A late packet is left out if playing it, too, would exceed the target by so much, in µs.
const TOO_LATE: i64 = 80_000;

/// One packet of an audio track, opened and with its info read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioPacket {
    /// From the frame header: one more for each packet of the track.
    pub frame_id: u32,
    /// When its first sample was captured: µs on the sender's clock, unwrapped.
    pub capture: u64,
    /// How much sound it holds, 2.5 ms to 157.5 ms (taken as the nearest of these outside them).
    pub duration: Duration,
    /// What the decoder gets; at most [`MAX_AUDIO_PAYLOAD`] bytes.
    pub payload: Vec<u8>,
    /// Loudness in −dBov, 0 (overload) to 127 (silence).
    pub level: u8,
}

/// What to play next. Ask again when that has been played.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Playout {
    /// Nothing is playing: a few milliseconds of silence, then ask again.
    Wait,
    /// Decode and play this packet.
    Decode(AudioPacket),
    /// Fill in for sound that is not here (or not yet).
    Conceal {
        /// How much sound is wanted.
        duration: Duration,
        /// The first packet behind the gap: it may hold something of what is missing (Opus in-band FEC, DRED).
        next: Option<Vec<u8>>,
        /// How long after the start of what is wanted that packet begins: `duration` if it follows right on it.
        apart: Duration,
    },
}

/// What a [`JitterBuffer`] has seen and where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Packets taken in, late ones included, duplicates not.
    pub received: u64,
    /// Packets that came a second time.
    pub duplicate: u64,
    /// Packets that came after their slot had passed, played all the same or not.
    pub late: u64,
    /// Packets that playout passed without them and that have not come since.
    pub lost: u64,
    /// Times that concealment was asked for.
    pub concealed: u64,
    /// Packets that came and were not played: too late, over a bound, or left out to shorten the delay.
    pub discarded: u64,
    /// The playout delay that the network asks for, beyond its fastest packets.
    pub target: Duration,
    /// The playout delay of the packet decoded last, beyond the network's fastest packets.
    pub delay: Duration,
    /// Interarrival jitter (RFC 3550, section 6.4.1).
    pub jitter: Duration,
}

#[derive(Debug)]
struct Held {
    packet: AudioPacket,
    arrival: Time,
}

/// The jitter buffer of one audio track.
#[derive(Debug, Default)]
pub struct JitterBuffer {
    held: BTreeMap<u32, Held>,
    held_time: Duration,
    network: NetworkDelay,
    adaptation: Adaptation,
    seen: Seen,
    /// Id and capture time of the newest packet.
    newest: Option<(u32, u64)>,
    /// The last id that playout is done with.
    passed: Option<u32>,
    /// The capture time of what is to be played next; `None` while nothing is playing.
    position: Option<u64>,
    /// The length of the packet played last.
    frame: Duration,
    /// How much has been concealed since a packet was played.
    run: Duration,
    contradictions: u8,
    /// Since when nothing but late packets and such as came before have come.
    late_since: Option<Time>,
    minimum: Duration,
    pace: Pace,
    /// The latest time of a push, and of a pull, which asks for what is played a little later.
    arrived: Time,
    now: Time,
    stats: JitterStats,
}

impl JitterBuffer {
    /// An empty one.
    #[must_use]
    pub fn new() -> JitterBuffer {
        JitterBuffer::default()
    }

    /// Sets the least playout delay (default zero, at most 1 s): for in-band FEC, say, which needs the next
    /// packet to be here when one is missing, or for lip sync. Reached gradually.
    pub fn set_minimum(&mut self, minimum: Duration) {
        self.minimum = minimum.min(MAX_DELAY);
    }

    /// Takes in a packet that arrived at `now`.
    pub fn push(&mut self, now: Time, packet: AudioPacket) {
        self.push_redundant(now, packet, Duration::ZERO);
    }

    /// Takes in a packet that arrived at `now` and tells, besides its own sound, what was up to `reach` before it
    /// (in-band FEC, DRED): the delay is made to cover that, too, if packets before it are missing.
    pub fn push_redundant(&mut self, now: Time, mut packet: AudioPacket, reach: Duration) {
        self.arrived = self.arrived.max(now);
        packet.duration = packet.duration.clamp(DURATION_UNIT, MAX_DURATION);
        if packet.payload.len() > MAX_AUDIO_PAYLOAD {
            self.stats.discarded += 1;
            return;
        }
        let trusted = self.examine(&mut packet);
        if !self.seen.insert(packet.frame_id) {
            self.stats.duplicate += 1;
            if !trusted || !self.is_stuck() {
                return;
            }
            self.resync();
            self.seen.insert(packet.frame_id);
        }
        self.stats.received += 1;
        if trusted {
            // What an outage held back tells where to start again, not how late packets are in general.
            let starved = self.position.is_none() && self.passed.is_some();
            let most = if starved { START_LIMIT } else { MAX_DELAY };
            self.cover(&packet, reach, most);
            self.network.push(self.arrived, end(&packet), most);
        }
        if self.is_late(&packet) {
            return;
        }
        if self.newest.is_none_or(|(id, _)| id < packet.frame_id) {
            self.newest = Some((packet.frame_id, packet.capture));
        }
        self.held_time += packet.duration;
        self.held.insert(packet.frame_id, Held { packet, arrival: self.arrived });
        while self.held.len() > MAX_PACKETS || self.held_time > MAX_HELD_TIME {
            self.discard_first();
        }
    }

    /// Whether packets right before `id` have not come yet.
    #[must_use]
    pub fn lacks_before(&self, id: u32) -> bool {
        self.newest.is_some_and(|(newest, _)| id.saturating_sub(newest) > 1)
    }

    /// Notes for each missing packet before this one that it can be heard from now on, as far as `reach` goes.
    fn cover(&mut self, packet: &AudioPacket, reach: Duration, most: Duration) {
        let Some((newest, _)) = self.newest else { return };
        let missing = packet.frame_id.saturating_sub(newest).saturating_sub(1);
        let reached = reach.min(MAX_DELAY).as_micros() / packet.duration.as_micros().max(1);
        for n in 1..=missing.min(reached as u32) {
            let before = u64::from(n) * packet.duration.as_micros() as u64;
            self.network.cover(self.arrived, end(packet).saturating_sub(before), most);
        }
    }

    /// Looks whether a packet's id and clock follow on those before it, and starts anew if they have moved.
    ///
    /// A lone capture time out of line is replaced by what the id leads to expect; `false` says so.
    fn examine(&mut self, packet: &mut AudioPacket) -> bool {
        let Some((id, capture)) = self.newest else { return true };
        let apart = (i64::from(packet.frame_id) - i64::from(id)).saturating_mul(micros(packet.duration));
        if apart > micros(JUMP) {
            self.resync();
            return true;
        }
        let old_id = apart < -micros(JUMP);
        if !old_id && self.network.surprise(self.arrived, end(packet)) <= JUMP.as_micros() as u64 {
            self.contradictions = 0;
            return true;
        }
        self.contradictions += 1;
        if self.contradictions >= CONVINCING {
            self.resync();
            return true;
        }
        packet.capture = capture.saturating_add_signed(apart);
        false
    }

    /// Whether playout is done with this packet's id, so that it is dropped.
    fn is_late(&mut self, packet: &AudioPacket) -> bool {
        let late = self.position.is_some_and(|p| lead(packet, p) < -half(packet.duration));
        let over = self.passed.is_some_and(|passed| packet.frame_id <= passed);
        self.stats.late += u64::from(late || over);
        if !over {
            self.late_since = None;
            return false;
        }
        if self.is_stuck() {
            self.resync();
            self.seen.insert(packet.frame_id);
            self.network.push(self.arrived, end(packet), MAX_DELAY);
            return false;
        }
        self.stats.discarded += 1;
        self.stats.lost = self.stats.lost.saturating_sub(1);
        true
    }

    /// Whether nothing but what is late, or came before, has come for so long that this side is the one who is wrong; for when such a
    /// packet has come.
    fn is_stuck(&mut self) -> bool {
        self.arrived.since(*self.late_since.get_or_insert(self.arrived)) > ALL_LATE
    }

    /// Forgets the timeline and what is held; the counters stay.
    fn resync(&mut self) {
        let stats = JitterStats {
            discarded: self.stats.discarded + self.held.len() as u64,
            target: Duration::ZERO,
            delay: Duration::ZERO,
            ..self.stats
        };
        let (frame, minimum, arrived, now) = (self.frame, self.minimum, self.arrived, self.now);
        *self = JitterBuffer { frame, minimum, arrived, now, stats, ..JitterBuffer::default() };
    }

    /// What to play at `now`, when all that was given before has been played.
    pub fn pull(&mut self, now: Time) -> Playout {
        self.now = self.now.max(now);
        self.pace = Pace::default();
        while let Some(position) = self.position {
            let Some((&id, Held { packet, .. })) = self.held.first_key_value() else {
                let step = if self.frame.is_zero() { STEP } else { self.frame.min(STEP) };
                return self.conceal(position, step, CONCEAL_LIMIT, None);
            };
            let (lead, delay) = (lead(packet, position), self.delay_of(packet));
            if lead > micros(MAX_DELAY) {
                break;
            }
            let lost = self.passed.is_some_and(|passed| id - passed > 1);
            if lead > half(packet.duration) && (lost || lead > UNEVEN) {
                let spare = delay.saturating_add(lead).saturating_sub(self.target() + micros(self.frame));
                if !lost && spare > 0 {
                    // The sender paused. A pause may be cut short unheard.
                    self.position = Some(position.saturating_add(spare.min(lead).unsigned_abs()));
                    continue;
                }
                return self.fill(position, lead, lost);
            }
            if lead < -half(packet.duration) && self.held.len() > 1 {
                let on_time = |held: &Held| {
                    crate::media::jitter::lead(&held.packet, position) >= -micros(held.packet.duration)
                };
                let other = self.held.values().nth(1).is_some_and(on_time);
                let excess = delay.saturating_sub(self.target());
                if delay > micros(MAX_DELAY) || self.run > Duration::ZERO && other && excess > TOO_LATE {
                    self.discard_first();
                    continue;
                }
            }
            let merge = lead < -half(packet.duration) && self.run > Duration::ZERO;
            self.pace = self.adaptation.decide(self.now, delay.saturating_sub(self.target()));
            self.pace.merge = merge;
            return self.decode_first();
        }
        self.position = None;
        self.start()
    }

    /// How the packet that the last [`pull`](Self::pull) gave is best played.
    #[must_use]
    pub const fn pace(&self) -> Pace {
        self.pace
    }

    /// Whether the packet that follows the one pulled last is here, so that it may be decoded ahead of its time.
    #[must_use]
    pub fn follows(&self) -> bool {
        let next = self.passed.and_then(|passed| passed.checked_add(1));
        next.is_some_and(|next| self.held.contains_key(&next)) && self.run.is_zero()
    }

    /// Notes that sound was made longer or shorter by so many µs: the next change of speech waits its turn, and what is pulled next
    /// is heard so much later or earlier.
    pub fn stretched(&mut self, change: i64) {
        self.adaptation.moved(self.now);
        if change < 0 {
            self.now = self.now - Duration::from_micros(change.unsigned_abs());
        }
    }

    /// Begins to play once the oldest packet has waited for the target delay; what is far older is left out.
    fn start(&mut self) -> Playout {
        let wanted = self.target().min(micros(START_LIMIT.max(self.minimum)));
        while let Some((_, first)) = self.held.first_key_value() {
            let delay = self.delay_of(&first.packet);
            if self.held.len() > 1 && delay >= wanted + micros(first.packet.duration) {
                self.discard_first();
                continue;
            }
            if delay < wanted && micros(self.now.since(first.arrival)) < wanted {
                break;
            }
            return self.decode_first();
        }
        Playout::Wait
    }

    /// Fills in what is missing in front of the first packet, which begins `lead` µs after `position`.
    fn fill(&mut self, position: u64, lead: i64, lost: bool) -> Playout {
        let unit = DURATION_UNIT.as_micros() as u64;
        let (gap, frame) = (lead.unsigned_abs(), self.frame.max(DURATION_UNIT).as_micros() as u64);
        let whole = gap <= frame + frame / 2;
        let length = if whole { gap } else { frame };
        let duration = Duration::from_micros((length / unit).max(1) * unit).min(MAX_DURATION);
        let gap = Duration::from_micros(gap);
        let next =
            self.held.first_key_value().filter(|_| lost).map(|(&id, held)| (id, held.packet.payload.clone()));
        if let Some((id, _)) = next.as_ref().filter(|_| whole) {
            // It is given up now.
            self.pass(*id);
            self.passed = Some(*id - 1);
        }
        self.conceal(position, duration, MAX_DELAY, next.map(|(_, payload)| (gap, payload)))
    }

    /// Fills in `duration` at `position`, up to `limit` in a row. `next` is what is behind the gap, and how far.
    fn conceal(
        &mut self,
        position: u64,
        duration: Duration,
        limit: Duration,
        next: Option<(Duration, Vec<u8>)>,
    ) -> Playout {
        if self.run + duration > limit {
            self.position = None;
            return self.start();
        }
        self.position = Some(position.saturating_add(duration.as_micros() as u64));
        self.run += duration;
        self.stats.concealed += 1;
        let (apart, next) = next.map_or((duration, None), |(apart, next)| (apart, Some(next)));
        Playout::Conceal { duration, next, apart }
    }

    fn decode_first(&mut self) -> Playout {
        let Some(packet) = self.take_first() else { return Playout::Wait };
        self.frame = packet.duration;
        self.run = Duration::ZERO;
        self.stats.delay = Duration::from_micros(self.delay_of(&packet).max(0).unsigned_abs());
        self.position = Some(packet.capture.saturating_add(packet.duration.as_micros() as u64));
        Playout::Decode(packet)
    }

    /// Leaves the first packet out; what follows it takes its place.
    fn discard_first(&mut self) {
        let Some(packet) = self.take_first() else { return };
        self.stats.discarded += 1;
        if let Some(position) = &mut self.position {
            *position = packet.capture.saturating_add(packet.duration.as_micros() as u64);
        }
    }

    fn take_first(&mut self) -> Option<AudioPacket> {
        let (id, Held { packet, .. }) = self.held.pop_first()?;
        self.held_time = self.held_time.saturating_sub(packet.duration);
        self.pass(id);
        Some(packet)
    }

    /// Notes that playout has come to `id`: what it lacks before that is lost.
    fn pass(&mut self, id: u32) {
        if let Some(passed) = self.passed {
            self.stats.lost += u64::from(id.saturating_sub(passed).saturating_sub(1));
        }
        self.passed = Some(id);
    }

    fn delay_of(&self, packet: &AudioPacket) -> i64 {
        self.network.beyond_baseline(self.now, end(packet))
    }

    fn target(&self) -> i64 {
        self.network.target().max(micros(self.minimum))
    }

    /// How many packets are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether no packet is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How much sound is held; at most [`MAX_HELD_TIME`].
    #[must_use]
    pub const fn held_time(&self) -> Duration {
        self.held_time
    }

    /// What has been seen so far, and the delays as they stand.
    #[must_use]
    pub fn stats(&self) -> JitterStats {
        let target = Duration::from_micros(self.target().unsigned_abs());
        JitterStats { target, jitter: self.network.jitter(), ..self.stats }
    }
}

/// When a packet's last sample was captured, before which it cannot have been sent: packets of whatever length are
/// compared by it.
fn end(packet: &AudioPacket) -> u64 {
    packet.capture.saturating_add(packet.duration.as_micros() as u64)
}

/// How far ahead of `position` a packet begins, in µs.
fn lead(packet: &AudioPacket, position: u64) -> i64 {
    let apart = i128::from(packet.capture) - i128::from(position);
    i64::try_from(apart).unwrap_or(if apart < 0 { i64::MIN } else { i64::MAX })
}

fn half(duration: Duration) -> i64 {
    micros(duration) / 2
}
