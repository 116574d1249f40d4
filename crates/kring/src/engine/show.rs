//! Pictures out: capture → encode → seal and queue.

use super::device::{Device, Taken};
use super::numbers::Numbers;
use crate::media::CAMERA;
use crate::shared::Shared;
use crate::switch::{Chosen, Slot};
use kring_capture::VideoSource;
use kring_codec::{
    ContentHint, EncodedVideo, Ladder, Picture, Recovery, VideoCodec, VideoEncoder, VideoSettings,
};
use kring_core::call::{self, SendError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(super) struct Show {
    pub(super) taken: Taken<dyn VideoSource>,
    pub(super) codec: Arc<dyn VideoCodec>,
    pub(super) rate: u32,
    pub(super) content: ContentHint,
}

impl Device for Show {
    const TRACK: u8 = CAMERA;
    const NAME: &'static str = "camera";
    type Source = dyn VideoSource;

    fn slot(shared: &Shared) -> &Slot<Chosen<dyn VideoSource>> {
        &shared.switches.camera
    }

    fn muted(shared: &Shared) -> &AtomicBool {
        &shared.camera_muted
    }

    fn taken(&mut self) -> &mut Taken<dyn VideoSource> {
        &mut self.taken
    }

    fn close(&mut self) {
        self.taken.source.stop();
    }

    fn send(&mut self, shared: &Shared) -> Option<String> {
        let format = self.taken.source.format();
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
        let (encoder, mut picture) = match (encoder, Picture::new(format.width, format.height)) {
            (Ok(encoder), Ok(picture)) => (encoder, picture),
            (Err(error), _) => return Some(error.to_string()),
            (_, Err(error)) => return Some(error.to_string()),
        };
        let mut film = Film::new(encoder, picture.clone(), &settings);
        if let Err(error) = self.taken.source.start(&self.taken.consent, self.taken.at) {
            return Some(error.to_string());
        }
        while !shared.stopped() && !shared.switches.camera.waits() {
            let captured = match self.taken.source.read(&mut picture) {
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
            shared.filmed(|filmed| filmed.limited = share < self.rate);
            let since = captured.at.saturating_duration_since(self.taken.at);
            let encoded = match film.encode(shared, &picture, since, share.min(self.rate)) {
                Ok(Some(encoded)) => encoded,
                Ok(None) => continue,
                Err(error) => return Some(error.to_string()),
            };
            let refers_to = encoded.refers_to.and_then(|number| film.numbers.id(number));
            if refers_to.is_none() && !encoded.keyframe {
                // It builds on one that was never sent, or so long ago that this cannot be said.
                shared.camera_keyframe.store(true, Ordering::Relaxed);
                continue;
            }
            let out = call::Picture {
                keyframe: encoded.keyframe,
                discardable: encoded.discardable,
                refers_to,
                temporal_layer: encoded.temporal_layer,
                spatial_layer: encoded.spatial_layer,
                capture: shared.clock.at(captured.at),
                payload: &encoded.data,
            };
            match shared.core(|call| call.send_video(shared.clock.now(), CAMERA, &out)) {
                Some(Ok(id)) => {
                    film.numbers.add(encoded.number, id);
                    let rung = film.ladder.rung();
                    shared.filmed(|filmed| {
                        filmed.encoded += 1;
                        filmed.keyframes += u64::from(encoded.keyframe);
                        filmed.size = (rung.width, rung.height);
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

/// An encoder that follows the rate and the peer.
struct Film {
    encoder: Box<dyn VideoEncoder>,
    ladder: Ladder,
    numbers: Numbers,
    /// The size that the rate allows.
    scaled: Picture,
    /// When the next picture is to be taken, if that is not at the source's own rate.
    next: Duration,
    most: f32,
}

impl Film {
    fn new(encoder: Box<dyn VideoEncoder>, scaled: Picture, settings: &VideoSettings) -> Film {
        let VideoSettings { width, height, frames_per_second, bits_per_second, content, .. } = *settings;
        let ladder = Ladder::new(content, (width, height), frames_per_second, bits_per_second);
        let (numbers, next) = (Numbers::default(), Duration::ZERO);
        Film { encoder, ladder, numbers, scaled, next, most: frames_per_second }
    }

    /// Encodes a picture captured `since` the start, at `rate` bit/s, if it is its turn.
    fn encode(
        &mut self,
        shared: &Shared,
        picture: &Picture,
        since: Duration,
        rate: u32,
    ) -> Result<Option<EncodedVideo>, String> {
        let rung = self.ladder.follow(since, rate);
        if rung.frames_per_second < self.most {
            let interval = Duration::from_secs_f32(1.0 / rung.frames_per_second);
            // Sources are not exactly in time.
            if since + interval / 4 < self.next {
                return Ok(None);
            }
            self.next = (self.next + interval).max(since);
        }
        let settings = self.encoder.settings();
        let other = rate.abs_diff(settings.bits_per_second) > rate / 50;
        if other || (settings.frames_per_second - rung.frames_per_second).abs() > 0.01 {
            let set = self.encoder.set_rate(rate.max(10_000), rung.frames_per_second);
            set.map_err(|e| e.to_string())?;
        }
        let keyframe = shared.camera_keyframe.swap(false, Ordering::Relaxed) | !self.follow_peer(shared);
        let picture = if (picture.width(), picture.height()) == (rung.width, rung.height) {
            picture
        } else {
            self.scaled.reset(rung.width, rung.height).map_err(|e| e.to_string())?;
            picture.scale_into(&mut self.scaled);
            &self.scaled
        };
        let encoded = self.encoder.encode(picture, since, keyframe).map_err(|e| e.to_string())?;
        if encoded.is_none() {
            shared.camera_keyframe.fetch_or(keyframe, Ordering::Relaxed);
        }
        Ok(encoded)
    }

    /// Tells the encoder what the peer has decoded and lost; `false` if only a keyframe helps.
    fn follow_peer(&mut self, shared: &Shared) -> bool {
        let feedback = shared.core(|call| call.picture_feedback(CAMERA)).unwrap_or_default();
        let acknowledged = feedback.acknowledged.and_then(|id| self.numbers.number(id));
        if let Some(number) = acknowledged {
            self.encoder.acknowledged(number);
        }
        !feedback.lost || acknowledged.is_some() && self.encoder.lost(acknowledged) == Recovery::Reference
    }
}
