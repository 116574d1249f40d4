//! Sound files as the analysis wants them: one channel, 12,000 samples a second, -1 to 1. Sound of any rate is
//! averaged over each sample's 83 µs, alike for what was said and what was heard, so that neither is shifted.

use std::path::Path;

/// Samples a second in all of the analysis: speech and its consonants, at a quarter of the work.
pub(crate) const RATE: u32 = 12_000;

/// Reads a WAV file.
pub(crate) fn read(path: &Path) -> Result<Vec<f32>, String> {
    let bad = |e: hound::Error| format!("expected a WAV file at {}: {e}", path.display());
    let mut reader = hound::WavReader::open(path).map_err(bad)?;
    let spec = reader.spec();
    let samples: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect::<Result<_, _>>().map_err(bad)?,
        hound::SampleFormat::Int => {
            let full = (1_u64 << (spec.bits_per_sample - 1)) as f32;
            reader
                .samples::<i32>()
                .map(|s| s.map(|s| s as f32 / full))
                .collect::<Result<_, _>>()
                .map_err(bad)?
        }
    };
    let channels = usize::from(spec.channels.max(1));
    let mono: Vec<f32> = samples.chunks(channels).map(|c| c.iter().sum::<f32>() / channels as f32).collect();
    Ok(at_rate(&mono, spec.sample_rate))
}

/// The mean of the input over each output sample's time; below `RATE` the input is interpolated first.
fn at_rate(input: &[f32], rate: u32) -> Vec<f32> {
    if input.is_empty() || rate == RATE {
        return input.to_vec();
    }
    // The integral of the input up to a position, so that a mean over any stretch is one difference.
    let mut sums = vec![0.0_f64];
    sums.extend(input.iter().scan(0.0, |sum, &x| {
        *sum += f64::from(x);
        Some(*sum)
    }));
    let until = |at: f64| {
        let i = (at as usize).min(input.len());
        sums[i] + input.get(i).map_or(0.0, |&x| f64::from(x) * (at - i as f64))
    };
    let step = f64::from(rate) / f64::from(RATE);
    let count = (input.len() as f64 / step) as usize;
    (0..count).map(|i| ((until((i + 1) as f64 * step) - until(i as f64 * step)) / step) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_brought_to_one_and_times_stay() {
        for rate in [8_000, 12_000, 44_100, 48_000] {
            let input: Vec<f32> =
                (0..rate).map(|i| if (rate / 4..rate / 2).contains(&i) { 1.0 } else { 0.0 }).collect();
            let out = at_rate(&input, rate);
            assert!(out.len().abs_diff(RATE as usize) <= 1, "{rate}: {}", out.len());
            let first = out.iter().position(|&x| x > 0.5).expect("the step is there");
            assert!(first.abs_diff(RATE as usize / 4) <= 1, "{rate}: {first}");
        }
    }
}
