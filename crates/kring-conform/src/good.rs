//! A call as it should be, from the proven handshake to its end: every message of the other side is judged in its place.

mod talk;

use crate::hello::{judge_certificate, own_certificate, own_offer};
use crate::link::Came;
use crate::log::{Fault, Log};
use crate::messages::{self as m, field, name, numbered};
use crate::paper::{self, Secret};
use crate::side::{Message, Side, random};
use kring_core::fuzzing::raw::{self, Guest, RawHandshake, Tagged};
use kring_core::handshake::Role;
use kring_core::offer::Offer;
use kring_core::passcode::{Passcode, PasscodeKey};
use kring_core::ticket::TicketId;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How far the code of the call is.
enum Code {
    /// Caller: `nonce` is awaited. Callee: the commitment is.
    Begun(Secret),
    /// Callee: the reveal of this commitment is.
    Committed([u8; 32]),
    Known,
}

/// How far the caller is at the door.
enum Door {
    None,
    Shared(Guest),
    Tagged(Tagged),
    Passed,
}

/// A call as it should be.
pub(crate) struct Good {
    role: Role,
    /// The rotation of the other side's newest key.
    rotation: Option<u8>,
    rang: bool,
    pub(crate) answered: bool,
    code: Code,
    door: Door,
    key: Option<PasscodeKey>,
    renewal: Option<RawHandshake>,
    /// *switched* is not said.
    pub(crate) withholds_switched: bool,
    /// Of the last handshake, and how many there were inside the session.
    hash: [u8; 32],
    pub(crate) counter: u64,
    /// How many of our sender keys the other side has taken.
    taken: u64,
    /// Our part of the contact's next secret, and theirs with the Noise key by which they are dialled then.
    ours: Option<Secret>,
    theirs: Option<(Secret, [u8; 32])>,
}

/// What a call leaves to two contacts: by what, and at which Noise key, the other side is dialled next.
#[derive(Clone)]
pub(crate) struct Acquainted {
    pub(crate) psk0: Secret,
    pub(crate) noise: [u8; 32],
}

impl Good {
    /// A caller says its commitment at once.
    pub(crate) async fn begin(
        side: &mut Side,
        passcode: Option<(&Passcode, TicketId)>,
    ) -> Result<Good, Fault> {
        let nonce = random(&*side.facts.provider);
        if side.facts.role == Role::Caller {
            let commitment = paper::code_commitment(&side.facts.hash, &nonce);
            side.say(m::COMMITMENT, &field(1, &commitment)).await;
        }
        let key = passcode.map(|(passcode, ticket)| passcode.key(ticket));
        let key = key.transpose().map_err(|e| Fault::new("7.5", "the passcode's key", "Argon2id", e))?;
        Ok(Good {
            role: side.facts.role,
            rotation: None,
            rang: false,
            answered: false,
            code: Code::Begun(nonce),
            door: Door::None,
            key,
            renewal: None,
            withholds_switched: false,
            hash: side.facts.hash,
            counter: 0,
            taken: 0,
            ours: None,
            theirs: None,
        })
    }

    /// Judges a message in its place, and does what a good peer does.
    pub(crate) async fn on(
        &mut self,
        side: &mut Side,
        log: &mut Log,
        message: &Message,
    ) -> Result<(), Fault> {
        let caller = self.role == Role::Caller;
        if self.rotation.is_none() && message.kind != m::SENDER_KEY {
            return Err(Fault::new(
                "7.2",
                "the first message is the sender key",
                "sender key",
                name(message.kind),
            ));
        }
        match message.kind {
            m::SENDER_KEY => self.sender_key(side, log, message).await?,
            m::RINGING if caller && !self.answered => self.rang = true,
            m::ANSWER if caller && !self.answered => self.answer(side, log, message)?,
            m::DECLINE | m::HANG_UP => {
                let came = format!("{} with reason {:?}", name(message.kind), message.number(1));
                return Err(Fault::new("7.2", "the call goes on", "no end that was not asked for", came));
            }
            m::TRACKS => {
                let offer = raw::offer(&message.value);
                let offer = offer
                    .ok_or_else(|| Fault::new("7.1", "tracks are an offer", "an offer", "a malformed one"))?;
                side.media.set_tracks(&offer.tracks);
            }
            m::TRACK_STATE => {
                let (track, state) = (message.number(1), message.number(2));
                let right = track.is_some_and(|t| t < 15) && state.is_some_and(|s| s < 3);
                log.check(
                    "7.2",
                    "track state",
                    right,
                    "a track below 15 and a state below 3",
                    format!("{track:?}, {state:?}"),
                );
            }
            m::KEYFRAME_REQUEST => {
                let track = message.number(1);
                log.check(
                    "7.2",
                    "keyframe request",
                    track.is_some_and(|t| t < 15),
                    "a track",
                    format!("{track:?}"),
                );
            }
            m::RECORDING => {
                let on = message.number(1);
                log.check("7.2", "recording", on.is_some(), "1 or 0", "none");
            }
            m::COMMITMENT | m::NONCE | m::REVEAL => self.code(side, log, message).await?,
            m::PASSCODE_WANTED | m::CALLEE_SHARE | m::CALLEE_TAG | m::WAIT if caller && !self.answered => {
                self.door(side, log, message).await?;
            }
            m::CONTACT if self.answered && self.theirs.is_none() => {
                let random = message.bytes::<32>(1);
                log.check("12", "contact: its random part", random.is_some(), "32 bytes", "others");
                let value = message.get(2);
                // Over its newest Noise key, which need not be this call's.
                let noise = value.and_then(|v| raw::certificate(v).ok()).map_or([0; 32], |c| c.noise);
                let certificate = judge_certificate(value, &noise)?;
                let own = certificate.identity == side.facts.peer;
                log.check(
                    "12",
                    "contact: its certificate is the peer's",
                    own,
                    "the proven identity",
                    "another",
                );
                self.theirs = Some((Secret::new(random.unwrap_or_default()), certificate.noise));
            }
            m::REACH if self.answered => {
                let fields = raw::fields(&message.value).map_or(usize::MAX, |f| f.len());
                log.check("12", "reach", fields <= 8, "8 addresses at most", fields);
            }
            m::WAYS if self.answered || !caller => {
                let named = message.bytes::<6>(1).is_some() && message.bytes::<18>(2).is_some();
                log.check("7.2", "ways: name and password", named, "6 and 18 bytes", "others");
                let fields = raw::fields(&message.value).unwrap_or_default();
                let odd = fields.iter().find(|(kind, value)| {
                    // Priority, address, port.
                    matches!(kind, 10..=12) && !matches!(value.len(), 10 | 22)
                });
                log.check("7.6", "ways: candidates", odd.is_none(), "10 or 22 bytes each", "others");
            }
            m::SESSION if !caller => {
                let named = message.bytes::<16>(1).is_some();
                log.check("7.6", "session: its name", named, "16 bytes", "others");
            }
            m::RELAY if self.answered => {
                let one = message.get(7).is_some() != message.get(8).is_some();
                log.check("7.2", "relay", one, "one, with or without a pin", "none or two");
            }
            m::RENEW if !caller => self.renew(side, log, message).await?,
            m::SWITCHED if !caller && side.reads_old() => {
                side.read_on();
                side.announce().await;
                log.ok("6.1", "switched, under the old keys");
            }
            m::RENEWED if caller => self.renewed(side, log, message).await?,
            m::KEY_TAKEN => {
                side.taken(message)?;
                self.taken += 1;
            }
            kind => {
                let expected = "what 7.2 lets this side say now";
                return Err(Fault::new("7.2", "messages in their places", expected, name(kind)));
            }
        }
        Ok(())
    }

    async fn sender_key(&mut self, side: &mut Side, log: &mut Log, message: &Message) -> Result<(), Fault> {
        let expected = self.rotation.map_or(0, |r| r.wrapping_add(1));
        side.take_sender_key(message, expected)?;
        if self.rotation.replace(expected).is_none() {
            log.ok("8", "the first message is a sender key: epoch 0, rotation 0, its leaf, signed");
        } else {
            side.say(m::KEY_TAKEN, &numbered(1, expected.into())).await;
        }
        Ok(())
    }

    fn answer(&mut self, side: &mut Side, log: &mut Log, message: &Message) -> Result<(), Fault> {
        log.check("7.2", "it rings before it is answered", self.rang, "ringing", "answer");
        let offer = raw::offer(&message.value);
        let offer = offer
            .ok_or_else(|| Fault::new("7.1", "the answer is an offer", "an offer", "a malformed one"))?;
        judge_offer(&offer, log);
        side.media.set_tracks(&offer.tracks);
        self.answered = true;
        Ok(())
    }

    async fn code(&mut self, side: &mut Side, log: &mut Log, message: &Message) -> Result<(), Fault> {
        let wrong =
            |expected: &str, came: String| Err(Fault::new("7.3", "the code's exchange", expected, came));
        let Some(value) = message.bytes::<32>(1) else {
            return wrong("32 bytes", name(message.kind) + " with others");
        };
        let hash = side.facts.hash;
        match (message.kind, std::mem::replace(&mut self.code, Code::Known)) {
            (m::NONCE, Code::Begun(nonce)) if self.role == Role::Caller => {
                side.say(m::REVEAL, &field(1, &*nonce)).await;
                log.ok("7.3", "a nonce in answer to the commitment");
            }
            (m::COMMITMENT, Code::Begun(nonce)) if self.role == Role::Callee => {
                side.say(m::NONCE, &field(1, &*nonce)).await;
                self.code = Code::Committed(value);
            }
            (m::REVEAL, Code::Committed(commitment)) => {
                let fits = paper::code_commitment(&hash, &value) == commitment;
                log.check(
                    "7.3",
                    "the reveal fits the commitment",
                    fits,
                    "the nonce that was committed to",
                    "another",
                );
            }
            (kind, _) => return wrong("each message once, in its place", name(kind)),
        }
        Ok(())
    }

    async fn door(&mut self, side: &mut Side, log: &mut Log, message: &Message) -> Result<(), Fault> {
        let wrong = |expected: &str, came: String| Err(Fault::new("7.5", "the door", expected, came));
        match (message.kind, std::mem::replace(&mut self.door, Door::None)) {
            (m::WAIT, Door::None | Door::Shared(_)) => {
                log.skip("7.5", "the lobby", "somebody has to let this caller in; it waits");
            }
            (m::PASSCODE_WANTED, Door::None) => {
                let Some(key) = self.key.take() else {
                    return wrong("no passcode, or --passcode-file", "passcode wanted".into());
                };
                let who = (side.facts.own.fingerprint(), side.facts.peer.fingerprint());
                let begun = Guest::begin(&key, side.facts.hash, who, &*side.facts.provider);
                let (guest, share) = begun.map_err(|e| Fault::new("7.5", "a share", "one", e))?;
                side.say(m::CALLER_SHARE, &field(1, &share)).await;
                self.door = Door::Shared(guest);
            }
            (m::CALLEE_SHARE, Door::Shared(guest)) => {
                let tagged = message.bytes(1).and_then(|share| guest.answered(&share));
                let Some((tagged, tag)) = tagged else { return wrong("a share of the group", "none".into()) };
                side.say(m::CALLER_TAG, &field(1, &tag)).await;
                self.door = Door::Tagged(tagged);
            }
            (m::CALLEE_TAG, Door::Tagged(tagged)) => {
                let holds = message.bytes(1).is_some_and(|tag| tagged.holds(&tag));
                log.check("7.5", "the callee's tag shows that it knows the passcode", holds, "Tb", "another");
                self.door = Door::Passed;
            }
            (kind, _) => return wrong("each message once, in its place", name(kind)),
        }
        Ok(())
    }

    /// Callee: the caller begins another handshake.
    async fn renew(&mut self, side: &mut Side, log: &mut Log, message: &Message) -> Result<(), Fault> {
        let counter = message.number(1);
        if counter != Some(self.counter + 1) {
            return Err(Fault::new(
                "6.1",
                "renew's counter",
                (self.counter + 1).to_string(),
                format!("{counter:?}"),
            ));
        }
        let parts = message.bytes::<32>(4).zip(message.get(5));
        let (seed, first) =
            parts.ok_or_else(|| Fault::new("6.1", "renew", "a seed of 32 bytes and message 1", "others"))?;
        let answered = side.answer_renewal(self.counter + 1, &self.hash, &Secret::new(seed), first);
        let (second, channel, hash) = answered?;
        side.say(m::RENEWED, &[numbered(1, self.counter + 1), field(5, &second)].concat()).await;
        side.write_with(channel);
        (self.counter, self.hash) = (self.counter + 1, hash);
        log.ok("6.1", "renew: its message 1 opens, with the static key of the first handshake");
        Ok(())
    }

    /// Caller: begins another handshake.
    pub(crate) async fn begin_renewal(&mut self, side: &mut Side) -> Result<(), Fault> {
        let begun = side.renewal(self.counter + 1, &self.hash);
        let (handshake, value) = begun.ok_or_else(|| Fault::new("6.1", "renew", "message 1", "none"))?;
        self.renewal = Some(handshake);
        side.say(m::RENEW, &value).await;
        Ok(())
    }

    async fn renewed(&mut self, side: &mut Side, log: &mut Log, message: &Message) -> Result<(), Fault> {
        let wrong = |expected: &str, came: String| Fault::new("6.1", "renewed", expected, came);
        let Some(mut handshake) = self.renewal.take() else {
            return Err(wrong("no answer to what was not asked", "renewed".into()));
        };
        let (counter, second) = (message.number(1), message.get(5).unwrap_or_default());
        if counter != Some(self.counter + 1) {
            return Err(wrong(&format!("counter {}", self.counter + 1), format!("{counter:?}")));
        }
        handshake.read(second).map_err(|_| wrong("message 2 of this handshake", Came::Sealed.to_string()))?;
        let (channel, hash) = handshake.finish().map_err(|e| wrong("a channel", e.to_string()))?;
        if !self.withholds_switched {
            side.say(m::SWITCHED, &[]).await;
        }
        side.replace(channel);
        (self.counter, self.hash) = (self.counter + 1, hash);
        log.ok("6.1", "renewed: its message 2 opens, prologue and psk0 from the handshake before");
        Ok(())
    }

    /// Waits until something is so.
    pub(crate) async fn until(
        &mut self,
        side: &mut Side,
        log: &mut Log,
        (section, what, expected): (&'static str, &'static str, &str),
        mut is_so: impl FnMut(&Good, &Side) -> bool,
    ) -> Result<(), Fault> {
        let until = side.link.until();
        while !is_so(self, side) {
            // Media is looked at in between.
            let soon = until.min(Instant::now() + Duration::from_millis(50));
            match side.next_until(soon).await {
                Ok(message) => self.on(side, log, &message).await?,
                Err(Ok(Came::Nothing(_))) if Instant::now() < until => {}
                Err(Ok(came)) => return Err(Fault::new(section, what, expected, came)),
                Err(Err(fault)) => return Err(fault),
            }
        }
        Ok(())
    }

    /// Waits for the answer.
    pub(crate) async fn until_answered(&mut self, side: &mut Side, log: &mut Log) -> Result<(), Fault> {
        let answer = ("7.2", "the call is answered", "ringing and an answer");
        self.until(side, log, answer, |good, _| good.answered).await?;
        side.talks = true;
        Ok(())
    }

    /// Whether the other side's first sender key is there.
    pub(crate) fn has_key(&self) -> bool {
        self.rotation.is_some()
    }

    /// Whether the code of the call is there.
    pub(crate) fn has_code(&self) -> bool {
        matches!(self.code, Code::Known)
    }

    /// Callee: rings and answers.
    pub(crate) async fn give_answer(&mut self, side: &mut Side, log: &mut Log) -> Result<(), Fault> {
        side.say(m::RINGING, &[]).await;
        let key = ("8", "the caller's sender key", "sender key, right behind confirm");
        self.until(side, log, key, |good, _| good.rotation.is_some()).await?;
        let code = ("7.3", "the code of the call", "commitment and reveal");
        self.until(side, log, code, |good, _| good.has_code()).await?;
        side.say(m::ANSWER, &own_offer()).await;
        self.answered = true;
        side.talks = true;
        Ok(())
    }

    /// Says our part of the contact's next secret.
    pub(crate) async fn say_contact(&mut self, side: &mut Side) {
        let (random, certificate) = (random(&*side.facts.provider), own_certificate(&side.facts.own));
        side.say(m::CONTACT, &[field(1, &*random), field(2, &certificate)].concat()).await;
        self.ours = Some(random);
    }

    /// Has both sides say their parts, if they have not; gives what comes of it after a call that was dialled by `psk0`.
    pub(crate) async fn acquaint(
        &mut self,
        side: &mut Side,
        log: &mut Log,
        psk0: &Secret,
    ) -> Result<Acquainted, Fault> {
        if self.ours.is_none() {
            self.say_contact(side).await;
        }
        let theirs = ("12", "contact", "contact, after the answer and the proof");
        self.until(side, log, theirs, |good, _| good.theirs.is_some()).await?;
        // They have read ours once they have taken what follows it.
        self.ping(side, log, ("12", "contact is taken, and followed by a rekey")).await?;
        self.acquainted(side, psk0).ok_or_else(|| Fault::new("12", theirs.1, theirs.2, "none"))
    }

    /// What comes of both parts, if both are there.
    pub(crate) fn acquainted(&self, side: &Side, psk0: &Secret) -> Option<Acquainted> {
        let (ours, (theirs, noise)) = (self.ours.as_ref()?, self.theirs.as_ref()?);
        let (caller, callee) = match self.role {
            Role::Caller => (ours, theirs),
            Role::Callee => (theirs, ours),
        };
        let psk0 = paper::contact_psk(&side.facts.hash, psk0, caller, callee);
        Some(Acquainted { psk0, noise: *noise })
    }

    /// A sender key that is announced and taken: the other side has read all that came before, and goes on.
    pub(crate) async fn ping(
        &mut self,
        side: &mut Side,
        log: &mut Log,
        (section, what): (&'static str, &'static str),
    ) -> Result<(), Fault> {
        let before = self.taken;
        side.announce().await;
        let expected = "the call to go on, and key taken for the next sender key";
        self.until(side, log, (section, what, expected), |good, _| good.taken > before).await
    }
}

/// Judges what the other side can receive and sends.
pub(crate) fn judge_offer(offer: &Offer, log: &mut Log) {
    let receives = |codec: &&str| offer.receive.iter().any(|c| c == codec);
    let both = ["opus", "h264"].iter().all(receives);
    log.check("7.1", "it receives opus and h264, as all do", both, "both", format!("{:?}", offer.receive));
    let unknown = offer.tracks.iter().find(|t| !matches!(t.codec.as_str(), "opus" | "h264"));
    let came = unknown.map(|t| t.codec.clone()).unwrap_or_default();
    log.check(
        "7.1",
        "tracks use codecs that the other side receives",
        unknown.is_none(),
        "opus or h264",
        came,
    );
    let pictures = |t: &&kring_core::offer::TrackInfo| t.codec == "h264";
    let sized = offer.tracks.iter().filter(pictures).all(|t| {
        t.size.is_some_and(|(w, h)| [w, h].iter().all(|n| n.is_multiple_of(2) && (2..=8192).contains(n)))
    });
    log.check("7.1", "pictures have a size", sized, "even numbers of pixels, 2 to 8,192", "others");
}

/// The time that a callee which was refused something may take to recover.
pub(crate) async fn breathe() {
    sleep(Duration::from_millis(50)).await;
}
