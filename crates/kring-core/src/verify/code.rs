//! The code of one call: 64 bits that both ends derive alike, as words or emoji for people to compare.

use super::emoji::{EMOJI, Emoji};
use crate::crypto::kdf;
use std::fmt;
use zeroize::Zeroizing;

/// 2,048 words of three to eight letters, no two alike in their first four: BIP 39's English list (MIT, words.LICENSE).
const WORDS: &str = include_str!("words.txt");

/// What two people read to each other to find out that nobody is in between (docs/protocol.md, section 7.3).
///
/// [`words`](Code::words) are 44 bits of it and [`emoji`](Code::emoji) 30; either will do. `Display` prints the words.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(u64);

impl Code {
    /// From the first handshake's hash and what the two have drawn.
    pub(crate) fn new(handshake_hash: &[u8; 32], caller: &[u8; 32], callee: &[u8; 32]) -> Code {
        let nonces = Zeroizing::new([&caller[..], callee].concat());
        let okm = kdf::extract_expand(handshake_hash, &nonces, "kring code");
        Code(u64::from_be_bytes(okm[..8].try_into().expect("8 of 32 bytes")))
    }

    /// Four English words, 11 bits each from the top.
    #[must_use]
    pub fn words(&self) -> [&'static str; 4] {
        [53, 42, 31, 20].map(|shift| {
            let index = (self.0 >> shift & 0x7ff) as usize;
            WORDS.lines().nth(index).expect("2,048 words, as a test counts")
        })
    }

    /// Five emoji, 6 bits each from the top.
    #[must_use]
    pub fn emoji(&self) -> [Emoji; 5] {
        [58, 52, 46, 40, 34].map(|shift| EMOJI[(self.0 >> shift & 0x3f) as usize])
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.words();
        write!(f, "{a} {b} {c} {d}")
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_words_are_2048_and_differ_in_their_first_four_letters() {
        let beginnings: HashSet<&str> = WORDS.lines().map(|word| &word[..word.len().min(4)]).collect();
        assert_eq!((WORDS.lines().count(), beginnings.len()), (2048, 2048));
        assert!(WORDS.lines().all(|word| word.bytes().all(|b| b.is_ascii_lowercase())));
    }

    #[test]
    fn words_and_emoji_are_read_from_the_top() {
        assert_eq!(Code(0).to_string(), "abandon abandon abandon abandon");
        assert_eq!(Code(u64::MAX).words(), ["zoo"; 4]);
        // The second word is the first after "abandon": the 22nd bit from the top.
        assert_eq!(Code(1 << 42).to_string(), "abandon ability abandon abandon");
        assert_eq!(Code(1 << 34).emoji().map(|e| e.name), ["bear", "bear", "bear", "bear", "bee"]);
    }

    #[test]
    fn the_code_depends_on_all_that_goes_into_it() {
        let code = Code::new(&[1; 32], &[2; 32], &[3; 32]);
        assert_eq!(code, Code::new(&[1; 32], &[2; 32], &[3; 32]));
        for other in [Code::new(&[9; 32], &[2; 32], &[3; 32]), Code::new(&[1; 32], &[9; 32], &[3; 32])] {
            assert_ne!(code, other);
        }
        assert_ne!(code, Code::new(&[1; 32], &[3; 32], &[2; 32]), "who drew what matters");
    }
}
