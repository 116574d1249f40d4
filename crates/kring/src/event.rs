//! What a call tells its app.

use crate::peer::{KeyChanged, Peer};
use crate::reach::Path;
use kring_core::call::EndedBy;
use kring_core::control::Reason;
use kring_core::handshake::HandshakeError;
use kring_core::offer::{TrackInfo, TrackState};
use kring_core::verify::{Code, CodeFailure};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;
use tokio::sync::Notify;

/// How many events wait for the app; beyond that the oldest is dropped, but never the last.
const MAX_WAITING: usize = 256;

/// What happened in a call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The callee wants a passcode: [`Call::enter_passcode`](crate::Call::enter_passcode). Not told if there is one already.
    PasscodeWanted,
    /// Somebody at the other side has to let this one in.
    Waiting,
    /// The callee's device rings.
    Ringing,
    /// At a callee that answers the next caller whoever it is: somebody with a live ticket calls, devices are open, and what
    /// they take is on its way. Who it is comes with [`Answered`](Event::Answered).
    AnsweredAhead,
    /// The callee answered.
    Answered,
    /// Media flows, and this is what protects it.
    Connected(Safety),
    /// The call's code is there: both people read it to each other, and if the two differ, somebody is in between. It comes
    /// while it rings, once in a call.
    Code(Code),
    /// This call has no code to compare.
    CodeFailed(CodeFailure),
    /// The other side is not who was expected. There is no media, and the call not answered, until a person
    /// [accepts](crate::Call::accept_changed_key) it.
    KeyChanged(Peer<KeyChanged>),
    /// The peer's tracks are these now.
    PeerTracks(Vec<TrackInfo>),
    /// The peer switched a track on or off: it is muted, or its camera is off.
    PeerTrackState {
        /// Which of the peer's tracks.
        track: u8,
        /// What it is now.
        state: TrackState,
    },
    /// The two sides have agreed on a secret by which they can call each other again. With a contact it is saved; anyone else
    /// can be [kept](crate::Endpoint::keep) now. Only if both endpoints have a [home](crate::EndpointBuilder::home).
    Acquainted {
        /// The contact's name; `None` if it is none.
        contact: Option<String>,
    },
    /// The peer records this call, or has stopped. A modified program can record without saying so.
    PeerRecording(bool),
    /// Packets go another way from now on; the call goes on meanwhile.
    Path(Path),
    /// Nothing has been heard of the peer for 1.5 s; the call waits.
    Interrupted,
    /// The peer is heard again.
    Resumed,
    /// A source or sink of this side failed or ended; the call goes on without it.
    MediaStopped {
        /// "microphone", "camera", "screen", "speaker" or "view".
        what: &'static str,
        /// How it ended.
        why: String,
    },
    /// The call is over; no event follows.
    Ended(End),
}

/// What protects a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Safety {
    /// The Noise handshake between the two devices.
    pub noise: &'static str,
    /// How media is sealed, end to end.
    pub media: &'static str,
    /// TLS key exchange of the hop.
    pub tls_group: &'static str,
    /// TLS cipher suite of the hop.
    pub tls_cipher: &'static str,
    /// Whether recorded content stays closed to a later quantum computer.
    pub post_quantum: bool,
}

impl Safety {
    pub(crate) const CURRENT: Safety = Safety {
        noise: kring_core::handshake::NOISE_NAME,
        media: "SFrame AES-256-GCM-SHA512",
        tls_group: kring_net::KEY_EXCHANGE,
        tls_cipher: kring_net::CIPHER_SUITE,
        post_quantum: true,
    };
}

/// How a call ended, or why it did not come about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Someone hung up.
    HungUp {
        /// Who.
        by: EndedBy,
    },
    /// The callee declined.
    Declined {
        /// Who ended it.
        by: EndedBy,
    },
    /// The callee is in another call.
    Busy,
    /// The other side did not let this one in, or this one the other: a passcode was wrong, or somebody said no.
    NotAdmitted,
    /// Nobody answered in time.
    NotAnswered,
    /// The other program is ending, or this one.
    GoingAway {
        /// Whose.
        by: EndedBy,
    },
    /// Nothing was heard of the peer for 30 s, or its connection broke.
    Vanished,
    /// Both dialled each other, and the other of the two calls goes on.
    BothDialled,
    /// No address of the ticket answered, nor its relay; says of each why.
    Unreachable(String),
    /// The other side does not accept this ticket, or does not have this side as a contact.
    Refused,
    /// The other side's clock and this one's are more than ten minutes apart.
    ClockOff,
    /// The two have no codec or version in common.
    NothingInCommon,
    /// The handshake failed: the other side is not who the ticket names, or someone is in between.
    Handshake(HandshakeError),
    /// The other side broke the protocol, or says that this one did.
    ProtocolError {
        /// Who noticed.
        by: EndedBy,
    },
    /// A reason that this version does not know.
    Other(u64),
}

/// Codes with which a QUIC connection closes during the handshake; later ones are [`Reason`]s.
pub(crate) mod close {
    pub(crate) const REFUSED: u64 = 0x40;
    pub(crate) const CLOCK: u64 = 0x41;
    pub(crate) const VERSION: u64 = 0x42;
    pub(crate) const HANDSHAKE: u64 = 0x43;
}

impl End {
    pub(crate) fn new(reason: Reason, by: EndedBy) -> End {
        match reason {
            Reason::HungUp => End::HungUp { by },
            Reason::Declined => End::Declined { by },
            Reason::Busy => End::Busy,
            Reason::BothDialled => End::BothDialled,
            Reason::NotAnswered => End::NotAnswered,
            Reason::GoingAway => End::GoingAway { by },
            Reason::ProtocolError => End::ProtocolError { by },
            Reason::NotAdmitted => End::NotAdmitted,
            Reason::NoCommonCodec => End::NothingInCommon,
            Reason::Vanished => End::Vanished,
            // The callee may refuse the last message of the handshake when the caller takes it for done.
            Reason::Other(code @ close::REFUSED..=close::HANDSHAKE) => End::from_close(code),
            Reason::Other(code) => End::Other(code),
            _ => End::Other(reason.code()),
        }
    }

    /// From the code with which the other side closed the connection during the handshake.
    pub(crate) fn from_close(code: u64) -> End {
        match code {
            close::REFUSED => End::Refused,
            close::CLOCK => End::ClockOff,
            close::VERSION => End::NothingInCommon,
            close::HANDSHAKE => End::Handshake(HandshakeError::Noise),
            code => End::new(Reason::from_code(code), EndedBy::Peer),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = |by: &EndedBy| match by {
            EndedBy::Local => "this side",
            EndedBy::Peer => "the other side",
            EndedBy::Network => "the network",
        };
        match self {
            End::HungUp { by } => write!(f, "{} hung up", whose(by)),
            End::Declined { .. } => f.write_str("declined"),
            End::Busy => f.write_str("the other side is in another call"),
            End::NotAdmitted => f.write_str("not let in"),
            End::NotAnswered => f.write_str("nobody answered"),
            End::GoingAway { by } => write!(f, "the program of {} ended", whose(by)),
            End::Vanished => f.write_str("nothing is heard of the other side any more"),
            End::BothDialled => f.write_str("both dialled; the other call goes on"),
            End::Unreachable(tried) => {
                write!(f, "no address in the ticket answered; is the other side waiting for calls? {tried}")
            }
            End::Refused => f.write_str(
                "the other side does not accept this ticket: it was revoked or used up, they take calls of contacts only, \
                 do not have you as one, or someone else listens there; ask for a new one",
            ),
            End::ClockOff => {
                f.write_str("this machine's clock and the other side's are more than ten minutes apart; set both")
            }
            End::NothingInCommon => f.write_str("no codec or protocol version in common; update the older program"),
            End::Handshake(e) => write!(f, "the handshake failed: {e}"),
            End::ProtocolError { by } => write!(f, "protocol error, noticed by {}", whose(by)),
            End::Other(code) => write!(f, "ended for reason {code}, which this version does not know"),
        }
    }
}

impl std::error::Error for End {}

/// Events on their way to the app: bounded, and waiting for them may be given up at any moment.
#[derive(Default)]
pub(crate) struct EventQueue {
    waiting: Mutex<(VecDeque<Event>, bool)>,
    changed: Notify,
}

impl EventQueue {
    pub(crate) fn push(&self, event: Event) {
        let mut waiting = self.waiting.lock().expect("nothing panics with this lock held");
        if waiting.1 {
            return;
        }
        waiting.1 = matches!(event, Event::Ended(_));
        if waiting.0.len() == MAX_WAITING {
            waiting.0.pop_front();
        }
        waiting.0.push_back(event);
        drop(waiting);
        self.changed.notify_one();
    }

    pub(crate) async fn next(&self) -> Option<Event> {
        loop {
            {
                let mut waiting = self.waiting.lock().expect("nothing panics with this lock held");
                if let Some(event) = waiting.0.pop_front() {
                    // Another waiter may be there for what is left.
                    self.changed.notify_one();
                    return Some(event);
                }
                if waiting.1 {
                    self.changed.notify_one();
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_event_is_never_dropped_and_nothing_follows_it() {
        let queue = EventQueue::default();
        for _ in 0..1000 {
            queue.push(Event::Interrupted);
        }
        queue.push(Event::Ended(End::Busy));
        queue.push(Event::Resumed);
        let mut all = Vec::new();
        while let Some(event) = queue.next().await {
            all.push(event);
        }
        assert_eq!(all.len(), MAX_WAITING);
        assert_eq!(all.last(), Some(&Event::Ended(End::Busy)));
        assert_eq!(queue.next().await, None);
    }
}
