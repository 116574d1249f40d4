//! `kring call`: everything is checked before the first packet leaves, and the exit code says what came of it.

use crate::app::App;
use crate::exit::{self, Exit, Failure};
use crate::media::{self, Meters};
use crate::record::Recorder;
use crate::stop::Stop;
use crate::talk::talk;
use kring::{Call, Endpoint, Ticket};
use serde_json::json;
use std::time::Instant;

pub(crate) async fn run(mut app: App, ticket: Ticket) -> Result<Exit, Failure> {
    let recorder = app.recorder(app.common.record.as_deref())?;
    let meters = Meters::new();
    let (endpoint, call) = match dial(&mut app, &ticket, recorder.as_ref(), &meters) {
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
    let talked = talk(&mut app, call, recorder, meters, None).await;
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
    ticket: &Ticket,
    recorder: Option<&Recorder>,
    meters: &Meters,
) -> Result<(Endpoint, Call), Failure> {
    let tape = recorder.map(Recorder::tape);
    let media = media::open(&app.common, meters, tape.as_ref())?;
    // Before keys are made and packets sent: from here on the person waits for the other side.
    let peer = ticket.fingerprint().to_string();
    let (now, fields) = (Instant::now(), json!({"peer": peer}));
    if let Some(tape) = &tape {
        tape.line("dial", now, fields.clone());
    }
    app.output.event_at(now, "dial", fields, &format!("calling {peer}"));
    let endpoint = app.endpoint()?;
    let call = endpoint.dial(ticket, media);
    Ok((endpoint, call))
}
