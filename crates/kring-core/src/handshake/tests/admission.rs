//! Who gets through, and what is computed for those who do not.

use super::*;
use crate::contact::{ContactKey, Contacts};
use crate::crypto::noise::counted;
use crate::issued::IssuedTickets;
use zeroize::Zeroizing;

/// A secret that the two of `p` share, at the caller and at the callee.
fn shared(p: &Pair) -> (ContactKey, ContactKey) {
    let (caller, callee) = (p.caller.noise_key().public, p.callee.noise_key().public);
    let secret = Zeroizing::new([5; 32]);
    let make = |noise| ContactKey::derive((&secret, 3), &[6; 32], (&secret, &secret), noise);
    (make((caller, callee)), make((callee, caller)))
}

/// The callee's contacts, with the caller among them.
fn contacts(p: &Pair) -> Contacts {
    let mut contacts = Contacts::default();
    contacts.keep("Anna", p.caller.public(), Some(shared(p).1), &[], NOW).unwrap();
    contacts
}

fn by_contact(p: &Pair) -> (Dial, Vec<u8>) {
    Dial::contact(&p.caller, (p.callee.public(), &shared(p).0), WIRE, NOW, &p.provider).unwrap()
}

/// What comes of a whole handshake.
fn try_out(p: &mut Pair, (mut dial, hello): (Dial, Vec<u8>)) -> Result<Pass, HandshakeError> {
    let mut accept = Accept::new(WIRE);
    let second = reply(accept.handle(&hello, &mut p.acceptor, NOW)?);
    let (_, confirm) = dial.handle(&second, b"", NOW)?.unwrap();
    Ok(done(accept.handle(&confirm, &mut p.acceptor, NOW)?).pass())
}

fn issued(p: &Pair, one_use: bool) -> IssuedTickets {
    let mut tickets = IssuedTickets::default();
    tickets.add(&p.ticket, one_use, NOW);
    tickets
}

#[test]
fn whoever_fits_nothing_is_dropped_before_any_diffie_hellman() {
    let mut p = pair();
    let (by_ticket, by_secret) = (p.dial().1, by_contact(&p).1);
    let nothing = Contacts::default();
    let (tickets, contacts) = (issued(&p, false), contacts(&p));
    let drops = |p: &mut Pair, hello: &[u8]| {
        let mut result = None;
        let computed =
            counted::during(|| result = Accept::new(WIRE).handle(hello, &mut p.acceptor, NOW).err());
        assert_eq!((result, computed), (Some(HandshakeError::UnknownHint), 0));
    };
    // No ticket, no contact.
    p.acceptor.admit(&IssuedTickets::default(), &nothing);
    drops(&mut p, &by_ticket);
    drops(&mut p, &by_secret);
    // Contacts only: a good ticket is none.
    p.acceptor.admit(&tickets, &contacts);
    p.acceptor.set_contacts_only(true);
    drops(&mut p, &by_ticket);
    let computed =
        counted::during(|| drop(reply(Accept::new(WIRE).handle(&by_secret, &mut p.acceptor, NOW).unwrap())));
    assert!(computed > 0, "the counter counts");
    // Blocked: the secret is gone.
    let mut blocked = contacts.clone();
    blocked.block(p.caller.fingerprint(), NOW);
    p.acceptor.admit(&tickets, &blocked);
    let again = by_contact(&p).1;
    drops(&mut p, &again);
    // Removed.
    let mut removed = contacts;
    removed.remove("Anna").unwrap();
    p.acceptor.admit(&tickets, &removed);
    drops(&mut p, &again);
}

#[test]
fn a_ticket_for_one_call_is_spent_by_a_proof_and_not_before() {
    let mut p = pair();
    p.acceptor.admit(&issued(&p, true), &Contacts::default());
    // Two get an answer to message 1.
    let (mut first, hello) = p.dial();
    let (mut second, other) = p.dial();
    let (mut at_first, mut at_second) = (Accept::new(WIRE), Accept::new(WIRE));
    let to_first = reply(at_first.handle(&hello, &mut p.acceptor, NOW).unwrap());
    let to_second = reply(at_second.handle(&other, &mut p.acceptor, NOW).unwrap());
    assert!(!at_first.may_go_ahead(&p.acceptor));
    let (_, confirm) = first.handle(&to_first, b"", NOW).unwrap().unwrap();
    let (_, late) = second.handle(&to_second, b"", NOW).unwrap().unwrap();
    done(at_first.handle(&confirm, &mut p.acceptor, NOW).unwrap());
    assert_eq!(at_second.handle(&late, &mut p.acceptor, NOW).err(), Some(HandshakeError::UnknownHint));
    let dial = p.dial();
    assert_eq!(try_out(&mut p, dial).err(), Some(HandshakeError::UnknownHint));
    assert_eq!(p.acceptor.counters().completed, 1);
}

#[test]
fn a_ticket_revoked_during_the_handshake_lets_nobody_through() {
    let mut p = pair();
    let (mut dial, hello) = p.dial();
    let mut accept = Accept::new(WIRE);
    let second = reply(accept.handle(&hello, &mut p.acceptor, NOW).unwrap());
    let (_, confirm) = dial.handle(&second, b"", NOW).unwrap().unwrap();
    assert!(p.acceptor.revoke(p.ticket.id()));
    assert_eq!(accept.handle(&confirm, &mut p.acceptor, NOW).err(), Some(HandshakeError::UnknownHint));
}

#[test]
fn who_is_blocked_is_dropped_after_the_proof_whatever_ticket_they_hold() {
    let mut p = pair();
    let mut contacts = Contacts::default();
    contacts.block(p.caller.fingerprint(), NOW);
    p.acceptor.admit(&issued(&p, true), &contacts);
    // It does not spend the ticket either.
    for n in 1..3 {
        let dial = p.dial();
        assert_eq!(try_out(&mut p, dial).err(), Some(HandshakeError::Blocked));
        assert_eq!((p.acceptor.counters().blocked, p.acceptor.counters().completed), (n, 0));
    }
}

#[test]
fn nobody_by_a_ticket_is_answered_ahead_while_somebody_is_blocked() {
    let mut p = pair();
    let (tickets, mut contacts) = (issued(&p, false), contacts(&p));
    let ahead = |p: &mut Pair, hello: &[u8]| {
        let mut accept = Accept::new(WIRE);
        assert!(!accept.may_go_ahead(&p.acceptor));
        reply(accept.handle(hello, &mut p.acceptor, NOW).unwrap());
        accept.may_go_ahead(&p.acceptor)
    };
    p.acceptor.admit(&tickets, &contacts);
    let hello = p.dial().1;
    assert!(ahead(&mut p, &hello));
    contacts.block(Identity::generate(&*p.provider, NOW).unwrap().fingerprint(), NOW);
    p.acceptor.admit(&tickets, &contacts);
    let hello = p.dial().1;
    assert!(!ahead(&mut p, &hello));
    let hello = by_contact(&p).1;
    assert!(ahead(&mut p, &hello), "a contact's secret says who it is");
}
