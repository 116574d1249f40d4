//! The default router, as Linux tells it in /proc/net/route.
//!
//! Guarantee: a line that is not understood is passed over.

use std::net::Ipv4Addr;

/// A route by a router, and that is up (RTF_UP and RTF_GATEWAY of linux/route.h).
const FLAGS: u32 = 1 | 2;

/// The router of the default route with the lowest metric.
pub(super) fn gateway(table: &str) -> Option<Ipv4Addr> {
    let routes = table.lines().filter_map(|line| {
        // Interface, destination, gateway, flags, references, use, metric, mask. Addresses are numbers whose bytes are in the network's order.
        let fields: Vec<&str> = line.split_whitespace().collect();
        let hex = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
        let is_default = hex(1)? == 0 && hex(7)? == 0 && hex(3)? & FLAGS == FLAGS;
        let metric: u32 = fields.get(6)?.parse().ok()?;
        is_default.then_some((metric, Ipv4Addr::from(hex(2)?.to_ne_bytes())))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, router)| router)
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    const HEAD: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
    const OWN: &str = "eth0\t0002000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";

    #[test]
    fn the_default_route_with_the_lowest_metric_counts() {
        let slow = "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n";
        let fast = "eth0\t00000000\t0102000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
        let table = [HEAD, OWN, slow, fast, "garbage\n"].concat();
        assert_eq!(gateway(&table), Some(Ipv4Addr::new(10, 0, 2, 1)));
    }

    #[test]
    fn without_a_default_route_there_is_no_router() {
        assert_eq!(gateway(""), None);
        assert_eq!(gateway(&[HEAD, OWN].concat()), None);
        // By a wire without a router, as ppp0 is; and one that is down.
        let without = "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n";
        let down = "eth0\t00000000\t0102000A\t0002\t0\t0\t0\t00000000\t0\t0\t0\n";
        assert_eq!(gateway(&[HEAD, without, down].concat()), None);
    }
}
