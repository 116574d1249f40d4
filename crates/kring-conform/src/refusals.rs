//! What a good implementation refuses, and how: docs/protocol.md, sections 4 to 8 and appendices A and C.
//!
//! Guarantee: each walk stands alone, on a connection of its own, and does one thing wrong.

use crate::Options;
use crate::answer::taken;
use crate::dial::answered;
use crate::good::{Good, breathe};
use crate::hello::{
    Dialled, Dialling, confirm_with, connect, first_payload, greeted, half, hello, own_certificate,
    second_payload, stranger, wall,
};
use crate::link::{Came, framed};
use crate::log::{Fault, Log};
use crate::messages::{self as m, field, numbered};
use crate::side::{Side, random};
use kring_core::fuzzing::raw;
use kring_core::ticket::Ticket;
use kring_core::time::WallTime;
use kring_net::Connection;

/// Codes that end a connection during the handshake (section 4).
pub(crate) const NO_TICKET: u64 = 0x40;
const CLOCK: u64 = 0x41;
const VERSION: u64 = 0x42;
pub(crate) const HANDSHAKE: u64 = 0x43;

/// What is wrong with a beginning, at the caller.
#[derive(Clone, Copy)]
enum Beginning {
    Hint,
    Elsewhere,
    Damaged,
    Clock,
    Version,
    NoCallId,
    LongForm,
    TooLong,
}

/// What is wrong with a proof.
#[derive(Clone, Copy)]
enum Proof {
    Damaged,
    OthersKey,
    Expired,
    None,
    Again,
}

/// What is wrong in a call.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    /// A plaintext, and whether the channel is rekeyed after it.
    Say(fn(&Side) -> (Vec<u8>, bool)),
    /// The last message's bytes once more.
    Repeat,
    /// Bytes on the stream as they are.
    Write(fn() -> Vec<u8>),
    /// The same plaintext twice.
    Twice(fn(&Side) -> (Vec<u8>, bool)),
    /// Two handshakes inside the session, one right behind the other.
    RenewTwice,
}

pub(crate) struct Walk<T> {
    pub(crate) name: &'static str,
    section: &'static str,
    act: T,
}

const BEGINNINGS: [Walk<(Beginning, u64)>; 8] = [
    Walk { name: "a hint that fits nothing", section: "5", act: (Beginning::Hint, NO_TICKET) },
    Walk { name: "message 1 of another connection", section: "5", act: (Beginning::Elsewhere, NO_TICKET) },
    Walk { name: "message 1 that was changed", section: "5", act: (Beginning::Damaged, HANDSHAKE) },
    Walk { name: "a clock that is 700 s off", section: "5", act: (Beginning::Clock, CLOCK) },
    Walk { name: "no version in common", section: "D", act: (Beginning::Version, VERSION) },
    Walk { name: "message 1 without a call id", section: "5", act: (Beginning::NoCallId, HANDSHAKE) },
    Walk { name: "a number not in its shortest form", section: "5", act: (Beginning::LongForm, HANDSHAKE) },
    Walk { name: "a handshake frame of 4,097 bytes", section: "5", act: (Beginning::TooLong, HANDSHAKE) },
];

const PROOFS: [Walk<Proof>; 5] = [
    Walk { name: "confirm that was changed", section: "5", act: Proof::Damaged },
    Walk { name: "confirm with a certificate over another Noise key", section: "2", act: Proof::OthersKey },
    Walk { name: "confirm with a certificate that has ended", section: "2", act: Proof::Expired },
    Walk { name: "confirm without a certificate", section: "5", act: Proof::None },
    Walk { name: "message 1 in place of confirm", section: "5", act: Proof::Again },
];

/// Wrong from either side.
const ACTS: [Walk<Act>; 16] = [
    Walk {
        name: "two known messages in one",
        section: "7",
        act: Act::Say(|_| {
            ([field(m::TRACK_STATE, &state()), field(m::RECORDING, &numbered(1, 1))].concat(), false)
        }),
    },
    Walk {
        name: "a field longer than its message",
        section: "7",
        act: Act::Say(|_| (vec![m::RECORDING as u8, 60, 1], false)),
    },
    Walk {
        name: "a kind not in its shortest form",
        section: "7",
        act: Act::Say(|_| (vec![0x40, m::RECORDING as u8, 3, 1, 1, 1], false)),
    },
    Walk {
        name: "a track state without a track",
        section: "7.2",
        act: Act::Say(|_| (field(m::TRACK_STATE, &numbered(2, 1)), false)),
    },
    Walk {
        name: "a state of the track of reports",
        section: "7.2",
        act: Act::Say(|_| (field(m::TRACK_STATE, &[numbered(1, 15), numbered(2, 1)].concat()), false)),
    },
    Walk { name: "a message that came before", section: "6", act: Act::Repeat },
    Walk { name: "a message that was changed", section: "6", act: Act::Write(|| framed(&[9; 40])) },
    Walk { name: "a message of 16,385 bytes", section: "6", act: Act::Write(|| vec![0x40, 0x01]) },
    Walk {
        name: "a sender key of rotation 9",
        section: "8",
        act: Act::Say(|side| (field(m::SENDER_KEY, &key(side, 9, true)), true)),
    },
    Walk {
        name: "a sender key that somebody else has signed",
        section: "8",
        act: Act::Say(|side| (field(m::SENDER_KEY, &key(side, side.rotation + 1, false)), true)),
    },
    Walk {
        name: "key taken for none that was announced",
        section: "8",
        act: Act::Say(|_| (field(m::KEY_TAKEN, &numbered(1, 1)), false)),
    },
    Walk {
        name: "the code's first message once more",
        section: "7.3",
        act: Act::Say(|_| (field(m::COMMITMENT, &field(1, &[7; 32])), false)),
    },
    Walk {
        name: "a passcode's tag in a call",
        section: "7.5",
        act: Act::Say(|_| (field(m::CALLER_TAG, &field(1, &[7; 64])), false)),
    },
    Walk {
        name: "contact with somebody else's certificate",
        section: "12",
        act: Act::Say(|side| (contact(side, false), true)),
    },
    Walk { name: "contact twice", section: "12", act: Act::Twice(|side| (contact(side, true), true)) },
    Walk {
        name: "reach with nine addresses",
        section: "12",
        act: Act::Say(|_| (field(m::REACH, &field(4, &[192, 0, 2, 1, 17, 81]).repeat(9)), false)),
    },
];

/// Wrong from a caller.
const CALLERS_ACTS: [Walk<Act>; 6] = [
    Walk {
        name: "an answer from the caller",
        section: "7.2",
        act: Act::Say(|_| (field(m::ANSWER, &crate::hello::own_offer()), false)),
    },
    Walk {
        name: "ringing from the caller",
        section: "7.2",
        act: Act::Say(|_| (field(m::RINGING, &[]), false)),
    },
    Walk {
        name: "renewed from the caller",
        section: "6.1",
        act: Act::Say(|_| (field(m::RENEWED, &[numbered(1, 1), field(5, &[7; 1200])].concat()), false)),
    },
    Walk {
        name: "switched without a handshake",
        section: "6.1",
        act: Act::Say(|_| (field(m::SWITCHED, &[]), false)),
    },
    Walk {
        name: "renew with counter 7",
        section: "6.1",
        act: Act::Say(|side| {
            let renew = side.renewal(7, &side.facts.hash).map(|(_, value)| value);
            (field(m::RENEW, &renew.unwrap_or_default()), true)
        }),
    },
    Walk { name: "a second handshake within a second", section: "6.1", act: Act::RenewTwice },
];

/// Wrong from a callee.
const CALLEES_ACTS: [Walk<Act>; 5] = [
    Walk {
        name: "a second answer",
        section: "7.2",
        act: Act::Say(|_| (field(m::ANSWER, &crate::hello::own_offer()), false)),
    },
    Walk {
        name: "decline after the answer",
        section: "7.2",
        act: Act::Say(|_| (field(m::DECLINE, &numbered(1, 1)), false)),
    },
    Walk {
        name: "a passcode wanted after the answer",
        section: "7.5",
        act: Act::Say(|_| (field(m::PASSCODE_WANTED, &[]), false)),
    },
    Walk {
        name: "renew from the callee",
        section: "6.1",
        act: Act::Say(|side| {
            let renew = side.renewal(1, &side.facts.hash).map(|(_, value)| value);
            (field(m::RENEW, &renew.unwrap_or_default()), true)
        }),
    },
    Walk {
        name: "a second nonce",
        section: "7.3",
        act: Act::Say(|_| (field(m::NONCE, &field(1, &[7; 32])), false)),
    },
];

fn state() -> Vec<u8> {
    [numbered(1, 0), numbered(2, 1)].concat()
}

fn key(side: &Side, rotation: u8, own: bool) -> Vec<u8> {
    let secret = random(&*side.facts.provider);
    if own {
        side.sender_key(rotation, &secret, &side.facts.own)
    } else {
        side.sender_key(rotation, &secret, &stranger(&*side.facts.provider))
    }
}

fn contact(side: &Side, own: bool) -> Vec<u8> {
    let certificate = if own {
        own_certificate(&side.facts.own)
    } else {
        own_certificate(&stranger(&*side.facts.provider))
    };
    field(m::CONTACT, &[field(1, &[7; 32]), field(2, &certificate)].concat())
}

/// Walks a callee through all that it has to refuse.
pub(crate) async fn of_a_callee(to: &Dialling, options: &Options, ticket: &Ticket, log: &mut Log) {
    for walk in BEGINNINGS.iter().filter(|w| options.takes(w.name)) {
        log.begin(walk.name);
        let result = begin(to, walk).await;
        refused(walk.section, result, log);
    }
    for walk in PROOFS.iter().filter(|w| options.takes(w.name)) {
        log.begin(walk.name);
        let result = prove(to, walk).await;
        refused(walk.section, result, log);
        breathe().await;
    }
    for walk in ACTS.iter().chain(&CALLERS_ACTS).filter(|w| options.takes(w.name)) {
        log.begin(walk.name);
        let mut unheard = Log::new(|_| {});
        let result = match answered(to, options, ticket, &mut unheard).await {
            Ok((good, side)) => Box::pin(misbehave(good, side, walk)).await,
            Err(fault) => Err(fault),
        };
        refused(walk.section, result, log);
        breathe().await;
    }
}

fn refused(section: &'static str, result: Result<(), Fault>, log: &mut Log) {
    match result {
        Ok(()) => log.ok(section, "is refused"),
        Err(fault) => log.fault(fault),
    }
}

/// Waits for the connection's end with one of those codes.
async fn closes(link: &crate::link::Link, section: &'static str, codes: &[u64]) -> Result<(), Fault> {
    match link.closed(link.until()).await {
        Came::Close(code) if codes.contains(&code) => Ok(()),
        came => {
            let codes: Vec<_> = codes.iter().map(|c| format!("{c:#x}")).collect();
            let expected = format!("the connection's end with code {}", codes.join(" or "));
            Err(Fault::new(section, "is refused", expected, came))
        }
    }
}

async fn begin(to: &Dialling, walk: &Walk<(Beginning, u64)>) -> Result<(), Fault> {
    let (beginning, code) = walk.act;
    let (mut link, exporter) = connect(to).await?;
    let call_id = [3; 16];
    let (mut time, mut versions) = (wall().0, &[1, 4_000_000][..]);
    let mut with = to.clone();
    let mut payload = None;
    match beginning {
        Beginning::Hint => with.psk0 = random(&*to.provider),
        Beginning::Clock => time -= 700,
        Beginning::Version => versions = &[4_000_000],
        Beginning::NoCallId => payload = Some([numbered(2, time), numbered(3, 1)].concat()),
        Beginning::LongForm => {
            payload =
                Some([field(1, &call_id), numbered(2, time), field(3, &[0x40, 1]), numbered(3, 1)].concat());
        }
        Beginning::Elsewhere | Beginning::Damaged | Beginning::TooLong => {}
    }
    let payload = payload.unwrap_or_else(|| first_payload(&call_id, time, versions));
    let bound = if matches!(beginning, Beginning::Elsewhere) { [8; 32] } else { exporter };
    let (_, mut hello) = hello(&with, &bound, &payload)?;
    if matches!(beginning, Beginning::Damaged) {
        *hello.last_mut().expect("a hello is not empty") ^= 1;
    }
    if matches!(beginning, Beginning::TooLong) {
        link.write(&4097u16.to_be_bytes()).await;
    } else {
        link.write(&framed(&hello)).await;
    }
    closes(&link, walk.section, &[code]).await
}

async fn prove(to: &Dialling, walk: &Walk<Proof>) -> Result<(), Fault> {
    let mut unheard = Log::new(|_| {});
    let mut half = half(to, &mut unheard).await?;
    let hello = std::mem::take(&mut half.hello);
    let mut link = half.link;
    // Who answers ahead (5.1) has begun the call, and ends it as one.
    let ahead = match link
        .frame(usize::from(u16::MAX), tokio::time::Instant::now() + std::time::Duration::from_millis(300))
        .await
    {
        Err(Came::Nothing(_)) => link.has_more(),
        _ => true,
    };
    let finished = half.handshake.finish();
    let (mut channel, _) = finished.map_err(|e| Fault::new("5", "the handshake is done", "a channel", e))?;
    let own = raw::noise_key(&to.own);
    let plaintext = match walk.act {
        Proof::OthersKey => confirm_with(&raw::certify(&to.own, to.callee_noise, WallTime(wall().0 + 3600))),
        Proof::Expired => confirm_with(&raw::certify(&to.own, own, WallTime(wall().0 - 10))),
        Proof::None => field(5, &crate::hello::own_offer()),
        Proof::Damaged | Proof::Again => confirm_with(&own_certificate(&to.own)),
    };
    let sealed = channel.seal(&plaintext);
    let mut message = sealed.map_err(|e| Fault::new("5", "confirm", "a message", e))?;
    match walk.act {
        Proof::Damaged => message[20] ^= 1,
        Proof::Again => message = hello,
        _ => {}
    }
    link.write(&framed(&message)).await;
    closes(&link, walk.section, if ahead { &[m::PROTOCOL_ERROR] } else { &[HANDSHAKE] }).await
}

/// Does what is wrong, and waits for the end of the call.
async fn misbehave(mut good: Good, mut side: Side, walk: &Walk<Act>) -> Result<(), Fault> {
    let mut unheard = Log::new(|_| {});
    let settled = ("7.3", "the code of the call", "the exchange to be done");
    good.until(&mut side, &mut unheard, settled, |good, _| good.has_code()).await?;
    match walk.act {
        Act::Say(plaintext) => {
            let (plaintext, rekey) = plaintext(&side);
            side.say_raw(&plaintext, rekey).await;
        }
        Act::Twice(plaintext) => {
            for _ in 0..2 {
                let (plaintext, rekey) = plaintext(&side);
                side.say_raw(&plaintext, rekey).await;
            }
        }
        Act::Repeat => side.repeat().await,
        Act::Write(bytes) => side.link.write(&bytes()).await,
        Act::RenewTwice => {
            good.begin_renewal(&mut side).await?;
            let renewed = ("6.1", "a handshake inside the session", "renewed");
            good.until(&mut side, &mut unheard, renewed, |good, _| good.counter == 1).await?;
            good.begin_renewal(&mut side).await?;
        }
    }
    let expected = "hang-up with reason 6, or the connection's end with it";
    loop {
        match side.next().await {
            Ok(message) if message.kind == m::HANG_UP => {
                let reason = message.number(1);
                let right = reason == Some(m::PROTOCOL_ERROR);
                side.link.connection.close(0);
                let came = format!("hang-up with reason {reason:?}");
                return if right {
                    Ok(())
                } else {
                    Err(Fault::new(walk.section, "is refused", expected, came))
                };
            }
            // What crossed it.
            Ok(message) => {
                let _ = good.on(&mut side, &mut unheard, &message).await;
            }
            Err(Ok(Came::Close(m::PROTOCOL_ERROR))) => return Ok(()),
            Err(Ok(came)) => {
                side.link.connection.close(0);
                return Err(Fault::new(walk.section, "is refused", expected, came));
            }
            Err(Err(fault)) => return Err(fault),
        }
    }
}

/// What is done wrong when somebody dials.
#[derive(Clone, Copy)]
pub(crate) enum Wrong {
    Second(Second),
    Act(Act),
}

/// What is wrong with message 2.
#[derive(Clone, Copy)]
pub(crate) enum Second {
    Damaged,
    Version,
    None,
    OthersIdentity,
    Expired,
    TooLong,
}

const SECONDS: [Walk<Second>; 6] = [
    Walk { name: "message 2 that was changed", section: "5", act: Second::Damaged },
    Walk { name: "message 2 that chooses another version", section: "5", act: Second::Version },
    Walk { name: "message 2 without a certificate", section: "5", act: Second::None },
    Walk { name: "message 2 with somebody else's certificate", section: "5", act: Second::OthersIdentity },
    Walk { name: "message 2 with a certificate that has ended", section: "2", act: Second::Expired },
    Walk { name: "a handshake frame of 4,097 bytes", section: "5", act: Second::TooLong },
];

/// All that a caller has to refuse.
pub(crate) fn of_a_caller(options: &Options) -> Vec<Walk<Wrong>> {
    let second = |w: &Walk<Second>| Walk { name: w.name, section: w.section, act: Wrong::Second(w.act) };
    let act = |w: &Walk<Act>| Walk { name: w.name, section: w.section, act: Wrong::Act(w.act) };
    let walks = SECONDS.iter().map(second).chain(ACTS.iter().chain(&CALLEES_ACTS).map(act));
    walks.filter(|w| options.takes(w.name)).collect()
}

/// Somebody dials, and is done wrong.
pub(crate) async fn be_called(walk: &Walk<Wrong>, by: &Dialled, connection: Connection, log: &mut Log) {
    let mut unheard = Log::new(|_| {});
    let result = match walk.act {
        Wrong::Second(second) => answer_wrongly(walk, second, by, connection, &mut unheard).await,
        Wrong::Act(act) => match taken(by, connection, &mut unheard).await {
            Ok((good, side)) => {
                let walk = Walk { name: walk.name, section: walk.section, act };
                Box::pin(misbehave(good, side, &walk)).await
            }
            Err(fault) => Err(fault),
        },
    };
    refused(walk.section, result, log);
}

async fn answer_wrongly(
    walk: &Walk<Wrong>,
    second: Second,
    by: &Dialled,
    connection: Connection,
    log: &mut Log,
) -> Result<(), Fault> {
    let mut greeted = greeted(by, connection, log).await?;
    let noise = raw::noise_key(&by.own);
    let later = WallTime(wall().0 + 3600);
    let payload = match second {
        Second::Version => [field(4, &own_certificate(&by.own)), numbered(3, 4_000_000)].concat(),
        Second::None => numbered(3, 1),
        Second::OthersIdentity => {
            [field(4, &raw::certify(&stranger(&*by.provider), noise, later)), numbered(3, 1)].concat()
        }
        Second::Expired => {
            [field(4, &raw::certify(&by.own, noise, WallTime(wall().0 - 10))), numbered(3, 1)].concat()
        }
        Second::Damaged | Second::TooLong => second_payload(by),
    };
    let written = greeted.handshake.write(&payload);
    let mut message = written.map_err(|e| Fault::new("5", "message 2", "one that can be written", e))?;
    if matches!(second, Second::Damaged) {
        message[40] ^= 1;
    }
    if matches!(second, Second::TooLong) {
        greeted.link.write(&4097u16.to_be_bytes()).await;
    } else {
        greeted.link.write(&framed(&message)).await;
    }
    // A version that was not offered may count as either.
    let codes = if matches!(second, Second::Version) { &[VERSION, HANDSHAKE][..] } else { &[HANDSHAKE] };
    closes(&greeted.link, walk.section, codes).await
}
