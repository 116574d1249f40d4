//! What an operator can set: by a file in TOML, by flags, and what holds without either.
//!
//! Guarantee: an unknown setting is an error; what is not set has the value that is documented here.

use kring_net::relay::RelayAddress;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A relay's settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Config {
    /// Where to listen, with UDP for QUIC and packets and with TCP for TLS. Default `[::]:4433`.
    pub bind: SocketAddr,
    /// Whether to listen with TCP as well, for clients that UDP does not reach. Default true.
    pub tcp: bool,
    /// The file that keeps the relay's key, so that clients can pin it and notice a restart at once; made if it is not
    /// there. Without one a key is drawn at each start and nothing is written.
    pub key_file: Option<PathBuf>,
    /// Where to show metrics for Prometheus, by HTTP. Default nowhere.
    pub metrics: Option<SocketAddr>,
    /// Relays to name to those that are refused, at most 4.
    #[serde(deserialize_with = "relays")]
    pub others: Vec<RelayAddress>,
    /// Threads that forward packets, each with a socket. Default one for each core, at most 8.
    pub threads: usize,
    /// Seconds that sessions may go on after SIGTERM. Default 300.
    #[serde(rename = "drain-seconds", deserialize_with = "seconds")]
    pub drain: Duration,
    /// How much there may be of what; a table of its own in the file.
    pub limits: Limits,
}

/// How much there may be of what.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Limits {
    /// Clients at a time. Default 20,000.
    pub max_clients: usize,
    /// Sessions at a time. Default 5,000.
    pub max_sessions: usize,
    /// Mbit/s that are forwarded in total, measured over a second, above which new sessions are refused; 0 for no such
    /// limit. Default 0.
    pub max_mbit: f64,
    /// The share of a forwarding thread's time above which new sessions are refused, and packets are soon lost. Default 0.75.
    pub max_load: f64,
    /// Mbit/s that one side of a session may send; what is beyond is dropped. Default 12.
    pub session_mbit: f64,
    /// Clients at a time from one address (one /64 of IPv6). Default 128.
    pub clients_per_address: u32,
    /// New clients a second from one address. Default 8, four times as many at once.
    pub client_rate_per_address: f64,
    /// Sessions at a time that one address has dialled. Default 64.
    pub sessions_per_address: u32,
    /// New sessions a second that one address dials. Default 2, ten times as many at once.
    pub session_rate_per_address: f64,
    /// Sessions at a time at one mailbox. Default 16.
    pub sessions_per_mailbox: u32,
    /// Mailboxes that one client listens at. Default 64.
    pub mailboxes_per_client: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_clients: 20_000,
            max_sessions: 5_000,
            max_mbit: 0.0,
            max_load: 0.75,
            session_mbit: 12.0,
            clients_per_address: 128,
            client_rate_per_address: 8.0,
            sessions_per_address: 64,
            session_rate_per_address: 2.0,
            sessions_per_mailbox: 16,
            mailboxes_per_client: 64,
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            bind: SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), 4433),
            tcp: true,
            key_file: None,
            metrics: None,
            others: Vec::new(),
            threads: std::thread::available_parallelism().map_or(1, |n| n.get().min(8)),
            drain: Duration::from_secs(300),
            limits: Limits::default(),
        }
    }
}

/// Why a configuration file is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It can't be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It does not say what it should.
    #[error("{}: {source}", .path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
    /// A value that makes no sense.
    #[error("expected {expected}, came {came}")]
    Value {
        /// What and within which range.
        expected: &'static str,
        /// What stands there.
        came: String,
    },
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// A [`ConfigError`].
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.into(), source })?;
        toml::from_str(&text)
            .map_err(|source| ConfigError::Form { path: path.into(), source: Box::new(source) })
    }

    /// Whether the values make sense.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let wrong = |expected, came: String| Err(ConfigError::Value { expected, came });
        if !(1..=64).contains(&self.threads) {
            return wrong("threads from 1 to 64", self.threads.to_string());
        }
        if self.others.len() > kring_net::relay::message::MAX_OTHERS {
            return wrong("at most 4 others", self.others.len().to_string());
        }
        if !(limits.max_load > 0.0 && limits.max_load <= 1.0) {
            return wrong("max-load above 0, at most 1", limits.max_load.to_string());
        }
        for (expected, value) in [
            ("session-mbit above 0", limits.session_mbit),
            ("client-rate-per-address above 0", limits.client_rate_per_address),
            ("session-rate-per-address above 0", limits.session_rate_per_address),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return wrong(expected, value.to_string());
            }
        }
        if !(limits.max_mbit >= 0.0 && limits.max_mbit.is_finite()) {
            return wrong("max-mbit of 0 or more", limits.max_mbit.to_string());
        }
        Ok(())
    }
}

fn relays<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<RelayAddress>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

fn seconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    Ok(Duration::from_secs(u32::deserialize(from)?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn an_empty_file_means_the_defaults_and_the_packaged_one_reads() {
        let config = parse("").unwrap();
        assert_eq!((config.bind.port(), config.limits.max_sessions), (4433, 5000));
        assert!(config.check().is_ok());
        let packaged = parse(include_str!("../packaging/kring-relay.toml")).unwrap();
        assert!(packaged.check().is_ok());
    }

    #[test]
    fn settings_are_read_and_unknown_ones_refused() {
        let config = parse(
            "bind = \"127.0.0.1:443\"\nothers = [\"relay.example:443\"]\ndrain-seconds = 5\n[limits]\nmax-sessions = 7\n",
        );
        let config = config.unwrap();
        assert_eq!((config.bind.port(), config.drain.as_secs(), config.limits.max_sessions), (443, 5, 7));
        assert_eq!(config.others[0].host(), "relay.example");
        assert!(parse("[limits]\nmax-session = 7\n").is_err());
        assert!(parse("others = [\"relay\"]\n").is_err());
    }

    #[test]
    fn values_without_sense_are_refused() {
        assert!(parse("threads = 0").unwrap().check().is_err());
        for text in ["max-load = 0.0", "session-mbit = -1.0", "session-rate-per-address = nan"] {
            assert!(parse(&format!("[limits]\n{text}")).unwrap().check().is_err(), "{text}");
        }
    }
}
