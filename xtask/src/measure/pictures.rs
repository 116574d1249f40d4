//! Glass-to-glass: how long after it was captured a picture was shown; and how many were shown, how evenly,
//! and how much like the captured ones.

use std::collections::HashMap;

use super::likeness;
use super::log::{Captured, Shown};
use super::stats::{median, quantile};
use super::strip;
use super::y4m::{Picture, Y4m};

/// Longer than this between two shown pictures is a freeze.
pub(crate) const FREEZE_S: f64 = 0.2;
/// How many pictures are compared in full.
const COMPARED: usize = 60;

/// How a shown picture was known again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Known {
    ByNumber,
    ByLikeness,
}

/// One shown picture that was known again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delay {
    /// When it was shown, in epoch seconds.
    pub(crate) t: f64,
    pub(crate) ms: f64,
}

/// What came of one direction's pictures.
#[derive(Clone, Debug)]
pub(crate) struct GlassToGlass {
    pub(crate) shown: usize,
    pub(crate) per_second: f64,
    /// Gaps above [`FREEZE_S`] from one picture to the next, in seconds.
    pub(crate) freezes: Vec<f64>,
    pub(crate) longest_gap_s: f64,
    pub(crate) known: Known,
    pub(crate) delays: Vec<Delay>,
    /// Mean likeness of luma in dB, without the strip; `None` if nothing could be compared.
    pub(crate) psnr_db: Option<f64>,
    pub(crate) compared: usize,
    /// Sizes as decoded, the most frequent first.
    pub(crate) sizes: Vec<(u64, u64)>,
}

impl GlassToGlass {
    pub(crate) fn median_ms(&self) -> Option<f64> {
        median(self.delays.iter().map(|d| d.ms))
    }

    pub(crate) fn quantile_ms(&self, q: f64) -> Option<f64> {
        quantile(self.delays.iter().map(|d| d.ms), q)
    }
}

/// Measures one direction: the file and when its pictures were captured, the recording and when its pictures
/// were shown, and when the call ended.
pub(crate) fn glass_to_glass(
    source: &mut Y4m,
    captured: &[Captured],
    received: &mut Y4m,
    shown: &[Shown],
    ended: f64,
) -> Result<Option<GlassToGlass>, String> {
    let shown: Vec<Shown> = shown.iter().filter(|s| s.t <= ended).copied().collect();
    let Some(first) = shown.first() else { return Ok(None) };
    // Once the file is over, that no more pictures come is no freeze.
    let until = captured.last().map_or(ended, |c| c.t.min(ended)).max(shown.last().map_or(ended, |s| s.t));
    let numbered = has_numbers(source)?;
    let origins = if numbered {
        by_number(source.count, captured, received, &shown)?
    } else {
        likeness::recognise(source, captured, received, &shown)?
    };
    let known = || shown.iter().zip(&origins).filter_map(|(s, o)| o.map(|o| (s, o)));
    let (psnr_db, compared) =
        compare(source, received, known().map(|(s, o)| (s.i, o.n)).collect(), numbered)?;
    let times: Vec<f64> = shown.iter().map(|s| s.t).chain([until]).collect();
    let gaps: Vec<f64> = times.windows(2).map(|t| t[1] - t[0]).collect();
    Ok(Some(GlassToGlass {
        shown: shown.len(),
        per_second: shown.len() as f64 / (until - first.t).max(0.001),
        freezes: gaps.iter().copied().filter(|&g| g > FREEZE_S).collect(),
        longest_gap_s: gaps.iter().copied().fold(0.0, f64::max),
        known: if numbered { Known::ByNumber } else { Known::ByLikeness },
        delays: known().map(|(s, o)| Delay { t: s.t, ms: (s.t - o.t) * 1000.0 }).collect(),
        psnr_db,
        compared,
        sizes: sizes(&shown),
    }))
}

fn sizes(shown: &[Shown]) -> Vec<(u64, u64)> {
    let mut counts: HashMap<(u64, u64), usize> = HashMap::new();
    shown.iter().for_each(|s| *counts.entry((s.w, s.h)).or_default() += 1);
    let mut sizes: Vec<_> = counts.into_iter().collect();
    sizes.sort_by_key(|&(size, count)| (std::cmp::Reverse(count), size));
    sizes.into_iter().map(|(size, _)| size).collect()
}

/// Whether the file's own pictures bear their numbers.
fn has_numbers(source: &mut Y4m) -> Result<bool, String> {
    let (rows, width) = (strip::rows(source.width), source.width);
    for i in 0..source.count.min(3) {
        if strip::read(&source.top_rows(i, rows)?, width) != Some(i) {
            return Ok(false);
        }
    }
    Ok(source.count > 0)
}

fn by_number(
    count: u64,
    captured: &[Captured],
    received: &mut Y4m,
    shown: &[Shown],
) -> Result<Vec<Option<Captured>>, String> {
    // A file that is played again gives its numbers again: the last capture before the showing counts.
    let mut times: HashMap<u64, Vec<Captured>> = HashMap::new();
    for c in captured {
        times.entry(c.n % count % strip::NUMBERS).or_default().push(*c);
    }
    let (rows, width) = (strip::rows(received.width), received.width);
    let mut origin = |s: &Shown| -> Result<Option<Captured>, String> {
        if s.i >= received.count {
            return Ok(None);
        }
        let number = strip::read(&received.top_rows(s.i, rows)?, width);
        let captures = number.and_then(|n| times.get(&n));
        // None before the showing: the earliest, so that a negative delay is seen rather than hidden.
        Ok(captures.and_then(|c| c.iter().rfind(|c| c.t <= s.t).or(c.first()).copied()))
    };
    shown.iter().map(&mut origin).collect()
}

/// Mean PSNR over an even choice of pairs (picture shown, picture captured), and their number.
fn compare(
    source: &mut Y4m,
    received: &mut Y4m,
    pairs: Vec<(u64, u64)>,
    numbered: bool,
) -> Result<(Option<f64>, usize), String> {
    if (source.width, source.height) != (received.width, received.height) {
        return Ok((None, 0));
    }
    let top = if numbered { strip::rows(source.width) + 8 } else { 0 };
    let mut sum = 0.0;
    let chosen: Vec<_> = pairs.iter().step_by(pairs.len().div_ceil(COMPARED).max(1)).collect();
    for &&(i, n) in &chosen {
        sum += psnr(&received.picture(i)?, &source.picture(n % source.count)?, top);
    }
    Ok(((!chosen.is_empty()).then(|| sum / chosen.len() as f64), chosen.len()))
}

/// Peak signal-to-noise ratio of luma below the row `top`, at most 100 dB.
fn psnr(a: &Picture, b: &Picture, top: usize) -> f64 {
    let (a, b) = (&a.luma()[top * a.width..], &b.luma()[top * b.width..]);
    let squares: u64 = a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum();
    let mean = squares as f64 / a.len().max(1) as f64;
    if mean == 0.0 { 100.0 } else { (10.0 * (255.0 * 255.0 / mean).log10()).min(100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(level: u8) -> Picture {
        Picture { width: 4, height: 2, data: vec![level; 12] }
    }

    #[test]
    fn psnr_follows_its_formula() {
        assert_eq!(psnr(&picture(9), &picture(9), 0), 100.0);
        // Off by one everywhere: 10 log10(255²) dB.
        assert!((psnr(&picture(9), &picture(10), 0) - 48.13).abs() < 0.01);
    }

    #[test]
    fn sizes_come_with_the_most_frequent_first() {
        let shown = [(320, 180), (640, 360), (640, 360)];
        let shown: Vec<_> = shown.iter().map(|&(w, h)| Shown { i: 0, t: 0.0, w, h }).collect();
        assert_eq!(sizes(&shown), [(640, 360), (320, 180)]);
    }
}
