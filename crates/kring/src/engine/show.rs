//! Pictures out: capture → encode → seal and queue.

use super::numbers::Numbers;
use super::stopped;
use crate::media::CAMERA;
use crate::shared::Shared;
use kring_capture::{Consent, VideoSource};
use kring_codec::{ContentHint, Picture, Recovery, VideoCodec, VideoEncoder, VideoSettings};
use kring_core::call::{self, SendError};
use kring_core::offer::TrackState;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

pub(super) struct Show {
    pub(super) source: Box<dyn VideoSource>,
    pub(super) consent: Arc<Consent>,
    pub(super) codec: Arc<dyn VideoCodec>,
    pub(super) rate: u32,
    pub(super) content: ContentHint,
    pub(super) at: Instant,
}

impl Show {
    pub(super) fn run(mut self, shared: &Shared) {
        let why = self.send(shared);
        self.source.stop();
        if let Some(why) = why {
            shared.core(|call| call.set_track_state(CAMERA, TrackState::Ended));
            shared.wake.notify_one();
            stopped(shared, "camera", why);
        }
    }

    /// Sends until the call ends; else says why it stopped.
    fn send(&mut self, shared: &Shared) -> Option<String> {
        let format = self.source.format();
        let settings = VideoSettings {
            width: format.width,
            height: format.height,
            frames_per_second: format.frames_per_second,
            bits_per_second: shared
                .core(|call| call.shares().video)
                .unwrap_or(0)
                .clamp(50_000, self.rate.max(50_000)),
            content: self.content,
            ..VideoSettings::default()
        };
        let encoder = self.codec.encoder(&settings);
        let (mut encoder, mut picture) = match (encoder, Picture::new(format.width, format.height)) {
            (Ok(encoder), Ok(picture)) => (encoder, picture),
            (Err(error), _) => return Some(error.to_string()),
            (_, Err(error)) => return Some(error.to_string()),
        };
        if let Err(error) = self.source.start(&self.consent, self.at) {
            return Some(error.to_string());
        }
        let mut numbers = Numbers::default();
        while !shared.stopped() {
            let captured = match self.source.read(&mut picture) {
                Ok(captured) => captured,
                Err(error) => return Some(error.to_string()),
            };
            let (waiting, share) =
                shared.core(|call| (call.stats().video_queue_bytes, call.shares().video)).unwrap_or_default();
            // When more waits than goes out in a tenth of a second, another picture would only come later.
            let backlog = share as usize / 8 / 10;
            if shared.camera_muted.load(Ordering::Relaxed) || share == 0 || waiting > backlog {
                continue;
            }
            let rate = share.min(self.rate);
            shared.filmed(|filmed| filmed.limited = share < self.rate);
            if rate.abs_diff(encoder.settings().bits_per_second) > rate / 50
                && let Err(error) = encoder.set_rate(rate, format.frames_per_second)
            {
                return Some(error.to_string());
            }
            let mut keyframe = shared.camera_keyframe.swap(false, Ordering::Relaxed);
            keyframe |= !follow_peer(shared, &mut *encoder, &numbers);
            let since = captured.at.saturating_duration_since(self.at);
            let encoded = match encoder.encode(&picture, since, keyframe) {
                Ok(Some(encoded)) => encoded,
                Ok(None) => {
                    shared.camera_keyframe.fetch_or(keyframe, Ordering::Relaxed);
                    continue;
                }
                Err(error) => return Some(error.to_string()),
            };
            let out = call::Picture {
                keyframe: encoded.keyframe,
                discardable: encoded.discardable,
                refers_to: encoded.refers_to.and_then(|number| numbers.id(number)),
                temporal_layer: encoded.temporal_layer,
                spatial_layer: encoded.spatial_layer,
                capture: shared.clock.at(captured.at),
                payload: &encoded.data,
            };
            match shared.core(|call| call.send_video(shared.clock.now(), CAMERA, &out)) {
                Some(Ok(id)) => {
                    numbers.add(encoded.number, id);
                    shared.filmed(|filmed| {
                        filmed.encoded += 1;
                        filmed.keyframes += u64::from(encoded.keyframe);
                        filmed.size = (picture.width(), picture.height());
                    });
                    shared.outgoing.notify_one();
                }
                // What follows refers to a picture that was never sent.
                Some(Err(SendError::QueueFull | SendError::NotLive { .. } | SendError::TooLarge { .. })) => {
                    shared.camera_keyframe.store(true, Ordering::Relaxed);
                }
                Some(Err(error)) if !shared.stopped() => return Some(error.to_string()),
                _ => return None,
            }
        }
        None
    }
}

/// Tells the encoder what the peer has decoded and lost; `false` if only a keyframe helps.
fn follow_peer(shared: &Shared, encoder: &mut dyn VideoEncoder, numbers: &Numbers) -> bool {
    let feedback = shared.core(|call| call.picture_feedback(CAMERA)).unwrap_or_default();
    let acknowledged = feedback.acknowledged.and_then(|id| numbers.number(id));
    if let Some(number) = acknowledged {
        encoder.acknowledged(number);
    }
    !feedback.lost || acknowledged.is_some() && encoder.lost(acknowledged) == Recovery::Reference
}
