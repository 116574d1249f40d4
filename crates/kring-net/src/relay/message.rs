//! What a relay and its clients tell each other on the control stream.
//!
//! Guarantee: a message is at most [`MAX_MESSAGE`] bytes; decoding is bounded, passes over what it does not know, and
//! reads back what was written.

use super::address::{MAX_TEXT, RelayAddress};
use super::keys::{Mailbox, NoRandomness, SessionSecret, Token, random};
use super::shim::{read_address, write_address};
use super::wire::{Fields, Malformed, number, put, put_number};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use zeroize::Zeroizing;

/// The longest message, in bytes.
pub const MAX_MESSAGE: usize = 2048;
/// Other relays that one message names.
pub const MAX_OTHERS: usize = 4;
/// The longest time to wait that is believed: an hour.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// By what two sides of a session find each other again after their relay has forgotten it.
#[derive(Clone, PartialEq, Eq)]
pub struct Resume(pub(crate) Zeroizing<[u8; 32]>);

impl Resume {
    /// A new one.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn generate() -> Result<Resume, NoRandomness> {
        Ok(Resume(Zeroizing::new(random()?)))
    }

    /// By what a relay finds the other side.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Resume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resume(…)")
    }
}

/// From a client to its relay.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Wants what is dialled at a mailbox.
    Listen {
        /// Which.
        mailbox: Mailbox,
        /// Its right to it ([`MailboxKey::sign`](super::MailboxKey::sign)).
        signature: Box<[u8; 64]>,
    },
    /// Wants it no longer.
    Unlisten {
        /// Which.
        mailbox: Mailbox,
    },
    /// Wants a session with whoever listens at a mailbox.
    Dial {
        /// Names the answer.
        request: u64,
        /// Where.
        mailbox: Mailbox,
    },
    /// Wants the session back that the relay, or the one before it, had forgotten.
    Rejoin {
        /// Names the answer.
        request: u64,
        /// Which session.
        resume: Resume,
    },
    /// Needs a session no longer.
    Close {
        /// Which, by this side's handle.
        token: Token,
    },
    /// Asks whether anybody is there; also what a client says first.
    Ping {
        /// Comes back.
        number: u64,
    },
}

/// One side's end of a session.
#[derive(Debug, Clone)]
pub struct Handle {
    /// In front of this side's packets, both ways.
    pub token: Token,
    /// Signs this side's changes of address.
    pub secret: SessionSecret,
    /// Brings the two sides together again if the relay forgets them.
    pub resume: Resume,
}

impl PartialEq for Handle {
    fn eq(&self, other: &Handle) -> bool {
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(&*self.secret.0, &*other.secret.0);
        self.token == other.token && same.is_ok() && self.resume == other.resume
    }
}

impl Eq for Handle {}

/// What an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum About {
    /// The client's request of that number.
    Request(u64),
    /// A mailbox.
    Mailbox(Mailbox),
    /// The client as a whole, whose connection ends.
    Client,
}

/// Why a relay does not do what it was asked for, or ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Nobody listens at that mailbox.
    NobodyThere,
    /// The signature does not hold for this mailbox, this relay and this connection.
    NotYours,
    /// It carries as much as it can.
    Full,
    /// Too much of it, or too often: from this address, at this mailbox, or over this connection.
    TooMuch,
    /// It is about to stop.
    Draining,
    /// The other side of the session did not come in time, or nothing was sent for too long.
    Silent,
    /// The other side of the session needs it no longer.
    Ended,
    /// Another connection listens at the mailbox now, with a right to it.
    Displaced,
    /// A reason that this version does not know.
    Other(u64),
}

impl Reason {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Reason::NobodyThere => 1,
            Reason::NotYours => 2,
            Reason::Full => 3,
            Reason::TooMuch => 4,
            Reason::Draining => 5,
            Reason::Silent => 6,
            Reason::Ended => 7,
            Reason::Displaced => 8,
            Reason::Other(code) => code,
        }
    }

    /// From the number on the wire.
    #[must_use]
    pub const fn from_code(code: u64) -> Reason {
        match code {
            1 => Reason::NobodyThere,
            2 => Reason::NotYours,
            3 => Reason::Full,
            4 => Reason::TooMuch,
            5 => Reason::Draining,
            6 => Reason::Silent,
            7 => Reason::Ended,
            8 => Reason::Displaced,
            code => Reason::Other(code),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::NobodyThere => "nobody listens there",
            Reason::NotYours => "the mailbox is somebody else's",
            Reason::Full => "the relay is full",
            Reason::TooMuch => "the relay's limits are reached",
            Reason::Draining => "the relay is about to stop",
            Reason::Silent => "nothing was sent for too long",
            Reason::Ended => "the other side ended it",
            Reason::Displaced => "another connection listens there now",
            Reason::Other(code) => return write!(f, "reason {code}"),
        })
    }
}

/// A relay's no, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the relay refuses: {reason}{}", advice(.retry_after, .others))]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// When to ask again, if that helps; in ms on the wire, at most an hour.
    pub retry_after: Option<Duration>,
    /// Relays to ask instead, at most [`MAX_OTHERS`].
    pub others: Vec<RelayAddress>,
}

fn advice(retry_after: &Option<Duration>, others: &[RelayAddress]) -> String {
    let mut text = String::new();
    if let Some(after) = retry_after {
        text += &format!("; ask again in {:.0} s", after.as_secs_f64().max(1.0));
    }
    if !others.is_empty() {
        let others: Vec<_> = others.iter().map(RelayAddress::to_string).collect();
        text += &format!("; or try {}", others.join(", "));
    }
    text
}

/// From a relay to its client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// Where the relay sees the client; again when that changes.
    Observed {
        /// Where.
        address: SocketAddr,
    },
    /// What is dialled at the mailbox comes here from now on.
    Listening {
        /// Which.
        mailbox: Mailbox,
    },
    /// A session is there, asked for by this side, or by somebody who dialled a mailbox of it.
    Session {
        /// Which of the two.
        about: About,
        /// This side's end of it.
        handle: Handle,
    },
    /// What was asked for is not done; or what was done holds no longer.
    Refused {
        /// What.
        about: About,
        /// Why, and what then.
        refused: Refused,
    },
    /// A session is over.
    Closed {
        /// Which, by this side's handle.
        token: Token,
        /// Why.
        reason: Reason,
    },
    /// The relay will stop; sessions go on until then.
    Draining {
        /// How long that is.
        within: Duration,
        /// Relays to go to, at most [`MAX_OTHERS`].
        others: Vec<RelayAddress>,
    },
    /// Somebody is there.
    Pong {
        /// The ping's.
        number: u64,
    },
}

const T_LISTEN: u64 = 1;
const T_UNLISTEN: u64 = 2;
const T_DIAL: u64 = 3;
const T_REJOIN: u64 = 4;
const T_CLOSE: u64 = 5;
const T_PING: u64 = 6;
const T_OBSERVED: u64 = 16;
const T_LISTENING: u64 = 17;
const T_SESSION: u64 = 18;
const T_REFUSED: u64 = 19;
const T_CLOSED: u64 = 20;
const T_DRAINING: u64 = 21;
const T_PONG: u64 = 22;

const F_MAILBOX: u64 = 1;
const F_REQUEST: u64 = 2;
const F_TOKEN: u64 = 3;
const F_SECRET: u64 = 4;
const F_RESUME: u64 = 5;
const F_SIGNATURE: u64 = 6;
const F_REASON: u64 = 7;
const F_WAIT: u64 = 8;
const F_OTHER: u64 = 9;
const F_ADDRESS: u64 = 10;
const F_NUMBER: u64 = 11;

/// The fields of any message: all of them mean the same wherever they stand.
#[derive(Default)]
struct Parts {
    mailbox: Option<Mailbox>,
    request: Option<u64>,
    token: Option<Token>,
    secret: Option<SessionSecret>,
    resume: Option<Resume>,
    signature: Option<Box<[u8; 64]>>,
    reason: Option<Reason>,
    wait: Option<Duration>,
    others: Vec<RelayAddress>,
    address: Option<SocketAddr>,
    number: Option<u64>,
}

impl Parts {
    fn read(value: &[u8]) -> Result<Parts, Malformed> {
        let mut parts = Parts::default();
        for field in Fields(value) {
            let (kind, value) = field?;
            match kind {
                F_MAILBOX => parts.mailbox = Some(Mailbox(array(value)?)),
                F_REQUEST => parts.request = Some(number(value)?),
                F_TOKEN => parts.token = Some(Token(u64::from_be_bytes(array(value)?))),
                F_SECRET => parts.secret = Some(SessionSecret(Zeroizing::new(array(value)?))),
                F_RESUME => parts.resume = Some(Resume(Zeroizing::new(array(value)?))),
                F_SIGNATURE => parts.signature = Some(Box::new(array(value)?)),
                F_REASON => parts.reason = Some(Reason::from_code(number(value)?)),
                F_WAIT => parts.wait = Some(Duration::from_millis(number(value)?).min(MAX_WAIT)),
                F_OTHER if parts.others.len() < MAX_OTHERS => parts.others.push(relay(value)?),
                F_OTHER => return Err(Malformed),
                F_ADDRESS if value.len() == 18 => parts.address = read_address(value),
                F_ADDRESS => return Err(Malformed),
                F_NUMBER => parts.number = Some(number(value)?),
                _ => {}
            }
        }
        Ok(parts)
    }

    fn about(&self) -> About {
        match (self.request, self.mailbox) {
            (Some(request), _) => About::Request(request),
            (None, Some(mailbox)) => About::Mailbox(mailbox),
            (None, None) => About::Client,
        }
    }
}

fn array<const N: usize>(value: &[u8]) -> Result<[u8; N], Malformed> {
    value.try_into().map_err(|_| Malformed)
}

fn relay(value: &[u8]) -> Result<RelayAddress, Malformed> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= MAX_TEXT).ok_or(Malformed)?;
    text.parse().map_err(|_| Malformed)
}

fn put_about(about: About, out: &mut Vec<u8>) {
    match about {
        About::Request(request) => put_number(F_REQUEST, request, out),
        About::Mailbox(mailbox) => put(F_MAILBOX, &mailbox.0, out),
        About::Client => {}
    }
}

fn put_wait(wait: Duration, out: &mut Vec<u8>) {
    put_number(F_WAIT, wait.min(MAX_WAIT).as_millis() as u64, out);
}

fn put_others(others: &[RelayAddress], out: &mut Vec<u8>) {
    for other in others.iter().take(MAX_OTHERS) {
        put(F_OTHER, other.to_string().as_bytes(), out);
    }
}

/// One field around `value`.
fn message(kind: u64, value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() + 12));
    put(kind, value, &mut out);
    out
}

/// The known message among the fields of `bytes`, of which there may be one.
fn one<T>(
    bytes: &[u8],
    decode: impl Fn(u64, &[u8]) -> Result<Option<T>, Malformed>,
) -> Result<Option<T>, Malformed> {
    if bytes.len() > MAX_MESSAGE {
        return Err(Malformed);
    }
    let mut found = None;
    for field in Fields(bytes) {
        let (kind, value) = field?;
        match (decode(kind, value)?, &found) {
            (Some(_), Some(_)) => return Err(Malformed),
            (Some(known), None) => found = Some(known),
            (None, _) => {}
        }
    }
    Ok(found)
}

impl Request {
    /// As it goes over the wire.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut value = Zeroizing::new(Vec::with_capacity(128));
        let kind = match self {
            Request::Listen { mailbox, signature } => {
                put(F_MAILBOX, &mailbox.0, &mut value);
                put(F_SIGNATURE, &**signature, &mut value);
                T_LISTEN
            }
            Request::Unlisten { mailbox } => {
                put(F_MAILBOX, &mailbox.0, &mut value);
                T_UNLISTEN
            }
            Request::Dial { request, mailbox } => {
                put_number(F_REQUEST, *request, &mut value);
                put(F_MAILBOX, &mailbox.0, &mut value);
                T_DIAL
            }
            Request::Rejoin { request, resume } => {
                put_number(F_REQUEST, *request, &mut value);
                put(F_RESUME, &*resume.0, &mut value);
                T_REJOIN
            }
            Request::Close { token } => {
                put(F_TOKEN, &token.0.to_be_bytes(), &mut value);
                T_CLOSE
            }
            Request::Ping { number } => {
                put_number(F_NUMBER, *number, &mut value);
                T_PING
            }
        };
        message(kind, &value)
    }

    /// The request in `bytes`; `None` if it is of a kind that this version does not know.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Option<Request>, Malformed> {
        one(bytes, |kind, value| {
            if !(T_LISTEN..=T_PING).contains(&kind) {
                return Ok(None);
            }
            let parts = Parts::read(value)?;
            let mailbox = parts.mailbox.ok_or(Malformed);
            let request = parts.request.ok_or(Malformed);
            Ok(Some(match kind {
                T_LISTEN => {
                    Request::Listen { mailbox: mailbox?, signature: parts.signature.ok_or(Malformed)? }
                }
                T_UNLISTEN => Request::Unlisten { mailbox: mailbox? },
                T_DIAL => Request::Dial { request: request?, mailbox: mailbox? },
                T_REJOIN => Request::Rejoin { request: request?, resume: parts.resume.ok_or(Malformed)? },
                T_CLOSE => Request::Close { token: parts.token.ok_or(Malformed)? },
                _ => Request::Ping { number: parts.number.ok_or(Malformed)? },
            }))
        })
    }
}

impl Reply {
    /// As it goes over the wire.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut value = Zeroizing::new(Vec::with_capacity(256));
        let kind = match self {
            Reply::Observed { address } => {
                put(F_ADDRESS, &write_address(*address), &mut value);
                T_OBSERVED
            }
            Reply::Listening { mailbox } => {
                put(F_MAILBOX, &mailbox.0, &mut value);
                T_LISTENING
            }
            Reply::Session { about, handle } => {
                put_about(*about, &mut value);
                put(F_TOKEN, &handle.token.0.to_be_bytes(), &mut value);
                put(F_SECRET, &*handle.secret.0, &mut value);
                put(F_RESUME, &*handle.resume.0, &mut value);
                T_SESSION
            }
            Reply::Refused { about, refused } => {
                put_about(*about, &mut value);
                put_number(F_REASON, refused.reason.code(), &mut value);
                if let Some(after) = refused.retry_after {
                    put_wait(after, &mut value);
                }
                put_others(&refused.others, &mut value);
                T_REFUSED
            }
            Reply::Closed { token, reason } => {
                put(F_TOKEN, &token.0.to_be_bytes(), &mut value);
                put_number(F_REASON, reason.code(), &mut value);
                T_CLOSED
            }
            Reply::Draining { within, others } => {
                put_wait(*within, &mut value);
                put_others(others, &mut value);
                T_DRAINING
            }
            Reply::Pong { number } => {
                put_number(F_NUMBER, *number, &mut value);
                T_PONG
            }
        };
        message(kind, &value)
    }

    /// The reply in `bytes`; `None` if it is of a kind that this version does not know.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Option<Reply>, Malformed> {
        one(bytes, |kind, value| {
            if !(T_OBSERVED..=T_PONG).contains(&kind) {
                return Ok(None);
            }
            let parts = Parts::read(value)?;
            let about = parts.about();
            let token = parts.token.ok_or(Malformed);
            let reason = parts.reason.ok_or(Malformed);
            Ok(Some(match kind {
                T_OBSERVED => Reply::Observed { address: parts.address.ok_or(Malformed)? },
                T_LISTENING => Reply::Listening { mailbox: parts.mailbox.ok_or(Malformed)? },
                T_SESSION => {
                    let handle = Handle {
                        token: token?,
                        secret: parts.secret.ok_or(Malformed)?,
                        resume: parts.resume.ok_or(Malformed)?,
                    };
                    Reply::Session { about, handle }
                }
                T_REFUSED => {
                    let (retry_after, others) = (parts.wait, parts.others);
                    Reply::Refused { about, refused: Refused { reason: reason?, retry_after, others } }
                }
                T_CLOSED => Reply::Closed { token: token?, reason: reason? },
                T_DRAINING => Reply::Draining { within: parts.wait.ok_or(Malformed)?, others: parts.others },
                _ => Reply::Pong { number: parts.number.ok_or(Malformed)? },
            }))
        })
    }
}

/// A field that means nothing, to be put beside a message so that receivers stay used to such.
///
/// # Errors
/// [`NoRandomness`].
pub fn grease() -> Result<Vec<u8>, NoRandomness> {
    let random: [u8; 12] = random()?;
    let mut out = Vec::new();
    put(31 * u64::from(random[0]) + 33, &random[2..2 + usize::from(random[1] % 10)], &mut out);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle() -> Handle {
        Handle {
            token: Token(0x1122_3344_5566_7788),
            secret: SessionSecret(Zeroizing::new([3; 32])),
            resume: Resume(Zeroizing::new([4; 32])),
        }
    }

    #[test]
    fn every_request_reads_as_it_is_written() {
        let mailbox = Mailbox([1; 32]);
        for request in [
            Request::Listen { mailbox, signature: Box::new([2; 64]) },
            Request::Unlisten { mailbox },
            Request::Dial { request: 70_000, mailbox },
            Request::Rejoin { request: 0, resume: Resume(Zeroizing::new([5; 32])) },
            Request::Close { token: Token(9) },
            Request::Ping { number: 1 },
        ] {
            let mut bytes = grease().unwrap();
            bytes.extend_from_slice(&request.encode());
            assert_eq!(Request::decode(&bytes), Ok(Some(request)));
        }
    }

    #[test]
    fn every_reply_reads_as_it_is_written() {
        let others: Vec<RelayAddress> =
            vec!["relay.example:443".parse().unwrap(), "[2001:db8::1]:4433".parse().unwrap()];
        let wait = Duration::from_millis(1500);
        for reply in [
            Reply::Observed { address: "192.0.2.1:4433".parse().unwrap() },
            Reply::Observed { address: "[2001:db8::1]:4433".parse().unwrap() },
            Reply::Listening { mailbox: Mailbox([1; 32]) },
            Reply::Session { about: About::Request(5), handle: handle() },
            Reply::Session { about: About::Mailbox(Mailbox([6; 32])), handle: handle() },
            Reply::Refused {
                about: About::Client,
                refused: Refused { reason: Reason::Full, retry_after: Some(wait), others: others.clone() },
            },
            Reply::Closed { token: Token(9), reason: Reason::Other(99) },
            Reply::Draining { within: wait, others },
            Reply::Pong { number: 1 },
        ] {
            let bytes = reply.encode();
            assert_eq!(Reply::decode(&bytes), Ok(Some(reply)));
        }
    }

    #[test]
    fn the_longest_message_fits() {
        let relay: RelayAddress =
            format!("{}:65535#{}", "a".repeat(253), super::super::Pin([0; 32])).parse().unwrap();
        let refused =
            Refused { reason: Reason::Full, retry_after: Some(MAX_WAIT), others: vec![relay; MAX_OTHERS] };
        let bytes = Reply::Refused { about: About::Mailbox(Mailbox([1; 32])), refused }.encode();
        assert!(bytes.len() + 32 <= MAX_MESSAGE, "{}", bytes.len());
    }

    #[test]
    fn two_messages_in_one_are_refused() {
        let ping = Request::Ping { number: 1 }.encode();
        assert_eq!(Request::decode(&[&ping[..], &ping].concat()), Err(Malformed));
    }

    #[test]
    fn reasons_keep_their_numbers() {
        for code in 0..20 {
            assert_eq!(Reason::from_code(code).code(), code);
        }
    }
}
