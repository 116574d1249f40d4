//! What a video decoder is given and when, and when the sender has to go back.

use std::time::Duration;

use kring_core::media::{MAX_FRAME, MAX_HOLD, MAX_VIDEO_BYTES, MAX_VIDEO_FRAMES, VideoBuffer, VideoFrame};
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
    assert!(!buffer.is_lost(), "the keyframe is larger and may be on its way");
    assert_eq!(buffer.next_wake(), Some(at(250)));
    push(&mut buffer, 20, [key(0)]);
    assert_eq!(pull(&mut buffer, 20), [0, 1, 2]);
    assert!(!buffer.is_lost());
}

#[test]
fn a_track_that_begins_without_a_keyframe_is_lost() {
    let mut buffer = VideoBuffer::default();
    push(&mut buffer, 0, [delta(7)]);
    assert_eq!(pull(&mut buffer, 250), []);
    assert_eq!((buffer.is_lost(), buffer.decoded()), (true, None));
}

#[test]
fn a_missing_frame_is_waited_for_as_long_as_a_repair_takes() {
    let mut buffer = started();
    buffer.set_round_trip(RTT);
    push(&mut buffer, 66, [delta(2)]);
    push(&mut buffer, 99, [delta(3)]);
    assert_eq!(pull(&mut buffer, 285), []);
    assert_eq!(buffer.next_wake(), Some(at(286)));
    assert!(!buffer.is_lost());
    let mut repaired = started();
    push(&mut repaired, 66, [delta(2), delta(3), delta(1)]);
    assert_eq!(pull(&mut repaired, 120), [1, 2, 3]);

    assert_eq!(pull(&mut buffer, 286), []);
    assert_eq!((buffer.is_lost(), buffer.decoded(), buffer.stats().losses), (true, Some(0), 1));
    push(&mut buffer, 300, [delta(1)]);
    assert_eq!(pull(&mut buffer, 300), [1, 2, 3], "late is better than never");
    assert!(!buffer.is_lost());
}

#[test]
fn a_lost_track_goes_on_at_a_keyframe_or_at_what_builds_on_what_was_decoded() {
    for returning in [key(9), VideoFrame { skippable: 8, ..delta(9) }] {
        let mut buffer = started();
        push(&mut buffer, 66, [delta(2), delta(3)]);
        assert_eq!(pull(&mut buffer, 400), []);
        assert!(buffer.is_lost());
        push(&mut buffer, 410, [returning, delta(10)]);
        assert_eq!(pull(&mut buffer, 410), [], "those before it may come in this moment");
        assert_eq!(buffer.next_wake(), Some(at(422)));
        assert_eq!(pull(&mut buffer, 422), [9, 10]);
        assert_eq!((buffer.is_lost(), buffer.stats().dropped), (false, 2));
    }
}

#[test]
fn what_builds_on_a_frame_that_was_left_out_is_left_out() {
    let mut buffer = started();
    // Layers 0 2 1 2 0: the frame of layer 1 is missing.
    let of = |frame_id, skippable| VideoFrame { skippable, ..delta(frame_id) };
    push(&mut buffer, 100, [of(1, 0), of(3, 0), of(4, 3)]);
    assert_eq!(pull(&mut buffer, 100), [1]);
    assert_eq!(pull(&mut buffer, 112), [4]);
    push(&mut buffer, 120, [of(2, 1)]);
    push(&mut buffer, 120, [of(6, 3), of(7, 2)]);
    assert_eq!(pull(&mut buffer, 160), [7], "2 was never decoded, 4 was");
}

#[test]
fn missing_discardable_frames_cost_a_moment() {
    let mut buffer = started();
    push(&mut buffer, 66, [VideoFrame { skippable: 1, ..delta(2) }]);
    assert_eq!(pull(&mut buffer, 77), []);
    assert_eq!(pull(&mut buffer, 78), [2]);
    push(&mut buffer, 99, [VideoFrame { skippable: 1, ..delta(5) }]);
    assert_eq!(pull(&mut buffer, 199), [], "one of the two that lack is no discardable frame");
    assert_eq!(pull(&mut buffer, 349), []);
    assert!(buffer.is_lost());
}

#[test]
fn frames_are_held_to_be_in_time_with_the_sound() {
    let mut buffer = VideoBuffer::default();
    buffer.set_lag(Some(90_000));
    push(&mut buffer, 40, [key(0)]);
    assert_eq!(pull(&mut buffer, 89), []);
    assert_eq!(pull(&mut buffer, 90), [0]);
    push(&mut buffer, 50, [delta(1)]);
    assert_eq!(buffer.next_wake(), Some(Time::from_micros(123_333)));
    assert_eq!(pull(&mut buffer, 124), [1]);
    // The sound comes later from now on: frames follow at half their pace, and are held no longer than the limit.
    buffer.set_lag(Some(i64::MAX));
    push(&mut buffer, 130, [delta(2)]);
    assert_eq!(buffer.next_wake(), Some(Time::from_micros(124_000 + 2 * 33_333)));
    assert_eq!(pull(&mut buffer, 191), [2]);
    push(&mut buffer, 200, [VideoFrame { skippable: 4, ..delta(7) }]);
    assert_eq!(buffer.next_wake(), Some(at(200) + MAX_HOLD));
    buffer.set_lag(Some(i64::MIN));
    assert_eq!(pull(&mut buffer, 212), [7]);
}

#[test]
fn after_a_standstill_frames_come_at_once_and_slide_back_into_time() {
    let mut buffer = started();
    buffer.set_lag(Some(250_000));
    // The last one came 33 ms after the first; then nothing was captured for a second.
    push(&mut buffer, 40, [delta(1)]);
    assert_eq!(pull(&mut buffer, 290), [1]);
    let mut later: Vec<_> =
        (30..50).map(|id| VideoFrame { skippable: u8::from(id == 30) * 28, ..delta(id) }).collect();
    let mut shown = Vec::new();
    for ms in 1000..2000 {
        while later.first().is_some_and(|frame| frame.capture / 1000 + 40 <= ms) {
            push(&mut buffer, ms, [later.remove(0)]);
        }
        shown.extend(pull(&mut buffer, ms).into_iter().map(|id| (id, ms)));
    }
    let (first, last) = (shown[0], shown[shown.len() - 1]);
    assert_eq!((first.0, last.0, shown.len()), (30, 49, 20));
    assert!(first.1 <= 1040 + 13, "{first:?}");
    assert!(shown.windows(2).all(|pair| pair[1].1 - pair[0].1 <= 68), "{shown:?}");
    assert_eq!(last.1, delta(49).capture.div_ceil(1000) + 250, "in time with the sound again");
}

#[test]
fn after_a_failure_of_the_decoder_only_a_keyframe_helps() {
    let mut buffer = started();
    buffer.fail();
    assert_eq!((buffer.is_lost(), buffer.decoded()), (true, None));
    push(&mut buffer, 33, [delta(1), key(2)]);
    assert_eq!(pull(&mut buffer, 60), [2]);
    assert!(!buffer.is_lost());
}

#[test]
fn a_buffer_that_nobody_empties_stays_bounded() {
    let mut buffer = started();
    push(&mut buffer, 0, (1..1000).map(delta));
    assert_eq!(buffer.len(), MAX_VIDEO_FRAMES);
    assert_eq!(pull(&mut buffer, 250), [], "the frames that were dropped are missed");
    assert!(buffer.is_lost());
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
    assert_eq!(pull(&mut buffer, 12), [1_000_000]);
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
        let (mut buffer, mut now, mut base, mut had) = (VideoBuffer::default(), 0, 0, Vec::<u32>::new());
        for (id, near, ms, action) in steps {
            now += ms;
            base += u32::from(near);
            buffer.push(at(now), frame(if near { base } else { id }));
            while action > 0 && let Some(out) = buffer.pull(at(now)) {
                prop_assert!(had.last().is_none_or(|had| out.frame_id > *had));
                if !out.keyframe {
                    let reference = out.frame_id - 1 - u32::from(out.skippable);
                    prop_assert!(had.contains(&reference), "{had:?} then {}", out.frame_id);
                }
                had.push(out.frame_id);
            }
            prop_assert!(buffer.len() <= MAX_VIDEO_FRAMES);
        }
    }
}
