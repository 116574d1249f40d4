//! The control stream as frames.
//!
//! Guarantee: at most one frame is buffered, of 65,537 bytes and what came with its last piece.

use kring_net::{Closed, Connection, RecvStream, SendStream};
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// What came instead of what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// The other side closed the connection with this code.
    Close(u64),
    /// The connection broke.
    Broken,
    /// Nothing, in that time.
    Nothing(Duration),
    /// A frame longer than allowed.
    TooLong(usize),
    /// A message that does not open.
    Sealed,
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Came::Close(code) => write!(f, "the connection's end with code {code:#x}"),
            Came::Broken => f.write_str("the connection's end without a code"),
            Came::Nothing(time) => write!(f, "nothing in {} s", time.as_secs()),
            Came::TooLong(len) => write!(f, "a frame of {len} bytes"),
            Came::Sealed => f.write_str("a message that does not open"),
        }
    }
}

impl From<Closed> for Came {
    fn from(closed: Closed) -> Came {
        match closed {
            Closed::ByPeer(code) => Came::Close(code),
            Closed::Locally | Closed::Broken => Came::Broken,
        }
    }
}

/// The control stream of a connection.
pub(crate) struct Link {
    pub(crate) connection: Connection,
    send: SendStream,
    recv: RecvStream,
    buffer: Vec<u8>,
    pub(crate) patience: Duration,
}

impl Link {
    pub(crate) fn new(
        connection: Connection,
        (send, recv): (SendStream, RecvStream),
        patience: Duration,
    ) -> Link {
        Link { connection, send, recv, buffer: Vec::new(), patience }
    }

    /// Writes `bytes` as they are. That the other side does not read any more shows when its answer is waited for.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = timeout(self.patience, self.send.write_all(bytes)).await;
    }

    /// Whether bytes have come that were not taken.
    pub(crate) fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next frame, of at most `max` bytes. May be dropped at any point without losing anything.
    pub(crate) async fn frame(&mut self, max: usize, until: Instant) -> Result<Vec<u8>, Came> {
        loop {
            if let Some((len, rest)) = self.buffer.split_first_chunk::<2>() {
                let len = usize::from(u16::from_be_bytes(*len));
                if len > max {
                    return Err(Came::TooLong(len));
                }
                if rest.len() >= len {
                    let frame = rest[..len].to_vec();
                    self.buffer.drain(..2 + len);
                    return Ok(frame);
                }
            }
            match timeout_at(until, self.recv.read_chunk(4096, true)).await {
                Ok(Ok(Some(chunk))) => self.buffer.extend_from_slice(&chunk.bytes),
                // The stream has ended: so will the connection.
                Ok(Ok(None) | Err(_)) => return Err(self.closed(until).await),
                Err(_) => return Err(Came::Nothing(self.patience)),
            }
        }
    }

    /// How the connection ended.
    pub(crate) async fn closed(&self, until: Instant) -> Came {
        match timeout_at(until, self.connection.closed()).await {
            Ok(closed) => closed.into(),
            Err(_) => Came::Nothing(self.patience),
        }
    }

    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.patience
    }
}

/// `message` behind its length.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).expect("no message of ours is longer than 65,535 bytes");
    [&len.to_be_bytes()[..], message].concat()
}
