//! What a video decoder is given, and when a keyframe is asked for.

use std::time::Duration;

use kring_core::media::{MAX_FRAME, MAX_VIDEO_BYTES, MAX_VIDEO_FRAMES, VideoBuffer, VideoFrame};
use kring_core::time::Time;
use proptest::prelude::*;

const RTT: Duration = Duration::from_millis(80);

fn delta(frame_id: u32) -> VideoFrame {
    VideoFrame {
        frame_id,
        keyframe: false,
        discardable: false,
        skippable: 0,
        temporal_layer: 0,
        capture: u64::from(frame_id) * 33_333,
        payload: vec![0; 10],
    }
}

fn key(frame_id: u32) -> VideoFrame {
    VideoFrame { keyframe: true, ..delta(frame_id) }
}

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

fn push(buffer: &mut VideoBuffer, ms: u64, frames: impl IntoIterator<Item = VideoFrame>) {
    frames.into_iter().for_each(|frame| buffer.push(at(ms), frame));
}

fn pull(buffer: &mut VideoBuffer, ms: u64) -> Vec<u32> {
    std::iter::from_fn(|| buffer.pull(at(ms))).map(|frame| frame.frame_id).collect()
}

/// A buffer whose decoder has had the keyframe 0.
fn started() -> VideoBuffer {
    let mut buffer = VideoBuffer::default();
    push(&mut buffer, 0, [key(0)]);
    assert_eq!(pull(&mut buffer, 0), [0]);
    buffer
}

#[test]
fn frames_come_out_in_order_and_at_once() {
    let mut buffer = started();
    push(&mut buffer, 33, [delta(1)]);
    assert_eq!(pull(&mut buffer, 33), [1]);
    push(&mut buffer, 66, [delta(3), delta(2), delta(2)]);
    assert_eq!(pull(&mut buffer, 66), [2, 3]);
    let stats = buffer.stats();
    assert_eq!((stats.received, stats.decodable, stats.duplicate, stats.dropped), (4, 4, 1, 0));
    assert_eq!(buffer.next_wake(), None);
}

#[test]
fn nothing_is_decodable_before_the_first_keyframe() {
    let mut buffer = VideoBuffer::default();
    push(&mut buffer, 0, [delta(1), delta(2)]);
    assert_eq!(pull(&mut buffer, 10), []);
    assert!(!buffer.keyframe_needed(at(10), RTT), "the keyframe is larger and may be on its way");
    assert_eq!(buffer.next_wake(), Some(at(60)));
    push(&mut buffer, 20, [key(0)]);
    assert_eq!(pull(&mut buffer, 20), [0, 1, 2]);
    assert!(!buffer.keyframe_needed(at(100), RTT));
}

#[test]
fn a_track_that_begins_without_a_keyframe_asks_for_one() {
    let mut buffer = VideoBuffer::default();
    push(&mut buffer, 0, [delta(7)]);
    assert_eq!(pull(&mut buffer, 60), []);
    assert!(buffer.keyframe_needed(at(60), RTT));
}

#[test]
fn a_missing_frame_is_waited_for_and_then_given_up() {
    let mut buffer = started();
    push(&mut buffer, 66, [delta(2)]);
    push(&mut buffer, 99, [delta(3)]);
    assert_eq!(pull(&mut buffer, 125), []);
    assert_eq!(buffer.next_wake(), Some(at(126)));
    assert!(!buffer.keyframe_needed(at(125), RTT));
    let mut repaired = started();
    push(&mut repaired, 66, [delta(2), delta(3), delta(1)]);
    assert_eq!(pull(&mut repaired, 120), [1, 2, 3]);

    assert_eq!(pull(&mut buffer, 126), []);
    assert!(buffer.keyframe_needed(at(126), RTT));
    push(&mut buffer, 130, [delta(1)]);
    push(&mut buffer, 200, [delta(4), key(5), delta(6)]);
    assert_eq!(pull(&mut buffer, 200), [5, 6], "the decoder went on at the keyframe");
    assert_eq!(buffer.next_wake(), None);
}

#[test]
fn a_keyframe_passes_any_gap_at_once() {
    let mut buffer = started();
    push(&mut buffer, 10, [delta(5), key(9), delta(10)]);
    assert_eq!(pull(&mut buffer, 10), []);
    assert_eq!(pull(&mut buffer, 70), [9, 10]);
    push(&mut buffer, 80, [key(20)]);
    assert_eq!(pull(&mut buffer, 80), [20]);
}

#[test]
fn without_patience_a_gap_is_given_up_at_once() {
    let mut buffer = started();
    buffer.set_patience(Duration::ZERO);
    push(&mut buffer, 66, [delta(2)]);
    assert_eq!(pull(&mut buffer, 66), []);
    assert!(buffer.keyframe_needed(at(66), RTT));
}

#[test]
fn missing_discardable_frames_break_nothing() {
    let mut buffer = started();
    push(&mut buffer, 66, [VideoFrame { skippable: 1, ..delta(2) }]);
    assert_eq!(pull(&mut buffer, 66), [2]);
    push(&mut buffer, 99, [VideoFrame { skippable: 1, ..delta(5) }]);
    assert_eq!(pull(&mut buffer, 99), [], "one of the two that lack is no discardable frame");
    assert_eq!(pull(&mut buffer, 159), []);
    assert!(buffer.keyframe_needed(at(159), RTT));
}

#[test]
fn keyframes_are_asked_for_at_once_and_then_ever_more_rarely() {
    let mut buffer = started();
    push(&mut buffer, 0, [delta(2)]);
    let mut asked = Vec::new();
    for ms in 0..10_000 {
        pull(&mut buffer, ms);
        if buffer.keyframe_needed(at(ms), RTT) {
            asked.push(ms);
        }
    }
    assert_eq!(asked, [60, 220, 540, 1180, 2460, 4460, 6460, 8460]);
    assert_eq!(buffer.stats().keyframes_requested, 8);
    push(&mut buffer, 10_000, [key(300)]);
    assert_eq!(pull(&mut buffer, 10_000), [300]);
    push(&mut buffer, 10_000, [delta(302)]);
    assert_eq!(pull(&mut buffer, 10_060), []);
    assert!(buffer.keyframe_needed(at(10_060), RTT), "a new break is asked about at once");
}

#[test]
fn a_buffer_that_nobody_empties_stays_bounded() {
    let mut buffer = started();
    push(&mut buffer, 0, (1..1000).map(delta));
    assert_eq!(buffer.len(), MAX_VIDEO_FRAMES);
    assert_eq!(pull(&mut buffer, 1), [], "the frames that were dropped are missed");
    assert!(buffer.keyframe_needed(at(1), RTT));
    push(&mut buffer, 0, (1000..1020).map(|id| VideoFrame { payload: vec![0; MAX_FRAME], ..delta(id) }));
    assert_eq!(buffer.bytes(), MAX_VIDEO_BYTES);
    let dropped = buffer.stats().dropped;
    push(&mut buffer, 0, [VideoFrame { payload: vec![0; MAX_FRAME + 1], ..key(2000) }]);
    assert_eq!(buffer.stats().dropped, dropped + 1);
}

#[test]
fn a_sender_that_counts_anew_is_followed() {
    let mut buffer = started();
    push(&mut buffer, 0, [key(1_000_000)]);
    assert_eq!(pull(&mut buffer, 0), [1_000_000]);
    push(&mut buffer, 33, [key(0), delta(1)]);
    assert_eq!(pull(&mut buffer, 33), [0, 1]);
}

proptest! {
    #[test]
    fn no_frame_comes_out_without_its_reference(
        steps in proptest::collection::vec((0..150u32, any::<bool>(), 0..40u64, 0..4u8), 0..300),
    ) {
        // Every third frame is discardable, every fiftieth a keyframe.
        let frame = |id: u32| {
            let discardable = id % 3 == 1;
            let skippable = u8::from(id % 3 == 2);
            VideoFrame { keyframe: id.is_multiple_of(50), discardable, skippable, ..delta(id) }
        };
        let (mut buffer, mut now, mut base, mut had) = (VideoBuffer::default(), 0, 0, None::<u32>);
        for (id, near, ms, action) in steps {
            now += ms;
            base += u32::from(near);
            buffer.push(at(now), frame(if near { base } else { id }));
            while action > 0 && let Some(out) = buffer.pull(at(now)) {
                prop_assert!(had.is_none_or(|had| out.frame_id > had));
                if !out.keyframe {
                    let reference = out.frame_id - 1 - u32::from(out.skippable);
                    prop_assert!(had.is_some_and(|had| had >= reference), "{had:?} then {}", out.frame_id);
                }
                had = Some(out.frame_id);
            }
            buffer.keyframe_needed(at(now), RTT);
            prop_assert!(buffer.len() <= MAX_VIDEO_FRAMES);
        }
    }
}
