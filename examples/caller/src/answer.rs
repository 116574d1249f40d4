//! `kring answer`: gives out a ticket and takes calls, one at a time. Nobody is let in whom no one let in: without a
//! terminal to ask at and without `--accept all`, every call is declined.

use crate::app::{App, place, tracks_json, tracks_text};
use crate::args::Accept;
use crate::exit::{Exit, Failure};
use crate::home;
use crate::keys::{self, Key, Keys};
use crate::media::{self, Meters};
use crate::qr;
use crate::record::Recorder;
use crate::stats;
use crate::stop::Stop;
use crate::talk::talk;
use crate::ticket::TicketFile;
use kring::{
    Call, Endpoint, HomeError, Incoming, Knock, Passcode, PublicIdentity, Ticket, TicketError, TrackInfo,
};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// What `answer` has besides the common options.
pub(crate) struct Settings {
    pub(crate) accept: Accept,
    pub(crate) expires: Duration,
    pub(crate) one_use: bool,
    pub(crate) contacts_only: bool,
    pub(crate) lobby: bool,
    pub(crate) passcode: Option<Passcode>,
    pub(crate) ticket_file: Option<TicketFile>,
}

pub(crate) async fn run(mut app: App, settings: Settings) -> Result<Exit, Failure> {
    let recorder = app.recorder(app.common.record.as_deref())?;
    let endpoint = app.endpoint(settings.contacts_only, settings.lobby)?;
    // A ticket names the identity, and so do contacts: it has to last.
    app.kept()?;
    if let Err(error) = endpoint.relay_reached().await {
        app.output.warn(format_args!("nobody can call through the relay yet: {error}"));
    }
    // The ticket names the port.
    #[cfg(feature = "port-mapping")]
    match endpoint.port_mapped().await {
        Ok(None) => {}
        Ok(Some(address)) => {
            let text = format!("the router forwards {address} to here");
            app.output.event("port-mapped", json!({"address": address.to_string()}), &text);
        }
        Err(error) => app.output.warn(format_args!("{error}")),
    }
    let ticket = if settings.contacts_only { None } else { Some(issue(&endpoint, &settings)?) };
    // Before anybody can have the ticket.
    if let (Some(passcode), Some(ticket)) = (&settings.passcode, &ticket) {
        endpoint.home().set_passcode(ticket.id(), passcode).map_err(home::failed_list)?;
    }
    if let (Some(file), Some(ticket)) = (settings.ticket_file, &ticket) {
        file.write(ticket)?;
    }
    show(&app, &endpoint, ticket.as_ref(), settings.passcode.is_some());
    if settings.accept == Accept::Ask && !app.output.can_ask() {
        app.output
            .warn("there is no terminal to ask at, so every call is declined; use --accept all to take them");
    }
    let mut answering = Answering {
        app: &mut app,
        endpoint: &endpoint,
        accept: settings.accept,
        recorder,
        ahead: None,
        let_in: None,
        calls: 0,
        talked: 0,
    };
    let expiry = ticket.is_some().then(|| tokio::time::Instant::now() + settings.expires);
    let stop = answering.until_stopped(expiry).await;
    let talked = answering.talked;
    let unused = answering.ahead.and_then(|ahead| ahead.recorder);
    if let Some(recorder) = answering.recorder.or(unused) {
        recorder.finish().await;
    }
    endpoint.close().await;
    match stop {
        _ if app.output.had_write_trouble() => Ok(Exit::Write),
        Stop::Time => Ok(Exit::Done),
        _ if talked > 0 => Ok(Exit::Done),
        stop => Ok(stop.unanswered()),
    }
}

fn issue(endpoint: &Endpoint, settings: &Settings) -> Result<Ticket, Failure> {
    let issued = if settings.one_use {
        endpoint.ticket_for_one_call(settings.expires)
    } else {
        endpoint.ticket(settings.expires)
    };
    issued.map_err(|error| match error {
        HomeError::Ticket(TicketError::Addresses { .. }) => {
            Failure::new(Exit::Bind, "expected a network address of this machine to put into the ticket, found none; connect it, or give one with --bind")
        }
        HomeError::Ticket(error) => Failure::new(Exit::Bind, error),
        error => home::failed_list(error),
    })
}

fn show(app: &App, endpoint: &Endpoint, ticket: Option<&Ticket>, passcode: bool) {
    let listens = endpoint.local_addr().map(|a| a.to_string()).unwrap_or_default();
    let Some(ticket) = ticket else {
        let text = format!("waiting for calls of contacts at {listens}");
        return app.output.event("waiting", json!({"listens": listens}), &text);
    };
    let fields = json!({"ticket": ticket.to_string(), "expires": ticket.expires().0, "listens": listens});
    app.output.event("ticket", fields, &ticket.to_string());
    app.output.event(
        "waiting",
        json!({}),
        &format!(
            "waiting for calls at {listens}; whoever holds the ticket{} may call",
            if passcode { " and knows the passcode" } else { "" }
        ),
    );
    if app.output.terminal() {
        // Last, so that it is in full view.
        qr::show(&app.output, &ticket.to_qr_text());
    }
}

/// A call that is answered before it rings, waiting for its caller.
struct Ahead {
    call: Call,
    recorder: Option<Recorder>,
    meters: Meters,
}

/// Waits until somebody calls whom that answers.
async fn begun(ahead: Option<&Ahead>) {
    match ahead {
        Some(ahead) => ahead.call.begun().await,
        None => std::future::pending().await,
    }
}

/// Waits for that moment; for ever, without one.
async fn until(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

struct Answering<'a> {
    app: &'a mut App,
    endpoint: &'a Endpoint,
    accept: Accept,
    /// For the next call.
    recorder: Option<Recorder>,
    /// With `--accept all`: the next call.
    ahead: Option<Ahead>,
    /// Who was let in last, and is not asked about again.
    let_in: Option<PublicIdentity>,
    /// Calls that were taken.
    calls: u32,
    /// Calls that came about.
    talked: u32,
}

impl Answering<'_> {
    async fn until_stopped(&mut self, expiry: Option<tokio::time::Instant>) -> Stop {
        let stopper = self.app.stopper.clone();
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut expiry = expiry;
        loop {
            self.consent_to_next();
            let incoming = tokio::select! {
                biased;
                stop = stopper.stopped() => return stop,
                () = begun(self.ahead.as_ref()) => {
                    if let Some(stop) = self.take_ahead().await {
                        return stop;
                    }
                    continue;
                }
                Some(knock) = self.endpoint.knock() => {
                    if let Some(stop) = self.knocked(knock).await {
                        return stop;
                    }
                    continue;
                }
                incoming = self.endpoint.incoming() => incoming,
                () = until(expiry) => {
                    expiry = None;
                    self.app.output.warn("the ticket has expired, so nobody can call with it any more; start again for a new one");
                    continue;
                }
                _ = tick.tick(), if self.app.stats.is_some() => {
                    if let Some(file) = &mut self.app.stats {
                        file.write(&stats::waiting(&self.app.clock), &self.app.output);
                    }
                    continue;
                }
            };
            let Some(incoming) = incoming else { return stopper.stopped().await };
            if let Some(stop) = self.take(incoming).await {
                return stop;
            }
        }
    }

    /// With `--accept all` the next caller is answered at once. Not if that call's recording would need a folder of its
    /// own, which is made when somebody calls.
    fn consent_to_next(&mut self) {
        let folder_needed = self.app.common.record.is_some() && self.recorder.is_none();
        if self.accept != Accept::All || self.ahead.is_some() || folder_needed {
            return;
        }
        let meters = Meters::new();
        let tape = self.recorder.as_ref().map(Recorder::tape);
        // A file that is gone is reported to whoever calls, by the ordinary way.
        if let Ok(media) = media::open(&self.app.common, &meters, &self.app.output, tape.as_ref()) {
            let call = self.endpoint.answer_next(media);
            self.ahead = Some(Ahead { call, recorder: self.recorder.take(), meters });
        }
    }

    /// Somebody calls who is answered at once; gives the reason if the program should end meanwhile.
    async fn take_ahead(&mut self) -> Option<Stop> {
        let Ahead { call, recorder, meters } = self.ahead.take()?;
        let began = Instant::now();
        self.calls += 1;
        let from = call.from().map(place).unwrap_or_default();
        if call.peer().is_none() {
            let text = format!("somebody at {from} has the ticket and is answered at once");
            self.app.output.event("answered-ahead", json!({"from": from}), &text);
        }
        let stopper = self.app.stopper.clone();
        let connected = tokio::select! {
            biased;
            stop = stopper.stopped() => Err(Some(stop)),
            connected = call.connected() => connected.map_err(|_| None),
        };
        if let Err(stop) = connected {
            call.hang_up().await;
            self.app.output.event(
                "unproven",
                json!({"from": from}),
                &format!("the one at {from} did not prove who that is, and heard at most 3 s"),
            );
            if let Some(recorder) = recorder {
                recorder.finish().await;
            }
            return stop;
        }
        let fingerprint = call.peer().map(|peer| peer.fingerprint().to_string()).unwrap_or_default();
        let contact = call.peer().and_then(|peer| self.endpoint.home().contact_of(&peer.fingerprint()));
        let contact = contact.map(|contact| contact.name);
        self.announce(&fingerprint, contact.as_deref(), &call.peer_name(), &from, &call.peer_tracks());
        if let Some(recorder) = &recorder {
            recorder.tape().line("ringing", began, json!({}));
        }
        self.talk(call, recorder, meters).await
    }

    async fn talk(&mut self, call: Call, recorder: Option<Recorder>, meters: Meters) -> Option<Stop> {
        let talked = talk(self.app, call, recorder, meters, self.endpoint, true).await;
        self.talked += u32::from(talked.answered);
        if talked.stopped.is_none() {
            self.app.output.event("waiting", json!({}), "waiting for the next call");
        }
        talked.stopped
    }

    /// Deals with one caller; gives the reason if the program should end meanwhile.
    async fn take(&mut self, incoming: Incoming) -> Option<Stop> {
        let rang = Instant::now();
        let fingerprint = incoming.peer().fingerprint().to_string();
        let from = place(incoming.from());
        let contact = incoming.contact().map(|contact| &*contact.name);
        let who = self.announce(&fingerprint, contact, incoming.name(), &from, incoming.tracks());
        match self.decide(&incoming, &who).await {
            Decision::Answer => {}
            Decision::Decline => {
                incoming.decline();
                return None;
            }
            Decision::GaveUp => return None,
            Decision::Stop(stop) => {
                incoming.decline();
                return Some(stop);
            }
        }
        self.calls += 1;
        let recorder = self.next_recorder();
        let tape = recorder.as_ref().map(Recorder::tape);
        let meters = Meters::new();
        let media = match media::open(&self.app.common, &meters, &self.app.output, tape.as_ref()) {
            Ok(media) => media,
            Err(failure) => {
                incoming.decline();
                self.app.output.warn(format_args!("the call was declined: {}", failure.message));
                if let Some(recorder) = recorder {
                    recorder.finish().await;
                }
                return None;
            }
        };
        if let Some(tape) = &tape {
            tape.line("ringing", rang, json!({}));
        }
        let call = incoming.answer(media);
        drop(tape);
        self.talk(call, recorder, meters).await
    }

    /// Tells who calls; gives the name to ask with.
    fn announce(
        &self,
        fingerprint: &str,
        contact: Option<&str>,
        name: &str,
        from: &str,
        tracks: &[TrackInfo],
    ) -> String {
        let who = match (contact, name) {
            (Some(contact), _) => format!("{contact} (contact) {fingerprint}"),
            (None, "") => fingerprint.to_owned(),
            (None, name) => format!("\"{name}\" (unverified) {fingerprint}"),
        };
        let fields = json!({
            "peer": fingerprint,
            "contact": contact,
            "name": name,
            "from": from,
            "tracks": tracks_json(tracks),
        });
        let text = format!("{who} calls, to send {}", tracks_text(tracks));
        self.app.output.event("ringing", fields, &text);
        who
    }

    /// Somebody waits to be let in; gives the reason if the program should end meanwhile.
    async fn knocked(&mut self, mut knock: Knock) -> Option<Stop> {
        let output = &self.app.output;
        let (peer, from) = (knock.peer(), place(knock.from()));
        let who = match knock.name() {
            "" => peer.fingerprint().to_string(),
            name => format!("\"{name}\" (unverified) {}", peer.fingerprint()),
        };
        let fields = json!({"peer": peer.fingerprint().to_string(), "name": knock.name(), "from": from});
        output.event("knock", fields, &format!("{who} waits to be let in"));
        if self.accept == Accept::All {
            knock.admit();
            return None;
        }
        let mut keys = Keys::read(output);
        if keys.is_none() {
            output.event(
                "refused",
                json!({"reason": "no-terminal"}),
                "refused, as there is no terminal to ask at",
            );
            return None;
        }
        output.line("let them in? y/n");
        loop {
            tokio::select! {
                biased;
                stop = self.app.stopper.stopped() => return Some(stop),
                () = knock.given_up() => {
                    output.event("gave-up", json!({}), &format!("{who} gave up"));
                    return None;
                }
                key = keys::next(&mut keys) => match key {
                    Key::Char('y') => {
                        self.let_in = Some(peer);
                        knock.admit();
                        return None;
                    }
                    Key::Char('n' | 'q') => {
                        output.event("refused", json!({"reason": "person"}), "refused");
                        return None;
                    }
                    Key::Interrupt => self.app.stopper.stop(Stop::Interrupted),
                    _ => output.line("let them in? y/n"),
                },
            }
        }
    }

    async fn decide(&mut self, incoming: &Incoming, who: &str) -> Decision {
        let let_in = self.let_in.take_if(|who| *who == incoming.peer()).is_some();
        if self.accept == Accept::All || let_in {
            return Decision::Answer;
        }
        let output = &self.app.output;
        let mut keys = Keys::read(output);
        if keys.is_none() {
            let text = "declined, as there is no terminal to ask at; use --accept all to take calls";
            output.event("declined", json!({"reason": "no-terminal"}), text);
            return Decision::Decline;
        }
        output.line("answer? y/n");
        loop {
            tokio::select! {
                biased;
                stop = self.app.stopper.stopped() => return Decision::Stop(stop),
                end = incoming.given_up() => {
                    output.event("gave-up", json!({}), &format!("{who} gave up: {end}"));
                    return Decision::GaveUp;
                }
                Some(other) = self.endpoint.incoming() => {
                    output.line("somebody else calls too and is told that you are busy");
                    other.busy();
                }
                key = keys::next(&mut keys) => match key {
                    Key::Char('y') => return Decision::Answer,
                    Key::Char('n' | 'q') => {
                        output.event("declined", json!({"reason": "person"}), "declined");
                        return Decision::Decline;
                    }
                    Key::Interrupt => self.app.stopper.stop(Stop::Interrupted),
                    _ => output.line("answer? y/n"),
                },
            }
        }
    }

    /// The first call is recorded in the folder itself, further ones in 2, 3, … below it.
    fn next_recorder(&mut self) -> Option<Recorder> {
        if let Some(first) = self.recorder.take() {
            return Some(first);
        }
        let folder = self.app.common.record.as_deref().map(|dir: &Path| dir.join(self.calls.to_string()));
        self.app.recorder(folder.as_deref()).unwrap_or_else(|failure| {
            self.app.output.write_trouble(format_args!("this call is not recorded: {}", failure.message));
            None
        })
    }
}

enum Decision {
    Answer,
    Decline,
    GaveUp,
    Stop(Stop),
}
