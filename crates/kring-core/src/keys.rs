//! The media key schedule: who holds which sender key, and what it opens.
//!
//! Guarantee: a direct call is a room of two (epoch 0, callee leaf 0, caller leaf 1, roster hash = handshake hash), so
//! rooms change no byte of it. A frame opens under exactly the key that its KID names, once; nothing is tried.
//!
//! ```text
//! c          32 random bytes, drawn by each sender
//! KID        epoch << 19 | rotation:8 << 11 | track:4 << 7 | leaf:7
//! base_key   HKDF-Expand(c, "kring media" ‖ room id ‖ roster hash ‖ KID as 8 bytes), 32 bytes
//! keys       SFrame AES_256_GCM_SHA512 from base_key and KID (RFC 9605, section 4.4.2)
//! ```

use crate::crypto::{OpenFrame, Provider, SealFrame, Secret32, kdf};
use crate::handshake::CallId;
use crate::identity::{Identity, PublicIdentity};
use crate::time::Time;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The most tracks one sender has; ids are 0 to 15.
pub const MAX_TRACKS: u8 = 16;
/// The track that carries reports instead of media.
pub(crate) const REPORT_TRACK: u8 = 15;
/// How long frames under older generations of a sender's key are still opened once one has come under a newer.
const OLD_GENERATION: Duration = Duration::from_secs(2);

/// The parts of an SFrame key id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kid {
    /// The roster's version, below 2⁴³.
    pub epoch: u64,
    /// Counts the sender's keys within the epoch.
    pub rotation: u8,
    /// 0 to 15.
    pub track: u8,
    /// The sender's place in the roster, 0 to 127.
    pub leaf: u8,
}

impl Kid {
    /// As the number in the SFrame header.
    #[must_use]
    pub const fn encode(self) -> u64 {
        self.epoch << 19
            | (self.rotation as u64) << 11
            | ((self.track & 15) as u64) << 7
            | (self.leaf & 127) as u64
    }

    /// From the number in the SFrame header.
    #[must_use]
    pub const fn decode(kid: u64) -> Kid {
        Kid {
            epoch: kid >> 19,
            rotation: (kid >> 11) as u8,
            track: (kid >> 7) as u8 & 15,
            leaf: kid as u8 & 127,
        }
    }

    /// The part that names sender and track, for the hop header.
    #[must_use]
    pub const fn stream(self) -> u16 {
        (self.encode() & 0x7ff) as u16
    }
}

/// What every key of a room is bound to.
#[derive(Clone, Copy)]
pub(crate) struct Group {
    room_id: [u8; 32],
    roster_hash: [u8; 32],
    epoch: u64,
}

impl Group {
    /// A direct call as a room of two.
    pub(crate) fn direct(call_id: CallId, handshake_hash: [u8; 32]) -> Group {
        Group {
            room_id: kdf::hash("kring direct call", &[&call_id.0]),
            roster_hash: handshake_hash,
            epoch: 0,
        }
    }

    pub(crate) fn base_key(&self, c: &Secret32, kid: u64) -> Secret32 {
        kdf::expand(c, "kring media", &[&self.room_id, &self.roster_hash, &kid.to_be_bytes()])
    }

    /// What a sender signs: a commitment to its key, bound to its place.
    pub(crate) fn statement(&self, rotation: u8, leaf: u8, c: &Secret32) -> Vec<u8> {
        let commitment = kdf::hash("kring sender key", &[&c[..]]);
        [
            b"kring sender key commitment",
            &self.room_id[..],
            &self.roster_hash,
            &self.epoch.to_be_bytes(),
            &[rotation, leaf],
            &commitment,
        ]
        .concat()
    }
}

/// One generation of a sender's key, as it travels inside the Noise channel.
pub(crate) struct SenderKey {
    pub(crate) epoch: u64,
    pub(crate) rotation: u8,
    pub(crate) leaf: u8,
    pub(crate) secret: Secret32,
    pub(crate) signature: [u8; 64],
}

/// This side's key: makes the sealers of its tracks.
pub(crate) struct OwnKeys {
    provider: Arc<dyn Provider>,
    group: Group,
    leaf: u8,
    rotation: u8,
    secret: Secret32,
    sealers: HashMap<u8, Box<dyn SealFrame>>,
    /// Announced, and used once the peer has it.
    next: Option<Secret32>,
}

impl OwnKeys {
    pub(crate) fn new(provider: Arc<dyn Provider>, group: Group, leaf: u8, secret: Secret32) -> OwnKeys {
        OwnKeys { provider, group, leaf, rotation: 0, secret, sealers: HashMap::new(), next: None }
    }

    /// The message that gives this key to another member.
    pub(crate) fn announce(&self, identity: &Identity) -> SenderKey {
        self.signed(identity, self.rotation, &self.secret)
    }

    /// The message that gives the next key, `secret`, to another member; it is not used before [`switch`](Self::switch).
    pub(crate) fn announce_next(&mut self, identity: &Identity, secret: Secret32) -> SenderKey {
        let key = self.signed(identity, self.rotation.wrapping_add(1), &secret);
        self.next = Some(secret);
        key
    }

    /// The other member holds the key that was announced as `rotation`: seals with it from now on and forgets the one
    /// before. Says whether that was announced.
    #[must_use]
    pub(crate) fn switch(&mut self, rotation: u8) -> bool {
        if rotation != self.rotation.wrapping_add(1) {
            return false;
        }
        let Some(secret) = self.next.take() else { return false };
        (self.rotation, self.secret) = (rotation, secret);
        self.sealers.clear();
        true
    }

    #[cfg(test)]
    pub(crate) fn group(&self) -> Group {
        self.group
    }

    /// All that a thief would find here.
    #[cfg(test)]
    pub(crate) fn secrets(&self) -> Vec<Secret32> {
        self.next.iter().chain([&self.secret]).cloned().collect()
    }

    fn signed(&self, identity: &Identity, rotation: u8, secret: &Secret32) -> SenderKey {
        SenderKey {
            epoch: self.group.epoch,
            rotation,
            leaf: self.leaf,
            secret: secret.clone(),
            signature: identity.sign(&self.group.statement(rotation, self.leaf, secret)),
        }
    }

    pub(crate) fn kid(&self, track: u8) -> Kid {
        Kid { epoch: self.group.epoch, rotation: self.rotation, track, leaf: self.leaf }
    }

    /// The one sealer of `track`; its counter goes on for the key's whole life.
    pub(crate) fn sealer(&mut self, track: u8) -> &mut dyn SealFrame {
        let kid = self.kid(track).encode();
        let (provider, group, secret) = (&self.provider, &self.group, &self.secret);
        &mut **self.sealers.entry(track).or_insert_with(|| provider.sealer(kid, &group.base_key(secret, kid)))
    }
}

struct Generation {
    rotation: u8,
    secret: Secret32,
    openers: HashMap<u8, (Box<dyn OpenFrame>, ReplayWindow)>,
    /// Set once a frame has come under a later one.
    until: Option<Time>,
}

/// Another member's keys: opens its frames.
pub(crate) struct PeerKeys {
    provider: Arc<dyn Provider>,
    group: Group,
    leaf: u8,
    generations: Vec<Generation>,
}

/// Why a frame was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// Its key is not here (yet).
    NoKey,
    /// Its KID names another sender.
    OtherSender,
    /// It was opened before, or is too old to tell.
    Replayed,
    /// It does not authenticate.
    Forged,
}

impl PeerKeys {
    pub(crate) fn new(provider: Arc<dyn Provider>, group: Group, leaf: u8) -> PeerKeys {
        PeerKeys { provider, group, leaf, generations: Vec::new() }
    }

    /// All that a thief would find here.
    #[cfg(test)]
    pub(crate) fn secrets(&self) -> Vec<Secret32> {
        self.generations.iter().map(|g| g.secret.clone()).collect()
    }

    /// Whether no generation has come yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.generations.is_empty()
    }

    /// Takes a new generation from its owner; says whether it was in order and signed.
    #[must_use]
    pub(crate) fn take(&mut self, key: SenderKey, owner: &PublicIdentity, now: Time) -> bool {
        let expected = self.generations.last().map_or(0, |g| g.rotation.wrapping_add(1));
        let in_order = key.epoch == self.group.epoch && key.leaf == self.leaf && key.rotation == expected;
        let statement = self.group.statement(key.rotation, key.leaf, &key.secret);
        if !in_order || !owner.verify(&statement, &key.signature) {
            return false;
        }
        self.forget_old(now);
        // Two old ones at most, however fast new ones come.
        if self.generations.len() > 2 {
            self.generations.remove(0);
        }
        self.generations.push(Generation {
            rotation: key.rotation,
            secret: key.secret,
            openers: HashMap::new(),
            until: None,
        });
        true
    }

    /// Drops generations whose time is over.
    pub(crate) fn forget_old(&mut self, now: Time) {
        self.generations.retain(|g| g.until.is_none_or(|until| now < until));
    }

    /// Opens the frame that its SFrame header names by KID and counter into `out`, and remembers that it did.
    pub(crate) fn open(
        &mut self,
        (kid, counter): (Kid, u64),
        metadata: &[u8],
        sframe: &[u8],
        out: &mut Vec<u8>,
        now: Time,
    ) -> Result<(), OpenError> {
        if kid.leaf != self.leaf {
            return Err(OpenError::OtherSender);
        }
        self.forget_old(now);
        let named = |g: &Generation| kid.epoch == self.group.epoch && g.rotation == kid.rotation;
        let at = self.generations.iter().position(named).ok_or(OpenError::NoKey)?;
        let generation = &mut self.generations[at];
        let (group, secret, provider) = (&self.group, &generation.secret, &self.provider);
        // At most 16 openers a generation: the KID has four bits for the track.
        let (opener, window) = generation.openers.entry(kid.track).or_insert_with(|| {
            let number = kid.encode();
            (provider.opener(number, &group.base_key(secret, number)), ReplayWindow::default())
        });
        if !window.is_new(counter) {
            return Err(OpenError::Replayed);
        }
        opener.open(metadata, sframe, out).map_err(|_| OpenError::Forged)?;
        window.record(counter);
        // Its sender has switched, so what is under an older one was sent before.
        for old in &mut self.generations[..at] {
            old.until.get_or_insert(now + OLD_GENERATION);
        }
        Ok(())
    }
}

/// Which counters of one key were seen: the newest 1,024, as in RFC 4303, section 3.4.3.
#[derive(Default)]
struct ReplayWindow {
    /// The highest counter seen.
    highest: Option<u64>,
    bits: [u64; ReplayWindow::WORDS],
}

impl ReplayWindow {
    const WORDS: usize = 16;
    const LEN: u64 = 64 * ReplayWindow::WORDS as u64;

    fn place(counter: u64) -> (usize, u64) {
        let at = counter % ReplayWindow::LEN;
        ((at / 64) as usize, 1 << (at % 64))
    }

    fn is_new(&self, counter: u64) -> bool {
        match self.highest {
            Some(highest) if counter <= highest => {
                let (word, bit) = ReplayWindow::place(counter);
                highest - counter < ReplayWindow::LEN && self.bits[word] & bit == 0
            }
            _ => true,
        }
    }

    fn record(&mut self, counter: u64) {
        if self.highest.is_none_or(|highest| counter > highest) {
            // The places of all that were passed over, and this one's, held older counters.
            let passed = counter - self.highest.unwrap_or(0);
            for n in 0..passed.min(ReplayWindow::LEN) {
                let (word, bit) = ReplayWindow::place(counter - n);
                self.bits[word] &= !bit;
            }
            self.highest = Some(counter);
        }
        let (word, bit) = ReplayWindow::place(counter);
        self.bits[word] |= bit;
    }
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use super::*;
    use crate::crypto::aws_lc::AwsLc;
    use crate::time::WallTime;
    use std::collections::HashSet;
    use zeroize::Zeroizing;

    #[test]
    fn a_kid_comes_apart_as_it_was_put_together() {
        let kid = Kid { epoch: 5, rotation: 200, track: 9, leaf: 77 };
        assert_eq!(Kid::decode(kid.encode()), kid);
        assert_eq!(kid.stream(), 9 << 7 | 77);
        assert!(Kid { epoch: 0, rotation: 0, track: 15, leaf: 127 }.encode() < 1 << 11);
    }

    fn keys() -> (OwnKeys, PeerKeys, Identity) {
        let group = Group::direct(CallId([1; 16]), [2; 32]);
        let identity = Identity::generate(&AwsLc, WallTime(1)).unwrap();
        let provider: Arc<dyn Provider> = Arc::new(AwsLc);
        let own = OwnKeys::new(provider.clone(), group, 1, Zeroizing::new([3; 32]));
        (own, PeerKeys::new(provider, group, 1), identity)
    }

    fn seal(own: &mut OwnKeys, track: u8) -> (Kid, u64, Vec<u8>) {
        let sealer = own.sealer(track);
        let counter = sealer.sealed();
        let mut out = Vec::new();
        sealer.seal(b"m", b"voice", &mut out).unwrap();
        (own.kid(track), counter, out[1..].to_vec())
    }

    #[test]
    fn a_frame_opens_once_and_under_its_own_key() {
        let (mut own, mut peer, identity) = keys();
        let (kid, counter, frame) = seal(&mut own, 0);
        let mut out = Vec::new();
        let mut open = |peer: &mut PeerKeys, kid, counter, metadata: &[u8]| {
            peer.open((kid, counter), metadata, &frame, &mut out, Time::ZERO)
        };
        assert_eq!(open(&mut peer, kid, counter, b"m"), Err(OpenError::NoKey));
        assert!(peer.take(own.announce(&identity), &identity.public(), Time::ZERO));
        assert_eq!(open(&mut peer, Kid { leaf: 0, ..kid }, counter, b"m"), Err(OpenError::OtherSender));
        assert_eq!(open(&mut peer, kid, counter, b"x"), Err(OpenError::Forged));
        assert_eq!(open(&mut peer, Kid { track: 1, ..kid }, counter, b"m"), Err(OpenError::Forged));
        assert_eq!(open(&mut peer, kid, counter, b"m"), Ok(()));
        assert_eq!(open(&mut peer, kid, counter, b"m"), Err(OpenError::Replayed));
        assert_eq!(out, b"voice");
    }

    #[test]
    fn a_key_that_its_owner_did_not_sign_is_refused() {
        let (own, mut peer, identity) = keys();
        let other = Identity::generate(&AwsLc, WallTime(1)).unwrap();
        assert!(!peer.take(own.announce(&other), &identity.public(), Time::ZERO));
        assert!(!peer.take(SenderKey { leaf: 0, ..own.announce(&identity) }, &identity.public(), Time::ZERO));
        assert!(!peer.take(
            SenderKey { rotation: 1, ..own.announce(&identity) },
            &identity.public(),
            Time::ZERO
        ));
    }

    #[test]
    fn an_old_generation_is_dropped_two_seconds_after_the_first_frame_under_the_new() {
        let (mut own, mut peer, identity) = keys();
        let owner = identity.public();
        assert!(peer.take(own.announce(&identity), &owner, Time::ZERO));
        let old: Vec<_> = (0..3).map(|_| seal(&mut own, 0)).collect();
        let next = own.announce_next(&identity, Zeroizing::new([4; 32]));
        assert!(peer.take(next, &owner, Time::from_millis(1000)));
        assert!(!own.switch(2), "it was announced as 1");
        assert!(own.switch(1));
        assert!(!own.switch(1) && !own.switch(2), "once");
        let new = seal(&mut own, 0);
        assert_eq!((new.0.rotation, new.1), (1, 0), "each key counts its own frames");
        let mut open = |(kid, counter, frame): &(Kid, u64, Vec<u8>), at| {
            peer.open((*kid, *counter), b"m", frame, &mut Vec::new(), Time::from_millis(at))
        };
        // However long the new one has been known: its owner may not know that yet.
        assert_eq!(open(&old[0], 9000), Ok(()));
        assert_eq!(open(&new, 9000), Ok(()));
        assert_eq!(open(&old[1], 10_999), Ok(()));
        assert_eq!(open(&old[2], 11_000), Err(OpenError::NoKey));
    }

    proptest::proptest! {
        #[test]
        fn the_window_agrees_with_a_set(counters in proptest::collection::vec(0u64..3000, 1..400)) {
            let (mut window, mut seen, mut top) = (ReplayWindow::default(), HashSet::new(), 0);
            for c in counters {
                let within = c >= top || top - c <= ReplayWindow::LEN; // `top` is one above the highest
                proptest::prop_assert_eq!(window.is_new(c), within && !seen.contains(&c));
                if window.is_new(c) {
                    window.record(c);
                    seen.insert(c);
                    top = top.max(c + 1);
                }
            }
        }
    }

    #[test]
    fn counters_at_the_end_of_the_range_do_no_harm() {
        let mut window = ReplayWindow::default();
        window.record(u64::MAX);
        assert!(!window.is_new(u64::MAX), "the last counter is taken once, too");
        assert!(window.is_new(u64::MAX - 1));
        window.record(u64::MAX - 1);
        assert!(!window.is_new(u64::MAX - 1));
        assert!(!window.is_new(3));
    }
}
