//! One call from dialling or answering to its end: tells and logs its events, obeys keys, keeps statistics.
//!
//! Guarantee: when this returns, the other side was told, sources and sinks are closed, and the recording is whole.

use crate::app::{App, tracks_json, tracks_text};
use crate::exit;
use crate::hints::{Hints, Known};
use crate::keys::{self, Key, Keys};
use crate::media::Meters;
use crate::record::{Recorder, Tape};
use crate::stats::{self, Rates, Tally};
use crate::status::Status;
use crate::stop::Stop;
use kring::{Call, End, EndedBy, Endpoint, Event, Safety, TrackInfo, TrackSource, TrackState};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// How often the status block is drawn.
const DRAW: Duration = Duration::from_millis(200);
const SECOND: Duration = Duration::from_secs(1);

/// What came of a call.
pub(crate) struct Talked {
    pub(crate) end: End,
    pub(crate) answered: bool,
    /// Why this program is ending, if it is.
    pub(crate) stopped: Option<Stop>,
}

/// Runs `call` to its end. Callers who come by `others` are told that it is busy.
pub(crate) async fn talk(
    app: &mut App,
    call: Call,
    recorder: Option<Recorder>,
    meters: Meters,
    others: Option<&Endpoint>,
) -> Talked {
    let mut keys = Keys::read(&app.output);
    let mut tick = interval(if app.output.terminal() { DRAW } else { SECOND });
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let tape = recorder.as_ref().map(Recorder::tape);
    let stopper = app.stopper.clone();
    let mut talk = Talk::new(app, tape, meters);
    let (mut stopped, mut hang_up) = (None, false);
    let end = loop {
        tokio::select! {
            biased;
            why = stopper.stopped() => {
                stopped = Some(why);
                break End::GoingAway { by: EndedBy::Local };
            }
            event = call.next_event() => match event {
                Some(Event::Ended(end)) => break end,
                Some(event) => talk.event(&call, event),
                None => break End::Vanished,
            },
            key = keys::next(&mut keys) => match key {
                Key::Interrupt => stopper.stop(Stop::Interrupted),
                Key::Char('q') => {
                    hang_up = true;
                    break End::HungUp { by: EndedBy::Local };
                }
                Key::Char(key) => talk.key(&call, key),
            },
            other = next_caller(others) => {
                let who = other.peer().fingerprint().to_string();
                talk.app.output.event("busy", json!({"peer": who}), &format!("{who} calls too and is told that you are in a call"));
                other.busy();
            }
            _ = tick.tick() => talk.tick(&call),
        }
    };
    let at = Instant::now();
    // Statistics go to the end, but rates over a moment would say nothing.
    if at.duration_since(talk.counted) >= SECOND / 2 {
        talk.second(&call, at);
    }
    if hang_up {
        call.hang_up().await;
    } else {
        call.going_away().await;
    }
    drop(keys);
    let answered = talk.connected.is_some();
    talk.ended(&end, at);
    if let Some(recorder) = recorder {
        recorder.finish().await;
    }
    Talked { end, answered, stopped }
}

async fn next_caller(others: Option<&Endpoint>) -> kring::Incoming {
    if let Some(endpoint) = others
        && let Some(incoming) = endpoint.incoming().await
    {
        return incoming;
    }
    std::future::pending().await
}

struct Talk<'a> {
    app: &'a mut App,
    tape: Option<Tape>,
    meters: Meters,
    state: &'static str,
    /// How the other side calls itself, as it is shown.
    name: String,
    fingerprint: String,
    begun: Instant,
    connected: Option<Instant>,
    microphone_muted: bool,
    camera_off: bool,
    microphone_ended: bool,
    peer_tracks: Vec<TrackInfo>,
    peer_records: bool,
    tally: Tally,
    rates: Rates,
    counted: Instant,
    hints: Hints,
    hint: Option<&'static str>,
}

impl<'a> Talk<'a> {
    fn new(app: &'a mut App, tape: Option<Tape>, meters: Meters) -> Talk<'a> {
        let now = Instant::now();
        Talk {
            app,
            tape,
            meters,
            state: "dialling",
            name: String::new(),
            fingerprint: String::new(),
            begun: now,
            connected: None,
            microphone_muted: false,
            camera_off: false,
            microphone_ended: false,
            peer_tracks: Vec::new(),
            peer_records: false,
            tally: Tally::default(),
            rates: Rates::default(),
            counted: now,
            hints: Hints::default(),
            hint: None,
        }
    }

    /// Tells and logs.
    fn say(&self, ev: &str, fields: Value, text: &str) {
        let at = Instant::now();
        if let Some(tape) = &self.tape {
            tape.line(ev, at, fields.clone());
        }
        self.app.output.event_at(at, ev, fields, text);
    }

    fn event(&mut self, call: &Call, event: Event) {
        match event {
            Event::Ringing => {
                self.state = "ringing";
                self.say("ringing", Value::Null, "it rings there");
            }
            Event::Answered => {
                self.state = "answered";
                self.say("answered", Value::Null, "answered");
            }
            Event::Connected(safety) => self.connected(call, &safety),
            Event::PeerTracks(tracks) => {
                let text = format!("the other side sends {}", tracks_text(&tracks));
                self.say("peer-tracks", json!({"tracks": tracks_json(&tracks)}), &text);
                self.tracks(tracks);
            }
            Event::PeerTrackState { track, state } => self.track_state(track, state),
            Event::PeerRecording(on) => {
                self.peer_records = on;
                let text =
                    if on { "the other side RECORDS this call" } else { "the other side stopped recording" };
                self.say("peer-recording", json!({"on": on}), text);
            }
            Event::Interrupted => {
                self.state = "interrupted";
                self.say("interrupted", Value::Null, "nothing is heard of the other side; waiting for it");
            }
            Event::Resumed => {
                self.state = "connected";
                self.say("resumed", Value::Null, "the other side is heard again");
            }
            Event::MediaStopped { what, why } => {
                self.microphone_ended |= what == "microphone";
                self.say(
                    "media-stopped",
                    json!({"what": what, "why": why}),
                    &format!("the {what} stopped: {why}"),
                );
            }
            _ => {}
        }
    }

    fn connected(&mut self, call: &Call, safety: &Safety) {
        self.connected = Some(Instant::now());
        self.state = "connected";
        self.tracks(call.peer_tracks());
        let name = call.peer_name();
        let fingerprint = call.peer().map(|peer| peer.fingerprint().to_string()).unwrap_or_default();
        if !name.is_empty() {
            self.name = format!("with \"{name}\" (unverified)");
        }
        let text = format!(
            "connected {} {fingerprint}; they send {}",
            if name.is_empty() { "with" } else { &self.name },
            tracks_text(&self.peer_tracks)
        );
        let fields = json!({"peer": fingerprint, "name": name, "tracks": tracks_json(&self.peer_tracks)});
        self.say("connected", fields, &text);
        self.fingerprint = fingerprint;
        let fields = json!({
            "noise": safety.noise,
            "tls_group": safety.tls_group,
            "tls_cipher": safety.tls_cipher,
            "media": safety.media,
            "post_quantum": safety.post_quantum,
        });
        let text = format!("end-to-end encrypted: {}, {}", safety.noise, safety.media);
        self.say("safety", fields, &text);
    }

    fn tracks(&mut self, tracks: Vec<TrackInfo>) {
        if let Some(tape) = &self.tape {
            tape.full_size(&tracks);
        }
        if let Some((width, height)) = tracks.iter().find_map(|track| track.size) {
            self.meters.pane.set_size((width.into(), height.into()));
        }
        self.peer_tracks = tracks;
    }

    fn track_state(&mut self, id: u8, state: TrackState) {
        let Some(track) = self.peer_tracks.iter_mut().find(|t| t.id == id) else { return };
        track.state = state;
        let what = tracks_text(&[TrackInfo { size: None, ..track.clone() }]);
        let state = match state {
            TrackState::Live => "on",
            TrackState::Muted => "off",
            TrackState::Ended => "over",
            _ => "in a state that this version does not know",
        };
        self.say("peer-track", json!({"what": what, "state": state}), &format!("their {what} is {state}"));
    }

    fn key(&mut self, call: &Call, key: char) {
        match key {
            'm' => {
                self.microphone_muted ^= true;
                call.mute_microphone(self.microphone_muted);
                self.say(
                    "mute",
                    json!({"on": self.microphone_muted}),
                    if self.microphone_muted { "microphone muted" } else { "microphone on" },
                );
            }
            'v' => {
                self.camera_off ^= true;
                call.mute_camera(self.camera_off);
                self.say(
                    "camera-off",
                    json!({"on": self.camera_off}),
                    if self.camera_off { "camera off" } else { "camera on" },
                );
            }
            _ => {}
        }
    }

    /// Some time has passed.
    fn tick(&mut self, call: &Call) {
        let now = Instant::now();
        // Ticks of a second come up to some ms early or late.
        if now.duration_since(self.counted) >= SECOND - DRAW / 4 {
            self.second(call, now);
        }
        if self.app.output.terminal() {
            self.draw(call, now);
        }
        let who = if self.name.is_empty() { &self.fingerprint } else { &self.name };
        self.meters.pane.set_title(&crate::output::printable(&format!("kring, {}: {who}", self.state)));
    }

    /// A second has passed.
    fn second(&mut self, call: &Call, now: Instant) {
        self.counted = now;
        let stats = call.stats();
        self.rates = self.tally.rates(now, &stats);
        if let Some(file) = &mut self.app.stats {
            file.write(&stats::line(&self.app.clock, now, self.state, &stats, &self.rates), &self.app.output);
        }
        let Some(connected) = self.connected else { return };
        let known = Known {
            connected: now.duration_since(connected),
            has_microphone: self.app.common.mic != crate::args::Microphone::None,
            ended: self.microphone_ended,
            muted: self.microphone_muted,
            silent: Duration::from_millis(self.meters.own.silent_ms()),
            played_there_ms: stats.remote.map(|peer| (peer.total_samples_duration * 1000.0) as u64),
        };
        let hint = self.hints.look(&known);
        if hint != self.hint {
            let before = std::mem::replace(&mut self.hint, hint).unwrap_or_default();
            // On a terminal the status block shows it.
            if !self.app.output.terminal() {
                let text = hint.map_or(format!("no longer: {before}"), str::to_owned);
                self.app.output.event("hint", json!({"hint": hint}), &text);
            }
        }
    }

    fn draw(&self, call: &Call, now: Instant) {
        let muted =
            |source| self.peer_tracks.iter().any(|t| t.source == source && t.state == TrackState::Muted);
        let status = Status {
            state: self.state,
            name: &self.name,
            fingerprint: &self.fingerprint,
            since: now.duration_since(self.connected.unwrap_or(self.begun)),
            own_level: self.meters.own.loudest(),
            peer_level: self.meters.peer.loudest(),
            microphone_muted: self.microphone_muted,
            camera_off: self.camera_off,
            peer_muted: muted(TrackSource::Microphone),
            peer_camera_off: muted(TrackSource::Camera),
            peer_records: self.peer_records,
            own_recording: self.tape.is_some(),
            stats: &call.stats(),
            rates: &self.rates,
            hint: self.hint,
        };
        self.app.output.status(status.lines());
    }

    fn ended(&self, end: &End, at: Instant) {
        self.app.output.clear_status();
        let fields = json!({"reason": exit::reason(end), "by": exit::ended_by(end)});
        if let Some(tape) = &self.tape {
            tape.line("ended", at, fields.clone());
        }
        self.app.output.event_at(at, "ended", fields, &format!("ended: {end}"));
    }
}
