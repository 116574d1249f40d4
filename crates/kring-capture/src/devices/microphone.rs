//! A microphone as a sound source. Silence, in real time, until the device is open; then what it captures.
//!
//! No call waits for the device's driver: it has a thread of its own.

use std::time::{Duration, Instant};

use kring_codec::SAMPLE_RATE;

use super::intake::Heard;
use super::sound::{self, Running};
use super::{DeviceError, Use};
use crate::audio::{AudioSource, Captured};
use crate::consent::{Consent, Kind};
use crate::error::SourceError;
use crate::pace;
use crate::resample::Converter;

/// How long a block may be late before silence takes its place.
const PATIENCE: Duration = Duration::from_millis(60);
/// A microphone from which nothing came for so long has failed.
const DEAD: Duration = Duration::from_secs(8);

/// One of this machine's microphones; 48 kHz mono whatever the device gives.
pub struct Microphone {
    wanted: Option<String>,
    name: String,
    running: Option<Capture>,
}

/// What lasts from start to stop.
struct Capture {
    device: Running<Heard>,
    heard: Option<Heard>,
    converter: Option<Converter>,
    raw: Vec<f32>,
    /// Samples at 48 kHz that are ready.
    ready: Vec<f32>,
    /// Samples at 48 kHz that came from the device and were passed on or over.
    passed: u64,
    /// When the next sample to be handed out was captured, at the earliest.
    next: Instant,
    /// Since when nothing has come.
    quiet: Instant,
}

impl Microphone {
    /// Finds a microphone by its id, its name or a part of its name that no other has; the system's own choice if
    /// none is named. Opens nothing.
    ///
    /// # Errors
    /// [`DeviceError`] when there is none, or the name fits none or several.
    pub fn find(name: Option<&str>) -> Result<Self, DeviceError> {
        let found = sound::named(Use::Microphone, name)?;
        Ok(Self { wanted: name.map(str::to_owned), name: found, running: None })
    }

    /// The device's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Samples of the device that were dropped since the start, as nobody read them within a second.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.running.as_ref().and_then(|capture| capture.heard.as_ref()).map_or(0, Heard::lost)
    }

    fn failed(name: &str, cause: &str) -> SourceError {
        SourceError::Device { kind: Kind::Microphone, cause: format!("{name}: {cause}") }
    }
}

impl AudioSource for Microphone {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Microphone)
    }

    fn start(&mut self, consent: &Consent, at: Instant) -> Result<(), SourceError> {
        self.stop();
        if !consent.covers(Kind::Microphone) {
            return Err(SourceError::NoConsent(Kind::Microphone));
        }
        let device =
            sound::microphone(self.wanted.clone()).map_err(|error| Self::failed(&self.name, &error))?;
        self.running = Some(Capture {
            device,
            heard: None,
            converter: None,
            raw: Vec::new(),
            ready: Vec::new(),
            passed: 0,
            next: at,
            quiet: Instant::now(),
        });
        Ok(())
    }

    fn read(&mut self, block: &mut [f32]) -> Result<Captured, SourceError> {
        block.fill(0.0);
        let capture = self.running.as_mut().ok_or(SourceError::NotStarted)?;
        let at = capture.read(block).map_err(|error| Self::failed(&self.name, &error))?;
        Ok(Captured { at, ended: false })
    }

    fn stop(&mut self) {
        self.running = None;
    }
}

impl Capture {
    fn read(&mut self, block: &mut [f32]) -> Result<Instant, String> {
        if let Some(trouble) = self.device.trouble() {
            return Err(trouble.to_owned());
        }
        if self.heard.is_none() {
            self.heard = self.device.opened(Duration::ZERO)?;
            let rate = self.heard.as_ref().map(Heard::rate).filter(|&rate| rate != SAMPLE_RATE);
            self.converter = rate.map(|rate| Converter::new(rate, SAMPLE_RATE));
        }
        let length = pace::length(block.len());
        let Some(heard) = &mut self.heard else {
            return self.silence(length, Duration::ZERO, "it was not opened in time");
        };
        let deadline = Instant::now() + length + PATIENCE;
        while self.ready.len() < block.len() {
            let lacking = block.len() - self.ready.len();
            let wanted = self.converter.as_ref().map_or(lacking, Converter::wanted);
            let there = heard.len();
            if there >= wanted || (self.converter.is_none() && there > 0) {
                self.quiet = Instant::now();
                self.raw.clear();
                heard.read(wanted, &mut self.raw);
                match &mut self.converter {
                    Some(converter) => converter.push(&self.raw, &mut self.ready),
                    None => self.ready.extend_from_slice(&self.raw),
                }
                let Some(at) = heard.captured(self.passed as f64 / f64::from(SAMPLE_RATE)) else { continue };
                if self.passed == 0 {
                    // What was captured while silence stood in for it.
                    let double =
                        self.next.saturating_duration_since(at).as_secs_f64() * f64::from(SAMPLE_RATE);
                    let over = (double as usize).min(self.ready.len());
                    self.ready.drain(..over);
                    self.passed += over as u64;
                }
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.silence(length, PATIENCE, "nothing came from it");
            }
            let due = Duration::from_secs_f64((wanted - there) as f64 / f64::from(heard.rate()));
            std::thread::sleep(due.clamp(Duration::from_millis(1), Duration::from_millis(10)).min(left));
        }
        let at = heard.captured(self.passed as f64 / f64::from(SAMPLE_RATE)).unwrap_or(self.next);
        let at = at.max(self.next);
        block.copy_from_slice(&self.ready[..block.len()]);
        self.ready.drain(..block.len());
        self.passed += block.len() as u64;
        // The clock is led, and so may step back by less than it is known.
        self.next = at + length / 2;
        Ok(at)
    }

    /// Lets the block be silent; it is handed over when its last sample is due, and `late` after that.
    fn silence(&mut self, length: Duration, late: Duration, why: &str) -> Result<Instant, String> {
        if self.quiet.elapsed() > DEAD {
            return Err(why.to_owned());
        }
        let at = self.next.max(Instant::now().checked_sub(length + late).unwrap_or(self.next));
        self.next = at + length;
        pace::wait_until(self.next + late);
        Ok(at)
    }
}
