//! Who listens at which mailbox, and who waits for the other side of a forgotten session.
//!
//! Guarantee: whoever listens has shown a right to the mailbox; the last who did is the one. Of a client that is gone
//! nothing is kept.

use crate::sessions::Party;
use kring_net::relay::Mailbox;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a side waits for the other one to rejoin.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A client that listens, as far as others need it.
pub(crate) trait Listener {
    /// Its number.
    fn client(&self) -> u64;
    /// It as one side of a session, from where it is now.
    fn party(&self) -> Party;
}

struct Waiting<L> {
    listener: L,
    request: u64,
    since: Instant,
}

/// The mailboxes, and who waits.
pub(crate) struct Rendezvous<L> {
    mailboxes: HashMap<Mailbox, (L, u32)>,
    waiting: HashMap<[u8; 32], Waiting<L>>,
}

impl<L> Default for Rendezvous<L> {
    fn default() -> Rendezvous<L> {
        Rendezvous { mailboxes: HashMap::new(), waiting: HashMap::new() }
    }
}

/// Why there is nobody to talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoListener {
    /// Nobody listens there.
    NobodyThere,
    /// As many sessions as there may be.
    TooMuch,
}

impl<L: Listener> Rendezvous<L> {
    /// `listener` listens at `mailbox` now. Who did before, if that was another.
    pub(crate) fn listen(&mut self, mailbox: Mailbox, listener: L) -> Option<L> {
        let client = listener.client();
        match self.mailboxes.get_mut(&mailbox) {
            // The sessions go on, whoever listens now.
            Some((before, _)) => {
                let before = std::mem::replace(before, listener);
                (before.client() != client).then_some(before)
            }
            None => {
                self.mailboxes.insert(mailbox, (listener, 0));
                None
            }
        }
    }

    /// `client` does not listen there any more.
    pub(crate) fn unlisten(&mut self, mailbox: Mailbox, client: u64) {
        if self.mailboxes.get(&mailbox).is_some_and(|(listener, _)| listener.client() == client) {
            self.mailboxes.remove(&mailbox);
        }
    }

    /// `client` is gone.
    pub(crate) fn leave(&mut self, client: u64, mailboxes: impl IntoIterator<Item = Mailbox>) {
        for mailbox in mailboxes {
            self.unlisten(mailbox, client);
        }
        self.waiting.retain(|_, waiting| waiting.listener.client() != client);
    }

    /// Who listens at `mailbox`, with one more session there, of `most`.
    ///
    /// # Errors
    /// [`NoListener`].
    pub(crate) fn dial(&mut self, mailbox: Mailbox, most: u32) -> Result<Party, NoListener> {
        let (listener, sessions) = self.mailboxes.get_mut(&mailbox).ok_or(NoListener::NobodyThere)?;
        if *sessions >= most {
            return Err(NoListener::TooMuch);
        }
        *sessions += 1;
        Ok(listener.party())
    }

    /// A session at `mailbox` is over.
    pub(crate) fn ended(&mut self, mailbox: Mailbox) {
        if let Some((_, sessions)) = self.mailboxes.get_mut(&mailbox) {
            *sessions = sessions.saturating_sub(1);
        }
    }

    /// Who waits under `resume` already, with the number of that request; else `listener` does now.
    pub(crate) fn rejoin(
        &mut self,
        resume: [u8; 32],
        request: u64,
        listener: L,
        now: Instant,
    ) -> Option<(L, u64)> {
        match self.waiting.remove(&resume) {
            Some(other) if other.listener.client() != listener.client() => {
                Some((other.listener, other.request))
            }
            _ => {
                self.waiting.insert(resume, Waiting { listener, request, since: now });
                None
            }
        }
    }

    /// Those who have waited for too long, with the numbers of their requests.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(L, u64)> {
        let late = |waiting: &Waiting<L>| now.saturating_duration_since(waiting.since) > PATIENCE;
        let over = self.waiting.extract_if(|_, waiting| late(waiting));
        over.map(|(_, waiting)| (waiting.listener, waiting.request)).collect()
    }

    /// How many mailboxes have a listener.
    pub(crate) fn mailboxes(&self) -> usize {
        self.mailboxes.len()
    }
}
