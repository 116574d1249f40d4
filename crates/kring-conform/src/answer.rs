//! The walks that begin with a ticket of ours: this side is called.

use crate::good::{Good, judge_offer};
use crate::hello::{Dialled, confirmed, greeted, stranger, wall};
use crate::log::{Fault, Log};
use crate::side::Side;
use crate::{Options, refusals};
use kring_core::crypto::default_provider;
use kring_core::fuzzing::raw;
use kring_core::ticket::Ticket;
use kring_core::time::WallTime;
use kring_net::{Config, Connection, Endpoint};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::time::timeout;

/// Somewhere to be dialled.
pub struct Invitation {
    net: Endpoint,
    ticket: Ticket,
    by: Dialled,
}

impl Invitation {
    /// Listens at `bind`; has to be called within a tokio runtime.
    ///
    /// # Errors
    /// Says why it cannot.
    pub fn new(bind: SocketAddr, options: &Options) -> Result<Invitation, String> {
        let net = Endpoint::bind(&Config::new(bind)).map_err(|e| e.to_string())?;
        let address = net.local_addr().map_err(|e| e.to_string())?;
        let provider = default_provider();
        let own = Arc::new(stranger(&*provider));
        let expires = WallTime(wall().0 + 24 * 3600);
        let ticket = Ticket::issue(&own, &[address], expires, &*provider).map_err(|e| e.to_string())?;
        let (_, psk0) = raw::dialling(&ticket);
        Ok(Invitation { net, ticket, by: Dialled { psk0, own, provider, patience: options.patience } })
    }

    /// By which it is to be dialled, over and over.
    #[must_use]
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    async fn connection(&self, patience: std::time::Duration) -> Result<Connection, Fault> {
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
/// that a call is awaited, with its number from 0.
pub async fn answer(
    invitation: &Invitation,
    options: &Options,
    log: &mut Log,
    mut again: impl FnMut(usize, usize),
) {
    let by = &invitation.by;
    let walks = refusals::of_a_caller(options);
    // People who dial by hand need longer than a protocol.
    let patience = options.patience.max(std::time::Duration::from_secs(60));
    again(0, walks.len() + 1);
    log.begin("a call");
    let result = async {
        let connection = invitation.connection(patience).await?;
        let (mut good, mut side) = taken(by, connection, log).await?;
        good.talk(&mut side, log).await
    };
    // A whole call is in it: too much for a stack.
    let result = Box::pin(result).await;
    let begun = result.is_ok();
    log.end(result);
    if !begun {
        log.begin("refusals");
        log.skip("A", "what has to be refused", "a good call does not get through yet");
        return;
    }
    for (n, walk) in walks.iter().enumerate() {
        again(n + 1, walks.len() + 1);
        log.begin(walk.name);
        match invitation.connection(patience).await {
            Ok(connection) => Box::pin(refusals::be_called(walk, by, connection, log)).await,
            Err(fault) => log.end(Err(fault)),
        }
    }
    invitation.net.close(0);
    invitation.net.wait_idle().await;
}
