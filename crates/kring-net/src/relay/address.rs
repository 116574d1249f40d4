//! How a relay is named: `HOST:PORT`, with `#PIN` if it has to be one that holds a certain key.
//!
//! Guarantee: a name is at most [`MAX_TEXT`] bytes, holds neither blanks nor control characters, and is written as it
//! is read.

use super::keys::{Pin, PinError};
use std::fmt;
use std::str::FromStr;

/// The longest name, in bytes: a DNS name has at most 253 (RFC 1035, section 2.3.4).
pub(super) const MAX_TEXT: usize = 253 + 1 + 5 + 1 + 52;

/// A relay's name.
///
/// ```
/// let relay: kring_net::relay::RelayAddress = "relay.example:443".parse()?;
/// assert_eq!((relay.host(), relay.port(), relay.pin()), ("relay.example", 443, None));
/// # Ok::<(), kring_net::relay::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RelayAddress {
    host: String,
    port: u16,
    pin: Option<Pin>,
}

/// A text that names no relay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not of the form.
    #[error("expected a relay as HOST:PORT or HOST:PORT#PIN (an IPv6 address in brackets), came {came:?}")]
    Form {
        /// What came, its first 80 characters.
        came: String,
    },
    /// What stands behind `#` is no pin.
    #[error(transparent)]
    Pin(#[from] PinError),
}

impl RelayAddress {
    /// A name or address, an IPv6 one without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port of UDP and of TCP.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The key that it has to hold; without one, any key serves.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        self.pin
    }

    /// The same relay, with a key that it has to hold, or with none.
    #[must_use]
    pub fn with_pin(self, pin: Option<Pin>) -> RelayAddress {
        RelayAddress { pin, ..self }
    }
}

impl FromStr for RelayAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<RelayAddress, AddressError> {
        let form = || AddressError::Form { came: text.chars().take(80).collect() };
        if text.len() > MAX_TEXT {
            return Err(form());
        }
        let (place, pin) = match text.split_once('#') {
            Some((place, pin)) => (place, Some(pin.parse()?)),
            None => (text, None),
        };
        let (host, port) = place.rsplit_once(':').ok_or_else(form)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let fits = match bare {
            Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                (1..=253).contains(&host.len())
                    && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
            }
        };
        let port: u16 = port.parse().map_err(|_| form())?;
        if !fits || port == 0 || place.contains('+') {
            return Err(form());
        }
        Ok(RelayAddress { host: bare.unwrap_or(host).to_owned(), port, pin })
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RelayAddress { host, port, pin } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")?;
        } else {
            write!(f, "{host}:{port}")?;
        }
        pin.map_or(Ok(()), |pin| write!(f, "#{pin}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_read_as_they_are_written() {
        let pin = Pin([9; 32]);
        for text in ["relay.example:443", "192.0.2.1:1", "[2001:db8::1]:65535", &format!("a:443#{pin}")] {
            assert_eq!(text.parse::<RelayAddress>().unwrap().to_string(), *text);
        }
        let relay: RelayAddress = format!("a:443#{pin}").parse().unwrap();
        assert_eq!((relay.host(), relay.port(), relay.pin()), ("a", 443, Some(pin)));
    }

    #[test]
    fn what_names_no_relay_is_refused() {
        let long = format!("{}:443", "a".repeat(254));
        for text in [
            "",
            "relay",
            "relay:",
            ":443",
            "relay:0",
            "relay:65536",
            "relay:+1",
            "re lay:1",
            "::1:443",
            "[a]:1",
            &long,
        ] {
            assert!(matches!(text.parse::<RelayAddress>(), Err(AddressError::Form { .. })), "{text}");
        }
        assert!(matches!("relay:443#abc".parse::<RelayAddress>(), Err(AddressError::Pin(_))));
    }
}
