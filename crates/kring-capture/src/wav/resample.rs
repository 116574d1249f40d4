//! A stream of samples at any rate, brought to 48 kHz. Sample `n` of the output is the sound at
//! `n / 48000` seconds of the input: the filter's delay is taken off.

use kring_codec::SAMPLE_RATE;
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, ResampleError, Resampler, SincInterpolationParameters};

/// Output samples made at a time, 10 ms.
const CHUNK: usize = SAMPLE_RATE as usize / 100;

pub(super) struct Converter {
    resampler: Async<f32>,
    input: Vec<f32>,
    output: Vec<f32>,
    /// Output samples that are the filter's delay and not sound, still to be dropped.
    delay: usize,
}

impl Converter {
    /// From `rate`, 8,000 to 192,000 hertz.
    pub(super) fn new(rate: u32) -> Self {
        let ratio = f64::from(SAMPLE_RATE) / f64::from(rate);
        let quality = SincInterpolationParameters::default();
        let resampler = Async::new_sinc(ratio, 1.0, &quality, CHUNK, 1, FixedAsync::Output)
            .expect("a ratio of two rates that were checked is finite and above zero");
        // Half the filter; less one, since the first output already lies one step in (measured: half a sample
        // off at most, where `output_delay` is up to one and a half off).
        let delay = (quality.sinc_len as f64 / 2.0 * ratio - 1.0).round() as usize;
        Self { resampler, input: Vec::new(), output: vec![0.0; CHUNK], delay }
    }

    /// Appends at least one sample to `to`, taking input from `read`, which appends as many samples as it is
    /// asked for.
    pub(super) fn run<E>(
        &mut self,
        to: &mut Vec<f32>,
        mut read: impl FnMut(usize, &mut Vec<f32>) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = to.len();
        while to.len() == before {
            self.input.clear();
            read(self.resampler.input_frames_next(), &mut self.input)?;
            let made = self.chunk().expect("the buffers are of the sizes the resampler asks for");
            let dropped = self.delay.min(made);
            self.delay -= dropped;
            to.extend_from_slice(&self.output[dropped..made]);
        }
        Ok(())
    }

    fn chunk(&mut self) -> Result<usize, ResampleError> {
        let frames = self.input.len();
        let size = |_| ResampleError::InsufficientInputBufferSize { expected: frames, actual: frames };
        let input = InterleavedSlice::new(&self.input, 1, frames).map_err(size)?;
        let mut output = InterleavedSlice::new_mut(&mut self.output, 1, CHUNK).map_err(size)?;
        Ok(self.resampler.process_into_buffer(&input, &mut output, None)?.1)
    }
}
