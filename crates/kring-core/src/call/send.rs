//! What goes out: frames sealed and queued, datagrams when it is their turn, reports.
//!
//! Guarantee: nothing leaves on a track that is not live or to somebody whose key has changed, and pictures never leave faster than rate control lets them.

use super::pictures::Outgoing;
use super::protect::Class;
use super::report::put_arrivals;
use super::{Call, OwnTrack, Phase, Picture, REPORT_INTERVAL, REPORT_LEN, SendError};
use crate::keys::REPORT_TRACK;
use crate::media::audio::{Copies, SpokenFrame};
use crate::media::{Datagram, FrameHeader, FrameInfo, MediaKind, Packetiser, padding};
use crate::offer::TrackState;
use crate::rate::{NetworkState, Share};
use crate::time::Time;
use std::time::Duration;

/// The share of datagrams that may get lost for all that is known from the first reports: voice gets room for copies.
const ASSUMED_LOSS: f64 = 0.1;
/// The most that `skippable` can say.
const MAX_SKIPPABLE: u32 = 63;
/// A report that tells of a loss waits so long for more of it, and comes so long after the last one at least.
const HURRY: (Duration, Duration) = (Duration::from_millis(3), Duration::from_millis(12));

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
        self.hushed = Time::ZERO;
        self.live(track, MediaKind::Audio)?.next_frame = frame_id.wrapping_add(1);
        Ok(())
    }

    /// Seals one picture and queues its packets, with as much parity as the network calls for; gives back its frame id.
    ///
    /// # Errors
    /// A [`SendError`]; nothing is queued then.
    pub fn send_video(&mut self, now: Time, track: u8, picture: &Picture<'_>) -> Result<u32, SendError> {
        let own = self.live(track, MediaKind::Video)?;
        let frame_id = own.next_frame;
        let reference = picture.refers_to.or(own.reference).filter(|id| *id < frame_id && !picture.keyframe);
        let skippable = reference.map_or(0, |id| frame_id - 1 - id).min(MAX_SKIPPABLE) as u8;
        let recovers = picture.keyframe || own.recovering.is_return(reference);
        let header = FrameHeader {
            keyframe: picture.keyframe,
            discardable: picture.discardable,
            temporal_layer: picture.temporal_layer.min(3),
            spatial_layer: picture.spatial_layer.min(3),
            frame_id,
        };
        let info = FrameInfo::Video { capture: picture.capture.as_micros(), skippable };
        let part = self.protection.part(picture.payload.len()).min(self.rate.fragment());
        self.packetiser = Packetiser::new(part);
        let parts = self.seal(track, &header, Some(info), picture.payload)?;
        let class = match picture {
            Picture { keyframe: true, .. } => Class::Keyframe,
            Picture { discardable: true, .. } => Class::Discardable,
            Picture { temporal_layer: 0, .. } => Class::Base,
            _ => Class::Layer,
        };
        let wanted = self.protection.parity(u16::try_from(parts.len()).unwrap_or(u16::MAX), class);
        let parity = self.protect(track, &header, wanted);
        // Where there is parity for each part and that is too little, the parts themselves go twice.
        let twice = usize::from(wanted).saturating_sub(parity.len()).min(parity.len());
        let size = |datagrams: &[Datagram]| datagrams.iter().map(|d| d.bytes.len()).sum::<usize>();
        let sizes = (size(&parts), size(&parity) + size(&parts[..twice]));
        if recovers {
            self.pictures.recovers(track, frame_id);
        }
        let outgoing = Outgoing { track, frame_id, class, parts, parity, twice };
        if !self.pictures.push(now, outgoing, self.protection.apart()) {
            return Err(SendError::QueueFull);
        }
        self.protection.sent(sizes.0, sizes.1);
        let own = self.live(track, MediaKind::Video)?;
        own.next_frame = frame_id.wrapping_add(1);
        if !picture.discardable {
            own.reference = Some(frame_id);
        }
        if recovers {
            own.recovering.sent(now, frame_id);
        }
        Ok(frame_id)
    }

    /// Parity over the frame that was sealed last.
    fn protect(&self, track: u8, header: &FrameHeader, wanted: u16) -> Vec<Datagram> {
        let sealed = &self.scratch.1[header.encoded_len()..];
        let stream = self.own.kid(track).stream();
        let grease = sealed.last().copied().unwrap_or(0);
        self.packetiser.protect(header, stream, sealed, grease, wanted).unwrap_or_default()
    }

    pub(super) fn live(&mut self, track: u8, kind: MediaKind) -> Result<&mut OwnTrack, SendError> {
        if self.phase != Phase::Talking {
            return Err(SendError::NotTalking);
        }
        if self.is_held() {
            return Err(SendError::KeyChanged);
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
    ) -> Result<Vec<Datagram>, SendError> {
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

    /// The share of packets, 0 to 1, that voice is to be prepared to lack in time: those lost and, where packets overtake each
    /// other, those late.
    #[must_use]
    pub fn voice_loss(&self) -> f64 {
        self.rate.voice_loss()
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
        // Bits of the encoder's cost as much as what is sent beside them.
        let beside = 1.0 + self.protection.overhead();
        let sends =
            |t: &OwnTrack| t.info.source.kind() == MediaKind::Video && t.info.state == TrackState::Live;
        let video = self.tracks.values().any(sends);
        let loss = self.rate.voice_loss();
        let loss = if self.rate.is_told() { loss } else { loss.max(ASSUMED_LOSS) };
        let whole = Share::new(self.rate.estimate(), loss, video, self.share).video;
        self.pictures.set_rate(whole);
        let Share { audio, video, .. } = Share::new(network.target, loss, video, self.share);
        (self.share.audio, self.share.video) = (audio, (f64::from(video) / beside) as u32);
    }

    /// The next datagram to send, now: its send time is stamped here. Voice goes at once, pictures when it is their
    /// turn; see [`next_datagram`](Call::next_datagram).
    pub fn poll_datagram(&mut self, now: Time) -> Option<Vec<u8>> {
        let mut datagram = match self.outbox.pop() {
            Some(datagram) => datagram,
            None if now >= self.hushed && self.rate.is_open(now) => {
                let probe = || self.rate.padding().map(padding);
                self.pictures.pop(now, self.transport_sequence).or_else(probe)?
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
        if self.outbox.waits() {
            return Some(Time::ZERO);
        }
        let due = self.rate.padding().map(|_| Time::ZERO).or_else(|| self.pictures.due())?;
        self.rate.opens().map(|opens| opens.max(due).max(self.hushed))
    }

    /// Arrivals are reported as often as the rate allows, counts less often.
    pub(super) fn report_due(&self) -> Time {
        if !self.inbox.news {
            return self.next_counts;
        }
        let due = if self.inbox.arrivals.recorder.is_due() { Time::ZERO } else { self.next_report };
        due.min(self.next_counts)
    }

    /// Something has not come: the sooner the peer knows, the sooner it is sent again.
    pub(super) fn hurry(&mut self, now: Time) {
        if self.shown.is_empty() {
            return;
        }
        let apart = (self.report_interval / 4).max(HURRY.1);
        self.next_report = self.next_report.min((now + HURRY.0).max(self.reported + apart));
        self.hurried = true;
    }

    pub(super) fn send_report(&mut self, now: Time) {
        self.inbox.news = false;
        self.reported = now;
        let mut report = Vec::with_capacity(128);
        if let Some(arrivals) = self.inbox.arrivals.recorder.report(now) {
            put_arrivals(&arrivals, &mut report);
        }
        let interval = self.rate.report_interval(REPORT_LEN + report.len());
        // A report that tells of a loss may be lost itself: the next one, which tells it again, comes soon.
        self.report_interval = interval;
        let soon = std::mem::take(&mut self.hurried);
        self.next_report = now + if soon { interval.min((interval / 4).max(HURRY.1) * 2) } else { interval };
        if now >= self.next_counts {
            self.inbox.arrivals.report(self.playout).encode(&mut report);
            self.next_counts = now + REPORT_INTERVAL.max(self.next_report.since(now));
        }
        self.shown.values().for_each(|state| state.encode(&mut report));
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
