//! What this side remembers of somebody, and what follows from it for whoever has proven an identity.
//!
//! Guarantee: an identity other than the pinned one is never taken for the person, verified or not, until a person says so.

use crate::identity::PublicIdentity;

/// The identity that somebody is known by, kept since the first call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Theirs.
    pub identity: PublicIdentity,
    /// Whether a person has compared a code or a safety number for it.
    pub verified: bool,
}

/// What is known of a proven identity: whose it is, or that it is not the one expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Nobody has compared anything yet: it may be another's. Media flows, visibly marked.
    Unverified,
    /// A person has compared a code or a safety number for this identity.
    Verified,
    /// Somebody else's than the one known for this person: a new device, or an impostor. No media flows before a person
    /// has accepted it.
    KeyChanged {
        /// The identity that was expected.
        pinned: PublicIdentity,
        /// Whether that one had been verified, so that losing it means more.
        was_verified: bool,
    },
}

impl Trust {
    /// What `pin`, the person that is expected, says about `proven`.
    #[must_use]
    pub fn of(proven: &PublicIdentity, pin: Option<&Pin>) -> Trust {
        match pin {
            None => Trust::Unverified,
            Some(pin) if pin.identity != *proven => {
                Trust::KeyChanged { pinned: pin.identity, was_verified: pin.verified }
            }
            Some(pin) if pin.verified => Trust::Verified,
            Some(_) => Trust::Unverified,
        }
    }

    /// Whether media may flow.
    #[must_use]
    pub fn has_media(&self) -> bool {
        !matches!(self, Trust::KeyChanged { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pinned_identity_is_the_person() {
        let (ben, eve) = (PublicIdentity::from([1; 32]), PublicIdentity::from([2; 32]));
        for verified in [false, true] {
            let pin = Pin { identity: ben, verified };
            let trust = if verified { Trust::Verified } else { Trust::Unverified };
            assert_eq!(Trust::of(&ben, Some(&pin)), trust);
            let changed = Trust::of(&eve, Some(&pin));
            assert_eq!(changed, Trust::KeyChanged { pinned: ben, was_verified: verified });
            assert!(trust.has_media() && !changed.has_media());
        }
        assert_eq!(Trust::of(&eve, None), Trust::Unverified);
    }
}
