//! What one person sends another to be called.
//!
//! Guarantee: a ticket that parses is whole (its checksum fits) and every byte of it goes into the key of the
//! handshake, so that a changed one opens nothing.
//!
//! Text: `kring1` and lower-case base32 (RFC 4648, no padding) of `body ‖ first 4 bytes of SHA-256(body)`. Upper case
//! reads as well, which is what a QR code holds. Body:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | flags, 0 |
//! | 32 | callee's Noise key (X25519) |
//! | 20 | callee's identity fingerprint |
//! | 16 | link secret |
//! | 4 | expiry, seconds since 1970, big-endian |
//! | rest | fields: kind (1), length (1), value; unknown kinds are passed over |
//!
//! Fields: 4 = IPv4 address (4) and port (2); 6 = IPv6 address (16) and port (2); 7 = a relay: mailbox (32) and `HOST:PORT`;
//! 8 = a relay with a pin: mailbox (32), pin (32) and `HOST:PORT`. Of the last two at most one.

use crate::address::{self, NoAddress};
use crate::crypto::{CryptoError, Provider, Secret32, kdf};
use crate::find::LanKey;
use crate::identity::{Fingerprint, Identity};
use crate::mailbox::RelayHint;
use crate::time::WallTime;
use data_encoding::{BASE32_NOPAD, Encoding, HEXLOWER_PERMISSIVE};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;
use zeroize::Zeroizing;

const PREFIX: &str = "kring1";
const FIXED: usize = 1 + 32 + 20 + 16 + 4;
/// Longest ticket text that is looked at, in characters.
pub const MAX_TEXT: usize = 1024;
pub use crate::address::MAX_ADDRESSES;
/// How long a ticket holds unless said otherwise: one day.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn base32() -> Encoding {
    // One alphabet for both cases; the encoder writes lower case.
    let mut spec = data_encoding::Specification::new();
    spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    spec.translate.from.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    spec.translate.to.push_str("abcdefghijklmnopqrstuvwxyz");
    spec.encoding().unwrap_or(BASE32_NOPAD)
}

/// Names a ticket in lists and logs; says nothing about its secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TicketId(pub(crate) [u8; 8]);

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl FromStr for TicketId {
    type Err = TicketIdError;

    /// Reads 16 hexadecimal digits.
    fn from_str(text: &str) -> Result<TicketId, TicketIdError> {
        let bytes =
            Some(text).filter(|t| t.len() == 16).and_then(|t| HEXLOWER_PERMISSIVE.decode(t.as_bytes()).ok());
        bytes.and_then(|b| b.try_into().ok()).map(TicketId).ok_or(TicketIdError)
    }
}

/// That text is no ticket's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a ticket's id: 16 hexadecimal digits, as the list of tickets shows it")]
pub struct TicketIdError;

impl fmt::Debug for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketId({self})")
    }
}

/// An invitation to call: whoever holds its text may ring, so send it as you would send a key.
///
/// `Display` prints the text; there is no `Debug` of the secret.
#[derive(Clone)]
pub struct Ticket {
    noise: [u8; 32],
    fingerprint: Fingerprint,
    secret: Zeroizing<[u8; 16]>,
    expires: WallTime,
    addresses: Vec<SocketAddr>,
    relay: Option<RelayHint>,
    /// As it stood in the text, so that unknown fields stay part of the key.
    body: Zeroizing<Vec<u8>>,
}

impl Ticket {
    /// Makes a ticket by which `identity` can be called at `addresses` until `expires`.
    ///
    /// # Errors
    /// [`TicketError::Addresses`] if there are none or more than [`MAX_ADDRESSES`]; [`TicketError::Crypto`] without
    /// randomness.
    pub fn issue(
        identity: &Identity,
        addresses: &[SocketAddr],
        expires: WallTime,
        provider: &dyn Provider,
    ) -> Result<Ticket, TicketError> {
        Ticket::issue_with(identity, addresses, None, expires, provider)
    }

    /// Makes a ticket by which `identity` can be called at `addresses`, of which there may be none, and through `relay`.
    ///
    /// # Errors
    /// As for [`issue`](Ticket::issue), but that a relay serves in place of addresses.
    pub fn issue_with(
        identity: &Identity,
        addresses: &[SocketAddr],
        relay: Option<&RelayHint>,
        expires: WallTime,
        provider: &dyn Provider,
    ) -> Result<Ticket, TicketError> {
        if addresses.is_empty() && relay.is_none() || addresses.len() > MAX_ADDRESSES {
            return Err(TicketError::Addresses { came: addresses.len() });
        }
        let mut secret = Zeroizing::new([0; 16]);
        provider.random(&mut *secret)?;
        let mut body = Zeroizing::new(Vec::with_capacity(FIXED + 20 * addresses.len()));
        body.push(0);
        body.extend_from_slice(&identity.noise_key().public);
        body.extend_from_slice(identity.fingerprint().as_bytes());
        body.extend_from_slice(&*secret);
        body.extend_from_slice(&u32::try_from(expires.0).unwrap_or(u32::MAX).to_be_bytes());
        for address in addresses {
            address::put(*address, &mut body);
        }
        if let Some(relay) = relay {
            relay.put(&mut body);
        }
        Ticket::from_body(body)
    }

    /// As it is kept in files.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Reads a body that is whole.
    pub(crate) fn from_body(body: Zeroizing<Vec<u8>>) -> Result<Ticket, TicketError> {
        if body.len() < FIXED {
            return Err(TicketError::Truncated);
        }
        if body[0] != 0 {
            return Err(TicketError::Flags { came: body[0] });
        }
        let fixed: &[u8; FIXED] = body[..FIXED].try_into().expect("FIXED bytes");
        let (mut addresses, mut relay) = (Vec::new(), None);
        let mut fields = &body[FIXED..];
        while let Some((&[kind, len], rest)) = fields.split_first_chunk::<2>() {
            let (value, rest) = rest.split_at_checked(len.into()).ok_or(TicketError::Truncated)?;
            fields = rest;
            if let Some(address) = address::read(kind, value)? {
                if addresses.len() == MAX_ADDRESSES {
                    return Err(TicketError::Addresses { came: MAX_ADDRESSES + 1 });
                }
                addresses.push(address);
            } else if let Some(hint) = RelayHint::read(kind, value)?
                && relay.replace(hint).is_some()
            {
                return Err(TicketError::Field { kind });
            }
        }
        if !fields.is_empty() {
            return Err(TicketError::Truncated);
        }
        Ok(Ticket {
            noise: fixed[1..33].try_into().expect("32 bytes"),
            fingerprint: Fingerprint(fixed[33..53].try_into().expect("20 bytes")),
            secret: Zeroizing::new(fixed[53..69].try_into().expect("16 bytes")),
            expires: WallTime(u32::from_be_bytes(fixed[69..73].try_into().expect("4 bytes")).into()),
            addresses,
            relay,
            body,
        })
    }

    /// The name by which both sides know this ticket.
    #[must_use]
    pub fn id(&self) -> TicketId {
        let hash = kdf::hash("kring ticket id", &[&self.body]);
        TicketId(hash[..8].try_into().expect("8 of 32 bytes"))
    }

    /// The pre-shared key of the handshake: HKDF(salt = ticket id, link secret).
    pub(crate) fn psk0(&self) -> Secret32 {
        kdf::extract_expand(&self.id().0, &*self.secret, "kring ticket psk")
    }

    /// By what its holder recognises what the callee says on the local network.
    #[must_use]
    pub fn lan_key(&self) -> LanKey {
        LanKey::new(&self.psk0(), &self.fingerprint)
    }

    pub(crate) fn noise(&self) -> &[u8; 32] {
        &self.noise
    }

    /// Whom one reaches with it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Where the callee listens, in the callee's order of preference.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The relay at which the callee listens besides, if there is one.
    #[must_use]
    pub fn relay(&self) -> Option<&RelayHint> {
        self.relay.as_ref()
    }

    /// When it ends.
    #[must_use]
    pub fn expires(&self) -> WallTime {
        self.expires
    }

    /// Checks that the ticket still holds.
    ///
    /// # Errors
    /// [`TicketError::Expired`] if its time is over.
    pub fn check(&self, now: WallTime) -> Result<(), TicketError> {
        if self.expires <= now {
            let hours = (now.0 - self.expires.0) / 3600;
            return Err(TicketError::Expired { hours });
        }
        Ok(())
    }

    /// The text in upper case, for a QR code in alphanumeric mode.
    #[must_use]
    pub fn to_qr_text(&self) -> String {
        self.to_string().to_ascii_uppercase()
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.body.clone();
        bytes.extend_from_slice(&kdf::hash("", &[&self.body])[..4]);
        write!(f, "{PREFIX}{}", *Zeroizing::new(base32().encode(&bytes)))
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.id())
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    /// Reads a ticket's text; blanks and line breaks inside it are passed over, since messengers insert them.
    fn from_str(text: &str) -> Result<Ticket, TicketError> {
        if text.len() > MAX_TEXT {
            return Err(TicketError::TooLong { came: text.len() });
        }
        let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).collect());
        if text.is_empty() {
            return Err(TicketError::Empty);
        }
        let code = match text.get(..PREFIX.len()) {
            Some(p) if p.eq_ignore_ascii_case(PREFIX) => &text[PREFIX.len()..],
            // By bytes: what came may end a character anywhere.
            Some(p)
                if p.as_bytes()[..5].eq_ignore_ascii_case(b"kring") && p.as_bytes()[5].is_ascii_digit() =>
            {
                return Err(TicketError::Version { came: p.as_bytes()[5] - b'0' });
            }
            _ => return Err(TicketError::Prefix),
        };
        if let Some((at, c)) =
            code.char_indices().find(|(_, c)| !matches!(c, 'a'..='z' | 'A'..='Z' | '2'..='7'))
        {
            return Err(TicketError::Character { came: c, position: PREFIX.len() + at + 1 });
        }
        if code.len() < ((FIXED + 4) * 8).div_ceil(5) {
            return Err(TicketError::Truncated);
        }
        let bytes = Zeroizing::new(base32().decode(code.as_bytes()).map_err(|_| TicketError::Checksum)?);
        let (body, sum) = bytes.split_at(bytes.len() - 4);
        if kdf::hash("", &[body])[..4] != *sum {
            return Err(TicketError::Checksum);
        }
        Ticket::from_body(Zeroizing::new(body.to_vec()))
    }
}

/// What is wrong with a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// Nothing there.
    #[error("expected a ticket (kring1…), came nothing")]
    Empty,
    /// It begins otherwise.
    #[error(
        "expected a ticket that begins with \"kring1\"; this is something else, so copy the whole line again"
    )]
    Prefix,
    /// It is of another version.
    #[error("expected a ticket of version 1, came version {came}; update Kring to use it")]
    Version {
        /// The digit after `kring`.
        came: u8,
    },
    /// A character that no ticket has.
    #[error(
        "character {position} of the ticket is {came:?}, expected only letters and the digits 2 to 7; copy it again"
    )]
    Character {
        /// The character.
        came: char,
        /// Where it stands, counted from 1 and without blanks.
        position: usize,
    },
    /// The end is missing.
    #[error("the ticket ends too early; copy the whole line again")]
    Truncated,
    /// The checksum does not fit.
    #[error("the ticket's checksum does not fit: a character was lost or changed; copy the whole line again")]
    Checksum,
    /// Longer than any ticket.
    #[error("expected a ticket of at most {MAX_TEXT} characters, came {came}")]
    TooLong {
        /// How many characters there are.
        came: usize,
    },
    /// Flags that this version does not know.
    #[error(
        "the ticket asks for something that this version does not know (flags {came:#04x}); update Kring"
    )]
    Flags {
        /// The flags.
        came: u8,
    },
    /// An address or a relay that is none.
    #[error("the ticket holds an address (kind {kind}) that is none; ask for a new ticket")]
    Field {
        /// The field's kind.
        kind: u8,
    },
    /// No address or too many.
    #[error("expected 1 to {MAX_ADDRESSES} addresses in a ticket, or a relay, came {came}")]
    Addresses {
        /// How many.
        came: usize,
    },
    /// Its time is over.
    #[error("the ticket expired {hours} h ago; ask for a new one (or check this machine's clock)")]
    Expired {
        /// For how many whole hours.
        hours: u64,
    },
    /// No randomness to make one.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl From<NoAddress> for TicketError {
    fn from(NoAddress(kind): NoAddress) -> TicketError {
        TicketError::Field { kind }
    }
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use super::*;
    use crate::crypto::aws_lc::AwsLc;

    const NOW: WallTime = WallTime(1_800_000_000);

    fn ticket() -> Ticket {
        let id = Identity::generate(&AwsLc, NOW).unwrap();
        let addresses = ["192.0.2.7:4433".parse().unwrap(), "[2001:db8::7]:4433".parse().unwrap()];
        Ticket::issue(&id, &addresses, NOW.after(DEFAULT_LIFETIME), &AwsLc).unwrap()
    }

    #[test]
    fn a_ticket_survives_being_sent_in_either_case_and_with_line_breaks() {
        let t = ticket();
        for text in
            [t.to_string(), t.to_qr_text(), format!(" {}\n{} \n", &t.to_string()[..60], &t.to_string()[60..])]
        {
            let back: Ticket = text.parse().unwrap();
            assert_eq!(back.to_string(), t.to_string());
            assert_eq!(back.addresses(), t.addresses());
            assert_eq!(
                (back.id(), back.expires(), back.fingerprint()),
                (t.id(), t.expires(), t.fingerprint())
            );
            assert_eq!(*back.psk0(), *t.psk0());
            assert_eq!(back.id().to_string().parse(), Ok(t.id()));
        }
    }

    #[test]
    fn with_both_kinds_of_address_it_has_at_most_190_characters() {
        assert!(ticket().to_string().len() <= 190, "{}", ticket().to_string().len());
    }

    #[test]
    fn each_kind_of_damage_has_its_own_error() {
        let good = ticket().to_string();
        let parse = |s: &str| s.parse::<Ticket>().err();
        assert_eq!(parse(""), Some(TicketError::Empty));
        assert_eq!(parse("https://example.org"), Some(TicketError::Prefix));
        assert_eq!(parse("kr"), Some(TicketError::Prefix));
        assert_eq!(parse(&good.replace("kring1", "kring2")), Some(TicketError::Version { came: 2 }));
        // A character that the prefix's end cuts.
        assert_eq!(parse("krin\u{e9}1"), Some(TicketError::Prefix));
        assert_eq!(parse("\u{20ac}\u{20ac}"), Some(TicketError::Prefix));
        let with_bang = format!("{}!{}", &good[..20], &good[21..]);
        assert_eq!(parse(&with_bang), Some(TicketError::Character { came: '!', position: 21 }));
        assert_eq!(parse(&good[..40]), Some(TicketError::Truncated));
        assert_eq!(parse(&good[..good.len() - 8]), Some(TicketError::Checksum));
        let swapped = if &good[30..31] == "a" { "b" } else { "a" };
        assert_eq!(parse(&format!("{}{swapped}{}", &good[..30], &good[31..])), Some(TicketError::Checksum));
        assert_eq!(parse(&"k".repeat(2000)), Some(TicketError::TooLong { came: 2000 }));
        assert_eq!(ticket().check(WallTime(NOW.0 + 25 * 3600)), Err(TicketError::Expired { hours: 1 }));
        assert_eq!(ticket().check(NOW), Ok(()));
    }

    fn text_of(body: &[u8]) -> String {
        let sum = kdf::hash("", &[body]);
        format!("{PREFIX}{}", base32().encode(&[body, &sum[..4]].concat()))
    }

    #[test]
    fn unknown_fields_are_passed_over_and_bad_ones_refused() {
        let t = ticket();
        let with = |extra: &[u8]| text_of(&[&t.body[..], extra].concat()).parse::<Ticket>();
        let more = with(&[99, 2, 1, 2]).unwrap();
        assert_eq!(more.addresses(), t.addresses());
        assert_ne!(more.id(), t.id(), "an unknown field is part of the key all the same");
        assert_eq!(with(&[4, 6, 1, 2, 3, 4, 0, 0]).err(), Some(TicketError::Field { kind: 4 }));
        assert_eq!(with(&[4, 5, 1, 2, 3, 4, 0]).err(), Some(TicketError::Field { kind: 4 }));
        assert_eq!(with(&[4, 9, 1]).err(), Some(TicketError::Truncated));
        let relay = [&[7, 32 + 5][..], &[9; 32], b"a:443"].concat();
        assert_eq!(with(&relay).unwrap().relay().unwrap().address(), "a:443");
        assert_eq!(with(&[&relay[..], &relay].concat()).err(), Some(TicketError::Field { kind: 7 }));
        let mut flagged = t.body.to_vec();
        flagged[0] = 0x80;
        assert_eq!(text_of(&flagged).parse::<Ticket>().err(), Some(TicketError::Flags { came: 0x80 }));
    }

    #[test]
    fn a_relay_serves_in_place_of_addresses() {
        let id = Identity::generate(&AwsLc, NOW).unwrap();
        let end = NOW.after(DEFAULT_LIFETIME);
        let hint = RelayHint::new("relay.example:443", Some([3; 32]), [7; 32]).unwrap();
        let ticket = Ticket::issue_with(&id, &[], Some(&hint), end, &AwsLc).unwrap();
        let read: Ticket = ticket.to_string().parse().unwrap();
        assert_eq!((read.relay(), read.addresses()), (Some(&hint), &[][..]));
        let none = Ticket::issue_with(&id, &[], None, end, &AwsLc);
        assert_eq!(none.err(), Some(TicketError::Addresses { came: 0 }));
        assert_eq!(self::ticket().relay(), None);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "0123", "0123456789abcdeg", "0123456789abcdef0"] {
            assert_eq!(text.parse::<TicketId>(), Err(TicketIdError), "{text}");
        }
    }

    #[test]
    fn no_debug_output_shows_the_secret() {
        let t = ticket();
        let shown = format!("{t:?}");
        assert!(!t.to_string().contains(&shown) && shown.len() < 40, "{shown}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_of_any_script_makes_the_parser_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<Ticket>();
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(kring1)?[a-z2-7 ]{0,300}") {
            let _ = text.parse::<Ticket>();
        }

        #[test]
        fn no_body_makes_the_parser_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = text_of(&body).parse::<Ticket>();
        }
    }
}
