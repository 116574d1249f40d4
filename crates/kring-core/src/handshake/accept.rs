//! The callee's side.

use super::channel::{MAX_FRAME, put_frame};
use super::pass::{Admitted, Verdict};
use super::replay::ReplayCache;
use super::{
    Binding, CallId, Chain, Channel, F_CALL_ID, F_CERTIFICATE, F_OFFER, F_TIME, F_VERSION, FrameReader,
    HINT_LEN, HandshakeError, Line, MAX_HANDSHAKE_FRAME, Pass, Role, Session, VERSION, builder,
};
use crate::contact::Contacts;
use crate::crypto::{Provider, kdf};
use crate::identity::{Certificate, CertificateError, Identity, PublicIdentity};
use crate::issued::IssuedTickets;
use crate::ticket::{Ticket, TicketId};
use crate::time::WallTime;
use crate::wire::{self, Fields};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// What was dropped, and why; for logs and statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// First messages whose hint fits no live ticket and no contact, and callers whose ticket ended meanwhile.
    pub unknown_hint: u64,
    /// Callers who have proven that they are somebody whom this side has blocked.
    pub blocked: u64,
    /// First messages seen before.
    pub replayed: u64,
    /// First messages from a clock that is off.
    pub clock: u64,
    /// Messages that did not open, were malformed or proved nothing.
    pub invalid: u64,
    /// Handshakes that came to a session.
    pub completed: u64,
}

/// What all incoming handshakes of an endpoint share: the identity, who gets through, and which first messages came.
pub struct Acceptor {
    identity: Arc<Identity>,
    provider: Arc<dyn Provider>,
    admitted: Admitted,
    replay: ReplayCache,
    counters: Counters,
}

impl Acceptor {
    /// Answers for `identity`; nobody gets through until a ticket is [added](Acceptor::add) or somebody
    /// [admitted](Acceptor::admit).
    #[must_use]
    pub fn new(identity: Arc<Identity>, provider: Arc<dyn Provider>) -> Acceptor {
        Acceptor {
            identity,
            provider,
            admitted: Admitted::default(),
            replay: ReplayCache::default(),
            counters: Counters::default(),
        }
    }

    /// Lets callers with `ticket` through until it expires.
    pub fn add(&mut self, ticket: &Ticket) {
        self.admitted.add(ticket);
    }

    /// Lets through whoever holds one of these tickets or is one of these contacts, instead of those before; and nobody who
    /// is blocked.
    pub fn admit(&mut self, tickets: &IssuedTickets, contacts: &Contacts) {
        self.admitted.set(tickets, contacts);
    }

    /// Whether contacts get through only: all others are dropped before any Diffie-Hellman, whatever ticket they hold.
    pub fn set_contacts_only(&mut self, contacts_only: bool) {
        self.admitted.set_contacts_only(contacts_only);
    }

    /// Lets nobody through with that ticket any more; says whether it was live.
    pub fn revoke(&mut self, id: TicketId) -> bool {
        self.admitted.revoke(id)
    }

    /// What was dropped so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Counts what became of a [`Claimed`] channel.
    pub fn count_claimed(&mut self, proven: bool) {
        if proven {
            self.counters.completed += 1;
        } else {
            self.counters.invalid += 1;
        }
    }

    fn count(&mut self, error: HandshakeError) -> HandshakeError {
        let counter = match error {
            HandshakeError::UnknownHint => &mut self.counters.unknown_hint,
            HandshakeError::Blocked => &mut self.counters.blocked,
            HandshakeError::Replayed => &mut self.counters.replayed,
            HandshakeError::Clock { .. } => &mut self.counters.clock,
            _ => &mut self.counters.invalid,
        };
        *counter += 1;
        tracing::debug!(reason = %error, "dropped an incoming handshake");
        error
    }

    #[cfg(test)]
    pub(super) fn forget_first_messages(&mut self) {
        self.replay.clear();
    }
}

/// How far an incoming handshake has come.
pub enum Progress {
    /// More bytes are needed.
    Waiting,
    /// These bytes are to be written to the stream.
    Reply(Vec<u8>),
    /// `confirm` was opened: the caller is proven, and only now may anything ring.
    Done(Box<Session>),
}

enum State {
    Message1,
    Confirm(Box<Claimed>),
    Failed,
}

/// A channel on which only the caller's device can read, whoever that is: the callee has answered message 1 and has yet
/// to see `confirm`. It has no name, and nothing rings for it; all that it is good for is to send ahead to whoever holds
/// the ticket ([`Call::ahead`](crate::call::Call::ahead)).
pub struct Claimed {
    pub(crate) line: Line,
    pub(crate) claim: Claim,
}

/// What message 1 claims and `confirm` has to prove.
pub(crate) struct Claim {
    noise: [u8; 32],
    /// Who it has to be, for the secret that it came with.
    contact: Option<PublicIdentity>,
    /// When message 1 came.
    at: WallTime,
}

impl Claim {
    /// Who the caller is and what it offers, by the opened `confirm`.
    pub(crate) fn prove(&self, confirm: &[u8]) -> Result<(PublicIdentity, Vec<u8>), HandshakeError> {
        let (mut certificate, mut offer) = (None, Vec::new());
        for field in Fields(confirm) {
            match field? {
                (F_CERTIFICATE, value) => certificate = Some(Certificate::decode(value)?),
                (F_OFFER, value) => offer = value.to_vec(),
                _ => {}
            }
        }
        let certificate = certificate.ok_or(HandshakeError::Malformed)?;
        certificate.check(&self.noise, self.at)?;
        if self.contact.is_some_and(|contact| contact != certificate.identity) {
            return Err(CertificateError::OtherIdentity.into());
        }
        Ok((certificate.identity, offer))
    }
}

/// A handshake begun by the other side.
pub struct Accept {
    binding: Binding,
    state: State,
    reader: FrameReader,
}

impl Accept {
    /// For one incoming connection.
    #[must_use]
    pub fn new(binding: Binding) -> Accept {
        Accept { binding, state: State::Message1, reader: FrameReader::default() }
    }

    /// Reads from the stream.
    ///
    /// # Errors
    /// Any [`HandshakeError`], counted in `acceptor`; the connection is to be dropped.
    pub fn handle(
        &mut self,
        bytes: &[u8],
        acceptor: &mut Acceptor,
        now: WallTime,
    ) -> Result<Progress, HandshakeError> {
        if matches!(self.state, State::Failed) {
            // Nothing is buffered that nobody will read.
            return Err(HandshakeError::Failed);
        }
        match &mut self.state {
            State::Confirm(claimed) => claimed.line.reader.push(bytes),
            _ => self.reader.push(bytes),
        }
        let result = match std::mem::replace(&mut self.state, State::Failed) {
            State::Message1 => self.message_1(acceptor, now),
            State::Confirm(claimed) => self.confirm(claimed, acceptor),
            State::Failed => Err(HandshakeError::Failed),
        };
        result.map_err(|e| acceptor.count(e))
    }

    fn message_1(&mut self, acceptor: &mut Acceptor, now: WallTime) -> Result<Progress, HandshakeError> {
        let frame = self.reader.next(MAX_HANDSHAKE_FRAME).map_err(|_| HandshakeError::Malformed)?;
        let Some(frame) = frame else {
            self.state = State::Message1;
            return Ok(Progress::Waiting);
        };
        let (hint, message) = frame.split_first_chunk::<HINT_LEN>().ok_or(HandshakeError::Malformed)?;

        // Symmetric cryptography only, until a ticket or a contact is known.
        let admission = acceptor
            .admitted
            .live(now)
            .find(|a| bool::from(self.binding.hint(&a.key.psk0).ct_eq(hint)))
            .ok_or(HandshakeError::UnknownHint)?;
        let by = admission.key.clone();
        let key = acceptor.identity.noise_key_of(&by.callee_noise).ok_or(HandshakeError::UnknownHint)?;

        let mut state = builder(&acceptor.provider, false)
            .local_private_key(&*key.secret())?
            .prologue(&self.binding.prologue())?
            .psk(0, &by.psk0)?
            .build_responder()?;
        let mut payload = vec![0; message.len()];
        let len = state.read_message(message, &mut payload)?;

        let (mut call_id, mut made, mut version) = (None, None, None);
        for field in Fields(&payload[..len]) {
            match field? {
                (F_CALL_ID, value) => call_id = value.try_into().ok().map(CallId),
                (F_TIME, value) => made = Some(wire::number(value)?),
                (F_VERSION, value) if wire::number(value)? == VERSION => version = Some(VERSION),
                _ => {}
            }
        }
        let call_id = call_id.ok_or(HandshakeError::Malformed)?;
        let made = made.ok_or(HandshakeError::Malformed)?;
        acceptor.replay.accept(kdf::hash("kring message 1", &[message]), made, now)?;
        let version = version.ok_or(HandshakeError::Version)?;

        let noise = state.get_remote_static().and_then(|k| k.try_into().ok()).ok_or(HandshakeError::Noise)?;
        let mut certificate = Vec::with_capacity(Certificate::LEN);
        acceptor.identity.certificate(key).encode(&mut certificate);
        let mut payload = Vec::new();
        wire::put(F_CERTIFICATE, &certificate, &mut payload);
        wire::put_number(F_VERSION, version, &mut payload);
        wire::put_grease(&*acceptor.provider, &mut payload)?;
        let mut reply = vec![0; MAX_HANDSHAKE_FRAME];
        let len = state.write_message(&payload, &mut reply)?;
        let mut out = Vec::with_capacity(len + 2);
        put_frame(&reply[..len], &mut out);

        let contact = match by.pass {
            Pass::Contact(identity, _) => Some(identity),
            Pass::Ticket(_) => None,
        };
        let (channel, handshake_hash) = Channel::new(state)?;
        let line = Line {
            role: Role::Callee,
            call_id,
            handshake_hash,
            chain: Chain::new(key.public, noise, handshake_hash),
            channel,
            reader: std::mem::take(&mut self.reader),
            provider: acceptor.provider.clone(),
            by,
        };
        self.state = State::Confirm(Box::new(Claimed { line, claim: Claim { noise, contact, at: now } }));
        Ok(Progress::Reply(out))
    }

    /// Once message 2 is written: whether a callee who consents to answer anyone who gets through may do so before `confirm`.
    /// Not by a ticket for one call, nor by any while somebody is blocked: a proof has to come first then.
    #[must_use]
    pub fn may_go_ahead(&self, acceptor: &Acceptor) -> bool {
        match &self.state {
            State::Confirm(claimed) => acceptor.admitted.may_go_ahead(claimed.line.by.pass),
            State::Message1 | State::Failed => false,
        }
    }

    /// Once message 2 is written: the channel to whoever holds the ticket, for a callee who has consented to answer
    /// anyone who does. `None` at any other time.
    #[must_use]
    pub fn claimed(self) -> Option<Claimed> {
        match self.state {
            State::Confirm(claimed) => Some(*claimed),
            State::Message1 | State::Failed => None,
        }
    }

    fn confirm(
        &mut self,
        mut claimed: Box<Claimed>,
        acceptor: &mut Acceptor,
    ) -> Result<Progress, HandshakeError> {
        let line = &mut claimed.line;
        let Some(frame) = line.reader.next(MAX_FRAME).map_err(|_| HandshakeError::Malformed)? else {
            self.state = State::Confirm(claimed);
            return Ok(Progress::Waiting);
        };
        let confirm = line.channel.open(frame)?;
        let (peer, offer) = claimed.claim.prove(&confirm)?;
        match acceptor.admitted.take(line.by.pass, &peer) {
            Verdict::Welcome => {}
            Verdict::Ended => return Err(HandshakeError::UnknownHint),
            Verdict::Blocked => return Err(HandshakeError::Blocked),
        }
        acceptor.counters.completed += 1;
        Ok(Progress::Done(Box::new(Session { line: claimed.line, version: VERSION, peer, offer })))
    }
}
