//! What a call counts, for apps: named and measured as in the W3C's webrtc-stats where it has a name for it
//! (<https://www.w3.org/TR/webrtc-stats/>): times in s, rates in bit/s, serialised in camel case.

use crate::reach::Path;
use crate::shared::Shared;
use kring_core::call::CallStats;
use serde::Serialize;
use std::sync::atomic::Ordering;

/// What a call has counted so far, on this side, and what the other side tells of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Stats {
    /// The way between the two.
    pub transport: TransportStats,
    /// Voice.
    pub audio: AudioStats,
    /// Pictures.
    pub video: VideoStats,
    /// What the other side has told of what it receives, plays and shows; `None` until it has.
    pub remote: Option<RemoteStats>,
}

/// The way between the two. Packets are Kring's datagrams; bytes are without the headers of QUIC, UDP and IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TransportStats {
    /// How packets get to the other side. (No name in webrtc-stats.)
    pub path: Path,
    /// Packets sent.
    pub packets_sent: u64,
    /// Bytes of these.
    pub bytes_sent: u64,
    /// Packets received.
    pub packets_received: u64,
    /// Bytes of these.
    pub bytes_received: u64,
    /// Packets of the other side that did not come.
    pub packets_lost: u64,
    /// Packets that were dropped: not packets at all, forged, repeated or of an unknown track.
    pub packets_discarded: u64,
    /// Interarrival jitter in s (RFC 3550, section 6.4.1).
    pub jitter: f64,
    /// The smoothed round trip in s; `None` until measured.
    pub current_round_trip_time: Option<f64>,
    /// What the way is thought to carry, in bit/s, headers of all layers included.
    pub available_outgoing_bitrate: u32,
    /// What may be sent now, in bit/s: that, or less while a queue in the network drains.
    pub target_bitrate: u32,
    /// The share of this side's packets that get lost, 0 to 1, without what full queues drop.
    pub fraction_lost: f64,
    /// How long this side's packets wait in the network's queue, in s.
    pub queue_delay: f64,
}

/// Voice. Samples are at 48 kHz.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AudioStats {
    /// What may be sent of it, in bit/s, headers and copies included.
    pub target_bitrate: u32,
    /// How much sound goes into a packet now, in s; 0 while nothing is sent.
    pub packet_duration: f64,
    /// How many times each frame is sent now, the first included.
    pub transmissions: u32,
    /// The other side's samples that were played here, made up ones included.
    pub total_samples_received: u64,
    /// Of these, how many were made up for want of packets.
    pub concealed_samples: u64,
    /// Samples that stretching added, to be in time with the network.
    pub inserted_samples_for_deceleration: u64,
    /// Samples that stretching left out.
    pub removed_samples_for_acceleration: u64,
    /// How long sound waits here before it is played, beyond the fastest packets, in s.
    pub playout_delay: f64,
    /// How long it has to, for all to come in time, in s.
    pub jitter_buffer_target_delay: f64,
}

/// Why pictures are worse than they could be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum QualityLimitationReason {
    /// They are not.
    #[default]
    None,
    /// The network carries no more.
    Bandwidth,
}

/// Pictures: this side's on their way out, the other side's on their way in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VideoStats {
    /// What the encoder may take, in bit/s; 0 is none.
    pub target_bitrate: u32,
    /// Bytes that wait to be sent.
    pub queued_bytes: usize,
    /// Pictures encoded and sent.
    pub frames_encoded: u64,
    /// Of these, keyframes.
    pub key_frames_encoded: u64,
    /// Width of what is sent, in pixels; 0 before the first.
    pub sent_frame_width: u32,
    /// Height of what is sent.
    pub sent_frame_height: u32,
    /// Why it is worse than it could be.
    pub quality_limitation_reason: QualityLimitationReason,
    /// Packets of pictures sent again because they were lost.
    pub retransmitted_packets_sent: u64,
    /// Packets of parity sent beside pictures.
    pub fec_packets_sent: u64,
    /// Packets of parity that came.
    pub fec_packets_received: u64,
    /// Frames that parity made whole. (No name in webrtc-stats.)
    pub frames_repaired: u64,
    /// The other side's pictures that came whole.
    pub frames_received: u64,
    /// Of these, decoded.
    pub frames_decoded: u64,
    /// Of these, shown.
    pub frames_rendered: u64,
    /// Of those that came, not shown: too late, without their reference, or passed over for a newer one.
    pub frames_dropped: u64,
    /// Pictures shown a second, lately.
    pub frames_per_second: f64,
    /// Width of what came last, in pixels.
    pub frame_width: u32,
    /// Height of what came last.
    pub frame_height: u32,
    /// How often a picture stood still for more than three times the usual, and 150 ms.
    pub freeze_count: u64,
    /// How long in all, in s.
    pub total_freezes_duration: f64,
    /// How often the other side was told that this side cannot go on.
    pub pli_count: u64,
}

/// What the other side has told, sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RemoteStats {
    /// This side's packets that it has received.
    pub packets_received: u64,
    /// This side's packets that it lacks.
    pub packets_lost: u64,
    /// Interarrival jitter there, in s.
    pub jitter: f64,
    /// This side's sound that it has played, in s, made up sound included.
    pub total_samples_duration: f64,
    /// Of this, how much was made up for want of packets, in s.
    pub concealed_duration: f64,
    /// How long this side's sound waits there before it is played, in s.
    pub playout_delay: f64,
    /// This side's pictures that it has shown.
    pub frames_rendered: u64,
    /// How long these stood still there, in s.
    pub total_freezes_duration: f64,
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

impl Stats {
    pub(crate) fn of(shared: &Shared) -> Stats {
        let (call, network) =
            shared.core(|call| (call.stats(), Some(call.network()))).unwrap_or((CallStats::default(), None));
        let played = &shared.played;
        let count = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed);
        Stats {
            transport: TransportStats {
                path: shared.path(),
                packets_sent: call.datagrams_sent,
                bytes_sent: call.bytes_sent,
                packets_received: call.datagrams_received,
                bytes_received: call.bytes_received,
                packets_lost: call.datagrams_lost,
                packets_discarded: call.dropped,
                jitter: seconds(call.jitter_us),
                current_round_trip_time: call.round_trip.map(|rtt| rtt.as_secs_f64()),
                available_outgoing_bitrate: call.estimate,
                target_bitrate: call.target,
                fraction_lost: network.map_or(0.0, |n| n.loss),
                queue_delay: network.map_or(0.0, |n| n.queue.as_secs_f64()),
            },
            audio: AudioStats {
                target_bitrate: call.share.audio,
                packet_duration: seconds(count(&shared.spoken.duration_us)),
                transmissions: count(&shared.spoken.transmissions) as u32,
                total_samples_received: count(&played.audio_samples),
                concealed_samples: count(&played.concealed_samples),
                inserted_samples_for_deceleration: count(&played.inserted_samples),
                removed_samples_for_acceleration: count(&played.removed_samples),
                playout_delay: seconds(count(&played.delay_us)),
                jitter_buffer_target_delay: seconds(count(&played.target_us)),
            },
            video: video(shared, &call),
            remote: call.peer.map(|peer| RemoteStats {
                packets_received: peer.received,
                packets_lost: peer.lost,
                jitter: seconds(peer.jitter_us),
                total_samples_duration: peer.playout.audio_played_ms as f64 / 1000.0,
                concealed_duration: peer.playout.audio_concealed_ms as f64 / 1000.0,
                playout_delay: seconds(peer.playout.audio_delay_us),
                frames_rendered: peer.playout.pictures_shown,
                total_freezes_duration: peer.playout.frozen_ms as f64 / 1000.0,
            }),
        }
    }
}

fn video(shared: &Shared, call: &CallStats) -> VideoStats {
    let (watched, filmed) = (shared.watched(|watched| *watched), shared.filmed(|filmed| *filmed));
    let limited = filmed.limited.then_some(QualityLimitationReason::Bandwidth);
    VideoStats {
        target_bitrate: call.share.video,
        queued_bytes: call.video_queue_bytes,
        frames_encoded: filmed.encoded,
        key_frames_encoded: filmed.keyframes,
        sent_frame_width: filmed.size.0,
        sent_frame_height: filmed.size.1,
        quality_limitation_reason: limited.unwrap_or_default(),
        retransmitted_packets_sent: call.pictures_repeated,
        fec_packets_sent: call.parity_sent,
        fec_packets_received: call.parity_received,
        frames_repaired: call.frames_repaired,
        frames_received: watched.received,
        frames_decoded: watched.decoded,
        frames_rendered: shared.played.pictures.load(Ordering::Relaxed),
        frames_dropped: watched.dropped,
        frames_per_second: watched.per_second,
        frame_width: watched.size.0,
        frame_height: watched.size.1,
        freeze_count: watched.freezes,
        total_freezes_duration: watched.frozen.as_secs_f64(),
        pli_count: watched.losses,
    }
}
