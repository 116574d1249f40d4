//! Voice in: jitter buffer → decode or conceal → speaker, in real time.

use super::{named_audio, stopped};
use crate::shared::Shared;
use kring_capture::{AudioSink, NullSpeaker, Played};
use kring_codec::{AudioCodec, AudioDecoder};
use kring_core::call::IncomingFrame;
use kring_core::media::{AudioPacket, FrameInfo, JitterBuffer, Playout};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

/// One block is 10 ms.
const BLOCK: usize = 480;

pub(super) struct Listen {
    pub(super) sink: Option<Box<dyn AudioSink>>,
    pub(super) codecs: Vec<Arc<dyn AudioCodec>>,
    pub(super) frames: Receiver<IncomingFrame>,
}

impl Listen {
    pub(super) fn run(mut self, shared: &Shared) {
        let mut sink = self.sink.take().unwrap_or_else(|| Box::new(NullSpeaker::new()));
        if let Err(error) = self.play(shared, &mut *sink) {
            stopped(shared, "speaker", error);
        }
        sink.stop();
    }

    fn play(&self, shared: &Shared, sink: &mut dyn AudioSink) -> Result<(), String> {
        sink.start().map_err(|e| e.to_string())?;
        let mut voice = Voice { track: None, jitter: JitterBuffer::new(), decoder: None, sound: Vec::new() };
        // What `voice.sound` holds came from the network, or was made up for want of it.
        let mut what = Played::Waiting;
        let mut block = Vec::with_capacity(BLOCK);
        while !shared.stopped() {
            for frame in self.frames.try_iter() {
                voice.push(frame, shared, &self.codecs)?;
            }
            while voice.sound.len() < BLOCK {
                what = voice.pull(shared);
            }
            block.clear();
            block.extend(voice.sound.drain(..BLOCK));
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
}

/// One voice from its packets to samples.
struct Voice {
    track: Option<u8>,
    jitter: JitterBuffer,
    decoder: Option<Box<dyn AudioDecoder>>,
    sound: Vec<f32>,
}

impl Voice {
    fn push(
        &mut self,
        frame: IncomingFrame,
        shared: &Shared,
        codecs: &[Arc<dyn AudioCodec>],
    ) -> Result<(), String> {
        let FrameInfo::Audio { capture, duration, level } = frame.info else { return Ok(()) };
        // One voice is played: the first that speaks.
        if *self.track.get_or_insert(frame.track) != frame.track {
            return Ok(());
        }
        if self.decoder.is_none() {
            let name = shared.peer_codec(frame.track);
            let codec = named_audio(codecs, &name).ok_or(format!("no decoder for codec {name:?}"))?;
            self.decoder = Some(codec.decoder().map_err(|e| e.to_string())?);
        }
        let packet =
            AudioPacket { frame_id: frame.header.frame_id, capture, duration, payload: frame.payload, level };
        self.jitter.push(frame.arrived, packet);
        Ok(())
    }

    /// Adds what is to be heard next; at least some.
    fn pull(&mut self, shared: &Shared) -> Played {
        let before = self.sound.len();
        let (Some(decoder), Some(playout)) =
            (self.decoder.as_mut(), Some(self.jitter.pull(shared.clock.now())))
        else {
            self.sound.resize(before + BLOCK, 0.0);
            return Played::Waiting;
        };
        let (decoded, what) = match playout {
            Playout::Decode(packet) => (decoder.decode(&packet.payload, &mut self.sound), Played::Decoded),
            Playout::Conceal { duration, next } => {
                let samples = (duration.as_micros() as usize * 48 / 1000).clamp(BLOCK, 60 * 48);
                let made = match next {
                    Some(next) => decoder.recover(&next, samples, &mut self.sound),
                    None => decoder.conceal(samples, &mut self.sound),
                };
                (made, Played::Concealed)
            }
            _ => (Ok(()), Played::Waiting),
        };
        if decoded.is_err() {
            self.sound.truncate(before);
            let _ = decoder.conceal(BLOCK, &mut self.sound);
        }
        if self.sound.len() == before {
            self.sound.resize(before + BLOCK, 0.0);
        }
        if decoded.is_err() { Played::Concealed } else { what }
    }
}
