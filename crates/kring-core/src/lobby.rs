//! Who waits to be let in, as a value.
//!
//! Guarantee: nobody can fill the lobby, or wear out the person who looks after it: the number who wait, and how often one
//! identity and one address may knock, are bounded, and what is remembered of them as well.

use crate::identity::Fingerprint;
use crate::time::Time;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

/// Most who wait at once.
pub const MAX_WAITING: usize = 16;
/// Most who wait at once from one address.
pub const MAX_WAITING_FROM: usize = 4;
/// For how long knocks count.
pub const KNOCKS_COUNT_FOR: Duration = Duration::from_secs(600);
/// Most knocks of one identity in that time.
pub const MAX_KNOCKS_OF: usize = 5;
/// Most knocks from one address in that time.
pub const MAX_KNOCKS_FROM: usize = 20;
/// Most knocks that are remembered; the oldest are forgotten first.
const MAX_REMEMBERED: usize = 256;

/// Why somebody cannot wait here now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KnockError {
    /// All places are taken, or that identity or address has enough of them.
    #[error("too many wait already")]
    Full,
    /// That identity or address has knocked too often.
    #[error("knocked too often")]
    TooOften,
}

/// One who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place(u64);

struct Knock {
    who: Fingerprint,
    from: IpAddr,
    at: Time,
}

/// Who waits, and who has knocked of late.
#[derive(Default)]
pub struct Lobby {
    next: u64,
    waiting: Vec<(Place, Fingerprint, IpAddr)>,
    knocks: VecDeque<Knock>,
}

/// What counts as one address: an IPv6 network of 64 bits belongs to one customer.
fn network(from: IpAddr) -> IpAddr {
    match from {
        IpAddr::V4(_) => from,
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & u128::MAX << 64).into()),
    }
}

impl Lobby {
    /// Takes a place for `who`, proven, without asking anybody: to enter a passcode.
    ///
    /// # Errors
    /// [`KnockError::Full`].
    pub fn enter(&mut self, who: Fingerprint, from: IpAddr) -> Result<Place, KnockError> {
        let from = network(from);
        let waits_from = self.waiting.iter().filter(|(.., other)| *other == from).count();
        let waits = self.waiting.iter().any(|(_, other, _)| *other == who);
        if waits || waits_from >= MAX_WAITING_FROM || self.waiting.len() >= MAX_WAITING {
            return Err(KnockError::Full);
        }
        let place = Place(self.next);
        self.next += 1;
        self.waiting.push((place, who, from));
        Ok(place)
    }

    /// Counts a knock of `who`, for which a person is asked.
    ///
    /// # Errors
    /// [`KnockError::TooOften`].
    pub fn knock(&mut self, who: Fingerprint, from: IpAddr, now: Time) -> Result<(), KnockError> {
        let from = network(from);
        self.knocks.retain(|knock| now.since(knock.at) < KNOCKS_COUNT_FOR);
        let of = self.knocks.iter().filter(|knock| knock.who == who).count();
        let near = self.knocks.iter().filter(|knock| knock.from == from).count();
        if of >= MAX_KNOCKS_OF || near >= MAX_KNOCKS_FROM {
            return Err(KnockError::TooOften);
        }
        if self.knocks.len() == MAX_REMEMBERED {
            self.knocks.pop_front();
        }
        self.knocks.push_back(Knock { who, from, at: now });
        Ok(())
    }

    /// Gives a place back.
    pub fn leave(&mut self, place: Place) {
        self.waiting.retain(|(other, ..)| *other != place);
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(n: usize) -> Fingerprint {
        Fingerprint([n as u8; 20])
    }

    fn from(n: usize) -> IpAddr {
        IpAddr::from([10, 0, 0, n as u8])
    }

    #[test]
    fn one_identity_waits_once_one_address_four_times_and_all_sixteen() {
        let mut lobby = Lobby::default();
        let first = lobby.enter(who(0), from(0)).unwrap();
        assert_eq!(lobby.enter(who(0), from(1)), Err(KnockError::Full));
        for n in 1..MAX_WAITING_FROM {
            lobby.enter(who(n), from(0)).unwrap();
        }
        assert_eq!(lobby.enter(who(50), from(0)), Err(KnockError::Full));
        for n in MAX_WAITING_FROM..MAX_WAITING {
            lobby.enter(who(n), from(n)).unwrap();
        }
        assert_eq!(lobby.enter(who(50), from(50)), Err(KnockError::Full));
        lobby.leave(first);
        lobby.enter(who(50), from(50)).unwrap();
        assert_eq!(lobby.waiting(), MAX_WAITING);
    }

    #[test]
    fn knocks_are_counted_for_ten_minutes() {
        let mut lobby = Lobby::default();
        for _ in 0..MAX_KNOCKS_OF {
            lobby.knock(who(0), from(0), Time::ZERO).unwrap();
        }
        assert_eq!(lobby.knock(who(0), from(1), Time::ZERO), Err(KnockError::TooOften));
        // With ever new identities, which cost nothing, the address counts.
        for n in MAX_KNOCKS_OF..MAX_KNOCKS_FROM {
            lobby.knock(who(n), from(0), Time::ZERO).unwrap();
        }
        assert_eq!(lobby.knock(who(99), from(0), Time::ZERO), Err(KnockError::TooOften));
        lobby.knock(who(99), from(0), Time::ZERO + KNOCKS_COUNT_FOR).unwrap();
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one_address() {
        let mut lobby = Lobby::default();
        for n in 0..MAX_WAITING_FROM {
            let from = format!("2001:db8::{n}").parse().unwrap();
            lobby.enter(who(n), from).unwrap();
        }
        assert_eq!(lobby.enter(who(9), "2001:db8::99".parse().unwrap()), Err(KnockError::Full));
        lobby.enter(who(9), "2001:db8:0:1::99".parse().unwrap()).unwrap();
    }
}
