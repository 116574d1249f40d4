//! Relays: how two who can't reach each other directly meet, and exchange packets that are sealed before they get here.
//!
//! Guarantee: a relay is trusted with nothing. It learns addresses, mailboxes, times and sizes; it can refuse, drop and
//! delay; it can't read, nor pretend to be, anybody. docs/protocol.md, "Relay", has every byte.
//!
//! A callee [listens](Client::listen) at a [`Mailbox`], which its ticket names; a caller [dials](Client::dial) there. The
//! relay gives each a [`Session`]: what one [wraps](Session::wrap) and sends to the relay arrives at the other, where
//! [`shim::parse`] unwraps it. A session begins bound to where the control connection comes from; [`Binding`] keeps it so
//! when that changes. A [`Keeper`] comes back to its relay after whatever happened.
//!
//! ```no_run
//! # async fn example(endpoint: kring_net::Endpoint, key: kring_net::relay::MailboxKey) -> Result<(), Box<dyn std::error::Error>> {
//! use kring_net::relay::{Client, Event, RelayAddress, resolve};
//!
//! let relay: RelayAddress = "relay.example:443".parse()?;
//! let address = resolve(&relay).await?[0];
//! let (client, mut events) = Client::connect(&endpoint, address, relay.pin()).await?;
//! client.listen(&key).await?;
//! while let Some(event) = events.next().await {
//!     if let Event::Incoming { session, .. } = event {
//!         println!("somebody is at {:?} of {}", session.handle.token, session.relay);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod address;
mod backoff;
mod binding;
mod client;
pub mod frame;
pub mod hop;
mod keep;
mod keys;
pub mod message;
pub mod shim;
#[cfg(test)]
mod vectors;
mod wire;

pub use address::{AddressError, RelayAddress};
pub use backoff::Backoff;
pub use binding::Binding;
pub use client::{Client, Event, Events, Packets, Session, Way};
pub use keep::{Keeper, News};
pub use keys::{Mailbox, MailboxKey, NoRandomness, Pin, PinError, SessionSecret, Token};
pub use message::{Handle, Reason, Refused, Resume};
pub use wire::Malformed;

use std::io;
use std::net::SocketAddr;

/// Why there is no connection to a relay.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Its name has no address.
    #[error("no address of the relay {relay} can be found: {source}")]
    Resolve {
        /// Which.
        relay: RelayAddress,
        /// What the system says.
        source: io::Error,
    },
    /// QUIC does not come about.
    #[error("the relay: {0}")]
    Quic(#[from] crate::ConnectError),
    /// TCP or TLS over it does not come about.
    #[error("no connection to the relay at {address} over TCP: {source}")]
    Tcp {
        /// Where.
        address: SocketAddr,
        /// What the system or TLS says.
        source: io::Error,
    },
    /// This side can't set up TLS.
    #[error(transparent)]
    Tls(#[from] crate::BindError),
    /// It ended as soon as it was there.
    #[error("the connection to the relay ended at once")]
    Lost,
}

/// Why a relay did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It says why.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The connection is over; connect again, after a [`Backoff`].
    #[error("the connection to the relay is lost")]
    Lost,
}

/// The addresses of a relay, at least one. Asks a name server unless it is named by an address.
///
/// # Errors
/// [`ConnectError::Resolve`].
pub async fn resolve(relay: &RelayAddress) -> Result<Vec<SocketAddr>, ConnectError> {
    let failed = |source| ConnectError::Resolve { relay: relay.clone(), source };
    let found = tokio::net::lookup_host((relay.host(), relay.port())).await.map_err(failed)?;
    let addresses: Vec<_> = found.collect();
    if addresses.is_empty() {
        return Err(failed(io::ErrorKind::NotFound.into()));
    }
    Ok(addresses)
}
