//! Pictures in: order → decode → view. Only whole pictures are shown.

use super::{named_video, stopped};
use crate::shared::Shared;
use kring_capture::VideoSink;
use kring_codec::{Decoded, Picture, VideoCodec, VideoDecoder};
use kring_core::call::IncomingFrame;
use kring_core::media::{FrameInfo, VideoBuffer, VideoFrame};
use kring_core::time::Time;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How soon the thread notices that the call has ended.
const LOOK_UP: Duration = Duration::from_millis(50);
/// The round trip that is assumed until one was measured.
const ASSUMED_RTT: Duration = Duration::from_millis(100);

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
        let mut buffer = VideoBuffer::default();
        let mut decoder: Option<(u8, Box<dyn VideoDecoder>)> = None;
        let mut picture = Picture::new(2, 2).map_err(|e| e.to_string())?;
        let mut damaged: Option<Time> = None;
        while !shared.stopped() {
            let wake = buffer.next_wake().map(|t| shared.clock.instant(t));
            let wait = wake.map_or(LOOK_UP, |w| w.saturating_duration_since(Instant::now()).min(LOOK_UP));
            match self.frames.recv_timeout(wait) {
                Ok(frame) => {
                    shared.picture_bytes.fetch_sub(frame.payload.len(), Ordering::Relaxed);
                    let track = frame.track;
                    if decoder.is_none() {
                        decoder = Some((track, self.decoder(track, shared)?));
                    }
                    if decoder.as_ref().is_some_and(|(t, _)| *t == track) {
                        push(&mut buffer, frame);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            let Some((track, decoder)) = &mut decoder else { continue };
            while let Some(frame) = buffer.pull(shared.clock.now()) {
                match decoder.decode(&frame.payload, &mut picture) {
                    Ok(Decoded::Picture) => {
                        damaged = None;
                        shared.played.pictures.fetch_add(1, Ordering::Relaxed);
                        if let Some(sink) = &mut self.sink {
                            sink.show(&picture, Instant::now()).map_err(|e| e.to_string())?;
                        }
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "a picture was not decoded");
                        damaged.get_or_insert(Time::ZERO);
                    }
                }
            }
            let now = shared.clock.now();
            let rtt = shared.core(|call| call.stats().round_trip).flatten().unwrap_or(ASSUMED_RTT);
            let again = 2 * rtt + Duration::from_millis(100);
            let undecodable = damaged.is_some_and(|asked| now.since(asked) > again);
            if buffer.keyframe_needed(now, rtt) || undecodable {
                if undecodable {
                    damaged = Some(now);
                }
                shared.core(|call| call.request_keyframe(*track));
                shared.wake.notify_one();
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

fn push(buffer: &mut VideoBuffer, frame: IncomingFrame) {
    let FrameInfo::Video { capture, skippable } = frame.info else { return };
    let header = frame.header;
    buffer.push(
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
