//! One call from dialling or answering to its end: tells and logs its events, obeys keys, keeps statistics.
//!
//! Guarantee: when this returns, the other side was told, sources and sinks are closed, and the recording is whole.

use crate::app::{App, tracks_json, tracks_text};
use crate::exit;
use crate::hints::{Hints, Known};
use crate::keep;
use crate::keys::{self, Key, Keys};
use crate::media::Meters;
use crate::passcode::Typed;
use crate::record::{Recorder, Tape};
use crate::stats::{self, Rates, Tally};
use crate::status::Status;
use crate::stop::Stop;
use crate::verify;
use kring::{
    Call, Code, End, EndedBy, Endpoint, Event, KeyChanged, Peer, Safety, TrackInfo, TrackSource, TrackState,
    Unverified, Who,
};
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

/// Runs `call` of `endpoint` to its end. If `others` may call it meanwhile, they are told that it is busy.
pub(crate) async fn talk(
    app: &mut App,
    call: Call,
    recorder: Option<Recorder>,
    meters: Meters,
    endpoint: &Endpoint,
    others: bool,
) -> Talked {
    let mut keys = Keys::read(&app.output);
    // Nobody is kept twice, and not if the person has named somebody.
    let asks = app.common.keep.is_none();
    let mut tick = interval(if app.output.terminal() { DRAW } else { SECOND });
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let tape = recorder.as_ref().map(Recorder::tape);
    let stopper = app.stopper.clone();
    let mut talk = Talk::new(app, endpoint, tape, meters);
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
                // Nobody is there to accept it.
                Some(Event::KeyChanged(peer)) if !talk.changed(&peer) => {
                    hang_up = true;
                    break End::HungUp { by: EndedBy::Local };
                }
                Some(Event::PasscodeWanted) => match &keys {
                    Some(keys) => {
                        keys.typing(true);
                        talk.say("passcode-wanted", Value::Null, "the other side wants a passcode: type it (it is not shown) and press Enter");
                    }
                    // Nobody is there to type it.
                    None => {
                        hang_up = true;
                        talk.say("passcode-wanted", Value::Null, "the other side wants a passcode; give it with --passcode-file");
                        break End::NotAdmitted;
                    }
                },
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
                Key::Typed(c) => talk.typed.push(c),
                Key::Backspace => talk.typed.backspace(),
                Key::Enter => match talk.typed.take() {
                    Ok(passcode) => {
                        if let Some(keys) = &keys {
                            keys.typing(false);
                        }
                        call.enter_passcode(passcode);
                    }
                    Err(wrong) => talk.app.output.line(&format!("{wrong}; type it again")),
                },
            },
            Some(other) = endpoint.incoming(), if others => {
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
    let (peer, called) = (call.peer(), call.peer_name());
    let verified = matches!(call.who(), Some(Who::Verified(_)));
    if hang_up {
        call.hang_up().await;
    } else {
        call.going_away().await;
    }
    drop(keys);
    let answered = talk.connected.is_some();
    let may_keep = talk.acquainted && asks && stopped.is_none();
    talk.ended(&end, at);
    if let Some(recorder) = recorder {
        recorder.finish().await;
    }
    if let Some(peer) = peer.filter(|_| may_keep) {
        let other = keep::Other { peer: &peer, called: &called, verified };
        keep::offer(app, endpoint, other, others).await;
    }
    Talked { end, answered, stopped }
}

struct Talk<'a> {
    app: &'a mut App,
    endpoint: &'a Endpoint,
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
    code: Option<Code>,
    number_told: bool,
    typed: Typed,
    /// The two have agreed on a secret for another call.
    acquainted: bool,
    tally: Tally,
    rates: Rates,
    counted: Instant,
    hints: Hints,
    hint: Option<&'static str>,
}

impl<'a> Talk<'a> {
    fn new(app: &'a mut App, endpoint: &'a Endpoint, tape: Option<Tape>, meters: Meters) -> Talk<'a> {
        let now = Instant::now();
        Talk {
            app,
            endpoint,
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
            code: None,
            number_told: false,
            typed: Typed::default(),
            acquainted: false,
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
            Event::Waiting => {
                self.state = "waiting";
                self.say("waiting-to-be-let-in", Value::Null, "waiting until somebody lets you in");
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
            Event::Acquainted { contact: None } => {
                self.acquainted = true;
                self.keep_named(call);
            }
            Event::PeerRecording(on) => {
                self.peer_records = on;
                let text =
                    if on { "the other side RECORDS this call" } else { "the other side stopped recording" };
                self.say("peer-recording", json!({"on": on}), text);
            }
            Event::Code(code) => {
                self.code = Some(code);
                let (fields, text) = verify::code(&code);
                self.say("code", fields, &text);
            }
            Event::CodeFailed(why) => {
                let text = format!("WARNING: {why}; compare the safety number instead");
                self.say("code-failed", json!({"why": why.to_string()}), &text);
            }
            Event::Path(path) => {
                let text = format!("packets go {path} now");
                // What was made up until then, so that one sees what the change cost.
                let concealed = call.stats().audio.concealed_samples / 48;
                self.say("path", json!({"path": path, "audio_concealed_ms": concealed}), &text);
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

    /// The other side can be kept now, if it is to be.
    fn keep_named(&mut self, call: &Call) {
        if let (Some(peer), Some(name)) = (call.peer(), self.app.common.keep.clone())
            && keep::keep(self.app, self.endpoint, &peer, &name)
        {
            self.app.common.keep = None;
        }
    }

    fn connected(&mut self, call: &Call, safety: &Safety) {
        self.connected = Some(Instant::now());
        self.state = "connected";
        self.tracks(call.peer_tracks());
        let name = call.peer_name();
        let fingerprint = call.peer().map(|peer| peer.fingerprint().to_string()).unwrap_or_default();
        let contact = call.peer().and_then(|peer| self.endpoint.home().contact_of(&peer.fingerprint()));
        let contact = contact.map(|contact| contact.name);
        if let Some(contact) = &contact {
            let who = verify::word(call.who().as_ref());
            self.name = format!("with {contact} (contact, {who})");
        } else if !name.is_empty() {
            let who = verify::word(call.who().as_ref());
            self.name = format!("with \"{name}\" ({who})");
        }
        let text = format!(
            "connected {} {fingerprint}; they send {}",
            if self.name.is_empty() { "with" } else { &self.name },
            tracks_text(&self.peer_tracks)
        );
        let verified = call.who().is_some_and(|who| who.is_verified());
        let fields = json!({
            "peer": fingerprint,
            "contact": contact,
            "name": name,
            "verified": verified,
            "tracks": tracks_json(&self.peer_tracks),
        });
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
        let mut track = track.clone();
        track.size = None;
        let what = tracks_text(&[track]);
        let state = match state {
            TrackState::Live => "on",
            TrackState::Muted => "off",
            TrackState::Ended => "over",
            _ => "in a state that this version does not know",
        };
        self.say("peer-track", json!({"what": what, "state": state}), &format!("their {what} is {state}"));
    }

    /// The other side is not who was expected; says whether somebody is there to be asked.
    fn changed(&mut self, peer: &Peer<KeyChanged>) -> bool {
        self.state = "key changed";
        let (now, before) = (peer.identity().fingerprint(), peer.pinned().fingerprint());
        let which = if peer.was_verified() { "verified" } else { "known" };
        let fields =
            json!({"peer": now.to_string(), "expected": before.to_string(), "verified": peer.was_verified()});
        let text = format!(
            "WARNING: this is not the {which} device: expected {before}, came {now}. Either it is a new one, or somebody \
             pretends. Nothing is sent or played"
        );
        self.say("key-changed", fields, &text);
        let asked = self.app.output.can_ask();
        if asked {
            self.app.output.line("a accepts it, after you have asked by another way; q hangs up");
        }
        asked
    }

    /// The person says that the other reads the same code.
    fn compared(&mut self, call: &Call, peer: Peer<Unverified>) {
        if call.mark_verified(peer).is_ok() {
            self.name = self.name.replace("unverified", "verified");
            self.say("verified", Value::Null, "verified: you have compared the code");
            // For the next call as well, if there is a name for them.
            let home = self.endpoint.home();
            let contact = call.peer().and_then(|peer| home.contact_of(&peer.fingerprint()));
            if let Some(Err(error)) = contact.map(|contact| home.set_verified(&contact.name, true)) {
                self.app.output.warn(format_args!("that they are verified was not kept: {error}"));
            }
        }
    }

    fn key(&mut self, call: &Call, key: char) {
        match (key, call.who()) {
            ('c', Some(Who::Unverified(peer))) if self.code.is_some() => self.compared(call, peer),
            ('a', Some(Who::KeyChanged(peer))) => {
                call.accept_changed_key(&peer);
                self.say("key-accepted", Value::Null, "accepted; it counts as unverified");
            }
            ('s', Some(_)) => verify::show_number(call, &self.app.output),
            _ => {}
        }
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
        // It takes some milliseconds, so not while the first sound is due.
        if !std::mem::replace(&mut self.number_told, true) && !self.app.output.terminal() {
            verify::show_number(call, &self.app.output);
        }
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
            code: self.code.as_ref(),
            known: verify::word(call.who().as_ref()),
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
