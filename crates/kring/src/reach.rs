//! The ways of one call: what its two ends tell each other of where they are, and which way its packets take.
//!
//! Guarantee: nothing of where this side is leaves before it has answered (or dialled) and the peer is proven, and with a
//! relay only, nothing at all.

use crate::dial::RelayDial;
use crate::endpoint::Common;
use crate::event::Event;
use crate::shared::Shared;
use kring_core::handshake::Role;
use kring_core::ways::{self, CheckCredentials, SessionName, Ways};
use kring_net::Connection;
use kring_net::path::{Candidate, CandidateKind, Credentials, Link, PathEvent, PathKind, Paths};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

/// How packets get to the other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// From address to address.
    #[default]
    Direct,
    /// Through a relay, which sees how much and when, but not what.
    Relayed,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Path::Direct => "direct",
            Path::Relayed => "relayed",
        })
    }
}

impl From<PathKind> for Path {
    fn from(kind: PathKind) -> Path {
        match kind {
            PathKind::Direct => Path::Direct,
            PathKind::Relayed => Path::Relayed,
        }
    }
}

/// The part of one call's driver that deals with its ways.
pub(crate) struct Reach {
    common: Arc<Common>,
    shared: Arc<Shared>,
    /// None without randomness.
    paths: Option<(Paths, CheckCredentials)>,
    /// What the peer has to be told as soon as it may be.
    untold: Option<Vec<ways::Candidate>>,
    /// What the peer has told; to look there would tell it where this side is.
    unused: Option<Ways>,
    /// Caller: a relay's session to fall back on, on its way.
    fallback: Option<oneshot::Receiver<Link>>,
}

/// What [`Reach::next`] waited for.
pub(crate) enum Step {
    Path(PathEvent),
    Fallback(Link),
}

impl Reach {
    /// For a call over `connection`. A caller who came directly gets a session with the `relay` of the ticket besides.
    pub(crate) fn new(
        common: &Arc<Common>,
        shared: &Arc<Shared>,
        connection: &Connection,
        role: Role,
        relay: Option<RelayDial>,
    ) -> Reach {
        let kind = if connection.is_through_relay() { Path::Relayed } else { Path::Direct };
        shared.set_path(kind);
        let own = CheckCredentials::generate(&*common.provider);
        let paths = own.ok().map(|own| {
            let direct = !common.relays.only();
            (common.net.paths(connection, credentials(&own), role == Role::Caller, direct), own)
        });
        let fallback = relay.filter(|_| kind == Path::Direct && role == Role::Caller).map(|relay| {
            let (found, fallback) = oneshot::channel();
            let common = common.clone();
            tokio::spawn(async move {
                match relay.fallback(&common).await {
                    Ok(link) => drop(found.send(link)),
                    Err(_) => tracing::debug!("no relay to fall back on"),
                }
            });
            fallback
        });
        let (common, shared) = (common.clone(), shared.clone());
        Reach { common, shared, paths, untold: None, unused: None, fallback }
    }

    /// The next thing that happens. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Step {
        let Reach { paths, fallback, .. } = self;
        let path = async {
            match paths {
                Some((paths, _)) => paths.next().await,
                None => std::future::pending().await,
            }
        };
        let link = async {
            match fallback {
                Some(link) => link.await.ok(),
                None => std::future::pending().await,
            }
        };
        let link = tokio::select! {
            event = path => return Step::Path(event),
            link = link => link,
        };
        *fallback = None;
        match link {
            Some(link) => Step::Fallback(link),
            None => std::future::pending().await,
        }
    }

    /// Does what follows.
    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Path(PathEvent::Candidates(found)) => {
                self.untold = Some(found.into_iter().map(outward).collect());
                self.tell();
            }
            Step::Path(PathEvent::Moved(kind)) => {
                let path = Path::from(kind);
                self.shared.core(|call| call.path_changed(self.shared.clock.now()));
                self.shared.moved.store(true, Ordering::Relaxed);
                self.shared.set_path(path);
                self.shared.events.push(Event::Path(path));
            }
            Step::Path(_) => {}
            Step::Fallback(link) => {
                self.shared.core(|call| call.tell_session(&link.session_name()));
                if let Some((paths, _)) = &mut self.paths {
                    paths.attach(link);
                }
            }
        }
    }

    /// Tells the peer where this side is, and looks where the peer is, if it may be told.
    pub(crate) fn tell(&mut self) {
        let (Some((_, own)), false) = (&self.paths, self.common.relays.only()) else { return };
        let may = || self.shared.core(|call| call.may_tell_ways()).unwrap_or(false);
        if (self.untold.is_none() && self.unused.is_none()) || !may() {
            return;
        }
        if let Some(candidates) = self.untold.take() {
            let ways = Ways { credentials: own.clone(), candidates };
            self.shared.core(|call| call.tell_ways(&ways));
        }
        if let (Some(ways), Some((paths, _))) = (self.unused.take(), &self.paths) {
            let candidates = ways.candidates.iter().map(inward).collect();
            paths.set_peer(credentials(&ways.credentials), candidates);
        }
    }

    /// The peer tells where it is.
    pub(crate) fn peer_ways(&mut self, ways: Ways) {
        self.unused = Some(ways);
        self.tell();
    }

    /// The caller tells which session with a relay goes with this call.
    pub(crate) fn peer_session(&mut self, name: &SessionName) {
        if let (Some((paths, _)), Some(link)) = (&mut self.paths, self.common.net.take_session(name)) {
            paths.attach(link);
        }
    }
}

fn credentials(of: &CheckCredentials) -> Credentials {
    Credentials::new(&of.name, &of.password)
}

fn outward(candidate: Candidate) -> ways::Candidate {
    let kind = match candidate.kind {
        CandidateKind::Host => ways::CandidateKind::Host,
        CandidateKind::ServerReflexive => ways::CandidateKind::ServerReflexive,
        CandidateKind::Mapped => ways::CandidateKind::Mapped,
    };
    ways::Candidate { kind, priority: candidate.priority, address: candidate.address }
}

fn inward(candidate: &ways::Candidate) -> Candidate {
    let kind = match candidate.kind {
        ways::CandidateKind::Host => CandidateKind::Host,
        ways::CandidateKind::ServerReflexive => CandidateKind::ServerReflexive,
        ways::CandidateKind::Mapped => CandidateKind::Mapped,
    };
    Candidate { kind, priority: candidate.priority, address: candidate.address }
}
