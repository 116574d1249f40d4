//! Mouth-to-ear: how long after it was said a sound was heard.
//!
//! What was said is taken in windows of two seconds. Each is looked for in what was heard, by normalised
//! cross-correlation, from shortly before it was said (a clock that runs backwards would show) to three seconds
//! after. A window that is silent, that does not come through, or that fits in several places is not measured.

use super::fourier::cross_correlation;
use super::stats::{median, quantile};
use super::wav::RATE;

const WINDOW_S: f64 = 2.0;
const STEP_S: f64 = 1.0;
const EARLIEST_S: f64 = -0.05;
const LATEST_S: f64 = 3.0;
/// Below this root mean square (-54 dB) a stretch counts as silent.
const SILENT: f32 = 0.002;
/// A match below this correlation is none.
const ALIKE: f32 = 0.4;
/// A second match this far away, and nearly as good, makes the first worthless.
const APART_S: f64 = 0.02;
const NEARLY: f32 = 0.95;

/// Sound, at [`RATE`], and when its first sample was said or heard, in epoch seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recording<'a> {
    pub(crate) samples: &'a [f32],
    pub(crate) start: f64,
}

/// One window: when it was said, how much later it was heard, and how much alike the two are (up to 1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) t: f64,
    pub(crate) delay_ms: f64,
    pub(crate) alike: f32,
}

/// What came of one direction's sound.
#[derive(Clone, Debug, Default)]
pub(crate) struct MouthToEar {
    pub(crate) windows: Vec<Window>,
    /// Windows that had sound and time enough to arrive, whether or not they were found.
    pub(crate) tried: usize,
}

impl MouthToEar {
    pub(crate) fn median_ms(&self) -> Option<f64> {
        median(self.windows.iter().map(|w| w.delay_ms))
    }

    pub(crate) fn max_ms(&self) -> Option<f64> {
        quantile(self.windows.iter().map(|w| w.delay_ms), 1.0)
    }

    pub(crate) fn alike(&self) -> Option<f64> {
        median(self.windows.iter().map(|w| f64::from(w.alike)))
    }
}

/// Looks for what was said in what was heard.
pub(crate) fn mouth_to_ear(said: Recording<'_>, heard: Recording<'_>) -> MouthToEar {
    let rate = f64::from(RATE);
    let length = (WINDOW_S * rate) as usize;
    let mut result = MouthToEar::default();
    for from in (0..said.samples.len().saturating_sub(length - 1)).step_by((STEP_S * rate) as usize) {
        let window = &said.samples[from..from + length];
        let t = said.start + from as f64 / rate;
        // Where in the recording the window would begin with no delay at all.
        let nominal = (t - heard.start) * rate;
        let first = (nominal + EARLIEST_S * rate).ceil().max(0.0) as usize;
        let last = ((nominal + LATEST_S * rate) as usize + length).min(heard.samples.len());
        if is_silent(window) || nominal < 0.0 || last < first + length + length / 2 {
            continue;
        }
        result.tried += 1;
        let alike = correlation(window, &heard.samples[first..last]);
        if let Some(at) = clear_peak(&alike) {
            let delay_ms = ((first + at) as f64 - nominal) / rate * 1000.0;
            result.windows.push(Window { t, delay_ms, alike: alike[at] });
        }
    }
    result
}

/// Whether there is nothing to hear in it.
pub(crate) fn is_silent(x: &[f32]) -> bool {
    x.iter().map(|v| v * v).sum::<f32>() < SILENT * SILENT * x.len() as f32
}

/// The place of the best match, if it is good enough and there is no other.
fn clear_peak(alike: &[f32]) -> Option<usize> {
    let (best, &value) = alike.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let apart = (APART_S * f64::from(RATE)) as usize;
    let rival = alike.iter().enumerate().filter(|(i, _)| i.abs_diff(best) > apart).map(|(_, &v)| v);
    (value >= ALIKE && !rival.into_iter().any(|v| v > NEARLY * value)).then_some(best)
}

/// The normalised cross-correlation of `pattern` with each stretch of `x` of its length.
fn correlation(pattern: &[f32], x: &[f32]) -> Vec<f32> {
    let products = cross_correlation(pattern, x);
    let energy = |x: &[f32]| x.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
    let of_pattern = energy(pattern);
    let mut of_stretch = energy(&x[..pattern.len()]);
    let mut result = Vec::with_capacity(x.len() - pattern.len() + 1);
    for i in 0..=x.len() - pattern.len() {
        // Silence is like nothing: it counts as at least a ten-thousandth of the pattern's energy.
        let scale = (of_pattern * of_stretch.max(of_pattern * 1e-4)).sqrt();
        result.push((products[i] / scale) as f32);
        let next = x.get(i + pattern.len()).copied().unwrap_or(0.0);
        of_stretch += f64::from(next) * f64::from(next) - f64::from(x[i]) * f64::from(x[i]);
    }
    result
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Noise whose loudness comes and goes, as that of speech does.
    pub(crate) fn babble(seconds: usize) -> Vec<f32> {
        let mut state = 1_u32;
        let noise = (0..seconds * RATE as usize).map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let loud = (i as f32 / 1700.0).sin().max(0.05);
            loud * ((state >> 8) as f32 / 8_388_608.0 - 1.0) * 0.3
        });
        // A little smoothing, so that its neighbours are alike.
        let mut last = 0.0;
        noise
            .map(|x| {
                last = 0.6 * last + x;
                last
            })
            .collect()
    }

    fn delayed(x: &[f32], ms: f64) -> Vec<f32> {
        [vec![0.0; (ms / 1000.0 * f64::from(RATE)).round() as usize], x.to_vec()].concat()
    }

    #[test]
    fn a_known_delay_is_measured_within_a_millisecond() {
        let said = babble(8);
        for (delay, early) in [(0.0, 0.0), (63.0, 1.25), (740.0, 0.4), (2_500.0, 0.0)] {
            // The recording begins `early` seconds before the speech, as a caller's does before the call connects.
            let heard = delayed(&said, early * 1000.0 + delay);
            let result = mouth_to_ear(
                Recording { samples: &said, start: 1000.0 },
                Recording { samples: &heard, start: 1000.0 - early },
            );
            assert!(result.tried >= 6, "{result:?}");
            for w in &result.windows {
                assert!((w.delay_ms - delay).abs() < 1.0 && w.alike > 0.99, "{delay}: {w:?}");
            }
            assert_eq!(result.windows.len(), result.tried);
        }
    }

    #[test]
    fn noise_at_half_the_loudness_does_not_hide_the_delay() {
        let said = babble(6);
        let mut heard = delayed(&said, 120.0);
        let other: Vec<f32> = babble(13).split_off(6 * RATE as usize);
        heard.iter_mut().zip(&other).for_each(|(h, n)| *h = 0.4 * *h + 0.2 * n);
        let result =
            mouth_to_ear(Recording { samples: &said, start: 5.0 }, Recording { samples: &heard, start: 5.0 });
        assert!((result.median_ms().expect("found") - 120.0).abs() < 1.0, "{result:?}");
        assert!(result.alike().expect("found") < 0.97);
    }

    #[test]
    fn what_was_never_said_is_not_found() {
        let said = babble(6);
        let heard = babble(14).split_off(7 * RATE as usize);
        let result =
            mouth_to_ear(Recording { samples: &said, start: 5.0 }, Recording { samples: &heard, start: 5.0 });
        assert!(result.tried > 0 && result.windows.is_empty(), "{result:?}");
        assert_eq!(result.median_ms(), None);
    }

    #[test]
    fn a_steady_tone_fits_everywhere_and_so_is_not_measured() {
        let tone: Vec<f32> =
            (0..6 * RATE).map(|i| (i as f32 * 440.0 / RATE as f32 * std::f32::consts::TAU).sin()).collect();
        let result =
            mouth_to_ear(Recording { samples: &tone, start: 5.0 }, Recording { samples: &tone, start: 4.9 });
        assert!(result.windows.is_empty(), "{result:?}");
    }

    #[test]
    fn silence_is_neither_tried_nor_found() {
        let said = vec![0.0; 5 * RATE as usize];
        let result = mouth_to_ear(
            Recording { samples: &said, start: 5.0 },
            Recording { samples: &babble(8), start: 5.0 },
        );
        assert_eq!((result.tried, result.windows.len()), (0, 0));
    }
}
