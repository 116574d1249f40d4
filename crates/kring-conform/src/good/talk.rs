//! What two who talk do: voice and reports, pictures in parts, what is passed over, keys that turn over, the end.

use super::Good;
use crate::hello::own_offer;
use crate::link::Came;
use crate::log::{Fault, Log};
use crate::messages::{self as m, among_unknown, field, numbered};
use crate::side::Side;
use kring_core::handshake::Role;
use std::time::Duration;

impl Good {
    /// What two who talk do.
    pub(crate) async fn talk(&mut self, side: &mut Side, log: &mut Log) -> Result<(), Fault> {
        if self.role == Role::Caller {
            let code = ("7.3", "the code of the call", "a nonce");
            self.until(side, log, code, |good, _| good.has_code()).await?;
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
        self.say_contact(side).await;
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

    pub(crate) async fn hang_up(&mut self, side: &mut Side, log: &mut Log) -> Result<(), Fault> {
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
