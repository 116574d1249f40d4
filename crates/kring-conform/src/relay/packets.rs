//! What a relay forwards, and to where: docs/protocol.md, section 14.2.

use super::client::{Client, here};
use super::{End, Pair, Walk};
use crate::log::{Fault, Log};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How long what must not come is waited for. What comes after it shows that the relay had its chance.
const QUIET: Duration = Duration::from_millis(250);

fn data(token: &[u8; 8], payload: &[u8]) -> Vec<u8> {
    [&[0x10][..], token, payload].concat()
}

fn mac(secret: &[u8; 32], bytes: &[u8]) -> [u8; 16] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length is a key");
    mac.update(bytes);
    mac.finalize().into_bytes()[..16].try_into().expect("16 of 32 bytes")
}

fn bind(end: &End, counter: u64, cookie: &[u8; 8]) -> Vec<u8> {
    let mut out = [&[0x11][..], &end.token, &counter.to_be_bytes(), cookie, &[0; 19]].concat();
    out.extend(mac(&end.secret, &out));
    out
}

/// What a relay says to a bind.
struct Bound {
    cookie: [u8; 8],
    bound: bool,
    port: u16,
}

/// Somewhere else that a side may come from.
struct Elsewhere(UdpSocket);

impl Elsewhere {
    async fn new(walk: &Walk) -> Result<Elsewhere, Fault> {
        let no_socket = |error| Fault::new("14.2", "a socket", "one", error);
        let socket = UdpSocket::bind(here(walk.address)).await.map_err(no_socket)?;
        socket.connect(walk.address).await.map_err(no_socket)?;
        Ok(Elsewhere(socket))
    }

    async fn send(&self, packet: &[u8]) {
        let _ = self.0.send(packet).await;
    }

    async fn packet(&self, patience: Duration) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 2048];
        let len = timeout(patience, self.0.recv(&mut buffer)).await.ok()?.ok()?;
        buffer.truncate(len);
        Some(buffer)
    }

    /// Says where it is, and what the relay answers.
    async fn bind(
        &self,
        end: &End,
        counter: u64,
        cookie: &[u8; 8],
        patience: Duration,
    ) -> Result<Bound, Fault> {
        let (what, expected) = (
            "a bind is answered",
            "bound: 60 bytes with its token and counter, signed under the session's secret",
        );
        self.send(&bind(end, counter, cookie)).await;
        let came = self.packet(patience).await;
        let fault = |came: &str| Err(Fault::new("14.2", what, expected, came));
        let Some(came) = came else { return fault("nothing") };
        if came.len() != 60 {
            return fault(&format!("{} bytes", came.len()));
        }
        let head = [&[0x12][..], &end.token, &counter.to_be_bytes()].concat();
        if !came.starts_with(&head) || came[44..] != mac(&end.secret, &came[..44]) || came[25] > 1 {
            return fault("60 bytes of something else");
        }
        let cookie = came[17..25].try_into().expect("eight bytes");
        Ok(Bound { cookie, bound: came[25] == 1, port: u16::from_be_bytes([came[42], came[43]]) })
    }
}

/// Sends a packet by the way of the control connection, and waits for it by that of the other.
async fn one_way(
    (from, sent): &mut (Client, End),
    (to, got): &mut (Client, End),
    what: &'static str,
    patience: Duration,
) -> Result<(), Fault> {
    from.send(&data(&sent.token, b"as it is")).await;
    let expected = "the payload behind the receiver's own token, once";
    match to.packet(patience).await {
        Some(came) if came == data(&got.token, b"as it is") => Ok(()),
        Some(_) => Err(Fault::new("14.2", what, expected, "another packet")),
        None => Err(Fault::new("14.2", what, expected, "nothing")),
    }
}

impl Walk {
    /// A packet each way.
    pub(super) async fn to_and_fro(
        &self,
        mut pair: Pair,
        what: &'static str,
        log: &mut Log,
    ) -> Result<Pair, Fault> {
        let Pair { caller, callee } = &mut pair;
        one_way(caller, callee, what, self.patience).await?;
        one_way(callee, caller, what, self.patience).await?;
        log.ok("14.2", what);
        Ok(pair)
    }

    pub(super) async fn packets(&self, log: &mut Log) -> Result<(), Fault> {
        let pair = self.pair().await?;
        let what = "each side begins bound to where its control connection comes from";
        let Pair { caller: (mut caller, mine), callee: (mut callee, theirs) } =
            self.to_and_fro(pair, what, log).await?;
        let elsewhere = Elsewhere::new(self).await?;
        elsewhere.send(&data(&mine.token, b"from elsewhere")).await;
        let what = "a packet from where its side is not bound is not forwarded, nor answered";
        self.nothing_comes(&mut callee, what, log).await;
        log.check(
            "14.2",
            "what is not forwarded has no answer",
            elsewhere.packet(QUIET).await.is_none(),
            "nothing",
            "a packet",
        );
        caller.send(&data(&theirs.token, b"with the other side's token")).await;
        caller.send(&data(&[9; 8], b"with nobody's")).await;
        caller.send(&[0x10, 1, 2]).await;
        caller.send(&[0x12; 60]).await;
        self.nothing_comes(&mut callee, "a token that is not the sender's own opens nothing", log).await;
        let pair = Pair { caller: (caller, mine), callee: (callee, theirs) };
        self.to_and_fro(pair, "the session is as it was", log).await.map(drop)
    }

    async fn nothing_comes(&self, client: &mut Client, what: &'static str, log: &mut Log) {
        let came = client.packet(QUIET).await;
        log.check("14.2", what, came.is_none(), "nothing", format!("{} bytes", came.map_or(0, |p| p.len())));
    }

    pub(super) async fn bind(&self, log: &mut Log) -> Result<(), Fault> {
        let pair = self.pair().await?;
        let Pair { caller: (mut caller, mine), callee: (mut callee, theirs) } = pair;
        let (new, other) = (Elsewhere::new(self).await?, Elsewhere::new(self).await?);
        let first = new.bind(&mine, 1, &[0; 8], self.patience).await?;
        let right = !first.bound && first.cookie != [0; 8];
        log.check(
            "14.2",
            "the first bind from a new address is answered with a cookie and binds nothing",
            right,
            "0 and a cookie",
            "others",
        );
        if self.address.ip().is_loopback() {
            let port = new.0.local_addr().map_or(0, |at| at.port());
            log.check(
                "14.2",
                "bound says where the bind came from",
                first.port == port,
                &port.to_string(),
                first.port,
            );
        }
        callee.send(&data(&theirs.token, b"before")).await;
        let still = caller.packet(self.patience).await == Some(data(&mine.token, b"before"));
        log.check("14.2", "until then packets go to where the side was", still, "the packet", "none");
        // Whoever has the secret but not the address.
        let stolen = other.bind(&mine, 2, &first.cookie, self.patience).await?;
        log.check("14.2", "a cookie of another address binds nothing", !stolen.bound, "0", "1");
        let second = new.bind(&mine, 3, &first.cookie, self.patience).await?;
        log.check("14.2", "the cookie that was received there binds the side there", second.bound, "1", "0");
        callee.send(&data(&theirs.token, b"after")).await;
        let moved = new.packet(self.patience).await == Some(data(&mine.token, b"after"));
        log.check("14.2", "from then on packets go to the new address", moved, "the packet", "none");
        new.send(&data(&mine.token, b"from there")).await;
        let taken = callee.packet(self.patience).await == Some(data(&theirs.token, b"from there"));
        log.check("14.2", "and come from there", taken, "the packet", "none");
        other.send(&bind(&mine, 3, &stolen.cookie)).await;
        let what = "a counter that is not higher is dropped";
        log.check("14.2", what, other.packet(QUIET).await.is_none(), "nothing", "an answer");
        let mut forged = bind(&mine, 9, &stolen.cookie);
        *forged.last_mut().expect("a bind is not empty") ^= 1;
        other.send(&forged).await;
        let what = "a MAC that does not hold is dropped";
        log.check("14.2", what, other.packet(QUIET).await.is_none(), "nothing", "an answer");
        Ok(())
    }
}
