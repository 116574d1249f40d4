//! A stream of samples brought from one rate to another. Sample `n` of the output is the sound at
//! `n / rate` seconds of the input: the filter's delay is taken off.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, ResampleError, Resampler, SincInterpolationParameters};

pub(crate) struct Converter {
    resampler: Async<f32>,
    input: Vec<f32>,
    output: Vec<f32>,
    /// Output samples that are the filter's delay and not sound, still to be dropped.
    delay: usize,
}

impl Converter {
    /// From one rate to another, both 8,000 to 192,000 hertz.
    pub(crate) fn new(from: u32, to: u32) -> Self {
        let ratio = f64::from(to) / f64::from(from);
        let quality = SincInterpolationParameters::default();
        // Output samples made at a time, 10 ms.
        let chunk = to as usize / 100;
        let resampler = Async::new_sinc(ratio, 1.0, &quality, chunk, 1, FixedAsync::Output)
            .expect("a ratio of two rates that were checked is finite and above zero");
        // Half the filter; less one, since the first output already lies one step in (measured: half a sample
        // off at most, where `output_delay` is up to one and a half off).
        let delay = (quality.sinc_len as f64 / 2.0 * ratio - 1.0).round() as usize;
        Self { resampler, input: Vec::new(), output: vec![0.0; chunk], delay }
    }

    /// Appends at least one sample to `to`, taking input from `read`, which appends as many samples as it is
    /// asked for.
    pub(crate) fn run<E>(
        &mut self,
        to: &mut Vec<f32>,
        mut read: impl FnMut(usize, &mut Vec<f32>) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = to.len();
        while to.len() == before {
            self.input.clear();
            read(self.resampler.input_frames_next(), &mut self.input)?;
            self.make(to);
        }
        Ok(())
    }

    /// How many samples the next output takes.
    #[cfg(feature = "audio-io")]
    pub(crate) fn wanted(&self) -> usize {
        self.resampler.input_frames_next() - self.input.len()
    }

    /// Appends to `to` what `samples`, and those that were left over before, come to; perhaps nothing yet.
    #[cfg(feature = "audio-io")]
    pub(crate) fn push(&mut self, mut samples: &[f32], to: &mut Vec<f32>) {
        loop {
            let lacking = self.wanted();
            if samples.len() < lacking {
                self.input.extend_from_slice(samples);
                return;
            }
            let (now, later) = samples.split_at(lacking);
            self.input.extend_from_slice(now);
            samples = later;
            self.make(to);
            self.input.clear();
        }
    }

    /// Appends what `input`, as long as the resampler asks for, comes to.
    fn make(&mut self, to: &mut Vec<f32>) {
        let made = self.chunk().expect("the buffers are of the sizes the resampler asks for");
        let dropped = self.delay.min(made);
        self.delay -= dropped;
        to.extend_from_slice(&self.output[dropped..made]);
    }

    fn chunk(&mut self) -> Result<usize, ResampleError> {
        let frames = self.input.len();
        let size = |_| ResampleError::InsufficientInputBufferSize { expected: frames, actual: frames };
        let input = InterleavedSlice::new(&self.input, 1, frames).map_err(size)?;
        let chunk = self.output.len();
        let mut output = InterleavedSlice::new_mut(&mut self.output, 1, chunk).map_err(size)?;
        Ok(self.resampler.process_into_buffer(&input, &mut output, None)?.1)
    }
}

#[cfg(all(test, feature = "audio-io"))]
mod tests {
    use super::*;

    #[test]
    fn pushed_sound_keeps_its_pitch_and_its_time() {
        let tone = |rate: u32, n: usize| (n as f32 * 440.0 / rate as f32 * std::f32::consts::TAU).sin();
        for (from, to) in [(48_000, 44_100), (48_000, 96_000), (16_000, 48_000)] {
            let input: Vec<f32> = (0..from as usize).map(|n| tone(from, n)).collect();
            let (mut converter, mut output) = (Converter::new(from, to), Vec::new());
            input.chunks(441).for_each(|block| converter.push(block, &mut output));
            assert!(output.len() > to as usize * 95 / 100, "{from} to {to}: {}", output.len());
            // The very beginning is the filter's edge.
            for (n, &sample) in output.iter().enumerate().skip(400) {
                assert!((sample - tone(to, n)).abs() < 0.06, "{from} to {to}, sample {n}");
            }
        }
    }
}
