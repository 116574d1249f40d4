//! Voice out: capture → encode → seal and queue, as the network allows from one frame to the next.

use super::device::{Device, Taken};
use crate::media::MICROPHONE;
use crate::shared::Shared;
use crate::switch::{Chosen, Slot};
use kring_capture::AudioSource;
use kring_codec::{AudioCodec, AudioEncoder, AudioSettings, FrameDuration};
use kring_core::call::SendError;
use kring_core::media::SILENCE;
use kring_core::media::audio::{AudioPlan, AudioPlanner, VoiceNetwork};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct Speak {
    pub(super) taken: Taken<dyn AudioSource>,
    pub(super) codec: Arc<dyn AudioCodec>,
    pub(super) rate: u32,
    pub(super) planner: AudioPlanner,
}

impl Device for Speak {
    const TRACK: u8 = MICROPHONE;
    const NAME: &'static str = "microphone";
    type Source = dyn AudioSource;

    fn slot(shared: &Shared) -> &Slot<Chosen<dyn AudioSource>> {
        &shared.switches.microphone
    }

    fn muted(shared: &Shared) -> &AtomicBool {
        &shared.microphone_muted
    }

    fn taken(&mut self) -> &mut Taken<dyn AudioSource> {
        &mut self.taken
    }

    fn close(&mut self) {
        self.taken.source.stop();
    }

    fn send(&mut self, shared: &Shared) -> Option<String> {
        let settings = AudioSettings { duration: FrameDuration::Ms10, ..AudioSettings::default() };
        let mut encoder = match self.codec.encoder(&settings) {
            Ok(encoder) => encoder,
            Err(error) => return Some(error.to_string()),
        };
        if let Err(error) = self.taken.source.start(&self.taken.consent, self.taken.at) {
            return Some(error.to_string());
        }
        let (mut block, mut packet) = (Vec::new(), Vec::new());
        let mut followed = None;
        while !shared.stopped() && !shared.switches.microphone.waits() {
            let plan = self.planner.update(shared.clock.now(), &self.network(shared));
            if followed != Some(plan) {
                followed = Some(plan);
                follow(&mut *encoder, &plan);
                block.resize(encoder.duration().samples(), 0.0);
            }
            let captured = match self.taken.source.read(&mut block) {
                Ok(captured) => captured,
                Err(error) => return Some(error.to_string()),
            };
            if shared.microphone_muted.load(Ordering::Relaxed) {
                if captured.ended {
                    return Some("the sound has ended".into());
                }
                continue;
            }
            if let Err(error) = encoder.encode(&block, &mut packet) {
                return Some(error.to_string());
            }
            let capture = shared.clock.at(captured.at);
            let duration = encoder.duration().as_duration();
            let (micros, transmissions) =
                (duration.as_micros() as u64, 1 + plan.copies.offsets().len() as u64);
            shared.spoken.duration_us.store(micros, Ordering::Relaxed);
            shared.spoken.transmissions.store(transmissions, Ordering::Relaxed);
            let level = level(&block);
            let sent = shared
                .core(|call| call.send_audio(MICROPHONE, capture, duration, level, &packet, &plan.copies));
            match sent {
                Some(Ok(())) => shared.outgoing.notify_one(),
                // Muted in this very moment.
                Some(Err(SendError::NotLive { .. })) => {}
                Some(Err(error)) if !shared.stopped() => return Some(error.to_string()),
                _ => return None,
            }
            // The block in which it ended was still sent.
            if captured.ended {
                return Some("the sound has ended".into());
            }
        }
        None
    }
}

impl Speak {
    /// What the network is like for a voice, as far as is known.
    fn network(&self, shared: &Shared) -> VoiceNetwork {
        let known = shared.core(|call| {
            let reported = call.stats().peer.is_some();
            (call.shares().audio, call.network().burst, reported.then(|| call.voice_loss()))
        });
        let Some((rate, burst, loss)) = known else {
            return VoiceNetwork { audio_rate: self.rate, loss: None, burst: 1.0 };
        };
        VoiceNetwork {
            audio_rate: rate.min(self.rate),
            loss: loss.map(|loss| loss as f32),
            burst: burst as f32,
        }
    }
}

/// Sets an encoder as planned; a codec with other frame lengths than Opus keeps its own.
fn follow(encoder: &mut dyn AudioEncoder, plan: &AudioPlan) {
    let duration = FrameDuration::ALL.into_iter().find(|d| d.as_duration() == plan.duration);
    encoder.set_duration(duration.unwrap_or_default());
    encoder.set_bitrate(plan.bit_rate);
    encoder.set_expected_loss(plan.fec_percent);
    encoder.set_deep_redundancy(plan.deep_redundancy);
}

/// Loudness in −dBov (RFC 6464): 0 is a full-scale square wave, 127 silence.
fn level(block: &[f32]) -> u8 {
    let power = block.iter().map(|x| x * x).sum::<f32>() / block.len().max(1) as f32;
    if power <= 0.0 { SILENCE } else { (-10.0 * power.log10()).clamp(0.0, SILENCE.into()) as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_below_overload() {
        assert_eq!(level(&[1.0, -1.0, 1.0]), 0);
        assert_eq!(level(&[0.1, -0.1]), 20);
        assert_eq!(level(&[0.0; 8]), SILENCE);
        assert_eq!(level(&[]), SILENCE);
    }
}
