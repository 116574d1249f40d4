//! The safety number as a QR code: both identities whole, so that a scanner finds out more than "no".
//!
//! Guarantee: a payload that reads is whole (its checksum fits), and is compared with identities that this side has proven by
//! itself; it never makes one known.
//!
//! Text: `kringid1` and base32 (RFC 4648, no padding, either case) of `the shower's identity (32) ‖ whom the shower calls (32) ‖
//! first 4 bytes of SHA-256 over both`.

use crate::crypto::kdf;
use crate::identity::PublicIdentity;
use crate::ticket::base32;
use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "kringid1";
/// Longest text that is looked at, in characters.
const MAX_TEXT: usize = 256;

/// What one person shows and the other scans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafetyScan {
    shower: PublicIdentity,
    peer: PublicIdentity,
}

/// Why two people are not the two of a scanned code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SafetyMismatch {
    /// The one who shows it is not the one whom this side calls.
    #[error("the code is of another identity than the one on the other side of the call")]
    OtherShower,
    /// The one who shows it calls somebody else than this side.
    #[error("the one who shows the code takes somebody else for you")]
    OtherPeer,
}

/// Why a text is no such code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// It begins otherwise.
    #[error("expected a Kring safety code, which begins with \"{PREFIX}\"; this is something else")]
    NotAScan,
    /// It is damaged.
    #[error("the safety code is damaged; scan it again")]
    Damaged,
}

impl SafetyScan {
    /// What `own` shows about a call with `peer`.
    #[must_use]
    pub fn new(own: PublicIdentity, peer: PublicIdentity) -> SafetyScan {
        SafetyScan { shower: own, peer }
    }

    /// The text in upper case, for a QR code in alphanumeric mode.
    #[must_use]
    pub fn to_qr_text(&self) -> String {
        self.to_string().to_ascii_uppercase()
    }

    /// Compares a scanned code with the two who call each other, as this side has proven them.
    ///
    /// # Errors
    /// A [`SafetyMismatch`] if somebody else is there.
    pub fn check(&self, own: &PublicIdentity, peer: &PublicIdentity) -> Result<(), SafetyMismatch> {
        if self.shower != *peer {
            return Err(SafetyMismatch::OtherShower);
        }
        if self.peer != *own {
            return Err(SafetyMismatch::OtherPeer);
        }
        Ok(())
    }

    fn checksum(&self) -> [u8; 4] {
        let hash = kdf::hash("", &[self.shower.as_bytes(), self.peer.as_bytes()]);
        hash[..4].try_into().expect("4 of 32 bytes")
    }
}

impl fmt::Display for SafetyScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.shower.as_bytes(), &self.peer.as_bytes()[..], &self.checksum()].concat();
        write!(f, "{PREFIX}{}", base32().encode(&bytes))
    }
}

impl FromStr for SafetyScan {
    type Err = ScanError;

    /// Reads what was scanned, in either case.
    fn from_str(text: &str) -> Result<SafetyScan, ScanError> {
        let text = text.trim();
        // By bytes: what came may end a character anywhere.
        let code = match text.get(..PREFIX.len()) {
            Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => &text[PREFIX.len()..],
            _ => return Err(ScanError::NotAScan),
        };
        if text.len() > MAX_TEXT {
            return Err(ScanError::Damaged);
        }
        let bytes = base32().decode(code.as_bytes()).map_err(|_| ScanError::Damaged)?;
        let (shower, rest) = bytes.split_first_chunk::<32>().ok_or(ScanError::Damaged)?;
        let (peer, sum) = rest.split_first_chunk::<32>().ok_or(ScanError::Damaged)?;
        let scan = SafetyScan::new((*shower).into(), (*peer).into());
        if sum == scan.checksum() { Ok(scan) } else { Err(ScanError::Damaged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(byte: u8) -> PublicIdentity {
        PublicIdentity::from([byte; 32])
    }

    #[test]
    fn what_one_shows_the_other_scans_and_the_wrong_one_is_named() {
        let (anna, ben, eve) = (person(1), person(2), person(3));
        let shown = SafetyScan::new(anna, ben);
        let scanned: SafetyScan = shown.to_qr_text().parse().unwrap();
        assert_eq!(scanned, shown);
        assert_eq!(scanned.check(&ben, &anna), Ok(()));
        assert_eq!(scanned.check(&ben, &eve), Err(SafetyMismatch::OtherShower));
        assert_eq!(scanned.check(&eve, &anna), Err(SafetyMismatch::OtherPeer));
        // One's own code in a mirror proves nothing.
        assert_eq!(scanned.check(&anna, &ben), Err(SafetyMismatch::OtherShower));
    }

    #[test]
    fn damage_is_noticed() {
        let text = SafetyScan::new(person(1), person(2)).to_string();
        assert_eq!("kring1abc".parse::<SafetyScan>(), Err(ScanError::NotAScan));
        assert_eq!("".parse::<SafetyScan>(), Err(ScanError::NotAScan));
        assert_eq!("kringid\u{e9}".parse::<SafetyScan>(), Err(ScanError::NotAScan));
        for at in PREFIX.len()..text.len() {
            let other = if text.as_bytes()[at] == b'a' { "b" } else { "a" };
            let damaged = [&text[..at], other, &text[at + 1..]].concat();
            assert_eq!(damaged.parse::<SafetyScan>(), Err(ScanError::Damaged), "at {at}");
            assert!(text[..at].parse::<SafetyScan>().is_err());
        }
    }
}
