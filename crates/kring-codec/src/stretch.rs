//! Sound made a little longer or shorter without changing its pitch: whole periods of a voice are repeated or left out
//! and cross-faded (WSOLA).
//!
//! Guarantee: outside the cross-fade samples pass unchanged; nothing is changed by more than was asked for, and nothing
//! where no period fits, unless it is nearly silent.

use crate::raw::SAMPLE_RATE;

/// The shortest and the longest period, in samples: 2.5 ms (400 Hz) and 15 ms (67 Hz).
const MIN_PERIOD: usize = SAMPLE_RATE as usize / 400;
const MAX_PERIOD: usize = SAMPLE_RATE as usize * 15 / 1000;
/// The length of a cross-fade, 5 ms, and of what is compared to find a period.
const FADE: usize = SAMPLE_RATE as usize / 200;
/// The search looks at every fourth sample first.
const COARSE: usize = 4;
/// How alike two stretches of sound must be for one to be left out where somebody speaks.
const ALIKE: f32 = 0.8;
/// Mean power below which nobody hears a change: −50 dB of full scale.
const QUIET: f32 = 1e-5;

/// How much sound [`shorten`] wants to look at, in samples: the longest period and a cross-fade behind it.
pub const LOOK: usize = MAX_PERIOD + FADE;

/// How much of what was played [`lengthen`] wants to look at, in samples.
pub const HISTORY: usize = MAX_PERIOD;

/// Leaves out up to `most` samples of `sound` from `from` on, where one period can be joined with the next; `loud`:
/// also where somebody speaks. Gives how many were left out.
pub fn shorten(sound: &mut Vec<f32>, from: usize, most: usize, loud: bool) -> usize {
    let room = sound.len().saturating_sub(from + FADE);
    let most = most.min(room);
    if most < MIN_PERIOD {
        return 0;
    }
    let window = &sound[from..];
    let period = if is_quiet(&window[..most + FADE]) {
        most
    } else {
        if !loud {
            return 0;
        }
        let (period, likeness) = best_period(window, 0, MIN_PERIOD, most.min(MAX_PERIOD), true);
        if likeness < ALIKE {
            return 0;
        }
        period
    };
    for i in 0..FADE {
        let share = i as f32 / FADE as f32;
        sound[from + i] = sound[from + i] * (1.0 - share) + sound[from + i + period] * share;
    }
    sound.drain(from + FADE..from + FADE + period);
    period
}

/// Puts up to `most` samples into `sound` at `from`, by repeating a period that lies before it; `loud`: also where
/// somebody speaks. Gives how many were put in.
pub fn lengthen(sound: &mut Vec<f32>, from: usize, most: usize, loud: bool) -> usize {
    if sound.len() < from + FADE || from < MIN_PERIOD || most < MIN_PERIOD {
        return 0;
    }
    let most = most.min(from).min(MAX_PERIOD);
    let period = if is_quiet(&sound[from - most..from + FADE]) {
        most
    } else {
        if !loud {
            return 0;
        }
        let (period, likeness) = best_period(sound, from, MIN_PERIOD, most, false);
        if likeness < ALIKE {
            return 0;
        }
        period
    };
    let repeated: Vec<f32> = sound[from - period..from].to_vec();
    // The period begins anew while what would have come is faded out, and what would have come follows it.
    let faded: Vec<f32> = (0..period)
        .map(|i| {
            let share = if i < FADE { i as f32 / FADE as f32 } else { 1.0 };
            sound[from + i.min(FADE - 1)] * (1.0 - share) + repeated[i] * share
        })
        .collect();
    sound.splice(from..from, faded);
    period
}

/// Joins `sound` from `from` on with what was expected to stand there, `expected`: it begins up to one period later if
/// that fits better. Gives how many samples longer `sound` became.
pub fn join(sound: &mut Vec<f32>, from: usize, expected: &[f32]) -> usize {
    let fade = FADE.min(sound.len().saturating_sub(from));
    if fade < COARSE || expected.len() < fade {
        return 0;
    }
    let furthest = (expected.len() - fade).min(MAX_PERIOD);
    let begin = &sound[from..from + fade];
    let likeness = |lag: usize| likeness(begin, &expected[lag..lag + fade], 1);
    let lag = best(0, furthest, likeness).0;
    for i in 0..fade {
        let share = i as f32 / fade as f32;
        sound[from + i] = expected[lag + i] * (1.0 - share) + sound[from + i] * share;
    }
    sound.splice(from..from, expected[..lag].iter().copied());
    lag
}

/// The lag at which what is at `at` is most like what follows (`ahead`) or precedes it, and how much.
fn best_period(sound: &[f32], at: usize, least: usize, most: usize, ahead: bool) -> (usize, f32) {
    best(least, most, |lag| {
        let other = if ahead { at + lag } else { at - lag };
        likeness(&sound[at..at + FADE], &sound[other..other + FADE], 1)
    })
}

/// The place of the largest value, first on a coarse grid and then around it.
fn best(least: usize, most: usize, value: impl Fn(usize) -> f32) -> (usize, f32) {
    let largest = |places: &mut dyn Iterator<Item = usize>| {
        places.map(|lag| (lag, value(lag))).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((least, -1.0))
    };
    let (near, _) = largest(&mut (least..=most).step_by(COARSE));
    largest(&mut (near.saturating_sub(COARSE).max(least)..=(near + COARSE).min(most)))
}

/// Normalised correlation, −1 to 1.
fn likeness(a: &[f32], b: &[f32], step: usize) -> f32 {
    let (mut ab, mut aa, mut bb) = (0.0f32, 1e-9f32, 1e-9f32);
    for (a, b) in a.iter().zip(b).step_by(step) {
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    ab / (aa * bb).sqrt()
}

fn is_quiet(sound: &[f32]) -> bool {
    sound.iter().map(|x| x * x).sum::<f32>() < QUIET * sound.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A voice-like tone of `pitch` Hz: a dozen harmonics.
    fn voice(pitch: f32, samples: usize) -> Vec<f32> {
        let at = |i: usize| {
            let t = i as f32 / SAMPLE_RATE as f32;
            (1..12u8)
                .map(|n| (t * pitch * f32::from(n) * std::f32::consts::TAU).sin() / f32::from(n))
                .sum::<f32>()
                * 0.2
        };
        (0..samples).map(at).collect()
    }

    fn steepest(sound: &[f32]) -> f32 {
        sound.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max)
    }

    /// Stretches a voice block by block and gives what came out, as a share of what went in.
    fn stretched(pitch: f32, longer: bool) -> (f32, Vec<f32>) {
        let original = voice(pitch, 96_000);
        let mut sound = original.clone();
        let mut at = 4_800;
        while at + 4_800 < sound.len() {
            let changed =
                if longer { lengthen(&mut sound, at, 960, true) } else { shorten(&mut sound, at, 960, true) };
            assert!(changed > 0, "{pitch} Hz at {at}");
            at += 4_800;
        }
        (sound.len() as f32 / original.len() as f32, sound)
    }

    #[test]
    fn a_voice_keeps_its_pitch_and_has_no_clicks() {
        for pitch in [90.0, 140.0, 220.0, 350.0] {
            let usual = steepest(&voice(pitch, 9_600));
            for longer in [true, false] {
                let (share, sound) = stretched(pitch, longer);
                assert!(if longer { share > 1.02 } else { share < 0.98 }, "{pitch} Hz: {share}");
                assert!(steepest(&sound) < 1.1 * usual, "{pitch} Hz: a click");
                // One period later it is still the same.
                let period = (SAMPLE_RATE as f32 / pitch).round() as usize;
                let alike = likeness(&sound[..80_000], &sound[period..80_000 + period], 1);
                assert!(alike > 0.97, "{pitch} Hz, longer {longer}: {alike}");
            }
        }
    }

    #[test]
    fn what_is_unlike_itself_or_spoken_is_left_alone() {
        let mut seed = 1u64;
        let mut noise = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut hiss: Vec<f32> = (0..4_800).map(|_| noise()).collect();
        assert_eq!(shorten(&mut hiss, 2_400, 720, true), 0);
        assert_eq!(lengthen(&mut hiss, 2_400, 720, true), 0);
        let mut spoken = voice(120.0, 4_800);
        assert_eq!(shorten(&mut spoken, 2_400, 720, false), 0);
        assert_eq!(lengthen(&mut spoken, 2_400, 720, false), 0);
    }

    #[test]
    fn silence_gives_all_that_is_asked_for() {
        let mut silence = vec![0.0; 4_800];
        assert_eq!(shorten(&mut silence, 0, 3_000, false), 3_000);
        assert_eq!(lengthen(&mut silence, 1_000, 500, false), 500);
        assert_eq!(silence.len(), 4_800 - 3_000 + 500);
        assert_eq!(shorten(&mut silence, 2_000, 480, false), 0, "too little is left");
    }

    #[test]
    fn what_comes_late_is_joined_in_step() {
        let tone = voice(100.0, 4_800);
        // It comes a third of a period off.
        let mut sound = [&tone[..960], &tone[960 - 160..2_400]].concat();
        let longer = join(&mut sound, 960, &tone[960..960 + 960]);
        assert!((300..=330).contains(&longer) || (155..=165).contains(&longer), "{longer}");
        assert!(steepest(&sound) < 1.1 * steepest(&tone));
        let alike = likeness(&sound[..2_000], &tone[..2_000], 1);
        assert!(alike > 0.98, "{alike}");
    }
}
