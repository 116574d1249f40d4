//! Pictures in: order → decode → view. Only whole pictures are shown, in time with the sound.

use super::motion::Motion;
use super::{named_video, stopped};
use crate::shared::Shared;
use kring_capture::VideoSink;
use kring_codec::{Decoded, Picture, VideoCodec, VideoDecoder};
use kring_core::call::IncomingFrame;
use kring_core::media::{FrameInfo, VideoBuffer, VideoFrame};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How soon the thread notices that the call has ended.
const LOOK_UP: Duration = Duration::from_millis(50);
/// The round trip that is assumed until one was measured.
const ASSUMED_RTT: Duration = Duration::from_millis(100);
/// Pictures may be shown so much earlier than the sound of the same moment is heard, in µs: less than anyone notices (ITU-R
/// BT.1359), and no later than they come.
const LEAD: i64 = 25_000;

pub(super) struct Watch {
    pub(super) sink: Option<Box<dyn VideoSink>>,
    pub(super) codecs: Vec<Arc<dyn VideoCodec>>,
    pub(super) frames: Receiver<IncomingFrame>,
}

impl Watch {
    pub(super) fn run(mut self, shared: &Shared) {
        if let Err(error) = self.show(shared) {
            stopped(shared, "view", error);
        }
        if let Some(sink) = &mut self.sink {
            sink.stop();
        }
    }

    fn show(&mut self, shared: &Shared) -> Result<(), String> {
        let mut viewer: Option<Viewer> = None;
        while !shared.stopped() {
            let wake = viewer.as_ref().and_then(|v| v.buffer.next_wake()).map(|t| shared.clock.instant(t));
            let wait = wake.map_or(LOOK_UP, |w| w.saturating_duration_since(Instant::now()).min(LOOK_UP));
            match self.frames.recv_timeout(wait) {
                Ok(frame) => {
                    shared.picture_bytes.fetch_sub(frame.payload.len(), Ordering::Relaxed);
                    let viewer = match &mut viewer {
                        Some(viewer) => viewer,
                        None => viewer.insert(Viewer::new(frame.track, self.decoder(frame.track, shared)?)?),
                    };
                    viewer.push(frame);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            let Some(viewer) = &mut viewer else { continue };
            if viewer.decode(shared)
                && let Some(sink) = &mut self.sink
            {
                sink.show(&viewer.picture, Instant::now()).map_err(|e| e.to_string())?;
            }
            viewer.tell(shared);
        }
        Ok(())
    }

    fn decoder(&self, track: u8, shared: &Shared) -> Result<Box<dyn VideoDecoder>, String> {
        let name = shared.peer_codec(track);
        let codec = named_video(&self.codecs, &name).ok_or(format!("no decoder for codec {name:?}"))?;
        codec.decoder().map_err(|e| e.to_string())
    }
}

/// One track's pictures on their way to the view.
struct Viewer {
    track: u8,
    buffer: VideoBuffer,
    decoder: Box<dyn VideoDecoder>,
    picture: Picture,
    motion: Motion,
    decoded: u64,
    shown: u64,
    /// What the peer was told last.
    told: Option<(Option<u32>, bool)>,
}

impl Viewer {
    fn new(track: u8, decoder: Box<dyn VideoDecoder>) -> Result<Viewer, String> {
        let picture = Picture::new(2, 2).map_err(|e| e.to_string())?;
        let (buffer, motion) = (VideoBuffer::new(), Motion::default());
        Ok(Viewer { track, buffer, decoder, picture, motion, decoded: 0, shown: 0, told: None })
    }

    /// One track is shown: the first that comes.
    fn push(&mut self, frame: IncomingFrame) {
        let FrameInfo::Video { capture, skippable } = frame.info else { return };
        if frame.track != self.track {
            return;
        }
        let header = frame.header;
        self.buffer.push(
            frame.arrived,
            VideoFrame {
                frame_id: header.frame_id,
                keyframe: header.keyframe,
                discardable: header.discardable,
                skippable,
                temporal_layer: header.temporal_layer,
                capture,
                payload: frame.payload,
            },
        );
    }

    /// Decodes what is due; whether there is a picture to be shown. Of several the newest is.
    fn decode(&mut self, shared: &Shared) -> bool {
        let rtt = shared.core(|call| call.stats().round_trip).flatten().unwrap_or(ASSUMED_RTT);
        self.buffer.set_round_trip(rtt);
        self.buffer.set_lag(shared.played.lag().map(|lag| lag.saturating_sub(LEAD)));
        let mut fresh = false;
        while let Some(frame) = self.buffer.pull(shared.clock.now()) {
            match self.decoder.decode(&frame.payload, &mut self.picture) {
                Ok(Decoded::Picture) => {
                    self.decoded += 1;
                    fresh = true;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "a picture was not decoded");
                    self.buffer.fail();
                }
            }
        }
        if fresh {
            self.shown += 1;
            self.motion.shown(Instant::now());
            shared.played.pictures.fetch_add(1, Ordering::Relaxed);
        }
        fresh
    }

    /// Tells the peer how far it has come, and notes it for statistics.
    fn tell(&mut self, shared: &Shared) {
        let state = (self.buffer.decoded(), self.buffer.is_lost());
        if self.told == Some(state) {
            return;
        }
        shared.core(|call| call.set_decoded(shared.clock.now(), self.track, state.0, state.1));
        // A loss is told at once.
        if state.1 && self.told.is_none_or(|told| !told.1) {
            shared.wake.notify_one();
        }
        self.told = Some(state);
        let stats = self.buffer.stats();
        shared.watched(|watched| {
            watched.received = stats.received;
            watched.decoded = self.decoded;
            // What came too late, and what was decoded but passed over for a newer one.
            watched.dropped = stats.dropped + self.decoded - self.shown;
            watched.losses = stats.losses;
            watched.per_second = self.motion.per_second(Instant::now());
            watched.freezes = self.motion.freezes;
            watched.frozen = self.motion.frozen;
            watched.size = (self.picture.width(), self.picture.height());
        });
    }
}
