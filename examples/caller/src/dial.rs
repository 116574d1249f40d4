//! `kring call`: everything is checked before the first packet leaves, and the exit code says what came of it.

use crate::app::App;
use crate::args;
use crate::contacts;
use crate::exit::{self, Exit, Failure};
use crate::home;
use crate::media::{self, Meters};
use crate::passcode;
use crate::record::Recorder;
use crate::stop::Stop;
use crate::talk::talk;
use crate::ticket;
use kring::{Call, ContactInfo, Endpoint, Passcode, Pin, Ticket};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// What `call` has besides the common options.
pub(crate) struct Settings {
    whom: Whom,
    passcode: Option<Passcode>,
    /// Whom the ticket is from.
    expected: Option<Pin>,
}

impl Settings {
    pub(crate) fn new(whom: Whom, call: &args::Call) -> Result<Settings, Failure> {
        let expected = call.expect.as_deref().map(|name| {
            let contact = home::open(call.common.home.home.clone())?.contact(name);
            let contact = contact.map_err(|error| contacts::failed(error.into()))?;
            let identity = contact.identity.ok_or_else(|| {
                let message =
                    format!("\"{name}\" has not been called yet, so that nothing is known to expect");
                Failure::new(Exit::Contact, message)
            })?;
            Ok(Pin { identity, verified: contact.verified })
        });
        Ok(Settings {
            whom,
            passcode: passcode::read(call.passcode_file.as_deref())?,
            expected: expected.transpose()?,
        })
    }
}

/// Who is called.
pub(crate) enum Whom {
    Ticket(Ticket),
    Contact(ContactInfo),
}

/// Reads the argument: what looks like a ticket, or like where to read one, is one; anything else is a contact's name.
pub(crate) fn whom(argument: Option<&str>, home: Option<PathBuf>) -> Result<Whom, Failure> {
    let name = argument.filter(|text| kring::check_contact_name(text).is_ok());
    let contact =
        name.map(|name| Ok::<_, Failure>(home::open(home)?.contact(name).ok())).transpose()?.flatten();
    match (contact, name) {
        (Some(contact), _) => Ok(Whom::Contact(contact)),
        (None, None) => ticket::read(argument).map(Whom::Ticket),
        (None, Some(name)) => ticket::read(argument).map(Whom::Ticket).map_err(|failure| {
            let message =
                format!("no contact is called \"{name}\", and it is no ticket: {}", failure.message);
            Failure::new(failure.code, message)
        }),
    }
}

pub(crate) async fn run(mut app: App, settings: Settings) -> Result<Exit, Failure> {
    let recorder = app.recorder(app.common.record.as_deref())?;
    let meters = Meters::new();
    let (endpoint, call) = match dial(&mut app, settings, recorder.as_ref(), &meters) {
        Ok(dialled) => dialled,
        Err(failure) => {
            // No half-written identity is left behind.
            let _ = app.kept();
            if let Some(recorder) = recorder {
                recorder.finish().await;
            }
            return Err(failure);
        }
    };
    let talked = talk(&mut app, call, recorder, meters, &endpoint, false).await;
    endpoint.close().await;
    app.kept()?;
    let code = match talked.stopped {
        Some(stop) if !talked.answered => stop.unanswered(),
        _ => exit::of_call(&talked.end, talked.answered),
    };
    match (code, talked.stopped) {
        (Exit::Done, _) if app.output.had_write_trouble() => Ok(Exit::Write),
        (Exit::Done, _) => Ok(Exit::Done),
        (Exit::NotAnswered, Some(Stop::Time)) => Err(Failure::new(
            code,
            "expected an answer, none came before the time of --for was over; try again later",
        )),
        (_, Some(_)) => Err(Failure::new(code, "ended before the call was answered")),
        (_, None) if talked.answered => Err(Failure::new(code, format!("the call ended: {}", talked.end))),
        (_, None) => Err(Failure::new(code, format!("no call: {}", talked.end))),
    }
}

fn dial(
    app: &mut App,
    Settings { whom, passcode, expected }: Settings,
    recorder: Option<&Recorder>,
    meters: &Meters,
) -> Result<(Endpoint, Call), Failure> {
    let tape = recorder.map(Recorder::tape);
    let media = media::open(&app.common, meters, &app.output, tape.as_ref())?;
    // Before keys are made and packets sent: from here on the person waits for the other side.
    let (peer, contact) = match &whom {
        Whom::Ticket(ticket) => (ticket.fingerprint().to_string(), None),
        Whom::Contact(contact) => (contact.fingerprint.to_string(), Some(&contact.name)),
    };
    let (now, fields) = (Instant::now(), json!({"peer": peer, "contact": contact}));
    if let Some(tape) = &tape {
        tape.line("dial", now, fields.clone());
    }
    let text = contact.map_or(format!("calling {peer}"), |name| format!("calling {name}, {peer}"));
    app.output.event_at(now, "dial", fields, &text);
    let endpoint = app.endpoint(false, false)?;
    let call = match &whom {
        Whom::Ticket(ticket) => match expected {
            Some(pin) => endpoint.dial_expecting(ticket, pin, media),
            None => endpoint.dial(ticket, media),
        },
        Whom::Contact(contact) => endpoint.dial_contact(&contact.name, media).map_err(contacts::failed)?,
    };
    if let Some(passcode) = passcode {
        call.enter_passcode(passcode);
    }
    Ok((endpoint, call))
}
