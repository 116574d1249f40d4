//! What happened, as a running hash and, if wanted, as lines to read.
//!
//! Guarantee: every packet that arrives, every event and everything played or shown goes into the hash with its time,
//! so two runs with equal hashes were the same run.

use kring_core::handshake::Role;
use kring_core::time::Time;
use sha2::{Digest, Sha256};
use std::fmt;

/// The hash of a run.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// A run's trace.
#[derive(Debug, Default)]
pub struct Trace {
    hash: Sha256,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// `readable`: lines are kept too.
    #[must_use]
    pub fn new(readable: bool) -> Trace {
        Trace { hash: Sha256::new(), lines: readable.then(Vec::new) }
    }

    /// Notes bytes that went one way or the other, or were played.
    pub fn bytes(&mut self, now: Time, at: Role, kind: u8, bytes: &[u8]) {
        let mut head = [kind; 18];
        head[0] = at.leaf();
        head[1..9].copy_from_slice(&now.as_micros().to_be_bytes());
        head[9..17].copy_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.hash.update(head);
        self.hash.update(bytes);
    }

    /// Notes what happened at one side.
    pub fn event(&mut self, now: Time, at: Role, what: &dyn fmt::Display) {
        let what = what.to_string();
        self.bytes(now, at, b'e', what.as_bytes());
        self.line(now, at, &what);
    }

    /// A line for people only.
    pub fn line(&mut self, now: Time, at: Role, what: &dyn fmt::Display) {
        if let Some(lines) = &mut self.lines {
            let who = match at {
                Role::Caller => "caller",
                Role::Callee => "callee",
            };
            let millis = now.as_micros() as f64 / 1000.0;
            lines.push(format!("{millis:>10.3} ms  {who}  {what}"));
        }
    }

    /// The hash and the lines.
    #[must_use]
    pub fn finish(self) -> (Hash, Vec<String>) {
        (Hash(self.hash.finalize().into()), self.lines.unwrap_or_default())
    }
}
