//! The internet between homes and server: an Ethernet switch whose every frame is on its way for a while.
//!
//! Guarantee: a frame comes out no earlier than after the delay, and in order; with the [`Wan`] its devices are gone.
//!
//! Each place has a TAP device, whose other end is here: no offloads, so packets have their real sizes on the wire.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tappers::{Interface, Tap};

/// An Ethernet frame without jumbo ones (14 B header, 1,500 B), and some room.
const FRAME: usize = 1600;
/// Destination and source addresses, and what is inside.
const HEADER: usize = 14;

/// A frame on its way.
struct Flight {
    due: Instant,
    to: Vec<Arc<Tap>>,
    frame: Vec<u8>,
}

#[derive(Default)]
struct Switch {
    ports: Vec<Arc<Tap>>,
    /// Behind which port an address is.
    known: HashMap<[u8; 6], usize>,
    /// Who has sent to whom.
    seen: BTreeSet<(IpAddr, IpAddr)>,
}

/// The switch, until it is dropped.
pub(crate) struct Wan {
    switch: Arc<Mutex<Switch>>,
    flights: Sender<Flight>,
    delay: Duration,
}

impl Wan {
    /// A frame takes `delay` from any place to any other.
    pub(crate) fn new(delay: Duration) -> Wan {
        let (flights, incoming) = channel();
        std::thread::spawn(move || land(&incoming));
        Wan { switch: Arc::default(), flights, delay }
    }

    /// Who has sent to whom so far, or asked for whom.
    pub(crate) fn seen(&self) -> BTreeSet<(IpAddr, IpAddr)> {
        self.switch.lock().expect("no port panics").seen.clone()
    }

    /// A new device of that name (15 characters at most) in this process's network, to be moved where it is wanted.
    pub(crate) fn port(&self, name: &str) -> io::Result<()> {
        let tap = Arc::new(Tap::new_named(Interface::new(name)?)?);
        let mut switch = self.switch.lock().expect("no port panics");
        let number = switch.ports.len();
        switch.ports.push(tap.clone());
        let (switch, flights, delay) = (self.switch.clone(), self.flights.clone(), self.delay);
        std::thread::spawn(move || carry(number, &tap, &switch, &flights, delay));
        Ok(())
    }
}

/// From whom to whom a frame is, by its packet, or by what it asks for.
fn ends(frame: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let v4 = |at: usize| Some(Ipv4Addr::from(*frame.get(at..)?.first_chunk::<4>()?).into());
    let v6 = |at: usize| Some(Ipv6Addr::from(*frame.get(at..)?.first_chunk::<16>()?).into());
    match frame.get(12..HEADER)? {
        [0x08, 0x00] => Some((v4(26)?, v4(30)?)),
        // Who has that address? (RFC 826)
        [0x08, 0x06] => Some((v4(28)?, v4(38)?)),
        [0x86, 0xdd] => Some((v6(22)?, v6(38)?)),
        _ => None,
    }
}

impl Drop for Wan {
    fn drop(&mut self) {
        // The readers hold theirs until the devices are gone with their namespaces.
        self.switch.lock().expect("no port panics").ports.clear();
    }
}

/// Takes what a place sends.
fn carry(port: usize, tap: &Tap, switch: &Mutex<Switch>, flights: &Sender<Flight>, delay: Duration) {
    let mut buffer = [0; FRAME];
    // A device that is gone, or down for good, is an error.
    loop {
        let len = match tap.recv(&mut buffer) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let due = Instant::now() + delay;
        let frame = &buffer[..len];
        if len < HEADER {
            continue;
        }
        let [to, from] = [0, 6].map(|at| <[u8; 6]>::try_from(&frame[at..at + 6]).expect("six bytes"));
        let mut switch = switch.lock().expect("no port panics");
        switch.known.insert(from, port);
        switch.seen.extend(ends(frame));
        // The lowest bit of the first byte is that of groups (IEEE 802.3, section 3.2.3).
        let one = switch.known.get(&to).filter(|_| to[0] & 1 == 0).copied();
        let goes = |number: &usize| *number != port && one.is_none_or(|one| one == *number);
        let to = (0..switch.ports.len()).filter(goes).map(|number| switch.ports[number].clone()).collect();
        drop(switch);
        if flights.send(Flight { due, to, frame: frame.to_vec() }).is_err() {
            return;
        }
    }
}

/// Hands over what has been on its way for long enough.
fn land(flights: &Receiver<Flight>) {
    while let Ok(Flight { due, to, frame }) = flights.recv() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for tap in to {
            // A place that has been unplugged gets nothing.
            let _ = tap.send(&frame);
        }
    }
}
