//! What is known at either end of the pictures that were decoded, and how the sender goes on after a loss.
//!
//! Guarantee: a peer that asks all the time gets a new beginning no more often than each round trip, and at most ten a second;
//! what it says of other tracks or of pictures never sent is ignored.
//!
//! A receiver tells in each report which picture it decoded last, and whether it waits for anything after it. So a
//! request is repeated until it is heeded, and lost reports matter little.

use super::report::PictureState;
use super::{Call, KEYFRAME_INTERVAL, OwnTrack};
use crate::time::Time;
use std::time::Duration;

/// The round trip that is assumed until one was measured.
pub(super) const ASSUMED_ROUND_TRIP: Duration = Duration::from_millis(100);
/// How long a picture takes at both ends beyond the round trip, with the wait for a report.
const ANSWER: Duration = Duration::from_millis(80);

/// What an encoder has to know of the other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PictureFeedback {
    /// The frame id of the newest picture that the peer is known to have decoded, with all that it builds on.
    pub acknowledged: Option<u32>,
    /// The peer cannot go on, or pictures were given up before they were sent: what comes next must not build on anything after
    /// `acknowledged`. Told once.
    pub lost: bool,
}

/// How one of this side's tracks with pictures fares at the peer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recovering {
    acknowledged: Option<u32>,
    /// To be told to the encoder; or it was, and has not gone back yet.
    lost: bool,
    returning: bool,
    /// The last picture that went back behind a loss, and when that was.
    last: Option<(Time, u32)>,
}

impl Recovering {
    /// Whether a picture that builds on `reference` goes back behind a loss that was told.
    pub(super) fn is_return(&self, reference: Option<u32>) -> bool {
        self.returning && reference <= self.acknowledged
    }

    /// A picture is sent that builds on none that was lost.
    pub(super) fn sent(&mut self, now: Time, frame_id: u32) {
        self.last = Some((now, frame_id));
        self.returning = false;
    }

    fn take_lost(&mut self, broken: bool) -> bool {
        let lost = std::mem::take(&mut self.lost) || broken;
        self.returning |= lost;
        lost
    }

    fn told(&mut self, now: Time, state: &PictureState, round_trip: Duration) {
        self.acknowledged = self.acknowledged.max(state.decoded);
        let answered = round_trip + ANSWER;
        let early = |(at, id): (Time, u32)| {
            now.since(at) < KEYFRAME_INTERVAL || self.acknowledged < Some(id) && now.since(at) < answered
        };
        // Reports may overtake each other: only the newest state counts.
        if state.lost
            && !self.returning
            && state.decoded >= self.acknowledged
            && !self.last.is_some_and(early)
        {
            self.lost = true;
        }
    }
}

impl Call {
    /// Says which of the peer's pictures of a track was decoded last, with all that it builds on, and whether what came since is
    /// [lost](crate::media::VideoBuffer::is_lost). The peer is told with each report, of a loss at once.
    pub fn set_decoded(&mut self, now: Time, track: u8, decoded: Option<u32>, lost: bool) {
        if track >= crate::keys::REPORT_TRACK {
            return;
        }
        let state = PictureState { track, decoded, lost };
        let before = self.shown.insert(track, state);
        if lost && before.is_none_or(|before| !before.lost) {
            self.inbox.news = true;
            self.hurry(now);
        }
    }

    /// What the encoder of a track has to know before the next picture.
    pub fn picture_feedback(&mut self, track: u8) -> PictureFeedback {
        let broken = self.pictures.take_broken(track);
        let Some(own) = self.tracks.get_mut(&track) else { return PictureFeedback::default() };
        let lost = own.recovering.take_lost(broken);
        PictureFeedback { acknowledged: own.recovering.acknowledged, lost }
    }

    /// Takes what the peer tells of one of this side's tracks.
    pub(super) fn picture_state(&mut self, now: Time, state: &PictureState) {
        let round_trip = self.rate.network().round_trip.unwrap_or(ASSUMED_ROUND_TRIP);
        let sent = |own: &&mut OwnTrack| state.decoded.is_none_or(|id| id < own.next_frame);
        let Some(own) = self.tracks.get_mut(&state.track).filter(sent) else { return };
        own.recovering.told(now, state, round_trip);
        if let Some(id) = state.decoded {
            self.pictures.acknowledged(state.track, id);
        }
    }
}
