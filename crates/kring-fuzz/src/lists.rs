//! Files of tickets, contacts and passcodes that may be anything.

use kring_core::contact::{Contacts, MAX_BLOCKED, MAX_CONTACTS, check_name};
use kring_core::fuzzing::{contact_key, passcode_key};
use kring_core::identity::PublicIdentity;
use kring_core::issued::{IssuedTickets, MAX_TICKETS};
use kring_core::passcode::{MAX_GUESSES, MAX_GUESSES_EACH, PasscodeBook};
use kring_core::ticket::MAX_ADDRESSES;
use sha2::{Digest, Sha256};

use crate::world::{NOW, WORLD};

/// The bytes as they are, and with a right checksum behind them.
fn both(data: &[u8], file: fn(&[u8])) {
    file(data);
    let sum = &Sha256::digest(data)[..8];
    file(&[data, sum].concat());
}

/// A list of tickets.
pub fn tickets(data: &[u8]) {
    both(data, |bytes| {
        let Ok(mut tickets) = IssuedTickets::decode(bytes) else { return };
        assert_eq!(tickets.encode()[..], *bytes, "a list has one encoding");
        let count = tickets.iter().count();
        assert!(count <= MAX_TICKETS && count * 89 <= bytes.len());
        tickets.add(&WORLD.ticket, true, NOW);
        assert!(tickets.revoke(WORLD.ticket.id()) && !tickets.revoke(WORLD.ticket.id()));
        tickets.expire(NOW);
        assert!(tickets.iter().all(|ticket| ticket.expires() > NOW));
        assert!(IssuedTickets::decode(&tickets.encode()).is_ok());
    });
}

/// Contacts, and who is blocked.
pub fn contacts(data: &[u8]) {
    both(data, |bytes| {
        let Ok(mut contacts) = Contacts::decode(bytes) else { return };
        assert_eq!(contacts.encode()[..], *bytes, "a list has one encoding");
        assert!(contacts.iter().count() <= MAX_CONTACTS && contacts.blocked().len() <= MAX_BLOCKED);
        for contact in contacts.iter() {
            assert_eq!(check_name(contact.name()), Ok(()));
            assert_eq!(contacts.named(contact.name()).map(|c| c.fingerprint()), Ok(contact.fingerprint()));
            assert!(contact.addresses().len() <= MAX_ADDRESSES && contact.keys().count() <= 4);
            assert!(contact.identity().is_none_or(|id| id.fingerprint() == contact.fingerprint()));
            let callable = contact.keys().next().is_some() || contact.ticket().is_some();
            assert!(!callable || !contacts.is_blocked(&contact.fingerprint()));
        }
        // Whatever was in it, what is done with it keeps its promises.
        let (known, other) = (WORLD.caller.public(), PublicIdentity::from([9; 32]));
        let address = WORLD.ticket.addresses();
        for n in 0..6 {
            let _ = contacts.keep("Zoe", known, Some(contact_key(n, n)), address, NOW);
            contacts.used(&known, contact_key(n / 2, n / 2).id());
            assert!(Contacts::decode(&contacts.encode()).is_ok());
        }
        let _ = contacts.add("Ben", WORLD.ticket.clone(), NOW);
        let _ = contacts.rename("Zoe", "Ben");
        assert!(Contacts::decode(&contacts.encode()).is_ok());
        contacts.block(known.fingerprint(), NOW);
        contacts.block(other.fingerprint(), NOW);
        contacts.renewed(&known, Some(contact_key(7, 7)), &[], NOW);
        assert!(contacts.of(&known.fingerprint()).is_none_or(|c| c.keys().next().is_none()));
        assert!(Contacts::decode(&contacts.encode()).is_ok());
    });
}

/// Passcodes, and how often somebody has guessed.
pub fn passcodes(data: &[u8]) {
    both(data, |bytes| {
        let Ok(mut book) = PasscodeBook::decode(bytes) else { return };
        assert_eq!(book.encode()[..], *bytes, "a list has one encoding");
        let (ticket, who) = (WORLD.ticket.id(), WORLD.caller.fingerprint());
        // Whatever was in it, nobody has more guesses than there are.
        let mut guesses = 0;
        while book.guess(ticket, &who) {
            guesses += 1;
            assert!(guesses <= MAX_GUESSES_EACH);
            book = PasscodeBook::decode(&book.encode()).expect("what was written reads");
        }
        book.set(ticket, WORLD.ticket.expires(), passcode_key([7; 32]));
        let mut all = 0;
        for n in 0..20 {
            all += u8::from(book.guess(ticket, &PublicIdentity::from([n; 32]).fingerprint()));
        }
        assert_eq!(all, MAX_GUESSES);
        assert!(!book.get(ticket).expect("set just now").is_open(&who));
        assert!(PasscodeBook::decode(&book.encode()).is_ok());
        book.expire(WORLD.ticket.expires());
        assert!(book.get(ticket).is_none());
    });
}
