//! Passcodes: something short that two people have agreed on, without which a ticket does not ring.
//!
//! Guarantee: neither a passcode nor anything that it could be guessed from offline ever leaves this side; whoever does not
//! know it learns from one attempt that one guess was wrong, and no more than that. Guesses are counted before they are
//! answered, and the count outlives the program.
//!
//! The two sides run CPace inside their Noise channel (docs/protocol.md, section 7.5).

mod book;
mod cpace;
mod exchange;
mod message;

pub use book::{Entry, MAX_GUESSES, MAX_GUESSES_EACH, PasscodeBook};
pub(crate) use exchange::{Host, Joined, Joiner, Parties};
pub(crate) use message::DoorMessage;

use crate::crypto::{CryptoError, Secret32};
use crate::ticket::TicketId;
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

/// The longest passcode, in bytes.
pub const MAX_PASSCODE: usize = 128;
/// The shortest, in characters: ten guesses of ten thousand.
pub const MIN_PASSCODE: usize = 4;

/// Argon2id as RFC 9106, section 4, recommends it second: 64 MiB, three passes, four lanes.
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;
const LANES: u32 = 4;

/// What a person types, wiped when dropped. There is no way to print it.
pub struct Passcode(Zeroizing<String>);

/// Why a text is no passcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasscodeError {
    /// Too few characters.
    #[error("expected a passcode of at least {MIN_PASSCODE} characters, came {came}")]
    Short {
        /// How many there are.
        came: usize,
    },
    /// Too many bytes.
    #[error("expected a passcode of at most {MAX_PASSCODE} bytes, came {came}")]
    Long {
        /// How many there are.
        came: usize,
    },
}

impl Passcode {
    /// The passcode in `text`, without the white space around it (a file ends with a line break). It is compared byte by
    /// byte, so letters and digits that every keyboard has are best.
    ///
    /// # Errors
    /// A [`PasscodeError`] that says which length was expected.
    pub fn new(text: &str) -> Result<Passcode, PasscodeError> {
        let text = text.trim();
        let characters = text.chars().count();
        if characters < MIN_PASSCODE {
            return Err(PasscodeError::Short { came: characters });
        }
        if text.len() > MAX_PASSCODE {
            return Err(PasscodeError::Long { came: text.len() });
        }
        Ok(Passcode(Zeroizing::new(text.to_owned())))
    }

    /// What stands for it with one ticket. Takes some tenths of a second and 64 MiB, on purpose.
    ///
    /// # Errors
    /// [`CryptoError::Passcode`] if there is no memory for it.
    pub fn key(&self, ticket: TicketId) -> Result<PasscodeKey, CryptoError> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(32)).map_err(|_| CryptoError::Passcode)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut key = Zeroizing::new([0; 32]);
        argon2
            .hash_password_into(self.0.as_bytes(), &ticket.0, &mut *key)
            .map_err(|_| CryptoError::Passcode)?;
        Ok(PasscodeKey(key))
    }
}

/// A passcode as both sides use it with one ticket, wiped when dropped: the password-related string of CPace.
#[derive(Clone)]
pub struct PasscodeKey(pub(crate) Secret32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_kept_and_white_space_around_it_does_not_count() {
        assert_eq!(Passcode::new(" 12\n").err(), Some(PasscodeError::Short { came: 2 }));
        assert_eq!(Passcode::new(&"x".repeat(129)).err(), Some(PasscodeError::Long { came: 129 }));
        let (typed, file) = (Passcode::new("4711 x").unwrap(), Passcode::new("4711 x\r\n").unwrap());
        assert_eq!(*typed.0, *file.0);
    }

    #[test]
    fn a_key_is_of_one_passcode_and_one_ticket() {
        let key = |text: &str, ticket| *Passcode::new(text).unwrap().key(TicketId([ticket; 8])).unwrap().0;
        let one = key("tulips", 1);
        assert_eq!(one, key("tulips", 1));
        assert_ne!(one, key("tulips", 2));
        assert_ne!(one, key("Tulips", 1));
    }
}
