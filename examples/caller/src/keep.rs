//! Keeping the other side of a call as a contact: by `--keep`, or by a key after the first call at a terminal.
//!
//! Guarantee: nobody becomes a contact whom no person has named or agreed to.

use crate::app::App;
use crate::keys::{self, Key, Keys};
use crate::stop::Stop;
use kring::{Endpoint, PublicIdentity};
use serde_json::json;
use std::time::Duration;

/// How long a question stands before it counts as no.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps somebody; says whether that worked.
pub(crate) fn keep(app: &App, endpoint: &Endpoint, peer: &PublicIdentity, name: &str) -> bool {
    // The disk may take a while, and a call may be going on.
    match tokio::task::block_in_place(|| endpoint.keep(peer, name)) {
        Ok(()) => {
            let fingerprint = peer.fingerprint().to_string();
            let text = format!(
                "{fingerprint} is kept as {name}; if they keep you too, `kring call {name}` calls them"
            );
            app.output.event("kept", json!({"peer": fingerprint, "name": name}), &text);
            true
        }
        Err(error) => {
            app.output.warn(format_args!("not kept as a contact: {error}"));
            false
        }
    }
}

/// With whom there was a call.
pub(crate) struct Other<'a> {
    pub(crate) peer: &'a PublicIdentity,
    /// What they call themselves.
    pub(crate) called: &'a str,
    /// Whether a person has compared the code with them.
    pub(crate) verified: bool,
}

/// After a call with somebody who is no contact: asks a person at a terminal. Other callers are told meanwhile that it is
/// busy.
pub(crate) async fn offer(app: &App, endpoint: &Endpoint, other: Other<'_>, others: bool) {
    let Other { peer, called, verified } = other;
    let home = endpoint.home();
    if home.contact_of(&peer.fingerprint()).is_some() {
        return;
    }
    let Some(mut keys) = Keys::read(&app.output).map(Some) else { return };
    let name = suggestion(home, peer, called);
    app.output.line(&format!("keep them as your contact \"{name}\", to be called without a ticket? y/n"));
    let patience = tokio::time::sleep(PATIENCE);
    tokio::pin!(patience);
    loop {
        tokio::select! {
            biased;
            _ = app.stopper.stopped() => return,
            () = &mut patience => return app.output.line("not kept"),
            Some(other) = endpoint.incoming(), if others => {
                app.output.line("somebody else calls and is told that you are busy");
                other.busy();
            }
            key = keys::next(&mut keys) => match key {
                Key::Char('y') => {
                    // What was compared in the call holds for the contact.
                    if keep(app, endpoint, peer, &name)
                        && verified
                        && let Err(error) = home.set_verified(&name, true)
                    {
                        app.output.warn(format_args!("that they are verified was not kept: {error}"));
                    }
                    return;
                }
                Key::Char('n' | 'q') => return app.output.line("not kept"),
                Key::Interrupt => app.stopper.stop(Stop::Interrupted),
                _ => app.output.line("keep them? y/n"),
            },
        }
    }
}

/// What they call themselves, if that can be had; else the beginning of the fingerprint.
fn suggestion(home: &kring::Home, peer: &PublicIdentity, called: &str) -> String {
    let called = called.trim();
    if kring::check_contact_name(called).is_ok() && home.contact(called).is_err() {
        return called.to_owned();
    }
    peer.fingerprint().to_string().split(' ').take(3).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_offered_to_be_kept_under_a_name_that_another_has_or_nobody_can_have() {
        let home = kring::Home::in_memory();
        let peer = PublicIdentity::from([7; 32]);
        assert_eq!(suggestion(&home, &peer, " Anna "), "Anna");
        for odd in ["", "kring1x", "-h", "@file"] {
            let name = suggestion(&home, &peer, odd);
            assert!(name.len() == 14 && kring::check_contact_name(&name).is_ok(), "{name}");
        }
    }
}
