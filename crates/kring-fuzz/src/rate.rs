//! Rate control under a peer that reports whatever it likes.

use crate::input::Input;
use kring_core::rate::{Feedback, MAX_COVERED, MIN_RATE, RateControl, Recorder, Share};
use kring_core::time::Time;
use std::time::Duration;

/// What is asked for at most, in bit/s.
const MOST: u32 = 5_000_000;

/// Sends, waits, reports and lies, in the order that the input says; the estimate stays within its bounds, timers move
/// on, and what is told of arrivals reads back.
pub fn rate(data: &[u8]) {
    let mut input = Input(data);
    let mut now = Time::from_micros(u64::from(input.u32()));
    let mut control = RateControl::new(now, MOST);
    let mut recorder = Recorder::default();
    let (mut sent, mut share) = (0u64, Share::default());
    while !input.is_empty() {
        match input.below(8) {
            0 => {
                for _ in 0..input.u8() {
                    control.sent(now, usize::from(input.u8()) * 5);
                    recorder.add(now, sent);
                    sent += 1;
                }
            }
            1 => now += Duration::from_micros(input.u16().into()),
            2 => now += Duration::from_millis(input.u16().into()),
            3 => recorder.add(now, sent.wrapping_add(input.u16().into())),
            4 => {
                if let Some(report) = recorder.report(now) {
                    let feedback = Feedback::decode(&report).expect("what is told reads back");
                    assert!(feedback.fates.len() <= MAX_COVERED);
                    control.report(now, &feedback);
                }
            }
            5 | 6 => {
                if let Ok(feedback) = Feedback::decode(input.short()) {
                    control.report(now, &feedback);
                }
            }
            _ => control.path_changed(now),
        }
        if control.due().is_some_and(|at| at <= now) {
            control.tick(now);
            assert!(control.due().is_none_or(|at| at > now), "a timer stands still");
        }
        if control.is_open(now) && control.padding().is_some() {
            control.sent(now, control.padding().unwrap_or(0));
            sent += 1;
        }
        let (estimate, network) = (f64::from(control.estimate()), control.network());
        assert!((MIN_RATE - 1.0..=f64::from(MOST) * 1.25).contains(&estimate), "{estimate}");
        assert!((0.0..=1.0).contains(&network.loss) && network.burst >= 1.0, "{network:?}");
        assert!(control.window() < 1 << 32);
        share = Share::new(network.target, network.loss, true, share);
        assert!(share.audio + share.video <= network.target.max(MIN_RATE as u32), "{share:?} of {network:?}");
    }
}
