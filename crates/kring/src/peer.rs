//! Who is on the other side, as types: what may be done with somebody depends on what is known about whose identity it is.
//!
//! Guarantee: media starts only with a [`Permit`], and none can be had of a [`Peer<KeyChanged>`]; a [`Peer<Verified>`] comes only
//! from a contact that says so, or from a person who has compared.

use crate::call::Call;
use crate::endpoint::Incoming;
use kring_core::call::Call as Core;
use kring_core::identity::PublicIdentity;
use kring_core::verify::{Pin, SafetyNumber, SafetyScan, Trust};

/// Somebody who has proven an identity; `T` is what is known about whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer<T> {
    identity: PublicIdentity,
    known: T,
}

/// Nobody has compared anything for this identity. There is media, and an app shows that it may be somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unverified(());

/// A person has compared the code or the safety number for this identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified(());

/// The identity is not the one that was expected: a new device of the person, or an impostor. There is no media until a
/// person [accepts](Call::accept_changed_key) it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChanged {
    pinned: PublicIdentity,
    was_verified: bool,
}

/// A peer in whatever state.
///
/// ```no_run
/// use kring::{Call, Who};
///
/// /// A line for the people in the call.
/// fn line(call: &Call) -> String {
///     match call.who() {
///         None => "nobody is proven yet".into(),
///         Some(Who::Verified(peer)) => format!("{} (verified)", peer.identity().fingerprint()),
///         Some(Who::Unverified(peer)) => format!("{}: compare the code", peer.identity().fingerprint()),
///         Some(Who::KeyChanged(peer)) => {
///             format!("not {}, who was expected; nothing is sent", peer.pinned().fingerprint())
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Has media, visibly marked.
    Unverified(Peer<Unverified>),
    /// Has media.
    Verified(Peer<Verified>),
    /// Has no media.
    KeyChanged(Peer<KeyChanged>),
}

impl<T> Peer<T> {
    /// Who it is, proven by the handshake.
    #[must_use]
    pub fn identity(&self) -> PublicIdentity {
        self.identity
    }
}

impl Peer<KeyChanged> {
    /// The identity that was expected instead.
    #[must_use]
    pub fn pinned(&self) -> PublicIdentity {
        self.known.pinned
    }

    /// Whether that one had been verified.
    #[must_use]
    pub fn was_verified(&self) -> bool {
        self.known.was_verified
    }
}

impl Who {
    /// Who it is, proven by the handshake.
    #[must_use]
    pub fn identity(&self) -> PublicIdentity {
        match self {
            Who::Unverified(peer) => peer.identity,
            Who::Verified(peer) => peer.identity,
            Who::KeyChanged(peer) => peer.identity,
        }
    }

    /// Whether a person has compared the code or the safety number for this identity.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        matches!(self, Who::Verified(_))
    }

    pub(crate) fn of(call: &Core) -> Option<Who> {
        let identity = call.peer()?;
        Some(match call.trust()? {
            Trust::Unverified => Who::Unverified(Peer { identity, known: Unverified(()) }),
            Trust::Verified => Who::Verified(Peer { identity, known: Verified(()) }),
            Trust::KeyChanged { pinned, was_verified } => {
                Who::KeyChanged(Peer { identity, known: KeyChanged { pinned, was_verified } })
            }
        })
    }
}

/// What it takes to open devices and to play what comes.
pub(crate) struct Permit(());

impl Permit {
    /// For whom media may flow now; where nobody is proven yet, the call has been answered ahead by a consent to whoever
    /// holds the ticket.
    pub(crate) fn of(call: &Core) -> Option<Permit> {
        match Who::of(call) {
            None => Some(Permit(())),
            Some(Who::Unverified(peer)) => Some(peer.permit()),
            Some(Who::Verified(peer)) => Some(peer.permit()),
            Some(Who::KeyChanged(_)) => None,
        }
    }
}

impl Peer<Unverified> {
    fn permit(&self) -> Permit {
        Permit(())
    }
}

impl Peer<Verified> {
    fn permit(&self) -> Permit {
        Permit(())
    }
}

impl Call {
    /// Who is on the other side; `None` until that is proven.
    #[must_use]
    pub fn who(&self) -> Option<Who> {
        self.shared.core(|call| Who::of(call)).flatten()
    }

    /// A person accepts that `peer` has another identity than was expected: from now on there is media, as with anybody
    /// unverified. Whoever calls this has asked somebody, and said what it may mean. Without effect if `peer` is not who is
    /// on the other side.
    pub fn accept_changed_key(&self, peer: &Peer<KeyChanged>) {
        self.shared.core(|call| {
            if call.peer() == Some(peer.identity) {
                call.accept_changed_key();
            }
        });
        self.shared.wake.notify_one();
    }

    /// A person has compared the call's code or the safety number with `peer`, by voice or face to face, and they are the same.
    /// Gives back the peer as verified for this call; to keep that for the next, see
    /// [`Home::set_verified`](crate::Home::set_verified).
    ///
    /// # Errors
    /// `peer` as it was, if that is not who is on the other side.
    pub fn mark_verified(&self, peer: Peer<Unverified>) -> Result<Peer<Verified>, Peer<Unverified>> {
        let marked = self.shared.core(|call| {
            let there = call.peer() == Some(peer.identity);
            if there {
                call.mark_verified();
            }
            there
        });
        if marked == Some(true) {
            Ok(Peer { identity: peer.identity, known: Verified(()) })
        } else {
            Err(peer)
        }
    }

    /// The sixty digits that this side and the other have in common in every call; `None` until the other side is proven.
    /// Takes some milliseconds.
    #[must_use]
    pub fn safety_number(&self) -> Option<SafetyNumber> {
        let (own, peer) = self.identities()?;
        Some(SafetyNumber::of(&own, &peer))
    }

    /// The same as a QR code for the other person to scan.
    #[must_use]
    pub fn safety_scan(&self) -> Option<SafetyScan> {
        let (own, peer) = self.identities()?;
        Some(SafetyScan::new(own, peer))
    }

    fn identities(&self) -> Option<(PublicIdentity, PublicIdentity)> {
        self.shared.core(|call| call.peer().map(|peer| (call.identity(), peer))).flatten()
    }
}

impl Incoming {
    /// Who calls, and what is known about whose identity that is.
    #[must_use]
    pub fn who(&self) -> Option<Who> {
        self.shared.core(|call| Who::of(call)).flatten()
    }

    /// Says whom the app takes the caller for, say because the ticket was made for one person. If that person has another
    /// identity, the call is [`KeyChanged`], and [`answer`](Incoming::answer) waits until a person has accepted it.
    pub fn expect(&self, pin: Pin) {
        self.shared.core(|call| call.expect(Some(pin)));
    }
}
