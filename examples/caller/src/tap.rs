//! Sources and sinks that pass everything on unchanged and tell what went through: to a recording, to a level meter.

use crate::record::Tape;
use kring::capture::{
    AudioSink, AudioSource, Captured, CapturedPicture, Consent, Kind, Played, SinkError, SourceError,
    VideoFormat, VideoSink, VideoSource,
};
use kring::codec::{Picture, SAMPLE_RATE};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The level of silence, in −dBov.
pub(crate) const SILENCE: u8 = 127;
/// Levels from here on are silence to a listener, in −dBov.
const QUIET: u8 = 70;

/// Follows how loud something is.
#[derive(Debug)]
pub(crate) struct Meter {
    origin: Instant,
    /// The loudest block since it was read, in −dBov.
    loudest: AtomicU8,
    /// When something that can be heard went through last, in ms since `origin`.
    heard: AtomicU64,
}

impl Meter {
    pub(crate) fn new() -> Arc<Meter> {
        let (loudest, heard) = (AtomicU8::new(SILENCE), AtomicU64::new(0));
        Arc::new(Meter { origin: Instant::now(), loudest, heard })
    }

    fn block(&self, block: &[f32]) {
        let level = level(block);
        self.loudest.fetch_min(level, Ordering::Relaxed);
        if level < QUIET {
            self.heard.store(self.origin.elapsed().as_millis() as u64, Ordering::Relaxed);
        }
    }

    /// The loudest since the last time this was asked, in −dBov: 0 is a full-scale square wave, 127 silence.
    pub(crate) fn loudest(&self) -> u8 {
        self.loudest.swap(SILENCE, Ordering::Relaxed)
    }

    /// For how long nothing that can be heard went through, in ms.
    pub(crate) fn silent_ms(&self) -> u64 {
        (self.origin.elapsed().as_millis() as u64).saturating_sub(self.heard.load(Ordering::Relaxed))
    }
}

fn level(block: &[f32]) -> u8 {
    let power = block.iter().map(|x| x * x).sum::<f32>() / block.len().max(1) as f32;
    if power <= 0.0 { SILENCE } else { (-10.0 * power.log10()).clamp(0.0, SILENCE.into()) as u8 }
}

/// A microphone that is metered, and whose beginning is logged.
pub(crate) struct TapMicrophone {
    inner: Box<dyn AudioSource>,
    meter: Arc<Meter>,
    tape: Option<Tape>,
}

impl TapMicrophone {
    pub(crate) fn new(inner: Box<dyn AudioSource>, meter: Arc<Meter>, tape: Option<Tape>) -> TapMicrophone {
        TapMicrophone { inner, meter, tape }
    }
}

impl AudioSource for TapMicrophone {
    fn kind(&self) -> Option<Kind> {
        self.inner.kind()
    }

    fn start(&mut self, consent: &Consent, at: Instant) -> Result<(), SourceError> {
        self.inner.start(consent, at)
    }

    fn read(&mut self, block: &mut [f32]) -> Result<Captured, SourceError> {
        let captured = self.inner.read(block)?;
        // The first block knows best when its first sample was captured.
        if let Some(tape) = self.tape.take() {
            tape.line("audio-in-start", captured.at, json!({}));
        }
        self.meter.block(block);
        Ok(captured)
    }

    fn stop(&mut self) {
        self.inner.stop();
    }
}

/// A camera whose pictures are logged.
pub(crate) struct TapCamera {
    inner: Box<dyn VideoSource>,
    tape: Option<Tape>,
}

impl TapCamera {
    pub(crate) fn new(inner: Box<dyn VideoSource>, tape: Option<Tape>) -> TapCamera {
        TapCamera { inner, tape }
    }
}

impl VideoSource for TapCamera {
    fn kind(&self) -> Option<Kind> {
        self.inner.kind()
    }

    fn start(&mut self, consent: &Consent, at: Instant) -> Result<(), SourceError> {
        self.inner.start(consent, at)
    }

    fn format(&self) -> VideoFormat {
        self.inner.format()
    }

    fn read(&mut self, picture: &mut Picture) -> Result<CapturedPicture, SourceError> {
        let captured = self.inner.read(picture)?;
        if let Some(tape) = &self.tape {
            tape.line("frame-in", captured.at, json!({"n": captured.index}));
        }
        Ok(captured)
    }

    fn stop(&mut self) {
        self.inner.stop();
    }
}

/// A speaker that is metered, and all that it plays recorded.
pub(crate) struct TapSpeaker {
    inner: Box<dyn AudioSink>,
    meter: Arc<Meter>,
    tape: Option<Tape>,
    begun: bool,
    decoded: bool,
    lag: Lag,
    missing: u64,
}

impl TapSpeaker {
    pub(crate) fn new(inner: Box<dyn AudioSink>, meter: Arc<Meter>, tape: Option<Tape>) -> TapSpeaker {
        TapSpeaker { inner, meter, tape, begun: false, decoded: false, lag: Lag::default(), missing: 0 }
    }
}

impl AudioSink for TapSpeaker {
    fn start(&mut self) -> Result<(), SinkError> {
        self.inner.start()
    }

    fn play(&mut self, block: &[f32], what: Played) -> Result<Instant, SinkError> {
        let heard = self.inner.play(block, what)?;
        self.meter.block(block);
        if let Some(tape) = &self.tape {
            if !self.begun {
                self.begun = true;
                tape.line("audio-out-start", heard, json!({}));
            }
            if !self.decoded && what == Played::Decoded {
                self.decoded = true;
                tape.line("first-audio", heard, json!({}));
            }
            self.missing += self.lag.lacking(heard, block.len());
            tape.sound(block, &mut self.missing);
        }
        Ok(heard)
    }

    fn stop(&mut self) {
        self.inner.stop();
    }
}

/// How far what was recorded lies before what is heard. A device tells when it is heard only after its first blocks,
/// and stands still now and then.
#[derive(Default)]
struct Lag {
    start: Option<Instant>,
    /// Samples recorded since then, with the silence that was lacking.
    samples: u64,
    /// The least lag of the latest blocks, and how many they are.
    least: Duration,
    blocks: u32,
}

impl Lag {
    /// So many blocks in a row must lag for it to count,
    const BLOCKS: u32 = 10;
    /// by at least so much.
    const LEAST: Duration = Duration::from_millis(10);
    /// No more than that is filled up at once.
    const MOST: Duration = Duration::from_secs(10);

    /// How many samples of silence are lacking before a block of so many that is heard then.
    fn lacking(&mut self, heard: Instant, samples: usize) -> u64 {
        let rate = f64::from(SAMPLE_RATE);
        let start = *self.start.get_or_insert(heard);
        let recorded = Duration::from_secs_f64(self.samples as f64 / rate);
        let late = heard.saturating_duration_since(start).saturating_sub(recorded);
        self.least = if self.blocks == 0 { late } else { self.least.min(late) };
        self.blocks += 1;
        let mut lacking = 0;
        if self.blocks == Self::BLOCKS {
            self.blocks = 0;
            if self.least >= Self::LEAST {
                lacking = (self.least.min(Self::MOST).as_secs_f64() * rate) as u64;
            }
        }
        self.samples += samples as u64 + lacking;
        lacking
    }
}

/// A view whose pictures may be recorded.
pub(crate) struct TapView {
    inner: Box<dyn VideoSink>,
    tape: Option<Tape>,
}

impl TapView {
    pub(crate) fn new(inner: Box<dyn VideoSink>, tape: Option<Tape>) -> TapView {
        TapView { inner, tape }
    }
}

impl VideoSink for TapView {
    fn show(&mut self, picture: &Picture, at: Instant) -> Result<(), SinkError> {
        self.inner.show(picture, at)?;
        if let Some(tape) = &self.tape {
            tape.picture(picture, at.max(Instant::now()));
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.inner.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_stands_where_a_speaker_stood_still_but_not_for_one_odd_block() {
        let start = Instant::now();
        let mut lag = Lag::default();
        let mut recorded = 0;
        let mut block = |ms: u64| {
            recorded += lag.lacking(start + Duration::from_millis(ms), 480);
            recorded += 480;
            recorded / 48
        };
        for n in 0..40 {
            let odd = if n == 7 { 200 } else { n % 3 };
            assert_eq!(block(n * 10 + odd), n * 10 + 10, "heard in time but for one");
        }
        // 70 ms of standing still.
        let after: Vec<u64> = (47..87).map(|n| block(n * 10)).collect();
        assert_eq!(after[39], 870, "{after:?}");
    }

    #[test]
    fn the_meter_keeps_the_loudest_until_it_is_read() {
        let meter = Meter::new();
        meter.block(&[0.1, -0.1]);
        meter.block(&[0.01, -0.01]);
        assert_eq!(meter.loudest(), 20);
        assert_eq!(meter.loudest(), SILENCE);
    }

    #[test]
    fn a_faint_noise_counts_as_silence() {
        let meter = Meter {
            origin: Instant::now() - std::time::Duration::from_secs(9),
            ..Arc::into_inner(Meter::new()).unwrap()
        };
        meter.block(&[0.0001, -0.0001]);
        assert!(meter.silent_ms() >= 9000);
        meter.block(&[0.1, -0.1]);
        assert!(meter.silent_ms() < 1000);
    }
}
