//! Which tickets take a passcode, and how often somebody has guessed.
//!
//! Guarantee: at most [`MAX_GUESSES_EACH`] guesses of an identity and [`MAX_GUESSES`] of all together are answered for one ticket,
//! whatever connections and restarts lie between, as long as the book is kept before each answer.
//!
//! File: [`"kring pc"`](crate::kept) ‖ count (2) ‖ for each: the ticket's id (8) ‖ ends (8) ‖ the passcode's key (32) ‖ how many
//! have guessed (1) ‖ for each of these: fingerprint (20) ‖ how often (1).

use super::PasscodeKey;
use crate::identity::Fingerprint;
use crate::kept::{self, KeptError};
use crate::ticket::TicketId;
use crate::time::WallTime;
use zeroize::Zeroizing;

const MAGIC: &str = "kring pc";
/// Wrong guesses of one identity.
pub const MAX_GUESSES_EACH: u8 = 3;
/// Wrong guesses of all identities together; then only a new passcode opens the ticket again.
pub const MAX_GUESSES: u8 = 10;
/// As many as there are live tickets.
const MAX_ENTRIES: usize = 1024;
const ENTRY: usize = 8 + 8 + 32 + 1;
const GUESSER: usize = 20 + 1;

/// A ticket with a passcode.
#[derive(Clone)]
pub struct Entry {
    ticket: TicketId,
    expires: WallTime,
    key: PasscodeKey,
    guessers: Vec<(Fingerprint, u8)>,
}

impl Entry {
    /// What both sides derive from the passcode.
    #[must_use]
    pub fn key(&self) -> &PasscodeKey {
        &self.key
    }

    /// Whether a guess of `who` would be answered.
    #[must_use]
    pub fn is_open(&self, who: &Fingerprint) -> bool {
        self.total() < MAX_GUESSES && self.of(who) < MAX_GUESSES_EACH
    }

    fn total(&self) -> u8 {
        self.guessers.iter().map(|(_, count)| count).sum()
    }

    fn of(&self, who: &Fingerprint) -> u8 {
        self.guessers.iter().find(|(guesser, _)| guesser == who).map_or(0, |(_, count)| *count)
    }
}

/// All of one endpoint's tickets with a passcode.
#[derive(Clone, Default)]
pub struct PasscodeBook(Vec<Entry>);

impl PasscodeBook {
    /// Has `ticket` take a passcode from now on, or a new one: guesses are counted afresh. Beyond 1,024 the one that ends
    /// first goes.
    pub fn set(&mut self, ticket: TicketId, expires: WallTime, key: PasscodeKey) {
        self.remove(ticket);
        if self.0.len() >= MAX_ENTRIES
            && let Some((first, _)) = self.0.iter().enumerate().min_by_key(|(_, entry)| entry.expires)
        {
            self.0.swap_remove(first);
        }
        self.0.push(Entry { ticket, expires, key, guessers: Vec::new() });
    }

    /// Has `ticket` take none any more; says whether it did.
    pub fn remove(&mut self, ticket: TicketId) -> bool {
        let before = self.0.len();
        self.0.retain(|entry| entry.ticket != ticket);
        before != self.0.len()
    }

    /// Forgets tickets that have ended.
    pub fn expire(&mut self, now: WallTime) {
        self.0.retain(|entry| entry.expires > now);
    }

    /// What `ticket` takes; `None` if it takes no passcode.
    #[must_use]
    pub fn get(&self, ticket: TicketId) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.ticket == ticket)
    }

    /// Counts a guess of `who`, to be kept before it is answered; says whether it may be.
    #[must_use]
    pub fn guess(&mut self, ticket: TicketId, who: &Fingerprint) -> bool {
        let Some(entry) = self.0.iter_mut().find(|entry| entry.ticket == ticket) else { return false };
        if !entry.is_open(who) {
            return false;
        }
        match entry.guessers.iter_mut().find(|(guesser, _)| guesser == who) {
            Some((_, count)) => *count += 1,
            None => entry.guessers.push((*who, 1)),
        }
        true
    }

    /// Gives the last guess of `who` back, which was right.
    pub fn refund(&mut self, ticket: TicketId, who: &Fingerprint) {
        let Some(entry) = self.0.iter_mut().find(|entry| entry.ticket == ticket) else { return };
        if let Some((_, count)) = entry.guessers.iter_mut().find(|(guesser, _)| guesser == who) {
            *count = count.saturating_sub(1);
        }
        entry.guessers.retain(|(_, count)| *count > 0);
    }

    /// The bytes to keep, wiped when dropped.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let guessers: usize = self.0.iter().map(|entry| entry.guessers.len()).sum();
        kept::wrap(MAGIC, 2 + ENTRY * self.0.len() + GUESSER * guessers, |out| {
            out.extend_from_slice(&(self.0.len() as u16).to_be_bytes());
            for entry in &self.0 {
                out.extend_from_slice(&entry.ticket.0);
                out.extend_from_slice(&entry.expires.0.to_be_bytes());
                out.extend_from_slice(&*entry.key.0);
                out.push(entry.guessers.len() as u8);
                for (who, count) in &entry.guessers {
                    out.extend_from_slice(who.as_bytes());
                    out.push(*count);
                }
            }
        })
    }

    /// Reads what [`encode`](PasscodeBook::encode) wrote.
    ///
    /// # Errors
    /// A [`KeptError`] that says which kind of damage was found. Nothing may be let in then: what was counted is not known.
    pub fn decode(bytes: &[u8]) -> Result<PasscodeBook, KeptError> {
        let mut body = kept::unwrap(MAGIC, bytes)?;
        let mut book = PasscodeBook::default();
        for _ in 0..body.count(MAX_ENTRIES)? {
            let (ticket, expires) = (TicketId(body.array()?), WallTime(body.u64()?));
            let key = PasscodeKey(Zeroizing::new(body.array()?));
            let mut entry = Entry { ticket, expires, key, guessers: Vec::new() };
            for _ in 0..body.u8()? {
                let (who, count) = (Fingerprint(body.array()?), body.u8()?);
                let fine = (1..=MAX_GUESSES_EACH).contains(&count) && entry.of(&who) == 0;
                if !fine || entry.total() + count > MAX_GUESSES {
                    return Err(KeptError::Malformed);
                }
                entry.guessers.push((who, count));
            }
            if book.get(ticket).is_some() {
                return Err(KeptError::Malformed);
            }
            book.0.push(entry);
        }
        body.end()?;
        Ok(book)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKET: TicketId = TicketId([1; 8]);
    const END: WallTime = WallTime(2000);

    fn key() -> PasscodeKey {
        PasscodeKey(Zeroizing::new([7; 32]))
    }

    fn who(byte: u8) -> Fingerprint {
        Fingerprint([byte; 20])
    }

    fn book() -> PasscodeBook {
        let mut book = PasscodeBook::default();
        book.set(TICKET, END, key());
        book
    }

    /// The same after a restart.
    fn kept(book: &PasscodeBook) -> PasscodeBook {
        PasscodeBook::decode(&book.encode()).unwrap()
    }

    #[test]
    fn an_identity_has_three_guesses_and_all_together_ten_whatever_restarts_lie_between() {
        let mut book = book();
        for _ in 0..3 {
            assert!(book.guess(TICKET, &who(1)));
            book = kept(&book);
        }
        assert!(!book.guess(TICKET, &who(1)));
        for guesser in 2..9 {
            assert!(book.guess(TICKET, &who(guesser)));
            book = kept(&book);
        }
        assert!(!book.get(TICKET).unwrap().is_open(&who(9)));
        assert!(!book.guess(TICKET, &who(9)) && !book.guess(TICKET, &who(2)));
        // Until there is a new one.
        book.set(TICKET, END, key());
        assert!(book.guess(TICKET, &who(1)));
    }

    #[test]
    fn a_right_guess_is_given_back() {
        let mut book = book();
        for _ in 0..50 {
            assert!(book.guess(TICKET, &who(1)));
            book.refund(TICKET, &who(1));
        }
        book.refund(TICKET, &who(1));
        assert!(book.get(TICKET).unwrap().guessers.is_empty());
    }

    #[test]
    fn a_ticket_without_a_passcode_takes_no_guess_and_one_that_has_ended_is_forgotten() {
        let mut book = book();
        assert!(!book.guess(TicketId([2; 8]), &who(1)));
        book.expire(WallTime(1999));
        assert!(book.get(TICKET).is_some());
        book.expire(END);
        assert!(book.get(TICKET).is_none());
        assert!(!book.remove(TICKET));
    }

    #[test]
    fn any_change_to_a_kept_book_is_found() {
        let mut book = book();
        assert!(book.guess(TICKET, &who(1)));
        let good = book.encode();
        for at in 0..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 1;
            assert!(PasscodeBook::decode(&bad).is_err(), "byte {at}");
            assert!(PasscodeBook::decode(&good[..at]).is_err(), "cut at {at}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_with_a_right_checksum_make_it_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let bytes = kept::wrap(MAGIC, body.len(), |out| out.extend_from_slice(&body));
            if let Ok(book) = PasscodeBook::decode(&bytes) {
                proptest::prop_assert_eq!(&book.encode()[..], &bytes[..]);
            }
        }
    }
}
