//! A port that the router forwards to this side's socket, because it was asked to: by PCP (RFC 6887) or NAT-PMP
//! (RFC 6886).
//!
//! Guarantee: nobody is asked but the default router; what was given is asked for again at half its life and given back at the end. What a router says is a place where this side may be found, and no more:
//! whoever comes there has to prove itself like everybody else.

mod lease;
#[cfg(target_os = "linux")]
mod route;

use crate::path::Switch;
use lease::Lease;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How often it is looked whether the router is still the same.
const LOOK: Duration = Duration::from_secs(30);
/// How long after all ways have failed they are tried again.
const AGAIN: Duration = Duration::from_secs(600);
/// How long giving it back may take.
const CLOSING: Duration = Duration::from_secs(1);

/// Why no port is forwarded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// There is no router.
    #[error("expected a router to ask for a port, found none: {0}")]
    NoRouter(String),
    /// No router gives one.
    #[error("no router forwards a port: {0}; switch on PCP or NAT-PMP there, or use a relay")]
    Refused(String),
    /// The socket is bound to an address to which no router could forward.
    #[error(
        "the socket listens at {address}, where no router can forward a port to; bind it to a real address, or to all"
    )]
    Bound {
        /// Where it listens.
        address: SocketAddr,
    },
    /// The endpoint is gone.
    #[error("the endpoint is closed")]
    Closed,
}

#[derive(Clone, Debug)]
enum State {
    Asking,
    Mapped(SocketAddr),
    Failed(MappingError),
}

/// A forwarded port, kept up until it is closed or dropped.
pub struct Mapping {
    state: watch::Receiver<State>,
    /// Ends the task, which gives the port back.
    _stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Mapping {
    pub(crate) fn new(switch: &Arc<Switch>) -> Mapping {
        let (state, told) = watch::channel(State::Asking);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(keep(Arc::downgrade(switch), state, stopped));
        Mapping { state: told, _stop: Some(stop), task: Some(task) }
    }

    /// Where the router forwards from, if it does now.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match *self.state.borrow() {
            State::Mapped(address) => Some(address),
            State::Asking | State::Failed(_) => None,
        }
    }

    /// Waits until a port is forwarded, or all ways to get one have failed: some ten seconds at most.
    ///
    /// # Errors
    /// A [`MappingError`]; it is tried again all the same.
    pub async fn mapped(&self) -> Result<SocketAddr, MappingError> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| !matches!(state, State::Asking)).await;
        match settled.as_deref() {
            Ok(State::Mapped(address)) => Ok(*address),
            Ok(State::Failed(error)) => Err(error.clone()),
            Ok(State::Asking) | Err(_) => Err(MappingError::Closed),
        }
    }

    /// Gives the port back, and waits a second at most until the router has heard of it.
    pub async fn close(mut self) {
        self._stop = None;
        if let Some(task) = self.task.take() {
            let _ = timeout(CLOSING, task).await;
        }
    }
}

/// Asks, asks again, and gives back.
async fn keep(switch: Weak<Switch>, state: watch::Sender<State>, mut stopped: oneshot::Receiver<()>) {
    let Some(mut moves) = switch.upgrade().map(|switch| switch.moves()) else { return };
    loop {
        let bound = match switch.upgrade().map(|switch| switch.local_addr()) {
            Some(Ok(bound)) => bound,
            Some(Err(_)) | None => return,
        };
        moves.mark_unchanged();
        let asked = tokio::select! {
            asked = ask(bound) => asked,
            _ = &mut stopped => return,
        };
        let mut lease = match asked {
            Ok(lease) => lease,
            Err(error) => {
                tracing::debug!("no router forwards a port");
                state.send_replace(State::Failed(error));
                tokio::select! {
                    () = sleep(AGAIN) => {}
                    changed = moves.changed() => if changed.is_err() { return },
                    _ = &mut stopped => return,
                }
                continue;
            }
        };
        tracing::debug!(way = lease.way(), "a router forwards a port");
        let ended = held(&switch, &state, &mut lease, &mut moves, &mut stopped).await;
        if let Some(switch) = switch.upgrade() {
            switch.mapped_at(None);
        }
        lease.give_back().await;
        if ended {
            return;
        }
        state.send_replace(State::Asking);
    }
}

/// As long as the router keeps its word; says whether all is over.
async fn held(
    switch: &Weak<Switch>,
    state: &watch::Sender<State>,
    lease: &mut Lease,
    moves: &mut watch::Receiver<u64>,
    stopped: &mut oneshot::Receiver<()>,
) -> bool {
    let mut renew = Instant::now() + lease.life() / 2;
    loop {
        match switch.upgrade() {
            Some(switch) => switch.mapped_at(Some(lease.address())),
            None => return true,
        }
        state.send_if_modified(|state| {
            let same = matches!(state, State::Mapped(address) if *address == lease.address());
            *state = State::Mapped(lease.address());
            !same
        });
        let look = Instant::now() + LOOK;
        tokio::select! {
            () = sleep_until(look.min(renew)) => {}
            changed = moves.changed() => if changed.is_err() { return true },
            _ = &mut *stopped => return true,
        }
        if !lease.is_of(router().await.ok()) {
            return false;
        }
        if Instant::now() >= renew {
            tokio::select! {
                renewed = lease.renew() => if !renewed { return false },
                _ = &mut *stopped => return true,
            }
            renew = Instant::now() + lease.life() / 2;
        }
    }
}

/// The router, and this machine's address towards it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Router {
    at: IpAddr,
    own: IpAddr,
}

/// The default router.
#[cfg(target_os = "linux")]
fn gateway() -> Result<std::net::Ipv4Addr, String> {
    let table = std::fs::read_to_string("/proc/net/route").map_err(|error| error.to_string())?;
    route::gateway(&table).ok_or_else(|| "there is no default route".into())
}

/// The default router.
#[cfg(not(target_os = "linux"))]
fn gateway() -> Result<std::net::Ipv4Addr, String> {
    let gateway = netdev::get_default_gateway()?;
    gateway.ipv4.first().copied().ok_or_else(|| "it has no IPv4 address".into())
}

/// Looks it up; the system may take milliseconds for that, so not on this thread.
async fn router() -> Result<Router, MappingError> {
    let looked = tokio::task::spawn_blocking(|| {
        let at: IpAddr = gateway().map_err(MappingError::NoRouter)?.into();
        // Nothing is sent by that.
        let towards = || {
            let socket = std::net::UdpSocket::bind(("0.0.0.0", 0))?;
            socket.connect((at, crab_nat::GATEWAY_PORT))?;
            socket.local_addr()
        };
        let own = towards().map_err(|error| MappingError::NoRouter(error.to_string()))?.ip();
        Ok(Router { at, own })
    });
    looked.await.unwrap_or(Err(MappingError::Closed))
}

async fn ask(bound: SocketAddr) -> Result<Lease, MappingError> {
    let router = router().await?;
    let fits = bound.ip().is_unspecified() || bound.ip().to_canonical() == router.own;
    let Some(port) = std::num::NonZeroU16::new(bound.port()).filter(|_| fits) else {
        return Err(MappingError::Bound { address: bound });
    };
    Lease::ask(router, port).await
}
