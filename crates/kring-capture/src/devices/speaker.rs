//! A speaker as a sink of sound. Little waits before the device: what it takes at once, and after an underrun some
//! milliseconds more for a while.
//!
//! No call waits for the device's driver: it has a thread of its own, and until the device is open sound goes into
//! nothing, in real time.

use std::time::{Duration, Instant};

use kring_codec::SAMPLE_RATE;

use super::outlet::Feed;
use super::sound::{self, Running};
use super::{DeviceError, Use};
use crate::audio::{AudioSink, Played};
use crate::error::SinkError;
use crate::pace;
use crate::resample::Converter;

/// How long start waits for the device to open; quick ones lose nothing of what is played.
const OPEN: Duration = Duration::from_millis(80);
/// A device that took nothing for so long stands still.
const STALL: Duration = Duration::from_millis(60);
/// A speaker that took nothing for so long has failed.
const DEAD: Duration = Duration::from_secs(8);
/// What is kept waiting for the device beyond what it takes at once: at first, more after each underrun, at most.
const SPARE: Duration = Duration::ZERO;
const STEP: Duration = Duration::from_millis(5);
const MOST: Duration = Duration::from_millis(15);
/// After so long without an underrun a step is taken back.
const CALM: Duration = Duration::from_secs(10);

/// One of this machine's speakers.
pub struct Speaker {
    wanted: Option<String>,
    name: String,
    running: Option<Playback>,
    underruns: u64,
}

/// What lasts from start to stop.
struct Playback {
    device: Running<Feed>,
    feed: Option<Feed>,
    converter: Option<Converter>,
    converted: Vec<f32>,
    /// When the next block is due, as long as the device is not open or stands still.
    due: Instant,
    /// When the device was opened or seen to take something, and its callbacks by then; at first, when it was started.
    alive: (Instant, u64),
    margin: Margin,
}

impl Speaker {
    /// Finds a speaker by its id, its name or a part of its name that no other has; the system's own choice if none
    /// is named. Opens nothing.
    ///
    /// # Errors
    /// [`DeviceError`] when there is none, or the name fits none or several.
    pub fn find(name: Option<&str>) -> Result<Self, DeviceError> {
        let found = sound::named(Use::Speaker, name)?;
        Ok(Self { wanted: name.map(str::to_owned), name: found, running: None, underruns: 0 })
    }

    /// The device's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How often the device found too little to play since the start, and played silence in its place.
    #[must_use]
    pub fn underruns(&self) -> u64 {
        self.underruns
    }
}

fn failed(name: &str, cause: &str) -> SinkError {
    SinkError::Device { cause: format!("speaker {name}: {cause}") }
}

impl AudioSink for Speaker {
    fn start(&mut self) -> Result<(), SinkError> {
        self.stop();
        let device = sound::speaker(self.wanted.clone()).map_err(|error| failed(&self.name, &error))?;
        let now = Instant::now();
        let mut playback = Playback {
            device,
            feed: None,
            converter: None,
            converted: Vec::new(),
            due: now,
            alive: (now, 0),
            margin: Margin::new(now),
        };
        playback.look(OPEN).map_err(|error| failed(&self.name, &error))?;
        (self.running, self.underruns) = (Some(playback), 0);
        Ok(())
    }

    fn play(&mut self, block: &[f32], _what: Played) -> Result<Instant, SinkError> {
        let playback = self.running.as_mut().ok_or(SinkError::NotStarted)?;
        let heard = playback.play(block).map_err(|error| failed(&self.name, &error))?;
        self.underruns = playback.feed.as_ref().map_or(0, Feed::underruns);
        Ok(heard)
    }

    fn stop(&mut self) {
        self.running = None;
    }
}

impl Playback {
    /// Sees whether the device is open.
    fn look(&mut self, wait: Duration) -> Result<(), String> {
        if self.feed.is_none() {
            self.feed = self.device.opened(wait)?;
            let rate = self.feed.as_ref().map(Feed::rate).filter(|&rate| rate != SAMPLE_RATE);
            self.converter = rate.map(|rate| Converter::new(SAMPLE_RATE, rate));
            if self.feed.is_some() {
                self.alive.0 = Instant::now();
            }
        }
        Ok(())
    }

    fn play(&mut self, block: &[f32]) -> Result<Instant, String> {
        if let Some(trouble) = self.device.trouble() {
            return Err(trouble.to_owned());
        }
        self.look(Duration::ZERO)?;
        let now = Instant::now();
        let Some(feed) = &mut self.feed else {
            if self.alive.0.elapsed() > DEAD {
                return Err("it was not opened in time".into());
            }
            let heard = self.due.max(now.checked_sub(STALL).unwrap_or(now));
            self.due = heard + pace::length(block.len());
            pace::wait_until(self.due);
            return Ok(heard);
        };
        let samples = match &mut self.converter {
            Some(converter) => {
                self.converted.clear();
                converter.push(block, &mut self.converted);
                &self.converted[..]
            }
            None => block,
        };
        let length = pace::length(block.len());
        let callbacks = feed.callbacks();
        if callbacks != self.alive.1 {
            self.alive = (now, callbacks);
        }
        let quiet = self.alive.0.elapsed();
        if quiet > DEAD {
            return Err("it takes nothing any more".into());
        }
        // A device that stands still holds up nobody: sound goes on in real time, into nothing.
        let deadline = if quiet > STALL { self.due.max(now) + length } else { now + STALL };
        let mut heard = None;
        loop {
            let margin = self.margin.look(feed.underruns(), Instant::now());
            let enough = feed.at_once() + (margin.as_secs_f64() * f64::from(feed.rate())) as usize;
            let waiting = feed.waiting();
            if waiting < enough {
                // Waits only then, so that whoever plays decides as late as possible what comes next.
                match heard {
                    None => heard = Some(feed.write(samples)),
                    Some(heard) => {
                        self.due = Instant::now();
                        return Ok(heard);
                    }
                }
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.due = deadline;
                return Ok(heard.unwrap_or(deadline));
            }
            let due = Duration::from_secs_f64((waiting - enough) as f64 / f64::from(feed.rate()));
            std::thread::sleep(due.clamp(Duration::from_micros(500), Duration::from_millis(10)).min(left));
        }
    }
}

/// How much more than what the device takes at once waits for it: as little as does without underruns.
struct Margin {
    now: Duration,
    underruns: u64,
    changed: Instant,
}

impl Margin {
    fn new(now: Instant) -> Self {
        Self { now: SPARE, underruns: 0, changed: now }
    }

    fn look(&mut self, underruns: u64, now: Instant) -> Duration {
        if underruns > self.underruns {
            // One hiccup of the machine lacks several times in a row, and counts once.
            if now.saturating_duration_since(self.changed) > STALL {
                self.now = (self.now + STEP).min(MOST);
            }
            (self.underruns, self.changed) = (underruns, now);
        } else if now.saturating_duration_since(self.changed) > CALM {
            self.now = self.now.saturating_sub(STEP).max(SPARE);
            self.changed = now;
        }
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underruns_widen_the_margin_and_calm_narrows_it() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut margin = Margin::new(start);
        assert_eq!(margin.look(0, at(50)), SPARE);
        assert_eq!(margin.look(1, at(200)), SPARE + STEP);
        assert_eq!(margin.look(4, at(210)), SPARE + STEP, "the same hiccup");
        assert_eq!(margin.look(4, at(9_000)), SPARE + STEP);
        assert_eq!(margin.look(4, at(11_000)), SPARE);
        for n in 0..20 {
            margin.look(5 + n, at(12_000 + n * 1000));
        }
        assert_eq!(margin.look(24, at(32_000)), MOST);
    }
}
