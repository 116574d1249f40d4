//! The safety number: sixty digits that two identities have in common.
//!
//! Guarantee: the same at both ends; to find an identity that has another's half takes some 2⁹⁹ × 5,200 hashes.
//!
//! The construction is that of Signal's numeric fingerprint: hash the identity 5,200 times, thirty digits of each, the
//! smaller first. Kring's label stands where Signal has its version, and nothing where it has a telephone number.

use crate::identity::PublicIdentity;
use sha2::{Digest, Sha512};
use std::fmt;

/// How often each identity is hashed, so that searching costs that much more.
const ITERATIONS: usize = 5200;
/// Digits of each identity.
const HALF: usize = 30;

/// Sixty digits over two identities, for people to compare by any way they trust; the same in every call of the two.
///
/// `Display` prints twelve groups of five. It takes some milliseconds to compute.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SafetyNumber([u8; 2 * HALF]);

impl SafetyNumber {
    /// The number of these two, in either order.
    #[must_use]
    pub fn of(one: &PublicIdentity, other: &PublicIdentity) -> SafetyNumber {
        let (one, other) = (half(one), half(other));
        let mut digits = [0; 2 * HALF];
        let (first, second) = digits.split_at_mut(HALF);
        first.copy_from_slice(one.min(other).as_slice());
        second.copy_from_slice(one.max(other).as_slice());
        SafetyNumber(digits)
    }

    /// The number that a person has typed or pasted, blanks and line breaks passed over; `None` unless it has sixty digits.
    #[must_use]
    pub fn read(text: &str) -> Option<SafetyNumber> {
        let mut digits = [0; 2 * HALF];
        let mut read = 0;
        for c in text.chars().filter(|c| !c.is_whitespace()) {
            *digits.get_mut(read)? = c.to_digit(10)? as u8 + b'0';
            read += 1;
        }
        (read == digits.len()).then_some(SafetyNumber(digits))
    }
}

/// One identity's half: SHA-512 again and again, then the first 30 bytes as six numbers of five digits.
fn half(identity: &PublicIdentity) -> [u8; HALF] {
    let key = identity.as_bytes();
    let labelled = Sha512::new().chain_update("kring safety number 1").chain_update(key);
    let mut hash = labelled.chain_update(key).finalize();
    for _ in 1..ITERATIONS {
        hash = Sha512::new().chain_update(hash).chain_update(key).finalize();
    }
    let mut digits = [0; HALF];
    for (five, digits) in hash.chunks_exact(5).zip(digits.chunks_exact_mut(5)) {
        let mut number = five.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)) % 100_000;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    digits
}

impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, five) in self.0.chunks_exact(5).enumerate() {
            let gap = if i == 0 { "" } else { " " };
            write!(f, "{gap}{}", std::str::from_utf8(five).expect("digits"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SafetyNumber({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(byte: u8) -> PublicIdentity {
        PublicIdentity::from([byte; 32])
    }

    #[test]
    fn both_ends_have_one_number_in_twelve_groups_and_others_another() {
        let number = SafetyNumber::of(&person(1), &person(2));
        assert_eq!(number, SafetyNumber::of(&person(2), &person(1)));
        let text = number.to_string();
        let groups: Vec<&str> = text.split(' ').collect();
        assert!(groups.len() == 12 && groups.iter().all(|g| g.len() == 5), "{text}");
        assert!(text.bytes().all(|b| b == b' ' || b.is_ascii_digit()));
        // Each identity has its half, and a half is of that identity alone.
        let other = SafetyNumber::of(&person(1), &person(3)).to_string();
        assert_ne!(text, other);
        assert_eq!(groups.chunks(6).filter(|half| other.contains(&half.join(" "))).count(), 1);
    }

    #[test]
    fn a_number_that_was_read_out_is_compared_whatever_its_gaps() {
        let number = SafetyNumber::of(&person(1), &person(2));
        let text = number.to_string();
        assert_eq!(SafetyNumber::read(&text), Some(number));
        assert_eq!(SafetyNumber::read(&text.replace(' ', "\n")), Some(number));
        assert_eq!(SafetyNumber::read(&text[1..]), None);
        assert_eq!(SafetyNumber::read(&format!("{text}0")), None);
        assert_eq!(SafetyNumber::read(&text.replace('0', "o").replace('1', "l")), None);
    }
}
