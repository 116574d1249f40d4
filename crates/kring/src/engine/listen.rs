//! Voice in: jitter buffer → decode or conceal → speaker, in real time.

use super::voice::Voice;
use super::{named_audio, stopped};
use crate::shared::Shared;
use kring_capture::{AudioSink, NullSpeaker, Played};
use kring_codec::AudioCodec;
use kring_core::call::IncomingFrame;
use kring_core::media::{AudioPacket, FrameInfo};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// One block is 5 ms: what arrives is heard after half of that on average.
const BLOCK: usize = 240;
/// For so long at first a voice is played a little later than what has come calls for, since little has: by a part of the round
/// trip, for long ways vary more, and at most by so much.
const CAUTIOUS: Duration = Duration::from_secs(2);
const CAUTION: (u32, Duration) = (16, Duration::from_millis(10));

pub(super) struct Listen {
    pub(super) sink: Option<Box<dyn AudioSink>>,
    pub(super) codecs: Vec<Arc<dyn AudioCodec>>,
    pub(super) frames: Receiver<IncomingFrame>,
}

impl Listen {
    pub(super) fn run(mut self, shared: &Shared) {
        let mut sink = self.sink.take().unwrap_or_else(|| Box::new(NullSpeaker::new()));
        let mut voice = None;
        loop {
            let played = self.play(shared, &mut *sink, &mut voice);
            sink.stop();
            let next = match played {
                Err(error) => {
                    stopped(shared, "speaker", error);
                    voice = None;
                    // What comes meanwhile is heard by nobody, and not later either.
                    shared.switches.speaker.wait(shared, || self.frames.try_iter().for_each(drop))
                }
                Ok(()) => shared.switches.speaker.take(),
            };
            let Some(next) = next else { return };
            sink = next;
        }
    }

    /// Plays until the call ends or there is another sink.
    fn play(
        &self,
        shared: &Shared,
        sink: &mut dyn AudioSink,
        voice: &mut Option<(u8, Voice)>,
    ) -> Result<(), String> {
        sink.start().map_err(|e| e.to_string())?;
        let mut cautious = None;
        let mut block = [0.0; BLOCK];
        while !shared.stopped() && !shared.switches.speaker.waits() {
            for frame in self.frames.try_iter() {
                self.take(voice, frame, shared)?;
            }
            let what = match voice {
                Some((_, voice)) => {
                    let now = shared.clock.now();
                    if now.since(*cautious.get_or_insert(now)) > CAUTIOUS {
                        voice.set_minimum(Duration::ZERO);
                    }
                    let what = voice.play(now, &mut block);
                    tell(voice, shared);
                    what
                }
                None => Played::Waiting,
            };
            sink.play(&block, what).map_err(|e| e.to_string())?;
            if what != Played::Waiting {
                shared.played.audio_samples.fetch_add(BLOCK as u64, Ordering::Relaxed);
            }
            if what == Played::Concealed {
                shared.played.concealed_samples.fetch_add(BLOCK as u64, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// One voice is played: the first that speaks.
    fn take(
        &self,
        voice: &mut Option<(u8, Voice)>,
        frame: IncomingFrame,
        shared: &Shared,
    ) -> Result<(), String> {
        let FrameInfo::Audio { capture, duration, level } = frame.info else { return Ok(()) };
        let (track, voice) = match voice {
            Some(voice) => voice,
            None => {
                let name = shared.peer_codec(frame.track);
                let codec =
                    named_audio(&self.codecs, &name).ok_or(format!("no decoder for codec {name:?}"))?;
                let mut new = Voice::new(codec.decoder().map_err(|e| e.to_string())?);
                let round_trip = shared.core(|call| call.network().round_trip).flatten().unwrap_or_default();
                new.set_minimum((round_trip / CAUTION.0).min(CAUTION.1));
                voice.insert((frame.track, new))
            }
        };
        if *track == frame.track {
            let frame_id = frame.header.frame_id;
            let packet = AudioPacket { frame_id, capture, duration, payload: frame.payload, level };
            voice.push(frame.arrived, packet);
        }
        Ok(())
    }
}

/// Notes how it plays, for statistics and reports.
fn tell(voice: &Voice, shared: &Shared) {
    let (stats, played) = (voice.stats(), &shared.played);
    played.inserted_samples.store(voice.stretched.0, Ordering::Relaxed);
    played.removed_samples.store(voice.stretched.1, Ordering::Relaxed);
    played.set_lag(voice.lag());
    played.delay_us.store(stats.delay.as_micros() as u64, Ordering::Relaxed);
    played.target_us.store(stats.target.as_micros() as u64, Ordering::Relaxed);
}
