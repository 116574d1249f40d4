//! What goes out: frames sealed and queued, datagrams when it is their turn, reports.
//!
//! Guarantee: nothing leaves on a track that is not live, and pictures never leave faster than rate control lets them.

use super::report::put_arrivals;
use super::{Call, OwnTrack, Phase, Picture, REPORT_INTERVAL, REPORT_LEN, SendError};
use crate::keys::REPORT_TRACK;
use crate::media::audio::{Copies, SpokenFrame};
use crate::media::{FrameHeader, FrameInfo, MediaKind, Packetiser, padding};
use crate::offer::TrackState;
use crate::rate::{NetworkState, Share};
use crate::time::Time;
use std::time::Duration;

/// The share of datagrams that may get lost for all that is known before the first report: voice gets room for copies.
const ASSUMED_LOSS: f64 = 0.1;

impl Call {
    /// Seals one audio packet with `copies` of those before it and queues it. `capture` is when its first sample was
    /// captured; `level` is in −dBov.
    ///
    /// # Errors
    /// A [`SendError`]; nothing is queued then.
    pub fn send_audio(
        &mut self,
        track: u8,
        capture: Time,
        duration: Duration,
        level: u8,
        payload: &[u8],
        copies: &Copies,
    ) -> Result<(), SendError> {
        let own = self.live(track, MediaKind::Audio)?;
        let frame_id = own.next_frame;
        let frame = SpokenFrame { id: frame_id, capture: capture.as_micros(), duration, level, payload };
        let mut body = Vec::with_capacity(copies.size().max(payload.len() + 8));
        own.bundler.write(&frame, copies, &mut body);
        let header =
            FrameHeader { keyframe: true, discardable: true, temporal_layer: 0, spatial_layer: 0, frame_id };
        let info = FrameInfo::Audio { capture: capture.as_micros(), duration, level };
        let datagrams = self.seal(track, &header, Some(info), &body)?;
        self.outbox.push_audio(datagrams);
        self.live(track, MediaKind::Audio)?.next_frame = frame_id.wrapping_add(1);
        Ok(())
    }

    /// Seals one picture and queues its packets.
    ///
    /// # Errors
    /// A [`SendError`]; nothing is queued then.
    pub fn send_video(&mut self, now: Time, track: u8, picture: &Picture<'_>) -> Result<(), SendError> {
        let own = self.live(track, MediaKind::Video)?;
        let (frame_id, skippable) = (own.next_frame, own.discardable_run);
        let header = FrameHeader {
            keyframe: picture.keyframe,
            discardable: picture.discardable,
            temporal_layer: picture.temporal_layer.min(3),
            spatial_layer: picture.spatial_layer.min(3),
            frame_id,
        };
        let info = FrameInfo::Video { capture: picture.capture.as_micros(), skippable };
        self.packetiser = Packetiser::new(self.rate.fragment());
        let datagrams = self.seal(track, &header, Some(info), picture.payload)?;
        if !self.outbox.push_video(now, datagrams) {
            return Err(SendError::QueueFull);
        }
        let own = self.live(track, MediaKind::Video)?;
        own.next_frame = frame_id.wrapping_add(1);
        own.discardable_run = if picture.discardable { (own.discardable_run + 1).min(63) } else { 0 };
        Ok(())
    }

    pub(super) fn live(&mut self, track: u8, kind: MediaKind) -> Result<&mut OwnTrack, SendError> {
        if self.phase != Phase::Talking {
            return Err(SendError::NotTalking);
        }
        let live = self.tracks.get_mut(&track).filter(|t| t.info.state == TrackState::Live);
        let live = live.ok_or(SendError::NotLive { track })?;
        let announced = live.info.source.kind();
        if announced == kind { Ok(live) } else { Err(SendError::OtherKind { track, announced }) }
    }

    pub(super) fn seal(
        &mut self,
        track: u8,
        header: &FrameHeader,
        info: Option<FrameInfo>,
        payload: &[u8],
    ) -> Result<Vec<crate::media::Datagram>, SendError> {
        let (plaintext, sealed) = &mut self.scratch;
        plaintext.clear();
        if let Some(info) = info {
            info.encode(plaintext);
        }
        plaintext.extend_from_slice(payload);
        let mut metadata = Vec::with_capacity(FrameHeader::MAX_LEN);
        header.encode(&mut metadata);
        self.own.sealer(track).seal(&metadata, plaintext, sealed)?;
        let stream = self.own.kid(track).stream();
        // The tag's last bits are as good as random.
        let grease = sealed.last().copied().unwrap_or(0);
        self.packetiser
            .packetise(header, stream, &sealed[metadata.len()..], grease)
            .map_err(|_| SendError::TooLarge { came: payload.len() })
    }

    /// Sets the most that all media together may take, in bit/s, headers included. Default 2,000,000.
    pub fn set_max_rate(&mut self, bits_per_second: u32) {
        self.rate.set_most(bits_per_second);
        self.share();
    }

    /// What the way is assumed to carry until the first report has come, in bit/s, from how quickly the set-up went:
    /// see [`RateControl::assume`](crate::rate::RateControl::assume).
    pub fn assume_rate(&mut self, now: Time, bits_per_second: f64, round_trip: Duration) {
        self.rate.assume(now, bits_per_second, round_trip);
        self.share();
    }

    /// What is known of the network: what redundancy and rates are chosen by.
    #[must_use]
    pub fn network(&self) -> NetworkState {
        self.rate.network()
    }

    /// What voice and pictures may take now.
    #[must_use]
    pub fn shares(&self) -> Share {
        self.share
    }

    /// How many bytes may be on their way at once, as a bound for the transport below.
    #[must_use]
    pub fn window(&self) -> u64 {
        self.rate.window()
    }

    /// The path below has changed.
    pub fn path_changed(&mut self, now: Time) {
        self.rate.path_changed(now);
    }

    pub(super) fn share(&mut self) {
        let network = self.rate.network();
        let sends =
            |t: &OwnTrack| t.info.source.kind() == MediaKind::Video && t.info.state == TrackState::Live;
        let video = self.tracks.values().any(sends);
        let loss = if self.rate.is_told() { network.loss } else { ASSUMED_LOSS };
        self.share = Share::new(network.target, loss, video, self.share);
    }

    /// The next datagram to send, now: its send time is stamped here. Voice goes at once, pictures when it is their
    /// turn; see [`next_datagram`](Call::next_datagram).
    pub fn poll_datagram(&mut self, now: Time) -> Option<Vec<u8>> {
        let mut datagram = match self.outbox.pop_urgent() {
            Some(datagram) => datagram,
            None if self.rate.is_open(now) => {
                let probe = || self.rate.padding().map(padding);
                self.outbox.pop_video(now).or_else(probe)?
            }
            None => return None,
        };
        datagram.stamp(self.transport_sequence, now);
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        self.rate.sent(now, datagram.bytes.len());
        self.stats.datagrams_sent += 1;
        self.stats.bytes_sent += datagram.bytes.len() as u64;
        Some(datagram.bytes)
    }

    /// When [`poll_datagram`](Call::poll_datagram) will have something that waits for its turn now; `None` if nothing
    /// does. (What is queued later is not foreseen.)
    #[must_use]
    pub fn next_datagram(&self) -> Option<Time> {
        match self.outbox.waiting() {
            (true, _) => Some(Time::ZERO),
            (false, video) => self.rate.opens().filter(|_| video || self.rate.padding().is_some()),
        }
    }

    /// Arrivals are reported as often as the rate allows, counts less often.
    pub(super) fn report_due(&self) -> Time {
        if !self.inbox.news {
            return self.next_counts;
        }
        let due = if self.inbox.arrivals.recorder.is_due() { Time::ZERO } else { self.next_report };
        due.min(self.next_counts)
    }

    pub(super) fn send_report(&mut self, now: Time) {
        self.inbox.news = false;
        let mut report = Vec::with_capacity(128);
        if let Some(arrivals) = self.inbox.arrivals.recorder.report(now) {
            put_arrivals(&arrivals, &mut report);
        }
        self.next_report = now + self.rate.report_interval(REPORT_LEN + report.len());
        if now >= self.next_counts {
            self.inbox.arrivals.report(self.playout).encode(&mut report);
            self.next_counts = now + REPORT_INTERVAL.max(self.next_report.since(now));
        }
        let header = FrameHeader {
            keyframe: true,
            discardable: true,
            temporal_layer: 0,
            spatial_layer: 0,
            frame_id: self.report_frame,
        };
        self.report_frame = self.report_frame.wrapping_add(1);
        if let Ok(datagrams) = self.seal(REPORT_TRACK, &header, None, &report) {
            datagrams.into_iter().for_each(|d| self.outbox.push_report(d));
        }
    }
}
