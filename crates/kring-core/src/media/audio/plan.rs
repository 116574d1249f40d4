//! What to send for each frame, from what the network is like.
//!
//! Guarantee: a pure function of the states it was given and their times, never of the sound. What a plan sends,
//! headers included, keeps to the rate it was made for, but that no plan goes below the narrowest: packets of 120
//! ms at 6 kbit/s.

use std::time::Duration;

use super::bundle::Copies;
use crate::time::Time;

/// What one packet costs beyond its body, in bytes: 28 of IP and UDP, 26 of QUIC, 6 of the hop, up to 5 each of frame
/// and SFrame header, 7 of the frame's info and 16 of its tag.
pub const PACKET_OVERHEAD: usize = 93;

/// The choices of frame length in ms, with the least codec rate in bit/s for which each is worth its headers, and the
/// rate beyond which more is of no use.
const LENGTHS: [(u64, u32, u32); 5] = [
    (10, 40_000, 64_000),
    (20, 26_000, 64_000),
    (40, 17_000, 48_000),
    (60, 9_000, 40_000),
    (120, MIN_RATE, 32_000),
];
/// Loss from which on each frame is sent once more than at the threshold before.
const ONCE_MORE: [f32; 4] = [0.002, 0.025, 0.08, 0.2];
/// Losses come in bursts if so many follow on each other on average.
const BURSTY: f32 = 1.8;
/// Loss, and how many datagrams in a row, from which on deep redundancy pays; and how far it then reaches.
const LONG_BURSTS: (f32, f32) = (0.1, 8.0);
const DEEP: Duration = Duration::from_millis(200);
/// Before loss was seen, a copy has to leave so much to the codec.
const WORTH_A_GUESS: u32 = 34_000;
/// Before anything is known, something is assumed.
const ASSUMED_LOSS: f32 = 0.01;
/// How long a lower loss has to last before less is sent for it.
const CALM: Duration = Duration::from_secs(8);
/// How long a higher rate has to last, and how much of it has to do, before frames get shorter: seconds where it is just
/// enough, a moment where half of it would do.
const ROOM: Duration = Duration::from_secs(3);
const ROOM_PERCENT: u32 = 88;
const AMPLE: Duration = Duration::from_millis(300);
const AMPLE_PERCENT: u32 = 50;
/// Rates are used in steps of so many bit/s, so that packets keep their size while the estimate breathes; the finer
/// ones below 16 kbit/s.
const RATE_STEPS: [u32; 2] = [400, 2_000];
/// The longest frame of which copies are sent.
const LONGEST_COPIED: Duration = Duration::from_millis(60);
/// The longest of which copies are sent before loss was seen.
const LONGEST_ASSUMED: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(120);
const SHORTEST: Duration = Duration::from_millis(10);
const MIN_RATE: u32 = 6_000;

/// What the network is like for a voice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoiceNetwork {
    /// What voice may take, in bit/s, all headers included.
    pub audio_rate: u32,
    /// The fraction of datagrams lost lately, 0 to 1; `None` if nothing is known yet.
    pub loss: Option<f32>,
    /// How many datagrams in a row are lost at a time, on average; 1 if they are lost one by one.
    pub burst: f32,
}

/// What to send for each frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioPlan {
    /// How much sound goes into a frame: 10, 20, 40, 60 or 120 ms.
    pub duration: Duration,
    /// The codec's rate in bit/s.
    pub bit_rate: u32,
    /// Which earlier frames travel along, and how large the body becomes.
    pub copies: Copies,
    /// How much loss the codec itself is to provide for, by deep redundancy or else in-band FEC, in percent; 0 if
    /// copies do.
    pub fec_percent: u8,
    /// How far back the codec's own redundancy against long bursts reaches; zero for none.
    pub deep_redundancy: Duration,
}

impl AudioPlan {
    /// What it sends, in bit/s, all headers included.
    #[must_use]
    pub fn total_rate(&self) -> u32 {
        let bits = (self.copies.size() + PACKET_OVERHEAD) as u64 * 8;
        (bits * 1_000_000 / self.duration.as_micros().max(1) as u64) as u32
    }
}

/// Chooses plans, with some patience so that they do not flutter.
#[derive(Clone, Debug)]
pub struct AudioPlanner {
    /// How many times each frame is to be sent, and since when less would do.
    wanted: usize,
    less_since: Option<Time>,
    bursty: bool,
    /// Whether there was any loss yet.
    seen: bool,
    plan: Option<AudioPlan>,
    /// Since when there is room for shorter frames.
    room_since: Option<Time>,
    fixed: Option<Duration>,
}

impl Default for AudioPlanner {
    fn default() -> AudioPlanner {
        AudioPlanner {
            wanted: transmissions(ASSUMED_LOSS),
            less_since: None,
            bursty: false,
            seen: false,
            plan: None,
            room_since: None,
            fixed: None,
        }
    }
}

impl AudioPlanner {
    /// One that keeps to frames of this length whatever the network is like: 10, 20, 40, 60 or 120 ms, else the next shorter.
    #[must_use]
    pub fn with_duration(duration: Duration) -> AudioPlanner {
        AudioPlanner { fixed: Some(duration), ..AudioPlanner::default() }
    }

    /// The plan from `now` on.
    pub fn update(&mut self, now: Time, state: &VoiceNetwork) -> AudioPlan {
        self.follow_loss(now, state);
        let rate = state.audio_rate;
        let mut plan = self.fit(rate, state);
        if let Some(old) = self.plan.filter(|old| old.duration > plan.duration) {
            // Shorter frames only if they are there to stay.
            let cautious = self.fit(rate / 100 * ROOM_PERCENT, state);
            let since = *self.room_since.get_or_insert(now);
            let ample = self.fit(rate / 100 * AMPLE_PERCENT, state).duration < old.duration;
            let room = if ample { AMPLE } else { ROOM };
            if cautious.duration >= old.duration || now.since(since) < room {
                if cautious.duration >= old.duration {
                    self.room_since = None;
                }
                plan = self.fit_length(old.duration, rate, state).unwrap_or(plan);
            } else {
                plan = cautious;
            }
        } else {
            self.room_since = None;
        }
        self.plan = Some(plan);
        plan
    }

    fn follow_loss(&mut self, now: Time, state: &VoiceNetwork) {
        // Between the two bounds it stays what it was.
        if state.burst >= BURSTY {
            self.bursty = true;
        } else if state.burst < 0.8 * BURSTY {
            self.bursty = false;
        }
        self.seen |= state.loss.is_some_and(|loss| loss >= ONCE_MORE[0]);
        let wanted = transmissions(state.loss.unwrap_or(ASSUMED_LOSS));
        // A burst takes near copies along, and far ones cost delay.
        let wanted = if self.bursty { wanted.min(3) } else { wanted };
        if wanted >= self.wanted {
            self.less_since = None;
            self.wanted = wanted;
        } else if now.since(*self.less_since.get_or_insert(now)) >= CALM {
            self.less_since = None;
            self.wanted -= 1;
        }
    }

    /// The best plan for a rate.
    fn fit(&self, rate: u32, state: &VoiceNetwork) -> AudioPlan {
        if let Some(fixed) = self.fixed {
            let length = LENGTHS.iter().rev().find(|(ms, ..)| Duration::from_millis(*ms) <= fixed);
            let duration = Duration::from_millis(length.map_or(10, |(ms, ..)| *ms));
            return self
                .fit_length(duration, rate, state)
                .unwrap_or_else(|| self.narrowest(duration, rate, state));
        }
        let lengths = LENGTHS.iter().map(|(ms, ..)| Duration::from_millis(*ms));
        lengths
            .clone()
            .find_map(|duration| self.fit_length(duration, rate, state))
            .unwrap_or_else(|| self.narrowest(LONGEST, rate, state))
    }

    /// The plan with frames of `duration`, if the rate allows for it and for what the loss asks.
    fn fit_length(&self, duration: Duration, rate: u32, state: &VoiceNetwork) -> Option<AudioPlan> {
        let &(_, least, most) = LENGTHS.iter().find(|(ms, ..)| Duration::from_millis(*ms) == duration)?;
        // All that is wanted, or at least one copy if there is loss. A copy of a long frame would come too late and cost
        // more than the codec's own redundancy.
        let none = duration > LONGEST_COPIED || !self.seen && duration > LONGEST_ASSUMED;
        let wanted = if none { 1 } else { self.wanted };
        // The shortest frames come after a copy.
        let least_times = if self.seen || duration == SHORTEST { wanted.min(2) } else { 1 };
        (least_times..=wanted).rev().find_map(|times| {
            let codec = codec_rate(rate, duration, times).min(most);
            let least = if times > 1 && !self.seen { least.max(WORTH_A_GUESS) } else { least };
            (codec >= least).then(|| self.build(duration, codec, times, state))
        })
    }

    /// No copies: what can be done within the codec.
    fn narrowest(&self, duration: Duration, rate: u32, state: &VoiceNetwork) -> AudioPlan {
        self.build(duration, codec_rate(rate, duration, 1).clamp(MIN_RATE, 40_000), 1, state)
    }

    fn build(&self, duration: Duration, codec: u32, times: usize, state: &VoiceNetwork) -> AudioPlan {
        let step = RATE_STEPS[usize::from(codec >= 16_000)];
        let bit_rate = (codec / step * step).max(MIN_RATE);
        let payload = (u64::from(bit_rate) * duration.as_micros() as u64).div_ceil(8_000_000) as usize;
        // The nearest ones: each step farther back costs a frame of delay at the receiver.
        let offsets = &[1, 2, 3, 4][..(times - 1).min(4)];
        let loss = state.loss.unwrap_or(0.0).clamp(0.0, 1.0);
        let alone = offsets.is_empty() && loss >= ONCE_MORE[0];
        // Whole bursts are gone with all near copies: then it is worth the delay that it costs.
        let deep = loss >= LONG_BURSTS.0 && state.burst >= LONG_BURSTS.1;
        let fec_percent = match (deep, alone) {
            (true, _) => (loss * 100.0).clamp(1.0, 20.0) as u8,
            // From 6 % on libopus would narrow the sound to make room.
            (false, true) => (loss * 100.0).ceil().clamp(1.0, 5.0) as u8,
            (false, false) => 0,
        };
        AudioPlan {
            duration,
            bit_rate,
            copies: Copies::new(offsets, Copies::size_for(offsets.len(), payload)),
            fec_percent,
            deep_redundancy: if deep { DEEP } else { Duration::ZERO },
        }
    }
}

/// How many times each frame is to be sent at that loss, so that about one in a thousand is missing.
fn transmissions(loss: f32) -> usize {
    1 + ONCE_MORE.iter().filter(|threshold| loss >= **threshold).count()
}

/// What is left for the codec of a rate if each packet holds `times` frames, in bit/s.
fn codec_rate(rate: u32, duration: Duration, times: usize) -> u32 {
    let micros = duration.as_micros() as u64;
    let bytes = u64::from(rate) * micros / 8_000_000;
    let fixed = PACKET_OVERHEAD + Copies::size_for(times - 1, 0);
    let payload = bytes.saturating_sub(fixed as u64) / times as u64;
    (payload * 8_000_000 / micros.max(1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(kbit: u32, loss: f32) -> VoiceNetwork {
        VoiceNetwork { audio_rate: kbit * 1000, loss: Some(loss), burst: 1.0 }
    }

    /// What it comes to after ten minutes of the same.
    fn settled(kbit: u32, loss: f32) -> AudioPlan {
        let mut planner = AudioPlanner::default();
        let plans = (0..600).map(|s| planner.update(Time::from_millis(s * 1000), &state(kbit, loss)));
        plans.last().expect("600 plans")
    }

    fn ms(plan: &AudioPlan) -> u128 {
        plan.duration.as_millis()
    }

    #[test]
    fn good_links_get_short_frames_and_thin_ones_long_ones() {
        let lengths = [400, 150, 80, 60, 40, 30, 20, 1].map(|kbit| ms(&settled(kbit, 0.0)));
        assert_eq!(lengths, [10, 10, 20, 40, 40, 60, 120, 120]);
        assert!(settled(400, 0.0).copies.offsets().is_empty());
    }

    #[test]
    fn the_more_is_lost_the_more_often_a_frame_is_sent() {
        let copies =
            [0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 1.0].map(|loss| settled(400, loss).copies.offsets().len());
        assert_eq!(copies, [0, 1, 2, 3, 4, 4, 4]);
        assert_eq!(settled(400, 0.3).fec_percent, 0, "copies do better");
    }

    #[test]
    fn without_room_for_copies_the_codec_provides_for_loss() {
        let plan = settled(22, 0.1);
        assert!(plan.copies.offsets().is_empty() && plan.fec_percent == 5, "{plan:?}");
        assert_eq!(settled(22, 0.0).fec_percent, 0);
    }

    #[test]
    fn no_plan_takes_more_than_it_may() {
        for kbit in 14..400 {
            for loss in [0.0, 0.01, 0.05, 0.1, 0.3] {
                let plan = settled(kbit, loss);
                assert!(plan.total_rate() <= kbit * 1000, "{kbit} kbit/s at {loss}: {plan:?}");
            }
        }
    }

    #[test]
    fn a_narrower_link_is_followed_at_once_and_a_wider_one_after_seconds() {
        let mut planner = AudioPlanner::default();
        let mut at = |ms: u64, kbit| planner.update(Time::from_millis(ms), &state(kbit, 0.0));
        at(0, 400);
        assert_eq!(ms(&at(20, 40)), 40);
        assert_eq!(ms(&at(100, 400)), 40);
        let wider = at(200, 400);
        assert!(wider.bit_rate > at(20, 40).bit_rate, "the rate follows at once: {wider:?}");
        assert_eq!(ms(&at(4000, 400)), 40, "a lower rate came between");
        assert_eq!(ms(&at(7100, 400)), 10);
    }

    #[test]
    fn more_loss_is_answered_at_once_and_less_after_a_while() {
        let mut planner = AudioPlanner::default();
        let mut at = |s: u64, loss| {
            planner.update(Time::from_millis(s * 1000), &state(400, loss)).copies.offsets().len()
        };
        assert_eq!([at(0, 0.0), at(1, 0.1)], [1, 3]);
        assert_eq!([at(2, 0.0), at(9, 0.0), at(10, 0.0), at(60, 0.0), at(69, 0.0)], [3, 3, 2, 2, 1]);
    }

    #[test]
    fn at_the_start_some_loss_is_assumed_and_bursts_get_no_far_copies() {
        let unknown = VoiceNetwork { loss: None, ..state(400, 0.0) };
        assert_eq!(AudioPlanner::default().update(Time::ZERO, &unknown).copies.offsets(), [1]);
        let bursts = VoiceNetwork { burst: 5.0, ..state(400, 0.1) };
        let plan = AudioPlanner::default().update(Time::ZERO, &bursts);
        assert_eq!((plan.copies.offsets(), plan.deep_redundancy), (&[1, 2][..], Duration::ZERO));
    }

    #[test]
    fn long_bursts_get_deep_redundancy() {
        let bursts = VoiceNetwork { burst: 12.0, ..state(400, 0.15) };
        let plan = AudioPlanner::default().update(Time::ZERO, &bursts);
        assert_eq!((plan.deep_redundancy, plan.fec_percent), (DEEP, 15));
    }

    #[test]
    fn a_fixed_length_stays() {
        let mut planner = AudioPlanner::with_duration(Duration::from_millis(20));
        for (at, kbit) in [(0, 400), (1000, 10), (60_000, 400)] {
            assert_eq!(ms(&planner.update(Time::from_millis(at), &state(kbit, 0.05))), 20);
        }
    }
}
