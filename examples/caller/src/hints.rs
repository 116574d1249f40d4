//! "Do you hear me?", answered from what is known for sure: this side's level, and what the other side says it plays.

use std::time::Duration;

/// How long something has to last before it is said.
const LASTING: Duration = Duration::from_secs(3);

/// What is known about one moment of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// Since when the two are connected.
    pub(crate) connected: Duration,
    pub(crate) has_microphone: bool,
    /// The microphone's file is over, or it failed.
    pub(crate) ended: bool,
    pub(crate) muted: bool,
    /// How long this side's microphone has given nothing that can be heard.
    pub(crate) silent: Duration,
    /// What the other side says it has played of this side, in ms; `None` before its first report.
    pub(crate) played_there_ms: Option<u64>,
}

/// Finds what to say; a value for one call.
#[derive(Default)]
pub(crate) struct Hints {
    /// What was played there, and since when of the call that has not changed.
    played: Option<(u64, Duration)>,
}

impl Hints {
    /// What the person should know now, if anything.
    pub(crate) fn look(&mut self, known: &Known) -> Option<&'static str> {
        let standing = match (known.played_there_ms, self.played) {
            (Some(now), Some((before, since))) if now == before => known.connected.saturating_sub(since),
            (Some(now), _) => {
                self.played = Some((now, known.connected));
                Duration::ZERO
            }
            (None, _) => Duration::ZERO,
        };
        if !known.has_microphone {
            return Some("you send no sound: no microphone was given");
        }
        if known.ended {
            return Some("you send no sound any more: your microphone's material has ended");
        }
        if known.muted {
            return Some("your microphone is muted");
        }
        if known.connected < LASTING {
            return None;
        }
        if known.silent >= LASTING {
            return Some("they can't hear you: your microphone is silent");
        }
        match known.played_there_ms {
            None => Some("the other side has not yet said what it plays"),
            Some(0) => Some("they hear nothing yet"),
            Some(_) if standing >= LASTING => {
                Some("they hear nothing any more: nothing of you is played there")
            }
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Known {
        Known { connected: Duration::from_secs(seconds), has_microphone: true, ..Known::default() }
    }

    #[test]
    fn nothing_is_said_in_a_call_that_is_heard() {
        let mut hints = Hints::default();
        for second in 0..20 {
            let known = Known { played_there_ms: Some(second * 1000), ..at(second) };
            assert_eq!(hints.look(&known).filter(|_| second > 0), None);
        }
    }

    #[test]
    fn the_side_to_mend_is_named() {
        let mut hints = Hints::default();
        let says = |known: Known, hints: &mut Hints| hints.look(&known).unwrap_or_default();
        assert!(says(Known { has_microphone: false, ..at(0) }, &mut hints).contains("no microphone"));
        assert!(says(Known { muted: true, ..at(0) }, &mut hints).contains("muted"));
        assert!(
            says(Known { silent: LASTING, played_there_ms: Some(5), ..at(9) }, &mut hints).contains("silent")
        );
        assert!(says(Known { played_there_ms: Some(0), ..at(9) }, &mut hints).contains("nothing yet"));
        assert!(says(at(9), &mut hints).contains("not yet said"));
    }

    #[test]
    fn a_standstill_there_is_noticed_and_so_is_its_end() {
        let mut hints = Hints::default();
        let look =
            |second, ms, hints: &mut Hints| hints.look(&Known { played_there_ms: Some(ms), ..at(second) });
        assert_eq!(look(5, 4000, &mut hints), None);
        assert_eq!(look(7, 4000, &mut hints), None);
        assert!(look(8, 4000, &mut hints).unwrap().contains("any more"));
        assert_eq!(look(9, 4020, &mut hints), None);
    }
}
