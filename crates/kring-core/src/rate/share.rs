//! What voice and pictures get of the target.
//!
//! Guarantee: voice first: pictures get what it leaves, and nothing where that would be too little to be of use.

/// Reports, and what padding costs now and then: a share of the target, and at least so many bit/s.
const REPORTS: (f64, f64) = (0.03, 2_000.0);
/// Below this, in bit/s, pictures are switched off, and above this on again.
const PICTURES: (u32, u32) = (40_000, 60_000);

/// Rates in bit/s; headers of all layers included for voice, the encoder's own bits for pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Share {
    /// For voice.
    pub audio: u32,
    /// For pictures; 0 is none.
    pub video: u32,
}

impl Share {
    /// Shares `target` bit/s. `loss` is the share of datagrams that gets lost; `video` says whether pictures are sent at
    /// all; `before` is the share until now.
    #[must_use]
    pub fn new(target: u32, loss: f64, video: bool, before: Share) -> Share {
        let target = f64::from(target);
        let usable = (target - (target * REPORTS.0).max(REPORTS.1)).max(0.0);
        if !video {
            return Share { audio: usable as u32, video: 0 };
        }
        // A voice of 32 kbit/s at 20 ms a packet takes 75 kbit/s; each copy of it 35 more.
        let wanted = (0.2 * usable).max(80_000.0) + 400_000.0 * loss.clamp(0.0, 0.5);
        let audio =
            wanted.min(usable * (0.45 + loss.min(0.25))).min(260_000.0 + 400_000.0 * loss.clamp(0.0, 0.5));
        let least = if before.video > 0 { PICTURES.0 } else { PICTURES.1 };
        // Headers of a picture's packets, at full size, are some 7 %.
        let video = ((usable - audio) * 0.93) as u32;
        if video < least {
            Share { audio: usable as u32, video: 0 }
        } else {
            Share { audio: audio as u32, video }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voice_comes_first_and_all_fits() {
        let mut before = Share::default();
        for target in (20..4000).map(|k| k * 1000) {
            for loss in [0.0, 0.1, 0.5] {
                let share = Share::new(target, loss, true, before);
                assert!(share.audio + share.video <= target, "{target} {share:?}");
                assert!(share.audio >= (target * 4 / 10).min(75_000), "{target} {share:?}");
                before = share;
            }
        }
    }

    #[test]
    fn where_there_is_little_there_are_no_pictures() {
        assert_eq!(Share::new(40_000, 0.0, true, Share::default()).video, 0);
        assert!(Share::new(250_000, 0.0, true, Share::default()).video > 100_000);
        assert_eq!(Share::new(250_000, 0.0, false, Share::default()).video, 0);
    }
}
