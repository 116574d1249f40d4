//! Runs the agent of one connection, and tells the table which way it has found.
//!
//! Guarantee: while a call that began directly hears its peer, no check is sent; a change of the network is answered at
//! once: by the relay if there is one, and by checks from the new addresses.

use super::agent::{Agent, Candidate, Credentials, Found};
use super::awake;
use super::names::is_name;
use super::socket::Switch;
use super::station::Link;
use super::table::{Check, Direct, key};
use crate::Connection;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Checks that wait.
const CHECKS: usize = 64;
/// Commands and events that wait.
const QUEUE: usize = 16;
/// How often it is looked whether the way has changed.
const LOOK: Duration = Duration::from_millis(100);
/// The same while there is but one way.
const IDLE: Duration = Duration::from_secs(1);
/// How long the ways stay after their last use.
const LINGER: Duration = Duration::from_secs(3);

type Seen = Vec<(SocketAddr, SocketAddr)>;

/// How often a relay that has fallen silent is asked whether it is there.
const DOUBT: Duration = Duration::from_secs(4);
/// How often a relayed call tries all addresses anew.
const RETRY: Duration = Duration::from_secs(60);

/// How packets get to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PathKind {
    /// From address to address.
    Direct,
    /// Through a relay.
    Relayed,
}

/// What happens on the paths of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathEvent {
    /// Where this side may be found, in place of what was told before: for the peer.
    Candidates(Vec<Candidate>),
    /// Packets go another way from now on.
    Moved(PathKind),
}

enum Command {
    Peer(Credentials, Vec<Candidate>),
    Attach(Link),
}

/// The ways of one connection. Dropping it leaves the connection the way that it has.
pub struct Paths {
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<PathEvent>,
    links: Vec<Link>,
}

impl Drop for Paths {
    fn drop(&mut self) {
        self.links.iter().for_each(Link::over);
    }
}

impl Paths {
    /// Takes over; `direct` says whether anything but the relay may be used.
    pub(crate) fn over(
        switch: &Arc<Switch>,
        connection: &Connection,
        own: Credentials,
        controlling: bool,
        direct: bool,
    ) -> Paths {
        let (commands, from_app) = mpsc::channel(QUEUE);
        let (to_app, events) = mpsc::channel(QUEUE);
        let (to, checks) = mpsc::channel(CHECKS);
        if direct {
            switch.with(|table| table.set_checks(own.user(), Some(to)));
        }
        let name = key(connection.remote_address());
        let links: Vec<Link> = connection.link().into_iter().collect();
        let task = Task {
            agent: Agent::new(&own, controlling),
            user: own.user().to_owned(),
            switch: Arc::downgrade(switch),
            connection: connection.clone(),
            name,
            direct,
            active: false,
            best: None,
            answers: 0,
            told: Vec::new(),
            shown: None,
            links: links.clone(),
            doubted: Instant::now(),
            tried: Instant::now(),
            to_app,
        };
        tokio::spawn(task.run(from_app, checks, switch.moves(), switch.seen(), switch.mapped()));
        Paths { commands, events, links }
    }

    /// Where the peer says that it may be found, in place of what it said before.
    pub fn set_peer(&self, credentials: Credentials, candidates: Vec<Candidate>) {
        let _ = self.commands.try_send(Command::Peer(credentials, candidates));
    }

    /// Gives the connection another way, to fall back on.
    pub fn attach(&mut self, link: Link) {
        self.links.push(link.clone());
        let _ = self.commands.try_send(Command::Attach(link));
    }

    /// What happens next; waits for ever once the connection is over. Cancel-safe.
    pub async fn next(&mut self) -> PathEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

struct Task {
    agent: Agent,
    user: String,
    switch: Weak<Switch>,
    connection: Connection,
    /// By what QUIC knows the peer.
    name: SocketAddr,
    /// Whether anything but the relay may be used.
    direct: bool,
    /// Whether ways are looked for.
    active: bool,
    best: Option<Direct>,
    /// Answers on the best way so far.
    answers: u64,
    told: Vec<Candidate>,
    /// The way of which the app knows.
    shown: Option<(bool, SocketAddr)>,
    /// Sessions with relays that this connection uses.
    links: Vec<Link>,
    /// When they were last asked whether they still serve.
    doubted: Instant,
    /// When all pairs were tried last.
    tried: Instant,
    to_app: mpsc::Sender<PathEvent>,
}

impl Task {
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut checks: mpsc::Receiver<Check>,
        mut moves: watch::Receiver<u64>,
        mut seen: watch::Receiver<Seen>,
        mut mapped: watch::Receiver<Option<SocketAddr>>,
    ) {
        if let Some(switch) = self.switch.upgrade() {
            self.gather(&switch, &seen);
            self.shown = Some(self.way(&switch));
        }
        let mut look = Instant::now() + LOOK;
        loop {
            let due = self.agent.due().filter(|_| self.active).map_or(look, |due| due.min(look));
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Peer(credentials, candidates)) => {
                        self.agent.set_peer(&credentials, &candidates);
                        // A call that is direct already needs no other way, until it does.
                        self.active |= self.direct && (self.active || is_name(&self.name));
                        self.tick();
                    }
                    Some(Command::Attach(link)) => self.attach(link),
                    None => break,
                },
                Some(check) = checks.recv() => {
                    if self.agent.handle(Instant::now(), &check) {
                        self.active = true;
                    }
                }
                changed = moves.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.moved(&seen);
                }
                changed = seen.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    if let Some(switch) = self.switch.upgrade() {
                        self.gather(&switch, &seen);
                    }
                }
                changed = mapped.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    if let Some(switch) = self.switch.upgrade() {
                        self.gather(&switch, &seen);
                    }
                }
                () = sleep_until(due) => {
                    let idle = !self.active && self.links.is_empty();
                    look = if due >= look { due + if idle { IDLE } else { LOOK } } else { look };
                    self.tick();
                }
            }
            let Some(switch) = self.switch.upgrade() else { break };
            self.pass_on(&switch);
        }
        // The connection's last words go the way that it has.
        let Task { user, switch, connection, name, links, .. } = self;
        drop(connection);
        sleep(LINGER).await;
        drop(links);
        if let Some(switch) = switch.upgrade() {
            switch.with(|table| {
                table.set_checks(&user, None);
                if !is_name(&name) {
                    table.forget(name);
                }
            });
        }
    }

    fn tick(&mut self) {
        if self.active {
            self.agent.tick(Instant::now());
        }
    }

    /// The network has changed: the relay serves at once, and the rest is found out anew.
    fn moved(&mut self, seen: &watch::Receiver<Seen>) {
        let Some(switch) = self.switch.upgrade() else { return };
        self.told.clear();
        self.gather(&switch, seen);
        self.best = None;
        self.active = self.direct;
        switch.with(|table| table.clear_direct(Instant::now(), self.name));
        self.tick();
    }

    /// Finds this side's addresses, and has the peer told if they are others than before.
    fn gather(&mut self, switch: &Switch, seen: &watch::Receiver<Seen>) {
        if !self.direct {
            return;
        }
        let hosts = hosts(switch);
        let seen: Vec<_> = seen.borrow().iter().map(|(_, address)| *address).collect();
        let mapped = *switch.mapped().borrow();
        let told = self.agent.set_locals(&hosts, &seen, mapped);
        if told != self.told {
            self.told.clone_from(&told);
            let _ = self.to_app.try_send(PathEvent::Candidates(told));
        }
    }

    fn attach(&mut self, link: Link) {
        if let Some(switch) = self.switch.upgrade() {
            switch.with(|table| table.attach(Instant::now(), self.name, link.lane().clone()));
            link.serves(self.name);
            self.links.push(link);
        }
    }

    /// Whether the way is direct, and where it leads.
    fn way(&self, switch: &Switch) -> (bool, SocketAddr) {
        let direct = switch.with(|table| table.is_direct(Instant::now(), self.name));
        let direct = direct.unwrap_or(!is_name(&self.name));
        (direct, self.best.filter(|_| direct).map_or(self.name, |best| best.to))
    }

    /// Sends what the agent has to send, and does what follows from what it has found.
    fn pass_on(&mut self, switch: &Switch) {
        let now = Instant::now();
        let name = key(self.connection.remote_address());
        if name != self.name {
            switch.with(|table| table.rename(self.name, name));
            self.links.iter().for_each(|link| link.serves(name));
            self.name = name;
        }
        while let Some((from, to, bytes)) = self.agent.transmit() {
            if self.active {
                switch.send(to, Some(from), &bytes);
            }
        }
        while let Some(found) = self.agent.found() {
            match found {
                Found::Way(direct) => {
                    self.best = Some(direct);
                    self.answers = self.agent.answers();
                    switch.with(|table| table.set_direct(now, self.name, direct));
                }
                Found::Source(source) => switch.with(|table| table.add_source(self.name, source)),
                Found::Nothing => {
                    self.best = None;
                    switch.with(|table| table.clear_direct(now, self.name));
                }
            }
        }
        let (is_direct, _) = self.way(switch);
        let answers = self.agent.answers();
        if let Some(best) = self.best.filter(|_| answers > self.answers && !is_direct) {
            switch.with(|table| table.set_direct(now, self.name, best));
        }
        self.answers = answers;
        let way = self.way(switch);
        if !way.0 && self.active && self.best.is_none() && now >= self.tried + RETRY {
            self.tried = now;
            self.gather(switch, &switch.seen());
        }
        // A direct way that has fallen silent is looked for again; and a relay that has, has forgotten us or is gone.
        self.active |= self.direct && !way.0;
        if switch.with(|table| table.is_lane_silent(now, self.name)) && now >= self.doubted + DOUBT {
            self.doubted = now;
            self.links.iter().for_each(|link| link.lane().doubt());
        }
        if self.shown != Some(way) {
            self.shown = Some(way);
            let kind = if way.0 { PathKind::Direct } else { PathKind::Relayed };
            let _ = self.to_app.try_send(PathEvent::Moved(kind));
        }
    }
}

/// The addresses of this machine from which the socket sends, always in one order.
pub(crate) fn hosts(switch: &Switch) -> Vec<SocketAddr> {
    let Ok(bound) = switch.local_addr() else { return Vec::new() };
    if !bound.ip().is_unspecified() {
        return vec![key(bound)];
    }
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_loopback(),
        IpAddr::V6(ip) => bound.is_ipv6() && !ip.is_unicast_link_local() && !ip.is_loopback(),
    };
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    let mut ips: Vec<IpAddr> = all.into_iter().map(|interface| interface.ip()).filter(usable).collect();
    ips.sort();
    ips.dedup();
    ips.into_iter().map(|ip| SocketAddr::new(ip, bound.port())).collect()
}

/// How often it is looked whether the network has changed.
const WATCH: Duration = Duration::from_millis(200);
/// Who has not looked for so long longer has slept, and wakes up in another world: routers forget, addresses move on.
const SLEPT: Duration = Duration::from_secs(5);

/// Looks whether this machine's addresses have changed, or it has slept, until the socket is gone.
pub(crate) async fn watch_addresses(switch: Weak<Switch>) {
    let (mut before, mut looked) = (None, awake::now());
    loop {
        {
            let Some(switch) = switch.upgrade() else { return };
            let elapsed = awake::now().saturating_sub(std::mem::replace(&mut looked, awake::now()));
            // Nobody to tell, nothing to look for.
            if switch.is_used() {
                let now = hosts(&switch);
                let moved =
                    before.replace(now.clone()).is_some_and(|before| before != now) && !now.is_empty();
                if moved || elapsed > WATCH + SLEPT {
                    switch.network_changed();
                }
            } else {
                before = None;
            }
        }
        sleep(WATCH).await;
    }
}
