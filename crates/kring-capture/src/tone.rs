//! A sine tone in place of a microphone. It starts without a click and its phase never jumps.

use std::f64::consts::TAU;
use std::time::Instant;

use kring_codec::SAMPLE_RATE;

use crate::audio::{AudioSource, Captured};
use crate::consent::{Consent, Kind};
use crate::error::SourceError;
use crate::pace;

/// Samples over which the tone rises at the start, 10 ms.
const RISE: u64 = SAMPLE_RATE as u64 / 100;

/// A steady tone, 440 Hz at -20 dBFS unless told otherwise.
#[derive(Debug, Clone)]
pub struct Tone {
    frequency: f64,
    amplitude: f64,
    start: Option<Instant>,
    played: u64,
}

impl Default for Tone {
    fn default() -> Self {
        Self { frequency: 440.0, amplitude: 0.1, start: None, played: 0 }
    }
}

impl Tone {
    /// 440 Hz at -20 dBFS.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the pitch in hertz, clamped to 20..=20,000.
    #[must_use]
    pub fn frequency(mut self, hertz: f64) -> Self {
        self.frequency = hertz.clamp(20.0, 20_000.0);
        self
    }

    /// Sets the peak level in dB of full scale, clamped to -120..=0.
    #[must_use]
    pub fn level(mut self, dbfs: f64) -> Self {
        self.amplitude = 10f64.powf(dbfs.clamp(-120.0, 0.0) / 20.0);
        self
    }

    fn sample(&self, index: u64) -> f32 {
        let turns = (index as f64 * self.frequency / f64::from(SAMPLE_RATE)).fract();
        let rise = index.min(RISE) as f64 / RISE as f64;
        (self.amplitude * rise * (turns * TAU).sin()) as f32
    }
}

impl AudioSource for Tone {
    fn kind(&self) -> Option<Kind> {
        None
    }

    fn start(&mut self, _consent: &Consent, at: Instant) -> Result<(), SourceError> {
        (self.start, self.played) = (Some(at), 0);
        Ok(())
    }

    fn read(&mut self, block: &mut [f32]) -> Result<Captured, SourceError> {
        block.fill(0.0);
        let start = self.start.ok_or(SourceError::NotStarted)?;
        let first = self.played;
        for (index, sample) in (first..).zip(&mut *block) {
            *sample = self.sample(index);
        }
        self.played += block.len() as u64;
        pace::wait_until(pace::sample_due(start, self.played.max(first + 1) - 1));
        Ok(Captured { at: pace::sample_due(start, first), ended: false })
    }

    fn stop(&mut self) {
        self.start = None;
    }
}
