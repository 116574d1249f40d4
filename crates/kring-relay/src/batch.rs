//! Datagrams on their way out, put together by where they go.
//!
//! Guarantee: what goes one way leaves in the order in which it came; at most [`MOST`] datagrams wait, in one block of memory
//! that is taken once, whoever sends what.

use quinn::udp::EcnCodepoint;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::{IpAddr, SocketAddr};

/// Datagrams that wait at a time. A busy relay finds as many in its socket, and then some of them go the same way.
pub(crate) const MOST: usize = 512;
/// Bytes of them, from which on no more are taken.
const BYTES: usize = 512 << 10;
/// With the last one, however long it is.
const MEMORY: usize = BYTES + (64 << 10);
/// The longest run, in bytes: what one IP packet holds, headers deducted.
const RUN: usize = 65_000;
/// No piece follows.
const END: u32 = u32::MAX;

/// Tokens are drawn evenly by the relay itself, so each is its own hash, and nobody can choose some that collide.
#[derive(Default)]
pub(crate) struct Itself(u64);

impl Hasher for Itself {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A table by token.
pub(crate) type ByToken<T> = HashMap<u64, T, BuildHasherDefault<Itself>>;

/// Where a datagram goes, from which of the relay's addresses, and how it is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) to: SocketAddr,
    pub(crate) from: Option<IpAddr>,
    pub(crate) ecn: Option<EcnCodepoint>,
}

/// Datagrams of one way, all of one length but the last, which may be shorter: the system sends them in one go.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) way: Way,
    /// The length of each but the last, in bytes.
    pub(crate) segment: usize,
    pub(crate) count: usize,
    /// Runs of one way have to leave by this number, from 0.
    pub(crate) round: usize,
    bytes: usize,
    first: u32,
    last: u32,
}

/// A stretch of the memory, and the number of that which follows it in its run.
#[derive(Debug, Clone, Copy)]
struct Piece {
    at: usize,
    len: usize,
    next: u32,
}

/// What goes out next.
#[derive(Debug)]
pub(crate) struct Batch {
    memory: Vec<u8>,
    pieces: Vec<Piece>,
    runs: Vec<Run>,
    /// The last run of each receiver, by its token.
    open: ByToken<usize>,
    datagrams: usize,
}

impl Batch {
    /// An empty one.
    #[must_use]
    pub(crate) fn new() -> Batch {
        let (memory, pieces, runs) =
            (Vec::with_capacity(MEMORY), Vec::with_capacity(MOST), Vec::with_capacity(MOST));
        Batch { memory, pieces, runs, open: ByToken::default(), datagrams: 0 }
    }

    /// Whether it has to go out before more is added.
    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        self.datagrams >= MOST || self.memory.len() >= BYTES
    }

    /// Datagrams and bytes.
    #[must_use]
    pub(crate) fn size(&self) -> (u64, u64) {
        (self.datagrams as u64, self.memory.len() as u64)
    }

    /// Adds a datagram made of `head` and `tail` for the side `receiver`, in a run of at most `most`.
    pub(crate) fn add(&mut self, receiver: u64, way: Way, most: usize, head: &[u8], tail: &[u8]) {
        let (at, len) = (self.memory.len(), head.len() + tail.len());
        self.memory.extend_from_slice(head);
        self.memory.extend_from_slice(tail);
        self.datagrams += 1;
        let (number, piece) = (self.pieces.len() as u32, Piece { at, len, next: END });
        let mut round = 0;
        match self.open.entry(receiver) {
            Entry::Occupied(mut open) => {
                let run = &mut self.runs[*open.get()];
                let fits = run.way == way
                    && len <= run.segment
                    && run.bytes == run.count * run.segment
                    && run.count < most
                    && run.bytes + len <= RUN;
                if fits {
                    (run.count, run.bytes) = (run.count + 1, run.bytes + len);
                    let last = &mut self.pieces[run.last as usize];
                    if last.at + last.len == at {
                        last.len += len;
                    } else {
                        (last.next, run.last) = (number, number);
                        self.pieces.push(piece);
                    }
                    return;
                }
                round = run.round + 1;
                open.insert(self.runs.len());
            }
            Entry::Vacant(open) => {
                open.insert(self.runs.len());
            }
        }
        self.pieces.push(piece);
        let run = Run { way, segment: len, count: 1, round, bytes: len, first: number, last: number };
        self.runs.push(run);
    }

    /// What goes out, each way in the order of its runs' rounds.
    #[must_use]
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The bytes of a run, in order.
    pub(crate) fn pieces(&self, run: &Run) -> impl Iterator<Item = &[u8]> {
        let mut next = run.first;
        std::iter::from_fn(move || {
            let piece = self.pieces.get(next as usize)?;
            next = piece.next;
            Some(&self.memory[piece.at..piece.at + piece.len])
        })
    }

    /// Empties it.
    pub(crate) fn clear(&mut self) {
        self.memory.clear();
        self.pieces.clear();
        self.runs.clear();
        self.open.clear();
        self.datagrams = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(port: u16) -> Way {
        Way { to: SocketAddr::from(([192, 0, 2, 1], port)), from: None, ecn: None }
    }

    fn text(batch: &Batch, run: usize) -> String {
        let bytes: Vec<u8> = batch.pieces(&batch.runs()[run]).flatten().copied().collect();
        String::from_utf8(bytes).unwrap()
    }

    /// Segment, count, round, text.
    fn runs(batch: &Batch) -> Vec<(usize, usize, usize, String)> {
        let run = |(n, run): (usize, &Run)| (run.segment, run.count, run.round, text(batch, n));
        batch.runs().iter().enumerate().map(run).collect()
    }

    #[test]
    fn what_goes_one_way_leaves_together_and_in_order() {
        let mut batch = Batch::new();
        for n in 0..3 {
            for receiver in 1..=2 {
                batch.add(receiver, way(receiver as u16), 64, b"h", format!("{receiver}{n}").as_bytes());
            }
        }
        let run = |text: &str| (3, 3, 0, text.to_owned());
        assert_eq!(runs(&batch), [run("h10h11h12"), run("h20h21h22")]);
        assert_eq!(batch.size(), (6, 18));
        batch.clear();
        assert!(batch.runs().is_empty() && batch.size() == (0, 0));
    }

    #[test]
    fn only_the_last_of_a_run_may_be_shorter_and_what_follows_is_a_run_of_a_later_round() {
        let mut batch = Batch::new();
        for text in ["aaa", "bbb", "c", "d", "eeee"] {
            batch.add(7, way(7), 64, b"", text.as_bytes());
        }
        let run = |segment, count, round, text: &str| (segment, count, round, text.to_owned());
        assert_eq!(runs(&batch), [run(3, 3, 0, "aaabbbc"), run(1, 1, 1, "d"), run(4, 1, 2, "eeee")]);
    }

    #[test]
    fn another_address_mark_or_too_many_begin_a_new_run() {
        let mut batch = Batch::new();
        let marked = Way { ecn: Some(EcnCodepoint::Ce), ..way(1) };
        for (way, most) in [(way(1), 64), (way(2), 64), (marked, 64), (marked, 64), (marked, 2)] {
            batch.add(1, way, most, b"", b"x");
        }
        let counts: Vec<_> = batch.runs().iter().map(|run| (run.count, run.round)).collect();
        assert_eq!(counts, [(1, 0), (1, 1), (2, 2), (1, 3)]);
    }

    #[test]
    fn a_run_fits_into_an_ip_packet_and_a_batch_into_its_memory() {
        let mut batch = Batch::new();
        let before = batch.memory.capacity();
        while !batch.is_full() {
            batch.add(1, way(1), 64, b"", &[0; 1400]);
        }
        assert!(batch.runs().iter().all(|run| run.bytes <= RUN && run.count <= 64));
        assert_eq!(batch.memory.capacity(), before);
    }
}
