//! contact.json: the secret of two contacts, and the files in which tickets and contacts are kept.

use super::held;
use super::json::hex;
use super::setup::{NOW, People};
use crate::contact::{ContactKey, Contacts};
use crate::issued::IssuedTickets;
use crate::mailbox::mailbox_of;
use zeroize::Zeroizing;

#[test]
fn a_contacts_secret_and_the_files() {
    let people = People::new();
    let secret = |byte| Zeroizing::new([byte; 32]);
    let (old, hash, of_caller, of_callee) = (secret(0x11), [0x22; 32], secret(0x33), secret(0x44));
    let noise = (people.anna.noise_key().public, people.ben.noise_key().public);
    let key = ContactKey::derive((&old, 4), &hash, (&of_caller, &of_callee), noise);

    let mut tickets = IssuedTickets::default();
    tickets.add(&people.ticket, true, NOW);
    let mut contacts = Contacts::default();
    let ben = people.ben.public();
    contacts.keep("Ben", ben, Some(key.clone()), people.ticket.addresses(), NOW).expect("the name is free");
    contacts.block(people.anna.public().fingerprint(), NOW);
    held(
        "contact.json",
        "docs/protocol.md, sections 12 and 13: the caller's side of a call by a secret of generation 4, and its two lists \
         afterwards; `tickets` is the list of whoever gave out the ticket of ticket.json, for one call.",
        vec![
            ("psk0 of the call", hex(*old)),
            ("handshake hash", hex(hash)),
            ("r of the caller", hex(*of_caller)),
            ("r of the callee", hex(*of_callee)),
            ("new psk0", hex(**key.psk0())),
            ("generation", key.generation().into()),
            (
                "mailbox where the caller waits for the callee",
                hex(mailbox_of(&key.mailbox_seed(&people.anna).expect("its own"))),
            ),
            ("tickets", hex(&**tickets.encode())),
            ("contacts", hex(&**contacts.encode())),
        ],
    );
}
