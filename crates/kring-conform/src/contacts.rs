//! Calls without a ticket, by the secret that the call before left, and both dialling at once: docs/protocol.md, sections 12
//! and 11.
//!
//! Guarantee: nothing here is tried with whom nobody has said that they keep this side as a contact.

use crate::answer::Invitation;
use crate::dial::begun;
use crate::good::{Acquainted, Good, breathe};
use crate::hello::{Dialled, Dialling, Hailed, confirm, confirmed, hailed, half, read_hello, stranger};
use crate::link::Came;
use crate::log::{Fault, Log};
use crate::messages::{self as m, numbered};
use crate::paper::Secret;
use crate::refusals::{HANDSHAKE, NO_TICKET};
use crate::side::Side;
use kring_core::identity::PublicIdentity;
use std::sync::Arc;

/// The reason with which whoever dialled the call that goes on declines the other (section 11).
const BOTH_DIALLED: u64 = 3;

const KEPT: &str = "it was said to keep this side as a contact";

/// Dials somebody who keeps this side, by what the good call left.
pub(crate) async fn redial(to: &Dialling, first: Acquainted, log: &mut Log) {
    log.begin("a contact calls again");
    let result = Box::pin(again_and_again(to, first, log)).await;
    log.end(result);
}

async fn again_and_again(to: &Dialling, first: Acquainted, log: &mut Log) -> Result<(), Fault> {
    let second = Box::pin(call_by(to, &first, log)).await?;
    log.ok(
        "12",
        "the secret that the call left lets the contact through, without a door, at the Noise key told",
    );
    breathe().await;
    Box::pin(call_by(to, &second, log)).await?;
    log.ok("12", "each call renews it");
    breathe().await;
    // As if this side had lost what that call left.
    let last = Box::pin(call_by(to, &second, log)).await?;
    log.ok("12", "a secret is held until a later one was used");
    breathe().await;
    refused_by(to, &first.psk0, log, "once a later one was used, the secret before it is erased").await?;
    let other = Dialling { own: Arc::new(stranger(&*to.provider)), ..by(to, &last) };
    let mut unheard = Log::new(|_| {});
    let half = half(&other, &mut unheard).await.map_err(of_contacts)?;
    let mut side = confirm(&other, half).await?;
    let what = "a contact's secret in somebody else's hands is refused";
    match over(&mut side).await {
        Ok(Came::Close(HANDSHAKE | m::PROTOCOL_ERROR)) => log.ok("12", what),
        Ok(came) => return Err(Fault::new("12", what, "the connection's end with code 0x43", came)),
        Err(fault) => return Err(fault),
    }
    Ok(())
}

fn by(to: &Dialling, held: &Acquainted) -> Dialling {
    Dialling { psk0: held.psk0.clone(), callee_noise: held.noise, ..to.clone() }
}

/// What fails of a handshake by a contact's secret is about contacts, if the ticket's went through.
fn of_contacts(fault: Fault) -> Fault {
    let section = if fault.section == "5" { "12" } else { fault.section };
    Fault { section, ..fault }
}

/// A call by a contact's secret, and what it leaves.
async fn call_by(to: &Dialling, held: &Acquainted, log: &mut Log) -> Result<Acquainted, Fault> {
    let to = by(to, held);
    let mut unheard = Log::new(|_| {});
    let half = half(&to, &mut unheard).await.map_err(of_contacts)?;
    let mut side = confirm(&to, half).await?;
    let mut good = begun(&mut side, None, &mut unheard).await?;
    let left = good.acquaint(&mut side, log, &held.psk0).await?;
    good.hang_up(&mut side, &mut unheard).await?;
    Ok(left)
}

async fn refused_by(to: &Dialling, psk0: &Secret, log: &mut Log, what: &'static str) -> Result<(), Fault> {
    let to = Dialling { psk0: psk0.clone(), ..to.clone() };
    let mut unheard = Log::new(|_| {});
    match half(&to, &mut unheard).await {
        Err(fault) if fault.came == Came::Close(NO_TICKET).to_string() => log.ok("12", what),
        Err(fault) => return Err(Fault::new("12", what, "the connection's end with code 0x40", fault.came)),
        Ok(_) => return Err(Fault::new("12", what, "the connection's end with code 0x40", "message 2")),
    }
    Ok(())
}

/// Reads on until the connection is over.
async fn over(side: &mut Side) -> Result<Came, Fault> {
    loop {
        match side.next().await {
            Ok(_) => {}
            Err(Ok(came)) => return Ok(came),
            Err(Err(fault)) => return Err(fault),
        }
    }
}

/// How often somebody who keeps this side has to dial it.
pub(crate) const CALLS: usize = 3;

/// Is dialled by what the good call left: well, then with the newest secret refused, then while this side dials as well.
pub(crate) async fn be_redialled(
    invitation: &Invitation,
    first: Acquainted,
    peer: PublicIdentity,
    log: &mut Log,
    mut again: impl FnMut(usize),
) {
    let mut held = vec![first];
    let names = ["a contact is called again", "a contact that has lost a secret", "both dial at once"];
    for (n, name) in names.into_iter().enumerate() {
        again(n);
        log.begin(name);
        let result = match n {
            0 => Box::pin(taken_by(invitation, &held, log)).await,
            1 => Box::pin(lost(invitation, &held, log)).await,
            _ => Box::pin(both(invitation, &held, peer, log)).await,
        };
        match result {
            Ok(left) => held.insert(0, left),
            Err(fault) => return log.fault(fault),
        }
    }
}

/// The next connection, by the `n`-th newest of the secrets that are held.
async fn hail(
    invitation: &Invitation,
    held: &[Acquainted],
    n: usize,
    log: &mut Log,
) -> Result<(Dialled, Hailed), Fault> {
    let connection = invitation.connection().await?;
    let mut unheard = Log::new(|_| {});
    let hailed = hailed(&invitation.by, connection, &mut unheard).await?;
    let what = if n == 0 {
        "a contact is dialled by its newest secret"
    } else {
        "a refused secret is followed by the one before it, on a new connection"
    };
    let by_which = held.iter().position(|held| hailed.is_by(&held.psk0));
    let came = match by_which {
        Some(other) => format!("the hint of the one {other} before it"),
        None => "a hint of none of them".into(),
    };
    log.check("12", what, by_which == Some(n), "its hint", came);
    let psk0 = &held[by_which.ok_or_else(|| Fault::new("12", what, KEPT, "another hint"))?].psk0;
    Ok((Dialled { psk0: psk0.clone(), ..invitation.by.clone() }, hailed))
}

/// Answers whoever has dialled, and hangs up once both are acquainted.
async fn answer_it(by: &Dialled, hailed: Hailed, log: &mut Log) -> Result<Acquainted, Fault> {
    let mut unheard = Log::new(|_| {});
    let greeted = read_hello(by, hailed, &mut unheard)?;
    let (mut side, _) = confirmed(by, greeted, &mut unheard).await?;
    let mut good = Good::begin(&mut side, None).await?;
    good.give_answer(&mut side, &mut unheard).await?;
    let left = good.acquaint(&mut side, log, &by.psk0).await?;
    good.hang_up(&mut side, &mut unheard).await?;
    Ok(left)
}

async fn taken_by(invitation: &Invitation, held: &[Acquainted], log: &mut Log) -> Result<Acquainted, Fault> {
    let (by, hailed) = hail(invitation, held, 0, log).await?;
    Box::pin(answer_it(&by, hailed, log)).await
}

/// As if this side had lost what the last call left.
async fn lost(invitation: &Invitation, held: &[Acquainted], log: &mut Log) -> Result<Acquainted, Fault> {
    let (_, hailed) = hail(invitation, held, 0, log).await?;
    hailed.link.connection.close(NO_TICKET);
    let (by, hailed) = hail(invitation, held, 1, log).await?;
    Box::pin(answer_it(&by, hailed, log)).await
}

/// Dials whoever dials.
async fn both(
    invitation: &Invitation,
    held: &[Acquainted],
    peer: PublicIdentity,
    log: &mut Log,
) -> Result<Acquainted, Fault> {
    let (by, hailed) = hail(invitation, held, 0, log).await?;
    let mut unheard = Log::new(|_| {});
    let to = Dialling {
        net: invitation.net.clone(),
        address: hailed.link.connection.remote_address(),
        callee_noise: held[0].noise,
        callee: peer.fingerprint(),
        psk0: held[0].psk0.clone(),
        own: by.own.clone(),
        provider: by.provider.clone(),
        patience: by.patience,
    };
    let greeted = read_hello(&by, hailed, &mut unheard)?;
    let half = half(&to, &mut unheard).await.map_err(of_contacts)?;
    let mut ours = confirm(&to, half).await?;
    if by.own.public().as_bytes() < peer.as_bytes() {
        // Ours goes on; theirs is declined, or given up by itself.
        let theirs = async {
            let (mut side, _) = confirmed(&by, greeted, &mut Log::new(|_| {})).await.ok()?;
            side.say(m::DECLINE, &numbered(1, BOTH_DIALLED)).await;
            Some(side)
        };
        let answered = begun(&mut ours, None, &mut unheard);
        let (good, _theirs) = tokio::join!(answered, theirs);
        let mut good = good.map_err(|fault| Fault { section: "11", ..fault })?;
        log.ok("11", "the call of the smaller identity goes on: whoever was dialling answers it by itself");
        let left = good.acquaint(&mut ours, log, &held[0].psk0).await?;
        good.hang_up(&mut ours, &mut unheard).await?;
        return Ok(left);
    }
    // Theirs goes on.
    let (mut side, _) =
        confirmed(&by, greeted, &mut unheard).await.map_err(|fault| Fault { section: "11", ..fault })?;
    let mut good = Good::begin(&mut side, None).await?;
    let declined = async {
        loop {
            match ours.next().await {
                Ok(message) if message.kind == m::DECLINE => return message.number(1).map(|n| n.to_string()),
                Ok(_) => {}
                Err(Ok(came)) => return Some(came.to_string()),
                Err(Err(_)) => return None,
            }
        }
    };
    let (answered, declined) = tokio::join!(good.give_answer(&mut side, &mut unheard), declined);
    answered.map_err(|fault| Fault { section: "11", ..fault })?;
    let right = declined == Some(BOTH_DIALLED.to_string());
    let what = "whoever dialled the call that goes on declines the other, with reason 3";
    log.check("11", what, right, "decline with reason 3", format!("{declined:?}"));
    let left = good.acquaint(&mut side, log, &by.psk0).await?;
    log.ok("11", "the call of the smaller identity goes on");
    good.hang_up(&mut side, &mut unheard).await?;
    Ok(left)
}
