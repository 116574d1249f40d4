//! BitTorrent's DHT (BEP 5), as a place where a small value lies under a public key (BEP 44).
//!
//! Guarantee: what is got was signed by the key under which it lies. The nodes of the DHT see this machine's address, when it asks or
//! leaves something, and under which key.

/// A DHT of one's own, for tests.
#[doc(hidden)]
pub use mainline::Testnet;
use mainline::async_dht::AsyncDht;
use mainline::{MutableItem, SigningKey};
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// How long asking or leaving may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest value (BEP 44), in bytes.
pub const MAX_VALUE: usize = 1000;

/// Why nothing was left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The nodes do not take it.
    #[error("the DHT takes nothing: {0}")]
    Refused(String),
    /// They do not answer.
    #[error("the DHT does not answer")]
    Silent,
}

/// A client of the DHT: it asks, and answers nobody. Clones are the same.
#[derive(Clone)]
pub struct Dht {
    inner: AsyncDht,
}

impl Dht {
    /// Begins at `nodes` (HOST:PORT), or where BitTorrent's clients begin; looks their names up, and so belongs on a thread that may wait.
    ///
    /// # Errors
    /// If there is no socket.
    pub fn new(nodes: Option<&[String]>) -> io::Result<Dht> {
        let mut builder = mainline::Dht::builder();
        if let Some(nodes) = nodes {
            builder.bootstrap(nodes);
        }
        Ok(Dht { inner: builder.build()?.as_async() })
    }

    /// Leaves `value` under the key of that seed (Ed25519); `sequence` has to grow.
    ///
    /// # Errors
    /// A [`PutError`].
    pub async fn put(&self, seed: &[u8; 32], value: &[u8], sequence: i64) -> Result<(), PutError> {
        let item = MutableItem::new(SigningKey::from_bytes(seed), value, sequence, None);
        match timeout(PATIENCE, self.inner.put_mutable(item, None)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(PutError::Refused(error.to_string())),
            Err(_) => Err(PutError::Silent),
        }
    }

    /// The latest value under a public key, if there is one.
    pub async fn get(&self, key: &[u8; 32]) -> Option<Vec<u8>> {
        let item = timeout(PATIENCE, self.inner.get_mutable_most_recent(key, None)).await.ok()??;
        Some(item.value().to_vec()).filter(|value| value.len() <= MAX_VALUE)
    }
}
