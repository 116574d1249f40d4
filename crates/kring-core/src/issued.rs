//! The tickets that this side has given out and that still hold.
//!
//! Guarantee: a ticket is in the list until it ends, is revoked, or, if it is good for one call, is spent; its secret is
//! wiped when it leaves. At most [`MAX_TICKETS`] are in it.
//!
//! File: `"kring tk"` ‖ version ‖ count (2) ‖ for each: id (8) ‖ Noise key that it names (32) ‖ psk0 (32) ‖ issued (8)
//! ‖ ends (8) ‖ flags (1: bit 0, good for one call; bit 1, takes a passcode) ‖ checksum.

use crate::crypto::Secret32;
use crate::find::LanKey;
use crate::identity::Identity;
use crate::kept::{self, KeptError};
use crate::mailbox::mailbox_seed;
use crate::ticket::{Ticket, TicketId};
use crate::time::WallTime;
use zeroize::Zeroizing;

const MAGIC: &str = "kring tk";
const LEN: usize = 8 + 32 + 32 + 8 + 8 + 1;

/// Most live tickets of one endpoint.
pub const MAX_TICKETS: usize = 1024;

/// A ticket that was given out. Its text cannot be had from it, only what lets its holder through.
#[derive(Clone)]
pub struct Issued {
    id: TicketId,
    noise: [u8; 32],
    psk0: Secret32,
    issued: WallTime,
    expires: WallTime,
    one_use: bool,
    passcode: bool,
}

impl Issued {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> TicketId {
        self.id
    }

    /// When it was given out.
    #[must_use]
    pub fn issued(&self) -> WallTime {
        self.issued
    }

    /// When it ends.
    #[must_use]
    pub fn expires(&self) -> WallTime {
        self.expires
    }

    /// Whether it is good for one call only.
    #[must_use]
    pub fn one_use(&self) -> bool {
        self.one_use
    }

    /// Whether it rings only for somebody who knows a passcode.
    #[must_use]
    pub fn passcode(&self) -> bool {
        self.passcode
    }

    /// The secret half of its mailbox at a relay; `None` if it is of another identity.
    #[must_use]
    pub fn mailbox_seed(&self, identity: &Identity) -> Option<Secret32> {
        mailbox_seed(identity, &self.noise, self.issued, self.expires)
    }

    /// By what its holder recognises what `identity`, whose ticket it is, says on the local network.
    #[must_use]
    pub fn lan_key(&self, identity: &Identity) -> LanKey {
        LanKey::new(&self.psk0, &identity.fingerprint())
    }

    pub(crate) fn noise(&self) -> &[u8; 32] {
        &self.noise
    }

    pub(crate) fn psk0(&self) -> &Secret32 {
        &self.psk0
    }
}

/// The live tickets, in the order in which they were given out.
#[derive(Clone, Default)]
pub struct IssuedTickets(Vec<Issued>);

impl IssuedTickets {
    /// Takes a ticket into the list. Beyond [`MAX_TICKETS`], the one that ends first goes.
    pub fn add(&mut self, ticket: &Ticket, one_use: bool, now: WallTime) {
        self.revoke(ticket.id());
        let first_to_end = self.0.iter().enumerate().min_by_key(|(_, t)| t.expires);
        if let Some((first, _)) = first_to_end.filter(|_| self.0.len() >= MAX_TICKETS) {
            self.0.remove(first);
        }
        self.0.push(Issued {
            id: ticket.id(),
            noise: *ticket.noise(),
            psk0: ticket.psk0(),
            issued: now,
            expires: ticket.expires(),
            one_use,
            passcode: false,
        });
    }

    /// Has a ticket take a passcode from now on; says when it ends, or `None` if there is none of that name.
    pub fn take_passcode(&mut self, id: TicketId) -> Option<WallTime> {
        let ticket = self.0.iter_mut().find(|t| t.id == id)?;
        ticket.passcode = true;
        Some(ticket.expires)
    }

    /// Takes a ticket out of the list; says whether it was there.
    pub fn revoke(&mut self, id: TicketId) -> bool {
        let before = self.0.len();
        self.0.retain(|t| t.id != id);
        before != self.0.len()
    }

    /// Takes out those that have ended; says whether there were any.
    pub fn expire(&mut self, now: WallTime) -> bool {
        let before = self.0.len();
        self.0.retain(|t| t.expires > now);
        before != self.0.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Issued> {
        self.0.iter()
    }

    /// The bytes to keep, wiped when dropped.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        kept::wrap(MAGIC, 2 + LEN * self.0.len(), |out| {
            out.extend_from_slice(&(self.0.len() as u16).to_be_bytes());
            for ticket in &self.0 {
                out.extend_from_slice(&ticket.id.0);
                out.extend_from_slice(&ticket.noise);
                out.extend_from_slice(&*ticket.psk0);
                out.extend_from_slice(&ticket.issued.0.to_be_bytes());
                out.extend_from_slice(&ticket.expires.0.to_be_bytes());
                out.push(u8::from(ticket.one_use) | u8::from(ticket.passcode) << 1);
            }
        })
    }

    /// Reads what [`encode`](IssuedTickets::encode) wrote.
    ///
    /// # Errors
    /// A [`KeptError`] that says which kind of damage was found.
    pub fn decode(bytes: &[u8]) -> Result<IssuedTickets, KeptError> {
        let mut body = kept::unwrap(MAGIC, bytes)?;
        let count = body.count(MAX_TICKETS)?;
        let mut tickets: Vec<Issued> = Vec::new();
        for _ in 0..count {
            let mut ticket = Issued {
                id: TicketId(body.array()?),
                noise: body.array()?,
                psk0: Zeroizing::new(body.array()?),
                issued: WallTime(body.u64()?),
                expires: WallTime(body.u64()?),
                one_use: false,
                passcode: false,
            };
            let flags = body.u8()?;
            if flags > 3 {
                return Err(KeptError::Malformed);
            }
            (ticket.one_use, ticket.passcode) = (flags & 1 != 0, flags & 2 != 0);
            if tickets.iter().any(|t| t.id == ticket.id) {
                return Err(KeptError::Malformed);
            }
            tickets.push(ticket);
        }
        body.end()?;
        Ok(IssuedTickets(tickets))
    }
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use super::*;
    use crate::crypto::aws_lc::AwsLc;

    const NOW: WallTime = WallTime(1_800_000_000);

    fn ticket(identity: &Identity, hours: u64) -> Ticket {
        let addresses = ["192.0.2.7:4433".parse().unwrap()];
        Ticket::issue(identity, &addresses, WallTime(NOW.0 + 3600 * hours), &AwsLc).unwrap()
    }

    fn three() -> (IssuedTickets, [Ticket; 3]) {
        let identity = Identity::generate(&AwsLc, NOW).unwrap();
        let tickets = [1, 2, 3].map(|hours| ticket(&identity, hours));
        let mut all = IssuedTickets::default();
        all.add(&tickets[0], false, NOW);
        all.add(&tickets[1], true, NOW);
        all.add(&tickets[2], false, NOW);
        assert_eq!(all.take_passcode(tickets[2].id()), Some(tickets[2].expires()));
        (all, tickets)
    }

    fn ids(all: &IssuedTickets) -> Vec<TicketId> {
        all.iter().map(Issued::id).collect()
    }

    #[test]
    fn tickets_survive_being_kept() {
        let (all, tickets) = three();
        let back = IssuedTickets::decode(&all.encode()).unwrap();
        assert_eq!(ids(&back), tickets.each_ref().map(Ticket::id));
        assert_eq!(back.encode(), all.encode());
        let (second, was) = (&back.0[1], &tickets[1]);
        assert!(second.one_use && !back.0[0].one_use);
        assert!(back.0[2].passcode && !second.passcode);
        assert_eq!((*second.psk0, second.expires), (*was.psk0(), was.expires()));
    }

    #[test]
    fn what_has_ended_or_was_revoked_is_gone() {
        let (mut all, tickets) = three();
        assert!(all.revoke(tickets[2].id()) && !all.revoke(tickets[2].id()));
        assert!(all.expire(tickets[0].expires()) && !all.expire(tickets[0].expires()));
        assert_eq!(ids(&all), [tickets[1].id()]);
    }

    #[test]
    fn the_list_is_bounded_and_the_first_to_end_makes_room() {
        let identity = Identity::generate(&AwsLc, NOW).unwrap();
        let (mut all, tickets) = three();
        for _ in 0..MAX_TICKETS {
            all.add(&ticket(&identity, 9), false, NOW);
        }
        assert_eq!(all.iter().count(), MAX_TICKETS);
        assert!(!ids(&all).contains(&tickets[2].id()));
        assert!(IssuedTickets::decode(&all.encode()).is_ok());
    }

    #[test]
    fn each_kind_of_damage_has_its_own_error() {
        let (all, _) = three();
        let good = all.encode();
        let error = |bytes: &[u8]| IssuedTickets::decode(bytes).err();
        assert_eq!(error(b"hello, this is text"), Some(KeptError::Other { expected: MAGIC }));
        for n in 8..good.len() {
            assert_eq!(error(&good[..n]), Some(KeptError::Checksum), "{n} bytes");
        }
        for at in 9..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 4;
            assert_eq!(error(&bad), Some(KeptError::Checksum), "byte {at}");
        }
        let mut newer = good.to_vec();
        newer[8] = 2;
        assert_eq!(error(&newer), Some(KeptError::Version { came: 2 }));
        // Twice the same, under a right checksum.
        let mut twice = all.clone();
        twice.0.push(twice.0[0].clone());
        assert_eq!(error(&twice.encode()), Some(KeptError::Malformed));
    }
}
