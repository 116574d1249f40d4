//! The walks that begin with a ticket of ours: this side is called.

use crate::good::{Good, judge_offer};
use crate::hello::{Dialled, confirmed, greeted, stranger, wall};
use crate::log::{Fault, Log};
use crate::side::Side;
use crate::{Options, contacts, refusals, times};
use kring_core::crypto::default_provider;
use kring_core::fuzzing::raw;
use kring_core::identity::PublicIdentity;
use kring_core::ticket::Ticket;
use kring_core::time::WallTime;
use kring_net::{Config, Connection, Endpoint};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Somewhere to be dialled.
pub struct Invitation {
    pub(crate) net: Endpoint,
    ticket: Ticket,
    pub(crate) by: Dialled,
    /// How long somebody may take to dial.
    patience: Duration,
}

/// How this side is to be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// By the invitation's ticket.
    Ticket,
    /// As a contact ([`Options::contact`]).
    Contact,
}

impl Invitation {
    /// Listens at `bind`; has to be called within a tokio runtime.
    ///
    /// # Errors
    /// Says why it cannot.
    pub fn new(bind: SocketAddr, options: &Options) -> Result<Invitation, String> {
        let net = Endpoint::bind(&Config::new(bind)).map_err(|e| e.to_string())?;
        Invitation::over(net, options)
    }

    /// Is dialled at an endpoint that is there, which is closed in the end.
    ///
    /// # Errors
    /// Says why it cannot.
    pub fn over(net: Endpoint, options: &Options) -> Result<Invitation, String> {
        let address = net.local_addr().map_err(|e| e.to_string())?;
        let provider = default_provider();
        let own = Arc::new(stranger(&*provider));
        let expires = WallTime(wall().0 + 24 * 3600);
        let ticket = Ticket::issue(&own, &[address], expires, &*provider).map_err(|e| e.to_string())?;
        let (_, psk0) = raw::dialling(&ticket);
        // People who dial by hand need longer than a protocol.
        let patience = options.patience.max(Duration::from_secs(60));
        let by = Dialled { psk0, own, provider, patience: options.patience };
        Ok(Invitation { net, ticket, by, patience })
    }

    /// By which it is to be dialled, over and over.
    #[must_use]
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// As whom it is dialled.
    #[must_use]
    pub fn identity(&self) -> PublicIdentity {
        self.by.own.public()
    }

    /// The next one who dials.
    pub(crate) async fn connection(&self) -> Result<Connection, Fault> {
        let patience = self.patience;
        let fault = |came: String| {
            Fault::new("4", "a QUIC connection", "one with TLS 1.3, ALPN kring/1 and X25519MLKEM768", came)
        };
        match timeout(patience, self.net.accept()).await {
            Ok(Some(incoming)) => match timeout(patience, incoming.accept()).await {
                Ok(connection) => connection.map_err(|e| fault(e.to_string())),
                Err(_) => Err(fault("none that completes".into())),
            },
            _ => Err(fault("nobody who dials".into())),
        }
    }
}

/// A call of somebody who dials, answered.
pub(crate) async fn taken(
    by: &Dialled,
    connection: Connection,
    log: &mut Log,
) -> Result<(Good, Side), Fault> {
    let greeted = greeted(by, connection, log).await?;
    let (mut side, offer) = confirmed(by, greeted, log).await?;
    judge_offer(&offer, log);
    let mut good = Good::begin(&mut side, None).await?;
    good.give_answer(&mut side, log).await?;
    Ok((good, side))
}

/// Waits to be dialled by the invitation's ticket, once for each walk, and judges whoever dials. `again` is told before each
/// that a call is awaited, with its number from 0, of how many, and how it is to be dialled.
pub async fn answer(
    invitation: &Invitation,
    options: &Options,
    log: &mut Log,
    mut again: impl FnMut(usize, usize, By),
) {
    let by = &invitation.by;
    let walks = refusals::of_a_caller(options);
    let contacts = if options.contact { contacts::CALLS } else { 0 };
    let long = if options.long { times::of_a_caller(options).len() } else { 0 };
    let all = walks.len() + contacts + long + 1;
    again(0, all, By::Ticket);
    log.begin("a call");
    let result = async {
        let connection = invitation.connection().await?;
        let (mut good, mut side) = taken(by, connection, log).await?;
        good.talk(&mut side, log).await?;
        Ok(good.acquainted(&side, &by.psk0).map(|left| (left, side.facts.peer)))
    };
    // A whole call is in it: too much for a stack.
    let result = Box::pin(result).await;
    let (begun, left) = (result.is_ok(), result.as_ref().ok().cloned().flatten());
    log.end(result.map(drop));
    if !begun {
        log.begin("refusals");
        log.skip("A", "what has to be refused", "a good call does not get through yet");
        return;
    }
    // Before a refusal leaves another secret.
    match left {
        _ if !options.contact => {}
        Some((left, peer)) => {
            let again = |n| again(1 + n, all, By::Contact);
            Box::pin(contacts::be_redialled(invitation, left, peer, log, again)).await;
        }
        None => log.skip("12", "a contact is called again", "it said no *contact*"),
    }
    for (n, walk) in walks.iter().enumerate() {
        again(1 + contacts + n, all, By::Ticket);
        log.begin(walk.name);
        match invitation.connection().await {
            Ok(connection) => Box::pin(refusals::be_called(walk, by, connection, log)).await,
            Err(fault) => log.end(Err(fault)),
        }
    }
    log.begin("times");
    if options.long {
        let again = |n, by| again(1 + contacts + walks.len() + n, all, by);
        Box::pin(times::stay_called(invitation, options, log, again)).await;
    } else {
        log.skip("8", "what takes minutes and hours", "it was not asked for");
    }
    invitation.net.close(0);
    invitation.net.wait_idle().await;
}
