//! A call as it should be, from the proven handshake to its end: every message of the other side is judged in its place.

use crate::hello::{judge_certificate, own_certificate, own_offer};
use crate::link::Came;
use crate::log::{Fault, Log};
use crate::messages::{self as m, among_unknown, field, name, numbered};
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
    /// Of the last handshake, and how many there were inside the session.
    hash: [u8; 32],
    pub(crate) counter: u64,
    /// How many of our sender keys the other side has taken.
    taken: u64,
    contact: bool,
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
            hash: side.facts.hash,
            counter: 0,
            taken: 0,
            contact: false,
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
            m::CONTACT if self.answered && !self.contact => {
                self.contact = true;
                let random = message.bytes::<32>(1).is_some();
                log.check("12", "contact: its random part", random, "32 bytes", "others");
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
            }
            m::REACH if self.answered => {
                let fields = raw::fields(&message.value).map_or(usize::MAX, |f| f.len());
                log.check("12", "reach", fields <= 8, "8 addresses at most", fields);
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
        side.say(m::SWITCHED, &[]).await;
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
        self.until(side, log, code, |good, _| matches!(good.code, Code::Known)).await?;
        side.say(m::ANSWER, &own_offer()).await;
        self.answered = true;
        side.talks = true;
        Ok(())
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

    /// What two who talk do.
    pub(crate) async fn talk(&mut self, side: &mut Side, log: &mut Log) -> Result<(), Fault> {
        if self.role == Role::Caller {
            let code = ("7.3", "the code of the call", "a nonce");
            self.until(side, log, code, |good, _| matches!(good.code, Code::Known)).await?;
        }
        let report = ("9", "a report with counts and arrivals", "one within 250 ms, of what was sent");
        self.until(side, log, report, |_, side| {
            side.media.seen.arrivals > 20 && side.media.seen.counts.is_some_and(|c| c.received > 20)
        })
        .await?;
        log.ok("9", report.1);
        side.media.tell(log);
        let taken = ("8", "key taken answers the next sender key");
        self.ping(side, log, taken).await?;
        log.ok(taken.0, taken.1);
        self.pictures(side, log).await?;
        self.what_is_passed_over(side, log).await?;
        self.keys(side, log).await?;
        side.media.tell(log);
        let opening = side.link.connection.open_stream();
        let second = tokio::time::timeout(Duration::from_millis(300), opening).await;
        log.check("4", "a second stream is not allowed", second.is_err(), "no second stream", "one");
        self.hang_up(side, log).await
    }

    /// Pictures in parts: out of order, with parts lost and parity in their place.
    async fn pictures(&mut self, side: &mut Side, log: &mut Log) -> Result<(), Fault> {
        let now = side.now();
        let (id, mut parts) = side.media.picture_of(now, 0);
        parts.reverse();
        side.send(parts).await;
        let whole = (
            "10",
            "a picture in parts, the last first, is put together and decoded",
            "a report that says so (9)",
        );
        let decoded = |id: u32| move |_: &Good, side: &Side| side.media.seen.decoded >= Some(id);
        if let Err(fault) = self.until(side, log, whole, decoded(id)).await {
            let tells = side.media.seen.tells_of_pictures;
            if tells || self.is_over(&fault) {
                return Err(fault);
            }
            log.skip("10", whole.1, "its reports tell of no pictures: it shows none");
            return Ok(());
        }
        log.ok("10", whole.1);
        let now = side.now();
        let (id, mut parts) = side.media.picture_of(now, 2);
        parts.remove(0);
        parts.remove(1);
        side.send(parts).await;
        let repaired =
            ("10", "parity makes up for lost parts", "a report that says that the picture was decoded (9)");
        self.until(side, log, repaired, decoded(id)).await?;
        log.ok("10", repaired.1);
        Ok(())
    }

    /// Whether the fault is the end of the call.
    fn is_over(&self, fault: &Fault) -> bool {
        !fault.came.starts_with("nothing in")
    }

    /// What version 1 does not know, and what is no frame.
    async fn what_is_passed_over(&mut self, side: &mut Side, log: &mut Log) -> Result<(), Fault> {
        side.say_raw(&among_unknown(&[]), false).await;
        side.say_raw(&[], false).await;
        side.say(m::TRACK_STATE, &[numbered(1, 0), numbered(2, 1)].concat()).await;
        side.say(m::TRACK_STATE, &[numbered(1, 0), numbered(2, 0)].concat()).await;
        side.say(m::RECORDING, &numbered(1, 1)).await;
        side.say(m::RECORDING, &numbered(1, 0)).await;
        side.say(m::KEYFRAME_REQUEST, &numbered(1, 1)).await;
        side.say(m::TRACKS, &own_offer()).await;
        self.ping(side, log, ("7", "GREASE, unknown fields and messages are passed over")).await?;
        log.ok("7", "GREASE, unknown fields and messages are passed over");
        for datagram in junk(side) {
            side.send_raw(datagram).await;
        }
        // A report and a body that are sealed rightly and say nonsense.
        for (track, plaintext) in [(15, &[1, 9, 1][..]), (0, &[0; 6]), (0, &[0, 0, 0, 0, 0, 8, 127, 9, 1, 1])]
        {
            let (header, sealed) = side.media.seal(track, true, plaintext);
            let datagrams = side.media.cut(track, &header, &sealed, 0);
            side.send(datagrams).await;
        }
        let dropped =
            ("C", "what is no frame, forged, replayed or of an unknown key is dropped, and the call goes on");
        self.ping(side, log, dropped).await?;
        log.ok(dropped.0, dropped.1);
        let contact =
            [field(1, &*random(&*side.facts.provider)), field(2, &own_certificate(&side.facts.own))].concat();
        side.say(m::CONTACT, &contact).await;
        side.say(m::REACH, &field(4, &[192, 0, 2, 1, 17, 81])).await;
        let rekeyed = ("12", "contact is taken, and followed by a rekey; reach is taken");
        self.ping(side, log, rekeyed).await?;
        log.ok(rekeyed.0, rekeyed.1);
        Ok(())
    }

    /// Keys that turn over: ours has done so in each ping; now a picture under it, and a handshake inside the session.
    async fn keys(&mut self, side: &mut Side, log: &mut Log) -> Result<(), Fault> {
        if side.media.seen.decoded.is_some() {
            let now = side.now();
            let (id, parts) = side.media.picture_of(now, 0);
            side.send(parts).await;
            let opened = (
                "8",
                "frames open under the next sender key",
                "a report that says that the picture was decoded (9)",
            );
            self.until(side, log, opened, |_, side| side.media.seen.decoded >= Some(id)).await?;
            log.ok(opened.0, opened.1);
        }
        if self.role == Role::Callee {
            if self.counter == 0 {
                log.skip("6.1", "a handshake inside the session", "the caller begins it, after an hour");
            }
            return Ok(());
        }
        let (before, taken) = (self.rotation, self.taken);
        self.begin_renewal(side).await?;
        let renewed = (
            "6.1",
            "a handshake inside the session",
            "renewed, and then a fresh sender key under the new keys",
        );
        self.until(side, log, renewed, |good, _| good.counter == 1).await?;
        side.announce().await;
        self.until(side, log, renewed, |good, _| good.rotation != before && good.taken > taken).await?;
        log.ok("6.1", "both sides' next sender keys come under the new keys");
        let rotation = self.rotation.unwrap_or_default();
        let sealed = ("8", "it seals under its next key once that was taken", "a frame of the next rotation");
        self.until(side, log, sealed, |_, side| side.media.seen.frames.keys().any(|(r, _)| *r == rotation))
            .await?;
        log.ok(sealed.0, sealed.1);
        Ok(())
    }

    async fn hang_up(&mut self, side: &mut Side, log: &mut Log) -> Result<(), Fault> {
        side.say(m::HANG_UP, &numbered(1, 0)).await;
        let until = side.link.until();
        loop {
            match side.next_until(until).await {
                // What crossed it.
                Ok(_) => {}
                Err(Ok(came @ (Came::Close(_) | Came::Broken))) => {
                    let right = came == Came::Close(0) || came == Came::Broken;
                    log.check(
                        "A",
                        "after hang-up the call is over",
                        right,
                        "the connection's end with code 0",
                        came,
                    );
                    return Ok(());
                }
                Err(Ok(Came::Nothing(_))) => {
                    // Who ends a call closes the connection; the other side may leave that to it.
                    side.link.connection.close(0);
                    log.ok("A", "after hang-up the call is over");
                    return Ok(());
                }
                Err(Ok(came)) => return Err(Fault::new("A", "after hang-up", "the end", came)),
                Err(Err(fault)) => return Err(fault),
            }
        }
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

/// Datagrams that are dropped and counted, and nothing else.
fn junk(side: &mut Side) -> Vec<Vec<u8>> {
    let now = side.now();
    let voice = side.media.voice(now).remove(0).bytes;
    let (header, sealed) = side.media.seal(0, true, &[0; 40]);
    let forged = |at: usize| {
        let mut sealed = sealed.clone();
        sealed[at] ^= 0x10;
        side.media.cut(0, &header, &sealed, 0).remove(0).bytes
    };
    let last = sealed.len() - 1;
    let (tag, kid) = (forged(last), forged(1));
    let mut datagrams = vec![
        vec![],
        vec![0],
        vec![0x80; 40],
        vec![0xff; 40],
        vec![0x20, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1],
        [&[0x20, 0, 0, 0, 0, 0, 1, 0x44, 0, 0x44, 0, 0, 0][..], &[7; 30]].concat(),
        [&[0; 6][..], &[0x10, 0, 9, 9, 9]].concat(),
        tag,
        kid,
        voice.clone(),
        voice,
        vec![0x40, 0, 0, 0, 0, 0],
    ];
    for datagram in &mut datagrams {
        // A lie about sequence or time must not harm either; these tell the truth so that the reports stay right.
        let now = side.now();
        side.media.stamp(now, datagram);
    }
    datagrams
}

/// The time that a callee which was refused something may take to recover.
pub(crate) async fn breathe() {
    sleep(Duration::from_millis(50)).await;
}
