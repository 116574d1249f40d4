//! The walks through a relay: docs/protocol.md, section 14.
//!
//! Guarantee: as for every walk; what is told of a session to one side is compared with what the other is told.

mod client;
mod packets;
mod socket;

use crate::Options;
use crate::hello::stranger;
use crate::link::Came;
use crate::log::{Fault, Log};
use crate::messages::{field, numbered};
use crate::side::{Message, random};
use client::{
    ALPN, CLOSE, CLOSED, Client, DIAL, LISTEN, LISTENING, OBSERVED, PING, REFUSED, REJOIN, SESSION, UNLISTEN,
};
use kring_core::crypto::{Provider, default_provider};
use kring_core::fuzzing::raw;
use kring_core::identity::Identity;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Reasons (14.1).
const NOBODY: u64 = 1;
const NOT_YOURS: u64 = 2;
const ENDED: u64 = 7;
const DISPLACED: u64 = 8;
/// The code with which a relay closes on what makes no sense.
const MALFORMED: u64 = 1;

/// Walks a relay: as two clients who meet there, then as bad ones. `pin` is SHA-256 of its key, where that is known.
pub async fn relay(address: SocketAddr, pin: Option<[u8; 32]>, options: &Options, log: &mut Log) {
    let walk = Walk { address, pin, patience: options.patience, provider: default_provider() };
    if options.takes("the hop") {
        log.begin("the hop");
        crate::tls::hop(address, ("14.1", ALPN), options.patience, log).await;
    }
    for name in ["control", "mailboxes", "packets", "bind", "sessions", "TCP", "what makes no sense"] {
        if !options.takes(name) {
            continue;
        }
        log.begin(name);
        let result = match name {
            "control" => Box::pin(walk.control(log)).await,
            "mailboxes" => Box::pin(walk.mailboxes(log)).await,
            "packets" => Box::pin(walk.packets(log)).await,
            "bind" => Box::pin(walk.bind(log)).await,
            "sessions" => Box::pin(walk.sessions(log)).await,
            "TCP" => Box::pin(walk.tcp(log)).await,
            _ => Box::pin(walk.nonsense(log)).await,
        };
        log.end(result);
    }
}

struct Walk {
    address: SocketAddr,
    pin: Option<[u8; 32]>,
    patience: Duration,
    provider: Arc<dyn Provider>,
}

/// One side's end of a session, as it was told.
pub(crate) struct End {
    token: [u8; 8],
    secret: [u8; 32],
    resume: [u8; 32],
}

/// Two clients in one session: the one who dialled first.
struct Pair {
    caller: (Client, End),
    callee: (Client, End),
}

fn mailbox(key: &Identity) -> [u8; 32] {
    *key.public().as_bytes()
}

fn listening(client: &Client, key: &Identity, exporter: &[u8; 32]) -> Vec<u8> {
    let signature = raw::sign(key, &[b"kring relay listen 1", &client.pin[..], exporter].concat());
    [field(1, &mailbox(key)), field(6, &signature)].concat()
}

/// A message as it is, for people.
fn told(message: &Message) -> String {
    format!("message {} with reason {:?}", message.kind, message.number(7))
}

impl Walk {
    async fn client(&self) -> Result<Client, Fault> {
        let mut client = Client::quic(self.address, self.patience).await?;
        client.ping("a ping is answered", 7).await?;
        Ok(client)
    }

    async fn control(&self, log: &mut Log) -> Result<(), Fault> {
        let mut client = Client::quic(self.address, self.patience).await?;
        log.ok("14.1", "QUIC with ALPN kring-relay/1");
        if let Some(pin) = self.pin {
            log.check("14", "the pin is SHA-256 of its key", client.pin == pin, "that pin", "another key");
        }
        client.say(PING, &numbered(11, 9)).await;
        let first = match client.next().await {
            Ok(message) => message,
            Err(Ok(came)) => {
                return Err(Fault::new("14.1", "a ping is answered", "observed, then pong", came));
            }
            Err(Err(fault)) => return Err(fault),
        };
        let at = first.bytes::<18>(10);
        let (here, port) = (self.address.ip().is_loopback(), client.local_port().unwrap_or_default());
        let right = first.kind == OBSERVED && at.is_some_and(|at| !here || at[16..] == port.to_be_bytes());
        log.check(
            "14.1",
            "the first message is observed: where the relay sees the client",
            right,
            "18 bytes",
            told(&first),
        );
        let pong = client.answer("a ping is answered", "pong").await?;
        let right = pong.kind == client::PONG && pong.number(11) == Some(9);
        log.check("14.1", "a ping is answered, with its number", right, "pong with 9", told(&pong));
        client.frame(0, &field(31 * 4 + 33, b"nothing")).await;
        client.frame(0, &field(5000, b"of a later version")).await;
        client.frame(0, &[]).await;
        client.frame(9, b"a class of a later version").await;
        let what = "GREASE, unknown messages and classes are passed over";
        client.ping(what, 10).await?;
        log.ok("14.1", what);
        log.check("14.1", "a second stream is not allowed", client.has_one_stream().await, "none", "one");
        Ok(())
    }

    /// A client that listens at that key's mailbox.
    async fn listener(&self, key: &Identity) -> Result<Client, Fault> {
        let mut client = self.client().await?;
        let value = listening(&client, key, &client.exporter.clone());
        client.say(LISTEN, &value).await;
        let (what, expected) = ("a mailbox is listened at by its key's signature", "listening");
        let answer = client.answer(what, expected).await?;
        if answer.kind == LISTENING && answer.bytes(1) == Some(mailbox(key)) {
            return Ok(client);
        }
        Err(Fault::new("14.1", what, expected, told(&answer)))
    }

    async fn mailboxes(&self, log: &mut Log) -> Result<(), Fault> {
        let key = stranger(&*self.provider);
        let mut callee = self.listener(&key).await?;
        log.ok("14.1", "a mailbox is listened at by its key's signature");
        let mut other = self.client().await?;
        let elsewhere = listening(&other, &key, &callee.exporter);
        let another = [field(1, &mailbox(&stranger(&*self.provider))), elsewhere[34..].to_vec()].concat();
        for (what, value) in [
            ("a signature over another connection is refused, with reason 2", elsewhere),
            ("a signature by another key is refused, with reason 2", another),
        ] {
            other.say(LISTEN, &value).await;
            let answer = other.answer(what, "refused with reason 2 and the mailbox").await?;
            let right =
                answer.kind == REFUSED && answer.number(7) == Some(NOT_YOURS) && answer.get(1).is_some();
            log.check("14.1", what, right, "refused with reason 2 and the mailbox", told(&answer));
        }
        self.nobody_at(
            &mut other,
            &mailbox(&stranger(&*self.provider)),
            "who dials where nobody listens is refused, with reason 1",
            log,
        )
        .await?;
        let pair = self.meet(other, callee, &key).await?;
        let (Pair { caller: (mut other, mine), callee: (back, theirs) }, what) =
            (pair, "both are told one resume, and each a token and a secret of its own");
        callee = back;
        let right =
            mine.resume == theirs.resume && mine.token != theirs.token && mine.secret != theirs.secret;
        log.check("14.1", what, right, "so", "others");
        // Another connection with a right to it takes its place.
        let second = self.listener(&key).await?;
        let (what, expected) =
            ("of several who listen the last one counts", "refused with reason 8 and the mailbox");
        let answer = callee.answer(what, expected).await?;
        let right = answer.kind == REFUSED
            && answer.number(7) == Some(DISPLACED)
            && answer.bytes(1) == Some(mailbox(&key));
        log.check("14.1", what, right, expected, told(&answer));
        let Pair { caller, callee: (mut second, _) } = self.meet(other, second, &key).await?;
        (other, _) = caller;
        second.say(UNLISTEN, &field(1, &mailbox(&key))).await;
        second.ping("unlisten is taken", 11).await?;
        self.nobody_at(&mut other, &mailbox(&key), "who has unlistened is not dialled any more", log).await
    }

    async fn nobody_at(
        &self,
        client: &mut Client,
        mailbox: &[u8; 32],
        what: &'static str,
        log: &mut Log,
    ) -> Result<(), Fault> {
        client.say(DIAL, &[numbered(2, 77), field(1, mailbox)].concat()).await;
        let expected = "refused with the request and reason 1";
        let answer = client.answer(what, expected).await?;
        let right =
            answer.kind == REFUSED && answer.number(2) == Some(77) && answer.number(7) == Some(NOBODY);
        log.check("14.1", what, right, expected, told(&answer));
        Ok(())
    }

    /// Has `caller` dial `callee`, who listens at that key's mailbox.
    async fn meet(&self, mut caller: Client, mut callee: Client, key: &Identity) -> Result<Pair, Fault> {
        caller.say(DIAL, &[numbered(2, 5), field(1, &mailbox(key))].concat()).await;
        let mine = self.session(&mut caller, |message| message.number(2) == Some(5)).await?;
        let theirs = self.session(&mut callee, |message| message.bytes(1) == Some(mailbox(key))).await?;
        Ok(Pair { caller: (caller, mine), callee: (callee, theirs) })
    }

    async fn session(&self, client: &mut Client, is_about: impl Fn(&Message) -> bool) -> Result<End, Fault> {
        let (what, expected) = (
            "whoever dials and whoever listens are told of a session",
            "session with request or mailbox, token (8), secret (32) and resume (32)",
        );
        let message = client.answer(what, expected).await?;
        let wrong = || Fault::new("14.1", what, expected, told(&message));
        if message.kind != SESSION || !is_about(&message) {
            return Err(wrong());
        }
        let parts = (message.bytes(3), message.bytes(4), message.bytes(5));
        let (Some(token), Some(secret), Some(resume)) = parts else { return Err(wrong()) };
        Ok(End { token, secret, resume })
    }

    /// Two clients who have met.
    async fn pair(&self) -> Result<Pair, Fault> {
        let key = stranger(&*self.provider);
        let callee = self.listener(&key).await?;
        self.meet(self.client().await?, callee, &key).await
    }

    async fn sessions(&self, log: &mut Log) -> Result<(), Fault> {
        let Pair { caller: (mut caller, mine), callee: (mut callee, theirs) } = self.pair().await?;
        caller.say(CLOSE, &field(3, &mine.token)).await;
        let (what, expected) =
            ("the other side is told when a session is closed", "closed with its token and reason 7");
        let answer = callee.answer(what, expected).await?;
        let right =
            answer.kind == CLOSED && answer.bytes(3) == Some(theirs.token) && answer.number(7) == Some(ENDED);
        log.check("14.1", what, right, expected, told(&answer));
        let resume = *random(&*self.provider);
        caller.say(REJOIN, &[numbered(2, 21), field(5, &resume)].concat()).await;
        caller.ping("who rejoins first waits", 22).await?;
        callee.say(REJOIN, &[numbered(2, 23), field(5, &resume)].concat()).await;
        self.session(&mut callee, |message| message.number(2) == Some(23)).await?;
        self.session(&mut caller, |message| message.number(2) == Some(21)).await?;
        log.ok("14.1", "two who rejoin with the same secret are brought together");
        Ok(())
    }

    async fn tcp(&self, log: &mut Log) -> Result<(), Fault> {
        let key = stranger(&*self.provider);
        let callee = self.listener(&key).await?;
        let mut caller = Client::tcp(self.address, self.patience).await?;
        log.check("14.1", "one key by QUIC and by TCP", caller.pin == callee.pin, "the same", "another");
        caller.ping("a ping over TCP is answered", 31).await?;
        log.ok("14.1", "the same TLS over TCP");
        let pair = self.meet(caller, callee, &key).await?;
        self.to_and_fro(pair, "packets go to and fro in frames of class 1", log).await.map(drop)
    }

    async fn nonsense(&self, log: &mut Log) -> Result<(), Fault> {
        let ping = field(PING, &numbered(11, 1));
        let framed = |body: &[u8]| [&(body.len() as u16 + 1).to_be_bytes()[..], &[0], body].concat();
        let wrong: [(&'static str, Vec<u8>); 6] = [
            ("a frame of no bytes", vec![0, 0]),
            ("a frame of 2,050 bytes", vec![0x08, 0x02, 0]),
            ("a field longer than its message", framed(&[PING as u8, 60, 1])),
            ("a number not in its shortest form", framed(&field(PING, &field(11, &[0x40, 1])))),
            ("two known messages in one", framed(&[&ping[..], &ping].concat())),
            ("a mailbox of 31 bytes", framed(&field(UNLISTEN, &field(1, &[7; 31])))),
        ];
        for (what, bytes) in wrong {
            let mut client = self.client().await?;
            client.write(&bytes).await;
            let until = Instant::now() + self.patience;
            let came = client.closed(until).await;
            let right = came == Came::Close(MALFORMED);
            log.check("14.1", what, right, "the connection's end with code 1", came);
        }
        Ok(())
    }
}
