//! What a call counts: as a struct, and as JSON with the names of the W3C's webrtc-stats.

use crate::call::{get, kring_call};
use crate::error::{Failure, KRING_ERROR_INTERNAL, guard};
use crate::{event, sized, text};
use kring::{QualityLimitationReason, Stats};
use std::ffi::c_char;
use std::mem::offset_of;

/// What a call has counted so far, on this side, and what the other side tells of its own. Times in s, rates in bit/s.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_stats {
    /// sizeof(kring_stats), set before the call.
    pub struct_size: u32,
    /// 1 if the other side has told something: the members that begin with remote_.
    pub has_remote: u32,

    /// Packets sent. Bytes are without the headers of QUIC, UDP and IP.
    pub packets_sent: u64,
    /// Bytes of these.
    pub bytes_sent: u64,
    /// Packets received.
    pub packets_received: u64,
    /// Bytes of these.
    pub bytes_received: u64,
    /// Packets of the other side that did not come.
    pub packets_lost: u64,
    /// Packets that were dropped: forged, repeated, or no packets at all.
    pub packets_discarded: u64,
    /// Interarrival jitter (RFC 3550, section 6.4.1).
    pub jitter: f64,
    /// The smoothed round trip; negative until measured.
    pub round_trip_time: f64,
    /// The share of this side's packets that get lost, 0 to 1, without what full queues drop.
    pub fraction_lost: f64,
    /// How long this side's packets wait in the network's queue.
    pub queue_delay: f64,
    /// What the way is thought to carry, headers of all layers included.
    pub available_outgoing_bitrate: u32,
    /// What may be sent now.
    pub target_bitrate: u32,

    /// What may be sent of voice, headers and copies included.
    pub audio_target_bitrate: u32,
    /// How many times each frame of voice is sent now, the first included.
    pub audio_transmissions: u32,
    /// How much sound goes into a packet now; 0 while nothing is sent.
    pub audio_packet_duration: f64,
    /// The other side's samples that were played here, at 48 kHz, made up ones included.
    pub audio_samples_received: u64,
    /// Of these, how many were made up for want of packets.
    pub audio_concealed_samples: u64,
    /// Samples that stretching added.
    pub audio_inserted_samples: u64,
    /// Samples that stretching left out.
    pub audio_removed_samples: u64,
    /// How long sound waits here before it is played, beyond the fastest packets.
    pub audio_playout_delay: f64,
    /// How long it has to, for all to come in time.
    pub audio_target_delay: f64,

    /// What the encoder of pictures may take; 0 is none.
    pub video_target_bitrate: u32,
    /// 1 if pictures are worse than they could be, because the network carries no more.
    pub video_limited_by_bandwidth: u32,
    /// Width of what is sent, in pixels; 0 before the first.
    pub video_sent_width: u32,
    /// Height of what is sent.
    pub video_sent_height: u32,
    /// Width of what came last.
    pub video_received_width: u32,
    /// Height of what came last.
    pub video_received_height: u32,
    /// Bytes that wait to be sent.
    pub video_queued_bytes: u64,
    /// Pictures encoded and sent.
    pub video_frames_encoded: u64,
    /// Of these, keyframes.
    pub video_key_frames_encoded: u64,
    /// Packets of pictures sent again because they were lost.
    pub video_retransmitted_packets: u64,
    /// Packets of parity sent.
    pub video_fec_packets_sent: u64,
    /// Packets of parity that came.
    pub video_fec_packets_received: u64,
    /// Frames that parity made whole.
    pub video_frames_repaired: u64,
    /// The other side's pictures that came whole.
    pub video_frames_received: u64,
    /// Of these, decoded.
    pub video_frames_decoded: u64,
    /// Of these, shown.
    pub video_frames_rendered: u64,
    /// Of those that came, not shown.
    pub video_frames_dropped: u64,
    /// Pictures shown a second, lately.
    pub video_frames_per_second: f64,
    /// How often a picture stood still for more than three times the usual, and 150 ms.
    pub video_freezes: u64,
    /// How long in all.
    pub video_freezes_duration: f64,
    /// How often the other side was told that this side cannot go on.
    pub video_picture_losses: u64,

    /// This side's packets that the other has received.
    pub remote_packets_received: u64,
    /// This side's packets that it lacks.
    pub remote_packets_lost: u64,
    /// Interarrival jitter there.
    pub remote_jitter: f64,
    /// This side's sound that it has played, made up sound included.
    pub remote_played: f64,
    /// Of this, how much was made up for want of packets.
    pub remote_concealed: f64,
    /// How long this side's sound waits there before it is played.
    pub remote_playout_delay: f64,
    /// This side's pictures that it has shown.
    pub remote_frames_rendered: u64,
    /// How long these stood still there.
    pub remote_freezes_duration: f64,

    /// How packets get to the other side: a KRING_PATH_ value.
    pub path: u32,
    /// 0.
    pub reserved: u32,
}

sized::versioned!(kring_stats, offset_of!(kring_stats, path));

impl kring_stats {
    fn new(stats: &Stats) -> kring_stats {
        let (transport, audio, video) = (&stats.transport, &stats.audio, &stats.video);
        let remote = stats.remote.unwrap_or_default();
        kring_stats {
            struct_size: size_of::<kring_stats>() as u32,
            has_remote: stats.remote.is_some().into(),
            packets_sent: transport.packets_sent,
            bytes_sent: transport.bytes_sent,
            packets_received: transport.packets_received,
            bytes_received: transport.bytes_received,
            packets_lost: transport.packets_lost,
            packets_discarded: transport.packets_discarded,
            jitter: transport.jitter,
            round_trip_time: transport.current_round_trip_time.unwrap_or(-1.0),
            fraction_lost: transport.fraction_lost,
            queue_delay: transport.queue_delay,
            available_outgoing_bitrate: transport.available_outgoing_bitrate,
            target_bitrate: transport.target_bitrate,
            audio_target_bitrate: audio.target_bitrate,
            audio_transmissions: audio.transmissions,
            audio_packet_duration: audio.packet_duration,
            audio_samples_received: audio.total_samples_received,
            audio_concealed_samples: audio.concealed_samples,
            audio_inserted_samples: audio.inserted_samples_for_deceleration,
            audio_removed_samples: audio.removed_samples_for_acceleration,
            audio_playout_delay: audio.playout_delay,
            audio_target_delay: audio.jitter_buffer_target_delay,
            video_target_bitrate: video.target_bitrate,
            video_limited_by_bandwidth: (video.quality_limitation_reason
                == QualityLimitationReason::Bandwidth)
                .into(),
            video_sent_width: video.sent_frame_width,
            video_sent_height: video.sent_frame_height,
            video_received_width: video.frame_width,
            video_received_height: video.frame_height,
            video_queued_bytes: video.queued_bytes as u64,
            video_frames_encoded: video.frames_encoded,
            video_key_frames_encoded: video.key_frames_encoded,
            video_retransmitted_packets: video.retransmitted_packets_sent,
            video_fec_packets_sent: video.fec_packets_sent,
            video_fec_packets_received: video.fec_packets_received,
            video_frames_repaired: video.frames_repaired,
            video_frames_received: video.frames_received,
            video_frames_decoded: video.frames_decoded,
            video_frames_rendered: video.frames_rendered,
            video_frames_dropped: video.frames_dropped,
            video_frames_per_second: video.frames_per_second,
            video_freezes: video.freeze_count,
            video_freezes_duration: video.total_freezes_duration,
            video_picture_losses: video.pli_count,
            remote_packets_received: remote.packets_received,
            remote_packets_lost: remote.packets_lost,
            remote_jitter: remote.jitter,
            remote_played: remote.total_samples_duration,
            remote_concealed: remote.concealed_duration,
            remote_playout_delay: remote.playout_delay,
            remote_frames_rendered: remote.frames_rendered,
            remote_freezes_duration: remote.total_freezes_duration,
            path: event::path(transport.path),
            reserved: 0,
        }
    }
}

/// What was counted so far; cheap enough for once a frame.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_stats(call: kring_call, stats: *mut kring_stats) -> i32 {
    guard(|| {
        let value = kring_stats::new(&get(call)?.call.stats());
        // SAFETY: the caller's promise.
        unsafe { sized::write(stats, &value) }
    })
}

/// The same as JSON, with the names of the W3C's webrtc-stats; some 2,000 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_call_stats_json(
    call: kring_call,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    guard(|| {
        let stats = get(call)?.call.stats();
        let json = serde_json::to_string(&stats).map_err(|e| Failure::new(KRING_ERROR_INTERNAL, e))?;
        // SAFETY: the caller's promise.
        unsafe { text::put(&json, buffer, capacity, length) }
    })
}
