//! What a router has given, by whichever protocol it speaks.
//!
//! Guarantee: an address that no packet could come to is none; a lease that is given up while a router is being asked ends by
//! itself within [`LIFE`].

use super::{MappingError, Router};
use crab_nat::{
    InternetProtocol, MappingFailure, PortMapping, PortMappingOptions, PortMappingType, TimeoutConfig,
};
use std::net::{IpAddr, SocketAddr};
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
    #[cfg(feature = "upnp")]
    port: NonZeroU16,
    address: SocketAddr,
    life: Duration,
    by: By,
}

enum By {
    /// PCP or NAT-PMP.
    Pcp(Box<PortMapping>),
    #[cfg(feature = "upnp")]
    Upnp(Box<igd_next::aio::Gateway<igd_next::aio::tokio::Tokio>>),
}

impl Lease {
    /// Asks by all protocols at once; the first that gives something is taken.
    #[cfg(feature = "upnp")]
    pub(super) async fn ask(router: Router, port: NonZeroU16) -> Result<Lease, MappingError> {
        let pcp = Lease::by_pcp(router, port);
        let upnp = async {
            // Where both are there, PCP has answered by then, and nothing is left behind at the router.
            tokio::time::sleep(Duration::from_millis(300)).await;
            Lease::by_upnp(router, port).await
        };
        tokio::pin!(pcp, upnp);
        let mut failures = [None, None];
        while failures.iter().any(Option::is_none) {
            tokio::select! {
                asked = &mut pcp, if failures[0].is_none() => match asked {
                    Ok(lease) => return Ok(lease),
                    Err(why) => failures[0] = Some(why),
                },
                asked = &mut upnp, if failures[1].is_none() => match asked {
                    Ok(lease) => return Ok(lease),
                    Err(why) => failures[1] = Some(why),
                },
            }
        }
        Err(MappingError::Refused(failures.into_iter().flatten().collect::<Vec<_>>().join("; ")))
    }

    /// Asks.
    #[cfg(not(feature = "upnp"))]
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
            #[cfg(feature = "upnp")]
            port,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            life: LIFE,
            by: By::Pcp(Box::new(mapping)),
        };
        if lease.told().await {
            return Ok(lease);
        }
        lease.give_back().await;
        Err("the router has no address outside".into())
    }

    /// Takes over what the router said last; false if that is no place.
    async fn told(&mut self) -> bool {
        let mapping = match &self.by {
            By::Pcp(mapping) => mapping,
            #[cfg(feature = "upnp")]
            By::Upnp(_) => return true,
        };
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
        is_outside(ip)
    }

    #[cfg(feature = "upnp")]
    async fn by_upnp(router: Router, port: NonZeroU16) -> Result<Lease, String> {
        use igd_next::{AddAnyPortError, GatewayIpVersion, PortMappingProtocol, SearchOptions};
        let mut options = SearchOptions::default();
        options.bind_addr = SocketAddr::new(router.own, 0);
        options.timeout = Some(Duration::from_secs(5));
        options.gateway_ip_version = GatewayIpVersion::V4;
        let upnp = |error: &dyn std::fmt::Display| format!("UPnP: {error}");
        let gateway = igd_next::aio::tokio::search_gateway(options).await.map_err(|error| upnp(&error))?;
        let ip = gateway.get_external_ip().await.map_err(|error| upnp(&error))?;
        if !is_outside(ip) {
            return Err("UPnP: the router has no address outside".into());
        }
        let (udp, own) = (PortMappingProtocol::UDP, SocketAddr::new(router.own, port.get()));
        let mut asked = gateway.add_any_port(udp, own, LIFE.as_secs() as u32, NAME).await;
        if matches!(asked, Err(AddAnyPortError::OnlyPermanentLeasesSupported)) {
            asked = gateway.add_any_port(udp, own, 0, NAME).await;
        }
        let outer = asked.map_err(|error| upnp(&error))?;
        let address = SocketAddr::new(ip, outer);
        Ok(Lease { router, port, address, life: LIFE, by: By::Upnp(Box::new(gateway)) })
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
        match &self.by {
            By::Pcp(mapping) if matches!(mapping.mapping_type(), PortMappingType::NatPmp) => "NAT-PMP",
            By::Pcp(_) => "PCP",
            #[cfg(feature = "upnp")]
            By::Upnp(_) => "UPnP",
        }
    }

    /// Whether this machine still is behind the router that gave it.
    pub(super) fn is_of(&self, router: Option<Router>) -> bool {
        router == Some(self.router)
    }

    /// Asks for the same again; false if it is gone.
    pub(super) async fn renew(&mut self) -> bool {
        match &mut self.by {
            By::Pcp(mapping) => mapping.renew().await.is_ok() && self.told().await,
            #[cfg(feature = "upnp")]
            By::Upnp(gateway) => {
                let (udp, own) =
                    (igd_next::PortMappingProtocol::UDP, SocketAddr::new(self.router.own, self.port.get()));
                let life = LIFE.as_secs() as u32;
                match gateway.get_external_ip().await {
                    Ok(ip) => self.address.set_ip(ip),
                    Err(_) => return false,
                }
                let outer = self.address.port();
                is_outside(self.address.ip()) && gateway.add_port(udp, outer, own, life, NAME).await.is_ok()
            }
        }
    }

    /// Has the router forget it; a router that does not hear it forgets it at the end of its life.
    pub(super) async fn give_back(self) {
        match self.by {
            By::Pcp(mapping) => drop(mapping.try_drop().await),
            #[cfg(feature = "upnp")]
            By::Upnp(gateway) => {
                drop(gateway.remove_port(igd_next::PortMappingProtocol::UDP, self.address.port()).await);
            }
        }
    }
}

/// As the router's own pages show it.
#[cfg(feature = "upnp")]
const NAME: &str = "Kring";

/// Whether packets from elsewhere can come to it at all.
fn is_outside(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() && !broadcast
}

#[cfg(test)]
mod tests {
    use super::is_outside;

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
            assert_eq!(is_outside(ip.parse().unwrap()), outside, "{ip}");
        }
    }
}
