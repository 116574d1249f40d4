//! Pictures in: order → decode → view. Only whole pictures are shown, in time with the sound.

use super::motion::Motion;
use super::{named_video, stopped};
use crate::shared::Shared;
use kring_capture::VideoSink;
use kring_codec::{Decoded, Picture, VideoCodec, VideoDecoder};
use kring_core::call::IncomingFrame;
use kring_core::media::{Cadence, FrameInfo, MAX_BEHIND, VideoBuffer, VideoFrame};
use kring_core::time::Time;
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
const LEAD: i64 = 32_000;

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
            if let Some(next) = shared.switches.view.take()
                && let Some(mut before) = self.sink.replace(next)
            {
                before.stop();
            }
            let wake = viewer.as_ref().and_then(Viewer::due).map(|t| shared.clock.instant(t));
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
            viewer.decode(shared)?;
            viewer.tell(shared);
            if let Some(picture) = viewer.next(shared) {
                if let Some(Err(error)) = self.sink.as_mut().map(|sink| sink.show(&picture, Instant::now())) {
                    stopped(shared, "view", error);
                    self.sink.take().into_iter().for_each(|mut sink| sink.stop());
                }
                viewer.spare.push(picture);
            }
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
    /// What is decoded and not shown yet, and pictures to decode into.
    cadence: Cadence<Picture>,
    spare: Vec<Picture>,
    size: (u32, u32),
    motion: Motion,
    decoded: u64,
    /// What the peer was told last.
    told: Option<(Option<u32>, bool)>,
}

impl Viewer {
    fn new(track: u8, decoder: Box<dyn VideoDecoder>) -> Result<Viewer, String> {
        let spare = (0..MAX_BEHIND + 2).map(|_| Picture::new(2, 2)).collect::<Result<_, _>>();
        Ok(Viewer {
            track,
            buffer: VideoBuffer::new(),
            decoder,
            cadence: Cadence::default(),
            spare: spare.map_err(|e| e.to_string())?,
            size: (0, 0),
            motion: Motion::default(),
            decoded: 0,
            told: None,
        })
    }

    /// When there is something to be decoded or shown.
    fn due(&self) -> Option<Time> {
        self.buffer.next_wake().into_iter().chain(self.cadence.due()).min()
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

    /// Decodes what is due.
    fn decode(&mut self, shared: &Shared) -> Result<(), String> {
        let rtt = shared.core(|call| call.stats().round_trip).flatten().unwrap_or(ASSUMED_RTT);
        self.buffer.set_round_trip(rtt);
        self.buffer.set_lag(shared.played.lag().map(|lag| lag.saturating_sub(LEAD)));
        while let Some(frame) = self.buffer.pull(shared.clock.now()) {
            let mut picture = match self.spare.pop() {
                Some(picture) => picture,
                None => Picture::new(2, 2).map_err(|e| e.to_string())?,
            };
            match self.decoder.decode(&frame.payload, &mut picture) {
                Ok(Decoded::Picture) => {
                    self.decoded += 1;
                    self.size = (picture.width(), picture.height());
                    self.spare.extend(self.cadence.push(picture));
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "a picture was not decoded");
                    self.buffer.fail();
                }
            }
            self.spare.push(picture);
        }
        Ok(())
    }

    /// The picture to be shown now.
    fn next(&mut self, shared: &Shared) -> Option<Picture> {
        let picture = self.cadence.pop(shared.clock.now())?;
        self.motion.shown(Instant::now());
        shared.played.pictures.fetch_add(1, Ordering::Relaxed);
        Some(picture)
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
            watched.dropped = stats.dropped + self.cadence.passed_over();
            watched.losses = stats.losses;
            watched.per_second = self.motion.per_second(Instant::now());
            watched.freezes = self.motion.freezes;
            watched.frozen = self.motion.frozen;
            watched.size = self.size;
        });
    }
}
