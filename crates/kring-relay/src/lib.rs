//! A relay: where callers meet who can't reach each other, and what forwards their packets.
//!
//! Guarantee: it holds no key to what passes through, keeps nothing on the disk (but its own key, if told to), logs no
//! address, and stays within the [`Limits`] that its operator sets, whatever comes.
//!
//! `docs/relay.md` says how to run one, `docs/protocol.md`, "Relay", what goes over the wire.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = kring_relay::Config::default();
//! config.bind = "127.0.0.1:0".parse()?;
//! let relay = kring_relay::Relay::start(config).await?;
//! println!("callers use --relay {}#{}", relay.address(), relay.pin());
//! relay.stop().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod batch;
mod config;
mod control;
pub mod doctor;
mod forward;
mod key;
mod limits;
mod metrics;
mod port;
mod quic;
mod relay;
mod rendezvous;
mod send;
mod sessions;
mod shared;
mod sockets;

pub use config::{Config, ConfigError, Limits};
pub use key::KeyError;
pub use metrics::Metrics;
pub use relay::{Relay, StartError};
