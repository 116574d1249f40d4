//! What a router has given, by whichever protocol it speaks.
//!
//! Guarantee: an address that no packet could come to is none; a lease that is given up while a router is being asked ends by
//! itself within [`LIFE`].

use super::{MappingError, Router};
use crate::path::is_usable;
use crab_nat::{
    InternetProtocol, MappingFailure, PortMapping, PortMappingOptions, PortMappingType, TimeoutConfig,
};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

/// How long a port is asked for; it is asked for again at half of that.
const LIFE: Duration = Duration::from_secs(3600);
/// The shortest life that is believed: a router that says less is asked no more often.
const SHORTEST: Duration = Duration::from_secs(120);
/// How often and how long a router is waited for: some four seconds in all.
const PATIENCE: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(250),
    max_retries: 3,
    max_retry_timeout: Some(Duration::from_secs(2)),
};

/// See the module.
pub(super) struct Lease {
    router: Router,
    address: SocketAddr,
    life: Duration,
    mapping: Box<PortMapping>,
}

impl Lease {
    /// Asks.
    pub(super) async fn ask(router: Router, port: NonZeroU16) -> Result<Lease, MappingError> {
        Lease::by_pcp(router, port).await.map_err(MappingError::Refused)
    }

    async fn by_pcp(router: Router, port: NonZeroU16) -> Result<Lease, String> {
        let options = PortMappingOptions {
            external_port: Some(port),
            lifetime_seconds: Some(LIFE.as_secs() as u32),
            timeout_config: Some(PATIENCE),
        };
        let at = router.at.into();
        let asked = PortMapping::new(at, router.own, InternetProtocol::Udp, port, options).await;
        let mapping = match asked {
            // A router that knows NAT-PMP alone and keeps silent about the rest.
            Err(MappingFailure::Pcp(crab_nat::pcp::Failure::Timeout)) => {
                crab_nat::natpmp::port_mapping(at, InternetProtocol::Udp, port, options)
                    .await
                    .map_err(|error| format!("NAT-PMP: {error}"))?
            }
            other => other.map_err(|error| error.to_string())?,
        };
        let mut lease = Lease {
            router,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            life: LIFE,
            mapping: Box::new(mapping),
        };
        if lease.told().await {
            return Ok(lease);
        }
        lease.give_back().await;
        Err("the router has no address outside".into())
    }

    /// Takes over what the router said last; false if that is no place.
    async fn told(&mut self) -> bool {
        let mapping = &self.mapping;
        let ip = match mapping.mapping_type() {
            PortMappingType::Pcp { external_ip, .. } => external_ip.to_canonical(),
            PortMappingType::NatPmp => {
                match crab_nat::natpmp::external_address(mapping.gateway(), Some(PATIENCE)).await {
                    Ok(ip) => ip.into(),
                    Err(_) => return false,
                }
            }
        };
        self.address = SocketAddr::new(ip, mapping.external_port().get());
        self.life = Duration::from_secs(mapping.lifetime().into()).clamp(SHORTEST, LIFE);
        is_usable(self.address, false)
    }

    /// Where the router forwards from.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// For how long, from when it was last given.
    pub(super) fn life(&self) -> Duration {
        self.life
    }

    /// The protocol, for logs.
    pub(super) fn way(&self) -> &'static str {
        match self.mapping.mapping_type() {
            PortMappingType::NatPmp => "NAT-PMP",
            PortMappingType::Pcp { .. } => "PCP",
        }
    }

    /// Whether this machine still is behind the router that gave it.
    pub(super) fn is_of(&self, router: Option<Router>) -> bool {
        router == Some(self.router)
    }

    /// Asks for the same again; false if it is gone.
    pub(super) async fn renew(&mut self) -> bool {
        self.mapping.renew().await.is_ok() && self.told().await
    }

    /// Has the router forget it; a router that does not hear it forgets it at the end of its life.
    pub(super) async fn give_back(self) {
        drop(self.mapping.try_drop().await);
    }
}

#[cfg(test)]
mod tests {
    use super::is_usable;
    use std::net::IpAddr;

    #[test]
    fn what_no_packet_comes_to_is_no_place() {
        for (ip, outside) in [
            ("203.0.113.1", true),
            ("100.64.1.1", true),
            ("0.0.0.0", false),
            ("127.0.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
        ] {
            assert_eq!(is_usable((ip.parse::<IpAddr>().unwrap(), 1).into(), false), outside, "{ip}");
        }
    }
}
