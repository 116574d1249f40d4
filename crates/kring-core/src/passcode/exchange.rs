//! The two sides of a passcode, as values without a wire: who does not know it finds out that one guess was wrong.
//!
//! ```text
//! caller → callee   Ya
//! caller ← callee   Yb          a guess, counted before this is sent
//! caller → callee   Ta          right: the guess is given back
//! caller ← callee   Tb
//! ```
//!
//! Guarantee: each value is used up by what it does, so that one run gives one guess; the caller's tag comes first, so that
//! a caller's guess is never answered by anything that tells more than right or wrong.

use super::PasscodeKey;
use super::cpace::{Secret, Share, Tag, Transcript};
use crate::crypto::{CryptoError, Provider};
use crate::identity::Fingerprint;
use subtle::ConstantTimeEq;

/// The channel identifier.
const CI: &[u8] = b"kring/1";

/// What a run is bound to: one handshake between two proven identities.
#[derive(Clone, Copy)]
pub(crate) struct Parties {
    pub(crate) handshake_hash: [u8; 32],
    pub(crate) caller: Fingerprint,
    pub(crate) callee: Fingerprint,
}

impl Parties {
    /// Both shares and both tags, the caller's first; `None` if a share is none.
    fn tags(&self, secret: &Secret, caller: &Share, callee: &Share, theirs: &Share) -> Option<(Tag, Tag)> {
        let named = |role: &str, who: &Fingerprint| [role.as_bytes(), who.as_bytes()].concat();
        let (a, b) = (named("caller", &self.caller), named("callee", &self.callee));
        Transcript { sid: &self.handshake_hash, a: (caller, &a), b: (callee, &b) }.tags(secret, theirs)
    }
}

/// The caller: has sent its share.
pub(crate) struct Joiner {
    parties: Parties,
    secret: Secret,
    share: Share,
}

/// The caller: has sent its tag, and waits for the callee's.
pub(crate) struct Joined {
    expected: Tag,
}

impl Joiner {
    pub(crate) fn begin(
        key: &PasscodeKey,
        parties: Parties,
        provider: &dyn Provider,
    ) -> Result<(Joiner, Share), CryptoError> {
        let (secret, share) = Secret::begin(&key.0, CI, &parties.handshake_hash, provider)?;
        Ok((Joiner { parties, secret, share }, share))
    }

    /// Takes the callee's share; gives the caller's tag. `None` if that was no share.
    pub(crate) fn answered(self, theirs: &Share) -> Option<(Joined, Tag)> {
        let (tag, expected) = self.parties.tags(&self.secret, &self.share, theirs, theirs)?;
        Some((Joined { expected }, tag))
    }
}

impl Joined {
    /// Whether the callee knows the passcode as well.
    pub(crate) fn holds(self, tag: &Tag) -> bool {
        self.expected.ct_eq(tag).into()
    }
}

/// The callee: has sent its share, and waits for the caller's tag.
pub(crate) struct Host {
    expected: Tag,
    tag: Tag,
}

impl Host {
    /// Takes the caller's share; gives the callee's. `Ok(None)` if that was no share.
    pub(crate) fn answer(
        key: &PasscodeKey,
        parties: Parties,
        theirs: &Share,
        provider: &dyn Provider,
    ) -> Result<Option<(Host, Share)>, CryptoError> {
        let (secret, share) = Secret::begin(&key.0, CI, &parties.handshake_hash, provider)?;
        let tags = parties.tags(&secret, theirs, &share, theirs);
        Ok(tags.map(|(expected, tag)| (Host { expected, tag }, share)))
    }

    /// The callee's tag, if the caller's shows that it knows the passcode.
    pub(crate) fn admit(self, tag: &Tag) -> Option<Tag> {
        bool::from(self.expected.ct_eq(tag)).then_some(self.tag)
    }
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use super::*;
    use crate::crypto::aws_lc::AwsLc;
    use zeroize::Zeroizing;

    fn key(byte: u8) -> PasscodeKey {
        PasscodeKey(Zeroizing::new([byte; 32]))
    }

    fn parties() -> Parties {
        let who = |byte| Fingerprint([byte; 20]);
        Parties { handshake_hash: [1; 32], caller: who(2), callee: who(3) }
    }

    /// Whether the callee admits the caller, and whether the caller then believes the callee.
    fn run(caller: (&PasscodeKey, Parties), callee: (&PasscodeKey, Parties)) -> (bool, bool) {
        let (joiner, ya) = Joiner::begin(caller.0, caller.1, &AwsLc).unwrap();
        let (host, yb) = Host::answer(callee.0, callee.1, &ya, &AwsLc).unwrap().unwrap();
        let (joined, ta) = joiner.answered(&yb).unwrap();
        match host.admit(&ta) {
            Some(tb) => (true, joined.holds(&tb)),
            None => (false, false),
        }
    }

    #[test]
    fn who_knows_the_passcode_is_admitted_and_nobody_else() {
        assert_eq!(run((&key(7), parties()), (&key(7), parties())), (true, true));
        assert_eq!(run((&key(8), parties()), (&key(7), parties())), (false, false));
    }

    #[test]
    fn a_run_holds_for_one_handshake_and_two_people_in_their_roles() {
        let here = parties();
        let elsewhere = [
            Parties { handshake_hash: [9; 32], ..here },
            Parties { caller: Fingerprint([9; 20]), ..here },
            Parties { callee: Fingerprint([9; 20]), ..here },
            Parties { caller: here.callee, callee: here.caller, ..here },
        ];
        for there in elsewhere {
            assert_eq!(run((&key(7), here), (&key(7), there)), (false, false));
        }
    }

    #[test]
    fn a_callee_without_the_passcode_is_not_believed() {
        let (joiner, _) = Joiner::begin(&key(7), parties(), &AwsLc).unwrap();
        let (_, yb) = Joiner::begin(&key(7), parties(), &AwsLc).unwrap();
        let (joined, ta) = joiner.answered(&yb).unwrap();
        assert!(!joined.holds(&ta), "the caller's own tag, sent back");
    }

    #[test]
    fn what_is_no_share_ends_the_run_at_either_side() {
        for share in [[0; 32], [0xff; 32]] {
            assert!(Host::answer(&key(7), parties(), &share, &AwsLc).unwrap().is_none());
            let (joiner, _) = Joiner::begin(&key(7), parties(), &AwsLc).unwrap();
            assert!(joiner.answered(&share).is_none());
        }
    }
}
