//! Which picture size and how many pictures a second a rate is best spent on.
//!
//! Guarantee: more rate never gives less, the result never exceeds the source, and it changes back and forth at most once
//! in [`PATIENCE`], however the rate moves.
//!
//! The steps between sizes are where two sizes looked equally well (SSIM, at the full size) with this crate's H.264 on a talking
//! head with camera grain: 1280x720 and 640x360 at 450 kbit/s, 640x360 and 320x180 at 150. A size between two of these is
//! hardly ever the best one (docs/benchmarks.md).

use std::time::Duration;

use crate::video::ContentHint;

/// How long there has to be more rate before more is tried.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// How long the rate has to lack before less is sent, unless it lacks by far.
const LACKING: Duration = Duration::from_millis(600);
/// By how much the rate has to exceed a step to take it, and may fall below one before it is given up.
const MORE: f64 = 1.2;
const LESS: f64 = 0.9;
/// Below that part of a step it is given up at once.
const FAR_LESS: f64 = 0.6;

/// What is sent at a rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rung {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Pictures a second.
    pub frames_per_second: f32,
}

/// Chooses size and frame rate for one source by the rate that there is. See the [module](self).
///
/// ```
/// use kring_codec::{ContentHint, Ladder};
/// use std::time::Duration;
///
/// let mut ladder = Ladder::new(ContentHint::Camera, (1280, 720), 30.0, 1_000_000);
/// assert_eq!(ladder.rung().width, 1280);
/// // The network got narrow: at once.
/// let rung = ladder.follow(Duration::from_secs(1), 150_000);
/// assert_eq!((rung.width, rung.height, rung.frames_per_second), (640, 360, 30.0));
/// // It is wide again: after a while.
/// assert_eq!(ladder.follow(Duration::from_secs(2), 1_000_000).width, 640);
/// assert_eq!(ladder.follow(Duration::from_secs(6), 1_000_000).width, 1280);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Ladder {
    /// The least rate of each rung in bits a second, rising; the first has none.
    rungs: Vec<(f64, Rung)>,
    at: usize,
    /// Since when there has been enough for a rung above, and too little for this one.
    above: Option<Duration>,
    below: Option<Duration>,
}

impl Ladder {
    /// A ladder for pictures of `source` (width and height in pixels) at so many a second, which begins at the rung that fits
    /// `bits_per_second`.
    #[must_use]
    pub fn new(
        content: ContentHint,
        source: (u32, u32),
        frames_per_second: f32,
        bits_per_second: u32,
    ) -> Self {
        let mut rungs = rungs(content, source, frames_per_second);
        // More rate never gives less: what a step asks is at least what the one below asks.
        rungs.sort_by(|(a, x), (b, y)| pixels(x).total_cmp(&pixels(y)).then(a.total_cmp(b)));
        rungs[0].0 = 0.0;
        let at = fits(&rungs, bits_per_second.into());
        Self { rungs, at, above: None, below: None }
    }

    /// What is sent now.
    #[must_use]
    pub fn rung(&self) -> Rung {
        self.rungs[self.at].1
    }

    /// What to send from `now` on, a time that never goes back, at a rate of `bits_per_second` for pictures.
    pub fn follow(&mut self, now: Duration, bits_per_second: u32) -> Rung {
        let rate = f64::from(bits_per_second);
        let least = self.rungs[self.at].0;
        if rate < least * LESS {
            self.above = None;
            let since = *self.below.get_or_insert(now);
            if rate < least * FAR_LESS || now.saturating_sub(since) >= LACKING {
                self.at = fits(&self.rungs, rate).min(self.at);
                self.below = None;
            }
            return self.rung();
        }
        self.below = None;
        // The best that there has been enough for all the time, without going up for a moment's sake.
        let best = fits(&self.rungs, rate / MORE);
        if best <= self.at {
            self.above = None;
        } else if now.saturating_sub(*self.above.get_or_insert(now)) >= PATIENCE {
            self.at = best;
            self.above = None;
        }
        self.rung()
    }
}

fn fits(rungs: &[(f64, Rung)], rate: f64) -> usize {
    rungs.iter().rposition(|(least, _)| *least <= rate).unwrap_or(0)
}

/// Pixels a second.
fn pixels(rung: &Rung) -> f64 {
    f64::from(rung.width) * f64::from(rung.height) * f64::from(rung.frames_per_second)
}

/// The rate from which on a size looks better than half of it, at 30 pictures a second: 150 kbit/s for 640x360, 450 for 1280x720.
fn least(width: u32, height: u32) -> f64 {
    const MEASURED: f64 = 640.0 * 360.0;
    150_000.0 * (f64::from(width) * f64::from(height) / MEASURED).powf(0.79)
}

fn rungs(content: ContentHint, (width, height): (u32, u32), most: f32) -> Vec<(f64, Rung)> {
    // Each half the size of the one before, down to some 90 lines.
    let half = |side: u32| (side / 2).next_multiple_of(2);
    let smaller =
        |&(width, height): &(u32, u32)| (width.min(height) >= 160).then(|| (half(width), half(height)));
    let sizes: Vec<(u32, u32)> =
        std::iter::successors(Some((width.max(2), height.max(2))), smaller).collect();
    let rung =
        |(width, height): (u32, u32), rate: f32| Rung { width, height, frames_per_second: rate.min(most) };
    match content {
        // All pictures down to a quarter of a quarter; only then fewer.
        ContentHint::Camera => {
            let usable = sizes.iter().filter(|size| size.0.min(size.1) >= 160 || **size == sizes[0]);
            let usable: Vec<_> = usable.copied().collect();
            let mut rungs: Vec<_> =
                usable.iter().map(|&size| (least(size.0, size.1), rung(size, most))).collect();
            let last = usable[usable.len() - 1];
            let least = least(last.0, last.1).min(50_000.0);
            rungs.extend(
                [(0.8, 20.0), (0.5, 15.0), (0.0, 10.0)].map(|(part, rate)| (part * least, rung(last, rate))),
            );
            rungs
        }
        // Motion is what is said: never fewer than twenty, and the size gives way for it.
        ContentHint::Sign => {
            let mut rungs: Vec<_> =
                sizes.iter().map(|&size| (least(size.0, size.1), rung(size, most))).collect();
            rungs.push((0.0, rung(sizes[sizes.len() - 1], 20.0)));
            rungs
        }
        // Text is to be read: the size stays, and pictures become fewer, in step with the rate.
        ContentHint::Screen => {
            let full = least(width, height);
            let mut rungs = vec![(full, rung((width, height), most))];
            rungs.extend(
                [15.0, 10.0, 5.0, 3.0, 1.0]
                    .map(|rate| (full * f64::from(rate) / 30.0, rung((width, height), rate))),
            );
            rungs
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content() -> impl Strategy<Value = ContentHint> {
        prop_oneof![Just(ContentHint::Camera), Just(ContentHint::Sign), Just(ContentHint::Screen)]
    }

    fn source() -> impl Strategy<Value = ((u32, u32), f32)> {
        (((1u32..960).prop_map(|n| n * 2), (1u32..540).prop_map(|n| n * 2)), 1.0f32..60.0)
    }

    proptest! {
        #[test]
        fn more_rate_never_gives_less(content in content(), (size, most) in source(), a in 0u32..5_000_000, b in 0u32..5_000_000) {
            let at = |rate| pixels(&Ladder::new(content, size, most, rate).rung());
            prop_assert!(at(a.min(b)) <= at(a.max(b)));
        }

        #[test]
        fn nothing_exceeds_the_source(content in content(), (size, most) in source(), rate in 0u32..5_000_000) {
            let rung = Ladder::new(content, size, most, rate).rung();
            prop_assert!(rung.width <= size.0 && rung.height <= size.1 && rung.frames_per_second <= most);
            prop_assert!(rung.width >= 2 && rung.width.is_multiple_of(2) && rung.height >= 2 && rung.height.is_multiple_of(2));
            prop_assert!(rung.frames_per_second >= 1.0f32.min(most));
            if content == ContentHint::Sign {
                prop_assert!(rung.frames_per_second >= 20.0f32.min(most));
            }
            if content == ContentHint::Screen {
                prop_assert_eq!((rung.width, rung.height), size);
            }
        }

        #[test]
        fn it_goes_up_at_most_once_in_three_seconds(content in content(), (size, most) in source(), rates in prop::collection::vec(0u32..3_000_000, 300)) {
            let mut ladder = Ladder::new(content, size, most, 0);
            let mut ups = Vec::new();
            for (tick, rate) in (0u64..).zip(rates) {
                let now = Duration::from_millis(tick * 100);
                let before = pixels(&ladder.rung());
                if pixels(&ladder.follow(now, rate)) > before {
                    ups.push(now);
                }
            }
            prop_assert!(ups.windows(2).all(|pair| pair[1] - pair[0] >= PATIENCE));
        }

        #[test]
        fn a_rate_that_sways_by_a_tenth_changes_nothing(content in content(), (size, most) in source(), rate in 10_000u32..3_000_000, swings in prop::collection::vec(0.95f64..1.05, 200)) {
            let mut ladder = Ladder::new(content, size, most, rate);
            let mut changes = 0;
            for (tick, swing) in (0u64..).zip(swings) {
                let before = ladder.rung();
                let rung = ladder.follow(Duration::from_millis(tick * 100), (f64::from(rate) * swing) as u32);
                changes += u32::from(rung != before);
            }
            prop_assert_eq!(changes, 0);
        }
    }

    #[test]
    fn the_measured_steps_are_taken() {
        let size = |rate| {
            let rung = Ladder::new(ContentHint::Camera, (1280, 720), 30.0, rate).rung();
            (rung.width, rung.frames_per_second)
        };
        assert_eq!(
            [460_000, 440_000, 155_000, 145_000].map(size),
            [(1280, 30.0), (640, 30.0), (640, 30.0), (320, 30.0)]
        );
        assert_eq!([45_000, 30_000, 10_000].map(size), [(320, 20.0), (320, 15.0), (320, 10.0)]);
    }

    #[test]
    fn hints_say_what_gives_way() {
        let at = |content| Ladder::new(content, (1280, 720), 30.0, 100_000).rung();
        let (camera, sign, screen) =
            (at(ContentHint::Camera), at(ContentHint::Sign), at(ContentHint::Screen));
        assert_eq!((camera.width, camera.frames_per_second), (320, 30.0));
        assert_eq!((sign.width, sign.frames_per_second), (320, 30.0));
        assert_eq!((screen.width, screen.frames_per_second), (1280, 5.0));
    }
}
