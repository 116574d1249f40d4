//! One side of a call after its handshake: says what the walk wants, judges all that comes.
//!
//! Guarantee: what is judged here is judged of every message, whatever walk it comes in: that it opens, holds one known message
//! and otherwise unknown fields, and is followed by a rekey where it carries a secret.

use crate::link::{Came, Link, framed};
use crate::log::Fault;
use crate::media::Media;
use crate::messages::{self, among_unknown, field, name, numbered};
use crate::paper::{self, Room, Secret};
use kring_core::crypto::Provider;
use kring_core::fuzzing::raw::{self, RawChannel, RawHandshake};
use kring_core::handshake::Role;
use kring_core::identity::{Identity, PublicIdentity};
use kring_core::media::Datagram;
use kring_core::time::Time;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroizing;

/// The longest control frame (section 6).
const MAX_CONTROL: usize = 16_384;
const VOICE_EVERY: Duration = Duration::from_millis(20);
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// A control message.
pub(crate) struct Message {
    pub(crate) kind: u64,
    pub(crate) value: Vec<u8>,
}

impl Message {
    /// The value of a field of it.
    pub(crate) fn get(&self, kind: u64) -> Option<&[u8]> {
        raw::fields(&self.value)?.into_iter().find(|(k, _)| *k == kind).map(|(_, value)| value)
    }

    pub(crate) fn number(&self, kind: u64) -> Option<u64> {
        self.get(kind).and_then(raw::number)
    }

    pub(crate) fn bytes<const N: usize>(&self, kind: u64) -> Option<[u8; N]> {
        self.get(kind)?.try_into().ok()
    }
}

/// What a handshake has settled.
pub(crate) struct Facts {
    pub(crate) role: Role,
    pub(crate) own: Arc<Identity>,
    pub(crate) peer: PublicIdentity,
    /// The other side's Noise key.
    pub(crate) peer_noise: [u8; 32],
    pub(crate) call_id: [u8; 16],
    pub(crate) hash: [u8; 32],
    pub(crate) provider: Arc<dyn Provider>,
}

/// One side of a call.
pub(crate) struct Side {
    pub(crate) link: Link,
    channel: RawChannel,
    /// Under which the other side still writes.
    old: Option<RawChannel>,
    pub(crate) facts: Facts,
    pub(crate) room: Room,
    pub(crate) media: Media,
    clock: Instant,
    next_voice: Instant,
    next_report: Instant,
    /// Whether voice is sent by itself.
    pub(crate) talks: bool,
    /// The last frame that was said, as it went out.
    last: Vec<u8>,
    /// The rotation of our sender key.
    pub(crate) rotation: u8,
    /// A sender key of ours that the other side has not taken yet.
    announced: Option<(u8, Secret)>,
}

impl Side {
    pub(crate) fn new(link: Link, channel: RawChannel, facts: Facts, secret: Secret) -> Side {
        let room = Room::direct(&facts.call_id, &facts.hash);
        let now = Instant::now();
        Side {
            media: Media::new(facts.provider.clone(), room, facts.role, secret),
            link,
            channel,
            old: None,
            room,
            facts,
            clock: now,
            next_voice: now,
            next_report: now + REPORT_EVERY,
            talks: false,
            last: Vec::new(),
            rotation: 0,
            announced: None,
        }
    }

    pub(crate) fn now(&self) -> Time {
        Time::from_micros(1_000_000 + self.clock.elapsed().as_micros() as u64)
    }

    /// Says a message, among fields that mean nothing.
    pub(crate) async fn say(&mut self, kind: u64, value: &[u8]) {
        let plaintext = among_unknown(&field(kind, value));
        self.say_raw(&plaintext, messages::carries_secret(kind)).await;
    }

    /// Seals any plaintext.
    pub(crate) async fn say_raw(&mut self, plaintext: &[u8], rekey: bool) {
        let Ok(message) = self.channel.seal(plaintext) else { return };
        if rekey {
            self.channel.rekey_outgoing();
        }
        self.last = framed(&message);
        let last = std::mem::take(&mut self.last);
        self.link.write(&last).await;
        self.last = last;
    }

    /// Says the last message's bytes once more.
    pub(crate) async fn repeat(&mut self) {
        let last = self.last.clone();
        self.link.write(&last).await;
    }

    pub(crate) async fn send(&mut self, datagrams: Vec<Datagram>) {
        for mut datagram in datagrams {
            let now = self.now();
            self.media.stamp(now, &mut datagram.bytes);
            self.send_raw(datagram.bytes).await;
        }
    }

    pub(crate) async fn send_raw(&mut self, datagram: Vec<u8>) {
        let _ = tokio::time::timeout(self.link.patience, self.link.connection.send_datagram(datagram)).await;
    }

    /// The next message within the walk's patience. Media goes to and fro meanwhile, and sender keys are taken.
    pub(crate) async fn next(&mut self) -> Result<Message, Result<Came, Fault>> {
        let until = self.link.until();
        self.next_until(until).await
    }

    pub(crate) async fn next_until(&mut self, until: Instant) -> Result<Message, Result<Came, Fault>> {
        loop {
            let connection = self.link.connection.clone();
            tokio::select! {
                biased;
                frame = self.link.frame(MAX_CONTROL, until) => {
                    if let Some(message) = self.open(&frame.map_err(Ok)?).map_err(Err)? {
                        return Ok(message);
                    }
                }
                datagram = connection.read_datagram() => match datagram {
                    Ok(bytes) => {
                        let now = self.now();
                        self.media.take(now, &bytes);
                    }
                    // What is on the stream may say more.
                    Err(_) => {
                        let frame = self.link.frame(MAX_CONTROL, until).await.map_err(Ok)?;
                        if let Some(message) = self.open(&frame).map_err(Err)? {
                            return Ok(message);
                        }
                    }
                },
                () = sleep_until(self.next_report.min(self.next_voice)) => self.tick().await,
            }
        }
    }

    async fn tick(&mut self) {
        let (instant, now) = (Instant::now(), self.now());
        if instant >= self.next_voice {
            self.next_voice = instant + VOICE_EVERY;
            if self.talks {
                let voice = self.media.voice(now);
                self.send(voice).await;
            }
        }
        if instant >= self.next_report {
            self.next_report = instant + REPORT_EVERY;
            let report = self.media.own_report(now);
            self.send(report).await;
        }
    }

    fn open(&mut self, frame: &[u8]) -> Result<Option<Message>, Fault> {
        let incoming = self.old.as_mut().unwrap_or(&mut self.channel);
        let Ok(plaintext) = incoming.open(frame) else {
            let expected =
                "a transport message under the key of its place in the stream, rekeyed after each secret";
            return Err(Fault::new("6", "control messages open", expected, Came::Sealed));
        };
        let wrong = |came: String| {
            Fault::new("7", "control messages are fields, one of them known", "exactly one known field", came)
        };
        let fields = raw::fields(&plaintext).ok_or_else(|| wrong("a malformed field".into()))?;
        let mut known = fields.iter().filter(|(kind, _)| messages::is_known(*kind));
        let Some((kind, value)) = known.next() else { return Ok(None) };
        if let Some((second, _)) = known.next() {
            return Err(wrong(format!("{} and {}", name(*kind), name(*second))));
        }
        if messages::carries_secret(*kind) {
            self.old.as_mut().unwrap_or(&mut self.channel).rekey_incoming();
        }
        Ok(Some(Message { kind: *kind, value: value.to_vec() }))
    }

    /// This side's sender key, as a message.
    pub(crate) fn sender_key(&self, rotation: u8, secret: &Secret, signer: &Identity) -> Vec<u8> {
        let leaf = self.facts.role.leaf();
        let signature = raw::sign(signer, &self.room.statement(rotation, leaf, secret));
        [
            numbered(1, 0),
            numbered(2, rotation.into()),
            numbered(3, leaf.into()),
            field(4, &**secret),
            field(5, &signature),
        ]
        .concat()
    }

    /// Announces the next sender key.
    pub(crate) async fn announce(&mut self) {
        let (rotation, secret) = (self.rotation.wrapping_add(1), random(&*self.facts.provider));
        let value = self.sender_key(rotation, &secret, &self.facts.own.clone());
        self.announced = Some((rotation, secret));
        self.say(messages::SENDER_KEY, &value).await;
    }

    /// The other side holds the key that was announced; what it has to be is judged.
    pub(crate) fn taken(&mut self, message: &Message) -> Result<(), Fault> {
        let came = message.number(1);
        match self.announced.take() {
            Some((rotation, secret)) if came == Some(rotation.into()) => {
                self.rotation = rotation;
                self.media.switch(rotation, secret);
                Ok(())
            }
            other => {
                let expected = format!("the rotation announced, {:?}", other.map(|(rotation, _)| rotation));
                Err(Fault::new("8", "key taken names the key", expected, format!("{came:?}")))
            }
        }
    }

    /// Judges a sender key of the other side's.
    pub(crate) fn take_sender_key(&mut self, message: &Message, expected: u8) -> Result<(), Fault> {
        let wrong = |expected: &str, came: String| {
            Err(Fault::new("8", "the sender key is in order and signed", expected, came))
        };
        let (epoch, rotation, leaf) = (message.number(1), message.number(2), message.number(3));
        let place = (Some(0), Some(expected.into()), Some(self.facts.role.other().leaf().into()));
        if (epoch, rotation, leaf) != place {
            return wrong(
                &format!("epoch, rotation and leaf {place:?}"),
                format!("{:?}", (epoch, rotation, leaf)),
            );
        }
        let (Some(secret), Some(signature)) = (message.bytes::<32>(4), message.bytes::<64>(5)) else {
            return wrong("32 bytes of secret and 64 of signature", "others".into());
        };
        let secret = Zeroizing::new(secret);
        let statement = self.room.statement(expected, self.facts.role.other().leaf(), &secret);
        if !raw::verify(&self.facts.peer, &statement, &signature) {
            return wrong(
                "a signature of the peer's identity over the commitment",
                "one that does not hold".into(),
            );
        }
        self.media.take_key(expected, secret);
        Ok(())
    }

    /// Begins a handshake inside the session.
    pub(crate) fn renewal(&self, counter: u64, hash_before: &[u8; 32]) -> Option<(RawHandshake, Vec<u8>)> {
        let provider = &self.facts.provider;
        let seed = random(&**provider);
        let (prologue, psk) =
            (paper::renewal_prologue(counter, hash_before), paper::renewal_psk(hash_before, &seed));
        let mut handshake =
            RawHandshake::initiator(provider, &self.facts.own, &self.facts.peer_noise, &prologue, &psk)
                .ok()?;
        let message = handshake.write(&field(31 * 7 + 33, b"nothing")).ok()?;
        Some((handshake, [numbered(1, counter), field(4, &*seed), field(5, &message)].concat()))
    }

    /// Answers a handshake inside the session: message 2, the new channel and the new hash.
    pub(crate) fn answer_renewal(
        &self,
        counter: u64,
        hash_before: &[u8; 32],
        seed: &Secret,
        first: &[u8],
    ) -> Result<(Vec<u8>, RawChannel, [u8; 32]), Fault> {
        let wrong = |expected: &str, came: String| Fault::new("6.1", "renew's message 1", expected, came);
        let (prologue, psk) =
            (paper::renewal_prologue(counter, hash_before), paper::renewal_psk(hash_before, seed));
        let mut handshake = RawHandshake::responder(&self.facts.provider, &self.facts.own, &prologue, &psk)
            .map_err(|e| wrong("one that can be read", e.to_string()))?;
        handshake.read(first).map_err(|_| wrong("one that opens", Came::Sealed.to_string()))?;
        if handshake.remote_static() != Some(self.facts.peer_noise) {
            return Err(wrong("the static key of the first handshake", "another".into()));
        }
        let second = handshake.write(&[]).map_err(|e| wrong("an answer", e.to_string()))?;
        let (channel, hash) = handshake.finish().map_err(|e| wrong("a channel", e.to_string()))?;
        Ok((second, channel, hash))
    }

    /// Writes under the keys of another handshake, and reads under the old ones until the other side has switched.
    pub(crate) fn write_with(&mut self, channel: RawChannel) {
        self.old = Some(std::mem::replace(&mut self.channel, channel));
    }

    pub(crate) fn reads_old(&self) -> bool {
        self.old.is_some()
    }

    pub(crate) fn read_on(&mut self) {
        self.old = None;
    }

    /// From now on under the keys of another handshake.
    pub(crate) fn replace(&mut self, channel: RawChannel) {
        self.channel = channel;
    }
}

/// 32 random bytes.
pub(crate) fn random(provider: &dyn Provider) -> Secret {
    let mut secret = Zeroizing::new([0; 32]);
    provider.random(&mut *secret).expect("the system has randomness");
    secret
}
