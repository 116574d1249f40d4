//! The walks that begin with a ticket: this side calls.

use crate::good::{Good, breathe};
use crate::hello::{Dialling, confirm, half, stranger};
use crate::log::{Fault, Log};
use crate::side::Side;
use crate::{Options, refusals, tls};
use kring_core::crypto::default_provider;
use kring_core::fuzzing::raw;
use kring_core::ticket::Ticket;
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
    let passcode = options.passcode.as_ref().map(|p| (p, ticket.id()));
    let mut good = Good::begin(&mut side, passcode).await?;
    good.until_answered(&mut side, log).await?;
    log.ok("7.2", "it rings and is answered");
    Ok((good, side))
}

async fn call(to: &Dialling, options: &Options, ticket: &Ticket, log: &mut Log) -> Result<(), Fault> {
    let (mut good, mut side) = answered(to, options, ticket, log).await?;
    good.talk(&mut side, log).await
}

/// Walks whoever issued `ticket` through the protocol; it has to answer each call by itself, or by a person within
/// [`Options::patience`].
///
/// # Errors
/// Says why there is nothing to be walked through at all: a ticket without addresses, no socket.
pub async fn dial(ticket: &Ticket, options: &Options, log: &mut Log) -> Result<(), String> {
    let address = *ticket.addresses().first().ok_or("the ticket names no address")?;
    let here: SocketAddr =
        if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let net = Endpoint::bind(&Config::new(here)).map_err(|e| e.to_string())?;
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

    log.begin("the hop");
    tls::hop(address, patience, log).await;
    log.begin("a call");
    // A whole call is in it: too much for a stack.
    let result = Box::pin(call(&to, options, ticket, log)).await;
    let begun = result.is_ok();
    log.end(result);
    if begun {
        breathe().await;
        Box::pin(refusals::of_a_callee(&to, options, ticket, log)).await;
    } else {
        log.begin("refusals");
        log.skip("A", "what has to be refused", "a good call does not get through yet");
    }
    net.close(0);
    net.wait_idle().await;
    Ok(())
}
