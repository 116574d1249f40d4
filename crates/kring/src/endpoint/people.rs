//! Whom an endpoint lets through, and whom it can call again.

use super::Endpoint;
use crate::call::Call;
use crate::clock::wall;
use crate::dial::Target;
use crate::home::{Home, HomeError};
use crate::media::Media;
use kring_core::contact::ContactError;
use kring_core::identity::PublicIdentity;
use kring_core::ticket::{Ticket, TicketId};
use std::net::SocketAddr;
use std::time::Duration;

impl Endpoint {
    /// Gives out a ticket by which this endpoint can be called for `lifetime`
    /// ([`DEFAULT_LIFETIME`](crate::DEFAULT_LIFETIME): a day), at the addresses that this machine has, and where
    /// its relay sees it, if it has one: behind some routers it is reached there at once. It is saved, which may take 0.1 s.
    ///
    /// # Errors
    /// [`HomeError::Ticket`], say without any address; [`HomeError::Store`].
    pub fn ticket(&self, lifetime: Duration) -> Result<Ticket, HomeError> {
        self.issue(&self.common().places(), lifetime, false)
    }

    /// Gives out a ticket that is good for one call: it is spent as soon as a caller with it has proven who that is, whether
    /// the call is answered or not, and stays so over a restart.
    ///
    /// # Errors
    /// As for [`ticket`](Endpoint::ticket).
    pub fn ticket_for_one_call(&self, lifetime: Duration) -> Result<Ticket, HomeError> {
        self.issue(&self.common().places(), lifetime, true)
    }

    /// Gives out a ticket with these addresses, for example one that a router forwards.
    ///
    /// # Errors
    /// [`HomeError::Ticket`], say for too many addresses; [`HomeError::Store`].
    pub fn ticket_for(&self, addresses: &[SocketAddr], lifetime: Duration) -> Result<Ticket, HomeError> {
        self.issue(addresses, lifetime, false)
    }

    fn issue(
        &self,
        addresses: &[SocketAddr],
        lifetime: Duration,
        one_use: bool,
    ) -> Result<Ticket, HomeError> {
        let common = self.common();
        let (issued, ends) = (wall(), wall().after(lifetime));
        let relay = common.relays.hint(common, issued, ends);
        let addresses = if common.relays.only() { &[] } else { addresses };
        let (identity, provider) = (&common.identity, &*common.provider);
        let ticket = Ticket::issue_with(identity, addresses, relay.as_ref(), ends, provider)?;
        common.home.issue(&ticket, one_use, issued)?;
        super::relays::listen(common);
        Ok(ticket)
    }

    /// Lets nobody through with that ticket any more; says whether it was live. Calls under way go on.
    ///
    /// # Errors
    /// [`HomeError::Store`]: it is revoked until the end of the process only.
    pub fn revoke(&self, ticket: TicketId) -> Result<bool, HomeError> {
        self.common().home.revoke(ticket)
    }

    /// Where this endpoint's tickets and contacts are kept.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.common().home
    }

    /// Keeps the other side of a call as a contact, during the call or after it. If they have kept this side too, the two
    /// can call each other again without a ticket; each further call renews the secret for that. Who is a contact already
    /// keeps the name.
    ///
    /// # Errors
    /// [`HomeError::Contact`] if the name cannot be had or they are blocked; [`HomeError::Store`].
    pub fn keep(&self, peer: &PublicIdentity, name: &str) -> Result<(), HomeError> {
        let common = self.common();
        let met = common.met.get(peer);
        let (key, addresses) = met.map_or((None, Vec::new()), |met| (Some(met.key), met.addresses));
        let lacks_key = key.is_none();
        common.home.keep(name, *peer, key, &addresses)?;
        // The two may have agreed while that was being saved.
        if let Some(met) = common.met.get(peer).filter(|_| lacks_key) {
            common.home.renewed(peer, met.key, &met.addresses)?;
        }
        if let Some(relay) = common.met.get(peer).and_then(|met| met.relay) {
            common.home.relayed(peer, relay)?;
        }
        common.met.forget(peer);
        Ok(())
    }

    /// Dials a contact by its name, as [`dial`](Endpoint::dial) dials the holder of a ticket: at the addresses where it was
    /// found last, with the latest secret, then with those before it, then with its ticket.
    ///
    /// Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// [`HomeError::Contact`] if there is none of that name or they are blocked, [`HomeError::NoSecret`] if there is nothing
    /// to call them with.
    pub fn dial_contact(&self, name: &str, media: Media) -> Result<Call, HomeError> {
        let home = &self.common().home;
        home.refresh();
        let target = home.read(|book| {
            let contact = book.contacts.named(name)?;
            if book.contacts.is_blocked(&contact.fingerprint()) {
                return Err(ContactError::Blocked { fingerprint: contact.fingerprint() }.into());
            }
            Target::contact(contact).ok_or_else(|| HomeError::NoSecret { name: contact.name().into() })
        })?;
        Ok(self.dial_target(target, None, media))
    }
}
