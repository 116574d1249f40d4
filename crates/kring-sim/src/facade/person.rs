//! The app of one person: dials or waits, reads events, and does what the script says.

use super::Ground;
use super::devices::media;
use super::ends::Outcome;
use crate::scenario::{Action, Reaction, Step};
use kring::{Call, End, EndedBy, Endpoint, Event, Incoming, Ticket};
use kring_core::control::Reason;
use kring_core::handshake::Role;
use kring_core::time::Time;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The longest that hanging up may take: the last word, and the connection's end.
const HANG_UP: Duration = Duration::from_secs(2);
/// How long after the caller's end a call may still ring for the first time.
const LATECOMER: Duration = Duration::from_secs(15);
/// What comes after a call that has no further step.
const NEVER: Duration = Duration::from_secs(3600);

pub(super) struct Person {
    ground: Arc<Ground>,
    who: Role,
    endpoint: Endpoint,
    script: VecDeque<Step>,
}

impl Person {
    pub(super) fn new(ground: &Arc<Ground>, who: Role, endpoint: Endpoint) -> Person {
        let own = |step: &&Step| step.who == who && !matches!(step.what, Action::Unplug | Action::Replug);
        let script = ground.scenario.script.iter().filter(own).copied().collect();
        Person { ground: ground.clone(), who, endpoint, script }
    }

    fn say(&self, what: &dyn std::fmt::Display) {
        let now = self.ground.net.now();
        self.ground.judge(|judge| judge.trace.event(now, self.who, what));
    }

    fn fail(&self, what: impl std::fmt::Display) {
        let now = self.ground.net.now();
        self.ground.judge(|judge| judge.check.fail(now, format_args!("{:?}: {what}", self.who)));
    }

    /// When the script goes on.
    fn due(&self) -> Instant {
        let at = self.script.front().map_or(Time::ZERO + NEVER, |step| step.at);
        self.ground.net.instant(at)
    }

    fn next_step(&mut self) -> Option<Action> {
        self.script.pop_front().map(|step| step.what)
    }

    /// Dials, and sees the call through.
    pub(super) async fn dials(mut self, ticket: Ticket) {
        self.say(&"dials");
        let call = self.endpoint.dial(&ticket, media(&self.ground, self.who));
        self.lives(call).await;
    }

    /// Waits for a call, and does with it what the scenario says.
    pub(super) async fn waits(mut self) {
        let endpoint = self.endpoint.clone();
        let mut caller = self.ground.done.subscribe();
        let ground = self.ground.clone();
        loop {
            let ended = async {
                let _ = caller.wait_for(|done| *done).await;
                sleep(LATECOMER).await;
            };
            tokio::select! {
                incoming = endpoint.incoming() => {
                    let Some(incoming) = incoming else { return self.fail("no more calls can come in") };
                    return self.rings(incoming).await;
                }
                () = sleep_until(self.due()) => {
                    if self.next_step() == Some(Action::Crash) {
                        return self.crashes(None);
                    }
                }
                () = ended => {
                    ground.ended(self.who, Outcome::NeverReached);
                    return;
                }
            }
        }
    }

    /// Dials while the other does so, unless it has rung before.
    pub(super) async fn crosses(mut self, ticket: Ticket, after: Duration) {
        let endpoint = self.endpoint.clone();
        tokio::select! {
            incoming = endpoint.incoming() => {
                let Some(incoming) = incoming else { return self.fail("no more calls can come in") };
                return self.rings(incoming).await;
            }
            () = sleep(after) => {}
        }
        self.say(&"dials");
        let call = endpoint.dial(&ticket, media(&self.ground, self.who));
        // Whatever rings besides is not taken.
        let other = tokio::spawn(async move { while endpoint.incoming().await.is_some() {} });
        self.lives(call).await;
        other.abort();
    }

    async fn rings(&mut self, incoming: Incoming) {
        self.say(&"rings");
        let rang = Instant::now();
        let reaction = self.ground.scenario.reaction;
        let after = match reaction {
            Reaction::Answer(after) | Reaction::Decline(after, _) => after,
            Reaction::Ignore => NEVER,
        };
        let react = rang + after;
        loop {
            tokio::select! {
                biased;
                end = incoming.given_up() => return self.ground.ended(self.who, Outcome::Call(end)),
                () = sleep_until(react) => break,
                () = sleep_until(self.due()) => match self.next_step() {
                    Some(Action::HangUp(_)) => {
                        drop(incoming);
                        let end = End::Declined { by: EndedBy::Local };
                        return self.ground.ended(self.who, Outcome::Call(end));
                    }
                    Some(Action::Crash) => {
                        self.crashes(None);
                        std::mem::forget(incoming);
                        return;
                    }
                    _ => {}
                },
            }
        }
        let end = match reaction {
            Reaction::Decline(_, Reason::Busy) => {
                incoming.busy();
                End::Busy
            }
            Reaction::Decline(..) => {
                incoming.decline();
                End::Declined { by: EndedBy::Local }
            }
            _ => {
                self.say(&"answers");
                self.ground.net.swallow(self.who, self.ground.twist.lost_with_answer);
                let call = incoming.answer(media(&self.ground, self.who));
                return self.lives(call).await;
            }
        };
        self.ground.ended(self.who, Outcome::Call(end));
    }

    fn crashes(&self, call: Option<Call>) {
        self.ground.net.crash(self.who);
        self.ground.ended(self.who, Outcome::Crashed);
        // It says nothing any more, not even that it is gone.
        self.ground.graves.lock().expect("nothing panics with this lock held").extend(call);
    }

    /// Reads events and follows the script until the call is over.
    async fn lives(&mut self, call: Call) {
        let mut seen = Seen::default();
        loop {
            tokio::select! {
                biased;
                event = call.next_event() => {
                    let Some(event) = event else { return self.fail("no event says how it ended") };
                    if !matches!(event, Event::PeerTracks(_)) {
                        self.say(&format_args!("{event:?}"));
                    }
                    if let Some(wrong) = seen.wrong(&event) {
                        self.fail(format_args!("{wrong}: {event:?}"));
                    }
                    self.judge(&event);
                    if let Event::Ended(end) = event {
                        if call.next_event().await.is_some() {
                            self.fail("an event after the end");
                        }
                        return self.ground.ended(self.who, Outcome::Call(end));
                    }
                }
                () = sleep_until(self.due()) => match self.next_step() {
                    Some(Action::Crash) => return self.crashes(Some(call)),
                    Some(Action::HangUp(reason)) => return self.hangs_up(call, reason).await,
                    Some(action) => self.does(&call, action),
                    None => {}
                },
            }
        }
    }

    fn judge(&self, event: &Event) {
        use kring_core::call::Event as Core;
        let event = match event {
            Event::Interrupted => Core::Interrupted,
            Event::Resumed => Core::Resumed,
            _ => return,
        };
        let now = self.ground.net.now();
        self.ground.judge(|judge| {
            // What is heard in the same moment may have come right after.
            if judge.check.heard_at(self.who) != Some(now) || event == Core::Resumed {
                judge.check.event(now, self.who, &event);
            } else {
                judge.check.interrupted(self.who);
            }
        });
    }

    fn does(&self, call: &Call, action: Action) {
        self.say(&format_args!("{action:?}"));
        match action {
            Action::Mute(kring::MICROPHONE, muted) => call.mute_microphone(muted),
            Action::Mute(_, muted) => call.mute_camera(muted),
            _ => {}
        }
    }

    async fn hangs_up(&self, call: Call, reason: Reason) {
        let over = timeout(Duration::ZERO, call.ended()).await;
        let end = match over {
            Ok(end) => end,
            Err(_) if reason == Reason::GoingAway => End::GoingAway { by: EndedBy::Local },
            Err(_) => End::HungUp { by: EndedBy::Local },
        };
        self.say(&format_args!("hangs up: {reason}"));
        let began = Instant::now();
        match reason {
            Reason::GoingAway => call.going_away().await,
            Reason::HungUp => call.hang_up().await,
            _ => drop(call),
        }
        let took = began.elapsed();
        if took > HANG_UP {
            self.fail(format_args!("it takes {took:?} to hang up"));
        }
        self.ground.ended(self.who, Outcome::Call(end));
    }
}

/// The order of a call's events.
#[derive(Default)]
struct Seen {
    answered: bool,
    connected: bool,
    interrupted: bool,
}

impl Seen {
    fn wrong(&mut self, event: &Event) -> Option<&'static str> {
        match event {
            Event::Ringing if self.answered => Some("it rings after the answer"),
            Event::Answered if std::mem::replace(&mut self.answered, true) => Some("answered twice"),
            Event::Connected(_) if !self.answered => Some("connected without an answer"),
            Event::Connected(_) if std::mem::replace(&mut self.connected, true) => Some("connected twice"),
            Event::Interrupted if std::mem::replace(&mut self.interrupted, true) => Some("interrupted twice"),
            Event::Resumed if !std::mem::take(&mut self.interrupted) => Some("resumed without interruption"),
            Event::MediaStopped { .. } => Some("media stopped"),
            Event::Ended(_)
            | Event::PeerTracks(_)
            | Event::PeerTrackState { .. }
            | Event::PeerRecording(_) => None,
            _ => None,
        }
    }
}
