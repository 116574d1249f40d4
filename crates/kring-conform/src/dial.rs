//! The walks that begin with a ticket: this side calls.

use crate::good::{Acquainted, Good, breathe};
use crate::hello::{Dialling, confirm, half, stranger};
use crate::log::{Fault, Log};
use crate::side::Side;
use crate::{Options, contacts, refusals, times, tls};
use kring_core::crypto::default_provider;
use kring_core::fuzzing::raw;
use kring_core::passcode::Passcode;
use kring_core::ticket::{Ticket, TicketId};
use kring_net::{Config, Endpoint};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// A call up to the answer.
pub(crate) async fn answered(
    to: &Dialling,
    options: &Options,
    ticket: &Ticket,
    log: &mut Log,
) -> Result<(Good, Side), Fault> {
    let half = half(to, log).await?;
    let mut side = confirm(to, half).await?;
    let good = begun(&mut side, options.passcode.as_ref().map(|p| (p, ticket.id())), log).await?;
    Ok((good, side))
}

/// The same behind `confirm`.
pub(crate) async fn begun(
    side: &mut Side,
    passcode: Option<(&Passcode, TicketId)>,
    log: &mut Log,
) -> Result<Good, Fault> {
    let mut good = Good::begin(side, passcode).await?;
    good.until_answered(side, log).await?;
    log.ok("7.2", "it rings and is answered");
    Ok(good)
}

/// A good call, and what it leaves to two contacts.
async fn call(
    to: &Dialling,
    options: &Options,
    ticket: &Ticket,
    log: &mut Log,
) -> Result<Option<Acquainted>, Fault> {
    let (mut good, mut side) = answered(to, options, ticket, log).await?;
    good.talk(&mut side, log).await?;
    Ok(good.acquainted(&side, &to.psk0))
}

/// Walks whoever issued `ticket` through the protocol; it has to answer each call by itself, or by a person within
/// [`Options::patience`].
///
/// # Errors
/// Says why there is nothing to be walked through at all: a ticket without addresses, no socket.
pub async fn dial(ticket: &Ticket, options: &Options, log: &mut Log) -> Result<(), String> {
    let address = first_address(ticket)?;
    let here: SocketAddr =
        if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let net = Endpoint::bind(&Config::new(here)).map_err(|e| e.to_string())?;
    log.begin("the hop");
    tls::hop(address, ("4", b"kring/1"), options.patience, log).await;
    dial_over(net, ticket, options, log).await
}

fn first_address(ticket: &Ticket) -> Result<SocketAddr, String> {
    Ok(*ticket.addresses().first().ok_or("the ticket names no address")?)
}

/// The same from an endpoint that is there, which is closed in the end; but for the walk through TLS.
///
/// # Errors
/// As for [`dial`].
pub async fn dial_over(
    net: Endpoint,
    ticket: &Ticket,
    options: &Options,
    log: &mut Log,
) -> Result<(), String> {
    let address = first_address(ticket)?;
    let provider = default_provider();
    let (callee_noise, psk0) = raw::dialling(ticket);
    let own = Arc::new(stranger(&*provider));
    let patience = options.patience;
    let to = Dialling {
        net: net.clone(),
        address,
        callee_noise,
        callee: ticket.fingerprint(),
        psk0,
        own,
        provider,
        patience,
    };

    log.begin("a call");
    // A whole call is in it: too much for a stack.
    let result = Box::pin(call(&to, options, ticket, log)).await;
    let (begun, left) = (result.is_ok(), result.as_ref().ok().cloned().flatten());
    log.end(result.map(drop));
    if begun {
        breathe().await;
        match left {
            _ if !options.contact => {}
            Some(left) => contacts::redial(&to, left, log).await,
            None => log.skip("12", "a contact calls again", "it said no *contact*"),
        }
        Box::pin(refusals::of_a_callee(&to, options, ticket, log)).await;
        log.begin("times");
        if options.long {
            Box::pin(times::of_a_callee(&to, options, ticket, log)).await;
        } else {
            log.skip("8", "what takes minutes and hours", "it was not asked for");
        }
    } else {
        log.begin("refusals");
        log.skip("A", "what has to be refused", "a good call does not get through yet");
    }
    net.close(0);
    net.wait_idle().await;
    Ok(())
}
